//! A user, `users/{roarUid}`: the fields of the user's document, and the edits of it. Pure.

pub mod age;
pub mod copy;
pub mod grade;
pub mod listed;
pub mod merged;
pub mod orgs;
pub mod same;

use crate::store::{DocPath, FieldPath, Fields, Result, Value};

/// Names of the fields of users; what they mean: docs/domain/documents.md#users.
#[allow(missing_docs, reason = "the page says what each field means")]
pub mod field {
    pub const USER_TYPE: &str = "userType";
    pub const NAME: &str = "name";
    pub const EMAIL: &str = "email";
    pub const USERNAME: &str = "username";
    pub const DISPLAY_NAME: &str = "displayName";
    pub const EMAIL_KEY: &str = "emailKey";
    pub const ASSESSMENT_PID: &str = "assessmentPid";
    pub const ASSESSMENT_UID: &str = "assessmentUid";
    pub const ARCHIVED: &str = "archived";
    pub const STUDENT_DATA: &str = "studentData";
    pub const EDUCATOR_DATA: &str = "educatorData";
    pub const CAREGIVER_DATA: &str = "caregiverData";
    pub const ADMIN_DATA: &str = "adminData";
    pub const ADMINISTRATIONS_CREATED: &str = "administrationsCreated";
    pub const ASSIGNMENTS: &str = "assignments";
    pub const ASSIGNMENTS_ASSIGNED: &str = "assignmentsAssigned";
    pub const ASSIGNMENTS_STARTED: &str = "assignmentsStarted";
    pub const ASSIGNMENTS_COMPLETED: &str = "assignmentsCompleted";
    pub const FORMER_ASSIGNMENTS: &str = "formerAssignments";
    pub const STUDENT_DATA_BEFORE: &str = "studentDataBefore";
    pub const LEGAL: &str = "legal";
    pub const SSO: &str = "sso";
    pub const SSO_TYPE: &str = "ssoType";
    pub const CHILD_IDS: &str = "childIds";
    pub const PARENT_IDS: &str = "parentIds";
    pub const TEACHER_IDS: &str = "teacherIds";
    pub const IMPORTED_IDENTITY: &str = "importedIdentity";
    pub const MERGED_INTO: &str = "mergedInto";
    pub const MERGING_INTO: &str = "mergingInto";
    pub const MERGED_FROM: &str = "mergedFrom";
    pub const PASSWORD: &str = "password";
    pub const CREATED_AT: &str = "createdAt";
    pub const LAST_UPDATED: &str = "lastUpdated";
    pub const TEST_DATA: &str = "testData";
    pub const FIRST: &str = "first";
    pub const MIDDLE: &str = "middle";
    pub const LAST: &str = "last";
    pub const DOB: &str = "dob";
    pub const GRADE: &str = "grade";
    pub const SCHOOL_LEVEL: &str = "schoolLevel";
    pub const GENDER: &str = "gender";
    pub const RACE: &str = "race";
    pub const HISPANIC_ETHNICITY: &str = "hispanic_ethnicity";
    pub const ELL_STATUS: &str = "ell_status";
    pub const IEP_STATUS: &str = "iep_status";
    pub const FRL_STATUS: &str = "frl_status";
    pub const HOME_LANGUAGE: &str = "home_language";
    pub const STATE_ID: &str = "state_id";
    pub const SIS_ID: &str = "sis_id";
    pub const STUDENT_NUMBER: &str = "student_number";
    pub const BIRTH_MONTH: &str = "birthMonth";
    pub const BIRTH_YEAR: &str = "birthYear";
}

/// The types of users that the service distinguishes, by their names in [`field::USER_TYPE`].
#[allow(missing_docs, reason = "they say it")]
pub mod user_type {
    pub const ADMIN: &str = "admin";
    pub const CAREGIVER: &str = "caregiver";
    pub const STUDENT: &str = "student";
}

/// The collection, in both databases.
pub const COLLECTION: &str = "users";

/// The path of a user's document.
pub fn user_path(roar_uid: &str) -> Result<DocPath> {
    DocPath::in_collection(COLLECTION, roar_uid)
}

/// The user's type.
pub fn type_of(user: &Fields) -> Option<&str> {
    user.get(field::USER_TYPE).and_then(Value::as_str)
}

/// The data of a student on which conditions and assignments depend: grade, date of birth and the like.
pub fn student_data(user: &Fields) -> Option<&Fields> {
    user.get(field::STUDENT_DATA).and_then(Value::as_map)
}

/// One of the fields of [`student_data`].
pub fn in_student_data<'a>(user: &'a Fields, name: &str) -> Option<&'a Value> {
    student_data(user)?.get(name)
}

/// True when the value at `path`, the field of a condition, depends on a student's grade.
pub fn depends_on_grade(path: &str) -> bool {
    path.ends_with(field::GRADE) || path == "studentData.schoolLevel"
}

/// True when the value at `path`, the field of a condition, depends on a student's date of birth.
pub fn depends_on_birth(path: &str) -> bool {
    path == "age" || path == "studentData.dob" || path.starts_with("birth")
}

/// The path of the field with the IDs of the administrations that a user created.
pub fn administrations_created() -> FieldPath {
    FieldPath::of([field::ADMIN_DATA, field::ADMINISTRATIONS_CREATED])
}

/// True for a user who is a student by their type.
pub fn is_student(user: &Fields) -> bool {
    type_of(user) == Some(user_type::STUDENT)
}

/// True for a user who is an administrator by their type.
pub fn is_admin(user: &Fields) -> bool {
    type_of(user) == Some(user_type::ADMIN)
}

/// The Auth UID, in the assessment project, that a user's document names.
pub fn assessment_uid(user: &Fields) -> Option<&str> {
    user.get(field::ASSESSMENT_UID).and_then(Value::as_str)
}

/// True unless the user is archived, that is, unenrolled from everything (docs/domain/documents.md#archived).
pub fn is_living(user: &Fields) -> bool {
    user.get(field::ARCHIVED).and_then(Value::as_bool) != Some(true)
}

/// The value to store where a document lacks the field for archived users; `None` where the field is present. Pages
/// query for users who aren't archived, and such queries don't find documents without the field.
pub fn archived_unsaid(user: &Fields) -> Option<Value> {
    user.get(field::ARCHIVED).is_none_or(Value::is_null).then_some(Value::Boolean(false))
}

/// True when the user's type is one of `types`.
pub fn is_of_type(user: &Fields, types: &[String]) -> bool {
    type_of(user).is_some_and(|of| types.iter().any(|name| name == of))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn a_user_says_who_they_are() {
        let user = fields! {
            "userType" => "student", "assessmentUid" => "x", "studentData" => fields! { "grade" => "3" },
            "archived" => true,
        };
        assert_eq!((type_of(&user), assessment_uid(&user)), (Some(user_type::STUDENT), Some("x")));
        assert!(is_of_type(&user, &["educator".to_owned(), "student".to_owned()]) && !is_of_type(&user, &[]));
        assert_eq!(student_data(&user), Some(&fields! { "grade" => "3" }));
        assert_eq!(in_student_data(&user, field::GRADE), Some(&Value::from("3")));
        assert_eq!((is_student(&user), is_admin(&user)), (true, false));
        assert_eq!((is_living(&user), archived_unsaid(&user)), (false, None));
        let nobody = Fields::new();
        assert_eq!((type_of(&nobody), student_data(&nobody), is_living(&nobody)), (None, None, true));
        assert_eq!(archived_unsaid(&nobody), Some(Value::Boolean(false)));
    }

    #[test]
    fn what_a_grade_and_a_birth_decide() {
        // Each case: the field of a condition; whether it depends on the grade, and whether on the birth.
        for (path, expected) in [
            ("studentData.grade", [true, false]),
            ("grade", [true, false]),
            ("studentData.schoolLevel", [true, false]),
            ("age", [false, true]),
            ("studentData.dob", [false, true]),
            ("birthYear", [false, true]),
            ("studentData.gender", [false, false]),
        ] {
            assert_eq!([depends_on_grade(path), depends_on_birth(path)], expected, "{path}");
        }
    }
}

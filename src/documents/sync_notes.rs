//! Documents in collections below the control document of an administration's sync: the users who changed meanwhile and
//! are checked again when the sync has ended (`usersToFollow`), and the students for whom nothing could be stored
//! (`problems`). Pure.

use super::administration_sync::Control;
use crate::fields;
use crate::store::{DocPath, Document, FieldOp, Fields, Query, Result, Value};

/// Names of the fields.
#[allow(missing_docs, reason = "they say it")]
pub mod field {
    pub const AT: &str = "at";
    pub const VERSION: &str = "version";
    pub const ORGS: &str = "orgs";
    pub const GRADE: &str = "grade";
    pub const BIRTH: &str = "birth";
    pub const DETAILS: &str = "details";
    pub const LEFT: &str = "left";
    pub const NEW: &str = "new";
    pub const LEARNT: &str = "learnt";
}

/// The collection of the users who changed during an administration's syncs.
pub fn users_to_follow(administration: &str) -> Result<String> {
    Ok(format!("{}/usersToFollow", Control::path(administration)?))
}

/// The path of the document which records that a user changed during a sync.
pub fn user_to_follow(administration: &str, user: &str) -> Result<DocPath> {
    DocPath::in_collection(&users_to_follow(administration)?, user)
}

/// The collection of the students for whom an administration's sync could store nothing.
pub fn problems(administration: &str) -> Result<String> {
    Ok(format!("{}/problems", Control::path(administration)?))
}

/// The path of the document of such a student.
pub fn problem_path(administration: &str, student: &str) -> Result<DocPath> {
    DocPath::in_collection(&problems(administration)?, student)
}

/// A query for the students whom versions of the sync before `version` recorded.
pub fn older_problems(administration: &str, version: i64) -> Result<Query> {
    Ok(Query::collection(problems(administration)?).filter(field::VERSION, FieldOp::LessThan, version))
}

/// The summary of its last sync's problems in an administration's document: the number of students, and the first of
/// them.
pub fn summary(count: i64, first: &[Document]) -> Fields {
    fields! { "count" => count, "students" => Value::strings(first.iter().map(Document::id)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Timestamp;

    #[test]
    fn notes_lie_below_the_control_document() {
        let student = problem_path("a", "u").unwrap();
        assert_eq!(student.as_str(), "administrationSyncs/a/problems/u");
        assert_eq!(user_to_follow("a", "u").unwrap().as_str(), "administrationSyncs/a/usersToFollow/u");
        let (create_time, update_time) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let note = Document { path: student, fields: Fields::new(), create_time, update_time };
        assert_eq!(summary(3, &[note]), fields! { "count" => 3, "students" => Value::strings(["u"]) });
    }
}

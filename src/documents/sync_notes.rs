//! What is noted beside an administration's sync, in collections below its control document: the users to be followed
//! again when the sync has ended (`usersToFollow`), and the students for whom nothing could be stored (`problems`). Pure.

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

/// Where it's noted that a user changed during a sync.
pub fn user_to_follow(administration: &str, user: &str) -> Result<DocPath> {
    DocPath::in_collection(&users_to_follow(administration)?, user)
}

/// The collection of the students for whom an administration's sync could store nothing.
pub fn problems(administration: &str) -> Result<String> {
    Ok(format!("{}/problems", Control::path(administration)?))
}

/// Where such a student is noted.
pub fn problem_path(administration: &str, student: &str) -> Result<DocPath> {
    DocPath::in_collection(&problems(administration)?, student)
}

/// The students whom versions before this one noted.
pub fn older_problems(administration: &str, version: i64) -> Result<Query> {
    Ok(Query::collection(problems(administration)?).filter(field::VERSION, FieldOp::LessThan, version))
}

/// What an administration says of its last sync's problems: how many students there are, and who the first are.
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

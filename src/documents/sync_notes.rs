//! What is noted beside an administration's sync, in collections below its control document: the users to be followed
//! again when the sync has ended (`usersToFollow`), and the students for whom nothing could be stored (`problems`). Pure.

use super::administration_sync::Control;
use crate::store::{DocPath, FieldOp, Query, Result};

/// Names of the fields.
#[allow(missing_docs, reason = "they say it")]
pub mod field {
    pub const AT: &str = "at";
    pub const VERSION: &str = "version";
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

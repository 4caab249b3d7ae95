//! A user, `users/{roarUid}`: what their document says of them, and how it's edited. Pure.

pub mod age;
pub mod copy;
pub mod grade;
pub mod merged;
pub mod orgs;
pub mod same;

use crate::store::{DocPath, Fields, Result, Value};

/// Where a user's document is.
pub fn user_path(roar_uid: &str) -> Result<DocPath> {
    DocPath::in_collection("users", roar_uid)
}

/// True unless the user is archived, that is, unenrolled from everything (docs/domain/documents.md#archived).
pub fn is_living(user: &Fields) -> bool {
    user.get("archived").and_then(Value::as_bool) != Some(true)
}

/// What a document that doesn't say whether its user is archived should say: pages ask for users that are not.
pub fn archived_unsaid(user: &Fields) -> Option<Value> {
    user.get("archived").is_none_or(Value::is_null).then_some(Value::Boolean(false))
}

/// True when the user's type is one of `types`.
pub fn is_of_type(user: &Fields, types: &[String]) -> bool {
    user.get("userType").and_then(Value::as_str).is_some_and(|of| types.iter().any(|name| name == of))
}

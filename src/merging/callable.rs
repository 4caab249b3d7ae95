//! The callable `mergeUsers`.

use serde_json::{Value as Json, json};

use super::{MergeError, merge};
use crate::app::App;
use crate::payload::{flag, object, required_id};
use crate::rights::{Payload, SuperAdmin};
use crate::runtime::{FunctionError, Status};

/// Who is merged into whom, and whether it's done or only shown.
pub struct Request {
    from: String,
    into: String,
    apply: bool,
}

impl Payload for Request {
    fn read(data: &Json) -> Result<Self, FunctionError> {
        let data = object(data)?;
        let request = Request {
            from: required_id(data, "from", "a user")?,
            into: required_id(data, "into", "a user")?,
            apply: flag(data, "apply")?.unwrap_or(false),
        };
        match request.from == request.into {
            true => Err(FunctionError::invalid("from and into must be two users.")),
            false => Ok(request),
        }
    }
}

/// Handles a call: says what merging changes and, with `apply`, does it.
pub async fn merge_users(app: App, permit: SuperAdmin, request: Request) -> Result<Json, FunctionError> {
    let merged = merge(&app, &request.from, &request.into, request.apply, &permit.requester.uid).await?;
    let mut answer = json!({ "status": "ok" });
    let merged = serde_json::to_value(merged).map_err(FunctionError::internal)?;
    if let (Json::Object(answer), Json::Object(merged)) = (&mut answer, merged) {
        answer.extend(merged);
    }
    Ok(answer)
}

impl From<MergeError> for FunctionError {
    fn from(error: MergeError) -> Self {
        match error {
            // Its ID may be anything that somebody sent.
            MergeError::Missing(field) => FunctionError::new(Status::NotFound, format!("{field} names no user.")),
            MergeError::Refused(why) => FunctionError::new(Status::FailedPrecondition, why),
            MergeError::Claims(error) => error.into(),
            MergeError::Store(error) => error.into(),
            MergeError::Function(error) => error,
        }
    }
}

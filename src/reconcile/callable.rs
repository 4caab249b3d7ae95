//! The callable `reconcileAdministration`, for operators: a running server of an embedded store is the
//! only one who can open it.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Options, reconcile_one};
use crate::app::App;
use crate::payload::{flag, object, required_id};
use crate::rights::{Payload, SuperAdmin};
use crate::runtime::{FunctionError, Status};

/// How long a difference must stay: events that are on their way arrive meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which administration, and whether to mend it.
pub struct Request {
    id: String,
    fix: bool,
}

impl Payload for Request {
    fn read(data: &Json) -> Result<Self, FunctionError> {
        let fields = object(data)?;
        Ok(Request {
            id: required_id(fields, "administrationId", "an administration")?,
            fix: flag(fields, "fix")?.unwrap_or(false),
        })
    }
}

/// Handles a call.
pub async fn reconcile_administration(app: App, _: SuperAdmin, request: Request) -> Result<Json, FunctionError> {
    let Request { id, fix } = request;
    let report = reconcile_one(&app, &id, &Options { fix, patience: PATIENCE }, &|_| {}).await?;
    let Some(report) = report else {
        return Err(FunctionError::new(Status::NotFound, "There is no such administration, nor anything of one."));
    };
    let mut answer = json!({ "status": "ok" });
    let report = serde_json::to_value(report).map_err(FunctionError::internal)?;
    if let (Json::Object(answer), Json::Object(report)) = (&mut answer, report) {
        answer.extend(report);
    }
    Ok(answer)
}

//! The callable `reconcileAdministration`, for operators: a running server of an embedded store is the
//! only one who can open it.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::{Options, reconcile_one};
use crate::administrations::fanout::control::administration_path;
use crate::app::App;
use crate::claims::Claims;
use crate::runtime::{Call, FunctionError, Status};

/// How long a difference must stay: events that are on their way arrive meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// Handles a call.
pub async fn reconcile_administration(app: App, call: Call) -> Result<Json, FunctionError> {
    let uid = &call.signed_in()?.uid;
    let claims = Claims::read(uid, app.stores.admin.get(&Claims::path(uid)?).await?.as_ref());
    if !claims.super_admin {
        return Err(FunctionError::new(Status::PermissionDenied, "Only super admins may reconcile."));
    }
    let id = match call.data.get("administrationId") {
        Some(Json::String(id)) if administration_path(id).is_ok() => id,
        _ => return Err(FunctionError::invalid("administrationId must be the ID of an administration.")),
    };
    let fix = match call.data.get("fix") {
        None | Some(Json::Null) => false,
        Some(Json::Bool(fix)) => *fix,
        Some(_) => return Err(FunctionError::invalid("fix must be true or false.")),
    };
    let report = reconcile_one(&app, id, &Options { fix, patience: PATIENCE }, &|_| {}).await?;
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

//! The callable `reconcileAdministration`, for operators: only a running server can open its embedded store, so the
//! command line can't reconcile it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::report::{AdministrationReport, Finding, Kind, Report, State};
use super::{Options, reconcile_one};
use crate::app::App;
use crate::payload::refusals::GONE;
use crate::payload::{Checked, Id, kinds};
use crate::rights::{Payload, SuperAdmin};
use crate::runtime::{FunctionError, Status};

/// How long a difference must persist, because pending events may resolve it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A checked request of `reconcileAdministration`: which administration, and whether to repair it.
pub struct ReconcileRequest {
    id: String,
    fix: bool,
}

/// Looks at every assignment of the administration, twice where something differs, and with fix mends what does.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ReconcileAdministration {
    /// The administration.
    administration_id: Id<kinds::Administration>,
    /// Mend what differs. Default: false.
    fix: Option<bool>,
}

impl Payload for ReconcileRequest {
    type Sent = ReconcileAdministration;
    type Answer = Report;
    const REFUSALS: &'static [(Status, &'static str)] = &[GONE];

    fn check(sent: ReconcileAdministration) -> Checked<Self> {
        Ok(ReconcileRequest { id: sent.administration_id.into_string(), fix: sent.fix.unwrap_or(false) })
    }

    fn example() -> (Json, Report) {
        let mut report = AdministrationReport::new("fall-2026", State::Open);
        report.assignments = 3;
        let finding = Finding::of_counts(Kind::CountDiffers, "total").field("assignment.assigned");
        report.add(finding.values(json!(4), json!(3)));
        (json!({ "administrationId": "fall-2026" }), Report::new(false, vec![report]))
    }
}

/// Handles a call.
pub async fn reconcile_administration(
    app: App,
    _: SuperAdmin,
    request: ReconcileRequest,
) -> Result<Report, FunctionError> {
    let ReconcileRequest { id, fix } = request;
    let report = reconcile_one(&app, &id, &Options { fix, patience: PATIENCE }, &|_| {}).await?;
    report.ok_or_else(|| FunctionError::new(Status::NotFound, "There is no such administration, nor anything of one."))
}

//! `syncCleverOrgs` (docs/domain/rosters.md#where-rosters-come-from).

use std::pin::pin;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use super::answer::{OrgsSynced, StepTold};
use crate::app::App;
use crate::payload::{Checked, Id, kinds};
use crate::rights::{Payload, SuperAdmin};
use crate::rostering::Rosters;
use crate::rostering::partners::{AllError, AllSynced, Ask, CALL_LIMIT, Failure, Step, sync_all};
use crate::rostering::report::StopReason;
use crate::rostering::source::SourceError;
use crate::rostering::sync::{Options, SyncError};
use crate::runtime::edge::{SchemaOf, schema_of};
use crate::runtime::{Chunks, FunctionError, Status};
use crate::store::StoreError;

/// How long whoever streams progress has to take the last steps.
const PARTING: Duration = Duration::from_secs(1);
/// Steps that wait for a slow reader.
const WAITING: usize = 16;

/// What is to be synced.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    shallow: bool,
    dry_run: bool,
    confirm_unenroll: bool,
    district: Option<String>,
}

/// May take an hour; the sync goes on when its caller has gone. Called with Accept: text/event-stream, it says how far it
/// is.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SyncCleverOrgs {
    /// Orgs only, no people. Default: true.
    shallow: Option<bool>,
    /// Say what would change, and change nothing.
    dry_run: Option<bool>,
    /// Those who are missing have left, however many they are.
    confirm_unenroll: Option<bool>,
    /// One district only.
    district_id: Option<Id<kinds::CleverDistrict>>,
}

impl Payload for Request {
    type Sent = SyncCleverOrgs;
    type Answer = OrgsSynced;
    const REFUSALS: &'static [(Status, &'static str)] = &[
        (Status::NotFound, "districtId names no district that shares its roster."),
        (
            Status::FailedPrecondition,
            "Clever isn't set up, or doesn't let us in; a sync is under way; or more are missing than is believed.",
        ),
    ];
    const MAY_BE_LEFT_OUT: bool = true;

    fn check(sent: SyncCleverOrgs) -> Checked<Self> {
        Ok(Request {
            shallow: sent.shallow.unwrap_or(true),
            dry_run: sent.dry_run.unwrap_or(false),
            confirm_unenroll: sent.confirm_unenroll.unwrap_or(false),
            district: sent.district_id.map(Id::into_string),
        })
    }

    fn example() -> (Json, OrgsSynced) {
        (json!({ "shallow": true }), OrgsSynced::example())
    }

    fn chunk() -> Option<SchemaOf> {
        Some(schema_of::<StepTold>())
    }
}

/// Handles a call. Who streams hears how far it is; who doesn't gets the answer at the end. The sync goes on whatever
/// becomes of the caller.
pub async fn sync_clever_orgs(
    app: App,
    permit: SuperAdmin,
    request: Request,
    chunks: Chunks,
) -> Result<OrgsSynced, FunctionError> {
    let clever = Rosters::of(&app).clever.clone().ok_or_else(not_set_up)?;
    let options = Options {
        shallow: request.shallow,
        dry_run: request.dry_run,
        confirm_unenroll: request.confirm_unenroll,
        missing_share: app.settings.roster_missing_share,
    };
    let ask = Ask { options, district: request.district.as_deref(), by: &permit.requester.uid, limit: CALL_LIMIT };
    let (steps, mut said) = mpsc::channel::<Step>(WAITING);
    let pass_on = async {
        while let Some(step) = said.recv().await {
            let Ok(told) = serde_json::to_value(StepTold::of(&step)) else { break };
            if !chunks.send(told).await {
                break;
            }
        }
        // Nobody listens, or no longer: steps are refused from here on.
        drop(said);
    };
    let synced = async {
        let synced = sync_all(&app, &clever, &ask, Some(&steps)).await;
        drop(steps);
        synced
    };
    let (mut synced, mut pass_on) = (pin!(synced), pin!(pass_on));
    let synced = tokio::select! {
        synced = &mut synced => {
            // Whoever stays and doesn't read holds nothing up.
            let _ = tokio::time::timeout(PARTING, pass_on).await;
            synced
        }
        () = &mut pass_on => synced.await,
    };
    answer(synced)
}

/// Nobody can be asked.
pub(super) fn not_set_up() -> FunctionError {
    let message = "Clever isn't set up here: the server needs ROAR_CLEVER_CLIENT_ID and ROAR_CLEVER_CLIENT_SECRET.";
    FunctionError::new(Status::FailedPrecondition, message)
}

fn unavailable(error: SourceError) -> FunctionError {
    let status = if error.is_refused { Status::FailedPrecondition } else { Status::Unavailable };
    FunctionError::new(status, format!("The rosters can't be fetched: {error}."))
}

fn answer(synced: Result<AllSynced, AllError>) -> Result<OrgsSynced, FunctionError> {
    let synced = synced.map_err(|error| match error {
        AllError::Source(error) => unavailable(error),
        AllError::Store(error) => error.into(),
        AllError::NotConnected => {
            FunctionError::new(Status::NotFound, "districtId names no district that is connected to Clever.")
        }
    })?;
    let told = OrgsSynced::of(&synced);
    match refusal(&synced) {
        None => Ok(told),
        Some(refusal) => Err(refusal.with_details(serde_json::to_value(told).map_err(FunctionError::internal)?)),
    }
}

/// What the whole call fails with: the worst that happened to a district. What was done to the others stays.
fn refusal(synced: &AllSynced) -> Option<FunctionError> {
    let failures = || synced.districts.iter().filter_map(|one| Some((one, one.error.as_ref()?)));
    let failed = failures().find_map(|(one, failure)| match failure {
        Failure::Failed(error) => Some((one, error)),
        Failure::Busy(_) => None,
    });
    if let Some((one, error)) = failed {
        let status = match error {
            SyncError::Source(_) | SyncError::Accounts(_) => Status::Unavailable,
            SyncError::Store(error) if error.is_transient() => Status::Unavailable,
            // Documents that keep changing while they're written.
            SyncError::Store(StoreError::Conflict(_)) => Status::Aborted,
            SyncError::Store(_) => Status::Internal,
            SyncError::TooLong => Status::DeadlineExceeded,
            SyncError::Superseded(_) => Status::Aborted,
            SyncError::Stopped => Status::Unavailable,
        };
        match error {
            // Whoever stopped it, or began another one, knows.
            SyncError::Stopped | SyncError::Superseded(_) => {
                tracing::info!(district = one.district, %error, "a district's sync was ended")
            }
            // The caller is told, and so is whoever watches the metrics of syncs. The call itself logs what is ours.
            _ => tracing::warn!(district = one.district, %error, "a district can't be synced"),
        }
        let message = format!("The district {} can't be synced: {}.", one.district, error.told());
        return Some(FunctionError::new(status, message));
    }
    if let Some((one, _)) = failures().next() {
        let message = format!("The district {} is being synced already.", one.district);
        return Some(FunctionError::new(Status::FailedPrecondition, message));
    }
    let (one, held) = synced.districts.iter().find_map(|one| Some((one, one.report.safety_stop?)))?;
    let advice = match held.reason {
        StopReason::Empty => "Look at what the district shares.",
        _ => "If that's right, sync it again with confirmUnenroll: true and this districtId.",
    };
    let message = format!("In the roster of the district {}, {held}. None was taken for gone. {advice}", one.district);
    Some(FunctionError::new(Status::FailedPrecondition, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads() {
        let read = |data: Json| Request::read(&data).map_err(|error| error.message);
        let request =
            |shallow, dry_run, confirm_unenroll| Request { shallow, dry_run, confirm_unenroll, district: None };
        assert_eq!(read(json!(null)), Ok(request(true, false, false)));
        assert_eq!(read(json!({"shallow": null})), Ok(request(true, false, false)));
        let all = json!({"shallow": false, "dryRun": true, "confirmUnenroll": true});
        assert_eq!(read(all), Ok(request(false, true, true)));
        for (data, named) in [
            (json!({"shallow": "false"}), "shallow"),
            (json!({"dryRun": 1}), "dryRun"),
            (json!({"confirmUnenroll": []}), "confirmUnenroll"),
            (json!({"districtId": "a/b"}), "districtId"),
            (json!([]), "object"),
        ] {
            let message = read(data.clone()).expect_err("it's refused");
            assert!(message.contains(named), "{data}: {message}");
        }
    }
}

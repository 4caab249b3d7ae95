//! The callable `mergeUsers`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{MergeError, Merged, merge};
use crate::app::App;
use crate::claims::LARGE;
use crate::payload::refusals::GONE;
use crate::payload::{Checked, Id, kinds};
use crate::rights::{Payload, SuperAdmin};
use crate::runtime::{FunctionError, Status};

/// A checked request of `mergeUsers`: who is merged into whom, and whether the merge is carried out or only shown.
pub struct MergeRequest {
    from: String,
    into: String,
    apply: bool,
}

/// Makes two users who are one person one user: orgs, assignments with the better progress of both, runs, roster entries,
/// rights and relations go over to `into`, and `from` is archived with a pointer. Without apply, it's only shown. Repeated,
/// it converges.
#[derive(Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct MergeUsers {
    /// The user who is merged.
    from: Id<kinds::User>,
    /// The user who stays.
    into: Id<kinds::User>,
    /// Do it. Default: show what it would change.
    apply: Option<bool>,
}

impl Payload for MergeRequest {
    type Sent = MergeUsers;
    type Answer = Merged;
    const REFUSALS: &'static [(Status, &'static str)] =
        &[GONE, LARGE, (Status::FailedPrecondition, "They aren't one person, or one of them is merged already.")];

    fn check(sent: MergeUsers) -> Checked<Self> {
        match *sent.from == *sent.into {
            true => Err(FunctionError::invalid("from and into must be two users.")),
            false => Ok(MergeRequest {
                from: sent.from.into_string(),
                into: sent.into.into_string(),
                apply: sent.apply.unwrap_or(false),
            }),
        }
    }

    fn example() -> (Json, Merged) {
        let merged = Merged {
            from: "student-2".to_owned(),
            into: "student-1".to_owned(),
            orgs: vec!["class-1".to_owned()],
            assignments_combined: vec!["8dQb2TnKxUw0VjXy9aRf".to_owned()],
            runs: 3,
            roster_entries: 1,
            ..Merged::default()
        };
        (json!({ "from": "student-2", "into": "student-1" }), merged)
    }
}

/// Handles a call: reports what merging changes and, with `apply`, carries it out.
pub async fn merge_users(app: App, permit: SuperAdmin, request: MergeRequest) -> Result<Merged, FunctionError> {
    Ok(merge(&app, &request.from, &request.into, request.apply, &permit.requester.uid).await?)
}

impl From<MergeError> for FunctionError {
    fn from(error: MergeError) -> Self {
        match error {
            // The ID isn't repeated in the message, because it's whatever the caller sent.
            MergeError::Missing(field) => FunctionError::new(Status::NotFound, format!("{field} names no user.")),
            MergeError::Refused(why) => FunctionError::new(Status::FailedPrecondition, why),
            MergeError::Claims(error) => error.into(),
            MergeError::Store(error) => error.into(),
            MergeError::Function(error) => error,
        }
    }
}

//! Claims: which orgs a user administers, and which accounts of the two projects belong to one user. `userClaims`
//! documents are authoritative; ID tokens and the assessment project's copy follow them.
//!
//! [`lists`], [`custom`] and [`sources`] are pure. All changes of claims go through [`edit`], which writes the claims
//! in one commit with an audit record ([`audit`]), then publishes them ([`publish`]). The document's event publishes
//! them again, which completes a publication that a crash interrupted.

pub mod admin_orgs;
pub mod audit;
pub mod binding;
pub mod custom;
pub mod edit;
mod give_up;
mod gone;
pub mod group;
mod hierarchy;
pub mod lists;
mod publish;
pub mod roster;
pub mod sources;
pub mod suspension;
mod written;

use std::time::Duration;

pub use admin_orgs::{append_to_admin_claims, remove_from_admin_claims};
pub use binding::{associate_assessment_uid, set_uid_claims};
pub use give_up::give_up;
pub use gone::org_deleted;
pub use group::create_group;
pub use hierarchy::{complete_claims, follow_hierarchy};
pub use publish::{ClaimsError, publish};
pub use roster::entry_updated;
pub use written::written;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::context::Context;
use crate::documents::user_claims;
use crate::runtime::Status;
use crate::store::backoff::{Backoff, Jitter};
use crate::store::{Document, Timestamp, Value};

/// How often a change of claims is retried because of concurrent changes. Such changes take milliseconds, so a change
/// succeeds after short pauses even at the busiest moments.
const ROUNDS: u32 = 60;
/// The pauses between rounds.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(400)).with_jitter(Jitter::Full);

/// The attempts of a change of claims, with pauses between them.
pub(crate) struct Rounds<'a> {
    context: &'a Context,
    begun: u32,
}

impl<'a> Rounds<'a> {
    /// Starts before the first attempt.
    pub(crate) fn new(context: &'a Context) -> Rounds<'a> {
        Rounds { context, begun: 0 }
    }

    /// Waits before the next attempt, except before the first. False when the attempts are exhausted.
    pub(crate) async fn next(&mut self) -> bool {
        if self.begun > 0 {
            tokio::time::sleep(BACKOFF.pause(self.begun, &*self.context.random)).await;
        }
        self.begun += 1;
        self.begun <= ROUNDS
    }
}

/// The new `lastUpdated` of changed claims, in milliseconds: always later than the previous one, whatever the clock
/// says, so that clients notice the change.
pub fn next_update(before: Option<&Document>, now: Timestamp) -> i64 {
    let last =
        before.and_then(|document| document.fields.get(user_claims::field::LAST_UPDATED)).and_then(Value::as_i64);
    now.as_millisecond().max(last.map_or(i64::MIN, |last| last.saturating_add(1)))
}

/// The refusal of changes that would make claims too large.
pub const LARGE: (Status, &str) = (
    Status::ResourceExhausted,
    "The account's custom claims would be larger than 1,000 bytes, or its rights come to more orgs than it can hold.",
);

/// An answer with somebody's claims.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct UserClaims {
    /// The claims as they are now: adminOrgs, minimalAdminOrgs, roarUid, …
    pub user_claims: Map<String, Json>,
}

impl UserClaims {
    /// An example of an answer.
    fn of(claims: Json) -> UserClaims {
        UserClaims { user_claims: claims.as_object().cloned().unwrap_or_default() }
    }
}

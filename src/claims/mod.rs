//! Claims: who administers which orgs, and who is who in the two projects. `userClaims` documents are the
//! truth; ID tokens and the assessment project's copy follow them.
//!
//! [`lists`], [`custom`] and [`sources`] are pure. Whatever changes claims does it by [`edit`], which writes them in one
//! commit with a record of who did it ([`audit`]), then publishes them ([`publish`]); the document's event publishes
//! again, so that nothing stays behind when somebody dies in between.

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

/// How often a change of claims begins anew because somebody else changes the same ones. Changes commute, so whoever
/// waits a moment gets through: this many for the busiest moments, of which each ends within milliseconds.
const ROUNDS: u32 = 60;
/// The pauses between rounds.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(400)).with_jitter(Jitter::Full);

/// The rounds of a change of claims, with pauses between them.
pub(crate) struct Rounds<'a> {
    context: &'a Context,
    begun: u32,
}

impl<'a> Rounds<'a> {
    /// No round has begun.
    pub(crate) fn new(context: &'a Context) -> Rounds<'a> {
        Rounds { context, begun: 0 }
    }

    /// Waits its turn: not at all at first. False when there were too many.
    pub(crate) async fn next(&mut self) -> bool {
        if self.begun > 0 {
            tokio::time::sleep(BACKOFF.pause(self.begun, &*self.context.random)).await;
        }
        self.begun += 1;
        self.begun <= ROUNDS
    }
}

/// The `lastUpdated` of claims that change now, in milliseconds: later than the one before, so that clients
/// notice, whatever the clock says.
pub fn next_update(before: Option<&Document>, now: Timestamp) -> i64 {
    let last =
        before.and_then(|document| document.fields.get(user_claims::field::LAST_UPDATED)).and_then(Value::as_i64);
    now.as_millisecond().max(last.map_or(i64::MIN, |last| last.saturating_add(1)))
}

/// The refusal of what would make claims too large.
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

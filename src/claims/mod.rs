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

use crate::context::jitter;
use crate::documents::user_claims;
use crate::store::{Document, Timestamp, Value};

/// How often a change of claims begins anew because somebody else changes the same ones. Changes commute, so whoever
/// waits a moment gets through: this many for the busiest moments, of which each ends within milliseconds.
const ROUNDS: u32 = 60;
/// The longest pause between two rounds, in milliseconds.
const LONGEST_PAUSE: u64 = 400;

/// The rounds of a change of claims, with growing pauses of chance lengths between them, so that many writers of one
/// document don't all come again at once.
#[derive(Default)]
pub(crate) struct Rounds(u32);

impl Rounds {
    /// Waits its turn: not at all at first. False when there were too many.
    pub(crate) async fn next(&mut self) -> bool {
        if self.0 > 0 {
            let pause = (10_u64 << self.0.min(6)).min(LONGEST_PAUSE);
            tokio::time::sleep(Duration::from_millis(jitter(pause))).await;
        }
        self.0 += 1;
        self.0 <= ROUNDS
    }
}

/// The `lastUpdated` of claims that change now, in milliseconds: later than the one before, so that clients
/// notice, whatever the clock says.
pub fn next_update(before: Option<&Document>, now: Timestamp) -> i64 {
    let last =
        before.and_then(|document| document.fields.get(user_claims::field::LAST_UPDATED)).and_then(Value::as_i64);
    now.as_millisecond().max(last.map_or(i64::MIN, |last| last.saturating_add(1)))
}

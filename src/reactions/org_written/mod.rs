//! An org came, changed its place, was archived or went: whatever made the change, a page, a roster, or somebody in the
//! console.
//!
//! 1. The lists of children of its parents, those from before and those of now, say what its own links say.
//! 2. Rights and administrations above follow, by a task for each org: many changes of one org's children while the
//!    task waits or runs are dealt with at once ([`follow`]).
//! 3. Its members go with it, and so do its classes ([`members`]).
//!
//! What a sync of a roster changes, it deals with itself, once for all, but for the members; its changes are told by its own
//! mark.

mod change;
mod follow;
mod members;

pub use follow::{FollowOrgJob, run as run_follow};
pub use members::{MoveMembersJob, run as run_move};

use self::change::OrgChange;
use crate::app::App;
use crate::orgs::keep::keep_lists;
use crate::runtime::{DocumentEvent, HandlerError};

/// The event of orgs that have parents: schools, classes, groups.
///
/// Costs nothing where neither its place nor its being archived has changed, nor where a roster's sync made or archived it;
/// else the org, its parents (of before and of now), and what the tasks cost.
pub async fn org_written(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let Some(change) = OrgChange::of(&event.change) else { return Ok(()) };
    let move_members = members::task(&app, &change, event.change.time).await?;
    if change.is_of_roster {
        // People whom the roster says nothing new of have to go with the org all the same.
        return Ok(follow::enlist_alone(&app, move_members).await?);
    }
    keep_lists(&app.stores.admin, &change.key, &change.parents()).await?;
    if change.is_ruled_by_roster {
        return Ok(());
    }
    Ok(follow::enlist(&app, &change, move_members).await?)
}

//! Reacts to an org that was created, moved, archived or deleted, whoever made the change: a page, a roster sync, or
//! somebody in the Firebase console.
//!
//! 1. The parents' lists of children, of former and current parents, are made to agree with the org's own links.
//! 2. Rights over the org and its ancestors, and their administrations, are updated by one task for each org. Many
//!    changes of one org's children while the task is pending or running are handled together ([`follow`]).
//! 3. The members of the org move with it, and so do its classes ([`members`]).
//!
//! A roster sync handles the consequences of its own changes itself, once for all orgs, except for the members. Its
//! changes are recognised by its own mark.

mod change;
mod follow;
mod members;

pub use follow::{FollowOrgJob, run as run_follow};
pub use members::{MoveMembersJob, run as run_move};

use self::change::OrgChange;
use crate::app::App;
use crate::orgs::keep::keep_lists;
use crate::runtime::{DocumentEvent, HandlerError};

/// Handles the event of orgs that have parents: schools, classes, groups.
///
/// Costs nothing where neither the parents nor the archived state have changed, nor where a roster sync made or
/// archived the org; otherwise reads the org and its former and current parents, and what the tasks cost.
pub async fn org_written(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let Some(change) = OrgChange::of(&event.change) else { return Ok(()) };
    let move_members = members::task(&app, &change, event.change.time).await?;
    if change.is_of_roster {
        // Members whose own roster records don't change must still move with the org.
        return Ok(follow::enlist_alone(&app, move_members).await?);
    }
    keep_lists(&app.stores.admin, &change.key, &change.parents()).await?;
    if change.is_ruled_by_roster {
        return Ok(());
    }
    Ok(follow::enlist(&app, &change, move_members).await?)
}

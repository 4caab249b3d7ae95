//! `syncAssignmentsOnAdministrationUpdate`: an administration was created, changed or deleted
//! (docs/domain/administrations.md#the-fan-out). The handler only records that a sync is due and enqueues a task, so
//! that it ends at once.

use super::fanout::{plan_task, remove_task};
use super::material::fingerprint;
use crate::app::App;
use crate::documents::administration::{self, Administration, administration_path};
use crate::documents::administration_sync::{Control, State};
use crate::fields;
use crate::orgs::OrgLists;
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{Document, StoreError, Write};

/// Handles the event of `administrations/{administrationId}`.
pub async fn written(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let id = event.param("administrationId").to_owned();
    match (&event.change.before, &event.change.after) {
        (Some(_), None) => deleted(&app, &id).await,
        (before, Some(after)) => {
            let after = Administration::from_document(after);
            let before = before.as_ref().map(Administration::from_document);
            // Only progress or tags changed, which assignments don't hold, so nothing is read. But a save after a
            // failed sync means that the sync is to be tried again.
            let is_failed = |administration: &Administration| {
                administration.text(administration::field::SYNC_STATUS) == State::Failed.name()
            };
            let is_same = before.as_ref().is_some_and(|before| fingerprint(before) == fingerprint(&after));
            let is_saved_again = before.as_ref().is_some_and(is_failed) && is_failed(&after);
            if is_same && !is_saved_again {
                return Ok(());
            }
            bring_about(&app, &id, Origin::Here).await?;
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

/// Why a sync begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// The administration was created or changed.
    Here,
    /// The orgs that it's assigned to have changed, so the sync must run again.
    Hierarchy,
    /// These orgs were added or moved, so the sync must run again for the students in them and below them. Nobody else
    /// is affected.
    Orgs(&'a OrgLists),
    /// Older functions created the administration. If it's closed, nobody is assigned any more: its assignments are
    /// history.
    Older,
}

/// Begins a sync of an administration, unless the same state with the same orgs is applied or being applied. True when
/// a sync begins.
pub async fn bring_about(app: &App, id: &str, origin: Origin<'_>) -> Result<bool, StoreError> {
    let task = app.stores.admin.transaction(|tx| async move {
        let path = administration_path(id)?;
        let [Some(document), control] =
            <[Option<Document>; 2]>::try_from(tx.get_all(&[path.clone(), Control::path(id)?]).await?)
                .unwrap_or_default()
        else {
            // The administration was deleted in the meantime, which has its own event.
            return Ok(None);
        };
        let print = fingerprint(&Administration::from_document(&document));
        let previous = control.as_ref().map(Control::read);
        let is_known = |previous: &Control| {
            previous.fingerprint == print
                && previous.born == Some(document.create_time)
                && previous.state != State::Deleting
        };
        let begins = match (&previous, origin) {
            // This state is applied or being applied: the event is a repeated or late one, or the service's own write.
            (Some(previous), Origin::Here | Origin::Older) => !is_known(previous),
            (None, Origin::Here | Origin::Older) => true,
            // There is nothing to run again, or the administration is being deleted.
            (previous, Origin::Hierarchy | Origin::Orgs(_)) => {
                previous.as_ref().is_some_and(|former| former.state != State::Deleting)
            }
        };
        if !begins {
            return Ok(None);
        }
        let mut only = None;
        if let (Some(former), Origin::Orgs(orgs)) = (&previous, origin)
            && is_known(former)
        {
            match former.state {
                State::Complete => only = Some(orgs.clone()),
                // Restarting for each changed org could go on forever, so a running sync is followed by another one
                // instead.
                State::Pending => {
                    let next = former.next.iter().chain(orgs.iter()).collect();
                    let control = Control { next, ..former.clone() };
                    tx.write(Write::set(Control::path(id)?, control.to_fields())).await;
                    return Ok(None);
                }
                State::Failed | State::Deleting => {}
            }
        }
        let is_older = previous.is_none() && origin == Origin::Older;
        let next = Control::next(previous, print, document.create_time);
        let assigned_once = next.assigned_once || is_older;
        let control = Control { assigned_once, only, next: OrgLists::new(), ..next };
        let task = plan_task(id, &control);
        let progress = fields! { administration::field::SYNC_STATUS => State::Pending.name(), administration::field::SYNC_CHUNKS_TOTAL => 0, administration::field::SYNC_CHUNKS_COMPLETED => 0 };
        tx.write(Write::set(Control::path(id)?, control.to_fields())).await;
        tx.write(Write::update(path, progress)).await;
        tx.write(app.tasks.enlist(&task)).await;
        Ok::<_, StoreError>(Some(task))
    });
    let (task, _) = task.await?;
    let begins = task.is_some();
    app.tasks.announce(task.into_iter().collect());
    Ok(begins)
}

async fn deleted(app: &App, id: &str) -> Result<(), HandlerError> {
    let task = app.stores.admin.transaction(|tx| async move {
        let found = tx.get_all(&[administration_path(id)?, Control::path(id)?]).await?;
        let [None, control] = <[Option<Document>; 2]>::try_from(found).unwrap_or_default() else {
            // The administration exists again; the event of its creation syncs the assignments.
            return Ok(None);
        };
        // Nothing of this administration may carry over to a later one with the same ID, except the version number,
        // which continues.
        let former = control.as_ref().map(Control::read).map(|former| former.version).unwrap_or_default();
        let control = Control { version: former + 1, state: State::Deleting, ..Control::default() };
        let task = remove_task(id, control.version);
        tx.write(Write::set(Control::path(id)?, control.to_fields())).await;
        tx.write(app.tasks.enlist(&task)).await;
        Ok::<_, StoreError>(Some(task))
    });
    if let (Some(task), _) = task.await? {
        app.tasks.announce(vec![task]);
    }
    Ok(())
}

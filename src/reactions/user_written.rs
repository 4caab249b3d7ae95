//! `syncAssignmentsOnUserUpdate`: a user was created, changed or deleted
//! (docs/domain/assignments.md#when-a-student-changes).

use crate::app::App;
use crate::documents::archive::archiving;
use crate::documents::user;
use crate::documents::user::same::{has_right_key, key_write};
use crate::following::{follow, leave_with_syncs};
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{DocPath, Document, FieldPath, Fields, Precondition, Query, StoreError, Write};
use crate::users::change::changes;
use crate::users::consent::records;

/// How often a deletion is retried because the assignment changed in the meantime.
const ROUNDS: usize = 5;

/// Records new signatures, then updates assignments, runs and the de-identified copy of the user.
///
/// Costs what [`following`](crate::following) says, and a write for each new entry of `legal`.
pub async fn user_written(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    if let Some(after) = &event.change.after {
        let before = event.change.before.as_ref().map(|before| &before.fields);
        let records = records(&after.path, before, &after.fields, after.update_time)?;
        match app.stores.admin.commit(records.clone()).await {
            // This event was at least partly processed before.
            Err(StoreError::Conflict(_)) => {
                for record in records {
                    match app.stores.admin.commit(vec![record]).await {
                        Ok(_) | Err(StoreError::Conflict(_)) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            other => drop(other?),
        }
    }
    follow_user(app, event).await
}

/// Determines the kind of change from the event; [`following`](crate::following) does the rest.
async fn follow_user(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let Some(after) = event.change.after else {
        return Ok(user_deleted(&app, &event.change.path).await?);
    };
    if after.fields.contains_key(user::field::PASSWORD) {
        forget_password(&app, &after.path).await?;
    }
    if !has_right_key(&after.fields) {
        key_address(&app, &after).await?;
    }
    let before = event.change.before.as_ref().map(|before| &before.fields);
    let change = changes(before, &after.fields, &app.settings.assigned_user_types, app.now());
    if change.matters() {
        let at = after.update_time;
        leave_with_syncs(&app, after.id(), &after.fields, &change, at).await?;
        follow(&app, after, &change, at).await?;
    }
    Ok(())
}

/// Removes a password, which must not be in a document (docs/domain/dashboard.md#users).
async fn forget_password(app: &App, user: &DocPath) -> Result<(), StoreError> {
    let write = Write::merge(user.clone(), Fields::new(), vec![FieldPath::top(user::field::PASSWORD)]);
    match app.stores.admin.commit(vec![write.when(Precondition::Exists)]).await {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Stores the normalised form of an address that somebody typed in, so that queries for the address find the user. A
/// user who has changed since has their own event.
async fn key_address(app: &App, user: &Document) -> Result<(), StoreError> {
    match app.stores.admin.commit(vec![key_write(user)]).await {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        // The document's time in the precondition may be later than its real one, as the emulator reports it.
        Err(StoreError::InvalidArgument(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Deletes the assignments of a deleted user (docs/domain/assignments.md#archived-and-deleted-users) and archives them,
/// because the user may be restored. The events of the assignments remove them from the counts.
async fn user_deleted(app: &App, user: &DocPath) -> Result<(), StoreError> {
    let database = &app.stores.admin;
    if database.get(user).await?.is_some() {
        // The user exists again, which has its own event.
        return Ok(());
    }
    for mut assignment in database.query(Query::collection(format!("{user}/assignments"))).await? {
        for _ in 0..ROUNDS {
            let unchanged = Precondition::UpdatedAt(assignment.update_time);
            let delete = Write::delete(assignment.path.clone()).when(unchanged);
            match database.commit(vec![delete, archiving(&assignment, app.now())?]).await {
                Err(StoreError::Conflict(_)) => {}
                committed => {
                    committed?;
                    break;
                }
            }
            // Archive the student's latest work, and don't delete assignments of a user who was created again.
            let found = database.get_all(&[user.clone(), assignment.path.clone()]).await?;
            match <[Option<Document>; 2]>::try_from(found) {
                Ok([None, Some(latest)]) => assignment = latest,
                Ok([Some(_), _]) => return Ok(()),
                _ => break,
            }
        }
    }
    Ok(())
}

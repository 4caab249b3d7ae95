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

/// How often a deletion is done anew because the assignment changed meanwhile.
const ROUNDS: usize = 5;

/// Records what was signed, then lets assignments, runs and the de-identified copy follow the user.
///
/// A user who signs nothing costs what [`following`](crate::following) says; an entry of `legal`, a write.
pub async fn user_written(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    if let Some(after) = &event.change.after {
        let before = event.change.before.as_ref().map(|before| &before.fields);
        let records = records(&after.path, before, &after.fields, after.update_time)?;
        match app.stores.admin.commit(records.clone()).await {
            // This event has come before, at least in part.
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

/// The event tells what kind of change there was; what follows from it is [`following`](crate::following)'s.
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

/// A password has no place in a document (docs/domain/dashboard.md#users).
async fn forget_password(app: &App, user: &DocPath) -> Result<(), StoreError> {
    let write = Write::merge(user.clone(), Fields::new(), vec![FieldPath::top(user::field::PASSWORD)]);
    match app.stores.admin.commit(vec![write.when(Precondition::Exists)]).await {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Notes how an address that somebody typed in is compared, so that whoever looks for its owner finds them. A user who
/// has changed since has an event of their own.
async fn key_address(app: &App, user: &Document) -> Result<(), StoreError> {
    match app.stores.admin.commit(vec![key_write(user)]).await {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        // A time that's later than the document's own, as the emulator may tell it.
        Err(StoreError::InvalidArgument(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The assignments of a user who is gone go too (docs/domain/assignments.md#archived-and-deleted-users), archived, for the user may be made again; their
/// own events take them from the counts.
async fn user_deleted(app: &App, user: &DocPath) -> Result<(), StoreError> {
    let database = &app.stores.admin;
    if database.get(user).await?.is_some() {
        // There again; that has an event of its own.
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
            // The student's last work is archived, too; and what somebody has been given anew isn't taken away.
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

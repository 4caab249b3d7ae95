//! `syncAssignmentsOnUserUpdate`: a user was created, changed or deleted
//! (docs/domain/assignments.md#when-a-student-changes).

use crate::app::App;
use crate::assignments;
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::StoreError;
use crate::users::consent::records;

/// Records what was signed, then lets assignments, runs and the de-identified copy follow the user.
///
/// A user who signs nothing costs what [`assignments::user_written`] says; an entry of `legal`, a write.
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
    assignments::user_written(app, event).await
}

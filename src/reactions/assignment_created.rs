//! `syncAssignmentCreated`: an assignment was created (docs/domain/counts.md#the-ledger).

use crate::app::App;
use crate::assignments;
use crate::assignments::counts::life;
use crate::runs;
use crate::runtime::{DocumentEvent, HandlerError};

/// Settles what the assignment contributes to the counts. A restored assignment is compared with its runs, because it
/// missed the events of those while it was deleted.
///
/// Costs nothing for a new assignment that this service made; for a restored one, what [`runs::hold_assignment`] costs.
pub async fn assignment_created(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let came_again = event.change.after.as_ref().is_some_and(|after| life(&after.fields).is_some());
    let path = event.change.path.clone();
    assignments::created(app.clone(), event).await?;
    if came_again {
        runs::hold_assignment(&app, &path).await?;
    }
    Ok(())
}

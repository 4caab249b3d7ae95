//! `syncAssignmentCreated`: an assignment came to be (docs/domain/counts.md#the-ledger).

use crate::app::App;
use crate::assignments;
use crate::assignments::counts::life;
use crate::runs;
use crate::runtime::{DocumentEvent, HandlerError};

/// Settles what the assignment contributes to the counts. One that came again, with its student or its
/// administration, is held against its runs: what happened while it was away, it doesn't know.
///
/// Costs nothing for a new assignment that this service made, and for one that came again as
/// [`runs::hold_assignment`] says.
pub async fn assignment_created(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let came_again = event.change.after.as_ref().is_some_and(|after| life(&after.fields).is_some());
    let path = event.change.path.clone();
    assignments::created(app.clone(), event).await?;
    if came_again {
        runs::hold_assignment(&app, &path).await?;
    }
    Ok(())
}

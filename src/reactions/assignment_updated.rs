//! `syncAssignmentUpdated`: an assignment changed (docs/domain/counts.md#the-ledger).

use crate::app::App;
use crate::assignments;
use crate::runs::{self, left_out::left_out};
use crate::runtime::{DocumentEvent, HandlerError};

/// Settles what the assignment contributes to the counts, also when a student starts or completes a task. Runs that a
/// client's write has dropped are recorded again.
///
/// Costs nothing for writes of this service; for dropped runs, what the event of such a run costs.
pub async fn assignment_updated(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let path = event.change.path.clone();
    let missing = match (&event.change.before, &event.change.after) {
        (Some(before), Some(after)) => left_out(&before.fields, &after.fields),
        _ => Default::default(),
    };
    assignments::updated(app.clone(), event).await?;
    for (task, run) in missing {
        runs::note_again(&app, &path, task, &run).await?;
    }
    Ok(())
}

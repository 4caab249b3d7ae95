//! How a newer version of a sync stops an older one: it cancels the older version's tasks.
//!
//! Every commit of a plan or a chunk has a precondition on the document of its own task. So once the task is cancelled,
//! none of its commits can succeed, and what the newer version reads is the older version's final state.

use super::jobs::{OfVersion, RemoveJob};
use crate::documents::administration::{self, administration_path};
use crate::documents::administration_sync::{Control, State};
use crate::fields;
use crate::runtime::tasks::TASKS;
use crate::runtime::{Job, Task, stored_payload};
use crate::store::{Database, Precondition, Query, Result, StoreError, Value, Write};

/// Tasks cancelled in one commit.
const BATCH: usize = 400;

/// What was found of older versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Older {
    /// No older version is still running.
    Ended,
    /// A removal is running. It isn't cancelled, but has to finish.
    RemovalUnderWay,
}

/// Cancels the plans and chunks of versions before `version`.
pub async fn take_back_older(database: &Database, administration: &str, version: i64) -> Result<Older> {
    let mut older = Vec::new();
    let mut found = Older::Ended;
    for task in database.query(Query::collection(TASKS).equal("payload.administrationId", administration)).await? {
        let of = stored_payload::<OfVersion>(&task).ok().and_then(|of| of.version);
        if of.is_none_or(|of| of >= version) {
            continue;
        }
        if task.fields.get("function").and_then(Value::as_str) == Some(RemoveJob::FUNCTION) {
            found = Older::RemovalUnderWay;
        } else {
            older.push(Write::delete(task.path));
        }
    }
    for batch in older.chunks(BATCH) {
        database.commit(batch.to_vec()).await?;
    }
    Ok(found)
}

/// The message on an administration whose sync failed for a reason other than the administration's own data.
pub const BROKE_OFF: &str = "The assignments could not be brought in line.";

/// Ends a version that met a permanent error; its tasks find the failed state and end too. `why` is shown to people on
/// the administration. The next save of the administration tries again.
pub async fn fail<J: Job>(
    database: &Database,
    administration: &str,
    version: i64,
    task: &Task<J>,
    why: &str,
) -> Result<()> {
    let failed = database.transaction(|tx| async move {
        let path = Control::path(administration)?;
        let control = tx.get(&path).await?.as_ref().map(Control::read);
        let Some(control) = control.filter(|control| Control::is_at(Some(control), version)) else { return Ok(()) };
        let control = Control { state: State::Failed, fingerprint: String::new(), ..control };
        tx.write(Write::set(path, control.to_fields())).await;
        let status = fields! {
            administration::field::SYNC_STATUS => State::Failed.name(),
            administration::field::SYNC_ERROR_MESSAGE => format!("{why} Please edit and save again."),
        };
        tx.write(Write::update(administration_path(administration)?, status).when(Precondition::Exists)).await;
        tx.write(task.done()).await;
        Ok::<_, StoreError>(())
    });
    match failed.await {
        // The administration is gone, or the task was cancelled: this version is obsolete.
        Ok(_) | Err(StoreError::Conflict(_)) => {}
        Err(error) => return Err(error),
    }
    // Cancel the version's other chunks too: they read the control document before it failed.
    take_back_older(database, administration, version + 1).await.map(|_| ())
}

//! How a newer version ends an older one's work: it takes back the older one's tasks.
//!
//! Every commit of a plan or a chunk needs the document of its own task, so none of them happens after
//! that: what the newer version reads from then on is the last word of the older.

use super::jobs::{OfVersion, RemoveJob};
use crate::documents::administration::{self, administration_path};
use crate::documents::administration_sync::{Control, State};
use crate::fields;
use crate::runtime::tasks::TASKS;
use crate::runtime::{Job, Task, stored_payload};
use crate::store::{Database, Precondition, Query, Result, StoreError, Value, Write};

/// Tasks taken back in one commit.
const BATCH: usize = 400;

/// What was found of older versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Older {
    /// Nothing that goes on.
    Ended,
    /// A removal, which isn't taken back: it has to end by itself.
    RemovalUnderWay,
}

/// Takes back the plans and chunks of versions before `version`.
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

/// What an administration says whose sync met an error that's none of its own.
pub const BROKE_OFF: &str = "The assignments could not be brought in line.";

/// Ends a version that met an error that won't pass: its tasks find it failed and end too. `why` is for people, on the
/// administration. The next save of the administration tries again.
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
        // The administration is gone, or the task was taken back: nobody waits for this version.
        Ok(_) | Err(StoreError::Conflict(_)) => {}
        Err(error) => return Err(error),
    }
    // Its other chunks, which know it from before.
    take_back_older(database, administration, version + 1).await.map(|_| ())
}

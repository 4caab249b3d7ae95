//! How a newer version ends an older one's work: it takes back the older one's tasks.
//!
//! Every commit of a plan or a chunk needs the document of its own task, so none of them happens after
//! that: what the newer version reads from then on is the last word of the older.

use super::REMOVE;
use crate::runtime::tasks::TASKS;
use crate::store::{Database, Query, Result, Value, Write, lookup};

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
        let of = lookup(&task.fields, "payload.version").and_then(Value::as_i64);
        if of.is_none_or(|of| of >= version) {
            continue;
        }
        if task.fields.get("function").and_then(Value::as_str) == Some(REMOVE) {
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

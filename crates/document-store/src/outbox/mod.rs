//! The outbox: document events that wait for delivery, written in the transaction that made them.
//!
//! A store that keeps its documents in SQL adds one row for each trigger that a change matched, in the same SQL
//! transaction as the change, and implements [`Outbox`] over these rows. The [`Dispatcher`] does the rest for every such
//! store alike: it delivers each row at least once, several at a time, again with growing pauses when refused, and goes on
//! after a restart where it was.

mod dispatch;
#[cfg(test)]
mod tests;

use async_trait::async_trait;

use crate::{ChangeFilter, ChangeKind, DocPath, DocumentChange, PathPattern, Result};

pub use dispatch::{DispatchOptions, Dispatcher};

/// The rows of an outbox. Each has a number, which grows from row to row and is never used twice.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Those of these rows that are there, in any order.
    async fn rows(&self, rows: &[i64]) -> Result<Vec<OutboxRow>>;
    /// At most `limit` rows after the row of that number, in the order of their numbers.
    async fn after(&self, row: i64, limit: usize) -> Result<Vec<OutboxRow>>;
    /// Removes rows for good, as far as they are there. The same rows may be removed twice.
    async fn remove(&self, rows: Vec<i64>) -> Result<()>;
    /// Returns when rows have been written since the last call returned: at once, if that was before this call.
    async fn written(&self);
}

/// A row of the outbox.
#[derive(Debug)]
pub struct OutboxRow {
    /// Its number.
    pub row: i64,
    /// The trigger that wants it.
    pub trigger: String,
    /// What has changed; an error for a row that can't be read, which is tried again.
    pub change: Result<DocumentChange>,
}

/// A trigger of a store that has an outbox.
#[derive(Clone, Debug)]
pub struct OutboxTrigger {
    /// What [`crate::ChangeSink::deliver`] is told.
    pub name: String,
    /// Which changes.
    pub filter: ChangeFilter,
    /// Of which documents.
    pub pattern: PathPattern,
}

/// The triggers of a store, made ready for looking up which want a change.
pub(crate) struct Triggers(Vec<(OutboxTrigger, Option<String>)>);

impl Triggers {
    pub(crate) fn new(triggers: Vec<OutboxTrigger>) -> Triggers {
        let with_collection = |trigger: OutboxTrigger| {
            let collection = trigger.pattern.as_str().rsplit('/').nth(1).filter(|segment| !segment.starts_with('{'));
            let collection = collection.map(str::to_owned);
            (trigger, collection)
        };
        Triggers(triggers.into_iter().map(with_collection).collect())
    }

    /// The names of the triggers that want the change.
    pub(crate) fn matching<'a>(&'a self, path: &'a DocPath, kind: ChangeKind) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(trigger, collection)| {
                collection.as_deref().is_none_or(|collection| collection == path.collection_id())
                    && trigger.filter.admits(kind)
                    && trigger.pattern.matches(path).is_some()
            })
            .map(|(trigger, _)| trigger.name.as_str())
    }
}

//! The outbox: document events that wait for delivery, written in the transaction that made them.
//!
//! A store that keeps its documents in SQL adds one row for each trigger that a change matched, in the same SQL
//! transaction as the change, and implements [`Outbox`] over these rows. The [`Dispatcher`] does the rest for every
//! such store alike: it delivers each row at least once, several at a time, with growing pauses when a delivery is
//! refused, and continues after a restart.

mod dispatch;
#[cfg(test)]
mod tests;

use async_trait::async_trait;

use crate::{ChangeFilter, ChangeKind, DocPath, DocumentChange, PathPattern, Result};

pub use dispatch::{DispatchOptions, Dispatcher};

/// An outbox's rows. Each has a number, larger than those of all earlier rows and never used again.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// The rows of these numbers that exist, in any order.
    async fn rows(&self, rows: &[i64]) -> Result<Vec<OutboxRow>>;
    /// The first `limit` rows with a number above `row`, in the order of their numbers.
    async fn after(&self, row: i64, limit: usize) -> Result<Vec<OutboxRow>>;
    /// Removes the rows of these numbers. Numbers of rows that don't exist (any more) are ignored.
    async fn remove(&self, rows: Vec<i64>) -> Result<()>;
    /// Waits for a row that is written after the last call returned; returns at once when there is one already.
    async fn written(&self);
}

/// A row of the outbox: an event to be delivered to a trigger.
#[derive(Debug)]
pub struct OutboxRow {
    /// Its number.
    pub row: i64,
    /// The name of the trigger that it's for.
    pub trigger: String,
    /// The change; an error for a row that can't be decoded, which is tried again.
    pub change: Result<DocumentChange>,
}

/// A trigger of a store that has an outbox.
#[derive(Clone, Debug)]
pub struct OutboxTrigger {
    /// Its name, which [`crate::ChangeSink::deliver`] is given.
    pub name: String,
    /// The kinds of change that it fires on.
    pub filter: ChangeFilter,
    /// The documents that it watches.
    pub pattern: PathPattern,
}

/// The triggers of a store, each with the collection ID of its pattern, for a quick look-up.
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

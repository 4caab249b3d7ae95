//! Document changes, as triggers see them.

use async_trait::async_trait;

use super::{DocPath, Document, Timestamp};

/// One change of one document: what Firestore's `written` event carries.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentChange {
    /// The same for every delivery of this change to one trigger.
    pub id: String,
    /// The changed document.
    pub path: DocPath,
    /// The document before, unless it was created.
    pub before: Option<Document>,
    /// The document after, unless it was deleted.
    pub after: Option<Document>,
    /// When the change was committed (the emulator tells it in whole seconds).
    pub time: Timestamp,
}

/// What a change did to the document's existence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The document was created.
    Created,
    /// It was changed.
    Updated,
    /// It was deleted.
    Deleted,
}

impl DocumentChange {
    /// The kind, by whether the document existed before and after; `None` for a change with neither.
    pub fn kind(&self) -> Option<ChangeKind> {
        match (&self.before, &self.after) {
            (None, Some(_)) => Some(ChangeKind::Created),
            (Some(_), Some(_)) => Some(ChangeKind::Updated),
            (Some(_), None) => Some(ChangeKind::Deleted),
            (None, None) => None,
        }
    }
}

/// Which changes a trigger wants: Firestore's four document event types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeFilter {
    /// Documents that were created.
    Created,
    /// Documents that were updated.
    Updated,
    /// Documents that were deleted.
    Deleted,
    /// All three.
    Written,
}

impl ChangeFilter {
    /// True when the trigger wants a change of this kind.
    pub fn admits(self, kind: ChangeKind) -> bool {
        match self {
            ChangeFilter::Created => kind == ChangeKind::Created,
            ChangeFilter::Updated => kind == ChangeKind::Updated,
            ChangeFilter::Deleted => kind == ChangeKind::Deleted,
            ChangeFilter::Written => true,
        }
    }
}

/// The outcome of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Handled, or impossible to handle: not to be delivered again.
    Acknowledged,
    /// To be delivered again later.
    Refused,
}

/// Receives the changes that an embedded store's triggers match.
#[async_trait]
pub trait ChangeSink: Send + Sync + 'static {
    /// Handles one change for the trigger of that name.
    async fn deliver(&self, trigger: &str, change: DocumentChange) -> Delivery;
}

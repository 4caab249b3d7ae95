//! Writes: one write carries its fields, mask, transforms and precondition.

use super::{DocPath, FieldPath, Fields, Timestamp, Value};

/// One write of a commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The document.
    pub path: DocPath,
    /// What to do with it.
    pub kind: WriteKind,
    /// What must hold for the whole commit to happen.
    pub precondition: Precondition,
}

/// What a write does.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteKind {
    /// Sets fields, creating the document when it's missing.
    Set {
        /// The new fields.
        fields: Fields,
        /// `None` replaces the whole document. `Some` touches these paths only: a path found in
        /// `fields` takes that value, a path not found there is removed from the document.
        mask: Option<Vec<FieldPath>>,
        /// Applied after the fields, in order.
        transforms: Vec<FieldTransform>,
    },
    /// Deletes the document. Deleting a missing document succeeds.
    Delete,
}

/// What must be true of a document before its write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Nothing.
    None,
    /// It exists.
    Exists,
    /// It doesn't exist.
    Missing,
    /// It exists and was last changed at this time. A later time than its own is an invalid argument.
    UpdatedAt(Timestamp),
}

/// A change of one field that the store computes.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldTransform {
    /// Which field.
    pub path: FieldPath,
    /// How it changes.
    pub transform: Transform,
}

/// Firestore's field transforms.
#[derive(Clone, Debug, PartialEq)]
pub enum Transform {
    /// The time of the commit, in whole milliseconds.
    ServerTime,
    /// Adds a number (integer or double); a field that is no number counts as 0.
    Increment(Value),
    /// The larger of the field and a number.
    Maximum(Value),
    /// The smaller of the field and a number.
    Minimum(Value),
    /// Appends to a list the values it doesn't hold; a field that is no list counts as empty.
    Union(Vec<Value>),
    /// Removes all equal values from a list; a field that is no list becomes empty.
    Remove(Vec<Value>),
}

impl Write {
    /// Replaces the whole document, or creates it.
    pub fn set(path: DocPath, fields: Fields) -> Write {
        Write {
            path,
            kind: WriteKind::Set { fields, mask: None, transforms: Vec::new() },
            precondition: Precondition::None,
        }
    }

    /// Creates the document; the commit conflicts when it exists.
    pub fn create(path: DocPath, fields: Fields) -> Write {
        Write::set(path, fields).when(Precondition::Missing)
    }

    /// Touches only `mask`: sets what `fields` holds there and removes what it doesn't. Creates the
    /// document when it's missing, unless a precondition forbids it.
    pub fn merge(path: DocPath, fields: Fields, mask: Vec<FieldPath>) -> Write {
        Write {
            path,
            kind: WriteKind::Set { fields, mask: Some(mask), transforms: Vec::new() },
            precondition: Precondition::None,
        }
    }

    /// Sets top-level fields and leaves the others; the commit conflicts when the document is
    /// missing.
    pub fn update(path: DocPath, fields: Fields) -> Write {
        let mask = fields.keys().map(FieldPath::top).collect();
        Write::merge(path, fields, mask).when(Precondition::Exists)
    }

    /// Applies transforms only.
    pub fn transform(path: DocPath, transforms: Vec<FieldTransform>) -> Write {
        Write {
            path,
            kind: WriteKind::Set { fields: Fields::new(), mask: Some(Vec::new()), transforms },
            precondition: Precondition::None,
        }
    }

    /// Deletes the document.
    pub fn delete(path: DocPath) -> Write {
        Write { path, kind: WriteKind::Delete, precondition: Precondition::None }
    }

    /// The same write under a precondition.
    pub fn when(mut self, precondition: Precondition) -> Write {
        self.precondition = precondition;
        self
    }

    /// The same write with one more transform. Has no effect on a delete.
    pub fn with(mut self, path: FieldPath, transform: Transform) -> Write {
        if let WriteKind::Set { transforms, .. } = &mut self.kind {
            transforms.push(FieldTransform { path, transform });
        }
        self
    }

    /// True for a delete, which is billed apart.
    pub fn is_delete(&self) -> bool {
        matches!(self.kind, WriteKind::Delete)
    }
}

/// What a commit answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// When.
    pub time: Timestamp,
    /// One entry a write, in order.
    pub results: Vec<WriteResult>,
}

/// What one write of a commit answered.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteResult {
    /// The document's update time after the whole commit: earlier than the commit when that changed
    /// nothing; `None` when the document is missing then.
    pub update_time: Option<Timestamp>,
    /// The new value of each transformed field, in order (null for `Union` and `Remove`).
    pub transformed: Vec<Value>,
}

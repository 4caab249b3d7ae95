//! Preparation of a commit on the caller's thread, so that the single writer thread has less to do.

use super::Shared;
use super::apply;
use super::record::{check_size, document_key, encode_fields, normalise};
use super::schema::{Catalog, Entry};
use crate::{DocPath, FieldPath, FieldTransform, Fields, Precondition, Result, StoreError, Write, WriteKind};

/// A checked write.
pub(super) struct PreparedWrite {
    pub(super) path: DocPath,
    pub(super) key: Vec<u8>,
    pub(super) precondition: Precondition,
    pub(super) change: Change,
}

pub(super) enum Change {
    Delete,
    /// The whole document, ready to be stored.
    Replace(Rendered),
    /// What depends on the stored document. Without a mask, `fields` replace it before the
    /// transforms.
    Patch {
        fields: Fields,
        mask: Option<Vec<FieldPath>>,
        transforms: Vec<FieldTransform>,
        /// It may touch a field that an index holds.
        indexed: bool,
    },
}

/// A document in its stored form. Its fields are dropped on the caller's thread: freeing what another thread allocated
/// would cost the writer thread more than all its other work.
pub(super) struct Rendered {
    pub(super) data: Vec<u8>,
    /// The index entries; `None` when they are those of the stored document.
    pub(super) entries: Option<Vec<Entry>>,
}

impl Rendered {
    /// Fails with [`StoreError::InvalidArgument`] when the document is too large.
    pub(super) fn new(catalog: &Catalog, path: &DocPath, fields: &Fields) -> Result<Rendered> {
        let unindexed = Rendered::unindexed(path, fields)?;
        Ok(Rendered { entries: Some(catalog.entries(path, fields)), ..unindexed })
    }

    /// As [`Rendered::new`], for a document whose indexed fields stay as they are.
    pub(super) fn unindexed(path: &DocPath, fields: &Fields) -> Result<Rendered> {
        check_size(path, fields)?;
        Ok(Rendered { data: encode_fields(fields)?, entries: None })
    }
}

/// Checks and encodes a commit's writes. Fails with [`StoreError::InvalidArgument`].
pub(super) fn prepare(shared: &Shared, writes: Vec<Write>) -> Result<Vec<PreparedWrite>> {
    writes.into_iter().map(|write| prepare_one(&shared.catalog, write)).collect()
}

fn prepare_one(catalog: &Catalog, write: Write) -> Result<PreparedWrite> {
    let Write { path, kind, precondition } = write;
    if matches!(precondition, Precondition::UpdatedAt(time) if time.subsec_nanosecond() % 1000 != 0) {
        return Err(StoreError::InvalidArgument("an update time has whole microseconds".to_owned()));
    }
    let change = match kind {
        WriteKind::Delete => Change::Delete,
        WriteKind::Set { mut fields, mask, mut transforms } => {
            normalise(&mut fields)?;
            apply::prepare(&mut transforms)?;
            apply::check_mask(mask.as_deref().unwrap_or_default())?;
            if mask.is_none() && transforms.is_empty() {
                Change::Replace(Rendered::new(catalog, &path, &fields)?)
            } else {
                let indexed = mask.as_ref().is_none_or(|mask| {
                    let touched = mask.iter().chain(transforms.iter().map(|transform| &transform.path));
                    catalog.touches(path.collection_id(), touched)
                });
                Change::Patch { fields, mask, transforms, indexed }
            }
        }
    };
    Ok(PreparedWrite { key: document_key(&path), path, precondition, change })
}

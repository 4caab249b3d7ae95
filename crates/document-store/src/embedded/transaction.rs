//! One attempt at an optimistic transaction.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;

use super::validate::ReadSet;
use super::{Inner, Shared, read, readers};
use crate::order::{Evaluation, project};
use crate::{BackendTransaction, Committed, DocPath, Document, FieldPath, Query, Result, StoreError, Write};

/// Holds no connection and no lock: each read is checked to be of the same state as the ones before
/// it, and the commit checks them all.
pub(super) struct Attempt {
    inner: Arc<Inner>,
    reads: ReadSet,
    /// A read failed or was cancelled, so the set of what was read is lost and the attempt can't commit.
    void: bool,
}

impl Attempt {
    pub(super) fn new(inner: Arc<Inner>) -> Attempt {
        Attempt { inner, reads: ReadSet::default(), void: false }
    }

    /// Runs `work`, which notes what it reads, in a snapshot in which all earlier reads still hold.
    async fn read<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection, &Shared, &mut ReadSet) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let shared = self.inner.shared.clone();
        if std::mem::replace(&mut self.void, true) {
            return Err(StoreError::Contention);
        }
        let mut reads = std::mem::take(&mut self.reads);
        let (result, reads) = self
            .inner
            .shared
            .readers
            .with(move |connection| {
                let now = read::last_commit(connection)?;
                if !reads.holds(connection, &shared, now)? {
                    return Err(StoreError::Contention);
                }
                reads.seen = Some(now);
                let result = work(connection, &shared, &mut reads)?;
                Ok((result, reads))
            })
            .await?;
        self.reads = reads;
        self.void = false;
        Ok(result)
    }
}

#[async_trait]
impl BackendTransaction for Attempt {
    async fn get_all(&mut self, paths: &[DocPath], mask: Option<&[FieldPath]>) -> Result<Vec<Option<Document>>> {
        let (paths, mask) = (paths.to_vec(), mask.map(<[FieldPath]>::to_vec));
        self.read(move |connection, _, reads| {
            let mut documents = readers::get_all(connection, &paths, None)?;
            for (path, document) in paths.iter().zip(&mut documents) {
                reads.note(path, document.as_ref());
                if let (Some(document), Some(mask)) = (document, &mask) {
                    document.fields = project(&document.fields, mask);
                }
            }
            Ok(documents)
        })
        .await
    }

    async fn query(&mut self, query: Query) -> Result<Vec<Document>> {
        let evaluation = Evaluation::new(query, &self.inner.shared.root)?;
        self.read(move |connection, shared, reads| {
            let plan = shared.plan(&evaluation);
            let mut found = Vec::new();
            read::run(connection, &evaluation, &plan, &mut |document| {
                found.push(document);
                true
            })?;
            reads.note_query(evaluation, &found);
            Ok(found)
        })
        .await
    }

    async fn commit(&mut self, writes: Vec<Write>) -> Result<Committed> {
        if self.void {
            return Err(StoreError::Contention);
        }
        let reads = std::mem::take(&mut self.reads);
        self.inner.commit(writes, Some(reads)).await
    }

    async fn rollback(&mut self) -> Result<()> {
        self.reads = ReadSet::default();
        self.void = false;
        Ok(())
    }

    /// `None`: a new attempt takes nothing over from this one.
    fn id(&self) -> Option<Vec<u8>> {
        None
    }
}

//! Validation of optimistic transactions: whether all that an attempt has read is still unchanged.

use std::collections::HashMap;

use rusqlite::Connection;

use super::Shared;
use super::read;
use super::record::document_key;
use crate::order::Evaluation;
use crate::{DocPath, Document, Result, Timestamp};

/// What an attempt has read, all as of one commit.
#[derive(Default)]
pub(super) struct ReadSet {
    /// The last commit that the reads saw, in microseconds; `None` before the first read.
    pub(super) seen: Option<i64>,
    /// Document keys, with the update time or `None` for missing ones.
    documents: HashMap<Vec<u8>, Option<i64>>,
    queries: Vec<(Evaluation, Vec<(DocPath, Timestamp)>)>,
}

impl ReadSet {
    pub(super) fn note(&mut self, path: &DocPath, found: Option<&Document>) {
        let updated = found.map(|document| document.update_time.as_microsecond());
        self.documents.insert(document_key(path), updated);
    }

    pub(super) fn note_query(&mut self, evaluation: Evaluation, found: &[Document]) {
        self.queries.push((evaluation, digest(found)));
    }

    /// True when all that was read is still so in the connection's snapshot, whose last commit is
    /// `now`. A query is run again (so that documents that are new in its results are noticed), unless
    /// no document with its collection ID has changed.
    pub(super) fn holds(&self, connection: &Connection, shared: &Shared, now: i64) -> Result<bool> {
        let Some(seen) = self.seen.filter(|seen| *seen != now) else { return Ok(true) };
        for (key, updated) in &self.documents {
            if read::update_time(connection, key)? != *updated {
                return Ok(false);
            }
        }
        for (evaluation, before) in &self.queries {
            if shared.changed_since(evaluation.query().collection_id(), seen) {
                let mut found = Vec::with_capacity(before.len());
                let plan = shared.plan(evaluation);
                read::run(connection, evaluation, &plan, &mut |document| {
                    found.push((document.path, document.update_time));
                    found.len() <= before.len()
                })?;
                if found != *before {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

fn digest(documents: &[Document]) -> Vec<(DocPath, Timestamp)> {
    documents.iter().map(|document| (document.path.clone(), document.update_time)).collect()
}

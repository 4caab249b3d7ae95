//! Mending students: a few at a time, each few in one transaction that reads them anew.

use super::examine::{Examined, Rules, Subject};
use super::measure::fence_write;
use super::standing::{Mark, Scope, mark_paths};
use crate::app::App;
use crate::assignments::counts::CountsDelta;
use crate::store::{DocPath, Document, Precondition, Result, StoreError};

/// Students mended in one commit.
const BATCH: usize = 80;
/// Writes after which a commit takes no more students; a student has three and the counts of their orgs.
const WRITES: usize = 400;
/// Bytes of assignments that a commit may come to, with Firestore taking 10 MiB.
const BYTES: usize = 5 << 20;

/// Mends students of an administration that stands as it was found.
pub struct Repairs<'a> {
    pub app: &'a App,
    pub administration: &'a str,
    pub mark: &'a Mark,
    pub scope: &'a Scope,
}

/// A student as the transaction found them.
pub struct Repaired {
    pub user: Option<Document>,
    pub examined: Examined,
}

/// What became of some students.
pub enum Batch {
    /// So many of the first are as they should be, or can't be mended.
    Done(Vec<Repaired>),
    /// The administration doesn't stand as it did: nothing was done.
    Overtaken,
    /// The first student keeps changing.
    Busy,
}

impl Repairs<'_> {
    /// Mends as many of the first students as fit into a commit.
    pub async fn first(&self, users: &[DocPath]) -> Result<Batch> {
        let most = match self.scope {
            Scope::Open(definition, _) => BYTES / definition.most_bytes().max(1),
            Scope::Closed | Scope::Gone => BATCH,
        };
        let mut size = users.len().min(BATCH).min(most.max(1));
        loop {
            match self.commit(&users[..size]).await {
                // Fewer are quicker.
                Err(StoreError::Contention | StoreError::Conflict(_)) if size > 1 => size /= 2,
                Err(StoreError::Contention | StoreError::Conflict(_)) => return Ok(Batch::Busy),
                other => return other,
            }
        }
    }

    async fn commit(&self, users: &[DocPath]) -> Result<Batch> {
        let marks = mark_paths(self.administration)?;
        let assignments = users.iter().map(|user| user.child("assignments", self.administration));
        let assignments: Vec<DocPath> = assignments.collect::<Result<_>>()?;
        let paths: Vec<DocPath> = marks.iter().chain(users).chain(&assignments).cloned().collect();
        let paths = &paths;
        let committed = self.app.stores.admin.transaction(|tx| async move {
            let now = self.app.now();
            let mut found = tx.get_all(paths).await?.into_iter();
            let (administration, control) = (found.next().flatten(), found.next().flatten());
            if Mark::of(administration.as_ref(), control.as_ref(), now) != *self.mark {
                return Ok(Batch::Overtaken);
            }
            let mut found: Vec<Option<Document>> = found.collect();
            let assignments = found.split_off(users.len().min(found.len()));
            let rules =
                Rules { administration: self.administration, scope: self.scope, settings: &self.app.settings, now };
            let mut done = Vec::with_capacity(users.len());
            let mut delta = CountsDelta::default();
            let mut writes = Vec::new();
            for ((path, user), assignment) in users.iter().zip(found).zip(assignments) {
                let subject = Subject { path, user: user.as_ref(), assignment: assignment.as_ref() };
                let examined = rules.examine(subject)?;
                if let Some(repair) = &examined.repair {
                    repair.step(&mut delta);
                    writes.extend(repair.writes.iter().cloned());
                }
                done.push(Repaired { user, examined });
                if writes.len() + delta.documents() > WRITES {
                    break;
                }
            }
            if !writes.is_empty() {
                tx.write_all(writes).await;
                // Without an administration there are no counts, and none may come to life.
                if !matches!(self.scope, Scope::Gone) {
                    tx.write_all(delta.writes(self.administration, Precondition::None)?).await;
                    tx.write(fence_write(self.administration)?).await;
                }
            }
            Ok::<_, StoreError>(Batch::Done(done))
        });
        committed.await.map(|(batch, _)| batch)
    }
}

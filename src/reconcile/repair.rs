//! Repairs students in small batches: each is one transaction that reads the students again.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};

use super::examine::{Examined, Rules, Subject};
use super::measure::fence_write;
use super::standing::{Mark, Scope, Standing, mark_paths};
use crate::app::App;
use crate::assignments::counts::CountsDelta;
use crate::documents::archive::archive_path;
use crate::documents::assignment::assignment_path;
use crate::runs::hold::{RunsByTask, not_found};
use crate::runs::{deleted_runs, runs_of_assignment};
use crate::store::{DocPath, Document, Precondition, Result, StoreError};

/// How many students are repaired in one commit.
const BATCH: usize = 80;
/// For how many students runs are read at once.
const PARALLEL: usize = 8;
/// The number of writes after which a commit takes no more students. Each student needs three writes, and writes to the
/// counts of their orgs.
const WRITES: usize = 400;
/// The most bytes of assignments in one commit; Firestore's limit is 10 MiB.
const BYTES: usize = 5 << 20;

/// Repairs students of an administration, while its state is the one that was first read.
pub struct Repairs<'a> {
    pub app: &'a App,
    pub administration: &'a str,
    pub standing: &'a Standing,
}

/// A student as read in the transaction.
pub struct Repaired {
    pub user: Option<Document>,
    pub examined: Examined,
}

/// The result of repairing a batch of students.
pub enum Batch {
    /// These students, the first ones of the batch, are correct now, or can't be repaired.
    Done(Vec<Repaired>),
    /// The administration's state has changed: nothing was written.
    Overtaken,
    /// Concurrent changes of the first student exhausted the retries.
    Busy,
    /// The store refuses the writes for the first student.
    Refused,
}

impl Repairs<'_> {
    /// Repairs as many of the first students as fit into one commit.
    pub async fn first(&self, users: &[DocPath]) -> Result<Batch> {
        let most = match &self.standing.scope {
            Scope::Open(definition, _) => BYTES / definition.most_bytes().max(1),
            Scope::Closed | Scope::Gone => BATCH,
        };
        let mut size = users.len().min(BATCH).min(most.max(1));
        loop {
            match self.commit(&users[..size]).await {
                // A smaller batch commits faster and meets fewer conflicts.
                Err(StoreError::Contention | StoreError::Conflict(_)) if size > 1 => size /= 2,
                Err(StoreError::Contention | StoreError::Conflict(_)) => return Ok(Batch::Busy),
                // The store refuses the write of one student: bisect the batch, so that the others are repaired.
                Err(StoreError::InvalidArgument(_)) if size > 1 => size /= 2,
                Err(StoreError::InvalidArgument(_)) => return Ok(Batch::Refused),
                other => return other,
            }
        }
    }

    async fn commit(&self, users: &[DocPath]) -> Result<Batch> {
        let marks = mark_paths(self.administration)?;
        let assignments = users.iter().map(|user| assignment_path(user, self.administration));
        let assignments: Vec<DocPath> = assignments.collect::<Result<_>>()?;
        let archives = assignments.iter().map(archive_path).collect::<Result<Vec<_>>>()?;
        let paths: Vec<DocPath> = marks.iter().chain(users).chain(&assignments).chain(&archives).cloned().collect();
        let (paths, standing) = (&paths, self.standing);
        let committed = self.app.stores.admin.transaction(|tx| async move {
            let now = self.app.now();
            let mut found = tx.get_all(paths).await?.into_iter();
            let (administration, control) = (found.next().flatten(), found.next().flatten());
            if Mark::of(administration.as_ref(), control.as_ref(), now) != standing.mark {
                return Ok(Batch::Overtaken);
            }
            let mut found: Vec<Option<Document>> = found.collect();
            let mut assignments = found.split_off(users.len().min(found.len()));
            let archives = assignments.split_off(users.len().min(assignments.len()));
            // Few students differ, and their runs decide how each is repaired. The runs are read after the assignments:
            // a later run changes the assignment by its event, which either conflicts with this commit or is applied
            // after it.
            let asked: Vec<(DocPath, Option<Document>)> = users
                .iter()
                .zip(assignments.iter().zip(&archives))
                .map(|(user, (assignment, archived))| {
                    (user.clone(), assignment.as_ref().or(archived.as_ref()).cloned())
                })
                .collect();
            let (app, id) = (self.app, self.administration);
            let runs =
                asked.into_iter().map(|(user, known)| async move { runs_and_deleted(app, id, &user, known).await });
            let runs: Vec<_> = futures::stream::iter(runs).buffered(PARALLEL).try_collect().await?;
            let rules = Rules {
                administration: self.administration,
                scope: &standing.scope,
                settings: &self.app.settings,
                planned: standing.planned,
                tasks: standing.tasks.as_ref(),
                now,
            };
            let mut done = Vec::with_capacity(users.len());
            let mut delta = CountsDelta::default();
            let mut writes = Vec::new();
            let read = found.into_iter().zip(assignments).zip(archives);
            for ((path, (runs, deleted)), ((user, assignment), archived)) in users.iter().zip(&runs).zip(read) {
                let (user, assignment, archived) = (user, assignment.as_ref(), archived.as_ref());
                let runs = Some(runs);
                let subject = Subject { path, user: user.as_ref(), assignment, archived, runs, deleted };
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
                // An administration that doesn't exist has no counts, and increments must not recreate them.
                if !matches!(standing.scope, Scope::Gone) {
                    tx.write_all(delta.writes(self.administration, Precondition::None)?).await;
                    tx.write(fence_write(self.administration)?).await;
                }
            }
            Ok::<_, StoreError>(Batch::Done(done))
        });
        committed.await.map(|(batch, _)| batch)
    }
}

/// A student's runs, and the IDs of those that the assignment or its archive names and that were deleted.
async fn runs_and_deleted(
    app: &App,
    administration: &str,
    user: &DocPath,
    known: Option<Document>,
) -> Result<(RunsByTask, BTreeSet<String>)> {
    let runs = runs_of_assignment(app, user, administration).await?;
    let unknown = known.map(|known| not_found(&known.fields, &runs)).unwrap_or_default();
    let deleted = deleted_runs(app, user, &unknown).await?;
    Ok((runs, deleted))
}

//! Checks every assignment of an administration that opens again. Students who left its orgs while it was closed kept
//! their assignments, and no phase would find these students.

use std::collections::BTreeMap;

use super::fence::{BROKE_OFF, fail};
use super::jobs::{PlanJob, SweepJob, SweepProgress};
use super::problems::noting;
use crate::administrations::definitions::{Definitions, Prepared};
use crate::app::App;
use crate::assignments::build::Decision;
use crate::assignments::settlement::Settlement;
use crate::assignments::side_effects::user_writes;
use crate::documents::administration_sync::{completed_write, open_chunks, progress_write};
use crate::documents::assignment;
use crate::documents::user::{is_living, is_of_type};
use crate::runtime::{HandlerError, Job, Task, TaskOutcome};
use crate::store::size::fields_size;
use crate::store::{Committed, Direction, DocPath, Document, Precondition, StoreError, Write};

/// Assignments read and processed in one commit, at most: each may be deleted, archived, and removed from its student's
/// lists.
const PAGE: u32 = 110;
/// Writes after which a commit takes no more students: a student takes five at most, and the counts of their orgs.
const MOST_WRITES: usize = 400;
/// Bytes of archives after which a commit takes no more: Firestore takes 10 MiB, and an assignment may have 1 MiB.
const MOST_BYTES: usize = 5 << 20;
/// How often a page is retried because students are working in its assignments.
const CONFLICTS: u32 = 5;

/// The result of processing a page.
enum Page {
    More(String),
    Last { open: Option<i64> },
}

/// Runs a sweep to its end.
pub async fn run(app: App, task: Task<SweepJob>) -> Result<TaskOutcome, HandlerError> {
    let SweepJob { administration_id: administration, version, plan, .. } = &task.payload;
    let version = *version;
    let Some(prepared) = Definitions::of(&app).get(&app.stores.admin, administration, version).await? else {
        return Ok(TaskOutcome::Finished);
    };
    let sweep = Sweep { app: &app, administration, version, prepared: &prepared };
    match sweep.run(&task).await {
        Ok((outcome, wake)) => {
            if wake {
                app.tasks.wake(PlanJob::FUNCTION, plan);
            }
            Ok(outcome)
        }
        Err(StoreError::InvalidArgument(why)) => {
            fail(&app.stores.admin, administration, version, &task, BROKE_OFF).await?;
            app.tasks.wake(PlanJob::FUNCTION, plan);
            Err(HandlerError::Permanent(why))
        }
        Err(error) => Err(error.into()),
    }
}

struct Sweep<'a> {
    app: &'a App,
    administration: &'a str,
    version: i64,
    prepared: &'a Prepared,
}

impl Sweep<'_> {
    /// The boolean is true when no chunk is open any more.
    async fn run(&self, task: &Task<SweepJob>) -> Result<(TaskOutcome, bool), StoreError> {
        let mut cursor = task.payload.progress.cursor.clone();
        let mut conflicts = 0;
        let mut most = PAGE;
        loop {
            match self.page(task, cursor.as_deref(), most).await {
                // One of the students has a document that is full.
                Err(StoreError::InvalidArgument(_)) if most > 1 => most /= 2,
                Ok(Page::More(last)) => {
                    cursor = Some(last);
                    most = (most * 2).min(PAGE);
                }
                Ok(Page::Last { open }) => return Ok((TaskOutcome::Committed, open == Some(0))),
                Err(StoreError::Conflict(why)) => {
                    if self.app.stores.admin.get(task.path()).await?.is_none() {
                        return Ok((TaskOutcome::Finished, false));
                    }
                    conflicts += 1;
                    if conflicts > CONFLICTS {
                        return Err(StoreError::Conflict(why));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn page(&self, task: &Task<SweepJob>, cursor: Option<&str>, most: u32) -> Result<Page, StoreError> {
        let database = &self.app.stores.admin;
        let mut query = assignment::of_administration(self.administration)
            .order_by(crate::store::path::NAME_FIELD, Direction::Ascending)
            .limit(most);
        if let Some(cursor) = cursor {
            query = query.start_after(vec![database.reference(&DocPath::new(cursor)?)]);
        }
        let assignments = database.query(query).await?;
        let owners: Vec<DocPath> = assignments.iter().filter_map(|assignment| assignment.path.parent()).collect();
        let users: BTreeMap<DocPath, Document> =
            database.get_all(&owners).await?.into_iter().flatten().map(|user| (user.path.clone(), user)).collect();
        let now = self.app.now();
        let mut settlement = Settlement::new(self.administration, now);
        let mut writes = Vec::new();
        let (mut looked, mut bytes) = (0, 0);
        for assignment in &assignments {
            if writes.len() + settlement.documents() > MOST_WRITES || bytes > MOST_BYTES {
                break;
            }
            looked += 1;
            // When a user is deleted, their assignments are deleted with them, so such assignments are skipped here.
            let user = assignment.path.parent().and_then(|path| users.get(&path));
            if let Some(user) = user.filter(|user| !self.belongs(user)) {
                bytes += fields_size(&assignment.fields);
                let settled = settlement.settle(user, Some(assignment), Decision::Delete)?;
                writes.extend(settled.of_assignment);
                writes.extend(user_writes(&user.path, settled.step.as_slice(), now));
            }
        }
        writes.extend(settlement.counts(Precondition::None)?);
        let is_last = looked == assignments.len() && looked < most as usize;
        let last = assignments[..looked].last().filter(|_| !is_last).map(|last| last.path.to_string());
        let committed = match self.commit(task, last.as_deref(), writes).await {
            // The one student whose documents the store refuses keeps the assignment and is recorded as a problem.
            Err(StoreError::InvalidArgument(_)) if most == 1 => {
                Definitions::of(self.app).count_refused();
                let owner = owners.first().map(|user| noting(self.administration, self.version, user, now));
                self.commit(task, last.as_deref(), owner.transpose()?.unwrap_or_default()).await?
            }
            other => other?,
        };
        Ok(match last {
            Some(last) => Page::More(last),
            None => Page::Last { open: open_chunks(committed.as_ref()) },
        })
    }

    /// Commits a page's writes with the sweep's progress.
    async fn commit(
        &self,
        task: &Task<SweepJob>,
        last: Option<&str>,
        mut writes: Vec<Write>,
    ) -> Result<Option<Committed>, StoreError> {
        let ends = if last.is_some() { 0 } else { -1 };
        // This write comes first, so that the commit's first result is the number of open chunks.
        writes.insert(0, progress_write(self.administration, self.version, ends, [])?);
        match last {
            Some(last) => writes.push(task.advance(&SweepProgress { cursor: Some(last.to_owned()) })),
            None => writes.extend([completed_write(self.administration)?, task.done()]),
        }
        self.app.stores.admin.commit(writes).await
    }

    /// True when the student may keep the assignment; the phases decide what is in it.
    fn belongs(&self, user: &Document) -> bool {
        is_living(&user.fields)
            && is_of_type(&user.fields, &self.app.settings.assigned_user_types)
            && self.prepared.definition.assigns(&user.fields)
    }
}

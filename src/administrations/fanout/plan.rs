//! The plan of a sync: normalises the orgs, then enqueues the chunks of each phase in turn.

use std::time::Duration;

use super::fence::{BROKE_OFF, Older, fail, take_back_older};
use super::jobs::{ChunkJob, ChunkProgress, PlanJob, PlanProgress, SweepJob, SweepProgress, plan_task};
use super::members::{members_left, orgs_a_query};
use super::ownership::{Phase, in_chunk_order, phases};
use super::phases::{Enlisting, Stage, asked_for, ended, enlistings, is_ahead, listed_orgs, orgs_of, with_lost_below};
use super::problems;
use crate::administrations::definitions::Definitions;
use crate::administrations::definitions::Prepared;
use crate::administrations::material::fingerprint;
use crate::administrations::normalise::{
    NormalOrgs, OrgSubcollection, document_changes, subcollection_writes, with_changes,
};
use crate::app::App;
use crate::documents::administration::{self, Administration, administration_path};
use crate::documents::administration_sync::{self, Control, Progress, State, progress_path, progress_write};
use crate::fields;
use crate::following::task_for_waiting;
use crate::orgs::{OrgLists, Reach, load_tree};
use crate::runtime::{HandlerError, NewTask, Task, TaskOutcome, stored_payload};
use crate::store::{Document, FieldPath, FieldTransform, Precondition, Query, StoreError, Transform, Value, Write};

/// Documents of the subcollections written in one commit.
const ORGS_A_COMMIT: usize = 450;
/// How soon a plan retries its preparation while a removal is running, or after an edit.
const PREPARE_POLL: Duration = Duration::from_secs(1);
/// How often an unfinished phase is checked when no chunk wakes the plan.
const POLL: Duration = Duration::from_secs(5);

/// The message on an administration that is too large.
const TOO_LARGE: &str = "It holds more than an assignment can: its assessments and texts come to over 700,000 bytes.";

/// Runs a plan task as far as possible.
pub async fn run(app: App, task: Task<PlanJob>) -> Result<TaskOutcome, HandlerError> {
    let PlanJob { administration_id: administration, version, .. } = &task.payload;
    let plan = Plan { app: &app, administration, version: *version };
    match plan.run(&task).await {
        Err(HandlerError::Permanent(why)) => {
            fail(&app.stores.admin, plan.administration, plan.version, &task, BROKE_OFF).await?;
            Err(HandlerError::Permanent(why))
        }
        other => other,
    }
}

struct Plan<'a> {
    app: &'a App,
    administration: &'a str,
    version: i64,
}

impl Plan<'_> {
    async fn run(&self, task: &Task<PlanJob>) -> Result<TaskOutcome, HandlerError> {
        let PlanProgress { mut phase, next_org } = task.payload.progress;
        let mut next_org = next_org.unwrap_or(0);
        if phase.is_none() {
            match self.prepare(task).await? {
                Prepare::Ready => phase = Some(0),
                Prepare::Wait => return Ok(TaskOutcome::Later(PREPARE_POLL)),
                Prepare::Elsewhere => return Ok(TaskOutcome::Committed),
                Prepare::Void => return Ok(TaskOutcome::Finished),
            }
        }
        let phases = phases();
        if self.control().await?.is_none() {
            return Ok(TaskOutcome::Finished);
        }
        let prepared = Definitions::of(self.app).get(&self.app.stores.admin, self.administration, self.version).await?;
        let Some(prepared) = prepared else { return Ok(TaskOutcome::Finished) };
        let progress = self.app.stores.admin.get(&progress_path(self.administration, self.version)?).await?;
        let progress = progress.as_ref().map(Progress::read).unwrap_or_default();
        if progress.open > 0 && next_org == 0 {
            return Ok(TaskOutcome::Later(POLL));
        }
        for (index, phase) in phases.iter().enumerate().skip(phase.unwrap_or(0)) {
            let ids = orgs_of(&prepared, phase.flow, phase.org_type);
            let enlisted = self.enlist(task, *phase, index, ids, next_org, &progress).await?;
            match enlisted {
                // The plan resumed in a phase whose remaining orgs have no members; chunks enqueued before may still be
                // running.
                Enlisted::Nothing if progress.open > 0 => return Ok(TaskOutcome::Later(POLL)),
                Enlisted::Nothing => next_org = 0,
                Enlisted::Elsewhere => return Ok(TaskOutcome::Committed),
                Enlisted::Chunks => return Ok(TaskOutcome::Later(POLL)),
                Enlisted::Superseded => return Ok(TaskOutcome::Finished),
            }
        }
        self.finish(task, progress.problems).await
    }

    /// The control document, if it's still at this version.
    async fn control(&self) -> Result<Option<Control>, StoreError> {
        let control = self.app.stores.admin.get(&Control::path(self.administration)?).await?;
        Ok(control.as_ref().map(Control::read).filter(|control| Control::is_at(Some(control), self.version)))
    }

    /// Normalises the administration's orgs and initialises the control document for the phases.
    async fn prepare(&self, task: &Task<PlanJob>) -> Result<Prepare, HandlerError> {
        let database = &self.app.stores.admin;
        let now = self.app.now();
        let Some(control) = self.control().await? else { return Ok(Prepare::Void) };
        if take_back_older(database, self.administration, self.version).await? == Older::RemovalUnderWay {
            return Ok(Prepare::Wait);
        }
        let path = administration_path(self.administration)?;
        let Some(document) = database.get(&path).await? else { return Ok(Prepare::Void) };
        let mut administration = Administration::from_document(&document);
        if let Some(fault) = &administration.fault {
            // A client wrote this document; its author sees the message on the administration.
            tracing::info!(administration = self.administration, fault, "an administration that can't be assigned");
            fail(database, self.administration, self.version, task, fault).await?;
            return Ok(Prepare::Elsewhere);
        }
        let read_fingerprint = fingerprint(&administration);

        let input = asked_for(&control, &administration);
        let tree = load_tree(database, &input, Reach::DownAndUp).await?;
        let orgs = NormalOrgs::compute(&tree, &input);

        let [listed, read] = [OrgSubcollection::Assigned, OrgSubcollection::Read]
            .map(|subcollection| database.query(Query::collection(format!("{path}/{}", subcollection.id()))));
        let (listed, read) = (listed.await?, read.await?);

        let details_only = control.assigned_once && administration.is_closed(now);
        // The first sync by this service may be of an administration that is older than it.
        let applied = control.applied.clone().unwrap_or_else(|| listed_orgs(&listed));
        let removing = if details_only { OrgLists::new() } else { self.lost_orgs(&applied, &orgs.assigned).await? };

        if let Some(changes) = document_changes(&administration, &orgs) {
            administration = with_changes(&administration, changes);
        }
        let mut writes =
            subcollection_writes(&administration, OrgSubcollection::Assigned, &orgs.assigned, &listed, now)?;
        writes.extend(subcollection_writes(&administration, OrgSubcollection::Read, &orgs.read, &read, now)?);
        for batch in writes.chunks(ORGS_A_COMMIT) {
            let fence = task.still_there();
            match database.commit(batch.iter().cloned().chain([fence]).collect()).await {
                Err(StoreError::Conflict(_)) => return Ok(Prepare::Void),
                committed => committed?,
            };
        }

        let mut reached = applied;
        reached.extend(&orgs.assigned);
        let reached = in_chunk_order(&reached, &tree);
        let assigned = in_chunk_order(&orgs.assigned, &tree);
        let staged = database.transaction(|tx| {
            let (orgs, reached, assigned, removing, path) = (&orgs, &reached, &assigned, &removing, &path);
            let tree = &tree;
            let (read_fingerprint, administration) = (&read_fingerprint, &administration);
            async move {
                let control = tx.get(&Control::path(self.administration)?).await?.as_ref().map(Control::read);
                let Some(control) = control.filter(|control| Control::is_at(Some(control), self.version)) else {
                    return Ok(Staged::Void);
                };
                let (Some(document), Some(own)) = (tx.get(path).await?, tx.get(task.path()).await?) else {
                    return Ok(Staged::Void);
                };
                let current = Administration::from_document(&document);
                if fingerprint(&current) != *read_fingerprint {
                    // The administration was edited since it was read. The event of that edit may find no relevant
                    // change and start no version, so this version must not rely on being superseded.
                    return Ok(Staged::Again);
                }
                if progress_of(&own).phase.is_some() {
                    return Ok(Staged::Elsewhere);
                }
                let (mut fields, mut mask) = document_changes(&current, orgs).unwrap_or_default();
                if self.version > 1 {
                    // Chunks of the older version may have changed these counters since the event.
                    fields.extend(fields! { administration::field::SYNC_CHUNKS_TOTAL => 0, administration::field::SYNC_CHUNKS_COMPLETED => 0 });
                    mask.extend([administration::field::SYNC_CHUNKS_TOTAL, administration::field::SYNC_CHUNKS_COMPLETED].map(FieldPath::top));
                    tx.write(Write::delete(progress_path(self.administration, self.version - 1)?)).await;
                }
                if !mask.is_empty() {
                    tx.write(Write::merge(path.clone(), fields, mask).when(Precondition::Exists)).await;
                }
                let stage = Stage {
                    administration,
                    read_fingerprint,
                    fingerprint: fingerprint(administration),
                    tree,
                    reached,
                    assigned,
                    removing,
                    details_only,
                    now,
                };
                let (control, sweeps) = stage.set(control);
                tx.write(Write::set(Control::path(self.administration)?, control.to_fields())).await;
                let open = fields! { administration_sync::field::OPEN => i64::from(sweeps) };
                tx.write(Write::set(progress_path(self.administration, self.version)?, open)).await;
                let sweep = sweeps.then(|| self.sweep_task(task));
                if let Some(sweep) = &sweep {
                    tx.write(self.app.tasks.enlist(sweep)).await;
                    tx.write(total_write(self.administration, 1)?).await;
                }
                tx.write(task.advance(&PlanProgress::at(0, 0))).await;
                Ok::<_, StoreError>(Staged::Ready(Box::new((control, sweep))))
            }
        });
        let control = match staged.await {
            Ok((Staged::Ready(ready), _)) => {
                let (control, sweep) = *ready;
                self.app.tasks.announce(sweep.into_iter().collect());
                control
            }
            Ok((Staged::Again, _)) => return Ok(Prepare::Wait),
            Ok((Staged::Elsewhere, _)) => return Ok(Prepare::Elsewhere),
            // A newer version has cancelled this plan.
            Ok((Staged::Void, _)) | Err(StoreError::Conflict(_)) => return Ok(Prepare::Void),
            Err(error) => return Err(error.into()),
        };
        let prepared = Prepared::new(administration, tree, &control);
        if !prepared.definition.has_room(now) {
            fail(database, self.administration, self.version, task, TOO_LARGE).await?;
            return Ok(Prepare::Elsewhere);
        }
        Definitions::of(self.app).put(self.administration, self.version, prepared);
        Ok(Prepare::Ready)
    }

    fn sweep_task(&self, plan: &Task<PlanJob>) -> NewTask {
        let (administration_id, version) = (self.administration.to_owned(), self.version);
        let job = SweepJob { administration_id, version, plan: plan.id.clone(), progress: SweepProgress::default() };
        NewTask::new(format!("{}-{version}-sweep", self.administration), &job)
    }

    /// Orgs that assignments may still have and must lose: the orgs applied before and their descendants, archived ones
    /// included, except for orgs that are assigned now.
    async fn lost_orgs(&self, applied: &OrgLists, assigned: &OrgLists) -> Result<OrgLists, StoreError> {
        let lost = applied.difference(&assigned.to_set());
        if lost.is_empty() {
            return Ok(lost);
        }
        let tree = load_tree(&self.app.stores.admin, &lost, Reach::Down { include_archived: true }).await?;
        Ok(with_lost_below(&lost, assigned, &tree))
    }

    /// Enqueues the chunks of a phase from `next_org` on, in as many commits as needed.
    async fn enlist(
        &self,
        task: &Task<PlanJob>,
        phase: Phase,
        index: usize,
        ids: &[String],
        next_org: usize,
        progress: &Progress,
    ) -> Result<Enlisted, HandlerError> {
        if next_org >= ids.len() {
            return Ok(Enlisted::Nothing);
        }
        let counted = members_left(self.app, phase, ids, next_org, progress).await?;
        let limit = orgs_a_query(self.app);
        let mut any = false;
        for Enlisting { first, chunks, position } in enlistings(&counted, index, next_org, limit) {
            any = true;
            let tasks: Vec<NewTask> = chunks
                .into_iter()
                .enumerate()
                .map(|(n, orgs)| {
                    let (administration_id, version, phase) = (self.administration.to_owned(), self.version, index);
                    let (plan, progress) = (task.id.clone(), ChunkProgress::default());
                    let job = ChunkJob { administration_id, version, phase, orgs, plan, progress };
                    NewTask::new(format!("{}-{version}-{index}-{first}-{n}", self.administration), &job)
                })
                .collect();
            match self.commit_chunks(task, (index, first), &tasks, position).await? {
                Enlisted::Chunks => {}
                other => return Ok(other),
            }
            self.app.tasks.announce(tasks);
        }
        Ok(if any { Enlisted::Chunks } else { Enlisted::Nothing })
    }

    /// Commits chunks if the plan's stored progress is still at this phase and org.
    async fn commit_chunks(
        &self,
        task: &Task<PlanJob>,
        from: (usize, usize),
        chunks: &[NewTask],
        position: PlanProgress,
    ) -> Result<Enlisted, HandlerError> {
        let count = chunks.len() as i64;
        let committed = self.app.stores.admin.transaction(|tx| {
            let position = &position;
            async move {
                let control = tx.get(&Control::path(self.administration)?).await?.as_ref().map(Control::read);
                let own = tx.get(task.path()).await?;
                let (true, Some(own)) = (Control::is_at(control.as_ref(), self.version), own) else {
                    return Ok(Enlisted::Superseded);
                };
                if is_ahead(&progress_of(&own), from) {
                    return Ok(Enlisted::Elsewhere);
                }
                tx.write_all(chunks.iter().map(|chunk| self.app.tasks.enlist(chunk))).await;
                tx.write(progress_write(self.administration, self.version, count, [])?).await;
                tx.write(total_write(self.administration, count)?).await;
                tx.write(task.advance(position)).await;
                Ok::<_, StoreError>(Enlisted::Chunks)
            }
        });
        match committed.await {
            Ok((enlisted, _)) => Ok(enlisted),
            // The administration is gone; the event of its deletion takes over.
            Err(StoreError::Conflict(_)) => Ok(Enlisted::Superseded),
            Err(error) => Err(error.into()),
        }
    }

    async fn finish(&self, task: &Task<PlanJob>, problems: i64) -> Result<TaskOutcome, HandlerError> {
        let database = &self.app.stores.admin;
        let Some(known) = self.control().await? else { return Ok(TaskOutcome::Finished) };
        // A sync of selected students can't report on the others.
        let is_narrow = known.only.is_some();
        let told = if problems > 0 || (known.problems > 0 && !is_narrow) {
            if !is_narrow {
                problems::forget_older(database, self.administration, self.version).await?;
            }
            Some(problems::noted(database, self.administration).await?)
        } else {
            None
        };
        let told = &told;
        let finished = self.app.stores.admin.transaction(|tx| async move {
            let control = tx.get(&Control::path(self.administration)?).await?.as_ref().map(Control::read);
            let Some(control) = control.filter(|control| Control::is_at(Some(control), self.version)) else {
                return Ok(None);
            };
            // Use the store's clock, which also times the changes of students: the preparation was one commit.
            let progress = progress_path(self.administration, self.version)?;
            let staged = tx.get(&progress).await?.map(|progress| progress.create_time);
            let (control, is_next) = ended(control, staged, told.as_ref().map(|(count, _)| *count));
            let next = is_next.then(|| plan_task(self.administration, &control));
            tx.write(Write::set(Control::path(self.administration)?, control.to_fields())).await;
            tx.write(Write::delete(progress)).await;
            let (mut status, mut mask) =
                (fields! { administration::field::SYNC_STATUS => State::Complete.name() }, vec![administration::field::SYNC_STATUS, administration::field::SYNC_ERROR_MESSAGE]);
            if let Some(next) = &next {
                status = fields! { administration::field::SYNC_STATUS => State::Pending.name(), administration::field::SYNC_CHUNKS_TOTAL => 0, administration::field::SYNC_CHUNKS_COMPLETED => 0 };
                mask.extend([administration::field::SYNC_CHUNKS_TOTAL, administration::field::SYNC_CHUNKS_COMPLETED]);
                tx.write(self.app.tasks.enlist(next)).await;
            }
            let mask = mask.into_iter().map(FieldPath::top).collect();
            let status = Write::merge(administration_path(self.administration)?, status, mask);
            tx.write(status.when(Precondition::Exists)).await;
            if let Some((count, named)) = told {
                tx.write(problems::telling(self.administration, *count, named)?).await;
            }
            tx.write(task.done()).await;
            let follow = task_for_waiting(&tx, self.administration, self.version).await?;
            if let Some(follow) = &follow {
                tx.write(self.app.tasks.enlist(follow)).await;
            }
            Ok::<_, StoreError>(Some((follow, next)))
        });
        match finished.await {
            Ok((Some((follow, next)), _)) => {
                self.app.tasks.announce(follow.into_iter().chain(next).collect());
                Ok(TaskOutcome::Committed)
            }
            Ok((None, _)) | Err(StoreError::Conflict(_)) => Ok(TaskOutcome::Finished),
            Err(error) => Err(error.into()),
        }
    }
}

/// The plan's progress according to its task's document, which another run of the task may have written.
fn progress_of(own: &Document) -> PlanProgress {
    stored_payload(own).unwrap_or_default()
}

/// The result of the transaction that initialises the control document.
enum Staged {
    Ready(Box<(Control, Option<NewTask>)>),
    /// The administration was edited in the meantime.
    Again,
    /// Another run of the same task did it.
    Elsewhere,
    Void,
}

enum Prepare {
    /// The phases can begin.
    Ready,
    /// Retry later: the removal of an earlier administration with this ID is running, or an edit intervened.
    Wait,
    /// Another run of the same task is ahead.
    Elsewhere,
    /// This version has nothing left to do.
    Void,
}

enum Enlisted {
    /// The remaining orgs of the phase have no members left to process.
    Nothing,
    /// Chunks were enqueued.
    Chunks,
    /// Another run of the same task is ahead.
    Elsewhere,
    /// This version has nothing left to do.
    Superseded,
}

fn total_write(administration: &str, chunks: i64) -> Result<Write, StoreError> {
    let total = FieldTransform {
        path: FieldPath::top(administration::field::SYNC_CHUNKS_TOTAL),
        transform: Transform::Increment(Value::Integer(chunks)),
    };
    Ok(Write::transform(administration_path(administration)?, vec![total]).when(Precondition::Exists))
}

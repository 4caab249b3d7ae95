//! A chunk of a sync: the students of a few orgs, page by page, each page one atomic commit.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use jiff::SignedDuration;

use super::fence::{BROKE_OFF, fail};
use super::jobs::{ChunkJob, ChunkProgress, PlanJob};
use super::members::{members_query, orgs_a_query};
use super::ownership::{Flow, Phase, phases};
use super::problems::noting;
use crate::administrations::definitions::{Definitions, Prepared};
use crate::app::App;
use crate::assignments::build::{Decision, FormerAssignment};
use crate::assignments::counts::without_foreign;
use crate::assignments::settlement::Settlement;
use crate::assignments::side_effects::{lists_assignment, user_writes};
use crate::assignments::tasks::Tasks;
use crate::documents::administration::administration_path;
use crate::documents::administration_sync::{completed_write, open_chunks, progress_write};
use crate::documents::archive::archive_path;
use crate::documents::assignment::assignment_path;
use crate::documents::former::former;
use crate::documents::stats::{TOTAL, stats_path};
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::{is_living, user_path};
use crate::runtime::{HandlerError, Job, StoredTimestamp, Task, TaskOutcome, stored_payload};
use crate::store::size::document_size;
use crate::store::{Committed, Direction, DocPath, Document, Precondition, StoreError, Write};

/// Limits for one commit of students. Writes: Firestore takes 500, and some are left for the counts of orgs that the
/// students have left and for the sync's own documents. Bytes of assignments: Firestore takes 10 MiB.
const PAGE_WRITES: usize = 480;
const PAGE_BYTES: usize = 5 << 20;
/// The most writes that a page may have before the sync's own writes are added.
const MOST_WRITES: usize = 490;
/// Students read at once: more than a chunk is planned to have, so that one query usually reads the whole chunk.
const READ_AHEAD: u32 = 500;
/// How long a chunk waits for the event of a deletion that was made outside of the service before it treats the event
/// as lost, and how often it checks.
const WAIT_FOR_DELETION: SignedDuration = SignedDuration::from_mins(10);
const DELETION_POLL: Duration = Duration::from_secs(2);
/// How often a page is retried, each time with fewer students, because its assignments changed in the meantime.
const CONFLICTS: u32 = 8;

/// Runs a chunk task to its end.
pub async fn run(app: App, task: Task<ChunkJob>) -> Result<TaskOutcome, HandlerError> {
    let ChunkJob { administration_id: administration, version, phase, orgs, plan, .. } = &task.payload;
    let Some(phase) = phases().get(*phase).copied() else {
        return Err(HandlerError::Permanent("a chunk of a phase that doesn't exist".to_owned()));
    };
    let chunk = Chunk { app: &app, administration, version: *version, phase, orgs, plan };
    let Some(prepared) = Definitions::of(&app).get(&app.stores.admin, administration, chunk.version).await? else {
        return Ok(TaskOutcome::Finished);
    };
    match chunk.run(&task, &prepared).await {
        Err(HandlerError::Permanent(why)) => {
            fail(&app.stores.admin, administration, chunk.version, &task, BROKE_OFF).await?;
            app.tasks.wake(PlanJob::FUNCTION, plan);
            Err(HandlerError::Permanent(why))
        }
        other => other,
    }
}

struct Chunk<'a> {
    app: &'a App,
    administration: &'a str,
    version: i64,
    phase: Phase,
    orgs: &'a [String],
    plan: &'a str,
}

/// How a page finds the assignments that its students have already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lookup {
    /// Trust the lists in the students' documents.
    ByLists,
    /// The last commit met a conflict, so look for an assignment of every student.
    Everywhere,
}

/// Students who were read and not processed yet.
struct ReadAhead {
    users: VecDeque<Document>,
    /// The store may have more students.
    more: bool,
}

impl ReadAhead {
    fn nothing() -> ReadAhead {
        ReadAhead { users: VecDeque::new(), more: true }
    }
}

/// The result of processing a page.
enum Page {
    /// The task is done or was cancelled, or the administration is gone.
    Void,
    /// Another run of the same task is further ahead.
    Elsewhere,
    /// The counts still lack deletions whose events are pending.
    Wait,
    /// There may be more students after this one.
    More(String),
    /// All students are processed; `open` chunks of the phase remain.
    Last { open: Option<i64> },
}

impl ReadAhead {
    /// The last of these students, if there may be more after them.
    fn ends_with(&self, users: &[Document]) -> Option<String> {
        users.last().filter(|_| self.more || !self.users.is_empty()).map(|last| last.id().to_owned())
    }
}

impl Page {
    fn after(last: Option<String>, committed: Option<&Committed>) -> Page {
        match last {
            Some(last) => Page::More(last),
            None => Page::Last { open: open_chunks(committed) },
        }
    }
}

impl Chunk<'_> {
    async fn run(&self, task: &Task<ChunkJob>, prepared: &Prepared) -> Result<TaskOutcome, HandlerError> {
        let mut cursor = task.payload.progress.cursor.clone();
        let mut ahead = ReadAhead::nothing();
        loop {
            match self.page_with_retry(task, prepared, cursor.as_deref(), &mut ahead).await? {
                Page::Void => return Ok(TaskOutcome::Finished),
                Page::Elsewhere => return Ok(TaskOutcome::Committed),
                Page::Wait => return Ok(TaskOutcome::Later(DELETION_POLL)),
                Page::More(last) => cursor = Some(last),
                Page::Last { open } => {
                    if open == Some(0) {
                        self.app.tasks.wake(PlanJob::FUNCTION, self.plan);
                    }
                    return Ok(TaskOutcome::Committed);
                }
            }
        }
    }

    /// Processes a page. After a conflict, retries with every assignment looked up, and with fewer students each time.
    async fn page_with_retry(
        &self,
        task: &Task<ChunkJob>,
        prepared: &Prepared,
        cursor: Option<&str>,
        ahead: &mut ReadAhead,
    ) -> Result<Page, HandlerError> {
        let mut most = READ_AHEAD as usize;
        match self.page(task, prepared, cursor, ahead, (Lookup::ByLists, most)).await {
            Err(StoreError::Conflict(_)) => {}
            other => return Ok(other?),
        }
        for _ in 0..CONFLICTS {
            let known = [administration_path(self.administration)?, task.path().clone()];
            let [Some(_), Some(own)] =
                <[Option<Document>; 2]>::try_from(self.app.stores.admin.get_all(&known).await?).unwrap_or_default()
            else {
                return Ok(Page::Void);
            };
            if progress_of(&own).cursor.as_deref() != cursor {
                return Ok(Page::Elsewhere);
            }
            *ahead = ReadAhead::nothing();
            let page = match most {
                1 => self.alone(task, prepared, cursor, ahead).await,
                most => self.page(task, prepared, cursor, ahead, (Lookup::Everywhere, most)).await,
            };
            match page {
                // These students are working right now: smaller commits conflict less, and one busy student must not
                // hold up the others.
                Err(StoreError::Conflict(_)) => most = (most.min(PAGE_WRITES / 2) / 4).max(1),
                other => return Ok(other?),
            }
        }
        Err(HandlerError::Transient("students' assignments keep changing".to_owned()))
    }

    /// Reads a page of students and commits the decisions about them. There is no transaction: preconditions make the
    /// commit fail unless every assignment is unchanged since the read and the task is still pending. Students'
    /// documents and counts get increments only, so chunks don't wait for each other.
    async fn page(
        &self,
        task: &Task<ChunkJob>,
        prepared: &Prepared,
        cursor: Option<&str>,
        ahead: &mut ReadAhead,
        (lookup, most): (Lookup, usize),
    ) -> Result<Page, StoreError> {
        let database = &self.app.stores.admin;
        let mut users = self.next_students(prepared.definition.most_bytes(), cursor, ahead, most).await?;
        let mine = self.mine(&users, prepared);
        let asked =
            |user: &Document| lookup == Lookup::Everywhere || lists_assignment(&user.fields, self.administration);
        let places: Vec<&Document> = mine.iter().map(|(user, _)| *user).filter(|user| asked(user)).collect();
        // A student who had the assignment before gets that assignment again, with the work in it.
        let former =
            |user: &Document| self.phase.flow == Flow::Assign && former(&user.fields, self.administration).is_some();
        let came_back: Vec<&Document> = mine.iter().map(|(user, _)| *user).filter(|user| former(user)).collect();
        let mut paths = Vec::with_capacity(places.len() + came_back.len());
        for user in &places {
            paths.push(assignment_path(&user.path, self.administration)?);
        }
        for user in &came_back {
            paths.push(archive_path(&assignment_path(&user.path, self.administration)?)?);
        }
        let mut found = database.get_all(&paths).await?.into_iter();
        let by_user = |users: Vec<&Document>, found: Vec<Option<Document>>| -> BTreeMap<DocPath, Document> {
            users.into_iter().zip(found).filter_map(|(user, found)| Some((user.path.clone(), found?))).collect()
        };
        let of_places = found.by_ref().take(places.len()).collect();
        let lost: Vec<&Document> =
            places.iter().copied().filter(|user| lists_assignment(&user.fields, self.administration)).collect();
        let known =
            PageSnapshot { existing: by_user(places, of_places), archived: by_user(came_back, found.collect()) };
        let lost = lost.iter().filter(|user| !known.existing.contains_key(&user.path)).count();
        if lost > 0 && self.waits_for_deletions(task).await? {
            return Ok(Page::Wait);
        }
        let mut is_pruned = false;
        loop {
            let plan = self.decide(prepared, &self.mine(&users, prepared), &known);
            // Most students take two writes, as the page length assumes; students who lose an assignment take more.
            let is_too_much = plan.as_ref().is_ok_and(|plan| plan.writes.len() > MOST_WRITES);
            let refused = match plan {
                Ok(plan) if !is_too_much || users.len() <= 1 => match self.commit(task, &users, ahead, plan).await {
                    Err(StoreError::InvalidArgument(why)) => Some(why),
                    done => return done,
                },
                Ok(_) => None,
                Err(StoreError::InvalidArgument(why)) => Some(why),
                Err(error) => return Err(error),
            };
            // The store refuses a commit either because of one student's documents or because the counts are full.
            if refused.is_some() && !is_pruned {
                is_pruned = true;
                if self.prune(prepared, &users).await? {
                    continue;
                }
            }
            match refused {
                Some(why) if users.len() <= 1 => return self.pass_over(task, prepared, &users, ahead, &why).await,
                _ => {
                    let rest = users.split_off(users.len() / 2);
                    rest.into_iter().rev().for_each(|user| ahead.users.push_front(user));
                }
            }
        }
    }

    /// Commits the decisions about a page of students, with the chunk's progress.
    async fn commit(
        &self,
        task: &Task<ChunkJob>,
        users: &[Document],
        ahead: &ReadAhead,
        plan: PagePlan,
    ) -> Result<Page, StoreError> {
        let last = ahead.ends_with(users);
        let committed = self.app.stores.admin.commit(self.writes(task, last.as_deref(), plan)?).await?;
        Ok(Page::after(last, committed.as_ref()))
    }

    /// The writes for a page of students, and the chunk's progress: `last` is the last student processed; without one,
    /// the chunk is complete.
    fn writes(&self, task: &Task<ChunkJob>, last: Option<&str>, plan: PagePlan) -> Result<Vec<Write>, StoreError> {
        // This write comes first, so that the commit's first result is the number of open chunks.
        let ends = if last.is_some() { 0 } else { -1 };
        let mut writes = vec![progress_write(self.administration, self.version, ends, &plan.seen)?];
        writes.extend(plan.writes);
        match last {
            Some(last) => {
                writes.push(task.advance(&ChunkProgress { cursor: Some(last.to_owned()), ..ChunkProgress::default() }))
            }
            None => writes.extend([completed_write(self.administration)?, task.done()]),
        }
        Ok(writes)
    }

    /// Processes the next student in a transaction: for a student whose assignment changes all the time.
    async fn alone(
        &self,
        task: &Task<ChunkJob>,
        prepared: &Prepared,
        cursor: Option<&str>,
        ahead: &mut ReadAhead,
    ) -> Result<Page, StoreError> {
        let users = self.next_students(prepared.definition.most_bytes(), cursor, ahead, 1).await?;
        let Some(path) = users.first().map(|user| user.path.clone()) else {
            return self.commit(task, &users, ahead, PagePlan::default()).await;
        };
        let last = ahead.ends_with(&users);
        let place = assignment_path(&path, self.administration)?;
        let (paths, last_of_page) = (&[path, place.clone(), archive_path(&place)?], last.as_deref());
        let dealt_with = self.app.stores.admin.transaction(|tx| async move {
            let found = tx.get_all(paths).await?;
            let [user, existing, archived] = <[Option<Document>; 3]>::try_from(found).unwrap_or_default();
            let plan = match user {
                None => PagePlan::default(),
                Some(user) => {
                    let of_user =
                        |found: Option<Document>| found.map(|it| (user.path.clone(), it)).into_iter().collect();
                    let known = PageSnapshot { existing: of_user(existing), archived: of_user(archived) };
                    let users = [user];
                    self.decide(prepared, &self.mine(&users, prepared), &known)?
                }
            };
            tx.write_all(self.writes(task, last_of_page, plan)?).await;
            Ok::<_, StoreError>(())
        });
        match dealt_with.await {
            Ok((_, committed)) => Ok(Page::after(last, committed.as_ref())),
            Err(StoreError::Contention) => self.pass_over(task, prepared, &users, ahead, "they never rest").await,
            Err(StoreError::InvalidArgument(why)) => self.pass_over(task, prepared, &users, ahead, &why).await,
            Err(error) => Err(error),
        }
    }

    /// Records the one student of a page whose documents the store refuses, and skips the student.
    async fn pass_over(
        &self,
        task: &Task<ChunkJob>,
        prepared: &Prepared,
        users: &[Document],
        ahead: &ReadAhead,
        why: &str,
    ) -> Result<Page, StoreError> {
        let mut plan = PagePlan::default();
        for (user, later) in self.mine(users, prepared) {
            // Don't log the store's own message here: it may quote the document.
            tracing::warn!(
                administration = self.administration,
                roar_uid = user.id(),
                bytes = document_size(&user.path, &user.fields),
                "what a student is to have can't be stored: a document of theirs is too large, or odd"
            );
            tracing::debug!(why, "the store's reason");
            Definitions::of(self.app).count_refused();
            plan.writes.extend(noting(self.administration, self.version, &user.path, self.app.now())?);
            plan.seen.extend(later.into_iter().map(|key| (key, 1)));
        }
        self.commit(task, users, ahead, plan).await
    }

    /// Removes counters of tasks that the administration doesn't have from the counts that this page changes. True when
    /// there were some.
    async fn prune(&self, prepared: &Prepared, users: &[Document]) -> Result<bool, StoreError> {
        let mut keys: BTreeSet<String> = BTreeSet::from([TOTAL.to_owned()]);
        for user in users {
            keys.extend(current_orgs(&user.fields).iter().map(|(_, id)| id.to_owned()));
        }
        let paths = keys.iter().filter_map(|key| stats_path(self.administration, key).ok()).collect::<Vec<_>>();
        let tasks = Tasks::of(&prepared.definition.administration);
        let mut any = false;
        for counts in self.app.stores.admin.get_all(&paths).await?.into_iter().flatten() {
            let Some(write) = without_foreign(&counts, &tasks) else { continue };
            match self.app.stores.admin.commit(vec![write]).await {
                Ok(_) => any = true,
                // These counts are changing right now.
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(any)
    }

    /// The students of the next page: those read ahead first.
    async fn next_students(
        &self,
        assignment_bytes: usize,
        cursor: Option<&str>,
        ahead: &mut ReadAhead,
        most: usize,
    ) -> Result<Vec<Document>, StoreError> {
        if ahead.users.is_empty() && ahead.more {
            let database = &self.app.stores.admin;
            let mut query = members_query(self.app, self.phase, self.orgs)
                .order_by(crate::store::path::NAME_FIELD, Direction::Ascending)
                .limit(READ_AHEAD);
            if let Some(cursor) = cursor {
                query = query.start_after(vec![database.reference(&user_path(cursor)?)]);
            }
            ahead.users = database.query(query).await?.into();
            ahead.more = ahead.users.len() == READ_AHEAD as usize;
        }
        // A removed assignment is also marked as counted and archived.
        let each = if self.phase.flow == Flow::Remove { 4 } else { 2 };
        let page = page_length(&ahead.users, each, assignment_bytes).min(most);
        Ok(ahead.users.drain(..page).collect())
    }

    /// True while the event of a deletion that was made outside of the service is pending. The chunk waits for it: a
    /// new assignment at the same path could not be told from the deleted one. False when the wait has taken too long.
    async fn waits_for_deletions(&self, task: &Task<ChunkJob>) -> Result<bool, StoreError> {
        let now = self.app.now();
        let path = task.path();
        let own = self.app.stores.admin.get(path).await?;
        let since = own.as_ref().and_then(|own| progress_of(own).waits_since).map(|since| since.0);
        if since.is_none() && own.is_some() {
            let waits = ChunkProgress { waits_since: Some(StoredTimestamp(now)), ..ChunkProgress::default() };
            match self.app.stores.admin.commit(vec![task.advance(&waits)]).await {
                Ok(_) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(since.is_none_or(|since| now.duration_since(since) < WAIT_FOR_DELETION))
    }

    /// The users of the page whom this chunk owns, each with the keys under which later phases count the user as seen.
    fn mine<'u>(&self, users: &'u [Document], prepared: &Prepared) -> Vec<(&'u Document, Vec<String>)> {
        let ownership = match self.phase.flow {
            Flow::Remove => &prepared.removing_owners,
            Flow::Assign => &prepared.assigned_owners,
        };
        users
            .iter()
            .filter(|user| {
                ownership
                    .owner(&user.fields)
                    .is_some_and(|(org_type, id)| org_type == self.phase.org_type && self.orgs.contains(&id))
            })
            .map(|user| {
                let run_size = orgs_a_query(self.app);
                (user, ownership.seen_keys(self.phase.flow, &user.fields, self.phase.org_type, run_size))
            })
            .collect()
    }

    /// Decides about the page's users. Pure, but for the clock.
    fn decide(
        &self,
        prepared: &Prepared,
        users: &[(&Document, Vec<String>)],
        known: &PageSnapshot,
    ) -> Result<PagePlan, StoreError> {
        let now = self.app.now();
        let mut settlement = Settlement::new(self.administration, now);
        let mut plan = PagePlan::default();
        for (user, later) in users {
            for key in later {
                *plan.seen.entry(key.clone()).or_default() += 1;
            }
            let assignment = known.existing.get(&user.path);
            let fields = assignment.map(|assignment| &assignment.fields);
            let definition = &prepared.definition;
            let decision = match (self.phase.flow, fields) {
                (Flow::Remove, None) => Decision::Nothing,
                // The student is still assigned through another org, and the assignment keeps its work. This is decided
                // now, because the student may have left that org too when the assign phase comes.
                (Flow::Remove, Some(fields)) if is_living(&user.fields) && definition.assigns(&user.fields) => {
                    definition.decide(&user.fields, Some(fields), now)
                }
                (Flow::Remove, Some(fields)) => definition.subtract(fields, &prepared.removing, now),
                // The event of archiving a user decides about that user's assignments.
                (Flow::Assign, _) if !is_living(&user.fields) => Decision::Nothing,
                (Flow::Assign, None) if prepared.details_only => Decision::Nothing,
                (Flow::Assign, Some(fields)) if prepared.details_only => definition.update_details(fields, now),
                (Flow::Assign, None) => {
                    match FormerAssignment::of(&user.fields, self.administration, known.archived.get(&user.path)) {
                        Some(former) => definition.decide_again(&user.fields, &former, now),
                        None => definition.decide(&user.fields, None, now),
                    }
                }
                (Flow::Assign, Some(fields)) => definition.decide(&user.fields, Some(fields), now),
            };
            let settled = settlement.settle(user, assignment, decision)?;
            plan.writes.extend(settled.of_assignment);
            plan.writes.extend(user_writes(&user.path, settled.step.as_slice(), now));
        }
        plan.writes.extend(settlement.counts(Precondition::None)?);
        Ok(plan)
    }
}

/// The chunk's progress according to its task's document, which another run of the task may have written.
fn progress_of(own: &Document) -> ChunkProgress {
    stored_payload(own).unwrap_or_default()
}

/// What was read for a page, keyed by student.
struct PageSnapshot {
    existing: BTreeMap<DocPath, Document>,
    archived: BTreeMap<DocPath, Document>,
}

/// The writes of a page, and the students that later phases count as seen.
#[derive(Default)]
struct PagePlan {
    writes: Vec<Write>,
    seen: BTreeMap<String, i64>,
}

/// How many of the first users fit into one commit, given the writes that each takes; at least one.
fn page_length(users: &VecDeque<Document>, writes_each: usize, assignment_bytes: usize) -> usize {
    let most = PAGE_BYTES / assignment_bytes.max(1);
    let mut counts = HashSet::new();
    let fits = users.iter().zip(1..).take_while(|(user, students)| {
        let orgs = current_orgs(&user.fields);
        counts.extend(orgs.iter().map(|(_, id)| id.to_owned()));
        students * writes_each + counts.len() <= PAGE_WRITES && *students <= most
    });
    fits.count().max(1).min(users.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::{Timestamp, Value};

    fn students(count: usize, orgs_each: usize) -> VecDeque<Document> {
        let student = |n: usize| Document {
            path: DocPath::new(format!("users/u{n}")).unwrap(),
            fields: fields! {
                "districts" => Value::Map(fields! { "current" => Value::strings(["d"]) }),
                "families" => Value::Map(
                    fields! { "current" => Value::strings((0..orgs_each).map(|org| format!("f{n}-{org}"))) },
                ),
            },
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
        };
        (0..count).map(student).collect()
    }

    #[test]
    fn a_page_holds_what_fits_into_a_commit() {
        assert_eq!(page_length(&students(0, 0), 2, 1000), 0);
        assert_eq!(page_length(&students(100, 0), 2, 1000), 100);
        // Two writes a student and one for the district.
        assert_eq!(page_length(&students(500, 0), 2, 1000), 239);
        // Three with a family of each one's own.
        assert_eq!(page_length(&students(500, 1), 2, 1000), 159);
        assert_eq!(page_length(&students(500, 1), 3, 1000), 119);
        // Large assignments, and one that fills a commit by itself.
        assert_eq!(page_length(&students(500, 0), 2, 1 << 20), 5);
        assert_eq!(page_length(&students(500, 0), 2, 100 << 20), 1);
    }
}

//! Examines one administration: its assignments, the users who list it, the members of its orgs, and its counts.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};

use super::examine::{Examined, Rules, Subject, traces};
use super::ledger::{KeyDifference, Sums, Unrecorded, compare};
use super::measure::Scales;
use super::members::{Listed, Members};
use super::pages::PAGE;
use super::pages::assignments_page;
use super::repair::{Batch, Repairs};
use super::report::{AdministrationReport, Finding, Kind, State};
use super::runs_aside::RunsAside;
use super::standing::{Scope, Standing, load};
use super::traces::Trace;
use super::{Options, Step, Watch};
use crate::administrations::fanout::members::{members_query, orgs_a_query};
use crate::administrations::fanout::ownership::{Flow, Phase};
use crate::administrations::fanout::problems;
use crate::app::App;
use crate::assignments::counts::{idle_blocks, without_idle};
use crate::documents::administration::administration_path;
use crate::documents::assignment::{self, assignment_path};
use crate::documents::user::{self, is_living};
use crate::orgs::OrgLists;
use crate::runs::hold::{RunsByTask, not_found};
use crate::runs::{deleted_runs, runs_of_assignment};
use crate::store::path::NAME_FIELD;
use crate::store::{Database, Direction, DocPath, Document, Precondition, Query, Result, StoreError, Value, Write};

/// How many counts are queried at once.
const PARALLEL_COUNTS: usize = 8;
/// On how many pages with differences the walk waits for the differences to resolve themselves.
const PATIENT_PAGES: u32 = 5;
/// The most administrations to examine that only students' lists name.
pub(super) const MOST_STRANGERS: usize = 1000;

/// Examines an administration. Returns the report, and the IDs of other administrations that students' lists name.
pub async fn administration(
    app: &App,
    id: &str,
    options: &Options,
    watch: Watch<'_>,
) -> Result<(AdministrationReport, BTreeSet<String>)> {
    watch(Step::Begins(id));
    let standing = load(&app.stores.admin, id, app.now()).await?;
    let nobody = OrgLists::new();
    let orgs = match &standing.scope {
        Scope::Open(_, orgs) => orgs,
        Scope::Closed | Scope::Gone => &nobody,
    };
    let mut walk = Walk {
        app,
        id,
        options,
        watch,
        members: Members::new(orgs, orgs_a_query(app), &app.settings.assigned_user_types),
        report: AdministrationReport::new(id, standing.mark.state),
        standing: &standing,
        listed: Listed::default(),
        sums: Sums::default(),
        named: BTreeSet::new(),
        patient_pages: if options.patience.is_zero() { 0 } else { PATIENT_PAGES },
        has_mended: false,
        overtaken: false,
        looked_into: BTreeSet::new(),
        not_stored: BTreeSet::new(),
    };
    if standing.mark.state.is_examined() {
        walk.go().await?;
    }
    watch(Step::Done);
    Ok((walk.report, walk.named))
}

/// A user and their assignment, as read, with the runs of the assignment where these were read.
struct Pair {
    path: DocPath,
    user: Option<Document>,
    assignment: Option<Document>,
    runs: Option<RunsByTask>,
    /// Runs that the assignment names, which are known to have been deleted.
    deleted: BTreeSet<String>,
}

impl Pair {
    /// Finds out which runs that the assignment names, and that weren't found, are known to have been deleted.
    async fn known(
        app: &App,
        path: DocPath,
        user: Option<Document>,
        assignment: Option<Document>,
        runs: Option<RunsByTask>,
    ) -> Result<Pair> {
        let unknown =
            assignment.as_ref().zip(runs.as_ref()).map(|(assignment, runs)| not_found(&assignment.fields, runs));
        let deleted = deleted_runs(app, &path, &unknown.unwrap_or_default()).await?;
        Ok(Pair { path, user, assignment, runs, deleted })
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            path: &self.path,
            user: self.user.as_ref(),
            assignment: self.assignment.as_ref(),
            archived: None,
            runs: self.runs.as_ref(),
            deleted: &self.deleted,
        }
    }
}

struct Walk<'a> {
    app: &'a App,
    id: &'a str,
    options: &'a Options,
    watch: Watch<'a>,
    standing: &'a Standing,
    report: AdministrationReport,
    members: Members,
    listed: Listed,
    sums: Sums,
    /// Administrations that users' lists name.
    named: BTreeSet<String>,
    patient_pages: u32,
    /// True when students were repaired, which moves counts.
    has_mended: bool,
    /// True when the administration's state has changed: the remaining differences aren't repaired.
    overtaken: bool,
    /// Members of the orgs without an assignment who were examined because they have runs.
    looked_into: BTreeSet<DocPath>,
    /// Students whose writes the store refuses.
    not_stored: BTreeSet<String>,
}

impl Walk<'_> {
    fn database(&self) -> &Database {
        &self.app.stores.admin
    }

    fn scales(&self) -> Scales<'_> {
        Scales { app: self.app, administration: self.id, standing: self.standing, options: self.options }
    }

    async fn go(&mut self) -> Result<()> {
        let before = self.scales().stats().await?;
        self.assignments().await?;
        self.listing_users().await?;
        self.unassigned_members().await?;
        self.problems().await?;
        let after = self.scales().stats().await?;
        self.report.assignments = self.sums.assignments;
        if self.report.state == State::Gone {
            self.counts_of_nothing(after).await?;
        } else {
            self.counts(compare(&before, &after, &self.sums, Unrecorded::IsActual)).await?;
            self.idle_counts(&after).await?;
        }
        if !self.overtaken && !self.scales().holds().await? {
            self.overtaken = true;
        }
        if self.overtaken {
            self.report.notes.push("it changed while it was looked at: run again when its sync is complete".to_owned());
        }
        Ok(())
    }

    /// Examines all assignments, with their students.
    ///
    /// The runs are read in parallel, in the same order, so that only a page of each is in memory.
    async fn assignments(&mut self) -> Result<()> {
        let mut runs = match self.standing.scope {
            Scope::Gone => RunsAside::none(),
            Scope::Open(..) | Scope::Closed => RunsAside::of(self.app, self.id),
        };
        let mut cursor = None;
        loop {
            let page = self.database().query(assignments_page(self.database(), self.id, cursor.as_ref())).await?;
            let last = page.last().filter(|_| page.len() == PAGE as usize).map(|last| last.path.clone());
            let looked = page.len() as u64;
            let (own, foreign): (Vec<Document>, Vec<Document>) =
                page.into_iter().partition(|assignment| assignment.id() == self.id);
            own.iter().for_each(|assignment| self.sums.add(&assignment.fields, self.standing.tasks.as_ref()));
            self.foreign(foreign).await?;
            let owners: Vec<DocPath> = own.iter().filter_map(|assignment| assignment.path.parent()).collect();
            let users = self.database().get_all(&owners).await?;
            let mut pairs = Vec::with_capacity(own.len());
            for ((path, user), assignment) in owners.into_iter().zip(users).zip(own) {
                let runs = runs.take(&path).await?;
                pairs.push(Pair::known(self.app, path, user, Some(assignment), Some(runs)).await?);
            }
            self.look(pairs).await?;
            self.unassigned_runners(&mut runs, false).await?;
            (self.watch)(Step::Looked(looked));
            cursor = last;
            if cursor.is_none() {
                break;
            }
        }
        self.unassigned_runners(&mut runs, true).await
    }

    /// Examines students who have runs and no assignment: those in the administration's orgs should have one. With
    /// `all`, examines the remaining ones; otherwise waits until there is a page of them.
    async fn unassigned_runners(&mut self, runs: &mut RunsAside<'_>, all: bool) -> Result<()> {
        let Scope::Open(definition, _) = &self.standing.scope else { return Ok(()) };
        loop {
            let gathered = runs.gathered(all).await?;
            if gathered.is_empty() {
                return Ok(());
            }
            let users = self.database().get_all(&gathered).await?.into_iter().flatten();
            // Users whose lists name the administration are examined in [`Self::listing_users`].
            let is_due = |user: &Document| {
                definition.assigns(&user.fields)
                    && is_living(&user.fields)
                    && !traces(&user.fields, self.id).iter().any(|(listed, dated)| *listed || *dated)
            };
            let due: Vec<Document> = users.filter(is_due).collect();
            self.looked_into.extend(due.iter().map(|user| user.path.clone()));
            self.look_at_unseen(due, true).await?;
        }
    }

    /// Finds assignments of other administrations that have this one's ID: no count of assignments would reveal them.
    async fn foreign(&mut self, assignments: Vec<Document>) -> Result<()> {
        for assignment in assignments {
            let Some(user) = assignment.path.parent() else { continue };
            let mut finding = Finding::of_user(Kind::IdDiffers, user.id()).field(assignment.path.as_str());
            if self.options.fix {
                let fields = crate::fields! { assignment::field::ID => assignment.id() };
                let unchanged = Precondition::UpdatedAt(assignment.update_time);
                let write = Write::update(assignment.path.clone(), fields).when(unchanged);
                match self.database().commit(vec![write]).await {
                    Ok(_) => finding.fixed = true,
                    Err(StoreError::Conflict(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            self.report.add(finding);
        }
        Ok(())
    }

    /// Examines users who list the administration and have no assignment. They are queried only where there are more
    /// list entries than students with assignments have.
    async fn listing_users(&mut self) -> Result<()> {
        let mut asked: Vec<Trace> = Vec::new();
        for trace in Trace::all() {
            let entries = self.database().count(trace.users(self.id)).await?;
            if entries == self.listed.counts()[trace.place()] {
                continue;
            }
            let mut cursor = None;
            loop {
                let users = self.page(trace.users_in_order(self.id), cursor).await?;
                cursor = users.last().filter(|_| users.len() == PAGE as usize).map(|last| {
                    let position = trace.position(self.id, last).into_iter();
                    position.chain([self.database().reference(&last.path)]).collect()
                });
                let is_new = |user: &Document| !asked.iter().any(|asked| asked.is_in(&user.fields, self.id));
                let users: Vec<Document> = users.into_iter().filter(is_new).collect();
                self.look_at_unseen(users, false).await?;
                if cursor.is_none() {
                    break;
                }
            }
            asked.push(trace);
        }
        Ok(())
    }

    /// A page of users, from after the position that the last page ended at.
    async fn page(&self, query: Query, after: Option<Vec<Value>>) -> Result<Vec<Document>> {
        let query = query.order_by(NAME_FIELD, Direction::Ascending).limit(PAGE);
        let query = match after {
            Some(after) => query.start_after(after),
            None => query,
        };
        self.database().query(query).await
    }

    /// Examines those users whose assignment the pass through the assignments didn't find. With `have_runs`, also reads
    /// their runs.
    async fn look_at_unseen(&mut self, users: Vec<Document>, have_runs: bool) -> Result<()> {
        let paths = users.iter().map(|user| assignment_path(&user.path, self.id)).collect::<Result<Vec<_>>>()?;
        let assignments = self.database().get_all(&paths).await?;
        let is_seen = |assignment: &Document| assignment::administration_id(&assignment.fields) == Some(self.id);
        let unseen = users.into_iter().zip(assignments).filter(|(_, found)| !found.as_ref().is_some_and(is_seen));
        let unseen: Vec<_> = unseen.collect();
        unseen
            .iter()
            .filter_map(|(_, found)| found.as_ref())
            .for_each(|found| self.sums.add(&found.fields, self.standing.tasks.as_ref()));
        let mut pairs = Vec::with_capacity(unseen.len());
        for (user, assignment) in unseen {
            let runs = if have_runs { Some(runs_of_assignment(self.app, &user.path, self.id).await?) } else { None };
            pairs.push(Pair::known(self.app, user.path.clone(), Some(user), assignment, runs).await?);
        }
        self.look(pairs).await
    }

    /// Examines members of the assigned orgs without an assignment. They are queried only in orgs whose number of
    /// members differs from the number examined.
    async fn unassigned_members(&mut self) -> Result<()> {
        let query = |run: usize| {
            let run = &self.members.runs[run];
            members_query(self.app, Phase { flow: Flow::Assign, org_type: run.org_type }, &run.orgs)
        };
        let queries: Vec<Query> = (0..self.members.runs.len()).map(query).collect();
        let counting = queries.clone().into_iter().map(|query| self.database().count(query));
        let counts: Vec<u64> = futures::stream::iter(counting).buffered(PARALLEL_COUNTS).try_collect().await?;
        let mut read = BTreeSet::new();
        for (run, (query, members)) in queries.into_iter().zip(counts).enumerate() {
            if self.members.has_seen(run, members) {
                continue;
            }
            let mut cursor = None;
            loop {
                let users = self.page(query.clone(), cursor).await?;
                let last = users.last().filter(|_| users.len() == PAGE as usize);
                cursor = last.map(|last| vec![self.database().reference(&last.path)]);
                // Users who list the administration were examined before, with an assignment or without one.
                let is_new = |user: &Document| {
                    self.members.is_first(&user.fields, &read)
                        && !self.looked_into.contains(&user.path)
                        && !traces(&user.fields, self.id).iter().any(|(listed, dated)| *listed || *dated)
                };
                let users: Vec<Document> = users.into_iter().filter(is_new).collect();
                self.look_at_unseen(users, false).await?;
                if cursor.is_none() {
                    break;
                }
            }
            read.insert(run);
        }
        Ok(())
    }

    /// Examines users. Call this at most once for each user.
    async fn look(&mut self, pairs: Vec<Pair>) -> Result<()> {
        let mut differing = Vec::new();
        for pair in pairs {
            let examined = self.rules().examine(pair.subject())?;
            self.name_others(pair.user.as_ref());
            if examined.findings.iter().all(|finding| !finding.kind.is_difference()) {
                self.note(pair.user.as_ref(), None);
                examined.findings.into_iter().for_each(|finding| self.report.add(finding));
            } else {
                differing.push((pair, examined));
            }
        }
        if differing.is_empty() {
            return Ok(());
        }
        if self.options.fix && !self.overtaken { self.mend(differing).await } else { self.tell(differing).await }
    }

    fn rules(&self) -> Rules<'_> {
        let (scope, settings) = (&self.standing.scope, &self.app.settings);
        let (planned, tasks) = (self.standing.planned, self.standing.tasks.as_ref());
        Rules { administration: self.id, scope, settings, planned, tasks, now: self.app.now() }
    }

    /// Notes that a user was examined; `listed` has the state of their lists if these were repaired after they were
    /// read.
    fn note(&mut self, user: Option<&Document>, listed: Option<[bool; 3]>) {
        let Some(user) = user else { return };
        self.members.saw(&user.fields);
        match listed {
            Some(listed) => self.listed.settled(listed),
            None => self.listed.saw(&user.fields, self.id),
        }
    }

    fn name_others(&mut self, user: Option<&Document>) {
        let lists = user.and_then(|user| user.fields.get(user::field::ASSIGNMENTS)).and_then(Value::as_map);
        let ids = lists.into_iter().flatten().flat_map(|(_, list)| list.as_array().unwrap_or_default());
        for id in ids.filter_map(Value::as_str).filter(|id| *id != self.id) {
            if self.named.len() < MOST_STRANGERS && !self.named.contains(id) && is_id(id) {
                self.named.insert(id.to_owned());
            }
        }
    }

    /// Reports the differences that persist.
    async fn tell(&mut self, mut differing: Vec<(Pair, Examined)>) -> Result<()> {
        if self.patient_pages > 0 {
            self.patient_pages -= 1;
            tokio::time::sleep(self.options.patience).await;
            let mut again = Vec::with_capacity(differing.len());
            for chunk in differing.chunks(PAGE as usize / 2) {
                let users: Vec<DocPath> = chunk.iter().map(|(pair, _)| pair.path.clone()).collect();
                let assignments = users.iter().map(|user| assignment_path(user, self.id));
                let assignments: Vec<DocPath> = assignments.collect::<Result<_>>()?;
                let found = self.database().get_all(&users).await?.into_iter();
                let found = found.zip(self.database().get_all(&assignments).await?);
                for (index, (path, (user, assignment))) in users.into_iter().zip(found).enumerate() {
                    let runs = match chunk[index].0.runs {
                        Some(_) => Some(runs_of_assignment(self.app, &path, self.id).await?),
                        None => None,
                    };
                    let pair = Pair::known(self.app, path, user, assignment, runs).await?;
                    let examined = self.rules().examine(pair.subject())?;
                    again.push((pair, examined));
                }
            }
            differing = again;
        }
        for (pair, examined) in differing {
            self.note(pair.user.as_ref(), None);
            examined.findings.into_iter().for_each(|finding| self.report.add(finding));
        }
        Ok(())
    }

    /// Repairs differences.
    async fn mend(&mut self, differing: Vec<(Pair, Examined)>) -> Result<()> {
        let users: Vec<DocPath> = differing.iter().map(|(pair, _)| pair.path.clone()).collect();
        let mut at = 0;
        while at < users.len() {
            let (id, standing) = (self.id, self.standing);
            let repairs = Repairs { app: self.app, administration: id, standing };
            match repairs.first(&users[at..]).await? {
                Batch::Done(done) => {
                    at += done.len();
                    for repaired in done {
                        let repair = repaired.examined.repair;
                        self.has_mended |= repair.is_some();
                        self.note(repaired.user.as_ref(), repair.as_ref().map(|repair| repair.listed()));
                        for finding in repaired.examined.findings {
                            let fixed = repair.is_some() && finding.kind.is_difference();
                            self.report.add(Finding { fixed, ..finding });
                        }
                    }
                }
                Batch::Refused => {
                    let (pair, _) = &differing[at];
                    self.note(pair.user.as_ref(), None);
                    self.not_stored.insert(pair.path.id().to_owned());
                    at += 1;
                }
                Batch::Busy => {
                    let (pair, examined) = &differing[at];
                    self.note(pair.user.as_ref(), None);
                    examined.findings.iter().cloned().for_each(|finding| self.report.add(finding));
                    at += 1;
                }
                Batch::Overtaken => {
                    self.overtaken = true;
                    for (pair, examined) in &differing[at..] {
                        self.note(pair.user.as_ref(), None);
                        examined.findings.iter().cloned().for_each(|finding| self.report.add(finding));
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reports, and with `fix` repairs, counts that differed when the assignments were examined.
    async fn counts(&mut self, found: BTreeMap<String, KeyDifference>) -> Result<()> {
        // Every sum lacks assignments that the index doesn't find under this administration's ID.
        let hidden = self.report.kinds.get(&Kind::IdDiffers).is_some_and(|ids| ids.found > ids.fixed);
        if !self.options.fix || self.overtaken || hidden {
            let found = match found.values().all(|difference| difference.exact) {
                true => Some(found),
                false => self.scales().settle().await?,
            };
            let Some(found) = found else {
                self.report.notes.push(BUSY.to_owned());
                return Ok(());
            };
            for (key, difference) in &found {
                difference.findings(key).into_iter().for_each(|finding| self.report.add(finding));
            }
            return Ok(());
        }
        if found.is_empty() && !self.has_mended {
            return Ok(());
        }
        let mended = self.scales().mend().await?;
        self.overtaken |= mended.overtaken;
        for (key, difference) in &found {
            // An inexact difference that a second measurement didn't confirm was no difference.
            if difference.exact || mended.changed.contains(key) || mended.left.contains_key(key) {
                let fixed = !mended.left.contains_key(key);
                for finding in difference.findings(key) {
                    self.report.add(Finding { fixed, ..finding });
                }
            }
        }
        for (key, difference) in mended.left.iter().filter(|(key, _)| !found.contains_key(*key)) {
            difference.findings(key).into_iter().for_each(|finding| self.report.add(finding));
        }
        if mended.left.values().any(|difference| !difference.exact) {
            self.report.notes.push(BUSY.to_owned());
        }
        Ok(())
    }

    /// Reports students whom the last sync couldn't store an assignment for, and students whom this walk couldn't
    /// repair for the same reason.
    async fn problems(&mut self) -> Result<()> {
        if self.standing.problems > 0 {
            let noted = problems::first(self.database(), self.id).await?;
            self.not_stored.extend(noted.iter().map(|note| note.id().to_owned()));
        }
        for student in std::mem::take(&mut self.not_stored) {
            self.report.add(Finding::of_user(Kind::NotStored, &student));
        }
        Ok(())
    }

    /// Reports counts of zero for tasks that the administration doesn't have: tasks that students invented, or that an
    /// edit removed.
    async fn idle_counts(&mut self, found: &[Document]) -> Result<()> {
        let Some(tasks) = &self.standing.tasks else { return Ok(()) };
        let mut left: BTreeSet<String> = BTreeSet::new();
        if self.options.fix && !self.overtaken {
            // Also removes counts that the repairs brought to zero.
            for document in self.scales().stats().await? {
                let Some(write) = without_idle(&document, tasks) else { continue };
                match self.database().commit(vec![write]).await {
                    Ok(_) => {}
                    // The counts are being changed concurrently.
                    Err(StoreError::Conflict(_)) => drop(left.insert(document.id().to_owned())),
                    Err(error) => return Err(error),
                }
            }
        }
        for document in found {
            let fixed = self.options.fix && !self.overtaken && !left.contains(document.id());
            for block in idle_blocks(document, tasks) {
                let finding = Finding::of_counts(Kind::CountsIdle, document.id()).field(block);
                self.report.add(Finding { fixed, ..finding });
            }
        }
        Ok(())
    }

    /// Reports the counts of an administration that doesn't exist.
    async fn counts_of_nothing(&mut self, stats: Vec<Document>) -> Result<()> {
        for document in stats {
            let mut finding = Finding::of_counts(Kind::CountsStray, document.id());
            if self.options.fix {
                let unchanged = Precondition::UpdatedAt(document.update_time);
                match self.database().commit(vec![Write::delete(document.path.clone()).when(unchanged)]).await {
                    Ok(_) => finding.fixed = true,
                    Err(StoreError::Conflict(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            self.report.add(finding);
        }
        Ok(())
    }
}

const BUSY: &str = "some counts moved all the while and could not be compared: run again at a quieter time";

fn is_id(id: &str) -> bool {
    administration_path(id).is_ok()
}

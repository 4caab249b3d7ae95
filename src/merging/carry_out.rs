//! Merging two users, step by step.
//!
//! The order of steps keeps the data consistent at every moment. First, assignments that the merged user (`from`) lost
//! are recorded for the remaining user (`into`). Then the remaining user gets the merged user's orgs, so that
//! assignments moved to them stay. Then assignments move, each with its counts and both users' lists in one commit;
//! then runs; then accounts; and at last the merged user is archived. An interrupted merge is recognised by
//! `mergingInto` in the merged user's document and continues when it's requested again. Steps that are done already
//! cost reads only.

use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;

use super::decide::{joined, merged_assignment, retired, taken_over};
use crate::app::App;
use crate::assignments::build::Decision;
use crate::assignments::settlement::Settlement;
use crate::assignments::side_effects::{Memory, user_writes};
use crate::claims::ClaimsError;
use crate::claims::edit::EditError;
use crate::documents::administration::administration_path;
use crate::documents::archive::{DELETED_AT, archive_path, kept};
use crate::documents::assignment::assignment_path;
use crate::documents::consent;
use crate::documents::former::{FORMER, all_former, entry_path};
use crate::documents::user::copy::new_copy;
use crate::documents::user::merged::{MERGING_INTO, is_merged, refusal};
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::{self, user_path};
use crate::fields;
use crate::following::look_again;
use crate::payload::Id;
use crate::runtime::FunctionError;
use crate::store::{
    Database, DocPath, Document, FieldOp, FieldPath, Precondition, Query, StoreError, Transaction, Transform, Value,
    Write,
};

/// Runs, or trials of one run, read at once. Clients make them, and each may have a million bytes.
const AT_ONCE: u32 = 50;
/// Documents moved in one commit, of two writes each.
const BATCH: usize = 100;
/// Relations of users, by their fields.
const RELATIONS: [&str; 3] = [user::field::CHILD_IDS, user::field::PARENT_IDS, user::field::TEACHER_IDS];
/// Subcollections of a user's documents besides assignments and runs.
const BESIDES: [&str; 3] = ["externalData", "surveyResponses", consent::COLLECTION];

/// Why users can't be merged.
#[derive(Debug, Error)]
pub enum MergeError {
    /// No such user exists; names the field, `from` or `into`.
    #[error("{0} names no user")]
    Missing(&'static str),
    /// The users aren't one person, or one of them is merged already. The message is for people.
    #[error("{0}")]
    Refused(String),
    /// The claims can't be written or published.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A change of rights was refused.
    #[error("{}", .0.message)]
    Function(FunctionError),
}

impl From<EditError<StoreError>> for MergeError {
    fn from(error: EditError<StoreError>) -> Self {
        match error.into() {
            ClaimsError::Store(error) => MergeError::Store(error),
            error => MergeError::Claims(error),
        }
    }
}

/// What merging two users changes, or has changed. IDs only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Merged {
    /// The user who is merged.
    #[schemars(with = "Id")]
    pub from: String,
    /// The user who stays.
    #[schemars(with = "Id")]
    pub into: String,
    /// It's done; else it's only shown.
    pub applied: bool,
    /// Nothing was left to be done.
    pub already_merged: bool,
    /// Orgs that the user who stays gets.
    pub orgs: Vec<String>,
    /// Administrations whose assignment the user who stays gets.
    pub assignments_moved: Vec<String>,
    /// Administrations of which both have an assignment: the better progress of both counts.
    pub assignments_combined: Vec<String>,
    /// Runs that become theirs.
    pub runs: u64,
    /// Entries of rosters that become theirs.
    pub roster_entries: u64,
    /// Auth UIDs of accounts that sign in as the user who stays afterwards.
    pub accounts: Vec<String>,
    /// Auth UIDs of accounts whose rights go over to these, and who sign in as nobody afterwards.
    pub accounts_given_up: Vec<String>,
    /// Users who are related to the one who goes, and then to the one who stays.
    pub relations: u64,
}

/// Merges `from` into `into`, or, without `apply`, reports what that would change. `by` is the caller's UID.
pub async fn merge(app: &App, from: &str, into: &str, apply: bool, by: &str) -> Result<Merged, MergeError> {
    let (from_path, into_path) = (user_path(from)?, user_path(into)?);
    let work = UserMerge { app, from: from_path, into: into_path, apply, by };
    let (from_user, into_user) = work.users().await?;
    work.check_not_suspended().await?;
    let mut merged = Merged { from: from.to_owned(), into: into.to_owned(), applied: apply, ..Merged::default() };
    let held = current_orgs(&into_user.fields).to_set();
    merged.orgs = current_orgs(&from_user.fields).difference(&held).flatten();
    let was_merged = is_merged(&from_user.fields);
    let put_by = work.former(&from_user).await?;
    work.take_over().await?;
    work.copy(&into_user).await?;
    work.assignments(&mut merged).await?;
    merged.runs = work.runs().await?;
    work.besides().await?;
    merged.roster_entries = work.entries().await?;
    work.claims(&mut merged).await?;
    merged.relations = work.relations().await?;
    // Runs take over the orgs of their assignments, and recorded former assignments are restored where that is allowed.
    if apply && (!was_merged || put_by || merged.runs > 0) {
        look_again(app, &work.into).await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    }
    work.retire().await?;
    let nothing = Merged { from: merged.from.clone(), into: merged.into.clone(), applied: apply, ..Merged::default() };
    let without_accounts = Merged { accounts: Vec::new(), ..merged.clone() };
    merged.already_merged = was_merged && without_accounts == nothing;
    Ok(merged)
}

/// A merge in progress.
pub(super) struct UserMerge<'a> {
    pub(super) app: &'a App,
    pub(super) from: DocPath,
    pub(super) into: DocPath,
    /// Whether to write; otherwise it's a dry run.
    pub(super) apply: bool,
    pub(super) by: &'a str,
}

impl UserMerge<'_> {
    pub(super) fn admin(&self) -> &Database {
        &self.app.stores.admin
    }

    fn assessment(&self) -> &Database {
        &self.app.stores.assessment
    }

    async fn users(&self) -> Result<(Document, Document), MergeError> {
        checked(self.admin().get_all(&[self.from.clone(), self.into.clone()]).await?)
    }

    pub(super) async fn commit(&self, database: &Database, writes: Vec<Write>) -> Result<(), StoreError> {
        if self.apply {
            database.commit(writes).await?;
        }
        Ok(())
    }

    /// Records the work that the merged user did in assignments they lost: the better progress counts there, too,
    /// whether the remaining user has the assignment or may get it again. True when something was recorded.
    async fn former(&self, from: &Document) -> Result<bool, MergeError> {
        let mut put_by = false;
        if self.apply {
            for (id, _) in all_former(&from.fields) {
                put_by |= self.former_assignment(id).await?;
            }
        }
        Ok(put_by)
    }

    async fn former_assignment(&self, id: &str) -> Result<bool, MergeError> {
        let own_place = assignment_path(&self.into, id)?;
        let archives = [archive_path(&assignment_path(&self.from, id)?)?, archive_path(&own_place)?];
        let administration = administration_path(id)?;
        let places = [archives[0].clone(), archives[1].clone(), own_place, administration];
        let places = &places;
        let done = self.admin().transaction(|tx| async move {
            let (from, into) = self.both(&tx).await?;
            let found = tx.get_all(places).await?;
            let [Some(theirs), archived, own, administration] =
                <[Option<Document>; 4]>::try_from(found).unwrap_or_default()
            else {
                return Ok(false);
            };
            let (went, theirs) = (theirs.fields.get(DELETED_AT).cloned(), kept(&theirs.fields));
            let now = self.app.now();
            if let Some(own) = own {
                let wanted = merged_assignment(Some(&own.fields), &theirs, &into.fields, now);
                if wanted != own.fields {
                    let mut settlement = Settlement::new(id, now);
                    let settled = settlement.settle(&into, Some(&own), Decision::Update(wanted))?;
                    tx.write_all(settled.of_assignment).await;
                    tx.write_all(user_writes(&into.path, settled.step.as_slice(), now)).await;
                    if administration.is_some() {
                        tx.write_all(settlement.counts(Precondition::None)?).await;
                    }
                }
                return Ok(false);
            }
            let before = archived.as_ref().map(|archived| kept(&archived.fields));
            let mut wanted = merged_assignment(before.as_ref(), &theirs, &into.fields, now);
            if before.as_ref() != Some(&wanted) {
                wanted.extend(
                    archived
                        .and_then(|archived| archived.fields.get(DELETED_AT).cloned())
                        .or(went)
                        .map(|went| (DELETED_AT.to_owned(), went)),
                );
                tx.write(Write::set(places[1].clone(), wanted)).await;
            }
            let entry = |user: &Document| user.fields.get(FORMER)?.as_map()?.get(id).cloned();
            let own = entry(&into);
            if let Some(theirs) = entry(&from)
                && let entry = joined(own.as_ref(), &theirs)
                && own.as_ref() != Some(&entry)
            {
                let fields = fields! { FORMER => Value::Map([(id.to_owned(), entry)].into()) };
                tx.write(Write::merge(into.path.clone(), fields, vec![entry_path(id)]).when(Precondition::Exists))
                    .await;
            }
            Ok::<_, MergeError>(true)
        });
        Ok(done.await?.0)
    }

    /// Gives the remaining user the merged user's data, and records on the merged user that a merge is in progress.
    async fn take_over(&self) -> Result<(), MergeError> {
        if !self.apply {
            return Ok(());
        }
        let taken = self.admin().transaction(|tx| async move {
            let (from, into) = self.both(&tx).await?;
            let wanted = taken_over(&into.fields, from.id(), &from.fields, self.app.now());
            if !wanted.is_empty() {
                tx.write(Write::update(into.path.clone(), wanted)).await;
            }
            if !is_merged(&from.fields) && !from.fields.contains_key(MERGING_INTO) {
                tx.write(Write::update(from.path.clone(), fields! { MERGING_INTO => into.id() })).await;
            }
            Ok::<_, MergeError>(())
        });
        taken.await.map(|_| ())
    }

    /// Both users as they are now; fails unless they can still be merged.
    async fn both(&self, tx: &Transaction) -> Result<(Document, Document), MergeError> {
        checked(tx.get_all(&[self.from.clone(), self.into.clone()]).await?)
    }

    /// Creates the de-identified copy of the remaining user where only the merged user has one. An existing copy
    /// follows its user anyway.
    async fn copy(&self, into: &Document) -> Result<(), MergeError> {
        let found = self.assessment().get_all(&[self.from.clone(), self.into.clone()]).await?;
        let [Some(theirs), None] = found.as_slice() else { return Ok(()) };
        let uid = user::assessment_uid(&theirs.fields).unwrap_or_default();
        let into = self.admin().get(&self.into).await?.unwrap_or_else(|| into.clone());
        let copy = new_copy(&into.fields, uid, self.app.now());
        match self.commit(self.assessment(), vec![Write::create(self.into.clone(), copy)]).await {
            Ok(()) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn assignments(&self, merged: &mut Merged) -> Result<(), MergeError> {
        let theirs = self.admin().query(Query::collection(format!("{}/assignments", self.from)).select(&[])).await?;
        for assignment in theirs {
            let id = assignment.id().to_owned();
            let had = match self.apply {
                true => self.assignment(&id).await?,
                false => Some(self.admin().get(&assignment_path(&self.into, &id)?).await?.is_some()),
            };
            match had {
                Some(true) => merged.assignments_combined.push(id),
                Some(false) => merged.assignments_moved.push(id),
                None => {}
            }
        }
        Ok(())
    }

    /// Merges one assignment, with both users' lists and the counts, in one commit. True when the remaining user had
    /// the assignment; `None` when the merged user has it no more.
    async fn assignment(&self, id: &str) -> Result<Option<bool>, MergeError> {
        let administration = administration_path(id)?;
        let places = [assignment_path(&self.from, id)?, assignment_path(&self.into, id)?];
        let (administration, places) = (&administration, &places);
        let done = self.admin().transaction(|tx| async move {
            let (from, into) = self.both(&tx).await?;
            let found = tx.get_all(&[places[0].clone(), places[1].clone(), administration.clone()]).await?;
            let [Some(theirs), own, administration] = <[Option<Document>; 3]>::try_from(found).unwrap_or_default()
            else {
                return Ok(None);
            };
            let now = self.app.now();
            let wanted = merged_assignment(own.as_ref().map(|own| &own.fields), &theirs.fields, &into.fields, now);
            let decision = match &own {
                Some(own) if own.fields == wanted => Decision::Nothing,
                Some(_) => Decision::Update(wanted),
                None => Decision::Create(wanted),
            };
            let mut settlement = Settlement::new(id, now);
            let of_own = settlement.settle(&into, own.as_ref(), decision)?;
            let mut of_theirs = settlement.settle(&from, Some(&theirs), Decision::Delete)?;
            // The assignment moves rather than being lost, so it needn't be remembered for restoring.
            if let Some(step) = &mut of_theirs.step {
                step.memory = Memory::Past;
            }
            for (user, settled) in [(&into, of_own), (&from, of_theirs)] {
                tx.write_all(settled.of_assignment).await;
                tx.write_all(user_writes(&user.path, settled.step.as_slice(), now)).await;
            }
            // Counts of a deleted administration must not be recreated.
            if administration.is_some() {
                tx.write_all(settlement.counts(Precondition::None)?).await;
            }
            Ok::<_, MergeError>(Some(own.is_some()))
        });
        Ok(done.await?.0)
    }

    /// Moves all runs with their trials. Trials move first, because readers of a run expect them.
    async fn runs(&self) -> Result<u64, MergeError> {
        let theirs = Query::collection(format!("{}/runs", self.from));
        if !self.apply {
            return Ok(self.assessment().count(theirs).await?);
        }
        let mut moved = 0;
        loop {
            // Moved runs no longer match the query, so it always starts from the beginning.
            let runs = self.assessment().query(theirs.clone().limit(AT_ONCE)).await?;
            for run in &runs {
                loop {
                    let trials = Query::collection(format!("{}/trials", run.path)).limit(AT_ONCE);
                    let trials = self.assessment().query(trials).await?;
                    self.carry(self.assessment(), &trials).await?;
                    if trials.len() < AT_ONCE as usize {
                        break;
                    }
                }
                self.carry(self.assessment(), std::slice::from_ref(run)).await?;
            }
            moved += runs.len() as u64;
            if runs.len() < AT_ONCE as usize {
                return Ok(moved);
            }
        }
    }

    /// Moves the other subcollections of the merged user.
    async fn besides(&self) -> Result<(), MergeError> {
        for collection in BESIDES {
            let theirs = self.admin().query(Query::collection(format!("{}/{collection}", self.from))).await?;
            self.carry(self.admin(), &theirs).await?;
        }
        Ok(())
    }

    /// Moves documents from the merged user to the remaining one. At any time each document exists at exactly one of
    /// the two paths.
    async fn carry(&self, database: &Database, documents: &[Document]) -> Result<(), MergeError> {
        for batch in documents.chunks(BATCH) {
            let moves = batch.iter().map(|document| {
                let there = Write::create(self.below_into(&document.path)?, document.fields.clone());
                Ok([there, Write::delete(document.path.clone()).when(Precondition::UpdatedAt(document.update_time))])
            });
            let moves: Vec<[Write; 2]> = moves.collect::<Result<_, StoreError>>()?;
            match self.commit(database, moves.into_iter().flatten().collect()).await {
                // Somebody is writing to one of these documents, or they are too much for one commit: move them one by
                // one.
                Err(StoreError::Conflict(_) | StoreError::InvalidArgument(_)) => {
                    for document in batch {
                        self.carry_one(database, &document.path).await?;
                    }
                }
                committed => committed?,
            }
        }
        Ok(())
    }

    /// Moves one document as it is now. Where the target exists already, an open browser has kept writing to the old
    /// path what belongs to the new one.
    async fn carry_one(&self, database: &Database, path: &DocPath) -> Result<(), MergeError> {
        let places = [path.clone(), self.below_into(path)?];
        let places = &places;
        let carried = database.transaction(|tx| async move {
            let found = tx.get_all(places).await?;
            let [Some(theirs), own] = <[Option<Document>; 2]>::try_from(found).unwrap_or_default() else {
                return Ok(());
            };
            let there = match own {
                None => Write::create(places[1].clone(), theirs.fields),
                Some(_) => {
                    let mask = theirs.fields.keys().map(FieldPath::top).collect();
                    Write::merge(places[1].clone(), theirs.fields, mask)
                }
            };
            tx.write_all([there, Write::delete(theirs.path)]).await;
            Ok::<_, StoreError>(())
        });
        Ok(carried.await.map(|_| ())?)
    }

    fn below_into(&self, path: &DocPath) -> Result<DocPath, StoreError> {
        let below = path.as_str().strip_prefix(self.from.as_str()).unwrap_or_default();
        DocPath::new(format!("{}{below}", self.into))
    }

    /// Replaces the merged user by the remaining one in others' lists of children, parents and teachers.
    async fn relations(&self) -> Result<u64, MergeError> {
        let mut related = 0;
        for field in RELATIONS {
            let query =
                Query::collection(user::COLLECTION).filter(field, FieldOp::ArrayContains, self.from.id()).select(&[]);
            for user in self.admin().query(query).await? {
                related += 1;
                let with =
                    |transform| Write::transform(user.path.clone(), Vec::new()).with(FieldPath::top(field), transform);
                let remove = with(Transform::Remove(vec![Value::from(self.from.id())]));
                let add = with(Transform::Union(vec![Value::from(self.into.id())]));
                // A user must not be their own relation.
                let writes = if user.path == self.into { vec![remove] } else { vec![remove, add] };
                self.commit(self.admin(), writes).await?;
            }
        }
        Ok(related)
    }

    /// Archives the merged user, with a pointer to the remaining one, once all their data is moved.
    async fn retire(&self) -> Result<(), MergeError> {
        if !self.apply {
            return Ok(());
        }
        let retiring = self.admin().transaction(|tx| async move {
            let (from, into) = self.both(&tx).await?;
            if let Some((fields, mask)) = retired(&from.fields, into.id(), &into.fields, self.app.now()) {
                tx.write(Write::merge(from.path.clone(), fields, mask).when(Precondition::Exists)).await;
            }
            Ok::<_, MergeError>(())
        });
        retiring.await.map(|_| ())
    }
}

/// Both users as they were read; fails unless they can be merged.
fn checked(found: Vec<Option<Document>>) -> Result<(Document, Document), MergeError> {
    let [from, into] = <[Option<Document>; 2]>::try_from(found).unwrap_or_default();
    let (from, into) = (from.ok_or(MergeError::Missing("from"))?, into.ok_or(MergeError::Missing("into"))?);
    match refusal((from.id(), &from.fields), (into.id(), &into.fields)) {
        Some(why) => Err(MergeError::Refused(why)),
        None => Ok((from, into)),
    }
}

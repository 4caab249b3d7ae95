//! A transaction that brings a user's assignments in line with the user.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::app::App;
use crate::assignments::build::{Decision, FormerAssignment};
use crate::assignments::counts::life;
use crate::assignments::follow::{Follower, assigned_by, is_open, needs_administration};
use crate::assignments::settlement::Settlement;
use crate::assignments::side_effects::{lists_assignment, user_writes};
use crate::documents::administration::{self, Administration, administration_path};
use crate::documents::administration_org::{self, OrgSubcollection};
use crate::documents::administration_sync::{Control, State};
use crate::documents::archive::archive_path;
use crate::documents::assignment::{self, assignment_path};
use crate::documents::former::all_former;
use crate::documents::history;
use crate::documents::org_lists::OrgSet;
use crate::documents::user::grade::level_of;
use crate::documents::user::orgs::{current_orgs, history_changes, with_history};
use crate::documents::user::{self, archived_unsaid, is_living, is_of_type};
use crate::fields;
use crate::orgs::{OrgLists, OrgTree, Reach, load_tree};
use crate::store::size::fields_size;
use crate::store::{
    DocPath, Document, FieldPath, Fields, Precondition, Query, StoreError, Timestamp, Transaction, Value, Write,
};
use crate::users::change::UserChange;

/// About how many writes one transaction may have; users with more changes take several transactions.
const MOST_WRITES: usize = 400;
/// How many bytes of assignments one transaction may have: Firestore takes 10 MiB.
const MOST_BYTES: usize = 5 << 20;

/// The result of a pass.
pub(super) enum Pass {
    /// The user no longer exists.
    Gone,
    /// All assignments agree with the user.
    Done(Followed),
}

/// The assignments that are now in line with their user.
pub(super) struct Followed {
    /// The user as the assignments show them.
    pub(super) user: Document,
    /// The orgs of each open assignment, assigning and reading; `None` for assignments that were deleted.
    pub(super) lists: BTreeMap<String, Option<(OrgLists, OrgLists)>>,
    /// Assignments that are new to the user, according to the user's document and the archives.
    pub(super) joined: Vec<String>,
}

/// Whether a transaction checks that the documents it increments exist.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existence {
    /// Assume that every administration whose counts change exists and has counts for every org; otherwise the commit
    /// fails with a conflict.
    Assumed,
    /// Read the documents to find out.
    Verified,
}

enum Attempt {
    Gone,
    /// More changes remain than fit into one transaction.
    More,
    Done(Followed),
}

/// Brings the assignments in line, in as many transactions as needed.
///
/// Reads, when orgs changed: the user, their open assignments, a document of `assignedOrgs` for each pair of an open
/// administration and one of the user's orgs, and the orgs with their ancestors. For each administration that is new to
/// the user, also the administration, the path of the assignment, and the path of its archive where the user had the
/// assignment before. The same three for each administration that the user left with begun work and that none of the
/// user's orgs leads to, until the user has it again. Reads otherwise: the user, the assignments (all, when the date of
/// birth changed), and the administrations whose conditions depend on what changed.
pub(super) async fn run(app: &App, user: &DocPath, change: &UserChange, at: Timestamp) -> Result<Pass, StoreError> {
    let mut known = Existence::Assumed;
    loop {
        let attempt = app.stores.admin.transaction(|tx| attempt(app, tx, user, change, at, known)).await;
        match attempt {
            Ok((Attempt::Gone, _)) => return Ok(Pass::Gone),
            Ok((Attempt::Done(followed), _)) => return Ok(Pass::Done(followed)),
            Ok((Attempt::More, _)) => {}
            Err(StoreError::Conflict(_)) if known == Existence::Assumed => known = Existence::Verified,
            Err(error) => return Err(error),
        }
    }
}

async fn attempt(
    app: &App,
    tx: Transaction,
    path: &DocPath,
    change: &UserChange,
    at: Timestamp,
    known: Existence,
) -> Result<Attempt, StoreError> {
    let Some(mut user) = tx.get(path).await? else { return Ok(Attempt::Gone) };
    let now = app.now();
    let mut writes: Vec<Write> = own_changes(app, &mut user, change, at).into_iter().collect();
    let assignments = assignments(&tx, path, change, now).await?;
    let assignable = is_of_type(&user.fields, &app.settings.assigned_user_types);
    let orgs = current_orgs(&user.fields);
    let brings = change.orgs || change.learnt || (change.grade && app.settings.assign_on_promotion);
    let asks = brings && assignable && is_living(&user.fields);
    let (assigned, tree) = if asks { assigned(app, &tx, &orgs, now).await? } else { Default::default() };
    let follower = Follower {
        user: &user.fields,
        assignable,
        change,
        tree: &tree,
        assign_on_promotion: app.settings.assign_on_promotion,
        now,
    };
    let closed = if asks { lost_while_closed(&user.fields, &assignments, &assigned) } else { BTreeSet::new() };
    let mut known_assignments = assignments;
    let Found { administrations, missing, archived } =
        look_up(&tx, path, &mut known_assignments, &assigned, &closed, change, &follower).await?;

    let none = OrgSet::default();
    let unaccounted = known_assignments.iter().filter(|(id, assignment)| {
        is_open(&assignment.fields, now) && follower.unaccounted(&assignment.fields, assigned.get(*id).unwrap_or(&none))
    });
    let accounted = accounted(&tx, unaccounted.map(|(id, _)| id)).await?;
    let mut lists = BTreeMap::new();
    let mut joined = Vec::new();
    let mut steps = Vec::new();
    let mut more = false;
    let mut bytes = 0;
    let ids: BTreeSet<&String> = known_assignments.keys().chain(&missing).collect();
    for id in ids {
        let existing = known_assignments.get(id);
        let of_user = assigned.get(id).unwrap_or(&none);
        let administration = administrations.get(id);
        let decision = match existing {
            None => match administration {
                Some(administration) => {
                    let former = FormerAssignment::of(&user.fields, id, archived.get(id));
                    follower.join(administration.clone(), of_user.clone(), tree.clone(), former)
                }
                None => continue,
            },
            Some(existing) if !is_open(&existing.fields, now) => follower.closed(&existing.fields),
            Some(existing) => {
                let needed = needs_administration(&existing.fields, change);
                if needed && administration.is_none() && follower.is_assigned() {
                    // The handler of the administration's removal deletes this assignment.
                    tracing::info!(administration = id, "an assignment without an administration stays as it is");
                    continue;
                }
                follower.open(&existing.fields, of_user, accounted.get(id), administration.filter(|_| needed))
            }
        };
        if existing.is_none_or(|existing| is_open(&existing.fields, now)) {
            let after = match &decision {
                Decision::Nothing => existing.map(|existing| &existing.fields),
                Decision::Create(fields) | Decision::Update(fields) => Some(fields),
                Decision::Delete => None,
            };
            let of = |fields: &Fields, name: &str| OrgLists::from_value(fields.get(name));
            lists.insert(
                id.clone(),
                after.map(|fields| {
                    (of(fields, assignment::field::ASSIGNING_ORGS), of(fields, assignment::field::READ_ORGS))
                }),
            );
        }
        let unlisted = existing.is_some() && !lists_assignment(&user.fields, id);
        if decision == Decision::Nothing && !unlisted {
            continue;
        }
        if let Decision::Create(fields) | Decision::Update(fields) = &decision {
            bytes += fields_size(fields);
        }
        if let (Decision::Delete, Some(existing)) = (&decision, existing) {
            // Count the archive's bytes, too.
            bytes += fields_size(&existing.fields);
        }
        if let Decision::Create(fields) = &decision
            && life(fields).is_none()
        {
            joined.push(id.clone());
        }
        if writes.len() >= MOST_WRITES || (bytes > MOST_BYTES && !writes.is_empty()) {
            more = true;
            break;
        }
        let mut settlement = Settlement::new(id, now);
        let settled = settlement.settle(&user, existing, decision)?;
        writes.extend(settled.of_assignment);
        steps.extend(settled.step);
        writes.extend(counts(&tx, &settlement, id, known, existing.is_none() || assigned.contains_key(id)).await?);
    }
    writes.extend(user_writes(path, &steps, now));
    tx.write_all(writes).await;
    Ok(if more { Attempt::More } else { Attempt::Done(Followed { user, lists, joined }) })
}

/// The write of fields that the user's own document lacks: `archived: false` where the field is missing; the school
/// level of a grade; the history of orgs; and the previous student data, where the effect of the change waits for the
/// next save of an administration. Also updates `user`.
fn own_changes(app: &App, user: &mut Document, change: &UserChange, at: Timestamp) -> Option<Write> {
    let mut fields = Fields::new();
    let mut mask = Vec::new();
    if let Some(archived) = archived_unsaid(&user.fields) {
        mask.push(FieldPath::top(user::field::ARCHIVED));
        fields.insert(user::field::ARCHIVED.to_owned(), archived.clone());
        user.fields.insert(user::field::ARCHIVED.to_owned(), archived);
    }
    let is_dealt_with = change.learnt || (change.grade && app.settings.assign_on_promotion && !change.birth);
    if let Some(former) = change.data_before.as_ref().filter(|_| !is_dealt_with)
        && let Some(list) = history::with(&user.fields, former, at)
    {
        mask.push(FieldPath::top(history::BEFORE));
        fields.insert(history::BEFORE.to_owned(), list);
    }
    if change.grade
        && let Some(level) = user::in_student_data(&user.fields, user::field::GRADE).and_then(level_of)
        && let level = level.map(Value::from)
        && user::in_student_data(&user.fields, user::field::SCHOOL_LEVEL) != level.as_ref()
        && let Some(Value::Map(data)) = user.fields.get_mut(user::field::STUDENT_DATA)
    {
        mask.push(FieldPath::of([user::field::STUDENT_DATA, user::field::SCHOOL_LEVEL]));
        match level {
            Some(level) => {
                data.insert(user::field::SCHOOL_LEVEL.to_owned(), level.clone());
                fields.insert(
                    user::field::STUDENT_DATA.to_owned(),
                    Value::Map(fields! { user::field::SCHOOL_LEVEL => level }),
                );
            }
            None => {
                data.remove(user::field::SCHOOL_LEVEL);
            }
        }
    }
    if change.orgs
        && let Some((history, of_history)) = history_changes(&user.fields, &change.left, at)
    {
        user.fields = with_history(&user.fields, &history);
        fields.extend(history);
        mask.extend(of_history);
    }
    (!mask.is_empty()).then(|| Write::merge(user.path.clone(), fields, mask).when(Precondition::Exists))
}

/// The user's assignments by administration: the open ones, or all when the date of birth changed.
async fn assignments(
    tx: &Transaction,
    user: &DocPath,
    change: &UserChange,
    now: Timestamp,
) -> Result<BTreeMap<String, Document>, StoreError> {
    let mut query = Query::collection(format!("{user}/assignments"));
    if !change.birth {
        query = assignment::open(query, now);
    }
    let found = tx.query(query).await?;
    Ok(found.into_iter().map(|assignment| (assignment.id().to_owned(), assignment)).collect())
}

/// The open administrations that the user's orgs lead to, each with those orgs; and the orgs with their ancestors.
async fn assigned(
    app: &App,
    tx: &Transaction,
    orgs: &OrgLists,
    now: Timestamp,
) -> Result<(BTreeMap<String, OrgSet>, Arc<OrgTree>), StoreError> {
    let mut found = Vec::new();
    for (query, _) in OrgSubcollection::Assigned.of_all().each_of(administration_org::field::ORG_ID, &orgs.flatten()) {
        found.extend(tx.query(administration_org::open(query, now)).await?);
    }
    let tree = if orgs.is_empty() { OrgTree::default() } else { load_tree(&app.stores.admin, orgs, Reach::Up).await? };
    Ok((assigned_by(found.iter().map(|org| &org.fields)), Arc::new(tree)))
}

/// The orgs that syncs of these administrations account for: those assigned by a sync that has ended, and also those
/// that a running sync may still remove. No entry for an administration that this service has never synced. Costs a
/// read for each administration.
async fn accounted(
    tx: &Transaction,
    administrations: impl Iterator<Item = &String>,
) -> Result<BTreeMap<String, OrgSet>, StoreError> {
    let paths = administrations.map(|id| Control::path(id)).collect::<Result<Vec<_>, _>>()?;
    if paths.is_empty() {
        return Ok(BTreeMap::new());
    }
    let controls = tx.get_all(&paths).await?.into_iter().flatten();
    let accounted = controls.filter_map(|document| {
        let control = Control::read(&document);
        let mut orgs = control.applied?;
        if control.state != State::Complete {
            orgs.extend(&control.assigned);
            orgs.extend(&control.removing);
        }
        Some((document.id().to_owned(), orgs.to_set()))
    });
    Ok(accounted.collect())
}

/// Administrations, open or closed, that the user lost with begun work and that none of the user's orgs leads to any
/// more.
fn lost_while_closed(
    user: &Fields,
    assignments: &BTreeMap<String, Document>,
    assigned: &BTreeMap<String, OrgSet>,
) -> BTreeSet<String> {
    let begun = all_former(user).filter(|(_, dates)| dates.has_begun()).map(|(id, _)| id);
    begun.filter(|id| !assignments.contains_key(*id) && !assigned.contains_key(*id)).map(str::to_owned).collect()
}

/// Documents that decisions need beside the user and the open assignments.
#[derive(Default)]
struct Found {
    administrations: BTreeMap<String, Administration>,
    /// Administrations for which the user has no assignment.
    missing: BTreeSet<String>,
    /// Archived assignments of the administrations in `missing`.
    archived: BTreeMap<String, Document>,
}

/// Reads the administrations that decisions need, finds those for which the user has no assignment, and reads the
/// archives of their assignments. Also finds open administrations whose assignment still has the dates of a closed one.
async fn look_up(
    tx: &Transaction,
    user: &DocPath,
    assignments: &mut BTreeMap<String, Document>,
    assigned: &BTreeMap<String, OrgSet>,
    closed: &BTreeSet<String>,
    change: &UserChange,
    follower: &Follower<'_>,
) -> Result<Found, StoreError> {
    let missing = assigned.keys().filter(|id| !assignments.contains_key(*id)).chain(closed).cloned().collect();
    let mut found = Found { missing, ..Found::default() };
    let caring = assignments.iter().filter(|(_, assignment)| {
        follower.is_assigned()
            && is_open(&assignment.fields, follower.now)
            && needs_administration(&assignment.fields, change)
    });
    let wanted: BTreeSet<&String> = caring.map(|(id, _)| id).chain(&found.missing).collect();
    let mut paths: Vec<DocPath> = wanted.iter().map(|id| administration_path(id)).collect::<Result<_, _>>()?;
    for id in &found.missing {
        let place = assignment_path(user, id)?;
        paths.push(archive_path(&place)?);
        // After a correction of the date of birth, all existing assignments were read already.
        if !change.birth {
            paths.push(place);
        }
    }
    for document in tx.get_all(&paths).await?.into_iter().flatten() {
        let id = document.id().to_owned();
        match document.path.collection_id() {
            // An administration that can't be assigned leaves everything as it is.
            administration::COLLECTION => {
                let administration = Administration::from_document(&document);
                if administration.fault.is_none() {
                    found.administrations.insert(id, administration);
                }
            }
            assignment::COLLECTION => {
                found.missing.remove(&id);
                assignments.insert(id, document);
            }
            _ => {
                found.archived.insert(id, document);
            }
        }
    }
    Ok(found)
}

/// The writes to an administration's counts. Counts of a deleted administration must not be recreated: `alive` means
/// that this transaction has read the administration or one of its `assignedOrgs`, which are deleted before the counts.
async fn counts(
    tx: &Transaction,
    settlement: &Settlement<'_>,
    id: &str,
    known: Existence,
    alive: bool,
) -> Result<Vec<Write>, StoreError> {
    let usual = settlement.counts(Precondition::Exists)?;
    if usual.is_empty() || (known == Existence::Assumed && !alive) {
        return Ok(usual);
    }
    if !alive && tx.get(&administration_path(id)?).await?.is_none() {
        return Ok(Vec::new());
    }
    settlement.counts(Precondition::None)
}

/// Those of the given administrations that are open and for which the user has no assignment, because the assignment
/// was deleted when the user left an org.
pub(super) async fn lost_while_open(app: &App, user: &DocPath, ids: &[String]) -> Result<Vec<String>, StoreError> {
    let database = &app.stores.admin;
    let places: Vec<DocPath> = ids.iter().filter_map(|id| assignment_path(user, id).ok()).collect();
    let found = database.get_fields(&places, Some(&[])).await?;
    let gone: Vec<DocPath> = places
        .iter()
        .zip(found)
        .filter(|(_, found)| found.is_none())
        .filter_map(|(place, _)| administration_path(place.id()).ok())
        .collect();
    let administrations = database.get_all(&gone).await?.into_iter().flatten();
    let open = administrations.filter(|administration| is_open(&administration.fields, app.now()));
    Ok(open.map(|administration| administration.id().to_owned()).collect())
}

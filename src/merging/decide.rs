//! What merging two users changes about their documents and assignments. Pure.

use std::collections::BTreeMap;

use crate::assignments::build::user_data;
use crate::assignments::counts::{Contribution, begin_life};
use crate::assignments::tasks::Tasks;
use crate::documents::assignment::{self, assessments_of, has_begun, is_complete, is_completed, progress_key, task_id};
use crate::documents::former::FORMER;
use crate::documents::user::merged::{MERGED_FROM, MERGED_INTO, MERGING_INTO};
use crate::documents::user::orgs::{CURRENT, joined_orgs, listed, since, with_current};
use crate::documents::user::same::{ADDRESS_KEY, fold_address};
use crate::documents::user::{self, is_living};
use crate::fields;
use crate::orgs::{OrgLists, OrgType};
use crate::store::{FieldPath, Fields, Timestamp, Value};
use crate::users::imported::IMPORTED;

/// Fields with a single value: the merged user's value counts only where the remaining user has none.
const OWN: [&str; 10] = [
    user::field::ASSESSMENT_PID,
    user::field::ASSESSMENT_UID,
    user::field::DISPLAY_NAME,
    user::field::EMAIL,
    IMPORTED,
    user::field::NAME,
    user::field::SSO,
    user::field::SSO_TYPE,
    user::field::STUDENT_DATA,
    user::field::USERNAME,
];
/// Lists of IDs, which are united.
const LISTS: [&str; 5] = [
    "assessmentsAssigned",
    "assessmentsCompleted",
    user::field::CHILD_IDS,
    user::field::PARENT_IDS,
    user::field::TEACHER_IDS,
];
/// Maps of signed and created things, which are united on every level.
const MAPS: [&str; 4] =
    [user::field::ADMIN_DATA, user::field::CAREGIVER_DATA, user::field::EDUCATOR_DATA, user::field::LEGAL];

/// The fields that the remaining user takes over from the merged one, to be set as they are; empty when nothing is left
/// to take over.
pub fn taken_over(into: &Fields, from_id: &str, from: &Fields, now: Timestamp) -> Fields {
    let mut wanted = Fields::new();
    for org_type in OrgType::ALL {
        if let Some(map) = joined_orgs(into, from, org_type, now) {
            wanted.insert(org_type.plural().to_owned(), map);
        }
    }
    if !is_living(into) && is_living(from) {
        wanted.insert(user::field::ARCHIVED.to_owned(), Value::Boolean(false));
    }
    for name in OWN.into_iter().chain(MAPS).chain(LISTS) {
        let (Some(theirs), own) = (from.get(name).filter(|value| !value.is_null()), into.get(name)) else { continue };
        wanted.insert(name.to_owned(), joined(own, theirs));
    }
    // Include users who were merged into the merged user before.
    let theirs = from.get(MERGED_FROM).and_then(Value::as_array).unwrap_or_default().iter().cloned();
    let known = Value::Array(std::iter::once(Value::from(from_id)).chain(theirs).collect());
    wanted.insert(MERGED_FROM.to_owned(), joined(into.get(MERGED_FROM), &known));
    wanted.retain(|name, value| into.get(name) != Some(value));
    wanted
}

/// The remaining user's value, extended by the merged user's entries of maps and elements of lists.
pub(super) fn joined(own: Option<&Value>, theirs: &Value) -> Value {
    match (own, theirs) {
        (None | Some(Value::Null), theirs) => theirs.clone(),
        (Some(Value::Map(own)), Value::Map(theirs)) => {
            let mut all = own.clone();
            for (name, value) in theirs {
                let value = joined(own.get(name), value);
                all.insert(name.clone(), value);
            }
            Value::Map(all)
        }
        (Some(Value::Array(own)), Value::Array(theirs)) => {
            let mut all = own.clone();
            all.extend(theirs.iter().filter(|item| !own.contains(item)).cloned());
            Value::Array(all)
        }
        (Some(own), _) => own.clone(),
    }
}

/// How the merged user's document changes: archived, out of every org, with a pointer to the remaining user. Values
/// that only one user can have and that the remaining user now has are removed, so that no query finds two users.
/// Returns fields and the mask to write them with; `None` when the document is right already.
pub fn retired(from: &Fields, into_id: &str, into: &Fields, now: Timestamp) -> Option<(Fields, Vec<FieldPath>)> {
    let mut wanted = fields! { user::field::ARCHIVED => true, MERGED_INTO => into_id };
    let mut gone = vec![MERGING_INTO, FORMER];
    for org_type in OrgType::ALL {
        let stored = from.get(org_type.plural()).and_then(Value::as_map);
        if listed(stored, CURRENT).is_empty() {
            continue;
        }
        let map = with_current(stored, Vec::new(), since(from, now), now);
        wanted.insert(org_type.plural().to_owned(), Value::Map(map));
    }
    let folded = |user: &Fields, name: &str| user.get(name).and_then(Value::as_str).map(fold_address);
    for name in [user::field::EMAIL, user::field::USERNAME] {
        if folded(from, name).is_some() && folded(from, name) == folded(into, name) {
            gone.push(name);
        }
    }
    if gone.contains(&user::field::EMAIL) {
        gone.push(ADDRESS_KEY);
    }
    wanted.retain(|name, value| from.get(name) != Some(value));
    let gone = gone.into_iter().filter(|name| from.contains_key(*name));
    let mut mask: Vec<FieldPath> = wanted.keys().map(FieldPath::top).chain(gone.map(FieldPath::top)).collect();
    if mask.is_empty() {
        return None;
    }
    if !from.contains_key(MERGED_INTO) {
        wanted.insert("mergedAt".to_owned(), Value::Timestamp(now));
        mask.push(FieldPath::top("mergedAt"));
    }
    Some((wanted, mask))
}

/// The remaining user's assignment with the better progress of both users in each task: completed beats started,
/// earlier beats later, and all runs are kept. `into` is the remaining user's assignment, if they have one, and `user`
/// their document.
pub fn merged_assignment(into: Option<&Fields>, from: &Fields, user: &Fields, now: Timestamp) -> Fields {
    let tasks = into.map(Tasks::known_to).unwrap_or_default().and(Tasks::known_to(from));
    let mut merged = match into {
        Some(into) => into.clone(),
        None => {
            let mut moved = from.clone();
            moved.remove(assignment::field::COUNTED);
            begin_life(&mut moved, now);
            moved
        }
    };
    let own = into.map(assessments_of).unwrap_or_default();
    let theirs = assessments_of(from);
    let find = |entries: &[Fields], task: &str| entries.iter().find(|entry| task_id(entry) == Some(task)).cloned();
    let mut entries = Vec::new();
    for entry in &own {
        let other = task_id(entry).and_then(|task| find(&theirs, task));
        entries.push(other.map_or_else(|| entry.clone(), |other| better(entry, &other)));
    }
    // Tasks that only the merged user has are added when that user did something in them; all of them, where the
    // remaining user has no assignment.
    let is_new = |entry: &&Fields| task_id(entry).is_some_and(|task| find(&own, task).is_none());
    entries.extend(theirs.iter().filter(is_new).filter(|entry| into.is_none() || has_begun(entry)).cloned());
    let progress = joined_progress(into, from, &entries);
    let entries: Vec<Value> = entries.into_iter().map(Value::Map).collect();
    let flag = |name: &str| {
        let of = |assignment: &Fields| assignment.get(name).and_then(Value::as_bool).unwrap_or(false);
        into.is_some_and(of) || of(from)
    };
    let own_completed =
        into.unwrap_or(from).get(assignment::field::COMPLETED).and_then(Value::as_bool).unwrap_or(false);
    let completed = own_completed || is_complete(&entries, &progress);
    let lists = |name: &str| {
        let mut lists = OrgLists::from_value(into.and_then(|into| into.get(name)));
        lists.extend(&OrgLists::from_value(from.get(name)));
        lists.to_value()
    };
    let assigned = [into, Some(from)].into_iter().flatten();
    let assigned =
        assigned.filter_map(|assignment| assignment.get(assignment::field::DATE_ASSIGNED)?.as_timestamp()).min();
    merged.extend(assigned.map(|assigned| (assignment::field::DATE_ASSIGNED.to_owned(), Value::Timestamp(assigned))));
    merged.extend(fields! {
        assignment::field::STARTED => flag(assignment::field::STARTED),
        assignment::field::COMPLETED => completed,
        assignment::field::PROGRESS => progress,
        assignment::field::ASSESSMENTS => entries,
        assignment::field::ASSIGNING_ORGS => lists(assignment::field::ASSIGNING_ORGS),
        assignment::field::READ_ORGS => lists(assignment::field::READ_ORGS),
        assignment::field::USER_DATA => user_data(user),
    });
    if into != Some(&merged) {
        Contribution::of(&merged, &tasks).record(&mut merged);
    }
    merged
}

/// The rank of a task's progress: completed, started, or neither, and the time; smaller is better.
fn standing(entry: &Fields) -> (u8, Option<Timestamp>) {
    let date = |name: &str| entry.get(name).and_then(Value::as_timestamp);
    match (is_completed(entry), has_begun(entry)) {
        (true, _) => (0, date(assignment::field::COMPLETED_ON)),
        (false, true) => (1, date(assignment::field::STARTED_ON)),
        (false, false) => (2, None),
    }
}

/// The better of two entries of one task, extended by the other's fields and by the runs of both.
fn better(own: &Fields, other: &Fields) -> Fields {
    let key = |entry: &Fields| {
        let (class, date) = standing(entry);
        (class, date.is_none(), date)
    };
    let (best, rest) = if key(other) < key(own) { (other, own) } else { (own, other) };
    let mut entry = best.clone();
    if has_begun(best) {
        for (name, value) in rest {
            entry.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    let runs = |entry: &Fields| assignment::listed_runs(entry);
    let mut all = runs(best);
    all.extend(runs(rest).into_iter().filter(|run| !runs(best).contains(run)).collect::<Vec<_>>());
    if !all.is_empty() {
        entry.insert(assignment::field::ALL_RUN_IDS.to_owned(), Value::strings(all));
    }
    // Whether the task is optional depends on the remaining user.
    entry.extend(
        own.get(assignment::field::OPTIONAL).map(|optional| (assignment::field::OPTIONAL.to_owned(), optional.clone())),
    );
    entry
}

fn joined_progress(into: Option<&Fields>, from: &Fields, entries: &[Fields]) -> Fields {
    const STEPS: [&str; 3] = [assignment::mark::ASSIGNED, assignment::mark::STARTED, assignment::mark::COMPLETED];
    let mut progress: BTreeMap<String, Value> = BTreeMap::new();
    for task in entries.iter().filter_map(task_id) {
        let key = progress_key(task);
        let marks = [into, Some(from)].into_iter().flatten().filter_map(|assignment| {
            let map = assignment.get(assignment::field::PROGRESS)?.as_map()?;
            let mark = map.get(&key).or_else(|| map.get(task))?.as_str()?;
            STEPS.iter().position(|step| *step == mark)
        });
        let best = marks.max().unwrap_or(0);
        progress.insert(key, Value::from(STEPS[best]));
    }
    progress
}

#[cfg(test)]
mod tests;

//! How the runs of a task change the student's assignment (docs/domain/runs.md#what-an-assignment-takes-from-its-runs).
//! Pure.

use super::best::{Run, best};
use crate::documents::assignment::{
    self, is_complete, is_completed, is_set, is_started, names_runs, progress, progress_key, task_id,
};
use crate::fields;
use crate::store::{Fields, Timestamp, Value};

/// How an assignment changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The assignment is right already.
    Same,
    /// The assignment doesn't have the task.
    NoTask,
    /// These fields of the assignment change.
    Changed(Fields),
}

/// Brings the assignment in line with `runs`, which are all runs that the student has of the task in this assignment.
///
/// `left` is the time at which a run was removed, if that is the reason for this update. Then, and only then, a task
/// without runs is cleared of everything that came from runs and of what the client wrote about them up to that time. A
/// task that's hosted elsewhere is completed without any run, and nothing clears that.
pub fn follow(assignment: &Fields, task: &str, runs: &[Run], left: Option<Timestamp>, now: Timestamp) -> Outcome {
    let mut assessments = assignment::assessments(assignment).to_vec();
    let found = assessments.iter_mut().find_map(|assessment| match assessment {
        Value::Map(entry) if task_id(entry) == Some(task) => Some(entry),
        _ => None,
    });
    let Some(entry) = found else { return Outcome::NoTask };
    let old = entry.clone();
    let flag = |name: &str| assignment.get(name).and_then(Value::as_bool).unwrap_or(false);
    let marked = progress_of(assignment, task);
    let (mark, cleared) = match (best(runs), left) {
        (Some(best), _) => {
            fill(entry, best, runs);
            let done = best.completed || is_completed(entry) || marked == Some(assignment::mark::COMPLETED);
            (if done { assignment::mark::COMPLETED } else { assignment::mark::STARTED }, false)
        }
        (None, Some(left)) if clear(entry, left) => {
            (if is_completed(entry) { assignment::mark::COMPLETED } else { assignment::mark::ASSIGNED }, true)
        }
        (None, _) => return Outcome::Same,
    };
    let same_task = *entry == old && stored_progress(assignment, &progress_key(task)) == Some(mark);

    let mut current = progress(assignment, &assessments);
    current.insert(progress_key(task), Value::from(mark));
    let complete = is_complete(&assessments, &current);
    let (started, completed) = if cleared {
        (assessments.iter().any(|assessment| has_started(assessment, &current)), complete)
    } else {
        // Values that the client has set stay; only the removal of work resets them.
        (true, complete || flag(assignment::field::COMPLETED))
    };
    if same_task && started == flag(assignment::field::STARTED) && completed == flag(assignment::field::COMPLETED) {
        return Outcome::Same;
    }
    Outcome::Changed(fields! {
        assignment::field::PROGRESS => whole_progress(assignment, &assessments, current),
        assignment::field::ASSESSMENTS => assessments,
        assignment::field::STARTED => started,
        assignment::field::COMPLETED => completed,
        assignment::field::CLOUD_SYNC_TIMESTAMP => now.as_millisecond(),
    })
}

/// Copies what the runs say into the task's entry.
fn fill(entry: &mut Fields, best: &Run, runs: &[Run]) {
    let mut all: Vec<&Run> = runs.iter().collect();
    all.sort_by(|one, other| one.by_start(other));
    entry.insert(assignment::field::RUN_ID.to_owned(), Value::from(best.id.as_str()));
    entry.insert(assignment::field::ALL_RUN_IDS.to_owned(), Value::strings(all.iter().map(|run| run.id.as_str())));
    let times = [
        (assignment::field::STARTED_ON, best.started),
        (assignment::field::COMPLETED_ON, best.finished.filter(|_| best.completed)),
    ];
    for (name, time) in times {
        match time {
            Some(time) => {
                entry.insert(name.to_owned(), Value::Timestamp(time));
            }
            // Readers take null for a date, so write a date or nothing.
            None if !is_set(entry, name) => {
                entry.remove(name);
            }
            None => {}
        }
    }
}

/// Clears the entry of a task whose last run was removed; false where there is nothing to clear.
///
/// An entry that names runs is cleared entirely. An entry that names none, because the run was created and removed
/// before an event was handled, loses the dates that the client set before the removal; later dates belong to newer
/// work. Either way the entry ends with an empty list of runs, which marks it as cleared.
fn clear(entry: &mut Fields, left: Timestamp) -> bool {
    let names_runs = names_runs(entry);
    let mut cleared = names_runs || entry.get(assignment::field::ALL_RUN_IDS).and_then(Value::as_array).is_none();
    for date in [assignment::field::STARTED_ON, assignment::field::COMPLETED_ON] {
        let earlier = entry.get(date).and_then(Value::as_timestamp).is_some_and(|date| date <= left);
        if names_runs || earlier {
            cleared |= entry.remove(date).is_some();
        }
    }
    if cleared {
        entry.remove(assignment::field::RUN_ID);
        entry.insert(assignment::field::ALL_RUN_IDS.to_owned(), Value::Array(Vec::new()));
    }
    cleared
}

fn has_started(assessment: &Value, progress: &Fields) -> bool {
    let Some(entry) = assessment.as_map() else { return false };
    let mark = task_id(entry).and_then(|task| progress.get(&progress_key(task))).and_then(Value::as_str);
    is_started(entry)
        || is_set(entry, assignment::field::RUN_ID)
        || matches!(mark, Some(assignment::mark::STARTED | assignment::mark::COMPLETED))
}

fn stored_progress<'a>(assignment: &'a Fields, key: &str) -> Option<&'a str> {
    assignment.get(assignment::field::PROGRESS)?.as_map()?.get(key)?.as_str()
}

/// A task's progress, under either form of its key.
fn progress_of<'a>(assignment: &'a Fields, task: &str) -> Option<&'a str> {
    stored_progress(assignment, &progress_key(task)).or_else(|| stored_progress(assignment, task))
}

/// The complete progress map: the tasks' entries under their keys, and all other entries unchanged.
fn whole_progress(assignment: &Fields, assessments: &[Value], current: Fields) -> Fields {
    let mut all = assignment::marks(assignment).cloned().unwrap_or_default();
    for task in assessments.iter().filter_map(Value::as_map).filter_map(task_id) {
        all.remove(task);
    }
    all.extend(current);
    all
}

#[cfg(test)]
mod tests;

//! Compares an assignment with all of its student's runs; where they disagree, the runs win
//! (docs/domain/runs.md#an-assignment-held-against-its-runs). Pure.
//!
//! Usually each run's own event updates its task. A restored assignment has missed such events, and `reconcile` looks
//! for any other disagreement.

use std::collections::{BTreeMap, BTreeSet};

use super::assignment::{Outcome, follow};
use super::best::{self, Run};
use crate::assignments::build::entry;
use crate::documents::administration::Administration;
use crate::documents::assignment::{self, assessments_of, names_runs, progress_key, task_id};
use crate::documents::run;
use crate::store::{Document, Fields, Timestamp, Value};

/// A student's runs of one assignment, by task.
pub type RunsByTask = BTreeMap<String, Vec<Run>>;

/// The fields of runs that [`by_task`] reads.
pub fn fields_by_task() -> Vec<&'static str> {
    best::FIELDS.into_iter().chain([run::field::TASK_ID]).collect()
}

/// Groups run documents by task; runs without a task are left out.
pub fn by_task<'a>(documents: impl IntoIterator<Item = &'a Document>) -> RunsByTask {
    let mut runs = RunsByTask::new();
    for document in documents {
        let task = document.fields.get(run::field::TASK_ID).and_then(Value::as_str).filter(|task| !task.is_empty());
        if let Some(task) = task {
            runs.entry(task.to_owned()).or_default().push(Run::of(document.id(), &document.fields));
        }
    }
    runs
}

/// The fields of the assignment that have to change so that it agrees with the runs; empty when it does.
///
/// A task without runs is cleared where the assignment names runs of the task and all of these are known to be
/// `deleted`. A run that is merely not found clears nothing, because the database may be incomplete. What a client
/// wrote about a task that never had a run stays. A task that has runs and isn't in the assignment is added where
/// `administration`, with the student, defines its entry.
pub fn hold(
    assignment: &Fields,
    runs: &RunsByTask,
    deleted: &BTreeSet<String>,
    administration: Option<(&Administration, &Fields)>,
    now: Timestamp,
) -> Fields {
    let mut held = assignment.clone();
    let mut changes = Fields::new();
    if let Some((administration, user)) = administration {
        join(&mut held, &mut changes, runs, administration, user, now);
    }
    let named = without_runs(&held, runs).into_iter().filter(|(_, named)| named.is_subset(deleted));
    let gone: Vec<String> = named.map(|(task, _)| task).collect();
    let tasks = runs.iter().map(|(task, runs)| (task, runs.as_slice(), None));
    for (task, runs, left) in tasks.chain(gone.iter().map(|task| (task, [].as_slice(), Some(now)))) {
        if let Outcome::Changed(changed) = follow(&held, task, runs, left, now) {
            held.extend(changed.clone());
            changes.extend(changed);
        }
    }
    changes
}

/// The IDs of runs that the assignment names for tasks without any run.
pub fn not_found(assignment: &Fields, runs: &RunsByTask) -> BTreeSet<String> {
    without_runs(assignment, runs).into_values().flatten().collect()
}

fn without_runs(assignment: &Fields, runs: &RunsByTask) -> BTreeMap<String, BTreeSet<String>> {
    let named = assessments_of(assignment).into_iter().filter(names_runs);
    let tasks = named.filter_map(|entry| {
        let task = task_id(&entry).filter(|task| !runs.contains_key(*task))?.to_owned();
        let mut ids = assignment::listed_runs(&entry);
        ids.extend(entry.get(assignment::field::RUN_ID).and_then(Value::as_str).map(str::to_owned));
        Some((task, ids.into_iter().collect()))
    });
    tasks.collect()
}

/// Adds the tasks that have runs and aren't in the assignment.
fn join(
    held: &mut Fields,
    changes: &mut Fields,
    runs: &RunsByTask,
    administration: &Administration,
    user: &Fields,
    now: Timestamp,
) {
    let mut entries = assessments_of(held);
    let has = |entries: &[Fields], task: &str| entries.iter().any(|entry| task_id(entry) == Some(task));
    let missing: Vec<_> = administration
        .assessments
        .iter()
        .filter(|assessment| runs.contains_key(&assessment.task_id) && !has(&entries, &assessment.task_id))
        .collect();
    if missing.is_empty() {
        return;
    }
    let mut progress = assignment::marks(held).cloned().unwrap_or_default();
    for assessment in missing {
        progress.insert(progress_key(&assessment.task_id), Value::from(assignment::mark::ASSIGNED));
        entries.push(entry(assessment, Fields::new(), user, now));
    }
    let entries = Value::Array(entries.into_iter().map(Value::Map).collect());
    for (name, value) in
        [(assignment::field::ASSESSMENTS, entries), (assignment::field::PROGRESS, Value::Map(progress))]
    {
        held.insert(name.to_owned(), value.clone());
        changes.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn run(id: &str, completed: bool) -> Run {
        let fields = fields! { "completed" => completed, "timeStarted" => at(10), "timeFinished" => at(20) };
        Run::of(id, &fields)
    }

    fn runs(of: &[(&str, &[Run])]) -> RunsByTask {
        of.iter().map(|(task, runs)| ((*task).to_owned(), runs.to_vec())).collect()
    }

    fn assignment(tasks: Vec<Fields>) -> Fields {
        let progress: Fields =
            tasks.iter().map(|entry| (task_id(entry).unwrap().to_owned(), Value::from("assigned"))).collect();
        fields! {
            "started" => false, "completed" => false, "progress" => progress,
            "assessments" => tasks.into_iter().map(Value::Map).collect::<Vec<_>>(),
        }
    }

    fn shown(assignment: &Fields, changes: &Fields) -> Vec<String> {
        let mut after = assignment.clone();
        after.extend(changes.clone());
        let progress = after["progress"].as_map().unwrap().clone();
        assessments_of(&after)
            .iter()
            .map(|entry| {
                let task = task_id(entry).unwrap();
                let run = entry.get("runId").and_then(Value::as_str).unwrap_or("-");
                let done = entry.get("completedOn").and_then(Value::as_timestamp).is_some();
                format!("{task} {run} {done} {}", progress[task].as_str().unwrap())
            })
            .collect()
    }

    #[test]
    fn what_the_runs_say_wins() {
        let fresh = |task: &str| fields! { "taskId" => task, "optional" => false };
        let named = fields! {
            "taskId" => "pa", "optional" => false, "runId" => "old", "allRunIds" => Value::strings(["old"]),
            "startedOn" => at(1), "completedOn" => at(2),
        };
        let external = fields! { "taskId" => "survey", "optional" => false, "completedOn" => at(2) };
        let table: Vec<(&str, Fields, RunsByTask, Vec<&str>)> = vec![
            ("nothing", assignment(vec![fresh("pa")]), runs(&[]), vec!["pa - false assigned"]),
            (
                "work that the assignment doesn't know",
                assignment(vec![fresh("pa"), fresh("swr")]),
                runs(&[("pa", &[run("r1", true)]), ("swr", &[run("r2", false)])]),
                vec!["pa r1 true completed", "swr r2 false started"],
            ),
            (
                "another run than the one it names",
                assignment(vec![named.clone()]),
                runs(&[("pa", &[run("r1", true)])]),
                vec!["pa r1 true completed"],
            ),
            ("a run that's gone", assignment(vec![named]), runs(&[]), vec!["pa - false assigned"]),
            ("a task without runs", assignment(vec![external]), runs(&[]), vec!["survey - true assigned"]),
            (
                "a task that's nobody's",
                assignment(vec![fresh("pa")]),
                runs(&[("other", &[run("r1", true)])]),
                vec!["pa - false assigned"],
            ),
        ];
        for (what, assignment, runs, expected) in table {
            let deleted = BTreeSet::from(["old".to_owned()]);
            if runs.is_empty() {
                assert_eq!(hold(&assignment, &runs, &BTreeSet::new(), None, at(100)), Fields::new(), "{what}: unknown");
            }
            let changes = hold(&assignment, &runs, &deleted, None, at(100));
            assert_eq!(shown(&assignment, &changes), expected, "{what}");
            let mut after = assignment.clone();
            after.extend(changes);
            assert_eq!(hold(&after, &runs, &deleted, None, at(200)), Fields::new(), "{what}: held twice");
        }
    }

    #[test]
    fn a_task_with_runs_joins_the_assignment() {
        let of = fields! {
            "assessments" => vec![Value::Map(fields! { "taskId" => "swr", "params" => fields! { "a" => 1 } })],
        };
        let administration = Administration::from_fields("a", of);
        let bare = assignment(vec![fields! { "taskId" => "pa", "optional" => false }]);
        let runs = runs(&[("swr", &[run("r1", true)])]);
        let user = Fields::new();
        let changes = hold(&bare, &runs, &BTreeSet::new(), Some((&administration, &user)), at(100));
        assert_eq!(shown(&bare, &changes), ["pa - false assigned", "swr r1 true completed"]);
        assert_eq!(changes.get("started"), Some(&Value::Boolean(true)));
    }
}

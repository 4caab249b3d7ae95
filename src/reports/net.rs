//! Counts as pages show them: net and disjoint, where the stored ones are cumulative
//! (docs/domain/dashboard.md#getassignmentstats). Pure.

use serde_json::{Map, Value as Json, json};

use crate::documents::stats::Counters;
use crate::documents::stats::field::ASSIGNMENT;
use crate::store::{Fields, Value};

/// The net counts of a block: those who have yet to start, who have started and not completed, who have
/// completed. They add up to all who are assigned, also where older counts miss that a task hosted elsewhere
/// is completed without a start; and none is negative, whatever is stored.
pub fn net(counters: Counters) -> Json {
    let completed = counters.completed.max(0);
    let begun = counters.started.max(completed);
    let waiting = counters.assigned.saturating_sub(begun).max(0);
    json!({ "assigned": waiting, "started": begun - completed, "completed": completed })
}

/// The counters of whole assignments in a document of counts; zeros where it has none.
pub fn of_assignments(counts: &Fields) -> Counters {
    counts.get(ASSIGNMENT).and_then(Counters::read).unwrap_or_default()
}

/// An administration's counts as `getAssignmentStats` gives them: of whole assignments, and of each of the
/// tasks, if any are asked for. Tasks have their raw IDs; one that's nowhere counted has zeros.
pub fn flat(counts: &Fields, tasks: Option<&[String]>) -> Json {
    let mut answer = net(of_assignments(counts));
    if let Some(tasks) = tasks {
        // The block of whole assignments stands among those of tasks.
        let of_task = |task: &String| counts.get(task).filter(|_| task != ASSIGNMENT).and_then(Counters::read);
        let by_task: Map<String, Json> =
            tasks.iter().map(|task| (task.clone(), net(of_task(task).unwrap_or_default()))).collect();
        answer["byTask"] = Json::Object(by_task);
    }
    answer
}

/// The counts of one key in the single document that older administrations have, keyed by org
/// (docs/domain/decisions.md#a-5).
pub fn legacy<'a>(completion: &'a Fields, key: &str) -> Option<&'a Fields> {
    completion.get(key).and_then(Value::as_map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    fn shown(assigned: i64, started: i64, completed: i64) -> Json {
        json!({ "assigned": assigned, "started": started, "completed": completed })
    }

    #[test]
    fn cumulative_counts_become_disjoint() {
        // As stored: assigned, started, completed. As shown: yet to start, started, completed.
        let table = [
            ((10, 6, 2), (4, 4, 2)),
            ((10, 0, 0), (10, 0, 0)),
            ((10, 10, 10), (0, 0, 10)),
            ((0, 0, 0), (0, 0, 0)),
            // Completed without a start, in counts of the past.
            ((10, 1, 3), (7, 0, 3)),
            // Counts that are off.
            ((2, 5, 1), (0, 4, 1)),
            ((-1, -2, -3), (0, 0, 0)),
            ((i64::MIN, i64::MAX, i64::MIN), (0, i64::MAX, 0)),
        ];
        for ((assigned, started, completed), (a, s, c)) in table {
            assert_eq!(net(Counters { assigned, started, completed }), shown(a, s, c), "{assigned} {started}");
        }
    }

    #[test]
    fn tasks_are_shown_when_asked_for() {
        let block = |assigned: i64, started: i64| fields! { "assigned" => assigned, "started" => started };
        let counts = fields! { "assignment" => block(3, 1), "roar-inference" => block(2, 2), "updatedAt" => 1 };
        assert_eq!(flat(&counts, None), shown(2, 1, 0));
        let tasks = ["roar-inference", "pa", "updatedAt", "assignment"].map(str::to_owned);
        let mut expected = shown(2, 1, 0);
        expected["byTask"] = json!({
            "roar-inference": shown(0, 2, 0), "pa": shown(0, 0, 0), "updatedAt": shown(0, 0, 0),
            "assignment": shown(0, 0, 0),
        });
        assert_eq!(flat(&counts, Some(&tasks)), expected);
        assert_eq!(flat(&Fields::new(), Some(&[]))["byTask"], json!({}));
    }
}

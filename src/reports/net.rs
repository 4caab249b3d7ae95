//! Counts as pages show them: disjoint, whereas the stored counts are cumulative
//! (docs/domain/dashboard.md#getassignmentstats). Pure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::documents::stats::Counters;
use crate::documents::stats::field::ASSIGNMENT;
use crate::store::{Fields, Value};

/// Counts that add up to all who are assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Net {
    /// Students who have yet to start.
    #[schemars(range(min = 0))]
    pub assigned: i64,
    /// Students who have started, and aren't done.
    #[schemars(range(min = 0))]
    pub started: i64,
    /// Students who are done.
    #[schemars(range(min = 0))]
    pub completed: i64,
}

/// An administration's counts, as `getAssignmentStats` gives them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Stats {
    /// Of whole assignments.
    #[serde(flatten)]
    pub all: Net,
    /// The same by task, where tasks were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, Net>")]
    pub by_task: Option<BTreeMap<String, Net>>,
}

/// The net counts of a block of counters: students who have yet to start, who have started and not completed, and who
/// have completed. These add up to all assigned students, even in older counts, which didn't count a start for a task
/// that's hosted elsewhere and completed without one. No net count is negative, whatever is stored.
pub fn net(counters: Counters) -> Net {
    let completed = counters.completed.max(0);
    let begun = counters.started.max(completed);
    let waiting = counters.assigned.saturating_sub(begun).max(0);
    Net { assigned: waiting, started: begun - completed, completed }
}

/// The counters of whole assignments in a document of counts; zeros where it has none.
pub fn of_assignments(counts: &Fields) -> Counters {
    counts.get(ASSIGNMENT).and_then(Counters::read).unwrap_or_default()
}

/// An administration's counts as `getAssignmentStats` gives them: of whole assignments, and of each of the
/// tasks, if any are asked for. Tasks have their raw IDs; a task without counts has zeros.
pub fn flat(counts: &Fields, tasks: Option<&[String]>) -> Stats {
    // The block of whole assignments is stored beside those of tasks, and must not be read as a task's.
    let of_task = |task: &String| counts.get(task).filter(|_| task != ASSIGNMENT).and_then(Counters::read);
    let net_of_task = |task: &String| (task.clone(), net(of_task(task).unwrap_or_default()));
    Stats { all: net(of_assignments(counts)), by_task: tasks.map(|tasks| tasks.iter().map(net_of_task).collect()) }
}

/// The counts of one key in the single document that older administrations have, keyed by org
/// (docs/domain/decisions.md#a-5).
pub fn legacy<'a>(completion: &'a Fields, key: &str) -> Option<&'a Fields> {
    completion.get(key).and_then(Value::as_map)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::fields;

    fn shown(assigned: i64, started: i64, completed: i64) -> Json {
        json!({ "assigned": assigned, "started": started, "completed": completed })
    }

    fn as_json(counts: impl Serialize) -> Json {
        serde_json::to_value(counts).unwrap()
    }

    #[test]
    fn cumulative_counts_become_disjoint() {
        // Each case: the stored counts (assigned, started, completed), and the shown ones (yet to start, started,
        // completed).
        let table = [
            ((10, 6, 2), (4, 4, 2)),
            ((10, 0, 0), (10, 0, 0)),
            ((10, 10, 10), (0, 0, 10)),
            ((0, 0, 0), (0, 0, 0)),
            // Older counts of a task that was completed without a start.
            ((10, 1, 3), (7, 0, 3)),
            // Inconsistent counts.
            ((2, 5, 1), (0, 4, 1)),
            ((-1, -2, -3), (0, 0, 0)),
            ((i64::MIN, i64::MAX, i64::MIN), (0, i64::MAX, 0)),
        ];
        for ((assigned, started, completed), (a, s, c)) in table {
            let net = as_json(net(Counters { assigned, started, completed }));
            assert_eq!(net, shown(a, s, c), "{assigned} {started}");
        }
    }

    #[test]
    fn tasks_are_shown_when_asked_for() {
        let block = |assigned: i64, started: i64| fields! { "assigned" => assigned, "started" => started };
        let counts = fields! { "assignment" => block(3, 1), "roar-inference" => block(2, 2), "updatedAt" => 1 };
        assert_eq!(as_json(flat(&counts, None)), shown(2, 1, 0));
        let tasks = ["roar-inference", "pa", "updatedAt", "assignment"].map(str::to_owned);
        let mut expected = shown(2, 1, 0);
        expected["byTask"] = json!({
            "roar-inference": shown(0, 2, 0), "pa": shown(0, 0, 0), "updatedAt": shown(0, 0, 0),
            "assignment": shown(0, 0, 0),
        });
        assert_eq!(as_json(flat(&counts, Some(&tasks))), expected);
        assert_eq!(as_json(flat(&Fields::new(), Some(&[])))["byTask"], json!({}));
    }
}

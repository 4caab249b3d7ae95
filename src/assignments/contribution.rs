//! What an assignment contributes to the completion counts, and the record of that in the assignment's `counted` field.
//! Pure.

use std::collections::BTreeMap;

use crate::documents::assignment::field::{COMPLETED, COUNTED, STARTED};
use crate::documents::assignment::{counted, flags};
pub use crate::documents::stats::Counters;
use crate::fields;
use crate::store::{Fields, Timestamp, Value};

/// Since when a restored assignment has been counted again; `None` for an assignment that was never deleted. Two
/// documents of one path with one date of assignment are the same assignment when they agree in this.
pub fn life(assignment: &Fields) -> Option<Timestamp> {
    assignment.get(COUNTED)?.as_map()?.get(counted::SINCE)?.as_timestamp()
}

/// Records that the assignment is counted again from `now` on.
pub fn begin_life(assignment: &mut Fields, now: Timestamp) {
    assignment.insert(COUNTED.to_owned(), Value::Map(fields! { counted::SINCE => now }));
}

/// What one assignment contributes to the counts of `total` and of each of its assigning orgs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contribution {
    /// IDs of the assigning orgs, each once, in order.
    pub orgs: Vec<String>,
    /// The assignment's `started` flag.
    pub started: bool,
    /// The assignment's `completed` flag.
    pub completed: bool,
    /// The counters of each task, by task ID.
    pub tasks: BTreeMap<String, Counters>,
}

impl Contribution {
    /// The recorded contribution; `None` when nothing of the assignment was counted.
    pub fn recorded(assignment: &Fields) -> Option<Contribution> {
        let record = assignment.get(COUNTED)?.as_map()?;
        let [started, completed] = flags(record);
        let tasks = record.get(counted::TASKS).and_then(Value::as_map).map(|tasks| {
            let read = |value: &Value| {
                let numbers = value.as_array()?;
                let at = |index: usize| numbers.get(index).and_then(Value::as_i64);
                Some(Counters { assigned: at(0)?, started: at(1)?, completed: at(2)? })
            };
            tasks.iter().filter_map(|(task, value)| Some((task.clone(), read(value)?))).collect()
        });
        Some(Contribution {
            orgs: record.get(counted::ORGS).and_then(Value::as_string_list).unwrap_or_default(),
            started,
            completed,
            tasks: tasks.unwrap_or_default(),
        })
    }

    /// The value of the `counted` field.
    pub fn to_value(&self) -> Value {
        let tasks: Fields = self
            .tasks
            .iter()
            .map(|(task, counters)| {
                let numbers = counters.entries().map(|(_, number)| Value::Integer(number));
                (task.clone(), Value::Array(numbers.to_vec()))
            })
            .collect();
        Value::Map(fields! {
            counted::ORGS => Value::strings(&self.orgs),
            STARTED => self.started,
            COMPLETED => self.completed,
            counted::TASKS => tasks,
        })
    }

    /// Records this contribution in the assignment. The record's note of a restoration ([`life`]) stays.
    pub fn record(&self, assignment: &mut Fields) {
        let life = life(assignment);
        let mut record = self.to_value();
        if let (Value::Map(record), Some(life)) = (&mut record, life) {
            record.insert(counted::SINCE.to_owned(), Value::Timestamp(life));
        }
        assignment.insert(COUNTED.to_owned(), record);
    }
}

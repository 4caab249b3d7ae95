//! What an assignment contributes to the completion counts, and its record of that, in its `counted` field. Pure.

use std::collections::BTreeMap;

use crate::documents::assignment::field::{COMPLETED, COUNTED, STARTED};
use crate::documents::assignment::{counted, flags};
pub use crate::documents::stats::Counters;
use crate::fields;
use crate::store::{Fields, Timestamp, Value};

/// Since when an assignment that went and came again is counted anew; `None` for one that is in its first life. Two
/// documents of one path and with one date of assignment are the same assignment when they agree in this.
pub fn life(assignment: &Fields) -> Option<Timestamp> {
    assignment.get(COUNTED)?.as_map()?.get(counted::SINCE)?.as_timestamp()
}

/// Notes that the assignment is counted anew from `now` on.
pub fn begin_life(assignment: &mut Fields, now: Timestamp) {
    assignment.insert(COUNTED.to_owned(), Value::Map(fields! { counted::SINCE => now }));
}

/// What one assignment contributes: to `total` and to each of its assigning orgs alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contribution {
    /// IDs of the assigning orgs, each once, in order.
    pub orgs: Vec<String>,
    /// The assignment's `started` flag.
    pub started: bool,
    /// The assignment's `completed` flag.
    pub completed: bool,
    /// By task ID.
    pub tasks: BTreeMap<String, Counters>,
}

impl Contribution {
    /// What the assignment remembers to have contributed; `None` when nothing of it was counted.
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

    /// Puts the record of this contribution into the assignment. What it says of the assignment's life stays.
    pub fn record(&self, assignment: &mut Fields) {
        let life = life(assignment);
        let mut record = self.to_value();
        if let (Value::Map(record), Some(life)) = (&mut record, life) {
            record.insert(counted::SINCE.to_owned(), Value::Timestamp(life));
        }
        assignment.insert(COUNTED.to_owned(), record);
    }
}

//! Which tasks of an assignment are counted, and which task IDs can be keys of counts. Pure.
//!
//! Students can write the `assessments` of their own assignments, so an entry there doesn't prove that the
//! administration assigns the task. The tasks that count come from the administration, or from this service's record in
//! the assignment. An entry of any other task stays in the assignment and is counted nowhere.

use std::collections::BTreeSet;

use super::contribution::Contribution;
use crate::documents::administration::Administration;
use crate::documents::assignment::{assessments_of, may_be_key, task_id};
use crate::documents::stats::field::{ASSIGNMENT, UPDATED_AT};
use crate::store::Fields;

/// The tasks that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tasks(BTreeSet<String>);

impl Tasks {
    /// The tasks of an administration.
    pub fn of(administration: &Administration) -> Tasks {
        administration.assessments.iter().map(|assessment| assessment.task_id.as_str()).collect()
    }

    /// The tasks that an assignment has on record; without a record, those of its entries, because only older functions
    /// have written to such an assignment.
    pub fn known_to(assignment: &Fields) -> Tasks {
        match Contribution::recorded(assignment) {
            Some(recorded) => recorded.tasks.into_keys().collect(),
            None => assessments_of(assignment).iter().filter_map(task_id).collect(),
        }
    }

    /// The tasks of both.
    pub fn and(mut self, other: Tasks) -> Tasks {
        self.0.extend(other.0);
        self
    }

    /// True when the task counts.
    pub fn contains(&self, task: &str) -> bool {
        self.0.contains(task)
    }
}

impl<T: AsRef<str>> FromIterator<T> for Tasks {
    /// Leaves out names that counts use for other fields.
    fn from_iter<I: IntoIterator<Item = T>>(tasks: I) -> Tasks {
        let is_free = |task: &String| may_be_key(task) && !matches!(task.as_str(), ASSIGNMENT | UPDATED_AT);
        Tasks(tasks.into_iter().map(|task| task.as_ref().to_owned()).filter(is_free).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::Value;

    #[test]
    fn what_counts() {
        let entry = |task: &str| Value::Map(fields! { "taskId" => task });
        let mut assignment = fields! { "assessments" => vec![entry("swr"), entry("__x__"), entry("assignment")] };
        assert_eq!(Tasks::known_to(&assignment), ["swr"].into_iter().collect());
        let administration = Administration::from_fields("a", fields! { "assessments" => vec![entry("pa")] });
        let tasks = Tasks::of(&administration);
        assert!(tasks.contains("pa") && !tasks.contains("swr"));
        Contribution::of(&assignment, &tasks).record(&mut assignment);
        assert_eq!(Tasks::known_to(&assignment), Tasks::default(), "what isn't the administration's isn't recorded");
    }
}

//! Completion counts: what an assignment contributes to them, and how they move (docs/domain/counts.md).
//!
//! An assignment's contribution so far is recorded in the assignment itself, in its `counted` field, and the record
//! changes in the same commit as the counts. So a repeated or late event finds no difference.

use std::collections::BTreeMap;

pub use super::contribution::{Contribution, Counters, begin_life, life};
use super::tasks::Tasks;
use crate::documents::assignment::{assessments, assigning_orgs, flags, is_completed, is_started, task_id};
use crate::documents::stats::field::{ASSIGNMENT, UPDATED_AT};
use crate::documents::stats::{COMPLETION, TOTAL, stats_path};
use crate::store::{Document, FieldPath, Fields, Precondition, Result, Transform, Value, Write};

impl Contribution {
    /// What the assignment contributes as it stands, considering only the tasks in `counted`. A task counts once,
    /// however many entries a client makes of it.
    pub fn of(assignment: &Fields, counted: &Tasks) -> Contribution {
        let mut orgs = assigning_orgs(assignment).flatten();
        orgs.sort();
        let [started, completed] = flags(assignment);
        let mut tasks: BTreeMap<String, Counters> = BTreeMap::new();
        for assessment in assessments(assignment) {
            let Some(assessment) = assessment.as_map() else { continue };
            let Some(task) = task_id(assessment).filter(|task| counted.contains(task)) else { continue };
            let counters = tasks.entry(task.to_owned()).or_default();
            counters.assigned = 1;
            counters.started |= i64::from(is_started(assessment));
            counters.completed |= i64::from(is_completed(assessment));
        }
        Contribution { orgs, started, completed, tasks }
    }

    /// As [`Contribution::of`]; without `counted`, the assignment's own record tells which tasks count.
    pub fn by(assignment: &Fields, counted: Option<&Tasks>) -> Contribution {
        match counted {
            Some(tasks) => Contribution::of(assignment, tasks),
            None => Contribution::of(assignment, &Tasks::known_to(assignment)),
        }
    }

    /// True when the assignment's record says that it's fully counted.
    pub fn is_settled(assignment: &Fields) -> bool {
        let recorded = Contribution::recorded(assignment);
        recorded.is_some_and(|recorded| recorded == Contribution::of(assignment, &Tasks::known_to(assignment)))
    }

    /// The counters for every key, by block name: `assignment`, and each task.
    fn blocks(&self) -> BTreeMap<&str, Counters> {
        let assignment = Counters {
            assigned: 1,
            started: i64::from(self.started || self.completed),
            completed: i64::from(self.completed),
        };
        let tasks = self.tasks.iter().map(|(task, counters)| (task.as_str(), *counters));
        // The assignment's own block comes last, so that it wins over a task with the same name.
        tasks.chain([(ASSIGNMENT, assignment)]).collect()
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.orgs.iter().map(String::as_str).chain([TOTAL])
    }
}

/// By how much the counts of one administration change: key (an org's ID, or `total`) to block name (`assignment`, or a
/// task's ID) to counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountsDelta {
    keys: BTreeMap<String, BTreeMap<String, Counters>>,
}

impl CountsDelta {
    /// Adds the change of one assignment's contribution from `before` to `after`; `None` is an assignment that doesn't
    /// exist or isn't counted.
    pub fn step(&mut self, before: Option<&Contribution>, after: Option<&Contribution>) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.add(before, |counters, block| counters.move_by(block, Counters::default()));
        }
        if let Some(after) = after {
            self.add(after, |counters, block| counters.move_by(Counters::default(), block));
        }
    }

    fn add(&mut self, contribution: &Contribution, apply: impl Fn(&mut Counters, Counters)) {
        let blocks = contribution.blocks();
        for key in contribution.keys() {
            let counts = self.keys.entry(key.to_owned()).or_default();
            for (name, block) in &blocks {
                apply(counts.entry((*name).to_owned()).or_default(), *block);
            }
        }
    }

    /// Changes one block by `by`.
    pub fn add_block(&mut self, key: &str, block: &str, by: Counters) {
        let counters = self.keys.entry(key.to_owned()).or_default().entry(block.to_owned()).or_default();
        counters.move_by(Counters::default(), by);
    }

    /// The most documents that [`CountsDelta::writes`] writes to.
    pub fn documents(&self) -> usize {
        self.keys.len()
    }

    /// The counters that change, by key and block.
    pub fn moves(&self) -> impl Iterator<Item = (&str, &str, Counters)> {
        self.keys.iter().flat_map(|(key, blocks)| {
            blocks
                .iter()
                .filter(|(_, counters)| !counters.is_zero())
                .map(move |(name, counters)| (key.as_str(), name.as_str(), *counters))
        })
    }

    /// The increments of the administration's counts, one write for each key that changes.
    ///
    /// `precondition` is [`Precondition::Exists`] where counts must not be recreated, because the administration may be
    /// gone, and none where counts may be created.
    pub fn writes(&self, administration: &str, precondition: Precondition) -> Result<Vec<Write>> {
        let mut writes: BTreeMap<&str, Write> = BTreeMap::new();
        for (key, name, counters) in self.moves() {
            let write = match writes.remove(key) {
                Some(write) => write,
                None => Write::transform(stats_path(administration, key)?, Vec::new())
                    .when(precondition)
                    .with(FieldPath::top(UPDATED_AT), Transform::ServerTime),
            };
            let write = counters.entries().into_iter().filter(|(_, number)| *number != 0).fold(
                write,
                |write, (counter, number)| {
                    write.with(FieldPath::of([name, counter]), Transform::Increment(Value::Integer(number)))
                },
            );
            writes.insert(key, write);
        }
        Ok(writes.into_values().collect())
    }
}

/// The blocks of a counts document that are zero and belong to no task of the administration: left over from a removed
/// task, or made up by a client. The legacy document that older functions kept for all orgs has none.
pub fn idle_blocks<'a>(counts: &'a Document, tasks: &Tasks) -> Vec<&'a str> {
    let is_idle = |(name, block): &(&String, &Value)| {
        let is_kept = tasks.contains(name) || name.as_str() == ASSIGNMENT;
        let counters = block.as_map().filter(|block| !block.is_empty());
        !is_kept && counters.is_some_and(|block| block.iter().all(|(name, value)| is_zeroed_counter(name, value)))
    };
    let fields = counts.fields.iter().filter(|_| counts.id() != COMPLETION);
    fields.filter(is_idle).map(|(name, _)| name.as_str()).collect()
}

fn is_zeroed_counter(name: &str, value: &Value) -> bool {
    Counters::default().entries().iter().any(|(counter, _)| *counter == name) && value.as_i64() == Some(0)
}

/// The write that removes [`idle_blocks`] from a counts document, with the precondition that the document is unchanged;
/// `None` when there are none.
pub fn without_idle(counts: &Document, tasks: &Tasks) -> Option<Write> {
    let mask: Vec<FieldPath> = idle_blocks(counts, tasks).into_iter().map(FieldPath::top).collect();
    let unchanged = Precondition::UpdatedAt(counts.update_time);
    (!mask.is_empty()).then(|| Write::merge(counts.path.clone(), Fields::new(), mask).when(unchanged))
}

/// The write that removes all blocks of tasks that the administration doesn't have, zero or not, with the precondition
/// that the document is unchanged; `None` when there are none. For a counts document that is full: the records that
/// assignments have of such tasks disagree with the counts then, and reconciling repairs that.
pub fn without_foreign(counts: &Document, tasks: &Tasks) -> Option<Write> {
    let is_foreign = |(name, block): &(&String, &Value)| {
        let is_kept = tasks.contains(name) || name.as_str() == ASSIGNMENT;
        let is_counters = block.as_map().is_some_and(|block| {
            let own = Counters::default().entries().map(|(counter, _)| counter);
            !block.is_empty() && block.keys().all(|name| own.contains(&name.as_str()))
        });
        !is_kept && is_counters && counts.id() != COMPLETION
    };
    let mask: Vec<FieldPath> = counts.fields.iter().filter(is_foreign).map(|(name, _)| FieldPath::top(name)).collect();
    let unchanged = Precondition::UpdatedAt(counts.update_time);
    (!mask.is_empty()).then(|| Write::merge(counts.path.clone(), Fields::new(), mask).when(unchanged))
}

#[cfg(test)]
mod tests;

//! Compares counts with the assignments' records of what they contributed, and finds which counts differ, and by how
//! much. Pure.
//!
//! Why counts can be repaired while students work:
//!
//! Let R be the sum of what all existing assignments have on record as counted, and S the stored counts. Every commit
//! that changes, adds or removes a record moves the counts by the same amount ([`crate::assignments::counts`]). So D =
//! S − R doesn't change, whatever students and fan-outs do: D is zero in a sound database, and otherwise is the size of
//! the damage. Only this module's own repairs change D, and each repair writes the *fence*, a document that counts
//! repairs.
//!
//! Hence D, once measured exactly, can be subtracted from the counts at any later time, as an increment, unless another
//! repair came between. The commit therefore has the precondition that the fence is unchanged since the measurement.
//!
//! A measurement is exact for a key (an org, or `total`) if its counts document is the same before and after the
//! assignments are read: then no commit moved that key's share of R meanwhile, and no page was read too early or too
//! late. (A commit whose changes to several assignments cancel out, so that the key doesn't move, can only come from a
//! fan-out or a repair. So the sync's version and the fence must be the same before and after, too.) Keys that change
//! during every measurement are measured in a transaction, which reads one snapshot.
//!
//! Records are repaired together with the counts, as the assignments' events would do it. Missing records are the
//! exception: older functions may have counted those assignments, or nobody has. Such records are restored without
//! moving the counts (which changes D, under the fence), and the resulting difference of the counts is repaired like
//! any other.
//!
//! One case looks like a lasting difference and isn't: an assignment deleted by hand whose event is still pending. The
//! administration is removed from its student's lists before counts are measured, so that the event finds nothing to
//! do; and a difference is reported only when it is the same after a pause.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{Finding, Kind, counters_json};
use crate::assignments::counts::{Contribution, Counters, CountsDelta};
use crate::assignments::recount::Counts;
use crate::assignments::tasks::Tasks;
use crate::store::{Document, Fields, Timestamp};

/// The sums of the assignments examined so far. Memory use is proportional to the number of orgs, not of students.
#[derive(Debug, Default)]
pub struct Sums {
    recorded: CountsDelta,
    restored: CountsDelta,
    actual: CountsDelta,
    /// The number of assignments.
    pub assignments: u64,
}

impl Sums {
    /// Adds an assignment; `counted` are the tasks that count, or `None` where the assignment's own record names them.
    pub fn add(&mut self, assignment: &Fields, counted: Option<&Tasks>) {
        let actual = Contribution::by(assignment, counted);
        let recorded = Contribution::recorded(assignment);
        self.recorded.step(None, recorded.as_ref());
        self.restored.step(None, recorded.as_ref().or(Some(&actual)));
        self.actual.step(None, Some(&actual));
        self.assignments += 1;
    }
}

/// How assignments without a record are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecorded {
    /// They contributed nothing. Counts are repaired on this assumption, after students were repaired.
    IsNothing,
    /// They contributed their current state, as they will once their records are restored (which moves no counts).
    /// Findings about counts are reported on this assumption.
    IsActual,
}

/// A block of counters whose stored value differs from the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The value in the counts document.
    pub stored: Counters,
    /// The sum of the assignments' records.
    pub recorded: Counters,
    /// The sum of the assignments' current state.
    pub actual: Counters,
}

/// A key whose counts differ from the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDifference {
    /// True when nothing moved the key during the measurement, so that the difference is exact.
    pub exact: bool,
    /// When the key's counts document last changed; `None` without a document.
    pub updated: Option<Timestamp>,
    /// True when no assignment and no record contributes to the key.
    pub is_stray: bool,
    /// The blocks that differ.
    pub blocks: BTreeMap<String, Difference>,
}

impl KeyDifference {
    /// By how much each block is too high or too low: these offsets stay the same while students work.
    fn offsets(&self) -> BTreeMap<&str, Counters> {
        self.blocks.iter().map(|(block, d)| (block.as_str(), d.recorded.until(d.stored))).collect()
    }

    /// True when both are the same difference.
    pub fn is_same_as(&self, other: &KeyDifference) -> bool {
        self.offsets() == other.offsets()
    }

    /// Adds the increments that repair the key.
    pub fn mend(&self, key: &str, delta: &mut CountsDelta) {
        for (block, difference) in &self.blocks {
            delta.add_block(key, block, difference.stored.until(difference.recorded));
        }
    }

    /// The findings to report: blocks that differ from the sum of the assignments. (Blocks that equal this sum are
    /// right by accident, and become wrong as soon as the records are repaired.)
    pub fn findings(&self, key: &str) -> Vec<Finding> {
        let wrong: Vec<_> = self.blocks.iter().filter(|(_, d)| d.stored != d.actual).collect();
        if wrong.is_empty() {
            return Vec::new();
        }
        if self.is_stray {
            return vec![Finding::of_counts(Kind::CountsStray, key)];
        }
        if self.updated.is_none() {
            return vec![Finding::of_counts(Kind::CountsMissing, key)];
        }
        let finding = |(block, d): (&String, &Difference)| {
            let [stored, actual] = [d.stored, d.actual].map(counters_json);
            Finding::of_counts(Kind::CountDiffers, key).field(block).values(stored, actual)
        };
        wrong.into_iter().map(finding).collect()
    }
}

/// Compares the counts documents, read before and after the assignments (or once, from one snapshot), with the sums of
/// the assignments.
pub fn compare(
    before: &[Document],
    after: &[Document],
    sums: &Sums,
    unrecorded: Unrecorded,
) -> BTreeMap<String, KeyDifference> {
    let recorded = Counts::from(match unrecorded {
        Unrecorded::IsNothing => &sums.recorded,
        Unrecorded::IsActual => &sums.restored,
    });
    let actual = Counts::from(&sums.actual);
    let stored = Counts::of_documents(before);
    let times = |documents: &[Document]| -> BTreeMap<String, Timestamp> {
        documents.iter().map(|document| (document.id().to_owned(), document.update_time)).collect()
    };
    let (then, now) = (times(before), times(after));
    let contributed: BTreeSet<&str> = recorded.blocks().chain(actual.blocks()).map(|(key, _)| key).collect();
    let mut found: BTreeMap<String, KeyDifference> = BTreeMap::new();
    for difference in stored.differences(&recorded) {
        let key = found.entry(difference.key.clone()).or_insert_with(|| KeyDifference {
            exact: then.get(&difference.key) == now.get(&difference.key),
            updated: then.get(&difference.key).copied(),
            is_stray: !contributed.contains(difference.key.as_str()),
            blocks: BTreeMap::new(),
        });
        let block = Difference {
            stored: difference.stored,
            recorded: difference.recounted,
            actual: actual.get(&difference.key, &difference.block),
        };
        key.blocks.insert(difference.block, block);
    }
    found
}

#[cfg(test)]
mod tests;

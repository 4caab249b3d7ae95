//! Counts beside the records of what is counted: which differ, and by how much. Pure.
//!
//! Why counts can be mended while students work:
//!
//! Let R be the sum of what all existing assignments have on record as counted, and S the stored
//! counts. Every commit that changes, adds or removes a record moves the counts by the same amount
//! ([`crate::assignments::counts`]). So D = S − R doesn't change, whatever students and fan-outs do:
//! it's zero in a sound database, and what somebody broke otherwise. Only this room's own repairs change
//! D, and each writes the *fence*, a document that counts them.
//!
//! Hence D, once measured exactly, can be taken from the counts at any later time, as an increment, if no
//! other repair came between: the commit needs the fence as it was at the measuring.
//!
//! A measuring is exact for a key (an org, or `total`) if its counts' document is the same before and
//! after the assignments are gone through: then no commit moved R's share of that key meanwhile, and no
//! page was read too early or too late. (A commit that moves records of several assignments against each
//! other, so that the key doesn't move, is a fan-out's or a repair's: the sync's version and the fence
//! must be the same before and after, too.) Keys that never hold still are measured in a transaction,
//! which reads one snapshot.
//!
//! Records are repaired with the counts, as their events would do it, but for records that are missing:
//! older functions may have counted those assignments, or nobody has. They're restored without moving
//! the counts (which changes D, under the fence), and what is off then is mended as any other difference.
//!
//! The one thing that looks like a lasting difference and isn't: an assignment deleted by hand whose
//! event hasn't come yet. Its student is unlisted before counts are measured, so that the event finds
//! nothing to do; and a difference counts only when it's still the same after a while.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{Finding, Kind, counters_json};
use crate::assignments::counts::{Contribution, Counters, CountsDelta};
use crate::assignments::recount::Counts;
use crate::assignments::tasks::Tasks;
use crate::store::{Document, Fields, Timestamp};

/// What assignments add up to, as they're gone through: takes memory for orgs, not for students.
#[derive(Debug, Default)]
pub struct Sums {
    recorded: CountsDelta,
    restored: CountsDelta,
    actual: CountsDelta,
    /// How many there are.
    pub assignments: u64,
}

impl Sums {
    /// Adds an assignment; `counted` are the tasks that count, where its own record isn't to tell.
    pub fn add(&mut self, assignment: &Fields, counted: Option<&Tasks>) {
        let actual = Contribution::by(assignment, counted);
        let recorded = Contribution::recorded(assignment);
        self.recorded.step(None, recorded.as_ref());
        self.restored.step(None, recorded.as_ref().or(Some(&actual)));
        self.actual.step(None, Some(&actual));
        self.assignments += 1;
    }
}

/// What assignments without a record have contributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecorded {
    /// Nothing, as the ledger has it: what counts are mended by, once students are.
    IsNothing,
    /// What they are: how they stand once their records are restored, which moves no counts. What is
    /// told of counts before.
    IsActual,
}

/// A counter block whose stored value isn't on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The counts' document says.
    pub stored: Counters,
    /// The assignments' records add up to.
    pub recorded: Counters,
    /// The assignments themselves add up to.
    pub actual: Counters,
}

/// A key whose counts differ from the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDifference {
    /// Nothing moved the key during the measuring: the difference is exact.
    pub exact: bool,
    /// When its document last changed; `None` without one.
    pub updated: Option<Timestamp>,
    /// No assignment has anything to do with the key, nor any record.
    pub is_stray: bool,
    /// Its blocks that differ.
    pub blocks: BTreeMap<String, Difference>,
}

impl KeyDifference {
    /// By how much each block is too high or too low: what stays the same while students work.
    fn offsets(&self) -> BTreeMap<&str, Counters> {
        self.blocks.iter().map(|(block, d)| (block.as_str(), d.recorded.until(d.stored))).collect()
    }

    /// True when both are the same difference.
    pub fn is_same_as(&self, other: &KeyDifference) -> bool {
        self.offsets() == other.offsets()
    }

    /// Adds what mends the key.
    pub fn mend(&self, key: &str, delta: &mut CountsDelta) {
        for (block, difference) in &self.blocks {
            delta.add_block(key, block, difference.stored.until(difference.recorded));
        }
    }

    /// What to tell: blocks that aren't what the assignments add up to. (The others are right by
    /// accident, and wrong as soon as the records are mended.)
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

/// Compares the counts' documents, read before and after the assignments were gone through (or twice the
/// same, from one snapshot), with what these add up to.
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

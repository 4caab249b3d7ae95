//! Completion counts, `administrations/{id}/stats/{orgId}` and `…/stats/total`: their paths, and the counters of which
//! they consist (docs/domain/counts.md). Pure.

use super::administration::administration_path;
use crate::store::{DocPath, Result, Value};

/// Names of the fields of counts; what they mean: docs/domain/counts.md.
#[allow(missing_docs, reason = "the page says what each field means")]
pub mod field {
    pub const ASSIGNMENT: &str = "assignment";
    pub const UPDATED_AT: &str = "updatedAt";
    pub const ASSIGNED: &str = "assigned";
    pub const STARTED: &str = "started";
    pub const COMPLETED: &str = "completed";
}

/// The collection, below each administration.
pub const COLLECTION: &str = "stats";
/// The counts over all orgs.
pub const TOTAL: &str = "total";
/// The document in which older functions kept the counts of all orgs of an administration.
pub const COMPLETION: &str = "completion";

/// The path of an administration's counts. `key` is an org's ID, or [`TOTAL`].
pub fn stats_path(administration: &str, key: &str) -> Result<DocPath> {
    administration_path(administration)?.child(COLLECTION, key)
}

/// Cumulative counts of assignments or of a task's: the assigned ones, those of them that were started, and those of
/// them that were completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// All that are assigned, whether or not work on them has begun.
    pub assigned: i64,
    /// Started or completed.
    pub started: i64,
    /// Completed.
    pub completed: i64,
}

impl Counters {
    /// Reads a map of counters; absent counters are zero. `None` when the value isn't such a map.
    pub fn read(block: &Value) -> Option<Counters> {
        let block = block.as_map()?;
        let number = |name: &str| block.get(name).and_then(Value::as_i64).unwrap_or(0);
        let [assigned, started, completed] = [field::ASSIGNED, field::STARTED, field::COMPLETED].map(number);
        Some(Counters { assigned, started, completed })
    }

    /// The difference that has to be added to `self` to get `other`.
    pub fn until(self, other: Counters) -> Counters {
        let mut difference = Counters::default();
        difference.move_by(self, other);
        difference
    }

    /// Replaces a contribution to the counters: subtracts `before` and adds `after`.
    pub fn move_by(&mut self, before: Counters, after: Counters) {
        self.assigned += after.assigned - before.assigned;
        self.started += after.started - before.started;
        self.completed += after.completed - before.completed;
    }

    /// True when nothing is counted.
    pub fn is_zero(self) -> bool {
        self == Counters::default()
    }

    /// The counters, each with its field.
    pub fn entries(self) -> [(&'static str, i64); 3] {
        [(field::ASSIGNED, self.assigned), (field::STARTED, self.started), (field::COMPLETED, self.completed)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn blocks_are_read_as_they_are_written_and_move() {
        let one = Counters { assigned: 3, started: 2, completed: 1 };
        let block = one.entries().into_iter().map(|(name, number)| (name.to_owned(), Value::from(number))).collect();
        assert_eq!(Counters::read(&Value::Map(block)), Some(one));
        assert_eq!(Counters::read(&Value::Map(fields! {})), Some(Counters::default()));
        assert_eq!(Counters::read(&Value::from(1)), None);
        assert!(one.until(one).is_zero());
        assert_eq!(Counters::default().until(one), one);
    }
}

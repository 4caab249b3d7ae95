//! Completion counts, `administrations/{id}/stats/{orgId}` and `…/stats/total`: where they lie, and the counters that they
//! are made of (docs/domain/counts.md). Pure.

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

/// Where the counts of an administration are, of an org or in [`TOTAL`].
pub fn stats_path(administration: &str, key: &str) -> Result<DocPath> {
    administration_path(administration)?.child(COLLECTION, key)
}

/// How many are assigned, how many of these started, how many of those completed (cumulative).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Assigned, whatever became of it.
    pub assigned: i64,
    /// Started or completed.
    pub started: i64,
    /// Completed.
    pub completed: i64,
}

impl Counters {
    /// Reads a block of counters; what's absent is zero. `None` when the value is no block.
    pub fn read(block: &Value) -> Option<Counters> {
        let block = block.as_map()?;
        let number = |name: &str| block.get(name).and_then(Value::as_i64).unwrap_or(0);
        let [assigned, started, completed] = [field::ASSIGNED, field::STARTED, field::COMPLETED].map(number);
        Some(Counters { assigned, started, completed })
    }

    /// What has to be added to `self` to come to `other`.
    pub fn until(self, other: Counters) -> Counters {
        let mut difference = Counters::default();
        difference.move_by(self, other);
        difference
    }

    /// Takes one step: no more `before`, but `after`.
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

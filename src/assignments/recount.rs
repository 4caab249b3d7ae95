//! Recounting: what the counts should be, summed up from the assignments themselves
//! (docs/domain/counts.md#contribution).

use std::collections::{BTreeMap, BTreeSet};

use super::counts::{Contribution, Counters, CountsDelta};
use super::tasks::Tasks;
use crate::store::{Document, Fields};

/// Counters by key (an org's ID, or `total`) and block (`assignment`, or a task's ID). Absent counters are zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    blocks: BTreeMap<(String, String), Counters>,
}

/// A counter block that differs from the sum over the assignments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// An org's ID, or `total`.
    pub key: String,
    /// `assignment`, or a task's ID.
    pub block: String,
    /// The stored counters.
    pub stored: Counters,
    /// The counters summed up from the assignments.
    pub recounted: Counters,
}

impl Counts {
    /// Sums up the contributions of an administration's assignments, for the tasks in `counted` ([`Contribution::by`]).
    pub fn of_assignments<'a>(assignments: impl IntoIterator<Item = &'a Fields>, counted: Option<&Tasks>) -> Counts {
        let mut delta = CountsDelta::default();
        for assignment in assignments {
            delta.step(None, Some(&Contribution::by(assignment, counted)));
        }
        Counts::from(&delta)
    }

    /// Reads an administration's `stats` documents.
    pub fn of_documents<'a>(documents: impl IntoIterator<Item = &'a Document>) -> Counts {
        let mut blocks = BTreeMap::new();
        for document in documents {
            for (block, value) in &document.fields {
                let Some(counters) = Counters::read(value) else { continue };
                if counters != Counters::default() {
                    blocks.insert((document.id().to_owned(), block.clone()), counters);
                }
            }
        }
        Counts { blocks }
    }

    /// The counters of one block.
    pub fn get(&self, key: &str, block: &str) -> Counters {
        self.blocks.get(&(key.to_owned(), block.to_owned())).copied().unwrap_or_default()
    }

    /// The key and block of each nonzero block.
    pub fn blocks(&self) -> impl Iterator<Item = (&str, &str)> {
        self.blocks.keys().map(|(key, block)| (key.as_str(), block.as_str()))
    }

    /// Where these stored counts differ from the recounted ones.
    pub fn differences(&self, recounted: &Counts) -> Vec<Difference> {
        let keys: BTreeSet<_> = self.blocks.keys().chain(recounted.blocks.keys()).collect();
        keys.into_iter()
            .map(|(key, block)| Difference {
                key: key.clone(),
                block: block.clone(),
                stored: self.get(key, block),
                recounted: recounted.get(key, block),
            })
            .filter(|difference| difference.stored != difference.recounted)
            .collect()
    }
}

/// The counts after applying these changes to zero counts.
impl From<&CountsDelta> for Counts {
    fn from(delta: &CountsDelta) -> Counts {
        let blocks = delta.moves().map(|(key, block, counters)| ((key.to_owned(), block.to_owned()), counters));
        Counts { blocks: blocks.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::{DocPath, Timestamp, Value};

    #[test]
    fn counts_that_disagree_are_found() {
        let assignment = fields! {
            "assigningOrgs" => fields! { "schools" => Value::strings(["s1"]) },
            "started" => true,
            "assessments" => vec![Value::Map(fields! { "taskId" => "swr", "startedOn" => Timestamp::UNIX_EPOCH })],
        };
        let recounted = Counts::of_assignments([&assignment, &assignment], Some(&["swr"].into_iter().collect()));
        let block = |assigned: i64, started: i64| fields! { "assigned" => assigned, "started" => started };
        let document = |id: &str, fields: Fields| Document {
            path: DocPath::new(format!("administrations/a/stats/{id}")).unwrap(),
            fields,
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
        };
        let total = document("total", fields! { "assignment" => block(2, 2), "swr" => block(2, 2), "updatedAt" => 1 });
        let school = document("s1", fields! { "assignment" => block(2, 1), "pa" => block(1, 0) });
        let stored = Counts::of_documents([&total, &school]);
        let found: Vec<_> = stored
            .differences(&recounted)
            .into_iter()
            .map(|d| (format!("{} {}", d.key, d.block), d.stored.started, d.recounted.started))
            .collect();
        assert_eq!(
            found,
            [("s1 assignment".to_owned(), 1, 2), ("s1 pa".to_owned(), 0, 0), ("s1 swr".to_owned(), 0, 2)]
        );
        assert_eq!(recounted.differences(&recounted), []);
    }
}

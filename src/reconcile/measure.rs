//! Measures and repairs the counts of one administration. [`super::ledger`] explains why this is correct while students
//! work.

use std::collections::{BTreeMap, BTreeSet};

use super::Options;
use super::ledger::{KeyDifference, Sums, Unrecorded, compare};
use super::pages::assignments_page;
use super::standing::{Mark, Standing, mark_paths};
use crate::app::App;
use crate::assignments::counts::CountsDelta;
use crate::documents::administration_sync::progress_at;
use crate::documents::stats::stats_path;
use crate::store::{
    Database, DocPath, Document, FieldPath, FieldTransform, Precondition, Query, Result, StoreError, Timestamp,
    Transaction, Transform, Value, Write,
};

/// How often counts are measured when they keep changing, or when another repair comes between.
const ROUNDS: u32 = 3;
/// Up to how many assignments are read in one transaction, which on Firestore blocks writes to these assignments.
const SNAPSHOT_MOST: u64 = 20_000;
/// How many counts documents are repaired in one commit.
const KEYS_A_COMMIT: usize = 400;

/// Reads either the current documents, or those of one snapshot.
enum Reader<'a> {
    Plain(&'a Database),
    Snapshot(&'a Transaction),
}

impl Reader<'_> {
    async fn query(&self, query: Query) -> Result<Vec<Document>> {
        match self {
            Reader::Plain(database) => database.query(query).await,
            Reader::Snapshot(tx) => tx.query(query).await,
        }
    }

    async fn get_all(&self, paths: &[DocPath]) -> Result<Vec<Option<Document>>> {
        match self {
            Reader::Plain(database) => database.get_all(paths).await,
            Reader::Snapshot(tx) => tx.get_all(paths).await,
        }
    }
}

/// The state that a measurement depends on: the administration's and its sync's documents, and the fence. A change of
/// any of them voids the measurement.
#[derive(Clone, Debug, PartialEq)]
struct Frame {
    mark: Mark,
    fence: Option<Timestamp>,
}

/// The result of a measurement.
struct Measured {
    fence: Option<Timestamp>,
    differences: BTreeMap<String, KeyDifference>,
    assignments: u64,
}

impl Measured {
    fn all_exact(&self) -> bool {
        self.differences.values().all(|difference| difference.exact)
    }
}

/// The result of repairing counts that differ.
#[derive(Debug, Default)]
pub struct Mended {
    /// Keys whose counts were changed.
    pub changed: BTreeSet<String>,
    /// Keys that still differ.
    pub left: BTreeMap<String, KeyDifference>,
    /// True when the administration or its sync changed, so that the remaining keys weren't repaired.
    pub overtaken: bool,
}

/// Measures the counts of an administration, while its state is the one that was first read.
pub struct Scales<'a> {
    pub app: &'a App,
    pub administration: &'a str,
    pub standing: &'a Standing,
    pub options: &'a Options,
}

/// The path of an administration's fence: below the sync's progress, which is deleted with the administration.
fn fence_path(administration: &str) -> Result<DocPath> {
    progress_at(administration, "reconcile")
}

/// The write to the fence that belongs to each repair.
pub fn fence_write(administration: &str) -> Result<Write> {
    let round = FieldTransform { path: FieldPath::top("round"), transform: Transform::Increment(Value::Integer(1)) };
    Ok(Write::transform(fence_path(administration)?, vec![round]))
}

impl Scales<'_> {
    /// Reads the counts documents.
    pub async fn stats(&self) -> Result<Vec<Document>> {
        self.read_stats(&Reader::Plain(&self.app.stores.admin)).await
    }

    async fn read_stats(&self, reader: &Reader<'_>) -> Result<Vec<Document>> {
        reader.query(Query::collection(format!("administrations/{}/stats", self.administration))).await
    }

    async fn frame(&self, reader: &Reader<'_>) -> Result<Frame> {
        let [administration, control] = mark_paths(self.administration)?;
        let paths = [administration, control, fence_path(self.administration)?];
        let [administration, control, fence] =
            <[Option<Document>; 3]>::try_from(reader.get_all(&paths).await?).unwrap_or_default();
        Ok(Frame {
            mark: Mark::of(administration.as_ref(), control.as_ref(), self.app.now()),
            fence: fence.map(|fence| fence.update_time),
        })
    }

    /// True while the administration's state is the one that was first read.
    pub async fn holds(&self) -> Result<bool> {
        Ok(self.frame(&Reader::Plain(&self.app.stores.admin)).await?.mark == self.standing.mark)
    }

    /// Measures once; `None` when the administration's state has changed.
    async fn measure(&self, reader: &Reader<'_>, unrecorded: Unrecorded) -> Result<Option<Measured>> {
        let begin = self.frame(reader).await?;
        if begin.mark != self.standing.mark {
            return Ok(None);
        }
        let before = self.read_stats(reader).await?;
        let mut sums = Sums::default();
        let mut cursor = None;
        loop {
            let query = assignments_page(&self.app.stores.admin, self.administration, cursor.as_ref());
            let page = reader.query(query).await?;
            for assignment in page.iter().filter(|assignment| assignment.id() == self.administration) {
                sums.add(&assignment.fields, self.standing.tasks.as_ref());
            }
            cursor = match page.last() {
                Some(last) if page.len() == super::PAGE as usize => Some(last.path.clone()),
                _ => break,
            };
        }
        let after = self.read_stats(reader).await?;
        let end = self.frame(reader).await?;
        if end.mark != self.standing.mark {
            return Ok(None);
        }
        let mut differences = compare(&before, &after, &sums, unrecorded);
        if end.fence != begin.fence {
            differences.values_mut().for_each(|difference| difference.exact = false);
        }
        Ok(Some(Measured { fence: end.fence, differences, assignments: sums.assignments }))
    }

    async fn measure_now(&self, unrecorded: Unrecorded) -> Result<Option<Measured>> {
        self.measure(&Reader::Plain(&self.app.stores.admin), unrecorded).await
    }

    /// Measures in one snapshot, so that every key is exact. `None` also when there are too many assignments for one
    /// transaction, or conflicts exhaust the transaction's retries.
    async fn measure_snapshot(&self, assignments: u64, unrecorded: Unrecorded) -> Result<Option<Measured>> {
        if assignments > SNAPSHOT_MOST {
            return Ok(None);
        }
        let read = self
            .app
            .stores
            .admin
            .transaction(|tx| async move { self.measure(&Reader::Snapshot(&tx), unrecorded).await });
        match read.await {
            Ok((measured, _)) => Ok(measured),
            Err(StoreError::Contention) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Measures until all differences are exact. `None` when that isn't possible.
    pub async fn settle(&self) -> Result<Option<BTreeMap<String, KeyDifference>>> {
        let mut assignments = 0;
        for _ in 0..ROUNDS {
            let Some(measured) = self.measure_now(Unrecorded::IsActual).await? else { return Ok(None) };
            if measured.all_exact() {
                return Ok(Some(measured.differences));
            }
            assignments = measured.assignments;
        }
        Ok(self.measure_snapshot(assignments, Unrecorded::IsActual).await?.map(|measured| measured.differences))
    }

    /// Repairs the counts to agree with the records.
    pub async fn mend(&self) -> Result<Mended> {
        let mut mended = Mended::default();
        let mut vain = 0;
        loop {
            let Some(first) = self.measure_now(Unrecorded::IsNothing).await? else {
                mended.overtaken = true;
                return Ok(mended);
            };
            mended.left = first.differences.clone();
            if first.differences.is_empty() {
                return Ok(mended);
            }
            tokio::time::sleep(self.options.patience).await;
            let second = match vain < ROUNDS {
                true => self.measure_now(Unrecorded::IsNothing).await?,
                false => self.measure_snapshot(first.assignments, Unrecorded::IsNothing).await?,
            };
            let Some(second) = second else {
                mended.overtaken = true;
                return Ok(mended);
            };
            // A snapshot is exact by itself; concurrent changes around it have affected only the first measurement.
            let sure: Vec<(&String, &KeyDifference)> = second
                .differences
                .iter()
                .filter(|(key, now)| {
                    let same = |then: &KeyDifference| then.exact && then.is_same_as(now);
                    now.exact && (vain >= ROUNDS || first.differences.get(*key).is_some_and(same))
                })
                .collect();
            let applied = second.fence == first.fence && self.apply(&sure, second.fence, &mut mended.changed).await?;
            if vain >= ROUNDS {
                let applied: BTreeSet<&String> = sure.iter().filter(|_| applied).map(|(key, _)| *key).collect();
                mended.left = second
                    .differences
                    .iter()
                    .filter(|(key, _)| !applied.contains(key))
                    .map(|(key, difference)| (key.clone(), difference.clone()))
                    .collect();
                return Ok(mended);
            }
            if sure.is_empty() || !applied {
                vain += 1;
            }
        }
    }

    /// Subtracts differences from the counts, if the fence is unchanged since they were measured. False when another
    /// change came between; increments that were committed before that are correct.
    async fn apply(
        &self,
        keys: &[(&String, &KeyDifference)],
        mut fence: Option<Timestamp>,
        changed: &mut BTreeSet<String>,
    ) -> Result<bool> {
        for keys in keys.chunks(KEYS_A_COMMIT) {
            let committed = self.app.stores.admin.transaction(|tx| async move {
                let frame = self.frame(&Reader::Snapshot(&tx)).await?;
                if frame != (Frame { mark: self.standing.mark.clone(), fence }) {
                    return Ok(());
                }
                // The fence is written first, so that the commit's first result is the new version of the fence.
                tx.write(fence_write(self.administration)?).await;
                let mut delta = CountsDelta::default();
                for (key, difference) in keys {
                    match difference.updated {
                        Some(updated) if difference.is_stray => {
                            let path = stats_path(self.administration, key)?;
                            tx.write(Write::delete(path).when(Precondition::UpdatedAt(updated))).await;
                        }
                        _ => difference.mend(key, &mut delta),
                    }
                }
                tx.write_all(delta.writes(self.administration, Precondition::None)?).await;
                Ok::<_, StoreError>(())
            });
            let committed = match committed.await {
                Ok(((), committed)) => committed,
                // A stray counts document was written to concurrently: measure it again.
                Err(StoreError::Conflict(_) | StoreError::Contention) => None,
                Err(error) => return Err(error),
            };
            let Some(committed) = committed else { return Ok(false) };
            fence = committed.results.first().and_then(|result| result.update_time);
            changed.extend(keys.iter().map(|(key, _)| (*key).clone()));
        }
        Ok(true)
    }
}

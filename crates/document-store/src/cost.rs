//! Costs of reads, writes and deletes, counted as Firestore bills them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static CURRENT: Arc<Meter>;
}

/// Counts billed operations. Cheap to share; every clone of the `Arc` sees the same counts.
#[derive(Debug, Default)]
pub struct Meter {
    reads: AtomicU64,
    writes: AtomicU64,
    deletes: AtomicU64,
    conflicts: AtomicU64,
}

/// Billed operations: document reads, document writes, document deletes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// A document returned, a missing document asked for by name, or a query without results each
    /// count one; an aggregation counts one for each 1,000 index entries begun.
    pub reads: u64,
    /// One for each write of a commit that isn't a delete.
    pub writes: u64,
    /// One for each delete of a commit.
    pub deletes: u64,
}

impl Meter {
    /// The counts so far.
    pub fn total(&self) -> Cost {
        Cost {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            deletes: self.deletes.load(Ordering::Relaxed),
        }
    }

    /// Conflicts with concurrent writes: transactions that were repeated, preconditions that failed. Not billed as
    /// such.
    pub fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    pub(super) fn conflict(&self) {
        self.conflicts.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds to the counts.
    pub fn add(&self, cost: Cost) {
        self.reads.fetch_add(cost.reads, Ordering::Relaxed);
        self.writes.fetch_add(cost.writes, Ordering::Relaxed);
        self.deletes.fetch_add(cost.deletes, Ordering::Relaxed);
    }
}

impl std::ops::Add for Cost {
    type Output = Cost;
    fn add(self, other: Cost) -> Cost {
        Cost {
            reads: self.reads + other.reads,
            writes: self.writes + other.writes,
            deletes: self.deletes + other.deletes,
        }
    }
}

impl std::ops::Sub for Cost {
    type Output = Cost;
    fn sub(self, earlier: Cost) -> Cost {
        Cost {
            reads: self.reads - earlier.reads,
            writes: self.writes - earlier.writes,
            deletes: self.deletes - earlier.deletes,
        }
    }
}

impl Cost {
    /// `n` document reads.
    pub fn reads(n: u64) -> Cost {
        Cost { reads: n, ..Cost::default() }
    }
}

/// Runs `work`, and adds the cost of its store operations to `meter` (besides each database's own meter). Operations of
/// other Tokio tasks that `work` spawns aren't counted.
pub async fn metered<T>(meter: Arc<Meter>, work: impl Future<Output = T>) -> T {
    CURRENT.scope(meter, work).await
}

/// Adds to the meter of the running task, if it has one.
pub(super) fn spend(cost: Cost) {
    let _ = CURRENT.try_with(|meter| meter.add(cost));
}

/// Adds a conflict to the meter of the running task, if it has one.
pub(super) fn conflict() {
    let _ = CURRENT.try_with(|meter| meter.conflict());
}

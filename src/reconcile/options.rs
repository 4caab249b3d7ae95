//! Options and progress of a reconciliation.

use std::time::Duration;

/// Options of a reconciliation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// True to repair differences.
    pub fix: bool,
    /// How long a difference must persist before it is reported, because pending events may resolve it. Zero where
    /// nobody else writes to the databases.
    pub patience: Duration,
}

/// The progress of a reconciliation.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// This many administrations are to be reconciled.
    Found(usize),
    /// The reconciliation of the administration with this ID begins.
    Begins(&'a str),
    /// This many further assignments were examined.
    Looked(u64),
    /// The reconciliation of one administration is done.
    Done,
}

/// Receives each step of the progress.
pub type Watch<'a> = &'a (dyn Fn(Step<'_>) + Send + Sync);

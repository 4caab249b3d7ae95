//! Options and progress of a reconciliation.

use std::time::Duration;

/// Options of a reconciliation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Mend what differs.
    pub fix: bool,
    /// How long a difference must persist before it is reported, because pending events may resolve it. Zero where
    /// nobody else writes.
    pub patience: Duration,
}

/// The progress of a reconciliation.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// So many administrations are to be gone through.
    Found(usize),
    /// One of them begins.
    Begins(&'a str),
    /// So many assignments more were looked at.
    Looked(u64),
    /// One of them is done.
    Done,
}

/// Receives each step of the progress.
pub type Watch<'a> = &'a (dyn Fn(Step<'_>) + Send + Sync);

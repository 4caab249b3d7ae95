//! How to reconcile, and how far it has got.

use std::time::Duration;

/// How to reconcile.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Mend what differs.
    pub fix: bool,
    /// How long a difference must stay before it's one: what events that are on their way take to
    /// arrive. None where nobody else writes.
    pub patience: Duration,
}

/// How far a reconciliation has got.
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

/// Told of each step.
pub type Watch<'a> = &'a (dyn Fn(Step<'_>) + Send + Sync);

//! Merging two users who turned out to be one person: the work of both becomes one user's, and the other user is
//! archived with a pointer.
//!
//! [`decide`] is pure. Around it: `carry_out` merges step by step, each step an idempotent commit, so that an
//! interrupted merge can be continued; `accounts` is the part about sign-in and rights; and the callable.

mod accounts;
pub(crate) mod callable;
mod carry_out;
pub mod decide;

pub use callable::merge_users;
pub use carry_out::{MergeError, Merged, merge};

//! Merging two users who turned out to be one person: what both did is one user's, and the other is archived with a
//! pointer.
//!
//! Pure: [`decide`]. Around it: `carry_out`, step by step, each of them one commit that may be repeated, so that a merge
//! that was cut short goes on where it was; `accounts`, its part about who signs in; and the callable.

mod accounts;
pub(crate) mod callable;
mod carry_out;
pub mod decide;

pub use callable::merge_users;
pub use carry_out::{MergeError, Merged, merge};

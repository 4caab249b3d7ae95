//! Assignments: which student gets which, what they contribute to the completion counts, and how their changes update
//! the student's document.

pub mod build;
pub mod contribution;
pub mod counts;
pub mod follow;
mod handlers;
pub mod recount;
pub mod settlement;
pub mod side_effects;
pub mod tasks;

pub(crate) use handlers::{Amended, amend, remember_work};
pub use handlers::{created, deleted, updated};

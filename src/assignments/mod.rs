//! Assignments: who gets which, what they contribute to the completion counts, and what their changes
//! mean for the student's document.

pub mod build;
pub mod conditions;
pub mod counts;
mod handlers;
pub mod recount;
pub mod side_effects;

pub(crate) use handlers::{Amended, amend};
pub use handlers::{created, deleted, updated};

//! Assignments: who gets which, what they contribute to the completion counts, and what their changes
//! mean for the student's document.

pub mod build;
pub mod conditions;
pub mod counts;
pub mod handlers;
pub mod recount;
pub mod side_effects;

pub use handlers::{created, deleted, updated};

//! Assignments: who gets which, what they contribute to the completion counts, and what their changes
//! mean for the student's document.

pub mod build;
pub mod conditions;
pub mod counts;
pub mod follow;
mod handlers;
pub mod recount;
pub mod settlement;
pub mod side_effects;
pub mod tasks;
mod user_changes;

pub(crate) use handlers::{Amended, amend, remember_work};
pub use handlers::{created, deleted, updated};
pub use user_changes::{
    FOLLOW_AGAIN, look_again, run_follow_again, task_for_waiting, user_written, waiting_collection,
};

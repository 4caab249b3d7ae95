//! What follows a user whose document changed (docs/domain/assignments.md#when-a-student-changes): the de-identified copy, the assignments
//! with their counts, and the runs.
//!
//! What follows from a change is decided on the documents as they are now. First the de-identified copy and the runs
//! take over what doesn't depend on assignments, then one transaction brings the assignments in line, and with it checks
//! that the user was still the one just copied; at the end runs take the orgs of their assignments.

mod again;
mod follow;
mod pass;

pub use again::{FollowAgainJob, leave_with_syncs, run as run_follow_again, task_for_waiting};
pub use follow::{follow, look_again};

//! Follows a user whose document changed (docs/domain/assignments.md#when-a-student-changes): updates the de-identified
//! copy, the assignments with their counts, and the runs.
//!
//! Decisions are made on the current documents. First the de-identified copy and the runs are updated with data that
//! doesn't depend on assignments. Then one transaction updates the assignments and checks that the user is unchanged
//! since the copy was made. At the end, runs take over the orgs of their assignments.

mod again;
mod follow;
mod pass;

pub use again::{FollowAgainJob, leave_with_syncs, run as run_follow_again, task_for_waiting};
pub use follow::{follow, look_again};

//! Reactions to the change of a document that concern several rooms: handlers of events and the tasks they enqueue.

mod assignment_created;
mod assignment_updated;
mod org_written;
mod user_written;

pub use assignment_created::assignment_created;
pub use assignment_updated::assignment_updated;
pub use org_written::{
    FollowOrgJob, MoveMembersJob, org_written, run_follow as run_follow_org, run_move as run_move_members,
};
pub use user_written::user_written;

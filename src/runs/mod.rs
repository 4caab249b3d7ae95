//! Runs of tasks in the assessment database: which run of a task is the best one, its category score for reports, and
//! how runs update the assignment in the admin database.

pub mod assignment;
pub mod best;
pub mod category;
pub mod event;
mod handlers;
pub mod hold;
pub mod left_out;
pub mod load;
pub mod student;

pub use handlers::{deleted_runs, hold_assignment, note_again, written};
pub use load::runs_of_assignment;

//! Handlers of events that touch several rooms.

mod assignment_created;

pub use assignment_created::assignment_created;

//! Runs: a student's attempts at a task, in the assessment database.

pub mod student;

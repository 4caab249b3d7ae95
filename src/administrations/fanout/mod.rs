//! Bringing all assignments in line with an administration.
//!
//! A *plan* task normalises the orgs and goes through phases: first the orgs that the administration
//! lost, then the orgs that it has, type by type from classes to families. In each phase it packs orgs
//! into *chunk* tasks of a few hundred students. A chunk reads its students and commits them page by
//! page, each page all or nothing: assignments, the students' lists, the counts, and with them the
//! progress and, at the end, its own completion. A *remove* task undoes a deleted administration.
//!
//! Every student is read once although most are in a class, a school and a district of the
//! administration: the first org in phase order owns a student ([`ownership`]), chunks count the
//! members of later orgs whom they have seen, and a later phase looks only into orgs whose number of
//! members differs from that ([`members`]: many orgs are asked about in one count).

mod chunk;
mod fence;
mod jobs;
pub mod members;
pub mod ownership;
mod phases;
mod plan;
pub mod problems;
mod remove;
mod sweep;

pub use chunk::run as run_chunk;
pub use jobs::{plan_task, remove_task};
pub use plan::run as run_plan;
pub use remove::run as run_remove;
pub use sweep::run as run_sweep;

//! Administrations: creating and editing them, and bringing every assignment in line with them.
//!
//! [`create`] is the callable. `sync` handles the document's event: it records that a sync is due and enqueues a task
//! ([`fanout`]), which normalises the org lists and then processes the students in chunks.

pub mod create;
pub mod definitions;
pub mod fanout;
pub mod material;
pub mod normalise;
mod org_changes;
pub(crate) mod payload;
mod sync;

pub use create::create_administration;
pub use org_changes::{follow_orgs, follow_touched, leave_orgs};
pub use sync::{Origin, bring_about, written};

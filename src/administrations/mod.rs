//! Administrations: creating and editing them, and bringing every assignment in line with them.
//!
//! [`create`] is the callable. `sync` is the event: it notes what has to be done and hands a task
//! over ([`fanout`]), which normalises the org lists and then works through the students in chunks.

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

//! Organisations: districts, schools, classes, groups and families, the lists that name them, and
//! what follows from their hierarchy.
//!
//! [`tree`] is pure: it computes exhaustive, minimal and read orgs from a snapshot ([`OrgTree`]). [`load`] reads the
//! needed snapshot in few queries.

pub mod child_lists;
pub mod keep;
pub mod load;
pub mod payload;
pub mod tree;

pub use crate::documents::org_lists::{OrgKey, OrgLists, OrgType};
pub use load::{Reach, load_tree};
pub use tree::{Org, OrgTree};

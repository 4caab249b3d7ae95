//! Reports: what the dashboard's pages for administrators query about administrations. Read-only.
//!
//! [`administrations`] lists the administrations that a caller may read, [`counts`] gives the completion counts of
//! their students, and [`tree`] shows their orgs, level by level. [`net`] and [`rows`] shape the answers; both are
//! pure.

pub mod administrations;
pub mod counts;
pub mod net;
pub mod payload;
pub mod rows;
pub mod tree;

pub use administrations::get_administrations;
pub use counts::get_assignment_stats;
pub use tree::get_administration_orgs_and_stats;

//! The kinds of documents that several modules use: their paths, their fields, and the edits of them. Pure.

pub mod administration;
pub mod administration_org;
pub mod administration_sync;
pub mod archive;
pub mod assignment;
pub mod claims_audit;
pub mod conditions;
pub mod consent;
pub mod dates;
pub mod doubles;
pub mod former;
pub mod history;
pub mod org;
pub mod org_lists;
pub mod processed_event;
pub mod request_id;
pub mod roster_entry;
pub mod roster_mark;
pub mod rostering_partner;
pub mod rostering_run;
pub mod run;
pub mod stats;
pub mod sync_notes;
pub mod user;
pub mod user_claims;

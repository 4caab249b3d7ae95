//! What the fuzz targets in `fuzz/` need of private parts. cargo-fuzz alone builds this (`--cfg fuzzing`).

use axum::body::Bytes;
use serde_json::Value as Json;

pub use crate::administrations::payload::AdministrationRequest as Administration;
pub use document_store::fuzzing::*;
pub use functions_runtime::fuzzing::*;

use crate::rights::Payload;
use crate::rostering::clever::CleverError;
use crate::rostering::clever::records::{self, Record, Unreadable};
use crate::runtime::FunctionError;

/// What a callable makes of a payload.
pub type Reader = fn(&Json) -> Result<(), FunctionError>;

fn read<R: Payload>(data: &Json) -> Result<(), FunctionError> {
    R::read(data).map(drop)
}

/// The readers of payloads, with their callables' names.
pub const PAYLOADS: [(&str, Reader); 16] = [
    ("createAdministration", read::<Administration>),
    ("getAdministrations", read::<crate::reports::payload::Listing>),
    ("getAssignmentStats", read::<crate::reports::payload::Counting>),
    ("getAdministrationOrgsAndStats", read::<crate::reports::payload::Level>),
    ("appendToAdminClaims", read::<crate::claims::admin_orgs::AdminOrgsRequest<false>>),
    ("removeFromAdminClaims", read::<crate::claims::admin_orgs::AdminOrgsRequest<true>>),
    ("createGroup", read::<crate::claims::group::GroupRequest>),
    ("setUidClaims", read::<crate::claims::binding::SignIn>),
    ("associateAssessmentUid", read::<crate::claims::binding::Association>),
    ("createAdministratorAccount", read::<crate::users::administrator::AdministratorRequest>),
    ("updateUserRecord", read::<crate::users::record::UserRecordRequest>),
    ("syncCleverUser", read::<crate::rostering::clever::sign_in::Request>),
    ("syncCleverOrgs", read::<crate::rostering::clever::callable::Request>),
    ("reconcileAdministration", read::<crate::reconcile::callable::ReconcileRequest>),
    ("mergeUsers", read::<crate::merging::callable::MergeRequest>),
    ("rosterDoubles", read::<crate::rostering::doubles::callable::Request>),
];

/// A page of Clever's, read.
pub struct Page<T> {
    /// The records.
    pub records: Vec<T>,
    /// Those that can't be read.
    pub unreadable: Vec<Unreadable>,
    /// How many there are in all.
    pub total: Option<u64>,
    /// The address of the next page.
    pub next: Option<String>,
}

/// Reads a page of Clever's.
pub fn page<T: Record>(body: &[u8]) -> Result<Page<T>, CleverError> {
    let records::List { records, total, next } = records::list(&Bytes::copy_from_slice(body))?;
    let (records, unreadable) = records.read();
    Ok(Page { records, unreadable, total, next })
}

/// Where a link of Clever's leads.
pub fn follow(here: &reqwest::Url, uri: &str) -> Result<reqwest::Url, CleverError> {
    crate::rostering::clever::link::follow(here, uri)
}

//! A callable's signature, and refusals that many give.

use serde_json::Value as Json;

use crate::runtime::Status;
use crate::runtime::Status::{AlreadyExists, FailedPrecondition, NotFound, ResourceExhausted};

/// What a callable takes and gives.
pub(in crate::openapi) struct Signature {
    /// The function's name.
    pub name: &'static str,
    /// More about it, for people.
    pub description: &'static str,
    /// What `data` holds.
    pub data: Json,
    /// What `result` holds.
    pub result: Json,
    /// What a chunk of a streamed answer holds, where there are any.
    pub chunk: Option<Json>,
    /// An example of `data`.
    pub sent: Json,
    /// An example of `result`.
    pub given: Json,
    /// Refusals besides those that every function may answer with.
    pub refusals: Vec<(Status, &'static str)>,
}

pub(super) const GONE: (Status, &str) = (NotFound, "Something that the request names doesn't exist.");
pub(super) const TAKEN: (Status, &str) = (AlreadyExists, "An account or a user belongs to somebody else.");
pub(super) const LARGE: (Status, &str) = (
    ResourceExhausted,
    "The account's custom claims would be larger than 1,000 bytes, or its rights come to more orgs than it can hold.",
);
pub(super) const UNSET: (Status, &str) = (FailedPrecondition, "Clever isn't set up, or doesn't let us in.");

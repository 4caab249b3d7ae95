//! What the fuzz targets in `fuzz/` need of private parts. cargo-fuzz alone builds this (`--cfg fuzzing`).

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use gcloud_sdk::google::firestore::v1 as pb;
use jsonwebtoken::DecodingKey;
use prost::Message as _;
use serde_json::{Map, Value as Json};

pub use crate::administrations::payload::Request as Administration;
pub use crate::runtime::callable::decode::{DecodeError, decode};
pub use crate::runtime::events::message::{Message, MessageError};

use crate::rights::Payload;
use crate::rostering::clever::CleverError;
use crate::rostering::clever::records::{self, Record, Unreadable};
use crate::runtime::auth::jwt::Jwt;
use crate::runtime::auth::{KeySource, Rejection};
use crate::runtime::callable;
use crate::runtime::events::message;
use crate::runtime::{DatabaseName, FunctionError};
use crate::store::embedded::record;
use crate::store::firestore::convert;
use crate::store::firestore::event::DocumentEventData;
use crate::store::{DocPath, Document, DocumentChange, Fields, Result, Timestamp};

/// The data of a call, by its body.
pub fn call(body: &[u8]) -> Option<Json> {
    callable::parse(body)
}

/// Reads an event, with those of the headers that can be headers.
pub fn event(
    headers: &[(&str, &str)],
    body: &[u8],
    project: Option<String>,
    now: Timestamp,
) -> Result<(DatabaseName, DocumentChange), MessageError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::try_from(*value)) {
            map.append(name, value);
        }
    }
    message::read(&map, body, project, now).map(|Message { database, change }| (database, change))
}

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
    ("appendToAdminClaims", read::<crate::claims::admin_orgs::Request<false>>),
    ("removeFromAdminClaims", read::<crate::claims::admin_orgs::Request<true>>),
    ("createGroup", read::<crate::claims::group::Request>),
    ("setUidClaims", read::<crate::claims::binding::SignIn>),
    ("associateAssessmentUid", read::<crate::claims::binding::Association>),
    ("createAdministratorAccount", read::<crate::users::administrator::Request>),
    ("updateUserRecord", read::<crate::users::record::Request>),
    ("syncCleverUser", read::<crate::rostering::clever::sign_in::Request>),
    ("syncCleverOrgs", read::<crate::rostering::clever::callable::Request>),
    ("reconcileAdministration", read::<crate::reconcile::callable::Request>),
    ("mergeUsers", read::<crate::merging::callable::Request>),
    ("rosterDoubles", read::<crate::rostering::doubles::callable::Request>),
];

/// A token taken apart.
#[derive(Debug, PartialEq)]
pub struct Parts {
    /// Its algorithm.
    pub alg: String,
    /// The ID of its key.
    pub kid: Option<String>,
    /// What it says.
    pub claims: Map<String, Json>,
    /// It counts as one of an emulator.
    pub is_unsigned: bool,
}

/// Takes a token apart.
pub fn token(token: &str) -> Result<Parts, Rejection> {
    let jwt = Jwt::parse(token)?;
    let is_unsigned = jwt.is_unsigned();
    Ok(Parts { alg: jwt.alg, kid: jwt.kid, claims: jwt.claims, is_unsigned })
}

/// One RSA key, by its parts in base64url.
pub fn keys(id: &str, modulus: &str, exponent: &str, now: Timestamp) -> Option<KeySource> {
    Some(KeySource::fixed(id, DecodingKey::from_rsa_components(modulus, exponent).ok()?, now))
}

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

/// Brings fields into the form in which they're stored; fails on what a store refuses.
pub fn store(fields: &mut Fields) -> Result<()> {
    record::normalise(fields)
}

/// Fields as they lie on disk.
pub fn encode_fields(fields: &Fields) -> Result<Vec<u8>> {
    record::encode_fields(fields)
}

/// Reads what [`encode_fields`] wrote.
pub fn decode_fields(data: &[u8]) -> Result<Fields> {
    record::decode_fields(data)
}

/// The key of a document on disk.
pub fn document_key(path: &DocPath) -> Vec<u8> {
    record::document_key(path)
}

/// The path in a key.
pub fn path_of(key: &[u8]) -> Result<DocPath> {
    record::path_of(key)
}

/// The rest of a document's key after that of its own collection; `None` when it doesn't begin with that.
pub fn key_in_collection(path: &DocPath) -> Option<Vec<u8>> {
    Some(document_key(path).strip_prefix(&*record::collection_key(path.collection()))?.to_vec())
}

/// True when that rest is of a document further below.
pub fn is_nested(rest: &[u8]) -> bool {
    record::is_nested(rest)
}

/// The protobuf body of an event with these two sides of a document.
pub fn event_body(root: &str, before: Option<&Document>, after: Option<&Document>) -> Vec<u8> {
    let side = |document: &Document| pb::Document {
        name: convert::name_of_path(root, &document.path),
        fields: convert::fields_to_proto(document.fields.clone()),
        create_time: Some(convert::timestamp_to_proto(document.create_time)),
        update_time: Some(convert::timestamp_to_proto(document.update_time)),
    };
    DocumentEventData { value: after.map(side), old_value: before.map(side), update_mask: None }.encode_to_vec()
}

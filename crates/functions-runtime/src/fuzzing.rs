//! Access to private functions for fuzz targets; built by cargo-fuzz only (`--cfg fuzzing`).

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use document_store::{DocumentChange, Timestamp};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value as Json};

pub use crate::callable::decode::{DecodeError, decode};
pub use crate::events::message::{Message, MessageError};

use crate::auth::jwt::Jwt;
use crate::auth::{KeySource, Rejection};
use crate::events::message;
use crate::{DatabaseName, callable};

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

/// The parts of a parsed token.
#[derive(Debug, PartialEq)]
pub struct Parts {
    /// Its algorithm.
    pub alg: String,
    /// The ID of its key.
    pub kid: Option<String>,
    /// Its claims.
    pub claims: Map<String, Json>,
    /// True when it counts as an emulator's unsigned token.
    pub is_unsigned: bool,
}

/// Parses a token.
pub fn token(token: &str) -> Result<Parts, Rejection> {
    let jwt = Jwt::parse(token)?;
    let is_unsigned = jwt.is_unsigned();
    Ok(Parts { alg: jwt.alg, kid: jwt.kid, claims: jwt.claims, is_unsigned })
}

/// One RSA key, by its parts in base64url.
pub fn keys(id: &str, modulus: &str, exponent: &str, now: Timestamp) -> Option<KeySource> {
    Some(KeySource::fixed(id, DecodingKey::from_rsa_components(modulus, exponent).ok()?, now))
}

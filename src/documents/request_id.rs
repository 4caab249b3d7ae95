//! Idempotency keys, `requestIds/{digest}`: a caller who retries a request with the same ID gets the first request's
//! answer. Pure.

use jiff::SignedDuration;

use crate::digest::digest;
use crate::fields;
use crate::store::{DocPath, Document, Fields, Result, Timestamp};

/// Names of the fields.
#[allow(missing_docs, reason = "they say it")]
pub mod field {
    pub const ADMINISTRATION_ID: &str = "administrationId";
    pub const CREATED_AT: &str = "createdAt";
    pub const EXPIRE_AT: &str = "expireAt";
}

/// How long a request is remembered.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);

/// The path of the document that remembers a caller's request.
pub fn request_path(uid: &str, request: &str) -> Result<DocPath> {
    DocPath::in_collection("requestIds", &digest(format!("{uid}\0{request}")))
}

/// The fields that are remembered of a request that created or changed an administration.
pub fn memory(administration: &str, now: Timestamp) -> Fields {
    let expires = now.checked_add(REMEMBERED).unwrap_or(now);
    fields! { field::ADMINISTRATION_ID => administration, field::CREATED_AT => now, field::EXPIRE_AT => expires }
}

/// The ID of the administration that a request created or changed; `None` once the memory has expired.
pub fn remembered(memory: &Document, now: Timestamp) -> Option<String> {
    let created = memory.fields.get(field::CREATED_AT)?.as_timestamp()?;
    let alive = now.duration_since(created) < REMEMBERED;
    alive.then(|| memory.fields.get(field::ADMINISTRATION_ID)?.as_str().map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_remembered_for_a_day() {
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        let path = request_path("u", "r").unwrap();
        assert_ne!(path, request_path("u", "s").unwrap());
        let (create_time, update_time) = (at(0), at(0));
        let document = Document { path, fields: memory("a", at(0)), create_time, update_time };
        assert_eq!(remembered(&document, at(23)), Some("a".to_owned()));
        assert_eq!(remembered(&document, at(24)), None);
    }
}

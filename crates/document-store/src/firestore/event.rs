//! Reads the documents in Firestore's change events (`google.events.cloud.firestore.v1`).
//!
//! Three bodies carry the same message: protobuf bytes (Eventarc's default), base64 text of those
//! bytes (the Firestore emulator, under the same content type), and its proto3 JSON form.

use base64::Engine as _;
use gcloud_sdk::google::firestore::v1 as pb;
use prost::Message as _;
use thiserror::Error;

use super::{convert, event_json};
use crate::{DocPath, Document};

/// `google.events.cloud.firestore.v1.DocumentEventData`. Its documents have the field numbers of
/// `google.firestore.v1`, whose generated types therefore serve here.
#[derive(Clone, PartialEq, prost::Message)]
pub struct DocumentEventData {
    /// The document after the change, unless that deleted it.
    #[prost(message, optional, tag = "1")]
    pub value: Option<pb::Document>,
    /// The document before the change, unless that created it.
    #[prost(message, optional, tag = "2")]
    pub old_value: Option<pb::Document>,
    /// The fields that an update changed.
    #[prost(message, optional, tag = "3")]
    pub update_mask: Option<pb::DocumentMask>,
}

/// What an event says of its document.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedEvent {
    /// The document's path, out of whichever side exists.
    pub path: DocPath,
    /// The document before the change; `None` when it was created.
    pub before: Option<Document>,
    /// The document after the change; `None` when it was deleted.
    pub after: Option<Document>,
}

/// Why an event's body can't be read. None of it gets better when the event comes again. The texts
/// repeat nothing of what the body holds.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EventError {
    /// The content type is neither protobuf nor JSON.
    #[error("the event's content type {0:?} is neither application/protobuf nor application/json")]
    ContentType(String),
    /// The body isn't the message that the content type promises.
    #[error("the event's body can't be read: {0}")]
    Malformed(String),
    /// Neither a document before nor one after: nothing says which document changed.
    #[error("the event holds no document")]
    NoDocument,
}

/// Reads a document event's body. `content_type` may have parameters (`; charset=utf-8`).
///
/// A document that is there but empty, without even a name, counts as absent.
pub fn decode_event(content_type: &str, body: &[u8]) -> Result<DecodedEvent, EventError> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let data = match media_type.as_str() {
        "application/protobuf" | "application/x-protobuf" => decode_protobuf(body)?,
        "application/json" => event_json::decode(body)?,
        _ => return Err(EventError::ContentType(media_type)),
    };
    let before = data.old_value.filter(is_present).map(document).transpose()?;
    let after = data.value.filter(is_present).map(document).transpose()?;
    let path = after.as_ref().or(before.as_ref()).ok_or(EventError::NoDocument)?.path.clone();
    if before.as_ref().is_some_and(|before| before.path != path) {
        return Err(EventError::Malformed("its two sides are two documents".to_owned()));
    }
    Ok(DecodedEvent { path, before, after })
}

fn is_present(document: &pb::Document) -> bool {
    !document.name.is_empty() || !document.fields.is_empty()
}

/// Raw bytes or base64 text: the message's first byte is the tag of one of its three fields, none
/// of which is a character of base64.
fn decode_protobuf(body: &[u8]) -> Result<DocumentEventData, EventError> {
    let malformed = |why: &str| EventError::Malformed(why.to_owned());
    let is_text = body.first().is_some_and(|first| first.is_ascii_alphanumeric() || matches!(first, b'+' | b'/'));
    let decoded;
    let bytes = if is_text {
        decoded =
            event_json::BASE64.decode(body.trim_ascii_end()).map_err(|_| malformed("its base64 text is malformed"))?;
        &decoded[..]
    } else {
        body
    };
    DocumentEventData::decode(bytes).map_err(|_| malformed("its protobuf message is malformed"))
}

fn document(message: pb::Document) -> Result<Document, EventError> {
    let path = path_of_name(&message.name)?;
    convert::document_at(path, message).map_err(|_| EventError::Malformed("a document in it is malformed".to_owned()))
}

/// The path in a full resource name of any database.
fn path_of_name(name: &str) -> Result<DocPath, EventError> {
    let malformed = || EventError::Malformed("the name of a document in it is malformed".to_owned());
    let mut segments = name.splitn(6, '/');
    for expected in [Some("projects"), None, Some("databases"), None, Some("documents")] {
        let segment = segments.next().ok_or_else(malformed)?;
        if segment.is_empty() || expected.is_some_and(|expected| expected != segment) {
            return Err(malformed());
        }
    }
    DocPath::new(segments.next().ok_or_else(malformed)?).map_err(|_| malformed())
}

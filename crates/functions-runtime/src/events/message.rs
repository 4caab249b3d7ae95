//! CloudEvents over HTTP: binary mode (attributes in `ce-*` headers, data in the body) and structured
//! mode (all of it one JSON object).

use std::borrow::Cow;

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use thiserror::Error;

use document_store::DatabaseName;
use document_store::DocumentChange;
use document_store::firestore::event::{EventError, decode_event};

const TYPE_PREFIX: &str = "google.cloud.firestore.document.v1.";

/// A document event as it was received.
#[derive(Debug)]
pub struct Message {
    /// Where the document is.
    pub database: DatabaseName,
    /// What happened to it.
    pub change: DocumentChange,
}

/// Why an event can't be read. The texts repeat nothing of its documents.
#[derive(Debug, PartialEq, Error)]
pub enum MessageError {
    /// A required attribute is missing.
    #[error("the event has no attribute {0:?}")]
    Missing(&'static str),
    /// It's no document event.
    #[error("the event's type isn't one of Firestore's document events")]
    Type,
    /// Structured mode, but not an event in JSON.
    #[error("the event's envelope can't be read")]
    Envelope,
    /// A creation or write without a document, which Firestore sends when nothing has changed.
    #[error("the event holds no document")]
    Nothing {
        /// The event's ID.
        id: String,
    },
    /// The document data can't be read.
    #[error(transparent)]
    Data(#[from] EventError),
}

/// Reads an event. `project` is the one in the URL, which only the emulator's requests name.
pub fn read(
    headers: &HeaderMap,
    body: &[u8],
    project: Option<String>,
    now: Timestamp,
) -> Result<Message, MessageError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if headers.contains_key("ce-type") {
        let attribute = |name: &str| {
            let value = headers.get(format!("ce-{name}"))?.to_str().ok()?;
            // The HTTP binding percent-encodes characters that headers can't have.
            Some(percent_decode_str(value).decode_utf8().ok()?.into_owned())
        };
        return build(attribute, content_type, body, project, now);
    }
    // Any web page may send plain text to any server without a preflight request, but not JSON.
    if !is_json(content_type) {
        return Err(MessageError::Envelope);
    }
    let Ok(Value::Object(mut event)) = serde_json::from_slice(body) else { return Err(MessageError::Envelope) };
    let (content_type, data) = match (event.remove("data"), event.remove("data_base64")) {
        (Some(Value::String(text)), None) => (None, Cow::Owned(text.into_bytes())),
        (Some(data), None) => (Some("application/json"), Cow::Owned(data.to_string().into_bytes())),
        (None, Some(Value::String(text))) => {
            (None, Cow::Owned(STANDARD.decode(text).map_err(|_| MessageError::Envelope)?))
        }
        (None, None) => (None, Cow::Owned(Vec::new())),
        _ => return Err(MessageError::Envelope),
    };
    let attribute = |name: &str| event.get(name)?.as_str().map(str::to_owned);
    let content_type = content_type.map(str::to_owned).or_else(|| attribute("datacontenttype")).unwrap_or_default();
    build(attribute, &content_type, &data, project, now)
}

fn build(
    attribute: impl Fn(&str) -> Option<String>,
    content_type: &str,
    data: &[u8],
    project: Option<String>,
    now: Timestamp,
) -> Result<Message, MessageError> {
    let kind = attribute("type").ok_or(MessageError::Missing("type"))?;
    let kind = kind.strip_prefix(TYPE_PREFIX).ok_or(MessageError::Type)?;
    let kind = kind.strip_suffix(".withAuthContext").unwrap_or(kind);
    if !matches!(kind, "created" | "updated" | "deleted" | "written") {
        return Err(MessageError::Type);
    }
    let id = attribute("id").filter(|id| !id.is_empty()).ok_or(MessageError::Missing("id"))?;
    // An update or a deletion without a document has lost something on its way.
    let may_be_nothing = matches!(kind, "created" | "written");
    let decoded = match decode_event(content_type, data) {
        Err(EventError::NoDocument) if may_be_nothing => return Err(MessageError::Nothing { id }),
        Err(EventError::ContentType(_)) if may_be_nothing && data.trim_ascii().is_empty() => {
            return Err(MessageError::Nothing { id });
        }
        decoded => decoded?,
    };
    // The source names both as well, but the emulator's names them wrongly.
    let source = attribute("source").unwrap_or_default();
    let project = attribute("project").or(project).or_else(|| segment_after(&source, "projects"));
    let database = attribute("database").or_else(|| segment_after(&source, "databases"));
    let database = DatabaseName {
        project: project.ok_or(MessageError::Missing("project"))?,
        database: database.ok_or(MessageError::Missing("database"))?,
    };
    let time = attribute("time").and_then(|text| text.parse().ok());
    let time = time.or(decoded.after.as_ref().map(|after| after.update_time)).unwrap_or(now);
    let change = DocumentChange { id, path: decoded.path, before: decoded.before, after: decoded.after, time };
    Ok(Message { database, change })
}

/// `application/json`, or the one of CloudEvents.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "application/json" | "application/cloudevents+json")
}

/// The segment after the last one that is `name`: the emulator doubles `projects/`.
fn segment_after(source: &str, name: &str) -> Option<String> {
    let segments: Vec<_> = source.split('/').collect();
    let at = segments.iter().rposition(|segment| *segment == name)?;
    segments.get(at + 1).filter(|segment| !segment.is_empty()).map(|segment| (*segment).to_owned())
}

//! Jobs: what a task function needs to know, as a type of the program, and as the payload in a task's document.
//!
//! A payload is stored as a map of document values, so that queries can ask for its entries. Types of serde's model map
//! to it as to JSON; instants, which JSON lacks, are [`StoredTimestamp`]s.

use document_store::{Document, Fields, Timestamp, Value};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value as Json};
use thiserror::Error;

/// What a task function needs to know to do its work once.
///
/// Tasks outlive the program that wrote them: one that was stored before an update runs after it. So a change of a
/// job's fields must still read what is stored: give a new field a default, or raise [`Job::VERSION`] and let
/// [`Job::upgrade`] bring older payloads into the new form.
///
/// ```
/// use functions_runtime::{Job, NewTask};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(rename_all = "camelCase")]
/// struct SendLetters {
///     class_id: String,
///     #[serde(flatten)]
///     progress: Sent,
/// }
///
/// /// How far the sending got.
/// #[derive(Default, Serialize, Deserialize)]
/// #[serde(rename_all = "camelCase")]
/// struct Sent {
///     #[serde(skip_serializing_if = "Option::is_none")]
///     last_student: Option<String>,
/// }
///
/// impl Job for SendLetters {
///     const FUNCTION: &'static str = "sendLetters";
///     type Progress = Sent;
/// }
///
/// let letters = SendLetters { class_id: "c1".to_owned(), progress: Sent::default() };
/// let task = NewTask::new("letters-c1", &letters);
/// assert_eq!(task.function, "sendLetters");
/// assert_eq!(task.payload["classId"].as_str(), Some("c1"));
/// ```
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The name of the task function that runs it.
    const FUNCTION: &'static str;

    /// The version of the payload, stored beside it unless it's 1.
    const VERSION: u32 = 1;

    /// The entries of the payload that [`super::Task::advance`] sets, mostly a struct that the job holds flattened. An
    /// entry that isn't serialized is left as it is stored. `()` for a job that is done in one step.
    type Progress: Serialize;

    /// Brings a payload that was stored as version `from` into the form of [`Job::VERSION`]. To be written when the
    /// version is raised.
    fn upgrade(from: u32, payload: Fields) -> Fields {
        let _ = from;
        payload
    }
}

/// Why a stored payload can't be read. The text names entries, and nothing of what they hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// A newer version of the program stored it: to be left for that one.
    #[error("the payload is of version {0}, which this program doesn't know")]
    Newer(u32),
    /// Entries are missing, or hold something else than the program expects.
    #[error("the payload isn't what the function takes; its entries: {0}")]
    Malformed(String),
}

impl PayloadError {
    fn malformed(payload: &Fields) -> PayloadError {
        PayloadError::Malformed(payload.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
    }
}

/// An instant in a payload, stored as a timestamp value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredTimestamp(pub Timestamp);

/// The only key of the JSON object that stands for a timestamp value on the way to and from a job.
const TIMESTAMP: &str = "$timestamp";

impl Serialize for StoredTimestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(TIMESTAMP, self.0.to_string())])
    }
}

impl<'de> Deserialize<'de> for StoredTimestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let instant = match Json::deserialize(deserializer)? {
            Json::Object(object) => instant(&object),
            _ => None,
        };
        instant.map(StoredTimestamp).ok_or_else(|| D::Error::custom("no timestamp"))
    }
}

fn instant(object: &Map<String, Json>) -> Option<Timestamp> {
    object.get(TIMESTAMP).filter(|_| object.len() == 1)?.as_str()?.parse().ok()
}

/// The payload of a job. Panics when it isn't serialized as a map: that is a mistake in the program, which any test of
/// the job meets.
pub(super) fn payload_of_job<T: Serialize>(job: &T) -> Fields {
    match serde_json::to_value(job).map(value) {
        Ok(Value::Map(fields)) => fields,
        // The progress of a job without any.
        Ok(Value::Null) => Fields::new(),
        _ => panic!("a job must be a struct with named fields"),
    }
}

/// The job that the payload of that version holds.
pub(super) fn job_of_payload<J: Job>(version: u32, payload: Fields) -> Result<J, PayloadError> {
    let payload = match version {
        newer if newer > J::VERSION => return Err(PayloadError::Newer(newer)),
        older if older < J::VERSION => J::upgrade(older, payload),
        _ => payload,
    };
    read(&payload)
}

/// Reads entries of the payload in a task's document, as they are stored: a job, its progress, or what several jobs
/// have in common.
pub fn stored_payload<T: DeserializeOwned>(document: &Document) -> Result<T, PayloadError> {
    static NONE: Fields = Fields::new();
    read(document.fields.get("payload").and_then(Value::as_map).unwrap_or(&NONE))
}

fn read<T: DeserializeOwned>(payload: &Fields) -> Result<T, PayloadError> {
    // The parser's complaint may repeat what it met.
    let read = json_of_map(payload).and_then(|json| serde_json::from_value(Json::Object(json)).ok());
    read.ok_or_else(|| PayloadError::malformed(payload))
}

fn value(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Boolean(flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text),
        Json::Array(items) => Value::Array(items.into_iter().map(value).collect()),
        Json::Object(object) => match instant(&object) {
            Some(instant) => Value::Timestamp(instant),
            None => Value::Map(object.into_iter().map(|(key, json)| (key, value(json))).collect()),
        },
    }
}

/// `None` for what no job holds: bytes, references, points, NaN.
fn json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Boolean(flag) => Json::Bool(*flag),
        Value::Integer(whole) => Json::Number((*whole).into()),
        Value::Double(number) => Json::Number(Number::from_f64(*number)?),
        Value::String(text) => Json::String(text.clone()),
        Value::Timestamp(instant) => serde_json::to_value(StoredTimestamp(*instant)).ok()?,
        Value::Array(items) => Json::Array(items.iter().map(json).collect::<Option<_>>()?),
        Value::Map(fields) => Json::Object(json_of_map(fields)?),
        Value::Bytes(_) | Value::Reference(_) | Value::GeoPoint { .. } => return None,
    })
}

fn json_of_map(fields: &Fields) -> Option<Map<String, Json>> {
    fields.iter().map(|(key, value)| Some((key.clone(), json(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use document_store::fields;
    use proptest::prelude::*;

    use super::*;
    use crate::tasks::{NewTask, contents, document_of};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Letters {
        class_id: String,
        copies: i64,
        sent_at: Option<StoredTimestamp>,
        #[serde(default)]
        languages: Vec<String>,
    }

    impl Job for Letters {
        const FUNCTION: &'static str = "sendLetters";
        const VERSION: u32 = 2;
        type Progress = ();

        fn upgrade(from: u32, mut payload: Fields) -> Fields {
            assert_eq!(from, 1, "there was one version before");
            payload.insert("copies".to_owned(), Value::Integer(1));
            payload
        }
    }

    fn letters() -> Letters {
        let sent_at = Some(StoredTimestamp(Timestamp::from_microsecond(1_760_000_000_123_456).unwrap()));
        Letters { class_id: "c1".to_owned(), copies: i64::MAX, sent_at, languages: vec!["es".to_owned()] }
    }

    #[test]
    fn a_job_is_stored_as_document_values() {
        let payload = payload_of_job(&letters());
        let expected = fields! {
            "classId" => "c1", "copies" => i64::MAX, "sentAt" => letters().sent_at.unwrap().0,
            "languages" => Value::strings(["es"]),
        };
        assert_eq!(payload, expected);
        assert_eq!(job_of_payload::<Letters>(2, payload), Ok(letters()));
        assert_eq!(payload_of_job(&()), Fields::new());
    }

    #[test]
    fn what_the_version_before_stored_is_brought_up_to_date() {
        let letters = job_of_payload::<Letters>(1, fields! { "classId" => "c1" }).unwrap();
        assert_eq!((letters.copies, letters.sent_at, letters.languages.len()), (1, None, 0));
        let newer = job_of_payload::<Letters>(3, fields! { "classId" => "c1", "copies" => 1 });
        assert_eq!(newer, Err(PayloadError::Newer(3)));
    }

    #[test]
    fn the_first_version_is_stored_without_a_mark() {
        let second = NewTask::new("t", &letters());
        let first = NewTask { version: 1, ..second.clone() };
        let (of_first, of_second) = (document_of(&first), document_of(&second));
        assert!(!of_first.contains_key("version"));
        assert_eq!(of_second["version"], Value::Integer(2));
        assert_eq!((contents(of_first.clone()), contents(of_second)), (Some(first.into()), Some(second.into())));
        for mark in [Value::from("2"), Value::Integer(-1), Value::Null] {
            let mut marked = of_first.clone();
            marked.insert("version".to_owned(), mark);
            assert_eq!(contents(marked), None);
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_without_what_it_holds() {
        for payload in [
            fields! { "classId" => "Ada's class" },
            fields! { "classId" => 7, "copies" => "Ada" },
            fields! { "classId" => "Ada", "copies" => 1.5 },
            fields! { "classId" => "Ada", "copies" => 1, "sentAt" => "yesterday" },
            fields! { "classId" => "Ada", "copies" => Value::Double(f64::NAN) },
            fields! { "classId" => "Ada", "copies" => 1, "languages" => vec![Value::Bytes(vec![1])] },
        ] {
            let error = job_of_payload::<Letters>(2, payload.clone()).unwrap_err();
            assert_eq!(error, PayloadError::malformed(&payload));
            let text = error.to_string();
            assert!(text.contains("classId") && !text.contains("Ada") && !text.contains("yesterday"), "{text}");
        }
    }

    #[test]
    fn parts_of_a_stored_payload_can_be_read_alone() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Copies {
            copies: Option<i64>,
        }
        let document = |fields| Document {
            path: document_store::DocPath::new("functionTasks/t").unwrap(),
            fields,
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
        };
        let stored = document(fields! { "payload" => Value::Map(fields! { "classId" => "c1", "copies" => 3 }) });
        assert_eq!(stored_payload(&stored), Ok(Copies { copies: Some(3) }));
        assert_eq!(stored_payload(&document(fields! { "payload" => 3 })), Ok(Copies { copies: None }));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Integer),
            (-1e300..1e300).prop_map(Value::Double),
            (-62_135_596_800_000_000_i64..253_402_207_200_000_000)
                .prop_map(|micros| Value::Timestamp(Timestamp::from_microsecond(micros).unwrap())),
            ".{0,8}".prop_map(Value::String),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map("[a-z]{0,4}", inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_come_back_as_they_were(stored in values()) {
            prop_assert_eq!(value(json(&stored).unwrap()), stored);
        }
    }
}

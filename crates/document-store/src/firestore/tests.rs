//! Conversions lose nothing, and every form of an event reads the same.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gcloud_sdk::google::firestore::v1 as pb;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;

use super::convert::*;
use super::event::{DecodedEvent, DocumentEventData, EventError, decode_event};
use crate::{DocPath, Document, FieldPath, Fields, Precondition, Timestamp, Transform, Value, Write};

const ROOT: &str = "projects/p/databases/(default)/documents";

/// Tells NaN from other values and -0 from 0, which `==` doesn't.
fn same<T: std::fmt::Debug>(left: &T, right: &T) -> Result<(), TestCaseError> {
    prop_assert_eq!(format!("{left:?}"), format!("{right:?}"));
    Ok(())
}

fn instant() -> impl Strategy<Value = Timestamp> {
    // The years 1 to 9999, as protobuf has them, as far as Timestamp goes.
    (-62_135_596_800_i64..253_402_207_200, 0..1_000_000_000_i32)
        .prop_map(|(seconds, nanos)| Timestamp::new(seconds, nanos).unwrap())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Double),
        prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(-0.0)].prop_map(Value::Double),
        instant().prop_map(Value::Timestamp),
        any::<String>().prop_map(Value::String),
        any::<Vec<u8>>().prop_map(Value::Bytes),
        "[a-z]{1,5}".prop_map(|id| Value::Reference(format!("{ROOT}/users/{id}"))),
        (-90.0..=90.0, -180.0..=180.0).prop_map(|(latitude, longitude)| Value::GeoPoint { latitude, longitude }),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..5).prop_map(Value::Map),
        ]
    })
}

fn fields() -> impl Strategy<Value = Fields> {
    prop::collection::btree_map(any::<String>(), value(), 0..6)
}

fn document() -> impl Strategy<Value = Document> {
    (fields(), instant(), instant()).prop_map(|(fields, create_time, update_time)| Document {
        path: DocPath::new("users/u1/runs/ré 1").unwrap(),
        fields,
        create_time,
        update_time,
    })
}

fn to_proto(document: &Document) -> pb::Document {
    pb::Document {
        name: name_of_path(ROOT, &document.path),
        fields: fields_to_proto(document.fields.clone()),
        create_time: Some(timestamp_to_proto(document.create_time)),
        update_time: Some(timestamp_to_proto(document.update_time)),
    }
}

fn to_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => json!({"nullValue": null}),
        Value::Boolean(flag) => json!({"booleanValue": flag}),
        Value::Integer(number) => json!({"integerValue": number.to_string()}),
        Value::Double(number) if number.is_nan() => json!({"doubleValue": "NaN"}),
        Value::Double(number) if number.is_infinite() => {
            json!({"doubleValue": if *number > 0.0 { "Infinity" } else { "-Infinity" }})
        }
        Value::Double(number) => json!({"doubleValue": number}),
        Value::Timestamp(instant) => json!({"timestampValue": instant.to_string()}),
        Value::String(text) => json!({"stringValue": text}),
        Value::Bytes(bytes) => json!({"bytesValue": STANDARD.encode(bytes)}),
        Value::Reference(name) => json!({"referenceValue": name}),
        Value::GeoPoint { latitude, longitude } => {
            json!({"geoPointValue": {"latitude": latitude, "longitude": longitude}})
        }
        Value::Array(items) if items.is_empty() => json!({"arrayValue": {}}),
        Value::Array(items) => {
            json!({"arrayValue": {"values": items.iter().map(to_json).collect::<Vec<_>>()}})
        }
        Value::Map(fields) if fields.is_empty() => json!({"mapValue": {}}),
        Value::Map(fields) => json!({"mapValue": {"fields": fields_to_json(fields)}}),
    }
}

fn fields_to_json(fields: &Fields) -> serde_json::Value {
    fields.iter().map(|(name, value)| (name.clone(), to_json(value))).collect::<serde_json::Map<_, _>>().into()
}

fn document_to_json(document: &Document) -> serde_json::Value {
    json!({
        "name": name_of_path(ROOT, &document.path),
        "fields": fields_to_json(&document.fields),
        "createTime": document.create_time.to_string(),
        "updateTime": document.update_time.to_string(),
    })
}

proptest! {
    #[test]
    fn a_document_survives_the_wire(document in document()) {
        let bytes = to_proto(&document).encode_to_vec();
        let back = document_from_proto(ROOT, pb::Document::decode(&bytes[..]).unwrap()).unwrap();
        same(&back, &document)?;
    }

    #[test]
    fn an_event_reads_the_same_in_every_form(
        before in prop::option::of(document()),
        after in prop::option::of(document()),
    ) {
        let message = DocumentEventData {
            value: after.as_ref().map(to_proto),
            old_value: before.as_ref().map(to_proto),
            update_mask: Some(pb::DocumentMask::default()),
        };
        let bytes = message.encode_to_vec();
        let text = STANDARD.encode(&bytes);
        let json = json!({
            "value": after.as_ref().map(document_to_json),
            "oldValue": before.as_ref().map(document_to_json),
        });
        let forms = [
            decode_event("application/protobuf", &bytes),
            decode_event("application/protobuf", text.as_bytes()),
            decode_event("application/json; charset=utf-8", json.to_string().as_bytes()),
        ];
        let expected = match after.as_ref().or(before.as_ref()) {
            None => Err(EventError::NoDocument),
            Some(document) => Ok(DecodedEvent { path: document.path.clone(), before, after }),
        };
        for form in forms {
            same(&form, &expected)?;
        }
    }

    #[test]
    fn no_body_makes_the_reader_panic(body in any::<Vec<u8>>(), json in "[\\[\\]{}\":,a-z0-9]{0,60}") {
        let _ = decode_event("application/protobuf", &body);
        let _ = decode_event("application/json", json.as_bytes());
    }
}

#[test]
fn the_last_day_of_the_year_9999_reads_as_the_last_instant_we_can_tell() {
    let last = prost_types::Timestamp { seconds: 253_402_300_799, nanos: 999_999_999 };
    assert_eq!(timestamp_from_proto(last), Timestamp::MAX);
    let before_1970 = Timestamp::new(-1, -1).unwrap();
    assert_eq!(timestamp_to_proto(before_1970), prost_types::Timestamp { seconds: -2, nanos: 999_999_999 });
}

#[test]
fn a_write_keeps_mask_transforms_and_precondition_together() {
    let path = DocPath::new("users/u1").unwrap();
    let write = Write::merge(path, Fields::new(), vec![FieldPath::of(["a", "b c"])])
        .with(FieldPath::top("n"), Transform::Increment(Value::Integer(2)))
        .when(Precondition::Exists);
    let message = write_to_proto(ROOT, write);
    assert_eq!(message.update_mask.unwrap().field_paths, ["a.`b c`"]);
    assert_eq!(message.update_transforms[0].field_path, "n");
    assert_eq!(message.current_document.unwrap().condition_type, Some(pb::precondition::ConditionType::Exists(true)));
    let Some(pb::write::Operation::Update(document)) = message.operation else { panic!("not an update") };
    assert_eq!(document.name, format!("{ROOT}/users/u1"));
}

#[test]
fn values_that_documents_cannot_hold_are_refused() {
    use pb::value::ValueType;
    for kind in [None, Some(ValueType::FieldReferenceValue("x".to_owned()))] {
        assert!(value_from_proto(pb::Value { value_type: kind }).is_err());
    }
    for name in ["", "users/u1", "projects/p/databases/other/documents/users/u1", &format!("{ROOT}/users")] {
        assert!(path_of_name(ROOT, name).is_err(), "{name}");
    }
}

/// The value in an event whose only field is written as `json`.
fn json_value(json: serde_json::Value) -> Result<Value, EventError> {
    let time = "2025-03-10T18:20:43Z";
    let name = format!("{ROOT}/users/u1");
    let body = json!({"value": {"name": name, "fields": {"x": json}, "createTime": time, "updateTime": time}});
    decode_event("application/json", body.to_string().as_bytes()).map(|event| event.after.unwrap().fields["x"].clone())
}

#[test]
fn the_traps_of_the_json_form() {
    let time = |text: &str| Value::Timestamp(text.parse().unwrap());
    let table = [
        (json!({"integerValue": "9223372036854775807"}), Value::Integer(i64::MAX)),
        (json!({"integerValue": "-9223372036854775808"}), Value::Integer(i64::MIN)),
        (json!({"integerValue": 7}), Value::Integer(7)),
        (json!({"integerValue": 7.0}), Value::Integer(7)),
        (json!({"integer_value": "7"}), Value::Integer(7)),
        (json!({"doubleValue": 7}), Value::Double(7.0)),
        (json!({"doubleValue": "0.5"}), Value::Double(0.5)),
        (json!({"doubleValue": -0.0}), Value::Double(-0.0)),
        (json!({"doubleValue": "Infinity"}), Value::Double(f64::INFINITY)),
        (json!({"doubleValue": "-Infinity"}), Value::Double(f64::NEG_INFINITY)),
        (json!({"nullValue": null}), Value::Null),
        (json!({"nullValue": "NULL_VALUE"}), Value::Null),
        (json!({"nullValue": 0}), Value::Null),
        (json!({"arrayValue": {}}), Value::Array(vec![])),
        (json!({"arrayValue": {"values": []}}), Value::Array(vec![])),
        (json!({"arrayValue": {"values": null}}), Value::Array(vec![])),
        (json!({"arrayValue": {"values": [{"nullValue": null}]}}), Value::Array(vec![Value::Null])),
        (json!({"mapValue": {}}), Value::empty_map()),
        (json!({"mapValue": {"fields": {}}}), Value::empty_map()),
        (json!({"bytesValue": "_-8="}), Value::Bytes(vec![255, 239])),
        (json!({"bytesValue": URL_SAFE_NO_PAD.encode([255, 239, 1, 2])}), Value::Bytes(vec![255, 239, 1, 2])),
        (json!({"bytesValue": ""}), Value::Bytes(vec![])),
        (json!({"stringValue": ""}), Value::from("")),
        (json!({"booleanValue": false, "unknownMember": 1}), Value::Boolean(false)),
        (json!({"geoPointValue": {"latitude": 1}}), Value::GeoPoint { latitude: 1.0, longitude: 0.0 }),
        (json!({"timestampValue": "2025-03-10T18:20:43Z"}), time("2025-03-10T18:20:43Z")),
        (json!({"timestampValue": "2025-03-10T18:20:43.6Z"}), time("2025-03-10T18:20:43.600Z")),
        (json!({"timestampValue": "2025-03-10T18:20:43.123456789Z"}), time("2025-03-10T18:20:43.123456789Z")),
        (json!({"timestampValue": "2025-03-10T19:20:43+01:00"}), time("2025-03-10T18:20:43Z")),
        (json!({"timestampValue": "9999-12-31T23:59:59Z"}), Value::Timestamp(Timestamp::MAX)),
    ];
    for (json, expected) in table {
        let read = json_value(json.clone());
        assert_eq!(format!("{read:?}"), format!("{:?}", Ok::<_, EventError>(expected)), "{json}");
    }
    assert!(matches!(json_value(json!({"doubleValue": "NaN"})), Ok(Value::Double(number)) if number.is_nan()));
    let malformed = [
        json!({}),
        json!(7),
        json!(null),
        json!({"stringValue": 7}),
        json!({"integerValue": "7.5"}),
        json!({"integerValue": "9223372036854775808"}),
        json!({"doubleValue": "nan"}),
        json!({"doubleValue": "1e999"}),
        json!({"nullValue": true}),
        json!({"booleanValue": true, "stringValue": "x"}),
        json!({"bytesValue": "?"}),
        json!({"timestampValue": "yesterday"}),
        json!({"arrayValue": {"values": {}}}),
    ];
    for json in malformed {
        assert!(matches!(json_value(json.clone()), Err(EventError::Malformed(_))), "{json}");
    }
}

#[test]
fn an_empty_document_counts_as_absent() {
    let time = "2025-03-10T18:20:43.677647Z";
    let there = json!({"name": format!("{ROOT}/users/u1"), "createTime": time, "updateTime": time});
    let body = json!({"value": {}, "oldValue": there}).to_string();
    let event = decode_event("Application/JSON", body.as_bytes()).unwrap();
    assert_eq!((event.path.as_str(), event.after, event.before.is_some()), ("users/u1", None, true));
    let message = DocumentEventData { value: Some(pb::Document::default()), ..Default::default() };
    assert_eq!(decode_event("application/protobuf", &message.encode_to_vec()), Err(EventError::NoDocument));
}

#[test]
fn bodies_that_are_no_event_are_told_apart() {
    let malformed = |outcome| matches!(outcome, Err(EventError::Malformed(_)));
    assert!(matches!(decode_event("text/plain", b"{}"), Err(EventError::ContentType(_))));
    assert_eq!(decode_event("application/json", b"{}"), Err(EventError::NoDocument));
    assert_eq!(decode_event("application/protobuf", b""), Err(EventError::NoDocument));
    assert!(malformed(decode_event("application/json", b"[]")));
    assert!(malformed(decode_event("application/json", b"{")));
    assert!(malformed(decode_event("application/protobuf", b"CgE")));
    assert!(malformed(decode_event("application/protobuf", &[0x0a, 0xff])));
    let time = "2025-03-10T18:20:43Z";
    let document = |name: &str| json!({"name": name, "createTime": time, "updateTime": time});
    let here = document(&format!("{ROOT}/users/u1"));
    let bodies = [
        json!({"value": document("users/u1")}),
        json!({"value": document("projects/p/databases/d/documents/users")}),
        json!({"value": {"name": format!("{ROOT}/users/u1")}}),
        json!({"value": here, "oldValue": document(&format!("{ROOT}/users/u2"))}),
    ];
    for body in bodies {
        assert!(malformed(decode_event("application/json", body.to_string().as_bytes())), "{body}");
    }
}

//! Our values, documents and writes to and from Firestore's protobuf messages. Nothing is lost
//! either way.
//!
//! Two exceptions, which documents hardly ever meet: instants of the last day of the year 9999 are
//! beyond [`Timestamp::MAX`] and read as that; and the message for a geo point has no negative zero.

use std::collections::HashMap;

use gcloud_sdk::google::firestore::v1 as pb;
use gcloud_sdk::google::r#type::LatLng;
use pb::document_transform::field_transform::{ServerValue, TransformType};
use pb::value::ValueType;

use super::connection::Connection;
use super::malformed;
use super::retry::Failure;
use crate::{
    Committed, DocPath, Document, FieldPath, FieldTransform, Fields, Precondition, Result, Timestamp, Transform, Value,
    Write, WriteKind, WriteResult,
};

/// The message for a value.
pub fn value_to_proto(value: Value) -> pb::Value {
    let kind = match value {
        Value::Null => ValueType::NullValue(prost_types::NullValue::NullValue.into()),
        Value::Boolean(flag) => ValueType::BooleanValue(flag),
        Value::Integer(number) => ValueType::IntegerValue(number),
        Value::Double(number) => ValueType::DoubleValue(number),
        Value::Timestamp(instant) => ValueType::TimestampValue(timestamp_to_proto(instant)),
        Value::String(text) => ValueType::StringValue(text),
        Value::Bytes(bytes) => ValueType::BytesValue(bytes),
        Value::Reference(name) => ValueType::ReferenceValue(name),
        Value::GeoPoint { latitude, longitude } => ValueType::GeoPointValue(LatLng { latitude, longitude }),
        Value::Array(items) => ValueType::ArrayValue(array_to_proto(items)),
        Value::Map(fields) => ValueType::MapValue(pb::MapValue { fields: fields_to_proto(fields) }),
    };
    pb::Value { value_type: Some(kind) }
}

/// The value in a message. Fails with [`crate::StoreError::Internal`] on a value without a
/// kind, or of a kind that documents can't hold.
pub fn value_from_proto(message: pb::Value) -> Result<Value> {
    Ok(match message.value_type {
        Some(ValueType::NullValue(_)) => Value::Null,
        Some(ValueType::BooleanValue(flag)) => Value::Boolean(flag),
        Some(ValueType::IntegerValue(number)) => Value::Integer(number),
        Some(ValueType::DoubleValue(number)) => Value::Double(number),
        Some(ValueType::TimestampValue(instant)) => Value::Timestamp(timestamp_from_proto(instant)),
        Some(ValueType::StringValue(text)) => Value::String(text),
        Some(ValueType::BytesValue(bytes)) => Value::Bytes(bytes),
        Some(ValueType::ReferenceValue(name)) => Value::Reference(name),
        Some(ValueType::GeoPointValue(LatLng { latitude, longitude })) => Value::GeoPoint { latitude, longitude },
        Some(ValueType::ArrayValue(array)) => {
            Value::Array(array.values.into_iter().map(value_from_proto).collect::<Result<_>>()?)
        }
        Some(ValueType::MapValue(map)) => Value::Map(fields_from_proto(map.fields)?),
        Some(
            ValueType::FieldReferenceValue(_)
            | ValueType::VariableReferenceValue(_)
            | ValueType::FunctionValue(_)
            | ValueType::PipelineValue(_),
        ) => return Err(malformed("a value of a kind that documents can't hold")),
        None => return Err(malformed("a value of no known kind")),
    })
}

fn array_to_proto(items: Vec<Value>) -> pb::ArrayValue {
    pb::ArrayValue { values: items.into_iter().map(value_to_proto).collect() }
}

/// The entries of a map or document message.
pub fn fields_to_proto(fields: Fields) -> HashMap<String, pb::Value> {
    fields.into_iter().map(|(name, value)| (name, value_to_proto(value))).collect()
}

/// The fields in a map or document message. Fails as [`value_from_proto`] does.
pub fn fields_from_proto(fields: HashMap<String, pb::Value>) -> Result<Fields> {
    fields.into_iter().map(|(name, value)| Ok((name, value_from_proto(value)?))).collect()
}

/// The message for an instant: whole seconds towards the past, and nanoseconds from there on.
pub fn timestamp_to_proto(instant: Timestamp) -> prost_types::Timestamp {
    // An instant before 1970 has both parts negative here, but never so on the wire.
    let (seconds, nanos) = (instant.as_second(), instant.subsec_nanosecond());
    if nanos < 0 {
        prost_types::Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 }
    } else {
        prost_types::Timestamp { seconds, nanos }
    }
}

/// The instant in a message; see the module for the one that can't be told.
pub fn timestamp_from_proto(message: prost_types::Timestamp) -> Timestamp {
    let limit = if message.seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::new(message.seconds, message.nanos.clamp(0, 999_999_999)).unwrap_or(limit)
}

/// A document's full resource name.
pub fn name_of_path(root: &str, path: &DocPath) -> String {
    format!("{root}/{path}")
}

/// The path in a full resource name. Fails with [`crate::StoreError::Internal`] when the
/// name isn't one of a document under `root`.
pub fn path_of_name(root: &str, name: &str) -> Result<DocPath> {
    name.strip_prefix(root)
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|path| DocPath::new(path).ok())
        .ok_or_else(|| malformed("the name of a document of another database, or of none"))
}

/// The document in a message. Fails as [`value_from_proto`] and [`path_of_name`] do.
pub fn document_from_proto(root: &str, message: pb::Document) -> Result<Document> {
    let path = path_of_name(root, &message.name)?;
    document_at(path, message)
}

/// The document in a message whose name has been read.
pub(super) fn document_at(path: DocPath, message: pb::Document) -> Result<Document> {
    let (Some(create_time), Some(update_time)) = (message.create_time, message.update_time) else {
        return Err(malformed("a document without its times"));
    };
    Ok(Document {
        path,
        fields: fields_from_proto(message.fields)?,
        create_time: timestamp_from_proto(create_time),
        update_time: timestamp_from_proto(update_time),
    })
}

/// The message for field paths.
pub fn mask_to_proto(paths: &[FieldPath]) -> pb::DocumentMask {
    pb::DocumentMask { field_paths: paths.iter().map(FieldPath::to_string).collect() }
}

/// The message for a write to a document under `root`.
pub fn write_to_proto(root: &str, write: Write) -> pb::Write {
    let name = name_of_path(root, &write.path);
    let current_document = precondition_to_proto(write.precondition);
    match write.kind {
        WriteKind::Delete => pb::Write {
            operation: Some(pb::write::Operation::Delete(name)),
            update_mask: None,
            update_transforms: Vec::new(),
            current_document,
        },
        WriteKind::Set { fields, mask, transforms } => pb::Write {
            operation: Some(pb::write::Operation::Update(pb::Document {
                name,
                fields: fields_to_proto(fields),
                create_time: None,
                update_time: None,
            })),
            update_mask: mask.map(|paths| mask_to_proto(&paths)),
            update_transforms: transforms.into_iter().map(transform_to_proto).collect(),
            current_document,
        },
    }
}

fn precondition_to_proto(precondition: Precondition) -> Option<pb::Precondition> {
    use pb::precondition::ConditionType;
    let condition = match precondition {
        Precondition::None => return None,
        Precondition::Exists => ConditionType::Exists(true),
        Precondition::Missing => ConditionType::Exists(false),
        Precondition::UpdatedAt(time) => ConditionType::UpdateTime(timestamp_to_proto(time)),
    };
    Some(pb::Precondition { condition_type: Some(condition) })
}

fn transform_to_proto(transform: FieldTransform) -> pb::document_transform::FieldTransform {
    let kind = match transform.transform {
        Transform::ServerTime => TransformType::SetToServerValue(ServerValue::RequestTime.into()),
        Transform::Increment(by) => TransformType::Increment(value_to_proto(by)),
        Transform::Maximum(other) => TransformType::Maximum(value_to_proto(other)),
        Transform::Minimum(other) => TransformType::Minimum(value_to_proto(other)),
        Transform::Union(items) => TransformType::AppendMissingElements(array_to_proto(items)),
        Transform::Remove(items) => TransformType::RemoveAllFromArray(array_to_proto(items)),
    };
    pb::document_transform::FieldTransform { field_path: transform.path.to_string(), transform_type: Some(kind) }
}

/// A commit; an empty `transaction` for none.
pub(super) fn commit(connection: &Connection, writes: Vec<Write>, transaction: Vec<u8>) -> pb::CommitRequest {
    pb::CommitRequest {
        database: connection.database().to_owned(),
        writes: writes.into_iter().map(|write| write_to_proto(connection.root(), write)).collect(),
        transaction,
        request_options: None,
    }
}

/// What a commit answered.
pub(super) fn committed(response: pb::CommitResponse) -> Result<Committed, Failure> {
    let time = response.commit_time.ok_or_else(|| Failure::malformed("a commit without its time"))?;
    let results = response
        .write_results
        .into_iter()
        .map(|result| {
            let transformed = result.transform_results.into_iter().map(value_from_proto).collect::<Result<_>>()?;
            Ok(WriteResult { update_time: result.update_time.map(timestamp_from_proto), transformed })
        })
        .collect::<Result<_>>()?;
    Ok(Committed { time: timestamp_from_proto(time), results })
}

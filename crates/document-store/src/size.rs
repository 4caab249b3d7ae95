//! How large documents are, as Firestore counts it.

use super::{DocPath, Fields, Value};

/// How many levels of lists and maps a value has. Firestore stores at most 20 in a document.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Bytes of a document with its name. Firestore stores at most 1 MiB.
pub fn document_size(path: &DocPath, fields: &Fields) -> usize {
    name_size(path.as_str()) + 32 + fields_size(fields)
}

fn name_size(path: &str) -> usize {
    // Each segment counts its bytes and one more: as many as the path with its slashes, plus one.
    path.len() + 1 + 16
}

/// Bytes that fields take in a document.
pub fn fields_size(fields: &Fields) -> usize {
    fields.iter().map(|(name, value)| name.len() + 1 + value_size(value)).sum()
}

/// Bytes that a value takes in a document.
pub fn value_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Boolean(_) => 1,
        Value::Integer(_) | Value::Double(_) | Value::Timestamp(_) => 8,
        Value::String(text) => text.len() + 1,
        Value::Bytes(bytes) => bytes.len(),
        Value::Reference(name) => name_size(name.splitn(6, '/').nth(5).unwrap_or_default()),
        Value::GeoPoint { .. } => 16,
        Value::Array(items) => items.iter().map(value_size).sum(),
        Value::Map(fields) => fields_size(fields),
    }
}

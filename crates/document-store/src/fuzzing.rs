//! Access to private functions for fuzz targets; built by cargo-fuzz only (`--cfg fuzzing`).

use gcloud_sdk::google::firestore::v1 as pb;
use prost::Message as _;

use crate::embedded::record;
use crate::firestore::convert;
use crate::firestore::event::DocumentEventData;
use crate::{DocPath, Document, Fields, Result};

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

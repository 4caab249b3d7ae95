//! Index definitions, read from `firestore.indexes.json`, and the entries they make of a document.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;

use crate::order::{self, encode, encode_name};
use crate::{Direction, DocPath, FieldPath, Fields, Result, StoreError, Value};

/// One index: which collections, which fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The last segment of the collections' paths.
    pub collection_id: String,
    /// True for an index over all collections of the ID, false for one within each collection.
    pub group: bool,
    /// The fields, in order, without the document name.
    pub fields: Vec<IndexField>,
    /// The direction of the document name, which ends every entry.
    pub name: Direction,
}

/// One field of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexField {
    /// Which field.
    pub path: FieldPath,
    /// How it's indexed.
    pub mode: IndexMode,
}

/// How an index holds a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexMode {
    /// By its value.
    Ordered(Direction),
    /// By each element of the list that it is.
    Contains,
}

/// The indexes that a store maintains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexSet {
    indexes: Vec<Index>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    indexes: Vec<Composite>,
    #[serde(default)]
    field_overrides: Vec<Override>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Composite {
    collection_group: String,
    query_scope: Option<String>,
    fields: Vec<FieldEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FieldEntry {
    field_path: String,
    order: Option<String>,
    array_config: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Override {
    collection_group: String,
    field_path: String,
    #[serde(default)]
    indexes: Vec<OverrideEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OverrideEntry {
    query_scope: Option<String>,
    order: Option<String>,
    array_config: Option<String>,
}

impl IndexSet {
    /// No indexes.
    pub fn none() -> IndexSet {
        IndexSet::default()
    }

    /// Reads the text of a `firestore.indexes.json`: its composite indexes and its single-field
    /// overrides. Fails with [`StoreError::InvalidArgument`], saying what is wrong.
    pub fn parse(text: &str) -> Result<IndexSet> {
        let file: File = serde_json::from_str(text)
            .map_err(|error| StoreError::InvalidArgument(format!("the index definitions are malformed: {error}")))?;
        let mut set = IndexSet::default();
        for composite in &file.indexes {
            let mut fields = Vec::new();
            let mut name = None;
            for entry in &composite.fields {
                let (path, mode) = field(&entry.field_path, entry.order.as_deref(), entry.array_config.as_deref())?;
                match mode {
                    _ if name.is_some() => return refuse("an index has fields after __name__"),
                    IndexMode::Ordered(direction) if path.is_name() => name = Some(direction),
                    mode => fields.push(IndexField { path, mode }),
                }
            }
            set.add(Index::new(&composite.collection_group, group(composite.query_scope.as_deref())?, fields, name)?);
        }
        for single in &file.field_overrides {
            for entry in &single.indexes {
                let (path, mode) = field(&single.field_path, entry.order.as_deref(), entry.array_config.as_deref())?;
                let fields = vec![IndexField { path, mode }];
                set.add(Index::new(&single.collection_group, group(entry.query_scope.as_deref())?, fields, None)?);
            }
        }
        Ok(set)
    }

    /// Only the indexes that `wanted` admits.
    pub fn only(mut self, wanted: impl Fn(&Index) -> bool) -> IndexSet {
        self.indexes.retain(wanted);
        self
    }

    /// All of the indexes.
    pub fn iter(&self) -> impl Iterator<Item = &Index> {
        self.indexes.iter()
    }

    fn add(&mut self, index: Index) {
        if !self.indexes.contains(&index) {
            self.indexes.push(index);
        }
    }
}

fn field(path: &str, order: Option<&str>, array: Option<&str>) -> Result<(FieldPath, IndexMode)> {
    let mode = match (order, array) {
        (Some("ASCENDING"), None) => IndexMode::Ordered(Direction::Ascending),
        (Some("DESCENDING"), None) => IndexMode::Ordered(Direction::Descending),
        (None, Some("CONTAINS")) => IndexMode::Contains,
        _ => return refuse("an index field takes an order of ASCENDING or DESCENDING, or an arrayConfig of CONTAINS"),
    };
    Ok((FieldPath::parse(path)?, mode))
}

fn group(scope: Option<&str>) -> Result<bool> {
    match scope {
        None | Some("COLLECTION") => Ok(false),
        Some("COLLECTION_GROUP") => Ok(true),
        Some(_) => refuse("an index's queryScope is COLLECTION or COLLECTION_GROUP"),
    }
}

fn refuse<T>(why: &str) -> Result<T> {
    Err(StoreError::InvalidArgument(why.to_owned()))
}

impl Index {
    fn new(collection_id: &str, group: bool, fields: Vec<IndexField>, name: Option<Direction>) -> Result<Index> {
        if fields.is_empty() {
            return refuse("an index needs a field");
        }
        if fields.iter().filter(|field| field.mode == IndexMode::Contains).count() > 1 {
            return refuse("an index takes one array field at most");
        }
        // As Firestore has it: the name goes the way of the last field.
        let last = fields.iter().rev().find_map(|field| match field.mode {
            IndexMode::Ordered(direction) => Some(direction),
            IndexMode::Contains => None,
        });
        let name = name.or(last).unwrap_or(Direction::Ascending);
        Ok(Index { collection_id: collection_id.to_owned(), group, fields, name })
    }

    /// Appends to `keys` the document's entries: none when it lacks a field, one for each distinct
    /// element of an array field, else one.
    pub(super) fn keys(&self, path: &DocPath, fields: &Fields, keys: &mut Vec<Vec<u8>>) {
        let mut values = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            match order::field(fields, &field.path) {
                Some(value) => values.push(value),
                None => return,
            }
        }
        let contained = self.fields.iter().position(|field| field.mode == IndexMode::Contains);
        let Some(at) = contained else {
            keys.push(self.key(path, &values));
            return;
        };
        let distinct: BTreeSet<_> = values[at]
            .as_array()
            .unwrap_or_default()
            .iter()
            .map(|item| {
                values[at] = item;
                self.key(path, &values)
            })
            .collect();
        keys.extend(distinct);
    }

    fn key(&self, path: &DocPath, values: &[&Value]) -> Vec<u8> {
        let mut key = Vec::with_capacity(96);
        if !self.group {
            encode_name(path.collection(), &mut key);
        }
        for (field, value) in self.fields.iter().zip(values) {
            encode_directed(value, field.mode.direction(), &mut key);
        }
        self.encode_name(path.as_str(), &mut key);
        key
    }

    /// Appends the name part of an entry's key: the whole path in a group index, the document ID in
    /// a collection's.
    pub(super) fn encode_name(&self, path: &str, key: &mut Vec<u8>) {
        let start = key.len();
        let name = if self.group { path } else { path.rsplit('/').next().unwrap_or_default() };
        encode_name(name, key);
        invert(&mut key[start..], self.name);
    }
}

impl IndexMode {
    pub(super) fn direction(self) -> Direction {
        match self {
            IndexMode::Ordered(direction) => direction,
            IndexMode::Contains => Direction::Ascending,
        }
    }
}

/// Appends the value's encoding, upside down for a descending field.
pub(super) fn encode_directed(value: &Value, direction: Direction, key: &mut Vec<u8>) {
    let start = key.len();
    encode(value, key);
    invert(&mut key[start..], direction);
}

pub(super) fn invert(bytes: &mut [u8], direction: Direction) {
    if direction == Direction::Descending {
        for byte in bytes {
            *byte = !*byte;
        }
    }
}

/// The definition as text, by which a store knows that it has built the index.
impl fmt::Display for Index {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |direction| if direction == Direction::Ascending { "asc" } else { "desc" };
        write!(formatter, "{} {}:", if self.group { "group" } else { "collection" }, self.collection_id)?;
        for field in &self.fields {
            match field.mode {
                IndexMode::Ordered(direction) => write!(formatter, " {} {},", field.path, letter(direction))?,
                IndexMode::Contains => write!(formatter, " {} contains,", field.path)?,
            }
        }
        write!(formatter, " __name__ {}", letter(self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    const TEXT: &str = r#"{
        "indexes": [
            {"collectionGroup": "assignments", "queryScope": "COLLECTION_GROUP", "fields": [
                {"fieldPath": "assigningOrgs.districts", "arrayConfig": "CONTAINS"},
                {"fieldPath": "dateClosed", "order": "DESCENDING"}]},
            {"collectionGroup": "users", "queryScope": "COLLECTION", "fields": [
                {"fieldPath": "archived", "order": "ASCENDING"},
                {"fieldPath": "__name__", "order": "DESCENDING"}]}
        ],
        "fieldOverrides": [
            {"collectionGroup": "assignments", "fieldPath": "id", "ttl": false, "indexes": [
                {"order": "ASCENDING", "queryScope": "COLLECTION"},
                {"order": "ASCENDING", "queryScope": "COLLECTION_GROUP"}]}
        ]
    }"#;

    #[test]
    fn the_deployed_file_is_understood() {
        let set = IndexSet::parse(TEXT).unwrap();
        let texts: Vec<_> = set.iter().map(Index::to_string).collect();
        assert_eq!(
            texts,
            [
                "group assignments: assigningOrgs.districts contains, dateClosed desc, __name__ desc",
                "collection users: archived asc, __name__ desc",
                "collection assignments: id asc, __name__ asc",
                "group assignments: id asc, __name__ asc",
            ]
        );
        for bad in [
            "{",
            r#"{"indexes":[{"collectionGroup":"a","fields":[]}]}"#,
            r#"{"indexes":[{"collectionGroup":"a","fields":[{"fieldPath":"x","order":"UP"}]}]}"#,
            r#"{"indexes":[{"collectionGroup":"a","queryScope":"ALL","fields":[{"fieldPath":"x","order":"ASCENDING"}]}]}"#,
        ] {
            assert!(matches!(IndexSet::parse(bad), Err(StoreError::InvalidArgument(_))), "{bad}");
        }
    }

    #[test]
    fn an_array_field_makes_one_entry_an_element_and_a_missing_field_none() {
        let set = IndexSet::parse(TEXT).unwrap();
        let index = set.iter().next().unwrap();
        let path = DocPath::new("users/u/assignments/a").unwrap();
        let count = |fields: Fields| {
            let mut keys = Vec::new();
            index.keys(&path, &fields, &mut keys);
            keys.len()
        };
        let orgs = |ids: &[&str]| fields! { "districts" => Value::strings(ids.iter().copied()) };
        assert_eq!(count(fields! { "assigningOrgs" => orgs(&["x", "y", "x"]), "dateClosed" => 1 }), 2);
        assert_eq!(count(fields! { "assigningOrgs" => orgs(&[]), "dateClosed" => 1 }), 0);
        assert_eq!(count(fields! { "assigningOrgs" => orgs(&["x"]) }), 0);
        assert_eq!(count(fields! { "assigningOrgs" => "x", "dateClosed" => 1 }), 0);
    }
}

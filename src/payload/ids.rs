//! IDs of documents and accounts.

use std::borrow::Cow;
use std::collections::HashSet;
use std::marker::PhantomData;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use super::kinds::{self, Kind};
use crate::runtime::edge::{Wrong, by_value};
use crate::store::DocPath;

/// The longest Auth UID, and the longest ID that a caller may send, in bytes.
pub const ID_LIMIT: usize = 128;

/// True for text that can name a document.
pub fn is_id(id: &str) -> bool {
    DocPath::in_collection("ids", id).is_ok()
}

fn wrong<K: Kind>() -> Wrong {
    Wrong::new(format_args!("must be the ID of {}", K::ONE))
}

fn read_id<K: Kind>(sent: &Json) -> Result<String, Wrong> {
    sent.as_str().filter(|id| is_id(id)).map(str::to_owned).ok_or_else(wrong::<K>)
}

/// The ID of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id<K = kinds::Anything> {
    id: String,
    kind: PhantomData<K>,
}

impl<K> Id<K> {
    /// The text.
    pub fn into_string(self) -> String {
        self.id
    }
}

impl<K> Deref for Id<K> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.id
    }
}

impl<K> From<String> for Id<K> {
    fn from(id: String) -> Self {
        Id { id, kind: PhantomData }
    }
}

impl<K> From<&str> for Id<K> {
    fn from(id: &str) -> Self {
        Id::from(id.to_owned())
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, read_id::<K>).map(Id::from)
    }
}

impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.id)
    }
}

const PATTERN: &str = "^(?!\\.{1,2}$)(?!__.*__$)[^/\\u0000]+$";

/// All kinds of IDs share one schema.
impl<K> JsonSchema for Id<K> {
    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 1500, "pattern": PATTERN })
    }
}

/// The UID of an account, which is shorter than IDs of documents may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uid<K>(Id<K>);

impl<K> Uid<K> {
    /// The text.
    pub fn into_string(self) -> String {
        self.0.into_string()
    }
}

impl<'de, K: Kind> Deserialize<'de> for Uid<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| {
            let uid = read_id::<K>(sent)?;
            match uid.chars().count() > ID_LIMIT {
                true => Err(Wrong::new(format_args!("must have {ID_LIMIT} characters at most"))),
                false => Ok(Uid(Id::from(uid))),
            }
        })
    }
}

impl<K> JsonSchema for Uid<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Uid".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": ID_LIMIT, "pattern": PATTERN })
    }
}

/// IDs of documents, without repetitions and in the order in which they were sent. Null entries are skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids<K> {
    /// The IDs.
    pub ids: Vec<String>,
    kind: PhantomData<K>,
}

impl<'de, K: Kind> Deserialize<'de> for Ids<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| {
            let list = sent.as_array().ok_or_else(|| Wrong::new("must be a list of IDs"))?;
            let mut known = HashSet::new();
            let mut ids = Vec::new();
            for (index, id) in list.iter().enumerate().filter(|(_, id)| !id.is_null()) {
                let id = id.as_str().filter(|id| is_id(id)).ok_or_else(|| wrong::<K>().below_item(index))?;
                if known.insert(id) {
                    ids.push(id.to_owned());
                }
            }
            Ok(Ids { ids, kind: PhantomData })
        })
    }
}

impl<K> JsonSchema for Ids<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ids".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <Vec<Option<Id>>>::json_schema(generator)
    }
}

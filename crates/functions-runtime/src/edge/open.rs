//! Objects that may have any fields besides those that are known.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, de};
use serde_json::{Map, Value as Json};

use super::read::read_part;

/// An object with the fields of `T`, all of whose fields are kept as they were sent. (`serde(flatten)` would lose track of
/// fields that are missing.)
#[derive(Clone, Debug, PartialEq)]
pub struct Open<T> {
    /// The fields that are known, read.
    pub known: T,
    /// All fields, these too, as they were sent.
    pub all: Map<String, Json>,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Open<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sent = Json::deserialize(deserializer)?;
        let known = read_part(&sent).map_err(super::Wrong::into_error)?;
        match sent {
            Json::Object(all) => Ok(Open { known, all }),
            _ => Err(de::Error::invalid_type(de::Unexpected::Other("no object"), &"an object")),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Open<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

//! Types of text in requests.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use crate::runtime::edge::{Wrong, by_value, inline_schemas};

/// Text that isn't blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled(pub String);

impl<'de> Deserialize<'de> for Filled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| match sent {
            Json::String(text) if !text.trim().is_empty() => Ok(Filled(text.clone())),
            _ => Err(Wrong::new("must be text that isn't empty")),
        })
    }
}

/// Text; blank text is the same as absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub Option<String>);

impl Text {
    /// The text, if there's any.
    pub fn filled(text: Option<Text>) -> Option<String> {
        text.and_then(|text| text.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| match sent {
            Json::String(text) => Ok(Text(Some(text.clone()).filter(|text| !text.trim().is_empty()))),
            _ => Err(Wrong::new("must be text")),
        })
    }
}

inline_schemas! {
    Filled: { "type": "string", "minLength": 1, "pattern": "\\S" },
    Text: { "type": "string", "minLength": 1, "pattern": "\\S" },
}

/// The schema of a task's ID, which is a key of documents.
pub struct Key;

impl JsonSchema for Key {
    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": 1500, "pattern": "^(?!__.*__$)(?=[\\s\\S]*\\S)" })
    }
}

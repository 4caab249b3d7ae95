//! Names of people, as they are sent and stored. Pure.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

use crate::documents::user;
use crate::fields;
use crate::payload::{Checked, Filled, Text};
use crate::runtime::FunctionError;
use crate::runtime::edge::{Wrong, by_value, read_part};
use crate::store::Value;

/// The longest part of a name that is accepted; real ones are shorter.
const LONGEST: usize = 200;

/// A person's name.
#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    /// Given name.
    pub first: String,
    /// Middle name.
    pub middle: Option<String>,
    /// Family name.
    pub last: String,
}

/// Hides names from logs.
impl std::fmt::Debug for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Name(…)")
    }
}

/// A name in its parts.
#[derive(Deserialize, JsonSchema)]
#[serde(expecting = "an object with first and last, both text")]
#[schemars(inline)]
struct NameParts {
    /// Given name.
    #[schemars(length(max = LONGEST))]
    first: Filled,
    /// What's between.
    #[schemars(length(max = LONGEST))]
    middle: Option<Text>,
    /// Family name.
    #[schemars(length(max = LONGEST))]
    last: Filled,
}

/// A name is sent as a map of its parts, or as one text, split at its first and last space
/// (docs/domain/decisions.md#a-24).
impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| match sent {
            Json::String(text) => Name::split(text),
            sent => {
                let NameParts { first, middle, last } = read_part(sent)?;
                let trimmed = |text: String| text.trim().to_owned();
                Ok(Name { first: trimmed(first.0), middle: Text::filled(middle).map(trimmed), last: trimmed(last.0) })
            }
        })
    }
}

impl JsonSchema for Name {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let whole = json!({ "type": "string", "pattern": "\\S +\\S", "maxLength": 3 * LONGEST });
        json_schema!({ "anyOf": [generator.subschema_for::<NameParts>(), whole] })
    }
}

impl Name {
    /// Refuses parts that are too long; `field` is the path of the name in the request.
    pub fn check(&self, field: &str) -> Checked<()> {
        let parts = [Some(&self.first), self.middle.as_ref(), Some(&self.last)];
        let is_long = parts.into_iter().flatten().any(|part| part.chars().count() > LONGEST);
        match is_long {
            true => {
                Err(FunctionError::invalid(format!("Each part of {field} must have {LONGEST} characters at most.")))
            }
            false => Ok(()),
        }
    }

    fn split(text: &str) -> Result<Name, Wrong> {
        let wrong = || Wrong::new("must be an object with first and last, both text");
        let text = text.trim();
        let (first, rest) = text.split_once(' ').ok_or_else(wrong)?;
        let (middle, last) = rest.trim().rsplit_once(' ').unwrap_or(("", rest.trim()));
        let middle = Some(middle.trim()).filter(|middle| !middle.is_empty());
        Ok(Name { first: first.to_owned(), middle: middle.map(str::to_owned), last: last.to_owned() })
    }

    /// The name as documents store it: always all three parts (docs/domain/documents.md#users).
    pub fn to_value(&self) -> Value {
        let middle = self.middle.as_deref().map_or(Value::Null, Value::from);
        Value::Map(
            fields! { user::field::FIRST => self.first.as_str(), user::field::MIDDLE => middle, user::field::LAST => self.last.as_str() },
        )
    }

    /// The name as accounts show it.
    pub fn display(&self) -> String {
        format!("{} {}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_two_forms() {
        let name = |first: &str, middle: Option<&str>, last: &str| Name {
            first: first.to_owned(),
            middle: middle.map(str::to_owned),
            last: last.to_owned(),
        };
        for (sent, expected) in [
            (json!({"first": "Ada", "last": "Byron"}), Some(name("Ada", None, "Byron"))),
            (json!({"first": " Ada ", "middle": "M", "last": "Byron"}), Some(name("Ada", Some("M"), "Byron"))),
            (json!({"first": "Ada", "middle": null, "last": "Byron"}), Some(name("Ada", None, "Byron"))),
            (json!("Ada Byron"), Some(name("Ada", None, "Byron"))),
            (json!("Ada Mary Ann Byron"), Some(name("Ada", Some("Mary Ann"), "Byron"))),
            (json!("Ada"), None),
            (json!({"first": "Ada"}), None),
            (json!({"first": "Ada", "last": "  "}), None),
            (json!({"first": "Ada", "middle": 7, "last": "Byron"}), None),
            (json!(null), None),
            (json!(["Ada", "Byron"]), None),
        ] {
            assert!(read_part::<Name>(&sent).ok() == expected, "{sent}");
        }
    }
}

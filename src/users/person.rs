//! Names of people, as they're sent and stored. Pure.

use serde_json::{Map, Value as Json};

use crate::documents::user;
use crate::fields;
use crate::payload::{Checked, optional_text, present, required_text};
use crate::runtime::FunctionError;
use crate::store::Value;

/// Longer than any part of a name.
const LONGEST: usize = 200;

/// A person's name.
#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    /// Given name.
    pub first: String,
    /// What's between.
    pub middle: Option<String>,
    /// Family name.
    pub last: String,
}

/// Names aren't for logs.
impl std::fmt::Debug for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Name(…)")
    }
}

impl Name {
    /// Reads a name: a map of its parts, or one text, split at its first and last space
    /// (docs/domain/decisions.md#a-24).
    pub fn read(data: &Map<String, Json>, field: &str) -> Checked<Name> {
        let name = Name::read_parts(data, field)?;
        let parts = [Some(&name.first), name.middle.as_ref(), Some(&name.last)];
        let is_long = parts.into_iter().flatten().any(|part| part.chars().count() > LONGEST);
        match is_long {
            true => {
                Err(FunctionError::invalid(format!("Each part of {field} must have {LONGEST} characters at most.")))
            }
            false => Ok(name),
        }
    }

    fn read_parts(data: &Map<String, Json>, field: &str) -> Checked<Name> {
        let wrong = || FunctionError::invalid(format!("{field} must be an object with first and last, both text."));
        match present(data, field) {
            Some(Json::Object(parts)) => {
                let at = |error: FunctionError| FunctionError::invalid(format!("{field}.{}", error.message));
                let trimmed = |text: String| text.trim().to_owned();
                Ok(Name {
                    first: required_text(parts, "first").map(trimmed).map_err(at)?,
                    middle: optional_text(parts, "middle").map_err(at)?.map(trimmed),
                    last: required_text(parts, "last").map(trimmed).map_err(at)?,
                })
            }
            Some(Json::String(text)) => {
                let text = text.trim();
                let (first, rest) = text.split_once(' ').ok_or_else(wrong)?;
                let (middle, last) = rest.trim().rsplit_once(' ').unwrap_or(("", rest.trim()));
                let middle = Some(middle.trim()).filter(|middle| !middle.is_empty());
                Ok(Name { first: first.to_owned(), middle: middle.map(str::to_owned), last: last.to_owned() })
            }
            _ => Err(wrong()),
        }
    }

    /// As documents hold it: always all three parts (docs/domain/documents.md#users).
    pub fn to_value(&self) -> Value {
        let middle = self.middle.as_deref().map_or(Value::Null, Value::from);
        Value::Map(
            fields! { user::field::FIRST => self.first.as_str(), user::field::MIDDLE => middle, user::field::LAST => self.last.as_str() },
        )
    }

    /// As accounts show it.
    pub fn display(&self) -> String {
        format!("{} {}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
            let data = json!({ "name": sent });
            let read = Name::read(data.as_object().expect("an object"), "name").ok();
            assert!(read == expected, "{sent}");
        }
    }
}

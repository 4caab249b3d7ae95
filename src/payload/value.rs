//! Values that are stored as they were sent.

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use crate::runtime::edge::{Wrong, by_value, inline_schemas};
use crate::store::Value;

/// Firestore's limit on the depth of maps and lists, less the levels above a payload's values.
const VALUE_DEPTH: usize = 16;

/// Converts JSON into a value as Firestore stores it. Refuses what Firestore can't store: lists directly in lists,
/// empty or reserved keys, too deep nesting.
pub fn value(json: &Json) -> Result<Value, Wrong> {
    value_within(json, VALUE_DEPTH)
}

/// As [`value`], with the maximum depth given.
pub fn value_within(json: &Json, depth: usize) -> Result<Value, Wrong> {
    let deeper = || depth.checked_sub(1).ok_or_else(|| Wrong::new("is nested too deep"));
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Boolean(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => {
            let depth = deeper()?;
            if items.iter().any(Json::is_array) {
                return Err(Wrong::new("holds a list directly in a list"));
            }
            let items = items.iter().enumerate();
            let items = items.map(|(index, item)| value_within(item, depth).map_err(|wrong| wrong.below_item(index)));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Json::Object(entries) => {
            let depth = deeper()?;
            let entries = entries.iter().map(|(key, entry)| {
                check_key(key)?;
                Ok((key.clone(), value_within(entry, depth).map_err(|wrong| wrong.below(key))?))
            });
            Value::Map(entries.collect::<Result<_, Wrong>>()?)
        }
    })
}

/// True when documents can have the text as a field name.
pub fn is_key(key: &str) -> bool {
    let reserved = key.len() >= 4 && key.starts_with("__") && key.ends_with("__");
    !key.is_empty() && !reserved && key.len() <= 1500
}

/// Refuses a field name that Firestore can't store.
pub fn check_key(key: &str) -> Result<(), Wrong> {
    match is_key(key) {
        true => Ok(()),
        false => Err(Wrong::new("has a key that can't be stored")),
    }
}

/// An object that is stored as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored(pub Value);

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| match sent {
            Json::Object(_) => value(sent).map(Stored),
            _ => Err(Wrong::new("must be an object")),
        })
    }
}

inline_schemas! {
    Stored: { "type": "object" },
}

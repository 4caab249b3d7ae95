//! Reading what callers send: fields of a payload, each with an error that names it. Null is the same as
//! absent everywhere (docs/domain/documents.md#null-and-absent). Pure.

use serde_json::{Map, Value as Json};

use crate::runtime::FunctionError;
use crate::store::{DocPath, Value};

/// Longest Auth UID, and longest ID of anything a caller names.
pub const ID_LIMIT: usize = 128;
/// Firestore's limit on the depth of maps and lists, less the levels above a payload's values.
const VALUE_DEPTH: usize = 16;

/// What was read, or INVALID_ARGUMENT with a message that names the field.
pub type Checked<T> = Result<T, FunctionError>;

/// The payload of a call, which must be an object.
pub fn object(data: &Json) -> Checked<&Map<String, Json>> {
    data.as_object().ok_or_else(|| FunctionError::invalid("The request must be an object with the function's fields."))
}

/// A field that's there and isn't null.
pub fn present<'a>(fields: &'a Map<String, Json>, name: &str) -> Option<&'a Json> {
    fields.get(name).filter(|value| !value.is_null())
}

/// Text that isn't blank.
pub fn required_text(fields: &Map<String, Json>, name: &str) -> Checked<String> {
    match present(fields, name) {
        Some(Json::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
        _ => Err(FunctionError::invalid(format!("{name} must be text that isn't empty."))),
    }
}

/// Text; what's absent or blank is `None`.
pub fn optional_text(fields: &Map<String, Json>, name: &str) -> Checked<Option<String>> {
    match present(fields, name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
        Some(_) => Err(FunctionError::invalid(format!("{name} must be text."))),
    }
}

/// True or false.
pub fn flag(fields: &Map<String, Json>, name: &str) -> Checked<Option<bool>> {
    match present(fields, name) {
        None => Ok(None),
        Some(Json::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(FunctionError::invalid(format!("{name} must be true or false."))),
    }
}

/// An ID that can be a document's, of what `what` says: "an org".
pub fn optional_id(fields: &Map<String, Json>, name: &str, what: &str) -> Checked<Option<String>> {
    match present(fields, name) {
        None => Ok(None),
        Some(Json::String(id)) if is_id(id) => Ok(Some(id.clone())),
        Some(_) => Err(FunctionError::invalid(format!("{name} must be the ID of {what}."))),
    }
}

/// As [`optional_id`], but it must be there.
pub fn required_id(fields: &Map<String, Json>, name: &str, what: &str) -> Checked<String> {
    optional_id(fields, name, what)?.ok_or_else(|| FunctionError::invalid(format!("{name} must be the ID of {what}.")))
}

/// IDs that can be documents'; null entries are passed over, repeated ones kept once. `None` without the
/// field.
pub fn optional_ids(fields: &Map<String, Json>, name: &str, what: &str) -> Checked<Option<Vec<String>>> {
    let Some(sent) = present(fields, name) else { return Ok(None) };
    let list = sent.as_array().ok_or_else(|| FunctionError::invalid(format!("{name} must be a list of IDs.")))?;
    let mut ids: Vec<String> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for (index, id) in list.iter().enumerate().filter(|(_, id)| !id.is_null()) {
        match id {
            Json::String(id) if is_id(id) => {
                if known.insert(id) {
                    ids.push(id.clone());
                }
            }
            _ => return Err(FunctionError::invalid(format!("{name}[{index}] must be the ID of {what}."))),
        }
    }
    Ok(Some(ids))
}

/// What callers named, as errors and logs may repeat it: only what looks like an ID or a field. Other text may
/// be anything, somebody's name too.
pub fn shown(named: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_plain = (1..=64).contains(&named.len()) && named.chars().all(plain);
    if is_plain { named } else { "(…)" }
}

/// True for text that can name a document.
pub fn is_id(id: &str) -> bool {
    DocPath::in_collection("ids", id).is_ok()
}

/// Text of so many characters at most.
pub fn short(text: Option<String>, name: &str, most: usize) -> Checked<Option<String>> {
    match text.as_ref().is_some_and(|text| text.chars().count() > most) {
        true => Err(FunctionError::invalid(format!("{name} must have {most} characters at most."))),
        false => Ok(text),
    }
}

/// A JSON value as Firestore stores it. Refuses what Firestore can't: lists directly in lists, empty or
/// reserved keys, too deep a nest.
pub fn value(json: &Json, at: &str) -> Checked<Value> {
    value_within(json, at, VALUE_DEPTH)
}

/// As [`value`], with the depth given.
pub fn value_within(json: &Json, at: &str, depth: usize) -> Checked<Value> {
    let deeper = || depth.checked_sub(1).ok_or_else(|| FunctionError::invalid(format!("{at} is nested too deep.")));
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
                return Err(FunctionError::invalid(format!("{at} holds a list directly in a list.")));
            }
            let items =
                items.iter().enumerate().map(|(index, item)| value_within(item, &format!("{at}[{index}]"), depth));
            Value::Array(items.collect::<Checked<_>>()?)
        }
        Json::Object(entries) => {
            let depth = deeper()?;
            let entries = entries.iter().map(|(key, entry)| {
                check_key(key, at)?;
                Ok((key.clone(), value_within(entry, &format!("{at}.{}", shown(key)), depth)?))
            });
            Value::Map(entries.collect::<Checked<_>>()?)
        }
    })
}

/// True when documents can have the text as a key.
pub fn is_key(key: &str) -> bool {
    let reserved = key.len() >= 4 && key.starts_with("__") && key.ends_with("__");
    !key.is_empty() && !reserved && key.len() <= 1500
}

/// Refuses a key that Firestore can't store.
pub fn check_key(key: &str, at: &str) -> Checked<()> {
    if !is_key(key) {
        return Err(FunctionError::invalid(format!("{at} has a key that can't be stored.")));
    }
    Ok(())
}

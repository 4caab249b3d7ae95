//! Documents as JSON, without loss.
//!
//! Null, booleans, strings, lists and maps are JSON's own. A number without fraction or exponent is
//! an integer, with either a double (`1` and `1.0` differ). A value that JSON doesn't have is an object with one
//! key that begins with `$`:
//!
//! | Value | JSON |
//! |---|---|
//! | timestamp | `{"$timestamp": "2025-03-10T18:20:43.677647Z"}` |
//! | bytes | `{"$bytes": "aGVsbG8="}` |
//! | reference | `{"$reference": "projects/P/databases/D/documents/users/u1"}` |
//! | geo point | `{"$geo": [37.4, -122.2]}` (degrees north, degrees east) |
//! | NaN, infinities, doubles whose digits JSON parsers round | `{"$double": "NaN"}` |
//! | a map that would look like one of these | `{"$map": {…}}` |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json, json};

use crate::store::{Fields, Value};

/// Fields as a JSON object.
pub fn fields_to_json(fields: &Fields) -> Map<String, Json> {
    fields.iter().map(|(name, value)| (name.clone(), to_json(value))).collect()
}

/// One value as JSON.
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(flag) => Json::Bool(*flag),
        Value::Integer(number) => json!(number),
        Value::Double(number) => double_to_json(*number),
        Value::Timestamp(instant) => json!({"$timestamp": instant.to_string()}),
        Value::String(text) => json!(text),
        Value::Bytes(bytes) => json!({"$bytes": STANDARD.encode(bytes)}),
        Value::Reference(name) => json!({"$reference": name}),
        Value::GeoPoint { latitude, longitude } => {
            json!({"$geo": [double_to_json(*latitude), double_to_json(*longitude)]})
        }
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Map(entries) => {
            let object = Json::Object(fields_to_json(entries));
            if entries.len() == 1 && entries.keys().any(|key| key.starts_with('$')) {
                json!({ "$map": object })
            } else {
                object
            }
        }
    }
}

/// A double as a JSON number, if parsing the number gives the same double, which the parser doesn't guarantee for all.
fn double_to_json(number: f64) -> Json {
    let plain = Number::from_f64(number).map(Json::Number);
    let comes_back = |json: &Json| {
        let parsed = serde_json::from_str::<Json>(&json.to_string()).ok();
        parsed.and_then(|parsed| parsed.as_f64()).is_some_and(|parsed| parsed.to_bits() == number.to_bits())
    };
    plain.filter(comes_back).unwrap_or_else(|| json!({"$double": format!("{number:?}")}))
}

/// The fields in a JSON object. Fails with a text that says what is invalid, and where.
pub fn fields_from_json(object: &Map<String, Json>) -> Result<Fields, String> {
    let entry = |(name, value): (&String, &Json)| {
        let value = from_json(value).map_err(|why| format!("{name}: {why}"))?;
        Ok((name.clone(), value))
    };
    object.iter().map(entry).collect()
}

/// The value that a JSON value stands for.
pub fn from_json(json: &Json) -> Result<Value, String> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Boolean(*flag),
        Json::Number(number) => match (number.as_i64(), number.is_f64(), number.as_f64()) {
            (Some(integer), _, _) => Value::Integer(integer),
            (None, true, Some(double)) => Value::Double(double),
            _ => return Err(format!("{number} is too large for an integer")),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => Value::Array(items.iter().map(from_json).collect::<Result<_, _>>()?),
        Json::Object(object) => match object.iter().next() {
            Some((key, inner)) if object.len() == 1 && key.starts_with('$') => special(key, inner)?,
            _ => Value::Map(fields_from_json(object)?),
        },
    })
}

fn special(key: &str, inner: &Json) -> Result<Value, String> {
    let text = || inner.as_str().ok_or_else(|| format!("{key} needs a string"));
    Ok(match key {
        "$timestamp" => {
            let instant = text()?.parse().map_err(|_| format!("{key} needs a time as 2025-03-10T18:20:43Z"))?;
            Value::Timestamp(instant)
        }
        "$bytes" => Value::Bytes(STANDARD.decode(text()?).map_err(|_| format!("{key} needs base64"))?),
        "$reference" => Value::Reference(text()?.to_owned()),
        "$double" => Value::Double(text()?.parse().map_err(|_| format!("{key} needs a number"))?),
        "$geo" => {
            let degrees = |index: usize| match inner.get(index).map(from_json) {
                Some(Ok(Value::Integer(number))) => Some(number as f64),
                Some(Ok(Value::Double(number))) => Some(number),
                _ => None,
            };
            match (degrees(0), degrees(1), inner.get(2)) {
                (Some(latitude), Some(longitude), None) => Value::GeoPoint { latitude, longitude },
                _ => return Err(format!("{key} needs [degrees north, degrees east]")),
            }
        }
        "$map" => Value::Map(fields_from_json(inner.as_object().ok_or_else(|| format!("{key} needs an object"))?)?),
        _ => return Err(format!("{key} is no special value; a map with this key is {{\"$map\": …}}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn every_value_survives() {
        let values = fields! {
            "null" => Value::Null,
            "flag" => true,
            "integer" => i64::MIN,
            "whole double" => 3.0,
            "negative zero" => -0.0,
            "awkward doubles" => vec![
                Value::Double(f64::INFINITY),
                Value::Double(f64::NEG_INFINITY),
                Value::Double(1e300),
                Value::Double(f64::MIN_POSITIVE / 3.0),
                Value::Double(0.1 + 0.2),
                Value::Double(31.245270191439438),
            ],
            "time" => "1969-12-31T23:59:59.123456Z".parse::<jiff::Timestamp>().unwrap(),
            "text" => "a \"b\" \n",
            "bytes" => Value::Bytes(vec![0, 255, 10]),
            "reference" => Value::Reference("projects/p/databases/d/documents/a/b".to_owned()),
            "point" => Value::GeoPoint { latitude: 1.0, longitude: -0.5 },
            "list" => vec![Value::from(1), Value::from("x")],
            "map" => fields! { "$timestamp" => "not a time" },
            "map of map" => fields! { "$map" => fields! { "a" => 1, "$b" => 2 } },
            "empty" => Fields::new(),
        };
        let text = Json::Object(fields_to_json(&values)).to_string();
        let parsed: Map<String, Json> = serde_json::from_str(&text).unwrap();
        assert_eq!(fields_from_json(&parsed), Ok(values));
        let nan = to_json(&Value::Double(f64::NAN));
        assert!(matches!(from_json(&nan), Ok(Value::Double(number)) if number.is_nan()));
    }

    #[test]
    fn what_cannot_be_a_value_is_refused_by_name() {
        for (json, why) in [
            (json!({"a": {"$time": 1}}), "a: $time is no special value; a map with this key is {\"$map\": …}"),
            (json!({"a": [{"$bytes": "?"}]}), "a: $bytes needs base64"),
            (json!({"a": u64::MAX}), "a: 18446744073709551615 is too large for an integer"),
            (json!({"a": {"$geo": [1]}}), "a: $geo needs [degrees north, degrees east]"),
        ] {
            assert_eq!(fields_from_json(json.as_object().unwrap()), Err(why.to_owned()));
        }
    }
}

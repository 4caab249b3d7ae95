//! Decoding of a call's `data`: native mobile clients wrap 64-bit integers in `@type` objects.

use serde_json::{Map, Number, Value};
use thiserror::Error;

const INT64: &str = "type.googleapis.com/google.protobuf.Int64Value";
const UINT64: &str = "type.googleapis.com/google.protobuf.UInt64Value";

/// A wrapper that can't be decoded. Firebase treats it as an unexpected error (500), not as a bad
/// request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Neither of the two types above.
    #[error("the payload holds an object with an @type that isn't known")]
    UnknownType,
    /// The wrapped value is no number.
    #[error("the payload holds a wrapped number that isn't one")]
    NotANumber,
}

/// Replaces wrappers by what they wrap, at any depth. The parser has bounded the depth.
pub fn decode(data: Value) -> Result<Value, DecodeError> {
    Ok(match data {
        Value::Array(items) => Value::Array(items.into_iter().map(decode).collect::<Result<_, _>>()?),
        Value::Object(object) if object.get("@type").is_some_and(is_truthy) => unwrap(&object)?,
        Value::Object(object) => {
            Value::Object(object.into_iter().map(|(key, value)| Ok((key, decode(value)?))).collect::<Result<_, _>>()?)
        }
        plain => plain,
    })
}

/// As JavaScript sees it: an object whose `@type` is falsy is an ordinary one.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

fn unwrap(object: &Map<String, Value>) -> Result<Value, DecodeError> {
    match object.get("@type").and_then(Value::as_str) {
        Some(INT64 | UINT64) => {}
        _ => return Err(DecodeError::UnknownType),
    }
    match object.get("value") {
        Some(Value::String(text)) => number(text.trim()).map(Value::Number).ok_or(DecodeError::NotANumber),
        Some(Value::Number(number)) => Ok(Value::Number(number.clone())),
        _ => Err(DecodeError::NotANumber),
    }
}

/// Whole numbers of 64 bits stay exact (JavaScript would round them); others become doubles, as
/// they do there.
fn number(text: &str) -> Option<Number> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(number.into());
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wrapped(kind: &str, value: Value) -> Value {
        json!({"@type": format!("type.googleapis.com/google.protobuf.{kind}"), "value": value})
    }

    #[test]
    fn wrapped_integers_are_exact_at_any_depth() {
        let data = json!({
            "list": [wrapped("Int64Value", json!("9007199254740993")), 1],
            "largest": wrapped("UInt64Value", json!("18446744073709551615")),
            "smallest": wrapped("Int64Value", json!("-9223372036854775808")),
            "plain": wrapped("Int64Value", json!(7)),
        });
        let decoded = json!({
            "list": [9007199254740993_i64, 1],
            "largest": u64::MAX,
            "smallest": i64::MIN,
            "plain": 7,
        });
        assert_eq!(decode(data), Ok(decoded));
    }

    #[test]
    fn an_object_whose_type_is_falsy_is_ordinary() {
        for falsy in [json!(null), json!(false), json!(0), json!(0.0), json!("")] {
            let data = json!({"@type": falsy, "value": "x"});
            assert_eq!(decode(data.clone()), Ok(data));
        }
    }

    #[test]
    fn what_is_no_number_or_no_known_type_fails() {
        for value in [json!("12abc"), json!(""), json!("NaN"), json!(null), json!([1])] {
            assert_eq!(decode(json!([wrapped("Int64Value", value)])), Err(DecodeError::NotANumber));
        }
        assert_eq!(decode(json!({"@type": INT64})), Err(DecodeError::NotANumber));
        for kind in [json!("type.googleapis.com/google.protobuf.Timestamp"), json!(1), json!([]), json!(true)] {
            assert_eq!(decode(json!({"a": {"@type": kind, "value": "1"}})), Err(DecodeError::UnknownType));
        }
    }
}

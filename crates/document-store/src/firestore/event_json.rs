//! The proto3 JSON form of document events.
//!
//! As the mapping demands of a reader: names in lowerCamelCase or as in the message's definition,
//! 64-bit integers as strings or numbers, doubles as numbers or strings (`"NaN"`), base64 of either
//! alphabet with or without padding, absent fields as their defaults, `null` as absent, and unknown
//! fields passed over.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use gcloud_sdk::google::firestore::v1 as pb;
use pb::value::ValueType;
use serde_json::{Map, Value as Json};

use super::convert;
use super::event::{DocumentEventData, EventError};
use crate::{Timestamp, Value};

const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
/// Base64 with `+` and `/`, padded or not.
pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
/// Base64 with `-` and `_`, padded or not.
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// Reads a `DocumentEventData`.
pub(super) fn decode(body: &[u8]) -> Result<DocumentEventData, EventError> {
    let json = serde_json::from_slice(body).map_err(|_| malformed("its JSON is malformed"))?;
    let data = object(&json, "it isn't a JSON object")?;
    Ok(DocumentEventData {
        value: member(data, "value", "value").map(document).transpose()?,
        old_value: member(data, "oldValue", "old_value").map(document).transpose()?,
        // No handler looks at it: what changed is told by the two documents.
        update_mask: None,
    })
}

fn malformed(why: &str) -> EventError {
    EventError::Malformed(why.to_owned())
}

fn object<'a>(json: &'a Json, otherwise: &str) -> Result<&'a Map<String, Json>, EventError> {
    json.as_object().ok_or_else(|| malformed(otherwise))
}

/// A member by either of its names; `null` is as good as none.
fn member<'a>(object: &'a Map<String, Json>, camel: &str, snake: &str) -> Option<&'a Json> {
    object.get(camel).or_else(|| object.get(snake)).filter(|json| !json.is_null())
}

fn document(json: &Json) -> Result<pb::Document, EventError> {
    let json = object(json, "a document in it isn't a JSON object")?;
    let time = |camel, snake| {
        member(json, camel, snake).map(|json| timestamp(json).map(convert::timestamp_to_proto)).transpose()
    };
    Ok(pb::Document {
        name: match json.get("name") {
            None | Some(Json::Null) => String::new(),
            Some(Json::String(name)) => name.clone(),
            Some(_) => return Err(malformed("the name of a document in it isn't text")),
        },
        fields: fields(json)?,
        create_time: time("createTime", "create_time")?,
        update_time: time("updateTime", "update_time")?,
    })
}

fn fields(json: &Map<String, Json>) -> Result<std::collections::HashMap<String, pb::Value>, EventError> {
    match member(json, "fields", "fields") {
        None => Ok(Default::default()),
        Some(fields) => object(fields, "fields in it aren't a JSON object")?
            .iter()
            .map(|(name, json)| Ok((name.clone(), value(json)?)))
            .collect(),
    }
}

fn value(json: &Json) -> Result<pb::Value, EventError> {
    let json = object(json, "a value in it isn't a JSON object")?;
    let known = json.iter().filter_map(|(name, json)| typed_value(name, json));
    let mut kinds = known.collect::<Result<Vec<_>, _>>()?.into_iter();
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) => Ok(pb::Value { value_type: Some(kind) }),
        (None, _) => Err(malformed("a value in it has no known kind")),
        (Some(_), Some(_)) => Err(malformed("a value in it has two kinds")),
    }
}

/// The value under one member's name; `None` when the name isn't that of a kind of value, or the
/// member is null where that means absent.
fn typed_value(name: &str, json: &Json) -> Option<Result<ValueType, EventError>> {
    let wrong = || malformed("a value in it isn't of its kind");
    // Here alone null is a value: NullValue's JSON form.
    if matches!(name, "nullValue" | "null_value") {
        let is_null = json.is_null() || json.as_str() == Some("NULL_VALUE") || json.as_i64() == Some(0);
        return Some(if is_null { Ok(ValueType::NullValue(0)) } else { Err(wrong()) });
    }
    if json.is_null() {
        return None;
    }
    let text = || json.as_str().map(str::to_owned).ok_or_else(wrong);
    Some(match name {
        "booleanValue" | "boolean_value" => json.as_bool().map(ValueType::BooleanValue).ok_or_else(wrong),
        "integerValue" | "integer_value" => integer(json).map(ValueType::IntegerValue).ok_or_else(wrong),
        "doubleValue" | "double_value" => double(json).map(ValueType::DoubleValue).ok_or_else(wrong),
        "timestampValue" | "timestamp_value" => {
            timestamp(json).map(convert::timestamp_to_proto).map(ValueType::TimestampValue)
        }
        "stringValue" | "string_value" => text().map(ValueType::StringValue),
        "bytesValue" | "bytes_value" => json.as_str().and_then(bytes).map(ValueType::BytesValue).ok_or_else(wrong),
        "referenceValue" | "reference_value" => text().map(ValueType::ReferenceValue),
        "geoPointValue" | "geo_point_value" => geo_point(json),
        "arrayValue" | "array_value" => array(json),
        "mapValue" | "map_value" => object(json, "a map in it isn't a JSON object")
            .and_then(fields)
            .map(|fields| ValueType::MapValue(pb::MapValue { fields })),
        _ => return None,
    })
}

fn integer(json: &Json) -> Option<i64> {
    match json {
        Json::String(text) => text.parse().ok(),
        // A whole number may be written with a fraction or an exponent.
        Json::Number(number) => number.as_i64().or_else(|| Value::Double(number.as_f64()?).as_i64()),
        _ => None,
    }
}

fn double(json: &Json) -> Option<f64> {
    match json {
        Json::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            // Rust reads "inf" and "nan" too, which the mapping doesn't have.
            number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                number.parse().ok().filter(|number: &f64| number.is_finite())
            }
            _ => None,
        },
        json => json.as_f64(),
    }
}

fn timestamp(json: &Json) -> Result<Timestamp, EventError> {
    let text = json.as_str().unwrap_or_default();
    match text.parse() {
        Ok(instant) => Ok(instant),
        // Beyond what we can tell, but legal: see `convert`.
        Err(_) if text.starts_with("9999-12-3") => Ok(Timestamp::MAX),
        Err(_) => Err(malformed("a time in it isn't in RFC 3339")),
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).or_else(|_| BASE64_URL.decode(text)).ok()
}

fn geo_point(json: &Json) -> Result<ValueType, EventError> {
    let json = object(json, "a point in it isn't a JSON object")?;
    let degrees = |name| match member(json, name, name) {
        None => Ok(0.0),
        Some(json) => double(json).ok_or_else(|| malformed("a point in it isn't of numbers")),
    };
    let point = gcloud_sdk::google::r#type::LatLng { latitude: degrees("latitude")?, longitude: degrees("longitude")? };
    Ok(ValueType::GeoPointValue(point))
}

fn array(json: &Json) -> Result<ValueType, EventError> {
    let json = object(json, "a list in it isn't a JSON object")?;
    let values = match member(json, "values", "values") {
        None => Vec::new(),
        Some(Json::Array(items)) => items.iter().map(value).collect::<Result<_, _>>()?,
        Some(_) => return Err(malformed("a list in it isn't a JSON array")),
    };
    Ok(ValueType::ArrayValue(pb::ArrayValue { values }))
}

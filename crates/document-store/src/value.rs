//! Values and field maps: one lossless type for everything a document can hold.

use std::collections::BTreeMap;

pub use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The first instant that Firestore takes: 0001-01-01T00:00:00Z.
pub const FIRST_INSTANT: Timestamp = Timestamp::constant(-62_135_596_800, 0);

/// The fields of a document, or the entries of a map value. Keys are unescaped field names.
pub type Fields = BTreeMap<String, Value>;

/// One Firestore value (`google.firestore.v1.Value`), lossless in both directions.
///
/// Equality is structural: `Integer(1)` and `Double(1.0)` are different values here, although a
/// query treats them as equal (see [`super::order`]). NaN equals itself: what compares a document
/// with what it should be would else find a difference for ever.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Value {
    /// Null.
    Null,
    /// A boolean.
    Boolean(bool),
    /// A 64-bit signed integer.
    Integer(i64),
    /// A double; NaN and the infinities are legal.
    Double(f64),
    /// An instant, stored with microsecond precision.
    #[serde(with = "timestamp_serde")]
    Timestamp(Timestamp),
    /// UTF-8 text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A document's full resource name, `projects/P/databases/D/documents/PATH`.
    Reference(String),
    /// A point on Earth, in degrees.
    GeoPoint {
        /// Degrees north, −90 to 90.
        latitude: f64,
        /// Degrees east, −180 to 180.
        longitude: f64,
    },
    /// A list. Firestore refuses lists that hold lists directly.
    Array(Vec<Value>),
    /// A map.
    Map(Fields),
}

/// Compact form of a timestamp in the embedded store's records: seconds and nanoseconds.
mod timestamp_serde {
    use super::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        (value.as_second(), value.subsec_nanosecond()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let (seconds, nanoseconds) = <(i64, i32)>::deserialize(deserializer)?;
        Timestamp::new(seconds, nanoseconds).map_err(serde::de::Error::custom)
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        let same = |one: &f64, other: &f64| one == other || one.is_nan() && other.is_nan();
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Boolean(one), Value::Boolean(other)) => one == other,
            (Value::Integer(one), Value::Integer(other)) => one == other,
            (Value::Double(one), Value::Double(other)) => same(one, other),
            (Value::Timestamp(one), Value::Timestamp(other)) => one == other,
            (Value::String(one), Value::String(other)) => one == other,
            (Value::Bytes(one), Value::Bytes(other)) => one == other,
            (Value::Reference(one), Value::Reference(other)) => one == other,
            (Value::GeoPoint { latitude: a, longitude: b }, Value::GeoPoint { latitude: c, longitude: d }) => {
                same(a, c) && same(b, d)
            }
            (Value::Array(one), Value::Array(other)) => one == other,
            (Value::Map(one), Value::Map(other)) => one == other,
            _ => false,
        }
    }
}

impl Value {
    /// An empty map.
    pub fn empty_map() -> Value {
        Value::Map(Fields::new())
    }

    /// A list of strings.
    pub fn strings<I, S>(items: I) -> Value
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        Value::Array(items.into_iter().map(|item| Value::String(item.into())).collect())
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Boolean(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The integer, if this is one, or a double without a fraction (JavaScript clients store both).
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            Value::Double(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => Some(*number as i64),
            _ => None,
        }
    }

    /// The instant, if this is a timestamp.
    pub fn as_timestamp(&self) -> Option<Timestamp> {
        match self {
            Value::Timestamp(instant) => Some(*instant),
            _ => None,
        }
    }

    /// The entries, if this is a map.
    pub fn as_map(&self) -> Option<&Fields> {
        match self {
            Value::Map(fields) => Some(fields),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// True for null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The strings in a list; anything else in it is passed over. `None` when this is no list.
    pub fn as_string_list(&self) -> Option<Vec<String>> {
        let items = self.as_array()?;
        Some(items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text)
    }
}
impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Value::Boolean(flag)
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Integer(number)
    }
}
impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Double(number)
    }
}
impl From<Timestamp> for Value {
    fn from(instant: Timestamp) -> Self {
        Value::Timestamp(instant)
    }
}
impl From<Fields> for Value {
    fn from(fields: Fields) -> Self {
        Value::Map(fields)
    }
}
impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::Array(items)
    }
}

/// Builds [`Fields`] from `"name" => value` pairs; each value goes through `Value::from`.
#[macro_export]
macro_rules! fields {
    ($($name:expr => $value:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut fields = $crate::Fields::new();
        $(fields.insert(String::from($name), $crate::Value::from($value));)*
        fields
    }};
}

/// Looks up a dotted field path (`studentData.grade`) in `fields`.
///
/// Segments are separated by dots, so that none can hold one: see [`super::FieldPath`] for field names that do.
pub fn lookup<'a>(fields: &'a Fields, dotted: &str) -> Option<&'a Value> {
    let mut segments = dotted.split('.');
    let mut value = fields.get(segments.next()?)?;
    for segment in segments {
        value = value.as_map()?.get(segment)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotted_path_reaches_into_maps_only() {
        let fields = fields! {
            "studentData" => fields! { "grade" => "3" },
            "userType" => "student",
        };
        assert_eq!(lookup(&fields, "studentData.grade"), Some(&Value::from("3")));
        assert_eq!(lookup(&fields, "userType"), Some(&Value::from("student")));
        assert_eq!(lookup(&fields, "userType.length"), None);
        assert_eq!(lookup(&fields, "missing"), None);
    }

    #[test]
    fn a_value_equals_itself_and_no_other() {
        let nan = || Value::Double(f64::NAN);
        let values = || {
            vec![
                Value::Null,
                false.into(),
                1.into(),
                1.0.into(),
                nan(),
                Timestamp::UNIX_EPOCH.into(),
                "".into(),
                Value::Bytes(Vec::new()),
                Value::Reference(String::new()),
                Value::GeoPoint { latitude: 1.0, longitude: 2.0 },
                Value::GeoPoint { latitude: 2.0, longitude: 1.0 },
                vec![nan()].into(),
                fields! { "a" => nan() }.into(),
            ]
        };
        for (i, one) in values().iter().enumerate() {
            for (j, other) in values().iter().enumerate() {
                assert_eq!(one == other, i == j, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn integers_accept_whole_doubles() {
        assert_eq!(Value::Double(3.0).as_i64(), Some(3));
        assert_eq!(Value::Double(3.5).as_i64(), None);
        assert_eq!(Value::Double(f64::NAN).as_i64(), None);
    }
}

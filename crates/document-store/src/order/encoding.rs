//! Values and names as bytes whose order is the values' order: the keys of index entries.
//!
//! Every encoding ends itself (none is the beginning of another), so that several can stand one
//! after another in a key.

use super::{class, double_key, instant_key, number_key};
use crate::Value;

/// Ends a string, a name, a list or a map; below everything that can continue one.
const END: [u8; 2] = [0, 0];
/// Stands between the segments of a name; below every byte of a longer segment.
const SEPARATOR: [u8; 2] = [0, 1];

/// Appends the value's encoding to `key`: comparing two encodings compares the values as
/// [`super::compare`] does.
pub fn encode(value: &Value, key: &mut Vec<u8>) {
    key.push(class(value));
    match value {
        Value::Null => {}
        Value::Boolean(flag) => key.push(u8::from(*flag)),
        Value::Integer(_) | Value::Double(_) => {
            let (nearest, beyond) = number_key(value);
            key.extend_from_slice(&nearest.to_be_bytes());
            key.extend_from_slice(&(beyond as u16 ^ 0x8000).to_be_bytes());
        }
        Value::Timestamp(instant) => {
            let (seconds, nanoseconds) = instant_key(*instant);
            key.extend_from_slice(&(seconds as u64 ^ 1 << 63).to_be_bytes());
            key.extend_from_slice(&nanoseconds.to_be_bytes());
        }
        Value::String(text) => {
            escape(text.as_bytes(), key);
            key.extend_from_slice(&END);
        }
        Value::Bytes(bytes) => {
            escape(bytes, key);
            key.extend_from_slice(&END);
        }
        Value::Reference(name) => encode_name(name, key),
        Value::GeoPoint { latitude, longitude } => {
            key.extend_from_slice(&double_key(*latitude).to_be_bytes());
            key.extend_from_slice(&double_key(*longitude).to_be_bytes());
        }
        Value::Array(items) => {
            for item in items {
                encode(item, key);
            }
            key.push(0);
        }
        Value::Map(fields) => {
            for (name, value) in fields {
                key.push(1);
                escape(name.as_bytes(), key);
                key.extend_from_slice(&END);
                encode(value, key);
            }
            key.push(0);
        }
    }
}

/// Appends the encoding of a slash-separated name, which orders segment by segment.
pub fn encode_name(name: &str, key: &mut Vec<u8>) {
    for (index, segment) in name.split('/').enumerate() {
        if index > 0 {
            key.extend_from_slice(&SEPARATOR);
        }
        escape(segment.as_bytes(), key);
    }
    key.extend_from_slice(&END);
}

fn escape(bytes: &[u8], key: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
        key.extend_from_slice(&rest[..=zero]);
        key.push(0xff);
        rest = &rest[zero + 1..];
    }
    key.extend_from_slice(rest);
}

/// The least key above everything that begins with `prefix`; `None` when there's none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::compare;
    use super::super::tests::any_value;
    use super::*;

    fn encoded(value: &Value) -> Vec<u8> {
        let mut key = Vec::new();
        encode(value, &mut key);
        key
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn encodings_order_as_the_values_do(a in any_value(), b in any_value()) {
            prop_assert_eq!(encoded(&a).cmp(&encoded(&b)), compare(&a, &b));
        }

        #[test]
        fn no_encoding_begins_another(a in any_value(), b in any_value()) {
            if compare(&a, &b).is_ne() {
                prop_assert!(!encoded(&b).starts_with(&encoded(&a)));
            }
        }
    }

    #[test]
    fn the_end_of_a_prefix_is_above_all_that_begins_with_it() {
        assert_eq!(prefix_end(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(prefix_end(&[1, 0xff]), Some(vec![2]));
        assert_eq!(prefix_end(&[0xff]), None);
        assert_eq!(prefix_end(&[]), None);
    }
}

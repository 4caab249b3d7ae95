//! Firestore's order over values, its filters and its query semantics, as pure functions.
//!
//! The embedded store decides with these functions what a query returns. All of them are tested against the Firestore
//! emulator.

mod encoding;
mod evaluate;
mod filter;
mod validate;

use std::cmp::Ordering;

pub use encoding::{encode, encode_name, prefix_end};
pub use evaluate::{Evaluation, evaluate, project};
pub use filter::matches;
pub use validate::{effective_order, name_of, validate};

pub(super) use filter::comparable;
pub(super) use validate::{check_field_name, check_field_path};

use super::{FieldPath, Fields, Timestamp, Value};

/// The field at `path`; `None` where it's missing or a step on the way is no map.
pub fn field<'a>(fields: &'a Fields, path: &FieldPath) -> Option<&'a Value> {
    let (first, rest) = path.segments().split_first()?;
    let mut value = fields.get(first)?;
    for segment in rest {
        value = value.as_map()?.get(segment)?;
    }
    Some(value)
}

/// Puts `value` at `path`, making maps of what is on the way and isn't one.
pub fn set_field(fields: &mut Fields, path: &FieldPath, value: Value) {
    set_at(fields, path.segments(), value);
}

fn set_at(fields: &mut Fields, segments: &[String], value: Value) {
    match segments {
        [] => {}
        [last] => {
            fields.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let entry = fields.entry(first.clone()).or_insert_with(Value::empty_map);
            if !matches!(entry, Value::Map(_)) {
                *entry = Value::empty_map();
            }
            if let Value::Map(inner) = entry {
                set_at(inner, rest, value);
            }
        }
    }
}

/// Takes the field at `path` away; maps that this leaves empty stay.
pub fn remove_field(fields: &mut Fields, path: &FieldPath) {
    let Some((last, parents)) = path.segments().split_last() else { return };
    let mut target = fields;
    for segment in parents {
        match target.get_mut(segment) {
            Some(Value::Map(inner)) => target = inner,
            _ => return,
        }
    }
    target.remove(last);
}

/// Firestore's order over values of all types: null, booleans, numbers, timestamps, strings, bytes,
/// references, geo points, arrays, maps. `Equal` means equal to a query: `1` and `1.0` are.
pub fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::Integer(_) | Value::Double(_), Value::Integer(_) | Value::Double(_)) => {
            number_key(left).cmp(&number_key(right))
        }
        (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Reference(a), Value::Reference(b)) => a.split('/').cmp(b.split('/')),
        (Value::GeoPoint { latitude: a, longitude: b }, Value::GeoPoint { latitude: c, longitude: d }) => {
            (double_key(*a), double_key(*b)).cmp(&(double_key(*c), double_key(*d)))
        }
        (Value::Array(a), Value::Array(b)) => {
            compare_each(a.iter().zip(b).map(|(x, y)| compare(x, y)), a.len(), b.len())
        }
        (Value::Map(a), Value::Map(b)) => compare_each(
            a.iter().zip(b).map(|((key, x), (other, y))| key.cmp(other).then_with(|| compare(x, y))),
            a.len(),
            b.len(),
        ),
        _ => class(left).cmp(&class(right)),
    }
}

fn compare_each(mut pairs: impl Iterator<Item = Ordering>, left: usize, right: usize) -> Ordering {
    pairs.find(|ordering| ordering.is_ne()).unwrap_or_else(|| left.cmp(&right))
}

/// True when a query takes the values as equal, NaN being equal to itself.
pub fn equal(left: &Value, right: &Value) -> bool {
    compare(left, right).is_eq()
}

/// The rank of the value's type. Integers and doubles are one type to a query.
pub(super) fn class(value: &Value) -> u8 {
    match value {
        Value::Null => 0x10,
        Value::Boolean(_) => 0x20,
        Value::Integer(_) | Value::Double(_) => 0x30,
        Value::Timestamp(_) => 0x40,
        Value::String(_) => 0x50,
        Value::Bytes(_) => 0x60,
        Value::Reference(_) => 0x70,
        Value::GeoPoint { .. } => 0x80,
        Value::Array(_) => 0x90,
        Value::Map(_) => 0xa0,
    }
}

/// A key that orders doubles: NaN first, both zeros equal.
fn double_key(number: f64) -> u64 {
    if number.is_nan() {
        return 0;
    }
    let bits = if number == 0.0 { 0 } else { number.to_bits() };
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// A key that orders integers and doubles exactly among each other: the nearest double, then what
/// the integer has beyond it (never more than 512, so it fits).
fn number_key(value: &Value) -> (u64, i16) {
    match value {
        Value::Integer(integer) => {
            let nearest = *integer as f64;
            (double_key(nearest), (i128::from(*integer) - nearest as i128) as i16)
        }
        Value::Double(double) => (double_key(*double), 0),
        _ => (0, 0),
    }
}

/// Whole seconds (rounded down) and nanoseconds of an instant.
fn instant_key(instant: Timestamp) -> (i64, u32) {
    let nanoseconds = instant.as_nanosecond();
    (nanoseconds.div_euclid(1_000_000_000) as i64, nanoseconds.rem_euclid(1_000_000_000) as u32)
}

/// True for NaN.
pub(super) fn is_nan(value: &Value) -> bool {
    matches!(value, Value::Double(number) if number.is_nan())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any value, small, with many ties and the awkward numbers.
    pub fn any_value() -> impl Strategy<Value = Value> {
        let number = prop_oneof![
            (-3_i64..3).prop_map(Value::Integer),
            any::<i64>().prop_map(Value::Integer),
            prop_oneof![Just(i64::MAX), Just(i64::MIN), Just((1 << 53) + 1), Just(1 << 53)].prop_map(Value::Integer),
            prop_oneof![
                Just(f64::NAN),
                Just(-0.0),
                Just(0.5),
                Just(9_007_199_254_740_992.0),
                Just(9.223_372_036_854_776e18),
                Just(f64::INFINITY),
                Just(f64::NEG_INFINITY),
            ]
            .prop_map(Value::Double),
            (-3_i32..3).prop_map(|n| Value::Double(f64::from(n))),
            any::<f64>().prop_map(Value::Double),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            number,
            (-5_i64..5, 0_i32..3).prop_map(|(s, n)| Value::Timestamp(
                Timestamp::from_nanosecond(i128::from(s) * 1_000_000_000 + i128::from(n)).unwrap()
            )),
            "[a-c\0é😀\u{ffff}]{0,3}".prop_map(Value::String),
            proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255), any::<u8>()], 0..3)
                .prop_map(Value::Bytes),
            "[a-b\0-]{1,2}(/[a-b-]{1,2}){0,3}".prop_map(Value::Reference),
            (-2_i32..2, -2_i32..2)
                .prop_map(|(a, b)| Value::GeoPoint { latitude: f64::from(a) / 2.0, longitude: f64::from(b) / 2.0 }),
        ];
        leaf.prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                proptest::collection::btree_map("[a-c\0]{0,2}", inner, 0..3).prop_map(Value::Map),
            ]
        })
    }

    fn geo(latitude: f64, longitude: f64) -> Value {
        Value::GeoPoint { latitude, longitude }
    }

    #[test]
    fn mixed_types_come_in_the_emulators_order() {
        let reference = |path: &str| Value::Reference(format!("projects/p/databases/d/documents/{path}"));
        let array = |items: &[i64]| Value::Array(items.iter().copied().map(Value::Integer).collect());
        let ascending = vec![
            Value::Null,
            Value::Boolean(false),
            Value::Boolean(true),
            Value::Double(f64::NAN),
            Value::Double(f64::NEG_INFINITY),
            Value::Integer(i64::MIN),
            Value::Integer(-1),
            Value::Integer(0),
            Value::Integer(1),
            Value::Double(1.5),
            Value::Double(9_007_199_254_740_992.0),
            Value::Integer((1 << 53) + 1),
            Value::Integer(i64::MAX),
            Value::Double(9.223_372_036_854_776e18),
            Value::Double(f64::INFINITY),
            Value::Timestamp(Timestamp::UNIX_EPOCH),
            Value::from(""),
            Value::from("a"),
            Value::from("é"),
            Value::from("\u{ffff}"),
            Value::from("\u{1f600}"),
            Value::Bytes(vec![97]),
            Value::Bytes(vec![97, 98]),
            reference("a/b"),
            reference("a/b/c/d"),
            reference("a/b-"),
            geo(1.0, 1.0),
            geo(1.0, 2.0),
            array(&[]),
            Value::Array(vec![Value::Null]),
            array(&[1]),
            array(&[1, 2]),
            Value::empty_map(),
            crate::fields! { "a" => Value::Null }.into(),
            crate::fields! { "a" => 1 }.into(),
            crate::fields! { "a" => 1, "b" => 1 }.into(),
            crate::fields! { "a" => 2 }.into(),
            crate::fields! { "b" => 0 }.into(),
        ];
        for (i, left) in ascending.iter().enumerate() {
            for (j, right) in ascending.iter().enumerate() {
                assert_eq!(compare(left, right), i.cmp(&j), "{left:?} {right:?}");
            }
        }
    }

    #[test]
    fn numbers_are_equal_across_their_types() {
        assert!(equal(&Value::Integer(1), &Value::Double(1.0)));
        assert!(equal(&Value::Double(0.0), &Value::Double(-0.0)));
        assert!(equal(&Value::Integer(0), &Value::Double(-0.0)));
        assert!(!equal(&Value::Integer(i64::MAX), &Value::Double(9.223_372_036_854_776e18)));
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in any_value(), b in any_value(), c in any_value()) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert!(compare(&a, &a).is_eq());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}

//! What a write makes of a document's fields.

use crate::order::{self, check_field_path, compare, equal, is_nan, remove_field, set_field};
use crate::{FieldPath, FieldTransform, Fields, Result, StoreError, Timestamp, Transform, Value};

use super::record::normalise_operand;

/// Lays the masked part of `given` over `fields`: a listed path takes its value, or goes when
/// `given` lacks it.
pub(super) fn merge(fields: &mut Fields, given: &Fields, mask: &[FieldPath]) {
    for path in mask {
        match order::field(given, path) {
            Some(value) => set_field(fields, path, value.clone()),
            None => remove_field(fields, path),
        }
    }
}

/// Checks a mask. Fails with [`StoreError::InvalidArgument`] on a path that can't be a field's.
pub(super) fn check_mask(mask: &[FieldPath]) -> Result<()> {
    mask.iter().try_for_each(|path| if path.is_name() { Ok(()) } else { check_field_path(path) })
}

/// Checks transforms and brings their operands into stored form.
pub(super) fn prepare(transforms: &mut [FieldTransform]) -> Result<()> {
    // A field may be transformed twice, but not together with one inside it.
    let paths: Vec<_> = transforms.iter().map(|transform| transform.path.segments()).collect();
    let holds = |outer: &[String], inner: &[String]| inner.len() > outer.len() && inner.starts_with(outer);
    if paths.iter().any(|outer| paths.iter().any(|inner| holds(outer, inner))) {
        return Err(StoreError::InvalidArgument("a field and one inside it are transformed together".to_owned()));
    }
    for FieldTransform { path, transform } in transforms {
        check_field_path(path)?;
        match transform {
            Transform::ServerTime => {}
            Transform::Increment(value) | Transform::Maximum(value) | Transform::Minimum(value) => {
                if !is_number(value) {
                    return Err(StoreError::InvalidArgument("a numeric transform takes a number".to_owned()));
                }
                normalise_operand(value)?;
            }
            Transform::Union(items) | Transform::Remove(items) => {
                for item in items {
                    if matches!(item, Value::Array(_)) {
                        return Err(StoreError::InvalidArgument("a list holds a list directly".to_owned()));
                    }
                    normalise_operand(item)?;
                }
            }
        }
    }
    Ok(())
}

/// Applies a transform at `time`, the commit's, and tells the result that Firestore answers.
pub(super) fn transform(
    fields: &mut Fields,
    path: &FieldPath,
    transform: &Transform,
    time: Timestamp,
) -> Result<Value> {
    let current = order::field(fields, path);
    let value = match transform {
        Transform::ServerTime => {
            let millis = time.as_nanosecond().div_euclid(1_000_000) * 1_000_000;
            Value::Timestamp(
                Timestamp::from_nanosecond(millis).map_err(|error| StoreError::Internal(error.to_string()))?,
            )
        }
        Transform::Increment(by) => match current.filter(|value| is_number(value)) {
            Some(number) => add(number, by),
            None => by.clone(),
        },
        Transform::Maximum(other) => pick(current, other, std::cmp::Ordering::Less),
        Transform::Minimum(other) => pick(current, other, std::cmp::Ordering::Greater),
        Transform::Union(items) => {
            let mut list = current.and_then(Value::as_array).unwrap_or_default().to_vec();
            for item in items {
                if !list.iter().any(|held| equal(held, item)) {
                    list.push(item.clone());
                }
            }
            Value::Array(list)
        }
        Transform::Remove(items) => {
            let mut list = current.and_then(Value::as_array).unwrap_or_default().to_vec();
            list.retain(|held| !items.iter().any(|item| equal(held, item)));
            Value::Array(list)
        }
    };
    let answer = match transform {
        Transform::Union(_) | Transform::Remove(_) => Value::Null,
        _ => value.clone(),
    };
    set_field(fields, path, value);
    Ok(answer)
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Integer(_) | Value::Double(_))
}

fn as_f64(value: &Value) -> f64 {
    match value {
        Value::Integer(integer) => *integer as f64,
        Value::Double(double) => *double,
        _ => 0.0,
    }
}

fn add(number: &Value, by: &Value) -> Value {
    match (number, by) {
        (Value::Integer(a), Value::Integer(b)) => Value::Integer(a.saturating_add(*b)),
        // A NaN sum is made the one NaN.
        _ => match as_f64(number) + as_f64(by) {
            sum if sum.is_nan() => Value::Double(f64::NAN),
            sum => Value::Double(sum),
        },
    }
}

/// `other` when the field is no number or stands in the order `when` to it, else the field. NaN
/// beats all.
fn pick(current: Option<&Value>, other: &Value, when: std::cmp::Ordering) -> Value {
    match current.filter(|value| is_number(value)) {
        Some(number) if is_nan(number) => number.clone(),
        Some(number) if !is_nan(other) && compare(number, other) != when => number.clone(),
        _ => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    fn apply(start: Option<Value>, wanted: Transform) -> Value {
        let mut fields = start.map(|value| fields! { "k" => value }).unwrap_or_default();
        transform(&mut fields, &FieldPath::top("k"), &wanted, Timestamp::UNIX_EPOCH).unwrap();
        fields.remove("k").unwrap()
    }

    #[test]
    fn increments_keep_integers_and_saturate() {
        let plus = |start: Value, by: Value| apply(Some(start), Transform::Increment(by));
        let (int, double) = (Value::Integer, Value::Double);
        assert_eq!(plus(int(i64::MAX), int(1)), int(i64::MAX));
        assert_eq!(plus(int(-i64::MAX), int(-5)), int(i64::MIN));
        assert_eq!(plus(int(1), double(2.5)), double(3.5));
        assert_eq!(plus(double(1.5), int(1)), double(2.5));
        assert_eq!(plus("x".into(), int(3)), int(3));
        assert_eq!(plus(Value::Null, int(5)), int(5));
        assert_eq!(apply(None, Transform::Increment(double(2.0))), double(2.0));
        assert_eq!(plus(int((1 << 53) + 1), double(0.0)), double(9_007_199_254_740_992.0));
        assert!(is_nan(&plus(int(1), double(f64::NAN))));
    }

    #[test]
    fn the_larger_and_the_smaller_keep_the_operands_type() {
        let max = |start: Value, other: Value| apply(Some(start), Transform::Maximum(other));
        let min = |start: Value, other: Value| apply(Some(start), Transform::Minimum(other));
        let (int, double) = (Value::Integer, Value::Double);
        assert_eq!(max(int(3), double(3.0)), int(3));
        assert_eq!(min(double(3.0), int(3)), double(3.0));
        assert_eq!(max(int(3), double(4.5)), double(4.5));
        assert_eq!(min(double(3.5), int(3)), int(3));
        assert_eq!(min(int((1 << 53) + 1), double(9_007_199_254_740_992.0)), double(9_007_199_254_740_992.0));
        assert_eq!(max("x".into(), int(1)), int(1));
        for (a, b) in [(double(f64::NAN), int(1)), (int(1), double(f64::NAN))] {
            assert!(is_nan(&max(a.clone(), b.clone())) && is_nan(&min(a, b)));
        }
    }

    #[test]
    fn lists_take_and_lose_equal_values() {
        let list = |items: &[Value]| Value::Array(items.to_vec());
        let (one, two, three) = (Value::Integer(1), Value::Integer(2), Value::Integer(3));
        let (one_d, two_d, three_d) = (Value::Double(1.0), Value::Double(2.0), Value::Double(3.0));
        let start = Some(list(&[one.clone(), two.clone()]));
        assert_eq!(
            apply(start, Transform::Union(vec![two_d, three.clone(), three_d])),
            list(&[one.clone(), two.clone(), three])
        );
        assert_eq!(
            apply(Some("x".into()), Transform::Union(vec![one.clone(), one.clone()])),
            list(std::slice::from_ref(&one))
        );
        let start = Some(list(&[one.clone(), two.clone(), one_d]));
        assert_eq!(apply(start, Transform::Remove(vec![one.clone()])), list(&[two]));
        assert_eq!(apply(Some("x".into()), Transform::Remove(vec![one.clone()])), list(&[]));
        assert_eq!(apply(None, Transform::Union(vec![])), list(&[]));
    }

    #[test]
    fn the_server_time_is_in_whole_milliseconds() {
        let mut fields = Fields::new();
        let time = "2026-01-02T03:04:05.678901Z".parse().unwrap();
        transform(&mut fields, &FieldPath::dotted("a.b"), &Transform::ServerTime, time).unwrap();
        let expected = Value::Timestamp("2026-01-02T03:04:05.678Z".parse().unwrap());
        assert_eq!(fields, fields! { "a" => fields! { "b" => expected } });
    }

    #[test]
    fn a_merge_touches_listed_paths_only() {
        let mut fields = fields! { "a" => 1, "m" => fields! { "x" => 1, "y" => 2 } };
        let mask = ["m.x", "m.z", "b.c", "a.b"].map(FieldPath::dotted);
        merge(&mut fields, &fields! { "m" => fields! { "z" => 3 }, "other" => 1 }, &mask);
        assert_eq!(fields, fields! { "a" => 1, "m" => fields! { "y" => 2, "z" => 3 } });
        merge(&mut fields, &fields! { "a" => fields! { "b" => 3 } }, &[FieldPath::dotted("a.b")]);
        assert_eq!(fields["a"], fields! { "b" => 3 }.into());
    }
}

//! Which documents a filter admits.

use std::cmp::Ordering;

use super::{class, compare, equal, field, is_nan, name_of};
use crate::{DocPath, FieldOp, FieldPath, Fields, Filter, UnaryOp, Value};

/// True when the document at `path` with `fields` passes the filter. `root` is the prefix of
/// references to the database. The filter must have passed [`super::validate()`]; what that refuses
/// matches nothing.
pub fn matches(filter: &Filter, root: &str, path: &DocPath, fields: &Fields) -> bool {
    match filter {
        Filter::And(filters) => filters.iter().all(|filter| matches(filter, root, path, fields)),
        Filter::Or(filters) => filters.iter().any(|filter| matches(filter, root, path, fields)),
        Filter::Field { path: wanted, op, value } if wanted.is_name() => name_matches(path, *op, value, root),
        Filter::Field { path: wanted, op, value } => {
            field(fields, wanted).is_some_and(|actual| value_matches(actual, *op, value))
        }
        Filter::Unary { path: wanted, op } => unary_matches(wanted, *op, fields),
    }
}

fn unary_matches(wanted: &FieldPath, op: UnaryOp, fields: &Fields) -> bool {
    if wanted.is_name() {
        return matches!(op, UnaryOp::IsNotNull | UnaryOp::IsNotNan);
    }
    field(fields, wanted).is_some_and(|actual| match op {
        UnaryOp::IsNan => is_nan(actual),
        UnaryOp::IsNull => actual.is_null(),
        UnaryOp::IsNotNan => !actual.is_null() && !is_nan(actual),
        UnaryOp::IsNotNull => !actual.is_null(),
    })
}

/// Null and NaN equal nothing when they are compared with; they have tests of their own. Inside
/// lists and maps they compare as any value.
pub(crate) fn comparable(operand: &Value) -> bool {
    !operand.is_null() && !is_nan(operand)
}

fn value_matches(actual: &Value, op: FieldOp, operand: &Value) -> bool {
    let items = operand.as_array().unwrap_or_default();
    match op {
        FieldOp::Equal => comparable(operand) && equal(actual, operand),
        FieldOp::NotEqual => !actual.is_null() && !operand.is_null() && (is_nan(operand) || !equal(actual, operand)),
        FieldOp::LessThan | FieldOp::LessThanOrEqual | FieldOp::GreaterThan | FieldOp::GreaterThanOrEqual => {
            comparable(operand)
                && !is_nan(actual)
                && class(actual) == class(operand)
                && holds(op, compare(actual, operand))
        }
        FieldOp::ArrayContains => comparable(operand) && contains(actual, operand),
        FieldOp::ArrayContainsAny => items.iter().any(|item| comparable(item) && contains(actual, item)),
        FieldOp::In => items.iter().any(|item| comparable(item) && equal(actual, item)),
        FieldOp::NotIn => {
            !actual.is_null()
                && !items.iter().any(Value::is_null)
                && !items.iter().any(|item| comparable(item) && equal(actual, item))
        }
    }
}

fn contains(actual: &Value, wanted: &Value) -> bool {
    actual.as_array().is_some_and(|items| items.iter().any(|item| equal(item, wanted)))
}

fn holds(op: FieldOp, ordering: Ordering) -> bool {
    match op {
        FieldOp::Equal => ordering.is_eq(),
        FieldOp::NotEqual => ordering.is_ne(),
        FieldOp::LessThan => ordering.is_lt(),
        FieldOp::LessThanOrEqual => ordering.is_le(),
        FieldOp::GreaterThan => ordering.is_gt(),
        FieldOp::GreaterThanOrEqual => ordering.is_ge(),
        _ => false,
    }
}

fn name_matches(path: &DocPath, op: FieldOp, operand: &Value, root: &str) -> bool {
    let one_of =
        || operand.as_array().unwrap_or_default().iter().any(|item| name_of(item, root) == Some(path.as_str()));
    match op {
        FieldOp::In => one_of(),
        FieldOp::NotIn => !one_of(),
        FieldOp::ArrayContains | FieldOp::ArrayContainsAny => false,
        _ => name_of(operand, root).is_some_and(|name| holds(op, path.segments().cmp(name.split('/')))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    const ROOT: &str = "projects/p/databases/d/documents";

    /// The emulator's answers for one field `v`.
    fn matched(op: FieldOp, operand: Value) -> Vec<&'static str> {
        let nan = Value::Double(f64::NAN);
        let documents = [
            ("null", Value::Null),
            ("false", false.into()),
            ("nan", nan.clone()),
            ("one", Value::Integer(1)),
            ("half", Value::Double(1.5)),
            ("text", "a".into()),
            ("list", Value::Array(vec![Value::Integer(1), Value::Integer(2)])),
            ("nulls", Value::Array(vec![Value::Null])),
            ("nans", Value::Array(vec![nan])),
        ];
        let filter = Filter::field("v", op, operand);
        let path = DocPath::new("c/d").unwrap();
        let missing = matches(&filter, ROOT, &path, &Fields::new());
        assert!(!missing, "a missing field matches nothing");
        documents
            .into_iter()
            .filter(|(_, value)| matches(&filter, ROOT, &path, &fields! { "v" => value.clone() }))
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn inequalities_stay_within_the_type() {
        assert_eq!(matched(FieldOp::GreaterThanOrEqual, Value::Integer(1)), ["one", "half"]);
        assert_eq!(matched(FieldOp::LessThan, Value::Double(1.5)), ["one"]);
        assert_eq!(matched(FieldOp::LessThanOrEqual, "b".into()), ["text"]);
        assert_eq!(matched(FieldOp::LessThan, true.into()), ["false"]);
        assert!(matched(FieldOp::LessThanOrEqual, Value::Null).is_empty());
        assert!(matched(FieldOp::GreaterThanOrEqual, Value::Double(f64::NAN)).is_empty());
        assert_eq!(matched(FieldOp::LessThanOrEqual, Value::Array(vec![Value::Double(f64::NAN)])), ["nulls", "nans"]);
    }

    #[test]
    fn null_and_nan_equal_nothing_by_comparison() {
        assert!(matched(FieldOp::Equal, Value::Null).is_empty());
        assert!(matched(FieldOp::Equal, Value::Double(f64::NAN)).is_empty());
        assert!(matched(FieldOp::NotEqual, Value::Null).is_empty());
        assert_eq!(matched(FieldOp::NotEqual, Value::Double(f64::NAN)).len(), 8, "all but null");
        assert_eq!(matched(FieldOp::NotEqual, Value::Integer(1)).len(), 7);
        assert_eq!(matched(FieldOp::Equal, Value::Array(vec![Value::Null])), ["nulls"]);
        assert_eq!(matched(FieldOp::Equal, Value::Array(vec![Value::Double(f64::NAN)])), ["nans"]);
        let list = |items: Vec<Value>| Value::Array(items);
        assert!(matched(FieldOp::In, list(vec![Value::Null, Value::Double(f64::NAN)])).is_empty());
        assert_eq!(matched(FieldOp::In, list(vec![Value::Null, Value::Double(1.0)])), ["one"]);
        assert!(matched(FieldOp::NotIn, list(vec![Value::Null, Value::Integer(7)])).is_empty());
        assert_eq!(matched(FieldOp::NotIn, list(vec![Value::Double(f64::NAN)])).len(), 8);
        assert!(matched(FieldOp::ArrayContains, Value::Null).is_empty());
        assert_eq!(matched(FieldOp::ArrayContains, Value::Double(2.0)), ["list"]);
        assert_eq!(matched(FieldOp::ArrayContainsAny, list(vec![Value::Null, Value::Integer(2)])), ["list"]);
    }

    #[test]
    fn names_compare_by_segment() {
        let reference = |path: &str| Value::Reference(format!("{ROOT}/{path}"));
        let path = DocPath::new("c/d").unwrap();
        let holds = |op, operand| matches(&Filter::field("__name__", op, operand), ROOT, &path, &Fields::new());
        assert!(holds(FieldOp::Equal, reference("c/d")));
        assert!(holds(FieldOp::GreaterThan, reference("b/z")));
        assert!(holds(FieldOp::LessThan, reference("c/d/a/b")));
        assert!(holds(FieldOp::In, Value::Array(vec![reference("c/e"), reference("c/d")])));
        assert!(!holds(FieldOp::NotIn, Value::Array(vec![reference("c/d")])));
        assert!(!holds(FieldOp::Equal, Value::Reference("projects/q/databases/d/documents/c/d".into())));
    }
}

//! The condition language: who gets an assessment, and for whom it's optional
//! (docs/domain/assignments.md#conditions).
//!
//! Stored conditions are read leniently ([`Condition::from_value`]): a value that isn't a condition is never true.
//! Conditions that a caller sends are validated ([`normalise`]).

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::user::age::age_in_years;
use super::user::grade::{grade_place, same_text};
use crate::store::{Fields, Timestamp, Value, lookup};

/// How deep composite conditions may nest.
pub const MAX_DEPTH: usize = 32;

/// A condition on a user's document.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// True for everybody.
    Always,
    /// True for nobody: the reading of a stored value that isn't a condition.
    Never,
    /// True when all of these conditions are true.
    All(Vec<Condition>),
    /// True when at least one of these conditions is true.
    Any(Vec<Condition>),
    /// A field compared with a literal.
    Field {
        /// Dotted path from the document's root; `age` stands for the student's age in years.
        field: String,
        /// The comparison.
        op: Comparison,
        /// The literal with which the field is compared.
        value: Value,
    },
}

/// The comparisons of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `LESS_THAN`
    LessThan,
    /// `GREATER_THAN`
    GreaterThan,
    /// `LESS_THAN_OR_EQUAL`
    LessThanOrEqual,
    /// `GREATER_THAN_OR_EQUAL`
    GreaterThanOrEqual,
    /// `EQUAL`
    Equal,
    /// `NOT_EQUAL`
    NotEqual,
}

/// The comparisons, each with its name in the stored form and in the alternate form.
const COMPARISONS: [(&str, &str, Comparison); 6] = [
    ("LESS_THAN", "<", Comparison::LessThan),
    ("GREATER_THAN", ">", Comparison::GreaterThan),
    ("LESS_THAN_OR_EQUAL", "<=", Comparison::LessThanOrEqual),
    ("GREATER_THAN_OR_EQUAL", ">=", Comparison::GreaterThanOrEqual),
    ("EQUAL", "=", Comparison::Equal),
    ("NOT_EQUAL", "!=", Comparison::NotEqual),
];

impl Condition {
    /// Adds to `fields` the paths of the user's fields on which the condition depends.
    pub fn collect_fields(&self, fields: &mut BTreeSet<String>) {
        match self {
            Condition::Always | Condition::Never => {}
            Condition::All(conditions) | Condition::Any(conditions) => {
                conditions.iter().for_each(|condition| condition.collect_fields(fields));
            }
            Condition::Field { field, .. } => {
                fields.insert(field.clone());
            }
        }
    }
}

impl Comparison {
    fn parse(name: &str) -> Option<Comparison> {
        COMPARISONS.iter().find(|(stored, _, _)| *stored == name).map(|(_, _, op)| *op)
    }

    /// Whether the comparison is true of two values with this ordering.
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Comparison::LessThan => ordering.is_lt(),
            Comparison::GreaterThan => ordering.is_gt(),
            Comparison::LessThanOrEqual => ordering.is_le(),
            Comparison::GreaterThanOrEqual => ordering.is_ge(),
            Comparison::Equal => ordering.is_eq(),
            Comparison::NotEqual => ordering.is_ne(),
        }
    }
}

impl Condition {
    /// Reads a stored condition. Any value that isn't a condition, at any level, is [`Condition::Never`].
    pub fn from_value(value: &Value) -> Condition {
        Condition::read(value, MAX_DEPTH)
    }

    fn read(value: &Value, depth: usize) -> Condition {
        let fields = match value {
            Value::Boolean(true) => return Condition::Always,
            Value::Map(fields) if depth > 0 => fields,
            _ => return Condition::Never,
        };
        let op = fields.get("op").and_then(Value::as_str).unwrap_or_default();
        let nested = || {
            let conditions = fields.get("conditions").and_then(Value::as_array)?;
            Some(conditions.iter().map(|condition| Condition::read(condition, depth - 1)).collect())
        };
        match op {
            "AND" => nested().map_or(Condition::Never, Condition::All),
            "OR" => nested().map_or(Condition::Never, Condition::Any),
            _ => match (fields.get("field").and_then(Value::as_str), Comparison::parse(op), fields.get("value")) {
                (Some(field), Some(op), Some(value)) => {
                    Condition::Field { field: field.to_owned(), op, value: value.clone() }
                }
                _ => Condition::Never,
            },
        }
    }

    /// Whether the condition is true of `user` (an admin `users` document) at `now`.
    pub fn is_true_of(&self, user: &Fields, now: Timestamp) -> bool {
        match self {
            Condition::Always => true,
            Condition::Never => false,
            Condition::All(conditions) => conditions.iter().all(|condition| condition.is_true_of(user, now)),
            Condition::Any(conditions) => conditions.iter().any(|condition| condition.is_true_of(user, now)),
            Condition::Field { field, op, value } if field == "age" => {
                age_in_years(user, now).is_some_and(|age| compare(&Value::Integer(age), *op, value))
            }
            Condition::Field { field, op, value } => match lookup(user, field) {
                None | Some(Value::Null) => *op == Comparison::NotEqual,
                Some(actual) => {
                    let is_grade = field.rsplit('.').next() == Some("grade");
                    if is_grade { compare_grades(actual, *op, value) } else { compare(actual, *op, value) }
                }
            },
        }
    }
}

/// Compares grades by their place in the order, whatever their spelling. A grade without a place is neither before nor
/// after any other, and equals a grade with the same spelling (docs/domain/assignments.md#grades).
fn compare_grades(actual: &Value, op: Comparison, literal: &Value) -> bool {
    match (grade_place(actual), grade_place(literal), op) {
        (Some(actual), Some(literal), _) => op.holds(actual.cmp(&literal)),
        (None, None, Comparison::Equal) => same_text(actual, literal),
        (None, None, Comparison::NotEqual) => !same_text(actual, literal),
        (_, _, op) => op == Comparison::NotEqual,
    }
}

/// Compares a present value with a literal. Equality is strict in type; order is defined among
/// numbers (numeric text included), instants (ISO text included) and texts.
fn compare(actual: &Value, op: Comparison, literal: &Value) -> bool {
    match op {
        Comparison::Equal => equal(actual, literal),
        Comparison::NotEqual => !equal(actual, literal),
        _ => order(actual, literal).is_some_and(|ordering| op.holds(ordering)),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        _ => None,
    }
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Boolean(one), Value::Boolean(other)) => one == other,
        (Value::String(one), Value::String(other)) => one == other,
        (Value::Timestamp(one), Value::Timestamp(other)) => one == other,
        (Value::Integer(one), Value::Integer(other)) => one == other,
        _ => match (number(one), number(other)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        },
    }
}

fn order(one: &Value, other: &Value) -> Option<Ordering> {
    let numeric = |value: &Value| number(value).or_else(|| value.as_str()?.trim().parse::<f64>().ok());
    match (one, other) {
        (Value::String(one), Value::String(other)) => Some(one.encode_utf16().cmp(other.encode_utf16())),
        (Value::Timestamp(one), Value::Timestamp(other)) => Some(one.cmp(other)),
        (Value::Timestamp(one), Value::String(text)) => Some(one.cmp(&parse_instant(text)?)),
        (Value::String(text), Value::Timestamp(other)) => Some(parse_instant(text)?.cmp(other)),
        _ if number(one).is_some() || number(other).is_some() => numeric(one)?.partial_cmp(&numeric(other)?),
        _ => None,
    }
}

/// An instant in ISO 8601: with a time and offset, or a date alone (midnight, UTC).
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse::<Timestamp>().ok().or_else(|| {
        let date: jiff::civil::Date = text.parse().ok()?;
        // The parser of dates also accepts a date and time without an offset, which is not an instant.
        (text.len() == 10).then(|| date.to_zoned(jiff::tz::TimeZone::UTC).ok())?.map(|midnight| midnight.timestamp())
    })
}

/// Checks a condition that a caller sent, and brings the alternate form (`{AND: […]}`, `{OR: […]}`,
/// `{field, operator, value}`, `{type: "const", value}`) to the stored one.
///
/// `at` names the condition's place, and begins every error text.
pub fn normalise(value: &Value, at: &str) -> Result<Value, String> {
    check(value, at, 1)
}

fn check(value: &Value, at: &str, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("{at} nests conditions more than {MAX_DEPTH} deep"));
    }
    let fields = match value {
        Value::Boolean(true) => return Ok(Value::Boolean(true)),
        Value::Map(fields) => fields,
        _ => return Err(format!("{at} must be true or a condition")),
    };
    let is_constant = fields.get("type").and_then(Value::as_str) == Some("const");
    let present = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let composite = |op: &str, nested: &Value, place: &str| {
        let nested = nested.as_array().ok_or_else(|| format!("{at}.{place} must be a list of conditions"))?;
        let conditions = nested
            .iter()
            .enumerate()
            .map(|(index, condition)| check(condition, &format!("{at}.{place}[{index}]"), depth + 1))
            .collect::<Result<Vec<_>, _>>()?;
        let mut result = fields.clone();
        for key in ["AND", "OR"] {
            result.remove(key);
        }
        // A map with this type reads as a constant, so conditions nested in such a map would be ignored.
        if is_constant {
            result.remove("type");
        }
        result.insert("op".to_owned(), Value::from(op));
        result.insert("conditions".to_owned(), Value::Array(conditions));
        Ok(Value::Map(result))
    };
    for op in ["AND", "OR"] {
        if let Some(nested) = present(op) {
            return composite(op, nested, op);
        }
    }
    if is_constant {
        return match fields.get("value") {
            Some(Value::Boolean(true)) => Ok(Value::Boolean(true)),
            // An empty OR is the stored form of "nobody".
            Some(Value::Boolean(false)) => {
                Ok(Value::Map(crate::fields! { "op" => "OR", "conditions" => Vec::<Value>::new() }))
            }
            _ => Err(format!("{at}.value must be true or false")),
        };
    }
    let alternate = present("operator");
    let op = match present("op").or(alternate) {
        None => return Err(format!("{at} has no op")),
        Some(op) => op.as_str().ok_or_else(|| format!("{at}.op must be text"))?,
    };
    if matches!(op, "AND" | "OR") {
        let nested = present("conditions").ok_or_else(|| format!("{at} has no conditions"))?;
        return composite(op, nested, "conditions");
    }
    let Some((stored, _, _)) =
        COMPARISONS.iter().find(|(stored, symbol, _)| *stored == op || (alternate.is_some() && *symbol == op))
    else {
        return Err(format!("{at}.op is not an operator"));
    };
    match fields.get("field") {
        Some(Value::String(field)) if !field.trim().is_empty() => {}
        None | Some(Value::Null) => return Err(format!("{at} has no field")),
        Some(_) => return Err(format!("{at}.field must be the path of a field")),
    }
    match fields.get("value") {
        None | Some(Value::Null) => return Err(format!("{at} has no value")),
        Some(Value::Boolean(_) | Value::Integer(_) | Value::Double(_) | Value::String(_) | Value::Timestamp(_)) => {}
        Some(_) => return Err(format!("{at}.value must be a boolean, a number, text or a date")),
    }
    let mut result = fields.clone();
    result.remove("operator");
    result.insert("op".to_owned(), Value::from(*stored));
    Ok(Value::Map(result))
}

#[cfg(test)]
mod tests;

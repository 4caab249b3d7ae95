//! School grades: one order over the many ways in which they are written (rostering §8).

use crate::store::Value;

/// Names in the order of grades; each row's names mean the same grade.
const GRADES: [&[&str]; 21] = [
    &["infanttoddler", "it"],
    &["preschool", "pr", "ps"],
    &["prekindergarten", "pk", "pre-k"],
    &["transitionalkindergarten", "tk"],
    &["kindergarten", "k", "kg"],
    &["1", "01"],
    &["2", "02"],
    &["3", "03"],
    &["4", "04"],
    &["5", "05"],
    &["6", "06"],
    &["7", "07"],
    &["8", "08"],
    &["9", "09"],
    &["10"],
    &["11"],
    &["12"],
    &["13"],
    &["postgraduate", "pg"],
    &["ungraded", "ug"],
    &["other"],
];

/// The place of a grade in the order, 0 (infants and toddlers) to 20 (other); `None` for text that
/// names no grade. Case and surrounding white space don't matter.
pub fn grade_order(text: &str) -> Option<u8> {
    let text = text.trim().to_lowercase();
    let place = GRADES.iter().position(|names| names.contains(&text.as_str()))?;
    u8::try_from(place).ok()
}

/// [`grade_order`] of a stored value: a string, or a whole number.
pub fn value_grade_order(value: &Value) -> Option<u8> {
    match value {
        Value::String(text) => grade_order(text),
        other => grade_order(&other.as_i64()?.to_string()),
    }
}

/// A grade as text: strings trimmed, whole numbers in digits (dashboard-contract §4.3 wants strings).
pub fn grade_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        other => other.as_i64().map(|number| number.to_string()),
    }
}

/// The level of school that a grade belongs to (rostering §8): `Some(None)` for ungraded and other, which
/// have none, and `None` for what names no grade.
pub fn level_of(grade: &Value) -> Option<Option<&'static str>> {
    Some(match value_grade_order(grade)? {
        0..=3 => Some("early-childhood"),
        4..=9 => Some("elementary"),
        10..=12 => Some("middle"),
        13..=16 => Some("high"),
        17..=18 => Some("postsecondary"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_has_its_place() {
        let table = [
            ("IT", 0),
            ("Preschool", 1),
            ("PK", 2),
            ("pre-k", 2),
            ("TK", 3),
            ("K", 4),
            ("kindergarten", 4),
            ("KG", 4),
            ("1", 5),
            ("01", 5),
            (" 5 ", 9),
            ("6", 10),
            ("12", 16),
            ("13", 17),
            ("PG", 18),
            ("Ungraded", 19),
            ("Other", 20),
        ];
        for (text, order) in table {
            assert_eq!(grade_order(text), Some(order), "{text}");
        }
        for text in ["", "14", "first", "-1", "1.5"] {
            assert_eq!(grade_order(text), None, "{text:?}");
        }
        assert_eq!(value_grade_order(&Value::Integer(10)), Some(14));
        assert_eq!(value_grade_order(&Value::Double(3.0)), Some(7));
        assert_eq!(value_grade_order(&Value::Null), None);
    }

    #[test]
    fn grades_belong_to_levels() {
        let table = [
            ("IT", Some("early-childhood")),
            ("tk", Some("early-childhood")),
            ("K", Some("elementary")),
            ("5", Some("elementary")),
            ("6", Some("middle")),
            ("08", Some("middle")),
            ("9", Some("high")),
            ("12", Some("high")),
            ("13", Some("postsecondary")),
            ("PG", Some("postsecondary")),
            ("UG", None),
            ("Other", None),
            ("seventh", None),
        ];
        for (grade, level) in table {
            assert_eq!(level_of(&Value::from(grade)).flatten(), level, "{grade}");
        }
        assert_eq!(level_of(&Value::Integer(7)), Some(Some("middle")));
        assert_eq!((level_of(&Value::from("UG")), level_of(&Value::from("seventh"))), (Some(None), None));
    }
}

//! School grades: one order over the many ways in which they are written (docs/domain/assignments.md#grades).
//!
//! Clever writes `PreKindergarten` and `5`, OneRoster the CEDS codes `PK` and `05`, people `Pre-K`, `5th`, `Grade 5` and
//! `fifth`, and some clients numbers. All of these are one grade; an unknown text has no place in the order.

use crate::store::Value;

/// A grade, by its place in the order.
///
/// Places 0 to 3 lie before kindergarten, which is 4; the grade n is 4 + n, up to the 13th; 18 is after school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u8);

const KINDERGARTEN: u8 = 4;
/// The highest grade that has a number, as the 13th year of some schools.
const HIGHEST: i64 = 13;
const AFTER_SCHOOL: u8 = 18;

/// Normalized names of grades that contain no number, each with its place in the order.
const NAMES: &[(&str, u8)] = &[
    ("it", 0),
    ("infant", 0),
    ("infants", 0),
    ("toddler", 0),
    ("toddlers", 0),
    ("infanttoddler", 0),
    ("infantstoddlers", 0),
    // In CEDS, PS is postsecondary, not preschool.
    ("pr", 1),
    ("preschool", 1),
    ("nursery", 1),
    ("nurseryschool", 1),
    ("pk", 2),
    ("prek", 2),
    ("prekindergarten", 2),
    ("prekinder", 2),
    ("pk3", 2),
    ("pk4", 2),
    ("prek3", 2),
    ("prek4", 2),
    ("tk", 3),
    ("transitionalk", 3),
    ("transitionalkindergarten", 3),
    ("transitionalkinder", 3),
    ("k", KINDERGARTEN),
    ("kg", KINDERGARTEN),
    ("kn", KINDERGARTEN),
    ("kf", KINDERGARTEN),
    ("kinder", KINDERGARTEN),
    ("kindergarten", KINDERGARTEN),
    ("freshman", KINDERGARTEN + 9),
    ("sophomore", KINDERGARTEN + 10),
    ("junior", KINDERGARTEN + 11),
    ("senior", KINDERGARTEN + 12),
    ("ps", AFTER_SCHOOL),
    ("pg", AFTER_SCHOOL),
    ("postsecondary", AFTER_SCHOOL),
    ("postgraduate", AFTER_SCHOOL),
    ("university", AFTER_SCHOOL),
    ("college", AFTER_SCHOOL),
    ("undergraduate", AFTER_SCHOOL),
    ("graduate", AFTER_SCHOOL),
    ("master", AFTER_SCHOOL),
    ("masters", AFTER_SCHOOL),
    ("doctorate", AFTER_SCHOOL),
    ("adult", AFTER_SCHOOL),
    ("adulteducation", AFTER_SCHOOL),
    // CEDS: degrees, and what comes after them.
    ("ae", AFTER_SCHOOL),
    ("as", AFTER_SCHOOL),
    ("ba", AFTER_SCHOOL),
    ("pb", AFTER_SCHOOL),
    ("md", AFTER_SCHOOL),
    ("pm", AFTER_SCHOOL),
    ("do", AFTER_SCHOOL),
    ("pd", AFTER_SCHOOL),
    ("pt", AFTER_SCHOOL),
];

const ORDINALS: [&str; 13] = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
];

/// Known grades that have no place in the order, so that they are neither before nor after any other grade.
const WITHOUT_PLACE: [&str; 8] = ["ug", "ungraded", "un", "other", "ot", "none", "na", "notapplicable"];

/// What a text says about a grade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// A grade with this place in the order.
    At(Place),
    /// A known grade without a place in the order, for instance ungraded.
    WithoutPlace,
    /// The text isn't a known grade.
    Unknown,
}

/// Normalizes a grade's text for comparison: lower case, without the characters that are neither letters nor digits.
///
/// Such characters between two digits stay, as one sign, because `5-6` is no grade, and `1.5` isn't the 15th. A minus
/// before the first digit stays, too.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut characters = text.trim().chars().peekable();
    while let Some(character) = characters.next() {
        if character.is_alphanumeric() {
            folded.extend(character.to_lowercase());
            continue;
        }
        if !characters.peek().is_some_and(char::is_ascii_digit) {
            continue;
        }
        if folded.ends_with(|last: char| last.is_ascii_digit()) {
            folded.push(if character == '.' { '.' } else { '~' });
        } else if folded.is_empty() && character == '-' {
            folded.push('-');
        }
    }
    folded
}

/// Reads the text of a grade. Case, white space, hyphens and the like don't count, nor do the word "grade" and the
/// endings of ordinals; numbers beyond those of grades count as the nearest (docs/domain/assignments.md#grades).
pub fn read(text: &str) -> Grade {
    let folded = folded(text);
    if let Some(place) = place(&folded) {
        return Grade::At(place);
    }
    let bare = without_words(&folded);
    if let Some(place) = place(bare) {
        return Grade::At(place);
    }
    match WITHOUT_PLACE.contains(&folded.as_str()) {
        true => Grade::WithoutPlace,
        false => Grade::Unknown,
    }
}

/// Removes words like "grade", which only tell that the text is a grade.
fn without_words(folded: &str) -> &str {
    const WORDS: [&str; 6] = ["grade", "gr", "level", "year", "yr", "g"];
    let mut bare = folded;
    // "gradelevel5", "5thgrade", "kindergartengrade".
    while let Some(rest) = WORDS.iter().find_map(|word| bare.strip_prefix(word)).filter(|rest| !rest.is_empty()) {
        bare = rest;
    }
    while let Some(rest) = WORDS.iter().find_map(|word| bare.strip_suffix(word)).filter(|rest| !rest.is_empty()) {
        bare = rest;
    }
    bare
}

fn place(folded: &str) -> Option<Place> {
    if let Some((_, place)) = NAMES.iter().find(|(name, _)| *name == folded) {
        return Some(Place(*place));
    }
    if let Some(at) = ORDINALS.iter().position(|ordinal| *ordinal == folded) {
        return u8::try_from(at + 1).ok().map(|number| Place(KINDERGARTEN + number));
    }
    let number = ["st", "nd", "rd", "th"].iter().find_map(|ending| folded.strip_suffix(ending)).unwrap_or(folded);
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_one = is_number(number.strip_prefix('-').unwrap_or(number));
    of_number(number.parse().ok().filter(|_| is_one)?)
}

/// The place of a grade written as a number; 0 is kindergarten, and numbers out of range count as the nearest grade.
/// `None` for a number that isn't whole.
fn of_number(number: f64) -> Option<Place> {
    if number.is_nan() || (number.is_finite() && number.fract() != 0.0) {
        return None;
    }
    // The number is whole and bounded, so the conversion is exact.
    let number = number.clamp(0.0, HIGHEST as f64) as u8;
    Some(Place(KINDERGARTEN + number))
}

/// The place of a stored grade, a text or a number. `None` for a value without a place in the order.
pub fn grade_place(value: &Value) -> Option<Place> {
    match value {
        Value::String(text) => match read(text) {
            Grade::At(place) => Some(place),
            Grade::WithoutPlace | Grade::Unknown => None,
        },
        Value::Integer(number) => of_number(*number as f64),
        Value::Double(number) => of_number(*number),
        _ => None,
    }
}

/// True for a value that isn't a known grade, neither one with a place in the order nor one without.
pub fn is_unknown(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.trim().is_empty() && read(text) == Grade::Unknown,
        Value::Null => false,
        other => grade_place(other).is_none(),
    }
}

/// True when two grades without a place in the order have the same spelling; case, white space and hyphens don't count.
pub fn same_text(one: &Value, other: &Value) -> bool {
    match (grade_text(one), grade_text(other)) {
        (Some(one), Some(other)) => folded(&one) == folded(&other),
        _ => false,
    }
}

/// A grade as text: strings trimmed, whole numbers in digits. Pages want strings
/// (docs/domain/dashboard.md#assignments).
pub fn grade_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        other => other.as_i64().map(|number| number.to_string()),
    }
}

/// The level of school that a grade belongs to (docs/domain/assignments.md#grades): `Some(None)` for ungraded and
/// other, which have no level, and `None` for a value that isn't a known grade.
pub fn level_of(grade: &Value) -> Option<Option<&'static str>> {
    let Some(Place(place)) = grade_place(grade) else {
        let is_known = grade.as_str().is_some_and(|text| read(text) == Grade::WithoutPlace);
        return is_known.then_some(None);
    };
    Some(Some(match place {
        0..=3 => "early-childhood",
        4..=9 => "elementary",
        10..=12 => "middle",
        13..=16 => "high",
        _ => "postsecondary",
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The spellings of each place, in order.
    const SPELLINGS: [&[&str]; 19] = [
        &["IT", "InfantToddler", "Infant/toddler", "infant", "Toddler"],
        &["PR", "Preschool", "pre-school", "Pre School"],
        &["PK", "PreK", "Pre-K", "pre k", "PreKindergarten", "Pre-Kindergarten", "prekindergarten", "P-K"],
        &["TK", "TransitionalKindergarten", "Transitional Kindergarten", "transitional-kindergarten", "T.K."],
        &[
            "K",
            "KG",
            "Kindergarten",
            "kindergarten",
            "KINDERGARTEN",
            " k ",
            "0",
            "00",
            "0.0",
            "-1",
            "Grade K",
            "K grade",
        ],
        &["1", "01", "first", "First Grade", "1st", "1ST grade", "Grade 1", "1.0", "gr. 1", "G1", "grade-1"],
        &["2", "02", "second", "2nd", "Grade 2"],
        &["3", "03", "third", "3rd", "3.0", "Grade 3"],
        &["4", "04", "fourth", "4th", "fourth-grade"],
        &["5", "05", "fifth", "5th", "Grade 5", "grade level 5", "5 th"],
        &["6", "06", "sixth", "6th"],
        &["7", "07", "seventh", "7th"],
        &["8", "08", "eighth", "8th"],
        &["9", "09", "ninth", "9th", "freshman", "Freshman"],
        &["10", "tenth", "10th", "sophomore"],
        &["11", "eleventh", "11th", "junior"],
        &["12", "twelfth", "12th", "senior", "Twelfth Grade"],
        &["13", "14", "99", "thirteenth"],
        &[
            "PS",
            "PG",
            "Postsecondary",
            "post-secondary",
            "PostGraduate",
            "university",
            "graduate",
            "Master's",
            "masters",
            "doctorate",
        ],
    ];

    #[test]
    fn every_spelling_has_its_place() {
        for (place, spellings) in SPELLINGS.iter().enumerate() {
            for text in *spellings {
                assert_eq!(read(text), Grade::At(Place(place as u8)), "{text}");
                assert!(!is_unknown(&Value::from(*text)), "{text}");
            }
        }
        for text in ["UG", "Ungraded", "Other", "other "] {
            assert_eq!(read(text), Grade::WithoutPlace, "{text}");
            assert!(!is_unknown(&Value::from(text)), "{text}");
        }
        for text in ["", "1.5", "fiveth", "special", "12a", "a", "grade", "5-6", "K-2", "NaN", "inf"] {
            assert_eq!(read(text), Grade::Unknown, "{text:?}");
        }
        assert!(is_unknown(&"special".into()) && !is_unknown(&"".into()) && !is_unknown(&Value::Null));
    }

    #[test]
    fn numbers_count_as_the_nearest_grade() {
        for (value, place) in [
            (Value::Integer(10), Some(14)),
            (Value::Integer(0), Some(4)),
            (Value::Integer(-3), Some(4)),
            (Value::Integer(i64::MAX), Some(17)),
            (Value::Double(3.0), Some(7)),
            (Value::Double(3.5), None),
            (Value::Double(f64::INFINITY), Some(17)),
            (Value::Double(f64::NAN), None),
            (Value::Null, None),
            (Value::Boolean(true), None),
        ] {
            assert_eq!(grade_place(&value), place.map(Place), "{value:?}");
        }
    }

    #[test]
    fn grades_belong_to_levels() {
        let table = [
            ("IT", Some("early-childhood")),
            ("tk", Some("early-childhood")),
            ("PreK", Some("early-childhood")),
            ("K", Some("elementary")),
            ("5th", Some("elementary")),
            ("6", Some("middle")),
            ("08", Some("middle")),
            ("9", Some("high")),
            ("senior", Some("high")),
            ("13", Some("postsecondary")),
            ("PG", Some("postsecondary")),
            ("PS", Some("postsecondary")),
            ("UG", None),
            ("Other", None),
            ("special", None),
        ];
        for (grade, level) in table {
            assert_eq!(level_of(&Value::from(grade)).flatten(), level, "{grade}");
        }
        assert_eq!(level_of(&Value::Integer(7)), Some(Some("middle")));
        assert_eq!((level_of(&Value::from("UG")), level_of(&Value::from("special"))), (Some(None), None));
    }

    #[test]
    fn what_has_no_place_is_compared_by_its_letters() {
        assert!(same_text(&"Special Ed".into(), &"special-ed".into()));
        assert!(!same_text(&"special".into(), &"other".into()));
        assert!(!same_text(&Value::Null, &Value::Null));
    }

    proptest! {
        /// However case, blanks and hyphens are strewn in, a spelling stays what it is.
        #[test]
        fn spellings_bear_any_case_and_blanks(
            place in 0..19_usize,
            which in any::<prop::sample::Index>(),
            strewn in prop::collection::vec((any::<bool>(), prop::sample::select(vec!["", " ", "-", "\u{2013}", "\t"])), 40),
        ) {
            let text = which.get(SPELLINGS[place]);
            let mut written = String::new();
            for (character, (upper, between)) in text.chars().zip(strewn) {
                let keeps = character.is_alphabetic() && !written.is_empty();
                written.push_str(if keeps { between } else { "" });
                if upper { written.extend(character.to_uppercase()) } else { written.extend(character.to_lowercase()) }
            }
            prop_assert_eq!(read(&written), Grade::At(Place(place as u8)), "{}", written);
        }

        /// Nothing that anybody writes is taken for two grades, or breaks anything.
        #[test]
        fn any_text_is_read(text in ".{0,20}") {
            let value = Value::from(text.as_str());
            prop_assert_eq!(is_unknown(&value), !text.trim().is_empty() && read(&text) == Grade::Unknown);
            let _ = level_of(&value);
        }
    }
}

//! What is wrong with a request, in words that name the field and never repeat what was sent.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use crate::FunctionError;

/// What is wrong with a part of a request: the end of a sentence that begins with the part's name, as in
/// `assessments[0].taskId must be text`.
///
/// As the error of a deserializer it lets no text of the caller through: of serde's own messages, only what was expected
/// is kept, and messages of other types (`serde::de::Error::custom`) are dropped. A type with words of its own says them
/// with [`Wrong::into_error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Begins with a space, or with the way to a part of the part: `.name` or `[0]`.
    ending: String,
}

impl Wrong {
    /// Says what is wrong: `must be text`. Without a full stop.
    pub fn new(says: impl Display) -> Wrong {
        Wrong { ending: format!(" {says}") }
    }

    /// As [`Wrong::new`], of a text that begins with the way to the part that is wrong: `.name must be text`.
    pub fn at(ending: impl Into<String>) -> Wrong {
        Wrong { ending: ending.into() }
    }

    /// The same, seen from the object of which the part is a field.
    pub fn below(self, field: &str) -> Wrong {
        Wrong { ending: format!(".{}{}", shown(field), self.ending) }
    }

    /// The same, seen from the list of which the part is an item.
    pub fn below_item(self, index: usize) -> Wrong {
        Wrong { ending: format!("[{index}]{}", self.ending) }
    }

    /// INVALID_ARGUMENT about the part of that name.
    pub fn of(&self, name: impl Display) -> FunctionError {
        FunctionError::invalid(format!("{name}{}.", self.ending))
    }

    /// INVALID_ARGUMENT about a whole request.
    pub fn of_request(&self) -> FunctionError {
        match self.ending.strip_prefix('.') {
            Some(named) => FunctionError::invalid(format!("{named}.")),
            None => self.of("The request"),
        }
    }

    /// The error of any deserializer. [`Wrong`] itself keeps the words; others say them in their own way.
    pub fn into_error<E: de::Error>(self) -> E {
        E::invalid_value(Unexpected::Other("what was sent"), &self)
    }

    fn must_be(expected: &str) -> Wrong {
        // The usual words of serde and of its derive, for people.
        let plain = match expected {
            "a boolean" => "true or false",
            "a string" => "text",
            "a sequence" => "a list",
            "a map" => "an object",
            other if other.starts_with("struct ") => "an object",
            other => other,
        };
        Wrong::new(format_args!("must be {plain}"))
    }
}

impl Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.ending)
    }
}

impl std::error::Error for Wrong {}

impl Expected for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, formatter)
    }
}

impl de::Error for Wrong {
    /// Whatever somebody else's type says may repeat what was sent.
    fn custom<T: Display>(_: T) -> Self {
        Wrong::new("isn't as it should be")
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Wrong::must_be(&expected.to_string())
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let text = expected.to_string();
        match text.starts_with([' ', '.', '[']) {
            true => Wrong::at(text),
            false => Wrong::must_be(&text),
        }
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Wrong::must_be(&expected.to_string())
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Wrong::new(format_args!("must be {}", one_of(expected)))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Wrong::new("isn't known").below(field)
    }

    fn missing_field(field: &'static str) -> Self {
        Wrong::new("is missing").below(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Wrong::new("is given twice").below(field)
    }
}

/// `a, b or c`.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

/// What callers named, as errors and logs may repeat it: only what looks like an ID or a field. Other text may
/// be anything, somebody's name too.
pub fn shown(named: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_plain = (1..=64).contains(&named.len()) && named.chars().all(plain);
    if is_plain { named } else { "(…)" }
}

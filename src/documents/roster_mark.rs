//! The field [`ROSTER`] of orgs and of roster entries: from which roster's record the document was written, and which
//! fields that record contained. Pure.

use crate::fields;
use crate::store::{FieldPath, Fields, Value};

/// The field.
pub const ROSTER: &str = "roster";

/// Names of the fields within it.
#[allow(missing_docs, reason = "Mark says what each field means")]
pub mod field {
    pub const PROVIDER: &str = "provider";
    pub const FINGERPRINT: &str = "fingerprint";
    pub const SAID: &str = "said";
}

/// The mark that is written for a roster's record.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'a> {
    /// The roster's provider.
    pub provider: &'a str,
    /// The record's fingerprint; `None` where the next sync has to compare the record again.
    pub fingerprint: Option<&'a str>,
    /// The names of the fields that the record contained.
    pub said: &'a [&'a str],
}

impl Mark<'_> {
    /// The mark's value in documents.
    pub fn to_value(self) -> Value {
        let mut mark =
            fields! { field::PROVIDER => self.provider, field::SAID => Value::strings(self.said.iter().copied()) };
        mark.extend(self.fingerprint.map(|digits| (field::FINGERPRINT.to_owned(), Value::from(digits))));
        Value::Map(mark)
    }
}

/// True for a document that a roster's sync wrote.
pub fn is_rostered(document: &Fields) -> bool {
    document.contains_key(ROSTER)
}

/// The fingerprint of the record from which a document was written.
pub fn fingerprint(document: &Fields) -> Option<&str> {
    document.get(ROSTER)?.as_map()?.get(field::FINGERPRINT)?.as_str()
}

/// The names of the fields that the record contained.
pub fn said(document: &Fields) -> Vec<String> {
    let mark = document.get(ROSTER).and_then(Value::as_map);
    mark.and_then(|mark| mark.get(field::SAID)).and_then(Value::as_string_list).unwrap_or_default()
}

/// The path of the field with the fingerprint. Where the fingerprint is missing, the next sync compares the record
/// again.
pub fn fingerprint_path() -> FieldPath {
    FieldPath::of([ROSTER, field::FINGERPRINT])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_written() {
        for digits in [Some("f1"), None] {
            let mark = Mark { provider: "clever", fingerprint: digits, said: &["grade", "name"] };
            let document = fields! { ROSTER => mark.to_value() };
            assert!(is_rostered(&document));
            assert_eq!(
                (fingerprint(&document), said(&document)),
                (digits, vec!["grade".to_owned(), "name".to_owned()])
            );
        }
        assert!(!is_rostered(&Fields::new()) && said(&Fields::new()).is_empty());
    }
}

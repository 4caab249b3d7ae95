//! The service's record of consents, in `users/{roarUid}/consents/{digest}`, where no client can write.
//!
//! Clients add entries to `legal` in the user's own document, with a date that they choose; the security rules prevent
//! entries from being changed or removed. This record is the service's own: it says which entry was there at which time
//! of the store. An entry that disappears from `legal` in another way keeps its record, and its disappearance is
//! recorded, too.

use std::collections::BTreeSet;

use crate::digest::digest;
use crate::documents::consent::{consent_path, field};
use crate::documents::user;
use crate::fields;
use crate::store::order::encode;
use crate::store::size::value_size;
use crate::store::{DocPath, Fields, Precondition, Result, Timestamp, Value, Write};

/// The most records that one event makes, which bounds the effect of filling `legal` with invented entries.
const MOST: usize = 50;
/// The most bytes of an entry that its record repeats; the record of a larger entry has only its digest.
const MOST_BYTES: usize = 10_000;

/// An entry of `legal`: one consent to one version of a form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    form: String,
    version: String,
    digest: String,
}

/// The records to make for an event of a user's document: of entries that were added and of entries that disappeared.
/// Each is recorded only once. `at` is the store's time of the change.
///
/// No read; a write for each entry that was added or disappeared. The commit conflicts where a record exists already.
pub fn records(user: &DocPath, before: Option<&Fields>, after: &Fields, at: Timestamp) -> Result<Vec<Write>> {
    let legal = |fields: Option<&Fields>| fields.and_then(|fields| fields.get(user::field::LEGAL)).cloned();
    let (held, legal_now) = (legal(before), legal(Some(after)));
    if held == legal_now {
        return Ok(Vec::new());
    }
    let (old, new) = (entries(held.as_ref()), entries(legal_now.as_ref()));
    let keys = |entries: &[(Entry, Value)]| entries.iter().map(|(entry, _)| entry.clone()).collect::<BTreeSet<_>>();
    let (known, there) = (keys(&old), keys(&new));
    let signed = new.iter().filter(|(entry, _)| !known.contains(entry)).map(|(entry, value)| {
        let mut record = record(entry, value);
        record.insert(field::RECORDED_AT.to_owned(), Value::Timestamp(at));
        (entry.digest.clone(), record)
    });
    let gone = old.iter().filter(|(entry, _)| !there.contains(entry)).map(|(entry, value)| {
        let mut record = record(entry, value);
        record.insert(field::GONE_AT.to_owned(), Value::Timestamp(at));
        (format!("{}-gone-{}", entry.digest, at.as_microsecond()), record)
    });
    let record =
        |(id, fields): (String, Fields)| Ok(Write::set(consent_path(user, &id)?, fields).when(Precondition::Missing));
    gone.chain(signed).take(MOST).map(record).collect()
}

/// The entries of `legal`: `{form: {version: [entry, …]}}`. A value of any other shape counts as one entry.
fn entries(legal: Option<&Value>) -> Vec<(Entry, Value)> {
    let mut entries = Vec::new();
    for (form, versions) in legal.and_then(Value::as_map).into_iter().flatten() {
        let Some(versions) = versions.as_map() else {
            entries.push(entry(form, "", versions));
            continue;
        };
        for (version, signed) in versions {
            match signed.as_array() {
                Some(signed) => entries.extend(signed.iter().map(|signed| entry(form, version, signed))),
                None => entries.push(entry(form, version, signed)),
            }
        }
    }
    entries
}

fn entry(form: &str, version: &str, signed: &Value) -> (Entry, Value) {
    let all = [form, version].map(Value::from).into_iter().chain([signed.clone()]);
    let mut bytes = Vec::new();
    encode(&Value::Array(all.collect()), &mut bytes);
    (Entry { form: form.to_owned(), version: version.to_owned(), digest: digest(&bytes) }, signed.clone())
}

fn record(entry: &Entry, signed: &Value) -> Fields {
    let mut record = fields! {
        field::FORM => shortened(&entry.form), field::VERSION => shortened(&entry.version),
        field::DIGEST => entry.digest.as_str(),
    };
    if value_size(signed) <= MOST_BYTES {
        record.insert(field::SIGNED.to_owned(), signed.clone());
    }
    record
}

/// Shortens names of forms and versions; longer texts aren't real names.
fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn user(legal: Fields) -> Fields {
        fields! { "legal" => legal, "name" => "x" }
    }

    fn signed(amount: &str) -> Value {
        Value::Map(fields! { "amount" => amount, "dateSigned" => at(5) })
    }

    /// The records, as `form version +` or `form version -`.
    fn shown(before: Option<&Fields>, after: &Fields) -> Vec<String> {
        let path = DocPath::new("users/u").unwrap();
        let writes = records(&path, before, after, at(100)).unwrap();
        writes
            .iter()
            .map(|write| {
                let crate::store::WriteKind::Set { fields, .. } = &write.kind else { panic!("a record") };
                assert_eq!(write.precondition, Precondition::Missing);
                let text = |name: &str| fields[name].as_str().unwrap().to_owned();
                let sign = if fields.contains_key("goneAt") { '-' } else { '+' };
                format!("{} {} {sign}", text("form"), text("version"))
            })
            .collect()
    }

    #[test]
    fn what_is_signed_and_what_goes_is_recorded() {
        let one = user(fields! { "consent" => fields! { "v1" => vec![signed("0")] } });
        let two = user(fields! { "consent" => fields! { "v1" => vec![signed("0"), signed("9")] } });
        let other = user(fields! { "consent" => fields! { "v1" => vec![signed("7")] } });
        let odd = user(fields! { "consent" => "yes", "tos" => fields! { "v2" => true } });
        let none = fields! { "name" => "x" };
        let table: [(&str, Option<&Fields>, &Fields, &[&str]); 8] = [
            ("signed", Some(&none), &one, &["consent v1 +"]),
            ("a new user who has signed", None, &one, &["consent v1 +"]),
            ("signed again", Some(&one), &two, &["consent v1 +"]),
            ("nothing", Some(&two), &two, &[]),
            ("another field", Some(&none), &fields! { "name" => "y" }, &[]),
            ("rewritten", Some(&one), &other, &["consent v1 -", "consent v1 +"]),
            ("taken away", Some(&two), &none, &["consent v1 -", "consent v1 -"]),
            ("in a shape of its own", Some(&none), &odd, &["consent  +", "tos v2 +"]),
        ];
        for (what, before, after, expected) in table {
            assert_eq!(shown(before, after), expected, "{what}");
        }
    }

    #[test]
    fn a_repetition_is_the_same_record_and_a_flood_has_an_end() {
        let path = DocPath::new("users/u").unwrap();
        let one = user(fields! { "consent" => fields! { "v1" => vec![signed("0")] } });
        let paths = |writes: Vec<Write>| writes.into_iter().map(|write| write.path).collect::<Vec<_>>();
        let again = |at| paths(records(&path, None, &one, at).unwrap());
        assert_eq!(again(at(100)), again(at(200)));
        let many: Fields = (0..500).map(|n| (format!("f{n}"), Value::from("x".repeat(20_000)))).collect();
        let writes = records(&path, None, &user(many), at(100)).unwrap();
        assert_eq!(writes.len(), MOST);
        let crate::store::WriteKind::Set { fields, .. } = &writes[0].kind else { panic!("a record") };
        assert!(!fields.contains_key("signed"), "what is too large is told by its digest");
    }
}

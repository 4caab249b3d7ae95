//! Whether two records are of the same person: compares normalized addresses, names and dates of birth. Pure.
//!
//! Sources spell one person differently. Names come in composed and decomposed Unicode, with typographic and straight
//! apostrophes, with one blank and with two; addresses come in upper and lower case; and births come as a day, or as
//! the instant of that day's midnight in the time zone of the person who typed the date.

use icu_normalizer::ComposingNormalizerBorrowed;
use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};

use super::age::day;
use crate::store::{Document, FieldPath, Fields, Precondition, Timestamp, Value, Write, lookup};

/// The field of a users document with the normalized address, where the stored spelling differs. With this field, a
/// query finds the users with an address whatever its spelling.
pub const ADDRESS_KEY: &str = super::field::EMAIL_KEY;

/// Normalizes an e-mail address for comparison: lower case, without outer blanks.
pub fn fold_address(address: &str) -> String {
    address.trim().to_lowercase()
}

/// The [`ADDRESS_KEY`] that a user should have; `None` for a user whose address is stored in its normalized form.
fn address_key(user: &Fields) -> Option<String> {
    let address = user.get("email").and_then(Value::as_str)?;
    let key = fold_address(address);
    (key != address && !key.is_empty()).then_some(key)
}

/// The write that stores the [`ADDRESS_KEY`] that a user should have. Its precondition is that the document hasn't
/// changed since it was read.
pub fn key_write(user: &Document) -> Write {
    let key = address_key(&user.fields).map(|key| (ADDRESS_KEY.to_owned(), Value::from(key)));
    let write = Write::merge(user.path.clone(), key.into_iter().collect(), vec![FieldPath::top(ADDRESS_KEY)]);
    write.when(Precondition::UpdatedAt(user.update_time))
}

/// True when a user's [`ADDRESS_KEY`] is what it should be.
pub fn has_right_key(user: &Fields) -> bool {
    user.get(ADDRESS_KEY).and_then(Value::as_str) == address_key(user).as_deref()
        && user.get(ADDRESS_KEY).is_none_or(|key| key.as_str().is_some())
}

/// Normalizes a part of a name for comparison: Unicode's compatibility form, in lower case, without blanks, apostrophes
/// and hyphens. Empty for a text that consists of these alone.
pub fn fold_name(name: &str) -> String {
    // These characters are removed first, because the compatibility form turns some of them into a blank and an accent.
    let bare: String = name.chars().filter(|character| !is_between(*character)).collect();
    let normal = ComposingNormalizerBorrowed::new_nfkc();
    let composed = normal.normalize(&bare).to_uppercase().to_lowercase();
    let bare: String = composed.chars().filter(|character| !is_between(*character)).collect();
    normal.normalize(&bare).into_owned()
}

/// True for blanks, apostrophes, hyphens and invisible characters.
fn is_between(character: char) -> bool {
    const APOSTROPHES: &str = "'\u{2019}\u{2018}\u{201b}\u{2bc}\u{2bb}\u{2b9}\u{2032}\u{2035}\u{ff07}`\u{b4}\u{a78c}";
    const HYPHENS: &str = "-\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}\u{ad}\u{fe63}\u{ff0d}";
    const UNSEEN: &str = "\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}";
    character.is_whitespace() || [APOSTROPHES, HYPHENS, UNSEEN].iter().any(|of| of.contains(character))
}

/// True when a date of birth that is stored as an instant may mean the day `born`: the instant is on that day in UTC,
/// or it's the midnight at which the day began somewhere in the Americas or in Europe, whose zones lie between UTC-10
/// and UTC+4.
///
/// At any instant, at most one day begins in these zones, so such a midnight isn't mistaken for the day before or
/// after. Call this only for people with the same address and name.
pub fn same_birth(held: Timestamp, born: Date) -> bool {
    const HALF_HOURS: std::ops::RangeInclusive<i32> = -20..=8;
    let began = |offset: Offset| {
        let local = held.to_zoned(TimeZone::fixed(offset)).datetime();
        local.time() == Time::midnight() && local.date() == born
    };
    day(held) == born || HALF_HOURS.filter_map(|half| Offset::from_seconds(half * 1800).ok()).any(began)
}

/// How two users compare, as far as their names and births are known.
pub fn same_name(one: &Fields, other: &Fields) -> bool {
    ["first", "last"].into_iter().all(|part| {
        let folded = |user: &Fields| {
            let name = lookup(user, &format!("name.{part}")).and_then(Value::as_str);
            fold_name(name.unwrap_or_default())
        };
        let (one, other) = (folded(one), folded(other));
        !one.is_empty() && one == other
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fields;

    #[test]
    fn addresses_are_compared_without_case_and_outer_blanks() {
        for text in ["c1@school.example", "C1@School.Example", " c1@school.example", "C1@SCHOOL.EXAMPLE\t"] {
            assert_eq!(fold_address(text), "c1@school.example");
            let mut user = fields! { "email" => text };
            let is_plain = text == "c1@school.example";
            assert_eq!(address_key(&user).is_none(), is_plain, "{text}");
            assert_eq!(has_right_key(&user), is_plain, "{text}");
            user.extend(address_key(&user).map(|key| (ADDRESS_KEY.to_owned(), Value::from(key))));
            assert!(has_right_key(&user), "{text}");
        }
        assert!(!has_right_key(&fields! { "email" => "a@b", ADDRESS_KEY => "c@d" }), "of an address before");
        assert!(!has_right_key(&fields! { ADDRESS_KEY => 5 }));
        assert!(has_right_key(&Fields::new()));
    }

    #[test]
    fn names_are_compared_by_their_letters() {
        for (one, other) in [
            ("Zoë", "Zoe\u{308}"),
            ("O'Brien", "O\u{2019}Brien"),
            ("O'Brien", "OBRIEN"),
            ("O`Brien", "O\u{b4}Brien"),
            ("O\u{2bc}Brien", "o'brien"),
            ("Mary-Ann", "Mary Ann"),
            ("Mary\u{2011}Ann", "mary\u{a0}ann"),
            ("de  la   Cruz", " De La Cruz "),
            ("Straße", "STRASSE"),
            ("ΣΟΦΙΑΣ", "σοφιας"),
            ("\u{ff21}\u{ff44}\u{ff41}", "Ada"),
            ("\u{fb01}nn", "Finn"),
            ("\u{212b}ngström", "Ångström"),
            ("Nu\u{f1}ez", "Nun\u{303}ez"),
        ] {
            assert_eq!(fold_name(one), fold_name(other), "{one} {other}");
        }
        for (one, other) in [("Zoë", "Zoe"), ("Ada", "Ida"), ("Núñez", "Nunez"), ("Ana", "Anna")] {
            assert_ne!(fold_name(one), fold_name(other), "{one} {other}");
        }
        assert_eq!(fold_name(" - '"), "");
        let named = |first: &str, last: &str| fields! { "name" => fields! { "first" => first, "last" => last } };
        assert!(same_name(&named("ZOE\u{308}", "O\u{2019}Brien"), &named("Zoë", "O'brien")));
        assert!(!same_name(&named("Zoë", "-"), &named("Zoë", "")), "nobody is called nothing");
    }

    #[test]
    fn births_are_the_day_or_its_midnight_in_the_americas_or_europe() {
        let born: Date = "2016-03-20".parse().unwrap();
        for (held, expected) in [
            ("2016-03-20T00:00:00Z", true),
            ("2016-03-20T13:00:00Z", true),
            // New York, Los Angeles, Honolulu, St. John's.
            ("2016-03-20T04:00:00Z", true),
            ("2016-03-20T08:00:00Z", true),
            ("2016-03-20T10:00:00Z", true),
            ("2016-03-20T02:30:00Z", true),
            // Berlin, Helsinki, Moscow, Samara.
            ("2016-03-19T23:00:00Z", true),
            ("2016-03-19T22:00:00Z", true),
            ("2016-03-19T21:00:00Z", true),
            ("2016-03-19T20:00:00Z", true),
            // Midnight in Tokyo, the day before, the day after, and an instant that is midnight in no zone.
            ("2016-03-19T15:00:00Z", false),
            ("2016-03-19T00:00:00Z", false),
            ("2016-03-21T00:00:00Z", false),
            ("2016-03-19T22:10:00Z", false),
            ("2016-03-21T04:00:00Z", false),
        ] {
            assert_eq!(same_birth(held.parse().unwrap(), born), expected, "{held}");
        }
    }

    proptest! {
        /// Normalizing is idempotent, and ignores all signs between letters.
        #[test]
        fn folding_is_done_once(name in "\\PC{0,12}", at in any::<prop::sample::Index>()) {
            let folded = fold_name(&name);
            prop_assert_eq!(fold_name(&folded), folded.clone());
            let places: Vec<usize> = name.char_indices().map(|(place, _)| place).chain([name.len()]).collect();
            let (before, after) = name.split_at(*at.get(&places));
            for between in [" ", "-", "\u{2019}", "\u{200b}"] {
                let joined = format!("{before}{between}{after}");
                // A sign between a letter and its accent keeps nothing apart either.
                prop_assert_eq!(fold_name(&joined), folded.clone());
            }
        }
    }
}

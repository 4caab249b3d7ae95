//! Fingerprints of a user's address, name and birth at the time when the service imported the user. Pure.
//!
//! People edit what a users document shows. The fingerprints can be written by the service only (security rules protect
//! the field), so that an edited user is never mistaken for the person whom the edit imitates.

use crate::digest::fingerprint;
use crate::documents::user;
use crate::documents::user::age::day;
use crate::documents::user::same::{fold_address, fold_name};
use crate::fields;
use crate::store::{Fields, Timestamp, Value};

/// The field of a users document that holds the digests.
pub const IMPORTED: &str = user::field::IMPORTED_IDENTITY;

/// Digests of a person's address, name and birth, in the normal form in which they are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Digest of the address.
    pub email: Option<String>,
    /// Digest of the first and the last name.
    pub name: Option<String>,
    /// Digest of the day of birth.
    pub dob: Option<String>,
}

impl Imported {
    /// The digests of a person; a name counts only where both its parts are known.
    pub fn of(email: Option<&str>, first: Option<&str>, last: Option<&str>, born: Option<Timestamp>) -> Imported {
        let [first, last] = [first, last].map(|part| fold_name(part.unwrap_or_default()));
        let email = email.map(fold_address).filter(|email| !email.is_empty());
        Imported {
            email: email.map(fingerprint),
            name: (!first.is_empty() && !last.is_empty()).then(|| fingerprint(format!("{first}\0{last}"))),
            dob: born.map(|born| fingerprint(day(born).to_string())),
        }
    }

    /// Reads the digests from a users document.
    pub fn read(user: &Fields) -> Imported {
        let held = user.get(IMPORTED).and_then(Value::as_map);
        let text = |name: &str| held.and_then(|held| held.get(name)).and_then(Value::as_str).map(str::to_owned);
        Imported { email: text(user::field::EMAIL), name: text(user::field::NAME), dob: text(user::field::DOB) }
    }

    /// The value for a users document; `None` where nothing is known.
    pub fn to_value(&self) -> Option<Value> {
        let parts = [(user::field::EMAIL, &self.email), (user::field::NAME, &self.name), (user::field::DOB, &self.dob)];
        let known = parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), Value::from(part.as_deref()?))));
        let known: Fields = known.collect();
        (!known.is_empty()).then_some(Value::Map(known))
    }

    /// True when both are one person: the same address and name, and no different birth.
    pub fn is_of(&self, other: &Imported) -> bool {
        let same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
        let is_as_old = self.dob.as_ref().zip(other.dob.as_ref()).is_none_or(|(one, other)| one == other);
        same(&self.email, &other.email) && same(&self.name, &other.name) && is_as_old
    }
}

/// The fields to write for a user whose document lacks the digests or has other ones.
pub fn imported_fields(imported: &Imported, user: &Fields) -> Fields {
    match imported.to_value() {
        Some(value) if user.get(IMPORTED) != Some(&value) => fields! { IMPORTED => value },
        _ => Fields::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn the_same_person_is_who_has_the_same_address_and_name_and_no_other_birth() {
        let ada = Imported::of(Some("Ada@B.org"), Some("Ada"), Some("O'Brien"), at("2016-03-20T00:00:00Z"));
        let none = None::<Timestamp>;
        for (other, expected) in [
            (Imported::of(Some(" ada@b.org"), Some("ADA"), Some("O\u{2019}brien"), at("2016-03-20T05:00:00Z")), true),
            (Imported::of(Some("ada@b.org"), Some("Ada"), Some("OBrien"), none), true),
            (Imported::of(Some("ada@b.org"), Some("Ada"), Some("O'Brien"), at("2016-03-21T00:00:00Z")), false),
            (Imported::of(Some("eve@b.org"), Some("Ada"), Some("O'Brien"), none), false),
            (Imported::of(Some("ada@b.org"), Some("Eve"), Some("O'Brien"), none), false),
            (Imported::of(None, Some("Ada"), Some("O'Brien"), none), false),
            (Imported::of(Some("ada@b.org"), None, Some("O'Brien"), none), false),
            (Imported::default(), false),
        ] {
            assert_eq!(ada.is_of(&other), expected, "{other:?}");
            assert_eq!(other.is_of(&ada), expected, "{other:?}");
        }
        assert!(!Imported::default().is_of(&Imported::default()), "who is nobody is nobody else");
    }

    #[test]
    fn documents_keep_them() {
        let ada = Imported::of(Some("ada@b.org"), Some("Ada"), Some("Byron"), None);
        let user = imported_fields(&ada, &Fields::new());
        assert_eq!(Imported::read(&user), ada);
        assert!(imported_fields(&ada, &user).is_empty(), "nothing new");
        let text = format!("{user:?}").to_lowercase();
        assert!(!text.contains("ada") && !text.contains("byron") && !text.contains("b.org"), "{text}");
        for odd in [fields! { IMPORTED => "x" }, fields! { IMPORTED => fields! { "email" => 5 } }, Fields::new()] {
            assert_eq!(Imported::read(&odd), Imported::default());
        }
        assert_eq!(Imported::default().to_value(), None);
    }
}

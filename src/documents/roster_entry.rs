//! Entries of rosters, `identityProviderIds/{entryId}`. Each links a provider's ID of a person to the user
//! (docs/domain/rosters.md#identity-entries). Pure.

use super::org_lists::OrgLists;
use super::roster_mark;
use crate::fields;
use crate::store::{DocPath, FieldPath, Fields, Query, Result, Timestamp, Value};

/// The collection.
pub const ENTRIES: &str = "identityProviderIds";

/// Names of the fields of roster entries; what they mean: docs/domain/documents.md#roster-entries.
#[allow(missing_docs, reason = "the page says what each field means")]
pub mod field {
    pub const PROVIDER_TYPE: &str = "providerType";
    pub const PROVIDER_ID: &str = "providerId";
    pub const ROAR_UID: &str = "roarUid";
    pub const ADMIN_UID: &str = "adminUid";
    pub const ACTIVATED: &str = "activated";
    pub const EMAIL: &str = "email";
    pub const ROLE: &str = "role";
    pub const DISTRICT: &str = "district";
    pub const ADMIN_ORGS: &str = "adminOrgs";
    pub const COPIED_ADMIN_ORGS: &str = "copiedAdminOrgs";
    pub const ROSTER: &str = "roster";
    pub const LEFT: &str = "left";
    pub const SAID_AT_SIGN_IN: &str = "saidAtSignIn";
    pub const GONE: &str = "gone";
    pub const LAST_SYNC: &str = "lastSync";
}

/// Names of the fields within [`field::LEFT`].
mod left {
    pub const SAID: &str = "said";
    pub const EMAIL: &str = "email";
}

/// The names of a user's fields in an entry's list of the fields that the roster's record contained. Fields of
/// `studentData` are listed by their own names, for instance `grade`.
#[allow(missing_docs, reason = "they say it")]
pub mod said {
    pub const FIRST_NAME: &str = "name.first";
    pub const MIDDLE_NAME: &str = "name.middle";
    pub const LAST_NAME: &str = "name.last";
    pub const USERNAME: &str = "username";
    pub const EMAIL: &str = "email";
}

/// The fields of an entry that a sync reads. The last one is large, and only needed for people who signed in before
/// this service wrote their entry.
pub const LOOKED_AT: [&str; 12] = [
    field::PROVIDER_ID,
    field::ROAR_UID,
    field::GONE,
    field::ROLE,
    field::DISTRICT,
    field::ACTIVATED,
    field::COPIED_ADMIN_ORGS,
    field::ROSTER,
    field::EMAIL,
    field::LEFT,
    field::SAID_AT_SIGN_IN,
    field::ADMIN_ORGS,
];

/// [`LOOKED_AT`] without the large one.
pub const LOOKED_AT_FIRST: &[&str] = LOOKED_AT.split_at(11).0;

/// The path of the entry that this service creates for a person. The entry's ID is derived from the person's ID at the
/// provider, so that nobody gets two entries. Older functions may have created one under another ID.
pub fn entry_path(provider: &str, id: &str) -> Result<DocPath> {
    entry_at(&format!("{provider}-{id}"))
}

/// The path of the entry with the given document ID.
pub fn entry_at(document_id: &str) -> Result<DocPath> {
    DocPath::in_collection(ENTRIES, document_id)
}

/// A query for the entries of a provider's rosters.
pub fn of_provider(provider: &str) -> Query {
    Query::collection(ENTRIES).equal(field::PROVIDER_TYPE, provider)
}

/// A query for the entries of one district's roster, including people who have left the roster.
pub fn of_district(provider: &str, district: &str) -> Query {
    of_provider(provider).equal(field::DISTRICT, district)
}

/// A query for the entries of the people who are in a district's roster now, with this type of user.
pub fn living_of_type(provider: &str, district: &str, user_type: &str) -> Query {
    of_district(provider, district).equal(field::GONE, false).equal(field::ROLE, user_type)
}

/// A text field.
pub fn text<'a>(entry: &'a Fields, name: &str) -> Option<&'a str> {
    entry.get(name).and_then(Value::as_str)
}

/// True for the entry of a person who has left their roster.
pub fn is_gone(entry: &Fields) -> bool {
    entry.get(field::GONE).and_then(Value::as_bool) == Some(true)
}

/// True for the entry of a person whom the roster has listed as an administrator.
pub fn is_admin(entry: &Fields) -> bool {
    text(entry, field::ROLE) == Some("admin")
}

/// True for the entry of a person who is in another district's roster now.
pub fn is_elsewhere(entry: &Fields, district: &str) -> bool {
    let held = text(entry, field::DISTRICT).unwrap_or_default();
    !held.is_empty() && held != district && !is_gone(entry)
}

/// The orgs over which the roster gives the person rights.
pub fn admin_orgs(entry: &Fields) -> OrgLists {
    OrgLists::from_value(entry.get(field::ADMIN_ORGS))
}

/// The names of the fields that the roster's record of the person contained. An entry has these while the person is in
/// the roster, after they have left, and before a sync of people has written them.
pub fn said_of(entry: &Fields) -> impl Iterator<Item = &str> {
    let within = |map: &str, name: &str| entry.get(map).and_then(Value::as_map).and_then(|map| map.get(name));
    let lists = [
        within(field::ROSTER, roster_mark::field::SAID),
        within(field::LEFT, left::SAID),
        entry.get(field::SAID_AT_SIGN_IN),
    ];
    lists.into_iter().flatten().filter_map(Value::as_array).flatten().filter_map(Value::as_str)
}

/// The e-mail address that the roster gave last, also for a person who has left.
pub fn last_email(entry: &Fields) -> Option<&str> {
    let left = || entry.get(field::LEFT)?.as_map()?.get(left::EMAIL)?.as_str();
    text(entry, field::EMAIL).or_else(left)
}

/// An edit of an entry: fields, and the mask to write them with.
pub type Edit = (Fields, Vec<FieldPath>);

/// The edit that removes the rights that the roster gave, and makes the next sync compare the record again. `given` is
/// the rights that the person's claims got from the roster, where older functions didn't store them in the entry.
pub fn rights_taken(given: Option<&OrgLists>) -> Edit {
    let fields = without_rights(given);
    let mask = fields.keys().map(FieldPath::top).chain([roster_mark::fingerprint_path()]).collect();
    (fields, mask)
}

fn without_rights(given: Option<&OrgLists>) -> Fields {
    let mut fields = fields! { field::ADMIN_ORGS => OrgLists::new().to_value() };
    fields.extend(given.map(|given| (field::COPIED_ADMIN_ORGS.to_owned(), given.to_value())));
    fields
}

/// The edit for a person who has left their roster; it removes their rights, too. The entry keeps the names of the
/// fields that came from the roster (`said`), which the roster owns again if the person returns. The roster doesn't own
/// the address any more, because the address may be somebody else's by then.
pub fn leaves(said: &[&str], email: Option<&str>, given: Option<&OrgLists>, now: Timestamp) -> Edit {
    let mut fields = without_rights(given);
    let mut left = fields! { left::SAID => Value::strings(said.iter().copied()) };
    left.extend(email.map(|email| (left::EMAIL.to_owned(), Value::from(email))));
    fields.extend(fields! { field::GONE => true, field::LAST_SYNC => now, field::LEFT => left });
    let taken = [field::ROSTER, field::EMAIL, field::SAID_AT_SIGN_IN].map(FieldPath::top);
    let mask = fields.keys().map(FieldPath::top).chain(taken).collect();
    (fields, mask)
}

/// The edit that stores the fingerprint of a record and nothing else.
pub fn fingerprinted(fingerprint: &str) -> Edit {
    let mark = fields! { roster_mark::field::FINGERPRINT => fingerprint };
    (fields! { field::ROSTER => mark }, vec![roster_mark::fingerprint_path()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_roster_has_somebody() {
        // Each case: the entry, whether the person has left, and whether they are in the roster of a district other
        // than d1.
        for (entry, gone, elsewhere) in [
            (fields! { "district" => "d1" }, false, false),
            (fields! { "district" => "d2" }, false, true),
            (fields! { "district" => "d2", "gone" => false }, false, true),
            (fields! { "district" => "d2", "gone" => true }, true, false),
            (fields! { "district" => "" }, false, false),
            (Fields::new(), false, false),
        ] {
            assert_eq!((is_gone(&entry), is_elsewhere(&entry, "d1")), (gone, elsewhere), "{entry:?}");
        }
    }

    #[test]
    fn what_was_said_outlives_leaving_and_rights_do_not() {
        let now = Timestamp::UNIX_EPOCH;
        let given: OrgLists = [(super::super::org_lists::OrgType::School, "s1")].into_iter().collect();
        let mut entry = fields! {
            "providerId" => "p1", "email" => "a@b.org", "adminOrgs" => given.to_value(), "saidAtSignIn" => Value::strings(["dob"]),
            "roster" => fields! { "fingerprint" => "f1", "said" => Value::strings(["grade"]) },
        };
        assert_eq!(said_of(&entry).collect::<Vec<_>>(), ["grade", "dob"]);
        let (fields, mask) = leaves(&["grade", "dob"], last_email(&entry), Some(&given), now);
        for path in &mask {
            match fields.get(&path.to_string()) {
                Some(value) => drop(entry.insert(path.to_string(), value.clone())),
                None => drop(entry.remove(&path.to_string())),
            }
        }
        assert_eq!(said_of(&entry).collect::<Vec<_>>(), ["grade", "dob"]);
        assert_eq!((last_email(&entry), entry.get("email"), entry.get("roster")), (Some("a@b.org"), None, None));
        assert!(is_gone(&entry) && admin_orgs(&entry).is_empty());
        assert_eq!(entry.get("copiedAdminOrgs"), Some(&given.to_value()));
        assert_eq!(entry.get("providerId"), Some(&Value::from("p1")), "what isn't in the mask stays");
    }
}

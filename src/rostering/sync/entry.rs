//! Entries of people, as a sync keeps them in memory and writes them (docs/domain/rosters.md#identity-entries). Pure.

use crate::claims::binding::identity::RosterEntry;
use crate::documents::roster_entry::{
    Edit, entry_at, entry_path, field, fingerprinted, is_admin, is_gone, last_email, rights_taken, said, said_of, text,
};
use crate::documents::roster_mark::{Mark, fingerprint, is_rostered};
use crate::fields;
use crate::orgs::OrgLists;
use crate::rostering::person::{Person, Said};
use crate::store::{DocPath, Document, FieldPath, Precondition, StoreError, Timestamp, Value, Write};

/// What an entry says of somebody, as far as a sync needs it: small, for there may be a hundred thousand of them.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The ID of the entry's document, where it isn't the usual one.
    pub elsewhere: Option<Box<str>>,
    /// The user.
    pub roar_uid: Box<str>,
    /// Of the record that was written last, as bytes.
    pub fingerprint: Option<[u8; 16]>,
    /// What the roster has said of them.
    pub said: Said,
    /// The address that it gave last.
    pub email: Option<Box<str>>,
    /// The roster has called them an administrator.
    pub was_admin: bool,
    /// The rights that older functions gave to somebody who has signed in, who didn't note that they had.
    pub given: Option<Box<OrgLists>>,
    /// Unenrolled before.
    pub is_gone: bool,
    /// A sync of people has written them.
    pub is_rostered: bool,
    /// They are in the roster as it's now.
    pub is_seen: bool,
    /// The entry's version as it was read: a write fails if somebody has changed the entry since.
    pub update_time: Timestamp,
}

impl Entry {
    /// Reads an entry of that provider's: the person's ID there, and what the entry says.
    pub fn read(provider: &str, document: &Document) -> Option<(Box<str>, Entry)> {
        let fields = &document.fields;
        let (id, roar_uid) = (text(fields, field::PROVIDER_ID)?, text(fields, field::ROAR_UID)?);
        let is_usual = entry_path(provider, id).is_ok_and(|usual| usual == document.path);
        let entry = Entry {
            elsewhere: (!is_usual).then(|| document.id().into()),
            roar_uid: roar_uid.into(),
            fingerprint: fingerprint(fields).and_then(bytes),
            said: Said::of(said_of(fields)),
            email: last_email(fields).map(Box::from),
            given: given(document).map(Box::new),
            was_admin: is_admin(fields),
            is_gone: is_gone(fields),
            is_rostered: is_rostered(fields),
            is_seen: false,
            update_time: document.update_time,
        };
        Some((id.into(), entry))
    }

    /// The write of an edit of this entry, as long as it's as it was read.
    pub fn write(&self, provider: &str, id: &str, (fields, mask): Edit) -> Result<Write, StoreError> {
        Ok(Write::merge(self.path(provider, id)?, fields, mask).when(Precondition::UpdatedAt(self.update_time)))
    }

    /// Takes the rights away that came with the roster, and has the next sync look again.
    pub fn without_rights(&self, provider: &str, id: &str) -> Result<Write, StoreError> {
        self.write(provider, id, rights_taken(self.given.as_deref()))
    }

    /// Where the entry is, of the person with that ID at the provider.
    pub fn path(&self, provider: &str, id: &str) -> Result<DocPath, StoreError> {
        match &self.elsewhere {
            Some(elsewhere) => entry_at(elsewhere),
            None => entry_path(provider, id),
        }
    }
}

fn given(note: &Document) -> Option<OrgLists> {
    let entry =
        RosterEntry::of(note).filter(|entry| entry.activated && !note.fields.contains_key(field::COPIED_ADMIN_ORGS));
    entry.map(|entry| entry.copied)
}

/// The bytes that a fingerprint is, in hexadecimal.
pub(super) fn bytes(fingerprint: &str) -> Option<[u8; 16]> {
    u128::from_str_radix(fingerprint, 16).ok().map(u128::to_be_bytes)
}

/// Somebody whose record differs from what was written last.
pub(super) struct Changed {
    pub id: String,
    pub person: Person,
    /// The orgs that they have rights over.
    pub rights: OrgLists,
    pub fingerprint: String,
    /// The fingerprint that earlier versions made, which didn't note the digests of who was imported.
    pub former_fingerprint: String,
}

/// Whose roster it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roster<'a> {
    /// The provider's name in documents.
    pub provider: &'a str,
    /// The district's ID.
    pub district: &'a str,
}

/// The rights that an entry gives.
pub(super) struct Rights {
    pub orgs: OrgLists,
    /// Some of these orgs' data are incomplete: whoever has the rights is compared again at the next sync.
    pub is_unsure: bool,
}

impl Changed {
    /// True for a record that is what it was: only the digests of who was imported are missing.
    pub fn is_unmarked(&self, entry: &Entry) -> bool {
        !entry.is_gone && entry.fingerprint.is_some() && entry.fingerprint == bytes(&self.former_fingerprint)
    }

    /// The write of an entry that notes the fingerprint and nothing else: that the digests are there.
    pub fn mark(&self, provider: &str, entry: &Entry) -> Result<Write, StoreError> {
        entry.write(provider, &self.id, fingerprinted(&self.fingerprint))
    }

    /// The write of the entry at `path`: they are in the roster, with these rights. To which account an entry belongs,
    /// once its person has signed in, stays.
    pub fn entry(
        &self,
        path: DocPath,
        of: Roster<'_>,
        roar_uid: &str,
        rights: &Rights,
        known: Option<&Entry>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let said = known.map(|known| known.said).unwrap_or_default().after(&self.person).names();
        let mark = Mark {
            provider: of.provider,
            fingerprint: (!rights.is_unsure).then_some(self.fingerprint.as_str()),
            said: &said,
        };
        let mut fields = fields! {
            field::PROVIDER_TYPE => of.provider, field::PROVIDER_ID => self.id.as_str(), field::ROAR_UID => roar_uid,
            field::DISTRICT => of.district, field::ROLE => self.person.user_type, field::GONE => false,
            field::LAST_SYNC => now, field::ADMIN_ORGS => rights.orgs.to_value(), field::ROSTER => mark.to_value(),
        };
        if let Some(email) = &self.person.email {
            fields.insert(field::EMAIL.to_owned(), Value::from(email.as_str()));
        }
        let Some(known) = known else {
            fields.insert(field::ACTIVATED.to_owned(), Value::Boolean(false));
            return Ok(Write::create(path, fields));
        };
        if let Some(given) = &known.given {
            fields.insert(field::COPIED_ADMIN_ORGS.to_owned(), given.to_value());
        }
        let mut mask: Vec<FieldPath> = fields.keys().map(FieldPath::top).collect();
        if self.person.email.is_none() && !self.person.unread.contains(&said::EMAIL) {
            mask.push(FieldPath::top(field::EMAIL));
        }
        mask.extend([field::LEFT, field::SAID_AT_SIGN_IN].map(FieldPath::top));
        Ok(Write::merge(path, fields, mask).when(Precondition::UpdatedAt(known.update_time)))
    }

    /// What the entry says of them once it's written at `path`.
    pub fn after(
        &self,
        of: Roster<'_>,
        before: Option<&Entry>,
        roar_uid: &str,
        path: &DocPath,
        is_unsure: bool,
    ) -> Entry {
        let is_usual = entry_path(of.provider, &self.id).is_ok_and(|usual| usual == *path);
        let is_unread = self.person.unread.contains(&said::EMAIL);
        let email = self.person.email.as_deref().map(Box::from);
        Entry {
            elsewhere: (!is_usual).then(|| path.id().into()),
            roar_uid: roar_uid.into(),
            fingerprint: bytes(&self.fingerprint).filter(|_| !is_unsure),
            said: before.map(|entry| entry.said).unwrap_or_default().after(&self.person),
            email: email.or_else(|| before.filter(|_| is_unread)?.email.clone()),
            was_admin: self.person.user_type == "admin",
            given: None,
            is_gone: false,
            is_rostered: true,
            is_seen: true,
            update_time: before.map_or(Timestamp::UNIX_EPOCH, |entry| entry.update_time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{NOW, student};
    use super::*;
    use crate::store::{Fields, WriteKind};

    const OF: Roster<'static> = Roster { provider: "clever", district: "d1" };

    fn document(path: &str, fields: Fields) -> Document {
        Document { path: DocPath::new(path).expect("a path"), fields, create_time: NOW, update_time: NOW }
    }

    fn changed(person: Person) -> Changed {
        let rights = OrgLists::new();
        let (fingerprint, former_fingerprint) = (person.fingerprint(&rights), person.former_fingerprint(&rights));
        Changed { id: "p1".to_owned(), person, rights, fingerprint, former_fingerprint }
    }

    fn set(write: &Write) -> (&Fields, Vec<String>) {
        let WriteKind::Set { fields, mask, .. } = &write.kind else { panic!("it's set") };
        (fields, mask.iter().flatten().map(FieldPath::to_string).collect())
    }

    #[test]
    fn entries_are_read_wherever_they_are() {
        let fields = fields! { "providerId" => "p1", "roarUid" => "u1", "role" => "admin", "email" => "a@b.org" };
        for (path, elsewhere) in [("identityProviderIds/clever-p1", None), ("identityProviderIds/x", Some("x"))] {
            let (id, entry) = Entry::read("clever", &document(path, fields.clone())).expect("an entry");
            assert_eq!((&*id, &*entry.roar_uid, entry.elsewhere.as_deref()), ("p1", "u1", elsewhere));
            assert_eq!((entry.was_admin, entry.is_gone, entry.is_rostered, entry.is_seen), (true, false, false, false));
            assert_eq!(entry.path("clever", "p1").unwrap().as_str(), path);
        }
        assert!(Entry::read("clever", &document("identityProviderIds/x", fields! { "providerId" => "p1" })).is_none());
    }

    #[test]
    fn an_entry_is_written_as_it_is_remembered() {
        let path = entry_path("clever", "p1").unwrap();
        let changed = changed(student("Ada", Some("ada@b.org")));
        for is_unsure in [false, true] {
            let rights = Rights { orgs: OrgLists::new(), is_unsure };
            let write = changed.entry(path.clone(), OF, "u1", &rights, None, NOW).unwrap();
            assert_eq!(write.precondition, Precondition::Missing);
            let (fields, _) = set(&write);
            assert_eq!(fields["activated"], Value::Boolean(false));
            let (_, read) = Entry::read("clever", &document(path.as_str(), fields.clone())).expect("an entry");
            let kept = changed.after(OF, None, "u1", &path, is_unsure);
            assert_eq!((read.fingerprint, read.said, &read.email), (kept.fingerprint, kept.said, &kept.email));
            assert_eq!(read.fingerprint.is_none(), is_unsure, "what isn't sure is compared again");
        }
    }

    #[test]
    fn an_address_goes_when_it_is_no_longer_given_and_stays_when_it_cannot_be_read() {
        let path = entry_path("clever", "p1").unwrap();
        let before = changed(student("Ada", Some("ada@b.org"))).after(OF, None, "u1", &path, false);
        let rights = Rights { orgs: OrgLists::new(), is_unsure: false };
        // What can't be read; the address is in the mask, the address that's remembered.
        for (unread, goes, remembered) in [(vec![], true, None), (vec![said::EMAIL], false, Some("ada@b.org"))] {
            let changed = changed(Person { unread, ..student("Ada", None) });
            let write = changed.entry(path.clone(), OF, "u1", &rights, Some(&before), NOW).unwrap();
            assert_eq!(set(&write).1.contains(&"email".to_owned()), goes);
            assert_eq!(changed.after(OF, Some(&before), "u1", &path, false).email.as_deref(), remembered);
            assert_eq!(write.precondition, Precondition::UpdatedAt(before.update_time));
        }
    }

    #[test]
    fn a_record_that_is_what_it_was_lacks_only_its_digests() {
        let changed = changed(student("Ada", None));
        let path = entry_path("clever", "p1").unwrap();
        let after = changed.after(OF, None, "u1", &path, false);
        let former = Entry { fingerprint: bytes(&changed.former_fingerprint), ..after.clone() };
        for (entry, expected) in [
            (after, false),
            (former.clone(), true),
            (Entry { is_gone: true, ..former.clone() }, false),
            (Entry { fingerprint: None, ..former }, false),
        ] {
            assert_eq!(changed.is_unmarked(&entry), expected);
        }
    }
}

//! Who is in the roster, as it's noted: a document a person in `identityProviderIds`
//! (docs/domain/rosters.md#identity-entries).

use std::collections::HashMap;

use futures::TryStreamExt as _;

use super::{PROVIDER, SyncError, Work};
use crate::claims::binding::identity::RosterEntry;
use crate::documents::org_lists::OrgType;
use crate::documents::roster_entry::{
    Edit, LOOKED_AT, LOOKED_AT_FIRST, entry_at, entry_path, field, fingerprinted, is_admin, is_elsewhere, is_gone,
    last_email, living_of_type, of_district, of_provider, rights_taken, said, said_of, text,
};
use crate::documents::roster_mark::{Mark, fingerprint, is_rostered};
use crate::documents::user;
use crate::documents::user::orgs::CURRENT;
use crate::documents::user::same::{fold_address, has_right_key, key_write};
use crate::fields;
use crate::orgs::OrgLists;
use crate::rostering::person::{Person, Said};
use crate::store::{DocPath, Document, FieldOp, FieldPath, Precondition, Query, StoreError, Timestamp, Value, Write};

/// Somebody who is in the roster, as it's noted.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The ID of the note, where it isn't the usual one.
    pub elsewhere: Option<Box<str>>,
    pub roar_uid: Box<str>,
    /// Of the record that was written last; as bytes, for there may be a hundred thousand of them.
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
    /// Clever has them.
    pub is_seen: bool,
    /// The note as it was read: who changes it meanwhile isn't written over.
    pub update_time: Timestamp,
}

impl Entry {
    /// Reads a note: the person's ID at Clever, and the entry.
    pub fn read(document: &Document) -> Option<(Box<str>, Entry)> {
        let fields = &document.fields;
        let (id, roar_uid) = (text(fields, field::PROVIDER_ID)?, text(fields, field::ROAR_UID)?);
        let is_usual = entry_path(PROVIDER, id).is_ok_and(|usual| usual == document.path);
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
    pub fn write(&self, id: &str, (fields, mask): Edit) -> Result<Write, StoreError> {
        Ok(Write::merge(self.path(id)?, fields, mask).when(Precondition::UpdatedAt(self.update_time)))
    }

    /// Takes the rights away that came with the roster, and has the next sync look again.
    pub fn without_rights(&self, id: &str) -> Result<Write, StoreError> {
        self.write(id, rights_taken(self.given.as_deref()))
    }

    pub fn path(&self, id: &str) -> Result<DocPath, StoreError> {
        match &self.elsewhere {
            Some(elsewhere) => entry_at(elsewhere),
            None => entry_path(PROVIDER, id),
        }
    }
}

fn given(note: &Document) -> Option<OrgLists> {
    let entry =
        RosterEntry::of(note).filter(|entry| entry.activated && !note.fields.contains_key(field::COPIED_ADMIN_ORGS));
    entry.map(|entry| entry.copied)
}

/// People whose notes are asked for at once.
const NOTES: usize = 300;

/// Who is noted, by their ID at Clever.
pub(super) type Entries = HashMap<Box<str>, Entry>;

/// The bytes that a fingerprint is, in hexadecimal.
pub(super) fn bytes(fingerprint: &str) -> Option<[u8; 16]> {
    u128::from_str_radix(fingerprint, 16).ok().map(u128::to_be_bytes)
}

impl Work<'_> {
    /// The notes of the district's people, also of those who have left.
    fn notes(&self) -> Query {
        of_district(PROVIDER, &self.id)
    }

    /// How many people are noted to be in the roster as that: a read for a thousand.
    pub(super) async fn count_noted(&self, user_type: &str) -> Result<u64, StoreError> {
        self.database.count(living_of_type(PROVIDER, &self.id, user_type)).await
    }

    /// Who is noted to be in the district's roster: one read each.
    pub(super) async fn entries(&mut self) -> Result<Entries, SyncError> {
        let mut entries = HashMap::new();
        if !self.monitor.knows_notes {
            self.noted_by_others(&mut entries).await?;
        }
        // One by one: of a large district, all documents at once would take much memory.
        let mut documents = self.database.stream(self.notes().select(LOOKED_AT_FIRST));
        while let Some(document) = documents.try_next().await? {
            entries.extend(Entry::read(&document));
        }
        let given = entries.iter().filter(|(_, entry)| entry.given.is_some());
        let given: Vec<DocPath> = given.map(|(id, entry)| entry.path(id)).collect::<Result<_, _>>()?;
        for batch in given.chunks(NOTES) {
            entries.extend(self.database.get_all(batch).await?.iter().flatten().filter_map(Entry::read));
        }
        Ok(entries)
    }

    /// Older functions didn't note whose roster somebody is in, nor how an address is compared. Once, both are found out
    /// for everybody in the district: a read for each, a read and a write for each note, and a write for each address
    /// that's spelt otherwise than it's compared.
    async fn noted_by_others(&mut self, entries: &mut Entries) -> Result<(), SyncError> {
        let mut are_known = true;
        let current = format!("{}.{CURRENT}", OrgType::District.plural());
        let here = Query::collection("users").filter(&current, FieldOp::ArrayContains, self.id.as_str());
        let here = here.select(&[user::field::EMAIL, user::field::EMAIL_KEY]);
        let mut users = self.database.stream(here).try_chunks(NOTES);
        while let Some(batch) = users.try_next().await.map_err(|error| error.1)? {
            let mut writes = Vec::new();
            let ids: Vec<String> = batch.iter().map(|user| user.id().to_owned()).collect();
            let noted = of_provider(PROVIDER).select(&LOOKED_AT);
            let noted = noted.each_of(field::ROAR_UID, &ids).map(|(query, _)| query).collect::<Vec<_>>();
            for note in self.database.query_each(noted).await? {
                let is_anywhere = text(&note.fields, field::DISTRICT).is_some_and(|id| !id.is_empty());
                if let Some((id, entry)) = Entry::read(&note).filter(|_| !is_anywhere) {
                    let mut known = fields! { field::DISTRICT => self.id.as_str() };
                    let address = text(&note.fields, field::EMAIL).map(fold_address);
                    known.extend(address.map(|address| (field::EMAIL.to_owned(), Value::from(address))));
                    let write = Write::update(note.path, known);
                    writes.push(write.when(Precondition::UpdatedAt(note.update_time)));
                    entries.insert(id, entry);
                }
            }
            let odd = batch.iter().filter(|user| !has_right_key(&user.fields));
            let keys = odd.map(key_write).collect();
            match self.commit(writes).await {
                // Somebody signs in. Then it's found out by the next sync.
                Err(SyncError::Store(StoreError::Conflict(_))) => are_known = false,
                outcome => drop(outcome?),
            }
            match self.commit(keys).await {
                // Whoever changes this moment gets their key by that change's event; the others by the next sync.
                Err(SyncError::Store(StoreError::Conflict(_))) => are_known = false,
                outcome => drop(outcome?),
            }
        }
        *self.knows_notes = are_known;
        Ok(())
    }

    /// Looks again who is noted, of these people, whom Clever has.
    pub(super) async fn refresh(&mut self, entries: &mut Entries, ids: &[&str]) -> Result<(), StoreError> {
        let path = |id: &&str| entries.get(*id).map_or_else(|| entry_path(PROVIDER, id), |entry| entry.path(id));
        let paths: Vec<DocPath> = ids.iter().map(path).collect::<Result<_, _>>()?;
        for (asked, found) in ids.iter().zip(self.database.get_all(&paths).await?) {
            let is_elsewhere = found.as_ref().is_some_and(|note| is_elsewhere(&note.fields, &self.id));
            match found.as_ref().and_then(Entry::read) {
                // Another district's roster has them.
                Some((id, _)) if &*id == *asked && is_elsewhere => drop(entries.remove(*asked)),
                Some((id, fresh)) if &*id == *asked => {
                    entries.insert(id, Entry { is_seen: true, ..fresh });
                }
                // Somebody else's by now: they have got another ID at Clever.
                Some(_) => {
                    self.occupied.insert((*asked).to_owned());
                }
                None => {
                    entries.remove(*asked);
                }
            }
        }
        Ok(())
    }

    /// Where somebody is to be noted who isn't yet.
    pub(super) fn new_note(&self, id: &str) -> Result<DocPath, StoreError> {
        match self.occupied.contains(id) {
            true => entry_at(&self.app.context.document_id()),
            false => entry_path(PROVIDER, id),
        }
    }
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

/// The rights that somebody is noted to have.
pub(super) struct Rights {
    pub orgs: OrgLists,
    /// Some of these orgs' data weren't whole: whoever has the rights is compared again at the next sync.
    pub is_unsure: bool,
}

impl Changed {
    /// True for a record that is what it was: only the digests of who was imported are missing.
    pub fn is_unmarked(&self, entry: &Entry) -> bool {
        !entry.is_gone && entry.fingerprint.is_some() && entry.fingerprint == bytes(&self.former_fingerprint)
    }

    /// The write of a note that only says that the digests are there.
    pub fn mark(&self, entry: &Entry) -> Result<Write, StoreError> {
        entry.write(&self.id, fingerprinted(&self.fingerprint))
    }

    /// The note that they are in the roster with these rights, at `path`. Whom it belongs to, once they have signed in,
    /// stays.
    pub fn note(
        &self,
        path: DocPath,
        district: &str,
        roar_uid: &str,
        rights: &Rights,
        known: Option<&Entry>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let said = known.map(|known| known.said).unwrap_or_default().after(&self.person).names();
        let mark = Mark {
            provider: PROVIDER,
            fingerprint: (!rights.is_unsure).then_some(self.fingerprint.as_str()),
            said: &said,
        };
        let mut fields = fields! {
            field::PROVIDER_TYPE => PROVIDER, field::PROVIDER_ID => self.id.as_str(), field::ROAR_UID => roar_uid,
            field::DISTRICT => district, field::ROLE => self.person.user_type, field::GONE => false,
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
}

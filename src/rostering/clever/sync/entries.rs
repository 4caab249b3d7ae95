//! Who is in the roster, as it's noted: a document a person in `identityProviderIds`
//! (docs/domain/rosters.md#identity-entries).

use std::collections::HashMap;

use futures::TryStreamExt as _;

use super::{PROVIDER, SyncError, Work};
use crate::claims::binding::identity::{COPIED, RosterEntry};
use crate::documents::user::same::{ADDRESS_KEY, fold_address, has_right_key, key_write};
use crate::fields;
use crate::orgs::OrgLists;
use crate::rostering::org;
use crate::rostering::person::{Person, Said};
use crate::store::{
    DocPath, Document, FieldOp, FieldPath, Precondition, Query, StoreError, Timestamp, Value, Write, lookup,
};

/// The collection.
pub const ENTRIES: &str = "identityProviderIds";

/// The document of somebody whom this service notes: made of their ID, so that nobody is noted twice. Others may have
/// noted them elsewhere before.
pub fn entry_path(id: &str) -> Result<DocPath, StoreError> {
    DocPath::in_collection(ENTRIES, &format!("{PROVIDER}-{id}"))
}

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
        let text = |name: &str| document.fields.get(name).and_then(Value::as_str).map(Box::<str>::from);
        let (id, roar_uid) = (text("providerId")?, text("roarUid")?);
        let is_usual = entry_path(&id).is_ok_and(|usual| usual == document.path);
        let entry = Entry {
            elsewhere: (!is_usual).then(|| document.id().into()),
            roar_uid,
            fingerprint: org::fingerprint(&document.fields).and_then(bytes),
            said: said(document),
            email: text("email").or_else(|| lookup(&document.fields, "left.email")?.as_str().map(Box::from)),
            given: given(document).map(Box::new),
            was_admin: document.fields.get("role").and_then(Value::as_str) == Some("admin"),
            is_gone: document.fields.get("gone").and_then(Value::as_bool).unwrap_or(false),
            is_rostered: document.fields.contains_key(org::ROSTER),
            is_seen: false,
            update_time: document.update_time,
        };
        Some((id, entry))
    }

    /// Takes the rights away that came with the roster, and has the next sync look again.
    pub fn without_rights(&self, id: &str) -> Result<Write, StoreError> {
        let mut fields = fields! { "adminOrgs" => OrgLists::new().to_value() };
        fields.extend(self.given.as_ref().map(|given| (COPIED.to_owned(), given.to_value())));
        let mask = fields.keys().map(FieldPath::top).chain([FieldPath::of([org::ROSTER, "fingerprint"])]).collect();
        Ok(Write::merge(self.path(id)?, fields, mask).when(Precondition::UpdatedAt(self.update_time)))
    }

    pub fn path(&self, id: &str) -> Result<DocPath, StoreError> {
        match &self.elsewhere {
            Some(elsewhere) => DocPath::in_collection(ENTRIES, elsewhere),
            None => entry_path(id),
        }
    }
}

fn given(note: &Document) -> Option<OrgLists> {
    let entry = RosterEntry::of(note).filter(|entry| entry.activated && !note.fields.contains_key(COPIED));
    entry.map(|entry| entry.copied)
}

/// What the roster said of somebody, as their note keeps it: while they're in it, while they aren't, and before a sync of
/// people has written them.
pub(in super::super) fn said(note: &Document) -> Said {
    let names = |path: &str| lookup(&note.fields, path).and_then(Value::as_array).unwrap_or_default();
    let all = ["roster.said", "left.said", SIGNED_IN].into_iter().flat_map(names);
    Said::of(all.filter_map(Value::as_str))
}

/// The field of a note that keeps what the roster said of somebody at their sign-in, until a sync of people writes them.
pub(in super::super) const SIGNED_IN: &str = "saidAtSignIn";

/// The field of a note that keeps, of somebody who left, what the roster said of them. It's still the roster's when they
/// come back.
pub(in super::super) const LEFT: &str = "left";

/// People whose notes are asked for at once.
const NOTES: usize = 300;

/// The fields of a note that a sync looks at. The last one is large, and matters to those alone who signed in before this
/// service wrote their note.
pub(super) const LOOKED_AT: [&str; 12] = [
    "providerId",
    "roarUid",
    "gone",
    "role",
    "district",
    "activated",
    COPIED,
    org::ROSTER,
    "email",
    LEFT,
    SIGNED_IN,
    "adminOrgs",
];
const LOOKED_AT_FIRST: &[&str] = LOOKED_AT.split_at(11).0;

/// Who is noted, by their ID at Clever.
pub(super) type Entries = HashMap<Box<str>, Entry>;

/// The bytes that a fingerprint is, in hexadecimal.
pub(super) fn bytes(fingerprint: &str) -> Option<[u8; 16]> {
    u128::from_str_radix(fingerprint, 16).ok().map(u128::to_be_bytes)
}

impl Work<'_> {
    /// The notes of the district's people, also of those who have left.
    fn notes(&self) -> Query {
        Query::collection(ENTRIES).equal("providerType", PROVIDER).equal("district", self.id.as_str())
    }

    /// How many people are noted to be in the roster as that: a read for a thousand.
    pub(super) async fn count_noted(&self, user_type: &str) -> Result<u64, StoreError> {
        self.database.count(self.notes().equal("gone", false).equal("role", user_type)).await
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
        let here = Query::collection("users").filter("districts.current", FieldOp::ArrayContains, self.id.as_str());
        let mut users = self.database.stream(here.select(&["email", ADDRESS_KEY])).try_chunks(NOTES);
        while let Some(batch) = users.try_next().await.map_err(|error| error.1)? {
            let mut writes = Vec::new();
            let ids: Vec<String> = batch.iter().map(|user| user.id().to_owned()).collect();
            let noted = Query::collection(ENTRIES).equal("providerType", PROVIDER).select(&LOOKED_AT);
            let noted = noted.each_of("roarUid", &ids).map(|(query, _)| query).collect::<Vec<_>>();
            for note in self.database.query_each(noted).await? {
                let is_anywhere = note.fields.get("district").and_then(Value::as_str).is_some_and(|id| !id.is_empty());
                if let Some((id, entry)) = Entry::read(&note).filter(|_| !is_anywhere) {
                    let mut known = fields! { "district" => self.id.as_str() };
                    let address = note.fields.get("email").and_then(Value::as_str).map(fold_address);
                    known.extend(address.map(|address| ("email".to_owned(), Value::from(address))));
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
        let path = |id: &&str| entries.get(*id).map_or_else(|| entry_path(id), |entry| entry.path(id));
        let paths: Vec<DocPath> = ids.iter().map(path).collect::<Result<_, _>>()?;
        for (asked, found) in ids.iter().zip(self.database.get_all(&paths).await?) {
            let is_elsewhere = found.as_ref().is_some_and(|note| self.is_elsewhere(note));
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

    /// True for a note of somebody whom another district's roster has still.
    pub(super) fn is_elsewhere(&self, note: &Document) -> bool {
        let district = note.fields.get("district").and_then(Value::as_str).unwrap_or_default();
        let is_gone = note.fields.get("gone").and_then(Value::as_bool).unwrap_or(false);
        !district.is_empty() && district != self.id && !is_gone
    }

    /// Where somebody is to be noted who isn't yet.
    pub(super) fn new_note(&self, id: &str) -> Result<DocPath, StoreError> {
        match self.occupied.contains(id) {
            true => DocPath::in_collection(ENTRIES, &self.app.context.document_id()),
            false => entry_path(id),
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
        let fields = fields! { org::ROSTER => fields! { "fingerprint" => self.fingerprint.as_str() } };
        let write = Write::merge(entry.path(&self.id)?, fields, vec![FieldPath::of([org::ROSTER, "fingerprint"])]);
        Ok(write.when(Precondition::UpdatedAt(entry.update_time)))
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
        let mut mark = fields! { "provider" => PROVIDER, "said" => Value::strings(said) };
        if !rights.is_unsure {
            mark.insert("fingerprint".to_owned(), Value::from(self.fingerprint.as_str()));
        }
        let mut fields = fields! {
            "providerType" => PROVIDER, "providerId" => self.id.as_str(), "roarUid" => roar_uid,
            "district" => district, "role" => self.person.user_type, "gone" => false, "lastSync" => now,
            "adminOrgs" => rights.orgs.to_value(), org::ROSTER => mark,
        };
        if let Some(email) = &self.person.email {
            fields.insert("email".to_owned(), Value::from(email.as_str()));
        }
        let Some(known) = known else {
            fields.insert("activated".to_owned(), Value::Boolean(false));
            return Ok(Write::create(path, fields));
        };
        if let Some(given) = &known.given {
            fields.insert(COPIED.to_owned(), given.to_value());
        }
        let mut mask: Vec<FieldPath> = fields.keys().map(FieldPath::top).collect();
        if self.person.email.is_none() && !self.person.unread.contains(&"email") {
            mask.push(FieldPath::top("email"));
        }
        mask.extend([LEFT, SIGNED_IN].map(FieldPath::top));
        Ok(Write::merge(path, fields, mask).when(Precondition::UpdatedAt(known.update_time)))
    }
}

//! Who is in the roster, as it's noted: a document a person in `identityProviderIds` (data-model §2.5).

use std::collections::HashMap;

use futures::TryStreamExt as _;

use super::{PROVIDER, Work};
use crate::fields;
use crate::orgs::OrgLists;
use crate::rostering::org;
use crate::rostering::person::Person;
use crate::store::{DocPath, Document, FieldPath, Precondition, Query, StoreError, Timestamp, Value, Write};

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
    /// Of the record that was written last; a number, for there may be a hundred thousand of them.
    pub fingerprint: Option<u128>,
    /// Unenrolled before.
    pub is_gone: bool,
    /// Clever has them.
    pub is_seen: bool,
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
            fingerprint: org::fingerprint(&document.fields).and_then(number),
            is_gone: document.fields.get("gone").and_then(Value::as_bool).unwrap_or(false),
            is_seen: false,
        };
        Some((id, entry))
    }

    pub fn path(&self, id: &str) -> Result<DocPath, StoreError> {
        match &self.elsewhere {
            Some(elsewhere) => DocPath::in_collection(ENTRIES, elsewhere),
            None => entry_path(id),
        }
    }
}

/// Who is noted, by their ID at Clever.
pub(super) type Entries = HashMap<Box<str>, Entry>;

/// The number that a fingerprint is, in hexadecimal.
pub(super) fn number(fingerprint: &str) -> Option<u128> {
    u128::from_str_radix(fingerprint, 16).ok()
}

impl Work<'_> {
    /// Who is noted to be in the district's roster: one read each.
    pub(super) async fn entries(&self) -> Result<Entries, StoreError> {
        let query = Query::collection(ENTRIES)
            .equal("providerType", PROVIDER)
            .equal("district", self.id.as_str())
            .select(&["providerId", "roarUid", "gone", org::ROSTER]);
        let mut entries = HashMap::new();
        // One by one: of a large district, all documents at once would take much memory.
        let mut documents = self.database.stream(query);
        while let Some(document) = documents.try_next().await? {
            entries.extend(Entry::read(&document));
        }
        Ok(entries)
    }

    /// Looks again who is noted, of those with these IDs.
    pub(super) async fn refresh(&self, entries: &mut Entries, ids: &[&str]) -> Result<(), StoreError> {
        let path = |id: &&str| entries.get(*id).map_or_else(|| entry_path(id), |entry| entry.path(id));
        let paths: Vec<DocPath> = ids.iter().map(path).collect::<Result<_, _>>()?;
        for document in self.database.get_all(&paths).await?.iter().flatten() {
            if let Some((id, fresh)) = Entry::read(document) {
                let is_seen = entries.get(&id).is_some_and(|entry| entry.is_seen);
                entries.insert(id, Entry { is_seen, ..fresh });
            }
        }
        Ok(())
    }
}

/// Somebody whose record differs from what was written last.
pub(super) struct Changed {
    pub id: String,
    pub person: Person,
    /// The orgs that they have rights over.
    pub rights: OrgLists,
    pub fingerprint: String,
}

impl Changed {
    /// The note that they are in the roster. Whom it belongs to, once they have signed in, stays.
    pub fn note(
        &self,
        district: &str,
        roar_uid: &str,
        known: Option<&Entry>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let mut fields = fields! {
            "providerType" => PROVIDER, "providerId" => self.id.as_str(), "roarUid" => roar_uid,
            "district" => district, "role" => self.person.user_type, "gone" => false, "lastSync" => now,
            "adminOrgs" => self.rights.to_value(),
            org::ROSTER => fields! { "provider" => PROVIDER, "fingerprint" => self.fingerprint.as_str() },
        };
        if let Some(email) = &self.person.email {
            fields.insert("email".to_owned(), Value::from(email.as_str()));
        }
        let Some(known) = known else {
            fields.insert("activated".to_owned(), Value::Boolean(false));
            return Ok(Write::create(entry_path(&self.id)?, fields));
        };
        let mut mask: Vec<FieldPath> = fields.keys().map(FieldPath::top).collect();
        if self.person.email.is_none() {
            mask.push(FieldPath::top("email"));
        }
        Ok(Write::merge(known.path(&self.id)?, fields, mask).when(Precondition::Exists))
    }
}

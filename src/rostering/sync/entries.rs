//! The entries of a district's people: who is known to be in its roster, one document of `identityProviderIds` for each
//! (docs/domain/rosters.md#identity-entries).

use std::collections::HashMap;

use futures::TryStreamExt as _;

use super::entry::Entry;
use super::{SyncError, Work};
use crate::documents::org_lists::OrgType;
use crate::documents::roster_entry::{
    LOOKED_AT, LOOKED_AT_FIRST, entry_path, field, is_elsewhere, living_of_type, of_district, of_provider, text,
};
use crate::documents::user;
use crate::documents::user::orgs::CURRENT;
use crate::documents::user::same::{fold_address, has_right_key, key_write};
use crate::fields;
use crate::store::{DocPath, FieldOp, Precondition, Query, StoreError, Value, Write};

/// People whose entries are read at once.
const NOTES: usize = 300;

/// Entries by the person's ID at the provider.
pub(super) type Entries = HashMap<Box<str>, Entry>;

impl Work<'_> {
    /// The entries of the district's people, also of those who have left.
    fn notes(&self) -> Query {
        of_district(self.provider, &self.id)
    }

    /// How many entries of living people of that type there are: a read for a thousand.
    pub(super) async fn count_noted(&self, user_type: &str) -> Result<u64, StoreError> {
        self.database.count(living_of_type(self.provider, &self.id, user_type)).await
    }

    /// Loads the entries of the district's people: one read each.
    pub(super) async fn entries(&mut self) -> Result<Entries, SyncError> {
        let mut entries = HashMap::new();
        if !self.monitor.knows_notes {
            self.noted_by_others(&mut entries).await?;
        }
        // One by one: of a large district, all documents at once would take much memory.
        let mut documents = self.database.stream(self.notes().select(LOOKED_AT_FIRST));
        while let Some(document) = documents.try_next().await? {
            entries.extend(Entry::read(self.provider, &document));
        }
        let given = entries.iter().filter(|(_, entry)| entry.given.is_some());
        let given: Vec<DocPath> = given.map(|(id, entry)| entry.path(self.provider, id)).collect::<Result<_, _>>()?;
        for batch in given.chunks(NOTES) {
            entries.extend(
                self.database
                    .get_all(batch)
                    .await?
                    .iter()
                    .flatten()
                    .filter_map(|entry| Entry::read(self.provider, entry)),
            );
        }
        Ok(entries)
    }

    /// Older functions' entries don't say whose roster somebody is in, nor do their users how an address is compared.
    /// Once, both are found out for everybody in the district: a read for each, a read and a write for each entry, and a
    /// write for each address that is spelt otherwise than it is compared.
    async fn noted_by_others(&mut self, entries: &mut Entries) -> Result<(), SyncError> {
        let mut are_known = true;
        let current = format!("{}.{CURRENT}", OrgType::District.plural());
        let here = Query::collection(user::COLLECTION).filter(&current, FieldOp::ArrayContains, self.id.as_str());
        let here = here.select(&[user::field::EMAIL, user::field::EMAIL_KEY]);
        let mut users = self.database.stream(here).try_chunks(NOTES);
        while let Some(batch) = users.try_next().await.map_err(|error| error.1)? {
            let mut writes = Vec::new();
            let ids: Vec<String> = batch.iter().map(|user| user.id().to_owned()).collect();
            let noted = of_provider(self.provider).select(&LOOKED_AT);
            let noted = noted.each_of(field::ROAR_UID, &ids).map(|(query, _)| query).collect::<Vec<_>>();
            for note in self.database.query_each(noted).await? {
                let is_anywhere = text(&note.fields, field::DISTRICT).is_some_and(|id| !id.is_empty());
                if let Some((id, entry)) = Entry::read(self.provider, &note).filter(|_| !is_anywhere) {
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

    /// Loads the entries of these people, who are in the roster, once more.
    pub(super) async fn refresh(&mut self, entries: &mut Entries, ids: &[&str]) -> Result<(), StoreError> {
        let usual = |id: &str| entry_path(self.provider, id);
        let path = |id: &&str| entries.get(*id).map_or_else(|| usual(id), |entry| entry.path(self.provider, id));
        let paths: Vec<DocPath> = ids.iter().map(path).collect::<Result<_, _>>()?;
        for (asked, found) in ids.iter().zip(self.database.get_all(&paths).await?) {
            let is_elsewhere = found.as_ref().is_some_and(|note| is_elsewhere(&note.fields, &self.id));
            match found.as_ref().and_then(|entry| Entry::read(self.provider, entry)) {
                // Another district's roster has them.
                Some((id, _)) if &*id == *asked && is_elsewhere => drop(entries.remove(*asked)),
                Some((id, fresh)) if &*id == *asked => {
                    entries.insert(id, Entry { is_seen: true, ..fresh });
                }
                // Somebody else's by now: they have got another ID at the provider.
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
}

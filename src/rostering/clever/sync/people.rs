//! A district's people: who they are, and which orgs they are in.

use std::collections::HashMap;

use super::super::records::{Record, Unread, Unreadable, User};
use super::super::{District, map};
use super::entries::{Changed, Entries, Entry, Rights, bytes};
use super::known::Known;
use super::{CONFLICTS, PROVIDER, SyncError, Work, fields_of};
use crate::documents::doubles::Found;
use crate::documents::org_lists::OrgSet;
use crate::documents::roster_entry::{admin_orgs, entry_path, said};
use crate::documents::user::{field, user_path};
use crate::orgs::OrgLists;
use crate::rostering::person::{self, Before, Person};
use crate::rostering::report::{Difference, Keeps, Kind, Phase, Problem};
use crate::store::{DocPath, Document, FieldPath, Precondition, StoreError, Value, Write};
use crate::users::imported::{IMPORTED, Imported, imported_fields};

/// People written in one commit: two documents each, far below any limit.
const BATCH: usize = 100;

/// The rights that somebody has had so far.
struct Kept {
    all: OrgLists,
    /// Those over orgs that aren't told of.
    untold: OrgLists,
}

/// Somebody who is written.
struct Made<'a> {
    changed: &'a Changed,
    roar_uid: String,
    is_new: bool,
    /// What changes.
    fields: Vec<String>,
    note: DocPath,
    is_unsure: bool,
    /// Of the note's write.
    place: usize,
}

/// The write that gives a user the digests of who was imported, and nothing more.
fn mark_imported(user: &Document, person: &Person) -> Option<Write> {
    let imported = person.imported(&Imported::read(&user.fields));
    let fields = imported_fields(&imported, &user.fields);
    let write = Write::merge(user.path.clone(), fields.clone(), vec![FieldPath::top(IMPORTED)]);
    (!fields.is_empty()).then(|| write.when(Precondition::UpdatedAt(user.update_time)))
}

impl Work<'_> {
    /// Users and enrolments: reads who is noted, then goes through Clever's users page by page.
    pub(super) async fn people(&mut self, client: &District, known: &Known) -> Result<(), SyncError> {
        self.phase(Phase::SyncingUsers);
        let mut entries = self.entries().await?;
        let expected = entries.values().filter(|entry| !entry.is_gone).count() as u64;
        if expected > 0 {
            self.expect(Kind::Users, expected);
        }
        let mut seen = 0;
        let mut pages = client.users(None).counted();
        while let Some(page) = pages.next().await? {
            self.came(Kind::Users, &page);
            seen += page.records.len() as u64;
            let (mut changed, mut roleless) = (Vec::new(), Vec::new());
            for user in page.records.noting() {
                match user {
                    Ok((user, unread)) => {
                        self.passed_over(Kind::Users, user.id(), &unread);
                        match user.roles.is_known() {
                            true => changed.extend(self.compare(&user, &unread, &mut entries, known)),
                            false => roleless.push(user.id),
                        }
                    }
                    Err(unreadable) => self.pass_over_somebody(unreadable, &mut entries),
                }
                if changed.len() == BATCH {
                    self.write_people(&changed, &mut entries, known).await?;
                    changed.clear();
                }
            }
            self.write_people(&changed, &mut entries, known).await?;
            self.pass_over_roleless(&roleless, &mut entries).await?;
        }
        self.phase(Phase::Succeeded);
        self.unenrol(&mut entries, expected, seen, known).await
    }

    fn pass_over_somebody(&mut self, record: Unreadable, entries: &mut Entries) {
        let why = format!("{} can't be read", record.what);
        match record.id.as_deref() {
            Some(id) => drop(entries.get_mut(id).map(|entry| entry.is_seen = true)),
            // It may be anybody, so nobody is missing for sure.
            None => drop(self.report.keeps_missing.get_or_insert(Keeps::Unreadable)),
        }
        self.report.note(Problem::skipped(Kind::Users, record.id, why));
    }

    /// Who has no role that we know is there, and stays where they are; but rights come with roles, and go with them.
    async fn pass_over_roleless(&mut self, ids: &[String], entries: &mut Entries) -> Result<(), SyncError> {
        let mut noted = Vec::new();
        for id in ids {
            self.report.note(Problem::skipped(Kind::Users, Some(id.clone()), "they have no role".to_owned()));
            let Some(entry) = entries.get_mut(id.as_str()) else { continue };
            entry.is_seen = true;
            noted.push(entry.path(id)?);
        }
        let mut writes = Vec::new();
        for note in self.database.get_all(&noted).await?.iter().flatten() {
            let has_rights = !admin_orgs(&note.fields).is_empty();
            if let Some((id, entry)) = Entry::read(note).filter(|_| has_rights) {
                writes.push(entry.without_rights(&id)?);
            }
        }
        for batch in writes.chunks(BATCH) {
            // Where one of them is being changed, the next sync finds them all again.
            match self.commit(batch.to_vec()).await {
                Ok(_) | Err(SyncError::Store(StoreError::Conflict(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What is to be written of somebody, if anything.
    fn compare(&mut self, user: &User, unread: &[Unread], entries: &mut Entries, known: &Known) -> Option<Changed> {
        // Whoever is listed is there, whatever is said of them.
        if let Some(entry) = entries.get_mut(user.id()) {
            entry.is_seen = true;
        }
        let (mut person, rights) = self.person(user, known)?;
        person.unread = map::unread_of_person(unread);
        *self.by_type.entry(person.user_type).or_default() += 1;
        let fingerprint = person.fingerprint(&rights);
        let held = entries.get(user.id()).filter(|entry| !entry.is_gone).and_then(|entry| entry.fingerprint);
        if held.is_some() && held == bytes(&fingerprint) {
            self.report.of(Kind::Users).unchanged += 1;
            return None;
        }
        let former_fingerprint = person.former_fingerprint(&rights);
        Some(Changed { id: user.id().to_owned(), person, rights, fingerprint, former_fingerprint })
    }

    /// The person that a record means, in the orgs that ROAR knows, and the orgs that they have rights over.
    fn person(&self, user: &User, known: &Known) -> Option<(Person, OrgLists)> {
        let sections = known.enrolments.sections_of(user.id());
        let mut person = map::person(user, &self.id, &sections)?;
        person.orgs = person.orgs.intersection(&known.living);
        let taught = known.enrolments.taught_by(user.id());
        let rights = map::admin_orgs(user, &self.id, &taught).intersection(&known.living);
        Some((person, rights))
    }

    /// Writes some people and notes what was written, all in one commit. Reads the documents of those who are
    /// known; plans anew when one of them changes meanwhile. Where the store can't take it, finds out whom.
    async fn write_people(&mut self, batch: &[Changed], entries: &mut Entries, known: &Known) -> Result<(), SyncError> {
        if batch.is_empty() {
            self.tell();
            return Ok(());
        }
        for attempt in 1_usize.. {
            match self.try_to_write(batch, entries, known).await {
                Err(SyncError::Store(StoreError::Conflict(_))) if attempt < CONFLICTS => {
                    // Somebody else may have noted one of them, in a sync that was cut short.
                    let ids: Vec<&str> = batch.iter().map(|changed| changed.id.as_str()).collect();
                    self.refresh(entries, &ids).await?;
                }
                // It can't be stored, or it's changed all the time: of many, one is to blame.
                Err(SyncError::Store(error @ (StoreError::InvalidArgument(_) | StoreError::Conflict(_)))) => {
                    let [only] = batch else {
                        let (one, other) = batch.split_at(batch.len() / 2);
                        Box::pin(self.write_people(one, entries, known)).await?;
                        return Box::pin(self.write_people(other, entries, known)).await;
                    };
                    let why = match error {
                        StoreError::Conflict(_) => "their documents contradict each other",
                        _ => "they can't be stored",
                    };
                    self.report.note(Problem::failed(Kind::Users, Some(only.id.clone()), why, attempt as u32));
                    break;
                }
                outcome => {
                    outcome?;
                    break;
                }
            }
        }
        self.tell();
        Ok(())
    }

    async fn try_to_write(&mut self, batch: &[Changed], entries: &mut Entries, known: &Known) -> Result<(), SyncError> {
        let now = self.app.now();
        let linked = self.link(batch, entries, known.was_known).await?;
        let paths: Vec<Option<DocPath>> = batch
            .iter()
            .map(|changed| {
                let roar_uid = entries.get(changed.id.as_str()).map(|entry| &*entry.roar_uid);
                let roar_uid = roar_uid.or_else(|| linked.users.get(&changed.id).map(String::as_str));
                roar_uid.map(user_path).transpose()
            })
            .collect::<Result<_, _>>()?;
        let kept = self.rights_kept(batch, entries, known).await?;
        let wanted: Vec<DocPath> = paths.iter().flatten().cloned().collect();
        let mut found = self.database.get_all(&wanted).await?.into_iter();
        let mut writes = Vec::new();
        let mut made = Vec::new();
        let mut marked = Vec::new();
        let mut settled = 0;
        let mut doubles = 0;
        for (changed, path) in batch.iter().zip(&paths) {
            let document = path.as_ref().and_then(|_| found.next().flatten());
            if linked.elsewhere.contains(&changed.id) {
                continue;
            }
            let entry = entries.get(changed.id.as_str());
            if let Some(entry) = entry.filter(|entry| changed.is_unmarked(entry)) {
                writes.extend(document.as_ref().and_then(|user| mark_imported(user, &changed.person)));
                writes.push(changed.mark(entry)?);
                marked.push((changed, writes.len() - 1));
                continue;
            }
            let (roar_uid, write) = match &document {
                Some(document) => {
                    let before = Before {
                        owned: &known.owned,
                        said: entry.map(|entry| entry.said).unwrap_or_default(),
                        email: entry.and_then(|entry| entry.email.as_deref()),
                        was_admin: entry.is_some_and(|entry| entry.was_admin),
                        is_back: entry.is_none_or(|entry| entry.is_gone || !entry.is_rostered),
                    };
                    let change = person::change(&document.fields, &changed.person, &before, now);
                    let mut change = change.unwrap_or_default();
                    if document.fields.get(field::SSO_TYPE).is_none_or(Value::is_null) {
                        change.0.insert(field::SSO_TYPE.to_owned(), Value::from(PROVIDER));
                        change.1.push(FieldPath::top(field::SSO_TYPE));
                    }
                    let (fields, mask) = change;
                    let write = (!mask.is_empty()).then(|| {
                        let write = Write::merge(document.path.clone(), fields, mask);
                        write.when(Precondition::UpdatedAt(document.update_time))
                    });
                    (document.id().to_owned(), write)
                }
                None => {
                    // Somebody who was deleted keeps their ID.
                    let id = entry.map(|entry| entry.roar_uid.to_string());
                    let id = id.unwrap_or_else(|| self.app.context.document_id());
                    let pid = known.pid_of(&changed.person);
                    let user = person::new_user(&changed.person, PROVIDER, pid, now);
                    let write = Write::create(user_path(&id)?, user);
                    let known = linked.doubles.get(&changed.id).map(Vec::as_slice).unwrap_or_default();
                    for (user, agrees) in known {
                        let found = Found {
                            district: &self.id,
                            provider: PROVIDER,
                            provider_id: &changed.id,
                            rostered: &id,
                            known: user,
                            agrees,
                            is_one_of_several: known.len() > 1,
                        };
                        writes.push(found.write(now)?);
                    }
                    doubles += known.len() as u64;
                    (id, Some(write))
                }
            };
            let is_new = entry.is_none();
            let kept = kept.get(changed.id.as_str());
            let rights = changed.rights.iter().chain(kept.iter().flat_map(|kept| kept.untold.iter()));
            let orgs: OrgLists = rights.collect();
            // Not all about them is told: the next sync looks again.
            let stays =
                document.as_ref().is_some_and(|user| person::stays_in(&user.fields, &changed.person, &known.kept));
            let is_unsure = stays || kept.is_some_and(|kept| !kept.untold.is_empty());
            let is_settled = kept.is_some_and(|kept| kept.all.same_orgs(&orgs));
            if is_unsure && write.is_none() && is_settled && entry.is_some_and(|entry| !entry.is_gone) {
                settled += 1;
                continue;
            }
            let fields = write.as_ref().map(fields_of).unwrap_or_default();
            writes.extend(write);
            let note = match entry {
                Some(entry) => entry.path(&changed.id)?,
                None => self.new_note(&changed.id)?,
            };
            let rights = Rights { orgs, is_unsure };
            writes.push(changed.note(note.clone(), &self.id, &roar_uid, &rights, entry, now)?);
            let place = writes.len() - 1;
            made.push(Made { changed, roar_uid, is_new, fields, note, is_unsure, place });
        }
        let committed = self.commit(writes).await?;
        self.report.of(Kind::Users).unchanged += settled + marked.len() as u64;
        self.report.doubles += doubles;
        for (changed, place) in marked {
            let written = committed.as_ref().and_then(|committed| committed.results.get(place)?.update_time);
            if let Some(entry) = entries.get_mut(changed.id.as_str()) {
                entry.fingerprint = bytes(&changed.fingerprint);
                entry.update_time = written.unwrap_or(entry.update_time);
            }
        }
        for Made { changed, roar_uid, is_new, fields, note, is_unsure, place } in made {
            let is_usual = entry_path(PROVIDER, &changed.id).is_ok_and(|usual| usual == note);
            let elsewhere = (!is_usual).then(|| note.id().into());
            let fingerprint = bytes(&changed.fingerprint).filter(|_| !is_unsure);
            let written = committed.as_ref().and_then(|committed| committed.results.get(place)?.update_time);
            let roar_uid = roar_uid.into();
            let before = entries.get(changed.id.as_str());
            let said = before.map(|entry| entry.said).unwrap_or_default().after(&changed.person);
            let unread = changed.person.unread.contains(&said::EMAIL);
            let email = changed.person.email.as_deref().map(Box::from);
            let email = email.or_else(|| before.filter(|_| unread)?.email.clone());
            let entry = Entry {
                elsewhere,
                roar_uid,
                fingerprint,
                said,
                email,
                was_admin: changed.person.user_type == "admin",
                given: None,
                is_gone: false,
                is_rostered: true,
                is_seen: true,
                update_time: written.unwrap_or(now),
            };
            entries.insert(changed.id.as_str().into(), entry);
            let counts = self.report.of(Kind::Users);
            let action = if is_new { "created" } else { "updated" };
            match is_new {
                true => counts.created += 1,
                false => counts.updated += 1,
            }
            if self.options.dry_run {
                self.report.differ(Difference { kind: Kind::Users, id: changed.id.clone(), action, fields });
            }
        }
        Ok(())
    }

    /// The rights of those who are known, by their ID at Clever, where nobody leaves some of the orgs.
    async fn rights_kept(
        &self,
        batch: &[Changed],
        entries: &Entries,
        known: &Known,
    ) -> Result<HashMap<String, Kept>, StoreError> {
        if known.kept == OrgSet::default() {
            return Ok(HashMap::new());
        }
        let noted = batch.iter().filter_map(|changed| Some((&changed.id, entries.get(changed.id.as_str())?)));
        let noted: Vec<(&String, DocPath)> =
            noted.map(|(id, entry)| Ok((id, entry.path(id)?))).collect::<Result<_, StoreError>>()?;
        let paths: Vec<DocPath> = noted.iter().map(|(_, path)| path.clone()).collect();
        let found = self.database.get_all(&paths).await?;
        let kept = noted.iter().zip(found).filter_map(|((id, _), note)| {
            let all = admin_orgs(&note?.fields);
            Some(((*id).clone(), Kept { untold: all.intersection(&known.untold), all }))
        });
        Ok(kept.collect())
    }
}

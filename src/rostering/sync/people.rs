//! A district's people: who they are, and which orgs they are in.

use std::collections::HashMap;

use futures::TryStreamExt as _;

use super::entries::Entries;
use super::entry::{Changed, Entry, Roster, bytes};
use super::execute::fields_of;
use super::known::Known;
use super::person_plan::{Kept, PersonPlan, PersonWrites, Subject};
use super::{CONFLICTS, SyncError, Work};
use crate::documents::org_lists::OrgSet;
use crate::documents::roster_entry::admin_orgs;
use crate::documents::user::user_path;
use crate::orgs::OrgLists;
use crate::rostering::model::{Member, Person, Unreadable};
use crate::rostering::report::{Difference, Incomplete, Kind, Phase, Problem};
use crate::rostering::source::{Noted, Source};
use crate::store::{DocPath, StoreError};

/// People written in one commit: two documents each, far below any limit.
const BATCH: usize = 100;

/// Somebody who is written.
struct Made<'a> {
    changed: &'a Changed,
    roar_uid: String,
    is_new: bool,
    /// The fields that change.
    fields: Vec<String>,
    /// Where the entry is.
    entry: DocPath,
    is_unsure: bool,
    /// The place of the entry's write in the commit.
    place: usize,
}

/// The person that a record means, in the orgs that ROAR knows, and the orgs that they have rights over.
fn placed(member: &Member, known: &Known) -> Option<(Person, OrgLists)> {
    let mut person = member.in_classes(&known.enrolments.sections_of(&member.id))?;
    person.orgs = person.orgs.intersection(&known.living);
    let rights = member.rights_with(&known.enrolments.taught_by(&member.id)).intersection(&known.living);
    Some((person, rights))
}

impl Work<'_> {
    /// Users and enrolments: loads the entries, then goes through the roster's people page by page.
    pub(super) async fn people(&mut self, source: &dyn Source, known: &Known) -> Result<(), SyncError> {
        self.phase(Phase::SyncingUsers);
        let mut entries = self.entries().await?;
        let expected = entries.values().filter(|entry| !entry.is_gone).count() as u64;
        if expected > 0 {
            self.expect(Kind::Users, expected);
        }
        let mut seen = 0;
        let mut pages = source.people();
        while let Some(page) = pages.try_next().await? {
            self.came(Kind::Users, &page);
            seen += page.number as u64;
            let (mut changed, mut roleless) = (Vec::new(), Vec::new());
            for member in page.records {
                match member {
                    Ok(Noted { record: member, unread }) => {
                        self.passed_over(Kind::Users, &member.id, &unread);
                        match member.person.is_some() {
                            true => changed.extend(self.compare(&member, &mut entries, known)),
                            false => roleless.push(member.id),
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
            None => drop(self.report.incomplete.get_or_insert(Incomplete::Unreadable)),
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
            noted.push(entry.path(self.provider, id)?);
        }
        let mut writes = Vec::new();
        for note in self.database.get_all(&noted).await?.iter().flatten() {
            let has_rights = !admin_orgs(&note.fields).is_empty();
            if let Some((id, entry)) = Entry::read(self.provider, note).filter(|_| has_rights) {
                writes.push(entry.without_rights(self.provider, &id)?);
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
    fn compare(&mut self, member: &Member, entries: &mut Entries, known: &Known) -> Option<Changed> {
        // Whoever is listed is there, whatever is said of them.
        if let Some(entry) = entries.get_mut(member.id.as_str()) {
            entry.is_seen = true;
        }
        let (person, rights) = placed(member, known)?;
        *self.by_type.entry(person.user_type).or_default() += 1;
        let fingerprint = person.fingerprint(&rights);
        let held = entries.get(member.id.as_str()).filter(|entry| !entry.is_gone).and_then(|entry| entry.fingerprint);
        if held.is_some() && held == bytes(&fingerprint) {
            self.report.of(Kind::Users).unchanged += 1;
            return None;
        }
        let former_fingerprint = person.former_fingerprint(&rights);
        Some(Changed { id: member.id.clone(), person, rights, fingerprint, former_fingerprint })
    }

    /// Writes some people and their entries, all in one commit. Reads the documents of those who are known; plans anew
    /// when one of them changes meanwhile. Where the store refuses the batch for good, bisects it to find the failing
    /// person, who is reported; the others are written.
    async fn write_people(&mut self, batch: &[Changed], entries: &mut Entries, known: &Known) -> Result<(), SyncError> {
        if batch.is_empty() {
            self.tell();
            return Ok(());
        }
        for attempt in 1_usize.. {
            match self.try_to_write(batch, entries, known).await {
                Err(SyncError::Store(StoreError::Conflict(_))) if attempt < CONFLICTS => {
                    // Another sync, which was cut short, may have written the entry of one of them.
                    let ids: Vec<&str> = batch.iter().map(|changed| changed.id.as_str()).collect();
                    self.refresh(entries, &ids).await?;
                }
                // The store refuses the batch, or retries are exhausted: bisect to find the failing person.
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
        let of = Roster { provider: self.provider, district: &self.id };
        let (mut writes, mut made, mut marked) = (Vec::new(), Vec::new(), Vec::new());
        let (mut settled, mut doubles) = (0, 0);
        for (changed, path) in batch.iter().zip(&paths) {
            let user = path.as_ref().and_then(|_| found.next().flatten());
            if linked.elsewhere.contains(&changed.id) {
                continue;
            }
            let entry = entries.get(changed.id.as_str());
            let subject = Subject {
                of,
                changed,
                entry,
                user: user.as_ref(),
                doubles: linked.doubles.get(&changed.id).map(Vec::as_slice).unwrap_or_default(),
                kept: kept.get(changed.id.as_str()),
                known,
                new_id: &|| self.app.context.document_id(),
                is_occupied: self.occupied.contains(&changed.id),
            };
            match subject.plan(now)? {
                PersonPlan::Settled => settled += 1,
                PersonPlan::Mark(user, entry) => {
                    writes.extend(user.into_iter().chain([entry]));
                    marked.push((changed, writes.len() - 1));
                }
                PersonPlan::Write(PersonWrites { user, pairs, entry: write, roar_uid, is_unsure }) => {
                    let fields = user.as_ref().map(fields_of).unwrap_or_default();
                    let path = write.path.clone();
                    doubles += pairs.len() as u64;
                    writes.extend(pairs.into_iter().chain(user).chain([write]));
                    let (is_new, place) = (entry.is_none(), writes.len() - 1);
                    made.push(Made { changed, roar_uid, is_new, fields, entry: path, is_unsure, place });
                }
            }
        }
        let committed = self.commit(writes).await?;
        let written = |place: usize| committed.as_ref().and_then(|committed| committed.results.get(place)?.update_time);
        self.report.of(Kind::Users).unchanged += settled + marked.len() as u64;
        self.report.doubles += doubles;
        for (changed, place) in marked {
            if let Some(entry) = entries.get_mut(changed.id.as_str()) {
                entry.fingerprint = bytes(&changed.fingerprint);
                entry.update_time = written(place).unwrap_or(entry.update_time);
            }
        }
        for Made { changed, roar_uid, is_new, fields, entry: path, is_unsure, place } in made {
            let of = Roster { provider: self.provider, district: &self.id };
            let after = changed.after(of, entries.get(changed.id.as_str()), &roar_uid, &path, is_unsure);
            let update_time = written(place).unwrap_or(now);
            entries.insert(changed.id.as_str().into(), Entry { update_time, ..after });
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

    /// The rights of those who are known, by their ID at the provider, where nobody leaves some of the orgs.
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
            noted.map(|(id, entry)| Ok((id, entry.path(self.provider, id)?))).collect::<Result<_, StoreError>>()?;
        let paths: Vec<DocPath> = noted.iter().map(|(_, path)| path.clone()).collect();
        let found = self.database.get_all(&paths).await?;
        let kept = noted.iter().zip(found).filter_map(|((id, _), note)| {
            let all = admin_orgs(&note?.fields);
            Some(((*id).clone(), Kept { untold: all.intersection(&known.untold), all }))
        });
        Ok(kept.collect())
    }
}

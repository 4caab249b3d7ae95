//! Brings a district's orgs and people in line with Clever.
//!
//! Every record is held against the fingerprint of what was written last, and only what differs is written: who is
//! in a roster is known from `identityProviderIds`, one document a person, whose ID is made of Clever's, so that a
//! repetition finds what was written before. A sync that was cut short anywhere is made good by the next one.
//!
//! Nobody is unenrolled, and nothing archived, unless everything was fetched; nor when more people are missing than
//! usual, unless the caller has said so.

use std::collections::{BTreeMap, HashMap, HashSet};

use thiserror::Error;

use super::map::{self, Enrolments};
use super::records::{DistrictState, Record, School, Section, User};
use super::{CleverError, District};
use crate::app::App;
use crate::fields;
use crate::orgs::lists::OrgSet;
use crate::orgs::{OrgKey, OrgLists, OrgType};
use crate::rostering::org::{self, RosterOrg};
use crate::rostering::person::{self, Person};
use crate::store::{Database, DocPath, Document, FieldPath, Precondition, Query, StoreError, Timestamp, Value, Write};

/// The provider's name in documents.
const PROVIDER: &str = "clever";
/// Where it's noted who is in a roster (data-model §2.5).
const ENTRIES: &str = "identityProviderIds";
/// People written in one commit: two documents each, far below any limit.
const BATCH: usize = 100;
/// Orgs written in one commit.
const ORG_BATCH: usize = 200;
/// How often a batch is planned anew when somebody changes the same documents.
const ATTEMPTS: usize = 8;
/// The largest share of a roster's people that may be missing before somebody has to look.
const MISSING_SHARE: f64 = 0.2;

/// How a sync is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Orgs only.
    pub shallow: bool,
    /// Nothing is written.
    pub dry_run: bool,
    /// However many people are missing, they are unenrolled.
    pub confirm_unenroll: bool,
}

/// What was done to one kind of thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Made.
    pub created: u64,
    /// Changed.
    pub updated: u64,
    /// Right already.
    pub unchanged: u64,
    /// No longer there: archived or unenrolled.
    pub removed: u64,
    /// Not readable, or of no use: left alone.
    pub skipped: u64,
}

/// What a sync came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// By kind: `districts`, `schools`, `classes`, `users`.
    pub counts: BTreeMap<&'static str, Counts>,
    /// How many people are missing from the roster who weren't unenrolled, because they are too many.
    pub held_back: Option<u64>,
    /// What is missing isn't taken for gone: the district's data are paused or broken.
    pub keeps_missing: bool,
}

/// Why a sync ended early. What it had written stays; nobody was unenrolled.
#[derive(Debug, Error)]
pub enum SyncError {
    /// Clever failed.
    #[error(transparent)]
    Clever(#[from] CleverError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Syncs one district. `progress` hears of every page and batch.
pub async fn sync_district(
    app: &App,
    district: &District,
    options: Options,
    progress: &(dyn Fn(&Report) + Sync),
) -> Result<Report, SyncError> {
    let mut sync = Work {
        database: &app.stores.admin,
        app,
        id: district.id().to_owned(),
        options,
        report: Report::default(),
        progress,
    };
    let enrolments = sync.orgs(district).await?;
    if !options.shallow {
        sync.people(district, &enrolments).await?;
    }
    Ok(sync.report)
}

/// What is known of the orgs once they are synced.
struct Known {
    enrolments: Enrolments,
    /// All orgs of the district that Clever has.
    living: OrgSet,
    /// All orgs that are the roster's to take people out of.
    owned: OrgSet,
}

/// Somebody who is in the roster, as it's noted.
struct Entry {
    roar_uid: String,
    fingerprint: Option<String>,
    /// Unenrolled before.
    is_gone: bool,
}

struct Work<'a> {
    database: &'a Database,
    app: &'a App,
    /// The district's ID, Clever's and ROAR's.
    id: String,
    options: Options,
    report: Report,
    progress: &'a (dyn Fn(&Report) + Sync),
}

impl Work<'_> {
    fn count(&mut self, kind: &'static str) -> &mut Counts {
        self.report.counts.entry(kind).or_default()
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        if !self.options.dry_run && !writes.is_empty() {
            self.database.commit(writes).await?;
        }
        (self.progress)(&self.report);
        Ok(())
    }

    /// Districts, schools and classes: reads all of them, on both sides, then writes what differs.
    async fn orgs(&mut self, client: &District) -> Result<Known, SyncError> {
        let info = client.district().await?;
        let now = self.app.now();
        let is_running = matches!(info.state, None | Some(DistrictState::Running | DistrictState::Success));
        self.report.keeps_missing = !is_running || map::is_paused(&info, now);
        let mut wanted = vec![map::district(&info)];
        let mut unreadable = HashSet::new();
        let mut pages = client.schools();
        while let Some(page) = pages.next().await? {
            self.count("schools").skipped += page.unreadable.len() as u64;
            unreadable.extend(page.unreadable.into_iter().filter_map(|record| record.id));
            wanted.extend(page.records.iter().map(|school: &School| map::school(school, &self.id)));
        }
        let mut enrolments = Enrolments::default();
        let mut pages = client.sections();
        while let Some(page) = pages.next().await? {
            self.count("classes").skipped += page.unreadable.len() as u64;
            unreadable.extend(page.unreadable.into_iter().filter_map(|record| record.id));
            for section in &page.records {
                let section: &Section = section;
                enrolments.add(section);
                match map::section(section, &self.id) {
                    Some(class) => wanted.push(class),
                    None => self.count("classes").skipped += 1,
                }
            }
        }
        let stored = self.stored_orgs().await?;
        let fetched: HashSet<&OrgKey> = wanted.iter().map(|org| &org.key).collect();
        let is_missing = |key: &OrgKey, document: &Document| {
            !fetched.contains(key) && !unreadable.contains(&key.id) && document.fields.contains_key(org::ROSTER)
        };
        let missing: Vec<OrgKey> = match self.report.keeps_missing {
            true => Vec::new(),
            false => stored.iter().filter(|(key, org)| is_missing(key, org)).map(|(key, _)| key.clone()).collect(),
        };
        let living = OrgLists::from_iter(wanted.iter().map(|org| (org.key.org_type, org.key.id.as_str()))).to_set();
        let owned = stored.keys().map(|key| (key.org_type, key.id.as_str()));
        let owned = OrgLists::from_iter(owned.chain(wanted.iter().map(|org| (org.key.org_type, org.key.id.as_str()))));
        let writes = self.org_writes(&wanted, &stored, &missing, now)?;
        for chunk in writes.chunks(ORG_BATCH) {
            self.commit(chunk.to_vec()).await?;
        }
        Ok(Known { enrolments, living, owned: owned.to_set() })
    }

    /// The district's orgs as ROAR has them: one read each.
    async fn stored_orgs(&self) -> Result<HashMap<OrgKey, Document>, StoreError> {
        let mut stored = HashMap::new();
        if let Some(district) = self.database.get(&path_of(OrgType::District, &self.id)?).await? {
            stored.insert(OrgKey::new(OrgType::District, &self.id), district);
        }
        for org_type in [OrgType::School, OrgType::Class] {
            let query = Query::collection(org_type.plural()).equal("districtId", self.id.as_str());
            for document in self.database.query(query).await? {
                stored.insert(OrgKey::new(org_type, document.id()), document);
            }
        }
        Ok(stored)
    }

    /// Every document is written once, with its lists of children.
    fn org_writes(
        &mut self,
        wanted: &[RosterOrg],
        stored: &HashMap<OrgKey, Document>,
        missing: &[OrgKey],
        now: Timestamp,
    ) -> Result<Vec<Write>, StoreError> {
        let mut children: HashMap<&OrgKey, Vec<&str>> = HashMap::new();
        for org in wanted {
            if let Some(parent) = org.parents.first() {
                children.entry(parent).or_default().push(&org.key.id);
            }
        }
        let gone: HashSet<&str> = missing.iter().map(|key| key.id.as_str()).collect();
        let parent_of: HashMap<&str, &OrgKey> =
            wanted.iter().filter_map(|org| Some((org.key.id.as_str(), org.parents.first()?))).collect();
        let mut writes = Vec::new();
        for org in wanted {
            let kind = org.key.org_type.plural();
            let document = stored.get(&org.key);
            let mut fields = document.map(|document| document.fields.clone()).unwrap_or_default();
            let (mut changed, mut mask) = match document {
                None => (org::new_org(org, PROVIDER, now), Vec::new()),
                Some(document) => org::change(&document.fields, org, PROVIDER, now).unwrap_or_default(),
            };
            fields.extend(changed.clone());
            let lists = match org.key.org_type {
                OrgType::District => Some(["schools", "archivedSchools"]),
                OrgType::School => Some(["classes", "archivedClasses"]),
                _ => None,
            };
            if let Some(lists) = lists {
                let living = children.get(&org.key).map(Vec::as_slice).unwrap_or_default();
                let held =
                    lists.iter().flat_map(|name| fields.get(*name).and_then(Value::as_array).unwrap_or_default());
                let held: Vec<&str> = held.filter_map(Value::as_str).collect();
                let archived: Vec<&str> = held.iter().copied().filter(|id| gone.contains(id)).collect();
                let moved = |id: &&str| parent_of.get(id).is_some_and(|parent| **parent != org.key);
                let elsewhere: Vec<&str> = held.iter().copied().filter(moved).collect();
                if let Some((more, paths)) = org::children_change(&fields, lists, living, &archived, &elsewhere, now) {
                    changed.extend(more);
                    mask.extend(paths);
                }
            }
            let path = path_of(org.key.org_type, &org.key.id)?;
            let counts = self.count(kind);
            match document {
                None => {
                    counts.created += 1;
                    writes.push(Write::create(path, changed));
                }
                Some(_) if mask.is_empty() => counts.unchanged += 1,
                Some(_) => {
                    counts.updated += 1;
                    writes.push(Write::merge(path, changed, mask).when(Precondition::Exists));
                }
            }
        }
        for key in missing {
            let change = stored.get(key).and_then(|document| org::archive(&document.fields, now));
            if let Some((fields, mask)) = change {
                self.count(key.org_type.plural()).removed += 1;
                writes.push(Write::merge(path_of(key.org_type, &key.id)?, fields, mask).when(Precondition::Exists));
            }
        }
        Ok(writes)
    }

    /// Users and enrolments: reads who is noted, then goes through Clever's users page by page.
    async fn people(&mut self, client: &District, known: &Known) -> Result<(), SyncError> {
        let mut entries = self.entries().await?;
        let mut seen: HashSet<String> = HashSet::new();
        let mut pages = client.users(None);
        while let Some(page) = pages.next().await? {
            self.count("users").skipped += page.unreadable.len() as u64;
            seen.extend(page.unreadable.into_iter().filter_map(|record| record.id));
            let mut changed = Vec::new();
            for user in page.records {
                let Some((person, rights)) = self.person(&user, known) else {
                    self.count("users").skipped += 1;
                    continue;
                };
                seen.insert(user.id().to_owned());
                let fingerprint = person.fingerprint(&rights);
                let entry = entries.get(user.id());
                if entry.is_some_and(|entry| entry.fingerprint.as_ref() == Some(&fingerprint) && !entry.is_gone) {
                    self.count("users").unchanged += 1;
                    continue;
                }
                changed.push(Changed { id: user.id().to_owned(), person, rights, fingerprint });
            }
            for batch in changed.chunks(BATCH) {
                self.write_people(batch, &mut entries, known).await?;
            }
        }
        self.unenrol(&entries, &seen, known).await
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

    /// Who is noted to be in the district's roster: one read each.
    async fn entries(&self) -> Result<HashMap<String, Entry>, StoreError> {
        let query = Query::collection(ENTRIES)
            .equal("providerType", PROVIDER)
            .equal("district", self.id.as_str())
            .select(&["providerId", "roarUid", "gone", org::ROSTER]);
        let mut entries = HashMap::new();
        for document in self.database.query(query).await? {
            let text = |name: &str| document.fields.get(name).and_then(Value::as_str).map(str::to_owned);
            let (Some(id), Some(roar_uid)) = (text("providerId"), text("roarUid")) else { continue };
            let is_gone = document.fields.get("gone").and_then(Value::as_bool).unwrap_or(false);
            let fingerprint = org::fingerprint(&document.fields).map(str::to_owned);
            entries.insert(id, Entry { roar_uid, fingerprint, is_gone });
        }
        Ok(entries)
    }

    /// Writes some people and notes what was written, all in one commit. Reads the documents of those who are
    /// known; plans anew when one of them changes meanwhile.
    async fn write_people(
        &mut self,
        batch: &[Changed],
        entries: &mut HashMap<String, Entry>,
        known: &Known,
    ) -> Result<(), SyncError> {
        for attempt in 1.. {
            let now = self.app.now();
            let paths: Result<Vec<Option<DocPath>>, StoreError> = batch
                .iter()
                .map(|changed| entries.get(&changed.id).map(|entry| user_path(&entry.roar_uid)).transpose())
                .collect();
            let paths = paths?;
            let wanted: Vec<DocPath> = paths.iter().flatten().cloned().collect();
            let mut found = self.database.get_all(&wanted).await?.into_iter();
            let mut writes = Vec::new();
            let mut made = Vec::new();
            for (changed, path) in batch.iter().zip(&paths) {
                let document = path.as_ref().and_then(|_| found.next().flatten());
                let roar_uid = match (entries.get(&changed.id), &document) {
                    (Some(entry), Some(document)) => {
                        let change = person::change(&document.fields, &changed.person, &known.owned, now);
                        if let Some((fields, mask)) = change {
                            let write = Write::merge(document.path.clone(), fields, mask);
                            writes.push(write.when(Precondition::UpdatedAt(document.update_time)));
                        }
                        entry.roar_uid.clone()
                    }
                    (entry, None) => {
                        // Somebody who was deleted keeps their ID.
                        let id = entry.map(|entry| entry.roar_uid.clone());
                        let id = id.unwrap_or_else(|| self.app.context.document_id());
                        let fields = person::new_user(&changed.person, PROVIDER, now);
                        writes.push(Write::create(user_path(&id)?, fields));
                        id
                    }
                    (None, Some(_)) => continue,
                };
                writes.push(changed.entry(&self.id, &roar_uid, entries.contains_key(&changed.id), now)?);
                made.push((changed.id.clone(), roar_uid, changed.fingerprint.clone()));
            }
            match self.commit(writes).await {
                Err(StoreError::Conflict(_)) if attempt < ATTEMPTS => {
                    // Somebody else may have noted one of them, in a sync that was cut short.
                    let fresh = self.entries().await?;
                    entries.extend(fresh);
                    continue;
                }
                other => other?,
            }
            for (id, roar_uid, fingerprint) in made {
                let entry = Entry { roar_uid, fingerprint: Some(fingerprint), is_gone: false };
                match entries.insert(id, entry).is_some() {
                    true => self.count("users").updated += 1,
                    false => self.count("users").created += 1,
                }
            }
            break;
        }
        (self.progress)(&self.report);
        Ok(())
    }

    /// Unenrols who is noted and wasn't seen, once everybody was fetched.
    async fn unenrol(
        &mut self,
        entries: &HashMap<String, Entry>,
        seen: &HashSet<String>,
        known: &Known,
    ) -> Result<(), SyncError> {
        let active = entries.values().filter(|entry| !entry.is_gone).count();
        let mut stale: Vec<(&String, &Entry)> =
            entries.iter().filter(|(id, entry)| !entry.is_gone && !seen.contains(*id)).collect();
        stale.sort_by_key(|(id, _)| *id);
        let are_many = stale.len() as f64 > active as f64 * MISSING_SHARE;
        if self.report.keeps_missing || (are_many && !self.options.confirm_unenroll) {
            self.report.held_back = (!stale.is_empty()).then_some(stale.len() as u64);
            return Ok(());
        }
        for batch in stale.chunks(BATCH) {
            for attempt in 1.. {
                let now = self.app.now();
                let paths: Result<Vec<DocPath>, StoreError> =
                    batch.iter().map(|(_, entry)| user_path(&entry.roar_uid)).collect();
                let found = self.database.get_all(&paths?).await?;
                let mut writes = Vec::new();
                for ((id, _), document) in batch.iter().zip(found) {
                    if let Some(document) = document
                        && let Some((fields, mask)) = person::unenrolment(&document.fields, &known.owned, now)
                    {
                        let write = Write::merge(document.path, fields, mask);
                        writes.push(write.when(Precondition::UpdatedAt(document.update_time)));
                    }
                    let gone = fields! { "gone" => true, "lastSync" => now };
                    let mask = ["gone", "lastSync", org::ROSTER].map(FieldPath::top).to_vec();
                    writes.push(Write::merge(entry_path(id)?, gone, mask).when(Precondition::Exists));
                }
                match self.commit(writes).await {
                    Err(StoreError::Conflict(_)) if attempt < ATTEMPTS => continue,
                    other => other?,
                }
                break;
            }
            self.count("users").removed += batch.len() as u64;
        }
        (self.progress)(&self.report);
        Ok(())
    }
}

/// Somebody whose record differs from what was written last.
struct Changed {
    id: String,
    person: Person,
    rights: OrgLists,
    fingerprint: String,
}

impl Changed {
    /// The note that they are in the roster. Whom it belongs to, once they have signed in, stays.
    fn entry(&self, district: &str, roar_uid: &str, is_known: bool, now: Timestamp) -> Result<Write, StoreError> {
        let path = entry_path(&self.id)?;
        let mut fields = fields! {
            "providerType" => PROVIDER, "providerId" => self.id.as_str(), "roarUid" => roar_uid,
            "district" => district, "role" => self.person.user_type, "gone" => false, "lastSync" => now,
            "adminOrgs" => self.rights.to_value(),
            org::ROSTER => fields! { "provider" => PROVIDER, "fingerprint" => self.fingerprint.as_str() },
        };
        if let Some(email) = &self.person.email {
            fields.insert("email".to_owned(), Value::from(email.as_str()));
        }
        Ok(match is_known {
            true => {
                let mut mask: Vec<FieldPath> = fields.keys().map(FieldPath::top).collect();
                if self.person.email.is_none() {
                    mask.push(FieldPath::top("email"));
                }
                Write::merge(path, fields, mask).when(Precondition::Exists)
            }
            false => {
                fields.insert("activated".to_owned(), Value::Boolean(false));
                Write::create(path, fields)
            }
        })
    }
}

fn path_of(org_type: OrgType, id: &str) -> Result<DocPath, StoreError> {
    DocPath::in_collection(org_type.plural(), id)
}

fn user_path(roar_uid: &str) -> Result<DocPath, StoreError> {
    DocPath::in_collection("users", roar_uid)
}

fn entry_path(id: &str) -> Result<DocPath, StoreError> {
    DocPath::in_collection(ENTRIES, &format!("{PROVIDER}-{id}"))
}

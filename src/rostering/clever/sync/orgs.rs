//! A district's orgs: the district itself, its schools, its classes.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt as _;

use super::super::map::{self, Enrolments};
use super::super::records::{DistrictState, Record, School, Section, Unreadable};
use super::super::{CleverError, District};
use super::{CONFLICTS, PROVIDER, SyncError, Work, org_path};
use crate::orgs::lists::OrgSet;
use crate::orgs::{OrgKey, OrgLists, OrgType};
use crate::rostering::org::{self, RosterOrg};
use crate::rostering::report::{Difference, HeldBack, Kind, Phase, Problem, are_too_many};
use crate::store::{DocPath, Document, Precondition, Query, StoreError, Timestamp, Write};

/// Orgs written in one commit.
const BATCH: usize = 200;

/// The fields of an org that tell whether anything has to be written.
const TELLING: [&str; 6] = [org::ROSTER, "archived", "schools", "archivedSchools", "classes", "archivedClasses"];
/// Sections are asked for in smaller pages than other records: each names its students.
const SECTIONS: u32 = 2000;

/// What is known of the orgs once they are synced.
pub(super) struct Known {
    /// Who is in which sections.
    pub enrolments: Enrolments,
    /// All orgs of the district that Clever has.
    pub living: OrgSet,
    /// The orgs that the roster puts people into and takes them out of.
    pub owned: OrgSet,
    /// All orgs of the district, also those that somebody made by hand: who leaves the district leaves them.
    pub below: OrgSet,
    /// The district was there before this sync; so some of its people may be known from elsewhere.
    pub was_known: bool,
}

/// What Clever has of a district's orgs.
struct Fetched {
    wanted: Vec<RosterOrg>,
    enrolments: Enrolments,
    /// IDs of records that are there but can't be read.
    unreadable: HashSet<String>,
}

/// A write of an org.
struct OrgWrite {
    key: OrgKey,
    write: Write,
    done: Done,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Created,
    Updated,
    Removed,
}

impl Done {
    fn name(self) -> &'static str {
        match self {
            Done::Created => "created",
            Done::Updated => "updated",
            Done::Removed => "removed",
        }
    }
}

fn kind_of(org_type: OrgType) -> Kind {
    match org_type {
        OrgType::District => Kind::Districts,
        OrgType::School => Kind::Schools,
        _ => Kind::Classes,
    }
}

impl Work<'_> {
    /// Districts, schools and classes: reads all of them, on both sides, then writes what differs. `None` when too
    /// many are missing; then nothing is written.
    pub(super) async fn orgs(&mut self, client: &District) -> Result<Option<Known>, SyncError> {
        self.phase(Phase::Fetching);
        let fetched = self.fetch(client).await?;
        for attempt in 1.. {
            let stored = self.stored_orgs(&fetched.wanted).await?;
            let missing = match self.report.keeps_missing {
                true => Vec::new(),
                false => missing(&fetched, &stored),
            };
            if let Some(held) = self.too_many(&missing, &stored) {
                self.report.held_back = Some(held);
                return Ok(None);
            }
            match self.write_orgs(&fetched, &stored, &missing).await {
                Err(SyncError::Store(StoreError::Conflict(_))) if attempt < CONFLICTS => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(Some(self.known(fetched, stored))),
            }
        }
        Ok(None)
    }

    fn known(&self, fetched: Fetched, stored: HashMap<OrgKey, Document>) -> Known {
        let key = |key: &OrgKey| (key.org_type, key.id.clone());
        let set = |keys: Vec<(OrgType, String)>| {
            OrgLists::from_iter(keys.iter().map(|(org_type, id)| (*org_type, id.as_str()))).to_set()
        };
        let wanted: Vec<_> = fetched.wanted.iter().map(|org| key(&org.key)).collect();
        let rostered = stored.iter().filter(|(_, org)| org.fields.contains_key(org::ROSTER)).map(|(of, _)| key(of));
        let owned = match self.report.keeps_missing {
            // Who seems to have left an org that isn't there just now hasn't left it.
            true => set(wanted.clone()),
            false => set(rostered.chain(wanted.clone()).collect()),
        };
        Known {
            was_known: stored.contains_key(&OrgKey::new(OrgType::District, &self.id)),
            below: set(stored.keys().map(key).chain(wanted.clone()).collect()),
            living: set(wanted),
            owned,
            enrolments: fetched.enrolments,
        }
    }

    fn pass_over(&mut self, kind: Kind, unreadable: Vec<Unreadable>, ids: &mut HashSet<String>) {
        for record in unreadable {
            let why = format!("{} can't be read", record.what);
            self.report.note(Problem { kind, id: record.id.clone(), failed: false, why });
            ids.extend(record.id);
        }
    }

    async fn fetch(&mut self, client: &District) -> Result<Fetched, SyncError> {
        let info = client.district().await?;
        if info.id != self.id {
            return Err(CleverError::Malformed("the token opens another district").into());
        }
        self.name.clone_from(&info.name);
        let is_running = matches!(info.state, None | Some(DistrictState::Running | DistrictState::Success));
        self.report.keeps_missing = !is_running || map::is_paused(&info, self.app.now());
        let mut wanted = vec![map::district(&info)];
        let mut unreadable = HashSet::new();
        let mut pages = client.schools();
        while let Some(page) = pages.next().await? {
            self.pass_over(Kind::Schools, page.unreadable, &mut unreadable);
            wanted.extend(page.records.iter().map(|school: &School| map::school(school, &self.id)));
        }
        let schools: HashSet<String> =
            wanted.iter().map(|org| org.key.id.clone()).chain(unreadable.iter().cloned()).collect();
        let mut enrolments = Enrolments::default();
        let mut pages = client.sections().at_most(SECTIONS);
        while let Some(page) = pages.next().await? {
            self.pass_over(Kind::Classes, page.unreadable, &mut unreadable);
            for section in &page.records {
                let section: &Section = section;
                let class = map::section(section, &self.id).filter(|class| schools.contains(&class.parents[0].id));
                match class {
                    Some(class) => {
                        enrolments.add(section);
                        wanted.push(class);
                    }
                    None => {
                        let (id, why) = (Some(section.id().to_owned()), "its school isn't shared".to_owned());
                        self.report.note(Problem { kind: Kind::Classes, id, failed: false, why });
                    }
                }
            }
            self.tell();
        }
        Ok(Fetched { wanted, enrolments, unreadable })
    }

    /// The district's orgs as ROAR has them: one read each, and another one where the roster's record differs. Of the
    /// others, only what tells that is kept: a large district has thousands.
    async fn stored_orgs(&self, wanted: &[RosterOrg]) -> Result<HashMap<OrgKey, Document>, StoreError> {
        let mut stored = HashMap::new();
        if let Some(district) = self.database.get(&org_path(OrgType::District, &self.id)?).await? {
            stored.insert(OrgKey::new(OrgType::District, &self.id), district);
        }
        for org_type in [OrgType::School, OrgType::Class] {
            let query = Query::collection(org_type.plural()).equal("districtId", self.id.as_str()).select(&TELLING);
            let mut documents = self.database.stream(query);
            while let Some(document) = documents.try_next().await? {
                stored.insert(OrgKey::new(org_type, document.id()), document);
            }
        }
        let differs = |org: &&RosterOrg| stored.get(&org.key).is_some_and(|held| org::differs(&held.fields, org));
        let paths = wanted.iter().filter(differs).map(|org| org_path(org.key.org_type, &org.key.id));
        let paths: Vec<DocPath> = paths.collect::<Result<_, _>>()?;
        for batch in paths.chunks(BATCH) {
            for document in self.database.get_all(batch).await?.into_iter().flatten() {
                let org_type = OrgType::parse(document.path.collection_id()).unwrap_or(OrgType::Class);
                stored.insert(OrgKey::new(org_type, document.id()), document);
            }
        }
        Ok(stored)
    }

    fn too_many(&self, missing: &[OrgKey], stored: &HashMap<OrgKey, Document>) -> Option<HeldBack> {
        if self.options.confirm_unenroll {
            return None;
        }
        [OrgType::School, OrgType::Class].into_iter().find_map(|org_type| {
            let leaving =
                missing.iter().filter(|key| key.org_type == org_type && !org::is_archived(&stored[*key].fields));
            let missing = leaving.count() as u64;
            let is_active = |(key, org): &(&OrgKey, &Document)| {
                key.org_type == org_type && org.fields.contains_key(org::ROSTER) && !org::is_archived(&org.fields)
            };
            let of = stored.iter().filter(is_active).count() as u64;
            let held = HeldBack { kind: kind_of(org_type), missing, of };
            are_too_many(missing, of, self.options.missing_share).then_some(held)
        })
    }

    async fn write_orgs(
        &mut self,
        fetched: &Fetched,
        stored: &HashMap<OrgKey, Document>,
        missing: &[OrgKey],
    ) -> Result<(), SyncError> {
        for kind in [Kind::Districts, Kind::Schools, Kind::Classes] {
            let of_kind = self.report.of(kind);
            (of_kind.created, of_kind.updated, of_kind.unchanged, of_kind.removed) = (0, 0, 0, 0);
        }
        // First, so that it's repeated if the sync is cut short before they are archived.
        let gone: Vec<OrgKey> = missing.iter().filter(|key| !org::is_archived(&stored[*key].fields)).cloned().collect();
        if !gone.is_empty() && !self.options.dry_run {
            crate::administrations::leave_orgs(self.app, &gone).await?;
        }
        let (orgs, classes): (Vec<_>, Vec<_>) = self
            .org_writes(fetched, stored, missing, self.app.now())?
            .into_iter()
            .partition(|write| write.key.org_type != OrgType::Class);
        for (phase, writes) in [(Phase::SyncingOrgs, orgs), (Phase::SyncingClasses, classes)] {
            self.phase(phase);
            for batch in writes.chunks(BATCH) {
                self.write_batch(batch).await?;
            }
            self.tell();
        }
        Ok(())
    }

    /// Writes a batch; where the store can't take it, finds out which of them it is.
    async fn write_batch(&mut self, batch: &[OrgWrite]) -> Result<(), SyncError> {
        match self.commit(batch.iter().map(|one| one.write.clone()).collect()).await {
            Err(SyncError::Store(StoreError::InvalidArgument(_))) => {
                let [only] = batch else {
                    let (one, other) = batch.split_at(batch.len() / 2);
                    Box::pin(self.write_batch(one)).await?;
                    return Box::pin(self.write_batch(other)).await;
                };
                let (kind, id) = (kind_of(only.key.org_type), Some(only.key.id.clone()));
                self.report.note(Problem { kind, id, failed: true, why: "it can't be stored".to_owned() });
                return Ok(());
            }
            outcome => outcome?,
        }
        for one in batch {
            let kind = kind_of(one.key.org_type);
            let counts = self.report.of(kind);
            match one.done {
                Done::Created => counts.created += 1,
                Done::Updated => counts.updated += 1,
                Done::Removed => counts.removed += 1,
            }
            if self.options.dry_run {
                let (action, fields) = (one.done.name(), super::fields_of(&one.write));
                self.report.differ(Difference { kind, id: one.key.id.clone(), action, fields });
            }
        }
        Ok(())
    }

    /// Every document is written once, with its lists of children.
    fn org_writes(
        &mut self,
        fetched: &Fetched,
        stored: &HashMap<OrgKey, Document>,
        missing: &[OrgKey],
        now: Timestamp,
    ) -> Result<Vec<OrgWrite>, StoreError> {
        let wanted = &fetched.wanted;
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
                let held = lists
                    .iter()
                    .flat_map(|name| fields.get(*name).and_then(|list| list.as_array()).unwrap_or_default());
                let held: Vec<&str> = held.filter_map(|id| id.as_str()).collect();
                let archived: Vec<&str> = held.iter().copied().filter(|id| gone.contains(id)).collect();
                let moved = |id: &&str| parent_of.get(id).is_some_and(|parent| **parent != org.key);
                let elsewhere: Vec<&str> = held.iter().copied().filter(moved).collect();
                if let Some((more, paths)) = org::children_change(&fields, lists, living, &archived, &elsewhere, now) {
                    changed.extend(more);
                    mask.extend(paths);
                }
            }
            let (path, key) = (org_path(org.key.org_type, &org.key.id)?, org.key.clone());
            match document {
                None => writes.push(OrgWrite { key, write: Write::create(path, changed), done: Done::Created }),
                Some(_) if mask.is_empty() => self.report.of(kind_of(org.key.org_type)).unchanged += 1,
                Some(document) => {
                    let write = Write::merge(path, changed, mask).when(Precondition::UpdatedAt(document.update_time));
                    writes.push(OrgWrite { key, write, done: Done::Updated });
                }
            }
        }
        for key in missing {
            let Some(document) = stored.get(key) else { continue };
            if let Some((fields, mask)) = org::archive(&document.fields, now) {
                let write = Write::merge(document.path.clone(), fields, mask);
                let write = write.when(Precondition::UpdatedAt(document.update_time));
                writes.push(OrgWrite { key: key.clone(), write, done: Done::Removed });
            }
        }
        Ok(writes)
    }
}

/// The orgs that came from Clever and aren't there any more.
fn missing(fetched: &Fetched, stored: &HashMap<OrgKey, Document>) -> Vec<OrgKey> {
    let there: HashSet<&OrgKey> = fetched.wanted.iter().map(|org| &org.key).collect();
    let is_missing = |(key, org): &(&OrgKey, &Document)| {
        !there.contains(key) && !fetched.unreadable.contains(&key.id) && org.fields.contains_key(org::ROSTER)
    };
    let mut missing: Vec<OrgKey> = stored.iter().filter(is_missing).map(|(key, _)| key.clone()).collect();
    missing.sort();
    missing
}

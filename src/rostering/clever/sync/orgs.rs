//! A district's orgs: the district itself, its schools, its classes.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt as _;

use super::super::map::{self, Enrolments};
use super::super::records::{DistrictState, Record, Section, Unread, Unreadable};
use super::super::{CleverError, District, Page};
use super::following::following;
use super::known::{BATCH, Done, Fetched, Following, Gone, Known, OrgWrite};
use super::{CONFLICTS, PROVIDER, SyncError, Work};
use crate::documents::org::{abbreviation, field, listed, org_path};
use crate::documents::roster_mark::{ROSTER, is_rostered};
use crate::orgs::{OrgKey, OrgLists, OrgType};
use crate::rostering::org::{self, RosterOrg};
use crate::rostering::report::{Difference, Keeps, Kind, Phase, Problem};
use crate::store::{DocPath, Document, Precondition, Query, StoreError, Timestamp, Write};

/// The fields of an org that tell whether anything has to be written.
const TELLING: [&str; 7] = [
    ROSTER,
    field::ARCHIVED,
    field::SCHOOLS,
    field::ARCHIVED_SCHOOLS,
    field::CLASSES,
    field::ARCHIVED_CLASSES,
    field::ABBREVIATION,
];

pub(super) fn kind_of(org_type: OrgType) -> Kind {
    match org_type {
        OrgType::District => Kind::Districts,
        OrgType::School => Kind::Schools,
        _ => Kind::Classes,
    }
}

impl Work<'_> {
    /// Districts, schools and classes: reads all of them, on both sides, then writes what is new or differs. What is
    /// missing stays until the people are known, too. `None` when too many are missing; then nothing is written.
    pub(super) async fn orgs(&mut self, client: &District) -> Result<Option<Known>, SyncError> {
        self.phase(Phase::Fetching);
        let fetched = self.fetch(client).await?;
        for attempt in 1.. {
            let stored = self.stored_orgs(&fetched.wanted, attempt > 1).await?;
            let missing = match self.report.keeps_missing {
                Some(_) => Vec::new(),
                None => missing(&fetched, &stored),
            };
            self.report.held_back = self.too_many(&missing, &stored, &fetched);
            if self.report.held_back.is_none() {
                self.report.held_back = self.too_few_enrolled(client).await?;
            }
            if self.report.held_back.is_some() {
                return Ok(None);
            }
            // It's changed all the time, or contradicts itself: from here on, one is to blame.
            self.blames_one = attempt >= CONFLICTS;
            match self.write_orgs(&fetched, &stored).await {
                // Some of it may be written; the rest is planned anew.
                Err(SyncError::Store(StoreError::Conflict(_))) if attempt < CONFLICTS => {}
                Err(error) => return Err(error),
                Ok(following) => return Ok(Some(Known { following, ..self.known(fetched, stored, missing) })),
            }
        }
        Ok(None)
    }

    fn known(&self, fetched: Fetched, stored: HashMap<OrgKey, Document>, missing: Vec<OrgKey>) -> Known {
        let key = |key: &OrgKey| (key.org_type, key.id.clone());
        let set = |keys: Vec<(OrgType, String)>| {
            OrgLists::from_iter(keys.iter().map(|(org_type, id)| (*org_type, id.as_str()))).to_set()
        };
        let is_here = |org: &&RosterOrg| !self.unwritten.contains(&org.key);
        let wanted: Vec<_> = fetched.wanted.iter().filter(is_here).map(|org| key(&org.key)).collect();
        let is_there = set(wanted.clone());
        let keeps = self.report.keeps_missing.is_some();
        let rostered = || stored.iter().filter(|(_, org)| is_rostered(&org.fields)).map(|(of, _)| of);
        let is_untold =
            |of: &&OrgKey| fetched.unreadable.contains(&of.id) || (keeps && !is_there.contains(of.org_type, &of.id));
        let untold = set(rostered().filter(is_untold).map(key).collect());
        let all: Vec<_> = rostered().map(key).chain(wanted.clone()).collect();
        // While the data aren't whole, nobody leaves anything.
        let (owned, kept) = all.into_iter().partition(|(org_type, id)| !keeps && !untold.contains(*org_type, id));
        let abbreviation =
            |(key, org): (&OrgKey, &Document)| Some((key.id.clone(), abbreviation(&org.fields)?.to_owned()));
        Known {
            abbreviations: stored.iter().filter_map(abbreviation).collect(),
            untold,
            was_known: stored.contains_key(&OrgKey::new(OrgType::District, &self.id)),
            below: set(stored.keys().map(key).chain(wanted.clone()).collect()),
            gone: Gone::of(missing, &stored),
            following: Following::default(),
            living: set(wanted),
            owned: set(owned),
            kept: set(kept),
            enrolments: fetched.enrolments,
        }
    }

    fn pass_over(&mut self, kind: Kind, record: Unreadable, ids: &mut HashSet<String>) {
        let why = format!("{} can't be read", record.what);
        self.report.note(Problem::skipped(kind, record.id.clone(), why));
        *self.living.entry(kind).or_default() += 1;
        // It may be any of them, so none is missing for sure.
        if record.id.is_none() {
            self.report.keeps_missing.get_or_insert(Keeps::Unreadable);
        }
        ids.extend(record.id);
    }

    /// Counts what of a record can't be read.
    pub(super) fn passed_over(&mut self, kind: Kind, id: &str, unread: &[Unread]) {
        for Unread { field, spelling } in unread {
            self.report.unread(kind, field, id, spelling.as_deref());
        }
    }

    /// A page has come.
    pub(super) fn came<T: Record>(&mut self, kind: Kind, page: &Page<T>) {
        let number = page.records.len() as u64;
        self.read += number;
        let (came, total) = self.came.entry(kind).or_default();
        *came += number;
        *total = page.total.unwrap_or(*total);
        let (came, total) = (*came, *total);
        if let Some(total) = page.total {
            self.expect(kind, total);
        }
        // The number may be a little off, and a record may vanish meanwhile; not many.
        let is_short = page.next_after.is_none() && came * 100 < total * 99;
        if is_short || page.is_doubtful {
            tracing::warn!(district = self.id, kind = kind.plural(), came, total, "Clever's list ends early");
            self.report.keeps_missing.get_or_insert(Keeps::Short);
        }
        self.tell();
    }

    async fn fetch(&mut self, client: &District) -> Result<Fetched, SyncError> {
        let (info, unread) = client.district_noting().await?;
        if info.id != self.id {
            return Err(CleverError::Malformed("the token opens another district").into());
        }
        self.name.clone_from(&info.name);
        self.read += 1;
        self.expect(Kind::Districts, 1);
        let is_running = matches!(info.state, None | Some(DistrictState::Running | DistrictState::Success));
        if !is_running || map::is_paused(&info, self.app.now()) {
            self.report.keeps_missing = Some(Keeps::Paused);
        }
        self.passed_over(Kind::Districts, &info.id, &unread);
        let district = map::district(&info);
        let unread = map::unread_of_org(&unread, &district);
        let mut wanted = vec![district.with_unread(unread)];
        // One that's listed twice, as it moves while pages are fetched, is there once.
        let mut is_there: HashSet<OrgKey> = HashSet::new();
        let mut unreadable = HashSet::new();
        let mut pages = client.schools().counted();
        while let Some(page) = pages.next().await? {
            self.came(Kind::Schools, &page);
            for school in page.records.noting() {
                match school {
                    Ok((school, unread)) => {
                        self.passed_over(Kind::Schools, &school.id, &unread);
                        let school = map::school(&school, &self.id);
                        let unread = map::unread_of_org(&unread, &school);
                        let school = school.with_unread(unread);
                        if is_there.insert(school.key.clone()) {
                            wanted.push(school);
                        }
                    }
                    Err(record) => self.pass_over(Kind::Schools, record, &mut unreadable),
                }
            }
        }
        let schools: HashSet<String> =
            wanted.iter().map(|org| org.key.id.clone()).chain(unreadable.iter().cloned()).collect();
        let mut homeless = Vec::new();
        let mut enrolments = Enrolments::default();
        let mut pages = client.sections().counted();
        while let Some(page) = pages.next().await? {
            self.came(Kind::Classes, &page);
            for section in page.records.noting() {
                let (section, unread): (Section, _) = match section {
                    Ok(read) => read,
                    Err(record) => {
                        self.pass_over(Kind::Classes, record, &mut unreadable);
                        continue;
                    }
                };
                self.passed_over(Kind::Classes, &section.id, &unread);
                let class = map::section(&section, &self.id).map(|class| {
                    let unread = map::unread_of_org(&unread, &class);
                    class.with_unread(unread)
                });
                let class = class.filter(|class| schools.contains(&class.parents[0].id));
                match class {
                    Some(class) if !is_there.insert(class.key.clone()) => {}
                    Some(class) => {
                        enrolments.add(&section);
                        wanted.push(class);
                    }
                    None => homeless.push((section.id().to_owned(), section.school)),
                }
            }
        }
        if !homeless.is_empty() {
            // A class goes with a school that's gone. A school that was never seen may be too new for its list.
            let known = self.known_schools().await?;
            let is_new = |school: &Option<String>| !school.as_ref().is_some_and(|school| known.contains(school));
            for (id, _) in homeless.into_iter().filter(|(_, school)| is_new(school)) {
                let why = "its school isn't shared".to_owned();
                self.report.note(Problem::skipped(Kind::Classes, Some(id.clone()), why));
                unreadable.insert(id);
            }
        }
        *self.enrolled = enrolments.enrolled();
        for org in &wanted {
            *self.living.entry(kind_of(org.key.org_type)).or_default() += 1;
        }
        Ok(Fetched { wanted, enrolments, unreadable })
    }

    /// The IDs of the schools that the district's document lists, also of those that are gone: one read.
    async fn known_schools(&self) -> Result<HashSet<String>, StoreError> {
        let district = self.database.get(&org_path(OrgType::District, &self.id)?).await?;
        let lists = [field::SCHOOLS, field::ARCHIVED_SCHOOLS].into_iter();
        let of_district = |district: &Document| -> HashSet<String> {
            lists.flat_map(|list| listed(&district.fields, list)).map(str::to_owned).collect()
        };
        Ok(district.as_ref().map(of_district).unwrap_or_default())
    }

    /// The district's orgs as ROAR has them: one read each, and another one where the roster's record differs. Of the
    /// others, only what tells that is kept: a large district has thousands.
    ///
    /// After a conflict, `by_id` finds those, too, that say to belong to another district, or to none.
    async fn stored_orgs(&self, wanted: &[RosterOrg], by_id: bool) -> Result<HashMap<OrgKey, Document>, StoreError> {
        let mut stored = HashMap::new();
        if let Some(district) = self.database.get(&org_path(OrgType::District, &self.id)?).await? {
            stored.insert(OrgKey::new(OrgType::District, &self.id), district);
        }
        for org_type in [OrgType::School, OrgType::Class] {
            let query = Query::collection(org_type.plural()).equal(field::DISTRICT_ID, self.id.as_str());
            let query = query.select(&TELLING);
            let mut documents = self.database.stream(query);
            while let Some(document) = documents.try_next().await? {
                stored.insert(OrgKey::new(org_type, document.id()), document);
            }
        }
        let differs = |org: &&RosterOrg| match stored.get(&org.key) {
            Some(held) => org::differs(&held.fields, org),
            None => by_id,
        };
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

    async fn write_orgs(
        &mut self,
        fetched: &Fetched,
        stored: &HashMap<OrgKey, Document>,
    ) -> Result<Following, SyncError> {
        for kind in [Kind::Districts, Kind::Schools, Kind::Classes] {
            self.report.of(kind).unchanged = 0;
        }
        let mut planned = self.org_writes(fetched, stored, self.app.now())?;
        let mut following = following(&planned, fetched, stored);
        let district = stored.get(&OrgKey::new(OrgType::District, &self.id));
        if let Some(noted_at) = self.note_claims_due(district, &following).await? {
            let of_district = planned.iter_mut().filter(|one| one.key.org_type == OrgType::District);
            of_district.for_each(|one| one.write.precondition = Precondition::UpdatedAt(noted_at));
        }
        let (orgs, classes): (Vec<_>, Vec<_>) =
            planned.into_iter().partition(|write| write.key.org_type != OrgType::Class);
        for (phase, writes) in [(Phase::SyncingOrgs, orgs), (Phase::SyncingClasses, classes)] {
            self.phase(phase);
            for batch in writes.chunks(BATCH) {
                self.write_batch(batch).await?;
            }
            self.tell();
        }
        self.follow_claims(&mut following).await?;
        Ok(following)
    }

    /// Writes a batch; where the store can't take it, finds out which of them it is.
    pub(super) async fn write_batch(&mut self, batch: &[OrgWrite]) -> Result<(), SyncError> {
        let is_one_to_blame = |error: &StoreError| match error {
            StoreError::InvalidArgument(_) => true,
            StoreError::Conflict(_) => self.blames_one,
            _ => false,
        };
        match self.commit(batch.iter().map(|one| one.write.clone()).collect()).await {
            Err(SyncError::Store(error)) if is_one_to_blame(&error) => {
                let [only] = batch else {
                    let (one, other) = batch.split_at(batch.len() / 2);
                    Box::pin(self.write_batch(one)).await?;
                    return Box::pin(self.write_batch(other)).await;
                };
                if only.done == Done::Created {
                    self.unwritten.insert(only.key.clone());
                }
                let (kind, id) = (kind_of(only.key.org_type), Some(only.key.id.clone()));
                self.report.note(Problem::failed(kind, id, "it can't be stored", 1));
                return Ok(());
            }
            outcome => drop(outcome?),
        }
        for one in batch {
            let kind = kind_of(one.key.org_type);
            let is_first = self.written.insert(one.key.clone());
            // Nobody counts groups.
            if one.key.org_type == OrgType::Group {
                continue;
            }
            let counts = self.report.of(kind);
            match one.done {
                Done::Created => counts.created += 1,
                Done::Updated => counts.updated += 1,
                Done::Removed => counts.removed += 1,
                // It was counted when it was compared.
                Done::Listed if is_first && counts.unchanged > 0 => {
                    counts.unchanged -= 1;
                    counts.updated += 1;
                }
                Done::Listed => {}
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
        now: Timestamp,
    ) -> Result<Vec<OrgWrite>, StoreError> {
        let wanted = &fetched.wanted;
        let mut children: HashMap<&OrgKey, Vec<&str>> = HashMap::new();
        for org in wanted {
            if let Some(parent) = org.parents.first() {
                children.entry(parent).or_default().push(&org.key.id);
            }
        }
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
                OrgType::District => org::lists_of(OrgType::District, OrgType::School),
                OrgType::School => org::lists_of(OrgType::School, OrgType::Class),
                _ => None,
            };
            if let Some(lists) = lists {
                let living = children.get(&org.key).map(Vec::as_slice).unwrap_or_default();
                let held = lists.iter().flat_map(|list| listed(&fields, list));
                let moved = |id: &&str| parent_of.get(id).is_some_and(|parent| **parent != org.key);
                let elsewhere: Vec<&str> = held.filter(moved).collect();
                if let Some((more, paths)) = org::children_change(&fields, lists, living, &[], &elsewhere, now) {
                    changed.extend(more);
                    mask.extend(paths);
                }
            }
            let (path, key) = (org_path(org.key.org_type, &org.key.id)?, org.key.clone());
            match document {
                None => writes.push(OrgWrite { key, write: Write::create(path, changed), done: Done::Created }),
                // Written a moment ago, it's counted.
                Some(_) if mask.is_empty() => {
                    let is_written = self.written.contains(&org.key);
                    self.report.of(kind_of(org.key.org_type)).unchanged += u64::from(!is_written);
                }
                Some(document) => {
                    let write = Write::merge(path, changed, mask).when(Precondition::UpdatedAt(document.update_time));
                    writes.push(OrgWrite { key, write, done: Done::Updated });
                }
            }
        }
        Ok(writes)
    }
}

/// The orgs that came from Clever and aren't there any more.
fn missing(fetched: &Fetched, stored: &HashMap<OrgKey, Document>) -> Vec<OrgKey> {
    let there: HashSet<&OrgKey> = fetched.wanted.iter().map(|org| &org.key).collect();
    let is_missing = |(key, org): &(&OrgKey, &Document)| {
        !there.contains(key) && !fetched.unreadable.contains(&key.id) && is_rostered(&org.fields)
    };
    let mut missing: Vec<OrgKey> = stored.iter().filter(is_missing).map(|(key, _)| key.clone()).collect();
    missing.sort();
    missing
}

//! What a provider has of a district's orgs, and what comes of a list of records.

use std::collections::HashSet;

use futures::TryStreamExt as _;

use super::known::Fetched;
use super::safety::kind_of;
use super::{SyncError, Work};
use crate::orgs::OrgKey;
use crate::rostering::model::{Enrolments, RosterClass, Unread, Unreadable};
use crate::rostering::report::{Incomplete, Kind, Problem};
use crate::rostering::source::{Noted, Page, Source};

impl Work<'_> {
    /// Reads the district, its schools and its classes.
    pub(super) async fn fetch(&mut self, source: &dyn Source) -> Result<Fetched, SyncError> {
        let Noted { record: district, unread } = source.district(self.app.now()).await?;
        self.name.clone_from(&district.name);
        self.read += 1;
        self.expect(Kind::Districts, 1);
        if !district.is_complete {
            self.report.incomplete = Some(Incomplete::Paused);
        }
        self.passed_over(Kind::Districts, &district.org.key.id, &unread);
        let mut wanted = vec![district.org];
        // One that's listed twice, as it moves while pages are fetched, is there once.
        let mut is_there: HashSet<OrgKey> = HashSet::new();
        let mut unreadable = HashSet::new();
        let mut pages = source.schools();
        while let Some(page) = pages.try_next().await? {
            self.came(Kind::Schools, &page);
            for school in page.records {
                match school {
                    Ok(Noted { record: school, unread }) => {
                        self.passed_over(Kind::Schools, &school.key.id, &unread);
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
        let mut pages = source.classes();
        while let Some(page) = pages.try_next().await? {
            self.came(Kind::Classes, &page);
            for class in page.records {
                let mut class: RosterClass = match class {
                    Ok(Noted { record: class, unread }) => {
                        self.passed_over(Kind::Classes, &class.id, &unread);
                        class
                    }
                    Err(record) => {
                        self.pass_over(Kind::Classes, record, &mut unreadable);
                        continue;
                    }
                };
                match class.org.take().filter(|org| schools.contains(&org.parents[0].id)) {
                    Some(org) if !is_there.insert(org.key.clone()) => {}
                    Some(org) => {
                        enrolments.add(&class);
                        wanted.push(org);
                    }
                    None => homeless.push((class.id, class.school)),
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

    fn pass_over(&mut self, kind: Kind, record: Unreadable, ids: &mut HashSet<String>) {
        let why = format!("{} can't be read", record.what);
        self.report.note(Problem::skipped(kind, record.id.clone(), why));
        *self.living.entry(kind).or_default() += 1;
        // It may be any of them, so none is missing for sure.
        if record.id.is_none() {
            self.report.incomplete.get_or_insert(Incomplete::Unreadable);
        }
        ids.extend(record.id);
    }

    /// Counts what of a record can't be read.
    pub(super) fn passed_over(&mut self, kind: Kind, id: &str, unread: &[Unread]) {
        for Unread { field, spelling } in unread {
            self.report.unread(kind, field, id, spelling.as_deref());
        }
    }

    /// Counts a page that has come, and notes incomplete data where its list ended early.
    pub(super) fn came<T>(&mut self, kind: Kind, page: &Page<T>) {
        let number = page.number as u64;
        self.read += number;
        let (came, total) = self.came.entry(kind).or_default();
        *came += number;
        *total = page.total.unwrap_or(*total);
        let (came, total) = (*came, *total);
        if let Some(total) = page.total {
            self.expect(kind, total);
        }
        // The number may be a little off, and a record may vanish meanwhile; not many.
        let is_short = page.is_last && came * 100 < total * 99;
        if is_short || page.is_cut_short {
            tracing::warn!(
                district = self.id,
                kind = kind.plural(),
                came,
                total,
                "the provider's list ends early: the data are incomplete"
            );
            self.report.incomplete.get_or_insert(Incomplete::Short);
        }
        self.tell();
    }
}

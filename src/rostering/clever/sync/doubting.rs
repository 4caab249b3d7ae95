//! What is too much to be believed of a district's orgs, before anything is written, and of what couldn't be used.

use std::collections::HashMap;

use super::super::District;
use super::super::records::Role;
use super::known::Fetched;
use super::orgs::kind_of;
use super::{SyncError, Work};
use crate::documents::roster_mark::is_rostered;
use crate::orgs::{OrgKey, OrgType};
use crate::rostering::org;
use crate::rostering::report::{Doubt, HeldBack, Kind, are_too_many};
use crate::store::Document;

impl Work<'_> {
    /// Holds back what follows if too much couldn't be read or stored, unless that's confirmed. True if it's held back.
    pub(super) fn holds_back(&mut self) -> bool {
        if self.report.held_back.is_none() && !self.options.confirm_unenroll {
            self.report.held_back = self.report.unusable(self.options.missing_share);
        }
        self.report.held_back.is_some()
    }

    /// Too many schools, or classes, are missing.
    pub(super) fn too_many(
        &self,
        missing: &[OrgKey],
        stored: &HashMap<OrgKey, Document>,
        fetched: &Fetched,
    ) -> Option<HeldBack> {
        // No district is left without schools: then the list is wrong, whoever confirms.
        let is_school = |key: &OrgKey| key.org_type == OrgType::School;
        let no_school = missing.iter().any(is_school) && !fetched.wanted.iter().any(|org| is_school(&org.key));
        if self.options.confirm_unenroll && !no_school {
            return None;
        }
        let reason_of = |org_type| match org_type {
            OrgType::School if no_school => Doubt::Empty,
            _ => Doubt::Missing,
        };
        [OrgType::School, OrgType::Class].into_iter().find_map(|org_type| {
            let leaving =
                missing.iter().filter(|key| key.org_type == org_type && !org::is_archived(&stored[*key].fields));
            let missing = leaving.count() as u64;
            let is_active = |(key, org): &(&OrgKey, &Document)| {
                key.org_type == org_type && is_rostered(&org.fields) && !org::is_archived(&org.fields)
            };
            let of = stored.iter().filter(is_active).count() as u64;
            let held = HeldBack { reason: reason_of(org_type), kind: kind_of(org_type), missing, of };
            are_too_many(missing, of, self.options.missing_share).then_some(held)
        })
    }

    /// Sections that come without their students would take them out of their classes. Where as many students are missing
    /// themselves, that's for what follows: whoever looks wants to know who.
    pub(super) async fn too_few_enrolled(&self, client: &District) -> Result<Option<HeldBack>, SyncError> {
        let is_due = !self.options.shallow && !self.options.confirm_unenroll && self.report.keeps_missing.is_none();
        let Some(of) = self.monitor.enrolled_before.filter(|_| is_due) else { return Ok(None) };
        let missing = of.saturating_sub(*self.enrolled);
        let share = self.options.missing_share;
        if !are_too_many(missing, of, share) {
            return Ok(None);
        }
        let students = self.count_noted("student").await?;
        let page = client.users(Some(Role::Student)).of(1).counted().next().await?;
        let there = page.and_then(|page| page.total);
        let are_missing = there.is_some_and(|there| are_too_many(students.saturating_sub(there), students, share));
        let held = HeldBack { reason: Doubt::Missing, kind: Kind::Enrolments, missing, of };
        Ok((!are_missing).then_some(held))
    }
}

//! Safety stops: what is too much to be believed without somebody looking (docs/domain/rosters.md#safety-stops), of a
//! district's orgs before anything is written, and of what couldn't be used.

use std::collections::HashMap;

use super::known::Fetched;
use super::{Options, SyncError, Work};
use crate::documents::org::is_archived;
use crate::documents::roster_mark::is_rostered;
use crate::orgs::{OrgKey, OrgType};
use crate::rostering::report::{Kind, SafetyStop, StopReason, are_too_many};
use crate::rostering::source::Source;
use crate::store::Document;

/// The kind that an org is counted as.
pub(super) fn kind_of(org_type: OrgType) -> Kind {
    match org_type {
        OrgType::District => Kind::Districts,
        OrgType::School => Kind::Schools,
        _ => Kind::Classes,
    }
}

/// The safety stop of a roster from which too many schools, or classes, are missing.
pub(super) fn too_many_orgs(
    options: &Options,
    missing: &[OrgKey],
    stored: &HashMap<OrgKey, Document>,
    fetched: &Fetched,
) -> Option<SafetyStop> {
    // No district is left without schools: then the list is wrong, whoever confirms.
    let is_school = |key: &OrgKey| key.org_type == OrgType::School;
    let no_school = missing.iter().any(is_school) && !fetched.wanted.iter().any(|org| is_school(&org.key));
    if options.confirm_unenroll && !no_school {
        return None;
    }
    let reason_of = |org_type| match org_type {
        OrgType::School if no_school => StopReason::Empty,
        _ => StopReason::Missing,
    };
    [OrgType::School, OrgType::Class].into_iter().find_map(|org_type| {
        let leaving = missing.iter().filter(|key| key.org_type == org_type && !is_archived(&stored[*key].fields));
        let missing = leaving.count() as u64;
        let is_active = |(key, org): &(&OrgKey, &Document)| {
            key.org_type == org_type && is_rostered(&org.fields) && !is_archived(&org.fields)
        };
        let of = stored.iter().filter(is_active).count() as u64;
        let held = SafetyStop { reason: reason_of(org_type), kind: kind_of(org_type), missing, of };
        are_too_many(missing, of, options.missing_share).then_some(held)
    })
}

/// The safety stop of a roster from which too many people are missing, or that has nobody: an empty list is believed in
/// no case. `active` were there before, and `seen` records have come.
pub(super) fn too_many_people(options: &Options, missing: u64, active: u64, seen: u64) -> Option<SafetyStop> {
    let are_many = are_too_many(missing, active, options.missing_share) && !options.confirm_unenroll;
    let reason = if seen == 0 { StopReason::Empty } else { StopReason::Missing };
    (are_many || seen == 0).then_some(SafetyStop { reason, kind: Kind::Users, missing, of: active })
}

impl Work<'_> {
    /// Makes a safety stop if too much couldn't be read or stored, unless that's confirmed. True after any safety stop.
    pub(super) fn is_stopped(&mut self) -> bool {
        if self.report.safety_stop.is_none() && !self.options.confirm_unenroll {
            self.report.safety_stop = self.report.unusable(self.options.missing_share);
        }
        self.report.safety_stop.is_some()
    }

    /// The safety stop of classes that come without their students, who would leave them. Where as many students are
    /// missing themselves, there's none yet: whoever looks wants to know who, and the sync of people finds that out.
    pub(super) async fn too_few_enrolled(&self, source: &dyn Source) -> Result<Option<SafetyStop>, SyncError> {
        let is_due = !self.options.shallow && !self.options.confirm_unenroll && self.report.incomplete.is_none();
        let Some(of) = self.monitor.enrolled_before.filter(|_| is_due) else { return Ok(None) };
        let missing = of.saturating_sub(*self.enrolled);
        let share = self.options.missing_share;
        if !are_too_many(missing, of, share) {
            return Ok(None);
        }
        let students = self.count_noted("student").await?;
        let there = source.count_students().await?;
        let are_missing = there.is_some_and(|there| are_too_many(students.saturating_sub(there), students, share));
        let held = SafetyStop { reason: StopReason::Missing, kind: Kind::Enrolments, missing, of };
        Ok((!are_missing).then_some(held))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{archived, class, district, fetched, school, stored};
    use super::super::plan::missing;
    use super::*;
    use crate::rostering::model::RosterOrg;

    const CONFIRMED: Options = Options { confirm_unenroll: true, ..Options::DEEP };

    fn orgs(schools: usize, classes: usize) -> Vec<RosterOrg> {
        let schools = (1..=schools).map(|n| school(&format!("s{n}")));
        let classes = (1..=classes).map(|n| class(&format!("c{n}"), "s1"));
        std::iter::once(district("d1")).chain(schools).chain(classes).collect()
    }

    #[test]
    fn a_roster_that_lost_more_than_a_fifth_is_not_believed_and_one_without_schools_never() {
        // Schools and classes before and now, confirmed; reason, kind, missing, of.
        for (before, now, options, expected) in [
            ((5, 10), (5, 10), Options::DEEP, None),
            ((5, 10), (4, 8), Options::DEEP, None),
            ((5, 10), (3, 10), Options::DEEP, Some((StopReason::Missing, Kind::Schools, 2, 5))),
            ((5, 10), (5, 7), Options::DEEP, Some((StopReason::Missing, Kind::Classes, 3, 10))),
            ((5, 10), (3, 7), Options::DEEP, Some((StopReason::Missing, Kind::Schools, 2, 5))),
            ((5, 10), (3, 0), CONFIRMED, None),
            ((5, 10), (0, 0), Options::DEEP, Some((StopReason::Empty, Kind::Schools, 5, 5))),
            ((5, 10), (0, 0), CONFIRMED, Some((StopReason::Empty, Kind::Schools, 5, 5))),
            ((0, 0), (0, 0), Options::DEEP, None),
        ] {
            let (here, there) = (stored(&orgs(before.0, before.1)), fetched(&orgs(now.0, now.1)));
            let stop = too_many_orgs(&options, &missing(&there, &here), &here, &there);
            let told = stop.map(|stop| (stop.reason, stop.kind, stop.missing, stop.of));
            assert_eq!(told, expected, "{before:?} {now:?} {options:?}");
        }
    }

    #[test]
    fn what_was_archived_before_is_not_missing_again() {
        let here = archived(stored(&orgs(5, 0)), &["s4", "s5"]);
        for (schools, expected) in [(3, None), (2, Some((1, 3)))] {
            let there = fetched(&orgs(schools, 0));
            let stop = too_many_orgs(&Options::DEEP, &missing(&there, &here), &here, &there);
            assert_eq!(stop.map(|stop| (stop.missing, stop.of)), expected, "{schools}");
        }
    }

    #[test]
    fn people_who_are_missing_are_too_many_at_more_than_a_fifth_or_when_nobody_came() {
        // Missing, active, seen; without a confirmation, with one.
        for (missing, active, seen, expected) in [
            (2, 10, 8, [None, None]),
            (3, 10, 7, [Some(StopReason::Missing), None]),
            (10, 10, 0, [Some(StopReason::Empty), Some(StopReason::Empty)]),
            (1, 10, 0, [Some(StopReason::Empty), Some(StopReason::Empty)]),
        ] {
            let stops = [Options::DEEP, CONFIRMED].map(|options| too_many_people(&options, missing, active, seen));
            assert_eq!(stops.map(|stop| stop.map(|stop| stop.reason)), expected, "{missing} {active} {seen}");
        }
    }
}

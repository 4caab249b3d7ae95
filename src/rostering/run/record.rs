//! What a run's documents say of a sync's progress and report (docs/domain/rosters.md#what-a-run-reports). Pure.

use std::collections::BTreeMap;

use crate::documents::rostering_run::{
    Counted, Edit, Ended, EntityStatus, Event, Heartbeat, Mismatch, SafetyStop, Stat, Unread,
};
use crate::orgs::OrgKey;
use crate::rostering::report::{Counts, Kind, Phase, Problem, Progress, Report};
use crate::store::{DocPath, StoreError, Timestamp, Write};

/// What a run is of.
#[derive(Clone, Debug)]
pub struct Begin<'a> {
    /// `clever`.
    pub provider: &'static str,
    /// The top-most org of the partner.
    pub org: &'a OrgKey,
    /// People too, not orgs alone.
    pub is_full: bool,
    /// Who asked: an Auth UID, or the command.
    pub by: &'a str,
    /// The ID of the first run of all that were asked for at once.
    pub batch: &'a str,
    /// The run's ID.
    pub id: &'a str,
}

fn counted(counts: &BTreeMap<Kind, Counts>) -> Vec<Counted<'static>> {
    counts.iter().map(|(kind, counts)| Counted { kind: kind.plural(), by_name: counts.by_name() }).collect()
}

/// The edit of a heartbeat.
pub(super) fn heartbeat(progress: &Progress, now: Timestamp) -> Edit {
    let Progress { phase, done, total, counts } = progress;
    Heartbeat { state: phase.name(), done: *done, total: *total, counts: &counted(counts) }.edit(now)
}

/// How a run ends.
pub(super) struct Ending<'a> {
    pub report: &'a Report,
    pub phase: Phase,
    pub error: Option<String>,
    pub now: Timestamp,
}

impl Ending<'_> {
    /// The edit of the run's own document.
    pub fn edit(&self) -> Edit {
        let report = self.report;
        let unread = report.unread.iter().map(|((kind, field), unread)| Unread {
            kind: kind.plural(),
            field,
            count: unread.count,
            provider_ids: &unread.ids,
            spellings: unread.spellings.iter().map(String::as_str).collect(),
        });
        let mismatches = report.mismatches.iter().map(|mismatch| Mismatch {
            kind: mismatch.kind.plural(),
            user_type: mismatch.user_type,
            provider: mismatch.provider,
            here: mismatch.here,
        });
        let ended = Ended {
            state: self.phase.name(),
            success: self.phase == Phase::Done && report.failed() == 0,
            counts: &counted(&report.counts),
            incomplete: report.keeps_missing.map(|keeps| keeps.name()),
            error: self.error.as_deref(),
            safety_stop: report.held_back.map(|held| SafetyStop {
                kind: held.kind.plural(),
                reason: held.reason.name(),
                missing: held.missing,
                of: held.of,
            }),
            unread: unread.collect(),
            doubles: report.doubles,
            mismatches: mismatches.collect(),
        };
        ended.edit(self.now)
    }

    /// What the run's document has no room for, each in a document of its own: sums by entity and action, what wasn't
    /// synced, and which kinds some were passed over of. What was synced is in the counts alone: a document for each
    /// would double what a sync writes.
    pub fn details(&self, run: &DocPath) -> Result<Vec<Write>, StoreError> {
        let mut writes = stats(run, self.report)?;
        writes.extend(problems(run, self.report, self.now)?);
        writes.extend(events(run, self.report, self.now)?);
        Ok(writes)
    }
}

fn stats(run: &DocPath, report: &Report) -> Result<Vec<Write>, StoreError> {
    let mut sums = BTreeMap::<(&str, &str), u64>::new();
    for (kind, counts) in &report.counts {
        for (action, done) in counts.by_action().into_iter().filter(|(_, done)| *done > 0) {
            *sums.entry((kind.entity(), action)).or_default() += done;
        }
    }
    sums.into_iter().map(|((entity, action), count)| Stat { entity, action, count }.write(run)).collect()
}

fn problems(run: &DocPath, report: &Report, now: Timestamp) -> Result<Vec<Write>, StoreError> {
    let with_id = report.problems.iter().filter_map(|problem| Some((problem, problem.id.as_deref()?)));
    let write = |(problem, id): (&Problem, &str)| {
        let status = EntityStatus {
            entity: problem.kind.entity(),
            provider_id: id,
            // Orgs have the provider's IDs.
            entity_id: (problem.kind != Kind::Users).then_some(id),
            failed: problem.failed,
            attempts: problem.attempts,
            why: &problem.why,
        };
        status.write(run, now)
    };
    with_id.map(write).collect()
}

fn events(run: &DocPath, report: &Report, now: Timestamp) -> Result<Vec<Write>, StoreError> {
    let with_some = report.counts.iter().filter(|(_, counts)| counts.skipped + counts.failed > 0);
    let event = |(kind, counts): (&Kind, &Counts)| {
        let Counts { skipped, failed, .. } = *counts;
        Event::PassedOver { kind: kind.plural(), entity: kind.entity(), skipped, failed }.write(run, now)
    };
    with_some.map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rostering::report::{Doubt, HeldBack, Keeps};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    #[test]
    fn districts_and_schools_are_one_entity_and_what_went_well_has_no_document() {
        let mut report = Report::default();
        *report.of(Kind::Districts) = Counts { created: 1, ..Counts::default() };
        *report.of(Kind::Schools) = Counts { created: 2, unchanged: 3, ..Counts::default() };
        *report.of(Kind::Users) = Counts { removed: 4, ..Counts::default() };
        report.note(Problem::skipped(Kind::Schools, Some("s".to_owned()), "no".to_owned()));
        report.note(Problem::failed(Kind::Users, Some("u".to_owned()), "no", 2));
        report.note(Problem::skipped(Kind::Users, None, "no".to_owned()));
        let run = DocPath::new("rosteringRuns/r").unwrap();
        let ending = Ending { report: &report, phase: Phase::Done, error: None, now: NOW };
        let details = ending.details(&run).unwrap();
        let paths: Vec<&str> = details.iter().map(|write| &write.path.as_str()["rosteringRuns/r/".len()..]).collect();
        let expected = [
            "stats/org__created",
            "stats/org__skipped",
            "stats/user__failed",
            "stats/user__skipped",
            "stats/user__unenrolled",
            "entityStatus/org__s",
            "entityStatus/user__u",
            "events/batch_skip__schools",
            "events/batch_skip__users",
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_run_succeeds_when_it_is_done_and_everything_was_stored() {
        // Phase, failed records; success.
        for (phase, failed, expected) in [
            (Phase::Done, 0, true),
            (Phase::Done, 1, false),
            (Phase::Failed, 0, false),
            (Phase::ValidationFailed, 0, false),
        ] {
            let mut report = Report::default();
            report.of(Kind::Users).failed = failed;
            let (fields, _) = Ending { report: &report, phase, error: None, now: NOW }.edit();
            assert_eq!(fields["success"].as_bool(), Some(expected), "{phase:?} {failed}");
        }
    }

    #[test]
    fn incomplete_data_and_safety_stops_are_shown() {
        let stop = HeldBack { reason: Doubt::Empty, kind: Kind::Schools, missing: 2, of: 2 };
        let mut report = Report::default();
        (report.held_back, report.keeps_missing) = (Some(stop), Some(Keeps::Short));
        let ending = Ending { report: &report, phase: Phase::ValidationFailed, error: None, now: NOW };
        let (fields, _) = ending.edit();
        assert_eq!(fields["keepsMissing"].as_str(), Some("short"));
        let stop = fields["heldBack"].as_map().expect("a map");
        assert_eq!((stop["entityType"].as_str(), stop["reason"].as_str()), (Some("schools"), Some("empty")));
    }
}

//! The documents of a run (docs/domain/rosters.md#what-a-run-reports). Pure.

use std::collections::BTreeMap;

use crate::fields;
use crate::orgs::OrgKey;
use crate::rostering::report::{Counts, Kind, Phase, Problem, Progress, Report};
use crate::store::{DocPath, Document, FieldPath, Fields, StoreError, Timestamp, Value, Write};

/// Characters of an error that a document keeps.
const ERROR: usize = 300;

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

/// What a run's beginning writes to its partner, and the mask.
pub(super) fn partner_fields(known: Option<&Document>, begin: &Begin<'_>, now: Timestamp) -> (Fields, Vec<FieldPath>) {
    let mut fields = fields! { "activeRun" => begin.id, "updatedAt" => now };
    if known.is_none() {
        fields.extend(fields! {
            "name" => format!("{}-{}", begin.provider, begin.org.id).as_str(), "displayName" => begin.org.id.as_str(),
            "provider" => begin.provider, "orgType" => begin.org.org_type.singular(), "orgId" => begin.org.id.as_str(),
            "createdAt" => now,
        });
    }
    let mask = fields.keys().map(FieldPath::top).collect();
    (fields, mask)
}

fn number(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn counts(report: &BTreeMap<Kind, Counts>) -> Value {
    let one = |counts: &Counts| {
        fields! {
            "created" => number(counts.created), "updated" => number(counts.updated),
            "unchanged" => number(counts.unchanged), "removed" => number(counts.removed),
            "skipped" => number(counts.skipped), "failed" => number(counts.failed),
        }
    };
    Value::Map(report.iter().map(|(kind, counts)| (kind.plural().to_owned(), Value::Map(one(counts)))).collect())
}

/// Where a run stands.
pub(super) fn progress_fields(progress: &Progress) -> Fields {
    let mut at = fields! { "done" => number(progress.done) };
    at.extend(progress.total.map(|total| ("total".to_owned(), number(total))));
    fields! { "state" => progress.phase.name(), "progress" => at, "counts" => counts(&progress.counts) }
}

/// How a run ends.
pub(super) struct Ending<'a> {
    pub report: &'a Report,
    pub phase: Phase,
    pub error: Option<String>,
    pub now: Timestamp,
}

impl Ending<'_> {
    pub fn fields(&self) -> (Fields, Vec<FieldPath>) {
        let report = self.report;
        let mut fields = fields! {
            "state" => self.phase.name(), "success" => self.phase == Phase::Done && report.failed() == 0,
            "endedAt" => self.now, "heartbeatAt" => self.now, "counts" => counts(&report.counts),
            "keepsMissing" => report.keeps_missing.map_or(Value::Null, |keeps| Value::from(keeps.name())),
        };
        if let Some(error) = &self.error {
            fields.insert("error".to_owned(), Value::from(error.chars().take(ERROR).collect::<String>().as_str()));
        }
        if let Some(held) = report.held_back {
            let held = fields! {
                "entityType" => held.kind.plural(), "reason" => held.reason.name(), "missing" => number(held.missing),
                "of" => number(held.of),
            };
            fields.insert("heldBack".to_owned(), Value::Map(held));
        }
        if !report.unread.is_empty() {
            let unread = report.unread.iter().map(|((kind, field), unread)| {
                Value::Map(fields! {
                    "entityType" => kind.plural(), "field" => *field, "count" => number(unread.count),
                    "providerIds" => Value::strings(&unread.ids), "spellings" => Value::strings(&unread.spellings),
                })
            });
            fields.insert("unread".to_owned(), Value::Array(unread.collect()));
        }
        if report.doubles > 0 {
            fields.insert("doubles".to_owned(), number(report.doubles));
        }
        if !report.mismatches.is_empty() {
            let mismatches = report.mismatches.iter().map(|mismatch| {
                let mut fields = fields! {
                    "entityType" => mismatch.kind.plural(), "provider" => number(mismatch.provider),
                    "roar" => number(mismatch.here),
                };
                fields.extend(mismatch.user_type.map(|of| ("userType".to_owned(), Value::from(of))));
                Value::Map(fields)
            });
            fields.insert("mismatches".to_owned(), Value::Array(mismatches.collect()));
        }
        let mask = fields.keys().map(FieldPath::top).collect();
        (fields, mask)
    }
}

/// What was done, a document each: `stats/user__created`.
pub(super) fn stats(run: &DocPath, report: &Report) -> Result<Vec<Write>, StoreError> {
    let mut sums = BTreeMap::<(&str, &str), u64>::new();
    for (kind, counts) in &report.counts {
        for (action, done) in counts.by_action().into_iter().filter(|(_, done)| *done > 0) {
            *sums.entry((kind.entity(), action)).or_default() += done;
        }
    }
    let write = |((entity, action), done): ((&str, &str), u64)| {
        let fields = fields! { "entityType" => entity, "action" => action, "count" => number(done) };
        Ok(Write::set(run.child("stats", &format!("{entity}__{action}"))?, fields))
    };
    sums.into_iter().map(write).collect()
}

/// What wasn't synced, a document each. What was is in the counts alone: a document for each would double what a sync
/// writes.
pub(super) fn problems(run: &DocPath, report: &Report, now: Timestamp) -> Result<Vec<Write>, StoreError> {
    let with_id = report.problems.iter().filter_map(|problem| Some((problem, problem.id.as_deref()?)));
    let write = |(problem, id): (&Problem, &str)| {
        let entity = problem.kind.entity();
        let status = if problem.failed { "failed" } else { "skipped" };
        let mut fields = fields! {
            "entityType" => entity, "providerId" => id, "status" => status, "errorMessage" => problem.why.as_str(),
            "attempts" => i64::from(problem.attempts), "processedAt" => now,
        };
        // Orgs have the provider's IDs.
        if problem.kind != Kind::Users {
            fields.insert("entityId".to_owned(), Value::from(id));
        }
        Ok(Write::set(run.child("entityStatus", &format!("{entity}__{id}"))?, fields))
    };
    with_id.map(write).collect()
}

/// That some were passed over, an event a kind.
pub(super) fn events(run: &DocPath, report: &Report, now: Timestamp) -> Result<Vec<Write>, StoreError> {
    let with_some = report.counts.iter().filter(|(_, counts)| counts.skipped + counts.failed > 0);
    let write = |(kind, counts): (&Kind, &Counts)| {
        let details = fields! {
            "entityType" => kind.entity(), "skipped" => number(counts.skipped), "failed" => number(counts.failed),
        };
        let fields = fields! { "eventType" => "batch_skip", "timestamp" => now, "details" => details };
        Ok(Write::set(run.child("events", &format!("batch_skip__{}", kind.plural()))?, fields))
    };
    with_some.map(write).collect()
}

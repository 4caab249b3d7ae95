//! What is answered about syncs, and what is said while they go on.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::payload::Id;
use crate::rostering::partners::{AllSynced, Failure, Step, Synced};
use crate::rostering::report::{
    Counts, Difference, Incomplete, Kind, Mismatch, NAMED, Phase, Problem, Report, SafetyStop,
};

/// What became of all districts.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct OrgsSynced {
    /// The first run.
    pub run_id: Option<String>,
    /// Nothing was changed.
    pub dry_run: bool,
    /// By kind: districts, schools, classes, users. No kind is left out that was looked at.
    #[schemars(with = "BTreeMap<String, Counts>")]
    pub counts: BTreeMap<Kind, Counts>,
    /// By district.
    pub districts: Vec<DistrictSynced>,
    /// Districts that don't share any more.
    pub disconnected: Vec<String>,
}

/// What became of one district.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct DistrictSynced {
    /// The district at Clever.
    pub district_id: Id,
    /// The run; none of a dry run, nor of a district that is being synced already.
    pub run_id: Option<String>,
    /// What the run ended as.
    pub state: &'static str,
    /// By kind: districts, schools, classes, users.
    #[schemars(with = "BTreeMap<String, Counts>")]
    pub counts: BTreeMap<Kind, Counts>,
    /// More are missing, or of no use, than is believed: nothing was taken for gone.
    pub held_back: Option<SafetyStop>,
    /// Why what is missing isn't taken for gone.
    pub keeps_missing: Option<Incomplete>,
    /// What wasn't synced, by ID.
    pub problems: Vec<Problem>,
    /// Values that were there and couldn't be read, by what had them and by field. What's stored stays as it is.
    pub unread: Vec<UnreadField>,
    /// Of a dry run: what would change, by ID.
    pub differences: Vec<Difference>,
    /// How many differences there are.
    pub differing: u64,
    /// New people who may be users made by hand; see rosterDoubles.
    pub doubles: u64,
    /// Where Clever's numbers differ from ours.
    pub mismatches: Vec<Mismatch>,
    /// Why it ended early.
    pub error: Option<Ended>,
}

/// Values of one field that couldn't be read.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct UnreadField {
    /// What had them.
    pub kind: Kind,
    /// The field.
    pub field: &'static str,
    /// How many.
    pub count: u64,
    /// The provider's IDs of some records with them.
    pub ids: Vec<String>,
    /// Of grades: the spellings that nobody knows.
    pub spellings: Vec<String>,
}

/// Why a district's sync ended early, or didn't begin.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum Ended {
    /// Another sync of it is under way: that run.
    Busy(String),
    /// What failed, for people.
    Message(String),
}

/// How far the sync of a district is.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct StepTold {
    /// The run.
    pub run_id: Option<String>,
    /// The district at Clever.
    pub district_id: Id,
    /// What it's at.
    pub phase: &'static str,
    /// Records gone through.
    pub done: u64,
    /// Records expected.
    pub total: Option<u64>,
    /// Records a second.
    pub rate: f64,
    /// By kind: districts, schools, classes, users.
    #[schemars(with = "BTreeMap<String, Counts>")]
    pub counts: BTreeMap<Kind, Counts>,
}

impl OrgsSynced {
    /// What became of all of them.
    pub fn of(synced: &AllSynced) -> OrgsSynced {
        let mut counts = Report::total(synced.districts.iter().map(|one| &one.report));
        for kind in Kind::ALL.into_iter().filter(|kind| !(synced.options.shallow && *kind == Kind::Users)) {
            counts.entry(kind).or_default();
        }
        OrgsSynced {
            run_id: synced.run.clone(),
            dry_run: synced.options.dry_run,
            counts,
            districts: synced.districts.iter().map(DistrictSynced::of).collect(),
            disconnected: synced.disconnected.clone(),
        }
    }

    /// An example.
    pub(super) fn example() -> OrgsSynced {
        let run = Some("8dQb2TnKxUw0VjXy9aRf".to_owned());
        let done = Synced {
            district: "58da8c63d7dc0ca06800007a".to_owned(),
            run: run.clone(),
            phase: Phase::Done,
            report: Report::default(),
            error: None,
        };
        OrgsSynced {
            run_id: run,
            dry_run: false,
            counts: BTreeMap::from([(Kind::Districts, Counts { created: 1, ..Counts::default() })]),
            districts: vec![DistrictSynced::of(&done)],
            disconnected: Vec::new(),
        }
    }
}

impl DistrictSynced {
    fn of(synced: &Synced) -> DistrictSynced {
        let Synced { district, run, phase, report, error } = synced;
        let unread = report.unread.iter().map(|((kind, field), unread)| UnreadField {
            kind: *kind,
            field,
            count: unread.count,
            ids: unread.ids.clone(),
            spellings: unread.spellings.iter().cloned().collect(),
        });
        DistrictSynced {
            district_id: district.as_str().into(),
            run_id: run.clone(),
            state: phase.name(),
            counts: report.counts.clone(),
            held_back: report.safety_stop,
            keeps_missing: report.incomplete,
            problems: report.problems.iter().take(NAMED).cloned().collect(),
            unread: unread.collect(),
            differences: report.differences.clone(),
            differing: report.differing,
            doubles: report.doubles,
            mismatches: report.mismatches.clone(),
            error: error.as_ref().map(|failure| match failure {
                Failure::Busy(run) => Ended::Busy(run.clone()),
                Failure::Failed(error) => Ended::Message(error.told()),
            }),
        }
    }
}

impl StepTold {
    /// How far it is.
    pub fn of(step: &Step) -> StepTold {
        StepTold {
            run_id: step.run.clone(),
            district_id: step.district.as_str().into(),
            phase: step.progress.phase.name(),
            done: step.progress.done,
            total: step.progress.total,
            rate: step.rate.round(),
            counts: step.progress.counts.clone(),
        }
    }
}

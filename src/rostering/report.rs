//! What a sync of a roster came to, and where it stands. Pure values; nothing personal is in them but IDs.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;
use serde_json::{Value as Json, json};

/// How many problems, and how many differences of a dry run, an answer names. All are counted.
pub const NAMED: usize = 500;
/// How many problems a run's documents name.
const KEPT: usize = 10_000;

/// What there is of in rosters. In the order of syncing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Districts.
    Districts,
    /// Schools.
    Schools,
    /// Classes: Clever's sections.
    Classes,
    /// People.
    Users,
    /// Students' places in classes. Not counted by themselves.
    Enrolments,
}

impl Kind {
    /// All that are counted.
    pub const ALL: [Kind; 4] = [Kind::Districts, Kind::Schools, Kind::Classes, Kind::Users];

    /// As counts name it.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Districts => "districts",
            Kind::Schools => "schools",
            Kind::Classes => "classes",
            Kind::Users => "users",
            Kind::Enrolments => "enrolments",
        }
    }

    /// As the records of a run name it (docs/domain/rosters.md#what-a-run-reports): districts and schools are orgs.
    pub fn entity(self) -> &'static str {
        match self {
            Kind::Districts | Kind::Schools => "org",
            Kind::Classes => "class",
            Kind::Users => "user",
            Kind::Enrolments => "enrollment",
        }
    }
}

/// What was done to one kind of thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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
    /// Not to be written.
    pub failed: u64,
}

impl Counts {
    /// How many of them were gone through, those no longer there aside.
    pub fn done(&self) -> u64 {
        self.created + self.updated + self.unchanged + self.skipped + self.failed
    }

    /// Adds what was done elsewhere.
    pub fn add(&mut self, other: &Counts) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.removed += other.removed;
        self.skipped += other.skipped;
        self.failed += other.failed;
    }

    /// By what was done, as documents and answers name it.
    pub fn by_name(&self) -> [(&'static str, u64); 6] {
        [
            ("created", self.created),
            ("updated", self.updated),
            ("unchanged", self.unchanged),
            ("removed", self.removed),
            ("skipped", self.skipped),
            ("failed", self.failed),
        ]
    }

    /// By what was done, as the records of a run name it.
    pub fn by_action(&self) -> [(&'static str, u64); 5] {
        [
            ("created", self.created),
            ("updated", self.updated),
            ("unenrolled", self.removed),
            ("skipped", self.skipped),
            ("failed", self.failed),
        ]
    }
}

/// One thing that wasn't synced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What it is.
    pub kind: Kind,
    /// The provider's ID, where that can be read.
    pub id: Option<String>,
    /// True when it couldn't be written, false when it was passed over.
    pub failed: bool,
    /// How often that was tried.
    pub attempts: u32,
    /// Why. Never what the record said.
    pub why: String,
}

impl Problem {
    /// Something that was passed over.
    pub fn skipped(kind: Kind, id: Option<String>, why: String) -> Problem {
        Problem { kind, id, failed: false, attempts: 1, why }
    }

    /// Something that couldn't be written, so often.
    pub fn failed(kind: Kind, id: Option<String>, why: &str, attempts: u32) -> Problem {
        Problem { kind, id, failed: true, attempts, why: why.to_owned() }
    }
}

/// One thing that a dry run would have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What it is.
    pub kind: Kind,
    /// The provider's ID.
    pub id: String,
    /// `created`, `updated` or `removed`.
    pub action: &'static str,
    /// Which fields would change; empty for what is new.
    pub fields: Vec<String>,
}

/// Why a sync takes nothing for gone before somebody has looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Doubt {
    /// More are missing than usual.
    Missing,
    /// There are none at all, which is never believed.
    Empty,
    /// More can't be read or stored than usual: then what is missing may be due to that.
    Unusable,
}

/// More are missing, or of no use, than is believed without somebody looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HeldBack {
    /// What about them.
    pub reason: Doubt,
    /// Of what.
    pub kind: Kind,
    /// How many are missing, or of no use.
    pub missing: u64,
    /// How many there were.
    pub of: u64,
}

impl Doubt {
    /// As documents have it.
    pub fn name(self) -> &'static str {
        match self {
            Doubt::Missing => "missing",
            Doubt::Empty => "empty",
            Doubt::Unusable => "unusable",
        }
    }
}

impl std::fmt::Display for HeldBack {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let HeldBack { reason, kind, missing, of } = self;
        let kind = kind.plural();
        match reason {
            Doubt::Missing => write!(formatter, "{missing} of {of} {kind} are missing"),
            Doubt::Empty => write!(formatter, "there are no {kind} at all"),
            Doubt::Unusable => write!(formatter, "{missing} of {of} {kind} can't be read or stored"),
        }
    }
}

/// Why what is missing isn't taken for gone, though nothing else is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Keeps {
    /// The provider says that the data aren't whole.
    Paused,
    /// There are records that nobody can tell apart.
    Unreadable,
    /// Fewer came than the provider says there are.
    Short,
}

impl Keeps {
    /// As documents have it.
    pub fn name(self) -> &'static str {
        match self {
            Keeps::Paused => "paused",
            Keeps::Unreadable => "unreadable",
            Keeps::Short => "short",
        }
    }

    /// For people.
    pub fn told(self) -> &'static str {
        match self {
            Keeps::Paused => "its data are paused or broken",
            Keeps::Unreadable => "some of its records can't be told apart",
            Keeps::Short => "a list of its records ended early",
        }
    }
}

/// The provider's number differs from ours (docs/domain/rosters.md#what-a-run-reports).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Of what.
    pub kind: Kind,
    /// Of people: which.
    #[serde(rename = "userType", skip_serializing_if = "Option::is_none")]
    pub user_type: Option<&'static str>,
    /// How many the provider has.
    pub provider: u64,
    /// How many are here.
    pub here: u64,
}

/// What a sync came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// By kind.
    pub counts: BTreeMap<Kind, Counts>,
    /// What stopped it from taking things for gone.
    pub held_back: Option<HeldBack>,
    /// Why what is missing isn't taken for gone.
    pub keeps_missing: Option<Keeps>,
    /// What wasn't synced; a great many aren't all named.
    pub problems: Vec<Problem>,
    /// What was noted before.
    noted: HashSet<(Kind, String)>,
    /// Values that were there and couldn't be read, by what had them and by field. What's stored stays as it is.
    pub unread: BTreeMap<(Kind, &'static str), Unread>,
    /// Of a dry run: what would change.
    pub differences: Vec<Difference>,
    /// How many differences there are, named or not.
    pub differing: u64,
    /// Where the provider's numbers differ from ours at the end.
    pub mismatches: Vec<Mismatch>,
    /// New people who may be users made by hand: pairs that wait for somebody's yes.
    pub doubles: u64,
}

/// Values of one field that couldn't be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// How many.
    pub count: u64,
    /// The provider's IDs of some records with them.
    pub ids: Vec<String>,
    /// Of grades: the spellings that nobody knows, each once. These are kept as they came.
    pub spellings: BTreeSet<String>,
}

/// How many records with a value that can't be read, and how many spellings, a report names of a field.
const EXAMPLES: usize = 10;

impl Report {
    /// Counts a value that couldn't be read; of a grade, with how it's spelt.
    pub fn unread(&mut self, kind: Kind, field: &'static str, id: &str, spelling: Option<&str>) {
        let unread = self.unread.entry((kind, field)).or_default();
        unread.count += 1;
        if unread.ids.len() < EXAMPLES {
            unread.ids.push(id.to_owned());
        }
        if unread.spellings.len() < EXAMPLES {
            unread.spellings.extend(spelling.map(str::to_owned));
        }
    }

    /// What was done to one kind.
    pub fn of(&mut self, kind: Kind) -> &mut Counts {
        self.counts.entry(kind).or_default()
    }

    /// What was done to one kind.
    pub fn get(&self, kind: Kind) -> Counts {
        self.counts.get(&kind).copied().unwrap_or_default()
    }

    /// Notes something that isn't synced, and counts it.
    pub fn note(&mut self, problem: Problem) {
        // A batch that's planned anew finds the same.
        if problem.id.as_ref().is_some_and(|id| !self.noted.insert((problem.kind, id.clone()))) {
            return;
        }
        let counts = self.of(problem.kind);
        match problem.failed {
            true => counts.failed += 1,
            false => counts.skipped += 1,
        }
        if self.problems.len() < KEPT {
            self.problems.push(problem);
        }
    }

    /// True when everything came through and agrees, as far as the provider's data are whole.
    pub fn is_right(&self) -> bool {
        self.held_back.is_none() && self.mismatches.is_empty() && self.failed() == 0
    }

    /// How many couldn't be written.
    pub fn failed(&self) -> u64 {
        self.counts.values().map(|counts| counts.failed).sum()
    }

    /// A kind of which more than that share couldn't be read or stored: whoever seems to be missing may be among them
    /// (docs/domain/rosters.md#safety-stops).
    pub fn unusable(&self, share: f64) -> Option<HeldBack> {
        self.counts.iter().find_map(|(kind, counts)| {
            let (missing, of) = (counts.skipped + counts.failed, counts.done());
            let held = HeldBack { reason: Doubt::Unusable, kind: *kind, missing, of };
            are_too_many(missing, of, share).then_some(held)
        })
    }

    /// Notes what a dry run would change.
    pub fn differ(&mut self, difference: Difference) {
        self.differing += 1;
        if self.differences.len() < NAMED {
            self.differences.push(difference);
        }
    }

    /// Compares what the provider has with what is here: more than one in a hundred apart, and more than five, is a
    /// mismatch (docs/domain/rosters.md#what-a-run-reports).
    pub fn compare(&mut self, kind: Kind, user_type: Option<&'static str>, provider: u64, here: u64) {
        let apart = provider.abs_diff(here);
        if apart > 5 && apart * 100 > provider.max(here).max(1) {
            self.mismatches.push(Mismatch { kind, user_type, provider, here });
        }
    }

    /// The sum of several.
    pub fn total<'a>(reports: impl IntoIterator<Item = &'a Report>) -> BTreeMap<Kind, Counts> {
        let mut total: BTreeMap<Kind, Counts> = BTreeMap::new();
        for (kind, counts) in reports.into_iter().flat_map(|report| &report.counts) {
            total.entry(*kind).or_default().add(counts);
        }
        total
    }
}

/// Values that couldn't be read, as answers have them.
pub fn unread_json(report: &Report) -> Json {
    let one = |((kind, field), unread): (&(Kind, &str), &Unread)| {
        json!({
            "kind": kind, "field": field, "count": unread.count, "ids": unread.ids, "spellings": unread.spellings,
        })
    };
    report.unread.iter().map(one).collect::<Vec<_>>().into()
}

/// Counts as answers have them.
pub fn counts_json(counts: &BTreeMap<Kind, Counts>) -> Json {
    counts
        .iter()
        .map(|(kind, counts)| (kind.plural().to_owned(), json!(counts)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// True when that many missing are too many to believe.
pub fn are_too_many(missing: u64, of: u64, share: f64) -> bool {
    missing as f64 > of as f64 * share
}

/// What a sync is at (docs/domain/rosters.md#runs-of-a-sync).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It was begun.
    #[default]
    Created,
    /// The provider is asked for the orgs.
    Fetching,
    /// Districts and schools are written.
    SyncingOrgs,
    /// Classes are written.
    SyncingClasses,
    /// People are fetched, compared and written, with their orgs.
    SyncingUsers,
    /// Something failed that may pass, and is to be tried again.
    Retrying,
    /// Everything was fetched and written.
    Succeeded,
    /// Those who are no longer there leave.
    Unenrolling,
    /// Numbers are compared.
    Validating,
    /// It's over, and everything is right.
    Done,
    /// It ended early. Unless it was unenrolling already, nobody was unenrolled.
    Failed,
    /// It ended without taking anybody for gone, because too many are missing, or of no use.
    ValidationFailed,
}

impl Phase {
    /// As documents and messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Created => "created",
            Phase::Fetching => "fetching",
            Phase::SyncingOrgs => "syncing_orgs",
            Phase::SyncingClasses => "syncing_classes",
            Phase::SyncingUsers => "syncing_users",
            Phase::Retrying => "retrying",
            Phase::Succeeded => "succeeded",
            Phase::Unenrolling => "unenrolling",
            Phase::Validating => "validating",
            Phase::Done => "done",
            Phase::Failed => "failed",
            Phase::ValidationFailed => "validation_failed",
        }
    }

    /// True for a state that a run stays in.
    pub fn is_over(name: &str) -> bool {
        [Phase::Done, Phase::Failed, Phase::ValidationFailed].iter().any(|phase| phase.name() == name)
    }
}

/// Where a sync stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// What it's at.
    pub phase: Phase,
    /// Records gone through.
    pub done: u64,
    /// Records expected in all, where that's known.
    pub total: Option<u64>,
    /// What was done so far.
    pub counts: BTreeMap<Kind, Counts>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_close_agree() {
        // Provider's, ours; a mismatch.
        for (provider, here, expected) in
            [(0, 0, false), (10, 15, false), (10, 16, true), (1000, 1010, false), (1000, 1011, true), (0, 6, true)]
        {
            let mut report = Report::default();
            report.compare(Kind::Users, None, provider, here);
            assert_eq!(!report.mismatches.is_empty(), expected, "{provider} {here}");
        }
    }

    #[test]
    fn a_fifth_may_be_missing() {
        for (missing, of, expected) in
            [(0, 0, false), (1, 4, true), (1, 5, false), (2, 5, true), (20, 100, false), (21, 100, true)]
        {
            assert_eq!(are_too_many(missing, of, 0.2), expected, "{missing} of {of}");
        }
    }

    #[test]
    fn problems_are_counted_and_the_first_are_named() {
        let mut report = Report::default();
        for n in (0..2 * KEPT).chain([0, 0, 2 * KEPT - 1]) {
            report.note(Problem {
                kind: Kind::Users,
                id: Some(n.to_string()),
                failed: n % 2 == 0,
                attempts: 1,
                why: "so".to_owned(),
            });
        }
        let counts = report.get(Kind::Users);
        assert_eq!((counts.failed, counts.skipped, report.problems.len()), (KEPT as u64, KEPT as u64, KEPT));
        let total = Report::total([&report, &report]);
        assert_eq!(total[&Kind::Users].failed, 2 * KEPT as u64);
        assert_eq!(counts_json(&total)["users"]["skipped"], 2 * KEPT);
    }

    #[test]
    fn what_cannot_be_used_counts_toward_the_threshold() {
        // Unchanged, skipped, failed; held back.
        for (unchanged, skipped, failed, expected) in
            [(0, 0, 0, None), (8, 1, 1, None), (7, 2, 1, Some(3)), (0, 4, 0, Some(4)), (0, 0, 1, Some(1))]
        {
            let mut report = Report::default();
            *report.of(Kind::Users) = Counts { unchanged, skipped, failed, ..Counts::default() };
            let held = report.unusable(0.2);
            assert_eq!(held.map(|held| held.missing), expected, "{unchanged} {skipped} {failed}");
            assert_eq!(report.is_right(), failed == 0);
            let told = held.map(|held| held.to_string()).unwrap_or_default();
            assert!(held.is_none() || told.ends_with("users can't be read or stored"), "{told}");
        }
    }

    #[test]
    fn states_that_runs_stay_in() {
        assert!(Phase::is_over("done") && Phase::is_over("failed") && Phase::is_over("validation_failed"));
        assert!(!Phase::is_over("succeeded") && !Phase::is_over("created"));
    }
}

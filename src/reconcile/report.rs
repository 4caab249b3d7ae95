//! The report of a reconciliation: findings by ID, never by name, with stable field names.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::assignments::counts::Counters;
use crate::payload::Id;

/// How many findings of one kind are listed one by one; further ones are only counted.
const LISTED: u64 = 200;

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum Kind {
    /// A count isn't what the assignments add up to.
    CountDiffers,
    /// An org has assignments, and no counts.
    CountsMissing,
    /// Counts of an org that has no assignment.
    CountsStray,
    /// An assignment doesn't remember what it has contributed to the counts.
    RecordMissing,
    /// An assignment remembers something else than it is.
    RecordDiffers,
    /// An assignment's `id` isn't its administration's.
    IdDiffers,
    /// A student's list lacks the administration.
    ListEntryMissing,
    /// A student's list has the administration for no reason.
    ListEntryStray,
    /// A list entry has no date.
    DateMissing,
    /// A date has no list entry that should be there.
    DateStray,
    /// `assigningOrgs` aren't the student's current orgs that are assigned.
    AssigningOrgsDiffer,
    /// `readOrgs` aren't these and what's above them.
    ReadOrgsDiffer,
    /// An assignment of a closed administration has no orgs.
    NoAssigningOrgs,
    /// An assignment has no assessments.
    NoAssessments,
    /// An assignment of an administration that doesn't exist.
    AdministrationGone,
    /// An assignment of a user who doesn't exist.
    UserGone,
    /// An open assignment of a user who is archived.
    UserArchived,
    /// An open assignment of a user of a type that gets none.
    UserTypeNotAssigned,
    /// An open assignment of a user who is in none of the assigned orgs.
    UserNotInOrgs,
    /// A student whom the conditions give something has no assignment.
    AssignmentMissing,
    /// An assignment isn't what its student's runs say.
    RunsDiffer,
    /// What a student is to have can't be stored: a document of theirs takes no more.
    NotStored,
    /// A zeroed count of a task that the administration hasn't. No difference; a repair removes it.
    CountsIdle,
    /// A student has no assignment yet, because what the conditions look at has changed since the last sync: the
    /// rules leave that to the administration's next save. No difference.
    WaitsForSave,
    /// The assignment names runs that aren't there, though nobody is known to have deleted them. Nothing is taken from
    /// the student for that. No difference, for nothing here can mend it.
    RunsNotFound,
}

impl Kind {
    /// A description for people.
    pub fn text(self) -> &'static str {
        match self {
            Kind::CountDiffers => "a count isn't what the assignments add up to",
            Kind::CountsMissing => "an org with assignments has no counts",
            Kind::CountsStray => "counts of an org without assignments",
            Kind::RecordMissing => "an assignment without a record of what is counted",
            Kind::RecordDiffers => "an assignment whose record isn't what it contributes",
            Kind::IdDiffers => "an assignment whose id isn't its administration's",
            Kind::ListEntryMissing => "a student's list lacks the administration",
            Kind::ListEntryStray => "a student's list has it for no reason",
            Kind::DateMissing => "a list entry without a date",
            Kind::DateStray => "a date without a reason",
            Kind::AssigningOrgsDiffer => "assigningOrgs aren't the student's assigned orgs",
            Kind::ReadOrgsDiffer => "readOrgs aren't these and their ancestors",
            Kind::NoAssigningOrgs => "a closed assignment without orgs",
            Kind::NoAssessments => "an assignment without assessments",
            Kind::AdministrationGone => "an assignment of no administration",
            Kind::UserGone => "an assignment of no user",
            Kind::UserArchived => "an open assignment of an archived user",
            Kind::UserTypeNotAssigned => "an open assignment of a user who is no student",
            Kind::UserNotInOrgs => "an open assignment of a user outside the orgs",
            Kind::AssignmentMissing => "a student without the assignment",
            Kind::RunsDiffer => "an assignment that isn't what its runs say",
            Kind::NotStored => "a student of whom a document takes no more",
            Kind::CountsIdle => "a zeroed count of no task of the administration",
            Kind::WaitsForSave => "a student who waits for the next save",
            Kind::RunsNotFound => "an assignment whose runs aren't found, and weren't deleted",
        }
    }

    /// True for a kind that is wrong, rather than information for the operator.
    pub fn is_difference(self) -> bool {
        !matches!(self, Kind::WaitsForSave | Kind::RunsNotFound | Kind::CountsIdle)
    }
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Finding {
    /// What differs.
    pub kind: Kind,
    /// The student.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Id")]
    pub user_id: Option<String>,
    /// The org whose counts differ, or `total`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub org_id: Option<String>,
    /// The field, the list, or the counter block.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub field: Option<String>,
    /// What is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Json")]
    pub stored: Option<Json>,
    /// What should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Json")]
    pub expected: Option<Json>,
    /// It's mended.
    pub fixed: bool,
}

impl Finding {
    /// A finding about a student's assignment or lists.
    pub fn of_user(kind: Kind, user: &str) -> Finding {
        Finding {
            kind,
            user_id: Some(user.to_owned()),
            org_id: None,
            field: None,
            stored: None,
            expected: None,
            fixed: false,
        }
    }

    /// A finding about the counts of a key.
    pub fn of_counts(kind: Kind, key: &str) -> Finding {
        Finding { user_id: None, org_id: Some(key.to_owned()), ..Finding::of_user(kind, "") }
    }

    /// Adds the name of the field.
    pub fn field(mut self, field: impl Into<String>) -> Finding {
        self.field = Some(field.into());
        self
    }

    /// Adds the stored and the expected value.
    pub fn values(mut self, stored: Json, expected: Json) -> Finding {
        (self.stored, self.expected) = (Some(stored), Some(expected));
        self
    }

    /// The place of the finding in one line: `student-000001 assignments.started`.
    pub fn place(&self) -> String {
        let parts = [&self.user_id, &self.org_id, &self.field];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// Counters as JSON.
pub fn counters_json(counters: Counters) -> Json {
    json!({ "assigned": counters.assigned, "started": counters.started, "completed": counters.completed })
}

/// How an administration stands, as far as reconciling goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub enum State {
    /// Open or still to open: everything is examined.
    Open,
    /// Closed: counts, records, lists and orphans are; who is in which org isn't any more.
    Closed,
    /// It doesn't exist: nothing of it should.
    Gone,
    /// A sync is under way or due; not examined.
    Pending,
    /// Its sync has failed, and the next save tries again; not examined.
    Failed,
    /// It's being deleted; not examined.
    Deleting,
}

impl State {
    /// True when assignments of an administration in this state are examined.
    pub fn is_examined(self) -> bool {
        matches!(self, State::Open | State::Closed | State::Gone)
    }
}

/// How many of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Tally {
    /// Found.
    pub found: u64,
    /// Of these, mended.
    pub fixed: u64,
}

/// What was found about one administration.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct AdministrationReport {
    /// The administration.
    #[schemars(with = "Id")]
    pub administration_id: String,
    /// How it stands.
    pub state: State,
    /// Assignments looked at.
    pub assignments: u64,
    /// How many findings there are of each kind.
    pub kinds: BTreeMap<Kind, Tally>,
    /// The findings, up to 200 of each kind.
    pub findings: Vec<Finding>,
    /// What an operator should know besides.
    pub notes: Vec<String>,
}

impl AdministrationReport {
    /// A report without findings.
    pub fn new(administration: &str, state: State) -> AdministrationReport {
        AdministrationReport {
            administration_id: administration.to_owned(),
            state,
            assignments: 0,
            kinds: BTreeMap::new(),
            findings: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        let tally = self.kinds.entry(finding.kind).or_default();
        tally.found += 1;
        tally.fixed += u64::from(finding.fixed);
        if tally.found <= LISTED {
            self.findings.push(finding);
        }
    }

    /// True when everything was examined, and nothing differs or every difference was repaired.
    pub fn agrees(&self) -> bool {
        let mut differences = self.kinds.iter().filter(|(kind, _)| kind.is_difference());
        self.state.is_examined() && self.notes.is_empty() && differences.all(|(_, tally)| tally.found == tally.fixed)
    }

    fn settle(&mut self) {
        self.findings.sort_by_cached_key(|finding| (finding.kind, finding.place()));
    }
}

/// What was found about all administrations that were asked about.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Report {
    /// Everything was examined, and nothing differs (any more).
    pub agrees: bool,
    /// Differences were to be mended.
    pub fix: bool,
    /// What was found, by administration.
    pub administrations: Vec<AdministrationReport>,
}

impl Report {
    /// Combines the reports of several administrations.
    pub fn new(fix: bool, mut administrations: Vec<AdministrationReport>) -> Report {
        administrations.iter_mut().for_each(AdministrationReport::settle);
        Report { agrees: administrations.iter().all(AdministrationReport::agrees), fix, administrations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_counted_and_listed_up_to_a_bound() {
        let mut report = AdministrationReport::new("a", State::Open);
        assert!(report.agrees());
        for n in 0..LISTED + 50 {
            let finding = Finding::of_user(Kind::RecordMissing, &format!("u{n:04}"));
            report.add(Finding { fixed: n % 2 == 0, ..finding });
        }
        assert_eq!(report.kinds[&Kind::RecordMissing], Tally { found: 250, fixed: 125 });
        assert_eq!(report.findings.len(), 200);
        assert!(!report.agrees());
        let mut fixed = AdministrationReport::new("a", State::Open);
        fixed.add(Finding { fixed: true, ..Finding::of_user(Kind::UserGone, "u") });
        assert!(fixed.agrees());
        assert!(!AdministrationReport::new("a", State::Pending).agrees(), "what isn't examined isn't known to agree");
    }
}

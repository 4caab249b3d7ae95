//! The result of comparing the hierarchy: findings by ID, never by name, with stable field names.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::orgs::OrgKey;
use crate::reconcile::report::Tally;

/// How many findings of one kind are listed one by one; further ones are only counted.
const LISTED: u64 = 200;

/// The kind of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A parent's lists disagree with the links of one of its children.
    ListDiffers,
    /// The district of a class isn't the district of its school.
    DistrictDiffers,
    /// An org names a parent that doesn't exist. This isn't counted as a difference, because no repair is possible
    /// here.
    ParentMissing,
    /// A user isn't in an org that's above their school or class.
    MembershipMissing,
    /// A user is in a district though all of their schools and classes are in others.
    MembershipStray,
    /// The orgs that a user has rights over aren't the granted orgs with everything below them.
    RightsDiffer,
}

impl Kind {
    /// A description for people.
    pub fn text(self) -> &'static str {
        match self {
            Kind::ListDiffers => "an org that its parent's lists have wrong",
            Kind::DistrictDiffers => "a class of another district than its school",
            Kind::ParentMissing => "an org whose parent doesn't exist",
            Kind::MembershipMissing => "a user who isn't in an org above theirs",
            Kind::MembershipStray => "a user of a district without a school of it",
            Kind::RightsDiffer => "rights that aren't over what's below the orgs granted",
        }
    }

    /// True for a kind that is wrong and can be repaired.
    pub fn is_difference(self) -> bool {
        self != Kind::ParentMissing
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The kind of the difference.
    pub kind: Kind,
    /// The org, with its type: `schools/s1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The account that holds the rights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The other org involved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// How many orgs are held that shouldn't be held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_many: Option<usize>,
    /// How many orgs are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacking: Option<usize>,
    /// True when the difference was repaired.
    pub fixed: bool,
}

impl Finding {
    fn new(kind: Kind) -> Finding {
        let (org, user_id, uid, other) = (None, None, None, None);
        Finding { kind, org, user_id, uid, other, too_many: None, lacking: None, fixed: false }
    }

    /// A finding about an org.
    pub fn of_org(kind: Kind, org: &OrgKey) -> Finding {
        Finding { org: Some(format!("{}/{}", org.org_type.plural(), org.id)), ..Finding::new(kind) }
    }

    /// A finding about a user.
    pub fn of_user(kind: Kind, user: &str) -> Finding {
        Finding { user_id: Some(user.to_owned()), ..Finding::new(kind) }
    }

    /// A finding about an account that holds rights.
    pub fn of_holder(kind: Kind, uid: &str) -> Finding {
        Finding { uid: Some(uid.to_owned()), ..Finding::new(kind) }
    }

    /// Adds the ID of the other org, or of several.
    pub fn field(mut self, other: impl Into<String>) -> Finding {
        self.other = Some(other.into());
        self
    }

    /// Adds how many orgs are held that shouldn't be, and how many are missing.
    pub fn values(mut self, too_many: usize, lacking: usize) -> Finding {
        (self.too_many, self.lacking) = (Some(too_many), Some(lacking));
        self
    }

    /// The place of the finding in one line: `schools/s1 d1`.
    pub fn place(&self) -> String {
        let parts = [&self.org, &self.user_id, &self.uid, &self.other];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// The IDs of orgs in one line.
pub fn ids(orgs: &[OrgKey]) -> String {
    orgs.iter().map(|org| org.id.as_str()).collect::<Vec<_>>().join(" ")
}

/// The report of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HierarchyReport {
    /// True when nothing differs, or every difference was repaired.
    pub agrees: bool,
    /// True when differences were to be repaired.
    pub fix: bool,
    /// The number of orgs that were examined.
    pub orgs: u64,
    /// The number of users who were examined.
    pub users: u64,
    /// The number of holders of rights who were examined.
    pub claims: u64,
    /// The number of findings of each kind.
    pub kinds: BTreeMap<Kind, Tally>,
    /// The findings, up to 200 of each kind.
    pub findings: Vec<Finding>,
}

impl HierarchyReport {
    /// A report without findings.
    pub fn new(fix: bool) -> HierarchyReport {
        let (kinds, findings) = (BTreeMap::new(), Vec::new());
        HierarchyReport { agrees: true, fix, orgs: 0, users: 0, claims: 0, kinds, findings }
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

    /// The report, with `agrees` set.
    pub fn settled(mut self) -> HierarchyReport {
        self.findings.sort_by_cached_key(|finding| (finding.kind, finding.place()));
        let mut differences = self.kinds.iter().filter(|(kind, _)| kind.is_difference());
        self.agrees = differences.all(|(_, tally)| tally.found == tally.fixed);
        self
    }
}

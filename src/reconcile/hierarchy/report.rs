//! What a comparison of the hierarchy came to: findings by ID, never by name, with stable field names.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::orgs::OrgKey;
use crate::reconcile::report::Tally;

/// Findings of one kind that are listed one by one; the others are counted.
const LISTED: u64 = 200;

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// The lists of a parent say something else of an org than the org does.
    ListDiffers,
    /// A class is in another district than its school.
    DistrictDiffers,
    /// An org names a parent that doesn't exist. No difference, for nothing here can mend it.
    ParentMissing,
    /// A user isn't in an org that's above their school or class.
    MembershipMissing,
    /// A user is in a district though all of their schools and classes are in others.
    MembershipStray,
    /// Somebody's rights aren't over what's below the orgs that they were granted.
    RightsDiffer,
}

impl Kind {
    /// What it means, for people.
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

    /// True when it's something that shouldn't be so, and can be mended.
    pub fn is_difference(self) -> bool {
        self != Kind::ParentMissing
    }
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What differs.
    pub kind: Kind,
    /// The org, with its type: `schools/s1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The account that has rights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The other org that it's about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// How many orgs are held that shouldn't be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_many: Option<usize>,
    /// How many orgs are lacking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacking: Option<usize>,
    /// It's mended.
    pub fixed: bool,
}

impl Finding {
    fn new(kind: Kind) -> Finding {
        let (org, user_id, uid, other) = (None, None, None, None);
        Finding { kind, org, user_id, uid, other, too_many: None, lacking: None, fixed: false }
    }

    /// About an org.
    pub fn of_org(kind: Kind, org: &OrgKey) -> Finding {
        Finding { org: Some(format!("{}/{}", org.org_type.plural(), org.id)), ..Finding::new(kind) }
    }

    /// About a user.
    pub fn of_user(kind: Kind, user: &str) -> Finding {
        Finding { user_id: Some(user.to_owned()), ..Finding::new(kind) }
    }

    /// About who has rights.
    pub fn of_holder(kind: Kind, uid: &str) -> Finding {
        Finding { uid: Some(uid.to_owned()), ..Finding::new(kind) }
    }

    /// Names the other org, or orgs.
    pub fn field(mut self, other: impl Into<String>) -> Finding {
        self.other = Some(other.into());
        self
    }

    /// Says how many orgs are too many, and how many are lacking.
    pub fn values(mut self, too_many: usize, lacking: usize) -> Finding {
        (self.too_many, self.lacking) = (Some(too_many), Some(lacking));
        self
    }

    /// Where it is, in one word: `schools/s1 d1`.
    pub fn place(&self) -> String {
        let parts = [&self.org, &self.user_id, &self.uid, &self.other];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// IDs of orgs in one line.
pub fn ids(orgs: &[OrgKey]) -> String {
    orgs.iter().map(|org| org.id.as_str()).collect::<Vec<_>>().join(" ")
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HierarchyReport {
    /// Nothing differs (any more).
    pub agrees: bool,
    /// Differences were to be mended.
    pub fix: bool,
    /// Orgs looked at.
    pub orgs: u64,
    /// Users looked at.
    pub users: u64,
    /// Holders of rights looked at.
    pub claims: u64,
    /// How many findings there are of each kind.
    pub kinds: BTreeMap<Kind, Tally>,
    /// The findings, up to a number of each kind.
    pub findings: Vec<Finding>,
}

impl HierarchyReport {
    /// Nothing found yet.
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

    /// The report, with what it comes to.
    pub fn settled(mut self) -> HierarchyReport {
        self.findings.sort_by_cached_key(|finding| (finding.kind, finding.place()));
        let mut differences = self.kinds.iter().filter(|(kind, _)| kind.is_difference());
        self.agrees = differences.all(|(_, tally)| tally.found == tally.fixed);
        self
    }
}

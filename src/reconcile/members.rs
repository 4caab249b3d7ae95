//! Keeps track of which members of the assigned orgs were examined, so that only those orgs are read in which somebody
//! may lack an assignment. Pure.

use std::collections::{BTreeSet, HashMap};

use super::examine::traces;
use crate::administrations::fanout::ownership::PHASE_TYPES;
use crate::documents::user::is_of_type;
use crate::documents::user::orgs::current_orgs;
use crate::orgs::{OrgLists, OrgType};
use crate::store::Fields;

/// Orgs of one type that fit into one query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgRun {
    /// Their type.
    pub org_type: OrgType,
    /// Their IDs.
    pub orgs: Vec<String>,
}

/// The assigned orgs in groups that fit into one query each, classes first, and how many members of each group were
/// examined.
pub struct Members {
    /// The groups of orgs, in the order in which they are queried.
    pub runs: Vec<OrgRun>,
    places: HashMap<(OrgType, String), usize>,
    seen: Vec<u64>,
    types: Vec<String>,
}

impl Members {
    /// Starts with nobody examined. `types` are the types of users that get assignments.
    pub fn new(orgs: &OrgLists, run_size: usize, types: &[String]) -> Members {
        let runs: Vec<OrgRun> = PHASE_TYPES
            .into_iter()
            .flat_map(|org_type| {
                orgs.of(org_type).chunks(run_size.max(1)).map(move |orgs| OrgRun { org_type, orgs: orgs.to_vec() })
            })
            .collect();
        let place = |(at, run): (usize, &OrgRun)| {
            run.orgs.iter().map(|id| ((run.org_type, id.clone()), at)).collect::<Vec<_>>()
        };
        let places = runs.iter().enumerate().flat_map(place).collect();
        Members { seen: vec![0; runs.len()], places, runs, types: types.to_vec() }
    }

    /// The groups of orgs whose query for members returns the user.
    fn runs_of(&self, user: &Fields) -> BTreeSet<usize> {
        if !is_of_type(user, &self.types) {
            return BTreeSet::new();
        }
        let current = current_orgs(user);
        current.iter().filter_map(|(org_type, id)| self.places.get(&(org_type, id.to_owned())).copied()).collect()
    }

    /// Notes that a user was examined. Call this once for each user.
    pub fn saw(&mut self, user: &Fields) {
        for run in self.runs_of(user) {
            self.seen[run] += 1;
        }
    }

    /// True when `members`, the number of members of a group of orgs, were all examined.
    pub fn has_seen(&self, run: usize, members: u64) -> bool {
        self.seen[run] == members
    }

    /// True when no group of orgs in `read`, which were queried before, has returned the user.
    pub fn is_first(&self, user: &Fields, read: &BTreeSet<usize>) -> bool {
        self.runs_of(user).is_disjoint(read)
    }
}

/// How many of the examined users have the administration in each list and date map.
#[derive(Debug, Default)]
pub struct Listed([u64; 6]);

impl Listed {
    /// Adds a user as they are now.
    pub fn saw(&mut self, user: &Fields, administration: &str) {
        for (at, (listed, dated)) in traces(user, administration).into_iter().enumerate() {
            self.0[at] += u64::from(listed);
            self.0[3 + at] += u64::from(dated);
        }
    }

    /// Adds a user whose lists and dates were repaired.
    pub fn settled(&mut self, listed: [bool; 3]) {
        for (at, listed) in listed.into_iter().enumerate() {
            self.0[at] += u64::from(listed);
            self.0[3 + at] += u64::from(listed);
        }
    }

    /// The numbers of users: for the three lists, then for their date maps.
    pub fn counts(&self) -> [u64; 6] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::Value;

    fn student(archived: Option<bool>, orgs: &[(OrgType, &str)]) -> Fields {
        let mut user = fields! { "userType" => "student" };
        user.extend(archived.map(|archived| ("archived".to_owned(), Value::Boolean(archived))));
        for org_type in OrgType::ALL {
            let ids = orgs.iter().filter(|(of, _)| *of == org_type).map(|(_, id)| *id);
            user.insert(org_type.plural().to_owned(), Value::Map(fields! { "current" => Value::strings(ids) }));
        }
        user
    }

    #[test]
    fn a_member_of_several_orgs_of_a_run_is_one() {
        use OrgType::{Class, District, School};
        let orgs: OrgLists =
            [(District, "d"), (School, "s"), (Class, "c1"), (Class, "c2"), (Class, "c3")].into_iter().collect();
        let mut members = Members::new(&orgs, 2, &["student".to_owned()]);
        let runs: Vec<_> = members.runs.iter().map(|run| run.orgs.join(" ")).collect();
        assert_eq!(runs, ["c1 c2", "c3", "s", "d"]);
        let both = student(Some(false), &[(District, "d"), (Class, "c1"), (Class, "c2"), (Class, "elsewhere")]);
        members.saw(&both);
        members.saw(&student(Some(false), &[(Class, "c3"), (School, "s")]));
        // The query also returns archived users, who are examined without a finding.
        members.saw(&student(Some(true), &[(Class, "c3")]));
        members.saw(&student(None, &[(Class, "c3")]));
        assert!([1, 3, 1, 1].into_iter().enumerate().all(|(run, count)| members.has_seen(run, count)));
        assert!(members.is_first(&both, &BTreeSet::from([1, 2])));
        assert!(!members.is_first(&both, &BTreeSet::from([0])));
    }
}

//! A small roster for tests: what a provider has of it, and what is stored after a sync.

use std::collections::{HashMap, HashSet};

use super::known::{Fetched, OrgWrite};
use super::plan::plan_orgs;
use crate::fields;
use crate::orgs::{OrgKey, OrgType};
use crate::rostering::model::{Enrolments, Person, RosterOrg};
use crate::store::{Document, Timestamp, WriteKind};

pub const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn org(org_type: OrgType, id: &str, parents: &[(OrgType, &str)]) -> RosterOrg {
    let parents = parents.iter().map(|(org_type, id)| OrgKey::new(*org_type, *id)).collect();
    RosterOrg::new(OrgKey::new(org_type, id), parents, fields! { "name" => id }, &["name"])
}

pub fn district(id: &str) -> RosterOrg {
    org(OrgType::District, id, &[])
}

/// A school of the district `d1`.
pub fn school(id: &str) -> RosterOrg {
    org(OrgType::School, id, &[(OrgType::District, "d1")])
}

/// A class of the district `d1`.
pub fn class(id: &str, school: &str) -> RosterOrg {
    org(OrgType::Class, id, &[(OrgType::School, school), (OrgType::District, "d1")])
}

/// What a provider has.
pub fn fetched(orgs: &[RosterOrg]) -> Fetched {
    Fetched { wanted: orgs.to_vec(), enrolments: Enrolments::default(), unreadable: HashSet::new() }
}

/// What is stored once these were synced, unchanged since [`NOW`].
pub fn stored(orgs: &[RosterOrg]) -> HashMap<OrgKey, Document> {
    let plan = plan_orgs(&fetched(orgs), &HashMap::new(), "clever", NOW).expect("paths");
    let document = |OrgWrite { key, write, .. }: OrgWrite| {
        let WriteKind::Set { fields, .. } = write.kind else { panic!("it's set") };
        (key, Document { path: write.path, fields, create_time: NOW, update_time: NOW })
    };
    plan.writes.into_iter().map(document).collect()
}

/// The same, with these archived.
pub fn archived(mut stored: HashMap<OrgKey, Document>, ids: &[&str]) -> HashMap<OrgKey, Document> {
    let gone = stored.iter_mut().filter(|(key, _)| ids.contains(&key.id.as_str()));
    gone.for_each(|(_, org)| drop(org.fields.insert("archived".to_owned(), true.into())));
    stored
}

/// A student of third grade in the district `d1` and its school `s1`.
pub fn student(first: &str, email: Option<&str>) -> Person {
    Person {
        user_type: "student",
        name: [Some(first.to_owned()), None, Some("Lovelace".to_owned())],
        email: email.map(str::to_owned),
        username: None,
        student: fields! { "grade" => "3" },
        orgs: [(OrgType::District, "d1"), (OrgType::School, "s1")].into_iter().collect(),
        unread: Vec::new(),
    }
}

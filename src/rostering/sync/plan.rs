//! What to write of a district's orgs: a plan is a value, made of what the provider has and what is stored. Pure.

use std::collections::{HashMap, HashSet};

use super::known::{Done, Fetched, OrgWrite};
use crate::documents::org::{listed, org_path};
use crate::documents::roster_mark::is_rostered;
use crate::orgs::{OrgKey, OrgType};
use crate::rostering::org;
use crate::store::{Document, Precondition, StoreError, Timestamp, Write};

/// What to write, and what is right already.
pub(super) struct OrgPlan {
    pub writes: Vec<OrgWrite>,
    pub unchanged: Vec<OrgKey>,
}

/// Plans the writes of orgs that are new or differ. Every document is written once, with its lists of children, as long
/// as it's as it was read.
pub(super) fn plan_orgs(
    fetched: &Fetched,
    stored: &HashMap<OrgKey, Document>,
    provider: &str,
    now: Timestamp,
) -> Result<OrgPlan, StoreError> {
    let wanted = &fetched.wanted;
    let mut children: HashMap<&OrgKey, Vec<&str>> = HashMap::new();
    for org in wanted {
        if let Some(parent) = org.parents.first() {
            children.entry(parent).or_default().push(&org.key.id);
        }
    }
    let parent_of: HashMap<&str, &OrgKey> =
        wanted.iter().filter_map(|org| Some((org.key.id.as_str(), org.parents.first()?))).collect();
    let mut plan = OrgPlan { writes: Vec::new(), unchanged: Vec::new() };
    for org in wanted {
        let document = stored.get(&org.key);
        let mut fields = document.map(|document| document.fields.clone()).unwrap_or_default();
        let (mut changed, mut mask) = match document {
            None => (org::new_org(org, provider, now), Vec::new()),
            Some(document) => org::change(&document.fields, org, provider, now).unwrap_or_default(),
        };
        fields.extend(changed.clone());
        let lists = match org.key.org_type {
            OrgType::District => org::lists_of(OrgType::District, OrgType::School),
            OrgType::School => org::lists_of(OrgType::School, OrgType::Class),
            _ => None,
        };
        if let Some(lists) = lists {
            let living = children.get(&org.key).map(Vec::as_slice).unwrap_or_default();
            let held = lists.iter().flat_map(|list| listed(&fields, list));
            let moved = |id: &&str| parent_of.get(id).is_some_and(|parent| **parent != org.key);
            let elsewhere: Vec<&str> = held.filter(moved).collect();
            if let Some((more, paths)) = org::children_change(&fields, lists, living, &[], &elsewhere, now) {
                changed.extend(more);
                mask.extend(paths);
            }
        }
        let (path, key) = (org_path(org.key.org_type, &org.key.id)?, org.key.clone());
        match document {
            None => plan.writes.push(OrgWrite { key, write: Write::create(path, changed), done: Done::Created }),
            Some(_) if mask.is_empty() => plan.unchanged.push(key),
            Some(document) => {
                let write = Write::merge(path, changed, mask).when(Precondition::UpdatedAt(document.update_time));
                plan.writes.push(OrgWrite { key, write, done: Done::Updated });
            }
        }
    }
    Ok(plan)
}

/// The orgs that came from the roster and aren't in it any more. One whose record can't be read is there.
pub(super) fn missing(fetched: &Fetched, stored: &HashMap<OrgKey, Document>) -> Vec<OrgKey> {
    let there: HashSet<&OrgKey> = fetched.wanted.iter().map(|org| &org.key).collect();
    let is_missing = |(key, org): &(&OrgKey, &Document)| {
        !there.contains(key) && !fetched.unreadable.contains(&key.id) && is_rostered(&org.fields)
    };
    let mut missing: Vec<OrgKey> = stored.iter().filter(is_missing).map(|(key, _)| key.clone()).collect();
    missing.sort();
    missing
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{NOW, class, district, fetched, school, stored};
    use super::*;
    use crate::fields;
    use crate::store::{Fields, Value, WriteKind};

    fn done(done: Done) -> &'static str {
        match done {
            Done::Created => "created",
            Done::Updated => "updated",
            Done::Removed => "removed",
            Done::Listed => "listed",
        }
    }

    /// What is written of which org, in words: `created district d1`.
    fn told(plan: &OrgPlan) -> Vec<String> {
        let written = plan.writes.iter().map(|one| (done(one.done), &one.key));
        let all = written.chain(plan.unchanged.iter().map(|key| ("unchanged", key)));
        all.map(|(what, key)| format!("{what} {} {}", key.org_type.singular(), key.id)).collect()
    }

    fn written<'a>(plan: &'a OrgPlan, id: &str) -> &'a Fields {
        let write = plan.writes.iter().find(|one| one.key.id == id).expect("it's written");
        let WriteKind::Set { fields, .. } = &write.write.kind else { panic!("it's set") };
        fields
    }

    #[test]
    fn a_new_district_is_created_with_the_lists_of_its_children() {
        let there = fetched(&[district("d1"), school("s1"), class("c1", "s1"), class("c2", "s1")]);
        let plan = plan_orgs(&there, &HashMap::new(), "clever", NOW).unwrap();
        let expected = ["created district d1", "created school s1", "created class c1", "created class c2"];
        assert_eq!(told(&plan), expected);
        assert_eq!(written(&plan, "d1")["schools"], Value::strings(["s1"]));
        assert_eq!(written(&plan, "s1")["classes"], Value::strings(["c1", "c2"]));
        assert!(plan.writes.iter().all(|one| one.write.precondition == Precondition::Missing));
    }

    #[test]
    fn only_what_differs_is_written_as_long_as_it_is_as_it_was_read() {
        let before = [district("d1"), school("s1"), class("c1", "s1")];
        let here = stored(&before);
        let plan = |there: &Fetched| plan_orgs(there, &here, "clever", NOW).unwrap();
        assert_eq!(
            told(&plan(&fetched(&before))),
            ["unchanged district d1", "unchanged school s1", "unchanged class c1"]
        );
        let mut renamed = class("c1", "s1");
        renamed.fields.insert("name".to_owned(), Value::from("Room 9"));
        renamed.fingerprint = "other".to_owned();
        let plan = plan(&fetched(&[district("d1"), school("s1"), renamed]));
        assert_eq!(told(&plan), ["updated class c1", "unchanged district d1", "unchanged school s1"]);
        assert_eq!(written(&plan, "c1")["name"], Value::from("Room 9"));
        assert_eq!(plan.writes[0].write.precondition, Precondition::UpdatedAt(NOW));
    }

    #[test]
    fn a_class_that_moves_is_in_one_list() {
        let here = stored(&[district("d1"), school("s1"), school("s2"), class("c1", "s1")]);
        let there = fetched(&[district("d1"), school("s1"), school("s2"), class("c1", "s2")]);
        let plan = plan_orgs(&there, &here, "clever", NOW).unwrap();
        assert_eq!(written(&plan, "s1")["classes"], Value::Array(Vec::new()));
        assert_eq!(written(&plan, "s2")["classes"], Value::strings(["c1"]));
        assert_eq!(written(&plan, "c1")["schoolId"], Value::from("s2"));
    }

    #[test]
    fn children_that_the_roster_does_not_know_stay_in_lists() {
        let mut here = stored(&[district("d1"), school("s1")]);
        let of_district = here.get_mut(&OrgKey::new(OrgType::District, "d1")).expect("it's there");
        of_district.fields.insert("schools".to_owned(), Value::strings(["by-hand", "s1"]));
        let there = fetched(&[district("d1"), school("s1"), school("s2")]);
        let plan = plan_orgs(&there, &here, "clever", NOW).unwrap();
        assert_eq!(written(&plan, "d1")["schools"], Value::strings(["by-hand", "s1", "s2"]));
    }

    #[test]
    fn only_orgs_of_the_roster_can_be_missing_from_it() {
        let mut here = stored(&[district("d1"), school("s1"), school("s2"), class("c1", "s1")]);
        let by_hand = OrgKey::new(OrgType::School, "by-hand");
        let mut document = here[&OrgKey::new(OrgType::School, "s1")].clone();
        document.fields = fields! { "name" => "By Hand", "districtId" => "d1" };
        here.insert(by_hand, document);
        let mut there = fetched(&[district("d1"), school("s1")]);
        let keys = |missing: Vec<OrgKey>| missing.into_iter().map(|key| key.id).collect::<Vec<_>>();
        assert_eq!(keys(missing(&there, &here)), ["s2", "c1"]);
        there.unreadable.insert("c1".to_owned());
        assert_eq!(keys(missing(&there, &here)), ["s2"], "what can't be read is there");
    }
}

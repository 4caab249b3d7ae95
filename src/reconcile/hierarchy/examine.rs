//! All orgs, and where their documents disagree with the orgs' own links. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::orgs::child_lists::ChildLists;
use crate::orgs::tree::HIERARCHY_FIELDS;
use crate::orgs::{Org, OrgKey, OrgTree, OrgType};
use crate::store::{Document, Value};

/// The fields of orgs that are read: what the hierarchy needs, and the lists of children.
pub fn fields() -> Vec<&'static str> {
    HIERARCHY_FIELDS.into_iter().chain(ChildLists::fields()).collect()
}

/// All orgs, with the children that their parents list.
#[derive(Default)]
pub struct Orgs {
    tree: OrgTree,
    /// By parent and child: whether the parent lists the child as current, and whether as archived.
    listed: BTreeMap<(OrgKey, OrgKey), [bool; 2]>,
}

impl Orgs {
    /// Adds an org's document.
    pub fn add(&mut self, org_type: OrgType, document: &Document) {
        let key = OrgKey::new(org_type, document.id());
        for (child_type, lists) in ChildLists::of_parent(org_type) {
            for (index, name) in [lists.living, lists.archived].into_iter().enumerate() {
                let ids = document.fields.get(name).and_then(Value::as_array).unwrap_or_default();
                for id in ids.iter().filter_map(Value::as_str) {
                    let child = OrgKey::new(child_type, id);
                    self.listed.entry((key.clone(), child)).or_default()[index] = true;
                }
            }
        }
        self.tree.insert(key, Org::from_fields(org_type, &document.fields));
    }

    /// The number of orgs.
    pub fn len(&self) -> usize {
        self.tree.orgs().count()
    }

    /// The hierarchy.
    pub fn tree(&self) -> &OrgTree {
        &self.tree
    }

    /// Children whose parents' lists disagree with the child's own links, each with these parents.
    pub fn children_listed_wrongly(&self) -> Vec<(OrgKey, Vec<OrgKey>)> {
        let mut wanted: BTreeMap<(OrgKey, OrgKey), [bool; 2]> = BTreeMap::new();
        for (key, org) in self.tree.orgs() {
            let listing =
                |parent: &&OrgKey| self.tree.has(parent) && ChildLists::of(parent.org_type, key.org_type).is_some();
            for parent in org.parents.iter().filter(listing) {
                wanted.insert((parent.clone(), key.clone()), [!org.archived, org.archived]);
            }
        }
        let pairs: BTreeSet<&(OrgKey, OrgKey)> = wanted.keys().chain(self.listed.keys()).collect();
        let mut wrong: BTreeMap<OrgKey, Vec<OrgKey>> = BTreeMap::new();
        for pair in pairs {
            if wanted.get(pair).copied().unwrap_or_default() != self.listed.get(pair).copied().unwrap_or_default() {
                wrong.entry(pair.1.clone()).or_default().push(pair.0.clone());
            }
        }
        wrong.into_iter().collect()
    }

    /// Classes whose own district isn't the district of their school, each with the school's district.
    pub fn classes_of_other_districts(&self) -> Vec<(OrgKey, String)> {
        let classes = self.tree.orgs().filter(|(key, _)| key.org_type == OrgType::Class);
        let differing = classes.filter_map(|(key, class)| {
            let school = class.parent(OrgType::School)?;
            let district = self.tree.get(OrgType::School, &school.id)?.parent(OrgType::District)?;
            (class.parent(OrgType::District) != Some(district)).then(|| (key.clone(), district.id.clone()))
        });
        differing.collect()
    }

    /// Orgs that name a parent that doesn't exist, each with the ID of that parent.
    pub fn orphans(&self) -> Vec<(OrgKey, String)> {
        let missing = |(key, org): (&OrgKey, &Org)| {
            let missing = org.parents.iter().find(|parent| !self.tree.has(parent))?;
            Some((key.clone(), missing.id.clone()))
        };
        self.tree.orgs().filter_map(missing).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::{DocPath, Fields, Timestamp};

    fn orgs() -> Orgs {
        let mut orgs = Orgs::default();
        let mut add = |org_type: OrgType, id: &str, fields: Fields| {
            let path = DocPath::in_collection(org_type.plural(), id).unwrap();
            let (create_time, update_time) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
            orgs.add(org_type, &Document { path, fields, create_time, update_time });
        };
        add(OrgType::District, "d1", fields! { "schools" => Value::strings(["s1", "s9"]) });
        add(OrgType::District, "d2", fields! { "schools" => Value::strings(["s2"]) });
        add(
            OrgType::School,
            "s1",
            fields! { "districtId" => "d1", "archived" => true, "classes" => Value::strings(["c1"]) },
        );
        add(OrgType::School, "s2", fields! { "districtId" => "d2" });
        add(OrgType::School, "s3", fields! { "districtId" => "gone" });
        add(OrgType::Class, "c1", fields! { "schoolId" => "s2", "districtId" => "d1" });
        orgs
    }

    #[test]
    fn what_differs_about_orgs() {
        let orgs = orgs();
        let wrong = orgs.children_listed_wrongly();
        let shown: Vec<String> = wrong
            .iter()
            .map(|(child, parents)| {
                format!("{} {}", child.id, parents.iter().map(|p| p.id.as_str()).collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(shown, ["s1 d1", "s9 d1", "c1 s1 s2"]);
        let class = OrgKey::new(OrgType::Class, "c1");
        assert_eq!(orgs.classes_of_other_districts(), [(class, "d2".to_owned())]);
        assert_eq!(orgs.orphans(), [(OrgKey::new(OrgType::School, "s3"), "gone".to_owned())]);
    }
}

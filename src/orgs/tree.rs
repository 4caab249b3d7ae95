//! The hierarchy of orgs as pure functions over a snapshot (docs/domain/orgs.md).

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::{OrgKey, OrgLists, OrgType};
use crate::documents::org;
use crate::store::{Document, Fields, Value};

/// What the hierarchy needs to know of one org.
///
/// Only the child's own links count. The lists of children in parents' documents are for pages, and this service
/// maintains them ([`ChildLists`](super::child_lists::ChildLists)). So nobody gains an org, or its people, by writing
/// the org's ID into a list of their own org.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Org {
    /// Archived orgs get no new assignments.
    pub archived: bool,
    /// The orgs that this org's own fields name as parents.
    pub parents: Vec<OrgKey>,
}

/// The fields of org documents that the hierarchy reads.
pub const HIERARCHY_FIELDS: [&str; 6] = [
    org::field::ARCHIVED,
    org::field::DISTRICT_ID,
    org::field::SCHOOL_ID,
    org::field::PARENT_ORG_TYPE,
    org::field::PARENT_ORG_ID,
    org::field::FAMILY_ID,
];

impl Org {
    /// Reads an org document's fields (docs/domain/orgs.md#how-children-link-to-parents). Empty and missing links are
    /// skipped.
    pub fn from_fields(org_type: OrgType, fields: &Fields) -> Org {
        let link = |name: &str| fields.get(name).and_then(Value::as_str).filter(|id| !id.is_empty());
        let mut parents = Vec::new();
        if org_type == OrgType::Class {
            parents.extend(link(org::field::SCHOOL_ID).map(|id| OrgKey::new(OrgType::School, id)));
        }
        if matches!(org_type, OrgType::Class | OrgType::School) {
            parents.extend(link(org::field::DISTRICT_ID).map(|id| OrgKey::new(OrgType::District, id)));
        }
        if org_type == OrgType::Group {
            if let (Some(parent_type), Some(id)) =
                (link(org::field::PARENT_ORG_TYPE).and_then(OrgType::parse), link(org::field::PARENT_ORG_ID))
            {
                parents.push(OrgKey::new(parent_type, id));
            }
            parents.extend(link(org::field::FAMILY_ID).map(|id| OrgKey::new(OrgType::Family, id)));
        }
        Org { archived: fields.get(org::field::ARCHIVED).and_then(Value::as_bool).unwrap_or(false), parents }
    }

    /// The parent of that type.
    pub fn parent(&self, org_type: OrgType) -> Option<&OrgKey> {
        self.parents.iter().find(|parent| parent.org_type == org_type)
    }
}

/// A snapshot of org documents. Orgs that the snapshot lacks are treated as missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrgTree {
    orgs: BTreeMap<OrgKey, Org>,
    /// Parent to children, derived from the children's links.
    down: HashMap<OrgKey, Vec<OrgKey>>,
}

impl OrgTree {
    /// A snapshot of the given orgs.
    pub fn new(orgs: impl IntoIterator<Item = (OrgKey, Org)>) -> OrgTree {
        let mut tree = OrgTree::default();
        for (key, org) in orgs {
            tree.insert(key, org);
        }
        tree
    }

    /// Adds one org; if the org is there already, the first version stays.
    pub fn insert(&mut self, key: OrgKey, org: Org) {
        if self.orgs.contains_key(&key) {
            return;
        }
        for parent in &org.parents {
            // A family is an ancestor of its groups, but a family's descendants don't include them.
            if parent.org_type != OrgType::Family {
                self.down.entry(parent.clone()).or_default().push(key.clone());
            }
        }
        self.orgs.insert(key, org);
    }

    /// Adds an org document, whose type follows from its path; other documents are skipped.
    pub fn insert_document(&mut self, document: &Document) {
        if let Some(org_type) = OrgType::parse(document.path.collection_id()) {
            self.insert(OrgKey::new(org_type, document.id()), Org::from_fields(org_type, &document.fields));
        }
    }

    /// The org, if the snapshot has it.
    pub fn get(&self, org_type: OrgType, id: &str) -> Option<&Org> {
        self.orgs.get(&OrgKey::new(org_type, id))
    }

    /// True when the snapshot has the org.
    pub fn has(&self, key: &OrgKey) -> bool {
        self.orgs.contains_key(key)
    }

    /// How many orgs of that type have one of `parents` as a parent. Archived orgs count only with `include_archived`.
    pub fn count_children(&self, child_type: OrgType, parents: &[String], include_archived: bool) -> u64 {
        let parents: HashSet<&str> = parents.iter().map(String::as_str).collect();
        let is_child = |(key, org): &(&OrgKey, &Org)| {
            key.org_type == child_type
                && (include_archived || !org.archived)
                // A group links to its family by another field.
                && org.parents.iter().any(|above| {
                    above.org_type != OrgType::Family
                        && (child_type != OrgType::Class || above.org_type == OrgType::School)
                        && parents.contains(above.id.as_str())
                })
        };
        self.orgs.iter().filter(is_child).count() as u64
    }

    /// All orgs of the snapshot.
    pub fn orgs(&self) -> impl Iterator<Item = (&OrgKey, &Org)> {
        self.orgs.iter()
    }

    /// The orgs of `lists` that exist.
    pub fn only_existing(&self, lists: &OrgLists) -> OrgLists {
        lists.iter().filter(|(org_type, id)| self.get(*org_type, id).is_some()).collect()
    }

    /// The parents of an org. A class is in the district of its school, whatever the class itself says: the class's own
    /// link to the district is a copy, which lags behind when a school moves and which a client may have made up.
    fn parents<'a>(&'a self, org: &'a Org) -> impl Iterator<Item = &'a OrgKey> {
        let school = org.parent(OrgType::School).and_then(|school| self.orgs.get(school));
        let of_school = school.and_then(|school| school.parent(OrgType::District));
        let is_copy = move |parent: &&OrgKey| parent.org_type == OrgType::District && of_school.is_some();
        org.parents.iter().filter(move |parent| !is_copy(parent) || of_school == Some(*parent))
    }

    /// The children of an org. Archived ones only with `include_archived`.
    fn children(&self, key: &OrgKey, include_archived: bool) -> Vec<&OrgKey> {
        let linked = self.down.get(key).map(Vec::as_slice).unwrap_or_default();
        let is_child = |child: &&OrgKey| {
            let org = self.orgs.get(*child).filter(|org| include_archived || !org.archived);
            org.is_some_and(|org| self.parents(org).any(|parent| parent == key))
        };
        let mut children: Vec<&OrgKey> = linked.iter().filter(is_child).collect();
        // A fixed order, by type: it must not depend on how the links were found.
        children.sort_by_key(|child| child.org_type);
        children
    }

    /// All orgs of `lists` and their descendants: the input first, then descendants in order of discovery. Archived
    /// descendants only with `include_archived`, which removals need to reach former members. Orgs that don't exist are
    /// dropped.
    pub fn exhaustive(&self, lists: &OrgLists, include_archived: bool) -> OrgLists {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        let mut queue: VecDeque<OrgKey> = VecDeque::new();
        for (org_type, id) in lists.iter() {
            let key = OrgKey::new(org_type, id);
            if self.has(&key) && seen.insert(key.clone()) {
                found.push(key.clone());
                queue.push_back(key);
            }
        }
        while let Some(key) = queue.pop_front() {
            for child in self.children(&key, include_archived) {
                if seen.insert(child.clone()) {
                    found.push(child.clone());
                    queue.push_back(child.clone());
                }
            }
        }
        found.iter().map(|key| (key.org_type, key.id.as_str())).collect()
    }

    /// The orgs of `lists` that are below no other org of `lists`. Of orgs that contain each other (a cycle of groups),
    /// the first stays. Orgs that don't exist are dropped.
    pub fn minimal(&self, lists: &OrgLists) -> OrgLists {
        let listed: Vec<OrgKey> =
            lists.iter().map(|(org_type, id)| OrgKey::new(org_type, id)).filter(|key| self.has(key)).collect();
        let position: HashMap<&OrgKey, usize> = listed.iter().enumerate().map(|(index, key)| (key, index)).collect();
        let up = self.upward();
        let above: Vec<HashSet<&OrgKey>> = listed.iter().map(|key| closure(key, &up)).collect();
        listed
            .iter()
            .enumerate()
            .filter(|(index, key)| {
                !above[*index].iter().any(|ancestor| match position.get(*ancestor) {
                    // The two are in one cycle: only an earlier org displaces a later one.
                    Some(other) if *other != *index => !above[*other].contains(*key) || other < index,
                    _ => false,
                })
            })
            .map(|(_, key)| (key.org_type, key.id.as_str()))
            .collect()
    }

    /// `lists` and all ancestors, by the links of the orgs themselves: the orgs whose admins may read. Orgs that don't
    /// exist are left out.
    pub fn read_orgs(&self, lists: &OrgLists) -> OrgLists {
        let mut result = self.only_existing(lists);
        let mut seen: HashSet<OrgKey> = result.iter().map(|(org_type, id)| OrgKey::new(org_type, id)).collect();
        let mut queue: VecDeque<OrgKey> = seen.iter().cloned().collect();
        let mut ancestors = Vec::new();
        while let Some(key) = queue.pop_front() {
            for parent in self.orgs.get(&key).into_iter().flat_map(|org| self.parents(org)) {
                if self.has(parent) && seen.insert(parent.clone()) {
                    ancestors.push(parent.clone());
                    queue.push_back(parent.clone());
                }
            }
        }
        ancestors.sort();
        result.extend(&ancestors.iter().map(|key| (key.org_type, key.id.as_str())).collect());
        result
    }

    /// Child to parents: the inverse of the relation from parents to children that aren't archived.
    fn upward(&self) -> HashMap<&OrgKey, Vec<&OrgKey>> {
        let mut up: HashMap<&OrgKey, Vec<&OrgKey>> = HashMap::new();
        for key in self.orgs.keys() {
            for child in self.children(key, false) {
                up.entry(child).or_default().push(key);
            }
        }
        up
    }
}

/// All ancestors of `start`; includes `start` itself only when it's on a cycle.
fn closure<'a>(start: &OrgKey, up: &HashMap<&'a OrgKey, Vec<&'a OrgKey>>) -> HashSet<&'a OrgKey> {
    let mut seen = HashSet::new();
    let mut queue: Vec<&OrgKey> = up.get(start).cloned().unwrap_or_default();
    while let Some(key) = queue.pop() {
        if seen.insert(key) {
            queue.extend(up.get(key).into_iter().flatten());
        }
    }
    seen
}

#[cfg(test)]
mod tests;

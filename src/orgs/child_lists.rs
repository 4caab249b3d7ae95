//! The lists of children in the documents of orgs: `schools`, `classes` and `subGroups` have the children that aren't
//! archived, `archivedSchools`, `archivedClasses` and `archivedSubGroups` the others
//! (docs/domain/orgs.md#lists-of-children). Pure.
//!
//! These lists are for pages. They are derived from the children's own links, which alone define the hierarchy
//! ([`tree`](super::tree)).

use super::{Org, OrgKey, OrgType};
use crate::documents::org;
use crate::store::{DocPath, FieldPath, Fields, Precondition, Result, Transform, Value, Write};

/// The names of the two fields in which parents list children of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildLists {
    /// The field with children that aren't archived.
    pub living: &'static str,
    /// The field with archived children.
    pub archived: &'static str,
}

const SCHOOLS: ChildLists = ChildLists { living: org::field::SCHOOLS, archived: org::field::ARCHIVED_SCHOOLS };
const CLASSES: ChildLists = ChildLists { living: org::field::CLASSES, archived: org::field::ARCHIVED_CLASSES };
const GROUPS: ChildLists = ChildLists { living: org::field::SUB_GROUPS, archived: org::field::ARCHIVED_SUB_GROUPS };

impl ChildLists {
    /// All fields in which some parent lists children.
    pub fn fields() -> impl Iterator<Item = &'static str> {
        [SCHOOLS, CLASSES, GROUPS].into_iter().flat_map(|lists| [lists.living, lists.archived])
    }

    /// The fields in which a parent of type `parent` lists children of type `child`; `None` where it lists none: a
    /// district lists its schools, and a school its classes.
    pub fn of(parent: OrgType, child: OrgType) -> Option<ChildLists> {
        match (parent, child) {
            (OrgType::District, OrgType::School) => Some(SCHOOLS),
            (OrgType::School, OrgType::Class) => Some(CLASSES),
            (_, OrgType::Group) => Some(GROUPS),
            _ => None,
        }
    }

    /// All list fields of a parent of that type, each with the type of the children.
    pub fn of_parent(parent: OrgType) -> impl Iterator<Item = (OrgType, ChildLists)> {
        OrgType::ALL.into_iter().filter_map(move |child| Some((child, ChildLists::of(parent, child)?)))
    }
}

/// The children that an org's lists name, archived ones included. The groups that a family lists are left out, because
/// they aren't below the family.
pub fn listed(org_type: OrgType, fields: &Fields) -> Vec<OrgKey> {
    let of_lists = ChildLists::of_parent(org_type).flat_map(|(child, lists)| {
        [lists.living, lists.archived].into_iter().flat_map(move |name| ids(fields, name).map(move |id| (child, id)))
    });
    of_lists.filter(|_| org_type != OrgType::Family).map(|(child, id)| OrgKey::new(child, id)).collect()
}

fn ids<'a>(fields: &'a Fields, name: &str) -> impl Iterator<Item = &'a str> {
    let list = fields.get(name).and_then(Value::as_array).unwrap_or_default();
    list.iter().filter_map(Value::as_str).filter(|id| !id.is_empty())
}

/// The writes that make a parent's lists agree with a child's own links; `child` is `None` when the child is gone.
/// Empty where they agree already. The commit fails with a conflict when the parent is missing.
pub fn mending(parent: &OrgKey, parent_fields: &Fields, child_key: &OrgKey, child: Option<&Org>) -> Result<Vec<Write>> {
    let Some(lists) = ChildLists::of(parent.org_type, child_key.org_type) else { return Ok(Vec::new()) };
    let linked = child.filter(|child| child.parents.contains(parent));
    let wanted = [
        (lists.living, linked.is_some_and(|child| !child.archived)),
        (lists.archived, linked.is_some_and(|child| child.archived)),
    ];
    let path = DocPath::in_collection(parent.org_type.plural(), &parent.id)?;
    let id = || vec![Value::from(child_key.id.as_str())];
    let mut write = Write::transform(path, Vec::new()).when(Precondition::Exists);
    let mut any = false;
    for (name, is_wanted) in wanted {
        if ids(parent_fields, name).any(|id| id == child_key.id) != is_wanted {
            let transform = if is_wanted { Transform::Union(id()) } else { Transform::Remove(id()) };
            write = write.with(FieldPath::top(name), transform);
            any = true;
        }
    }
    Ok(if any { vec![write] } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::WriteKind;

    fn key(org_type: OrgType, id: &str) -> OrgKey {
        OrgKey::new(org_type, id)
    }

    /// What a mending does: `+schools`, `-archivedSchools`.
    fn changes(parent: &OrgKey, fields: &Fields, child: &OrgKey, org: Option<&Org>) -> Vec<String> {
        let writes = mending(parent, fields, child, org).unwrap();
        let transforms = writes.into_iter().flat_map(|write| match write.kind {
            WriteKind::Set { transforms, .. } => transforms,
            WriteKind::Delete => panic!("a transform"),
        });
        let sign = |transform: &Transform| if matches!(transform, Transform::Union(_)) { '+' } else { '-' };
        transforms.map(|of| format!("{}{}", sign(&of.transform), of.path)).collect()
    }

    #[test]
    fn lists_say_what_children_say() {
        let (d1, d2) = (key(OrgType::District, "d1"), key(OrgType::District, "d2"));
        let school = key(OrgType::School, "s1");
        let org = |district: &str, archived: bool| {
            Org::from_fields(OrgType::School, &fields! { "districtId" => district, "archived" => archived })
        };
        let with = |name: &str| Fields::from([(name.to_owned(), Value::strings(["s0", "s1"]))]);
        let table: [(&str, &OrgKey, Fields, Option<Org>, &[&str]); 9] = [
            ("new", &d1, fields! {}, Some(org("d1", false)), &["+schools"]),
            ("listed", &d1, with("schools"), Some(org("d1", false)), &[]),
            ("archived", &d1, with("schools"), Some(org("d1", true)), &["-schools", "+archivedSchools"]),
            ("back", &d1, with("archivedSchools"), Some(org("d1", false)), &["+schools", "-archivedSchools"]),
            ("moved away", &d1, with("schools"), Some(org("d2", false)), &["-schools"]),
            ("moved here", &d2, fields! {}, Some(org("d2", false)), &["+schools"]),
            ("gone", &d1, with("archivedSchools"), None, &["-archivedSchools"]),
            ("never there", &d2, fields! {}, None, &[]),
            ("a list that isn't one", &d1, fields! { "schools" => "s1" }, Some(org("d1", false)), &["+schools"]),
        ];
        for (what, parent, fields, org, expected) in table {
            assert_eq!(changes(parent, &fields, &school, org.as_ref()), expected, "{what}");
        }
        // A district doesn't list classes; a class lists groups.
        let class = Org::from_fields(OrgType::Class, &fields! { "districtId" => "d1" });
        assert!(changes(&d1, &fields! {}, &key(OrgType::Class, "c1"), Some(&class)).is_empty());
        let group = Org::from_fields(OrgType::Group, &fields! { "parentOrgType" => "class", "parentOrgId" => "c1" });
        let parent = key(OrgType::Class, "c1");
        assert_eq!(changes(&parent, &fields! {}, &key(OrgType::Group, "g1"), Some(&group)), ["+subGroups"]);
    }

    #[test]
    fn what_is_listed() {
        let fields = fields! {
            "schools" => Value::strings(["s1", ""]), "archivedSchools" => Value::strings(["s2"]),
            "classes" => Value::strings(["c1"]), "subGroups" => Value::strings(["g1"]),
        };
        let ids = |of| listed(of, &fields).into_iter().map(|key| key.id).collect::<Vec<_>>();
        assert_eq!(ids(OrgType::District), ["s1", "s2", "g1"]);
        assert_eq!(ids(OrgType::School), ["c1", "g1"]);
        assert!(ids(OrgType::Family).is_empty());
    }
}

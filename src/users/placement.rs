//! The orgs that a user must be in because of their schools and classes: a member of a class is also a member of its
//! school and district (docs/domain/orgs.md#placement-of-people). Pure.

use crate::documents::user::orgs::CURRENT;
use crate::orgs::{OrgKey, OrgLists, OrgTree, OrgType};
use crate::store::{FieldPath, Fields, Value};

/// How a user's current orgs differ from those that their schools and classes require.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// Orgs above the user's schools and classes that the user isn't in.
    pub missing: Vec<OrgKey>,
    /// Districts that the user is in although all of their schools and classes are in other districts.
    pub stray: Vec<OrgKey>,
}

/// The differences of a user's orgs; `None` when there are none.
pub fn misplaced(current: &OrgLists, tree: &OrgTree) -> Option<Misplaced> {
    let below = current.iter().filter(|(of, _)| matches!(of, OrgType::School | OrgType::Class)).collect::<OrgLists>();
    let above = tree.read_orgs(&below);
    let missing = above.iter().filter(|(of, id)| !current.contains(*of, id));
    let missing: Vec<OrgKey> = missing.map(|(of, id)| OrgKey::new(of, id)).collect();
    let is_elsewhere = !above.of(OrgType::District).is_empty();
    // A user may be in a district without any school, but not while all of their schools are in other districts.
    let stray =
        current.of(OrgType::District).iter().filter(|id| is_elsewhere && !above.contains(OrgType::District, id));
    let stray: Vec<OrgKey> = stray.map(|id| OrgKey::new(OrgType::District, id)).collect();
    (!missing.is_empty() || !stray.is_empty()).then_some(Misplaced { missing, stray })
}

impl Misplaced {
    /// The current orgs without the stray ones, and with the missing ones.
    pub fn mended(&self, current: &OrgLists) -> OrgLists {
        let is_stray = |of: OrgType, id: &str| self.stray.iter().any(|org| org.org_type == of && org.id == id);
        let kept = current.iter().filter(|(of, id)| !is_stray(*of, id));
        kept.chain(self.missing.iter().map(|org| (org.org_type, org.id.as_str()))).collect()
    }
}

/// The lists of a user's document that change with their orgs, and the mask to write them with; `None` when no list
/// changes.
pub fn changed_lists(before: &OrgLists, after: &OrgLists) -> Option<(Fields, Vec<FieldPath>)> {
    let (mut fields, mut mask) = (Fields::new(), Vec::new());
    for org_type in OrgType::ALL.into_iter().filter(|org_type| after.of(*org_type) != before.of(*org_type)) {
        mask.push(FieldPath::of([org_type.plural(), CURRENT]));
        let list = Fields::from([(CURRENT.to_owned(), Value::strings(after.of(org_type)))]);
        fields.insert(org_type.plural().to_owned(), Value::Map(list));
    }
    (!mask.is_empty()).then_some((fields, mask))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::orgs::Org;

    fn tree() -> OrgTree {
        let org = |org_type, id: &str, fields: Fields| (OrgKey::new(org_type, id), Org::from_fields(org_type, &fields));
        OrgTree::new([
            org(OrgType::District, "d1", Fields::new()),
            org(OrgType::District, "d2", Fields::new()),
            org(OrgType::School, "s1", fields! { "districtId" => "d1" }),
            org(OrgType::School, "s2", fields! { "districtId" => "d2" }),
            org(OrgType::School, "s3", fields! { "districtId" => "gone" }),
            org(OrgType::Class, "c1", fields! { "schoolId" => "s2", "districtId" => "d1" }),
        ])
    }

    #[test]
    fn what_differs_about_people() {
        let tree = tree();
        let lists = |ids: &[(OrgType, &'static str)]| ids.iter().copied().collect::<OrgLists>();
        use OrgType::{Class, District, Group, School};
        type Ids = &'static [(OrgType, &'static str)];
        // The user's orgs; the missing orgs; the stray districts.
        let table: [(Ids, &[&str], &[&str]); 6] = [
            (&[(District, "d2"), (School, "s2"), (Class, "c1")], &[], &[]),
            (&[(District, "d1"), (School, "s2"), (Class, "c1")], &["d2"], &["d1"]),
            (&[(District, "d1"), (Class, "c1"), (School, "s1")], &["d2", "s2"], &[]),
            (&[(District, "d1")], &[], &[]),
            (&[(District, "d1"), (Group, "g")], &[], &[]),
            (&[(School, "s3")], &[], &[]),
        ];
        for (current, missing, stray) in table {
            let current = lists(current);
            let found = misplaced(&current, &tree);
            let ids = |orgs: &[OrgKey]| orgs.iter().map(|org| org.id.clone()).collect::<Vec<_>>();
            let shown = found.as_ref().map(|found| (ids(&found.missing), ids(&found.stray))).unwrap_or_default();
            assert_eq!(
                shown,
                (
                    missing.iter().map(|id| (*id).to_owned()).collect(),
                    stray.iter().map(|id| (*id).to_owned()).collect()
                ),
                "{current:?}"
            );
            let Some(found) = found else { continue };
            let mended = found.mended(&current);
            assert_eq!(misplaced(&mended, &tree), None, "mended");
        }
    }
}

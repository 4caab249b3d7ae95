//! The two lists of orgs in an admin's claims: the top-most granted orgs, and all orgs that these include
//! (docs/domain/rights.md#both-lists-of-orgs). Pure, but for [`snapshot`].

use thiserror::Error;

use crate::documents::user_claims;
use crate::fields;
use crate::orgs::{OrgKey, OrgLists, OrgTree, OrgType, Reach, load_tree};
use crate::runtime::{FunctionError, Status};
use crate::store::{Database, FieldPath, Fields, StoreError, Value};

/// Both lists of orgs in an admin's claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminOrgs {
    /// The granted orgs, without those below another granted org.
    pub minimal: OrgLists,
    /// The granted orgs and everything below them.
    pub exhaustive: OrgLists,
}

/// The most entries that both lists may have together. Each is an index entry in Firestore.
const MOST_ORGS: usize = 30_000;
/// The most bytes that the IDs of both lists may take together. The rest of Firestore's megabyte is for the sources of
/// the rights.
const MOST_BYTES: usize = 600_000;

/// More orgs than a claims document can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("these rights would come to {orgs} orgs with all that's below them, which is more than one account can hold")]
pub struct NoRoom {
    /// How many orgs the lists would name.
    pub orgs: usize,
}

impl From<NoRoom> for FunctionError {
    fn from(error: NoRoom) -> Self {
        let message = format!(
            "These rights would come to {} orgs with all that's below them, which is more than one account can hold. Give \
             them to several accounts.",
            error.orgs
        );
        FunctionError::new(Status::ResourceExhausted, message)
    }
}

/// An org that can't be removed, because an org above it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldThrough {
    /// The org that can't be removed.
    pub org: OrgKey,
    /// The org above it.
    pub ancestor: OrgKey,
}

/// The granted orgs according to the claims: those of the minimal list that the exhaustive list, which gives the
/// rights, has too; the exhaustive list where only that is stored.
pub fn granted(claims: Option<&Fields>) -> OrgLists {
    let AdminOrgs { minimal, exhaustive } = stored(claims);
    if !matches!(claims.and_then(|claims| claims.get(user_claims::field::ADMIN_ORGS)), Some(Value::Map(_))) {
        return minimal;
    }
    let both = minimal.intersection(&exhaustive.to_set());
    if both.is_empty() { exhaustive } else { both }
}

/// A snapshot of `orgs` and everything below them.
pub async fn snapshot(database: &Database, orgs: &OrgLists) -> Result<OrgTree, StoreError> {
    load_tree(database, orgs, Reach::Down { include_archived: false }).await
}

/// Both lists as the claims hold them.
pub fn stored(claims: Option<&Fields>) -> AdminOrgs {
    let list = |name: &str| OrgLists::from_value(claims.and_then(|claims| claims.get(name)));
    AdminOrgs {
        minimal: list(user_claims::field::MINIMAL_ADMIN_ORGS),
        exhaustive: list(user_claims::field::ADMIN_ORGS),
    }
}

impl AdminOrgs {
    /// The lists that result from granting `orgs`, given a snapshot of these orgs and everything below them. Orgs that
    /// don't exist are dropped: pages of admins whose claims name such orgs fail
    /// (docs/domain/dashboard.md#claims-and-tokens).
    pub fn of(orgs: &OrgLists, tree: &OrgTree) -> AdminOrgs {
        let minimal = tree.minimal(orgs);
        AdminOrgs { exhaustive: tree.exhaustive(&minimal, false), minimal }
    }

    /// The lists that remain of `granted` without `removed`, given a snapshot of the remaining orgs and everything
    /// below them. An org that is held through an org above it can't be removed alone (docs/domain/decisions.md#a-2).
    pub fn without(granted: &OrgLists, removed: &OrgLists, tree: &OrgTree) -> Result<AdminOrgs, HeldThrough> {
        let rest = AdminOrgs::of(&granted.difference(&removed.to_set()), tree);
        let held = removed.iter().find(|(org_type, id)| rest.exhaustive.contains(*org_type, id));
        let Some((org_type, id)) = held else { return Ok(rest) };
        let holds = |(above, above_id): &(OrgType, &str)| {
            let alone = OrgLists::from_iter([(*above, *above_id)]);
            tree.exhaustive(&alone, false).contains(org_type, id)
        };
        let ancestor = rest.minimal.iter().find(holds).unwrap_or((org_type, id));
        Err(HeldThrough { org: OrgKey::new(org_type, id), ancestor: OrgKey::new(ancestor.0, ancestor.1) })
    }

    /// Fails when the lists exceed what a claims document can hold beside its other fields: Firestore's limits are a
    /// megabyte and 40,000 index entries.
    pub fn check_room(&self) -> Result<(), NoRoom> {
        let orgs = self.minimal.iter().chain(self.exhaustive.iter());
        let (number, bytes) = orgs.fold((0, 0), |(number, bytes), (_, id)| (number + 1, bytes + id.len() + 1));
        if number > MOST_ORGS || bytes > MOST_BYTES { Err(NoRoom { orgs: number }) } else { Ok(()) }
    }

    /// True when both name the same orgs, in any order.
    pub fn same(&self, other: &AdminOrgs) -> bool {
        self.minimal.same_orgs(&other.minimal) && self.exhaustive.same_orgs(&other.exhaustive)
    }

    /// Both lists as fields of the claims.
    pub fn to_fields(&self) -> Fields {
        fields! { user_claims::field::ADMIN_ORGS => self.exhaustive.to_value(), user_claims::field::MINIMAL_ADMIN_ORGS => self.minimal.to_value() }
    }

    /// The mask to write [`AdminOrgs::to_fields`] with.
    pub fn mask() -> [FieldPath; 2] {
        [user_claims::field::ADMIN_ORGS, user_claims::field::MINIMAL_ADMIN_ORGS]
            .map(|name| FieldPath::of([user_claims::field::CLAIMS, name]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orgs::Org;
    use OrgType::{Class, District, Group, School};
    use proptest::prelude::*;

    fn tree() -> OrgTree {
        let org = |org_type, id: &str, fields: Fields| (OrgKey::new(org_type, id), Org::from_fields(org_type, &fields));
        OrgTree::new([
            org(District, "d1", Fields::new()),
            org(School, "s1", fields! { "districtId" => "d1" }),
            org(School, "s2", fields! { "districtId" => "d1" }),
            org(Class, "c1", fields! { "schoolId" => "s1", "districtId" => "d1" }),
            org(Class, "c2", fields! { "schoolId" => "s2", "districtId" => "d1" }),
            org(Group, "g1", fields! { "parentOrgType" => "class", "parentOrgId" => "c1" }),
            org(Group, "g2", Fields::new()),
        ])
    }

    const ALL: [(OrgType, &str); 8] = [
        (District, "d1"),
        (School, "s1"),
        (School, "s2"),
        (Class, "c1"),
        (Class, "c2"),
        (Group, "g1"),
        (Group, "g2"),
        (School, "gone"),
    ];

    fn lists(orgs: &[(OrgType, &'static str)]) -> OrgLists {
        orgs.iter().copied().collect()
    }

    #[test]
    fn removal_knows_what_is_held_through_what() {
        let through = |org_type, id: &str, above, above_id: &str| {
            Err(HeldThrough { org: OrgKey::new(org_type, id), ancestor: OrgKey::new(above, above_id) })
        };
        // The granted orgs; the removed orgs; the remaining orgs, or the org that is held and the org above it.
        type Orgs = &'static [(OrgType, &'static str)];
        let table: [(Orgs, Orgs, Result<Orgs, HeldThrough>); 8] = [
            (&[(School, "s1"), (Group, "g2")], &[(Group, "g2")], Ok(&[(School, "s1")])),
            (&[(School, "s1")], &[(School, "s2")], Ok(&[(School, "s1")])),
            (&[(School, "s1")], &[(School, "s1")], Ok(&[])),
            (&[(District, "d1")], &[(School, "s1")], through(School, "s1", District, "d1")),
            (&[(District, "d1")], &[(Group, "g1")], through(Group, "g1", District, "d1")),
            (&[(District, "d1"), (School, "s1")], &[(School, "s1")], through(School, "s1", District, "d1")),
            (&[(District, "d1"), (School, "s1")], &[(District, "d1")], Ok(&[(School, "s1")])),
            (&[(District, "d1")], &[(District, "d1"), (School, "s1")], Ok(&[])),
        ];
        for (granted, removed, expected) in table {
            let left = AdminOrgs::without(&lists(granted), &lists(removed), &tree()).map(|left| left.minimal);
            assert_eq!(left, expected.map(lists), "{granted:?} without {removed:?}");
        }
    }

    proptest! {
        #[test]
        fn the_lists_belong_together(granted: [bool; 8], removed: [bool; 8]) {
            let pick = |chosen: [bool; 8]| -> OrgLists {
                ALL.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(org, _)| org).collect()
            };
            let (granted, removed) = (pick(granted), pick(removed));
            let orgs = AdminOrgs::of(&granted, &tree());
            prop_assert!(tree().minimal(&orgs.exhaustive).same_orgs(&orgs.minimal));
            prop_assert!(tree().exhaustive(&orgs.minimal, false).same_orgs(&orgs.exhaustive));
            prop_assert!(!orgs.exhaustive.contains(School, "gone"));
            // Granting again changes nothing; neither does the order of two grants.
            let both = AdminOrgs::of(&OrgLists::from_iter(orgs.minimal.iter().chain(removed.iter())), &tree());
            let turned = AdminOrgs::of(&OrgLists::from_iter(removed.iter().chain(granted.iter())), &tree());
            prop_assert!(both.same(&turned));
            prop_assert!(AdminOrgs::of(&orgs.minimal, &tree()).same(&orgs));
            // After a successful removal, the removed orgs are no longer held.
            if let Ok(left) = AdminOrgs::without(&orgs.minimal, &removed, &tree()) {
                prop_assert!(left.exhaustive.intersection(&removed.to_set()).is_empty());
                prop_assert!(left.exhaustive.difference(&orgs.exhaustive.to_set()).is_empty());
            }
        }
    }
}

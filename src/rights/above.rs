//! Who may grant and revoke rights over which orgs: the matrix of docs/domain/rights.md#who-may-give-what.

use async_trait::async_trait;

use super::{Claims, NamesOrgs, Payload, Permit, Requester, Rule, denied};
use crate::app::App;
use crate::orgs::{OrgKey, OrgLists, OrgTree, OrgType, Reach, load_tree};
use crate::payload::shown;
use crate::runtime::{Caller, FunctionError, Status};

/// Permit to grant or revoke rights over the orgs that the request names.
#[derive(Clone, Debug)]
pub struct AboveOrgs {
    /// The caller, with their rights.
    pub requester: Requester,
}

#[async_trait]
impl<R: Payload + NamesOrgs> Permit<R> for AboveOrgs {
    const RULE: Rule = Rule::AboveOrgs;

    /// Reads the caller's rights, and the orgs with their ancestors.
    async fn grant(app: &App, caller: &Caller, request: &R) -> Result<Self, FunctionError> {
        let requester = Requester::of(app, caller).await?;
        let orgs = request.orgs();
        // Refuse what the matrix excludes in any case before reading the orgs.
        if !may_be_above(&requester.claims, orgs) {
            return Err(denied(DENIED));
        }
        let tree = load_tree(&app.stores.admin, orgs, Reach::Up).await?;
        check(&requester.claims, orgs, &tree, request.may_be_missing())?;
        Ok(AboveOrgs { requester })
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

const DENIED: &str = "You may not change rights over all of these orgs.";

/// False when the matrix refuses these orgs to the caller, whatever the hierarchy of orgs is.
fn may_be_above(claims: &Claims, orgs: &OrgLists) -> bool {
    let holds = |types: &[OrgType]| types.iter().any(|org_type| !claims.admin_orgs.of(*org_type).is_empty());
    claims.super_admin
        || !orgs.is_empty()
            && orgs.iter().all(|(org_type, id)| match org_type {
                OrgType::District | OrgType::Group => false,
                OrgType::School => holds(&[OrgType::District]),
                OrgType::Class => holds(&[OrgType::District, OrgType::School]),
                OrgType::Family => claims.admin_orgs.contains(OrgType::Family, id),
            })
}

/// Checks the request against the matrix. Only super admins may name no org at all. Fails with PERMISSION_DENIED, or
/// with NOT_FOUND for an org that doesn't exist.
fn check(claims: &Claims, orgs: &OrgLists, tree: &OrgTree, may_be_missing: bool) -> Result<(), FunctionError> {
    if orgs.is_empty() && !claims.super_admin {
        return Err(denied(DENIED));
    }
    for (org_type, id) in orgs.iter() {
        let org = tree.get(org_type, id);
        let missing = || {
            let message = format!("The {} {} doesn't exist.", org_type.singular(), shown(id));
            Err(FunctionError::new(Status::NotFound, message))
        };
        if claims.super_admin {
            match org {
                None if !may_be_missing => return missing(),
                _ => continue,
            }
        }
        let holds = |key: &OrgKey| claims.admin_orgs.contains(key.org_type, &key.id);
        let allowed = match (org_type, org) {
            (OrgType::District | OrgType::Group, _) => false,
            (OrgType::Family, _) => claims.admin_orgs.contains(OrgType::Family, id),
            (OrgType::School | OrgType::Class, None) => return missing(),
            (OrgType::School, Some(org)) => {
                org.parents.iter().any(|parent| parent.org_type == OrgType::District && holds(parent))
            }
            (OrgType::Class, Some(org)) => {
                let above = |parent: &&OrgKey| matches!(parent.org_type, OrgType::School | OrgType::District);
                org.parents.iter().filter(above).any(holds)
            }
        };
        if !allowed {
            return Err(denied(DENIED));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::orgs::Org;
    use crate::store::Fields;

    fn tree() -> OrgTree {
        let org = |org_type, id: &str, fields: Fields| (OrgKey::new(org_type, id), Org::from_fields(org_type, &fields));
        OrgTree::new([
            org(OrgType::District, "d1", Fields::new()),
            org(OrgType::School, "s1", fields! { "districtId" => "d1" }),
            org(OrgType::School, "s2", fields! { "districtId" => "d1" }),
            org(OrgType::Class, "c1", fields! { "schoolId" => "s1", "districtId" => "d1" }),
            org(OrgType::Group, "g1", Fields::new()),
            org(OrgType::Family, "f1", Fields::new()),
        ])
    }

    #[test]
    fn the_matrix() {
        use OrgType::{Class, District, Family, Group, School};
        let lists = |orgs: &[(OrgType, &'static str)]| orgs.iter().copied().collect::<OrgLists>();
        let admin = |orgs: &[(OrgType, &'static str)]| Claims { admin_orgs: lists(orgs), ..Claims::default() };
        let above = admin(&[(District, "d1"), (School, "s1"), (School, "s2"), (Class, "c1")]);
        let school = admin(&[(School, "s1"), (Class, "c1")]);
        let sibling = admin(&[(School, "s2")]);
        let family = admin(&[(Family, "f1"), (Group, "g1")]);
        let everything = Claims { super_admin: true, ..Claims::default() };
        let nobody = Claims::default();
        // Each case: the orgs; and the status, 0 for allowed, for a super admin and for the admins of the district, of
        // the school, of another school, of the family and the group, and of nothing.
        let table: [(&[(OrgType, &'static str)], [u16; 6]); 11] = [
            (&[(District, "d1")], [0, 403, 403, 403, 403, 403]),
            (&[(Group, "g1")], [0, 403, 403, 403, 403, 403]),
            (&[(School, "s1")], [0, 0, 403, 403, 403, 403]),
            (&[(Class, "c1")], [0, 0, 0, 403, 403, 403]),
            (&[(Family, "f1")], [0, 403, 403, 403, 0, 403]),
            (&[(School, "s1"), (Class, "c1")], [0, 0, 403, 403, 403, 403]),
            (&[(School, "s1"), (District, "d1")], [0, 403, 403, 403, 403, 403]),
            (&[(School, "gone")], [404; 6]),
            (&[(Class, "gone")], [404; 6]),
            (&[(District, "gone")], [404, 403, 403, 403, 403, 403]),
            (&[], [0, 403, 403, 403, 403, 403]),
        ];
        for (orgs, expected) in table {
            let said = [&everything, &above, &school, &sibling, &family, &nobody].map(|claims| {
                let checked = check(claims, &lists(orgs), &tree(), false);
                checked.map_or_else(|error| error.status.http(), |()| 0)
            });
            assert_eq!(said, expected, "{orgs:?}");
        }
        assert!(check(&everything, &lists(&[(School, "gone")]), &tree(), true).is_ok());
        assert!(check(&above, &lists(&[(School, "gone")]), &tree(), true).is_err());
    }
}

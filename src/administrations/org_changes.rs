//! How changes of orgs reach the administrations that are still open: deleted orgs leave their lists, and where the
//! hierarchy has changed, administrations are synced again (docs/domain/administrations.md#when-orgs-change).

use std::collections::BTreeSet;

use super::sync::{Origin, bring_about};
use crate::app::App;
use crate::documents::administration::{self, Administration, administration_path};
use crate::documents::administration_org::{self, OrgSubcollection, field::ORG_ID};
use crate::documents::org_lists::OrgSet;
use crate::orgs::{OrgKey, OrgLists, OrgType};
use crate::store::{FieldPath, Fields, StoreError, Value, Write};

/// Removes `orgs` from the lists of every open administration that names them. The events of the administrations then
/// update the assignments. Costs a read for thirty orgs and one for each administration found. Idempotent: a repetition
/// writes nothing.
pub async fn leave_orgs(app: &App, orgs: &[OrgKey]) -> Result<(), StoreError> {
    let gone = OrgLists::from_iter(orgs.iter().map(|org| (org.org_type, org.id.as_str()))).to_set();
    for id in open_with(app, orgs, OrgSubcollection::Assigned).await? {
        let (path, gone) = (&administration_path(&id)?, &gone);
        let work = |tx: crate::store::Transaction| async move {
            let Some(document) = tx.get(path).await? else { return Ok::<_, StoreError>(()) };
            if let Some((fields, mask)) = without(&Administration::from_document(&document), gone) {
                tx.write(Write::merge(path.clone(), fields, mask)).await;
            }
            Ok(())
        };
        app.stores.admin.transaction(work).await?;
    }
    Ok(())
}

/// Starts a new sync of every open administration that is assigned to one of `orgs`. The hierarchy above or below these
/// orgs has changed, and with it who is assigned through which org, and who may read the administration. Costs a read
/// for thirty orgs, and the reads of the syncs; assignments that don't change aren't written.
pub async fn follow_orgs(app: &App, orgs: &[OrgKey]) -> Result<(), StoreError> {
    plan_anew(app, orgs, Origin::Hierarchy).await
}

/// As [`follow_orgs`], where only the `touched` orgs, which are below or among `orgs`, have changed: only the
/// assignments of their members are checked. A new class without students costs a few reads, however large the
/// administration is.
pub async fn follow_touched(app: &App, orgs: &[OrgKey], touched: &OrgLists) -> Result<(), StoreError> {
    plan_anew(app, orgs, Origin::Orgs(touched)).await
}

async fn plan_anew(app: &App, orgs: &[OrgKey], origin: Origin<'_>) -> Result<(), StoreError> {
    // Include administrations that are assigned to an org below these, because their readers have changed.
    let mut administrations = open_with(app, orgs, OrgSubcollection::Assigned).await?;
    administrations.extend(open_with(app, orgs, OrgSubcollection::Read).await?);
    for id in administrations {
        match bring_about(app, &id, origin).await {
            // A full document of one administration must not keep the others from following.
            Err(StoreError::InvalidArgument(why)) => {
                tracing::error!(administration = id, why, "an administration can't follow its orgs");
            }
            other => drop(other?),
        }
    }
    Ok(())
}

/// The IDs of the administrations that aren't closed and have one of `orgs` in that subcollection.
async fn open_with(
    app: &App,
    orgs: &[OrgKey],
    subcollection: OrgSubcollection,
) -> Result<BTreeSet<String>, StoreError> {
    let ids: Vec<String> = orgs.iter().map(|org| org.id.clone()).collect();
    let open = administration_org::open(subcollection.of_all(), app.now()).select(&[ORG_ID]);
    let found = app.stores.admin.query_each(open.each_of(ORG_ID, &ids).map(|(query, _)| query)).await?;
    Ok(found.iter().filter_map(|org| Some(org.path.parent()?.id().to_owned())).collect())
}

/// The changes to an administration that remove these orgs; `None` where the administration doesn't name them.
fn without(administration: &Administration, gone: &OrgSet) -> Option<(Fields, Vec<FieldPath>)> {
    let mut fields = Fields::new();
    let minimal = administration.minimal_orgs();
    let left = minimal.difference(gone);
    if left != minimal {
        fields.insert(administration::field::MINIMAL_ORGS.to_owned(), left.to_value());
    }
    let (arrays, left) = (administration.org_arrays(), administration.org_arrays().difference(gone));
    for org_type in OrgType::ALL {
        if arrays.of(org_type) != left.of(org_type) {
            fields.insert(org_type.plural().to_owned(), Value::strings(left.of(org_type)));
        }
    }
    let mask: Vec<FieldPath> = fields.keys().map(FieldPath::top).collect();
    (!mask.is_empty()).then_some((fields, mask))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn both_formats_lose_what_is_gone_and_nothing_else() {
        let lists = |orgs: &[(OrgType, &'static str)]| orgs.iter().copied().collect::<OrgLists>();
        let gone = lists(&[(OrgType::Class, "c1"), (OrgType::School, "s1")]).to_set();
        let minimal = lists(&[(OrgType::Class, "c1"), (OrgType::Class, "c2"), (OrgType::District, "d1")]);
        let second = fields! { "formatVersion" => 2, "minimalOrgs" => minimal.to_value(), "name" => "A" };
        let (fields, mask) = without(&Administration::from_fields("a1", second.clone()), &gone).expect("a change");
        assert_eq!(OrgLists::from_value(fields.get("minimalOrgs")).flatten(), ["d1", "c2"]);
        assert_eq!(mask.len(), 1);
        let mut first = fields! { "classes" => Value::strings(["c1", "c2"]), "schools" => Value::strings(["s2"]) };
        let (fields, _) = without(&Administration::from_fields("a1", first.clone()), &gone).expect("a change");
        assert_eq!(fields, fields! { "classes" => Value::strings(["c2"]) });
        first.extend(fields);
        assert_eq!(without(&Administration::from_fields("a1", first), &gone), None);
        let other = lists(&[(OrgType::School, "c1")]).to_set();
        assert_eq!(without(&Administration::from_fields("a1", second), &other), None, "the same ID of another type");
    }
}

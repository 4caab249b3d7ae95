//! Mirrors of orgs in the assessment database (docs/domain/orgs.md#mirrors-in-the-assessment-database): the same
//! documents without personal data.
//!
//! No transaction spans two databases, and events arrive repeatedly and in any order. So a mirror is made from the org
//! as it is now, never from an event's payload, and compared with the org again after the write.

use crate::app::App;
use crate::documents::org;
use crate::orgs::OrgType;
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{DocPath, Document, Fields, Precondition, StoreError, Value, Write};

/// The fields that identify a family and its place. A family is named after its people, and its groups after the
/// family.
const OF_FAMILIES: [&str; 3] = [org::field::NAME, org::field::ADDRESS, org::field::LOCATION];

/// The content of an org's mirror: all fields but those in `omit` and those that would identify a family.
pub fn mirrored(org_type: OrgType, org: &Fields, omit: &[String]) -> Fields {
    let is_omitted =
        |name: &String| omit.contains(name) || (OF_FAMILIES.contains(&name.as_str()) && is_of_family(org_type, org));
    org.iter().filter(|(name, _)| !is_omitted(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// True for families and for groups of a family.
fn is_of_family(org_type: OrgType, org: &Fields) -> bool {
    let text = |name: &str| org.get(name).and_then(Value::as_str).unwrap_or_default();
    match org_type {
        OrgType::Family => true,
        OrgType::Group => {
            !text(org::field::FAMILY_ID).is_empty()
                || OrgType::parse(text(org::field::PARENT_ORG_TYPE)) == Some(OrgType::Family)
        }
        OrgType::District | OrgType::School | OrgType::Class => false,
    }
}

/// `mirrorDistricts`, `mirrorSchools`, `mirrorClasses`, `mirrorGroups`, `mirrorFamilies`: makes the document of the
/// same path in the assessment database equal to the org, or deletes it with the org.
///
/// Whoever writes a mirror last compares it with the org afterwards and continues until they agree. So the mirror is
/// right once all deliveries have ended, in whichever order they came. An interrupted run is made up for by the event's
/// next delivery, which doesn't depend on what was done before.
///
/// Costs nothing when the mirrored part of the org didn't change. Otherwise 2 reads in the admin database, and 1 read
/// (none for a new org) and 1 write in the assessment database; 1 read in each when the mirror is right already (2 in
/// the admin database when an org's creation is delivered again).
pub async fn written(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let change = &event.change;
    let path = &change.path;
    let org_type = OrgType::parse(path.collection_id())
        .ok_or_else(|| HandlerError::Permanent("not a document of an org".to_owned()))?;
    let mirrored = |org: &Document| mirrored(org_type, &org.fields, &app.settings.mirror_omit);
    if change.before.as_ref().map(mirrored) == change.after.as_ref().map(mirrored) {
        return Ok(());
    }
    // A new org usually has no mirror; if it has one, the commit fails with a conflict.
    let mut is_new = change.before.is_none();
    let mut written_from = None;
    loop {
        let org = app.stores.admin.get(path).await?;
        // Compare versions, not contents: NaN never equals itself.
        let version = org.as_ref().map(|org| org.update_time);
        if written_from == Some(version) {
            return Ok(());
        }
        let wanted = org.as_ref().map(mirrored);
        let mirror = match std::mem::take(&mut is_new) && wanted.is_some() {
            true => None,
            false => app.stores.assessment.get(path).await?,
        };
        let Some(write) = correction(path, mirror.as_ref(), wanted) else { return Ok(()) };
        match app.stores.assessment.commit(vec![write]).await {
            Ok(_) => written_from = Some(version),
            // Another delivery wrote in between.
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The write that corrects the mirror, with the precondition that the mirror is unchanged since it was read. So a late
/// write of an older delivery never replaces a newer one.
fn correction(path: &DocPath, mirror: Option<&Document>, wanted: Option<Fields>) -> Option<Write> {
    let unchanged = mirror.map_or(Precondition::Missing, |mirror| Precondition::UpdatedAt(mirror.update_time));
    let write = match wanted {
        Some(wanted) if mirror.is_some_and(|mirror| mirror.fields == wanted) => return None,
        Some(wanted) => Write::set(path.clone(), wanted),
        None => {
            mirror?;
            Write::delete(path.clone())
        }
    };
    Some(write.when(unchanged))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Settings;
    use crate::fields;
    use crate::store::Timestamp;

    fn kept(org_type: OrgType, org: Fields) -> Vec<String> {
        let omit = Settings::MIRROR_OMIT.map(str::to_owned);
        let mirror = mirrored(org_type, &org, &omit);
        assert!(mirror.iter().all(|(name, value)| org.get(name) == Some(value)), "nothing is changed");
        mirror.into_keys().collect()
    }

    #[test]
    fn a_mirror_has_everything_but_what_is_personal() {
        let contact = || fields! { "email" => "a@example.org", "name" => fields! { "first" => "A" } };
        let common = |more: Fields| {
            let mut org = fields! { "name" => "N", "archived" => false, "address" => "A", "createdBy" => "u" };
            org.extend(more);
            org
        };
        let table = [
            (OrgType::District, common(Fields::new()), "address archived name"),
            (OrgType::District, common(fields! { "districtContact" => contact() }), "address archived name"),
            (
                OrgType::School,
                common(fields! { "principal" => contact(), "phone" => "1", "districtId" => "d", "location" => "L" }),
                "address archived districtId location name",
            ),
            // Fields are looked at by name, not what's inside of them.
            (OrgType::Class, common(fields! { "phone" => "1", "x" => contact() }), "address archived name x"),
            (OrgType::Group, common(Fields::new()), "address archived name"),
            (OrgType::Group, common(fields! { "familyId" => Value::Null }), "address archived familyId name"),
            (OrgType::Group, common(fields! { "familyId" => "" }), "address archived familyId name"),
            (OrgType::Group, common(fields! { "familyId" => "f" }), "archived familyId"),
            (OrgType::Group, common(fields! { "parentOrgType" => "family" }), "archived parentOrgType"),
            (OrgType::Group, common(fields! { "parentOrgType" => "class" }), "address archived name parentOrgType"),
            (OrgType::Family, common(fields! { "location" => "L", "subGroups" => "g" }), "archived subGroups"),
            // A class has no family.
            (OrgType::Class, common(fields! { "familyId" => "f" }), "address archived familyId name"),
            (OrgType::Family, Fields::new(), ""),
        ];
        for (org_type, org, expected) in table {
            assert_eq!(kept(org_type, org.clone()).join(" "), expected, "{org_type:?} {org:?}");
        }
        let omit = ["abbreviation".to_owned()];
        let org = fields! { "abbreviation" => "A", "phone" => "1" };
        assert_eq!(mirrored(OrgType::School, &org, &omit), fields! { "phone" => "1" }, "the settings' list counts");
    }

    #[test]
    fn what_is_right_is_not_written() {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let path = DocPath::new("schools/s").unwrap();
        let mirror = |fields| Document { path: path.clone(), fields, create_time: at, update_time: at };
        let [one, other] = ["A", "B"].map(|name| fields! { "name" => name });
        let of = |fields: &Fields| Some(mirror(fields.clone()));
        let set = |fields: &Fields| Write::set(path.clone(), fields.clone());
        let table = [
            (None, None, None),
            (None, Some(one.clone()), Some(set(&one).when(Precondition::Missing))),
            (of(&one), Some(one.clone()), None),
            (of(&one), Some(other.clone()), Some(set(&other).when(Precondition::UpdatedAt(at)))),
            (of(&one), None, Some(Write::delete(path.clone()).when(Precondition::UpdatedAt(at)))),
        ];
        for (mirror, wanted, expected) in table {
            assert_eq!(correction(&path, mirror.as_ref(), wanted.clone()), expected, "{mirror:?} {wanted:?}");
        }
    }
}

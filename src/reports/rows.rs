//! The rows of an administration's tree of orgs: which orgs a caller sees, and what each row shows
//! (docs/domain/dashboard.md#getadministrationorgsandstats). Pure.

use super::net::net;
use super::payload::{RowStats, ShownRow};
use crate::assignments::counts::Counters;
use crate::documents::administration;
use crate::documents::org;
use crate::documents::org_lists::OrgSet;
use crate::orgs::child_lists::listed;
use crate::orgs::{OrgKey, OrgLists, OrgTree, OrgType};
use crate::payload::Id;
use crate::rights::Claims;
use crate::store::{Document, Fields, Value};

/// The fields of orgs from which rows are built.
pub const ROW_FIELDS: [&str; 7] = [
    org::field::NAME,
    org::field::DISTRICT_ID,
    org::field::SCHOOL_ID,
    org::field::SCHOOLS,
    org::field::ARCHIVED_SCHOOLS,
    org::field::CLASSES,
    org::field::ARCHIVED_CLASSES,
];

/// An org of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which org.
    pub key: OrgKey,
    /// What it's called.
    pub name: String,
    /// The district of a school or class.
    pub district: Option<String>,
    /// The school of a class.
    pub school: Option<String>,
    /// The schools and classes that the org's lists of children name.
    pub children: Vec<OrgKey>,
}

impl Row {
    /// Reads an org's document. An org without a name gets its ID as the name, because pages sort by name.
    pub fn read(document: &Document) -> Option<Row> {
        let org_type = OrgType::parse(document.path.collection_id())?;
        let text = |name: &str| {
            let text = document.fields.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let in_district = matches!(org_type, OrgType::School | OrgType::Class);
        Some(Row {
            key: OrgKey::new(org_type, document.id()),
            name: text(org::field::NAME).unwrap_or_else(|| document.id().to_owned()),
            district: text(org::field::DISTRICT_ID).filter(|_| in_district),
            school: text(org::field::SCHOOL_ID).filter(|_| org_type == OrgType::Class),
            children: listed(org_type, &document.fields),
        })
    }

    /// The row as the page reads it. Only rows of districts and schools say whether they have children: the page would
    /// show a row of another type that said so as loading for ever.
    pub fn shown(&self, has_children: bool, counts: Option<Counters>) -> ShownRow {
        let org_type = self.key.org_type;
        let may_have_children = matches!(org_type, OrgType::District | OrgType::School);
        ShownRow {
            org_id: self.key.id.as_str().into(),
            name: self.name.clone(),
            org_type: org_type.singular(),
            has_children: may_have_children.then_some(has_children),
            district_id: self.district.as_deref().map(Id::from),
            school_id: self.school.as_deref().map(Id::from),
            stats: counts.map(|counts| RowStats { assignment: net(counts) }),
        }
    }
}

/// The part of an administration's orgs that a caller sees.
#[derive(Clone, Debug)]
pub struct View {
    /// The administration's top-most orgs.
    minimal: OrgSet,
    /// The top-most orgs that the caller administers.
    roots: OrgLists,
    candidates: OrgLists,
    /// The orgs that are assigned, or above assigned ones, and that the caller administers.
    seen: OrgLists,
    seen_set: OrgSet,
}

impl View {
    /// The view of an administration that a caller with these claims has.
    pub fn new(administration: &Fields, claims: &Claims) -> View {
        let lists = |name: &str| OrgLists::from_value(administration.get(name));
        let (minimal, read) = (lists(administration::field::MINIMAL_ORGS), lists(administration::field::READ_ORGS));
        let set = minimal.to_set();
        if claims.super_admin {
            let seen_set = read.to_set();
            return View { minimal: set, roots: minimal, candidates: OrgLists::new(), seen: read, seen_set };
        }
        let administered = claims.admin_orgs.to_set();
        let seen = read.intersection(&administered);
        let seen_set = seen.to_set();
        let mut candidates = claims.topmost().intersection(&seen_set).difference(&set);
        // A family may read the administrations of its sub-groups but isn't assigned itself: there, the groups are
        // top-most.
        if !candidates.of(OrgType::Family).is_empty() {
            let groups = seen.of(OrgType::Group).iter().map(|id| (OrgType::Group, id.as_str()));
            candidates.extend(&groups.collect::<OrgLists>().difference(&set));
        }
        let roots = minimal.intersection(&administered);
        if roots.same_orgs(&minimal) {
            // The caller administers all of the administration's top-most orgs, and all assigned orgs lie below these.
            candidates = OrgLists::new();
        }
        View { minimal: set, roots, candidates, seen, seen_set }
    }

    /// The administration's top-most orgs that the caller administers.
    pub fn roots(&self) -> &OrgLists {
        &self.roots
    }

    /// Orgs of the caller that may lie below other orgs of the administration; [`View::roots_below`] determines which
    /// of them do, from a snapshot of the candidates and their ancestors.
    pub fn candidates(&self) -> &OrgLists {
        &self.candidates
    }

    /// The caller's own top-most orgs below those of the administration that are not theirs.
    pub fn roots_below(&self, tree: &OrgTree) -> OrgLists {
        let roots = self.roots.to_set();
        let is_below = |(org_type, id): &(OrgType, &str)| {
            let alone: OrgLists = [(*org_type, *id)].into_iter().collect();
            let above = tree.read_orgs(&alone);
            // An org below a root is found by expanding the root.
            above.intersection(&roots).is_empty() && !above.intersection(&self.minimal).is_empty()
        };
        tree.minimal(&self.candidates.iter().filter(is_below).collect())
    }

    /// True when the org is assigned, or above an assigned one, and the caller administers it.
    pub fn sees(&self, org: &OrgKey) -> bool {
        self.seen_set.contains(org.org_type, &org.id)
    }

    /// True when the caller sees any org of that type.
    pub fn sees_any(&self, org_type: OrgType) -> bool {
        !self.seen.of(org_type).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fields;
    use crate::store::{DocPath, Timestamp};

    fn org(path: &str, fields: Fields) -> Document {
        let path = DocPath::new(path).unwrap();
        Document { path, fields, create_time: Timestamp::UNIX_EPOCH, update_time: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn a_row_has_what_the_page_reads_and_nothing_else() {
        let class = fields! { "name" => "Grade 1", "districtId" => "d", "schoolId" => "s", "extra" => 1 };
        let school =
            fields! { "name" => "Oak", "districtId" => "d", "schoolId" => "odd", "classes" => Value::strings(["c"]) };
        let counts = Counters { assigned: 5, started: 3, completed: 1 };
        // Each case: the org, its counts, and the row.
        let table = [
            (
                org("classes/c", class),
                Some(counts),
                json!({
                    "orgId": "c", "name": "Grade 1", "orgType": "class", "districtId": "d", "schoolId": "s",
                    "stats": { "assignment": { "assigned": 2, "started": 2, "completed": 1 } },
                }),
            ),
            (
                org("schools/s", school),
                None,
                json!({ "orgId": "s", "name": "Oak", "orgType": "school", "districtId": "d", "hasChildren": true }),
            ),
            (
                org("districts/d", fields! { "name" => Value::Null, "districtId" => "odd" }),
                None,
                json!({ "orgId": "d", "name": "d", "orgType": "district", "hasChildren": true }),
            ),
            (
                org("groups/g", fields! { "name" => "Club", "districtId" => "odd", "schoolId" => "" }),
                Some(Counters::default()),
                json!({
                    "orgId": "g", "name": "Club", "orgType": "group",
                    "stats": { "assignment": { "assigned": 0, "started": 0, "completed": 0 } },
                }),
            ),
        ];
        for (document, counts, expected) in table {
            let shown = Row::read(&document).unwrap().shown(true, counts);
            assert_eq!(serde_json::to_value(shown).unwrap(), expected);
        }
        assert_eq!(Row::read(&org("users/u", Fields::new())), None);
    }
}

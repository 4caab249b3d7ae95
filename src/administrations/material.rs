//! Which fields of an administration matter to its assignments
//! (docs/domain/administrations.md#what-matters-to-assignments).

use std::collections::BTreeMap;

use crate::digest::digest;
use crate::documents::administration::{self, Administration};
use crate::orgs::{OrgLists, OrgType};
use crate::store::Value;

/// Fields whose change must reach the assignments. Org lists matter as well; they are compared as sets.
const MATERIAL_FIELDS: [&str; 11] = [
    administration::field::ASSESSMENTS,
    administration::field::CREATED_BY,
    administration::field::DATE_CLOSED,
    administration::field::DATE_OPENED,
    administration::field::DEMO_DATA,
    administration::field::FORMAT_VERSION,
    administration::field::LEGAL,
    administration::field::NAME,
    administration::field::PUBLIC_NAME,
    administration::field::SEQUENTIAL,
    administration::field::TEST_DATA,
];

/// A fingerprint of everything that matters to assignments: equal for two states exactly when both ask for the same
/// assignments, given the same users and orgs.
pub fn fingerprint(administration: &Administration) -> String {
    let fields: BTreeMap<&str, &Value> =
        MATERIAL_FIELDS.into_iter().filter_map(|name| Some((name, administration.fields.get(name)?))).collect();
    let orgs = [sorted(&administration.minimal_orgs()), sorted(&administration.org_arrays())];
    // Encoding in-memory values can't fail; an empty digest would only cause one more sync.
    let bytes = postcard::to_stdvec(&(fields, orgs)).unwrap_or_default();
    digest(&bytes)
}

fn sorted(lists: &OrgLists) -> Vec<Vec<String>> {
    OrgType::ALL
        .into_iter()
        .map(|org_type| {
            let mut ids = lists.of(org_type).to_vec();
            ids.sort();
            ids
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::Fields;

    fn of(fields: Fields) -> String {
        fingerprint(&Administration::from_fields("a", fields))
    }

    #[test]
    fn only_what_matters_changes_the_fingerprint() {
        let base = || {
            fields! {
                "name" => "x",
                "sequential" => true,
                "minimalOrgs" => fields! { "schools" => Value::strings(["s1", "s2"]) },
                "formatVersion" => 2,
            }
        };
        let with = |name: &str, value: Value| {
            let mut fields = base();
            fields.insert(name.to_owned(), value);
            of(fields)
        };
        let same = of(base());
        for (name, value) in [
            ("syncStatus", Value::from("complete")),
            ("syncChunksCompleted", Value::from(3)),
            ("tags", Value::strings(["t"])),
            ("readOrgs", Value::empty_map()),
            ("dateCreated", Value::Timestamp(jiff::Timestamp::UNIX_EPOCH)),
            ("minimalOrgs", Value::Map(fields! { "schools" => Value::strings(["s2", "s1"]) })),
            ("districts", Value::Array(vec![])),
        ] {
            assert_eq!(with(name, value), same, "{name}");
        }
        for (name, value) in [
            ("name", Value::from("y")),
            ("sequential", Value::from(false)),
            ("testData", Value::from(true)),
            ("assessments", Value::Array(vec![])),
            ("dateClosed", Value::Timestamp(jiff::Timestamp::UNIX_EPOCH)),
            ("legal", Value::empty_map()),
            ("minimalOrgs", Value::Map(fields! { "schools" => Value::strings(["s1"]) })),
            ("districts", Value::strings(["d"])),
        ] {
            assert_ne!(with(name, value), same, "{name}");
        }
    }
}

use super::*;
use crate::fields;
use crate::orgs::{Org, OrgKey};
use crate::store::WriteKind;

fn lists(orgs: &[(OrgType, &'static str)]) -> OrgLists {
    orgs.iter().copied().collect()
}

fn tree() -> OrgTree {
    let org =
        |org_type: OrgType, id: &str, fields: Fields| (OrgKey::new(org_type, id), Org::from_fields(org_type, &fields));
    OrgTree::new([
        org(OrgType::District, "d1", fields! {}),
        org(OrgType::School, "s1", fields! { "districtId" => "d1" }),
        org(OrgType::School, "s2", fields! { "districtId" => "d1" }),
    ])
}

fn compute(input: &[(OrgType, &'static str)]) -> NormalOrgs {
    NormalOrgs::compute(&tree(), &lists(input))
}

#[test]
fn format_2_keeps_minimal_and_read_orgs_and_folds_arrays_in() {
    let administration = Administration::from_fields(
        "adm",
        fields! {
            "formatVersion" => 2,
            "minimalOrgs" => lists(&[(OrgType::School, "s1")]).to_value(),
            "schools" => Value::strings(["s2", "gone"]),
            "districts" => Value::Array(vec![]),
        },
    );
    let input = administration.input_orgs();
    let orgs = NormalOrgs::compute(&tree(), &input);
    assert_eq!(orgs.minimal, lists(&[(OrgType::School, "s1"), (OrgType::School, "s2")]));
    let normal = with_changes(&administration, document_changes(&administration, &orgs).unwrap());
    assert_eq!(normal.minimal_orgs(), orgs.minimal);
    assert!(!normal.fields.contains_key("schools"));
    assert_eq!(OrgLists::from_value(normal.fields.get("readOrgs")), orgs.read);
    assert_eq!(document_changes(&normal, &orgs), None, "the second pass finds nothing to change");
}

#[test]
fn older_formats_keep_their_arrays_exhaustive() {
    let administration = Administration::from_fields("adm", fields! { "districts" => Value::strings(["d1"]) });
    let orgs = NormalOrgs::compute(&tree(), &administration.input_orgs());
    let normal = with_changes(&administration, document_changes(&administration, &orgs).unwrap());
    assert_eq!(normal.org_arrays().flatten(), ["d1", "s1", "s2"]);
    assert_eq!(normal.minimal_orgs(), lists(&[(OrgType::District, "d1")]));
    let again = NormalOrgs::compute(&tree(), &normal.input_orgs());
    assert_eq!(document_changes(&normal, &again), None);
}

#[test]
fn empty_orgs_are_no_error() {
    let orgs = compute(&[]);
    assert!(orgs.minimal.is_empty() && orgs.assigned.is_empty() && orgs.read.is_empty());
}

#[test]
fn subcollections_get_only_the_writes_that_are_missing() {
    let administration = Administration::from_fields("adm", fields! { "name" => "x", "testData" => true });
    let orgs = compute(&[(OrgType::District, "d1")]);
    let now = Timestamp::from_second(10).unwrap();
    let later = Timestamp::from_second(20).unwrap();
    let writes = |administration: &Administration, orgs: &OrgLists, present: &[Document], now| {
        subcollection_writes(administration, OrgSubcollection::Assigned, orgs, present, now).unwrap()
    };
    let first = writes(&administration, &orgs.assigned, &[], now);
    let present: Vec<Document> = first
        .iter()
        .map(|write| match &write.kind {
            WriteKind::Set { fields, .. } => {
                Document { path: write.path.clone(), fields: fields.clone(), create_time: now, update_time: now }
            }
            WriteKind::Delete => panic!("nothing is there to delete"),
        })
        .collect();
    assert_eq!(
        present[1].fields,
        fields! {
            "administrationId" => "adm", "orgId" => "s1", "orgType" => "schools", "name" => "x", "publicName" => "x",
            "testData" => true, "timestamp" => now, "createdAt" => now, "updatedAt" => now,
        }
    );
    assert_eq!(writes(&administration, &orgs.assigned, &present, later), []);

    let fewer = writes(&administration, &lists(&[(OrgType::School, "s1")]), &present, later);
    assert_eq!(fewer.len(), 2);
    assert!(fewer.iter().all(Write::is_delete));

    let renamed = Administration::from_fields("adm", fields! { "name" => "y", "testData" => true });
    let rewritten = writes(&renamed, &orgs.assigned, &present, later);
    assert_eq!(rewritten.len(), 3);
    let WriteKind::Set { fields, .. } = &rewritten[0].kind else { panic!("a set") };
    assert_eq!((&fields["createdAt"], &fields["updatedAt"]), (&Value::from(now), &Value::from(later)));
}

use proptest::prelude::*;

use super::*;
use crate::fields;

fn lists(orgs: &[&str]) -> OrgLists {
    orgs.iter().map(|id| (type_of(id), *id)).collect()
}

fn type_of(id: &str) -> OrgType {
    match &id[..1] {
        "D" => OrgType::District,
        "S" => OrgType::School,
        "C" => OrgType::Class,
        "G" => OrgType::Group,
        "F" => OrgType::Family,
        other => panic!("no org type begins with {other}"),
    }
}

fn org(id: &str, fields: Fields) -> (OrgKey, Org) {
    (OrgKey::new(type_of(id), id), Org::from_fields(type_of(id), &fields))
}

/// The tree of the worked examples: D1{S1{C1,C2}, S2{C3}}, D2{S3{C4}}; G1; G2 in G1; G3 in C1; F1;
/// G4 in G1 and F1.
fn example(s2_archived: bool, c3_archived: bool) -> OrgTree {
    let class = |school: &str, district: &str, archived: bool| {
        fields! { "schoolId" => school, "districtId" => district, "archived" => archived }
    };
    let d1 = if s2_archived {
        fields! { "schools" => Value::strings(["S1"]), "archivedSchools" => Value::strings(["S2"]) }
    } else {
        fields! { "schools" => Value::strings(["S1", "S2"]) }
    };
    OrgTree::new([
        org("D1", d1),
        org("D2", fields! { "schools" => Value::strings(["S3"]) }),
        org("S1", fields! { "districtId" => "D1", "classes" => Value::strings(["C1", "C2"]) }),
        org("S2", fields! { "districtId" => "D1", "classes" => Value::strings(["C3"]), "archived" => s2_archived }),
        org("S3", fields! { "districtId" => "D2", "classes" => Value::strings(["C4"]) }),
        org("C1", class("S1", "D1", false)),
        org("C2", class("S1", "D1", false)),
        org("C3", class("S2", "D1", c3_archived)),
        org("C4", class("S3", "D2", false)),
        org("G1", fields! { "subGroups" => Value::strings(["G2"]) }),
        org("G2", fields! { "parentOrgType" => "group", "parentOrgId" => "G1" }),
        org("G3", fields! { "parentOrgType" => "class", "parentOrgId" => "C1" }),
        org("F1", fields! { "subGroups" => Value::strings(["G4"]) }),
        org("G4", fields! { "familyId" => "F1", "parentOrgType" => "group", "parentOrgId" => "G1" }),
    ])
}

#[test]
fn the_worked_examples_of_the_hierarchy() {
    let tree = example(false, false);
    // Input, minimal, exhaustive, read orgs of the exhaustive lists.
    let table: [(&[&str], &[&str], &[&str], &[&str]); 7] = [
        (&["D1"], &["D1"], &["D1", "S1", "S2", "C1", "C2", "C3", "G3"], &["D1", "S1", "S2", "C1", "C2", "C3", "G3"]),
        (&["C1"], &["C1"], &["C1", "G3"], &["D1", "S1", "C1", "G3"]),
        (
            &["D1", "S1", "S3", "C1", "C4"],
            &["D1", "S3"],
            &["D1", "S1", "S3", "S2", "C1", "C4", "C2", "C3", "G3"],
            &["D1", "D2", "S1", "S3", "S2", "C1", "C4", "C2", "C3", "G3"],
        ),
        (&["G1"], &["G1"], &["G1", "G2", "G4"], &["G1", "G2", "G4", "F1"]),
        (&["G2"], &["G2"], &["G2"], &["G2", "G1"]),
        (&["F1"], &["F1"], &["F1"], &["F1"]),
        (&["S1", "Smissing"], &["S1"], &["S1", "C1", "C2", "G3"], &["D1", "S1", "C1", "C2", "G3"]),
    ];
    for (input, minimal, exhaustive, read) in table {
        let input = lists(input);
        let all = tree.exhaustive(&input, false);
        assert_eq!(tree.minimal(&input), lists(minimal), "minimal of {input:?}");
        assert_eq!(all, lists(exhaustive), "exhaustive of {input:?}");
        assert_eq!(tree.read_orgs(&all), lists(read), "read orgs of {input:?}");
    }
}

#[test]
fn archived_orgs_are_left_out_when_assigning_and_reached_when_removing() {
    let tree = example(true, true);
    let district = lists(&["D1"]);
    assert_eq!(tree.exhaustive(&district, false), lists(&["D1", "S1", "C1", "C2", "G3"]));
    assert_eq!(tree.minimal(&district), district);
    assert!(tree.exhaustive(&district, true).same_orgs(&lists(&["D1", "S1", "S2", "C1", "C2", "C3", "G3"])));
    // A class of an archived school stays until it's archived itself: it's still linked to the district.
    assert_eq!(example(true, false).exhaustive(&district, false), lists(&["D1", "S1", "C1", "C2", "C3", "G3"]),);
}

#[test]
fn a_user_reads_along_the_hierarchy_not_along_membership() {
    let tree = example(false, false);
    let assigned = tree.exhaustive(&lists(&["S1"]), false).to_set();
    let member = lists(&["D1", "S1", "C1"]);
    let assigning = member.intersection(&assigned);
    assert_eq!(assigning, lists(&["S1", "C1"]));
    assert_eq!(tree.read_orgs(&assigning), lists(&["D1", "S1", "C1"]));

    let assigning = lists(&["C1"]).intersection(&assigned);
    assert_eq!(assigning, lists(&["C1"]));
    assert!(tree.read_orgs(&assigning).same_orgs(&lists(&["D1", "S1", "C1"])));
}

#[test]
fn nobody_gains_an_org_by_listing_it() {
    let tree = OrgTree::new([
        org("S1", fields! { "districtId" => "D1", "classes" => Value::strings(["C4"]) }),
        org("S3", fields! { "districtId" => "D2" }),
        org("C4", fields! { "schoolId" => "S3", "districtId" => "D2" }),
    ]);
    assert_eq!(tree.exhaustive(&lists(&["S1"]), true), lists(&["S1"]));
}

#[test]
fn a_class_is_in_the_district_of_its_school() {
    // The school has moved; or somebody made the class up.
    let tree = OrgTree::new([
        org("D1", fields! {}),
        org("D2", fields! {}),
        org("S1", fields! { "districtId" => "D2" }),
        org("S2", fields! {}),
        org("C1", fields! { "schoolId" => "S1", "districtId" => "D1" }),
        org("C2", fields! { "schoolId" => "S2", "districtId" => "D1" }),
        org("C3", fields! { "districtId" => "D1" }),
    ]);
    assert!(tree.exhaustive(&lists(&["D1"]), false).same_orgs(&lists(&["D1", "C2", "C3"])));
    assert!(tree.exhaustive(&lists(&["D2"]), false).same_orgs(&lists(&["D2", "S1", "C1"])));
    assert!(tree.read_orgs(&lists(&["C1"])).same_orgs(&lists(&["C1", "S1", "D2"])));
    assert_eq!(tree.minimal(&lists(&["D1", "C1"])), lists(&["D1", "C1"]));
}

#[test]
fn groups_that_contain_each_other_leave_one() {
    let tree = OrgTree::new([
        org("G1", fields! { "parentOrgType" => "group", "parentOrgId" => "G2" }),
        org("G2", fields! { "parentOrgType" => "group", "parentOrgId" => "G1" }),
    ]);
    assert_eq!(tree.minimal(&lists(&["G1", "G2"])), lists(&["G1"]));
    assert_eq!(tree.minimal(&lists(&["G2", "G1"])), lists(&["G2"]));
    assert!(tree.exhaustive(&lists(&["G1"]), false).same_orgs(&lists(&["G1", "G2"])));
}

/// Random forests: some links broken, classes whose own district isn't their school's, groups that may form cycles, some
/// orgs archived.
fn forest() -> impl Strategy<Value = (OrgTree, Vec<OrgLists>)> {
    let link = |kind: &'static str, count: usize| prop::option::of((0..count).prop_map(move |n| format!("{kind}{n}")));
    let archived = prop::bool::weighted(0.15);
    let schools = prop::collection::vec((link("D", 4), archived), 5);
    let archived = prop::bool::weighted(0.15);
    let classes = prop::collection::vec((link("S", 6), link("D", 4), archived), 8);
    let parent = prop::option::of(prop_oneof![
        (0..3_usize).prop_map(|n| ("district", format!("D{n}"))),
        (0..5_usize).prop_map(|n| ("school", format!("S{n}"))),
        (0..8_usize).prop_map(|n| ("class", format!("C{n}"))),
        (0..6_usize).prop_map(|n| ("group", format!("G{n}"))),
    ]);
    let archived = prop::bool::weighted(0.15);
    let groups = prop::collection::vec((parent, link("F", 3), archived), 6);
    let pick = prop_oneof![
        (0..4_usize).prop_map(|n| format!("D{n}")),
        (0..6_usize).prop_map(|n| format!("S{n}")),
        (0..9_usize).prop_map(|n| format!("C{n}")),
        (0..7_usize).prop_map(|n| format!("G{n}")),
        (0..3_usize).prop_map(|n| format!("F{n}")),
    ];
    let inputs = prop::collection::vec(prop::collection::vec(pick, 0..8), 4);
    (schools, classes, groups, inputs).prop_map(|(schools, classes, groups, inputs)| {
        let text = |link: Option<String>| link.map_or(Value::Null, Value::from);
        let mut tree = OrgTree::default();
        let mut insert = |id: String, fields: Fields| {
            let (key, org) = org(&id, fields);
            tree.insert(key, org);
        };
        for n in 0..3 {
            insert(format!("D{n}"), Fields::new());
        }
        for (n, (district, archived)) in schools.into_iter().enumerate() {
            insert(format!("S{n}"), fields! { "districtId" => text(district), "archived" => archived });
        }
        for (n, (school, district, archived)) in classes.into_iter().enumerate() {
            insert(
                format!("C{n}"),
                fields! { "schoolId" => text(school), "districtId" => text(district), "archived" => archived },
            );
        }
        for (n, (parent, family, archived)) in groups.into_iter().enumerate() {
            let (parent_type, parent) = parent.map_or((Value::Null, Value::Null), |(t, p)| (t.into(), p.into()));
            insert(
                format!("G{n}"),
                fields! {
                    "parentOrgType" => parent_type, "parentOrgId" => parent,
                    "familyId" => text(family), "archived" => archived,
                },
            );
        }
        insert("F0".to_owned(), Fields::new());
        insert("F1".to_owned(), Fields::new());
        let inputs = inputs.iter().map(|ids| ids.iter().map(|id| (type_of(id), id.as_str())).collect()).collect();
        (tree, inputs)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_algebra_of_org_lists((tree, inputs) in forest()) {
        for input in &inputs {
            let existing = tree.only_existing(input);
            let all = tree.exhaustive(input, false);
            let minimal = tree.minimal(input);
            prop_assert_eq!(tree.minimal(&all), minimal.clone(), "minimal(exhaustive(x)) = minimal(x)");
            prop_assert!(tree.exhaustive(&minimal, false).same_orgs(&all), "exhaustive(minimal(x)) = exhaustive(x)");
            prop_assert!(existing.difference(&all.to_set()).is_empty(), "x is within exhaustive(x)");
            prop_assert!(minimal.difference(&existing.to_set()).is_empty(), "minimal(x) is within x");
            prop_assert_eq!(tree.exhaustive(&all, false), all.clone());
            prop_assert_eq!(tree.minimal(&minimal), minimal.clone());
            let read = tree.read_orgs(&all);
            prop_assert!(all.difference(&read.to_set()).is_empty(), "exhaustive(x) is within its read orgs");
            prop_assert!(tree.read_orgs(&read).same_orgs(&read));
            prop_assert!(all.difference(&tree.exhaustive(input, true).to_set()).is_empty());
            prop_assert_eq!(minimal.is_empty(), existing.is_empty());
        }
    }

    /// What lets reports ask for few orgs: somebody's orgs meet an administration's read orgs just when their
    /// top-most ones do.
    #[test]
    fn read_orgs_that_meet_somebodys_orgs_meet_their_topmost_ones((tree, inputs) in forest()) {
        let meet = |one: &OrgLists, other: &OrgLists| !one.intersection(&other.to_set()).is_empty();
        for administered in &inputs {
            let all = tree.exhaustive(administered, false);
            let topmost = tree.minimal(&all);
            for assigned in &inputs {
                let read = tree.read_orgs(&tree.exhaustive(assigned, false));
                prop_assert_eq!(meet(&all, &read), meet(&topmost, &read), "{:?} {:?}", administered, assigned);
            }
        }
    }
}

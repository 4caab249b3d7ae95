//! Lists of orgs and their hierarchy: `{"orgs": {"districts": ["d1"]}, "tree": {"districts": {"d1": {…}}}}`.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use roar_functions::claims::lists::AdminOrgs;
use roar_functions::orgs::payload::SentOrgs;
use roar_functions::orgs::{Org, OrgKey, OrgLists, OrgTree, OrgType};
use roar_functions::runtime::edge::read_part;
use roar_functions_fuzz::{assert_discreet, fields, mutate_json, value};
use serde_json::Value as Json;

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| { mutate_json(data, size, most, seed) });

fuzz_target!(|bytes: &[u8]| {
    let Ok(Json::Object(input)) = serde_json::from_slice(bytes) else { return };
    let stored = OrgLists::from_value(input.get("orgs").map(value).as_ref());
    assert_eq!(OrgLists::from_value(Some(&stored.to_value())), stored);
    let mut twice = stored.clone();
    twice.extend(&stored);
    assert_eq!(twice, stored);
    assert!(stored.difference(&stored.to_set()).is_empty());
    assert_eq!(stored.intersection(&stored.to_set()), stored);
    match read_part(input.get("orgs").unwrap_or(&Json::Null)) {
        Ok(sent) => assert_eq!(SentOrgs::lists(sent), stored),
        Err(wrong) => assert_discreet(&wrong.of("orgs")),
    }

    let mut tree = OrgTree::default();
    for org_type in OrgType::ALL {
        let orgs = input.get("tree").and_then(|tree| tree.get(org_type.plural())).and_then(Json::as_object);
        for (id, org) in orgs.into_iter().flatten() {
            let Some(fields) = fields(org) else { continue };
            tree.insert(OrgKey::new(org_type, id), Org::from_fields(org_type, &fields));
        }
    }
    check(&tree, &stored);
});

fn check(tree: &OrgTree, lists: &OrgLists) {
    let existing = tree.only_existing(lists);
    let holds = |all: &OrgLists, some: &OrgLists| some.difference(&all.to_set()).is_empty();

    let minimal = tree.minimal(lists);
    let exhaustive = tree.exhaustive(lists, false);
    assert!(holds(&existing, &minimal) && holds(&exhaustive, &existing));
    assert!(minimal.is_empty() == existing.is_empty());
    assert_eq!(tree.minimal(&minimal), minimal);
    assert!(tree.exhaustive(&exhaustive, false).same_orgs(&exhaustive));
    assert!(tree.exhaustive(&minimal, false).same_orgs(&exhaustive), "{minimal:?} {exhaustive:?}");
    assert!(holds(&tree.exhaustive(lists, true), &exhaustive));

    let readers = tree.read_orgs(lists);
    assert!(holds(&readers, &existing) && tree.read_orgs(&readers).same_orgs(&readers));

    let granted = AdminOrgs::of(lists, tree);
    assert!(AdminOrgs::of(&granted.minimal, tree).same(&granted));
    // One org is taken away: it's gone, or held through one above it.
    let Some(taken) = lists.iter().next() else { return };
    let taken = OrgLists::from_iter([taken]);
    match AdminOrgs::without(&granted.minimal, &taken, tree) {
        Ok(left) => {
            assert!(left.exhaustive.intersection(&taken.to_set()).is_empty());
            assert!(holds(&granted.exhaustive, &left.exhaustive));
        }
        Err(held) => assert!(granted.exhaustive.contains(held.ancestor.org_type, &held.ancestor.id)),
    }
}

//! Loading the org hierarchy: the reads that it needs, however wide the tree is.

use roar_functions::fields;
use roar_functions::orgs::{OrgLists, OrgType, Reach, load_tree};
use roar_functions::store::{DocPath, Fields, Write};

use crate::local::LocalWorld;

/// One district with 40 schools of 50 classes each, a group under every hundredth class, a group in
/// that group, and an archived school.
async fn wide() -> LocalWorld {
    let world = LocalWorld::start().await;
    let mut writes = Vec::new();
    let mut org = |org_type: OrgType, id: String, fields: Fields| {
        let mut all = fields! { "archived" => false };
        all.extend(fields);
        writes.push(Write::set(DocPath::in_collection(org_type.plural(), &id).expect("a path"), all));
    };
    org(OrgType::District, "d".to_owned(), fields! {});
    for school in 0..40 {
        org(OrgType::School, format!("s{school}"), fields! { "districtId" => "d" });
        for class in 0..50 {
            let n = school * 50 + class;
            let school = format!("s{school}");
            org(OrgType::Class, format!("c{n}"), fields! { "schoolId" => school, "districtId" => "d" });
            if n % 100 == 0 {
                let parent = |org_type: &str, id: String| fields! { "parentOrgType" => org_type, "parentOrgId" => id };
                org(OrgType::Group, format!("g{n}"), parent("class", format!("c{n}")));
                org(OrgType::Group, format!("gg{n}"), parent("group", format!("g{n}")));
            }
        }
    }
    org(OrgType::School, "old".to_owned(), fields! { "districtId" => "d", "archived" => true });
    for batch in writes.chunks(400) {
        world.admin().commit(batch.to_vec()).await.expect("written");
    }
    world
}

#[tokio::test]
async fn a_tree_of_two_thousand_orgs_is_read_once() {
    let world = wide().await;
    let district: OrgLists = [(OrgType::District, "d")].into_iter().collect();
    let before = world.admin().cost();
    let tree = load_tree(world.admin(), &district, Reach::DownAndUp).await.expect("a tree");
    let reads = (world.admin().cost() - before).reads;
    let orgs = tree.exhaustive(&district, false);
    let count = |org_type| orgs.of(org_type).len();
    assert_eq!([OrgType::School, OrgType::Class, OrgType::Group].map(count), [40, 2000, 40]);
    // Each org once, and one for each query that finds nothing new: 30 orgs a query.
    let orgs_read = 1 + 40 + 2000 + 40;
    let empty_queries = 2100 / 30 + 10;
    assert!(reads <= orgs_read + empty_queries, "{reads} reads");
    assert_eq!(world.store.scans(), Vec::<String>::new());

    let all = load_tree(world.admin(), &district, Reach::Down { include_archived: true }).await.expect("a tree");
    assert!(all.exhaustive(&district, true).contains(OrgType::School, "old"));
}

#[tokio::test]
async fn ancestors_are_found_through_any_depth() {
    let world = wide().await;
    let group: OrgLists = [(OrgType::Group, "gg100")].into_iter().collect();
    let before = world.admin().cost();
    let tree = load_tree(world.admin(), &group, Reach::Up).await.expect("a tree");
    assert_eq!((world.admin().cost() - before).reads, 5);
    let read = tree.read_orgs(&group);
    let mut ids = read.flatten();
    ids.sort();
    assert_eq!(ids, ["c100", "d", "g100", "gg100", "s2"]);
}

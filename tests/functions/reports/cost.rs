//! What the calls read: part of the contract.

use roar_functions::fields;
use roar_functions::orgs::{OrgLists, OrgType};
use roar_functions::store::{DocPath, Value, Write};
use serde_json::json;

use super::{data, put, reads};
use crate::local::LocalWorld;
use crate::world::set;

/// Districts, schools in the first of them, classes in each school.
const DISTRICTS: usize = 10;
const SCHOOLS: usize = 200;
const CLASSES: usize = 9;

/// 2,000 orgs below ten districts, nearly all in the first; an administration on all of them, as a sync leaves
/// it. `lists`: parents list their children, as whoever writes orgs keeps them.
async fn wide(lists: bool) -> LocalWorld {
    let world = LocalWorld::start().await;
    let mut all = OrgLists::new();
    let mut writes = Vec::new();
    let listed = |children: Vec<String>| Value::strings(if lists { children } else { Vec::new() });
    let mut org = |org_type: OrgType, id: String, mut fields: roar_functions::store::Fields| {
        fields.extend(fields! { "name" => id.as_str(), "archived" => false });
        all.add(org_type, &id);
        writes.push(Write::set(DocPath::in_collection(org_type.plural(), &id).expect("a path"), fields));
        let stats = format!("administrations/a/stats/{id}");
        let block = fields! { "assigned" => 3, "started" => 2, "completed" => 1 };
        writes.push(Write::set(DocPath::new(stats).expect("a path"), fields! { "assignment" => block }));
    };
    let mut n = 0;
    for district in 0..DISTRICTS {
        let schools: Vec<String> =
            (0..if district == 0 { SCHOOLS } else { 1 }).map(|school| format!("s-{district}-{school}")).collect();
        for school in &schools {
            let classes: Vec<String> = (0..CLASSES)
                .map(|_| {
                    n += 1;
                    format!("c-{n}")
                })
                .collect();
            for class in &classes {
                let links = fields! { "schoolId" => school.as_str(), "districtId" => format!("d-{district}") };
                org(OrgType::Class, class.clone(), links);
            }
            let links = fields! { "districtId" => format!("d-{district}"), "classes" => listed(classes) };
            org(OrgType::School, school.clone(), links);
        }
        org(OrgType::District, format!("d-{district}"), fields! { "schools" => listed(schools) });
    }
    for batch in writes.chunks(400) {
        world.admin().commit(batch.to_vec()).await.expect("written");
    }
    let districts: OrgLists = all.of(OrgType::District).iter().map(|id| (OrgType::District, id.as_str())).collect();
    put(&world, "a", fields! { "name" => "Wide", "minimalOrgs" => districts.to_value(), "readOrgs" => all.to_value() })
        .await;
    let claims = fields! { "claims" => fields! { "super_admin" => true } };
    set(world.admin(), "userClaims/super", claims).await;
    // An administrator of the first district.
    let of_first: OrgLists = all.iter().filter(|(_, id)| !id.starts_with("d-") || *id == "d-0").collect();
    let minimal: OrgLists = [(OrgType::District, "d-0")].into_iter().collect();
    let claims =
        fields! { "roarUid" => "of-d-0", "adminOrgs" => of_first.to_value(), "minimalAdminOrgs" => minimal.to_value() };
    set(world.admin(), "userClaims/of-d-0", fields! { "claims" => claims }).await;
    let part = [(OrgType::School, "s-0-7")].into_iter().collect::<OrgLists>().to_value();
    let claims = fields! { "roarUid" => "of-s", "adminOrgs" => part.clone(), "minimalAdminOrgs" => part };
    set(world.admin(), "userClaims/of-s", fields! { "claims" => claims }).await;
    // Its events are no matter here.
    world.store.take_events().await.expect("the outbox");
    world
}

const TREE: &str = "getAdministrationOrgsAndStats";

#[tokio::test]
async fn a_tree_of_two_thousand_orgs() {
    let world = wide(true).await;
    let level = |parent: Option<(&str, &str)>| {
        let (org_type, org) = parent.unzip();
        json!({ "administrationId": "a", "parentOrgId": org, "parentOrgType": org_type })
    };
    let claims_and_administration = 2;
    let table = [
        // Two for each district.
        ("super", level(None), DISTRICTS, 2 * DISTRICTS),
        ("of-d-0", level(None), 1, 2),
        // Itself and its district, to see that it's a part; then two.
        ("of-s", level(None), 1, 2 + 2),
        // Two for each school; two counts of the district's classes, each of two thousand entries at most.
        ("super", level(Some(("district", "d-0"))), SCHOOLS, 2 * SCHOOLS + 2 * 2),
        ("of-d-0", level(Some(("district", "d-0"))), SCHOOLS, 2 * SCHOOLS + 2 * 2),
        // Two for each class.
        ("super", level(Some(("school", "s-0-7"))), CLASSES, 2 * CLASSES),
        ("of-d-0", level(Some(("school", "s-0-7"))), CLASSES, 2 * CLASSES),
        ("super", level(Some(("class", "c-1"))), 0, 0),
    ];
    for (uid, payload, rows, expected) in table {
        let answer = data(&world, TREE, uid, payload.clone()).await;
        assert_eq!(answer.as_array().map(Vec::len), Some(rows), "{uid} {payload}");
        let cost = reads(&world, TREE, uid, payload.clone()).await as usize;
        println!("{uid} {payload}: {cost} reads for {rows} rows");
        assert_eq!(cost, claims_and_administration + expected, "{uid} {payload}");
    }
}

/// Where parents list no children, these are looked for, thirty parents a query.
#[tokio::test]
async fn a_tree_whose_parents_list_nobody() {
    let world = wide(false).await;
    let payload = json!({ "administrationId": "a", "parentOrgId": "d-0", "parentOrgType": "district" });
    let rows = data(&world, TREE, "super", payload.clone()).await;
    assert!(rows.as_array().expect("a list").iter().all(|row| row["hasChildren"] == true));
    let cost = reads(&world, TREE, "super", payload).await as usize;
    assert_eq!(cost, 2 + 2 * SCHOOLS + 2 * 2 + SCHOOLS * CLASSES);
}

#[tokio::test]
async fn a_page_of_two_hundred_administrations() {
    let world = LocalWorld::start().await;
    let lists = |id: &str| [(OrgType::District, id)].into_iter().collect::<OrgLists>().to_value();
    let mut writes = Vec::new();
    let mut write = |path: String, fields| writes.push(Write::set(DocPath::new(path).expect("a path"), fields));
    for n in 0..200 {
        let big: Vec<Value> = (0..20)
            .map(|n| Value::Map(fields! { "taskId" => format!("t{n}"), "params" => "x".repeat(1000) }))
            .collect();
        let administration = fields! {
            "name" => "A", "testData" => false, "dateClosed" => world.now(), "createdBy" => "x",
            "assessments" => big, "minimalOrgs" => lists("d"), "readOrgs" => lists("d"),
        };
        write(format!("administrations/a{n}"), administration);
        let block = fields! { "assigned" => 3, "started" => 2, "completed" => 1 };
        write(format!("administrations/a{n}/stats/total"), fields! { "assignment" => block });
        write(
            format!("administrations/a{n}/readOrgs/d"),
            fields! { "orgId" => "d", "testData" => false, "dateClosed" => world.now() },
        );
    }
    write("userClaims/super".to_owned(), fields! { "claims" => fields! { "super_admin" => true } });
    let claims = fields! { "roarUid" => "of-d", "adminOrgs" => lists("d"), "minimalAdminOrgs" => lists("d") };
    write("userClaims/of-d".to_owned(), fields! { "claims" => claims });
    for batch in writes.chunks(200) {
        world.admin().commit(batch.to_vec()).await.expect("written");
    }
    world.store.take_events().await.expect("the outbox");

    let ids = data(&world, "getAdministrations", "super", json!({ "testData": false })).await;
    assert_eq!(ids.as_array().map(Vec::len), Some(200));
    let stats =
        json!({ "administrationIds": ids, "orgId": null, "orgType": null, "taskIds": null, "fetchAllTaskIds": false });
    let tasks = json!({ "administrationIds": ids, "fetchAllTaskIds": true });
    let claims = 1;
    let table = [
        ("super", "getAdministrations", json!({ "testData": false }), 200),
        ("super", "getAssignmentStats", stats.clone(), 200),
        ("super", "getAssignmentStats", tasks, 400),
        // Those that the district may read, their documents, and a query for those of one's own.
        ("of-d", "getAdministrations", json!({ "testData": false }), 401),
        ("of-d", "getAssignmentStats", stats, 400),
    ];
    for (uid, name, payload, expected) in table {
        let answer = data(&world, name, uid, payload.clone()).await;
        assert_eq!(
            answer.as_array().map(Vec::len).or(answer.as_object().map(|map| map.len())),
            Some(200),
            "{uid} {name}"
        );
        let cost = reads(&world, name, uid, payload).await;
        println!("{uid} {name}: {cost} reads");
        assert_eq!(cost, claims + expected, "{uid} {name}");
    }
}

//! `getAdministrationOrgsAndStats`: who sees which orgs, where.

use roar_functions::fields;
use roar_functions::store::Value;
use serde_json::{Value as Json, json};

use super::{admin, counts, data, net, world};
use crate::local::LocalWorld;
use crate::scenario::{delete, merge};
use crate::small::lists;
use crate::world::set;

const NAME: &str = "getAdministrationOrgsAndStats";

/// The level's orgs in one line, `+` marking those that have children.
async fn level(world: &LocalWorld, uid: &str, id: &str, parent: Option<(&str, &str)>) -> String {
    let (org_type, org) = parent.unzip();
    let payload = json!({ "administrationId": id, "parentOrgId": org, "parentOrgType": org_type });
    let rows = data(world, NAME, uid, payload).await;
    let shown = |row: &Json| {
        let children = if row["hasChildren"] == true { "+" } else { "" };
        format!("{}{children}", row["orgId"].as_str().expect("an ID"))
    };
    rows.as_array().expect("a list").iter().map(shown).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn who_sees_which_level() {
    let world = world().await;
    let (d1, s1, s2) = (Some(("district", "D1")), Some(("school", "S1")), Some(("school", "S2")));
    let table = [
        ("super", "on-D1", None, "D1+"),
        ("super", "on-D1", d1, "S1+ S2+"),
        ("super", "on-D1", s1, "C1 C2"),
        ("super", "on-D1", Some(("class", "C1")), ""),
        ("super", "on-D1", Some(("groups", "G1")), ""),
        ("super", "on-D1", Some(("family", "F1")), ""),
        ("super", "on-D1", Some(("school", "nowhere")), ""),
        ("super", "on-D1", Some(("district", "D2")), ""),
        ("super", "on-S1", None, "S1+"),
        ("super", "on-S1", d1, "S1+"),
        ("super", "on-S1", s2, ""),
        ("super", "on-C1", None, "C1"),
        ("super", "on-C1", s1, "C1"),
        ("super", "on-G2", None, "G2"),
        ("of-D1", "on-D1", None, "D1+"),
        ("of-D1", "on-D1", d1, "S1+ S2+"),
        ("of-D1", "on-D1", s2, "C3"),
        ("of-D1", "on-C1", None, "C1"),
        // Those of a part see that part.
        ("of-S1", "on-D1", None, "S1+"),
        ("of-S1", "on-D1", d1, ""),
        ("of-S1", "on-D1", s1, "C1 C2"),
        ("of-S1", "on-D1", s2, ""),
        ("of-S1", "on-C1", None, "C1"),
        ("of-C1", "on-D1", None, "C1"),
        ("of-C1", "on-S1", None, "C1"),
        ("of-C1", "on-D1", s1, ""),
        ("of-C2-and-D2", "on-D1", None, "C2"),
        ("of-C2-and-D2", "on-S3", None, "S3+"),
        ("of-S3", "on-S3", None, "S3+"),
        // A family's group, on its own and within another.
        ("of-F1", "on-G1", None, "G1"),
        ("of-F1", "on-G2", None, "G1"),
    ];
    for (uid, id, parent, expected) in table {
        assert_eq!(level(&world, uid, id, parent).await, expected, "{uid} {id} {parent:?}");
    }
}

#[tokio::test]
async fn classes_without_a_school_are_the_districts() {
    let world = world().await;
    for (id, school) in [("C8", Value::Null), ("C9", Value::from(""))] {
        let class = fields! { "name" => id, "archived" => false, "districtId" => "D1", "schoolId" => school };
        set(world.admin(), &format!("classes/{id}"), class).await;
    }
    set(world.admin(), "districts/D3", fields! { "name" => "D3", "archived" => false }).await;
    set(world.admin(), "classes/C7", fields! { "name" => "C7", "archived" => false, "districtId" => "D3" }).await;
    let both = lists(&["D1", "D3"]);
    merge(&world, "administrations/on-D1", fields! { "minimalOrgs" => both.to_value() }).await;
    world.settle().await;
    assert_eq!(level(&world, "super", "on-D1", None).await, "D1+ D3+");
    assert_eq!(level(&world, "super", "on-D1", Some(("district", "D1"))).await, "S1+ S2+ C8 C9");
    assert_eq!(level(&world, "super", "on-D1", Some(("district", "D3"))).await, "C7");
    // Rights over the district are rights over what was made in it.
    assert_eq!(level(&world, "of-D1", "on-D1", Some(("district", "D1"))).await, "S1+ S2+ C8 C9");
}

#[tokio::test]
async fn children_are_found_by_their_own_links_alone() {
    let world = world().await;
    // S2 says nothing of its district, which lists it, and S3; C3 says nothing of its school, which lists it.
    merge(&world, "districts/D1", fields! { "schools" => Value::strings(["S2", "S3", "gone"]) }).await;
    merge(&world, "schools/S2", fields! { "districtId" => Value::Null, "classes" => Value::strings(["C3"]) }).await;
    merge(&world, "classes/C3", fields! { "schoolId" => Value::Null, "districtId" => Value::Null }).await;
    assert_eq!(level_now(&world, "D1", "district").await, ["S1"]);
    assert_eq!(level_now(&world, "S2", "school").await, Vec::<String>::new());
}

async fn level_now(world: &LocalWorld, org: &str, org_type: &str) -> Vec<String> {
    let payload = json!({ "administrationId": "on-D1", "parentOrgId": org, "parentOrgType": org_type });
    let answer = world.call_function(NAME, "super", payload).await.expect("an answer");
    let rows = answer["data"].as_array().expect("a list");
    rows.iter().map(|row| row["orgId"].as_str().expect("an ID").to_owned()).collect()
}

#[tokio::test]
async fn only_what_is_assigned_has_a_row() {
    let world = world().await;
    // Made after the sync; archived after it; gone.
    let class = |name: &str| fields! { "name" => name, "archived" => false, "schoolId" => "S1", "districtId" => "D1" };
    set(world.admin(), "classes/C5", class("C5")).await;
    merge(&world, "classes/C2", fields! { "archived" => true }).await;
    delete(&world, "classes/C3").await;
    assert_eq!(level_now(&world, "S1", "school").await, ["C1", "C2"], "counted until the next sync");
    assert_eq!(level_now(&world, "S2", "school").await, Vec::<String>::new());
}

#[tokio::test]
async fn counts_of_rows() {
    let world = world().await;
    let stats = |id: &str| format!("administrations/on-D1/stats/{id}");
    counts(&world, &stats("S1"), (7, 4, 3)).await;
    delete(&world, &stats("S2")).await;
    let row = |id: &str, stats: Option<Json>| {
        let mut row = json!({ "orgId": id, "name": id, "orgType": "school", "districtId": "D1", "hasChildren": true });
        if let Some(stats) = stats {
            row["stats"] = json!({ "assignment": stats });
        }
        row
    };
    let payload = json!({ "administrationId": "on-D1", "parentOrgId": "D1", "parentOrgType": "district" });
    let rows = data(&world, NAME, "of-D1", payload.clone()).await;
    assert_eq!(rows, json!([row("S1", Some(net(3, 1, 3))), row("S2", None)]));
    let block = fields! { "assigned" => 4, "started" => 1, "completed" => 0 };
    let kept_once =
        fields! { "S1" => fields! { "assignment" => block.clone() }, "S2" => fields! { "assignment" => block } };
    set(world.admin(), &stats("completion"), kept_once).await;
    let rows = data(&world, NAME, "of-D1", payload).await;
    assert_eq!(rows, json!([row("S1", Some(net(3, 1, 3))), row("S2", Some(net(3, 1, 0)))]));
}

/// An administrator of several parts of one administration sees each once.
#[tokio::test]
async fn several_parts() {
    let world = world().await;
    admin(&world, "parts", &["S2", "C1", "C3", "S3", "C4"], &["S2", "C1", "S3"]).await;
    assert_eq!(level(&world, "parts", "on-D1", None).await, "S2+ C1");
    assert_eq!(level(&world, "parts", "on-S1", None).await, "C1");
    let all = lists(&["D1", "S3"]);
    merge(&world, "administrations/on-D1", fields! { "minimalOrgs" => all.to_value() }).await;
    world.settle().await;
    assert_eq!(level(&world, "parts", "on-D1", None).await, "S2+ S3+ C1");
}

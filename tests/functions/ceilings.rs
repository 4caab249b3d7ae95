//! The most expensive requests that each role can make by callables in a minute.
//!
//! Every single call is bounded, and all calls of a minute together by the caller's budget: `runtime::budget` refuses
//! the next call once the budget is used up, and limits how many calls run concurrently.

use std::collections::BTreeMap;

use roar_functions::fields;
use roar_functions::orgs::{OrgLists, OrgType};
use roar_functions::rights::Role;
use roar_functions::runtime::budget::{OPERATIONS, RAISED_OPERATIONS, RAISED_UNDER_WAY, UNDER_WAY};
use roar_functions::store::{Cost, DocPath, Write};
use serde_json::{Value as Json, json};

use crate::rights::{callables, request, town};
use crate::town::{Town, assessment_uid, uid};
use crate::world::open_administration;

/// Whose cost counts for no budget: super admins' alone.
const OPERATORS: [&str; 3] = ["reconcileAdministration", "mergeUsers", "syncCleverOrgs"];

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

/// The dearest requests that may be made, besides the usual one: as many IDs as may be named, of what isn't there, of what
/// isn't the caller's, and of what is.
fn dearest(town: &Town, function: &str, role: Role) -> Vec<Json> {
    let dead = |count| numbered("dead", count);
    let of = |sent: Json| vec![request(town, function, role), sent];
    match function {
        "getAssignmentStats" => {
            let with = |ids: Vec<String>, org: Json, tasks: Json| json!({"administrationIds": ids, "orgId": org, "taskIds": tasks, "fetchAllTaskIds": tasks.is_null()});
            let real = || numbered("many", 300);
            vec![
                with(dead(300), Json::Null, Json::Null),
                with(real(), Json::Null, Json::Null),
                with(real(), json!("s1"), json!(numbered("t", 100))),
                with(dead(300), json!("s1"), json!(numbered("t", 100))),
                with(real(), json!("s3"), Json::Null),
            ]
        }
        "createAdministration" => {
            let mut many = open_administration(town.world.now());
            many["orgs"] = json!({"schools": dead(2500), "classes": dead(2500)});
            of(many)
        }
        "appendToAdminClaims" | "removeFromAdminClaims" => {
            of(json!({"targetUid": "uid-pupil", "schools": dead(500), "classes": dead(500)}))
        }
        "createAdministratorAccount" => of(json!({
            "email": "many@example.org", "name": {"first": "A", "last": "B"},
            "orgs": {"classes": dead(1000)}, "adminOrgs": {"classes": ["c1"], "schools": dead(999)},
        })),
        "updateUserRecord" => of(json!({"uid": "nobody", "userRecord": {"displayName": "P"}})),
        "associateAssessmentUid" => of(json!({"adminUid": "uid-pupil", "assessmentUid": assessment_uid(role)})),
        "getAdministrationOrgsAndStats" => of(json!({
            "administrationId": "many0", "parentOrgId": "d1", "parentOrgType": "district",
        })),
        _ => vec![request(town, function, role)],
    }
}

/// A town with 300 administrations of a district with 200 schools.
async fn large_town() -> Town {
    let town = town().await;
    let schools = numbered("many-s", 200);
    let orgs = schools.iter().map(|id| (OrgType::School, id.as_str())).chain([
        (OrgType::District, "d1"),
        (OrgType::School, "s1"),
        (OrgType::School, "s2"),
        (OrgType::Class, "c1"),
        (OrgType::Class, "c2"),
    ]);
    let read: OrgLists = orgs.collect();
    let of_district: OrgLists = [(OrgType::District, "d1")].into_iter().collect();
    let mut writes = Vec::new();
    let mut write = |path: String, fields| writes.push(Write::set(DocPath::new(path).expect("a path"), fields));
    for school in &schools {
        let org = fields! { "name" => school.as_str(), "archived" => false, "districtId" => "d1" };
        write(format!("schools/{school}"), org);
    }
    for number in 0..300 {
        let administration = fields! {
            "name" => "A", "formatVersion" => 2, "minimalOrgs" => of_district.to_value(), "readOrgs" => read.to_value(),
            "testData" => false, "assessments" => roar_functions::store::Value::Array(Vec::new()),
            "createdBy" => "somebody", "dateClosed" => town.world.now(),
        };
        write(format!("administrations/many{number}"), administration);
        for org in ["d1", "s1"] {
            let found = fields! { "orgId" => org, "testData" => false, "dateClosed" => town.world.now() };
            write(format!("administrations/many{number}/readOrgs/{org}"), found);
        }
    }
    for batch in writes.chunks(200) {
        town.world.admin().commit(batch.to_vec()).await.expect("written");
    }
    // The district's admin has all of its schools.
    let path = DocPath::new(format!("userClaims/{}", uid(Role::ParentAdmin))).expect("a path");
    let mask = vec![roar_functions::store::FieldPath::of(["claims", "adminOrgs"])];
    let claims = fields! { "claims" => fields! { "adminOrgs" => read.to_value() } };
    town.world.admin().commit(vec![Write::merge(path, claims, mask)]).await.expect("written");
    town.world.events().await;
    town
}

fn operations(cost: Cost) -> u64 {
    cost.reads + cost.writes + cost.deletes
}

/// What the dearest call of each function costs, whatever it answers.
async fn dearest_calls(role: Role) -> BTreeMap<&'static str, u64> {
    let town = large_town().await;
    let (admin, assessment) = (town.world.admin(), town.world.assessment());
    let mut dearest_of = BTreeMap::new();
    for (function, _) in callables() {
        for sent in dearest(&town, function, role) {
            let before = admin.cost() + assessment.cost();
            let _ = town.call(role, function, sent).await;
            let cost = operations(admin.cost() + assessment.cost() - before);
            let dearest = dearest_of.entry(function).or_insert(0);
            *dearest = cost.max(*dearest);
            town.world.events().await;
        }
    }
    dearest_of
}

#[tokio::test]
async fn the_dearest_minute_of_each_role() {
    let (plain, raised) = (u64::from(OPERATIONS.get()), u64::from(RAISED_OPERATIONS.get()));
    // What a call costs at most, and what a minute's budget is.
    let table = [
        (Role::SignedOut, 0, 0),
        (Role::Guest, 40, plain),
        (Role::Student, 40, plain),
        (Role::Caregiver, 310, plain),
        (Role::Admin, 1_000, raised),
        (Role::SiblingAdmin, 1_100, raised),
        (Role::ParentAdmin, 1_100, raised),
        (Role::SuperAdmin, 5_200, raised),
    ];
    for (role, ceiling, budget) in table {
        let mut calls = dearest_calls(role).await;
        if role == Role::SuperAdmin {
            calls.retain(|function, _| !OPERATORS.contains(function));
        }
        let (function, dearest) = calls.iter().max_by_key(|(_, cost)| **cost).expect("functions");
        // Until the budget is used up, and the calls that had begun by then.
        let under_way = u64::from(if budget == plain { UNDER_WAY } else { RAISED_UNDER_WAY });
        let minute = if budget == 0 { 0 } else { budget + under_way * dearest };
        println!("{role:?}: the dearest call is {function} with {dearest}; a minute at most {minute}");
        assert!(*dearest <= ceiling, "{role:?}: {calls:#?}");
    }
}

/// The callables that no budget limits are exactly [`OPERATORS`], and only super admins may call these.
#[test]
fn only_operators_work_counts_for_no_budget() {
    let unbounded: Vec<_> =
        roar_functions::functions::table().iter().filter(|f| !f.is_budgeted).map(|function| function.name).collect();
    assert_eq!(unbounded, OPERATORS);
    for (function, rule) in callables() {
        assert!(!OPERATORS.contains(&function) || rule == roar_functions::rights::Rule::SuperAdmin, "{function}");
    }
}

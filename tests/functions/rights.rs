//! Every callable is called by every kind of caller: the results agree with the table in the documentation.

use std::collections::BTreeSet;

use roar_functions::accounts::{AccountUpdate, Provider};
use roar_functions::fields;
use roar_functions::functions;
use roar_functions::rights::{Expected, Role, Rule, table};
use roar_functions::runtime::{Status, Trigger};
use roar_functions::store::Value;
use secrecy::ExposeSecret as _;
use serde_json::{Value as Json, json};

use crate::local::caller;
use crate::town::{Town, assessment_uid, lists, uid};
use crate::world::{open_administration, set};

/// The callables and their rules, from the index.
pub fn callables() -> Vec<(&'static str, Rule)> {
    let callable = |function: &roar_functions::runtime::Function<_>| matches!(function.trigger, Trigger::Callable(_));
    let rule = |access| Rule::with_text(access).expect("every callable has a rule");
    functions::table().iter().filter(|f| callable(f)).map(|function| (function.name, rule(function.access))).collect()
}

/// A good request about school s1 or a student in it. A new callable needs one.
pub fn request(town: &Town, function: &str, role: Role) -> Json {
    match function {
        "createAdministration" => {
            let mut administration = open_administration(town.world.now());
            administration["orgs"] = json!({"schools": ["s1"]});
            administration
        }
        "reconcileAdministration" => json!({"administrationId": "a1"}),
        "mergeUsers" => json!({
            "from": format!("roar-{}", uid(Role::Admin)), "into": format!("roar-{}", uid(Role::SiblingAdmin)),
        }),
        "appendToAdminClaims" | "removeFromAdminClaims" => json!({"targetUid": "uid-pupil", "schoolId": "s1"}),
        "setUidClaims" => json!({"assessmentUid": assessment_uid(role)}),
        "associateAssessmentUid" => json!({"adminUid": uid(role), "assessmentUid": assessment_uid(role)}),
        "createAdministratorAccount" => json!({
            "email": format!("{role:?}@example.org"), "name": {"first": "A", "last": "B"},
            "orgs": {"schools": ["s1"]}, "adminOrgs": {"schools": ["s1"]},
        }),
        "updateUserRecord" => json!({"uid": "uid-pupil", "userRecord": {"displayName": "P"}}),
        "getAdministrations" => json!({"testData": false, "restrictToOpenAdministrations": false}),
        "getAssignmentStats" => json!({"administrationIds": ["a1"], "orgId": null, "orgType": null, "taskIds": null}),
        "getAdministrationOrgsAndStats" => {
            json!({"administrationId": "a1", "parentOrgId": null, "parentOrgType": null})
        }
        "syncCleverOrgs" => json!({"shallow": true}),
        "rosterDoubles" => json!({"districtId": "d1", "confirmAll": true, "apply": true}),
        "syncCleverUser" => {
            let there = town.world.fake.district(0);
            json!({"assessmentUid": assessment_uid(role), "accessToken": there.sign_in(&at_clever(town, role)).expose_secret()})
        }
        "createLevanteGroup" => json!({"groupData": {"name": "G", "parentOrgType": "school", "parentOrgId": "s1"}}),
        other => panic!("{other} needs a request here"),
    }
}

/// Who somebody is at Clever.
fn at_clever(town: &Town, role: Role) -> String {
    let place = Role::ALL.iter().position(|one| *one == role).expect("a role");
    town.world.fake.district(0).users("student")[place].clone()
}

pub async fn town() -> Town {
    let town = Town::open().await;
    for role in Role::ALL.into_iter().filter(|role| !matches!(role, Role::SignedOut | Role::WrongToken)) {
        let provider = Provider { provider_id: "oidc.clever".to_owned(), raw_id: at_clever(&town, role) };
        let link = AccountUpdate { link: Some(provider), ..AccountUpdate::default() };
        town.world.service.app.accounts.admin.update(&uid(role), &link).await.expect("linked");
    }
    town.account("uid-pupil", "assessment-pupil", "pupil@example.org").await;
    town.user("roar-pupil", "student", &[("schools", "s1"), ("classes", "c1")]).await;
    let claims = fields! {
        "roarUid" => "roar-pupil", "adminUid" => "uid-pupil", "adminOrgs" => lists(&json!({})), "role" => "student",
    };
    set(town.world.admin(), "userClaims/uid-pupil", fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    let orgs = lists(&json!({"schools": ["s1"]}));
    let read = lists(&json!({"districts": ["d1"], "schools": ["s1"], "classes": ["c1", "c2"]}));
    let administration = fields! {
        "name" => "A", "formatVersion" => 2, "minimalOrgs" => orgs, "readOrgs" => read, "testData" => false,
        "assessments" => Value::Array(Vec::new()), "createdBy" => "somebody",
    };
    set(town.world.admin(), "administrations/a1", administration).await;
    town
}

#[tokio::test]
async fn every_callable_says_to_every_role_what_the_table_says() {
    for (function, rule) in callables() {
        for role in Role::ALL {
            let town = town().await;
            let caller = match role {
                // What becomes of forged tokens, the tests of the runtime show; this one is another project's.
                Role::WrongToken => Some(caller("another-project", &uid(Role::SuperAdmin))),
                role => Town::caller(role),
            };
            let before = town.everything().await;
            let answer = town.world.call_as(function, caller, request(&town, function, role)).await;
            let said = match &answer {
                Ok(_) => Expected::Allowed,
                Err(error) if error.status == Status::Unauthenticated => Expected::Unauthenticated,
                Err(error) if error.status == Status::PermissionDenied => Expected::Denied,
                Err(error) => panic!("{function} as {role:?}: {error}"),
            };
            assert_eq!(said, rule.expects(role), "{function} as {role:?}");
            if said != Expected::Allowed {
                assert_eq!(town.everything().await, before, "{function} as {role:?}");
            }
        }
    }
}

#[tokio::test]
async fn tokens_of_the_assessment_project_open_nothing_of_the_admin_project() {
    let town = town().await;
    for (function, _) in callables() {
        // The same UID, in the wrong project.
        let stranger = caller(crate::town::ASSESSMENT_PROJECT, &uid(Role::SuperAdmin));
        let sent = request(&town, function, Role::SuperAdmin);
        let error = town.world.call_as(function, Some(stranger), sent).await.expect_err("it's refused");
        let both = function == "setUidClaims";
        let expected = if both { Status::InvalidArgument } else { Status::Unauthenticated };
        assert_eq!(error.status, expected, "{function}");
    }
}

#[test]
fn the_documentation_shows_the_table() {
    let documented = include_str!("../../docs/rights.md");
    let (_, rest) = documented.split_once("a test compares them -->\n").expect("the beginning of the table");
    let (listed, _) = rest.split_once("<!-- /rights -->").expect("the end of the table");
    let table = table(callables());
    assert_eq!(listed, table, "put this into docs/rights.md:\n{table}");
    assert_eq!(BTreeSet::from_iter(Rule::ALL.map(Rule::text)).len(), Rule::ALL.len(), "texts tell rules apart");
}

#[test]
fn the_documentation_names_what_asks_for_a_recent_sign_in() {
    let documented = include_str!("../../docs/rights.md");
    let (_, rest) = documented.split_once("a test compares them -->\nCalls that").expect("the beginning of the list");
    let (listed, _) = rest.split_once("<!-- /privileged -->").expect("the end of the list");
    let listed: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
    let privileged: Vec<_> =
        functions::table().iter().filter(|f| f.is_privileged).map(|function| function.name).collect();
    assert_eq!(listed, privileged);
}

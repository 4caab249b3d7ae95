//! Which accounts of the two projects belong to which user: `setUidClaims`, the callable of the same name in the
//! assessment project, and `associateAssessmentUid`.

use roar_functions::accounts::{AccountUpdate, NewAccount, Provider};
use roar_functions::fields;
use roar_functions::rights::Role;
use roar_functions::runtime::sign_in::{RECENT, SignInRules};
use roar_functions::runtime::{Caller, FunctionError, Status};
use roar_functions::store::{DocPath, Fields, Value, Write};
use serde_json::{Value as Json, json};

use crate::local::caller;
use crate::town::{ASSESSMENT_PROJECT, Town, assessment_uid, ids, lists, uid};
use crate::world::{PROJECT, set};

const SET: &str = "setUidClaims";
const ASSOCIATE: &str = "associateAssessmentUid";

/// A newcomer with accounts in both projects, nothing of which shows that they belong together.
async fn newcomer(town: &Town, name: &str) -> (String, String) {
    let (admin, assessment) = (format!("uid-{name}"), format!("assessment-{name}"));
    let accounts = &town.world.service.app.accounts;
    let new = NewAccount { email: Some(format!("{name}@example.org")), ..NewAccount::default() };
    accounts.admin.create(&admin, &new).await.expect("an account");
    accounts.assessment.create(&assessment, &NewAccount::default()).await.expect("an account");
    (admin, assessment)
}

/// Links the assessment account, as signing in through the admin project does.
async fn link(town: &Town, assessment_uid: &str, admin_uid: &str) {
    let provider = Provider { provider_id: format!("oidc.{PROJECT}"), raw_id: admin_uid.to_owned() };
    let update = AccountUpdate { link: Some(provider), ..AccountUpdate::default() };
    town.world.service.app.accounts.assessment.update(assessment_uid, &update).await.expect("linked");
}

/// Links an account of the admin project with an identity at a roster's provider, and verifies its address.
async fn at_clever(town: &Town, admin_uid: &str, raw_id: &str) {
    let provider = Provider { provider_id: "oidc.clever".to_owned(), raw_id: raw_id.to_owned() };
    let update = AccountUpdate { link: Some(provider), ..AccountUpdate::default() };
    town.world.service.app.accounts.admin.update(admin_uid, &update).await.expect("linked");
}

async fn sign_in(town: &Town, admin_uid: &str, data: Json) -> Result<Json, FunctionError> {
    town.world.call_as(SET, Some(caller(PROJECT, admin_uid)), data).await
}

fn uids(roar: &str, admin: &str, assessment: &str) -> Json {
    json!({"roarUid": roar, "adminUid": admin, "assessmentUid": assessment})
}

#[tokio::test]
async fn the_first_sign_in_makes_the_claims_and_the_next_ones_write_nothing() {
    let town = Town::open().await;
    let (admin, assessment) = newcomer(&town, "new").await;
    link(&town, &assessment, &admin).await;
    town.user(&admin, "guest", &[]).await;
    let sent = json!({"assessmentUid": assessment, "identityProviderId": null, "identityProviderType": null});
    let answer = sign_in(&town, &admin, sent.clone()).await.expect("signed in");
    let expected = uids(&admin, &admin, &assessment);
    assert_eq!(answer, json!({"status": "ok", "userClaims": expected}));
    for account in [town.admin_account(&admin).await, town.assessment_account(&assessment).await] {
        assert_eq!(Json::Object(account.expect("an account").custom_claims), expected);
    }
    let document = town.document(&format!("userClaims/{admin}")).await.expect("claims").fields;
    assert_eq!(document.get("testData"), Some(&Value::Boolean(false)));
    assert!(matches!(document.get("lastUpdated"), Some(Value::Integer(_))));
    let copy = town.assessment_document(&format!("userClaims/{assessment}")).await.expect("a copy").fields;
    assert_eq!(copy.get("claims"), document.get("claims"));
    let path = format!("users/{admin}");
    for user in [town.document(&path).await, town.assessment_document(&path).await] {
        let user = user.expect("a user").fields;
        assert_eq!(user.get("assessmentUid"), Some(&Value::from(assessment.as_str())));
    }
    assert_eq!(town.audit().await.len(), 1);
    town.settle().await;

    let before = (town.world.admin().cost(), town.world.assessment().cost());
    let again = sign_in(&town, &admin, sent).await.expect("signed in");
    assert_eq!(again, answer);
    let spent = (town.world.admin().cost() - before.0, town.world.assessment().cost() - before.1);
    assert_eq!((spent.0.reads, spent.1.reads, spent.0.writes, spent.1.writes), (2, 2, 0, 0));
}

#[tokio::test]
async fn the_assessment_account_must_be_shown_to_be_ones_own() {
    let town = Town::open().await;
    let (admin, assessment) = newcomer(&town, "new").await;
    let (other, other_assessment) = newcomer(&town, "other").await;
    let before = town.everything().await;
    let refused = async |uid: &str, sent: Json, status: Status| {
        let error = sign_in(&town, uid, sent.clone()).await.expect_err("it's refused");
        assert_eq!(error.status, status, "{sent}: {}", error.message);
        assert_eq!(town.everything().await, before);
    };
    refused(&admin, json!({"assessmentUid": assessment}), Status::PermissionDenied).await;
    // Nor does it help to name others, or who one would like to be.
    for sent in [
        json!({"assessmentUid": other_assessment}),
        json!({"assessmentUid": assessment, "adminUid": other}),
        json!({"assessmentUid": assessment, "roarUid": "roar-uid-superadmin"}),
        json!({"assessmentUid": assessment_uid(Role::SuperAdmin)}),
    ] {
        refused(&admin, sent, Status::PermissionDenied).await;
    }
    refused(&admin, json!({"assessmentUid": "nobody"}), Status::NotFound).await;
    refused("nobody", json!({"assessmentUid": assessment}), Status::NotFound).await;
    refused(&admin, json!({}), Status::InvalidArgument).await;
    refused(&admin, json!({"assessmentUid": 7}), Status::InvalidArgument).await;
    refused(&admin, json!({"assessmentUid": "x".repeat(129)}), Status::InvalidArgument).await;
    refused(&admin, json!({"assessmentUid": assessment, "identityProviderType": 7}), Status::InvalidArgument).await;
    // A link is proof, whoever asks first.
    link(&town, &assessment, &admin).await;
    refused(&other, json!({"assessmentUid": assessment}), Status::PermissionDenied).await;
    sign_in(&town, &admin, json!({"assessmentUid": assessment})).await.expect("signed in");
}

#[tokio::test]
async fn accounts_that_are_bound_stay_bound() {
    let town = Town::open().await;
    let (admin, assessment) = newcomer(&town, "new").await;
    link(&town, &assessment, &admin).await;
    sign_in(&town, &admin, json!({"assessmentUid": assessment})).await.expect("signed in");
    // A second assessment account, with the same proof.
    let (_, second) = newcomer(&town, "second").await;
    let accounts = &town.world.service.app.accounts;
    for (uid, project) in [(&admin, &accounts.admin), (&second, &accounts.assessment)] {
        let update = AccountUpdate {
            email: Some("shared@example.org".to_owned()),
            email_verified: Some(true),
            ..AccountUpdate::default()
        };
        project.update(uid, &update).await.expect("changed");
    }
    let sent = json!({"assessmentUid": second});
    let error = sign_in(&town, &admin, sent.clone()).await.expect_err("it's refused");
    assert_eq!(error.status, Status::AlreadyExists);
    // Once the first is gone, the second may take its place.
    accounts.assessment.delete(&assessment).await.expect("deleted");
    sign_in(&town, &admin, sent).await.expect("signed in");
    assert_eq!(town.claims(&admin).await.get("assessmentUid"), Some(&Value::from(second.as_str())));
    // Super admins can't give away what is somebody's, either.
    let sent = json!({"adminUid": uid(Role::Guest), "assessmentUid": second});
    let error = town.call(Role::SuperAdmin, ASSOCIATE, sent).await.expect_err("it's refused");
    assert_eq!(error.status, Status::AlreadyExists);
}

#[tokio::test]
async fn rights_survive_a_sign_in() {
    let town = Town::open().await;
    for role in [Role::SuperAdmin, Role::Admin, Role::Caregiver] {
        let before = town.claims(&uid(role)).await;
        let answer = town.call(role, SET, json!({"assessmentUid": assessment_uid(role)})).await.expect("signed in");
        assert_eq!(town.claims(&uid(role)).await, before);
        assert_eq!(answer["userClaims"].get("adminOrgs"), None, "that doesn't fit into tokens");
        assert_eq!(answer["userClaims"]["role"], before.get("role").and_then(Value::as_str).unwrap_or_default());
    }
    assert_eq!(town.admin_account(&uid(Role::SuperAdmin)).await.expect("it").custom_claims["super_admin"], true);
    // The role that an account was given without a document isn't lost, either; rights are the document's to give.
    let (admin, assessment) = newcomer(&town, "old").await;
    link(&town, &assessment, &admin).await;
    let held = json!({"role": "platform_admin", "super_admin": true}).as_object().cloned().unwrap();
    town.world.service.app.accounts.admin.set_claims(&admin, held).await.expect("set");
    let answer = sign_in(&town, &admin, json!({"assessmentUid": assessment})).await.expect("signed in");
    assert_eq!(answer["userClaims"]["role"], "platform_admin");
    assert_eq!(town.claims(&admin).await.get("super_admin"), None);
    assert_eq!(town.admin_account(&admin).await.expect("it").custom_claims.get("super_admin"), None);
}

/// An entry of a roster.
async fn entry(town: &Town, id: &str, more: Fields) {
    let mut fields = fields! {
        "providerType" => "clever", "providerId" => format!("clever-{id}"), "roarUid" => format!("rostered-{id}"),
        "email" => format!("{id}@school.org"), "activated" => false,
    };
    fields.extend(more);
    set(town.world.admin(), &format!("identityProviderIds/{id}"), fields).await;
}

#[tokio::test]
async fn a_rostered_user_is_found_by_the_identity_that_the_account_has() {
    let town = Town::open().await;
    let (admin, assessment) = newcomer(&town, "teacher").await;
    link(&town, &assessment, &admin).await;
    entry(&town, "t1", fields! { "adminOrgs" => lists(&json!({"schools": ["s1"], "classes": ["c1"]})) }).await;
    town.user("rostered-t1", "educator", &[("schools", "s1")]).await;
    let sent = json!({
        "assessmentUid": assessment, "identityProviderId": "clever-t1", "identityProviderType": "clever",
    });
    // Saying so isn't enough.
    let before = town.everything().await;
    assert_eq!(sign_in(&town, &admin, sent.clone()).await.expect_err("refused").status, Status::PermissionDenied);
    assert_eq!(town.everything().await, before);
    at_clever(&town, &admin, "clever-t1").await;
    let answer = sign_in(&town, &admin, sent.clone()).await.expect("signed in");
    assert_eq!(answer["userClaims"]["roarUid"], "rostered-t1");
    assert_eq!(answer["userClaims"]["role"], "admin");
    let claims = town.claims(&admin).await;
    assert_eq!(ids(&claims, "minimalAdminOrgs", "schools"), ["s1"]);
    assert_eq!(ids(&claims, "adminOrgs", "classes"), ["c1", "c2"]);
    let bound = town.document("identityProviderIds/t1").await.expect("an entry").fields;
    assert_eq!(bound.get("adminUid"), Some(&Value::from(admin.as_str())));
    assert_eq!(bound.get("activated"), Some(&Value::Boolean(true)));
    assert!(matches!(bound.get("lastSync"), Some(Value::Timestamp(_))));
    let user = town.document("users/rostered-t1").await.expect("a user").fields;
    assert_eq!(user.get("assessmentUid"), Some(&Value::from(assessment.as_str())));
    let [record] = <[Fields; 1]>::try_from(town.audit().await).expect("one record");
    let details = record.get("details").and_then(Value::as_map).expect("details");
    assert_eq!(details.get("match"), Some(&Value::from("id")));
    town.settle().await;
    // The next sign-in: one query more than without a roster, and no write.
    let before = (town.world.admin().cost(), town.world.assessment().cost());
    sign_in(&town, &admin, sent).await.expect("signed in");
    let spent = (town.world.admin().cost() - before.0, town.world.assessment().cost() - before.1);
    assert_eq!((spent.0.reads, spent.1.reads, spent.0.writes, spent.1.writes), (3, 2, 0, 0));
    // What an admin takes away later doesn't come back with it.
    let sent = json!({"targetUid": admin, "schoolId": "s1"});
    town.call(Role::SuperAdmin, "removeFromAdminClaims", sent).await.expect("it's done");
    let sent =
        json!({"assessmentUid": assessment, "identityProviderId": "clever-t1", "identityProviderType": "clever"});
    sign_in(&town, &admin, sent).await.expect("signed in");
    assert_eq!(ids(&town.claims(&admin).await, "minimalAdminOrgs", "schools"), [""; 0]);
    assert_eq!(town.world.store.scans(), [""; 0], "no query goes through a whole collection");
}

#[tokio::test]
async fn a_rostered_user_is_found_by_a_verified_address() {
    let town = Town::open().await;
    let (admin, assessment) = newcomer(&town, "scholar").await;
    link(&town, &assessment, &admin).await;
    at_clever(&town, &admin, "clever-new").await;
    entry(&town, "scholar", fields! { "email" => "scholar@example.org", "role" => "super_admin" }).await;
    let sent = json!({
        "assessmentUid": assessment, "identityProviderId": "clever-new", "identityProviderType": "clever",
    });
    // Anybody can register with any address.
    sign_in(&town, &admin, sent.clone()).await.expect("signed in");
    assert_eq!(town.claims(&admin).await.get("roarUid"), Some(&Value::from(admin.as_str())));

    let (admin, assessment) = newcomer(&town, "pupil").await;
    link(&town, &assessment, &admin).await;
    at_clever(&town, &admin, "clever-pupil").await;
    entry(&town, "p1", fields! { "email" => "pupil@example.org", "role" => "super_admin" }).await;
    let update = AccountUpdate { email_verified: Some(true), ..AccountUpdate::default() };
    town.world.service.app.accounts.admin.update(&admin, &update).await.expect("verified");
    let sent = json!({
        "assessmentUid": assessment, "identityProviderId": "clever-pupil", "identityProviderType": "clever",
    });
    sign_in(&town, &admin, sent.clone()).await.expect("signed in");
    let claims = town.claims(&admin).await;
    assert_eq!(claims.get("roarUid"), Some(&Value::from("rostered-p1")));
    assert_eq!(claims.get("role"), None, "no roster makes a super admin");
    let bound = town.document("identityProviderIds/p1").await.expect("an entry").fields;
    assert_eq!(bound.get("providerId"), Some(&Value::from("clever-pupil")));
    // Found by the ID from now on.
    let before = town.everything().await;
    sign_in(&town, &admin, sent).await.expect("signed in");
    assert_eq!(town.everything().await, before);
}

#[tokio::test]
async fn a_roster_entry_is_one_users() {
    let town = Town::open().await;
    let (admin, assessment) = newcomer(&town, "one").await;
    link(&town, &assessment, &admin).await;
    at_clever(&town, &admin, "clever-e1").await;
    entry(&town, "e1", fields! { "adminUid" => "uid-another", "activated" => true }).await;
    let sent = |id: &str| json!({"assessmentUid": assessment, "identityProviderId": format!("clever-{id}"), "identityProviderType": "clever"});
    let refused = async |sent: Json| sign_in(&town, &admin, sent).await.expect_err("it's refused").status;
    assert_eq!(refused(sent("e1")).await, Status::AlreadyExists);
    // Two entries for one identity.
    entry(&town, "e2", fields! { "providerId" => "clever-e1" }).await;
    assert_eq!(refused(sent("e1")).await, Status::InvalidArgument);
    // An account that is somebody already.
    let student = uid(Role::Student);
    at_clever(&town, &student, "clever-e3").await;
    entry(&town, "e3", Fields::new()).await;
    let sent = json!({
        "assessmentUid": assessment_uid(Role::Student), "identityProviderId": "clever-e3", "identityProviderType": "clever",
    });
    let before = town.everything().await;
    let error = town.call(Role::Student, SET, sent).await.expect_err("it's refused");
    assert_eq!(error.status, Status::FailedPrecondition);
    assert_eq!(town.everything().await, before);
}

#[tokio::test]
async fn tokens_of_the_assessment_project_take_over_what_the_admin_project_says() {
    let town = Town::open().await;
    let student = caller(ASSESSMENT_PROJECT, &assessment_uid(Role::Student));
    let call = async |caller, data: Json| town.world.call_as("setuidclaims", Some(caller), data).await;
    let (admin, roar) = (uid(Role::Student), format!("roar-{}", uid(Role::Student)));
    let answer = call(student.clone(), json!({"roarUid": roar, "adminUid": admin})).await.expect("done");
    assert_eq!(answer["userClaims"]["roarUid"], roar);
    let account = town.assessment_account(&assessment_uid(Role::Student)).await.expect("an account");
    assert_eq!(account.custom_claims["adminUid"], admin);
    // Nobody takes over another's.
    let before = town.everything().await;
    let guest = caller(ASSESSMENT_PROJECT, &assessment_uid(Role::Guest));
    for sent in [
        json!({"roarUid": roar, "adminUid": admin}),
        json!({"roarUid": format!("roar-{}", uid(Role::SuperAdmin)), "adminUid": uid(Role::SuperAdmin)}),
        json!({"roarUid": roar, "adminUid": uid(Role::Guest)}),
        json!({"roarUid": "nobody", "adminUid": "nobody"}),
    ] {
        let error = call(guest.clone(), sent.clone()).await.expect_err("it's refused");
        assert_eq!(error.status, Status::PermissionDenied, "{sent}");
    }
    for sent in
        [json!({}), json!({"roarUid": roar}), json!({"adminUid": admin}), json!({"roarUid": 7, "adminUid": admin})]
    {
        let error = call(student.clone(), sent.clone()).await.expect_err("it's refused");
        assert_eq!(error.status, Status::InvalidArgument, "{sent}");
    }
    assert_eq!(town.everything().await, before);
}

#[tokio::test]
async fn associations_are_ones_own_or_a_super_admins() {
    let town = Town::open().await;
    let (admin, assessment) = newcomer(&town, "new").await;
    let sent = json!({"adminUid": admin, "assessmentUid": assessment});
    let own = caller(PROJECT, &admin);
    let status = async |caller, data: Json| {
        town.world.call_as(ASSOCIATE, Some(caller), data).await.map_or_else(|error| error.status.http(), |_| 200)
    };
    assert_eq!(status(own.clone(), sent.clone()).await, 403, "without a proof");
    assert_eq!(town.status(Role::ParentAdmin, ASSOCIATE, sent.clone()).await, 403);
    for (bad, expected) in [
        (json!({}), 400),
        (json!({"adminUid": admin}), 400),
        (json!({"adminUid": admin, "assessmentUid": "x".repeat(200)}), 400),
        (json!({"adminUid": admin, "assessmentUid": "nobody"}), 404),
    ] {
        assert_eq!(status(own.clone(), bad.clone()).await, expected, "{bad}");
    }
    assert_eq!(town.status(Role::SuperAdmin, ASSOCIATE, sent.clone()).await, 200);
    assert_eq!(status(own, sent).await, 200, "it's bound by now");
    let [record] = <[Fields; 1]>::try_from(town.audit().await).expect("one record");
    assert_eq!(record.get("by"), Some(&Value::from(uid(Role::SuperAdmin))));
}

/// A person who finds a super admin's device, with a session from an earlier day, can't bind any account to a user with
/// it.
#[tokio::test]
async fn super_admins_say_who_is_who_on_a_recent_sign_in_only() {
    let town = Town::open().await;
    let (admin, assessment) = newcomer(&town, "new").await;
    let rules = SignInRules { within: Some(RECENT), second_factor: false };
    let signed_in = json!({"auth_time": town.world.now().as_second() - 13 * 3600});
    let me = uid(Role::SuperAdmin);
    let sign_in = rules.judge(signed_in.as_object().unwrap(), town.world.now());
    let call = async |function: &str, data: Json| {
        let caller = Caller { sign_in: sign_in.clone(), ..caller(PROJECT, &me) };
        town.world.call_as(function, Some(caller), data).await
    };
    let before = town.everything().await;
    for (function, sent, expected) in [
        (ASSOCIATE, json!({"adminUid": admin, "assessmentUid": assessment}), Status::Unauthenticated),
        (SET, json!({"adminUid": admin, "assessmentUid": assessment}), Status::Unauthenticated),
        (
            SET,
            json!({"roarUid": "another", "assessmentUid": assessment_uid(Role::SuperAdmin)}),
            Status::Unauthenticated,
        ),
        // Their own accounts they show to be theirs, like anybody.
        (ASSOCIATE, json!({"adminUid": me, "assessmentUid": assessment}), Status::PermissionDenied),
        (SET, json!({"roarUid": format!("roar-{me}"), "assessmentUid": assessment}), Status::PermissionDenied),
    ] {
        let error = call(function, sent.clone()).await.expect_err("it's refused");
        assert_eq!(error.status, expected, "{function} {sent}: {error}");
        assert_eq!(town.everything().await, before);
    }
    // What every page does goes on.
    let own = json!({"roarUid": format!("roar-{me}"), "assessmentUid": assessment_uid(Role::SuperAdmin)});
    call(SET, own).await.expect("signed in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_claim_one_account_at_once_are_told_apart() {
    let town = Town::open().await;
    let (one, shared) = newcomer(&town, "one").await;
    let (two, _) = newcomer(&town, "two").await;
    let associate =
        |admin: &str| town.call(Role::SuperAdmin, ASSOCIATE, json!({"adminUid": admin, "assessmentUid": shared}));
    let (first, second) = tokio::join!(associate(&one), associate(&two));
    assert_eq!(first.is_ok() as u8 + second.is_ok() as u8, 1, "one of them");
    let winner = if first.is_ok() { &one } else { &two };
    town.settle().await;
    let copy = town.assessment_document(&format!("userClaims/{shared}")).await.expect("a copy").fields;
    let owner = copy.get("claims").and_then(Value::as_map).and_then(|claims| claims.get("adminUid"));
    assert_eq!(owner, Some(&Value::from(winner.as_str())));
    let account = town.assessment_account(&shared).await.expect("an account");
    assert_eq!(account.custom_claims["adminUid"], winner.as_str());
}

#[tokio::test]
async fn a_sign_in_that_was_cut_short_is_completed_by_the_next() {
    for missing in ["userClaims/uid-new", "copy", "custom claims"] {
        let town = Town::open().await;
        let (admin, assessment) = newcomer(&town, "new").await;
        link(&town, &assessment, &admin).await;
        sign_in(&town, &admin, json!({"assessmentUid": assessment})).await.expect("signed in");
        let accounts = &town.world.service.app.accounts;
        match missing {
            "copy" => {
                let path = DocPath::new(format!("userClaims/{assessment}")).unwrap();
                town.world.assessment().commit(vec![Write::delete(path)]).await.expect("deleted");
            }
            "custom claims" => {
                accounts.admin.set_claims(&admin, Default::default()).await.expect("set");
                accounts.assessment.set_claims(&assessment, Default::default()).await.expect("set");
            }
            path => town.delete(path).await,
        }
        sign_in(&town, &admin, json!({"assessmentUid": assessment})).await.expect("signed in");
        let expected = uids(&admin, &admin, &assessment);
        for account in [town.admin_account(&admin).await, town.assessment_account(&assessment).await] {
            assert_eq!(Json::Object(account.expect("it").custom_claims), expected, "without {missing}");
        }
        let claims = town.claims(&admin).await;
        let copy = town.assessment_document(&format!("userClaims/{assessment}")).await.expect("a copy");
        assert_eq!(copy.fields.get("claims"), Some(&Value::Map(claims)), "without {missing}");
    }
}

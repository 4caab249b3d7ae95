//! What gives way to who has shown at the provider that they are a person of the roster.

use roar_functions::accounts::{AccountUpdate, Provider};
use roar_functions::claims::suspension::Suspension;
use roar_functions::fields;
use roar_functions::runtime::{FunctionError, Status};
use roar_functions::store::{Fields, Value};
use serde_json::{Value as Json, json};

use super::Scene;
use super::confirming::{has_work, said, with_work};
use super::doubles::{ADA, ada, bound, path, roar_uid};
use super::linking::enrolled;
use crate::world::{assert_consistent, set};

async fn sign_in(scene: &Scene, uid: &str, at_clever: &str) -> Result<Json, FunctionError> {
    let data = json!({
        "assessmentUid": format!("a-{uid}"), "identityProviderId": at_clever, "identityProviderType": "clever",
    });
    let answer = scene.world.call_function("setUidClaims", uid, data).await;
    scene.world.settle().await;
    answer
}

/// The provider's own statement: an account that was made somebody else's, with an address that nobody verified, is whose
/// the provider says.
#[tokio::test]
async fn an_account_that_the_provider_shows_to_be_the_persons_is_theirs() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    scene.world.settle().await;
    let ada = ada(&scene);
    let id = with_work(&scene, &ada).await;
    // Somebody gave the account Ada's address; when Ada signs in with Clever, Firebase takes it for hers.
    bound(&scene, "uid-hand", ADA, false, "by-hand", Fields::new()).await;
    scene.settle().await;
    let own = roar_uid(&scene, &ada).await;
    let accounts = &scene.world.service.app.accounts;
    let since = accounts.admin.get("uid-hand").await.expect("readable").expect("it").valid_since;
    let link = Provider { provider_id: "oidc.clever".to_owned(), raw_id: ada.clone() };
    let link = AccountUpdate { link: Some(link), ..AccountUpdate::default() };
    accounts.admin.update("uid-hand", &link).await.expect("linked");
    scene.world.clock.advance(jiff::SignedDuration::from_secs(5));
    let pair = scene.pairs().await.remove(0).pair;
    let answer = sign_in(&scene, "uid-hand", &ada).await.expect("signed in");
    assert_eq!(answer["userClaims"]["roarUid"].as_str(), Some(own.as_str()));
    assert_eq!(scene.claims("uid-hand").await["roarUid"].as_str(), Some(own.as_str()));
    let copy = scene.world.assessment().get(&path("userClaims/a-uid-hand")).await.expect("readable").expect("a copy");
    assert_eq!(copy.fields["claims"].as_map().expect("a map")["roarUid"].as_str(), Some(own.as_str()));
    scene.sync_user("uid-hand", &ada).await.expect("synced");
    let entry = scene.entry(&ada).await;
    assert_eq!((entry["adminUid"].as_str(), entry["activated"].as_bool()), (Some("uid-hand"), Some(true)));
    // Whoever knew the password is out.
    let after = accounts.admin.get("uid-hand").await.expect("readable").expect("it").valid_since;
    assert!(after > since, "{since:?} {after:?}");
    // Settled: nothing more is written.
    let before = scene.world.documents().await;
    sign_in(&scene, "uid-hand", &ada).await.expect("signed in");
    assert_eq!(scene.world.documents().await, before);
    // What was done as the user made by hand waits for a yes.
    assert_eq!(scene.pairs().await.iter().map(|pair| &pair.pair).collect::<Vec<_>>(), [&pair]);
    assert!(!has_work(&scene, &own, &id, "by-hand").await);
    said(&scene, &[pair], false, &[], true).await;
    assert!(has_work(&scene, &own, &id, "by-hand").await);
    assert_consistent(scene.world.admin(), &id).await;
}

#[tokio::test]
async fn who_signs_in_as_another_user_than_the_rosters_is_noted() {
    let scene = Scene::open().await;
    let ada = ada(&scene);
    scene.settle().await;
    // Known under another name and address, so no sync saw it.
    for (user_type, expected) in [("student", 1), ("educator", 0)] {
        let uid = format!("uid-{user_type}");
        let known = enrolled(&scene, &ada, "old@school.example", user_type, "elsewhere", Fields::new());
        set(scene.world.admin(), &format!("users/known-{user_type}"), known).await;
        bound(&scene, &uid, &format!("{user_type}@x.example"), true, &format!("known-{user_type}"), Fields::new())
            .await;
        let somebody = scene.there.users("student")[expected + 3].clone();
        let link = Provider { provider_id: "oidc.clever".to_owned(), raw_id: somebody.clone() };
        let link = AccountUpdate { link: Some(link), ..AccountUpdate::default() };
        scene.world.service.app.accounts.admin.update(&uid, &link).await.expect("linked");
        sign_in(&scene, &uid, &somebody).await.expect("signed in");
        let own = roar_uid(&scene, &somebody).await;
        assert_eq!(scene.claims(&uid).await["roarUid"].as_str(), Some(own.as_str()));
        let pairs = scene.pairs().await;
        let of: Vec<_> = pairs.iter().filter(|pair| pair.rostered == own).collect();
        // Of another kind, they can't be one.
        assert_eq!(of.len(), expected, "{user_type}");
        assert!(of.iter().all(|pair| pair.agrees == ["account"]));
    }
    // Whoever looked after the account could have done that: it wants to be named.
    let all = said(&scene, &[], true, &[], true).await;
    assert_eq!((all.confirmed, all.unsure), (0, 1));
    let pair = scene.pairs().await.remove(0).pair;
    assert_eq!(said(&scene, &[pair], false, &[], true).await.confirmed, 1);
}

#[tokio::test]
async fn an_account_that_nobody_has_shown_anything_with_gives_way() {
    // Whether the address is verified, further claims; whether the account is suspended; whether the provider's account
    // gets in.
    let rights = fields! { "adminOrgs" => fields! { "classes" => Value::strings(["mine"]) } };
    for (verified, more, suspended, expected) in [
        (false, Fields::new(), false, true),
        (true, Fields::new(), false, false),
        (false, rights, false, false),
        (false, fields! { "super_admin" => true }, false, false),
        // A user who is suspended isn't let in by another door.
        (false, Fields::new(), true, false),
    ] {
        let scene = Scene::open().await;
        let ada = ada(&scene);
        scene.settle().await;
        let own = roar_uid(&scene, &ada).await;
        let class = fields! { "name" => "Mine", "archived" => false, "districtId" => scene.there.id().as_str() };
        set(scene.world.admin(), "classes/mine", class).await;
        bound(&scene, "uid-hand", "hand@school.example", verified, &own, more.clone()).await;
        scene.account("uid-ada", &ada).await;
        if suspended {
            let by_hand = Suspension { function: "test", by: "test", admin_uid: "uid-hand", by_super_admin: true };
            assert!(by_hand.of_everything(&scene.world.service.app, true).await.expect("suspended"));
        }
        let answer = sign_in(&scene, "uid-ada", &ada).await;
        assert_eq!(answer.is_ok(), expected, "{verified} {more:?} {suspended} {answer:?}");
        if expected {
            assert_eq!(scene.claims("uid-ada").await["roarUid"].as_str(), Some(own.as_str()));
            assert!(scene.world.get("userClaims/uid-hand").await.is_none());
            let copy = scene.world.assessment().get(&path("userClaims/a-uid-hand")).await.expect("readable");
            assert_eq!(copy, None, "nor in the other project");
            let account = scene.world.service.app.accounts.admin.get("uid-hand").await.expect("readable").expect("it");
            assert_eq!(account.custom_claims.get("roarUid"), None);
        } else {
            assert_eq!(answer.expect_err("refused").status, Status::AlreadyExists);
            assert_eq!(scene.claims("uid-hand").await["roarUid"].as_str(), Some(own.as_str()));
        }
    }
}

//! The claims that are published in tokens, whatever other claims are written with them; and many concurrent writers of
//! claims.

use futures::future::join_all;
use roar_functions::accounts::Account;
use roar_functions::fields;
use roar_functions::rights::Role;
use roar_functions::store::{DocPath, FieldPath, Fields, Value, Write};
use serde_json::{Value as Json, json};

use crate::town::{Town, assessment_uid, ids, uid};
use crate::world::set;

/// The custom claims of somebody's accounts, in both projects.
async fn tokens(town: &Town, role: Role) -> [serde_json::Map<String, Json>; 2] {
    let of = |account: Option<Account>| account.expect("an account").custom_claims;
    [of(town.admin_account(&uid(role)).await), of(town.assessment_account(&assessment_uid(role)).await)]
}

async fn edit(town: &Town, role: Role, change: Fields, gone: &[&str]) {
    let path = DocPath::in_collection("userClaims", &uid(role)).expect("a path");
    let mask = change.keys().map(String::as_str).chain(gone.iter().copied());
    let mask = mask.map(|name| FieldPath::of(["claims", name])).collect();
    let write = Write::merge(path, fields! { "claims" => change }, mask);
    town.world.admin().commit(vec![write]).await.expect("written");
    town.settle().await;
}

async fn unpublished(town: &Town, role: Role) -> Option<Vec<String>> {
    let document = town.document(&format!("userClaims/{}", uid(role))).await.expect("claims");
    document.fields.get("unpublishedClaims").and_then(Value::as_string_list)
}

#[tokio::test]
async fn what_is_withdrawn_leaves_tokens_whatever_else_doesnt_fit() {
    let town = Town::open().await;
    town.settle().await;
    let role = Role::SuperAdmin;
    for token in tokens(&town, role).await {
        assert_eq!((&token["super_admin"], &token["role"]), (&json!(true), &json!("super_admin")));
    }
    // One edit: a claim that fits into no token, a right that is taken away, another role.
    let change = fields! { "note" => "x".repeat(1200), "role" => "admin" };
    edit(&town, role, change, &["super_admin"]).await;
    for token in tokens(&town, role).await {
        assert_eq!((token.get("super_admin"), &token["role"], token.get("note")), (None, &json!("admin"), None));
        assert_eq!(token["roarUid"], json!(format!("roar-{}", uid(role))));
    }
    assert_eq!(unpublished(&town, role).await, Some(vec!["note".to_owned()]));
    // What fits goes on being published meanwhile.
    edit(&town, role, fields! { "lab" => "reading" }, &[]).await;
    for token in tokens(&town, role).await {
        assert_eq!((&token["lab"], token.get("note")), (&json!("reading"), None));
    }
    // And all of it, once it fits; then nothing is reported any more.
    edit(&town, role, fields! { "note" => "short" }, &[]).await;
    for token in tokens(&town, role).await {
        assert_eq!(token["note"], json!("short"));
    }
    assert_eq!(unpublished(&town, role).await, None);
    // An old value isn't what the document says any more.
    edit(&town, role, fields! { "note" => "x".repeat(990) }, &[]).await;
    for token in tokens(&town, role).await {
        assert_eq!(token.get("note"), None);
    }
    assert_eq!(unpublished(&town, role).await, Some(vec!["note".to_owned()]));
}

#[tokio::test]
async fn a_name_that_no_token_may_have_keeps_nothing_else_out() {
    let town = Town::open().await;
    town.settle().await;
    let role = Role::Admin;
    edit(&town, role, fields! { "sub" => "somebody", "lab" => "reading" }, &["role"]).await;
    for token in tokens(&town, role).await {
        assert_eq!((token.get("sub"), token.get("role"), &token["lab"]), (None, None, &json!("reading")));
    }
    assert_eq!(unpublished(&town, role).await, Some(vec!["sub".to_owned()]));
    // Nobody is kept from signing in by it.
    let sent = json!({"assessmentUid": assessment_uid(role)});
    assert_eq!(town.status(role, "setUidClaims", sent).await, 200);
}

#[tokio::test]
async fn a_repeated_event_writes_nothing_more() {
    let town = Town::open().await;
    town.settle().await;
    edit(&town, Role::Admin, fields! { "note" => "x".repeat(1200) }, &[]).await;
    let path = format!("userClaims/{}", uid(Role::Admin));
    let before = (town.document(&path).await, town.everything().await);
    let claims = town.claims(&uid(Role::Admin)).await;
    // As an editor that saves the same again.
    let mut whole = before.0.clone().expect("claims").fields;
    whole.insert("claims".to_owned(), Value::Map(claims));
    set(town.world.admin(), &path, whole).await;
    town.settle().await;
    assert_eq!(town.everything().await, before.1);
}

/// Grants commute, so all of them succeed, however many are made concurrently.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_grants_for_one_person_at_once_all_succeed() {
    const CALLS: usize = 48;
    let town = Town::open().await;
    for n in 0..CALLS {
        let school = fields! { "name" => format!("School {n}"), "archived" => false, "districtId" => "d2" };
        set(town.world.admin(), &format!("schools/many-{n}"), school).await;
    }
    town.settle().await;
    let target = uid(Role::Admin);
    let calls = (0..CALLS).map(|n| {
        let sent = json!({"targetUid": target, "schoolId": format!("many-{n}")});
        town.status(Role::SuperAdmin, "appendToAdminClaims", sent)
    });
    let statuses = join_all(calls).await;
    assert_eq!(statuses, vec![200; CALLS]);
    // And half of them are taken away at once.
    let calls = (0..CALLS / 2).map(|n| {
        let sent = json!({"targetUid": target, "schoolId": format!("many-{n}")});
        town.status(Role::SuperAdmin, "removeFromAdminClaims", sent)
    });
    assert_eq!(join_all(calls).await, vec![200; CALLS / 2]);
    town.settle().await;
    let held = ids(&town.claims(&target).await, "adminOrgs", "schools");
    let mut expected: Vec<String> = (CALLS / 2..CALLS).map(|n| format!("many-{n}")).chain(["s1".to_owned()]).collect();
    expected.sort();
    assert_eq!(held, expected);
    let copy = town.assessment_document(&format!("userClaims/{}", assessment_uid(Role::Admin))).await.expect("a copy");
    let copy = copy.fields["claims"].as_map().expect("claims").clone();
    assert_eq!(ids(&copy, "adminOrgs", "schools"), expected);
}

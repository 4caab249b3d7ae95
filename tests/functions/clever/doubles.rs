//! Users whom somebody made look like a person who is about to be rostered: they get nothing, and the person isn't locked
//! out. Who is linked is who no client could have made so.

use roar_functions::accounts::NewAccount;
use roar_functions::fields;
use roar_functions::rostering::report::Kind;
use roar_functions::store::{DocPath, FieldPath, Fields, Value, Write, lookup};
use roar_functions::users::imported::IMPORTED;
use serde_json::json;

use super::Scene;
use super::linking::{enrolled, imported};
use crate::world::{assert_consistent, set};

pub const ADA: &str = "ada@school.example";
const BORN: &str = "2016-03-20T00:00:00Z";

pub fn path(text: &str) -> DocPath {
    DocPath::new(text).expect("a path")
}

/// A student who is about to be rostered: Ada, with an address of hers.
pub fn ada(scene: &Scene) -> String {
    let ada = scene.there.users("student").remove(0);
    scene.there.set(&ada, "name/first", "Ada");
    scene.there.set(&ada, "name/last", "Lovelace");
    scene.there.set_email(&ada, Some(ADA));
    scene.there.set_dob(&ada, "3/20/2016");
    ada
}

/// Of a user made by hand: Ada's name and birth.
pub fn adas() -> Fields {
    let born: roar_functions::store::Timestamp = BORN.parse().expect("an instant");
    fields! {
        "name" => fields! { "first" => "Ada", "middle" => Value::Null, "last" => "Lovelace" },
        "studentData" => fields! { "dob" => born, "grade" => "3" },
    }
}

/// A user of the class `mine`, whom its admin gave all that's Ada's.
pub async fn shaped(scene: &Scene, id: &str, ada: &str) {
    let mut user = enrolled(scene, ada, ADA, "student", &scene.there.id(), adas());
    let now = scene.world.now();
    let mine = fields! {
        "current" => Value::strings(["mine"]), "all" => Value::strings(["mine"]),
        "dates" => fields! { "mine" => fields! { "from" => now, "to" => Value::Null } },
    };
    user.insert("classes".to_owned(), Value::Map(mine));
    let class = fields! { "name" => "Mine", "archived" => false, "districtId" => scene.there.id().as_str() };
    set(scene.world.admin(), "classes/mine", class).await;
    set(scene.world.admin(), &format!("users/{id}"), user).await;
    scene.world.settle().await;
}

pub async fn user(scene: &Scene, id: &str) -> Fields {
    scene.world.get(&format!("users/{id}")).await.expect("a user").fields
}

pub async fn roar_uid(scene: &Scene, at_clever: &str) -> String {
    scene.entry(at_clever).await["roarUid"].as_str().expect("a user").to_owned()
}

/// An account of somebody's in the admin project, bound to a user by claims.
pub async fn bound(scene: &Scene, uid: &str, email: &str, verified: bool, to: &str, more: Fields) {
    let new = NewAccount {
        email: Some(email.to_owned()),
        email_verified: verified,
        password: Some("a password".to_owned().into()),
        ..NewAccount::default()
    };
    scene.world.service.app.accounts.admin.create(uid, &new).await.expect("an account");
    scene.world.service.app.accounts.assessment.create(&format!("a-{uid}"), &new).await.expect("an account");
    let assessment_uid = format!("a-{uid}");
    let mut claims = fields! {
        "roarUid" => to, "adminUid" => uid, "assessmentUid" => assessment_uid.as_str(), "role" => "student",
    };
    claims.extend(more);
    set(scene.world.admin(), &format!("userClaims/{uid}"), fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    scene.world.settle().await;
}

#[tokio::test]
async fn a_user_shaped_into_somebody_gets_nothing_and_the_person_signs_in() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    scene.world.settle().await;
    let id = scene.administer().await;
    let ada = ada(&scene);
    shaped(&scene, "shaped", &ada).await;
    let before = user(&scene, "shaped").await;
    scene.settle().await;
    let own = roar_uid(&scene, &ada).await;
    assert_ne!(own, "shaped", "names and addresses that people edit make nobody the person");
    let after = user(&scene, "shaped").await;
    for field in ["name", "email", "studentData", "classes", "schools", "districts", "ssoType", "username", IMPORTED] {
        assert_eq!(after.get(field), before.get(field), "{field}");
    }
    assert!(!scene.current(&ada, "classes").await.contains(&"mine".to_owned()));
    assert!(!scene.current(&ada, "classes").await.is_empty());
    // The person isn't locked out: they sign in, and have what their district was assigned.
    scene.account("uid-ada", &ada).await;
    scene.sign_in("uid-ada", &ada).await;
    scene.sync_user("uid-ada", &ada).await.expect("synced");
    assert_eq!(scene.claims("uid-ada").await["roarUid"].as_str(), Some(own.as_str()));
    assert!(scene.world.get(&format!("users/{own}/assignments/{id}")).await.is_some());
    assert_consistent(scene.world.admin(), &id).await;
    // Somebody may look: the pair names users and fields, and nothing that's in them.
    let pairs = scene.pairs().await;
    let [pair] = pairs.as_slice() else { panic!("one pair: {pairs:?}") };
    assert_eq!((pair.known.as_str(), &pair.rostered), ("shaped", &own));
    assert_eq!(pair.agrees, ["email", "name", "dob"]);
    let noted = scene.world.get(&format!("rosterDoubles/{}/pairs/{}", scene.there.id(), pair.pair)).await.expect("it");
    let text = format!("{:?}", noted.fields).to_lowercase();
    assert!(!text.contains("lovelace") && !text.contains(ADA), "{text}");
    // Found once, it isn't looked for again.
    let report = scene.settle().await;
    assert_eq!((report.doubles, scene.pairs().await.len()), (0, 1));
}

#[tokio::test]
async fn the_run_counts_who_may_be_known() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    let ada = ada(&scene);
    shaped(&scene, "shaped", &ada).await;
    let would = scene.call(json!({"shallow": false, "dryRun": true})).await.expect("planned");
    assert_eq!(would["districts"][0]["doubles"], 1);
    assert!(scene.pairs().await.is_empty(), "nothing is written");
    let answer = scene.call(json!({"shallow": false})).await.expect("synced");
    assert_eq!(answer["districts"][0]["doubles"], 1);
    let run = scene.world.get(&format!("rosteringRuns/{}", answer["runId"].as_str().expect("an ID"))).await;
    assert_eq!(run.expect("a run").fields["doubles"], Value::Integer(1));
}

#[tokio::test]
async fn an_address_that_the_account_has_shown_links() {
    // Whether the address is verified, whether the account is bound to a user, the name here; linked.
    for (verified, is_bound, name, expected) in [
        (true, true, "Ada", true),
        (false, true, "Ada", false),
        (true, false, "Ada", false),
        (true, true, "Sibling", false),
    ] {
        let scene = Scene::open().await;
        scene.call(json!({"shallow": true})).await.expect("orgs");
        scene.world.settle().await;
        let ada = ada(&scene);
        let mut but = adas();
        but.insert(
            "name".to_owned(),
            Value::Map(fields! { "first" => name, "middle" => Value::Null, "last" => "Lovelace" }),
        );
        // What their document shows for an address doesn't matter.
        let known = enrolled(&scene, &ada, "another@school.example", "student", &scene.there.id(), but);
        set(scene.world.admin(), "users/known", known).await;
        let to = if is_bound { "known" } else { "somebody" };
        bound(&scene, "uid-known", ADA, verified, to, Fields::new()).await;
        // A user who was shaped meanwhile keeps nobody from it.
        shaped(&scene, "shaped", &ada).await;
        scene.settle().await;
        let linked = roar_uid(&scene, &ada).await == "known";
        assert_eq!(linked, expected, "{verified} {is_bound} {name}");
        let pairs = scene.pairs().await;
        let known: Vec<&str> = pairs.iter().map(|pair| pair.known.as_str()).collect();
        assert_eq!(known, if expected { vec![] } else { vec!["shaped"] }, "{verified} {is_bound} {name}");
    }
}

#[tokio::test]
async fn a_new_address_of_an_account_is_not_a_verified_one() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    let ada = ada(&scene);
    shaped(&scene, "shaped", &ada).await;
    bound(&scene, "uid-shaped", "eve@school.example", true, "shaped", Fields::new()).await;
    let orgs = fields! { "classes" => Value::strings(["mine"]) };
    let claims = fields! {
        "roarUid" => "teacher", "adminUid" => "uid-teacher", "role" => "admin", "adminOrgs" => orgs.clone(),
        "minimalAdminOrgs" => orgs,
    };
    set(scene.world.admin(), "userClaims/uid-teacher", fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    let change = json!({"uid": "uid-shaped", "userRecord": {"email": ADA}});
    scene.world.call_function("updateUserRecord", "uid-teacher", change).await.expect("changed");
    let account = scene.world.service.app.accounts.admin.get("uid-shaped").await.expect("readable").expect("it");
    assert_eq!((account.email.as_deref(), account.email_verified), (Some(ADA), false));
    scene.settle().await;
    assert_ne!(roar_uid(&scene, &ada).await, "shaped");
}

#[tokio::test]
async fn who_was_imported_is_linked_whatever_provider_has_them_now() {
    // The note that's left; what people have made of the user since; linked.
    let gone = fields! { "providerType" => "clever", "providerId" => "old", "roarUid" => "known", "gone" => true };
    let elsewhere = fields! { "providerType" => "classlink", "providerId" => "x", "roarUid" => "known" };
    let other = fields! { "providerType" => "clever", "providerId" => "y", "roarUid" => "known", "district" => "else" };
    let edited = fields! { "name" => fields! { "first" => "Edited", "middle" => Value::Null, "last" => "Since" } };
    for (note, since, expected) in [
        (None, Fields::new(), true),
        (Some(gone), Fields::new(), true),
        (Some(elsewhere), Fields::new(), true),
        (Some(other), Fields::new(), false),
        (None, edited, true),
    ] {
        let scene = Scene::open().await;
        scene.call(json!({"shallow": true})).await.expect("orgs");
        scene.world.settle().await;
        let ada = ada(&scene);
        let mut known = enrolled(&scene, &ada, ADA, "student", &scene.there.id(), adas());
        known.extend(imported(&known));
        known.extend(since.clone());
        set(scene.world.admin(), "users/known", known).await;
        if let Some(note) = &note {
            set(scene.world.admin(), "identityProviderIds/other", note.clone()).await;
        }
        shaped(&scene, "shaped", &ada).await;
        scene.settle().await;
        assert_eq!(roar_uid(&scene, &ada).await == "known", expected, "{note:?} {since:?}");
    }
}

#[tokio::test]
async fn who_was_imported_as_somebody_else_is_not_who_they_were_made_to_look_like() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    scene.world.settle().await;
    let ada = ada(&scene);
    // Imported as Eve, who isn't in any roster now.
    let eve = enrolled(&scene, &ada, "eve@school.example", "student", &scene.there.id(), Fields::new());
    let mut known = enrolled(&scene, &ada, ADA, "student", &scene.there.id(), adas());
    known.extend(imported(&eve));
    set(scene.world.admin(), "users/known", known).await;
    scene.world.settle().await;
    scene.settle().await;
    assert_ne!(roar_uid(&scene, &ada).await, "known");
    assert_eq!(scene.pairs().await.len(), 1);
}

#[tokio::test]
async fn a_sync_notes_who_was_imported_and_a_lost_entry_loses_nobody() {
    let scene = Scene::open().await;
    let ada = ada(&scene);
    scene.settle().await;
    let own = roar_uid(&scene, &ada).await;
    assert!(user(&scene, &own).await.contains_key(IMPORTED));
    let entry = path(&format!("identityProviderIds/clever-{ada}"));
    scene.world.admin().commit(vec![Write::delete(entry)]).await.expect("deleted");
    scene.settle().await;
    assert_eq!(roar_uid(&scene, &ada).await, own, "imported before, they are the same user again");
    // The roster's own change goes with them.
    scene.there.set(&ada, "name/first", "Augusta");
    scene.settle().await;
    scene
        .world
        .admin()
        .commit(vec![Write::delete(path(&format!("identityProviderIds/clever-{ada}")))])
        .await
        .expect("x");
    scene.settle().await;
    assert_eq!(roar_uid(&scene, &ada).await, own);
}

/// Users whom earlier versions imported get their digests with the next sync, and nothing else; then it's quiet again.
#[tokio::test]
async fn users_imported_before_get_the_digests_once() {
    let scene = Scene::open().await;
    scene.settle().await;
    let people = scene.all("identityProviderIds").await.len() as u64;
    let users = scene.all("users").await;
    // As it was: no digests, and the fingerprints of that time. One was edited by hand since.
    let former = scene.former_fingerprints().await;
    let edited = roar_uid(&scene, &scene.there.users("student")[0]).await;
    for (id, user) in &users {
        let fields = match *id == edited {
            true => fields! { "name" => fields! { "first" => "By hand", "last" => "Edited" } },
            false => Fields::new(),
        };
        let mask = fields.keys().map(FieldPath::top).chain([FieldPath::top(IMPORTED)]).collect();
        if user.contains_key(IMPORTED) {
            let write = Write::merge(path(&format!("users/{id}")), fields, mask);
            scene.world.admin().commit(vec![write]).await.expect("written");
        }
    }
    for (id, fingerprint) in former {
        let mark = fields! { "roster" => fields! { "fingerprint" => fingerprint.as_str() } };
        let mask = vec![FieldPath::of(["roster", "fingerprint"])];
        let write = Write::merge(path(&format!("identityProviderIds/clever-{id}")), mark, mask);
        scene.world.admin().commit(vec![write]).await.expect("written");
    }
    scene.world.settle().await;
    let as_it_was = scene.all("users").await;
    let before = scene.world.admin().cost();
    let report = scene.sync(super::DEEP).await.expect("synced");
    let spent = scene.world.admin().cost() - before;
    assert_eq!(report.get(Kind::Users).updated, 0);
    let orgs = scene.all("schools").await.len() + scene.all("classes").await.len() + 1;
    // A user and a note each, of whom anything is known; a read more each than a quiet sync.
    let known = users.values().filter(|user| user.contains_key(IMPORTED)).count() as u64;
    assert!(known > people - 10, "{known} of {people}");
    assert_eq!(spent.writes, people + known, "{spent:?}");
    assert!(spent.reads <= 2 * people + orgs as u64 + 20, "{spent:?} for {people}");
    let before = scene.world.admin().cost();
    scene.world.settle().await;
    let followed = scene.world.admin().cost() - before;
    assert_eq!((followed.reads, followed.writes), (0, 0), "and nothing follows from it");
    for (id, user) in scene.all("users").await {
        let mut user = user;
        user.remove(IMPORTED);
        assert_eq!(Some(&user), as_it_was.get(&id), "nothing but the digests");
    }
    let edited = user(&scene, &edited).await;
    assert_eq!(lookup(&edited, "name.first").and_then(Value::as_str), Some("By hand"));
    let own = imported(&edited)[IMPORTED].clone();
    assert_ne!(edited[IMPORTED], own, "who was imported, not who is shown");
    // From then on, it's as cheap as ever.
    let before = scene.world.admin().cost();
    let report = scene.settle().await;
    let spent = scene.world.admin().cost() - before;
    assert_eq!((spent.writes, report.get(Kind::Users).unchanged), (0, people), "{spent:?}");
    assert!(spent.reads <= people + orgs as u64 + 20, "{spent:?} for {people}");
}

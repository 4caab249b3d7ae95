//! `createAdministratorAccount`, `updateUserRecord` and `createLevanteGroup`.

use roar_functions::accounts::{AccountUpdate, NewAccount, Provider};
use roar_functions::fields;
use roar_functions::rights::Role;
use roar_functions::runtime::{FunctionError, Status};
use roar_functions::store::{Fields, Query, Value};
use serde_json::{Value as Json, json};

use crate::town::{Town, assessment_uid, ids, lists, uid};
use crate::world::PROJECT;

const CREATE: &str = "createAdministratorAccount";
const UPDATE: &str = "updateUserRecord";
const GROUP: &str = "createLevanteGroup";

/// What the dashboard sends: all keys, null for what's missing.
fn ada(admin_orgs: Json, orgs: Json) -> Json {
    json!({
        "email": "Ada@Example.org", "name": {"first": "Ada", "middle": null, "last": "Byron"},
        "adminOrgs": admin_orgs, "orgs": orgs, "isTestData": false,
    })
}

fn of_school() -> Json {
    ada(
        json!({"districts": [], "schools": ["s1"], "classes": [], "groups": [], "families": []}),
        json!({"districts": ["d1", null], "schools": ["s1"], "classes": [], "groups": [], "families": []}),
    )
}

fn text<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.get(name).and_then(Value::as_str)
}

#[tokio::test]
async fn an_administrator_can_sign_in_with_rights_at_once() {
    let town = Town::open().await;
    let answer = town.call(Role::ParentAdmin, CREATE, of_school()).await.expect("done");
    assert_eq!(answer["status"], "ok");
    let id = |name: &str| answer[name].as_str().expect("an ID").to_owned();
    let (admin_uid, assessment_uid, roar_uid) = (id("adminUid"), id("assessmentUid"), id("roarUid"));
    assert_eq!(roar_uid, admin_uid);
    // Before any event is handled: the dashboard takes the role from the token.
    let account = town.admin_account(&admin_uid).await.expect("an account");
    assert_eq!(account.email.as_deref(), Some("ada@example.org"));
    assert_eq!((account.display_name.as_deref(), account.email_verified), (Some("Ada Byron"), false));
    let expected =
        json!({"adminUid": admin_uid, "assessmentUid": assessment_uid, "roarUid": roar_uid, "role": "admin"});
    assert_eq!(Json::Object(account.custom_claims), expected);
    let account = town.assessment_account(&assessment_uid).await.expect("an account");
    assert_eq!(Json::Object(account.custom_claims), expected);
    assert_eq!(account.display_name, None, "no name goes to the assessment project");
    let provider = Provider { provider_id: format!("oidc.{PROJECT}"), raw_id: admin_uid.clone() };
    assert!(account.providers.contains(&provider));
    let claims = town.claims(&admin_uid).await;
    assert_eq!(ids(&claims, "minimalAdminOrgs", "schools"), ["s1"]);
    assert_eq!(ids(&claims, "adminOrgs", "classes"), ["c1", "c2"]);
    let user = town.document(&format!("users/{roar_uid}")).await.expect("a user").fields;
    assert_eq!((text(&user, "userType"), text(&user, "email")), (Some("admin"), Some("ada@example.org")));
    let name = fields! { "first" => "Ada", "middle" => Value::Null, "last" => "Byron" };
    assert_eq!(user.get("name"), Some(&Value::Map(name)));
    assert_eq!(user.get("archived"), Some(&Value::Boolean(false)));
    assert_eq!(user.get("testData"), Some(&Value::Boolean(false)));
    let schools = user.get("schools").and_then(Value::as_map).expect("orgs");
    assert_eq!(schools.get("current"), Some(&Value::strings(["s1"])));
    let since = schools.get("dates").and_then(Value::as_map).and_then(|dates| dates.get("s1"));
    let since = since.and_then(Value::as_map).expect("a date");
    assert_eq!((since.get("from"), since.get("to")), (Some(&Value::from(town.world.now())), Some(&Value::Null)));
    let copy = town.assessment_document(&format!("users/{roar_uid}")).await.expect("a copy").fields;
    assert_eq!((copy.get("email"), copy.get("name"), text(&copy, "userType")), (None, None, Some("admin")));
    assert_eq!(copy.get("districts"), user.get("districts"));
    town.settle().await;

    // Again, and it's the same; nothing is written.
    let before = town.everything().await;
    let again = town.call(Role::ParentAdmin, CREATE, of_school()).await.expect("done");
    assert_eq!(again, answer);
    assert_eq!(town.everything().await, before);
    // And they can sign in, which changes nothing either.
    let caller = crate::local::caller(PROJECT, &admin_uid);
    let sent = json!({ "assessmentUid": assessment_uid });
    town.world.call_as("setUidClaims", Some(caller), sent).await.expect("signed in");
    assert_eq!(town.everything().await, before);
}

#[tokio::test]
async fn somebody_with_an_account_becomes_an_administrator_too() {
    let town = Town::open().await;
    let accounts = &town.world.service.app.accounts;
    accounts
        .admin
        .create("uid-ada", &NewAccount { email: Some("ada@example.org".to_owned()), ..NewAccount::default() })
        .await
        .expect("an account");
    let disabled = AccountUpdate { disabled: Some(true), ..AccountUpdate::default() };
    accounts.admin.update("uid-ada", &disabled).await.expect("disabled");
    let before = fields! {
        "userType" => "educator", "archived" => true, "notes" => "kept",
        "schools" => fields! {
            "current" => Value::strings(["s2"]), "all" => Value::strings(["s2", "s9"]),
            "dates" => fields! { "s2" => fields! { "from" => 1 } },
        },
    };
    crate::world::set(town.world.admin(), "users/uid-ada", before).await;
    town.call(Role::SuperAdmin, CREATE, of_school()).await.expect("done");
    let account = town.admin_account("uid-ada").await.expect("an account");
    assert_eq!((account.disabled, account.display_name.as_deref()), (false, Some("Ada Byron")));
    let user = town.document("users/uid-ada").await.expect("a user").fields;
    assert_eq!((text(&user, "userType"), text(&user, "notes")), (Some("admin"), Some("kept")));
    assert_eq!(user.get("archived"), Some(&Value::Boolean(false)));
    let schools = user.get("schools").and_then(Value::as_map).expect("orgs");
    assert_eq!(schools.get("current"), Some(&Value::strings(["s2", "s1"])));
    assert_eq!(schools.get("all"), Some(&Value::strings(["s2", "s9", "s1"])));
    let dates = schools.get("dates").and_then(Value::as_map).expect("dates");
    assert_eq!(dates.get("s2"), Some(&Value::Map(fields! { "from" => 1 })));
    assert_eq!(dates.len(), 2);
}

#[tokio::test]
async fn who_has_more_rights_is_not_appointed_by_who_has_fewer() {
    let town = Town::open().await;
    let mut sent = of_school();
    sent["email"] = json!(format!("{}@example.org", uid(Role::SuperAdmin)));
    let id = format!("users/roar-{}", uid(Role::SuperAdmin));
    let before = town.document(&id).await.expect("a user").fields;
    let error = town.call(Role::ParentAdmin, CREATE, sent).await.expect_err("it's refused");
    assert_eq!((error.status, error.details), (Status::AlreadyExists, None));
    assert_eq!(town.document(&id).await.expect("a user").fields, before);
    let claims = town.claims(&uid(Role::SuperAdmin)).await;
    assert_eq!(ids(&claims, "minimalAdminOrgs", "schools"), [""; 0]);
}

#[tokio::test]
async fn a_strangers_assessment_account_is_left_alone() {
    let town = Town::open().await;
    // The address is, in the assessment project, somebody else's; whether linked or only registered.
    let accounts = &town.world.service.app.accounts;
    for linked in [true, false] {
        let email = format!("ada-{linked}@example.org");
        let theirs = format!("theirs-{linked}");
        let new = NewAccount { email: Some(email.clone()), ..NewAccount::default() };
        accounts.assessment.create(&theirs, &new).await.expect("an account");
        if linked {
            let link = Provider { provider_id: format!("oidc.{PROJECT}"), raw_id: "somebody".to_owned() };
            let update = AccountUpdate { link: Some(link), ..AccountUpdate::default() };
            accounts.assessment.update(&theirs, &update).await.expect("linked");
        }
        let before = accounts.assessment.get(&theirs).await.expect("readable");
        let mut sent = of_school();
        sent["email"] = json!(email);
        let answer = town.call(Role::SuperAdmin, CREATE, sent).await.expect("made");
        let own = answer["assessmentUid"].as_str().expect("an ID");
        assert_ne!(own, theirs);
        let account = town.assessment_account(own).await.expect("an account");
        assert_eq!(account.email, None);
        assert!(account.is_linked(&format!("oidc.{PROJECT}"), answer["adminUid"].as_str().expect("an ID")));
        assert_eq!(accounts.assessment.get(&theirs).await.expect("readable"), before);
        assert!(town.assessment_document(&format!("userClaims/{theirs}")).await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_calls_at_once_make_one_administrator() {
    let town = Town::open().await;
    let (one, two) = tokio::join!(
        town.call(Role::SuperAdmin, CREATE, of_school()),
        town.call(Role::SuperAdmin, CREATE, of_school())
    );
    assert_eq!(one.expect("done"), two.expect("done"));
    town.settle().await;
    let admins = town.world.admin().query(Query::collection("users").equal("email", "ada@example.org")).await;
    assert_eq!(admins.expect("users").len(), 1);
}

#[tokio::test]
async fn who_may_appoint_whom_and_what_may_be_sent() {
    let town = Town::open().await;
    let before = town.everything().await;
    let with = |name: &str, value: Json| {
        let mut sent = of_school();
        sent[name] = value;
        sent
    };
    use Role::{Admin, ParentAdmin, SuperAdmin};
    for (role, sent, status, message) in [
        (SuperAdmin, json!(null), 400, "The request must be an object"),
        (SuperAdmin, with("email", json!("nobody")), 400, "email must be an e-mail address."),
        (SuperAdmin, with("email", json!(null)), 400, "email must be text that isn't empty."),
        (SuperAdmin, with("name", json!("Ada")), 400, "name must be an object with first and last"),
        (SuperAdmin, with("name", json!({"first": "Ada"})), 400, "name.last must be text that isn't empty."),
        (SuperAdmin, with("name", json!({"first": " ", "last": "B"})), 400, "name.first must be text"),
        (SuperAdmin, with("orgs", json!(["s1"])), 400, "orgs must be an object with lists of org IDs."),
        (SuperAdmin, with("adminOrgs", json!(["s1"])), 400, "adminOrgs must be an object with lists of org IDs."),
        (SuperAdmin, with("adminOrgs", json!({"cities": []})), 400, "adminOrgs.cities is not a type of org."),
        (SuperAdmin, with("isTestData", json!("no")), 400, "isTestData must be true or false."),
        (SuperAdmin, with("orgs", json!({"schools": ["nowhere"]})), 404, "The school nowhere doesn't exist."),
        (SuperAdmin, with("adminOrgs", json!({"districts": ["nowhere"]})), 404, "The district nowhere doesn't exist."),
        (ParentAdmin, with("adminOrgs", json!({})), 403, "You may not change rights over all of these orgs."),
        (ParentAdmin, with("adminOrgs", json!({"districts": ["d1"]})), 403, "You may not change rights"),
        (ParentAdmin, with("adminOrgs", json!({"schools": ["s3"]})), 403, "You may not change rights"),
        (ParentAdmin, with("orgs", json!({"districts": ["d2"]})), 403, "orgs may only name the orgs of adminOrgs"),
        (Admin, of_school(), 403, "You may not change rights over all of these orgs."),
    ] {
        let error = town.call(role, CREATE, sent.clone()).await.expect_err("it's refused");
        assert_eq!(error.status.http(), status, "{sent}");
        assert!(error.message.starts_with(message), "{sent}: {}", error.message);
    }
    assert_eq!(town.everything().await, before);
    assert!(town.world.service.app.accounts.admin.find("ada@example.org").await.expect("readable").is_none());
    // A super admin may appoint another who administers nothing yet.
    town.call(SuperAdmin, CREATE, with("adminOrgs", json!({}))).await.expect("done");
}

/// Changes an account as somebody.
async fn update(town: &Town, role: Role, target: &str, record: Json) -> Result<Json, FunctionError> {
    town.call(role, UPDATE, json!({"uid": target, "userRecord": record})).await
}

#[tokio::test]
async fn accounts_are_changed_by_those_who_look_after_their_users() {
    let town = Town::open().await;
    let student = uid(Role::Student);
    // By the Auth UID, and by the ID of the users document.
    for target in [student.clone(), format!("roar-{student}")] {
        update(&town, Role::Admin, &target, json!({"displayName": target, "email": null})).await.expect("done");
        let account = town.admin_account(&student).await.expect("an account");
        assert_eq!(account.display_name, Some(target));
    }
    assert_eq!(town.world.store.scans(), [""; 0], "no query goes through a whole collection");
    let before = town.admin_account(&student).await.expect("an account");
    for role in [Role::Student, Role::ParentAdmin, Role::SuperAdmin] {
        update(&town, role, &student, json!({"password": "correct horse"})).await.expect("done");
    }
    let after = town.admin_account(&student).await.expect("an account");
    assert!(after.is_linked("password", "uid-student@example.org"), "they can sign in with it");
    assert_eq!((&after.email, &after.custom_claims), (&before.email, &before.custom_claims));
    // The address changes in both projects, and has to be verified anew.
    update(&town, Role::Admin, &student, json!({"email": "New@Example.org"})).await.expect("done");
    for account in [town.admin_account(&student).await, town.assessment_account(&assessment_uid(Role::Student)).await] {
        let account = account.expect("an account");
        assert_eq!((account.email.as_deref(), account.email_verified), (Some("new@example.org"), false));
    }
    update(&town, Role::Admin, &student, json!({"disabled": true})).await.expect("done");
    assert!(town.admin_account(&student).await.expect("an account").disabled);
    // Who changed which fields is on record, and none of their values.
    let records = town.audit().await;
    // Seven changes, and that the last one suspends the user.
    assert_eq!(records.len(), 8);
    assert!(!format!("{records:?}").contains("horse"));
    assert!(!format!("{records:?}").to_lowercase().contains("new@example.org"));
    // What's so already isn't changed, nor recorded.
    update(&town, Role::Admin, &student, json!({"disabled": true, "email": "new@example.org"})).await.expect("done");
    assert_eq!(town.audit().await.len(), 8);
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_in_both_projects() {
    let town = Town::open().await;
    let accounts = &town.world.service.app.accounts;
    let new = |email: &str| NewAccount { email: Some(email.to_owned()), ..NewAccount::default() };
    accounts.admin.create("one", &new("taken@example.org")).await.expect("an account");
    accounts.assessment.create("two", &new("taken-there@example.org")).await.expect("an account");
    let student = uid(Role::Student);
    let before = (town.admin_account(&student).await, town.assessment_account(&assessment_uid(Role::Student)).await);
    for email in ["taken@example.org", "TAKEN-there@example.org"] {
        let error = update(&town, Role::Admin, &student, json!({ "email": email })).await.expect_err("it's refused");
        assert_eq!(error.status, Status::AlreadyExists);
        assert!(!error.message.contains("example"), "{}", error.message);
        let after = (town.admin_account(&student).await, town.assessment_account(&assessment_uid(Role::Student)).await);
        assert_eq!(after, before);
    }
    assert_eq!(town.audit().await, Vec::<Fields>::new());
}

#[tokio::test]
async fn nobody_changes_the_account_of_who_has_more_rights() {
    let town = Town::open().await;
    // Everybody here is in school s1.
    let password = || json!({"password": "correct horse"});
    use Role::{Admin, Caregiver, Guest, ParentAdmin, SiblingAdmin, Student, SuperAdmin};
    for (role, target, expected) in [
        (Admin, Student, 200),
        (Admin, Caregiver, 403),
        (Admin, ParentAdmin, 403),
        (Admin, SuperAdmin, 403),
        (ParentAdmin, Admin, 200),
        (ParentAdmin, SuperAdmin, 403),
        (SiblingAdmin, Student, 403),
        (Caregiver, Student, 403),
        (Student, Admin, 403),
        (Guest, Student, 403),
        (SuperAdmin, ParentAdmin, 200),
        (Student, Student, 200),
        (Guest, Guest, 200),
    ] {
        let status = update(&town, role, &uid(target), password()).await.map_or_else(|e| e.status.http(), |_| 200);
        assert_eq!(status, expected, "{role:?} {target:?}");
    }
    for (role, target, record, expected) in [
        (Admin, uid(Student), json!({"emailVerified": true}), 403),
        (SuperAdmin, uid(Student), json!({"emailVerified": true}), 200),
        (Admin, uid(Admin), json!({"disabled": true}), 403),
        (Admin, "nobody".to_owned(), password(), 403),
        (SuperAdmin, "nobody".to_owned(), password(), 404),
        (SuperAdmin, "a/b".to_owned(), password(), 400),
    ] {
        let status = update(&town, role, &target, record.clone()).await.map_or_else(|e| e.status.http(), |_| 200);
        assert_eq!(status, expected, "{role:?} {record}");
    }
}

#[tokio::test]
async fn passwords_are_kept_as_hashes_only() {
    let town = Town::open().await;
    let student = uid(Role::Student);
    update(&town, Role::Admin, &student, json!({"password": "correct horse"})).await.expect("done");
    let files = town.world.files();
    let held = files.iter().any(|file| file.windows(13).any(|window| window == b"correct horse"));
    assert!(!held, "a file of the store holds the password");
    assert!(files.iter().any(|file| file.windows(9).any(|window| window == b"$argon2id")));
}

/// A group that the guest, who was given the claim, makes.
async fn make(town: &Town, role: Role, group: Json) -> Result<Json, FunctionError> {
    town.call(role, GROUP, json!({ "groupData": group })).await
}

#[tokio::test]
async fn a_group_belongs_to_its_maker_and_its_parents() {
    let town = Town::open().await;
    let sent = json!({
        "name": "Lab", "abbreviation": "LAB", "tags": ["x"], "parentOrgType": "groups", "parentOrgId": "g1",
        "familyId": "f1", "note": null,
    });
    let answer = make(&town, Role::SuperAdmin, sent).await.expect("made");
    let id = answer["groupId"].as_str().expect("an ID");
    assert_eq!(answer, json!({"status": "ok", "groupId": id}));
    let group = town.document(&format!("groups/{id}")).await.expect("a group").fields;
    let created = group.get("createdAt").cloned().expect("a date");
    let expected = fields! {
        "name" => "Lab", "abbreviation" => "LAB", "tags" => Value::strings(["x"]), "parentOrgType" => "group",
        "parentOrgId" => "g1", "familyId" => "f1", "archived" => false, "createdAt" => created,
        "createdBy" => format!("roar-{}", uid(Role::SuperAdmin)),
    };
    assert_eq!(group, expected);
    for parent in ["groups/g1", "families/f1"] {
        let parent = town.document(parent).await.expect("a parent").fields;
        assert_eq!(parent.get("subGroups"), Some(&Value::strings([id])));
    }
    let claims = town.claims(&uid(Role::SuperAdmin)).await;
    assert_eq!(ids(&claims, "adminOrgs", "groups"), [id]);
    assert_eq!(ids(&claims, "minimalAdminOrgs", "groups"), [id]);
    assert_eq!(town.audit().await.len(), 1);
    town.settle().await;
    let copy = town.assessment_document(&format!("userClaims/{}", assessment_uid(Role::SuperAdmin))).await;
    assert_eq!(copy.expect("a copy").fields.get("claims"), Some(&Value::Map(claims)));
}

#[tokio::test]
async fn groups_are_made_by_admins_where_they_have_rights() {
    let town = Town::open().await;
    let target = uid(Role::Admin);
    let mut claims = town.claims(&target).await;
    claims.insert("admin".to_owned(), Value::Boolean(true));
    let document = fields! { "claims" => claims, "lastUpdated" => 1 };
    crate::world::set(town.world.admin(), &format!("userClaims/{target}"), document).await;
    let mut before = town.everything().await;
    use Role::{Admin, ParentAdmin, SuperAdmin};
    let parent = |org_type: &str, id: &str| json!({"name": "Lab", "parentOrgType": org_type, "parentOrgId": id});
    for (role, group, status, message) in [
        (ParentAdmin, json!({"name": "Lab"}), 403, "Only admins may make groups."),
        (Admin, parent("school", "s2"), 403, "You don't administer the org"),
        (Admin, json!({"name": "Lab", "familyId": "f1"}), 403, "You don't administer the org"),
        (SuperAdmin, parent("school", "nowhere"), 404, "The school nowhere doesn't exist or is archived."),
        (SuperAdmin, json!({}), 400, "groupData.name must be text that isn't empty."),
        (SuperAdmin, json!({"name": 7}), 400, "groupData.name must be text that isn't empty."),
        (SuperAdmin, json!(null), 400, "groupData must be an object"),
        (SuperAdmin, json!({"name": "Lab", "parentOrgId": "g1"}), 400, "groupData.parentOrgType and parentOrgId"),
        (SuperAdmin, parent("city", "g1"), 400, "groupData.parentOrgType must be district, school"),
        (SuperAdmin, parent("group", "a/b"), 400, "groupData.parentOrgId must be the ID of an org."),
        (SuperAdmin, json!({"name": "Lab", "createdBy": "me"}), 400, "groupData.createdBy is the service's to set."),
        (SuperAdmin, json!({"name": "Lab", "id": "x"}), 400, "groupData.id is the service's to set."),
        (SuperAdmin, json!({"name": "Lab", "x": [[1]]}), 400, "groupData.x holds a list directly in a list."),
        (SuperAdmin, json!({"name": "Lab", "x": "y".repeat(1 << 20)}), 400, "groupData is too large to be stored."),
    ] {
        let error = make(&town, role, group.clone()).await.expect_err("it's refused");
        let start: String = group.to_string().chars().take(80).collect();
        assert_eq!(error.status.http(), status, "{start}: {}", error.message);
        assert!(error.message.starts_with(message), "{start}: {}", error.message);
    }
    let mut after = town.everything().await;
    before.sort_by(|one, other| one.0.cmp(&other.0));
    after.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(after, before);
    make(&town, Admin, parent("class", "c1")).await.expect("made");
    let claims = town.claims(&target).await;
    assert_eq!(claims.get("minimalAdminOrgs"), Some(&lists(&json!({"schools": ["s1"]}))), "it's part of the class");
    assert_eq!(ids(&claims, "adminOrgs", "groups").len(), 1);
}

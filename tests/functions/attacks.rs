//! Attempts of callers with few rights, or none, to gain more; and races in which a change could get lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::future::BoxFuture;
use roar_functions::accounts::{Account, AccountError, AccountUpdate, Accounts, Backend, NewAccount, Provider};
use roar_functions::app::App;
use roar_functions::fields;
use roar_functions::rights::Role;
use roar_functions::runtime::{Call, FunctionError, Trigger};
use roar_functions::store::{DocPath, FieldPath, Value, Write};
use serde_json::{Value as Json, json};

use crate::local::caller;
use crate::town::{ASSESSMENT_PROJECT, Town, assessment_uid, ids, lists, uid};
use crate::world::{PROJECT, set};

const CREATE: &str = "createAdministratorAccount";
const UPDATE: &str = "updateUserRecord";
const GROUP: &str = "createLevanteGroup";
const SET: &str = "setUidClaims";
const APPEND: &str = "appendToAdminClaims";
const REMOVE: &str = "removeFromAdminClaims";

fn appointment(email: &str, orgs: Json) -> Json {
    json!({"email": email, "name": {"first": "X", "middle": null, "last": "Y"}, "orgs": orgs, "adminOrgs": orgs})
}

/// Accounts that do something else first.
struct Hooked {
    inner: Accounts,
    #[allow(clippy::type_complexity)]
    hook: Box<dyn Fn(&'static str, String) -> BoxFuture<'static, Result<(), AccountError>> + Send + Sync>,
}

#[async_trait]
impl Backend for Hooked {
    async fn create(&self, uid: &str, account: &NewAccount) -> Result<(), AccountError> {
        (self.hook)("create", uid.to_owned()).await?;
        self.inner.create(uid, account).await
    }
    async fn by_uid(&self, uids: &[&str]) -> Result<Vec<Account>, AccountError> {
        (self.hook)("by_uid", uids.join(" ")).await?;
        Ok(self.inner.get_all(uids).await?.into_values().collect())
    }
    async fn by_email(&self, emails: &[&str]) -> Result<Vec<Account>, AccountError> {
        (self.hook)("by_email", emails.join(" ")).await?;
        Ok(self.inner.find_all(emails).await?.into_values().collect())
    }
    async fn update(&self, uid: &str, update: &AccountUpdate) -> Result<(), AccountError> {
        (self.hook)("update", uid.to_owned()).await?;
        self.inner.update(uid, update).await
    }
    async fn delete(&self, uid: &str) -> Result<(), AccountError> {
        (self.hook)("delete", uid.to_owned()).await?;
        self.inner.delete(uid).await
    }
}

/// A call with another view of the accounts.
async fn call_in(town: &Town, app: App, role: Role, name: &str, data: Json) -> Result<Json, FunctionError> {
    let function = town.world.service.runtime.registry().find(name).expect("it's in the index");
    let Trigger::Callable(handler) = &function.trigger else { panic!("a callable") };
    handler(app, Call::new(data, Town::caller(role))).await
}

/// Regression: a caregiver who had registered a family could name any account without rights by its address and take it
/// over.
#[tokio::test]
async fn a_caregiver_cannot_take_over_a_strangers_account() {
    let town = Town::open().await;
    town.account("uid-victim", "assessment-victim", "victim@example.org").await;
    town.user("uid-victim", "student", &[("schools", "s3"), ("classes", "c9")]).await;
    town.settle().await;
    let before = town.document("users/uid-victim").await.expect("a user").fields;
    let password = json!({"uid": "uid-victim", "userRecord": {"password": "attackers own"}});
    assert_eq!(town.status(Role::Caregiver, UPDATE, password.clone()).await, 403, "a stranger");
    let sent = appointment("victim@example.org", json!({"families": ["f1"]}));
    let appointed = town.status(Role::Caregiver, CREATE, sent).await;
    town.settle().await;
    let changed = town.status(Role::Caregiver, UPDATE, password).await;
    let after = town.document("users/uid-victim").await.expect("a user").fields;
    assert_eq!((changed, after), (403, before), "appointed: {appointed}");
}

/// Regression: a district's admin could name a student of another district by address and take the account over.
#[tokio::test]
async fn an_admin_cannot_take_over_a_student_of_another_district() {
    let town = Town::open().await;
    town.account("uid-victim", "assessment-victim", "victim@example.org").await;
    town.user("uid-victim", "student", &[("schools", "s3")]).await;
    town.call(Role::SuperAdmin, SET, json!({"adminUid": "uid-victim", "assessmentUid": "assessment-victim"}))
        .await
        .expect("bound");
    let sent = appointment("victim@example.org", json!({"schools": ["s1"]}));
    let appointed = town.status(Role::ParentAdmin, CREATE, sent).await;
    let password = json!({"uid": "uid-victim", "userRecord": {"password": "attackers own"}});
    let changed = town.status(Role::ParentAdmin, UPDATE, password).await;
    let user = town.document("users/uid-victim").await.expect("a user").fields;
    assert_eq!((changed, user.get("userType")), (403, Some(&Value::from("student"))), "appointed: {appointed}");
}

/// Regression: an account with an unverified address, made beforehand, was given the rights that were meant for the
/// address's owner.
#[tokio::test]
async fn rights_do_not_go_to_whoever_took_the_address_before() {
    let town = Town::open().await;
    // The admin of s1 prepares the account of a student: its address isn't verified then.
    let record = json!({"email": "principal@example.org", "password": "attackers own"});
    let sent = json!({"uid": uid(Role::Student), "userRecord": record});
    town.call(Role::Admin, UPDATE, sent).await.expect("done");
    // The district appoints the principal of another school.
    let sent = appointment("principal@example.org", json!({"schools": ["s2"]}));
    let answer = town.call(Role::ParentAdmin, CREATE, sent).await;
    let claims = town.claims(&uid(Role::Student)).await;
    assert_eq!(ids(&claims, "adminOrgs", "schools"), [""; 0], "{answer:?}");
}

/// Regression: an account of the assessment project whose address was not verified was given the rights of the
/// address's owner there.
#[tokio::test]
async fn an_unverified_assessment_account_gets_no_rights() {
    let town = Town::open().await;
    let accounts = &town.world.service.app.accounts;
    let new = NewAccount {
        email: Some("principal@example.org".to_owned()),
        password: Some("attackers own".into()),
        ..NewAccount::default()
    };
    accounts.assessment.create("attackers", &new).await.expect("an account");
    let sent = appointment("principal@example.org", json!({"schools": ["s2"]}));
    let answer = town.call(Role::ParentAdmin, CREATE, sent).await;
    town.settle().await;
    assert!(town.assessment_document("userClaims/attackers").await.is_none(), "{answer:?}");
}

/// Regression: a caller who made a group could send a field that put any other group below it, and so gain rights over
/// that group.
#[tokio::test]
async fn a_groups_fields_give_no_rights_over_other_groups() {
    for field in ["archivedSubGroups", "subGroups"] {
        let town = Town::open().await;
        let target = uid(Role::Admin);
        let mut claims = town.claims(&target).await;
        claims.insert("admin".to_owned(), Value::Boolean(true));
        set(town.world.admin(), &format!("userClaims/{target}"), fields! { "claims" => claims, "lastUpdated" => 1 })
            .await;
        let mut group = json!({"name": "Lab"});
        group[field] = json!(["g1"]);
        let first = town.status(Role::Admin, GROUP, json!({ "groupData": group })).await;
        let second = town.status(Role::Admin, GROUP, json!({"groupData": {"name": "Another"}})).await;
        let held = ids(&town.claims(&target).await, "adminOrgs", "groups");
        assert!(!held.contains(&"g1".to_owned()) && !held.contains(&"g2".to_owned()), "{first} {second} {held:?}");
    }
}

/// Regression: when creating an administrator failed half-way, every retry was refused because the account already
/// existed.
#[tokio::test]
async fn an_appointment_that_failed_can_be_repeated() {
    let town = Town::open().await;
    let accounts = &town.world.service.app.accounts;
    let new = NewAccount { email: Some("ada@example.org".to_owned()), email_verified: true, ..NewAccount::default() };
    accounts.assessment.create("theirs", &new).await.expect("an account");
    accounts.admin.create("uid-ada", &new).await.expect("an account");
    let large = json!({"note": "x".repeat(950)}).as_object().cloned().expect("an object");
    accounts.assessment.set_claims("theirs", large).await.expect("set");
    let sent = appointment("ada@example.org", json!({"schools": ["s1"]}));
    assert_eq!(town.status(Role::SuperAdmin, CREATE, sent.clone()).await, 429);
    let account = town.assessment_account("theirs").await.expect("an account");
    assert_eq!(account.providers, Vec::<Provider>::new(), "what the call changed is undone");
    accounts.assessment.set_claims("theirs", Default::default()).await.expect("set");
    assert_eq!(town.status(Role::SuperAdmin, CREATE, sent).await, 200);
}

/// Regression: when one call failed and rolled back, it deleted the administrator that a concurrent call had completed.
#[tokio::test]
async fn undoing_leaves_what_another_call_completed() {
    let town = Arc::new(Town::open().await);
    let app = town.world.service.app.clone();
    let (shared, once) = (town.clone(), Arc::new(AtomicBool::new(false)));
    let hook = move |what: &'static str, _: String| -> BoxFuture<'static, Result<(), AccountError>> {
        let (town, once) = (shared.clone(), once.clone());
        Box::pin(async move {
            if what != "by_email" || once.swap(true, Ordering::SeqCst) {
                return Ok(());
            }
            // The second call does all of it; then the first one's look-up fails.
            let sent = appointment("ada@example.org", json!({"schools": ["s1"]}));
            town.call(Role::SuperAdmin, CREATE, sent).await.expect("the second call succeeds");
            Err(AccountError::Unavailable("gone".to_owned()))
        })
    };
    let mut hooked = app.clone();
    let backend = Hooked { inner: app.accounts.assessment.clone(), hook: Box::new(hook) };
    hooked.accounts.assessment = Accounts::new(ASSESSMENT_PROJECT, Arc::new(backend));
    let sent = appointment("ada@example.org", json!({"schools": ["s1"]}));
    let first = call_in(&town, hooked, Role::SuperAdmin, CREATE, sent).await;
    assert!(first.is_err());
    assert!(app.accounts.admin.find("ada@example.org").await.expect("readable").is_some(), "the second said ok");
}

/// Regression: an administrator whose claims document was deleted became one again at the next sign-in, from the
/// token's claims, and remained one in the assessment database until then.
#[tokio::test]
async fn deleted_claims_do_not_come_back_from_the_token() {
    for what in ["the document", "its claims"] {
        let town = Town::open().await;
        town.account("uid-root", "assessment-root", "root@example.org").await;
        let claims = fields! {
            "adminUid" => "uid-root", "roarUid" => "uid-root", "assessmentUid" => "assessment-root",
            "super_admin" => true, "role" => "super_admin",
        };
        set(town.world.admin(), "userClaims/uid-root", fields! { "claims" => claims, "lastUpdated" => 1 }).await;
        town.settle().await;
        // Somebody takes all rights away in the console.
        match what {
            "the document" => town.delete("userClaims/uid-root").await,
            _ => set(town.world.admin(), "userClaims/uid-root", fields! { "lastUpdated" => 1 }).await,
        }
        town.settle().await;
        let held = |document: Option<roar_functions::store::Document>| {
            let claims = document.and_then(|document| document.fields.get("claims").and_then(Value::as_map).cloned());
            claims.and_then(|claims| claims.get("super_admin").cloned())
        };
        let copy = held(town.assessment_document("userClaims/assessment-root").await);
        let sent = json!({"assessmentUid": "assessment-root"});
        town.world.call_as(SET, Some(caller(PROJECT, "uid-root")), sent).await.expect("signed in");
        let again = held(town.document("userClaims/uid-root").await);
        assert_eq!((copy, again), (None, None), "without {what}: the copy; the claims after a sign-in");
    }
}

/// Regression: rights could not be taken away from a user whose claims are too large for a token.
#[tokio::test]
async fn large_claims_do_not_keep_rights() {
    let town = Town::open().await;
    town.settle().await;
    let target = uid(Role::Admin);
    let mut claims = town.claims(&target).await;
    claims.insert("note".to_owned(), Value::from("x".repeat(990).as_str()));
    let path = format!("userClaims/{target}");
    set(town.world.admin(), &path, fields! { "claims" => claims.clone(), "lastUpdated" => 1 }).await;
    let status = town.status(Role::SuperAdmin, REMOVE, json!({"targetUid": target, "schoolId": "s1"})).await;
    // By hand, then.
    claims.insert("adminOrgs".to_owned(), lists(&json!({})));
    set(town.world.admin(), &path, fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    for event in town.world.events().await {
        town.world.deliver(event).await;
    }
    for event in town.world.events().await {
        town.world.deliver(event).await;
    }
    let copy = town.assessment_document(&format!("userClaims/{}", assessment_uid(Role::Admin))).await.expect("a copy");
    let copy = copy.fields.get("claims").and_then(Value::as_map).cloned().unwrap_or_default();
    assert_eq!((status, ids(&copy, "adminOrgs", "schools")), (200, vec![]));
}

/// Regression: rights that were taken away by hand came back with the next change of claims.
#[tokio::test]
async fn what_the_exhaustive_list_lost_is_not_granted_again() {
    for moves_last_updated in [false, true] {
        let town = Town::open().await;
        town.settle().await;
        let target = uid(Role::Admin);
        let path = DocPath::new(format!("userClaims/{target}")).expect("a path");
        let mut mask = vec![FieldPath::of(["claims", "adminOrgs"])];
        let mut edit = fields! { "claims" => fields! { "adminOrgs" => lists(&json!({})) } };
        if moves_last_updated {
            // So that the client fetches a new token.
            edit.insert("lastUpdated".to_owned(), Value::from(1_900_000_000_000_i64));
            mask.push(FieldPath::top("lastUpdated"));
        }
        town.world.admin().commit(vec![Write::merge(path, edit, mask)]).await.expect("written");
        if moves_last_updated {
            town.settle().await;
        }
        // Anything else: a class elsewhere is given, or taken.
        town.call(Role::SuperAdmin, REMOVE, json!({"targetUid": target, "classId": "c3"})).await.expect("done");
        town.settle().await;
        assert_eq!(ids(&town.claims(&target).await, "adminOrgs", "schools"), [""; 0], "{moves_last_updated}");
    }
}

/// Regression: when a school left a district, an unrelated change of its former admin's claims turned the school into a
/// grant of its own.
#[tokio::test]
async fn what_is_no_longer_below_is_not_made_a_grant() {
    let town = Town::open().await;
    town.settle().await;
    let target = uid(Role::ParentAdmin);
    // s2 moves to the other district.
    set(town.world.admin(), "schools/s2", fields! { "name" => "S2", "archived" => false, "districtId" => "d2" }).await;
    set(
        town.world.admin(),
        "classes/c3",
        fields! { "name" => "C3", "archived" => false, "districtId" => "d2", "schoolId" => "s2" },
    )
    .await;
    // The console changes the role.
    let path = DocPath::new(format!("userClaims/{target}")).expect("a path");
    let edit = fields! { "claims" => fields! { "role" => "platform_admin" } };
    let write = Write::merge(path, edit, vec![FieldPath::of(["claims", "role"])]);
    town.world.admin().commit(vec![write]).await.expect("written");
    town.settle().await;
    let claims = town.claims(&target).await;
    assert_eq!(ids(&claims, "minimalAdminOrgs", "schools"), [""; 0], "granted: d1 only");
}

/// Regression: a sign-in that bound a roster entry overwrote rights that were given at the same time.
#[tokio::test]
async fn a_first_sign_in_loses_no_rights() {
    let town = Arc::new(Town::open().await);
    let app = town.world.service.app.clone();
    town.account("uid-t", "assessment-t", "t@school.org").await;
    let entry = fields! {
        "providerType" => "clever", "providerId" => "", "roarUid" => "rostered-t", "email" => "t@school.org",
        "activated" => false, "adminOrgs" => lists(&json!({"schools": ["s1"]})),
    };
    set(town.world.admin(), "identityProviderIds/t", entry).await;
    let claims = fields! { "adminUid" => "uid-t", "assessmentUid" => "gone" };
    set(town.world.admin(), "userClaims/uid-t", fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    let shared = town.clone();
    let hook = move |what: &'static str, uids: String| -> BoxFuture<'static, Result<(), AccountError>> {
        let town = shared.clone();
        Box::pin(async move {
            if what == "by_uid" && uids == "gone" {
                let sent = json!({"targetUid": "uid-t", "schoolId": "s3"});
                town.call(Role::SuperAdmin, APPEND, sent).await.expect("given");
            }
            Ok(())
        })
    };
    let mut hooked = app.clone();
    let backend = Hooked { inner: app.accounts.assessment.clone(), hook: Box::new(hook) };
    hooked.accounts.assessment = Accounts::new(ASSESSMENT_PROJECT, Arc::new(backend));
    let function = town.world.service.runtime.registry().find(SET).expect("it's in the index");
    let Trigger::Callable(handler) = &function.trigger else { panic!("a callable") };
    let data = json!({"assessmentUid": "assessment-t", "identityProviderType": "clever"});
    let call = Call::new(data, Some(caller(PROJECT, "uid-t")));
    let answer = handler(hooked, call).await;
    assert_eq!(ids(&town.claims("uid-t").await, "minimalAdminOrgs", "schools"), ["s1", "s3"], "{answer:?}");
}

/// Regression: a publisher that had read the claims before one was taken away wrote that claim into the token again.
#[tokio::test]
async fn a_claim_that_was_lost_stays_lost() {
    let town = Arc::new(Town::open().await);
    town.settle().await;
    let app = town.world.service.app.clone();
    let target = uid(Role::SuperAdmin);
    // The console makes a super admin an admin.
    let path = DocPath::new(format!("userClaims/{target}")).expect("a path");
    let mask = vec![FieldPath::of(["claims", "super_admin"]), FieldPath::of(["claims", "role"])];
    let write = Write::merge(path, fields! { "claims" => fields! { "role" => "admin" } }, mask);
    town.world.admin().commit(vec![write]).await.expect("written");
    // They sign in; the event is handled while the account's claims are on their way.
    let (shared, once, who) = (town.clone(), Arc::new(AtomicBool::new(false)), target.clone());
    let hook = move |what: &'static str, uid: String| -> BoxFuture<'static, Result<(), AccountError>> {
        let (town, once, who) = (shared.clone(), once.clone(), who.clone());
        Box::pin(async move {
            if what == "update" && uid == who && !once.swap(true, Ordering::SeqCst) {
                town.settle().await;
            }
            Ok(())
        })
    };
    let mut hooked = app.clone();
    let backend = Hooked { inner: app.accounts.admin.clone(), hook: Box::new(hook) };
    hooked.accounts.admin = Accounts::new(PROJECT, Arc::new(backend));
    let sent = json!({"assessmentUid": assessment_uid(Role::SuperAdmin)});
    call_in(&town, hooked, Role::SuperAdmin, SET, sent).await.expect("signed in");
    town.settle().await;
    let claims = town.admin_account(&target).await.expect("an account").custom_claims;
    assert_eq!((claims.get("super_admin"), claims.get("role")), (None, Some(&json!("admin"))));
}

/// Regression: a guest could keep a core busy for minutes with one request, because reading lists of orgs took
/// quadratic time.
#[tokio::test]
async fn long_lists_are_read_in_little_time() {
    let town = Town::open().await;
    for (name, count) in [(CREATE, 1_000_000), (APPEND, 1_000_000)] {
        let many: Vec<String> = (0..count).map(|number| format!("{number:x}")).collect();
        let sent = match name {
            CREATE => appointment("ada@example.org", json!({ "schools": many })),
            _ => json!({"targetUid": "x", "schools": many}),
        };
        // In quadratic time this many would take hours, and the test would be ended before.
        let status = town.status(Role::Guest, name, sent).await;
        assert_eq!(status / 100, 4, "{name}: {status} with {count}, of 1.5 million that fit");
    }
}

/// Regression: a text too long for a document was answered with INTERNAL instead of INVALID_ARGUMENT.
#[tokio::test]
async fn texts_that_are_too_long_are_refused_as_such() {
    let town = Town::open().await;
    let long = "x".repeat(2 << 20);
    let record = json!({"displayName": long});
    let status = town.status(Role::Admin, UPDATE, json!({"uid": uid(Role::Student), "userRecord": record})).await;
    let mut sent = appointment("ada@example.org", json!({"schools": ["s1"]}));
    sent["name"]["first"] = json!(long);
    let appointed = town.status(Role::ParentAdmin, CREATE, sent).await;
    assert_eq!((status, appointed), (400, 400));
}

/// Regression: rights over a family alone set `admin` and the role `admin` in the token.
#[tokio::test]
async fn an_appointment_over_a_family_makes_no_administrator() {
    let town = Town::open().await;
    let sent = appointment("partner@example.org", json!({"families": ["f1"]}));
    let Ok(answer) = town.call(Role::Caregiver, CREATE, sent).await else { return };
    let id = answer["adminUid"].as_str().expect("an ID").to_owned();
    let role = town.admin_account(&id).await.expect("an account").custom_claims.get("role").cloned();
    let user = town.document(&format!("users/{id}")).await.expect("a user").fields;
    assert_ne!((role, user.get("userType")), (Some(json!("admin")), Some(&Value::from("admin"))));
}

/// Regression: giving a right to an account without a claims document removed the identity and role that its token had.
#[tokio::test]
async fn rights_are_added_to_what_an_account_was_given_before() {
    let town = Town::open().await;
    let accounts = &town.world.service.app.accounts;
    let held = json!({"role": "platform_admin", "roarUid": "roar-legacy"}).as_object().cloned().expect("an object");
    town.account("uid-legacy", "assessment-legacy", "legacy@example.org").await;
    accounts.admin.set_claims("uid-legacy", held).await.expect("set");
    town.call(Role::ParentAdmin, APPEND, json!({"targetUid": "uid-legacy", "schoolId": "s1"})).await.expect("given");
    let claims = town.admin_account("uid-legacy").await.expect("an account").custom_claims;
    // A role is given to whoever has none, and never replaced (docs/domain/decisions.md#a-3).
    assert_eq!(claims.get("role"), Some(&json!("platform_admin")), "nobody is demoted");
    let sent = json!({"assessmentUid": "assessment-legacy"});
    town.world.call_as(SET, Some(caller(PROJECT, "uid-legacy")), sent).await.expect("signed in");
    assert_eq!(town.claims("uid-legacy").await.get("roarUid"), Some(&Value::from("roar-legacy")));
}

/// Regression: a class's admin could take over an account whose rights stood in its token only, and then held those
/// rights.
#[tokio::test]
async fn rights_that_only_the_token_has_protect_or_do_not_count() {
    let town = Town::open().await;
    let accounts = &town.world.service.app.accounts;
    town.account("uid-old", "assessment-old", "old@example.org").await;
    town.user("uid-old", "admin", &[("schools", "s1")]).await;
    let held = json!({"role": "super_admin", "super_admin": true}).as_object().cloned().expect("an object");
    accounts.admin.set_claims("uid-old", held).await.expect("set");
    let record = json!({"uid": "uid-old", "userRecord": {"password": "attackers own"}});
    let changed = town.status(Role::Admin, UPDATE, record).await;
    let sent = json!({"assessmentUid": "assessment-old"});
    town.world.call_as(SET, Some(caller(PROJECT, "uid-old")), sent).await.expect("signed in");
    let is_super = town.claims("uid-old").await.get("super_admin") == Some(&Value::Boolean(true));
    assert!(changed != 200 || !is_super, "password changed by a school's admin, and a super admin afterwards");
}

/// Regression: a publisher that was cut short could leave an older state of the claims in the assessment database for
/// good.
#[tokio::test]
async fn an_older_state_replaces_no_newer_one() {
    let town = Arc::new(Town::open().await);
    let app = town.world.service.app.clone();
    drop(town.world.events().await);
    let target = uid(Role::Admin);
    let (shared, once, who) = (town.clone(), Arc::new(AtomicBool::new(false)), target.clone());
    let admin_hook = move |what: &'static str, uid: String| -> BoxFuture<'static, Result<(), AccountError>> {
        let (town, once, who) = (shared.clone(), once.clone(), who.clone());
        Box::pin(async move {
            if what == "update" && uid == who && !once.swap(true, Ordering::SeqCst) {
                let sent = json!({"targetUid": who, "schoolId": "s3"});
                town.call(Role::SuperAdmin, REMOVE, sent).await.expect("taken away");
                town.settle().await;
            }
            Ok(())
        })
    };
    // The process ends, or the accounts of the assessment project can't be reached.
    let dead = |what: &'static str, _: String| -> BoxFuture<'static, Result<(), AccountError>> {
        let gone = if what == "by_uid" { Err(AccountError::Unavailable("gone".to_owned())) } else { Ok(()) };
        Box::pin(async move { gone })
    };
    let mut hooked = app.clone();
    let backend = Hooked { inner: app.accounts.admin.clone(), hook: Box::new(admin_hook) };
    hooked.accounts.admin = Accounts::new(PROJECT, Arc::new(backend));
    let backend = Hooked { inner: app.accounts.assessment.clone(), hook: Box::new(dead) };
    hooked.accounts.assessment = Accounts::new(ASSESSMENT_PROJECT, Arc::new(backend));
    let sent = json!({"targetUid": target, "schoolId": "s3"});
    call_in(&town, hooked, Role::SuperAdmin, APPEND, sent).await.expect_err("it's cut short");
    town.settle().await;
    assert_eq!(ids(&town.claims(&target).await, "adminOrgs", "schools"), ["s1"]);
    let copy = town.assessment_document(&format!("userClaims/{}", assessment_uid(Role::Admin))).await.expect("a copy");
    let copy = copy.fields.get("claims").and_then(Value::as_map).cloned().unwrap_or_default();
    assert_eq!(ids(&copy, "adminOrgs", "schools"), ["s1"], "in the assessment database");
}

/// Regression: a caller without rights over a user could learn that several accounts belong to this user.
#[tokio::test]
async fn strangers_learn_nothing_of_double_accounts() {
    let town = Town::open().await;
    town.user("shared", "student", &[("schools", "s3")]).await;
    for name in ["uid-a", "uid-b"] {
        let claims = fields! { "roarUid" => "shared", "adminUid" => name };
        set(town.world.admin(), &format!("userClaims/{name}"), fields! { "claims" => claims, "lastUpdated" => 1 })
            .await;
    }
    let sent = json!({"uid": "shared", "userRecord": {"displayName": "X"}});
    assert_eq!(town.status(Role::Guest, UPDATE, sent).await, 403);
}

/// Regression: a second account could be joined to a user who already had one, and replaced the first in the user's
/// document.
#[tokio::test]
async fn a_user_is_one_accounts() {
    let town = Town::open().await;
    town.account("uid-second", "assessment-second", "second@example.org").await;
    let sent = json!({
        "adminUid": "uid-second", "assessmentUid": "assessment-second", "roarUid": format!("roar-{}", uid(Role::Student)),
    });
    let status = town.status(Role::SuperAdmin, SET, sent).await;
    let user = town.document(&format!("users/roar-{}", uid(Role::Student))).await.expect("a user").fields;
    let named = user.get("assessmentUid").cloned();
    assert_eq!((status, named == Some(Value::from("assessment-second"))), (409, false));
}

/// Regression: an administrator of one family could make the service read as many documents as a request can name,
/// before it refused.
#[tokio::test]
async fn a_refused_call_reads_little() {
    let town = Town::open().await;
    let many: Vec<String> = (0..2000).map(|number| format!("{number:x}")).collect();
    let before = town.world.admin().cost();
    let sent = json!({"targetUid": "x", "schools": many, "districtId": "d1"});
    let status = town.status(Role::Caregiver, APPEND, sent).await;
    let reads = (town.world.admin().cost() - before).reads;
    assert!(reads < 100, "{status} after {reads} reads");
}

/// Regression: a deleted org stayed in claims, and pages of its administrators failed
/// (docs/domain/dashboard.md#claims-and-tokens).
#[tokio::test]
async fn deleted_orgs_leave_the_claims() {
    let town = Town::open().await;
    town.settle().await;
    town.delete("schools/s1").await;
    town.settle().await;
    assert_eq!(ids(&town.claims(&uid(Role::Admin)).await, "minimalAdminOrgs", "schools"), [""; 0]);
}

/// Regression: appointing an administrator could change an existing account without an audit record.
#[tokio::test]
async fn reviving_an_account_is_on_record() {
    let town = Town::open().await;
    let accounts = &town.world.service.app.accounts;
    town.account("uid-left", "assessment-left", "left@example.org").await;
    let disabled = AccountUpdate { disabled: Some(true), ..AccountUpdate::default() };
    accounts.admin.update("uid-left", &disabled).await.expect("disabled");
    let sent = appointment("left@example.org", json!({"schools": ["s1"]}));
    town.call(Role::SuperAdmin, CREATE, sent).await.expect("done");
    let actions: Vec<_> = town.audit().await.iter().filter_map(|record| record.get("action").cloned()).collect();
    assert!(actions.contains(&Value::from("account")), "{actions:?}");
}

/// Regression: a caller who made a group could set the activation codes of other orgs, and an unknown spelling of an
/// org's type.
#[tokio::test]
async fn a_group_takes_no_codes_and_one_form_of_types() {
    let town = Town::open().await;
    let group =
        json!({"name": "G", "validActivationCodes": ["CODE-OF-S3"], "parentOrgType": "families", "parentOrgId": "f1"});
    let Ok(answer) = town.call(Role::SuperAdmin, GROUP, json!({ "groupData": group })).await else { return };
    let id = answer["groupId"].as_str().expect("an ID").to_owned();
    let group = town.document(&format!("groups/{id}")).await.expect("a group").fields;
    assert_eq!((group.get("validActivationCodes"), group.get("parentOrgType")), (None, Some(&Value::from("family"))));
}

/// Many concurrent changes of one person's rights all take effect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_changes_at_once() {
    let town = Town::open().await;
    let target = uid(Role::Guest);
    let calls = (0..24).map(|number| {
        let orgs = ["s1", "s2", "s3"];
        let sent = json!({"targetUid": target, "schoolId": orgs[number % 3]});
        town.call(Role::SuperAdmin, if number % 2 == 0 { APPEND } else { REMOVE }, sent)
    });
    let answers = futures::future::join_all(calls).await;
    let failed: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!(failed.iter().all(|error| error.status.http() == 404), "{failed:?}");
}

/// Regression: a caregiver could make a user with more rights a member of their family, where security rules let the
/// caregiver read that user's document.
#[tokio::test]
async fn a_caregiver_moves_no_administrator_into_their_family() {
    let town = Town::open().await;
    let id = format!("users/roar-{}", uid(Role::SuperAdmin));
    let before = town.document(&id).await.expect("a user").fields;
    let sent = appointment(&format!("{}@example.org", uid(Role::SuperAdmin)), json!({"families": ["f1"]}));
    let answer = town.call(Role::Caregiver, CREATE, sent).await;
    let after = town.document(&id).await.expect("a user").fields;
    assert_eq!(after.get("families"), before.get("families"), "{answer:?}");
}

/// Regression: an org that another org's list of children named gave rights over itself, although its own links led
/// elsewhere. Security rules let a district's admins write their schools' documents, and a school's admins their
/// classes'.
#[tokio::test]
async fn a_list_of_children_gives_no_rights_over_anothers() {
    let town = Town::open().await;
    set(
        town.world.admin(),
        "classes/c9",
        fields! { "name" => "C9", "archived" => false, "districtId" => "d2", "schoolId" => "s3" },
    )
    .await;
    // A district's admin, and a school's: each writes a document that is theirs, then gives themselves what they have.
    let school = fields! {
        "name" => "S1", "archived" => false, "districtId" => "d1", "classes" => Value::strings(["c1", "c2", "c9"]),
    };
    set(town.world.admin(), "schools/s1", school).await;
    let sent = json!({"targetUid": uid(Role::ParentAdmin), "schoolId": "s1"});
    town.call(Role::ParentAdmin, APPEND, sent).await.expect("it's theirs");
    let class = fields! {
        "name" => "C1", "archived" => false, "districtId" => "d1", "schoolId" => "s1",
        "subGroups" => Value::strings(["g1"]),
    };
    set(town.world.admin(), "classes/c1", class).await;
    let sent = json!({"targetUid": uid(Role::Admin), "classId": "c1"});
    town.call(Role::Admin, APPEND, sent).await.expect("it's theirs");
    let classes = ids(&town.claims(&uid(Role::ParentAdmin)).await, "adminOrgs", "classes");
    let groups = ids(&town.claims(&uid(Role::Admin)).await, "adminOrgs", "groups");
    assert_eq!((classes.contains(&"c9".to_owned()), groups), (false, vec![]), "{classes:?}");
}

/// Regression: security rules let any admin of a family or group create a user's document of any ID, and with it they
/// could take the account of that UID if it had no user yet.
#[tokio::test]
async fn a_users_document_gives_no_account() {
    let town = Town::open().await;
    town.account("uid-fresh", "assessment-fresh", "fresh@example.org").await;
    // What the caregiver's client creates.
    let forged =
        fields! { "families" => fields! { "current" => Value::strings(["f1"]), "all" => Value::strings(["f1"]) } };
    set(town.world.admin(), "users/uid-fresh", forged).await;
    let record = json!({"uid": "uid-fresh", "userRecord": {"password": "attackers own"}});
    assert_eq!(town.status(Role::Caregiver, UPDATE, record).await, 403);
}

/// Regression: an admin could take over a platform admin of the same school, together with the role.
#[tokio::test]
async fn a_role_is_a_right_too() {
    let town = Town::open().await;
    let peer = "uid-peer";
    town.account(peer, "assessment-peer", "peer@example.org").await;
    town.user("roar-peer", "admin", &[("schools", "s1")]).await;
    let mut claims = town.claims(&uid(Role::Admin)).await;
    claims.extend(fields! { "roarUid" => "roar-peer", "adminUid" => peer, "role" => "platform_admin" });
    claims.remove("assessmentUid");
    set(town.world.admin(), "userClaims/uid-peer", fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    let record = json!({"uid": peer, "userRecord": {"password": "attackers own"}});
    assert_eq!(town.status(Role::Admin, UPDATE, record).await, 403);
}

/// Regression: when a claims document was lost, rights were restored from the token but the user's identity was not, so
/// that nobody could sign in.
#[tokio::test]
async fn who_somebody_is_survives_the_loss_of_claims() {
    let town = Town::open().await;
    town.settle().await;
    let student = uid(Role::Student);
    town.delete(&format!("userClaims/{student}")).await;
    town.settle().await;
    let answer = town.call(Role::Student, SET, json!({"assessmentUid": assessment_uid(Role::Student)})).await;
    let roar_uid = answer.map(|answer| answer["userClaims"]["roarUid"].clone());
    assert_eq!(roar_uid.ok(), Some(json!(format!("roar-{student}"))));
}

/// Regression: a super admin could disable their own account.
#[tokio::test]
async fn nobody_disables_their_own_account() {
    let town = Town::open().await;
    let sent = json!({"uid": uid(Role::SuperAdmin), "userRecord": {"disabled": true}});
    assert_eq!(town.status(Role::SuperAdmin, UPDATE, sent).await, 403);
}

/// Regression: a guest could learn which addresses have accounts in either project, and take addresses without proving
/// to own them.
#[tokio::test]
async fn a_guest_does_not_take_addresses_without_a_proof() {
    let town = Town::open().await;
    let of = |email: &str| json!({"uid": uid(Role::Guest), "userRecord": {"email": email}});
    let taken = town.status(Role::Guest, UPDATE, of("uid-student@example.org")).await;
    let free = town.status(Role::Guest, UPDATE, of("next-principal@example.org")).await;
    assert_eq!((taken, free), (403, 403));
}

/// Regression: a user with another role was made an administrator without the role that opens the administrators'
/// pages.
#[tokio::test]
async fn who_is_appointed_has_the_role_in_the_token() {
    let town = Town::open().await;
    town.account("uid-teacher", "assessment-teacher", "teacher@example.org").await;
    let claims = fields! { "adminUid" => "uid-teacher", "roarUid" => "uid-teacher", "role" => "guest" };
    set(town.world.admin(), "userClaims/uid-teacher", fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    let sent = appointment("teacher@example.org", json!({"schools": ["s1"]}));
    town.call(Role::SuperAdmin, CREATE, sent).await.expect("done");
    let role = town.admin_account("uid-teacher").await.expect("an account").custom_claims.get("role").cloned();
    // Without a role, somebody is a guest (docs/domain/dashboard.md#claims-and-tokens).
    assert_eq!(role, Some(json!("admin")), "every guarded page is closed to guests");
}

/// Regression: when two sign-ins raced for one roster entry, the loser kept the entry's rights and user in the
/// assessment database.
#[tokio::test]
async fn who_is_refused_an_entry_has_nothing_of_it() {
    let town = Arc::new(Town::open().await);
    let app = town.world.service.app.clone();
    for name in ["one", "two"] {
        town.account(&format!("uid-{name}"), &format!("assessment-{name}"), &format!("{name}@school.org")).await;
    }
    let link = Provider { provider_id: "oidc.clever".to_owned(), raw_id: "clever-e".to_owned() };
    let update = AccountUpdate { link: Some(link), ..AccountUpdate::default() };
    app.accounts.admin.update("uid-two", &update).await.expect("linked");
    let entry = fields! {
        "providerType" => "clever", "providerId" => "clever-e", "roarUid" => "rostered-e", "email" => "one@school.org",
        "activated" => false, "adminOrgs" => lists(&json!({"schools": ["s1"]})),
    };
    set(town.world.admin(), "identityProviderIds/e", entry).await;
    let claims = fields! { "adminUid" => "uid-one", "assessmentUid" => "gone" };
    set(town.world.admin(), "userClaims/uid-one", fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    let sign_in = |app: App, name: &str, data: Json| {
        let function = town.world.service.runtime.registry().find(SET).expect("it's in the index");
        let Trigger::Callable(handler) = &function.trigger else { panic!("a callable") };
        handler(app, Call::new(data, Some(caller(PROJECT, &format!("uid-{name}")))))
    };
    let shared = town.clone();
    let hook = move |what: &'static str, uids: String| -> BoxFuture<'static, Result<(), AccountError>> {
        let town = shared.clone();
        Box::pin(async move {
            if what == "by_uid" && uids == "gone" {
                let sent = json!({
                    "assessmentUid": "assessment-two", "identityProviderType": "clever", "identityProviderId": "clever-e",
                });
                town.world.call_as(SET, Some(caller(PROJECT, "uid-two")), sent).await.expect("signed in");
            }
            Ok(())
        })
    };
    let mut hooked = app.clone();
    let backend = Hooked { inner: app.accounts.assessment.clone(), hook: Box::new(hook) };
    hooked.accounts.assessment = Accounts::new(ASSESSMENT_PROJECT, Arc::new(backend));
    let sent = json!({"assessmentUid": "assessment-one", "identityProviderType": "clever"});
    let answer = sign_in(hooked, "one", sent).await;
    town.settle().await;
    assert_eq!(answer.expect_err("refused").status.http(), 409);
    let copy = town.assessment_document("userClaims/assessment-one").await;
    let copy = copy.and_then(|copy| copy.fields.get("claims").and_then(Value::as_map).cloned()).unwrap_or_default();
    assert_eq!((ids(&copy, "adminOrgs", "schools"), copy.get("roarUid")), (vec![], None));
}

/// Regression: giving a right to a student of another district took the student's assignments away.
#[tokio::test]
async fn a_strangers_student_stays_a_student() {
    let town = Town::open().await;
    town.account("uid-victim", "assessment-victim", "victim@example.org").await;
    town.user("uid-victim", "student", &[("schools", "s3")]).await;
    let status = town.status(Role::ParentAdmin, APPEND, json!({"targetUid": "uid-victim", "schoolId": "s1"})).await;
    town.settle().await;
    let user = town.document("users/uid-victim").await.expect("a user").fields;
    assert_eq!(user.get("userType"), Some(&Value::from("student")), "{status}");
}

/// Regression: rights that a roster added later were never given
/// (docs/domain/rosters.md#rights-that-come-with-a-roster).
#[tokio::test]
async fn a_roster_may_give_more_later() {
    let town = Town::open().await;
    town.account("uid-t", "assessment-t", "t@school.org").await;
    let entry = |school: &str| {
        fields! {
            "providerType" => "clever", "providerId" => "", "roarUid" => "rostered-t", "email" => "t@school.org",
            "activated" => false, "adminOrgs" => lists(&json!({"schools": [school]})),
        }
    };
    set(town.world.admin(), "identityProviderIds/t", entry("s1")).await;
    let sent = json!({"assessmentUid": "assessment-t", "identityProviderType": "clever"});
    town.world.call_as(SET, Some(caller(PROJECT, "uid-t")), sent.clone()).await.expect("signed in");
    let mut bound = town.document("identityProviderIds/t").await.expect("an entry").fields;
    bound.insert("adminOrgs".to_owned(), lists(&json!({"schools": ["s1", "s3"]})));
    set(town.world.admin(), "identityProviderIds/t", bound).await;
    town.world.call_as(SET, Some(caller(PROJECT, "uid-t")), sent).await.expect("signed in");
    assert_eq!(ids(&town.claims("uid-t").await, "minimalAdminOrgs", "schools"), ["s1", "s3"]);
}

/// Regression: a user whose account was disabled in the admin project could still read with the account of the
/// assessment project.
#[tokio::test]
async fn a_disabled_user_is_disabled_in_both_projects() {
    let town = Town::open().await;
    let sent = json!({"uid": uid(Role::Admin), "userRecord": {"disabled": true}});
    town.call(Role::SuperAdmin, UPDATE, sent).await.expect("done");
    assert!(town.assessment_account(&assessment_uid(Role::Admin)).await.expect("an account").disabled);
}

/// IDs of any length and kind are refused or not found, and none causes an internal error.
#[tokio::test]
async fn odd_ids_never_fail_inside() {
    let town = Town::open().await;
    let odd = [
        "é".repeat(700),
        "x".repeat(1500),
        "x".repeat(1501),
        ".".into(),
        "..".into(),
        "__x__".into(),
        "`".into(),
        "a.b".into(),
        "\u{0}".into(),
        "👩‍👩‍👧".repeat(40),
        " ".into(),
        "constructor".into(),
    ];
    for id in &odd {
        for role in [Role::SuperAdmin, Role::Admin, Role::Guest] {
            for (name, sent) in [
                (APPEND, json!({"targetUid": id, "schoolId": "s1"})),
                (APPEND, json!({"targetUid": uid(Role::Guest), "schoolId": id})),
                (REMOVE, json!({"targetUid": uid(Role::Student), "groups": [id]})),
                (UPDATE, json!({"uid": id, "userRecord": {"displayName": "x"}})),
                (UPDATE, json!({"uid": uid(role), "userRecord": {"email": format!("{id}@b.org")}})),
                (UPDATE, json!({"uid": uid(role), "userRecord": {"phoneNumber": id}})),
                (SET, json!({"assessmentUid": id})),
                (SET, json!({"assessmentUid": assessment_uid(role), "roarUid": id})),
                (SET, json!({"assessmentUid": assessment_uid(role), "adminUid": id})),
                (
                    SET,
                    json!({"assessmentUid": assessment_uid(role), "identityProviderType": "clever", "identityProviderId": id}),
                ),
                ("associateAssessmentUid", json!({"adminUid": id, "assessmentUid": id})),
                (CREATE, appointment("ada@example.org", json!({"schools": [id]}))),
                (CREATE, appointment(&format!("{id}@example.org"), json!({"schools": ["s1"]}))),
                (GROUP, json!({"groupData": {"name": id, "parentOrgType": "school", "parentOrgId": id}})),
                (GROUP, json!({"groupData": {"name": "x", id: {id: [id]}}})),
                ("getAssignmentStats", json!({"administrationIds": [id], "orgId": id, "taskIds": [id]})),
                (
                    "getAdministrationOrgsAndStats",
                    json!({"administrationId": id, "parentOrgId": id, "parentOrgType": "school"}),
                ),
            ] {
                let status = town.status(role, name, sent.clone()).await;
                let start: String = sent.to_string().chars().take(120).collect();
                assert!(status < 500, "{name} {role:?} {status}: {start}");
            }
        }
    }
}

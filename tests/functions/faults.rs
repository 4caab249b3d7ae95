//! Requests to the accounts fail at any moment, before or after they took effect, and callers disconnect at any moment.
//! A repetition completes every change that was interrupted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use roar_functions::accounts::{Account, AccountError, AccountUpdate, Accounts, Backend, NewAccount, Provider};
use roar_functions::app::Projects;
use roar_functions::rights::Role;
use roar_functions::runtime::Status;
use roar_functions::store::Value;
use serde_json::{Value as Json, json};

use crate::local::caller;
use crate::town::{Town, assessment_uid, ids, uid};
use crate::world::PROJECT;

/// When the accounts fail.
#[derive(Clone, Copy, Debug)]
enum Fails {
    /// Nothing was done.
    Before,
    /// It was done, and the answer was lost.
    After,
}

/// Accounts that fail once, at the request that the countdown ends with.
struct Flaky {
    accounts: Accounts,
    countdown: Arc<AtomicI64>,
    fails: Fails,
}

impl Flaky {
    async fn pass<T>(&self, request: impl Future<Output = Result<T, AccountError>>) -> Result<T, AccountError> {
        let fails = self.countdown.fetch_sub(1, Ordering::SeqCst) == 0;
        if fails && matches!(self.fails, Fails::Before) {
            return Err(AccountError::Unavailable("a test".to_owned()));
        }
        let done = request.await;
        if fails { Err(AccountError::Unavailable("a test".to_owned())) } else { done }
    }
}

#[async_trait]
impl Backend for Flaky {
    async fn create(&self, uid: &str, account: &NewAccount) -> Result<(), AccountError> {
        self.pass(self.accounts.create(uid, account)).await
    }
    async fn by_uid(&self, uids: &[&str]) -> Result<Vec<Account>, AccountError> {
        let found = async { Ok(self.accounts.get_all(uids).await?.into_values().collect()) };
        self.pass(found).await
    }
    async fn by_email(&self, emails: &[&str]) -> Result<Vec<Account>, AccountError> {
        let found = async { Ok(self.accounts.find_all(emails).await?.into_values().collect()) };
        self.pass(found).await
    }
    async fn update(&self, uid: &str, update: &AccountUpdate) -> Result<(), AccountError> {
        self.pass(self.accounts.update(uid, update)).await
    }
    async fn delete(&self, uid: &str) -> Result<(), AccountError> {
        self.pass(self.accounts.delete(uid)).await
    }
}

/// A town whose accounts fail at the request of that number; and those that don't.
async fn town(request: i64, fails: Fails) -> (Town, Projects, Arc<AtomicI64>) {
    let mut town = Town::open().await;
    let sound = town.world.service.app.accounts.clone();
    let countdown = Arc::new(AtomicI64::new(request));
    let flaky = |accounts: &Accounts| {
        let backend = Flaky { accounts: accounts.clone(), countdown: countdown.clone(), fails };
        Accounts::new(accounts.project(), Arc::new(backend))
    };
    // Calls meet the failure; events, which come later, don't.
    town.world.service.app.accounts = Projects { admin: flaky(&sound.admin), assessment: flaky(&sound.assessment) };
    (town, sound, countdown)
}

/// The custom claims and both claims documents of a user agree.
async fn assert_published(town: &Town, admin_uid: &str, assessment_uid: &str, what: &str) {
    let claims = town.claims(admin_uid).await;
    let copy = town.assessment_document(&format!("userClaims/{assessment_uid}")).await.expect("a copy");
    assert_eq!(copy.fields.get("claims"), Some(&Value::Map(claims.clone())), "{what}");
    for account in [town.admin_account(admin_uid).await, town.assessment_account(assessment_uid).await] {
        let custom = account.expect("an account").custom_claims;
        for name in ["roarUid", "adminUid", "assessmentUid", "role"] {
            let held = claims.get(name).and_then(Value::as_str).map(Json::from);
            assert_eq!(custom.get(name).cloned(), held, "{name}, {what}");
        }
    }
}

fn ada() -> Json {
    json!({
        "email": "ada@example.org", "name": {"first": "Ada", "last": "Byron"},
        "adminOrgs": {"schools": ["s1"]}, "orgs": {"districts": ["d1"], "schools": ["s1"]},
    })
}

#[tokio::test]
async fn an_administrator_is_made_or_not_at_all() {
    for fails in [Fails::Before, Fails::After] {
        let mut request = 0;
        loop {
            let (town, sound, countdown) = town(request, fails).await;
            let what = format!("request {request} fails {fails:?}");
            let first = town.call(Role::SuperAdmin, "createAdministratorAccount", ada()).await;
            let failed = countdown.load(Ordering::SeqCst) < 0;
            if let Err(error) = &first {
                assert_eq!(error.status, Status::Unavailable, "{what}");
            }
            countdown.store(i64::MAX, Ordering::SeqCst);
            town.settle().await;
            let answer = town.call(Role::SuperAdmin, "createAdministratorAccount", ada()).await.expect(&what);
            town.settle().await;
            let id = |name: &str| answer[name].as_str().expect("an ID").to_owned();
            let (admin_uid, assessment) = (id("adminUid"), id("assessmentUid"));
            let found = sound.admin.find("ada@example.org").await.expect("readable").expect("an account");
            assert_eq!(found.uid, admin_uid, "{what}");
            let found = sound.assessment.find("ada@example.org").await.expect("readable").expect("an account");
            assert_eq!(found.uid, assessment, "{what}");
            assert!(found.is_linked(&format!("oidc.{PROJECT}"), &admin_uid), "{what}");
            assert_published(&town, &admin_uid, &assessment, &what).await;
            assert_eq!(ids(&town.claims(&admin_uid).await, "adminOrgs", "classes"), ["c1", "c2"], "{what}");
            // No claims of accounts that were taken back.
            let stray = town.everything().await.into_iter().filter(|(path, fields)| {
                let claims = fields.get("claims").and_then(Value::as_map);
                let role = claims.and_then(|claims| claims.get("role")).and_then(Value::as_str);
                let known =
                    Role::ALL.iter().any(|role| path.contains(&uid(*role)) || path.contains(&assessment_uid(*role)));
                path.starts_with("userClaims/")
                    && !known
                    && ![&admin_uid, &assessment].iter().any(|uid| path.ends_with(uid.as_str()))
                    && (role.is_some() || claims.is_some())
            });
            assert_eq!(stray.map(|(path, _)| path).collect::<Vec<_>>(), [""; 0], "{what}");
            if !failed {
                assert!(request > 10, "the call asks more often than that");
                break;
            }
            request += 1;
        }
    }
}

#[tokio::test]
async fn rights_that_are_given_reach_the_tokens_without_another_call() {
    for fails in [Fails::Before, Fails::After] {
        for request in 0.. {
            let (town, _, countdown) = town(request, fails).await;
            let target = uid(Role::Student);
            let sent = json!({"targetUid": target, "groupId": "g1"});
            let answer = town.call(Role::SuperAdmin, "appendToAdminClaims", sent).await;
            let failed = countdown.load(Ordering::SeqCst) < 0;
            assert_eq!(answer.is_err(), failed);
            countdown.store(i64::MAX, Ordering::SeqCst);
            town.settle().await;
            let what = format!("request {request} fails {fails:?}");
            assert_published(&town, &target, &assessment_uid(Role::Student), &what).await;
            if !failed {
                assert_eq!(ids(&town.claims(&target).await, "adminOrgs", "groups"), ["g1", "g2"]);
                break;
            }
        }
    }
}

/// A newcomer whose assessment account signs in through the other.
async fn newcomer(town: &Town) {
    town.account("uid-new", "assessment-new", "new@example.org").await;
    let provider = Provider { provider_id: format!("oidc.{PROJECT}"), raw_id: "uid-new".to_owned() };
    let update = AccountUpdate { link: Some(provider), ..AccountUpdate::default() };
    town.world.service.app.accounts.assessment.update("assessment-new", &update).await.expect("linked");
    town.user("uid-new", "guest", &[]).await;
}

#[tokio::test]
async fn a_sign_in_that_fails_succeeds_when_it_is_repeated() {
    for fails in [Fails::Before, Fails::After] {
        for request in 0.. {
            let (town, _, countdown) = town(i64::MAX, fails).await;
            newcomer(&town).await;
            countdown.store(request, Ordering::SeqCst);
            let sign_in = async || {
                let sent = json!({"assessmentUid": "assessment-new"});
                town.world.call_as("setUidClaims", Some(caller(PROJECT, "uid-new")), sent).await
            };
            let first = sign_in().await;
            let failed = countdown.load(Ordering::SeqCst) < 0;
            assert_eq!(first.is_err(), failed);
            countdown.store(i64::MAX, Ordering::SeqCst);
            sign_in().await.expect("signed in");
            let what = format!("request {request} fails {fails:?}");
            assert_published(&town, "uid-new", "assessment-new", &what).await;
            if !failed {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_die_at_any_moment_leave_nothing_half_done() {
    for cut in 0..40 {
        let town = Town::open().await;
        newcomer(&town).await;
        let after = Duration::from_micros(cut * 400);
        let target = uid(Role::Admin);
        let sent = json!({"targetUid": target, "groupId": "g1", "schoolId": "s3"});
        let call = town.call(Role::SuperAdmin, "appendToAdminClaims", sent);
        let _ = tokio::time::timeout(after, call).await;
        let sent = json!({"assessmentUid": "assessment-new"});
        let call = town.world.call_as("setUidClaims", Some(caller(PROJECT, "uid-new")), sent.clone());
        let _ = tokio::time::timeout(after, call).await;
        town.settle().await;
        assert_published(&town, &target, &assessment_uid(Role::Admin), &format!("cut after {after:?}")).await;
        town.world.call_as("setUidClaims", Some(caller(PROJECT, "uid-new")), sent).await.expect("signed in");
        town.settle().await;
        assert_published(&town, "uid-new", "assessment-new", &format!("cut after {after:?}")).await;
    }
}

#[tokio::test]
async fn an_account_that_cannot_be_changed_is_changed_in_neither_project() {
    for fails in [Fails::Before, Fails::After] {
        for request in 0.. {
            let (town, sound, countdown) = town(request, fails).await;
            town.settle().await;
            let (admin, assessment) = (uid(Role::Student), assessment_uid(Role::Student));
            let sent = json!({"uid": admin, "userRecord": {"email": "new@example.org", "disabled": true}});
            let answer = town.call(Role::SuperAdmin, "updateUserRecord", sent.clone()).await;
            let failed = countdown.load(Ordering::SeqCst) < 0;
            assert_eq!(answer.is_err(), failed);
            let of = async |accounts: &Accounts, uid: &str| {
                let account = accounts.get(uid).await.expect("readable").expect("an account");
                (account.email, account.disabled)
            };
            let both = (of(&sound.admin, &admin).await, of(&sound.assessment, &assessment).await);
            let what = format!("request {request} fails {fails:?}: {both:?}");
            // An answer that was lost leaves the question open until the call is repeated.
            if matches!(fails, Fails::Before) {
                assert_eq!(both.0, both.1, "{what}");
            }
            countdown.store(i64::MAX, Ordering::SeqCst);
            town.call(Role::SuperAdmin, "updateUserRecord", sent).await.expect(&what);
            let done = (Some("new@example.org".to_owned()), true);
            assert_eq!(of(&sound.admin, &admin).await, done, "{what}");
            assert_eq!(of(&sound.assessment, &assessment).await, done, "{what}");
            if !failed {
                break;
            }
        }
    }
}

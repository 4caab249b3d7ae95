//! Suspensions: from the moment at which a user's account is disabled, every request of the user is refused, whatever
//! their token says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use jiff::SignedDuration;
use roar_functions::accounts::{Account, AccountError, AccountUpdate, Accounts, Backend, NewAccount};
use roar_functions::claims::suspension::Suspension;
use roar_functions::fields;
use roar_functions::rights::Role;
use roar_functions::runtime::{Call, Status, Trigger};
use roar_functions::store::{DocPath, Document, FieldPath, Value, Write};
use serde_json::json;

use crate::rights::{callables, request, town};
use crate::town::{Town, assessment_uid, ids, uid};

const UPDATE: &str = "updateUserRecord";

/// Signed in, with whatever rights.
const ROLES: [Role; 7] =
    [Role::Guest, Role::Student, Role::Caregiver, Role::Admin, Role::SiblingAdmin, Role::ParentAdmin, Role::SuperAdmin];

async fn suspend(town: &Town, admin_uid: &str) {
    let suspension = Suspension { function: "test", by: "test", admin_uid, by_super_admin: true };
    assert!(suspension.of_everything(&town.world.service.app, true).await.expect("suspended"));
}

async fn is_suspended(town: &Town, role: Role) -> (bool, bool) {
    let flag = |document: Option<Document>| {
        document.is_some_and(|document| document.fields.get("suspended") == Some(&Value::Boolean(true)))
    };
    let copy = town.assessment_document(&format!("userClaims/{}", assessment_uid(role))).await;
    (flag(town.document(&format!("userClaims/{}", uid(role))).await), flag(copy))
}

/// Every callable is refused, including the one that is called at every sign-in.
#[tokio::test]
async fn nothing_is_done_for_who_is_suspended() {
    for role in ROLES {
        let town = town().await;
        suspend(&town, &uid(role)).await;
        let before = town.everything().await;
        for (function, _) in callables() {
            let error = town.call(role, function, request(&town, function, role)).await.expect_err(function);
            assert_eq!(error.status, Status::PermissionDenied, "{function} as {role:?}: {error}");
            assert!(error.message.contains("suspended"), "{function} as {role:?}: {error}");
        }
        assert_eq!(town.everything().await, before, "{role:?}");
    }
}

/// Nobody else can bind the suspended user's accounts to a user again, and their account of the other project gives no
/// access either.
#[tokio::test]
async fn nobody_binds_who_is_suspended() {
    let town = town().await;
    let student = uid(Role::Student);
    suspend(&town, &student).await;
    let bind = json!({"adminUid": student, "assessmentUid": assessment_uid(Role::Student)});
    for function in ["setUidClaims", "associateAssessmentUid"] {
        let error = town.call(Role::SuperAdmin, function, bind.clone()).await.expect_err("it's refused");
        assert!(error.status == Status::PermissionDenied && error.message.contains("suspended"), "{error}");
    }
    let other = crate::local::caller(crate::town::ASSESSMENT_PROJECT, &assessment_uid(Role::Student));
    let sent = json!({"adminUid": student, "roarUid": format!("roar-{student}")});
    let error = town.world.call_as("setUidClaims", Some(other), sent).await.expect_err("it's refused");
    assert!(error.status == Status::PermissionDenied && error.message.contains("suspended"), "{error}");
    assert!(is_suspended(&town, Role::Student).await.0);
}

#[tokio::test]
async fn who_disables_an_account_suspends_its_user_and_the_other_way_round() {
    let town = town().await;
    let (admin, other) = (uid(Role::Admin), assessment_uid(Role::Admin));
    town.call(Role::Admin, "setUidClaims", json!({"assessmentUid": other})).await.expect("signed in");
    town.settle().await;
    let claims = town.claims(&admin).await;
    let custom = town.admin_account(&admin).await.expect("an account").custom_claims;
    let disable = |disabled: bool| json!({"uid": admin, "userRecord": {"disabled": disabled}});
    let records = town.audit().await.len();

    town.call(Role::ParentAdmin, UPDATE, disable(true)).await.expect("done");
    assert_eq!(is_suspended(&town, Role::Admin).await, (true, true), "at once, before any event");
    let refused = town.call(Role::Admin, "getAdministrations", json!({})).await.expect_err("it's refused");
    assert_eq!(refused.status, Status::PermissionDenied);
    let now = town.world.now().as_second();
    for account in [town.admin_account(&admin).await, town.assessment_account(&other).await] {
        let account = account.expect("an account");
        assert!(account.disabled);
        assert_eq!(account.valid_since.map(|since| since.as_second()), Some(now), "refresh tokens are void");
    }
    // Again, and nothing changes.
    let before = town.everything().await;
    town.call(Role::ParentAdmin, UPDATE, disable(true)).await.expect("done");
    assert_eq!(town.everything().await, before);
    town.settle().await;
    // Rights stay on record, in tokens too.
    assert_eq!(town.claims(&admin).await, claims);
    assert_eq!(town.admin_account(&admin).await.expect("an account").custom_claims, custom);
    // Whatever changes their claims doesn't let them in.
    let grant = json!({"targetUid": admin, "schoolId": "s2"});
    town.call(Role::ParentAdmin, "appendToAdminClaims", grant).await.expect("done");
    town.settle().await;
    assert_eq!(is_suspended(&town, Role::Admin).await, (true, true));

    town.call(Role::ParentAdmin, UPDATE, disable(false)).await.expect("done");
    assert_eq!(is_suspended(&town, Role::Admin).await, (false, false));
    town.call(Role::Admin, "getAdministrations", json!({})).await.expect("let in");
    assert!(!town.admin_account(&admin).await.expect("an account").disabled);
    assert!(!town.assessment_account(&other).await.expect("an account").disabled);
    assert_eq!(ids(&town.claims(&admin).await, "adminOrgs", "schools"), ["s1", "s2"]);
    let actions: Vec<_> = town.audit().await[records..].iter().map(|record| record["action"].clone()).collect();
    let said = ["suspend", "account", "append", "lift", "account"].map(Value::from);
    assert!(said.iter().all(|action| actions.contains(action)) && actions.len() == said.len(), "{actions:?}");
}

/// An admin of a user's orgs can't lift a suspension that a super admin or an operator imposed.
#[tokio::test]
async fn nobody_lifts_what_somebody_above_them_has_imposed() {
    let town = town().await;
    let admin = uid(Role::Admin);
    let disable = |disabled: bool| json!({"uid": admin, "userRecord": {"disabled": disabled}});
    let since = |document: Option<Document>| document.expect("claims").fields.get("suspendedAt").cloned();
    let path = format!("userClaims/{admin}");

    town.call(Role::ParentAdmin, UPDATE, disable(true)).await.expect("done");
    let first = since(town.document(&path).await);
    town.world.clock.advance(SignedDuration::from_mins(1));
    town.call(Role::SuperAdmin, UPDATE, disable(true)).await.expect("done");
    assert_eq!(since(town.document(&path).await), first, "suspended since then");
    town.settle().await;
    let before = town.everything().await;
    let error = town.call(Role::ParentAdmin, UPDATE, disable(false)).await.expect_err("it's refused");
    assert_eq!((error.status, error.message.contains("only super admins lift")), (Status::PermissionDenied, true));
    assert_eq!(town.everything().await, before, "nothing has changed, the accounts included");
    assert!(town.admin_account(&admin).await.expect("an account").disabled);

    town.call(Role::SuperAdmin, UPDATE, disable(false)).await.expect("done");
    assert_eq!(is_suspended(&town, Role::Admin).await, (false, false));
    // What they impose themselves, they lift.
    town.call(Role::ParentAdmin, UPDATE, disable(true)).await.expect("done");
    town.call(Role::ParentAdmin, UPDATE, disable(false)).await.expect("done");
    assert_eq!(is_suspended(&town, Role::Admin).await, (false, false));
    suspend(&town, &admin).await;
    let error = town.call(Role::ParentAdmin, UPDATE, disable(false)).await.expect_err("it's refused");
    assert_eq!(error.status, Status::PermissionDenied);
}

/// A user who never signed in has no claims document. The document that records their suspension gives no right once
/// the suspension is lifted.
#[tokio::test]
async fn who_never_signed_in_can_be_suspended() {
    let town = town().await;
    town.account("uid-new", "assessment-new", "new@example.org").await;
    let suspension = Suspension { function: "test", by: "test", admin_uid: "uid-new", by_super_admin: true };
    let app = &town.world.service.app;
    assert!(suspension.of_everything(app, true).await.expect("suspended"));
    town.settle().await;
    let caller = || Some(crate::local::caller(crate::world::PROJECT, "uid-new"));
    let sign_in = json!({"assessmentUid": "assessment-new"});
    for (function, sent) in [("setUidClaims", sign_in.clone()), ("getAdministrations", json!({}))] {
        let error = town.world.call_as(function, caller(), sent).await.expect_err("it's refused");
        assert!(error.message.contains("suspended"), "{error}");
    }
    assert!(suspension.of_everything(app, false).await.expect("lifted"));
    town.settle().await;
    assert_eq!(town.document("userClaims/uid-new").await, None);
    let error = town.world.call_as("getAdministrations", caller(), json!({})).await.expect_err("no rights");
    assert!(error.message.contains("no rights on record"), "{error}");
    let nobody = Suspension { admin_uid: "nobody", ..suspension };
    assert_eq!(nobody.of_everything(app, true).await.expect_err("nobody").status, Status::NotFound);
    assert_eq!(town.document("userClaims/nobody").await, None);
}

/// The copy that the assessment database's rules read follows a suspension, whoever writes it, and even when the writer
/// stops in between.
#[tokio::test]
async fn the_other_database_follows_a_suspension_by_hand() {
    let town = town().await;
    let path = DocPath::new(format!("userClaims/{}", uid(Role::Student))).expect("a path");
    for suspended in [true, false] {
        let mask = vec![FieldPath::top("suspended")];
        let write = Write::merge(path.clone(), fields! { "suspended" => suspended }, mask);
        town.world.admin().commit(vec![write]).await.expect("written");
        town.settle().await;
        assert_eq!(is_suspended(&town, Role::Student).await, (suspended, suspended));
    }
}

/// Accounts that can't be changed while the switch is on.
struct Broken {
    inner: Accounts,
    is_down: Arc<AtomicBool>,
}

#[async_trait]
impl Backend for Broken {
    async fn create(&self, uid: &str, account: &NewAccount) -> Result<(), AccountError> {
        self.inner.create(uid, account).await
    }
    async fn by_uid(&self, uids: &[&str]) -> Result<Vec<Account>, AccountError> {
        Ok(self.inner.get_all(uids).await?.into_values().collect())
    }
    async fn by_email(&self, emails: &[&str]) -> Result<Vec<Account>, AccountError> {
        Ok(self.inner.find_all(emails).await?.into_values().collect())
    }
    async fn update(&self, uid: &str, update: &AccountUpdate) -> Result<(), AccountError> {
        match self.is_down.load(Ordering::SeqCst) {
            true => Err(AccountError::Unavailable("down".to_owned())),
            false => self.inner.update(uid, update).await,
        }
    }
    async fn delete(&self, uid: &str) -> Result<(), AccountError> {
        self.inner.delete(uid).await
    }
}

/// Appointing an administrator again whose account is disabled enables the account; a suspended user isn't restored
/// that way.
#[tokio::test]
async fn who_is_suspended_is_not_appointed() {
    let town = town().await;
    suspend(&town, &uid(Role::Admin)).await;
    let sent = json!({
        "email": format!("{}@example.org", uid(Role::Admin)), "name": {"first": "A", "last": "B"},
        "orgs": {"schools": ["s1"]}, "adminOrgs": {"schools": ["s1"]},
    });
    let before = town.everything().await;
    for role in [Role::SuperAdmin, Role::ParentAdmin] {
        let error = town.call(role, "createAdministratorAccount", sent.clone()).await.expect_err("it's refused");
        assert!(error.status == Status::FailedPrecondition && error.message.contains("suspended"), "{error}");
    }
    assert!(town.admin_account(&uid(Role::Admin)).await.expect("an account").disabled);
    assert_eq!(town.everything().await, before);
}

/// Merging a suspended user is refused: it would give their rights to another user, and leave their account bound to no
/// suspended user.
#[tokio::test]
async fn who_is_suspended_is_not_merged() {
    let town = town().await;
    let merge = |from: Role, into: Role| json!({"from": format!("roar-{}", uid(from)), "into": format!("roar-{}", uid(into)), "apply": true});
    suspend(&town, &uid(Role::Admin)).await;
    let before = town.everything().await;
    for (from, into) in [(Role::Admin, Role::SiblingAdmin), (Role::SiblingAdmin, Role::Admin)] {
        let error = town.call(Role::SuperAdmin, "mergeUsers", merge(from, into)).await.expect_err("it's refused");
        assert!(error.status == Status::FailedPrecondition && error.message.contains("suspended"), "{error}");
    }
    assert_eq!(town.everything().await, before);
}

/// An interrupted suspension or restoration leaves the user suspended, and repeating the call completes it.
#[tokio::test]
async fn what_is_cut_short_leaves_the_safer_state() {
    let town = town().await;
    let student = uid(Role::Student);
    let is_down = Arc::new(AtomicBool::new(true));
    let mut app = town.world.service.app.clone();
    let backend = Broken { inner: app.accounts.admin.clone(), is_down: is_down.clone() };
    app.accounts.admin = Accounts::new(crate::world::PROJECT, Arc::new(backend));
    let call = async |disabled: bool| {
        let function = town.world.service.runtime.registry().find(UPDATE).expect("it's in the index");
        let Trigger::Callable(handler) = &function.trigger else { panic!("a callable") };
        let sent = json!({"uid": student, "userRecord": {"disabled": disabled}});
        handler(app.clone(), Call::new(sent, Town::caller(Role::SuperAdmin))).await
    };
    let disabled = async || town.admin_account(&student).await.expect("an account").disabled;
    assert_eq!(call(true).await.expect_err("down").status, Status::Unavailable);
    assert_eq!((is_suspended(&town, Role::Student).await.0, disabled().await), (true, false));
    is_down.store(false, Ordering::SeqCst);
    call(true).await.expect("done");
    assert_eq!((is_suspended(&town, Role::Student).await.0, disabled().await), (true, true));
    is_down.store(true, Ordering::SeqCst);
    assert_eq!(call(false).await.expect_err("down").status, Status::Unavailable);
    assert_eq!((is_suspended(&town, Role::Student).await.0, disabled().await), (true, true));
    is_down.store(false, Ordering::SeqCst);
    call(false).await.expect("done");
    assert_eq!((is_suspended(&town, Role::Student).await.0, disabled().await), (false, false));
}

/// A refused change changes nothing.
#[tokio::test]
async fn a_refused_change_suspends_nobody() {
    let town = town().await;
    let accounts = &town.world.service.app.accounts.admin;
    let phone = "+15555550100";
    let taken = AccountUpdate { phone_number: Some(phone.to_owned()), ..AccountUpdate::default() };
    accounts.update(&uid(Role::Admin), &taken).await.expect("done");
    let sent = json!({"uid": uid(Role::Student), "userRecord": {"disabled": true, "phoneNumber": phone}});
    let error = town.call(Role::SuperAdmin, UPDATE, sent).await.expect_err("it's taken");
    assert_eq!(error.status, Status::AlreadyExists);
    assert_eq!(is_suspended(&town, Role::Student).await, (false, false));
    assert!(!town.admin_account(&uid(Role::Student)).await.expect("an account").disabled);
}

/// Some providers keep an address marked as verified when it changes; such an address is marked as unverified. A super
/// admin may say that it is verified.
#[tokio::test]
async fn a_new_address_is_not_verified_whatever_the_provider_makes_of_it() {
    struct Incomplete(Accounts);
    #[async_trait]
    impl Backend for Incomplete {
        async fn create(&self, uid: &str, account: &NewAccount) -> Result<(), AccountError> {
            self.0.create(uid, account).await
        }
        async fn by_uid(&self, uids: &[&str]) -> Result<Vec<Account>, AccountError> {
            Ok(self.0.get_all(uids).await?.into_values().collect())
        }
        async fn by_email(&self, emails: &[&str]) -> Result<Vec<Account>, AccountError> {
            Ok(self.0.find_all(emails).await?.into_values().collect())
        }
        async fn update(&self, uid: &str, update: &AccountUpdate) -> Result<(), AccountError> {
            let held = self.0.get(uid).await?.is_some_and(|account| account.email_verified);
            let email_verified = update.email_verified.or(Some(held));
            self.0.update(uid, &AccountUpdate { email_verified, ..update.clone() }).await
        }
        async fn delete(&self, uid: &str) -> Result<(), AccountError> {
            self.0.delete(uid).await
        }
    }
    let town = town().await;
    let student = uid(Role::Student);
    let mut app = town.world.service.app.clone();
    app.accounts.admin = Accounts::new(crate::world::PROJECT, Arc::new(Incomplete(app.accounts.admin.clone())));
    app.accounts.assessment =
        Accounts::new(crate::town::ASSESSMENT_PROJECT, Arc::new(Incomplete(app.accounts.assessment.clone())));
    for (role, record, expected) in [
        (Role::SuperAdmin, json!({"email": "one@example.org", "emailVerified": true}), true),
        (Role::Admin, json!({"email": "two@example.org"}), false),
        (Role::SuperAdmin, json!({"email": "three@example.org", "emailVerified": true}), true),
        (Role::SuperAdmin, json!({"email": "four@example.org"}), false),
    ] {
        let function = town.world.service.runtime.registry().find(UPDATE).expect("it's in the index");
        let Trigger::Callable(handler) = &function.trigger else { panic!("a callable") };
        let sent = json!({"uid": student, "userRecord": record});
        handler(app.clone(), Call::new(sent, Town::caller(role))).await.expect("done");
        let other = assessment_uid(Role::Student);
        for account in [town.admin_account(&student).await, town.assessment_account(&other).await] {
            let account = account.expect("an account");
            assert_eq!(account.email.as_deref(), record["email"].as_str());
            assert_eq!(account.email_verified, expected, "{record}");
        }
    }
}

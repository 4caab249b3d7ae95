//! Property test: whatever is done to accounts, the embedded backend does as the emulator does.

use auth_accounts::{Account, AccountUpdate, Accounts, NewAccount, Provider, Result};
use document_store::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};
use serde_json::json;

use crate::{backends, claims, identity};

/// Chooses other random cases; the same seed makes the same ones.
const SEED: &str = "TEST_SEED";

const UIDS: [&str; 3] = ["u1", "u2", "u3"];
const EMAILS: [&str; 5] = ["a@school.example", "A@School.Example", "b@school.example", "c@school.example", "nobody"];

#[derive(Clone, Debug)]
enum Step {
    Create(&'static str, NewAccount),
    Update(&'static str, Box<AccountUpdate>),
    Delete(&'static str),
}

fn text(choices: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    option::of(select(choices).prop_map(str::to_owned))
}

fn new_account() -> impl Strategy<Value = NewAccount> {
    let password = option::weighted(0.3, select(&["open sesame", "short"]));
    (text(&EMAILS), any::<bool>(), text(&["Ada", "Bea", ""]), password).prop_map(
        |(email, email_verified, display_name, password)| NewAccount {
            email,
            email_verified,
            display_name,
            password: password.map(Into::into),
        },
    )
}

/// One identity a provider. (An account that changes one for another and is deleted leaves the emulator in a
/// state that it calls broken itself.)
fn link() -> impl Strategy<Value = Option<Provider>> {
    option::weighted(0.3, select(&["oidc.clever", "google.com"]).prop_map(|provider| identity(provider, "1")))
}

fn update() -> impl Strategy<Value = AccountUpdate> {
    let names = (text(&["Ada", "Bea", ""]), text(&["https://school.example/a.png", ""]));
    let phone = text(&["+15551234567", "+15551234568", "555"]);
    let password = option::weighted(0.2, select(&["open sesame", "short"]));
    let role = option::of(select(&[0, 10, 1000]));
    let since = option::weighted(0.2, select(&[1_600_000_000_i64, 1_700_000_000]));
    let rest = (password, option::of(any::<bool>()), role, since, link());
    (text(&EMAILS), option::of(any::<bool>()), names, option::weighted(0.3, phone), rest).prop_map(
        |(email, email_verified, (display_name, photo_url), phone, (password, disabled, size, since, link))| {
            AccountUpdate {
                email,
                email_verified,
                display_name,
                photo_url,
                phone_number: phone.flatten(),
                password: password.map(Into::into),
                disabled,
                custom_claims: size.map(|size| claims(json!({"role": "x".repeat(size)}))),
                valid_since: since.map(|second| Timestamp::from_second(second).unwrap()),
                link,
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (select(&UIDS), new_account()).prop_map(|(uid, new)| Step::Create(uid, new)),
        5 => (select(&UIDS), update()).prop_map(|(uid, update)| Step::Update(uid, Box::new(update))),
        1 => select(&UIDS).prop_map(Step::Delete),
    ]
}

async fn take(accounts: &Accounts, step: &Step) -> Result<()> {
    match step {
        Step::Create(uid, new) => accounts.create(uid, new).await,
        Step::Update(uid, update) => accounts.update(uid, update).await,
        Step::Delete(uid) => accounts.delete(uid).await,
    }
}

/// All accounts, by UID and as their addresses find them. Providers have no order, and the time now is no
/// particular one.
async fn state(accounts: &Accounts) -> Vec<Account> {
    let recent = Timestamp::from_second(1_750_000_000).unwrap();
    let mut all: Vec<Account> = accounts.get_all(&UIDS).await.unwrap().into_values().collect();
    all.sort_by(|a, b| a.uid.cmp(&b.uid));
    let mut found: Vec<Account> = accounts.find_all(&EMAILS).await.unwrap().into_values().collect();
    found.sort_by(|a, b| a.uid.cmp(&b.uid));
    all.extend(found);
    for account in &mut all {
        account.providers.sort_by(|a, b| a.provider_id.cmp(&b.provider_id));
        account.valid_since = account.valid_since.map(|since| since.min(recent));
    }
    all
}

async fn agree(steps: &[Step]) -> TestCaseResult {
    let (emulator, embedded) = (backends::emulator().await, backends::embedded().await);
    for step in steps {
        let outcomes = (take(emulator.accounts(), step).await, take(embedded.accounts(), step).await);
        prop_assert_eq!(&outcomes.0, &outcomes.1, "{:?}", step);
        prop_assert_eq!(state(emulator.accounts()).await, state(embedded.accounts()).await, "after {:?}", step);
    }
    Ok(())
}

#[test]
fn histories_agree() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seed = number(SEED).unwrap_or(20_250_310);
    let config = Config {
        cases: number("PROPTEST_CASES").unwrap_or(30) as u32,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = TestRunner::new(config).run(&vec(step(), 1..25), |steps| runtime.block_on(agree(&steps)));
    if let Err(error) = outcome {
        panic!("{error}\n(of {SEED}={seed})");
    }
}

//! What only the embedded backend has: passwords of its own to keep.

use auth_accounts::embedded::EmbeddedAccounts;
use auth_accounts::{AccountUpdate, Backend as _, NewAccount, SecretString};
use document_store::context::Context;

use crate::{change, with_email};

fn open(directory: &tempfile::TempDir) -> EmbeddedAccounts {
    EmbeddedAccounts::open(directory.path(), "accounts", "demo-accounts", &Context::system()).unwrap()
}

#[tokio::test]
async fn a_password_is_known_and_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let accounts = open(&directory);
    let (first, second) = (SecretString::from("correct horse battery"), SecretString::from("staple 6789 ünd"));
    let new = NewAccount { password: Some(first.clone()), ..with_email("a@school.example") };
    accounts.create("u1", &new).await.unwrap();
    accounts.create("u2", &with_email("b@school.example")).await.unwrap();
    assert!(accounts.has_password("u1", &first).await.unwrap());
    for (uid, password) in [("u1", &second), ("u2", &first), ("u3", &first), ("a/b", &first)] {
        assert!(!accounts.has_password(uid, password).await.unwrap_or(false), "{uid}");
    }
    assert!(!accounts.has_password("u1", &"".into()).await.unwrap());
    accounts.update("u1", &AccountUpdate { password: Some(second.clone()), ..change() }).await.unwrap();
    assert!(accounts.has_password("u1", &second).await.unwrap());
    assert!(!accounts.has_password("u1", &first).await.unwrap());
    // Who may not sign in has no password that opens.
    accounts.update("u1", &AccountUpdate { disabled: Some(true), ..change() }).await.unwrap();
    assert!(!accounts.has_password("u1", &second).await.unwrap());
    // No file says them: neither while the store is open (with its write-ahead log), nor afterwards.
    assert_no_file_holds_passwords(&directory);
    drop(accounts);
    assert_no_file_holds_passwords(&directory);
}

fn assert_no_file_holds_passwords(directory: &tempfile::TempDir) {
    let files = std::fs::read_dir(directory.path()).unwrap();
    let bytes: Vec<u8> = files.flat_map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("a@school.example"), "or these are the wrong files");
    assert!(!holds("correct horse") && !holds("staple 6789"));
}

#[tokio::test]
async fn accounts_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let password = SecretString::from("open sesame");
    {
        let accounts = open(&directory);
        let new = NewAccount { password: Some(password.clone()), ..with_email("a@school.example") };
        accounts.create("u1", &new).await.unwrap();
    }
    let accounts = open(&directory);
    let found = accounts.by_email(&["a@school.example"]).await.unwrap();
    assert_eq!(found.iter().map(|account| account.uid.as_str()).collect::<Vec<_>>(), ["u1"]);
    assert!(accounts.has_password("u1", &password).await.unwrap());
}

#[test]
fn a_password_is_not_shown() {
    let new = NewAccount { password: Some("open sesame".into()), ..NewAccount::default() };
    let update = AccountUpdate { password: Some("open sesame".into()), ..change() };
    assert!(!format!("{new:?} {update:?}").contains("sesame"));
}

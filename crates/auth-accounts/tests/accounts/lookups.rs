//! Finding accounts.

use auth_accounts::{Accounts, LOOKUP_LIMIT, NewAccount};
use futures::future::join_all;

use crate::with_email;

pub async fn unknown_accounts_are_left_out(accounts: &Accounts) {
    assert_eq!(accounts.get("u1").await.unwrap(), None);
    assert_eq!(accounts.find("u1@school.example").await.unwrap(), None);
    assert!(accounts.get_all(&[]).await.unwrap().is_empty());
    assert!(accounts.find_all(&[]).await.unwrap().is_empty());
    accounts.create("u1", &with_email("u1@school.example")).await.unwrap();
    // What can't be anybody's isn't either, and doesn't spoil the rest.
    let long = "x".repeat(200);
    let found = accounts.get_all(&["u2", "u1", "", "a/b", "__x__", &long, "u1"]).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["u1"]);
    let found = accounts.find_all(&["u2@school.example", "u1@school.example", "", "u1"]).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["u1@school.example"]);
}

pub async fn look_ups_may_be_larger_than_a_request(accounts: &Accounts) {
    let count = 2 * LOOKUP_LIMIT + 5;
    let uids: Vec<String> = (0..count).map(|n| format!("u{n}")).collect();
    let emails: Vec<String> = uids.iter().map(|uid| format!("{uid}@school.example")).collect();
    let made = uids.iter().zip(&emails).map(async |(uid, email)| accounts.create(uid, &with_email(email)).await);
    assert!(join_all(made).await.iter().all(Result::is_ok));
    let mut asked: Vec<&str> = uids.iter().map(String::as_str).collect();
    asked.push("nobody");
    let found = accounts.get_all(&asked).await.unwrap();
    assert_eq!(found.len(), count);
    let mut asked: Vec<&str> = emails.iter().map(String::as_str).collect();
    asked.push("nobody@school.example");
    let by_email = accounts.find_all(&asked).await.unwrap();
    assert_eq!(by_email.len(), count);
    for (uid, email) in uids.iter().zip(&emails) {
        assert_eq!((&found[uid].uid, found[uid].email.as_ref()), (uid, Some(email)));
        assert_eq!(by_email[email], found[uid]);
    }
}

pub async fn an_address_is_found_whatever_its_case(accounts: &Accounts) {
    accounts.create("u1", &with_email("Ada@School.Example")).await.unwrap();
    accounts.create("u2", &NewAccount::default()).await.unwrap();
    for email in ["ada@school.example", "Ada@School.Example", "ADA@SCHOOL.EXAMPLE"] {
        assert_eq!(accounts.find(email).await.unwrap().unwrap().uid, "u1");
        let found = accounts.find_all(&[email]).await.unwrap();
        assert_eq!(found["ada@school.example"].uid, "u1");
    }
}

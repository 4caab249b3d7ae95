//! Making accounts, and taking them away.

use auth_accounts::{Account, AccountError, AccountUpdate, Accounts, NewAccount};
use futures::future::join_all;

use crate::{get, identity, with_email};

pub async fn an_account_is_as_it_was_made(accounts: &Accounts) {
    let new = NewAccount {
        email: Some("Ada.Reader@School.Example".to_owned()),
        email_verified: true,
        display_name: Some("Ada Reader".to_owned()),
        password: Some("open sesame".into()),
    };
    accounts.create("u1", &new).await.unwrap();
    let made = get(accounts, "u1").await;
    let expected = Account {
        uid: "u1".to_owned(),
        email: Some("ada.reader@school.example".to_owned()),
        email_verified: true,
        display_name: Some("Ada Reader".to_owned()),
        providers: vec![identity("password", "ada.reader@school.example")],
        valid_since: made.valid_since,
        ..Account::default()
    };
    assert_eq!(made, expected);
    assert!(made.valid_since.is_some(), "from the password on");
}

pub async fn the_least_account_has_a_uid(accounts: &Accounts) {
    accounts.create("u1", &NewAccount::default()).await.unwrap();
    assert_eq!(get(accounts, "u1").await, Account { uid: "u1".to_owned(), ..Account::default() });
    // Without a password, nobody signs in by the address.
    accounts.create("u2", &with_email("u2@school.example")).await.unwrap();
    let made = get(accounts, "u2").await;
    assert_eq!((made.email_verified, made.providers, made.valid_since), (false, vec![], None));
}

pub async fn a_uid_is_taken_once(accounts: &Accounts) {
    accounts.create("u1", &with_email("a@school.example")).await.unwrap();
    for new in [with_email("b@school.example"), with_email("a@school.example"), NewAccount::default()] {
        assert_eq!(accounts.create("u1", &new).await, Err(AccountError::UidExists));
    }
    assert_eq!(get(accounts, "u1").await.email.as_deref(), Some("a@school.example"));
    assert_eq!(accounts.find("b@school.example").await.unwrap(), None);
}

pub async fn an_email_address_is_taken_once_whatever_its_case(accounts: &Accounts) {
    accounts.create("u1", &with_email("Ada@School.Example")).await.unwrap();
    for same in ["ada@school.example", "ADA@SCHOOL.EXAMPLE"] {
        assert_eq!(accounts.create("u2", &with_email(same)).await, Err(AccountError::EmailExists));
    }
    assert_eq!(accounts.get("u2").await.unwrap(), None);
}

pub async fn of_those_who_want_an_address_at_once_one_gets_it(accounts: &Accounts) {
    let uids: Vec<String> = (0..8).map(|n| format!("u{n}")).collect();
    let new = with_email("wanted@school.example");
    let outcomes = join_all(uids.iter().map(|uid| accounts.create(uid, &new))).await;
    let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = outcomes.iter().filter(|outcome| **outcome == Err(AccountError::EmailExists)).count();
    assert_eq!((made, refused), (1, 7), "{outcomes:?}");
    let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    assert_eq!(accounts.get_all(&uids).await.unwrap().len(), 1);
}

pub async fn malformed_accounts_are_refused_and_leave_nothing(accounts: &Accounts) {
    for bad in ["", "ada", "@school.example", "ada@", "a@b@c", "ada @school.example"] {
        assert_eq!(accounts.create("u1", &with_email(bad)).await, Err(AccountError::InvalidEmail), "{bad:?}");
    }
    for weak in ["", "12345"] {
        let new = NewAccount { password: Some(weak.into()), ..with_email("a@school.example") };
        assert_eq!(accounts.create("u1", &new).await, Err(AccountError::WeakPassword));
    }
    for bad in ["", "a/b", &"x".repeat(129)] {
        let outcome = accounts.create(bad, &with_email("a@school.example")).await;
        assert_eq!(outcome, Err(AccountError::Invalid("uid")), "{bad:?}");
    }
    assert_eq!(accounts.get("u1").await.unwrap(), None);
    let new = NewAccount { password: Some("123456".into()), ..with_email("a@school.example") };
    accounts.create(&"x".repeat(128), &new).await.unwrap();
}

pub async fn a_deleted_account_frees_what_it_had(accounts: &Accounts) {
    accounts.create("u1", &with_email("a@school.example")).await.unwrap();
    let has = AccountUpdate {
        phone_number: Some("+15551234567".to_owned()),
        link: Some(identity("oidc.clever", "c1")),
        ..AccountUpdate::default()
    };
    accounts.update("u1", &has).await.unwrap();
    accounts.delete("u1").await.unwrap();
    assert_eq!(accounts.get("u1").await.unwrap(), None);
    assert_eq!(accounts.find("a@school.example").await.unwrap(), None);
    accounts.create("u2", &with_email("a@school.example")).await.unwrap();
    accounts.update("u2", &has).await.unwrap();
    // The UID is free too.
    accounts.create("u1", &NewAccount::default()).await.unwrap();
    assert_eq!(get(accounts, "u1").await, Account { uid: "u1".to_owned(), ..Account::default() });
}

pub async fn there_is_nothing_to_delete_of_nobody(accounts: &Accounts) {
    for nobody in ["u1", "", "a/b", "__x__"] {
        assert_eq!(accounts.delete(nobody).await, Err(AccountError::NotFound), "{nobody:?}");
    }
}

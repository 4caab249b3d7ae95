//! Changing accounts.

use auth_accounts::{Account, AccountError, AccountUpdate, Accounts, NewAccount};
use document_store::Timestamp;
use serde_json::{Map, json};

use crate::{change, claims, get, identity, with_email};

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// An account with something in every field but the password.
async fn full(accounts: &Accounts, uid: &str) -> Account {
    accounts.create(uid, &with_email(&format!("{uid}@school.example"))).await.unwrap();
    let all = AccountUpdate {
        email_verified: Some(true),
        display_name: Some("Ada".to_owned()),
        photo_url: Some("https://school.example/ada.png".to_owned()),
        custom_claims: Some(claims(json!({"userId": "r1"}))),
        valid_since: Some(second(1_700_000_000)),
        link: Some(identity("oidc.clever", &format!("clever-{uid}"))),
        ..change()
    };
    accounts.update(uid, &all).await.unwrap();
    let account = get(accounts, uid).await;
    let expected = Account {
        uid: uid.to_owned(),
        email: Some(format!("{uid}@school.example")),
        email_verified: true,
        display_name: all.display_name,
        photo_url: all.photo_url,
        phone_number: None,
        disabled: false,
        custom_claims: claims(json!({"userId": "r1"})),
        providers: vec![identity("oidc.clever", &format!("clever-{uid}"))],
        valid_since: all.valid_since,
    };
    assert_eq!(account, expected);
    account
}

pub async fn each_field_changes_alone(accounts: &Accounts) {
    let before = full(accounts, "u1").await;
    let now = before.clone();
    let text = |text: &str| Some(text.to_owned());
    for (update, expected) in [
        (change(), now.clone()),
        (AccountUpdate { email_verified: Some(false), ..change() }, Account { email_verified: false, ..now.clone() }),
        (AccountUpdate { display_name: text("Bea"), ..change() }, Account { display_name: text("Bea"), ..now.clone() }),
        (
            AccountUpdate { photo_url: text("https://school.example/bea.png"), ..change() },
            Account { photo_url: text("https://school.example/bea.png"), ..now.clone() },
        ),
        (AccountUpdate { disabled: Some(true), ..change() }, Account { disabled: true, ..now.clone() }),
        (
            AccountUpdate { custom_claims: Some(Map::new()), ..change() },
            Account { custom_claims: Map::new(), ..now.clone() },
        ),
        (
            AccountUpdate { valid_since: Some(second(1_700_000_001)), ..change() },
            Account { valid_since: Some(second(1_700_000_001)), ..now.clone() },
        ),
    ] {
        accounts.update("u1", &update).await.unwrap();
        assert_eq!(get(accounts, "u1").await, expected);
        // Back again.
        let back = AccountUpdate {
            email_verified: Some(true),
            display_name: before.display_name.clone(),
            photo_url: before.photo_url.clone(),
            disabled: Some(false),
            custom_claims: Some(before.custom_claims.clone()),
            valid_since: before.valid_since,
            ..change()
        };
        accounts.update("u1", &back).await.unwrap();
        assert_eq!(get(accounts, "u1").await, before);
    }
    accounts.update("u1", &AccountUpdate { phone_number: text("+15551234567"), ..change() }).await.unwrap();
    let mut account = get(accounts, "u1").await;
    let phone = identity("phone", "+15551234567");
    account.providers.retain(|linked| *linked != phone);
    assert_eq!(account, Account { phone_number: text("+15551234567"), ..before.clone() });
    accounts.update("u1", &AccountUpdate { password: Some("open sesame".into()), ..change() }).await.unwrap();
    let account = get(accounts, "u1").await;
    assert!(account.is_linked("password", "u1@school.example") && account.is_linked("phone", "+15551234567"));
    assert_eq!(account.providers.len(), 3);
    assert!(account.valid_since > before.valid_since);
}

pub async fn empty_names_and_pictures_go_away(accounts: &Accounts) {
    let before = full(accounts, "u1").await;
    let empty = AccountUpdate { display_name: Some(String::new()), photo_url: Some(String::new()), ..change() };
    // Twice: what isn't there can go away too.
    for _ in 0..2 {
        accounts.update("u1", &empty).await.unwrap();
        let expected = Account { display_name: None, photo_url: None, ..before.clone() };
        assert_eq!(get(accounts, "u1").await, expected);
    }
    let unnamed = NewAccount { display_name: Some(String::new()), ..NewAccount::default() };
    accounts.create("u2", &unnamed).await.unwrap();
    assert_eq!(get(accounts, "u2").await.display_name, None);
}

pub async fn a_changed_address_is_no_longer_verified(accounts: &Accounts) {
    full(accounts, "u1").await;
    let to = |email: &str| AccountUpdate { email: Some(email.to_owned()), ..change() };
    // The same one in other letters is no change.
    accounts.update("u1", &to("U1@School.Example")).await.unwrap();
    let account = get(accounts, "u1").await;
    assert!(account.email_verified && account.valid_since == Some(second(1_700_000_000)));
    accounts.update("u1", &to("New@School.Example")).await.unwrap();
    let account = get(accounts, "u1").await;
    assert_eq!((account.email.as_deref(), account.email_verified), (Some("new@school.example"), false));
    // Unless said otherwise.
    let verified = AccountUpdate { email_verified: Some(true), ..to("newer@school.example") };
    accounts.update("u1", &verified).await.unwrap();
    let account = get(accounts, "u1").await;
    assert_eq!((account.email.as_deref(), account.email_verified), (Some("newer@school.example"), true));
}

pub async fn an_address_moves(accounts: &Accounts) {
    accounts.create("u1", &with_email("a@school.example")).await.unwrap();
    accounts.create("u2", &with_email("b@school.example")).await.unwrap();
    let to = |email: &str| AccountUpdate { email: Some(email.to_owned()), ..change() };
    assert_eq!(accounts.update("u2", &to("A@School.Example")).await, Err(AccountError::EmailExists));
    assert_eq!(get(accounts, "u2").await.email.as_deref(), Some("b@school.example"));
    accounts.update("u1", &to("c@school.example")).await.unwrap();
    accounts.update("u2", &to("a@school.example")).await.unwrap();
    let found = accounts.find_all(&["a@school.example", "b@school.example", "c@school.example"]).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found["a@school.example"].uid.as_str(), found["c@school.example"].uid.as_str()), ("u2", "u1"));
}

pub async fn phone_numbers_are_taken_once(accounts: &Accounts) {
    let to = |phone: &str| AccountUpdate { phone_number: Some(phone.to_owned()), ..change() };
    for uid in ["u1", "u2"] {
        accounts.create(uid, &NewAccount::default()).await.unwrap();
    }
    accounts.update("u1", &to("+15551234567")).await.unwrap();
    accounts.update("u1", &to("+15551234567")).await.unwrap();
    assert_eq!(accounts.update("u2", &to("+15551234567")).await, Err(AccountError::PhoneExists));
    accounts.update("u1", &to("+15551234568")).await.unwrap();
    accounts.update("u2", &to("+15551234567")).await.unwrap();
    assert_eq!(get(accounts, "u1").await.providers, [identity("phone", "+15551234568")]);
    assert_eq!(get(accounts, "u2").await.phone_number.as_deref(), Some("+15551234567"));
}

pub async fn an_account_is_disabled_and_enabled(accounts: &Accounts) {
    accounts.create("u1", &with_email("a@school.example")).await.unwrap();
    for disabled in [true, true, false] {
        accounts.update("u1", &AccountUpdate { disabled: Some(disabled), ..change() }).await.unwrap();
        assert_eq!(get(accounts, "u1").await.disabled, disabled);
    }
}

pub async fn claims_are_replaced_and_cleared(accounts: &Accounts) {
    accounts.create("u1", &NewAccount::default()).await.unwrap();
    assert!(get(accounts, "u1").await.custom_claims.is_empty());
    let first = claims(json!({"userId": "r1", "adminUid": "a1", "nested": {"é": [1, 2.5, null, true]}}));
    for all in [first, claims(json!({"userId": "r2"})), Map::new()] {
        accounts.set_claims("u1", all.clone()).await.unwrap();
        assert_eq!(get(accounts, "u1").await.custom_claims, all);
    }
}

pub async fn claims_that_do_not_fit_are_refused(accounts: &Accounts) {
    accounts.create("u1", &NewAccount::default()).await.unwrap();
    let largest = claims(json!({"x": "x".repeat(992)}));
    accounts.set_claims("u1", largest.clone()).await.unwrap();
    for (bad, error) in [
        (json!({"x": "x".repeat(993)}), AccountError::ClaimsTooLarge { bytes: 1001 }),
        (json!({"x": "é".repeat(497)}), AccountError::ClaimsTooLarge { bytes: 1002 }),
        (json!({"sub": "u2"}), AccountError::ReservedClaim("sub".to_owned())),
        (json!({"firebase": {}}), AccountError::ReservedClaim("firebase".to_owned())),
    ] {
        assert_eq!(accounts.set_claims("u1", claims(bad)).await, Err(error));
    }
    assert_eq!(get(accounts, "u1").await.custom_claims, largest);
}

pub async fn sessions_end_when_asked_and_when_sign_in_changes(accounts: &Accounts) {
    accounts.create("u1", &with_email("a@school.example")).await.unwrap();
    let long_ago = second(1_600_000_000);
    let fine = Timestamp::from_millisecond(1_600_000_000_999).unwrap();
    let reset = async || {
        accounts.update("u1", &AccountUpdate { valid_since: Some(fine), ..change() }).await.unwrap();
        assert_eq!(get(accounts, "u1").await.valid_since, Some(long_ago), "whole seconds");
    };
    for update in [
        AccountUpdate { email: Some("b@school.example".to_owned()), ..change() },
        AccountUpdate { password: Some("open sesame".into()), ..change() },
    ] {
        reset().await;
        accounts.update("u1", &update).await.unwrap();
        let since = get(accounts, "u1").await.valid_since.unwrap();
        assert!(since > long_ago && since.subsec_nanosecond() == 0, "{since}");
    }
    reset().await;
    for update in [
        AccountUpdate { display_name: Some("Ada".to_owned()), ..change() },
        AccountUpdate { link: Some(identity("oidc.clever", "c1")), ..change() },
        AccountUpdate { disabled: Some(true), ..change() },
    ] {
        accounts.update("u1", &update).await.unwrap();
        assert_eq!(get(accounts, "u1").await.valid_since, Some(long_ago));
    }
    // What is asked for holds.
    let both =
        AccountUpdate { password: Some("sesame, open".into()), valid_since: Some(second(1_650_000_000)), ..change() };
    accounts.update("u1", &both).await.unwrap();
    assert_eq!(get(accounts, "u1").await.valid_since, Some(second(1_650_000_000)));
}

pub async fn an_identity_is_linked_to_one_account(accounts: &Accounts) {
    for uid in ["u1", "u2"] {
        accounts.create(uid, &NewAccount::default()).await.unwrap();
    }
    let link = |provider: &str, raw: &str| AccountUpdate { link: Some(identity(provider, raw)), ..change() };
    // Again is no change.
    for _ in 0..2 {
        accounts.update("u1", &link("oidc.clever", "c1")).await.unwrap();
        assert_eq!(get(accounts, "u1").await.providers, [identity("oidc.clever", "c1")]);
    }
    let refused = AccountUpdate { display_name: Some("Ada".to_owned()), ..link("oidc.clever", "c1") };
    assert_eq!(accounts.update("u2", &refused).await, Err(AccountError::ProviderExists));
    assert_eq!(get(accounts, "u2").await, Account { uid: "u2".to_owned(), ..Account::default() });
    assert!(get(accounts, "u1").await.is_linked("oidc.clever", "c1"));
    // Another provider's user of the same name is somebody else; and one account may have many.
    accounts.update("u2", &link("oidc.classlink", "c1")).await.unwrap();
    accounts.update("u1", &link("google.com", "g1")).await.unwrap();
    assert_eq!(get(accounts, "u1").await.providers, [identity("oidc.clever", "c1"), identity("google.com", "g1")]);
}

pub async fn another_identity_of_a_provider_replaces_the_first(accounts: &Accounts) {
    for uid in ["u1", "u2"] {
        accounts.create(uid, &NewAccount::default()).await.unwrap();
    }
    let link = |raw: &str| AccountUpdate { link: Some(identity("oidc.clever", raw)), ..change() };
    accounts.update("u1", &link("c1")).await.unwrap();
    accounts.update("u1", &link("c2")).await.unwrap();
    assert_eq!(get(accounts, "u1").await.providers, [identity("oidc.clever", "c2")]);
    // The first is free.
    accounts.update("u2", &link("c1")).await.unwrap();
    assert_eq!(get(accounts, "u2").await.providers, [identity("oidc.clever", "c1")]);
}

pub async fn malformed_changes_are_refused_and_change_nothing(accounts: &Accounts) {
    let before = full(accounts, "u1").await;
    let text = |text: &str| Some(text.to_owned());
    for (update, error) in [
        (AccountUpdate { email: text(""), ..change() }, AccountError::InvalidEmail),
        (AccountUpdate { email: text("ada"), ..change() }, AccountError::InvalidEmail),
        (AccountUpdate { phone_number: text("5551234567"), ..change() }, AccountError::InvalidPhone),
        (AccountUpdate { phone_number: text(""), ..change() }, AccountError::InvalidPhone),
        (AccountUpdate { password: Some("".into()), ..change() }, AccountError::WeakPassword),
        (AccountUpdate { password: Some("12345".into()), ..change() }, AccountError::WeakPassword),
        (AccountUpdate { link: Some(identity("", "1")), ..change() }, AccountError::Invalid("providerId")),
        (AccountUpdate { link: Some(identity("password", "1")), ..change() }, AccountError::Invalid("providerId")),
        (AccountUpdate { link: Some(identity("oidc.clever", "")), ..change() }, AccountError::Invalid("rawId")),
    ] {
        let update = AccountUpdate { display_name: text("Bea"), ..update };
        assert_eq!(accounts.update("u1", &update).await, Err(error));
    }
    assert_eq!(get(accounts, "u1").await, before);
}

pub async fn nothing_can_be_changed_of_nobody(accounts: &Accounts) {
    let named = AccountUpdate { display_name: Some("Ada".to_owned()), ..change() };
    for nobody in ["u1", "", "a/b", "__x__"] {
        assert_eq!(accounts.update(nobody, &named).await, Err(AccountError::NotFound), "{nobody:?}");
        assert_eq!(accounts.set_claims(nobody, Map::new()).await, Err(AccountError::NotFound), "{nobody:?}");
        assert_eq!(accounts.get(nobody).await.unwrap(), None);
    }
}

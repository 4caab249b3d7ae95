//! What only the real emulator shows: how it words its refusals, and that people can sign in.

use std::sync::Arc;
use std::time::Duration;

use auth_accounts::identity_toolkit::{Connection, IdentityToolkit, Options};
use auth_accounts::{AccountError, AccountUpdate, Accounts, Backend as _, NewAccount};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::{change, claims, with_email};
use firebase_emulators::{auth, unique_project};

async fn open(project: &str) -> IdentityToolkit {
    let connection = Connection::open(Some(auth::auth_host()), Options::default()).await.unwrap();
    IdentityToolkit::new(Arc::new(connection), project).unwrap()
}

/// Past the handle, which would refuse these itself.
#[tokio::test]
async fn its_refusals_are_understood() {
    let backend = open(&unique_project("accounts")).await;
    let weak = || Some("12345".into());
    let create = async |new: NewAccount| backend.create("u2", &new).await;
    backend.create("u1", &with_email("a@school.example")).await.unwrap();
    assert_eq!(create(with_email("ada")).await, Err(AccountError::InvalidEmail));
    assert_eq!(create(with_email("a@school.example")).await, Err(AccountError::EmailExists));
    assert_eq!(create(NewAccount { password: weak(), ..NewAccount::default() }).await, Err(AccountError::WeakPassword));
    for (update, error) in [
        (AccountUpdate { email: Some("ada".to_owned()), ..change() }, AccountError::InvalidEmail),
        (AccountUpdate { phone_number: Some("555".to_owned()), ..change() }, AccountError::InvalidPhone),
        (AccountUpdate { password: weak(), ..change() }, AccountError::WeakPassword),
        (
            AccountUpdate { custom_claims: Some(claims(json!({"sub": "u2"}))), ..change() },
            AccountError::ReservedClaim("sub".to_owned()),
        ),
        (
            AccountUpdate { custom_claims: Some(claims(json!({"x": "x".repeat(993)}))), ..change() },
            AccountError::Failed("CLAIMS_TOO_LARGE (HTTP 400)".to_owned()),
        ),
    ] {
        assert_eq!(backend.update("u1", &update).await, Err(error));
    }
    assert_eq!(backend.update("", &change()).await, Err(AccountError::Invalid("uid")));
    assert_eq!(backend.delete("").await, Err(AccountError::Invalid("uid")));
}

/// Signs in as a person does: the ID token's claims, or the code that refuses.
async fn sign_in(email: &str, password: &str) -> Result<Value, String> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build().unwrap();
    let url =
        format!("http://{}/identitytoolkit.googleapis.com/v1/accounts:signInWithPassword?key=any", auth::auth_host());
    let body = json!({"email": email, "password": password, "returnSecureToken": true});
    let answer: Value = http.post(url).json(&body).send().await.unwrap().json().await.unwrap();
    let Some(token) = answer["idToken"].as_str() else {
        return Err(answer["error"]["message"].as_str().unwrap_or_default().to_owned());
    };
    let payload = token.split('.').nth(1).unwrap();
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap())
}

#[tokio::test]
async fn who_has_an_account_signs_in_until_it_is_disabled() {
    let accounts = Accounts::new(auth::DEFAULT_PROJECT, Arc::new(open(auth::DEFAULT_PROJECT).await));
    // Others use this project too.
    let uid = unique_project("person");
    let email = format!("{uid}@school.example");
    let new = NewAccount { password: Some("open sesame".into()), ..with_email(&email) };
    accounts.create(&uid, &new).await.unwrap();
    accounts.set_claims(&uid, claims(json!({"userId": "r1"}))).await.unwrap();
    let token = sign_in(&email, "open sesame").await.unwrap();
    assert_eq!((&token["sub"], &token["email"], &token["userId"]), (&json!(uid), &json!(email), &json!("r1")));
    sign_in(&email, "sesame, open").await.unwrap_err();
    let changed = AccountUpdate { password: Some("sesame, open".into()), ..change() };
    accounts.update(&uid, &changed).await.unwrap();
    sign_in(&email, "sesame, open").await.unwrap();
    accounts.update(&uid, &AccountUpdate { disabled: Some(true), ..change() }).await.unwrap();
    assert_eq!(sign_in(&email, "sesame, open").await, Err("USER_DISABLED".to_owned()));
    accounts.delete(&uid).await.unwrap();
    sign_in(&email, "sesame, open").await.unwrap_err();
}

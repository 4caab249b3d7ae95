//! The Identity Toolkit's client before a service that fails, and what its errors say.

use auth_accounts::{AccountError, AccountUpdate, NewAccount};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::fake::{Fake, Reply, accounts_at};
use crate::{change, claims, identity, with_email};

fn done() -> Reply {
    Reply::ok(json!({"localId": "u1"}))
}

fn found(users: Value) -> Reply {
    Reply::ok(json!({"kind": "identitytoolkit#GetAccountInfoResponse", "users": users}))
}

fn ada() -> NewAccount {
    NewAccount {
        display_name: Some("Ada".to_owned()),
        password: Some("open sesame".into()),
        ..with_email("Ada@School.Example")
    }
}

fn rename() -> AccountUpdate {
    AccountUpdate { display_name: Some("Ada".to_owned()), ..change() }
}

#[tokio::test]
async fn requests_are_as_the_service_wants_them() {
    let fake = Fake::start([done(), found(json!([{"localId": "u1", "createdAt": "1700000000000"}])), done(), done()]);
    let fake = fake.await;
    fake.accounts.create("u1", &ada()).await.unwrap();
    assert_eq!(fake.accounts.get("u1").await.unwrap().unwrap().uid, "u1");
    fake.accounts.set_claims("u1", claims(json!({"userId": "r1"}))).await.unwrap();
    fake.accounts.delete("u1").await.unwrap();
    let asked = fake.asked();
    let base = "/identitytoolkit.googleapis.com/v1/projects/demo-fake/accounts";
    for (asked, (operation, body)) in asked.iter().zip([
        (
            "",
            json!({"localId": "u1", "email": "ada@school.example", "emailVerified": false, "displayName": "Ada",
                   "password": "open sesame"}),
        ),
        (":lookup", json!({"localId": ["u1"]})),
        (":update", json!({"localId": "u1", "customAttributes": "{\"userId\":\"r1\"}"})),
        (":delete", json!({"localId": "u1"})),
    ]) {
        assert_eq!((asked.path.as_str(), &asked.body), (format!("{base}{operation}").as_str(), &body));
        assert_eq!(
            (&asked.headers["authorization"], asked.headers.contains_key("x-goog-user-project")),
            (&"Bearer owner".parse().unwrap(), false)
        );
    }
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_no_request() {
    let fake = Fake::start([]).await;
    let too_large = claims(json!({"x": "é".repeat(500)}));
    assert!(too_large["x"].as_str().unwrap().chars().count() < 1000);
    assert!(matches!(fake.accounts.set_claims("u1", too_large).await, Err(AccountError::ClaimsTooLarge { .. })));
    assert!(fake.accounts.set_claims("u1", claims(json!({"iss": 1}))).await.is_err());
    assert!(fake.accounts.create("u1", &with_email("ada")).await.is_err());
    assert!(fake.accounts.get_all(&["", "a/b"]).await.unwrap().is_empty());
    assert!(fake.accounts.find("ada").await.unwrap().is_none());
    assert_eq!(fake.operations(), Vec::<String>::new());
}

#[tokio::test]
async fn the_service_says_when_to_come_back() {
    // That the pause is as long as the service asks for, a unit test of the connection shows without waiting.
    let fake = Fake::start([Reply::Later(StatusCode::TOO_MANY_REQUESTS, 0), done()]).await;
    fake.accounts.update("u1", &rename()).await.unwrap();
    assert_eq!(fake.operations(), ["accounts:update"; 2]);
    // Too long to wait for.
    let fake = Fake::start([Reply::Later(StatusCode::SERVICE_UNAVAILABLE, 3600)]).await;
    let error = fake.accounts.update("u1", &rename()).await.unwrap_err();
    assert_eq!(error, AccountError::Unavailable("HTTP 503".to_owned()));
    assert_eq!(fake.operations(), ["accounts:update"]);
}

#[tokio::test]
async fn passing_failures_are_outlasted() {
    for failure in [
        Reply::error(500, "INTERNAL"),
        Reply::error(503, "The service is currently unavailable."),
        Reply::error(400, "QUOTA_EXCEEDED : Exceeded quota for updating account information."),
        Reply::error(400, "TOO_MANY_ATTEMPTS_TRY_LATER"),
        Reply::With(StatusCode::BAD_GATEWAY, "<html>Bad gateway</html>".to_owned()),
        Reply::With(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
        Reply::Never,
        Reply::Broken,
    ] {
        let fake = Fake::start([failure.clone(), failure.clone(), done()]).await;
        fake.accounts.update("u1", &rename()).await.unwrap();
        assert_eq!(fake.operations(), ["accounts:update"; 3]);
        let fake = Fake::start([failure.clone(), found(json!([{"localId": "u1"}]))]).await;
        assert!(fake.accounts.get("u1").await.unwrap().is_some());
        let fake = Fake::start([failure.clone(), failure.clone(), failure]).await;
        let error = fake.accounts.update("u1", &rename()).await.unwrap_err();
        assert!(matches!(error, AccountError::Unavailable(_)), "{error}");
        assert_eq!(fake.operations(), ["accounts:update"; 3]);
    }
    // Nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = accounts_at(&address).await.create("u1", &ada()).await.unwrap_err();
    assert_eq!(error, AccountError::Unavailable("no connection".to_owned()));
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_recognised() {
    let made =
        || json!([{"localId": "u1", "email": "ada@school.example", "emailVerified": false, "displayName": "Ada"}]);
    // Whichever the service looks at first.
    for taken in ["DUPLICATE_LOCAL_ID", "EMAIL_EXISTS"] {
        for lost in [Reply::Never, Reply::Broken, Reply::error(500, "INTERNAL")] {
            let fake = Fake::start([lost, Reply::error(400, taken), found(made())]).await;
            fake.accounts.create("u1", &ada()).await.unwrap();
            assert_eq!(fake.operations(), ["accounts", "accounts", "accounts:lookup"]);
        }
    }
}

#[tokio::test]
async fn what_was_there_before_is_no_creation_of_ours() {
    let uid_exists = || Reply::error(400, "DUPLICATE_LOCAL_ID");
    // No earlier attempt can have made it.
    for certainly_undone in [None, Some(Reply::error(400, "QUOTA_EXCEEDED : later")), Some(Reply::error(429, ""))] {
        let fake = Fake::start(certainly_undone.into_iter().chain([uid_exists()])).await;
        assert_eq!(fake.accounts.create("u1", &ada()).await, Err(AccountError::UidExists));
        assert!(fake.operations().iter().all(|operation| operation == "accounts"));
    }
    // It's another's, or the address is.
    let other = json!([{"localId": "u1", "email": "bea@school.example", "displayName": "Ada"}]);
    let fake = Fake::start([Reply::Never, uid_exists(), found(other)]).await;
    assert_eq!(fake.accounts.create("u1", &ada()).await, Err(AccountError::UidExists));
    let fake = Fake::start([Reply::Never, Reply::error(400, "EMAIL_EXISTS"), Reply::ok(json!({}))]).await;
    assert_eq!(fake.accounts.create("u1", &ada()).await, Err(AccountError::EmailExists));
}

#[tokio::test]
async fn a_deletion_whose_answer_was_lost_is_recognised() {
    let fake = Fake::start([Reply::Never, Reply::error(400, "USER_NOT_FOUND")]).await;
    assert_eq!(fake.accounts.delete("u1").await, Ok(()));
    let fake = Fake::start([Reply::error(400, "USER_NOT_FOUND")]).await;
    assert_eq!(fake.accounts.delete("u1").await, Err(AccountError::NotFound));
}

#[tokio::test]
async fn what_the_service_refuses_is_asked_once() {
    for (reply, why) in [
        (Reply::error(400, "INSUFFICIENT_PERMISSION"), "INSUFFICIENT_PERMISSION (HTTP 400)"),
        (Reply::error(400, "CONFIGURATION_NOT_FOUND"), "CONFIGURATION_NOT_FOUND (HTTP 400)"),
        (Reply::error(403, "PERMISSION_DENIED"), "PERMISSION_DENIED (HTTP 403)"),
        (Reply::With(StatusCode::NOT_FOUND, "<html>ada@school.example</html>".to_owned()), "HTTP 404"),
        (Reply::With(StatusCode::FOUND, String::new()), "HTTP 302"),
        (Reply::With(StatusCode::OK, "<html>Sign in</html>".to_owned()), "HTTP 200 without the JSON it should have"),
        (Reply::With(StatusCode::OK, r#"{"localId": "u1"#.to_owned()), "HTTP 200 without the JSON it should have"),
    ] {
        let fake = Fake::start([reply.clone()]).await;
        assert_eq!(fake.accounts.create("u1", &ada()).await, Err(AccountError::Failed(why.to_owned())));
        assert_eq!(fake.operations(), ["accounts"]);
        let fake = Fake::start([reply]).await;
        assert_eq!(fake.accounts.get("u1").await, Err(AccountError::Failed(why.to_owned())));
        assert_eq!(fake.operations(), ["accounts:lookup"]);
    }
    for users in
        [json!([{"email": "ada@school.example"}]), json!([{"localId": "u1", "customAttributes": "{"}]), json!(1)]
    {
        let fake = Fake::start([found(users)]).await;
        assert!(matches!(fake.accounts.get("u1").await, Err(AccountError::Failed(_))));
    }
}

/// Whatever the service says, an error names no person and no secret.
#[tokio::test]
async fn errors_repeat_nothing_of_what_was_said() {
    let says = "ada@school.example has the password open sesame, token ya29.x";
    let object = |message: &str| json!({"error": {"code": 400, "message": message, "status": message}}).to_string();
    let bodies = [
        object(says),
        object(&format!("SOMETHING_NEW : {says}")),
        object(&format!("{says} : SOMETHING_NEW")),
        object(&format!("EMAIL_EXISTS : {says}")),
        object(&format!("FORBIDDEN_CLAIM : {says}")),
        says.to_owned(),
        json!({ "error": says }).to_string(),
        json!({"users": [{"localId": 1, "email": says, "customAttributes": says}]}).to_string(),
        json!({"users": [{"localId": "u1", "email": says, "customAttributes": says}]}).to_string(),
    ];
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::BAD_GATEWAY] {
        for body in &bodies {
            let reply = Reply::With(status, body.clone());
            let fake = Fake::start([reply.clone(), reply.clone(), reply]).await;
            let Err(error) = fake.accounts.get("u1").await else { continue };
            let told = functions_runtime::FunctionError::from(error.clone());
            let texts = format!("{error} {error:?} {told} {told:?}");
            for secret in ["ada", "school", "sesame", "ya29"] {
                assert!(!texts.contains(secret), "{status} {body}: {texts}");
            }
        }
    }
}

#[tokio::test]
async fn an_identity_of_another_account_is_not_taken() {
    let clever = || json!([{"providerId": "oidc.clever", "rawId": "c1"}]);
    let (plain, linked) =
        (|uid: &str| json!({"localId": uid}), |uid: &str| json!({"localId": uid, "providerUserInfo": clever()}));
    let link = AccountUpdate { link: Some(identity("oidc.clever", "c1")), ..change() };
    for (users, error) in [
        (json!([linked("u2"), plain("u1")]), AccountError::ProviderExists),
        (json!([linked("u2")]), AccountError::NotFound),
        (json!([]), AccountError::NotFound),
    ] {
        let fake = Fake::start([found(users)]).await;
        assert_eq!(fake.accounts.update("u1", &link).await, Err(error));
        assert_eq!(fake.operations(), ["accounts:lookup"]);
        assert_eq!(fake.asked()[0].body, json!({"localId": ["u1"], "federatedUserId": clever()}));
    }
    // The emulator goes on to find an account by an identity that it has exchanged.
    for users in [json!([plain("u1")]), json!([linked("u1")]), json!([plain("u1"), plain("u2")])] {
        let fake = Fake::start([found(users), done()]).await;
        fake.accounts.update("u1", &link).await.unwrap();
        assert_eq!(fake.operations(), ["accounts:lookup", "accounts:update"]);
    }
}

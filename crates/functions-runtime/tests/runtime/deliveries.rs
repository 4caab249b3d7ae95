//! Who may deliver events and tasks.

use functions_runtime::auth::{Deliveries, KeySource, ServiceTokens};
use serde_json::{Value, json};

use crate::support::world::{NOW, http};
use crate::support::{KeyServer, Setup, SigningKey, TestServer};

const AUDIENCE: &str = "https://functions.example";
const ACCOUNT: &str = "eventarc@demo-admin.iam.gserviceaccount.com";

fn claims() -> Value {
    json!({
        "iss": "https://accounts.google.com",
        "aud": AUDIENCE,
        "sub": "1234",
        "email": ACCOUNT,
        "email_verified": true,
        "iat": NOW - 10,
        "exp": NOW + 3590,
    })
}

async fn server(keys: &KeyServer) -> TestServer {
    let tokens = ServiceTokens {
        audiences: vec!["https://other.example".to_owned(), AUDIENCE.to_owned()],
        accounts: vec![ACCOUNT.to_owned()],
        keys: KeySource::new(&keys.url, http()),
    };
    TestServer::with(Setup { deliveries: Deliveries::Service(tokens), ..Setup::new() }).await
}

/// The statuses of an event, of one by the emulator's path, and of a task.
async fn deliver(server: &TestServer, token: Option<&str>) -> [u16; 3] {
    let mut statuses = [0; 3];
    let paths = ["/events/onWritten", "/functions/projects/demo-admin/triggers/onWritten", "/tasks/work"];
    for (status, path) in statuses.iter_mut().zip(paths) {
        let mut request = server.post(path).json(&json!({"data": {"id": "t1"}}));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        *status = request.send().await.unwrap().status().as_u16();
    }
    statuses
}

#[tokio::test]
async fn the_service_account_may_deliver_and_nobody_else() {
    let key = SigningKey::new("k1");
    let keys = KeyServer::start(&[&key]).await;
    let server = server(&keys).await;
    assert_eq!(deliver(&server, Some(&key.sign(&claims()))).await, [204; 3]);
    let mut other_form = claims();
    other_form["iss"] = json!("accounts.google.com");
    assert_eq!(deliver(&server, Some(&key.sign(&other_form))).await, [204; 3]);

    for (name, value) in [
        ("iss", json!("https://accounts.example")),
        ("aud", json!("https://functions.example/other")),
        ("email", json!("other@demo-admin.iam.gserviceaccount.com")),
        ("email", json!(null)),
        ("email_verified", json!(false)),
        ("email_verified", json!("true")),
        ("exp", json!(NOW - 10)),
        ("iat", json!(NOW + 10)),
    ] {
        let mut claims = claims();
        claims[name] = value;
        assert_eq!(deliver(&server, Some(&key.sign(&claims))).await, [401; 3], "{name}");
    }
    let forged = SigningKey::new("k1").sign(&claims());
    let unsigned = crate::support::keys::unsigned(&claims());
    for token in [None, Some("rubbish"), Some(forged.as_str()), Some(unsigned.as_str())] {
        assert_eq!(deliver(&server, token).await, [401; 3]);
    }
}

#[tokio::test]
async fn two_tokens_are_none() {
    let key = SigningKey::new("k1");
    let keys = KeyServer::start(&[&key]).await;
    let server = server(&keys).await;
    let (good, bad) = (key.sign(&claims()), SigningKey::new("k1").sign(&claims()));
    for (one, other) in [(&good, &bad), (&bad, &good), (&good, &good)] {
        let request = server.post("/events/onWritten").json(&json!({"data": {"id": "t1"}}));
        let request = request.header("authorization", format!("Bearer {one}"));
        let request = request.header("authorization", format!("Bearer {other}"));
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    assert_eq!(deliver(&server, Some(&good)).await, [204; 3]);
}

#[tokio::test]
async fn a_key_server_that_is_down_makes_deliveries_come_again() {
    let key = SigningKey::new("k1");
    let keys = KeyServer::start(&[&key]).await;
    keys.fail();
    let server = server(&keys).await;
    assert_eq!(deliver(&server, Some(&key.sign(&claims()))).await, [503; 3]);
}

/// Where events come from an emulator, whose word is taken, tasks still are the process's own.
#[tokio::test]
async fn tasks_of_the_process_itself_come_from_nowhere_else() {
    let server = TestServer::start().await;
    assert_eq!(deliver(&server, None).await, [204, 204, 403]);
}

#[tokio::test]
async fn a_closed_server_takes_none() {
    let server = TestServer::with(Setup { deliveries: Deliveries::Closed, ..Setup::new() }).await;
    assert_eq!(deliver(&server, None).await, [403; 3]);
    let answer = server.post("/events/onWritten").json(&json!({})).send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("takes none from outside"), "{answer}");
}

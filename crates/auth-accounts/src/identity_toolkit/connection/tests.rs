use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde::de::IgnoredAny;
use serde_json::json;

use super::*;

#[tokio::test]
async fn pauses_grow_and_end() {
    let connection = Connection::open(Some("127.0.0.1:9"), Options::default()).await.unwrap();
    let pause = |attempt, asked| connection.pause(attempt, asked);
    for (attempt, least, most) in [(1, 100, 200), (2, 200, 400), (3, 400, 800), (4, 800, 1600)] {
        let pause = pause(attempt, None).unwrap().as_millis();
        assert!((least..=most).contains(&pause), "{attempt}: {pause} ms");
    }
    assert_eq!(pause(5, None), None);
    assert_eq!(pause(1, Some(Duration::from_secs(3))), Some(Duration::from_secs(3)));
    assert_eq!(pause(1, Some(Duration::from_secs(21))), None);
    let patient = Connection { options: Options { attempts: 99, ..Options::default() }, ..connection };
    assert!(patient.pause(98, None).unwrap() <= LONGEST_PAUSE);
}

#[tokio::test]
async fn a_project_is_one_segment() {
    let connection = Connection::open(Some("127.0.0.1:9"), Options::default()).await.unwrap();
    let base = "http://127.0.0.1:9/identitytoolkit.googleapis.com/v1/projects";
    assert_eq!(connection.project("demo-project").unwrap().as_str(), format!("{base}/demo-project"));
    assert_eq!(connection.project("a/b?c").unwrap().as_str(), format!("{base}/a%2Fb%3Fc"));
    for bad in ["", ".", ".."] {
        assert!(connection.project(bad).is_err());
    }
}

/// A client of a service on loopback with a service account's key, and the headers of the requests that the service
/// gets.
async fn with_key(private_key: &str) -> (Connection, Arc<Mutex<Vec<HeaderMap>>>) {
    let seen: Arc<Mutex<Vec<HeaderMap>>> = Arc::default();
    let note = seen.clone();
    let router = axum::Router::new().fallback(async move |headers: HeaderMap| {
        note.lock().push(headers);
        "{}"
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let emulator = Connection::open(Some(&address), Options { attempts: 1, ..Options::default() }).await.unwrap();
    let key = json!({
        "type": "service_account", "project_id": "demo-project", "private_key_id": "k1", "private_key": private_key,
        "client_email": "functions@demo-project.iam.gserviceaccount.example", "client_id": "1", "universe_domain": "googleapis.com",
    });
    let headers = GoogleAuthHeaders::from_service_account_key(key, GCP_DEFAULT_SCOPES.clone()).await.unwrap();
    (Connection { credentials: Credentials::Google(Arc::new(headers)), ..emulator }, seen)
}

#[tokio::test]
async fn google_is_shown_a_token() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let key = STANDARD.encode(der.as_ref());
    let (connection, seen) =
        with_key(&format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n")).await;
    let project = connection.project("demo-project").unwrap();
    let answer = connection.post::<IgnoredAny>(&project, "accounts:lookup", &json!({})).await;
    assert!(answer.outcome.is_ok() && !answer.may_be_done);
    let headers = seen.lock().remove(0);
    assert!(headers["authorization"].to_str().unwrap().starts_with("Bearer ey"), "a JWT");
    // Only where one is set.
    assert!(!headers.contains_key("x-goog-user-project"));
}

#[tokio::test]
async fn nothing_is_asked_for_without_a_token() {
    let (connection, seen) = with_key("no key at all").await;
    let project = connection.project("demo-project").unwrap();
    let answer = connection.post::<IgnoredAny>(&project, "accounts:lookup", &json!({})).await;
    let error = answer.into_result().unwrap_err();
    assert_eq!(error, AccountError::Failed("no access token: the credentials are refused".to_owned()));
    assert!(seen.lock().is_empty());
}

//! Neither errors nor logs hold what Clever said, or who we are to it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use reqwest::StatusCode;
use roar_functions::demo::clever::{Fault, Options, Size, Sockless};
use roar_functions::rostering::clever::{Clever, DistrictToken, Lost, Request, Response, Settings, Transport};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::{Scene, context};

/// A Clever that always says the same.
pub struct Says(pub u16, pub String);

#[async_trait]
impl Transport for Says {
    async fn get(&self, request: Request) -> Result<Response, Lost> {
        assert!(request.authorization.is_sensitive());
        let status = StatusCode::from_u16(self.0).unwrap();
        Ok(Response { status, headers: Default::default(), body: self.1.clone().into() })
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

fn listen() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_max_level(tracing::Level::TRACE);
    (log, tracing::subscriber::set_default(subscriber.finish()))
}

const SECRETS: [&str; 6] = ["sesame", "tok-123", "Ada", "Lovelace", "school.example", "4/1/2015"];

fn check(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_and_logs_repeat_nothing() {
    let (log, _guard) = listen();
    let ada = json!({
        "id": "5a", "email": "ada@school.example", "name": {"first": "Ada", "last": "Lovelace"},
        "roles": {"student": {"dob": "4/1/2015", "schools": {"Ada": "tok-123"}}},
    });
    let told = "Ada Lovelace, ada@school.example, born 4/1/2015, has tok-123";
    let bodies: Vec<Value> = vec![
        json!({ "message": told }),
        json!(told),
        json!({ "data": told, "links": told }),
        json!({ "data": [ada], "links": [] }),
        json!({ "data": [{ "data": ada }], "links": [{"rel": "next", "uri": format!("https://{told}/")}] }),
        json!({ "data": [{ "data": {"id": told} }, {"data": {"id": "5b", "name": told}}] }),
        json!({ "data": ada }),
        json!({ "data": {"id": told}, "links": [{"rel": "canonical", "uri": told}] }),
    ];
    for status in [200, 400, 401, 404, 413, 429, 500, 501, 503] {
        for body in bodies.iter().map(Value::to_string).chain([format!("<html>{told}</html>")]) {
            let settings = Settings { client_secret: "sesame".into(), ..Sockless::settings() };
            let settings = Settings { attempts: 2, pause: Duration::from_millis(1), ..settings };
            let clever = Clever::by(Arc::new(Says(status, body.clone())), settings, context());
            let token = DistrictToken { district: "d1".to_owned(), token: "tok-123".into() };
            let district = clever.district(token);
            let results = [
                format!("{:?}", clever.district_tokens().await.map(|tokens| tokens.len())),
                format!("{:?}", clever.me(&"tok-123".into()).await),
                format!("{:?}", district.user("5a").await),
                format!("{:?}", district.district().await),
                format!("{:?}", district.users(None).next().await),
                format!("{:?}", district.sections().next().await),
                format!("{:?}", district.schools().next().await),
                format!("{district:?} {:?}", clever.settings()),
                district.users(None).next().await.err().map(|error| error.to_string()).unwrap_or_default(),
            ];
            check(&body, &results.join("\n"));
        }
    }
    check("the log", &String::from_utf8_lossy(&log.0.lock()));
}

/// Also a client over HTTP, whose parts log at their finest.
#[tokio::test]
async fn logs_of_requests_hold_no_token() {
    let (log, _guard) = listen();
    let fake = roar_functions::demo::clever::FakeClever::new(Options::of(Size::of(50)), context());
    let served = fake.serve().await.unwrap();
    let settings = Settings { pause: Duration::from_millis(1), ..served.settings() };
    let clever = Clever::new(settings, context()).unwrap();
    let there = fake.district(0);
    let tokens = clever.district_tokens().await.unwrap();
    fake.fail("/users", [Fault::Cut, Fault::Status(503), Fault::Html]);
    let page = clever.district(tokens[0].clone()).users(None).next().await.unwrap().unwrap();
    let text = format!("{page:?}{}", String::from_utf8_lossy(&log.0.lock()));
    use secrecy::ExposeSecret;
    let token = there.token().unwrap().token;
    for secret in [token.expose_secret(), "fake-client-secret", "Basic ", "school.example"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let names = page.records.iter().filter_map(|user| user.ok()?.name.last);
    for name in names.filter(|name| name.len() > 5) {
        assert!(!text.contains(&name), "{name} in {text}");
    }
    let scene = Scene::of(10, 10);
    assert!(format!("{:?}", scene.district).starts_with("District(65a1"));
}

//! Forged and broken tokens: none is ever taken for a caller's, and none leaves a trace in the log.

mod apps;
mod mutated;
mod shapes;
mod tokens;

use std::io::Write;
use std::sync::Arc;

use functions_runtime::auth::{AppCheck, Callers, DevelopmentKey, IdTokens, KeySource};
use functions_runtime::budget::Budgets;
use functions_runtime::limits::SignedOut;
use functions_runtime::sign_in::SignInRules;
use parking_lot::Mutex;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::world::{NOW, PROJECT, answer, error, http};
use crate::support::{KeyServer, Setup, SigningKey, TestServer};

/// In every forged token, so that a log that repeats one gives itself away.
const CANARY: &str = "canary-7f3a";

/// One forgery: its name, and the values of the header that carries it.
struct Forged {
    name: String,
    headers: Vec<Vec<u8>>,
    /// True for what a server takes that allows unsigned tokens, and no other does.
    is_unsigned: bool,
}

/// A bearer's header.
fn forged(name: impl Into<String>, token: impl AsRef<[u8]>) -> Forged {
    raw(name, [[b"Bearer ", token.as_ref()].concat()])
}

/// Headers that are more or less than a bearer's.
fn raw<V: Into<Vec<u8>>>(name: impl Into<String>, headers: impl IntoIterator<Item = V>) -> Forged {
    Forged { name: name.into(), headers: headers.into_iter().map(Into::into).collect(), is_unsigned: false }
}

/// What forgers have at hand.
struct Forge {
    /// The issuer's key, `k1`, which forgers see the public half of.
    key: SigningKey,
    /// Another of the issuer's keys, `k2`.
    second: SigningKey,
    /// Their own key, which they call `k1` too.
    own: SigningKey,
    /// A key server of theirs.
    server: KeyServer,
}

impl Forge {
    async fn new() -> Self {
        let own = SigningKey::new("k1");
        let server = KeyServer::start(&[&own]).await;
        Forge { key: SigningKey::new("k1"), second: SigningKey::new("k2"), own, server }
    }

    /// The issuer's key server.
    async fn issuer(&self) -> KeyServer {
        KeyServer::start(&[&self.key, &self.second]).await
    }

    fn good(&self) -> String {
        self.key.sign(&claims())
    }
}

/// The header of a good token.
fn header() -> Value {
    json!({"alg": "RS256", "kid": "k1", "typ": "JWT"})
}

/// The claims of a good token.
fn claims() -> Value {
    json!({
        "iss": format!("https://securetoken.google.com/{PROJECT}"),
        "aud": PROJECT,
        "sub": CANARY,
        "user_id": CANARY,
        "iat": NOW - 60,
        "exp": NOW + 3540,
        "auth_time": NOW - 60,
        "email": format!("{CANARY}@school.example"),
        "firebase": {"identities": {"email": [format!("{CANARY}@school.example")]}, "sign_in_provider": "password"},
    })
}

/// The object with some entries changed.
fn with(mut object: Value, changes: Value) -> Value {
    let changes = changes.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(changes);
    object
}

/// The object without an entry.
fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name).unwrap();
    object
}

/// All that is logged on this thread, at any level.
pub struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone)]
struct LogWriter(Arc<Mutex<Vec<u8>>>);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub fn start() -> Self {
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let writer = LogWriter(text.clone());
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        Log { text, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock()).into_owned()
    }
}

/// Fails if the text repeats any longer part of a forgery, or what's in all of them.
fn assert_tells_nothing(text: &str, forgery: &Forged) {
    assert!(!text.contains(CANARY), "{}: {text}", forgery.name);
    for header in &forgery.headers {
        let header = String::from_utf8_lossy(header).into_owned();
        let parts = header.split(|c: char| !c.is_ascii_alphanumeric() && !"-_/+=".contains(c));
        for part in parts.filter(|part| part.len() >= 16) {
            assert!(!text.contains(part), "{}: {part} is in {text}", forgery.name);
        }
    }
}

async fn server(keys: &KeyServer, allow_unsigned: bool) -> TestServer {
    let keys = KeySource::new(&keys.url, http());
    // Whose key nobody has, as nobody has Google's.
    let development = Some(DevelopmentKey::new("nobody has this secret, which is as long as real ones are"));
    let id_tokens = IdTokens { projects: vec![PROJECT.to_owned()], keys, allow_unsigned, development };
    TestServer::with(Setup {
        callers: Callers {
            id_tokens,
            app_check: AppCheck::Off,
            signed_out: SignedOut::unlimited(),
            budgets: Budgets::unlimited(),
            sign_in: SignInRules::default(),
        },
        ..Setup::new()
    })
    .await
}

async fn call(server: &TestServer, name: &str, headers: &[Vec<u8>]) -> (u16, Value) {
    let mut request = server.post("/echoBack").json(&json!({"data": null}));
    for header in headers {
        request = request.header(name, HeaderValue::from_bytes(header).unwrap());
    }
    answer(request.send().await.unwrap()).await
}

fn refused() -> (u16, Value) {
    (401, error("UNAUTHENTICATED", "Unauthenticated"))
}

/// Sends every forgery, and a good token after each group.
async fn judge(allow_unsigned: bool) {
    let log = Log::start();
    let forge = Forge::new().await;
    let keys = forge.issuer().await;
    let server = server(&keys, allow_unsigned).await;
    let good = [format!("Bearer {}", forge.good()).into_bytes()];
    let (mut forgeries, mut runs) = (0, 0);
    for (group, corpus) in corpus(&forge) {
        for forgery in corpus {
            forgeries += 1;
            let before = log.text().len();
            let answer = call(&server, "authorization", &forgery.headers).await;
            if forgery.is_unsigned && allow_unsigned {
                runs += 1;
                assert_eq!((answer.0, &answer.1["result"]["uid"]), (200, &json!(CANARY)), "{}", forgery.name);
            } else {
                assert_eq!(answer, refused(), "{group}: {}", forgery.name);
                assert_tells_nothing(&answer.1.to_string(), &forgery);
            }
            let logged = log.text().split_off(before);
            assert!(logged.contains("echoBack"), "nothing was logged: {logged}");
            assert_tells_nothing(&logged, &forgery);
        }
        runs += 1;
        let answer = call(&server, "authorization", &good).await;
        assert_eq!((answer.0, &answer.1["result"]["uid"]), (200, &json!(CANARY)), "{group}");
        assert_eq!(server.world.noted().len(), runs, "{group}: a handler ran");
    }
    assert!(forgeries >= 60, "{forgeries}");
    // All that was fetched is the issuer's keys, once: a key that nobody knows is asked for no sooner than they were
    // fetched, and no token says where keys are.
    assert_eq!((keys.hits(), forge.server.hits()), (1, 0));
}

fn corpus(forge: &Forge) -> Vec<(&'static str, Vec<Forged>)> {
    vec![
        ("algorithms", tokens::algorithms(forge)),
        ("keys", tokens::keys(forge)),
        ("claims", tokens::claims(forge)),
        ("kinds", tokens::kinds(forge)),
        ("JSON", shapes::json(forge)),
        ("shapes", shapes::shapes(forge)),
        ("headers", shapes::headers(forge)),
    ]
}

#[tokio::test]
async fn no_forgery_is_taken_for_a_caller() {
    judge(false).await;
}

#[tokio::test]
async fn where_unsigned_tokens_count_no_other_forgery_does() {
    judge(true).await;
}

/// What HTTP has no words for never gets as far as a function.
#[tokio::test]
async fn what_is_no_header_is_refused_by_http_itself() {
    let log = Log::start();
    let forge = Forge::new().await;
    let keys = forge.issuer().await;
    let server = server(&keys, true).await;
    let good = forge.good();
    let at = |index: usize, byte: &[u8]| [&good.as_bytes()[..index], byte, &good.as_bytes()[index..]].concat();
    for (name, token, statuses) in [
        ("a NUL within", at(40, b"\0"), "400"),
        ("a NUL at the end", at(good.len(), b"\0"), "400"),
        ("a line break within", at(40, b"\n"), "400"),
        ("a carriage return within", at(40, b"\r"), "400"),
        ("a folded line", at(40, b"\r\n "), "400"),
        ("a control character", at(40, b"\x7f"), "400"),
        ("4 MiB", at(good.len(), &vec![b'x'; 4 << 20]), "431"),
    ] {
        let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
        let mut request = b"POST /echoBack HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
            Content-Length: 13\r\nConnection: close\r\nAuthorization: Bearer "
            .to_vec();
        request.extend_from_slice(&token);
        request.extend_from_slice(b"\r\n\r\n{\"data\": null}");
        // The server may close before it read it all.
        let _ = stream.write_all(&request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let line = answer.lines().next().unwrap_or_default();
        assert!(line.is_empty() || line.starts_with(&format!("HTTP/1.1 {statuses}")), "{name}: {answer}");
        assert_tells_nothing(&format!("{answer}{}", log.text()), &forged(name, good.as_bytes()));
    }
    assert_eq!(server.world.noted(), [""; 0]);
    assert_eq!(call(&server, "authorization", &[format!("Bearer {good}").into_bytes()]).await.0, 200);
}

//! An Identity Toolkit on loopback that answers as it's told to, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use auth_accounts::Accounts;
use auth_accounts::identity_toolkit::{Connection, IdentityToolkit, Options};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// How it answers one request.
#[derive(Clone)]
pub enum Reply {
    /// So.
    With(StatusCode, String),
    /// So, and says how many seconds to stay away.
    Later(StatusCode, u64),
    /// Never.
    Never,
    /// As if all were well, but the answer breaks off.
    Broken,
}

impl Reply {
    pub fn ok(body: Value) -> Reply {
        Reply::With(StatusCode::OK, body.to_string())
    }

    pub fn error(status: u16, message: &str) -> Reply {
        let body = json!({"error": {"code": status, "message": message, "errors": [{"message": message}]}});
        Reply::With(StatusCode::from_u16(status).unwrap(), body.to_string())
    }
}

/// A request.
#[derive(Clone)]
pub struct Asked {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Value,
}

#[derive(Default)]
struct Script {
    replies: VecDeque<Reply>,
    asked: Vec<Asked>,
}

/// The service, and accounts of it.
pub struct Fake {
    script: Arc<Mutex<Script>>,
    pub accounts: Accounts,
}

impl Fake {
    /// One that gives these answers and no more, to a client that waits 300 ms for each.
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> Fake {
        let script = Arc::new(Mutex::new(Script { replies: replies.into_iter().collect(), asked: Vec::new() }));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Fake { script, accounts: accounts_at(&address).await }
    }

    /// What it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.script.lock().asked.clone()
    }

    /// The operations that it was asked for, in order. Fails when answers are left.
    pub fn operations(&self) -> Vec<String> {
        assert!(self.script.lock().replies.is_empty(), "it was asked less often than foreseen");
        let operation = |asked: Asked| asked.path.rsplit('/').next().unwrap_or_default().to_owned();
        self.asked().into_iter().map(operation).collect()
    }
}

/// Accounts of `demo-fake` at that address, with three attempts and short pauses.
pub async fn accounts_at(address: &str) -> Accounts {
    let options = Options {
        attempts: 3,
        deadline: Duration::from_millis(300),
        pause: Duration::from_millis(2),
        ..Options::default()
    };
    let connection = Arc::new(Connection::open(Some(address), options).await.unwrap());
    Accounts::new("demo-fake", Arc::new(IdentityToolkit::new(connection, "demo-fake").unwrap()))
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let reply = {
        let mut script = script.lock();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        script.asked.push(Asked { path: uri.path().to_owned(), headers, body });
        script.replies.pop_front()
    };
    match reply {
        None => StatusCode::IM_A_TEAPOT.into_response(),
        Some(Reply::With(status, body)) => (status, body).into_response(),
        Some(Reply::Later(status, seconds)) => (status, [("retry-after", seconds.to_string())]).into_response(),
        Some(Reply::Never) => std::future::pending().await,
        Some(Reply::Broken) => {
            let parts = [Ok("{"), Err(std::io::Error::other("broken"))];
            Body::from_stream(futures::stream::iter(parts)).into_response()
        }
    }
}

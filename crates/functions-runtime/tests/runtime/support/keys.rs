//! Signing keys, tokens, and a key server that counts its visitors, fails and rotates.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaEncoding};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// An RSA key with an ID.
pub struct SigningKey {
    pub kid: String,
    pair: KeyPair,
}

impl SigningKey {
    pub fn new(kid: &str) -> Self {
        SigningKey { kid: kid.to_owned(), pair: KeyPair::generate(KeySize::Rsa2048).unwrap() }
    }

    pub fn jwk(&self) -> Value {
        // RSAPublicKey in DER: after nine bytes of headers and sign come the 256 of the modulus.
        let modulus = &self.public_der()[9..265];
        json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.kid, "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"})
    }

    pub fn public_der(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// A token as Firebase signs it.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": "RS256", "kid": self.kid, "typ": "JWT"}), claims)
    }

    /// A token with any header, signed with RS256 all the same.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(header.to_string(), claims.to_string())
    }

    /// A token of any text, JSON or not.
    pub fn sign_text(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.signature(&RSA_PKCS1_SHA256, &message));
        format!("{message}.{signature}")
    }

    /// The signature of any message, in any way that the key can sign.
    pub fn signature(&self, encoding: &'static dyn RsaEncoding, message: &str) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        signature
    }
}

/// The first two parts of a token.
pub fn unsigned_message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// A token as the Auth emulator makes it.
pub fn unsigned(claims: &Value) -> String {
    format!("{}.", unsigned_message(&json!({"alg": "none", "typ": "JWT"}), claims))
}

/// A key server on loopback.
pub struct KeyServer {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    hits: AtomicU64,
    answer: Mutex<(StatusCode, &'static str, Value)>,
}

impl KeyServer {
    /// Serves these keys for an hour.
    pub async fn start(keys: &[&SigningKey]) -> Self {
        let shared = Arc::new(Shared {
            hits: AtomicU64::new(0),
            answer: Mutex::new((StatusCode::OK, "public, max-age=3600, must-revalidate", Value::Null)),
        });
        let router = Router::new().route("/keys", get(answer)).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let server = KeyServer { url, shared };
        server.publish(keys);
        server
    }

    /// From now on serves these keys.
    pub fn publish(&self, keys: &[&SigningKey]) {
        let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
        let mut answer = self.shared.answer.lock();
        (answer.0, answer.2) = (StatusCode::OK, json!({ "keys": keys }));
    }

    /// From now on fails.
    pub fn fail(&self) {
        self.shared.answer.lock().0 = StatusCode::INTERNAL_SERVER_ERROR;
    }

    pub fn hits(&self) -> u64 {
        self.shared.hits.load(Ordering::SeqCst)
    }
}

async fn answer(State(shared): State<Arc<Shared>>) -> Response {
    shared.hits.fetch_add(1, Ordering::SeqCst);
    let (status, cache, keys) = shared.answer.lock().clone();
    (status, [(header::CACHE_CONTROL, cache)], keys.to_string()).into_response()
}

//! Who calls: ID tokens and App Check tokens, each rule broken in turn.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use document_store::context::Context;
use functions_runtime::auth::{AppCheck, AppTokens, Callers, DevelopmentKey, IdTokens, KeySource, unsigned_token};
use functions_runtime::budget::Budgets;
use functions_runtime::limits::SignedOut;
use functions_runtime::sign_in::SignInRules;
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Map, Value, json};

use crate::support::keys::{unsigned, unsigned_message};
use crate::support::world::{NOW, PROJECT, answer, error, http, id_claims};
use crate::support::{KeyServer, Setup, SigningKey, TestServer};

fn claims() -> Value {
    let claims = with(id_claims("u1"), "auth_time", Some(json!(NOW - 60)));
    with(claims, "email", Some(json!("a@school.example")))
}

/// The claims with one changed, or removed when the value is `None`.
fn with(mut claims: Value, name: &str, value: Option<Value>) -> Value {
    let object = claims.as_object_mut().unwrap();
    match value {
        Some(value) => drop(object.insert(name.to_owned(), value)),
        None => drop(object.remove(name)),
    }
    claims
}

fn id_tokens(keys: &KeyServer, allow_unsigned: bool) -> IdTokens {
    IdTokens {
        projects: vec![PROJECT.to_owned()],
        keys: KeySource::new(&keys.url, http()),
        allow_unsigned,
        development: None,
    }
}

async fn server(keys: &KeyServer, allow_unsigned: bool) -> TestServer {
    let callers = Callers {
        id_tokens: id_tokens(keys, allow_unsigned),
        app_check: AppCheck::Off,
        signed_out: SignedOut::unlimited(),
        budgets: Budgets::unlimited(),
        sign_in: SignInRules::default(),
    };
    TestServer::with(Setup { callers, ..Setup::new() }).await
}

async fn call(server: &TestServer, authorization: &str) -> (u16, Value) {
    let request = server.post("/echoBack").header("authorization", authorization).json(&json!({"data": null}));
    answer(request.send().await.unwrap()).await
}

fn refused() -> (u16, Value) {
    (401, error("UNAUTHENTICATED", "Unauthenticated"))
}

#[tokio::test]
async fn a_good_token_names_the_caller_and_its_keys_are_fetched_once() {
    let key = SigningKey::new("k1");
    let keys = KeyServer::start(&[&key]).await;
    let server = server(&keys, false).await;
    let token = key.sign(&claims());
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let (status, body) = call(&server, &format!("{scheme} {token}")).await;
        assert_eq!((status, &body["result"]["uid"]), (200, &json!("u1")));
    }
    let together = futures::future::join_all((0..10).map(|_| call(&server, "Bearer x.y.z"))).await;
    assert!(together.into_iter().all(|answer| answer == refused()));
    assert_eq!(keys.hits(), 1);
    // Without a header the call has no caller.
    assert_eq!(answer(server.call("/echoBack", json!(1)).await).await.1["result"]["uid"], json!(null));
}

#[tokio::test]
async fn each_wrong_claim_is_refused() {
    let key = SigningKey::new("k1");
    let keys = KeyServer::start(&[&key]).await;
    let server = server(&keys, true).await;
    for (name, value) in [
        ("aud", None),
        ("aud", Some(json!("other-project"))),
        ("aud", Some(json!([PROJECT]))),
        ("iss", None),
        ("iss", Some(json!("https://securetoken.google.com/other-project"))),
        ("iss", Some(json!(format!("https://session.firebase.google.com/{PROJECT}")))),
        ("sub", None),
        ("sub", Some(json!(""))),
        ("sub", Some(json!(7))),
        ("sub", Some(json!("x".repeat(129)))),
        ("exp", None),
        ("exp", Some(json!(NOW - 6))),
        ("exp", Some(json!("never"))),
        ("auth_time", Some(json!(NOW + 6))),
        ("iat", Some(json!(NOW + 6))),
    ] {
        let claims = with(claims(), name, value.clone());
        for token in [key.sign(&claims), unsigned(&claims)] {
            assert_eq!(call(&server, &format!("Bearer {token}")).await, refused(), "{name} {value:?}");
        }
    }
    // Real tokens have it, the emulator's need not.
    let claims = with(claims(), "iat", None);
    assert_eq!(call(&server, &format!("Bearer {}", key.sign(&claims))).await, refused());
    assert_eq!(call(&server, &format!("Bearer {}", unsigned(&claims))).await.0, 200);
    assert_eq!(server.world.noted(), ["echo"]);
}

#[tokio::test]
async fn the_clocks_may_be_a_few_seconds_apart() {
    let key = SigningKey::new("k1");
    let keys = KeyServer::start(&[&key]).await;
    let server = server(&keys, false).await;
    for (name, value) in [("exp", NOW - 3), ("iat", NOW + 3), ("auth_time", NOW + 3)] {
        let token = key.sign(&with(claims(), name, Some(json!(value))));
        assert_eq!(call(&server, &format!("Bearer {token}")).await.0, 200, "{name}");
    }
    let longest = key.sign(&with(claims(), "sub", Some(json!("ü".repeat(128)))));
    assert_eq!(call(&server, &format!("Bearer {longest}")).await.0, 200);
    // An hour later the same token has expired.
    let token = key.sign(&claims());
    server.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(call(&server, &format!("Bearer {token}")).await, refused());
}

#[tokio::test]
async fn malformed_headers_are_refused() {
    let key = SigningKey::new("k1");
    let keys = KeyServer::start(&[&key]).await;
    let server = server(&keys, true).await;
    let token = key.sign(&claims());
    for header in [
        "",
        "Bearer",
        "Basic dTpw",
        &token,
        &format!("Bearer{token}"),
        &format!("Token {token}"),
        &format!("Bearer  {token}"),
        &format!("Bearer {token} "),
        "Bearer null",
        "Bearer a.b",
        "Bearer ..",
        &format!("Bearer {token}.x"),
        &format!("Bearer {}", "x".repeat(40_000)),
    ] {
        // The client trims trailing spaces, as HTTP does.
        let expected = if header.ends_with(' ') { 200 } else { 401 };
        let (status, _) = call(&server, header).await;
        // A header too large for the server never reaches the function.
        assert!(status == expected || (header.len() > 30_000 && status == 431), "{status} {header:.40}");
    }
}

#[tokio::test]
async fn the_algorithm_is_pinned() {
    let key = SigningKey::new("k1");
    let keys = KeyServer::start(&[&key]).await;
    let server = server(&keys, false).await;
    let message = |alg: &str| unsigned_message(&json!({"alg": alg, "kid": "k1", "typ": "JWT"}), &claims());
    let hs256 = message("HS256");
    let secrets = [key.public_der().to_vec(), key.jwk()["n"].as_str().unwrap().as_bytes().to_vec(), Vec::new()];
    let mut tokens: Vec<_> = secrets
        .iter()
        .map(|secret| {
            let secret = EncodingKey::from_secret(secret);
            let signature = jsonwebtoken::crypto::sign(hs256.as_bytes(), &secret, Algorithm::HS256).unwrap();
            format!("{hs256}.{signature}")
        })
        .collect();
    tokens.push(unsigned(&claims()));
    tokens.push(format!("{}.", message("RS256")));
    for alg in ["none", "None", "RS512", "PS256", "rs256"] {
        tokens.push(key.sign_with(&json!({"alg": alg, "kid": "k1", "typ": "JWT"}), &claims()));
    }
    tokens.push(key.sign_with(&json!({"kid": "k1", "typ": "JWT"}), &claims()));
    tokens.push(key.sign_with(&json!({"alg": "RS256", "typ": "JWT"}), &claims()));
    tokens.push(key.sign_with(&json!({"alg": "RS256", "kid": "k1", "crit": ["x"]}), &claims()));
    // Another key under the known key's ID.
    tokens.push(SigningKey::new("k1").sign(&claims()));
    // Other claims under a good signature.
    let good = key.sign(&claims());
    let (_, signature) = good.rsplit_once('.').unwrap();
    let forged = unsigned_message(
        &json!({"alg": "RS256", "kid": "k1", "typ": "JWT"}),
        &with(claims(), "sub", Some(json!("admin"))),
    );
    tokens.push(format!("{forged}.{signature}"));
    for token in tokens {
        assert_eq!(call(&server, &format!("Bearer {token}")).await, refused());
    }
    assert_eq!(server.world.noted(), [""; 0]);
}

#[tokio::test]
async fn a_new_key_is_found_and_unknown_ones_do_not_flood_the_key_server() {
    let (old, new) = (SigningKey::new("old"), SigningKey::new("new"));
    let keys = KeyServer::start(&[&old]).await;
    let server = server(&keys, false).await;
    let (old_token, new_token) = (format!("Bearer {}", old.sign(&claims())), format!("Bearer {}", new.sign(&claims())));
    assert_eq!(call(&server, &old_token).await.0, 200);
    // The keys were fetched this moment: no reason to ask again.
    for _ in 0..5 {
        assert_eq!(call(&server, &new_token).await, refused());
    }
    assert_eq!(keys.hits(), 1);
    keys.publish(&[&new]);
    server.clock.advance(SignedDuration::from_secs(11));
    let together = futures::future::join_all((0..5).map(|_| call(&server, &new_token))).await;
    assert!(together.iter().all(|(status, _)| *status == 200));
    assert_eq!(keys.hits(), 2);
    assert_eq!(call(&server, &old_token).await, refused());
    assert_eq!(keys.hits(), 2);
}

#[tokio::test]
async fn keys_are_fetched_anew_when_their_time_is_over_and_outlast_an_outage() {
    let key = SigningKey::new("k1");
    let keys = KeyServer::start(&[&key]).await;
    let server = server(&keys, false).await;
    let token = || {
        let claims = with(claims(), "exp", Some(json!(NOW + 100_000)));
        format!("Bearer {}", key.sign(&claims))
    };
    assert_eq!(call(&server, &token()).await.0, 200);
    server.clock.advance(SignedDuration::from_secs(3599));
    assert_eq!((call(&server, &token()).await.0, keys.hits()), (200, 1));
    server.clock.advance(SignedDuration::from_secs(2));
    assert_eq!((call(&server, &token()).await.0, keys.hits()), (200, 2));

    keys.fail();
    server.clock.advance(SignedDuration::from_secs(3601));
    for _ in 0..3 {
        assert_eq!(call(&server, &token()).await.0, 200);
    }
    assert_eq!(keys.hits(), 3);
    server.clock.advance(SignedDuration::from_hours(1));
    let unavailable = error("UNAVAILABLE", "The sign-in can't be verified now. Please try again.");
    for _ in 0..3 {
        assert_eq!(call(&server, &token()).await, (503, unavailable.clone()));
    }
    assert_eq!(keys.hits(), 4);
    keys.publish(&[&key]);
    server.clock.advance(SignedDuration::from_secs(11));
    assert_eq!(call(&server, &token()).await.0, 200);
}

#[tokio::test]
async fn a_key_server_that_never_answered_makes_no_token_bad_or_good() {
    let key = SigningKey::new("k1");
    let keys = KeyServer::start(&[&key]).await;
    keys.fail();
    let server = server(&keys, false).await;
    assert_eq!(call(&server, &format!("Bearer {}", key.sign(&claims()))).await.0, 503);
    // What is wrong by itself is refused without asking.
    let expired = key.sign(&with(claims(), "exp", Some(json!(NOW - 100))));
    assert_eq!(call(&server, &format!("Bearer {expired}")).await, refused());
    assert_eq!(keys.hits(), 1);
}

#[tokio::test]
async fn development_tokens_count_where_unsigned_ones_do() {
    let keys = KeyServer::start(&[]).await;
    let custom = Map::from_iter([("role".to_owned(), json!("admin"))]);
    let now = jiff::Timestamp::from_second(NOW).unwrap();
    let token = unsigned_token(PROJECT, "u7", Some("a@b.example"), custom, now).unwrap();
    let header = format!("Bearer {token}");
    let (status, body) = call(&server(&keys, true).await, &header).await;
    assert_eq!((status, &body["result"]["uid"]), (200, &json!("u7")));
    assert_eq!(call(&server(&keys, false).await, &header).await, refused());
    let reserved = Map::from_iter([("sub".to_owned(), json!("x"))]);
    assert!(unsigned_token(PROJECT, "u7", None, reserved, now).is_err());
    assert!(unsigned_token(PROJECT, "", None, Map::new(), now).is_err());
}

#[tokio::test]
async fn a_data_directorys_own_tokens_count_with_its_key_alone() {
    let keys = KeyServer::start(&[&SigningKey::new("k2")]).await;
    let directory = tempfile::tempdir().unwrap();
    let open = |name: &str| DevelopmentKey::open(&directory.path().join(name), &Context::system()).unwrap();
    let now = jiff::Timestamp::from_second(NOW).unwrap();
    let token = |key: &DevelopmentKey| key.token(PROJECT, "u7", None, Map::new(), now).unwrap();
    let (own, others) = (token(&open("own")), token(&open("other")));
    let server = |development: Option<DevelopmentKey>| {
        let id_tokens = IdTokens { development, ..id_tokens(&keys, false) };
        let callers = Callers {
            id_tokens,
            app_check: AppCheck::Off,
            signed_out: SignedOut::unlimited(),
            budgets: Budgets::unlimited(),
            sign_in: SignInRules::default(),
        };
        TestServer::with(Setup { callers, ..Setup::new() })
    };
    let with_key = server(Some(open("own"))).await;
    let (status, body) = call(&with_key, &format!("Bearer {own}")).await;
    assert_eq!((status, &body["result"]["uid"]), (200, &json!("u7")));
    let (message, _) = own.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    assert_eq!((&header["alg"], header["kid"].as_str().unwrap().len()), (&json!("HS256"), 32));
    // Everything that a forger can know is the key's name.
    let forge = |header: Value, secret: &[u8]| {
        let message = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header.to_string()));
        let key = EncodingKey::from_secret(secret);
        format!("{message}.{}", jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap())
    };
    let kid = header["kid"].clone();
    for (why, token) in [
        ("another directory's", others),
        ("unsigned", unsigned_token(PROJECT, "u7", None, Map::new(), now).unwrap()),
        ("no signature", format!("{message}.")),
        ("an empty secret", forge(header.clone(), b"")),
        ("the key's name as secret", forge(header.clone(), kid.as_str().unwrap().as_bytes())),
        ("no key ID", own.replacen(own.split('.').next().unwrap(), &URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#), 1)),
        ("another algorithm", forge(json!({"alg": "HS512", "kid": kid, "typ": "JWT"}), b"x")),
        (
            "the key's name under RS256",
            SigningKey::new("k1").sign_with(&json!({"alg": "RS256", "kid": kid}), &claims()),
        ),
    ] {
        assert_eq!(call(&with_key, &format!("Bearer {token}")).await, refused(), "{why}");
    }
    let without = server(None).await;
    assert_eq!(call(&without, &format!("Bearer {own}")).await, refused());
    // It's good for an hour, as any.
    with_key.clock.advance(SignedDuration::from_secs(3606));
    assert_eq!(call(&with_key, &format!("Bearer {own}")).await, refused());
}

fn app_claims() -> Value {
    json!({
        "iss": "https://firebaseappcheck.googleapis.com/123456",
        "aud": ["projects/123456", format!("projects/{PROJECT}")],
        "sub": "1:123456:web:abc",
        "iat": NOW - 60,
        "exp": NOW + 3600,
    })
}

async fn app_server(keys: &KeyServer, mode: fn(AppTokens) -> AppCheck) -> TestServer {
    let apps =
        AppTokens { projects: vec![PROJECT.to_owned()], apps: Vec::new(), keys: KeySource::new(&keys.url, http()) };
    let callers = Callers {
        id_tokens: id_tokens(keys, true),
        app_check: mode(apps),
        signed_out: SignedOut::unlimited(),
        budgets: Budgets::unlimited(),
        sign_in: SignInRules::default(),
    };
    TestServer::with(Setup { callers, ..Setup::new() }).await
}

async fn app_call(server: &TestServer, token: Option<&str>) -> (u16, Value) {
    let mut request = server.post("/echoBack").json(&json!({"data": null}));
    if let Some(token) = token {
        request = request.header("x-firebase-appcheck", token);
    }
    answer(request.send().await.unwrap()).await
}

#[tokio::test]
async fn app_check_is_enforced_monitored_or_off() {
    let key = SigningKey::new("k1");
    let keys = KeyServer::start(&[&key]).await;
    let off = app_server(&keys, |_| AppCheck::Off).await;
    let monitor = app_server(&keys, AppCheck::Monitor).await;
    let enforce = app_server(&keys, AppCheck::Enforce).await;
    let app = |answer: (u16, Value)| (answer.0, answer.1["result"]["app"].clone());

    for (server, seen) in
        [(&off, json!(null)), (&monitor, json!("1:123456:web:abc")), (&enforce, json!("1:123456:web:abc"))]
    {
        let header = json!({"alg": "RS256", "typ": "JWT"});
        for token in [key.sign(&app_claims()), key.sign_with(&header, &app_claims())] {
            assert_eq!(app(app_call(server, Some(&token)).await), (200, seen.clone()));
        }
    }
    let bad = [
        key.sign(&with(app_claims(), "aud", Some(json!(format!("projects/{PROJECT}"))))),
        key.sign(&with(app_claims(), "aud", Some(json!([PROJECT, "projects/other"])))),
        key.sign(&with(app_claims(), "iss", Some(json!("https://firebaseappcheck.example/1")))),
        key.sign(&with(app_claims(), "sub", Some(json!("")))),
        key.sign(&with(app_claims(), "exp", Some(json!(NOW - 60)))),
        key.sign(&with(app_claims(), "iat", Some(json!(NOW + 60)))),
        key.sign_with(&json!({"alg": "RS256", "kid": "k1"}), &app_claims()),
        key.sign_with(&json!({"alg": "RS256", "kid": "k2", "typ": "JWT"}), &app_claims()),
        SigningKey::new("k1").sign(&app_claims()),
        unsigned(&app_claims()),
        "rubbish".to_owned(),
    ];
    for token in bad.iter().map(|token| Some(token.as_str())).chain([None]) {
        assert_eq!(app(app_call(&off, token).await), (200, json!(null)));
        assert_eq!(app(app_call(&monitor, token).await), (200, json!(null)));
        assert_eq!(app_call(&enforce, token).await, refused());
    }
}

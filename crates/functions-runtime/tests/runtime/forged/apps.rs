//! Forged and broken App Check tokens.

use functions_runtime::auth::{AppCheck, AppTokens, Callers, IdTokens, KeySource};
use functions_runtime::budget::Budgets;
use functions_runtime::limits::SignedOut;
use functions_runtime::sign_in::SignInRules;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::{CANARY, Forge, Forged, Log, assert_tells_nothing, call, claims, raw, refused, with, without};
use crate::support::keys::{unsigned, unsigned_message};
use crate::support::world::{NOW, PROJECT, error, http};
use crate::support::{KeyServer, Setup, TestServer};

const HEADER: &str = "x-firebase-appcheck";

fn app() -> String {
    format!("1:123456:web:{CANARY}")
}

/// The claims of a good App Check token.
pub fn app_claims() -> Value {
    json!({
        "iss": "https://firebaseappcheck.googleapis.com/123456",
        "aud": ["projects/123456", format!("projects/{PROJECT}")],
        "sub": app(),
        "iat": NOW - 60,
        "exp": NOW + 3600,
    })
}

fn forged(name: impl Into<String>, token: impl AsRef<[u8]>) -> Forged {
    raw(name, [token.as_ref()])
}

fn corpus(forge: &Forge) -> Vec<Forged> {
    let good = app_claims();
    let signed = forge.key.sign(&good);
    let ours = format!("projects/{PROJECT}");
    let header = json!({"alg": "RS256", "kid": "k1", "typ": "JWT"});
    let mut all = Vec::new();
    for (name, value) in [
        ("iss", json!(null)),
        ("iss", json!("https://firebaseappcheck.googleapis.com/")),
        ("iss", json!("https://firebaseappcheck.googleapis.com")),
        ("iss", json!("http://firebaseappcheck.googleapis.com/123456")),
        ("iss", json!("https://FirebaseAppCheck.googleapis.com/123456")),
        ("iss", json!("https://firebaseappcheck.googleapis.com.evil.example/123456")),
        ("iss", json!("https://evil.example/https://firebaseappcheck.googleapis.com/123456")),
        ("iss", json!(format!("https://firebaseappcheck.googleapis.com/{PROJECT}"))),
        ("iss", json!("https://firebaseappcheck.googleapis.com/123456/")),
        ("iss", json!(format!("https://securetoken.google.com/{PROJECT}"))),
        ("iss", json!(["https://firebaseappcheck.googleapis.com/123456"])),
        ("aud", json!(null)),
        ("aud", json!([])),
        ("aud", json!(ours)),
        ("aud", json!(PROJECT)),
        ("aud", json!([PROJECT])),
        ("aud", json!(["projects/123456"])),
        ("aud", json!(["projects/other", "projects/"])),
        ("aud", json!([format!("{ours}/"), format!("x{ours}"), ours.to_uppercase()])),
        ("aud", json!([[ours]])),
        ("aud", json!({"0": ours})),
        ("sub", json!(null)),
        ("sub", json!("")),
        ("sub", json!(1)),
        ("sub", json!([app()])),
        ("exp", json!(null)),
        ("exp", json!(NOW - 5)),
        ("exp", json!((NOW + 3600).to_string())),
        ("exp", json!((NOW + 3600) * 1000)),
        ("exp", json!(1e308)),
        ("exp", json!(NOW + 8 * 24 * 3600)),
        ("iat", json!(NOW + 6)),
        ("nbf", json!(NOW + 6)),
    ] {
        let name_of = format!("{name} {value}");
        all.push(forged(name_of, forge.key.sign(&with(good.clone(), json!({name: value})))));
    }
    for name in ["iss", "aud", "sub", "exp"] {
        all.push(forged(format!("no {name}"), forge.key.sign(&without(good.clone(), name))));
    }
    for (name, change) in [
        ("no type", json!({"typ": null})),
        ("a type in small letters", json!({"typ": "jwt"})),
        ("another type", json!({"typ": "at+jwt"})),
        ("an unknown kid", json!({"kid": "k3"})),
        ("the issuer's other key's name", json!({"kid": "k2"})),
        ("a kid that is a number", json!({"kid": 1})),
        ("a kid that is null", json!({"kid": null})),
        ("alg RS384", json!({"alg": "RS384"})),
        ("alg none", json!({"alg": "none"})),
        ("crit", json!({"crit": ["exp"]})),
    ] {
        all.push(forged(name, forge.key.sign_with(&with(header.clone(), change), &good)));
    }
    let hs256 = unsigned_message(&json!({"alg": "HS256", "typ": "JWT"}), &good);
    let secret = EncodingKey::from_secret(forge.key.public_der());
    let hs256_signature = jsonwebtoken::crypto::sign(hs256.as_bytes(), &secret, Algorithm::HS256).unwrap();
    let sub = format!("\"sub\":\"{}\"", app());
    let doubled = good.to_string().replace(&sub, &format!("\"sub\":\"x\",{sub}"));
    let service = json!({
        "iss": "https://accounts.google.com", "aud": "https://functions.example", "sub": "1122334455",
        "email": "a@b.example", "email_verified": true, "iat": NOW - 10, "exp": NOW + 3590,
    });
    for (name, token) in [
        ("another key of that name", forge.own.sign(&good)),
        ("another key and no name", forge.own.sign_with(&json!({"alg": "RS256", "typ": "JWT"}), &good)),
        ("HS256 with the public key", format!("{hs256}.{hs256_signature}")),
        ("unsigned", unsigned(&good)),
        ("two subs", forge.key.sign_text(header.to_string(), doubled)),
        ("no signature", signed[..=signed.rfind('.').unwrap()].to_owned()),
        ("cut", signed[..signed.len() - 1].to_owned()),
        ("four parts", format!("{signed}.x")),
        ("a bearer's", format!("Bearer {signed}")),
        ("two joined", format!("{signed}, {signed}")),
        ("an ID token", forge.key.sign(&claims())),
        ("an ID token of the emulator", unsigned(&claims())),
        ("a service's token", forge.key.sign(&service)),
        ("a debug token", format!("{CANARY}-8e1b-4c5e-9d7a")),
        ("empty", String::new()),
        ("rubbish", "rubbish".to_owned()),
    ] {
        all.push(forged(name, token));
    }
    all.push(forged("not UTF-8", [signed.as_bytes(), b"\xff"].concat()));
    all.push(raw("two headers, good first", [signed.clone(), "x".to_owned()]));
    all.push(raw("two headers, bad first", ["x".to_owned(), signed.clone()]));
    all.push(raw("two headers, both good", [signed.clone(), signed]));
    all
}

async fn server(keys: &KeyServer, apps: &[&str], mode: fn(AppTokens) -> AppCheck) -> TestServer {
    let source = || KeySource::new(&keys.url, http());
    let id_tokens =
        IdTokens { projects: vec![PROJECT.to_owned()], keys: source(), allow_unsigned: true, development: None };
    let apps = apps.iter().map(|app| (*app).to_owned()).collect();
    let app_check = mode(AppTokens { projects: vec![PROJECT.to_owned()], apps, keys: source() });
    TestServer::with(Setup {
        callers: Callers {
            id_tokens,
            app_check,
            signed_out: SignedOut::unlimited(),
            budgets: Budgets::unlimited(),
            sign_in: SignInRules::default(),
        },
        ..Setup::new()
    })
    .await
}

/// How often a call's token was worth that.
fn counted(server: &TestServer, outcome: &str) -> u64 {
    let line = format!(r#"function_app_check_total{{outcome="{outcome}",function="echoBack"}} "#);
    let text = server.runtime.metrics().render();
    text.lines().find_map(|found| found.strip_prefix(&line)).map_or(0, |count| count.parse().unwrap())
}

const OUTCOMES: [&str; 4] = ["good", "bad", "missing", "unchecked"];

#[tokio::test]
async fn no_forgery_is_taken_for_an_app() {
    let log = Log::start();
    let forge = Forge::new().await;
    let keys = forge.issuer().await;
    let off = server(&keys, &[], |_| AppCheck::Off).await;
    let monitor = server(&keys, &[], AppCheck::Monitor).await;
    let enforce = server(&keys, &[], AppCheck::Enforce).await;
    let corpus = corpus(&forge);
    let nobody = |answer: &(u16, Value)| answer.0 == 200 && answer.1["result"]["app"] == json!(null);
    for forgery in &corpus {
        let before = log.text().len();
        for (mode, lets_through) in [(&off, true), (&monitor, true), (&enforce, false)] {
            let answer = call(mode, HEADER, &forgery.headers).await;
            assert!(if lets_through { nobody(&answer) } else { answer == refused() }, "{}: {answer:?}", forgery.name);
            assert_tells_nothing(&answer.1.to_string(), forgery);
        }
        let logged = log.text().split_off(before);
        assert_eq!(logged.matches("an App Check token doesn't count").count(), 1, "{}: {logged}", forgery.name);
        assert_tells_nothing(&logged, forgery);
    }
    assert!(corpus.len() >= 15);
    let forgeries = corpus.len() as u64;
    assert_eq!(OUTCOMES.map(|outcome| counted(&off, outcome)), [0; 4]);
    for server in [&monitor, &enforce] {
        assert_eq!(OUTCOMES.map(|outcome| counted(server, outcome)), [0, forgeries, 0, 0]);
    }
    assert!(!enforce.world.noted().contains(&"echo".to_owned()));
    assert_eq!(monitor.world.noted().len(), corpus.len());

    // A good one names its app, whichever of the keys signed it, with and without that key's ID.
    let before = log.text().len();
    for token in [
        forge.key.sign(&app_claims()),
        forge.second.sign(&app_claims()),
        forge.key.sign_with(&json!({"alg": "RS256", "typ": "JWT"}), &app_claims()),
        forge.second.sign_with(&json!({"alg": "RS256", "typ": "JWT"}), &app_claims()),
        // They may be good for a week.
        forge.key.sign(&with(app_claims(), json!({"exp": NOW + 7 * 24 * 3600}))),
    ] {
        for server in [&monitor, &enforce] {
            let answer = call(server, HEADER, &[token.clone().into_bytes()]).await;
            assert_eq!((answer.0, &answer.1["result"]["app"]), (200, &json!(app())));
        }
        assert_tells_nothing(&log.text()[before..], &forged("good", token));
    }
    assert!(nobody(&call(&monitor, HEADER, &[]).await));
    assert_eq!(call(&enforce, HEADER, &[]).await, refused());
    for server in [&monitor, &enforce] {
        assert_eq!(OUTCOMES.map(|outcome| counted(server, outcome)), [5, forgeries, 1, 0]);
    }
    // Once for each server that looks, however many tokens came; nothing from where a token says.
    assert_eq!((keys.hits(), forge.server.hits()), (2, 0));
}

#[tokio::test]
async fn only_the_apps_that_are_listed_may_call() {
    let forge = Forge::new().await;
    let keys = forge.issuer().await;
    let listed = app();
    let enforce = server(&keys, &["1:123456:ios:other", &listed], AppCheck::Enforce).await;
    let monitor = server(&keys, &[&listed], AppCheck::Monitor).await;
    let token = |app: &str| forge.key.sign(&with(app_claims(), json!({"sub": app}))).into_bytes();
    assert_eq!(call(&enforce, HEADER, &[token(&listed)]).await.1["result"]["app"], json!(listed));
    assert_eq!(call(&enforce, HEADER, &[token("1:123456:ios:other")]).await.0, 200);
    for other in ["1:123456:web:other", "1:123456:ios:", &listed.to_uppercase(), &format!("{listed},")] {
        assert_eq!(call(&enforce, HEADER, &[token(other)]).await, refused(), "{other}");
        assert_eq!(call(&monitor, HEADER, &[token(other)]).await.1["result"]["app"], json!(null), "{other}");
    }
    assert_eq!([counted(&enforce, "bad"), counted(&monitor, "bad")], [4; 2]);
}

#[tokio::test]
async fn without_keys_a_token_is_neither_good_nor_bad() {
    let forge = Forge::new().await;
    let keys = forge.issuer().await;
    keys.fail();
    let monitor = server(&keys, &[], AppCheck::Monitor).await;
    let enforce = server(&keys, &[], AppCheck::Enforce).await;
    let token = [forge.key.sign(&app_claims()).into_bytes()];
    let unavailable = error("UNAVAILABLE", "The sign-in can't be verified now. Please try again.");
    for _ in 0..3 {
        assert_eq!(call(&monitor, HEADER, &token).await.1["result"]["app"], json!(null));
        assert_eq!(call(&enforce, HEADER, &token).await, (503, unavailable.clone()));
    }
    for server in [&monitor, &enforce] {
        assert_eq!(OUTCOMES.map(|outcome| counted(server, outcome)), [0, 0, 0, 3]);
    }
    assert_eq!(keys.hits(), 2);
}

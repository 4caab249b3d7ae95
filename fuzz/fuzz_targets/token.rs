//! Tokens: three lines (header, claims, signature) that are put together as one, or else a token as it is. Nothing is
//! signed, so nobody may get in but by an emulator's token where those count.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use roar_functions::fuzzing::{keys, token};
use roar_functions::runtime::auth::{AppTokens, IdTokens, KeySource, Rejection, ServiceTokens};
use roar_functions_fuzz::{mutate_json, now, ready};
use serde_json::Value as Json;

/// A key whose other half nobody has.
const MODULUS: &str = "q5XPfj18Z_qW88r4iwilBOztPcdzlHKIlTs0r4dQ5uzX93W_NESqCaswf8uqVWYB0zbuk3STj0_DIn8ztz_8lzCRK7-4M18qE35PJQpr\
    UgPfGOAsqZKpk-aasB-1WEUkkXMucrL8HtSaUQnpTkbynz7C84WaIw-KO3e8dwNWu4E-YwILaTqnnR1KmZrSKSmiNRVRivp3dJU05Fj3qOZdZZake\
    ozbyLRPxZjOtR99PJlG6GhBkJ_9bL7wTS8U-MTMlBvk7vMPDu1-awxsKqqrzM5eJgOT50HDT-M-WGtLpQvIcg_wnncjYLzgIgQ5sOh2jBtz5fxQ7A\
    PDEWArC-SuLQ";

fn some_keys() -> KeySource {
    keys("k1", MODULUS, "AQAB", now()).expect("a key")
}

fn id_tokens(allow_unsigned: bool) -> IdTokens {
    IdTokens { projects: vec!["p".to_owned()], keys: some_keys(), allow_unsigned, development: None }
}

static SIGNED: LazyLock<IdTokens> = LazyLock::new(|| id_tokens(false));
static UNSIGNED: LazyLock<IdTokens> = LazyLock::new(|| id_tokens(true));
static APPS: LazyLock<AppTokens> =
    LazyLock::new(|| AppTokens { projects: vec!["p".to_owned()], apps: Vec::new(), keys: some_keys() });
static SERVICES: LazyLock<ServiceTokens> = LazyLock::new(|| ServiceTokens {
    audiences: vec!["https://roar.example".to_owned()],
    accounts: vec!["events@p.iam.gserviceaccount.com".to_owned()],
    keys: some_keys(),
});

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| { mutate_json(data, size, most, seed) });

fuzz_target!(|bytes: &[u8]| {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let text = match lines[..] {
        [header, claims, signature] => [header, claims, signature].map(|part| URL_SAFE_NO_PAD.encode(part)).join("."),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    };
    let parts = token(&text);
    assert_eq!(parts, token(&text));

    for refused in [
        ready(SIGNED.verify(&text, now())).map(drop),
        ready(APPS.verify(&text, now())).map(drop),
        ready(SERVICES.verify(&text, now())),
    ] {
        let why = refused.expect_err("nothing is signed");
        assert!(!matches!(why, Rejection::KeysUnavailable(_)));
    }
    let unsigned = ready(UNSIGNED.verify(&text, now()));
    let Ok(parts) = parts else { return assert!(unsigned.is_err()) };
    assert_eq!(text.split('.').count(), 3);
    if let Ok(caller) = unsigned {
        assert!(parts.is_unsigned && parts.alg == "none" && parts.kid.is_none() && text.ends_with('.'));
        assert_eq!(caller.project, "p");
        assert_eq!(parts.claims.get("sub"), Some(&Json::from(caller.uid.as_str())));
        assert!((1..=128).contains(&caller.uid.chars().count()));
        assert!(parts.claims["exp"].as_i64().is_some_and(|expiry| expiry + 5 > now().as_second()));
    }
});

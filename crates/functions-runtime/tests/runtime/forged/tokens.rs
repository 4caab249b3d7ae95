//! Forged ID tokens by what they claim: algorithms, keys, claims, and tokens of another kind.

use aws_lc_rs::signature::{RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::{CANARY, Forge, Forged, claims as good_claims, forged, header, with, without};
use crate::support::keys::{unsigned, unsigned_message};
use crate::support::world::{NOW, PROJECT};

/// The public key in the forms that a library might take for a secret.
fn public_keys(forge: &Forge) -> Vec<(&'static str, Vec<u8>)> {
    let pkcs1 = forge.key.public_der();
    // SubjectPublicKeyInfo is the same key with a header: a sequence, rsaEncryption, a bit string.
    let mut spki = vec![0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01];
    spki.extend([0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00]);
    spki.extend(pkcs1);
    let pem = |label: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")).into_bytes()
    };
    let modulus = forge.key.jwk()["n"].as_str().unwrap().as_bytes().to_vec();
    vec![
        ("PEM", pem("PUBLIC KEY", &spki)),
        ("PKCS#1 PEM", pem("RSA PUBLIC KEY", pkcs1)),
        ("DER", spki),
        ("PKCS#1 DER", pkcs1.to_vec()),
        ("modulus", URL_SAFE_NO_PAD.decode(&modulus).unwrap()),
        ("modulus as text", modulus),
        ("JWK", forge.key.jwk().to_string().into_bytes()),
        ("empty secret", Vec::new()),
    ]
}

pub fn algorithms(forge: &Forge) -> Vec<Forged> {
    let good = good_claims();
    let message = |alg: &str| unsigned_message(&with(header(), json!({"alg": alg})), &good);
    let mut all = vec![
        Forged { is_unsigned: true, ..forged("unsigned", unsigned(&good)) },
        forged("alg none, but a kid", format!("{}.", message("none"))),
        forged("alg none, but a signature", forge.key.sign_with(&json!({"alg": "none", "typ": "JWT"}), &good)),
        forged("alg none, a kid and a signature", forge.key.sign_with(&with(header(), json!({"alg": "none"})), &good)),
        forged("no signature", format!("{}.", message("RS256"))),
        forged("no alg", forge.key.sign_with(&without(header(), "alg"), &good)),
        forged("no alg, no signature", format!("{}.", unsigned_message(&json!({"typ": "JWT"}), &good))),
    ];
    for alg in ["None", "NONE", "nOnE", "none ", ""] {
        let token = unsigned_message(&json!({"alg": alg, "typ": "JWT"}), &good);
        all.push(forged(format!("alg {alg:?}, unsigned"), format!("{token}.")));
    }
    for alg in [json!(null), json!(256), json!(["RS256"]), json!({"RS256": true}), json!(true)] {
        all.push(forged(format!("alg {alg}"), forge.key.sign_with(&with(header(), json!({"alg": alg})), &good)));
    }
    for alg in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "HS256", "rs256", "RS256 ", "RSA-SHA256"] {
        let token = forge.key.sign_with(&with(header(), json!({"alg": alg})), &good);
        all.push(forged(format!("alg {alg:?} over an RS256 signature"), token));
    }
    for (name, secret) in public_keys(forge) {
        for (alg, algorithm) in [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)]
        {
            let message = message(alg);
            let secret = EncodingKey::from_secret(&secret);
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &secret, algorithm).unwrap();
            all.push(forged(format!("{alg} with the public key as secret: {name}"), format!("{message}.{signature}")));
            // The same signature, called what it isn't.
            let lie = self::lie(&good);
            let signature = jsonwebtoken::crypto::sign(lie.as_bytes(), &secret, algorithm).unwrap();
            all.push(forged(format!("{alg} with {name}, called RS256"), format!("{lie}.{signature}")));
        }
    }
    let encodings: [(&str, &'static dyn RsaEncoding); 3] =
        [("PS256", &RSA_PSS_SHA256), ("RS384", &RSA_PKCS1_SHA384), ("RS512", &RSA_PKCS1_SHA512)];
    for (alg, encoding) in encodings {
        for (claimed, message) in [(alg, message(alg)), ("RS256", lie(&good))] {
            let signature = URL_SAFE_NO_PAD.encode(forge.key.signature(encoding, &message));
            all.push(forged(format!("{alg} called {claimed}"), format!("{message}.{signature}")));
        }
    }
    all
}

/// What a token says that claims to be signed properly.
fn lie(claims: &Value) -> String {
    unsigned_message(&header(), claims)
}

pub fn keys(forge: &Forge) -> Vec<Forged> {
    let good = good_claims();
    let mut all = vec![
        forged("another key of that name", forge.own.sign(&good)),
        forged("the issuer's other key", forge.second.sign_with(&header(), &good)),
        forged("the issuer's other key's name", forge.key.sign_with(&with(header(), json!({"kid": "k2"})), &good)),
        forged("no kid", forge.key.sign_with(&without(header(), "kid"), &good)),
    ];
    let url = forge.server.url.as_str();
    for kid in [
        json!("k3"),
        json!("K1"),
        json!(" k1"),
        json!("k1\u{0}"),
        json!(""),
        json!(null),
        json!(1),
        json!(["k1"]),
        json!({"k1": "k1"}),
        json!("../../../../dev/null"),
        json!("/dev/null"),
        json!(url),
        json!("k1' or '1'='1"),
        json!("k1;curl${IFS}evil.example"),
        json!("x".repeat(20_000)),
    ] {
        let name: String = kid.to_string().chars().take(40).collect();
        for (whose, key) in [("the", &forge.key), ("a forger's", &forge.own)] {
            // Only what the kid says is wrong, then everything.
            let token = key.sign_with(&with(header(), json!({"kid": kid})), &good);
            all.push(forged(format!("kid {name}, {whose} key"), token));
        }
    }
    for (name, value) in [
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("jwk", forge.own.jwk()),
        ("x5c", json!([STANDARD.encode(forge.own.public_der())])),
        ("x5t", json!("YWJj")),
    ] {
        let other = with(header(), json!({name: value}));
        all.push(forged(name, forge.own.sign_with(&other, &good)));
        all.push(forged(format!("{name}, no kid"), forge.own.sign_with(&without(other.clone(), "kid"), &good)));
        let unknown = with(other, json!({"kid": "forged"}));
        all.push(forged(format!("{name}, unknown kid"), forge.own.sign_with(&unknown, &good)));
    }
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!(null)] {
        let header = with(header(), json!({"crit": crit, "b64": true, "exp": 1}));
        all.push(forged(format!("crit {crit}"), forge.key.sign_with(&header, &good)));
    }
    all
}

/// Claims that are wrong, with a good signature and with none.
pub fn claims(forge: &Forge) -> Vec<Forged> {
    let issuer = format!("https://securetoken.google.com/{PROJECT}");
    let wrong = [
        ("aud", json!(null)),
        ("aud", json!("")),
        ("aud", json!("other-project")),
        ("aud", json!(format!("{PROJECT} "))),
        ("aud", json!(PROJECT.to_uppercase())),
        ("aud", json!([PROJECT])),
        ("aud", json!([PROJECT, "other-project"])),
        ("aud", json!({PROJECT: true})),
        ("aud", json!(123456789)),
        ("aud", json!("123456789")),
        ("aud", json!(format!("projects/{PROJECT}"))),
        ("iss", json!(null)),
        ("iss", json!(format!("{issuer}/"))),
        ("iss", json!("https://securetoken.google.com/other-project")),
        ("iss", json!("https://securetoken.google.com/")),
        ("iss", json!(issuer.to_uppercase())),
        ("iss", json!(issuer.replace("google", "Google"))),
        ("iss", json!(issuer.replace("https", "http"))),
        ("iss", json!(issuer.replace("https://", ""))),
        ("iss", json!(format!("{issuer}?x"))),
        ("iss", json!(format!("https://evil.example/{issuer}"))),
        ("iss", json!(format!("https://securetoken.google.com.evil.example/{PROJECT}"))),
        ("iss", json!(format!("https://session.firebase.google.com/{PROJECT}"))),
        ("iss", json!([issuer])),
        ("sub", json!(null)),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!("x".repeat(129))),
        ("sub", json!("ü".repeat(129))),
        ("sub", json!({"uid": CANARY})),
        ("sub", json!([CANARY])),
        ("sub", json!(true)),
        ("exp", json!(null)),
        ("exp", json!(NOW - 3600)),
        ("exp", json!(NOW - 5)),
        ("exp", json!((NOW + 3600).to_string())),
        ("exp", json!("never")),
        ("exp", json!("Infinity")),
        ("exp", json!("")),
        ("exp", json!(-1)),
        ("exp", json!(i64::MIN)),
        ("exp", json!(i64::MAX)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(0)),
        ("exp", json!(1e308)),
        ("exp", json!(NOW as f64 + 3540.5)),
        // Milliseconds, as JavaScript counts.
        ("exp", json!((NOW + 3540) * 1000)),
        ("exp", json!(NOW + 366 * 24 * 3600)),
        ("exp", json!([NOW + 3540])),
        ("exp", json!({"seconds": NOW + 3540})),
        ("exp", json!(true)),
        ("iat", json!(NOW + 6)),
        ("iat", json!(NOW + 3600)),
        ("iat", json!((NOW - 60).to_string())),
        ("iat", json!(null)),
        ("iat", json!(-1e308)),
        ("auth_time", json!(NOW + 6)),
        ("auth_time", json!("yesterday")),
        ("auth_time", json!(null)),
        ("nbf", json!(NOW + 6)),
        ("nbf", json!("now")),
    ];
    let mut all = Vec::new();
    for (name, value) in wrong {
        let claims = with(good_claims(), json!({name: value}));
        let what: String = value.to_string().chars().take(60).collect();
        all.push(forged(format!("{name} {what}"), forge.key.sign(&claims)));
        all.push(forged(format!("unsigned, {name} {what}"), unsigned(&claims)));
    }
    for name in ["aud", "iss", "sub", "exp"] {
        let claims = without(good_claims(), name);
        all.push(forged(format!("no {name}"), forge.key.sign(&claims)));
        all.push(forged(format!("unsigned, no {name}"), unsigned(&claims)));
    }
    all.push(forged("no iat", forge.key.sign(&without(good_claims(), "iat"))));
    all.push(forged("no claims", forge.key.sign(&json!({}))));
    all
}

/// Tokens that are good, for something else. The keys are the same here; Google's aren't.
pub fn kinds(forge: &Forge) -> Vec<Forged> {
    let account = format!("firebase-adminsdk-{CANARY}@{PROJECT}.iam.gserviceaccount.com");
    let toolkit = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit";
    let custom = json!({
        "iss": account, "sub": account, "aud": toolkit, "uid": CANARY, "iat": NOW - 60, "exp": NOW + 3540,
        "claims": {"super_admin": true},
    });
    let session = with(good_claims(), json!({"iss": format!("https://session.firebase.google.com/{PROJECT}")}));
    let app_check = json!({
        "iss": "https://firebaseappcheck.googleapis.com/123456",
        "aud": ["projects/123456", format!("projects/{PROJECT}")],
        "sub": "1:123456:web:abc", "iat": NOW - 60, "exp": NOW + 3600,
    });
    let service = json!({
        "iss": "https://accounts.google.com", "aud": "https://functions.example", "sub": "1122334455",
        "email": account, "email_verified": true, "iat": NOW - 10, "exp": NOW + 3590,
    });
    let google = with(service.clone(), json!({"aud": PROJECT, "azp": PROJECT}));
    let blocking = with(
        good_claims(),
        json!({
            "aud": format!("https://us-central1-{PROJECT}.cloudfunctions.net/beforecreated"),
            "event_type": "beforeCreate", "event_id": CANARY,
        }),
    );
    let mut all = Vec::new();
    for (name, claims) in [
        ("a custom token", custom),
        ("a session cookie", session),
        ("an App Check token", app_check),
        ("an OIDC token of a service", service),
        ("an ID token of Google's own", google),
        ("a blocking function's token", blocking),
    ] {
        all.push(forged(name, forge.key.sign(&claims)));
        all.push(forged(
            format!("{name}, no kid"),
            forge.key.sign_with(&json!({"alg": "RS256", "typ": "JWT"}), &claims),
        ));
        all.push(forged(format!("{name}, unsigned"), unsigned(&claims)));
    }
    all.push(forged("the emulator's owner", "owner"));
    all.push(forged("an access token", format!("ya29.{CANARY}")));
    all.push(forged("a refresh token", format!("AMf-{CANARY}-vBx")));
    all
}

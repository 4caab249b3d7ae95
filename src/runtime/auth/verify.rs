//! The rules that each kind of token must keep.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::jwt::{Jwt, Rejection};
use super::keys::KeySource;
use crate::runtime::function::Caller;

const APP_CHECK_ISSUER: &str = "https://firebaseappcheck.googleapis.com/";
const GOOGLE_ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// Firebase ID tokens.
pub struct IdTokens {
    /// The projects whose users may call.
    pub projects: Vec<String>,
    /// Google's keys.
    pub keys: KeySource,
    /// True when the unsigned tokens of the Auth emulator and of development count.
    pub allow_unsigned: bool,
}

impl IdTokens {
    /// Who the token is of, if it holds.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Caller, Rejection> {
        let jwt = Jwt::parse(token)?;
        let unsigned = self.allow_unsigned && jwt.is_unsigned();
        if !unsigned {
            jwt.is_rs256()?;
        }
        let audience = jwt.text("aud")?;
        if !self.projects.iter().any(|project| project == audience) {
            return Err(Rejection::Claim("aud"));
        }
        if jwt.text("iss")? != format!("https://securetoken.google.com/{audience}") {
            return Err(Rejection::Claim("iss"));
        }
        let uid = jwt.text("sub")?;
        if uid.is_empty() || uid.chars().count() > 128 {
            return Err(Rejection::Claim("sub"));
        }
        jwt.check_expiry(now)?;
        jwt.check_past("iat", now, unsigned)?;
        jwt.check_past("auth_time", now, true)?;
        jwt.check_past("nbf", now, true)?;
        if !unsigned {
            jwt.check_signature(&self.keys, now, false).await?;
        }
        Ok(Caller { uid: uid.to_owned(), project: audience.to_owned(), claims: jwt.claims })
    }
}

/// App Check tokens.
pub struct AppTokens {
    /// The projects whose apps may call.
    pub projects: Vec<String>,
    /// The IDs of the apps that may call; empty for any of the projects'.
    pub apps: Vec<String>,
    /// App Check's keys.
    pub keys: KeySource,
}

impl AppTokens {
    /// Which app the token is of, if it holds.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<String, Rejection> {
        let jwt = Jwt::parse(token)?;
        jwt.is_rs256()?;
        if jwt.typ.as_deref() != Some("JWT") {
            return Err(Rejection::Malformed);
        }
        // The issuer is named after the project's number, which no setting of ours knows.
        let number = jwt.text("iss")?.strip_prefix(APP_CHECK_ISSUER).unwrap_or_default();
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Rejection::Claim("iss"));
        }
        // Always a list: the project by its ID and by its number.
        let audiences = jwt.claims.get("aud").and_then(Value::as_array).ok_or(Rejection::Claim("aud"))?;
        let is_ours = |audience: &Value| {
            let project = audience.as_str().and_then(|audience| audience.strip_prefix("projects/"));
            project.is_some_and(|project| self.projects.iter().any(|ours| ours == project))
        };
        if !audiences.iter().any(is_ours) {
            return Err(Rejection::Claim("aud"));
        }
        let app = jwt.text("sub")?;
        if app.is_empty() {
            return Err(Rejection::Claim("sub"));
        }
        if !self.apps.is_empty() && !self.apps.iter().any(|ours| ours == app) {
            return Err(Rejection::App);
        }
        jwt.check_expiry(now)?;
        jwt.check_past("iat", now, true)?;
        jwt.check_past("nbf", now, true)?;
        jwt.check_signature(&self.keys, now, true).await?;
        Ok(app.to_owned())
    }
}

/// The OIDC tokens with which Eventarc and Cloud Tasks call.
pub struct ServiceTokens {
    /// The audiences that mean this server.
    pub audiences: Vec<String>,
    /// The e-mail addresses of the service accounts that may call.
    pub accounts: Vec<String>,
    /// Google's keys.
    pub keys: KeySource,
}

impl ServiceTokens {
    /// Fails unless one of the service accounts made the token for this server.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<(), Rejection> {
        let jwt = Jwt::parse(token)?;
        jwt.is_rs256()?;
        if !GOOGLE_ISSUERS.contains(&jwt.text("iss")?) {
            return Err(Rejection::Claim("iss"));
        }
        let audience = jwt.text("aud")?;
        if !self.audiences.iter().any(|ours| ours == audience) {
            return Err(Rejection::Claim("aud"));
        }
        let account = jwt.text("email")?;
        if !self.accounts.iter().any(|known| known == account) {
            return Err(Rejection::Claim("email"));
        }
        if jwt.claims.get("email_verified") != Some(&Value::Bool(true)) {
            return Err(Rejection::Claim("email_verified"));
        }
        jwt.check_expiry(now)?;
        jwt.check_past("iat", now, false)?;
        jwt.check_past("nbf", now, true)?;
        jwt.check_signature(&self.keys, now, false).await
    }
}

/// Claims that a token's maker sets itself.
const RESERVED: [&str; 17] = [
    "acr",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "c_hash",
    "cnf",
    "exp",
    "firebase",
    "iat",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "sub",
    "user_id",
];

/// Makes an unsigned ID token like those of the Auth emulator, good for an hour. Fails with the name
/// of a claim that can't be chosen.
pub fn development_token(
    project: &str,
    uid: &str,
    email: Option<&str>,
    claims: Map<String, Value>,
    now: Timestamp,
) -> Result<String, String> {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    if let Some(reserved) = claims.keys().find(|name| RESERVED.contains(&name.as_str())) {
        return Err(format!("the claim {reserved:?} is reserved"));
    }
    if uid.is_empty() || uid.chars().count() > 128 {
        return Err("a UID has 1 to 128 characters".to_owned());
    }
    let seconds = now.as_second();
    let mut payload = claims;
    let identities = match email {
        Some(email) => serde_json::json!({"email": [email]}),
        None => serde_json::json!({}),
    };
    let provider = if email.is_some() { "password" } else { "custom" };
    for (name, value) in [
        ("iss", Value::from(format!("https://securetoken.google.com/{project}"))),
        ("aud", Value::from(project)),
        ("sub", Value::from(uid)),
        ("user_id", Value::from(uid)),
        ("auth_time", Value::from(seconds)),
        ("iat", Value::from(seconds)),
        ("exp", Value::from(seconds + 3600)),
        ("firebase", serde_json::json!({"identities": identities, "sign_in_provider": provider})),
    ] {
        payload.insert(name.to_owned(), value);
    }
    if let Some(email) = email {
        payload.insert("email".to_owned(), Value::from(email));
        payload.insert("email_verified".to_owned(), Value::Bool(true));
    }
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let payload = URL_SAFE_NO_PAD.encode(Value::Object(payload).to_string());
    Ok(format!("{header}.{payload}."))
}

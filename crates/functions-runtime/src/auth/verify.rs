//! Verification of each kind of token.

use jiff::Timestamp;
use serde_json::Value;

use super::development::DevelopmentKey;
use super::jwt::{Jwt, Rejection};
use super::keys::KeySource;
use crate::function::Caller;
use crate::sign_in::SignIn;

const APP_CHECK_ISSUER: &str = "https://firebaseappcheck.googleapis.com/";
const GOOGLE_ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];

/// Firebase ID tokens.
pub struct IdTokens {
    /// The projects whose users may call.
    pub projects: Vec<String>,
    /// Google's keys.
    pub keys: KeySource,
    /// True when the unsigned tokens of the Auth emulator count.
    pub allow_unsigned: bool,
    /// The key of the development tokens that count, if any do.
    pub development: Option<DevelopmentKey>,
}

/// How a token is proven to be authentic.
#[derive(Clone, Copy)]
enum Proof<'a> {
    /// The signature of one of Google's keys.
    Google,
    /// That of the data directory's key.
    Development(&'a DevelopmentKey),
    /// None is needed.
    Unsigned,
}

impl IdTokens {
    /// The user that the token was issued to. Fails when the token isn't valid at `now`.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Caller, Rejection> {
        let jwt = Jwt::parse(token)?;
        let proof = match &self.development {
            Some(key) if DevelopmentKey::is_for(&jwt) => Proof::Development(key),
            _ if self.allow_unsigned && jwt.is_unsigned() => Proof::Unsigned,
            _ => {
                jwt.is_rs256()?;
                Proof::Google
            }
        };
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
        jwt.check_past("iat", now, matches!(proof, Proof::Unsigned))?;
        jwt.check_past("auth_time", now, true)?;
        jwt.check_past("nbf", now, true)?;
        match proof {
            Proof::Google => jwt.check_signature(&self.keys, now, false).await?,
            Proof::Development(key) => key.check(&jwt)?,
            Proof::Unsigned => {}
        }
        Ok(Caller { uid: uid.to_owned(), project: audience.to_owned(), claims: jwt.claims, sign_in: SignIn::default() })
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
    /// The app that the token was issued to. Fails when the token isn't valid at `now`.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<String, Rejection> {
        let jwt = Jwt::parse(token)?;
        jwt.is_rs256()?;
        if jwt.typ.as_deref() != Some("JWT") {
            return Err(Rejection::Malformed);
        }
        // The issuer is named after the project's number, which isn't configured.
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
    /// The audiences by which tokens mean this server.
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

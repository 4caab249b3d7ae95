//! JSON Web Tokens: taken apart here, so that a token's own header never chooses how it's checked.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};
use thiserror::Error;

use super::keys::{KeyError, KeySource};

/// How far the clocks of two machines may be apart, in seconds.
const LEEWAY: f64 = 5.0;
/// Tokens longer than this are no tokens. Google's stay below 4 KiB.
const MAX_LENGTH: usize = 32 * 1024;

/// Why a token doesn't count. The texts repeat nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// Not three base64url parts with JSON objects in the first two.
    #[error("it's no JSON Web Token")]
    Malformed,
    /// Not signed the only way that counts here.
    #[error("its algorithm isn't the expected one")]
    Algorithm,
    /// The claim is missing or says something else than it must.
    #[error("its claim {0} isn't as it must be")]
    Claim(&'static str),
    /// `exp` has passed.
    #[error("it has expired")]
    Expired,
    /// No key of that ID.
    #[error("no key has its key ID")]
    UnknownKey,
    /// The signature isn't that of the key.
    #[error("its signature is wrong")]
    Signature,
    /// No token counts here.
    #[error("nobody may deliver here")]
    Closed,
    /// The keys can't be had now: says nothing of the token.
    #[error("the keys to check it can't be had: {0}")]
    KeysUnavailable(String),
}

/// A token taken apart. Nothing in it is to be trusted before its signature is checked.
pub struct Jwt<'a> {
    pub alg: String,
    pub typ: Option<String>,
    pub kid: Option<String>,
    pub claims: Map<String, Value>,
    message: &'a str,
    signature: &'a str,
}

impl<'a> Jwt<'a> {
    /// Takes a token apart.
    pub fn parse(token: &'a str) -> Result<Self, Rejection> {
        if token.len() > MAX_LENGTH {
            return Err(Rejection::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Rejection::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Rejection::Malformed)?;
        let header = json_object(header)?;
        // An extension that must be understood is one that isn't understood here.
        if header.contains_key("crit") {
            return Err(Rejection::Malformed);
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Jwt {
            alg: text("alg").ok_or(Rejection::Algorithm)?,
            typ: text("typ"),
            kid: text("kid"),
            claims: json_object(claims)?,
            message,
            signature,
        })
    }

    /// True for `alg: none` with no signature, as emulators make tokens.
    pub fn is_unsigned(&self) -> bool {
        self.alg == "none" && self.signature.is_empty()
    }

    /// Fails unless the header says RS256: the only algorithm that any of our issuers uses.
    pub fn is_rs256(&self) -> Result<(), Rejection> {
        if self.alg == "RS256" { Ok(()) } else { Err(Rejection::Algorithm) }
    }

    /// Checks the RS256 signature with the key of the token's ID. With `any_key`, a token without a
    /// key ID may have been signed with any of the keys.
    pub async fn check_signature(&self, keys: &KeySource, now: Timestamp, any_key: bool) -> Result<(), Rejection> {
        self.is_rs256()?;
        let candidates = match &self.kid {
            Some(kid) => vec![keys.key(kid, now).await?],
            None if any_key => keys.all(now).await?,
            None => return Err(Rejection::UnknownKey),
        };
        let signed_by = |key: &DecodingKey| {
            jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), key, Algorithm::RS256)
                .unwrap_or(false)
        };
        if candidates.iter().any(|key| signed_by(key)) { Ok(()) } else { Err(Rejection::Signature) }
    }

    /// A claim that is a string.
    pub fn text(&self, name: &'static str) -> Result<&str, Rejection> {
        self.claims.get(name).and_then(Value::as_str).ok_or(Rejection::Claim(name))
    }

    /// Fails unless `exp` lies ahead.
    pub fn check_expiry(&self, now: Timestamp) -> Result<(), Rejection> {
        let expiry = self.claims.get("exp").and_then(Value::as_f64).ok_or(Rejection::Claim("exp"))?;
        if expiry + LEEWAY > seconds(now) { Ok(()) } else { Err(Rejection::Expired) }
    }

    /// Fails unless the time in the claim has come. A missing claim passes when it's `optional`.
    pub fn check_past(&self, name: &'static str, now: Timestamp, optional: bool) -> Result<(), Rejection> {
        match self.claims.get(name) {
            None if optional => Ok(()),
            Some(Value::Number(time)) if time.as_f64().is_some_and(|time| time - LEEWAY <= seconds(now)) => Ok(()),
            _ => Err(Rejection::Claim(name)),
        }
    }
}

fn seconds(instant: Timestamp) -> f64 {
    instant.as_millisecond() as f64 / 1000.0
}

fn json_object(part: &str) -> Result<Map<String, Value>, Rejection> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejection::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Rejection::Malformed)
}

impl From<KeyError> for Rejection {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unknown => Rejection::UnknownKey,
            KeyError::Unavailable(why) => Rejection::KeysUnavailable(why),
        }
    }
}

//! JSON Web Tokens: taken apart here, so that a token's own header never chooses how it's checked.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use thiserror::Error;

use super::keys::{KeyError, KeySource};

/// How far the clocks of two machines may be apart, in seconds.
const LEEWAY: i64 = 5;
/// The longest time that any supported issuer's token is valid, in seconds: App Check's. A token that claims more is
/// refused.
const LONGEST_LIFE: i64 = 7 * 24 * 60 * 60;
/// Longer texts are refused before they're parsed. Google's tokens stay below 4 KiB.
const MAX_LENGTH: usize = 32 * 1024;

/// Why a token is refused. The texts repeat nothing of the token, and continue a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// Not three base64url parts with JSON objects in the first two.
    #[error("it's no JSON Web Token")]
    Malformed,
    /// Not signed with the algorithm that its issuer uses.
    #[error("its algorithm isn't the expected one")]
    Algorithm,
    /// The claim is missing or says something else than it must.
    #[error("its claim {0} isn't as it must be")]
    Claim(&'static str),
    /// `exp` has passed.
    #[error("it has expired")]
    Expired,
    /// The app isn't among those that may call.
    #[error("its app isn't one of those that may call")]
    App,
    /// No key of that ID.
    #[error("no key has its key ID")]
    UnknownKey,
    /// A development token that another data directory's key signed.
    #[error("it was made with the key of another data directory than this server's")]
    OtherDataDirectory,
    /// The signature isn't that of the key.
    #[error("its signature is wrong")]
    Signature,
    /// No token is accepted here.
    #[error("nobody may deliver here")]
    Closed,
    /// The issuer's keys can't be fetched now, so the token could be good or bad.
    #[error("the keys to check it can't be had: {0}")]
    KeysUnavailable(String),
}

/// A parsed token. Nothing in it is to be trusted before its signature is checked.
pub struct Jwt<'a> {
    pub alg: String,
    pub typ: Option<String>,
    pub kid: Option<String>,
    pub claims: Map<String, Value>,
    message: &'a str,
    signature: &'a str,
}

impl<'a> Jwt<'a> {
    /// Parses a token without checking its signature. Fails when it's malformed.
    pub fn parse(token: &'a str) -> Result<Self, Rejection> {
        if token.len() > MAX_LENGTH {
            return Err(Rejection::Malformed);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Rejection::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Rejection::Malformed)?;
        let header = json_object(header)?;
        // RFC 7515 says to refuse a token with a critical extension that isn't supported; none is.
        if header.contains_key("crit") {
            return Err(Rejection::Malformed);
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
        // A key ID that isn't a string must not count as a missing one.
        if header.get("kid").is_some_and(|kid| !kid.is_string()) {
            return Err(Rejection::Malformed);
        }
        Ok(Jwt {
            alg: text("alg").ok_or(Rejection::Algorithm)?,
            typ: text("typ"),
            kid: text("kid"),
            claims: json_object(claims)?,
            message,
            signature,
        })
    }

    /// True for `alg: none` with neither key ID nor signature, as emulators make tokens
    /// (docs/domain/wire-formats.md#development-tokens). A token that names a key has to be signed with that key.
    pub fn is_unsigned(&self) -> bool {
        self.alg == "none" && self.kid.is_none() && self.signature.is_empty()
    }

    /// Fails unless the header says RS256: the only algorithm of all supported issuers.
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
        let signed_by = |key: &DecodingKey| self.check_signature_with(key, Algorithm::RS256).is_ok();
        if candidates.iter().any(|key| signed_by(key)) { Ok(()) } else { Err(Rejection::Signature) }
    }

    /// Checks the signature with one key, by the algorithm that the key is for.
    pub fn check_signature_with(&self, key: &DecodingKey, algorithm: Algorithm) -> Result<(), Rejection> {
        let verified = jsonwebtoken::crypto::verify(self.signature, self.message.as_bytes(), key, algorithm);
        if verified.unwrap_or(false) { Ok(()) } else { Err(Rejection::Signature) }
    }

    /// A claim that is a string.
    pub fn text(&self, name: &'static str) -> Result<&str, Rejection> {
        self.claims.get(name).and_then(Value::as_str).ok_or(Rejection::Claim(name))
    }

    /// Fails unless `exp` lies ahead, and no further than any token's does.
    pub fn check_expiry(&self, now: Timestamp) -> Result<(), Rejection> {
        let (expiry, now) = (self.time("exp")?.ok_or(Rejection::Claim("exp"))?, now.as_second());
        match expiry.saturating_add(LEEWAY) {
            until if until <= now => Err(Rejection::Expired),
            _ if expiry > now + LONGEST_LIFE + LEEWAY => Err(Rejection::Claim("exp")),
            _ => Ok(()),
        }
    }

    /// Fails unless the time in the claim has come. A missing claim passes when it's `optional`.
    pub fn check_past(&self, name: &'static str, now: Timestamp, optional: bool) -> Result<(), Rejection> {
        match self.time(name)? {
            None if optional => Ok(()),
            Some(time) if time.saturating_sub(LEEWAY) <= now.as_second() => Ok(()),
            _ => Err(Rejection::Claim(name)),
        }
    }

    /// A claim that is a time, in whole seconds since 1970. No supported issuer writes fractions, which compare
    /// imprecisely.
    fn time(&self, name: &'static str) -> Result<Option<i64>, Rejection> {
        let time = |value: &Value| value.as_i64().ok_or(Rejection::Claim(name));
        self.claims.get(name).map(time).transpose()
    }
}

fn json_object(part: &str) -> Result<Map<String, Value>, Rejection> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Rejection::Malformed)?;
    let object: Object = serde_json::from_slice(&bytes).map_err(|_| Rejection::Malformed)?;
    Ok(object.0)
}

/// A JSON object without duplicate keys. RFC 7519 lets readers choose among duplicates, so two readers could take one
/// token for two different things. In nested objects, which no check looks at, the last duplicate counts.
struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Object, A::Error> {
        let mut object = Map::new();
        while let Some((key, value)) = entries.next_entry::<String, Value>()? {
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom("a key stands twice"));
            }
        }
        Ok(Object(object))
    }
}

impl From<KeyError> for Rejection {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unknown => Rejection::UnknownKey,
            KeyError::Unavailable(why) => Rejection::KeysUnavailable(why),
        }
    }
}

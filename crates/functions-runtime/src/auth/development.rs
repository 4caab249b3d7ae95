//! ID tokens for development, made without a sign-in: signed with a key in the data directory, or, for the Auth
//! emulator, not signed at all.

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde_json::{Map, Value, json};

use super::jwt::{Jwt, Rejection};
use document_store::context::Context;
use document_store::digest::fingerprint;
use document_store::private;

/// The key's file in a data directory.
const FILE: &str = "development-token.key";
/// The least length of a key. A shorter one wasn't made by this program, and could be guessed.
const SHORTEST: usize = 40;
/// The signature algorithm of development tokens.
const ALGORITHM: &str = "HS256";

/// The key of a data directory: whoever can read the directory may call as anybody, and nobody else may.
pub struct DevelopmentKey {
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl fmt::Debug for DevelopmentKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DevelopmentKey({})", self.id)
    }
}

impl DevelopmentKey {
    /// The key of that directory; makes the directory and the key when they're missing. Fails when other users of the
    /// machine can read the key and its permissions can't be changed.
    pub fn open(directory: &Path, context: &Context) -> io::Result<DevelopmentKey> {
        let path = directory.join(FILE);
        let why = |error: io::Error| {
            io::Error::new(error.kind(), format!("the key of development tokens, {}: {error}", path.display()))
        };
        DevelopmentKey::read_or_make(directory, &path, context).map_err(why)
    }

    fn read_or_make(directory: &Path, path: &Path, context: &Context) -> io::Result<DevelopmentKey> {
        private::directory(directory)?;
        if !path.exists() {
            // Written under a temporary name and then linked: of two processes that do so at once, both get the first
            // one's key.
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            // 357 bits of randomness.
            let secret: String = (0..3).map(|_| context.document_id()).collect();
            file.write_all(secret.as_bytes())?;
            file.as_file().sync_all()?;
            match file.persist_noclobber(path) {
                Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => return Err(error.error),
                _ => {}
            }
        }
        private::close(path)?;
        let secret = std::fs::read_to_string(path)?;
        let secret = secret.trim();
        if secret.len() < SHORTEST {
            return Err(io::Error::other("it's too short for one: delete it, and a new one is made"));
        }
        Ok(DevelopmentKey::new(secret))
    }

    /// The key of that secret.
    pub fn new(secret: &str) -> DevelopmentKey {
        DevelopmentKey {
            id: fingerprint(format!("development key {secret}")),
            encoding: EncodingKey::from_secret(secret.as_bytes()),
            decoding: DecodingKey::from_secret(secret.as_bytes()),
        }
    }

    /// An ID token like those of the Auth emulator, signed, good for an hour. Fails with a text that names a
    /// reserved claim.
    pub fn token(
        &self,
        project: &str,
        uid: &str,
        email: Option<&str>,
        claims: Map<String, Value>,
        now: Timestamp,
    ) -> Result<String, String> {
        let claims = development_claims(project, uid, email, claims, now)?;
        let message = message(&json!({"alg": ALGORITHM, "kid": self.id, "typ": "JWT"}), &claims);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.encoding, Algorithm::HS256);
        Ok(format!("{message}.{}", signature.map_err(|error| error.to_string())?))
    }

    /// True for a token that claims to be signed with a key of this kind.
    pub(super) fn is_for(jwt: &Jwt<'_>) -> bool {
        jwt.alg == ALGORITHM
    }

    /// Fails unless this key signed the token.
    pub(super) fn check(&self, jwt: &Jwt<'_>) -> Result<(), Rejection> {
        match jwt.kid.as_deref() {
            Some(id) if id == self.id => jwt.check_signature_with(&self.decoding, Algorithm::HS256),
            _ => Err(Rejection::OtherDataDirectory),
        }
    }
}

/// Makes an unsigned ID token like those of the Auth emulator, good for an hour. Fails with the name
/// of a claim that can't be chosen.
pub fn unsigned_token(
    project: &str,
    uid: &str,
    email: Option<&str>,
    claims: Map<String, Value>,
    now: Timestamp,
) -> Result<String, String> {
    let claims = development_claims(project, uid, email, claims, now)?;
    Ok(format!("{}.", message(&json!({"alg": "none", "typ": "JWT"}), &claims)))
}

fn message(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}

/// Names of claims that whoever issues a token sets: custom claims can't have these names.
pub const RESERVED_CLAIMS: [&str; 16] = [
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
];

fn development_claims(
    project: &str,
    uid: &str,
    email: Option<&str>,
    claims: Map<String, Value>,
    now: Timestamp,
) -> Result<Value, String> {
    if let Some(reserved) = claims.keys().find(|name| *name == "user_id" || RESERVED_CLAIMS.contains(&name.as_str())) {
        return Err(format!("the claim {reserved:?} is reserved"));
    }
    if uid.is_empty() || uid.chars().count() > 128 {
        return Err("a UID has 1 to 128 characters".to_owned());
    }
    let seconds = now.as_second();
    let mut payload = claims;
    let identities = match email {
        Some(email) => json!({"email": [email]}),
        None => json!({}),
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
        ("firebase", json!({"identities": identities, "sign_in_provider": provider})),
    ] {
        payload.insert(name.to_owned(), value);
    }
    if let Some(email) = email {
        payload.insert("email".to_owned(), Value::from(email));
        payload.insert("email_verified".to_owned(), Value::Bool(true));
    }
    Ok(Value::Object(payload))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_keeps_its_key_and_shows_it_to_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let (one, other) = (directory.path().join("one"), directory.path().join("other"));
        let open = |directory: &Path| DevelopmentKey::open(directory, &Context::system()).unwrap();
        let id = open(&one).id;
        assert_eq!(open(&one).id, id);
        assert_ne!(open(&other).id, id);
        let file = one.join(FILE);
        let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!((open(&one).id, mode()), (id.clone(), 0o600));
        assert_eq!(std::fs::read_dir(&one).unwrap().count(), 1, "nothing is left lying about");
        assert!(!std::fs::read_to_string(&file).unwrap().contains(&id));
        std::fs::write(&file, "").unwrap();
        let refused = DevelopmentKey::open(&one, &Context::system()).unwrap_err().to_string();
        assert!(refused.contains("too short"), "{refused}");
    }

    #[test]
    fn processes_that_start_at_once_have_one_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        let ids: std::collections::BTreeSet<_> = std::thread::scope(|scope| {
            let open = || DevelopmentKey::open(&path, &Context::system()).unwrap().id;
            let opened: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            opened.into_iter().map(|opened| opened.join().unwrap()).collect()
        });
        assert_eq!(ids.len(), 1, "{ids:?}");
    }
}

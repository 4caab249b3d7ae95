//! Validation of requests (docs/domain/wire-formats.md#accounts), so that all backends refuse the same ones, without
//! asking the service.
//!
//! Firebase ignores some of what it can't use (an empty e-mail address or password) and answers as if it had
//! done it.

use functions_runtime::auth::RESERVED_CLAIMS;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::{AccountError, AccountUpdate, NewAccount, Provider, Result};

/// As Firebase has it.
const LONGEST_UID: usize = 128;
/// As Firebase has it, where the project asks for no more.
const SHORTEST_PASSWORD: usize = 6;

/// How large custom claims may be as JSON, in bytes. Firebase counts characters; bytes are on the safe side.
pub const CLAIMS_LIMIT: usize = 1000;

/// Checks a UID. It may become the ID of a document, so it can't contain a slash.
pub fn uid(uid: &str) -> Result<()> {
    let is_good = !uid.is_empty() && uid.chars().count() <= LONGEST_UID && !uid.contains('/');
    if is_good { Ok(()) } else { Err(AccountError::Invalid("uid")) }
}

/// Checks that an e-mail address has one `@` inside and no blank, and returns it in lower case. The service may be
/// stricter.
pub fn email(text: &str) -> Result<String> {
    let (name, host) = text.split_once('@').ok_or(AccountError::InvalidEmail)?;
    let is_odd = |character: char| character.is_whitespace() || character.is_control();
    let is_good = !name.is_empty() && !host.is_empty() && !host.contains('@') && !text.contains(is_odd);
    if is_good { Ok(text.to_lowercase()) } else { Err(AccountError::InvalidEmail) }
}

fn phone(text: &str) -> Result<()> {
    let digits = text.strip_prefix('+').ok_or(AccountError::InvalidPhone)?;
    let is_good = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_good { Ok(()) } else { Err(AccountError::InvalidPhone) }
}

fn password(password: &SecretString) -> Result<()> {
    let is_good = password.expose_secret().chars().count() >= SHORTEST_PASSWORD;
    if is_good { Ok(()) } else { Err(AccountError::WeakPassword) }
}

/// Checks an identity to be linked. Passwords and phone numbers aren't linked but set.
fn link(link: &Provider) -> Result<()> {
    match (link.provider_id.as_str(), link.raw_id.as_str()) {
        ("" | "password" | "phone", _) => Err(AccountError::Invalid("providerId")),
        (_, "") => Err(AccountError::Invalid("rawId")),
        _ => Ok(()),
    }
}

/// The same account, with its e-mail address in lower case.
pub fn new_account(new: &NewAccount) -> Result<NewAccount> {
    new.password.as_ref().map_or(Ok(()), password)?;
    Ok(NewAccount { email: new.email.as_deref().map(email).transpose()?, ..new.clone() })
}

/// The same update, with its e-mail address in lower case.
pub fn update(update: &AccountUpdate) -> Result<AccountUpdate> {
    update.custom_claims.as_ref().map_or(Ok(()), check_claims)?;
    update.password.as_ref().map_or(Ok(()), password)?;
    update.phone_number.as_deref().map_or(Ok(()), phone)?;
    update.link.as_ref().map_or(Ok(()), link)?;
    Ok(AccountUpdate { email: update.email.as_deref().map(email).transpose()?, ..update.clone() })
}

/// True when the name is reserved for claims of the token itself.
pub(super) fn is_reserved(claim: &str) -> bool {
    RESERVED_CLAIMS.contains(&claim)
}

/// Checks that custom claims fit into a token: [`CLAIMS_LIMIT`] and reserved names.
pub fn check_claims(claims: &Map<String, Value>) -> Result<()> {
    if let Some(reserved) = claims.keys().find(|name| is_reserved(name)) {
        return Err(AccountError::ReservedClaim(reserved.clone()));
    }
    let bytes = Value::Object(claims.clone()).to_string().len();
    if bytes > CLAIMS_LIMIT {
        return Err(AccountError::ClaimsTooLarge { bytes });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_could_be_one_is_an_email_address() {
        for good in ["a@b", "A.b+c@Example.ORG", "é@é"] {
            assert_eq!(email(good), Ok(good.to_lowercase()));
        }
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\n", "a@\u{0}b"] {
            assert_eq!(email(bad), Err(AccountError::InvalidEmail), "{bad:?}");
        }
    }

    #[test]
    fn malformed_fields_are_named() {
        for bad in ["", "a/b", &"x".repeat(129)] {
            assert_eq!(uid(bad), Err(AccountError::Invalid("uid")), "{bad:?}");
        }
        assert_eq!(uid(&"é".repeat(128)), Ok(()));
        for bad in ["", "5551234567", "+1 555", "+123456", "+1234567890123456"] {
            assert_eq!(phone(bad), Err(AccountError::InvalidPhone), "{bad:?}");
        }
        let identity = |provider: &str, raw: &str| Provider { provider_id: provider.into(), raw_id: raw.into() };
        for bad in ["", "password", "phone"] {
            assert_eq!(link(&identity(bad, "1")), Err(AccountError::Invalid("providerId")));
        }
        assert_eq!(link(&identity("oidc.clever", "")), Err(AccountError::Invalid("rawId")));
        assert_eq!(password(&"12345".into()), Err(AccountError::WeakPassword));
        assert_eq!(password(&"ééééé".into()), Err(AccountError::WeakPassword));
        assert_eq!(password(&"123456".into()), Ok(()));
    }

    #[test]
    fn claims_fit_up_to_a_thousand_bytes() {
        let claims = |text: String| json!({ "role": text }).as_object().cloned().unwrap_or_default();
        // {"role":""} takes 11.
        assert_eq!(check_claims(&claims("x".repeat(989))), Ok(()));
        assert_eq!(check_claims(&claims("x".repeat(990))), Err(AccountError::ClaimsTooLarge { bytes: 1001 }));
        // Fewer than a thousand characters, but more bytes.
        assert_eq!(check_claims(&claims("é".repeat(500))), Err(AccountError::ClaimsTooLarge { bytes: 1011 }));
        assert_eq!(check_claims(&Map::new()), Ok(()));
        for reserved in RESERVED_CLAIMS {
            let claims = Map::from_iter([(reserved.to_owned(), json!(1))]);
            assert_eq!(check_claims(&claims), Err(AccountError::ReservedClaim(reserved.to_owned())));
        }
    }
}

//! What custom claims may be (wire/auth §3.2).

use serde_json::{Map, Value};

use super::{AccountError, Result};

/// How large custom claims may be as JSON, in bytes. Firebase counts characters; bytes are on the safe side.
pub const CLAIMS_LIMIT: usize = 1000;

/// Names that tokens need themselves.
const RESERVED: [&str; 16] = [
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

/// Refuses what doesn't fit into a token.
pub fn check_claims(claims: &Map<String, Value>) -> Result<()> {
    if let Some(reserved) = claims.keys().find(|name| RESERVED.contains(&name.as_str())) {
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
    fn claims_fit_up_to_a_thousand_bytes() {
        let claims = |text: String| json!({ "role": text }).as_object().cloned().unwrap_or_default();
        // {"role":""} takes 11.
        assert_eq!(check_claims(&claims("x".repeat(989))), Ok(()));
        assert_eq!(check_claims(&claims("x".repeat(990))), Err(AccountError::ClaimsTooLarge { bytes: 1001 }));
        // Fewer than a thousand characters, but more bytes.
        assert_eq!(check_claims(&claims("é".repeat(500))), Err(AccountError::ClaimsTooLarge { bytes: 1011 }));
        assert_eq!(check_claims(&Map::new()), Ok(()));
        for reserved in RESERVED {
            let claims = Map::from_iter([(reserved.to_owned(), json!(1))]);
            assert_eq!(check_claims(&claims), Err(AccountError::ReservedClaim(reserved.to_owned())));
        }
    }
}

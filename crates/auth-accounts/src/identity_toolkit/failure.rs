//! What failed requests mean, and which of them are retried.
//!
//! The service's messages may contain an e-mail address or other parts of a request, so only their codes are kept.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use super::super::AccountError;
use super::super::check::is_reserved;

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It certainly wasn't executed, and may succeed later.
    NotDone { why: String, retry_after: Option<Duration> },
    /// It may have been executed: the answer was lost, or the service reports an error of its own.
    Unknown { why: String, retry_after: Option<Duration> },
    /// It wasn't executed, and a retry would fail the same way.
    Refused(AccountError),
}

impl From<Failure> for AccountError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotDone { why, .. } | Failure::Unknown { why, .. } => AccountError::Unavailable(why),
            Failure::Refused(error) => error,
        }
    }
}

/// The transport's failures. Its own texts hold addresses only, but are long.
impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let known = |why: &str| why.to_owned();
        if error.is_builder() {
            Failure::Refused(AccountError::Failed(known("the request can't be made")))
        } else if error.is_connect() {
            Failure::NotDone { why: known("no connection"), retry_after: None }
        } else if error.is_timeout() {
            Failure::Unknown { why: known("no answer in time"), retry_after: None }
        } else {
            Failure::Unknown { why: known("the connection broke"), retry_after: None }
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    error: Told,
}

#[derive(Default, Deserialize)]
struct Told {
    #[serde(default)]
    message: String,
    #[serde(default)]
    status: String,
}

/// What an answer other than 2xx means.
pub(super) fn failure(status: StatusCode, retry_after: Option<Duration>, body: &[u8]) -> Failure {
    let told = serde_json::from_slice::<Envelope>(body).map(|envelope| envelope.error).unwrap_or_default();
    let (code, text) = match told.message.split_once(" : ") {
        Some((code, text)) => (code.trim(), text.trim()),
        None => (told.message.trim(), ""),
    };
    let named = [code, told.status.as_str()].into_iter().find(|code| is_code(code));
    let why = match named {
        Some(code) => format!("{code} (HTTP {})", status.as_u16()),
        None => format!("HTTP {}", status.as_u16()),
    };
    if status == StatusCode::TOO_MANY_REQUESTS
        || matches!(code, "QUOTA_EXCEEDED" | "TOO_MANY_ATTEMPTS_TRY_LATER" | "RESOURCE_EXHAUSTED")
    {
        return Failure::NotDone { why, retry_after };
    }
    if matches!(status.as_u16(), 408 | 500 | 502 | 503 | 504) {
        return Failure::Unknown { why, retry_after };
    }
    Failure::Refused(refusal(code, text).unwrap_or(AccountError::Failed(why)))
}

/// The error that a code means; `None` for one that no caller can mend, or that isn't known.
fn refusal(code: &str, text: &str) -> Option<AccountError> {
    Some(match code {
        "USER_NOT_FOUND" => AccountError::NotFound,
        "EMAIL_EXISTS" | "DUPLICATE_EMAIL" => AccountError::EmailExists,
        "DUPLICATE_LOCAL_ID" => AccountError::UidExists,
        "PHONE_NUMBER_EXISTS" => AccountError::PhoneExists,
        "DUPLICATE_RAW_ID" | "FEDERATED_USER_ID_ALREADY_LINKED" => AccountError::ProviderExists,
        "INVALID_EMAIL" => AccountError::InvalidEmail,
        "INVALID_PHONE_NUMBER" => AccountError::InvalidPhone,
        "WEAK_PASSWORD" | "PASSWORD_DOES_NOT_MEET_REQUIREMENTS" => AccountError::WeakPassword,
        "INVALID_LOCAL_ID" | "MISSING_LOCAL_ID" => AccountError::Invalid("uid"),
        "INVALID_DISPLAY_NAME" => AccountError::Invalid("displayName"),
        "INVALID_PHOTO_URL" => AccountError::Invalid("photoUrl"),
        "INVALID_PROVIDER_ID" | "MISSING_PROVIDER_ID" => AccountError::Invalid("providerId"),
        "MISSING_RAW_ID" => AccountError::Invalid("rawId"),
        "FORBIDDEN_CLAIM" if is_reserved(text) => AccountError::ReservedClaim(text.to_owned()),
        _ => return None,
    })
}

/// True for a text that looks like an error code, and so can't be personal data.
fn is_code(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    (3..=60).contains(&text.len()) && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn failed(status: u16, message: &str) -> Failure {
        let body = json!({"error": {"code": status, "message": message, "errors": [{"message": message}]}});
        failure(StatusCode::from_u16(status).unwrap(), None, body.to_string().as_bytes())
    }

    #[test]
    fn codes_mean_errors() {
        let failed_with = |why: &str| AccountError::Failed(why.to_owned());
        for (status, message, error) in [
            (400, "EMAIL_EXISTS", AccountError::EmailExists),
            (400, "DUPLICATE_EMAIL : a@b.example", AccountError::EmailExists),
            (400, "DUPLICATE_LOCAL_ID", AccountError::UidExists),
            (400, "PHONE_NUMBER_EXISTS", AccountError::PhoneExists),
            (400, "FEDERATED_USER_ID_ALREADY_LINKED", AccountError::ProviderExists),
            (400, "DUPLICATE_RAW_ID : Provider id(x), Raw id(y)", AccountError::ProviderExists),
            (400, "USER_NOT_FOUND", AccountError::NotFound),
            (400, "INVALID_EMAIL", AccountError::InvalidEmail),
            (400, "INVALID_PHONE_NUMBER : Invalid format.", AccountError::InvalidPhone),
            (400, "WEAK_PASSWORD : Password should be at least 6 characters", AccountError::WeakPassword),
            (400, "MISSING_LOCAL_ID", AccountError::Invalid("uid")),
            (400, "MISSING_USER_ACCOUNT", failed_with("MISSING_USER_ACCOUNT (HTTP 400)")),
            // Refused before anything is asked for; so these would be somebody else's doing.
            (400, "CLAIMS_TOO_LARGE", failed_with("CLAIMS_TOO_LARGE (HTTP 400)")),
            (400, "INVALID_CLAIMS", failed_with("INVALID_CLAIMS (HTTP 400)")),
            (400, "FORBIDDEN_CLAIM : sub", AccountError::ReservedClaim("sub".to_owned())),
            (400, "FORBIDDEN_CLAIM : a@b.example", failed_with("FORBIDDEN_CLAIM (HTTP 400)")),
            (400, "INSUFFICIENT_PERMISSION", failed_with("INSUFFICIENT_PERMISSION (HTTP 400)")),
            (400, "CONFIGURATION_NOT_FOUND", failed_with("CONFIGURATION_NOT_FOUND (HTTP 400)")),
            (400, "PROJECT_DISABLED", failed_with("PROJECT_DISABLED (HTTP 400)")),
            (403, "The caller a@b.example may not", failed_with("HTTP 403")),
            (501, "not implemented", failed_with("HTTP 501")),
        ] {
            let Failure::Refused(refused) = failed(status, message) else { panic!("{message} is not refused") };
            assert_eq!(refused, error, "{message}");
        }
        let body = br#"{"error": {"code": 401, "message": "Bad token x", "status": "UNAUTHENTICATED"}}"#;
        let unauthenticated = failure(StatusCode::UNAUTHORIZED, None, body);
        assert_eq!(AccountError::from(unauthenticated), failed_with("UNAUTHENTICATED (HTTP 401)"));
    }

    #[test]
    fn what_may_work_later_is_told_apart() {
        for (status, message) in
            [(429, ""), (400, "QUOTA_EXCEEDED : Exceeded quota."), (400, "TOO_MANY_ATTEMPTS_TRY_LATER")]
        {
            assert!(matches!(failed(status, message), Failure::NotDone { .. }), "{message}");
        }
        for status in [408, 500, 502, 503, 504] {
            assert!(matches!(failed(status, ""), Failure::Unknown { .. }), "{status}");
        }
        assert!(matches!(failure(StatusCode::BAD_GATEWAY, None, b"<html>"), Failure::Unknown { .. }));
    }
}

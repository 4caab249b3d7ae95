//! Who calls: users by their Firebase ID token, apps by their App Check token, Google's services by
//! their OIDC token. Tokens are never logged.

mod jwt;
mod keys;
mod verify;

use axum::http::HeaderValue;
use jiff::Timestamp;

pub use jwt::Rejection;
pub use keys::KeySource;
pub use verify::{AppTokens, IdTokens, ServiceTokens, development_token};

use super::error::{FunctionError, Status};
use super::function::Caller;

/// Where Google publishes the keys of Firebase ID tokens.
pub const ID_TOKEN_KEYS: &str =
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";
/// Where Google publishes the keys of App Check tokens.
pub const APP_CHECK_KEYS: &str = "https://firebaseappcheck.googleapis.com/v1/jwks";
/// Where Google publishes the keys of its OIDC tokens.
pub const OIDC_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";

/// Who may call callables.
pub struct Callers {
    /// Checks ID tokens.
    pub id_tokens: IdTokens,
    /// Checks App Check tokens.
    pub app_check: AppCheck,
}

/// What App Check tokens are good for.
pub enum AppCheck {
    /// They aren't looked at.
    Off,
    /// A bad one is logged.
    Monitor(AppTokens),
    /// A call without a good one is refused.
    Enforce(AppTokens),
}

impl Callers {
    /// The caller that an `Authorization` header names; `None` without one. A bad one is refused
    /// even where nobody asks for the caller.
    pub(super) async fn caller(
        &self,
        header: Option<&HeaderValue>,
        now: Timestamp,
    ) -> Result<Option<Caller>, FunctionError> {
        let Some(header) = header else { return Ok(None) };
        let token = bearer(header).ok_or_else(FunctionError::unauthenticated)?;
        self.id_tokens.verify(token, now).await.map(Some).map_err(refusal)
    }

    /// The app that an App Check header names, by the mode's rules.
    pub(super) async fn app(
        &self,
        header: Option<&HeaderValue>,
        now: Timestamp,
    ) -> Result<Option<String>, FunctionError> {
        let (tokens, enforced) = match &self.app_check {
            AppCheck::Off => return Ok(None),
            AppCheck::Monitor(tokens) => (tokens, false),
            AppCheck::Enforce(tokens) => (tokens, true),
        };
        let verified = match header.map(HeaderValue::to_str) {
            Some(Ok(token)) => tokens.verify(token, now).await,
            Some(Err(_)) => Err(Rejection::Malformed),
            None if enforced => return Err(FunctionError::unauthenticated()),
            None => return Ok(None),
        };
        match verified {
            Ok(app) => Ok(Some(app)),
            Err(why) if enforced => Err(refusal(why)),
            Err(why) => {
                tracing::warn!(%why, "an App Check token doesn't count");
                Ok(None)
            }
        }
    }
}

/// A token that can't be checked for want of keys is no bad token: saying so would sign people out.
fn refusal(why: Rejection) -> FunctionError {
    let (status, message) = match why {
        Rejection::KeysUnavailable(_) => (Status::Unavailable, "The sign-in can't be verified now. Please try again."),
        _ => (Status::Unauthenticated, "Unauthenticated"),
    };
    FunctionError { status, message: message.to_owned(), details: None, cause: Some(Box::new(why)) }
}

/// The token of a `Bearer` header, whatever the case of that word.
fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Who may deliver events and tasks.
pub enum Deliveries {
    /// Anybody: emulators send no token. Only for development.
    Open,
    /// Google's services, by their service account.
    Service(ServiceTokens),
    /// Nobody: events and tasks stay inside the process.
    Closed,
}

impl Deliveries {
    /// Fails, with the reason for the log, unless the header's bearer may deliver.
    pub(super) async fn check(&self, header: Option<&HeaderValue>, now: Timestamp) -> Result<(), Rejection> {
        match self {
            Deliveries::Open => Ok(()),
            Deliveries::Closed => Err(Rejection::Closed),
            Deliveries::Service(tokens) => {
                let token = header.and_then(bearer).ok_or(Rejection::Malformed)?;
                tokens.verify(token, now).await
            }
        }
    }
}

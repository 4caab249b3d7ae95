//! Authentication: users by their Firebase ID token, apps by their App Check token, Google's services by their OIDC
//! token. Tokens are never logged.

mod development;
pub(crate) mod jwt;
mod keys;
mod verify;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::Timestamp;

pub use development::{DevelopmentKey, RESERVED_CLAIMS, unsigned_token};
pub use jwt::Rejection;
pub use keys::KeySource;
pub use verify::{AppTokens, IdTokens, ServiceTokens};

use super::budget::Budgets;
use super::error::{FunctionError, Status};
use super::function::Caller;
use super::limits::SignedOut;
use super::sign_in::SignInRules;

/// Where Google publishes the keys of Firebase ID tokens.
pub const ID_TOKEN_KEYS: &str =
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";
/// Where Google publishes the keys of App Check tokens.
pub const APP_CHECK_KEYS: &str = "https://firebaseappcheck.googleapis.com/v1/jwks";
/// Where Google publishes the keys of its OIDC tokens.
pub const OIDC_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";

/// The header that carries App Check tokens.
const APP_CHECK: HeaderName = HeaderName::from_static("x-firebase-appcheck");

/// How callers of callables are authenticated and limited.
pub struct Callers {
    /// Checks ID tokens.
    pub id_tokens: IdTokens,
    /// Checks App Check tokens.
    pub app_check: AppCheck,
    /// How often an address may call without a valid ID token.
    pub signed_out: SignedOut,
    /// How many database operations a signed-in caller may use.
    pub budgets: Budgets,
    /// What is asked of the sign-in of callers who change rights or passwords.
    pub sign_in: SignInRules,
}

/// What is done with App Check tokens.
pub enum AppCheck {
    /// They're ignored.
    Off,
    /// A bad one is logged and counted, and the call goes on.
    Monitor(AppTokens),
    /// A call without a good one is refused.
    Enforce(AppTokens),
}

impl Callers {
    /// The caller that the `Authorization` header names; `None` without one. A bad one is refused
    /// even where nobody asks for the caller.
    pub(super) async fn caller(&self, headers: &HeaderMap, now: Timestamp) -> Result<Option<Caller>, FunctionError> {
        let Some(header) = only(headers, &header::AUTHORIZATION).map_err(refusal)? else { return Ok(None) };
        let token = bearer(header).ok_or_else(FunctionError::unauthenticated)?;
        self.id_tokens.verify(token, now).await.map(Some).map_err(refusal)
    }

    /// The app that the App Check header names, by the mode's rules, and the result of checking the header.
    pub(super) async fn app(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> (AppToken, Result<Option<String>, FunctionError>) {
        let (tokens, enforced) = match &self.app_check {
            AppCheck::Off => return (AppToken::Ignored, Ok(None)),
            AppCheck::Monitor(tokens) => (tokens, false),
            AppCheck::Enforce(tokens) => (tokens, true),
        };
        let verified = match only(headers, &APP_CHECK).map(|header| header.map(HeaderValue::to_str)) {
            Ok(Some(Ok(token))) => tokens.verify(token, now).await,
            Ok(Some(Err(_))) => Err(Rejection::Malformed),
            Ok(None) if enforced => return (AppToken::Missing, Err(FunctionError::unauthenticated())),
            Ok(None) => return (AppToken::Missing, Ok(None)),
            Err(why) => Err(why),
        };
        match verified {
            Ok(app) => (AppToken::Good, Ok(Some(app))),
            Err(why) => {
                let worth = match why {
                    Rejection::KeysUnavailable(_) => AppToken::Unchecked,
                    _ => AppToken::Bad,
                };
                if enforced {
                    return (worth, Err(refusal(why)));
                }
                tracing::warn!(%why, "an App Check token doesn't count");
                (worth, Ok(None))
            }
        }
    }
}

/// The result of checking a call's App Check header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AppToken {
    /// It wasn't checked, as the mode says.
    Ignored,
    /// It names an app that may call.
    Good,
    /// It's invalid.
    Bad,
    /// There is none.
    Missing,
    /// It couldn't be checked, for want of keys.
    Unchecked,
}

impl AppToken {
    /// The label's value in metrics; `None` where the header wasn't checked.
    pub fn name(self) -> Option<&'static str> {
        match self {
            AppToken::Ignored => None,
            AppToken::Good => Some("good"),
            AppToken::Bad => Some("bad"),
            AppToken::Missing => Some("missing"),
            AppToken::Unchecked => Some("unchecked"),
        }
    }
}

/// The header's only value. Two are refused: a proxy in front may have checked the one, and this server would use the
/// other.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Rejection> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Rejection::Malformed),
        (value, None) => Ok(value),
    }
}

/// The error for a refused token. One that can't be checked for want of keys isn't UNAUTHENTICATED, upon which clients
/// sign people out.
fn refusal(why: Rejection) -> FunctionError {
    let (status, message) = match why {
        Rejection::KeysUnavailable(_) => (Status::Unavailable, "The sign-in can't be verified now. Please try again."),
        _ => (Status::Unauthenticated, "Unauthenticated"),
    };
    FunctionError { status, message: message.to_owned(), details: None, cause: Some(Box::new(why)) }
}

/// The token of an `Authorization` header with the `Bearer` scheme, in any case.
fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Who may deliver events and tasks.
pub enum Deliveries {
    /// Anybody, for development: emulators send no token.
    Open,
    /// Google's services, authenticated by their service account's OIDC tokens.
    Service(ServiceTokens),
    /// Nobody: the process handles its own events and tasks.
    Closed,
}

impl Deliveries {
    /// Fails, with the reason for the log, unless the bearer that the headers name may deliver.
    pub(super) async fn check(&self, headers: &HeaderMap, now: Timestamp) -> Result<(), Rejection> {
        match self {
            Deliveries::Open => Ok(()),
            Deliveries::Closed => Err(Rejection::Closed),
            Deliveries::Service(tokens) => {
                let token = only(headers, &header::AUTHORIZATION)?.and_then(bearer).ok_or(Rejection::Malformed)?;
                tokens.verify(token, now).await
            }
        }
    }
}

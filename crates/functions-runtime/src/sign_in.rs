//! What is asked of a sign-in for calls that change rights or passwords: it must be recent, or have had a second
//! factor. An older token may be used by somebody else at an unattended device.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::error::{FunctionError, Status};

/// The default age that a sign-in may have: a school day and the evening after.
pub const RECENT: Duration = Duration::from_secs(12 * 3600);

/// What is asked of a sign-in for privileged calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignInRules {
    /// How long ago it may be; `None` for any age.
    pub within: Option<Duration>,
    /// Whether it must have had a second factor.
    pub second_factor: bool,
}

/// Whether a sign-in meets the rules for privileged calls, and if not, why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignIn(Option<(Status, String)>);

impl SignIn {
    /// True when the sign-in meets the rules.
    pub fn is_good(&self) -> bool {
        self.0.is_none()
    }

    /// Fails, with a message that says what the caller can do, when the sign-in doesn't meet the rules.
    pub fn check(&self) -> Result<(), FunctionError> {
        match &self.0 {
            None => Ok(()),
            Some((status, message)) => Err(FunctionError::new(*status, message.clone())),
        }
    }
}

impl SignInRules {
    /// Checks the sign-in that is described by an ID token's claims.
    pub fn judge(&self, claims: &Map<String, Value>, now: Timestamp) -> SignIn {
        if let Some(within) = self.within {
            let at = claims.get("auth_time").and_then(Value::as_i64).and_then(|at| Timestamp::from_second(at).ok());
            let longest = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
            if at.is_none_or(|at| now.duration_since(at) > longest) {
                let hours = within.as_secs().div_ceil(3600);
                let message = format!(
                    "For this, your sign-in must be no older than {hours} {}. Please sign out, sign in again, and repeat it.",
                    if hours == 1 { "hour" } else { "hours" }
                );
                return SignIn(Some((Status::Unauthenticated, message)));
            }
        }
        let factor = claims.get("firebase").and_then(|firebase| firebase.get("sign_in_second_factor"));
        if self.second_factor && !factor.is_some_and(Value::is_string) {
            let message = "For this, you must have signed in with a second factor. Please set one up for your account, sign \
                           out, and sign in again with it.";
            return SignIn(Some((Status::PermissionDenied, message.to_owned())));
        }
        SignIn::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_asked_of_a_sign_in() {
        let now = Timestamp::from_second(1_750_000_000).unwrap();
        let at = |ago: i64| json!({"auth_time": now.as_second() - ago});
        let factor = json!({"auth_time": now.as_second(), "firebase": {"sign_in_second_factor": "totp"}});
        let recent = SignInRules { within: Some(RECENT), second_factor: false };
        let both = SignInRules { second_factor: true, ..recent };
        for (rules, claims, expected) in [
            (SignInRules::default(), json!({}), None),
            (SignInRules::default(), at(1_000_000), None),
            (recent, at(0), None),
            (recent, at(-3), None),
            (recent, at(12 * 3600), None),
            (recent, at(12 * 3600 + 1), Some((Status::Unauthenticated, "no older than 12 hours. Please sign out"))),
            (recent, json!({}), Some((Status::Unauthenticated, "sign in again"))),
            (recent, json!({"auth_time": "now"}), Some((Status::Unauthenticated, "sign in again"))),
            (both, factor.clone(), None),
            (both, at(0), Some((Status::PermissionDenied, "with a second factor. Please set one up"))),
            (
                both,
                json!({"auth_time": now.as_second(), "firebase": {"sign_in_second_factor": null}}),
                Some((Status::PermissionDenied, "second factor")),
            ),
        ] {
            let sign_in = rules.judge(claims.as_object().unwrap(), now);
            match (sign_in.check(), expected) {
                (Ok(()), None) => assert!(sign_in.is_good()),
                (Err(error), Some((status, text))) => {
                    assert!(error.status == status && error.message.contains(text), "{claims}: {error}");
                    assert!(!sign_in.is_good());
                }
                (result, _) => panic!("{claims}: {result:?}"),
            }
        }
    }
}

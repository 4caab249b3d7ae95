//! What a sign-in must have been like for calls that change rights or passwords: a token that's good for anything else may
//! be of somebody who has left their desk, or who has found a device.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::error::{FunctionError, Status};
use super::function::Caller;

/// How long ago a sign-in may be, by default: a school's day, and the evening after.
pub const RECENT: Duration = Duration::from_secs(12 * 3600);

/// What is asked of a sign-in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignInRules {
    /// How long ago it may be; `None` for any time.
    pub within: Option<Duration>,
    /// Whether it must have had a second factor.
    pub second_factor: bool,
}

impl SignInRules {
    /// Fails with what the caller can do about it.
    pub(super) fn check(&self, caller: &Caller, now: Timestamp) -> Result<(), FunctionError> {
        if let Some(within) = self.within {
            let at =
                caller.claims.get("auth_time").and_then(Value::as_i64).and_then(|at| Timestamp::from_second(at).ok());
            let longest = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
            if at.is_none_or(|at| now.duration_since(at) > longest) {
                let hours = within.as_secs().div_ceil(3600);
                let message = format!(
                    "For this, your sign-in must be no older than {hours} {}. Please sign out, sign in again, and repeat it.",
                    if hours == 1 { "hour" } else { "hours" }
                );
                return Err(FunctionError::new(Status::Unauthenticated, message));
            }
        }
        let factor = caller.claims.get("firebase").and_then(|firebase| firebase.get("sign_in_second_factor"));
        if self.second_factor && !factor.is_some_and(Value::is_string) {
            let message = "For this, you must have signed in with a second factor. Please set one up for your account, sign \
                           out, and sign in again with it.";
            return Err(FunctionError::new(Status::PermissionDenied, message));
        }
        Ok(())
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
            let caller =
                Caller { uid: "u".to_owned(), project: "p".to_owned(), claims: claims.as_object().unwrap().clone() };
            match (rules.check(&caller, now), expected) {
                (Ok(()), None) => {}
                (Err(error), Some((status, text))) => {
                    assert!(error.status == status && error.message.contains(text), "{claims}: {error}");
                }
                (result, _) => panic!("{claims}: {result:?}"),
            }
        }
    }
}

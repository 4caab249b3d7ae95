//! Errors of operations on accounts.

use thiserror::Error;

use super::CLAIMS_LIMIT;
use functions_runtime::{FunctionError, Status};

/// Why an operation on an account failed. The texts contain no personal data.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AccountError {
    /// There's no such account.
    #[error("there is no such account")]
    NotFound,
    /// Another account has the e-mail address.
    #[error("the e-mail address is taken")]
    EmailExists,
    /// Another account has the UID.
    #[error("the UID is taken")]
    UidExists,
    /// Another account has the phone number.
    #[error("the phone number is taken")]
    PhoneExists,
    /// Another account has the identity at that provider.
    #[error("the identity is another account's")]
    ProviderExists,
    /// Not an e-mail address.
    #[error("the e-mail address is malformed")]
    InvalidEmail,
    /// Not a phone number.
    #[error("the phone number is malformed")]
    InvalidPhone,
    /// Another field is malformed: its name.
    #[error("{0} is malformed")]
    Invalid(&'static str),
    /// Passwords have at least 6 characters, and whatever else the project asks for.
    #[error("the password is too weak")]
    WeakPassword,
    /// The custom claims don't fit.
    #[error("the custom claims have {bytes} bytes, {CLAIMS_LIMIT} at most")]
    ClaimsTooLarge {
        /// Their size as JSON.
        bytes: usize,
    },
    /// A custom claim has a reserved name.
    #[error("the claim {0:?} is reserved")]
    ReservedClaim(String),
    /// The service can't be reached, is overloaded or out of quota: it may work later.
    #[error("the accounts can't be reached: {0}")]
    Unavailable(String),
    /// The service refused the credentials or the request, or its answer can't be understood.
    #[error("the accounts' service failed: {0}")]
    Failed(String),
}

/// The error for callers of a function: it explains what they can correct, and keeps the rest for the log.
impl From<AccountError> for FunctionError {
    fn from(error: AccountError) -> Self {
        let (status, message) = match &error {
            AccountError::NotFound => (Status::NotFound, "There is no such account."),
            AccountError::EmailExists => (Status::AlreadyExists, "The e-mail address is already in use."),
            AccountError::UidExists => (Status::AlreadyExists, "The UID is already in use."),
            AccountError::PhoneExists => (Status::AlreadyExists, "The phone number is already in use."),
            AccountError::ProviderExists => (Status::AlreadyExists, "The identity is already in use."),
            AccountError::InvalidEmail => (Status::InvalidArgument, "email must be an e-mail address."),
            AccountError::InvalidPhone => {
                (Status::InvalidArgument, "phoneNumber must be a phone number as +15551234567.")
            }
            AccountError::Invalid(field) => return FunctionError::invalid(format!("{field} is malformed.")),
            AccountError::WeakPassword => (Status::InvalidArgument, "password must have at least 6 characters."),
            AccountError::ClaimsTooLarge { .. } => {
                (Status::ResourceExhausted, "The account's custom claims would be larger than 1000 bytes.")
            }
            AccountError::Unavailable(_) => {
                (Status::Unavailable, "The accounts can't be reached now. Please try again.")
            }
            AccountError::ReservedClaim(_) | AccountError::Failed(_) => return FunctionError::internal(error),
        };
        FunctionError { status, message: message.to_owned(), details: None, cause: Some(Box::new(error)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_told_what_is_theirs_to_mend() {
        use AccountError::*;
        for (error, status, message) in [
            (NotFound, Status::NotFound, "There is no such account."),
            (EmailExists, Status::AlreadyExists, "The e-mail address is already in use."),
            (UidExists, Status::AlreadyExists, "The UID is already in use."),
            (PhoneExists, Status::AlreadyExists, "The phone number is already in use."),
            (ProviderExists, Status::AlreadyExists, "The identity is already in use."),
            (InvalidEmail, Status::InvalidArgument, "email must be an e-mail address."),
            (InvalidPhone, Status::InvalidArgument, "phoneNumber must be a phone number as +15551234567."),
            (Invalid("uid"), Status::InvalidArgument, "uid is malformed."),
            (WeakPassword, Status::InvalidArgument, "password must have at least 6 characters."),
            (
                ClaimsTooLarge { bytes: 1001 },
                Status::ResourceExhausted,
                "The account's custom claims would be larger than 1000 bytes.",
            ),
            (
                Unavailable("why".to_owned()),
                Status::Unavailable,
                "The accounts can't be reached now. Please try again.",
            ),
            // What we did wrong, or the service: nothing that a caller could mend.
            (ReservedClaim("sub".to_owned()), Status::Internal, "INTERNAL"),
            (Failed("why".to_owned()), Status::Internal, "INTERNAL"),
        ] {
            let cause = error.to_string();
            let told = FunctionError::from(error);
            assert_eq!((told.status, told.message.as_str()), (status, message));
            assert_eq!(told.details, None);
            // The log learns the whole of it; a malformed field is all there is to say.
            if !cause.starts_with("uid") {
                assert_eq!(told.cause.unwrap().to_string(), cause);
            }
        }
    }
}

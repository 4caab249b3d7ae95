//! The error that callables answer with, and its canonical status.

use std::error::Error;
use std::fmt;

use document_store::StoreError;

/// Canonical status of a callable's error (docs/domain/wire-formats.md#statuses).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The caller went away.
    Cancelled,
    /// Unknown error.
    Unknown,
    /// The request can't be right, whatever the state.
    InvalidArgument,
    /// Time ran out.
    DeadlineExceeded,
    /// Something named doesn't exist.
    NotFound,
    /// Something to be made exists.
    AlreadyExists,
    /// The caller isn't permitted to do this.
    PermissionDenied,
    /// A quota or limit is used up.
    ResourceExhausted,
    /// The state of the system doesn't allow it.
    FailedPrecondition,
    /// A concurrent change came between; the same call may succeed when repeated.
    Aborted,
    /// Past the valid range.
    OutOfRange,
    /// Not implemented, or not configured.
    Unimplemented,
    /// A fault of the service.
    Internal,
    /// Try again later.
    Unavailable,
    /// Data is lost.
    DataLoss,
    /// No credentials, or invalid ones.
    Unauthenticated,
}

impl Status {
    /// The wire name, `INVALID_ARGUMENT`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Cancelled => "CANCELLED",
            Status::Unknown => "UNKNOWN",
            Status::InvalidArgument => "INVALID_ARGUMENT",
            Status::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Status::NotFound => "NOT_FOUND",
            Status::AlreadyExists => "ALREADY_EXISTS",
            Status::PermissionDenied => "PERMISSION_DENIED",
            Status::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Status::FailedPrecondition => "FAILED_PRECONDITION",
            Status::Aborted => "ABORTED",
            Status::OutOfRange => "OUT_OF_RANGE",
            Status::Unimplemented => "UNIMPLEMENTED",
            Status::Internal => "INTERNAL",
            Status::Unavailable => "UNAVAILABLE",
            Status::DataLoss => "DATA_LOSS",
            Status::Unauthenticated => "UNAUTHENTICATED",
        }
    }

    /// The HTTP status code.
    pub fn http(self) -> u16 {
        match self {
            Status::InvalidArgument | Status::FailedPrecondition | Status::OutOfRange => 400,
            Status::Unauthenticated => 401,
            Status::PermissionDenied => 403,
            Status::NotFound => 404,
            Status::AlreadyExists | Status::Aborted => 409,
            Status::ResourceExhausted => 429,
            Status::Cancelled => 499,
            Status::Unknown | Status::Internal | Status::DataLoss => 500,
            Status::Unimplemented => 501,
            Status::Unavailable => 503,
            Status::DeadlineExceeded => 504,
        }
    }
}

/// Why a function didn't do what was asked. `message` and `details` are sent to the caller, and `message` may be shown
/// to people: both must be free of personal data. `cause` is only logged.
#[derive(Debug)]
pub struct FunctionError {
    /// Canonical status.
    pub status: Status,
    /// For people.
    pub message: String,
    /// For programs.
    pub details: Option<serde_json::Value>,
    /// For the log.
    pub cause: Option<Box<dyn Error + Send + Sync>>,
}

impl FunctionError {
    /// An error of any status.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        FunctionError { status, message: message.into(), details: None, cause: None }
    }

    /// INVALID_ARGUMENT: the message names the field.
    pub fn invalid(message: impl Into<String>) -> Self {
        FunctionError::new(Status::InvalidArgument, message)
    }

    /// UNAUTHENTICATED with the protocol's own text.
    pub fn unauthenticated() -> Self {
        FunctionError::new(Status::Unauthenticated, "Unauthenticated")
    }

    /// INTERNAL with a generic message; the cause goes to the log.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        FunctionError {
            status: Status::Internal,
            message: "INTERNAL".to_owned(),
            details: None,
            cause: Some(cause.into()),
        }
    }

    /// The same error with details for programs.
    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.details = Some(details);
        self
    }
}

impl fmt::Display for FunctionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.status.name(), self.message)
    }
}

impl Error for FunctionError {}

/// Contention is ABORTED and an outage UNAVAILABLE, which callers may retry; anything else is INTERNAL.
impl From<StoreError> for FunctionError {
    fn from(error: StoreError) -> Self {
        let (status, message) = match error {
            StoreError::Contention => (Status::Aborted, "Too many changes at once. Please try again."),
            StoreError::Unavailable(_) => (Status::Unavailable, "The database can't be reached now. Please try again."),
            _ => return FunctionError::internal(error),
        };
        FunctionError { status, message: message.to_owned(), details: None, cause: Some(Box::new(error)) }
    }
}

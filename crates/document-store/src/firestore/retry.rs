//! Which failed calls are retried, and which errors callers get for the others.

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use tonic::{Code, ConnectError, Status};

use crate::backoff::Backoff;
use crate::context::SystemRandom;
use crate::{Precondition, Result, StoreError, Transform, Write, WriteKind};

/// The pauses between the attempts of a call.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(6400));
/// The most characters of a server's message that are repeated in an error.
const MESSAGE_LIMIT: usize = 300;

/// What a call does, which decides whether it's safe to retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    /// Changes nothing.
    Read,
    /// Reads inside a transaction: as [`CallKind::Read`], but contention ends the attempt.
    TransactionRead,
    /// An idempotent commit: made twice, it leaves the same documents.
    Replayable,
    /// A commit with a precondition or an increment, which isn't idempotent.
    ///
    /// After an ambiguous failure (the connection broke, the deadline passed) the commit may have happened. A retry
    /// would apply an increment twice, and a precondition would fail because of the commit's own first success. So it's
    /// retried only when it certainly didn't happen, and else reported as unavailable: the caller can read the
    /// documents and decide.
    Conditional,
    /// A transaction's commit: as [`CallKind::Conditional`], and contention ends the attempt, because
    /// what was read is stale.
    TransactionCommit,
}

/// The kind of a commit outside transactions.
pub(super) fn kind_of_commit(writes: &[Write]) -> CallKind {
    let replayable = writes.iter().all(|write| {
        let computed = match &write.kind {
            WriteKind::Set { transforms, .. } => {
                transforms.iter().any(|field| matches!(field.transform, Transform::Increment(_)))
            }
            WriteKind::Delete => false,
        };
        write.precondition == Precondition::None && !computed
    });
    if replayable { CallKind::Replayable } else { CallKind::Conditional }
}

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server's answer, or the transport's.
    Status(Box<Status>),
    /// An answer that can't be decoded.
    Malformed(StoreError),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Failure::Status(Box::new(status))
    }
}
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Malformed(error)
    }
}

/// What a failed call was about: the same status means different things.
#[derive(Clone, Copy, Debug)]
pub(super) enum Subject<'a> {
    /// Reading documents by name.
    Read,
    /// A query over collections of this ID.
    Query(&'a str),
    /// A commit, with a precondition or without.
    Commit { conditional: bool },
}

impl Subject<'_> {
    pub(super) fn commit(writes: &[Write]) -> Subject<'static> {
        Subject::Commit { conditional: writes.iter().any(|write| write.precondition != Precondition::None) }
    }
}

/// Whether a call that failed may have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It certainly wasn't executed, and may succeed later.
    NotDone,
    /// It met contention and wasn't executed.
    Contention,
    /// It may have been executed.
    Ambiguous,
    /// It wasn't executed, and a retry would fail the same way.
    Refused,
}

impl Failure {
    pub(super) fn malformed(what: &str) -> Failure {
        Failure::Malformed(super::malformed(what))
    }

    fn outcome(&self) -> Outcome {
        let Failure::Status(status) = self else {
            return Outcome::Refused;
        };
        match status.code() {
            Code::Aborted => Outcome::Contention,
            // The server refuses such calls before it executes them.
            Code::ResourceExhausted => Outcome::NotDone,
            Code::Unavailable if never_sent(status) => Outcome::NotDone,
            // A reset stream or connection comes as INTERNAL, UNKNOWN or CANCELLED too.
            Code::Unavailable | Code::DeadlineExceeded | Code::Internal | Code::Unknown | Code::Cancelled => {
                Outcome::Ambiguous
            }
            _ => Outcome::Refused,
        }
    }

    fn may_retry(&self, kind: CallKind) -> bool {
        match (self.outcome(), kind) {
            (Outcome::NotDone, _) => true,
            (Outcome::Contention, kind) => !matches!(kind, CallKind::TransactionRead | CallKind::TransactionCommit),
            (Outcome::Ambiguous, kind) => {
                matches!(kind, CallKind::Read | CallKind::TransactionRead | CallKind::Replayable)
            }
            (Outcome::Refused, _) => false,
        }
    }

    /// The store's error for the failure of a call about `subject`.
    pub(super) fn into_error(self, subject: Subject<'_>) -> StoreError {
        let status = match self {
            Failure::Status(status) => status,
            Failure::Malformed(error) => return error,
        };
        let text = brief(status.message());
        let code = status.code();
        match (code, subject) {
            (Code::Aborted, _) => StoreError::Contention,
            (
                Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition,
                Subject::Commit { conditional: true },
            ) => StoreError::Conflict(text),
            (Code::FailedPrecondition, Subject::Query(collection)) => StoreError::Internal(format!(
                "a query over {collection:?} needs an index that the database lacks: declare it in \
                 firestore.indexes.json and deploy that ({text})"
            )),
            // The server aborted the transaction, mostly because it was idle for too long. A new attempt may succeed.
            (Code::InvalidArgument, _) if text.contains("transaction") && transaction_lapsed(&text) => {
                StoreError::Contention
            }
            (Code::InvalidArgument | Code::OutOfRange, _) => StoreError::InvalidArgument(text),
            (Code::PermissionDenied | Code::Unauthenticated, _) => StoreError::PermissionDenied(text),
            (
                Code::Unavailable
                | Code::DeadlineExceeded
                | Code::Internal
                | Code::Unknown
                | Code::Cancelled
                | Code::ResourceExhausted,
                _,
            ) => StoreError::Unavailable(format!("{code:?}: {text}")),
            _ => StoreError::Internal(format!("{code:?}: {text}")),
        }
    }
}

fn transaction_lapsed(text: &str) -> bool {
    text.contains("expired") || text.contains("no longer valid") || text.contains("is invalid or closed")
}

/// True when the connection couldn't be made, so that the call never reached the server. tonic tells that only by the
/// type of the status's source.
fn never_sent(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The first line of the server's message, truncated. Firestore's messages name documents and fields, not their
/// contents.
fn brief(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    match line.char_indices().nth(MESSAGE_LIMIT) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// Makes a call, and retries it after a pause while its kind allows, `attempts` times in all.
pub(super) async fn retrying<T, F>(attempts: u32, kind: CallKind, mut call: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut attempt = 1;
    loop {
        match call().await {
            Err(failure) if again(&failure, kind, attempt, attempts) => {
                wait(attempt).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// True when a call of this kind is to be retried after this failure of its `attempt`th of `attempts` attempts.
pub(super) fn again(failure: &Failure, kind: CallKind, attempt: u32, attempts: u32) -> bool {
    attempt < attempts && failure.may_retry(kind)
}

/// Waits before a call that failed `attempt` times in a row is retried.
pub(super) async fn wait(attempt: u32) {
    tracing::debug!(attempt, "a call of Firestore is retried");
    tokio::time::sleep(BACKOFF.pause(attempt, &SystemRandom)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::{DocPath, FieldPath, Value};

    fn failure(code: Code) -> Failure {
        Status::new(code, "why").into()
    }

    #[test]
    fn a_commit_is_replayable_when_twice_is_as_good_as_once() {
        let path = DocPath::new("a/b").unwrap();
        let set = || Write::set(path.clone(), fields! {"x" => 1});
        let with = |transform| vec![set().with(FieldPath::top("n"), transform)];
        let replayable = [
            vec![set()],
            vec![Write::delete(path.clone())],
            with(Transform::ServerTime),
            with(Transform::Union(vec![Value::Null])),
            with(Transform::Remove(vec![Value::Null])),
            with(Transform::Maximum(Value::Integer(1))),
        ];
        for writes in replayable {
            assert_eq!(kind_of_commit(&writes), CallKind::Replayable, "{writes:?}");
        }
        let conditional = [
            vec![set(), Write::create(path.clone(), fields! {})],
            vec![Write::delete(path.clone()).when(Precondition::Exists)],
            with(Transform::Increment(Value::Integer(1))),
        ];
        for writes in conditional {
            assert_eq!(kind_of_commit(&writes), CallKind::Conditional, "{writes:?}");
        }
    }

    #[test]
    fn retries_follow_what_the_call_does_and_what_is_known_of_it() {
        use CallKind::*;
        let table = [
            (Code::Unavailable, vec![Read, TransactionRead, Replayable]),
            (Code::DeadlineExceeded, vec![Read, TransactionRead, Replayable]),
            (Code::Internal, vec![Read, TransactionRead, Replayable]),
            (Code::Aborted, vec![Read, Replayable, Conditional]),
            (Code::ResourceExhausted, vec![Read, TransactionRead, Replayable, Conditional, TransactionCommit]),
            (Code::InvalidArgument, vec![]),
            (Code::NotFound, vec![]),
            (Code::PermissionDenied, vec![]),
        ];
        for (code, retried) in table {
            for kind in [Read, TransactionRead, Replayable, Conditional, TransactionCommit] {
                assert_eq!(failure(code).may_retry(kind), retried.contains(&kind), "{code:?} {kind:?}");
            }
        }
    }

    #[test]
    fn a_status_means_what_the_call_makes_of_it() {
        let conditional = Subject::Commit { conditional: true };
        let plain = Subject::Commit { conditional: false };
        let conflict = |code| matches!(failure(code).into_error(conditional), StoreError::Conflict(_));
        assert!(conflict(Code::NotFound) && conflict(Code::AlreadyExists) && conflict(Code::FailedPrecondition));
        assert!(matches!(failure(Code::NotFound).into_error(plain), StoreError::Internal(_)));
        assert_eq!(failure(Code::Aborted).into_error(plain), StoreError::Contention);
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Unknown, Code::ResourceExhausted] {
            assert!(matches!(failure(code).into_error(conditional), StoreError::Unavailable(_)), "{code:?}");
        }
        for code in [Code::PermissionDenied, Code::Unauthenticated] {
            assert!(matches!(failure(code).into_error(Subject::Read), StoreError::PermissionDenied(_)), "{code:?}");
        }
        let missing_index = failure(Code::FailedPrecondition).into_error(Subject::Query("users")).to_string();
        assert!(missing_index.contains("users") && missing_index.contains("firestore.indexes.json"), "{missing_index}");
        let lapsed = Status::invalid_argument("The referenced transaction has expired or is no longer valid.");
        assert_eq!(Failure::from(lapsed).into_error(Subject::Read), StoreError::Contention);
    }

    #[test]
    fn the_servers_text_is_cut_short() {
        let long = Status::invalid_argument("é".repeat(1000));
        let text = Failure::from(long).into_error(Subject::Read).to_string();
        assert!(text.chars().count() < MESSAGE_LIMIT + 50);
    }

    #[test]
    fn attempts_are_bounded() {
        assert!(again(&failure(Code::Unavailable), CallKind::Read, 2, 3));
        assert!(!again(&failure(Code::Unavailable), CallKind::Read, 3, 3));
    }
}

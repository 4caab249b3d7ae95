//! Why Clever can't be asked.

use thiserror::Error;

/// Why something can't be had of Clever. Texts hold nothing of what Clever said: that may name a child, or a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CleverError {
    /// The token isn't taken, nor is the one that was fetched anew; or the client's ID and secret aren't.
    #[error("Clever refuses the token or the client's secret")]
    Unauthorized,
    /// There's no token of the district (any more): it has disconnected.
    #[error("the district isn't connected")]
    Disconnected,
    /// It's missing, deleted, not shared with us, or nothing for this kind of token.
    #[error("there is no such record, or it isn't shared")]
    NotFound,
    /// More is asked for at once than Clever gives, even of pages of one record.
    #[error("Clever refuses pages of any size")]
    TooLarge,
    /// Too many requests, again and again, or for longer than we are to wait.
    #[error("Clever's rate limit is used up")]
    RateLimited,
    /// It can't be reached, fails, or its answers break off: it may work later.
    #[error("Clever can't be reached: {0}")]
    Unavailable(&'static str),
    /// It refuses the request, with this HTTP status.
    #[error("Clever refuses the request (HTTP {0})")]
    Refused(u16),
    /// What it answers isn't what's documented.
    #[error("Clever's answer can't be understood: {0}")]
    Malformed(&'static str),
    /// A link in an answer leads elsewhere, where a token isn't to be sent.
    #[error("Clever's answer links to another host")]
    ForeignLink,
    /// It can't be asked with these settings.
    #[error("Clever can't be asked: {0}")]
    Settings(&'static str),
}

impl CleverError {
    /// True when the same may work later, without anybody doing anything about it.
    pub fn may_pass(&self) -> bool {
        matches!(self, CleverError::RateLimited | CleverError::Unavailable(_))
    }
}

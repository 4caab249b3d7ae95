//! Where rosters come from: what a sync asks of a provider of rosters, whoever that is.
//!
//! A [`Provider`] tells which districts share their rosters with us; a [`Source`] reads one of these rosters. The sync
//! knows nothing else of a provider: how it's asked, how often, and what its records look like is the source's own
//! business ([`sources`](super::sources)). Tests have sources that are made of vectors.

use async_trait::async_trait;
use futures::stream::BoxStream;
use thiserror::Error;

use super::model::{Member, RosterClass, RosterDistrict, RosterOrg, Unread, Unreadable};
use crate::store::Timestamp;

/// Somebody who provides rosters of districts.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The provider's name in documents: `clever`.
    fn name(&self) -> &'static str;

    /// The rosters of the districts that are connected, or of the one with that ID if it's connected. In any order; none
    /// at all is a normal answer.
    async fn sources(&self, only: Option<&str>) -> Result<Vec<Box<dyn Source>>, SourceError>;
}

/// A district's roster at a provider.
///
/// Lists come page by page, and records of a page are read one by one, so that a large district takes little memory. A
/// list isn't a snapshot: what is made meanwhile may come at its end, what is deleted may be left out, and what moves
/// may come twice.
#[async_trait]
pub trait Source: Send + Sync {
    /// The provider's name in documents: `clever`.
    fn provider(&self) -> &'static str;

    /// The district's ID, the provider's and ROAR's.
    fn id(&self) -> &str;

    /// The district itself, as it's at `now`.
    async fn district(&self, now: Timestamp) -> Result<Noted<RosterDistrict>, SourceError>;

    /// The schools.
    fn schools(&self) -> Pages<RosterOrg>;

    /// The classes.
    fn classes(&self) -> Pages<RosterClass>;

    /// The people, whatever they are.
    fn people(&self) -> Pages<Member>;

    /// How many students there are, where the provider says so.
    async fn count_students(&self) -> Result<Option<u64>, SourceError>;
}

/// A list, page by page. It ends after an error.
pub type Pages<T> = BoxStream<'static, Result<Page<T>, SourceError>>;

/// A part of a list.
pub struct Page<T> {
    /// The records. Each is read when it's asked for.
    pub records: Box<dyn Iterator<Item = Result<Noted<T>, Unreadable>> + Send>,
    /// How many they are, readable or not.
    pub number: usize,
    /// How many records the whole list has, where the provider says so.
    pub total: Option<u64>,
    /// Nothing comes after it.
    pub is_last: bool,
    /// The list may have been cut short here, for the provider led on to a page that has nothing.
    pub is_cut_short: bool,
}

/// A record, and what of it was there but couldn't be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Noted<T> {
    /// The record.
    pub record: T,
    /// Its values that couldn't be read.
    pub unread: Vec<Unread>,
}

/// Why a source can't be read. The text holds nothing of what the provider said: that may name a child, or a token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct SourceError {
    /// Why, for people. It names the provider.
    pub text: String,
    /// The provider doesn't let us in: somebody has to connect the district again, or to mend the settings.
    pub is_refused: bool,
}

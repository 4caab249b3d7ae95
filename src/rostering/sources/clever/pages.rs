//! Lists, page by page.

use std::marker::PhantomData;

use futures::Stream;
use reqwest::Url;

use super::link::{follow, parameter, set_parameter};
use super::records::{self, Record, Records, Role, School, Section, User};
use super::{CleverError, District, Result};

impl District {
    /// The schools, in pages.
    pub fn schools(&self) -> Pages<School> {
        Pages::new(self.clone(), None)
    }

    /// The sections, in pages.
    pub fn sections(&self) -> Pages<Section> {
        Pages::new(self.clone(), None)
    }

    /// The users, in pages: all of them, or those who hold that role (beside others, perhaps).
    pub fn users(&self, role: Option<Role>) -> Pages<User> {
        Pages::new(self.clone(), role)
    }
}

/// The records of one page.
#[derive(Debug)]
pub struct Page<T> {
    /// The records, in the order of their IDs.
    pub records: Records<T>,
    /// How many records the whole list has, where Clever says so.
    pub total: Option<u64>,
    /// It's the last one, and has nothing, though the one before led to it: the list may have been cut short.
    pub is_doubtful: bool,
    /// Where the rest begins, for [`Pages::starting_after`]; `None` when this is the last page.
    pub next_after: Option<String>,
}

/// A list, page by page, in the order of IDs.
///
/// It isn't a snapshot: what is made meanwhile comes at the end, what is deleted is left out. So nothing may be taken
/// for gone before the last page is here ([`Page::next_after`] is `None`). A page that can't be had can be asked for
/// again: the place is kept.
pub struct Pages<T> {
    district: District,
    role: Option<Role>,
    /// Records a page.
    limit: u32,
    /// Clever is asked how many there are in all.
    is_counted: bool,
    at: At,
    records: PhantomData<fn() -> T>,
}

enum At {
    /// Before the first page, which starts after that ID.
    Start(Option<String>),
    /// Before the page at that address.
    Next(Url),
    /// After the last page.
    End,
}

impl<T: Record> Pages<T> {
    pub(super) fn new(district: District, role: Option<Role>) -> Pages<T> {
        let limit = district.clever().settings().page_limit.max(1);
        Pages { district, role, limit, is_counted: false, at: At::Start(None), records: PhantomData }
    }

    /// Begins after that ID: the [`Page::next_after`] of a page that was had before.
    #[must_use]
    pub fn starting_after(mut self, id: impl Into<String>) -> Pages<T> {
        self.at = At::Start(Some(id.into()));
        self
    }

    /// With other pages than the settings say. Clever may make them smaller, and so do we when it refuses them.
    #[must_use]
    pub fn of(mut self, limit: u32) -> Pages<T> {
        self.limit = limit.max(1);
        self
    }

    /// Asks how many there are in all, too. Clever may not say.
    #[must_use]
    pub fn counted(mut self) -> Pages<T> {
        self.is_counted = true;
        self
    }

    /// The next page; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Page<T>>> {
        let mut url = match &self.at {
            At::Start(after) => self.first(after.as_deref())?,
            At::Next(url) => url.clone(),
            At::End => return Ok(None),
        };
        let list = loop {
            match self.district.get(&url, records::list::<T>).await {
                // Of the address that Clever gave, nothing changes but the size.
                Err(CleverError::TooLarge) if self.limit > 1 => {
                    self.limit = (self.limit / 2).max(1);
                    tracing::info!(limit = self.limit, "Clever refuses the page's size, and is asked for less");
                    set_parameter(&mut url, "limit", &self.limit.to_string());
                }
                outcome => break outcome?,
            }
        };
        let records::List { records, total, next } = list;
        let Some(next) = next else {
            let is_doubtful = records.is_empty() && matches!(self.at, At::Next(_));
            self.at = At::End;
            return Ok(Some(Page { records, total, is_doubtful, next_after: None }));
        };
        let next = follow(&url, &next)?;
        let next_after = parameter(&next, "starting_after")
            .or_else(|| Some(records.iter().rev().find_map(|record| record.ok())?.id().to_owned()));
        // Whoever went back would go round for ever.
        if next == url || !is_further(parameter(&url, "starting_after").as_deref(), next_after.as_deref()) {
            return Err(CleverError::Malformed("the next page doesn't lead on"));
        }
        self.at = At::Next(next);
        Ok(Some(Page { records, total, is_doubtful: false, next_after }))
    }

    /// All pages that are left, as a stream; it ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Page<T>>> + Send {
        futures::stream::unfold(Some(self), async |pages| {
            let mut pages = pages?;
            match pages.next().await {
                Ok(page) => Some((Ok(page?), Some(pages))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    fn first(&self, after: Option<&str>) -> Result<Url> {
        let mut url = self.district.clever().path([T::LIST])?;
        let mut query = url.query_pairs_mut();
        query.append_pair("limit", &self.limit.to_string());
        if let Some(role) = self.role {
            query.append_pair("role", role.as_str());
        }
        if self.is_counted {
            query.append_pair("count", "true");
        }
        if let Some(after) = after {
            query.append_pair("starting_after", after);
        }
        drop(query);
        Ok(url)
    }
}

/// True unless one can tell that it goes back, or stays: IDs of one length are in order.
fn is_further(before: Option<&str>, after: Option<&str>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) if before.len() == after.len() => before < after,
        (Some(before), Some(after)) => before != after,
        _ => true,
    }
}

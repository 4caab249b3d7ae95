//! People of a roster who may be somebody who is known already, by what people can edit alone.
//!
//! Whoever may edit a user's name and address can make them look like somebody who is about to be rostered. So what
//! agrees by such fields links nobody: the person gets a user of their own, and the two are noted here as a pair that
//! waits for somebody's yes. Then the one who was known is merged into the one whom the roster has. A pair holds IDs and
//! the names of the fields that agree, never what's in them; security rules close the collection.

pub mod callable;
mod decide;

pub use callable::roster_doubles;
pub use decide::{Ask, DecideError, Decided, Undecided, decide};

pub use crate::documents::doubles::Double;

use crate::documents::doubles::{all_waiting, pair_path};
use crate::store::path::NAME_FIELD;
use crate::store::{Database, Direction, StoreError};

/// Pairs that are read at once.
pub const PAGE: u32 = 100;

/// Some of a district's pairs that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The pairs.
    pub pairs: Vec<Double>,
    /// After which pair the others come, if there may be others.
    pub next: Option<String>,
}

/// The pairs of a district that wait, a page of them after that one.
pub async fn waiting(database: &Database, district: &str, after: Option<&str>) -> Result<Page, StoreError> {
    let mut query = all_waiting(district)?.order_by(NAME_FIELD, Direction::Ascending).limit(PAGE);
    if let Some(after) = after {
        query = query.start_after(vec![database.reference(&pair_path(district, after)?)]);
    }
    let found = database.query(query).await?;
    let next = found.last().filter(|_| found.len() == PAGE as usize).map(|last| last.id().to_owned());
    Ok(Page { pairs: found.iter().filter_map(Double::read).collect(), next })
}

/// How many of a district's pairs wait: a read for a thousand.
pub async fn count_waiting(database: &Database, district: &str) -> Result<u64, StoreError> {
    database.count(all_waiting(district)?).await
}

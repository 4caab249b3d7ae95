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

use schemars::JsonSchema;
use serde::Serialize;

use crate::documents::doubles::{WAITING, pair_path, pairs};
use crate::payload::Id;
use crate::store::path::NAME_FIELD;
use crate::store::{Database, Direction, Document, Query, StoreError, Timestamp, Value};

/// Pairs that are read at once.
pub const PAGE: u32 = 100;

/// Two users who may be one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Double {
    /// The pair's ID.
    #[schemars(with = "Id")]
    pub pair: String,
    /// The ID of the person at the roster's provider.
    #[schemars(with = "Id")]
    pub provider_id: String,
    /// The user whom the roster has, and who stays.
    #[schemars(with = "Id")]
    pub rostered: String,
    /// The user who was known, and is merged into the other if somebody says so.
    #[schemars(with = "Id")]
    pub known: String,
    /// What agrees: `email`, `name`, `dob`; or `account`, where the known user's account showed that it's the person's.
    #[schemars(with = "Vec<Agreement>")]
    pub agrees: Vec<String>,
    /// Several who were known may be the person. Then each has to be confirmed by its ID.
    pub is_one_of_several: bool,
    /// When they were found.
    pub found_at: Timestamp,
}

/// What can agree.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
#[allow(dead_code, reason = "documents have the words, which may be others in time; answers describe these")]
enum Agreement {
    Email,
    Name,
    Dob,
    Account,
}

impl Double {
    /// True for a pair that has to be confirmed by its ID: several users may be the person; or it's only their account
    /// that agrees, with which somebody who looked after it could have signed in as anybody.
    pub fn is_unsure(&self) -> bool {
        self.is_one_of_several || !self.agrees.iter().any(|field| field == "name")
    }

    /// Reads a pair; `None` for what is none.
    fn read(document: &Document) -> Option<Double> {
        let text = |name: &str| document.fields.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Double {
            pair: document.id().to_owned(),
            provider_id: text("providerId")?,
            rostered: text("rosteredUid")?,
            known: text("knownUid")?,
            agrees: document.fields.get("agrees").and_then(Value::as_string_list).unwrap_or_default(),
            is_one_of_several: document.fields.get("isOneOfSeveral").and_then(Value::as_bool).unwrap_or(false),
            found_at: document.fields.get("foundAt").and_then(Value::as_timestamp)?,
        })
    }
}

fn is_waiting(document: &Document) -> bool {
    document.fields.get("state").and_then(Value::as_str) == Some(WAITING)
}

fn all_waiting(district: &str) -> Result<Query, StoreError> {
    Ok(Query::collection(pairs(district)?).equal("state", WAITING))
}

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

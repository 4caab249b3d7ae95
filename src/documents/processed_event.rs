//! Events whose work is done, `processedEvents/{id}`: marks for what can't be told from the documents themselves. Pure.

use crate::fields;
use crate::store::{DocPath, Result, Timestamp, Write};

/// Names of the fields.
#[allow(missing_docs, reason = "they say it")]
pub mod field {
    pub const AT: &str = "at";
    pub const EXPIRE_AT: &str = "expireAt";
}

/// The write that marks an event at `now`, until the mark may go.
pub fn marking(id: &str, now: Timestamp, expires: Timestamp) -> Result<Write> {
    let path = DocPath::in_collection("processedEvents", id)?;
    Ok(Write::set(path, fields! { field::AT => now, field::EXPIRE_AT => expires }))
}

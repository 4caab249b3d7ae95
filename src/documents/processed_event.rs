//! Events that have been processed, `processedEvents/{id}`: marks that make processing idempotent where the changed
//! documents don't show that an event was processed. Pure.

use crate::fields;
use crate::store::{DocPath, Result, Timestamp, Write};

/// Names of the fields.
#[allow(missing_docs, reason = "they say it")]
pub mod field {
    pub const AT: &str = "at";
    pub const EXPIRE_AT: &str = "expireAt";
}

/// The write that marks an event as processed at `now`; the mark may be deleted after `expires`.
pub fn marking(id: &str, now: Timestamp, expires: Timestamp) -> Result<Write> {
    let path = DocPath::in_collection("processedEvents", id)?;
    Ok(Write::set(path, fields! { field::AT => now, field::EXPIRE_AT => expires }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_when_it_was_made_and_when_it_may_go() {
        let (now, expires) = (Timestamp::UNIX_EPOCH, Timestamp::from_millisecond(5).unwrap());
        let path = DocPath::new("processedEvents/e1").unwrap();
        let expected = Write::set(path, fields! { "at" => now, "expireAt" => expires });
        assert_eq!(marking("e1", now, expires).unwrap(), expected);
        // An ID that would lead to another collection, and an empty one, are refused.
        assert!(marking("e1/other/e2", now, expires).is_err() && marking("", now, expires).is_err());
    }
}

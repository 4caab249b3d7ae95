//! Pairs of users who may be one person: the one that a roster has, and one who was known, by what people can edit.
//!
//! A pair waits for somebody's yes (`rostering::doubles`). It holds IDs and the names of the fields that agree, never
//! what's in them.

use crate::digest::fingerprint;
use crate::fields;
use crate::store::{DocPath, StoreError, Timestamp, Value, Write};

/// The collection; below a district's ID, its `pairs`. Security rules close it.
pub const DOUBLES: &str = "rosterDoubles";
/// The state of a pair that nobody has decided about yet.
pub const WAITING: &str = "waiting";

/// A pair's document.
pub fn pair_path(district: &str, pair: &str) -> Result<DocPath, StoreError> {
    DocPath::in_collection(DOUBLES, district)?.child("pairs", pair)
}

/// The collection of a district's pairs.
pub fn pairs(district: &str) -> Result<String, StoreError> {
    Ok(format!("{}/pairs", DocPath::in_collection(DOUBLES, district)?))
}

/// Two users who were found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The roster's district.
    pub district: &'a str,
    /// The roster's provider.
    pub provider: &'a str,
    /// The ID of the person there.
    pub provider_id: &'a str,
    /// The user whom the roster has.
    pub rostered: &'a str,
    /// The user who was known.
    pub known: &'a str,
    /// What agrees.
    pub agrees: &'a [&'static str],
    /// Several who were known may be the person.
    pub is_one_of_several: bool,
}

impl Found<'_> {
    /// Where the pair is noted. Found again, it's the same pair.
    pub fn path(&self) -> Result<DocPath, StoreError> {
        pair_path(self.district, &fingerprint(format!("{}\0{}", self.rostered, self.known)))
    }

    /// The pair's document.
    pub fn write(&self, now: Timestamp) -> Result<Write, StoreError> {
        let fields = fields! {
            "provider" => self.provider, "providerId" => self.provider_id, "rosteredUid" => self.rostered,
            "knownUid" => self.known, "agrees" => Value::strings(self.agrees.iter().copied()),
            "isOneOfSeveral" => self.is_one_of_several, "state" => WAITING, "foundAt" => now,
        };
        Ok(Write::set(self.path()?, fields))
    }
}

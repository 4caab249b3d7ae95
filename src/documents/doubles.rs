//! Pairs of users who may be one person, `rosterDoubles/{districtId}/pairs/{id}`: the one that a roster has, and one who
//! was known, by what people can edit (docs/domain/rosters.md#doubles). Pure.
//!
//! A pair waits for somebody's yes (`rostering::doubles`). A pair holds IDs and the names of the fields that agree, never
//! what's in these fields.

use serde::Serialize;

use crate::digest::fingerprint;
use crate::fields;
use crate::store::{DocPath, Document, Fields, Query, StoreError, Timestamp, Value, Write};

/// The collection; below a district's ID, its `pairs`. Security rules close it.
pub const DOUBLES: &str = "rosterDoubles";

/// Names of the fields of pairs.
#[allow(missing_docs, reason = "Double says what each means")]
pub mod field {
    pub const PROVIDER: &str = "provider";
    pub const PROVIDER_ID: &str = "providerId";
    pub const ROSTERED_UID: &str = "rosteredUid";
    pub const KNOWN_UID: &str = "knownUid";
    pub const AGREES: &str = "agrees";
    pub const IS_ONE_OF_SEVERAL: &str = "isOneOfSeveral";
    pub const STATE: &str = "state";
    pub const FOUND_AT: &str = "foundAt";
    pub const DECIDED_AT: &str = "decidedAt";
    pub const DECIDED_BY: &str = "decidedBy";
}

/// What agrees of the two users of a pair, as [`field::AGREES`] names it.
#[allow(missing_docs, reason = "they say it")]
pub mod agrees {
    pub const EMAIL: &str = "email";
    pub const NAME: &str = "name";
    pub const DOB: &str = "dob";
}

/// What somebody has decided about a pair, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    Waiting,
    /// The two are one person, and merged.
    Confirmed,
    /// The two are two people.
    Rejected,
    /// One of the two isn't there any more.
    Gone,
}

impl State {
    /// As documents have it.
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Confirmed => "confirmed",
            State::Rejected => "rejected",
            State::Gone => "gone",
        }
    }
}

/// A pair's document.
pub fn pair_path(district: &str, pair: &str) -> Result<DocPath, StoreError> {
    DocPath::in_collection(DOUBLES, district)?.child("pairs", pair)
}

/// The collection of a district's pairs.
pub fn pairs(district: &str) -> Result<String, StoreError> {
    Ok(format!("{}/pairs", DocPath::in_collection(DOUBLES, district)?))
}

/// The pairs of a district that wait.
pub fn all_waiting(district: &str) -> Result<Query, StoreError> {
    Ok(Query::collection(pairs(district)?).equal(field::STATE, State::Waiting.name()))
}

/// True for a pair that waits.
pub fn is_waiting(pair: &Document) -> bool {
    pair.fields.get(field::STATE).and_then(Value::as_str) == Some(State::Waiting.name())
}

/// The fields that note what somebody decided about a pair.
pub fn decided(state: State, by: &str, now: Timestamp) -> Fields {
    fields! { field::STATE => state.name(), field::DECIDED_AT => now, field::DECIDED_BY => by }
}

/// Two users who may be one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Double {
    /// The pair's ID.
    pub pair: String,
    /// The ID of the person at the roster's provider.
    pub provider_id: String,
    /// The user whom the roster has, and who stays.
    pub rostered: String,
    /// The user who was known, and is merged into the other if somebody says so.
    pub known: String,
    /// What agrees: `email`, `name`, `dob`; or `account`, where the known user's account showed that it's the person's.
    pub agrees: Vec<String>,
    /// Several who were known may be the person. Then each has to be confirmed by its ID.
    pub is_one_of_several: bool,
    /// When they were found.
    pub found_at: Timestamp,
}

impl Double {
    /// True for a pair that has to be confirmed by its ID: several users may be the person; or it's only their account
    /// that agrees, with which somebody who looked after it could have signed in as anybody.
    pub fn is_unsure(&self) -> bool {
        self.is_one_of_several || !self.agrees.iter().any(|field| field == agrees::NAME)
    }

    /// Reads a pair; `None` for what is none.
    pub fn read(document: &Document) -> Option<Double> {
        let get = |name: &str| document.fields.get(name);
        let text = |name: &str| get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Double {
            pair: document.id().to_owned(),
            provider_id: text(field::PROVIDER_ID)?,
            rostered: text(field::ROSTERED_UID)?,
            known: text(field::KNOWN_UID)?,
            agrees: get(field::AGREES).and_then(Value::as_string_list).unwrap_or_default(),
            is_one_of_several: get(field::IS_ONE_OF_SEVERAL).and_then(Value::as_bool).unwrap_or(false),
            found_at: get(field::FOUND_AT).and_then(Value::as_timestamp)?,
        })
    }
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
            field::PROVIDER => self.provider, field::PROVIDER_ID => self.provider_id,
            field::ROSTERED_UID => self.rostered, field::KNOWN_UID => self.known,
            field::AGREES => Value::strings(self.agrees.iter().copied()),
            field::IS_ONE_OF_SEVERAL => self.is_one_of_several, field::STATE => State::Waiting.name(),
            field::FOUND_AT => now,
        };
        Ok(Write::set(self.path()?, fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::WriteKind;

    #[test]
    fn a_pair_is_read_as_it_was_found_and_waits_until_it_is_decided() {
        let now = Timestamp::UNIX_EPOCH;
        // What agrees, one of several; has to be confirmed by its ID.
        for (agrees, is_one_of_several, is_unsure) in
            [(&["email", "name"][..], false, false), (&["email", "name"], true, true), (&["account"], false, true)]
        {
            let found = Found {
                district: "d1",
                provider: "clever",
                provider_id: "p1",
                rostered: "new",
                known: "old",
                agrees,
                is_one_of_several,
            };
            let write = found.write(now).unwrap();
            let WriteKind::Set { fields, .. } = write.kind else { panic!("it's written as a whole") };
            let mut document = Document { path: write.path, fields, create_time: now, update_time: now };
            let read = Double::read(&document).expect("a pair");
            assert_eq!((read.rostered.as_str(), read.known.as_str(), read.is_unsure()), ("new", "old", is_unsure));
            assert!(is_waiting(&document));
            document.fields.extend(decided(State::Rejected, "somebody", now));
            assert!(!is_waiting(&document));
        }
    }
}

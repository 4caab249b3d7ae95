//! Pairs of users who may be one person, `rosterDoubles/{districtId}/pairs/{id}`: a user from a roster, and a user
//! known before, who agree in fields that people can edit (docs/domain/rosters.md#doubles). Pure.
//!
//! A pair is pending until somebody confirms or rejects it (`rostering::doubles`). A pair holds IDs and the names of
//! the fields that agree, never the content of these fields.

use schemars::JsonSchema;
use serde::Serialize;

use crate::digest::fingerprint;
use crate::fields;
use crate::payload::Id;
use crate::store::{DocPath, Document, Fields, Query, StoreError, Timestamp, Value, Write};

/// The collection; the pairs of a district are in `pairs` below the district's ID. Security rules close it to clients.
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

/// The names in [`field::AGREES`] of what is the same for the two users of a pair.
#[allow(missing_docs, reason = "they say it")]
pub mod agrees {
    pub const EMAIL: &str = "email";
    pub const NAME: &str = "name";
    pub const DOB: &str = "dob";
}

/// The state of a pair: whether it's pending, and otherwise what was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Pending: nobody has decided.
    Waiting,
    /// The two are one person, and merged.
    Confirmed,
    /// The two are two people.
    Rejected,
    /// One of the two users doesn't exist any more.
    Gone,
}

impl State {
    /// The state's name in documents.
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Confirmed => "confirmed",
            State::Rejected => "rejected",
            State::Gone => "gone",
        }
    }
}

/// The path of a pair's document.
pub fn pair_path(district: &str, pair: &str) -> Result<DocPath, StoreError> {
    DocPath::in_collection(DOUBLES, district)?.child("pairs", pair)
}

/// The collection of a district's pairs.
pub fn pairs(district: &str) -> Result<String, StoreError> {
    Ok(format!("{}/pairs", DocPath::in_collection(DOUBLES, district)?))
}

/// A query for the pending pairs of a district.
pub fn all_waiting(district: &str) -> Result<Query, StoreError> {
    Ok(Query::collection(pairs(district)?).equal(field::STATE, State::Waiting.name()))
}

/// True for a pending pair.
pub fn is_waiting(pair: &Document) -> bool {
    pair.fields.get(field::STATE).and_then(Value::as_str) == Some(State::Waiting.name())
}

/// The fields that record a decision about a pair: the new state, who decided, and when.
pub fn decided(state: State, by: &str, now: Timestamp) -> Fields {
    fields! { field::STATE => state.name(), field::DECIDED_AT => now, field::DECIDED_BY => by }
}

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
    /// True for a pair that has to be confirmed by its ID: several users may be the person, or only the account agrees.
    /// An account alone proves little, because whoever managed it could have signed in with it as anybody.
    pub fn is_unsure(&self) -> bool {
        self.is_one_of_several || !self.agrees.iter().any(|field| field == agrees::NAME)
    }

    /// Reads a pair; `None` for a document that isn't a valid pair.
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

/// Two users who were found to be possibly one person, to be stored as a pair.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The roster's district.
    pub district: &'a str,
    /// The roster's provider.
    pub provider: &'a str,
    /// The person's ID at this provider.
    pub provider_id: &'a str,
    /// The ID of the user from the roster.
    pub rostered: &'a str,
    /// The ID of the user known before.
    pub known: &'a str,
    /// The names of what agrees, for instance `email`.
    pub agrees: &'a [&'static str],
    /// Several users known before may be the person.
    pub is_one_of_several: bool,
}

impl Found<'_> {
    /// The path of the pair's document. The path depends on the two users alone, so a pair that's found again is the
    /// same.
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
        // Each case: what agrees, whether the pair is one of several, and whether it has to be confirmed by its ID.
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

//! Rostering partners, `rosteringPartners/{provider}-{orgId}`: organisations that share a roster, for instance a
//! district at Clever. A partner's document names the run that's under way, and keeps the results of earlier runs that
//! later runs need (docs/domain/rosters.md#runs-of-a-sync). Pure.

use super::org_lists::OrgKey;
use crate::fields;
use crate::store::{DocPath, Document, FieldPath, Fields, Query, Result, Timestamp, Value};

/// The collection, in the admin database.
pub const PARTNERS: &str = "rosteringPartners";

/// Names of the fields.
#[allow(missing_docs, reason = "Partner says what those mean that are read")]
pub mod field {
    pub const NAME: &str = "name";
    pub const DISPLAY_NAME: &str = "displayName";
    pub const PROVIDER: &str = "provider";
    pub const ORG_TYPE: &str = "orgType";
    pub const ORG_ID: &str = "orgId";
    pub const ACTIVE_RUN: &str = "activeRun";
    pub const ENROLMENTS: &str = "enrolments";
    pub const KNOWS_ADDRESSES: &str = "knowsAddresses";
    pub const CREATED_AT: &str = "createdAt";
    pub const UPDATED_AT: &str = "updatedAt";
}

/// The path of the document of a provider's partner, by the partner's top-most org.
pub fn partner_path(provider: &str, org_id: &str) -> Result<DocPath> {
    DocPath::in_collection(PARTNERS, &partner_id(provider, org_id))
}

fn partner_id(provider: &str, org_id: &str) -> String {
    format!("{provider}-{org_id}")
}

/// A query for the partners of a provider, which selects only the fields that [`org_id`] reads.
pub fn of_provider(provider: &str) -> Query {
    Query::collection(PARTNERS).equal(field::PROVIDER, provider).select(&[field::ORG_ID])
}

/// The ID of a partner's org.
pub fn org_id(partner: &Document) -> Option<&str> {
    partner.fields.get(field::ORG_ID).and_then(Value::as_str)
}

/// The ID of the run that's under way by the partner's document. That run may have stopped without recording its end.
pub fn active_run(partner: &Document) -> Option<&str> {
    partner.fields.get(field::ACTIVE_RUN).and_then(Value::as_str)
}

/// The results of earlier runs that a partner's document keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// The total of students in the partner's classes at the end of its last sync of people, where that's known.
    pub enrolled: Option<u64>,
    /// True when all entries of the partner's people name the district in whose roster they are.
    pub knows_notes: bool,
}

impl Remembered {
    /// Reads a partner's document.
    pub fn of(partner: &Document) -> Remembered {
        let enrolled = partner.fields.get(field::ENROLMENTS).and_then(Value::as_i64);
        Remembered {
            enrolled: enrolled.and_then(|number| number.try_into().ok()),
            knows_notes: partner.fields.get(field::KNOWS_ADDRESSES) == Some(&Value::Boolean(true)),
        }
    }
}

/// The results of a run that its partner's document keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Learnt<'a> {
    /// The partner's name.
    pub name: Option<&'a str>,
    /// The total of students in the partner's classes, after a sync of people.
    pub enrolled: Option<u64>,
    /// True when all entries of the partner's people name the district in whose roster they are.
    pub knows_notes: bool,
}

/// An edit of a partner: fields, and the mask to write them with.
pub type Edit = (Fields, Vec<FieldPath>);

/// The edit of the partner's document when a run begins. For a partner without a document yet (`is_known` is false),
/// the edit has all fields of a new document.
pub fn begins(is_known: bool, provider: &str, org: &OrgKey, run: &str, now: Timestamp) -> Edit {
    let mut fields = fields! { field::ACTIVE_RUN => run, field::UPDATED_AT => now };
    if !is_known {
        fields.extend(fields! {
            field::NAME => partner_id(provider, &org.id), field::DISPLAY_NAME => org.id.as_str(),
            field::PROVIDER => provider, field::ORG_TYPE => org.org_type.singular(), field::ORG_ID => org.id.as_str(),
            field::CREATED_AT => now,
        });
    }
    let mask = fields.keys().map(FieldPath::top).collect();
    (fields, mask)
}

/// The edit of the partner's document when a run ends: no run is under way, and the run's results are kept.
pub fn ends(learnt: &Learnt<'_>, now: Timestamp) -> Edit {
    let mut fields = fields! { field::UPDATED_AT => now };
    fields.extend(learnt.name.map(|name| (field::DISPLAY_NAME.to_owned(), Value::from(name))));
    fields.extend(learnt.knows_notes.then(|| (field::KNOWS_ADDRESSES.to_owned(), Value::Boolean(true))));
    fields.extend(learnt.enrolled.map(|number| (field::ENROLMENTS.to_owned(), Value::Integer(number as i64))));
    // A field that the mask names and the fields don't have is deleted.
    let mask = fields.keys().map(FieldPath::top).chain([FieldPath::top(field::ACTIVE_RUN)]).collect();
    (fields, mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::org_lists::OrgType;

    #[test]
    fn a_partner_remembers_what_its_runs_learn() {
        let (org, now) = (OrgKey::new(OrgType::District, "d1"), Timestamp::UNIX_EPOCH);
        let path = partner_path("clever", "d1").unwrap();
        let document = |fields| Document { path: path.clone(), fields, create_time: now, update_time: now };
        let new = document(begins(false, "clever", &org, "r1", now).0);
        assert_eq!((org_id(&new), active_run(&new), path.id()), (Some("d1"), Some("r1"), "clever-d1"));
        assert_eq!(Remembered::of(&new), Remembered::default());
        let (again, mask) = begins(true, "clever", &org, "r2", now);
        assert_eq!((again.len(), mask.len()), (2, 2), "what people changed of a known one stays");
        let (ended, mask) = ends(&Learnt { name: Some("Oak"), enrolled: Some(7), knows_notes: true }, now);
        assert!(mask.contains(&FieldPath::top("activeRun")) && !ended.contains_key("activeRun"));
        let known = Remembered { enrolled: Some(7), knows_notes: true };
        assert_eq!(Remembered::of(&document(ended)), known);
        let (ended, mask) = ends(&Learnt::default(), now);
        assert_eq!((ended.len(), mask.len()), (1, 2), "what a run didn't learn stays as it was");
    }
}

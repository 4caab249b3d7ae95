//! The orgs of an administration, one document each: `administrations/{id}/assignedOrgs/{orgId}`, whose members are
//! assigned, and `administrations/{id}/readOrgs/{orgId}`, whose admins may read. Pure.

use super::administration::{self, Administration, administration_path};
use super::org_lists::OrgType;
use crate::fields;
use crate::store::{DocPath, FieldOp, Fields, Query, Result, Timestamp, Value};

/// Names of the fields, beside those that are copied from the administration.
#[allow(missing_docs, reason = "they say it")]
pub mod field {
    pub const ADMINISTRATION_ID: &str = "administrationId";
    pub const ORG_ID: &str = "orgId";
    pub const ORG_TYPE: &str = "orgType";
    pub const CREATED_AT: &str = "createdAt";
    pub const UPDATED_AT: &str = "updatedAt";
    pub const TIMESTAMP: &str = "timestamp";
}

/// One of the two collections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrgSubcollection {
    /// Orgs whose members are assigned.
    Assigned,
    /// Orgs whose admins may read.
    Read,
}

/// The collection ID under which older functions stored [`OrgSubcollection::Assigned`] (docs/domain/decisions.md#a-7).
pub const FORMERLY_ASSIGNED: &str = "assigningOrgs";

impl OrgSubcollection {
    /// The collection's ID.
    pub const fn id(self) -> &'static str {
        match self {
            OrgSubcollection::Assigned => "assignedOrgs",
            OrgSubcollection::Read => "readOrgs",
        }
    }

    /// A query for the collection's documents below all administrations.
    pub fn of_all(self) -> Query {
        Query::group(self.id())
    }

    /// The path of an administration's document of an org.
    pub fn path(self, administration: &str, org: &str) -> Result<DocPath> {
        administration_path(administration)?.child(self.id(), org)
    }
}

/// Narrows `query` to the documents whose administration closes after `now`.
pub fn open(query: Query, now: Timestamp) -> Query {
    query.filter(administration::field::DATE_CLOSED, FieldOp::GreaterThan, now)
}

/// The fields that each document copies from its administration.
const COPIED: [&str; 6] = [
    administration::field::CREATED_BY,
    administration::field::DATE_CLOSED,
    administration::field::DATE_CREATED,
    administration::field::DATE_OPENED,
    administration::field::LEGAL,
    administration::field::NAME,
];

/// The fields of each document that are about its administration.
pub fn copied(administration: &Administration) -> Fields {
    let copies =
        COPIED.into_iter().filter_map(|name| Some((name.to_owned(), administration.fields.get(name)?.clone())));
    let mut copied: Fields = copies.collect();
    copied.extend(fields! {
        field::ADMINISTRATION_ID => administration.id.as_str(),
        administration::field::PUBLIC_NAME => administration.public_name(),
        administration::field::TEST_DATA => administration.flag(administration::field::TEST_DATA),
    });
    copied
}

/// The fields that an org's document must have, given those stored and those [`copied`]; `None` when they're equal
/// already.
pub fn changed(
    copied: &Fields,
    org_type: OrgType,
    id: &str,
    present: Option<&Fields>,
    now: Timestamp,
) -> Option<Fields> {
    let mut fields = copied.clone();
    fields.extend(fields! { field::ORG_ID => id, field::ORG_TYPE => org_type.plural() });
    let created = match present {
        Some(held) => {
            let is_stale = COPIED.into_iter().any(|name| held.contains_key(name) && !fields.contains_key(name));
            if !is_stale && fields.iter().all(|(name, value)| held.get(name) == Some(value)) {
                return None;
            }
            held.get(field::CREATED_AT).cloned().unwrap_or(Value::Timestamp(now))
        }
        None => Value::Timestamp(now),
    };
    fields.extend(fields! { field::TIMESTAMP => now, field::UPDATED_AT => now, field::CREATED_AT => created });
    Some(fields)
}

/// Reads a document of either collection: the administration's ID, and the type and ID of the org.
pub fn read(org: &Fields) -> Option<(&str, OrgType, &str)> {
    let text = |name: &str| org.get(name).and_then(Value::as_str);
    Some((text(field::ADMINISTRATION_ID)?, OrgType::parse(text(field::ORG_TYPE)?)?, text(field::ORG_ID)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_when_it_says_something_else() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let administration =
            |name: &str| Administration::from_fields("a", fields! { "name" => name, "dateClosed" => at(9) });
        let all = copied(&administration("Fall"));
        let written = changed(&all, OrgType::School, "s", None, at(1)).unwrap();
        assert_eq!(read(&written), Some(("a", OrgType::School, "s")));
        assert_eq!(written.get("publicName"), Some(&Value::from("Fall")), "the name, where there's no other");
        assert_eq!(changed(&all, OrgType::School, "s", Some(&written), at(2)), None);
        let renamed = copied(&administration("Autumn"));
        let again = changed(&renamed, OrgType::School, "s", Some(&written), at(2)).unwrap();
        assert_eq!(again.get("createdAt"), Some(&Value::from(at(1))), "it was made when it was made");
        assert_eq!(again.get("updatedAt"), Some(&Value::from(at(2))));
        let mut more = written.clone();
        more.insert("legal".to_owned(), Value::from("x"));
        assert!(changed(&all, OrgType::School, "s", Some(&more), at(2)).is_some(), "what is gone goes");
        assert_eq!(read(&Fields::new()), None);
    }
}

//! What the change of an org's document requires, derived from the event's payload. Pure.

use crate::orgs::{Org, OrgKey, OrgType};
use crate::rostering::org;
use crate::store::{Document, DocumentChange};

/// A change of an org's parents, of whether it's archived, or of whether it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgChange {
    /// The org.
    pub key: OrgKey,
    /// The org before the change; `None` if it's new.
    pub before: Option<Org>,
    /// The org after the change; `None` if it was deleted.
    pub after: Option<Org>,
    /// Whether a roster sync made the change, and handles the consequences itself.
    pub is_of_roster: bool,
    /// Whether the org belongs to a roster and was only archived or restored: the roster sync handles that too,
    /// although it leaves no mark.
    pub is_ruled_by_roster: bool,
}

impl OrgChange {
    /// The relevant change; `None` where nothing relevant has changed.
    pub fn of(change: &DocumentChange) -> Option<OrgChange> {
        let org_type = OrgType::parse(change.path.collection_id())?;
        let read = |document: &Option<Document>| {
            document.as_ref().map(|document| Org::from_fields(org_type, &document.fields))
        };
        let (before, after) = (read(&change.before), read(&change.after));
        if before == after {
            return None;
        }
        let mark = |document: &Option<Document>| document.as_ref()?.fields.get(org::ROSTER).cloned();
        let (marked, mark) = (mark(&change.before), mark(&change.after));
        let is_same_place = matches!((&before, &after), (Some(before), Some(after)) if before.parents == after.parents);
        Some(OrgChange {
            key: OrgKey::new(org_type, change.path.id()),
            is_of_roster: mark.is_some() && mark != marked,
            is_ruled_by_roster: mark.is_some() && is_same_place,
            before,
            after,
        })
    }

    /// The parents before and after the change, each once.
    pub fn parents(&self) -> Vec<OrgKey> {
        let mut parents: Vec<OrgKey> =
            [&self.before, &self.after].into_iter().flatten().flat_map(|org| org.parents.iter().cloned()).collect();
        parents.sort();
        parents.dedup();
        parents
    }

    /// Parents that the org has lost; none for an org that is new or deleted.
    pub fn left(&self) -> Vec<OrgKey> {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return Vec::new() };
        before.parents.iter().filter(|parent| !after.parents.contains(parent)).cloned().collect()
    }

    /// Parents that the org has gained; none for an org that is new or deleted.
    pub fn joined(&self) -> Vec<OrgKey> {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return Vec::new() };
        after.parents.iter().filter(|parent| !before.parents.contains(parent)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::{DocPath, Fields, Timestamp, Value};

    fn change(before: Option<Fields>, after: Option<Fields>) -> Option<OrgChange> {
        let path = DocPath::new("schools/s1").unwrap();
        let (create_time, update_time) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let document = |fields| Document { path: path.clone(), fields, create_time, update_time };
        OrgChange::of(&DocumentChange {
            id: String::new(),
            path: path.clone(),
            before: before.map(document),
            after: after.map(document),
            time: Timestamp::UNIX_EPOCH,
        })
    }

    fn school(district: &str, archived: bool, roster: Option<&str>) -> Fields {
        let mut school = fields! { "districtId" => district, "archived" => archived, "name" => "Oak" };
        school.extend(roster.map(|mark| ("roster".to_owned(), Value::Map(fields! { "fingerprint" => mark }))));
        school
    }

    #[test]
    fn what_matters_of_a_change() {
        let table = [
            ("renamed", Some(fields! { "districtId" => "d1" }), Some(school("d1", false, None)), None),
            ("made", None, Some(school("d1", false, None)), Some((false, false, 0, 0))),
            ("made by a roster", None, Some(school("d1", false, Some("a"))), Some((true, false, 0, 0))),
            (
                "moved by hand",
                Some(school("d1", false, Some("a"))),
                Some(school("d2", false, Some("a"))),
                Some((false, false, 1, 1)),
            ),
            (
                "moved by a roster",
                Some(school("d1", false, Some("a"))),
                Some(school("d2", false, Some("b"))),
                Some((true, false, 1, 1)),
            ),
            (
                "archived by a roster",
                Some(school("d1", false, Some("a"))),
                Some(school("d1", true, Some("a"))),
                Some((false, true, 0, 0)),
            ),
            ("archived", Some(school("d1", false, None)), Some(school("d1", true, None)), Some((false, false, 0, 0))),
            ("given a district", Some(fields! {}), Some(school("d1", false, None)), Some((false, false, 0, 1))),
            ("deleted", Some(school("d1", false, Some("a"))), None, Some((false, false, 0, 0))),
        ];
        for (what, before, after, expected) in table {
            let found = change(before, after);
            let found = found.map(|it| (it.is_of_roster, it.is_ruled_by_roster, it.left().len(), it.joined().len()));
            assert_eq!(found, expected, "{what}");
        }
    }
}

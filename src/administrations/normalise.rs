//! Normalising an administration's orgs (docs/domain/administrations.md#normalising-orgs): what the document and its
//! subcollections should contain, and the writes that are missing for that. Pure.

use std::collections::{BTreeMap, HashSet};

use crate::documents::administration::{self, Administration};
pub use crate::documents::administration_org::OrgSubcollection;
use crate::documents::administration_org::{changed, copied};
use crate::orgs::{OrgLists, OrgTree, OrgType};
use crate::store::{Document, FieldPath, Fields, Result, Timestamp, Value, Write};

/// The normalised orgs of an administration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalOrgs {
    /// The orgs that are below no other org of the administration.
    pub minimal: OrgLists,
    /// All orgs whose members are assigned.
    pub assigned: OrgLists,
    /// The assigned orgs and their ancestors: the admins of these may read the administration.
    pub read: OrgLists,
}

impl NormalOrgs {
    /// Computes the lists from the orgs that somebody entered.
    pub fn compute(tree: &OrgTree, input: &OrgLists) -> NormalOrgs {
        let existing = tree.only_existing(input);
        let assigned = tree.exhaustive(&existing, false);
        NormalOrgs { minimal: tree.minimal(&existing), read: tree.read_orgs(&assigned), assigned }
    }
}

/// The fields of the administration's document that differ from what they should be, and the mask to
/// write them with; `None` when nothing differs. Lists are compared as sets.
pub fn document_changes(administration: &Administration, orgs: &NormalOrgs) -> Option<(Fields, Vec<FieldPath>)> {
    let mut fields = Fields::new();
    let mut mask = Vec::new();
    let mut expect = |name: &str, lists: &OrgLists| {
        let stored = administration.fields.get(name);
        if stored.is_none() || !OrgLists::from_value(stored).same_orgs(lists) {
            fields.insert(name.to_owned(), lists.to_value());
            mask.push(FieldPath::top(name));
        }
    };
    expect(administration::field::MINIMAL_ORGS, &orgs.minimal);
    expect(administration::field::READ_ORGS, &orgs.read);
    // Pages and queries need these dates as timestamps.
    for (name, date) in &administration.mended {
        fields.insert(name.clone(), date.clone());
        mask.push(FieldPath::top(name));
    }
    let arrays = administration.org_arrays();
    if administration.is_format_2() {
        // Arrays of format 2 are additions, and these are in `minimalOrgs` now.
        for org_type in OrgType::ALL.into_iter().filter(|org_type| !arrays.of(*org_type).is_empty()) {
            mask.push(FieldPath::top(org_type.plural()));
        }
    } else {
        for org_type in OrgType::ALL {
            let of_type = |lists: &OrgLists| {
                let mut ids = lists.of(org_type).to_vec();
                ids.sort();
                ids
            };
            if !administration.fields.contains_key(org_type.plural()) || of_type(&arrays) != of_type(&orgs.assigned) {
                fields.insert(org_type.plural().to_owned(), Value::strings(orgs.assigned.of(org_type)));
                mask.push(FieldPath::top(org_type.plural()));
            }
        }
    }
    (!mask.is_empty()).then_some((fields, mask))
}

/// The administration with these changes applied.
pub fn with_changes(administration: &Administration, (fields, mask): (Fields, Vec<FieldPath>)) -> Administration {
    let mut stored = administration.fields.clone();
    for name in mask.iter().filter_map(|path| path.segments().first()) {
        match fields.get(name) {
            Some(value) => stored.insert(name.clone(), value.clone()),
            None => stored.remove(name),
        };
    }
    Administration::from_fields(&administration.id, stored)
}

/// The writes that make a subcollection list exactly `orgs`, given what it holds now. A document that is right already
/// is not written.
pub fn subcollection_writes(
    administration: &Administration,
    subcollection: OrgSubcollection,
    orgs: &OrgLists,
    present: &[Document],
    now: Timestamp,
) -> Result<Vec<Write>> {
    let mut present: BTreeMap<&str, &Document> = present.iter().map(|document| (document.id(), document)).collect();
    let copied = copied(administration);
    let mut writes = Vec::new();
    let mut listed = HashSet::new();
    // Two orgs of different types with the same ID share one document.
    for (org_type, id) in orgs.iter().filter(|(_, id)| listed.insert(*id)) {
        let held = present.remove(id).map(|document| &document.fields);
        if let Some(fields) = changed(&copied, org_type, id, held, now) {
            writes.push(Write::set(subcollection.path(&administration.id, id)?, fields));
        }
    }
    writes.extend(present.into_values().map(|document| Write::delete(document.path.clone())));
    Ok(writes)
}

#[cfg(test)]
mod tests;

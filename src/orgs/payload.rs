//! Reading the orgs that callers send, with errors that name the field.

use serde_json::{Map, Value as Json};

use super::{OrgLists, OrgType};
use crate::payload::{Checked, is_id, present, shown};
use crate::runtime::FunctionError;

/// Org lists by type, as many as are sent; empty without the field. Flat lists are refused: they don't say
/// of which type their orgs are (docs/domain/decisions.md#a-24).
pub fn optional_orgs(fields: &Map<String, Json>, at: &str) -> Checked<OrgLists> {
    let lists = match present(fields, at) {
        None => return Ok(OrgLists::new()),
        Some(Json::Object(lists)) => lists,
        Some(_) => return Err(FunctionError::invalid(format!("{at} must be an object with lists of org IDs."))),
    };
    if let Some(unknown) = lists.keys().find(|key| OrgType::ALL.iter().all(|org_type| org_type.plural() != *key)) {
        return Err(FunctionError::invalid(format!("{at}.{} is not a type of org.", shown(unknown))));
    }
    let mut orgs: Vec<(OrgType, &str)> = Vec::new();
    for org_type in OrgType::ALL {
        let name = org_type.plural();
        let Some(ids) = present(lists, name) else { continue };
        let ids =
            ids.as_array().ok_or_else(|| FunctionError::invalid(format!("{at}.{name} must be a list of IDs.")))?;
        for (index, id) in ids.iter().enumerate().filter(|(_, id)| !id.is_null()) {
            match id {
                Json::String(id) if is_id(id) => orgs.push((org_type, id)),
                _ => return Err(FunctionError::invalid(format!("{at}.{name}[{index}] must be the ID of an org."))),
            }
        }
    }
    Ok(orgs.into_iter().collect())
}

/// How many orgs one request may give or take rights over.
pub const MOST_ORGS: usize = 1000;

/// Refuses more than [`MOST_ORGS`]: each is read, with what is above it.
pub fn few_orgs(orgs: OrgLists, at: &str) -> Checked<OrgLists> {
    few(orgs, MOST_ORGS, at)
}

/// Refuses more than so many orgs.
pub fn few(orgs: OrgLists, most: usize, at: &str) -> Checked<OrgLists> {
    match orgs.iter().count() > most {
        true => Err(FunctionError::invalid(format!("{at} may name {most} orgs at most."))),
        false => Ok(orgs),
    }
}

/// As [`optional_orgs`], but there must be one.
pub fn required_orgs(fields: &Map<String, Json>, at: &str) -> Checked<OrgLists> {
    if !matches!(present(fields, at), Some(Json::Object(_))) {
        return Err(FunctionError::invalid(format!("{at} must be an object with lists of org IDs.")));
    }
    let orgs = optional_orgs(fields, at)?;
    if orgs.is_empty() {
        return Err(FunctionError::invalid(format!("{at} must name at least one org.")));
    }
    Ok(orgs)
}

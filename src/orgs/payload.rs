//! Orgs in requests, with error messages that name the field.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

use super::{OrgLists, OrgType};
use crate::payload::{Checked, Id, is_id};
use crate::runtime::FunctionError;
use crate::runtime::edge::{Wrong, by_value, inline_schemas};

/// Org lists by type, as many as are sent. Flat lists are refused: they don't say of which type their orgs are
/// (docs/domain/decisions.md#a-24).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentOrgs(pub OrgLists);

impl SentOrgs {
    /// The lists; empty when the field is absent.
    pub fn lists(sent: Option<SentOrgs>) -> OrgLists {
        sent.map(|orgs| orgs.0).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for SentOrgs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| match sent {
            Json::Object(lists) => read(lists).map(SentOrgs),
            _ => Err(Wrong::new("must be an object with lists of org IDs")),
        })
    }
}

fn read(lists: &Map<String, Json>) -> Result<OrgLists, Wrong> {
    if let Some(unknown) = lists.keys().find(|key| OrgType::ALL.iter().all(|org_type| org_type.plural() != *key)) {
        return Err(Wrong::new("is not a type of org").below(unknown));
    }
    let mut orgs: Vec<(OrgType, &str)> = Vec::new();
    for org_type in OrgType::ALL {
        let name = org_type.plural();
        let Some(ids) = lists.get(name).filter(|ids| !ids.is_null()) else { continue };
        let ids = ids.as_array().ok_or_else(|| Wrong::new("must be a list of IDs").below(name))?;
        for (index, id) in ids.iter().enumerate().filter(|(_, id)| !id.is_null()) {
            match id {
                Json::String(id) if is_id(id) => orgs.push((org_type, id)),
                _ => return Err(Wrong::new("must be the ID of an org").below_item(index).below(name)),
            }
        }
    }
    Ok(orgs.into_iter().collect())
}

impl JsonSchema for SentOrgs {
    fn schema_name() -> Cow<'static, str> {
        "Orgs".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let ids = generator.subschema_for::<Option<Vec<Option<Id>>>>();
        let lists: Map<String, Json> =
            OrgType::ALL.map(|org_type| (org_type.plural().to_owned(), ids.clone().to_value())).into_iter().collect();
        json_schema!({ "type": "object", "properties": lists, "additionalProperties": false })
    }
}

/// The most orgs for which one request may give or take rights.
pub const MOST_ORGS: usize = 1000;

/// Refuses more than [`MOST_ORGS`] orgs, because each is read with its ancestors.
pub fn few_orgs(orgs: OrgLists, at: &str) -> Checked<OrgLists> {
    few(orgs, MOST_ORGS, at)
}

/// Refuses more than `most` orgs.
pub fn few(orgs: OrgLists, most: usize, at: &str) -> Checked<OrgLists> {
    match orgs.iter().count() > most {
        true => Err(FunctionError::invalid(format!("{at} may name {most} orgs at most."))),
        false => Ok(orgs),
    }
}

/// Refuses an empty selection.
pub fn some(orgs: OrgLists, at: &str) -> Checked<OrgLists> {
    match orgs.is_empty() {
        true => Err(FunctionError::invalid(format!("{at} must name at least one org."))),
        false => Ok(orgs),
    }
}

/// The type of an org, by its singular or plural name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentOrgType(pub OrgType);

impl SentOrgType {
    /// The type with that name.
    pub fn named(name: &str) -> Result<SentOrgType, Wrong> {
        let wrong = || Wrong::new("must be district, school, class, group or family");
        OrgType::parse(name).map(SentOrgType).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for SentOrgType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| SentOrgType::named(sent.as_str().unwrap_or_default()))
    }
}

inline_schemas! {
    SentOrgType: { "type": "string", "enum": OrgType::ALL.map(OrgType::singular) },
}

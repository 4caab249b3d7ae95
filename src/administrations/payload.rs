//! Reading what a caller of `createAdministration` sent: every rule of functions §2.13, each with an
//! error that names the field. Pure. Null is the same as absent everywhere (dashboard-contract G1).

use std::collections::HashSet;

use serde_json::{Map, Value as Json};

use super::model::progress_key;
use crate::assignments::conditions::{normalise, parse_instant};
use crate::orgs::{OrgLists, OrgType};
use crate::runtime::FunctionError;
use crate::store::{Fields, Timestamp, Value};

/// A checked request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The administration to change; a new one is made without.
    pub administration_id: Option<String>,
    /// The caller's own ID of this request: a repetition does nothing.
    pub request_id: Option<String>,
    /// Name for admins.
    pub name: String,
    /// Name for students.
    pub public_name: String,
    /// The assessments, as they are stored.
    pub assessments: Vec<Value>,
    /// When students may begin.
    pub date_opened: Timestamp,
    /// When students must be done.
    pub date_closed: Timestamp,
    /// Whether the tasks must be done in order.
    pub sequential: bool,
    /// The orgs, as the caller named them.
    pub orgs: OrgLists,
    /// Labels.
    pub tags: Vec<String>,
    /// Legal texts, as stored, if any.
    pub legal: Option<Value>,
    /// Only seen by test users.
    pub test_data: bool,
}

/// Longest `requestId`.
const REQUEST_ID_LIMIT: usize = 128;
/// Firestore's limit on the depth of maps and lists, less the levels above a payload's values.
const VALUE_DEPTH: usize = 16;
/// The same for an assessment, which stands in a list of the document.
const ASSESSMENT_DEPTH: usize = 19;

type Checked<T> = Result<T, FunctionError>;

impl Request {
    /// Reads the payload of a call. INVALID_ARGUMENT with a message that names the field.
    pub fn read(data: &Json) -> Checked<Request> {
        let Json::Object(payload) = data else {
            return Err(FunctionError::invalid("The request must be an object with the administration's fields."));
        };
        let name = required_text(payload, "name")?;
        let public_name = optional_text(payload, "publicName")?.unwrap_or_else(|| name.clone());
        let (date_opened, date_closed) = (instant(payload, "dateOpen")?, instant(payload, "dateClose")?);
        if date_closed < date_opened {
            return Err(FunctionError::invalid("dateClose must not be before dateOpen."));
        }
        Ok(Request {
            administration_id: document_id(payload, "administrationId")?,
            request_id: request_id(payload)?,
            public_name,
            name,
            assessments: assessments(payload)?,
            date_opened,
            date_closed,
            sequential: flag(payload, "sequential")?.unwrap_or(true),
            orgs: orgs(payload)?,
            tags: tags(payload)?,
            legal: match present(payload, "legal") {
                None => None,
                Some(legal @ Json::Object(_)) => Some(value(legal, "legal")?),
                Some(_) => return Err(FunctionError::invalid("legal must be an object.")),
            },
            test_data: flag(payload, "isTestData")?.unwrap_or(false),
        })
    }
}

fn present<'a>(fields: &'a Map<String, Json>, name: &str) -> Option<&'a Json> {
    fields.get(name).filter(|value| !value.is_null())
}

fn required_text(fields: &Map<String, Json>, name: &str) -> Checked<String> {
    match present(fields, name) {
        Some(Json::String(text)) if !text.trim().is_empty() => Ok(text.clone()),
        _ => Err(FunctionError::invalid(format!("{name} must be text that isn't empty."))),
    }
}

/// Text; what's absent or blank is `None`.
fn optional_text(fields: &Map<String, Json>, name: &str) -> Checked<Option<String>> {
    match present(fields, name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.clone()).filter(|text| !text.trim().is_empty())),
        Some(_) => Err(FunctionError::invalid(format!("{name} must be text."))),
    }
}

fn flag(fields: &Map<String, Json>, name: &str) -> Checked<Option<bool>> {
    match present(fields, name) {
        None => Ok(None),
        Some(Json::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(FunctionError::invalid(format!("{name} must be true or false."))),
    }
}

fn instant(fields: &Map<String, Json>, name: &str) -> Checked<Timestamp> {
    let text = present(fields, name).and_then(Json::as_str);
    text.and_then(parse_instant)
        .ok_or_else(|| FunctionError::invalid(format!("{name} must be a date in ISO 8601, like 2026-09-01T08:00:00Z.")))
}

/// An ID that can be a document's.
fn document_id(fields: &Map<String, Json>, name: &str) -> Checked<Option<String>> {
    match present(fields, name) {
        None => Ok(None),
        Some(Json::String(id)) if crate::store::DocPath::in_collection("administrations", id).is_ok() => {
            Ok(Some(id.clone()))
        }
        Some(_) => Err(FunctionError::invalid(format!("{name} must be the ID of an administration."))),
    }
}

fn request_id(fields: &Map<String, Json>) -> Checked<Option<String>> {
    match present(fields, "requestId") {
        None => Ok(None),
        Some(Json::String(id)) if !id.is_empty() && id.chars().count() <= REQUEST_ID_LIMIT => Ok(Some(id.clone())),
        Some(_) => {
            Err(FunctionError::invalid(format!("requestId must be text of 1 to {REQUEST_ID_LIMIT} characters.")))
        }
    }
}

fn tags(fields: &Map<String, Json>) -> Checked<Vec<String>> {
    let wrong = || FunctionError::invalid("tags must be a list of text.");
    let Some(tags) = present(fields, "tags") else { return Ok(Vec::new()) };
    let tags = tags.as_array().ok_or_else(wrong)?;
    tags.iter().filter(|tag| !tag.is_null()).map(|tag| tag.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn orgs(fields: &Map<String, Json>) -> Checked<OrgLists> {
    let Some(Json::Object(lists)) = present(fields, "orgs") else {
        return Err(FunctionError::invalid("orgs must be an object with lists of org IDs."));
    };
    if let Some(unknown) = lists.keys().find(|key| OrgType::ALL.iter().all(|org_type| org_type.plural() != *key)) {
        let unknown: String = unknown.chars().take(40).collect();
        return Err(FunctionError::invalid(format!("orgs.{unknown} is not a type of org.")));
    }
    let mut orgs = OrgLists::new();
    for org_type in OrgType::ALL {
        let name = org_type.plural();
        let Some(ids) = present(lists, name) else { continue };
        let ids =
            ids.as_array().ok_or_else(|| FunctionError::invalid(format!("orgs.{name} must be a list of IDs.")))?;
        for (index, id) in ids.iter().enumerate().filter(|(_, id)| !id.is_null()) {
            match id {
                Json::String(id) if crate::store::DocPath::in_collection(name, id).is_ok() => {
                    orgs.add(org_type, id);
                }
                _ => return Err(FunctionError::invalid(format!("orgs.{name}[{index}] must be the ID of an org."))),
            }
        }
    }
    if orgs.is_empty() {
        return Err(FunctionError::invalid("orgs must name at least one org."));
    }
    Ok(orgs)
}

fn assessments(fields: &Map<String, Json>) -> Checked<Vec<Value>> {
    let list = present(fields, "assessments").and_then(Json::as_array).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| FunctionError::invalid("assessments must be a list of at least one assessment."))?;
    let mut tasks = HashSet::new();
    list.iter()
        .enumerate()
        .map(|(index, assessment)| {
            let at = format!("assessments[{index}]");
            let Json::Object(assessment) = assessment else {
                return Err(FunctionError::invalid(format!("{at} must be an object.")));
            };
            let task = match present(assessment, "taskId") {
                Some(Json::String(task)) if !task.trim().is_empty() => task,
                _ => return Err(FunctionError::invalid(format!("{at}.taskId must be text that isn't empty."))),
            };
            // Task IDs become keys: of counts as they are, of progress with underscores.
            check_key(task, &format!("{at}.taskId"))?;
            check_key(&progress_key(task), &format!("{at}.taskId"))?;
            if matches!(task.as_str(), "assignment" | "updatedAt") {
                return Err(FunctionError::invalid(format!("{at}.taskId is a name that counts need for themselves.")));
            }
            if !tasks.insert(progress_key(task)) {
                return Err(FunctionError::invalid(format!("{at}.taskId repeats the task of another assessment.")));
            }
            if !matches!(present(assessment, "params"), Some(Json::Object(_))) {
                return Err(FunctionError::invalid(format!("{at}.params must be an object.")));
            }
            for name in ["variantId", "variantName"] {
                optional_text(assessment, name)
                    .map_err(|_| FunctionError::invalid(format!("{at}.{name} must be text.")))?;
            }
            let mut stored = Fields::new();
            for (name, sent) in assessment.iter().filter(|(name, sent)| *name != "conditions" && !sent.is_null()) {
                check_key(name, &at)?;
                stored.insert(name.clone(), value(sent, &format!("{at}.{name}"))?);
            }
            if let Some(sent) = present(assessment, "conditions") {
                stored.insert("conditions".to_owned(), conditions(sent, &at)?);
            }
            let stored = Value::Map(stored);
            if depth(&stored) > ASSESSMENT_DEPTH {
                return Err(FunctionError::invalid(format!("{at} is nested too deep to be stored.")));
            }
            Ok(stored)
        })
        .collect()
}

/// How many levels of lists and maps a value has.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn conditions(sent: &Json, at: &str) -> Checked<Value> {
    let at = format!("{at}.conditions");
    let Json::Object(sent) = sent else { return Err(FunctionError::invalid(format!("{at} must be an object."))) };
    let mut stored = Fields::new();
    for (name, sent) in sent.iter().filter(|(_, sent)| !sent.is_null()) {
        if !matches!(name.as_str(), "assigned" | "optional") {
            let name: String = name.chars().take(40).collect();
            return Err(FunctionError::invalid(format!("{at}.{name} is neither assigned nor optional.")));
        }
        let at = format!("{at}.{name}");
        // The depth is bounded by the language's own rule, with a message of its own.
        let sent = value_within(sent, &at, usize::MAX)?;
        stored.insert(name.clone(), normalise(&sent, &at).map_err(|why| FunctionError::invalid(format!("{why}.")))?);
    }
    Ok(Value::Map(stored))
}

/// A JSON value as Firestore stores it. Refuses what Firestore can't: lists directly in lists, empty or
/// reserved keys, too deep a nest.
pub fn value(json: &Json, at: &str) -> Checked<Value> {
    value_within(json, at, VALUE_DEPTH)
}

fn value_within(json: &Json, at: &str, depth: usize) -> Checked<Value> {
    let deeper = || depth.checked_sub(1).ok_or_else(|| FunctionError::invalid(format!("{at} is nested too deep.")));
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Boolean(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text.clone()),
        Json::Array(items) => {
            let depth = deeper()?;
            if items.iter().any(Json::is_array) {
                return Err(FunctionError::invalid(format!("{at} holds a list directly in a list.")));
            }
            let items =
                items.iter().enumerate().map(|(index, item)| value_within(item, &format!("{at}[{index}]"), depth));
            Value::Array(items.collect::<Checked<_>>()?)
        }
        Json::Object(entries) => {
            let depth = deeper()?;
            let entries = entries.iter().map(|(key, entry)| {
                check_key(key, at)?;
                Ok((key.clone(), value_within(entry, &format!("{at}.{key}"), depth)?))
            });
            Value::Map(entries.collect::<Checked<_>>()?)
        }
    })
}

fn check_key(key: &str, at: &str) -> Checked<()> {
    let reserved = key.len() >= 4 && key.starts_with("__") && key.ends_with("__");
    if key.is_empty() || reserved || key.len() > 1500 {
        return Err(FunctionError::invalid(format!("{at} has a key that can't be stored.")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

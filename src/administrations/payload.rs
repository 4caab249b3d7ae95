//! Reading what a caller of `createAdministration` sent: every rule of
//! docs/domain/administrations.md#creating-an-administration, each with an error that names the field. Pure. Null is
//! the same as absent everywhere (docs/domain/documents.md#null-and-absent).

use std::collections::HashSet;

use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json};

use crate::documents::assignment::progress_key;
use crate::documents::conditions::normalise;
use crate::documents::dates::{Edge, parse};
use crate::orgs::OrgLists;
use crate::orgs::payload::{few, required_orgs};
use crate::payload::{
    Checked, check_key, flag, object, optional_id, optional_text, present, required_text, shown, value, value_within,
};
use crate::runtime::FunctionError;
use crate::store::size::depth;
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

/// Most orgs that one administration may name. Each is read, with what is above and below it; a district's is one.
const MOST_ORGS: usize = 5_000;
/// Most assessments of an administration: each is in every student's assignment.
const MOST_ASSESSMENTS: usize = 100;
/// Most labels.
const MOST_TAGS: usize = 100;
/// Longest `requestId`.
const REQUEST_ID_LIMIT: usize = 128;
/// Firestore's limit on the depth of maps and lists, less the levels above an assessment.
const ASSESSMENT_DEPTH: usize = 19;

impl Request {
    /// Reads the payload of a call. INVALID_ARGUMENT with a message that names the field.
    pub fn read(data: &Json) -> Checked<Request> {
        let payload = object(data)?;
        let name = required_text(payload, "name")?;
        let public_name = optional_text(payload, "publicName")?.unwrap_or_else(|| name.clone());
        let zone = zone(payload)?;
        let date_opened = date(payload, "dateOpen", Edge::Begins, zone.as_ref())?;
        let date_closed = date(payload, "dateClose", Edge::Ends, zone.as_ref())?;
        if date_closed < date_opened {
            return Err(FunctionError::invalid("dateClose must not be before dateOpen."));
        }
        Ok(Request {
            administration_id: optional_id(payload, "administrationId", "an administration")?,
            request_id: request_id(payload)?,
            public_name,
            name,
            assessments: assessments(payload)?,
            date_opened,
            date_closed,
            sequential: flag(payload, "sequential")?.unwrap_or(true),
            orgs: few(required_orgs(payload, "orgs")?, MOST_ORGS, "orgs")?,
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

fn date(fields: &Map<String, Json>, name: &str, edge: Edge, zone: Option<&TimeZone>) -> Checked<Timestamp> {
    let text = present(fields, name).and_then(Json::as_str);
    text.and_then(|text| parse(text, edge, zone)).ok_or_else(|| {
        FunctionError::invalid(format!(
            "{name} must be a date in ISO 8601, like 2026-09-01T08:00:00Z, or a day, like 2026-09-01."
        ))
    })
}

/// The zone whose days are meant.
fn zone(fields: &Map<String, Json>) -> Checked<Option<TimeZone>> {
    let wrong = || FunctionError::invalid("timeZone must be the name of a time zone, like America/Los_Angeles.");
    match present(fields, "timeZone") {
        None => Ok(None),
        Some(Json::String(name)) => TimeZone::get(name.trim()).map(Some).map_err(|_| wrong()),
        Some(_) => Err(wrong()),
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
    if tags.len() > MOST_TAGS {
        return Err(FunctionError::invalid(format!("tags must be a list of {MOST_TAGS} at most.")));
    }
    tags.iter().filter(|tag| !tag.is_null()).map(|tag| tag.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn assessments(fields: &Map<String, Json>) -> Checked<Vec<Value>> {
    let list = present(fields, "assessments").and_then(Json::as_array).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| FunctionError::invalid("assessments must be a list of at least one assessment."))?;
    if list.len() > MOST_ASSESSMENTS {
        return Err(FunctionError::invalid(format!("assessments must be a list of {MOST_ASSESSMENTS} at most.")));
    }
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
                stored.insert(name.clone(), value(sent, &format!("{at}.{}", shown(name)))?);
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

fn conditions(sent: &Json, at: &str) -> Checked<Value> {
    let at = format!("{at}.conditions");
    let Json::Object(sent) = sent else { return Err(FunctionError::invalid(format!("{at} must be an object."))) };
    let mut stored = Fields::new();
    for (name, sent) in sent.iter().filter(|(_, sent)| !sent.is_null()) {
        if !matches!(name.as_str(), "assigned" | "optional") {
            return Err(FunctionError::invalid(format!("{at}.{} is neither assigned nor optional.", shown(name))));
        }
        let at = format!("{at}.{name}");
        // The depth is bounded by the language's own rule, with a message of its own.
        let sent = value_within(sent, &at, usize::MAX)?;
        stored.insert(name.clone(), normalise(&sent, &at).map_err(|why| FunctionError::invalid(format!("{why}.")))?);
    }
    Ok(Value::Map(stored))
}

#[cfg(test)]
mod tests;

//! Reading what a caller of `createAdministration` sent: every rule of
//! docs/domain/administrations.md#creating-an-administration, each with an error that names the field. Pure. Null is
//! the same as absent everywhere (docs/domain/documents.md#null-and-absent).

mod conditions;

use std::collections::HashSet;

use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value as Json, json};

use self::conditions::Conditions;
use crate::documents::assignment::progress_key;
use crate::documents::dates::{Edge, parse};
use crate::orgs::OrgLists;
use crate::orgs::payload::{SentOrgs, few, some};
use crate::payload::refusals::GONE;
use crate::payload::{Checked, Filled, Id, Key, Payload, Stored, Text, check_key, kinds, value};
use crate::runtime::edge::{Open, Wrong, by_value, inline_schemas, read_part};
use crate::runtime::{FunctionError, Status};
use crate::store::size::depth;
use crate::store::{Fields, Timestamp, Value};

/// With administrationId, the administration is replaced by what is sent. The assignments of students follow; syncStatus of
/// the administration shows how far they are. A requestId makes a repetition within 24 hours answer as before, and do
/// nothing.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct CreateAdministration {
    /// The name that administrators see.
    name: Filled,
    /// The name that students see; as name without.
    public_name: Option<Text>,
    /// What students do, in that order.
    #[schemars(with = "Vec<SentAssessment>", length(min = 1, max = MOST_ASSESSMENTS))]
    assessments: Assessments,
    /// When students may begin: an instant, or a day, from its beginning on.
    date_open: Date,
    /// When they must be done: an instant, or a day, until its end.
    date_close: Date,
    /// The IANA name of the time zone whose days are meant, and times without an offset. Default: UTC.
    time_zone: Option<Zone>,
    /// Whose students it's for: at least one org.
    orgs: SentOrgs,
    /// Tasks are done in order. Default: true.
    sequential: Option<bool>,
    /// Labels.
    #[schemars(with = "Option<Vec<Option<String>>>", length(max = MOST_TAGS))]
    tags: Option<Tags>,
    /// Consent and assent texts.
    legal: Option<Stored>,
    /// For test users only.
    is_test_data: Option<bool>,
    /// The administration to change.
    administration_id: Option<Id<kinds::Administration>>,
    request_id: Option<RequestId>,
}

/// What is answered.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Created {
    /// The administration.
    pub administration_id: Id,
}

/// A checked request of `createAdministration`.
#[derive(Clone, Debug, PartialEq)]
pub struct AdministrationRequest {
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

impl Payload for AdministrationRequest {
    type Sent = CreateAdministration;
    type Answer = Created;
    const REFUSALS: &'static [(Status, &'static str)] = &[
        GONE,
        (Status::FailedPrecondition, "The administration is open, and ROAR_EDIT_IN_PROGRESS doesn't let it change."),
    ];

    fn check(sent: CreateAdministration) -> Checked<AdministrationRequest> {
        let zone = sent.time_zone.as_ref().map(|zone| &zone.0);
        let date_opened = sent.date_open.read(Edge::Begins, zone, "dateOpen")?;
        let date_closed = sent.date_close.read(Edge::Ends, zone, "dateClose")?;
        if date_closed < date_opened {
            return Err(FunctionError::invalid("dateClose must not be before dateOpen."));
        }
        let Filled(name) = sent.name;
        Ok(AdministrationRequest {
            administration_id: sent.administration_id.map(Id::into_string),
            request_id: sent.request_id.map(|id| id.0),
            public_name: Text::filled(sent.public_name).unwrap_or_else(|| name.clone()),
            name,
            assessments: sent.assessments.0,
            date_opened,
            date_closed,
            sequential: sent.sequential.unwrap_or(true),
            orgs: few(some(sent.orgs.0, "orgs")?, MOST_ORGS, "orgs")?,
            tags: sent.tags.map(|tags| tags.0).unwrap_or_default(),
            legal: sent.legal.map(|legal| legal.0),
            test_data: sent.is_test_data.unwrap_or(false),
        })
    }

    fn example() -> (Json, Created) {
        let sent = json!({
            "name": "Fall benchmark", "publicName": "Reading games",
            "assessments": [{
                "taskId": "swr", "params": { "taskName": "swr" }, "variantId": "adaptive",
                "conditions": { "assigned": { "field": "studentData.grade", "op": "GREATER_THAN_OR_EQUAL", "value": 3 } },
            }],
            "dateOpen": "2026-09-01T08:00:00Z", "dateClose": "2030-12-18T23:59:59Z",
            "orgs": { "districts": ["district-1"], "schools": [], "classes": [], "groups": [], "families": [] },
            "tags": ["fall"], "requestId": "3f0c4a0e-5bb8-4f0b-a1cf-6f1a1f5b8a11",
        });
        (sent, Created { administration_id: "8dQb2TnKxUw0VjXy9aRf".into() })
    }
}

/// An instant or a day. Which instant a day means depends on the field and the time zone.
struct Date(String);

impl Date {
    fn wrong() -> Wrong {
        Wrong::new("must be a date in ISO 8601, like 2026-09-01T08:00:00Z, or a day, like 2026-09-01")
    }

    fn read(&self, edge: Edge, zone: Option<&TimeZone>, name: &str) -> Checked<Timestamp> {
        parse(&self.0, edge, zone).ok_or_else(|| Date::wrong().of(name))
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| sent.as_str().map(|text| Date(text.to_owned())).ok_or_else(Date::wrong))
    }
}

/// The time zone in which days are meant.
struct Zone(TimeZone);

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| {
            let zone = sent.as_str().and_then(|name| TimeZone::get(name.trim()).ok());
            zone.map(Zone).ok_or_else(|| Wrong::new("must be the name of a time zone, like America/Los_Angeles"))
        })
    }
}

/// The caller's own ID of a request, for idempotency.
struct RequestId(String);

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| match sent {
            Json::String(id) if !id.is_empty() && id.chars().count() <= REQUEST_ID_LIMIT => Ok(RequestId(id.clone())),
            _ => Err(Wrong::new(format_args!("must be text of 1 to {REQUEST_ID_LIMIT} characters"))),
        })
    }
}

struct Tags(Vec<String>);

impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || Wrong::new("must be a list of text");
        by_value(deserializer, |sent| {
            let tags = sent.as_array().ok_or_else(wrong)?;
            if tags.len() > MOST_TAGS {
                return Err(Wrong::new(format_args!("must be a list of {MOST_TAGS} at most")));
            }
            let tags = tags.iter().filter(|tag| !tag.is_null());
            tags.map(|tag| tag.as_str().map(str::to_owned).ok_or_else(wrong)).collect::<Result<_, _>>().map(Tags)
        })
    }
}

inline_schemas! {
    Date: { "type": "string", "format": "date-time" },
    Zone: { "type": "string", "minLength": 1, "pattern": "\\S" },
    RequestId: { "type": "string", "minLength": 1, "maxLength": REQUEST_ID_LIMIT },
}

/// The fields of an assessment that the service knows. All others are stored as they were sent.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object")]
#[schemars(inline)]
#[allow(dead_code, reason = "what is read is stored with the other fields")]
struct SentAssessment {
    /// The task. No two assessments have the same.
    #[schemars(with = "Key")]
    task_id: TaskId,
    /// What the task is told.
    #[schemars(with = "Stored")]
    params: Map<String, Json>,
    /// The variant of the task.
    variant_id: Option<Text>,
    /// Its name.
    variant_name: Option<Text>,
    /// Who gets the assessment; everybody without.
    conditions: Option<Conditions>,
}

/// Task IDs become keys: of counts as they are, of progress with underscores.
struct TaskId(String);

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| {
            let task = sent.as_str().filter(|task| !task.trim().is_empty());
            let task = task.ok_or_else(|| Wrong::new("must be text that isn't empty"))?;
            check_key(task)?;
            check_key(&progress_key(task))?;
            match task {
                "assignment" | "updatedAt" => Err(Wrong::new("is a name that counts need for themselves")),
                task => Ok(TaskId(task.to_owned())),
            }
        })
    }
}

/// The assessments, as they are stored.
struct Assessments(Vec<Value>);

impl<'de> Deserialize<'de> for Assessments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| {
            let list = sent.as_array().filter(|list| !list.is_empty());
            let list = list.ok_or_else(|| Wrong::new("must be a list of at least one assessment"))?;
            if list.len() > MOST_ASSESSMENTS {
                return Err(Wrong::new(format_args!("must be a list of {MOST_ASSESSMENTS} at most")));
            }
            let mut tasks = HashSet::new();
            let stored = list.iter().enumerate().map(|(index, sent)| {
                let assessment: Result<Open<SentAssessment>, Wrong> = read_part(sent);
                let stored = assessment.and_then(|assessment| {
                    let repeats = !tasks.insert(progress_key(&assessment.known.task_id.0));
                    match repeats {
                        true => Err(Wrong::new("repeats the task of another assessment").below("taskId")),
                        false => stored(assessment),
                    }
                });
                stored.map_err(|wrong| wrong.below_item(index))
            });
            stored.collect::<Result<_, _>>().map(Assessments)
        })
    }
}

fn stored(assessment: Open<SentAssessment>) -> Result<Value, Wrong> {
    let mut stored = Fields::new();
    for (name, sent) in assessment.all.iter().filter(|(name, sent)| *name != "conditions" && !sent.is_null()) {
        check_key(name)?;
        stored.insert(name.clone(), value(sent).map_err(|wrong| wrong.below(name))?);
    }
    if let Some(Conditions(conditions)) = assessment.known.conditions {
        stored.insert("conditions".to_owned(), Value::Map(conditions));
    }
    let stored = Value::Map(stored);
    match depth(&stored) > ASSESSMENT_DEPTH {
        true => Err(Wrong::new("is nested too deep to be stored")),
        false => Ok(stored),
    }
}

#[cfg(test)]
mod tests;

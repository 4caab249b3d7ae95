//! Requests (docs/domain/dashboard.md#callables-that-pages-use), with error messages that name the field, and answers.
//! Pure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value as Json, json};

use super::net::{Net, Stats};
use crate::orgs::payload::SentOrgType;
use crate::orgs::{OrgKey, OrgType};
use crate::payload::refusals::GONE;
use crate::payload::{Checked, Id, Ids, Key, Payload, check_key, kinds};
use crate::rights::NamesAdministration;
use crate::runtime::edge::{Wrong, by_value};
use crate::runtime::{FunctionError, Status};
use crate::store::Timestamp;

/// The limit of administrations in one call of `getAssignmentStats`: the dashboard sends 200. Each costs up to three
/// reads.
pub const MOST_ADMINISTRATIONS: usize = 300;
/// The limit of tasks that one call of `getAssignmentStats` may name.
pub const MOST_TASKS: usize = 100;

/// Those that the caller made, and those assigned to orgs that the caller administers, or to orgs above or below them.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct GetAdministrations {
    /// Only test administrations, or only others.
    test_data: Option<bool>,
    /// Only those that aren't closed.
    restrict_to_open_administrations: Option<bool>,
    /// IDs alone, instead of objects. Default: true.
    ids_only: Option<bool>,
}

/// A call of `getAdministrations`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Only test administrations, or only others.
    pub test_data: Option<bool>,
    /// Only those that aren't closed.
    pub only_open: bool,
    /// IDs alone, instead of objects.
    pub ids_only: bool,
}

/// What `getAdministrations` answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Administrations {
    /// The administrations.
    pub data: Vec<Listed>,
}

/// An administration of a list: its ID alone, or with what pages show of it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum Listed {
    /// Its ID.
    Id(Id),
    /// What pages show of it.
    Shown(Shown),
}

/// What pages show of an administration.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Shown {
    /// The administration.
    pub id: Id,
    /// The name that administrators see.
    pub name: Option<String>,
    /// The name that students see.
    pub public_name: Option<String>,
    /// When it was made.
    pub date_created: Option<Timestamp>,
    /// When students may begin.
    pub date_opened: Option<Timestamp>,
    /// When they must be done.
    pub date_closed: Option<Timestamp>,
    /// For test users only.
    pub test_data: bool,
}

impl Payload for Listing {
    type Sent = GetAdministrations;
    type Answer = Administrations;
    const MAY_BE_LEFT_OUT: bool = true;

    fn check(sent: GetAdministrations) -> Checked<Self> {
        Ok(Listing {
            test_data: sent.test_data,
            only_open: sent.restrict_to_open_administrations.unwrap_or(false),
            ids_only: sent.ids_only.unwrap_or(true),
        })
    }

    fn example() -> (Json, Administrations) {
        let date = |text: &str| text.parse().ok();
        let shown = Shown {
            id: "fall-2026".into(),
            name: Some("Fall benchmark".to_owned()),
            public_name: Some("Reading games".to_owned()),
            date_created: date("2026-08-20T12:00:00Z"),
            date_opened: date("2026-09-01T08:00:00Z"),
            date_closed: date("2030-12-18T23:59:59Z"),
            test_data: false,
        };
        let sent = json!({ "idsOnly": false, "restrictToOpenAdministrations": true });
        (sent, Administrations { data: vec![Listed::Shown(shown)] })
    }
}

/// The three counts of an administration add up to all who are assigned. An org's are for who administers it; all, without
/// orgId, for who administers all that the administration is assigned to. Others, and what doesn't exist, are left out.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct GetAssignmentStats {
    /// The administrations.
    #[schemars(with = "Ids<kinds::Administration>", length(min = 1, max = MOST_ADMINISTRATIONS))]
    administration_ids: Option<Ids<kinds::Administration>>,
    /// Only this org's students; all without.
    org_id: Option<Id<kinds::Org>>,
    /// Its type.
    org_type: Option<SentOrgType>,
    /// Tasks to count one by one.
    #[schemars(with = "Option<Vec<Option<Key>>>", length(max = MOST_TASKS))]
    task_ids: Option<TaskIds>,
    /// Every task of the administration one by one.
    fetch_all_task_ids: Option<bool>,
}

/// A call of `getAssignmentStats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counting {
    /// The administrations, each once.
    pub administrations: Vec<String>,
    /// The org whose students are counted; all students are when there's no org.
    pub org: Option<String>,
    /// The tasks that are counted besides whole assignments.
    pub tasks: Tasks,
}

/// Tasks to count one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tasks {
    /// None.
    None,
    /// These.
    Named(Vec<String>),
    /// Those of the administration's assessments.
    All,
}

/// What `getAssignmentStats` answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct AssignmentStats {
    /// By administration.
    pub data: BTreeMap<String, Stats>,
}

impl Payload for Counting {
    type Sent = GetAssignmentStats;
    type Answer = AssignmentStats;

    fn check(sent: GetAssignmentStats) -> Checked<Self> {
        let administrations = sent.administration_ids.map(|sent| sent.ids).unwrap_or_default();
        if administrations.is_empty() || administrations.len() > MOST_ADMINISTRATIONS {
            return Err(FunctionError::invalid(format!(
                "administrationIds must be a list of 1 to {MOST_ADMINISTRATIONS} IDs."
            )));
        }
        // IDs of orgs are unique across types, so the type isn't needed; parsing still rejects an invalid type.
        let _ = sent.org_type;
        Ok(Counting {
            administrations,
            org: sent.org_id.map(Id::into_string),
            tasks: match (sent.fetch_all_task_ids.unwrap_or(false), sent.task_ids) {
                (true, _) => Tasks::All,
                (false, Some(named)) => Tasks::Named(named.0),
                (false, None) => Tasks::None,
            },
        })
    }

    fn example() -> (Json, AssignmentStats) {
        let all = Net { assigned: 2, started: 1, completed: 0 };
        let by_task = Some(BTreeMap::from([("swr".to_owned(), all)]));
        let data = BTreeMap::from([("fall-2026".to_owned(), Stats { all, by_task })]);
        (json!({ "administrationIds": ["fall-2026"], "fetchAllTaskIds": true }), AssignmentStats { data })
    }
}

/// IDs of tasks, which are keys of counts; null entries are skipped.
struct TaskIds(Vec<String>);

impl<'de> Deserialize<'de> for TaskIds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || Wrong::new("must be a list of IDs of tasks");
        by_value(deserializer, |sent| {
            let mut tasks: Vec<String> = Vec::new();
            for task in sent.as_array().ok_or_else(wrong)?.iter().filter(|task| !task.is_null()) {
                let task = task.as_str().filter(|task| check_key(task).is_ok()).ok_or_else(wrong)?;
                if !tasks.iter().any(|known| known == task) {
                    tasks.push(task.to_owned());
                }
                if tasks.len() > MOST_TASKS {
                    return Err(Wrong::new(format_args!("must name {MOST_TASKS} tasks at most")));
                }
            }
            Ok(TaskIds(tasks))
        })
    }
}

/// The top-most orgs, or the children of parentOrgId: a district's schools and classes without a school, a school's classes.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct GetAdministrationOrgsAndStats {
    /// The administration.
    administration_id: Id<kinds::Administration>,
    /// The org whose children are asked for.
    parent_org_id: Option<Id<kinds::Org>>,
    /// Its type; goes with parentOrgId.
    parent_org_type: Option<SentOrgType>,
}

/// A call of `getAdministrationOrgsAndStats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// The administration.
    pub administration: String,
    /// The org whose children are requested; the top-most orgs are when it's absent.
    pub parent: Option<OrgKey>,
}

/// What `getAdministrationOrgsAndStats` answers.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct OrgsAndStats {
    /// One row an org, by name.
    pub data: Vec<ShownRow>,
}

/// An org, as the page reads it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct ShownRow {
    /// The org.
    pub org_id: Id,
    /// What it's called.
    pub name: String,
    /// The type of the org.
    #[schemars(with = "SentOrgType")]
    pub org_type: &'static str,
    /// Orgs of the administration are below it. Of districts and schools.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub has_children: Option<bool>,
    /// The district that it's in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Id")]
    pub district_id: Option<Id>,
    /// The school that it's in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Id")]
    pub school_id: Option<Id>,
    /// Its counts, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "RowStats")]
    pub stats: Option<RowStats>,
}

/// The counts of an org.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct RowStats {
    /// Of whole assignments.
    pub assignment: Net,
}

impl Payload for Level {
    type Sent = GetAdministrationOrgsAndStats;
    type Answer = OrgsAndStats;
    const REFUSALS: &'static [(Status, &'static str)] = &[GONE];

    fn check(sent: GetAdministrationOrgsAndStats) -> Checked<Self> {
        let parent = match (sent.parent_org_type, sent.parent_org_id) {
            (Some(SentOrgType(org_type)), Some(id)) => Some(OrgKey::new(org_type, id.into_string())),
            (None, None) => None,
            (Some(_), None) => return Err(FunctionError::invalid("parentOrgType needs parentOrgId beside it.")),
            (None, Some(_)) => return Err(FunctionError::invalid("parentOrgId needs parentOrgType beside it.")),
        };
        Ok(Level { administration: sent.administration_id.into_string(), parent })
    }

    fn example() -> (Json, OrgsAndStats) {
        let row = ShownRow {
            org_id: "school-1".into(),
            name: "Elm School".to_owned(),
            org_type: OrgType::School.singular(),
            has_children: Some(false),
            district_id: Some("district-1".into()),
            school_id: None,
            stats: Some(RowStats { assignment: Net { assigned: 2, started: 1, completed: 0 } }),
        };
        let sent = json!({ "administrationId": "fall-2026", "parentOrgId": "district-1", "parentOrgType": "district" });
        (sent, OrgsAndStats { data: vec![row] })
    }
}

impl NamesAdministration for Level {
    fn administration(&self) -> &str {
        &self.administration
    }
}

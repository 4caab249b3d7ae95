//! Reading what callers ask for (docs/domain/dashboard.md#callables-that-pages-use), each refusal with the field's
//! name. Pure.

use serde_json::{Map, Value as Json};

use crate::orgs::{OrgKey, OrgType};
use crate::payload::{Checked, flag, object, optional_id, optional_ids, present, required_id};
use crate::rights::{NamesAdministration, Payload};
use crate::runtime::FunctionError;

/// Most administrations of one `getAssignmentStats`: the dashboard sends 200. Each costs up to three reads.
pub const MOST_ADMINISTRATIONS: usize = 300;
/// Most tasks named in one `getAssignmentStats`.
pub const MOST_TASKS: usize = 100;

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

/// A call of `getAssignmentStats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counting {
    /// The administrations, each once.
    pub administrations: Vec<String>,
    /// The org whose students count; all without.
    pub org: Option<String>,
    /// The tasks that are counted too.
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

/// A call of `getAdministrationOrgsAndStats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// The administration.
    pub administration: String,
    /// The org whose children are asked for; the top-most orgs without.
    pub parent: Option<OrgKey>,
}

impl Payload for Listing {
    fn read(data: &Json) -> Checked<Self> {
        // All fields may be left out, and with them the object.
        let nothing = Map::new();
        let fields = if data.is_null() { &nothing } else { object(data)? };
        Ok(Listing {
            test_data: flag(fields, "testData")?,
            only_open: flag(fields, "restrictToOpenAdministrations")?.unwrap_or(false),
            ids_only: flag(fields, "idsOnly")?.unwrap_or(true),
        })
    }
}

impl Payload for Counting {
    fn read(data: &Json) -> Checked<Self> {
        let fields = object(data)?;
        let administrations = optional_ids(fields, "administrationIds", "an administration")?.unwrap_or_default();
        if administrations.is_empty() || administrations.len() > MOST_ADMINISTRATIONS {
            return Err(FunctionError::invalid(format!(
                "administrationIds must be a list of 1 to {MOST_ADMINISTRATIONS} IDs."
            )));
        }
        // IDs of orgs don't repeat across types, so the type isn't needed; a wrong one is a mistake all the same.
        org_type(fields, "orgType")?;
        let named = tasks(fields)?;
        Ok(Counting {
            administrations,
            org: optional_id(fields, "orgId", "an org")?,
            tasks: match (flag(fields, "fetchAllTaskIds")?.unwrap_or(false), named) {
                (true, _) => Tasks::All,
                (false, Some(named)) => Tasks::Named(named),
                (false, None) => Tasks::None,
            },
        })
    }
}

impl Payload for Level {
    fn read(data: &Json) -> Checked<Self> {
        let fields = object(data)?;
        let administration = required_id(fields, "administrationId", "an administration")?;
        let id = optional_id(fields, "parentOrgId", "an org")?;
        let parent = match (org_type(fields, "parentOrgType")?, id) {
            (Some(org_type), Some(id)) => Some(OrgKey::new(org_type, id)),
            (None, None) => None,
            (Some(_), None) => return Err(FunctionError::invalid("parentOrgType needs parentOrgId beside it.")),
            (None, Some(_)) => return Err(FunctionError::invalid("parentOrgId needs parentOrgType beside it.")),
        };
        Ok(Level { administration, parent })
    }
}

impl NamesAdministration for Level {
    fn administration(&self) -> &str {
        &self.administration
    }
}

fn org_type(fields: &Map<String, Json>, name: &str) -> Checked<Option<OrgType>> {
    let Some(sent) = present(fields, name) else { return Ok(None) };
    match sent.as_str().and_then(OrgType::parse) {
        Some(org_type) => Ok(Some(org_type)),
        None => Err(FunctionError::invalid(format!("{name} must be district, school, class, group or family."))),
    }
}

/// IDs of tasks, which are keys of counts; null entries are passed over.
fn tasks(fields: &Map<String, Json>) -> Checked<Option<Vec<String>>> {
    let Some(sent) = present(fields, "taskIds") else { return Ok(None) };
    let wrong = || FunctionError::invalid("taskIds must be a list of IDs of tasks.");
    let mut tasks: Vec<String> = Vec::new();
    for task in sent.as_array().ok_or_else(wrong)?.iter().filter(|task| !task.is_null()) {
        let task = task.as_str().filter(|task| crate::payload::check_key(task, "taskIds").is_ok()).ok_or_else(wrong)?;
        if !tasks.iter().any(|known| known == task) {
            tasks.push(task.to_owned());
        }
        if tasks.len() > MOST_TASKS {
            return Err(FunctionError::invalid(format!("taskIds must name {MOST_TASKS} tasks at most.")));
        }
    }
    Ok(Some(tasks))
}

//! A student's assignment, `users/{roarUid}/assignments/{administrationId}`: where it is, its entries, and what they say of
//! begun and completed work. Pure.

use std::collections::BTreeMap;

use crate::payload::is_key;
use crate::store::{DocPath, Fields, Result, Value};

/// Names of the fields of assignments, with those of their assessments; what they mean: docs/domain/documents.md#assignments.
#[allow(missing_docs, reason = "the page says what each field means")]
pub mod field {
    pub const ID: &str = "id";
    pub const STARTED: &str = "started";
    pub const COMPLETED: &str = "completed";
    pub const DATE_ASSIGNED: &str = "dateAssigned";
    pub const DATE_OPENED: &str = "dateOpened";
    pub const DATE_CLOSED: &str = "dateClosed";
    pub const DATE_CREATED: &str = "dateCreated";
    pub const CREATED_BY: &str = "createdBy";
    pub const NAME: &str = "name";
    pub const PUBLIC_NAME: &str = "publicName";
    pub const SEQUENTIAL: &str = "sequential";
    pub const LEGAL: &str = "legal";
    pub const TEST_DATA: &str = "testData";
    pub const DEMO_DATA: &str = "demoData";
    pub const ASSIGNING_ORGS: &str = "assigningOrgs";
    pub const READ_ORGS: &str = "readOrgs";
    pub const ASSESSMENTS: &str = "assessments";
    pub const PROGRESS: &str = "progress";
    pub const USER_DATA: &str = "userData";
    pub const CONDITION_FIELDS: &str = "conditionFields";
    pub const COUNTED: &str = "counted";
    pub const LAST_SYNCED_FROM_ADMINISTRATION: &str = "lastSyncedFromAdministration";
    pub const CLOUD_SYNC_TIMESTAMP: &str = "cloudSyncTimestamp";
    pub const TASK_ID: &str = "taskId";
    pub const PARAMS: &str = "params";
    pub const VARIANT_ID: &str = "variantId";
    pub const VARIANT_NAME: &str = "variantName";
    pub const OPTIONAL: &str = "optional";
    pub const STARTED_ON: &str = "startedOn";
    pub const COMPLETED_ON: &str = "completedOn";
    pub const RUN_ID: &str = "runId";
    pub const ALL_RUN_IDS: &str = "allRunIds";
}

/// Where a user's assignment of an administration is.
pub fn assignment_path(user: &DocPath, administration: &str) -> Result<DocPath> {
    user.child("assignments", administration)
}

/// The key of a task in `progress` maps: hyphens become underscores (docs/domain/documents.md#keys-of-tasks).
pub fn progress_key(task_id: &str) -> String {
    task_id.replace('-', "_")
}

/// True when a task's ID can be stored as a key: of counts as it is, of `progress` with underscores.
pub fn may_be_key(task: &str) -> bool {
    is_key(task) && is_key(&progress_key(task))
}

/// The task of an assessment in an assignment. One that can't be a key is none, as in administrations: clients write
/// these entries.
pub(crate) fn task_id(assessment: &Fields) -> Option<&str> {
    assessment.get("taskId").and_then(Value::as_str).filter(|task| may_be_key(task))
}

pub(crate) fn task_ids(assessments: &[Value]) -> impl Iterator<Item = &str> {
    assessments.iter().filter_map(Value::as_map).filter_map(task_id)
}

pub(crate) fn assessments_of(assignment: &Fields) -> Vec<Fields> {
    let assessments = assignment.get("assessments").and_then(Value::as_array).unwrap_or_default();
    assessments.iter().filter_map(Value::as_map).cloned().collect()
}

pub(crate) fn is_optional(assessment: &Fields) -> bool {
    assessment.get("optional").and_then(Value::as_bool).unwrap_or(false)
}

/// The tasks, and whether each must be done: what completion depends on.
pub(crate) fn requirements<T: AsFields>(assessments: &[T]) -> BTreeMap<String, bool> {
    let entries = assessments.iter().filter_map(AsFields::as_fields);
    entries.filter_map(|entry| Some((task_id(entry)?.to_owned(), is_optional(entry)))).collect()
}

pub(crate) trait AsFields {
    fn as_fields(&self) -> Option<&Fields>;
}

impl AsFields for Value {
    fn as_fields(&self) -> Option<&Fields> {
        self.as_map()
    }
}

impl AsFields for Fields {
    fn as_fields(&self) -> Option<&Fields> {
        Some(self)
    }
}

/// An assignment's `started` and `completed`.
pub fn flags(assignment: &Fields) -> [bool; 2] {
    ["started", "completed"].map(|name| assignment.get(name).and_then(Value::as_bool).unwrap_or(false))
}

/// An assessment has the field: null is the same as none.
pub(crate) fn is_set(assessment: &Fields, name: &str) -> bool {
    assessment.get(name).is_some_and(|value| !value.is_null())
}

/// The student has completed the task.
pub(crate) fn is_completed(assessment: &Fields) -> bool {
    is_set(assessment, "completedOn")
}

/// The student has started the task, or completed it: tasks that another site hosts are completed without a start.
pub(crate) fn is_started(assessment: &Fields) -> bool {
    is_set(assessment, "startedOn") || is_completed(assessment)
}

/// A student's work on the task has begun: it must not be taken away.
pub(crate) fn has_begun(assessment: &Fields) -> bool {
    is_started(assessment) || names_runs(assessment)
}

/// The assessment of an assignment names runs.
pub(crate) fn names_runs(assessment: &Fields) -> bool {
    let runs = assessment.get("allRunIds").and_then(Value::as_array).unwrap_or_default();
    !runs.is_empty() || is_set(assessment, "runId")
}

/// The progress of the given tasks: as it was, or `assigned`. Older documents spell the keys with
/// hyphens; only underscores are written (docs/domain/documents.md#keys-of-tasks).
pub(crate) fn progress(existing: &Fields, assessments: &[Value]) -> Fields {
    let old = existing.get("progress").and_then(Value::as_map);
    let known = |task: &str| {
        let old = old?;
        old.get(&progress_key(task)).or_else(|| old.get(task)).cloned()
    };
    task_ids(assessments)
        .map(|task| (progress_key(task), known(task).unwrap_or_else(|| Value::from("assigned"))))
        .collect()
}

/// Every assessment is completed or optional, and at least one is completed (docs/domain/assignments.md#completion-of-an-assignment).
pub(crate) fn is_complete(assessments: &[Value], progress: &Fields) -> bool {
    let mut any = false;
    for assessment in assessments.iter().filter_map(Value::as_map) {
        let marked = task_id(assessment).and_then(|task| progress.get(&progress_key(task)));
        let completed = is_completed(assessment) || marked.and_then(Value::as_str) == Some("completed");
        if !completed && !is_optional(assessment) {
            return false;
        }
        any |= completed;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_key() {
        for task in ["swr", "swr-es", "_", "__", "___", "a".repeat(1500).as_str(), "vocab/2", "ä"] {
            assert!(may_be_key(task), "{task}");
        }
        for task in ["", "__x__", "____", "--x--", "_-x-_", "__x--", "a".repeat(1501).as_str()] {
            assert!(!may_be_key(task), "{task}");
        }
    }
}

//! A student's assignment, `users/{roarUid}/assignments/{administrationId}`: where it is, its entries, and what they say of
//! begun and completed work. Pure.

use std::collections::BTreeMap;

use super::org_lists::OrgLists;
use crate::payload::is_key;
use crate::store::{DocPath, FieldOp, Fields, Query, Result, Timestamp, Value};

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

/// Names of the fields of [`field::COUNTED`], beside those of the flags.
#[allow(missing_docs, reason = "docs/domain/counts.md says what each means")]
pub mod counted {
    pub const ORGS: &str = "orgs";
    pub const TASKS: &str = "tasks";
    pub const SINCE: &str = "since";
}

/// The states of a task in the map `progress`.
#[allow(missing_docs, reason = "they say it")]
pub mod mark {
    pub const ASSIGNED: &str = "assigned";
    pub const STARTED: &str = "started";
    pub const COMPLETED: &str = "completed";
}

/// The collection, below each user.
pub const COLLECTION: &str = "assignments";

/// The path of a user's assignment of an administration.
pub fn assignment_path(user: &DocPath, administration: &str) -> Result<DocPath> {
    user.child(COLLECTION, administration)
}

/// A query for the assignments of all users.
pub fn all() -> Query {
    Query::group(COLLECTION)
}

/// A query for all users' assignments of one administration.
pub fn of_administration(administration: &str) -> Query {
    all().equal(field::ID, administration)
}

/// The ID of the administration that an assignment names.
pub fn administration_id(assignment: &Fields) -> Option<&str> {
    assignment.get(field::ID).and_then(Value::as_str)
}

/// The entries of an assignment's tasks as stored; empty where the assignment has no list.
pub fn assessments(assignment: &Fields) -> &[Value] {
    assignment.get(field::ASSESSMENTS).and_then(Value::as_array).unwrap_or_default()
}

/// The date on which it was assigned, as the assignment's document has it.
pub fn date_assigned(assignment: &Fields) -> Option<Timestamp> {
    assignment.get(field::DATE_ASSIGNED).and_then(Value::as_timestamp)
}

/// True for an assignment whose administration closes after `now`, by the date that the assignment has copied.
pub fn is_open(assignment: &Fields, now: Timestamp) -> bool {
    assignment.get(field::DATE_CLOSED).and_then(Value::as_timestamp).is_some_and(|closed| closed > now)
}

/// Narrows a query to the assignments that close after `now`.
pub fn open(assignments: Query, now: Timestamp) -> Query {
    assignments.filter(field::DATE_CLOSED, FieldOp::GreaterThan, now)
}

/// The orgs through which the student is assigned.
pub fn assigning_orgs(assignment: &Fields) -> OrgLists {
    OrgLists::from_value(assignment.get(field::ASSIGNING_ORGS))
}

/// The orgs whose administrators may read the assignment.
pub fn read_orgs(assignment: &Fields) -> OrgLists {
    OrgLists::from_value(assignment.get(field::READ_ORGS))
}

/// The map `progress`: the states of tasks, by the tasks' keys.
pub fn marks(assignment: &Fields) -> Option<&Fields> {
    assignment.get(field::PROGRESS).and_then(Value::as_map)
}

/// The state that `progress` has for the task with the given key.
pub fn marked<'a>(assignment: &'a Fields, key: &str) -> Option<&'a str> {
    marks(assignment)?.get(key)?.as_str()
}

/// The IDs of the runs that an assessment lists: all that count for this assessment.
pub fn listed_runs(assessment: &Fields) -> Vec<String> {
    assessment.get(field::ALL_RUN_IDS).and_then(Value::as_string_list).unwrap_or_default()
}

/// The key of a task in `progress` maps: hyphens become underscores (docs/domain/documents.md#keys-of-tasks).
pub fn progress_key(task_id: &str) -> String {
    task_id.replace('-', "_")
}

/// True when a task's ID can be stored as a field's name: unchanged in counts, and with underscores in `progress`.
pub fn may_be_key(task: &str) -> bool {
    is_key(task) && is_key(&progress_key(task))
}

/// The ID of an assessment's task in an assignment. An ID that can't be stored as a key is ignored, as in
/// administrations, because clients write these entries.
pub(crate) fn task_id(assessment: &Fields) -> Option<&str> {
    assessment.get(field::TASK_ID).and_then(Value::as_str).filter(|task| may_be_key(task))
}

pub(crate) fn task_ids(assessments: &[Value]) -> impl Iterator<Item = &str> {
    assessments.iter().filter_map(Value::as_map).filter_map(task_id)
}

pub(crate) fn assessments_of(assignment: &Fields) -> Vec<Fields> {
    assessments(assignment).iter().filter_map(Value::as_map).cloned().collect()
}

pub(crate) fn is_optional(assessment: &Fields) -> bool {
    assessment.get(field::OPTIONAL).and_then(Value::as_bool).unwrap_or(false)
}

/// The tasks' IDs, each with true when the task is required: the completion of an assignment depends on these.
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
    [field::STARTED, field::COMPLETED].map(|name| assignment.get(name).and_then(Value::as_bool).unwrap_or(false))
}

/// True when an assessment has the field; null counts as absent.
pub(crate) fn is_set(assessment: &Fields, name: &str) -> bool {
    assessment.get(name).is_some_and(|value| !value.is_null())
}

/// The student has completed the task.
pub(crate) fn is_completed(assessment: &Fields) -> bool {
    is_set(assessment, field::COMPLETED_ON)
}

/// The student has started the task, or completed it: tasks that another site hosts are completed without a start.
pub(crate) fn is_started(assessment: &Fields) -> bool {
    is_set(assessment, field::STARTED_ON) || is_completed(assessment)
}

/// A student's work on the task has begun, so the task must not be removed from the assignment.
pub(crate) fn has_begun(assessment: &Fields) -> bool {
    is_started(assessment) || names_runs(assessment)
}

/// True when the assessment of an assignment names runs.
pub(crate) fn names_runs(assessment: &Fields) -> bool {
    let runs = assessment.get(field::ALL_RUN_IDS).and_then(Value::as_array).unwrap_or_default();
    !runs.is_empty() || is_set(assessment, field::RUN_ID)
}

/// The map `progress` for the given tasks: the state that each has, or `assigned` for a new task. Older documents spell
/// the keys with hyphens; only underscores are written (docs/domain/documents.md#keys-of-tasks).
pub(crate) fn progress(existing: &Fields, assessments: &[Value]) -> Fields {
    let old = marks(existing);
    let known = |task: &str| {
        let old = old?;
        old.get(&progress_key(task)).or_else(|| old.get(task)).cloned()
    };
    task_ids(assessments)
        .map(|task| (progress_key(task), known(task).unwrap_or_else(|| Value::from(mark::ASSIGNED))))
        .collect()
}

/// Every assessment is completed or optional, and at least one is completed (docs/domain/assignments.md#completion-of-an-assignment).
pub(crate) fn is_complete(assessments: &[Value], progress: &Fields) -> bool {
    let mut any = false;
    for assessment in assessments.iter().filter_map(Value::as_map) {
        let marked = task_id(assessment).and_then(|task| progress.get(&progress_key(task)));
        let completed = is_completed(assessment) || marked.and_then(Value::as_str) == Some(mark::COMPLETED);
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

    #[test]
    fn an_assignment_says_what_it_says() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let orgs: OrgLists = [(super::super::org_lists::OrgType::School, "s")].into_iter().collect();
        let assignment = crate::fields! {
            "id" => "a", "dateAssigned" => at(1), "dateClosed" => at(9), "assigningOrgs" => orgs.to_value(),
            "assessments" => vec![Value::from(crate::fields! { "taskId" => "swr", "allRunIds" => Value::strings(["r"]) })],
            "progress" => crate::fields! { "swr" => "started" },
        };
        assert_eq!((administration_id(&assignment), date_assigned(&assignment)), (Some("a"), Some(at(1))));
        assert_eq!((is_open(&assignment, at(8)), is_open(&assignment, at(9))), (true, false));
        assert_eq!((assigning_orgs(&assignment), read_orgs(&assignment)), (orgs, OrgLists::new()));
        assert_eq!((marked(&assignment, "swr"), marked(&assignment, "pa")), (Some(mark::STARTED), None));
        assert_eq!(
            assessments(&assignment).iter().filter_map(Value::as_map).map(listed_runs).next(),
            Some(vec!["r".to_owned()])
        );
        let nothing = Fields::new();
        assert_eq!((assessments(&nothing).len(), date_assigned(&nothing), marks(&nothing)), (0, None, None));
        assert!(!is_open(&nothing, at(0)), "an assignment without a closing date isn't known to be open");
    }

    #[test]
    fn what_begins_and_ends_work() {
        let at = Timestamp::UNIX_EPOCH;
        // The assessment; started, completed, begun.
        for (assessment, expected) in [
            (crate::fields! { "startedOn" => Value::Null }, [false; 3]),
            (crate::fields! { "startedOn" => at }, [true, false, true]),
            (crate::fields! { "completedOn" => at }, [true, true, true]),
            (crate::fields! { "runId" => "r" }, [false, false, true]),
            (crate::fields! { "allRunIds" => Value::strings(["r"]) }, [false, false, true]),
        ] {
            let found = [is_started(&assessment), is_completed(&assessment), has_begun(&assessment)];
            assert_eq!(found, expected, "{assessment:?}");
        }
    }
}

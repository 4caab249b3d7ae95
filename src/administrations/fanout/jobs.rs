//! The jobs of a sync, as the documents of its tasks store them.

use serde::{Deserialize, Serialize};

use crate::documents::administration_sync::Control;
use crate::runtime::{Job, NewTask, StoredTimestamp};

/// Plans one version of an administration's sync, and enqueues its chunks phase by phase.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanJob {
    pub(super) administration_id: String,
    pub(super) version: i64,
    #[serde(flatten)]
    pub(super) progress: PlanProgress,
}

/// A plan's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanProgress {
    /// The phase whose chunks are enqueued next; none before the sync is prepared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<usize>,
    /// The index of the first org of that phase that no chunk covers yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next_org: Option<usize>,
}

impl PlanProgress {
    pub(super) fn at(phase: usize, next_org: usize) -> PlanProgress {
        PlanProgress { phase: Some(phase), next_org: Some(next_org) }
    }
}

impl Job for PlanJob {
    const FUNCTION: &'static str = "planAdministrationSync";
    type Progress = PlanProgress;
}

/// The task that plans the sync version in `control`.
pub fn plan_task(administration: &str, control: &Control) -> NewTask {
    let (administration_id, version) = (administration.to_owned(), control.version);
    let job = PlanJob { administration_id, version, progress: PlanProgress::default() };
    NewTask::new(format!("{administration}-{version}-plan"), &job)
}

/// Brings the students of some orgs in line with the administration.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkJob {
    pub(super) administration_id: String,
    pub(super) version: i64,
    /// An index into [`super::ownership::phases`].
    pub(super) phase: usize,
    /// IDs of orgs of the phase's type.
    pub(super) orgs: Vec<String>,
    /// The ID of the plan's task, which is woken when the last chunk is done.
    pub(super) plan: String,
    #[serde(flatten)]
    pub(super) progress: ChunkProgress,
}

/// A chunk's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChunkProgress {
    /// The last student processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<String>,
    /// Since when the chunk has been waiting for the events of deletions that were made outside of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) waits_since: Option<StoredTimestamp>,
}

impl Job for ChunkJob {
    const FUNCTION: &'static str = "syncAdministrationChunk";
    type Progress = ChunkProgress;
}

/// Checks every assignment of an administration that opens again.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepJob {
    pub(super) administration_id: String,
    pub(super) version: i64,
    /// The ID of the plan's task, which is woken when the sweep is done.
    #[serde(default)]
    pub(super) plan: String,
    #[serde(flatten)]
    pub(super) progress: SweepProgress,
}

/// A sweep's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepProgress {
    /// The path of the last assignment processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<String>,
}

impl Job for SweepJob {
    const FUNCTION: &'static str = "sweepAdministration";
    type Progress = SweepProgress;
}

/// Removes everything that belongs to a deleted administration.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoveJob {
    pub(super) administration_id: String,
    #[serde(default)]
    pub(super) version: i64,
}

impl Job for RemoveJob {
    const FUNCTION: &'static str = "removeAdministration";
    type Progress = ();
}

/// The task that cleans up after a deleted administration; `version` is the administration's last sync version.
pub fn remove_task(administration: &str, version: i64) -> NewTask {
    let job = RemoveJob { administration_id: administration.to_owned(), version };
    NewTask::new(format!("{administration}-{version}-remove"), &job)
}

/// The fields that the jobs of a sync share.
#[derive(Debug, Deserialize)]
pub(super) struct OfVersion {
    pub(super) version: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::runtime::{Task, stored_payload};
    use crate::store::{DocPath, Document, FieldPath, Fields, Precondition, Timestamp, Value, Write};

    /// The job as its function gets it from a task's document.
    fn stored<J: Job>(payload: &Fields) -> J {
        let document = Document {
            path: DocPath::new("functionTasks/t").unwrap(),
            fields: fields! { "function" => J::FUNCTION, "payload" => Value::Map(payload.clone()) },
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
        };
        stored_payload(&document).unwrap()
    }

    fn plan(progress: PlanProgress) -> PlanJob {
        PlanJob { administration_id: "a".to_owned(), version: 3, progress }
    }

    /// Payloads as version 1 of each job is stored: tasks of the program before an update.
    #[test]
    fn a_plan_is_stored_as_before() {
        let fresh = fields! { "administrationId" => "a", "version" => 3 };
        let task = plan_task("a", &Control { version: 3, ..Control::default() });
        assert_eq!((task.id.as_str(), task.function, task.version), ("a-3-plan", "planAdministrationSync", 1));
        assert_eq!(task.payload, fresh);
        assert_eq!(stored::<PlanJob>(&fresh), plan(PlanProgress::default()));
        let further = fields! { "administrationId" => "a", "version" => 3, "phase" => 2, "nextOrg" => 40 };
        assert_eq!(stored::<PlanJob>(&further), plan(PlanProgress::at(2, 40)));
    }

    #[test]
    fn a_chunk_is_stored_as_before() {
        let mut payload = fields! {
            "administrationId" => "a", "version" => 3, "phase" => 7, "orgs" => Value::strings(["c1", "c2"]),
            "plan" => "a-3-plan",
        };
        let chunk = |progress| ChunkJob {
            administration_id: "a".to_owned(),
            version: 3,
            phase: 7,
            orgs: vec!["c1".to_owned(), "c2".to_owned()],
            plan: "a-3-plan".to_owned(),
            progress,
        };
        assert_eq!(NewTask::new("t", &chunk(ChunkProgress::default())).payload, payload);
        assert_eq!(stored::<ChunkJob>(&payload), chunk(ChunkProgress::default()));
        let since = Timestamp::from_microsecond(1_760_000_000_123_456).unwrap();
        payload.extend(fields! { "cursor" => "u9", "waitsSince" => since });
        let progress = ChunkProgress { cursor: Some("u9".to_owned()), waits_since: Some(StoredTimestamp(since)) };
        assert_eq!(stored::<ChunkJob>(&payload), chunk(progress.clone()));
        assert_eq!(NewTask::new("t", &chunk(progress)).payload, payload);
    }

    #[test]
    fn a_sweep_is_stored_as_before() {
        let mut payload = fields! { "administrationId" => "a", "version" => 3, "plan" => "a-3-plan" };
        let sweep = |cursor: Option<&str>| SweepJob {
            administration_id: "a".to_owned(),
            version: 3,
            plan: "a-3-plan".to_owned(),
            progress: SweepProgress { cursor: cursor.map(str::to_owned) },
        };
        assert_eq!(NewTask::new("t", &sweep(None)).payload, payload);
        assert_eq!(stored::<SweepJob>(&payload), sweep(None));
        payload.extend(fields! { "cursor" => "users/u/assignments/a" });
        assert_eq!(stored::<SweepJob>(&payload), sweep(Some("users/u/assignments/a")));
    }

    #[test]
    fn a_removal_is_stored_as_before() {
        let task = remove_task("a", 4);
        assert_eq!((task.id.as_str(), task.function, task.version), ("a-4-remove", "removeAdministration", 1));
        assert_eq!(task.payload, fields! { "administrationId" => "a", "version" => 4 });
        assert_eq!(stored::<RemoveJob>(&task.payload), RemoveJob { administration_id: "a".to_owned(), version: 4 });
    }

    #[test]
    fn progress_sets_what_moved_and_nothing_else() {
        let path = DocPath::new("functionTasks/t").unwrap();
        let task = Task::new(path, plan(PlanProgress::default()), 1);
        let entries = fields! { "payload" => Value::Map(fields! { "phase" => 1, "nextOrg" => 0 }) };
        let mask = ["nextOrg", "phase"].map(|name| FieldPath::of(["payload", name]));
        let expected = Write::merge(task.path().clone(), entries, mask.to_vec()).when(Precondition::Exists);
        assert_eq!(task.advance(&PlanProgress::at(1, 0)), expected);
    }
}

//! Updates the rights over an org, and the administrations that are assigned to it, after a change below the org.

use serde::{Deserialize, Serialize};

use super::change::OrgChange;
use crate::administrations::{follow_orgs, follow_touched};
use crate::app::App;
use crate::claims::{ClaimsError, follow_hierarchy};
use crate::orgs::{OrgKey, OrgLists, OrgType};
use crate::runtime::{HandlerError, Job, NewTask, Task, TaskOutcome, stored_payload};
use crate::store::{DocPath, Document, Precondition, StoreError, Write};

/// The job that updates the rights over an org, and its administrations, after a change below the org.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FollowOrgJob {
    #[serde(flatten)]
    org: OrgOfJob,
    /// The orgs that were added or moved.
    #[serde(default)]
    touched: OrgLists,
}

impl Job for FollowOrgJob {
    const FUNCTION: &'static str = "followOrg";
    type Progress = ();
}

/// The org that a job is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrgOfJob {
    org_type: OrgType,
    org_id: String,
}

impl OrgOfJob {
    pub(super) fn of(org: &OrgKey) -> OrgOfJob {
        OrgOfJob { org_type: org.org_type, org_id: org.id.clone() }
    }

    pub(super) fn key(&self) -> OrgKey {
        OrgKey::new(self.org_type, &self.org_id)
    }
}

/// The most changed orgs that a task records. With more, the assignments of all members are checked.
const MOST_TOUCHED: usize = 500;

/// A job for each parent before and after the change, and for the org itself: the rights over these orgs and the
/// administrations assigned to them must be updated. All jobs for one org share one task ID.
fn jobs(change: &OrgChange) -> Vec<FollowOrgJob> {
    let own = change.before.iter().map(|_| change.key.clone());
    let touched = OrgLists::from_iter([(change.key.org_type, change.key.id.as_str())]);
    let job = |org: OrgKey| FollowOrgJob { org: OrgOfJob::of(&org), touched: touched.clone() };
    change.parents().into_iter().chain(own).map(job).collect()
}

fn task(job: &FollowOrgJob) -> NewTask {
    let OrgOfJob { org_type, org_id } = &job.org;
    NewTask::new(format!("follow-{}-{org_id}", org_type.singular()), job)
}

/// Enqueues the jobs of a change, and the task `more`. A task that is pending or running absorbs the change: it runs
/// once more.
pub(super) async fn enlist(app: &App, change: &OrgChange, more: Option<NewTask>) -> Result<(), StoreError> {
    let (jobs, more) = (&jobs(change), &more);
    let enlisted = app.stores.admin.transaction(|tx| async move {
        let paths: Vec<DocPath> = jobs.iter().map(|job| app.tasks.enlist(&task(job)).path).collect();
        let mut enlisted: Vec<NewTask> = more.iter().cloned().collect();
        for (job, waiting) in jobs.iter().zip(tx.get_all(&paths).await?) {
            let mut job = job.clone();
            if let Some(waiting) = waiting {
                let mut touched = touched_of(&waiting);
                // With more orgs than that, all members are checked, so the list isn't needed.
                if touched.flatten().len() <= MOST_TOUCHED {
                    touched.extend(&job.touched);
                }
                job.touched = touched;
            }
            enlisted.push(task(&job));
        }
        tx.write_all(enlisted.iter().map(|task| app.tasks.enlist(task))).await;
        Ok::<_, StoreError>(enlisted)
    });
    app.tasks.announce(enlisted.await?.0);
    Ok(())
}

/// Enqueues only `task`.
pub(super) async fn enlist_alone(app: &App, task: Option<NewTask>) -> Result<(), StoreError> {
    app.stores.admin.commit(task.iter().map(|task| app.tasks.enlist(task)).collect()).await?;
    app.tasks.announce(task.into_iter().collect());
    Ok(())
}

/// The changed orgs according to the task's document.
fn touched_of(task: &Document) -> OrgLists {
    stored_payload::<FollowOrgJob>(task).map(|job| job.touched).unwrap_or_default()
}

/// Runs a [`FollowOrgJob`].
///
/// Costs two reads where nobody has rights over the org and nothing is assigned to it; otherwise what is below the orgs
/// that each holder was granted, and the reads of the administrations' syncs, which look only at the members of orgs
/// that were added or moved.
pub async fn run(app: App, task: Task<FollowOrgJob>) -> Result<TaskOutcome, HandlerError> {
    let org = task.payload.org.key();
    loop {
        let Some(own) = app.stores.admin.get(task.path()).await? else { return Ok(TaskOutcome::Committed) };
        let orgs = OrgLists::from_iter([(org.org_type, org.id.as_str())]);
        let are_done = follow_hierarchy(&app, &orgs).await.map_err(|error| match error {
            ClaimsError::Store(error) => HandlerError::from(error),
            error => HandlerError::Transient(error.to_string()),
        })?;
        if !are_done {
            tracing::error!(org = org.id, "the claims of somebody can't follow an org: see `reconcile claims`");
        }
        let (orgs, touched) = (std::slice::from_ref(&org), touched_of(&own));
        match touched.flatten().len() {
            1..=MOST_TOUCHED => follow_touched(&app, orgs, &touched).await?,
            _ => follow_orgs(&app, orgs).await?,
        }
        // The task may have been enqueued again in the meantime, for a change that this run didn't see.
        let unchanged = Precondition::UpdatedAt(own.update_time);
        match app.stores.admin.commit(vec![Write::delete(task.path().clone()).when(unchanged)]).await {
            Ok(_) => return Ok(TaskOutcome::Committed),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::{Timestamp, Value};

    fn stored(payload: crate::store::Fields) -> Document {
        Document {
            path: DocPath::new("functionTasks/t").unwrap(),
            fields: fields! { "function" => "followOrg", "payload" => Value::Map(payload) },
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
        }
    }

    /// A payload as version 1 of the job is stored: a task of the program before an update.
    #[test]
    fn the_job_is_stored_as_before() {
        let none = || Value::strings::<_, &str>([]);
        let touched = fields! {
            "districts" => none(), "schools" => Value::strings(["s1"]), "classes" => Value::strings(["c2", "c1"]),
            "groups" => none(), "families" => none(),
        };
        let payload = fields! { "orgType" => "districts", "orgId" => "d1", "touched" => Value::Map(touched) };
        let orgs = [(OrgType::School, "s1"), (OrgType::Class, "c2"), (OrgType::Class, "c1")];
        let job = FollowOrgJob {
            org: OrgOfJob::of(&OrgKey::new(OrgType::District, "d1")),
            touched: OrgLists::from_iter(orgs),
        };
        let task = task(&job);
        assert_eq!((task.id.as_str(), task.function, task.version), ("follow-district-d1", "followOrg", 1));
        assert_eq!(task.payload, payload);
        assert_eq!(stored_payload(&stored(payload)), Ok(job.clone()));
        // Before there was a list of what came or moved.
        let older = stored(fields! { "orgType" => "districts", "orgId" => "d1" });
        assert_eq!(stored_payload(&older), Ok(FollowOrgJob { touched: OrgLists::new(), ..job }));
        assert!(stored_payload::<FollowOrgJob>(&stored(fields! { "orgType" => "cohorts", "orgId" => "d1" })).is_err());
    }
}

//! Users who changed while an administration was being synced.
//!
//! A chunk of a sync may read a student before the student changes and commit afterwards. So a handler that meets a
//! running sync records the student with that sync and runs again when the sync has ended, when no more of its commits
//! can come.

use serde::{Deserialize, Serialize};

use super::follow::follow;
use crate::app::App;
use crate::documents::administration_sync::{Control, is_under_way, under_way};
use crate::documents::sync_notes::{field, user_to_follow, users_to_follow};
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::user_path;
use crate::orgs::OrgLists;
use crate::runtime::{HandlerError, Job, NewTask, Task, TaskOutcome};
use crate::store::{Direction, DocPath, Document, Fields, Query, StoreError, Timestamp, Transaction, Value, Write};
use crate::users::change::UserChange;

/// The job that follows the users who were recorded with a sync of that administration.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FollowAgainJob {
    administration_id: String,
}

impl Job for FollowAgainJob {
    const FUNCTION: &'static str = "followUsersAfterSync";
    type Progress = ();
}

/// Users read at once.
const PAGE: u32 = 100;

/// Records the user with every running sync that may process the user. Costs one read when no sync is running.
pub async fn leave_with_syncs(
    app: &App,
    uid: &str,
    user: &Fields,
    change: &UserChange,
    at: Timestamp,
) -> Result<(), StoreError> {
    let mut orgs = current_orgs(user);
    orgs.extend(&change.left);
    for sync in app.stores.admin.query(under_way()).await? {
        let control = Control::read(&sync);
        if !concerns(&control, &orgs) {
            continue;
        }
        let administration = sync.id();
        let path = user_to_follow(administration, uid)?;
        let left = app.stores.admin.transaction(|tx| {
            let (sync, path) = (&sync, &path);
            async move {
                let found = tx.get_all(&[sync.path.clone(), path.clone()]).await?;
                let [Some(control), waiting] = <[Option<Document>; 2]>::try_from(found).unwrap_or_default() else {
                    return Ok(());
                };
                // The sync has ended by now: everything that it wrote is visible to the work that follows.
                if !is_under_way(&control) {
                    return Ok(());
                }
                let known = waiting.as_ref().map(|waiting| UserChange::read(&waiting.fields));
                let change = known.map_or_else(|| change.clone(), |known| known.merged(change));
                let mut fields = change.to_fields();
                fields.insert(field::AT.to_owned(), Value::Timestamp(at));
                tx.write(Write::set(path.clone(), fields)).await;
                Ok::<_, StoreError>(())
            }
        });
        left.await?;
    }
    Ok(())
}

/// True when the sync may process students of these orgs. A sync that isn't planned yet has read nobody.
fn concerns(control: &Control, orgs: &OrgLists) -> bool {
    let applied = control.applied.iter();
    applied.chain([&control.assigned, &control.removing]).any(|lists| !lists.intersection(&orgs.to_set()).is_empty())
}

/// For the transaction that ends a sync: the task that follows the users who were recorded with it, if there are any.
/// Costs one read.
pub async fn task_for_waiting(
    tx: &Transaction,
    administration: &str,
    version: i64,
) -> Result<Option<NewTask>, StoreError> {
    let waiting = tx.query(Query::collection(users_to_follow(administration)?).select(&[]).limit(1)).await?;
    Ok((!waiting.is_empty()).then(|| follow_task(administration, version)))
}

fn follow_task(administration: &str, version: i64) -> NewTask {
    let job = FollowAgainJob { administration_id: administration.to_owned() };
    NewTask::new(format!("{administration}-{version}-follow"), &job)
}

/// Runs a [`FollowAgainJob`].
pub async fn run(app: App, task: Task<FollowAgainJob>) -> Result<TaskOutcome, HandlerError> {
    let administration = task.payload.administration_id.as_str();
    let database = &app.stores.admin;
    let collection = users_to_follow(administration)?;
    let mut after: Option<DocPath> = None;
    loop {
        let mut query =
            Query::collection(&collection).order_by(crate::store::path::NAME_FIELD, Direction::Ascending).limit(PAGE);
        if let Some(after) = &after {
            query = query.start_after(vec![database.reference(after)]);
        }
        let page = database.query(query).await?;
        let Some(last) = page.last().map(|waiting| waiting.path.clone()) else { return Ok(TaskOutcome::Finished) };
        for waiting in page {
            follow_waiting(&app, administration, waiting).await?;
        }
        after = Some(last);
    }
}

async fn follow_waiting(app: &App, administration: &str, waiting: Document) -> Result<(), HandlerError> {
    let database = &app.stores.admin;
    let change = UserChange::read(&waiting.fields);
    let at = waiting.fields.get(field::AT).and_then(Value::as_timestamp).unwrap_or_else(|| app.now());
    if let Some(user) = database.get(&user_path(waiting.id())?).await? {
        match follow(app, user, &change, at).await {
            // A document that can't be stored must not prevent the other users from being followed.
            Err(HandlerError::Permanent(why)) => {
                tracing::error!(roar_uid = waiting.id(), why, "a user can't be followed after a sync");
            }
            followed => followed?,
        }
    }
    let control = Control::path(administration)?;
    let removed = database.transaction(|tx| {
        let (control, waiting) = (&control, &waiting);
        async move {
            let found = tx.get_all(&[control.clone(), waiting.path.clone()]).await?;
            let [control, now] = <[Option<Document>; 2]>::try_from(found).unwrap_or_default();
            // If a new sync is running, it may have read the user before this; its own end follows the user. A user who
            // was recorded again in the meantime stays recorded as well.
            let stays = control.as_ref().is_some_and(is_under_way)
                || now.is_none_or(|now| now.update_time != waiting.update_time);
            if !stays {
                tx.write(Write::delete(waiting.path.clone())).await;
            }
            Ok::<_, StoreError>(())
        }
    });
    removed.await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::runtime::stored_payload;

    /// A payload as version 1 of the job stored it: tasks that were enqueued before an update must still be readable.
    #[test]
    fn the_job_is_stored_as_before() {
        let task = follow_task("a", 3);
        assert_eq!((task.id.as_str(), task.function, task.version), ("a-3-follow", "followUsersAfterSync", 1));
        let payload = fields! { "administrationId" => "a" };
        assert_eq!(task.payload, payload);
        let document = Document {
            path: DocPath::new("functionTasks/t").unwrap(),
            fields: fields! { "function" => "followUsersAfterSync", "payload" => Value::Map(payload) },
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(stored_payload(&document), Ok(FollowAgainJob { administration_id: "a".to_owned() }));
    }
}

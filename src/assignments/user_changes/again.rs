//! Users who changed while an administration was being synced.
//!
//! A chunk of a sync may have read a student before they changed and commit afterwards. So a handler that
//! meets a sync under way leaves the student's name with it, and does its work again when the sync has
//! ended: then nothing of the sync is to come any more.

use super::follow;
use crate::administrations::fanout::control::{Control, State};
use crate::app::App;
use crate::assignments::build::current_orgs;
use crate::fields;
use crate::orgs::OrgLists;
use crate::runtime::{HandlerError, NewTask, Task, TaskOutcome};
use crate::store::{
    Database, DocPath, Document, Fields, Precondition, Query, StoreError, Timestamp, Transaction, Value, Write,
};
use crate::users::change::UserChange;

/// The task that follows the users whom a sync has left behind.
pub const FOLLOW_AGAIN: &str = "followUsersAfterSync";
/// Beside the control document: a document for each user to be followed again.
const WAITING: &str = "usersToFollow";
/// Users read at once.
const PAGE: u32 = 100;

fn waiting_collection(administration: &str) -> Result<String, StoreError> {
    Ok(format!("{}/{WAITING}", Control::path(administration)?))
}

/// Leaves the user with every sync under way that they may be part of. One read when there's none.
pub(super) async fn leave_with_syncs(
    app: &App,
    uid: &str,
    user: &Fields,
    change: &UserChange,
    at: Timestamp,
) -> Result<(), StoreError> {
    let mut orgs = current_orgs(user);
    orgs.extend(&change.left);
    let pending = Query::collection("administrationSyncs").equal("state", State::Pending.name());
    for sync in app.stores.admin.query(pending).await? {
        let control = Control::read(&sync);
        if !concerns(&control, &orgs) {
            continue;
        }
        let administration = sync.id();
        let path = DocPath::in_collection(&waiting_collection(administration)?, uid)?;
        let left = app.stores.admin.transaction(|tx| {
            let (sync, path) = (&sync, &path);
            async move {
                let found = tx.get_all(&[sync.path.clone(), path.clone()]).await?;
                let [Some(control), waiting] = <[Option<Document>; 2]>::try_from(found).unwrap_or_default() else {
                    return Ok(());
                };
                // Ended by now: whatever it wrote is there for the work that follows.
                if Control::read(&control).state != State::Pending {
                    return Ok(());
                }
                let known = waiting.as_ref().map(|waiting| UserChange::read(&waiting.fields));
                let change = known.map_or_else(|| change.clone(), |known| known.merged(change));
                let mut fields = change.to_fields();
                fields.insert("at".to_owned(), Value::Timestamp(at));
                tx.write(Write::set(path.clone(), fields)).await;
                Ok::<_, StoreError>(())
            }
        });
        left.await?;
    }
    Ok(())
}

/// True when students of these orgs may be dealt with by the sync. Before it is planned it has read nobody.
fn concerns(control: &Control, orgs: &OrgLists) -> bool {
    let applied = control.applied.iter();
    applied.chain([&control.assigned, &control.removing]).any(|lists| !lists.intersection(&orgs.to_set()).is_empty())
}

/// For the transaction that ends a sync: the task that follows the users who were left with it, if any.
/// Costs one read.
pub async fn task_for_waiting(
    tx: &Transaction,
    administration: &str,
    version: i64,
) -> Result<Option<NewTask>, StoreError> {
    let waiting = tx.query(Query::collection(waiting_collection(administration)?).select(&[]).limit(1)).await?;
    Ok((!waiting.is_empty()).then(|| NewTask {
        id: format!("{administration}-{version}-follow"),
        function: FOLLOW_AGAIN,
        payload: fields! { "administrationId" => administration },
    }))
}

/// The collection of users left with an administration's syncs, for whoever deletes it.
pub fn collection(administration: &str) -> Result<String, StoreError> {
    waiting_collection(administration)
}

/// Runs [`FOLLOW_AGAIN`].
pub async fn run(app: App, task: Task) -> Result<TaskOutcome, HandlerError> {
    let Some(administration) = task.payload.get("administrationId").and_then(Value::as_str) else {
        return Err(HandlerError::Permanent("users to follow without an administration".to_owned()));
    };
    let collection = waiting_collection(administration)?;
    loop {
        let page = app.stores.admin.query(Query::collection(&collection).limit(PAGE)).await?;
        let last = page.len() < PAGE as usize;
        for waiting in page {
            follow_waiting(&app, &app.stores.admin, waiting).await?;
        }
        if last {
            return Ok(TaskOutcome::Finished);
        }
    }
}

async fn follow_waiting(app: &App, database: &Database, waiting: Document) -> Result<(), StoreError> {
    let change = UserChange::read(&waiting.fields);
    let at = waiting.fields.get("at").and_then(Value::as_timestamp).unwrap_or_else(|| app.now());
    if let Some(user) = database.get(&DocPath::in_collection("users", waiting.id())?).await? {
        follow(app, user, &change, at).await?;
    }
    // Left here again meanwhile, they stay.
    let unchanged = Precondition::UpdatedAt(waiting.update_time);
    match database.commit(vec![Write::delete(waiting.path).when(unchanged)]).await {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

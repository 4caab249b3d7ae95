//! Rights over an org, and administrations that are assigned to it, follow what is below it.

use super::change::OrgChange;
use crate::administrations::{follow_orgs, follow_touched};
use crate::app::App;
use crate::claims::{ClaimsError, follow_hierarchy};
use crate::fields;
use crate::orgs::{OrgKey, OrgLists, OrgType};
use crate::runtime::{HandlerError, NewTask, Task, TaskOutcome};
use crate::store::{DocPath, Document, Precondition, StoreError, Value, Write, lookup};

/// The task that lets rights over an org, and its administrations, follow what is below it now.
pub const FOLLOW_ORG: &str = "followOrg";

/// Orgs that a task remembers to have come or moved. Beyond that, everybody's assignments are looked at.
const MOST_TOUCHED: usize = 500;

/// A task for each parent of before and of now, and for the org itself: who has rights over these, and what is assigned
/// to them, follows. The task of an org is always the same one.
fn tasks(change: &OrgChange) -> Vec<NewTask> {
    let own = change.before.iter().map(|_| change.key.clone());
    let touched = OrgLists::from_iter([(change.key.org_type, change.key.id.as_str())]);
    change.parents().into_iter().chain(own).map(|org| task(&org, &touched)).collect()
}

fn task(org: &OrgKey, touched: &OrgLists) -> NewTask {
    NewTask {
        id: format!("follow-{}-{}", org.org_type.singular(), org.id),
        function: FOLLOW_ORG,
        payload: fields! {
            "orgType" => org.org_type.plural(), "orgId" => org.id.as_str(), TOUCHED => touched.to_value(),
        },
    }
}

/// In the payload: the orgs that came or moved.
const TOUCHED: &str = "touched";

/// Enlists what follows from a change, and `more`. A task that waits already, or runs, takes the change along: it looks
/// once more.
pub(super) async fn enlist(app: &App, change: &OrgChange, more: Option<NewTask>) -> Result<(), StoreError> {
    let (tasks, more) = (&tasks(change), &more);
    let enlisted = app.stores.admin.transaction(|tx| async move {
        let paths: Vec<DocPath> = tasks.iter().map(|task| app.tasks.enlist(task).path).collect();
        let mut enlisted: Vec<NewTask> = more.iter().cloned().collect();
        for (task, waiting) in tasks.iter().zip(tx.get_all(&paths).await?) {
            let mut task = task.clone();
            if let Some(waiting) = waiting {
                let mut touched = touched_of(&waiting);
                // Beyond that many, which they are doesn't matter.
                if touched.flatten().len() <= MOST_TOUCHED {
                    touched.extend(&OrgLists::from_value(task.payload.get(TOUCHED)));
                }
                task.payload.insert(TOUCHED.to_owned(), touched.to_value());
            }
            enlisted.push(task);
        }
        tx.write_all(enlisted.iter().map(|task| app.tasks.enlist(task))).await;
        Ok::<_, StoreError>(enlisted)
    });
    app.tasks.announce(enlisted.await?.0);
    Ok(())
}

/// Enlists `task` alone.
pub(super) async fn enlist_alone(app: &App, task: Option<NewTask>) -> Result<(), StoreError> {
    app.stores.admin.commit(task.iter().map(|task| app.tasks.enlist(task)).collect()).await?;
    app.tasks.announce(task.into_iter().collect());
    Ok(())
}

/// The orgs that a task's document says came or moved.
fn touched_of(task: &Document) -> OrgLists {
    OrgLists::from_value(lookup(&task.fields, &format!("payload.{TOUCHED}")))
}

/// The org that a task is about.
pub(super) fn org_of(task: &Task) -> Option<OrgKey> {
    let text = |name: &str| task.payload.get(name).and_then(Value::as_str);
    Some(OrgKey::new(OrgType::parse(text("orgType")?)?, text("orgId")?))
}

/// Runs [`FOLLOW_ORG`].
///
/// Costs two reads where nobody has rights over the org and nothing is assigned to it; else what is below the orgs that
/// each holder was granted, and what the syncs of its administrations read: these look at the members of orgs that came
/// or moved, and at nobody else.
pub async fn run(app: App, task: Task) -> Result<TaskOutcome, HandlerError> {
    let Some(org) = org_of(&task) else {
        return Err(HandlerError::Permanent("an org to follow that has no type or ID".to_owned()));
    };
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
        // Enlisted again meanwhile, there's something that this run may not have seen.
        let unchanged = Precondition::UpdatedAt(own.update_time);
        match app.stores.admin.commit(vec![Write::delete(task.path().clone()).when(unchanged)]).await {
            Ok(_) => return Ok(TaskOutcome::Committed),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

//! Undoing a deleted administration: its assignments, wherever they are, and everything beside it.

use super::control::{Control, State, progress_path};
use crate::app::App;
use crate::assignments::side_effects::user_write;
use crate::runtime::{HandlerError, Task, TaskOutcome};
use crate::store::{
    Direction, DocPath, Document, FieldPath, Precondition, Query, StoreError, Transaction, Transform, Value, Write,
};

/// Assignments a commit: each is a delete and a write to its student's document.
const PAGE: u32 = 200;
/// Documents of a subcollection a commit.
const BATCH: u32 = 400;
/// Subcollections that go with the administration. The dashboard knows the first by another name too
/// (ambiguities A-07).
const SUBCOLLECTIONS: [&str; 4] = ["assignedOrgs", "assigningOrgs", "readOrgs", "stats"];

/// Runs a remove task to its end.
pub async fn run(app: App, task: Task) -> Result<TaskOutcome, HandlerError> {
    let text = |name: &str| task.payload.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let removal = Removal {
        app: &app,
        administration: text("administrationId"),
        version: task.payload.get("version").and_then(Value::as_i64).unwrap_or_default(),
    };
    if removal.administration.is_empty() {
        return Err(HandlerError::Permanent("a removal without an administration".to_owned()));
    }
    loop {
        let page = match removal.page(Users::Exist).await {
            Err(StoreError::Conflict(_)) => removal.page(Users::Looked).await?,
            other => other?,
        };
        match page {
            Page::Superseded => return Ok(TaskOutcome::Finished),
            Page::More => {}
            Page::Last => break,
        }
    }
    for subcollection in SUBCOLLECTIONS {
        removal.delete_all(&format!("administrations/{}/{subcollection}", removal.administration)).await?;
    }
    removal.forget_creator(&text("createdBy")).await?;
    removal.finish(&task).await
}

struct Removal<'a> {
    app: &'a App,
    administration: String,
    version: i64,
}

/// Whether the students' documents are taken for granted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Users {
    Exist,
    Looked,
}

enum Page {
    Superseded,
    More,
    Last,
}

impl Removal<'_> {
    /// Deletes a page of assignments with their traces. Counts are not moved: they go altogether.
    async fn page(&self, users: Users) -> Result<Page, StoreError> {
        let query = Query::group("assignments")
            .equal("id", self.administration.as_str())
            .order_by(crate::store::path::NAME_FIELD, Direction::Ascending)
            .limit(PAGE);
        let now = self.app.now();
        let (page, _) = self
            .app
            .stores
            .admin
            .transaction(|tx| {
                let query = query.clone();
                async move {
                    if !self.is_current(&tx).await? {
                        return Ok(Page::Superseded);
                    }
                    let found = tx.query(query).await?;
                    let assignments: Vec<(&Document, DocPath)> =
                        found.iter().filter_map(|document| Some((document, document.path.parent()?))).collect();
                    let owners: Vec<DocPath> = assignments.iter().map(|(_, user)| user.clone()).collect();
                    let present = match users {
                        Users::Exist => vec![true; owners.len()],
                        Users::Looked => tx.get_all(&owners).await?.iter().map(Option::is_some).collect(),
                    };
                    for ((assignment, user), present) in assignments.iter().zip(present) {
                        tx.write(Write::delete(assignment.path.clone())).await;
                        if present {
                            tx.write_all(user_write(user, &self.administration, None, None, now)).await;
                        }
                    }
                    let more = found.len() == PAGE as usize && !assignments.is_empty();
                    Ok::<_, StoreError>(if more { Page::More } else { Page::Last })
                }
            })
            .await?;
        Ok(page)
    }

    async fn is_current(&self, tx: &Transaction) -> Result<bool, StoreError> {
        let control = tx.get(&Control::path(&self.administration)?).await?.as_ref().map(Control::read);
        Ok(control.is_some_and(|control| control.version == self.version && control.state == State::Deleting))
    }

    async fn delete_all(&self, collection: &str) -> Result<(), StoreError> {
        loop {
            let found = self.app.stores.admin.query(Query::collection(collection).select(&[]).limit(BATCH)).await?;
            let last = found.len() < BATCH as usize;
            let deletes = found.into_iter().map(|document| Write::delete(document.path)).collect();
            self.app.stores.admin.commit(deletes).await?;
            if last {
                return Ok(());
            }
        }
    }

    /// Takes the administration from its creator's list, if the creator is still there.
    async fn forget_creator(&self, creator: &str) -> Result<(), StoreError> {
        let Ok(path) = DocPath::in_collection("users", creator) else { return Ok(()) };
        let created = FieldPath::of(["adminData", "administrationsCreated"]);
        let write = Write::transform(path, Vec::new())
            .when(Precondition::Exists)
            .with(created, Transform::Remove(vec![Value::from(self.administration.as_str())]));
        match self.app.stores.admin.commit(vec![write]).await {
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn finish(&self, task: &Task) -> Result<TaskOutcome, HandlerError> {
        let finished = self
            .app
            .stores
            .admin
            .transaction(|tx| async move {
                if !self.is_current(&tx).await? {
                    return Ok(false);
                }
                tx.write(Write::delete(Control::path(&self.administration)?)).await;
                tx.write(Write::delete(progress_path(&self.administration, self.version - 1)?)).await;
                tx.write(task.done()).await;
                Ok::<_, StoreError>(true)
            })
            .await;
        match finished {
            Ok((true, _)) => Ok(TaskOutcome::Committed),
            Ok((false, _)) | Err(StoreError::Conflict(_)) => Ok(TaskOutcome::Finished),
            Err(error) => Err(error.into()),
        }
    }
}

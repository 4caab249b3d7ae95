//! Cleans up after a deleted administration: deletes its assignments, wherever they are, and everything beside it.

use super::fence::take_back_older;
use super::jobs::RemoveJob;
use crate::administrations::definitions::Definitions;
use crate::app::App;
use crate::assignments::settlement::deletion_mark;
use crate::assignments::side_effects::{Memory, Step, list_dates, user_write};
use crate::documents::administration_org::{self, OrgSubcollection};
use crate::documents::administration_sync::Control;
use crate::documents::archive::archiving;
use crate::documents::assignment;
use crate::documents::stats;
use crate::documents::sync_notes;
use crate::documents::user;
use crate::runtime::{HandlerError, Task, TaskOutcome};
use crate::store::size::fields_size;
use crate::store::{Direction, DocPath, Document, FieldOp, Precondition, Query, StoreError, Transform, Value, Write};

/// Assignments in one commit: each takes a delete, its mark, its archive, and a write to its student's document.
/// Archives also count in bytes: Firestore takes 10 MiB.
const PAGE: u32 = 120;
const PAGE_BYTES: usize = 5 << 20;
/// Documents of a subcollection deleted in one commit.
const BATCH: u32 = 400;
/// The subcollection, under both of its names, through which students are assigned (docs/domain/decisions.md#a-7). It's
/// deleted before the assignments, so that no new assignment appears behind the removal.
const LEADING: [&str; 2] = [OrgSubcollection::Assigned.id(), administration_org::FORMERLY_ASSIGNED];
/// Subcollections that are deleted after the assignments. Counts come last.
const TRAILING: [&str; 2] = [OrgSubcollection::Read.id(), stats::COLLECTION];

/// Runs a remove task to its end.
pub async fn run(app: App, task: Task<RemoveJob>) -> Result<TaskOutcome, HandlerError> {
    let RemoveJob { administration_id: administration, version } = &task.payload;
    let removal = Removal { app: &app, administration, version: *version };
    take_back_older(&app.stores.admin, removal.administration, removal.version).await?;
    for subcollection in LEADING {
        removal.delete_all(&format!("administrations/{}/{subcollection}", removal.administration)).await?;
    }
    let mut most = PAGE;
    loop {
        let page = match removal.page(&task, Users::Exist, most).await {
            Err(StoreError::Conflict(_)) => {
                if app.stores.admin.get(task.path()).await?.is_none() {
                    return Ok(TaskOutcome::Finished);
                }
                removal.page(&task, Users::Looked, most).await
            }
            other => other,
        };
        let page = match page {
            // One of the students has a document that is full: that document stays as it is.
            Err(StoreError::InvalidArgument(_)) if most > 1 => {
                most /= 2;
                continue;
            }
            Err(StoreError::InvalidArgument(_)) => removal.page(&task, Users::Untold, 1).await?,
            other => other?,
        };
        most = (most * 2).min(PAGE);
        match page {
            Page::More => {}
            Page::Last => break,
        }
    }
    for subcollection in TRAILING {
        removal.delete_all(&format!("administrations/{}/{subcollection}", removal.administration)).await?;
    }
    removal.delete_all(&format!("{}/progress", Control::path(removal.administration)?)).await?;
    removal.delete_all(&sync_notes::problems(removal.administration)?).await?;
    removal.delete_all(&sync_notes::users_to_follow(removal.administration)?).await?;
    removal.forget_creators().await?;
    removal.finish(&task).await
}

struct Removal<'a> {
    app: &'a App,
    administration: &'a str,
    version: i64,
}

/// How the removal treats the students' documents.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Users {
    Exist,
    Looked,
    /// The students' documents are not written.
    Untold,
}

enum Page {
    More,
    Last,
}

impl Removal<'_> {
    /// Deletes a page of assignments and their traces. Counts don't move, because they are deleted as a whole.
    async fn page(&self, task: &Task<RemoveJob>, users: Users, most: u32) -> Result<Page, StoreError> {
        let query = assignment::of_administration(self.administration)
            .order_by(crate::store::path::NAME_FIELD, Direction::Ascending)
            .limit(most);
        let now = self.app.now();
        let found = self.app.stores.admin.query(query).await?;
        let mut bytes = 0;
        let fitting = found.iter().take_while(|document| {
            bytes += fields_size(&document.fields);
            bytes <= PAGE_BYTES
        });
        let fitting = fitting.count().max(1);
        let assignments: Vec<(&Document, DocPath)> =
            found.iter().take(fitting).filter_map(|document| Some((document, document.path.parent()?))).collect();
        let is_last = found.len() < most as usize && fitting >= found.len();
        let owners: Vec<DocPath> = assignments.iter().map(|(_, user)| user.clone()).collect();
        let present = match users {
            Users::Exist => vec![true; owners.len()],
            Users::Untold => vec![false; owners.len()],
            Users::Looked => self.app.stores.admin.get_all(&owners).await?.iter().map(Option::is_some).collect(),
        };
        // Without this precondition, a repeated run could delete what a new administration with the same ID has
        // assigned.
        let mut writes = vec![task.still_there()];
        for ((assignment, user), present) in assignments.iter().zip(present) {
            writes.push(Write::delete(assignment.path.clone()));
            // The mark keeps the deletion's event from changing the counts of a new administration with the same ID.
            writes.push(deletion_mark(assignment, now)?);
            // Should the administration be restored, so is the work in its assignments.
            writes.push(archiving(assignment, now)?);
            if present {
                let memory = Memory::Of(list_dates(&assignment.fields, now));
                let step = Step {
                    administration: self.administration.to_owned(),
                    before: None,
                    after: None,
                    memory,
                    archived: None,
                };
                writes.extend(user_write(user, &step, now));
            }
        }
        self.app.stores.admin.commit(writes).await?;
        Ok(if is_last || assignments.is_empty() { Page::Last } else { Page::More })
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

    /// Removes the administration from the lists of its creators. There may be several: the dashboard's form sends its
    /// current user as the creator on every save, and the service lists the administration with each of them.
    async fn forget_creators(&self) -> Result<(), StoreError> {
        let created = user::administrations_created();
        let query = Query::collection(user::COLLECTION)
            .filter(&created.to_string(), FieldOp::ArrayContains, self.administration)
            .select(&[])
            .limit(BATCH);
        loop {
            let found = self.app.stores.admin.query(query.clone()).await?;
            let last = found.len() < BATCH as usize;
            for creator in found {
                let write = Write::transform(creator.path, Vec::new())
                    .when(Precondition::Exists)
                    .with(created.clone(), Transform::Remove(vec![Value::from(self.administration)]));
                match self.app.stores.admin.commit(vec![write]).await {
                    Ok(_) | Err(StoreError::Conflict(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    async fn finish(&self, task: &Task<RemoveJob>) -> Result<TaskOutcome, HandlerError> {
        let finished = self
            .app
            .stores
            .admin
            .transaction(|tx| async move {
                let path = Control::path(self.administration)?;
                let control = tx.get(&path).await?.as_ref().map(Control::read);
                // Unless the administration has been created again.
                if control.is_some_and(|control| control.version == self.version) {
                    tx.write(Write::delete(path)).await;
                }
                tx.write(task.done()).await;
                Ok::<_, StoreError>(())
            })
            .await;
        match finished {
            Ok(_) => {
                Definitions::of(self.app).forget(self.administration);
                Ok(TaskOutcome::Committed)
            }
            Err(StoreError::Conflict(_)) => Ok(TaskOutcome::Finished),
            Err(error) => Err(error.into()),
        }
    }
}

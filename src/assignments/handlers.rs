//! Handlers of the events of assignments: created, updated, deleted.
//!
//! Each handler reads the assignment as it is now and settles the difference between its contribution and the recorded
//! one ([`counts`](super::counts)). An assignment that a fan-out wrote is settled already; the event's payload shows
//! that, so such an event costs nothing.

use super::counts::{Contribution, CountsDelta, life};
use super::settlement::deletion_mark;
use super::side_effects::{Memory, Step, date_assigned, dates_left, list_dates, lists_assignment, user_write};
use super::tasks::Tasks;
use crate::app::App;
use crate::documents::administration::{Administration, administration_path};
use crate::documents::archive::{DELETED_AT, archive_path, archiving};
use crate::documents::assignment;
use crate::documents::former::{Dates, former};
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{ChangeKind, DocPath, Document, Fields, Precondition, StoreError, Timestamp, Transaction, Write};

/// `syncAssignmentCreated` (docs/domain/counts.md#the-ledger).
pub async fn created(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    settle(&app, &event).await
}

/// `syncAssignmentUpdated` (docs/domain/counts.md#the-ledger): also counts when a student starts or completes a task.
pub async fn updated(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    settle(&app, &event).await
}

async fn settle(app: &App, event: &DocumentEvent) -> Result<(), HandlerError> {
    let Some(after) = &event.change.after else { return Ok(()) };
    if Contribution::is_settled(&after.fields) {
        return Ok(());
    }
    amend(app, &event.change.path, |_| Fields::new()).await?;
    Ok(())
}

/// The result of [`amend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amended {
    /// The assignment doesn't exist.
    Missing,
    /// There was nothing to change.
    Not,
    /// The change was written.
    Done,
}

/// Changes an assignment as it is now, with the top-level fields that `edit` returns, and updates the counts and the
/// student's lists in the same commit. So the payload of the assignment's own event shows that the assignment is
/// settled.
///
/// `edit` may run several times, because the transaction may be retried.
pub(crate) async fn amend(
    app: &App,
    path: &DocPath,
    edit: impl Fn(&Fields) -> Fields + Sync,
) -> Result<Amended, HandlerError> {
    let assignment = Assignment::at(path)?;
    let (assignment, edit) = (&assignment, &edit);
    let settled = app.stores.admin.transaction(|tx| assignment.settle(app.now(), tx, Existence::Assumed, edit)).await;
    let (found, committed) = match settled {
        Err(StoreError::Conflict(_)) => {
            // The user's document or the counts are missing: read both, and leave out the writes to those that are
            // missing.
            app.stores.admin.transaction(|tx| assignment.settle(app.now(), tx, Existence::Verified, edit)).await?
        }
        other => other?,
    };
    Ok(match (found, committed) {
        (false, _) => Amended::Missing,
        (true, None) => Amended::Not,
        (true, Some(_)) => Amended::Done,
    })
}

/// Records in the document of a student who lost an assignment that work in it has begun since: a test was in progress.
/// The assignment is then restored with its orgs even when its administration has closed by then.
pub(crate) async fn remember_work(
    app: &App,
    user: &DocPath,
    administration: &str,
    began: Timestamp,
) -> Result<(), StoreError> {
    let noted = app.stores.admin.transaction(|tx| async move {
        let Some(found) = tx.get(user).await? else { return Ok(()) };
        if let Some(dates) = former(&found.fields, administration).filter(|dates| !dates.has_begun()) {
            let dates = Dates { started: Some(began), ..dates };
            let step = Step {
                administration: administration.to_owned(),
                before: None,
                after: None,
                memory: Memory::Of(dates),
                archived: None,
            };
            tx.write_all(user_write(user, &step, app.now())).await;
        }
        Ok(())
    });
    noted.await.map(|_| ())
}

/// `syncAssignmentDeleted` (docs/domain/counts.md#deletions).
///
/// A deletion that this service made has updated the counts and the user's lists already, and left a mark.
pub async fn deleted(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let (Some(before), Some(ChangeKind::Deleted)) = (&event.change.before, event.change.kind()) else { return Ok(()) };
    let assignment = Assignment::at(&event.change.path)?;
    match app.stores.admin.transaction(|tx| assignment.forget(app.now(), tx, before, Existence::Assumed)).await {
        Err(StoreError::Conflict(_)) => {
            app.stores.admin.transaction(|tx| assignment.forget(app.now(), tx, before, Existence::Verified)).await?;
        }
        other => {
            other?;
        }
    }
    Ok(())
}

/// Whether a transaction checks that the documents it increments exist.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existence {
    /// Assume that the user's document and the counts exist, as they nearly always do; otherwise the commit fails with
    /// a conflict and nothing is written.
    Assumed,
    /// Read the documents to find out.
    Verified,
}

struct Assignment {
    path: DocPath,
    user: DocPath,
    administration: String,
}

impl Assignment {
    fn at(path: &DocPath) -> Result<Assignment, HandlerError> {
        let path = path.clone();
        let user = path.parent().ok_or_else(|| HandlerError::Permanent("not an assignment's path".to_owned()))?;
        Ok(Assignment { administration: path.id().to_owned(), path, user })
    }

    /// Applies `edit` and settles the resulting contribution; returns [`Amended::Missing`] when there is no assignment.
    async fn settle(
        &self,
        now: Timestamp,
        tx: Transaction,
        known: Existence,
        edit: &(impl Fn(&Fields) -> Fields + Sync),
    ) -> Result<bool, StoreError> {
        let Some(mut current) = tx.get(&self.path).await? else { return Ok(false) };
        let mut changes = edit(&current.fields);
        let recorded = Contribution::recorded(&current.fields);
        current.fields.extend(changes.clone());
        // This is the assignment's first count, so only its administration tells which tasks count.
        let administration = match recorded {
            Some(_) => None,
            None => Some(tx.get(&self.administration_path()?).await?.as_ref().map(Administration::from_document)),
        };
        let tasks = match &administration {
            None | Some(None) => Tasks::known_to(&current.fields),
            Some(Some(administration)) => Tasks::of(administration),
        };
        let actual = Contribution::of(&current.fields, &tasks);
        if recorded.as_ref() == Some(&actual) {
            if !changes.is_empty() {
                tx.write(Write::update(self.path.clone(), changes)).await;
            }
            return Ok(true);
        }
        let dates = list_dates(&current.fields, now);
        let mut delta = CountsDelta::default();
        delta.step(recorded.as_ref(), Some(&actual));
        let user_write =
            user_write(&self.user, &self.step(recorded.clone(), Some((actual.clone(), dates)), Memory::Same), now);
        let counts = match administration {
            None => self.counts_writes(&tx, &delta, known).await?,
            // The assignment's first count may also be the first count of its administration, whose counts may have to
            // be created.
            Some(Some(_)) => delta.writes(&self.administration, Precondition::None)?,
            Some(None) => Vec::new(),
        };
        tx.write_all(counts).await;
        tx.write_all(self.if_user_exists(&tx, user_write, known).await?).await;
        changes.extend(current.fields.remove_entry(assignment::field::COUNTED));
        actual.record(&mut changes);
        tx.write(Write::update(self.path.clone(), changes)).await;
        Ok(true)
    }

    /// Removes a deleted assignment from the counts, unless that was done already: the commit of a deletion by this
    /// service leaves a mark.
    async fn forget(
        &self,
        now: Timestamp,
        tx: Transaction,
        before: &Document,
        known: Existence,
    ) -> Result<(), StoreError> {
        let mark = deletion_mark(before, now)?;
        if tx.get(&mark.path).await?.is_some() {
            return Ok(());
        }
        let archive_path = archive_path(&self.path)?;
        let found = tx.get_all(&[self.user.clone(), self.path.clone(), archive_path]).await?;
        let [user, current, archive] = <[Option<Document>; 3]>::try_from(found).unwrap_or_default();
        let date = assignment::date_assigned;
        // The very same assignment was restored, with its record of what is counted.
        let restored = current.as_ref().is_some_and(|current| {
            Contribution::recorded(&current.fields).is_some()
                && date(&current.fields) == date(&before.fields)
                && life(&current.fields) == life(&before.fields)
        });
        if restored {
            return Ok(());
        }
        let listed = user.as_ref().is_some_and(|user| lists_assignment(&user.fields, &self.administration));
        let listed_since = user.as_ref().and_then(|user| date_assigned(&user.fields, &self.administration));
        let another = matches!((listed_since, date(&before.fields)), (Some(one), Some(other)) if one != other);
        let recorded = Contribution::recorded(&before.fields);
        if listed && !another && current.is_none() {
            let dates = dates_left(user.as_ref().map(|user| &user.fields), &before.fields, now);
            let step = self.step(recorded.clone(), None, Memory::Of(dates));
            tx.write_all(user_write(&self.user, &step, now)).await;
            // The archive has everything that the student's document would remember.
            let kept = archive.and_then(|archive| archive.fields.get(DELETED_AT)?.as_timestamp());
            if kept.is_none_or(|kept| kept < before.update_time) {
                tx.write(archiving(before, now)?).await;
            }
        }
        tx.write(mark).await;
        let mut delta = CountsDelta::default();
        delta.step(recorded.as_ref(), None);
        tx.write_all(self.counts_writes(&tx, &delta, known).await?).await;
        Ok(())
    }

    fn step(&self, before: Option<Contribution>, after: Option<(Contribution, Dates)>, memory: Memory) -> Step {
        Step { administration: self.administration.clone(), before, after, memory, archived: None }
    }

    fn administration_path(&self) -> Result<DocPath, StoreError> {
        administration_path(&self.administration)
    }

    /// The increments of the counts; none when the administration is gone, so that counts aren't recreated.
    async fn counts_writes(
        &self,
        tx: &Transaction,
        delta: &CountsDelta,
        known: Existence,
    ) -> Result<Vec<Write>, StoreError> {
        if known == Existence::Assumed {
            return delta.writes(&self.administration, Precondition::Exists);
        }
        match tx.get(&self.administration_path()?).await? {
            Some(_) => delta.writes(&self.administration, Precondition::None),
            None => Ok(Vec::new()),
        }
    }

    async fn if_user_exists(
        &self,
        tx: &Transaction,
        write: Option<Write>,
        known: Existence,
    ) -> Result<Option<Write>, StoreError> {
        if write.is_some() && known == Existence::Verified && tx.get(&self.user).await?.is_none() {
            return Ok(None);
        }
        Ok(write)
    }
}

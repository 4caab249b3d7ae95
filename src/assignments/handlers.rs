//! The events of assignments: created, updated, deleted.
//!
//! Each reads the assignment as it is now and settles what it contributes against what it remembers
//! to have contributed ([`counts`](super::counts)). What a fan-out wrote is settled already, which the
//! event's own payload shows, so that such an event costs nothing.

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

/// `syncAssignmentUpdated` (docs/domain/counts.md#the-ledger): also for a student's start or completion of a task.
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

/// What [`amend`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amended {
    /// There's no such assignment.
    Missing,
    /// Nothing was to be done.
    Not,
    /// It's written.
    Done,
}

/// Changes an assignment as it is now, by the top-level fields that `edit` makes of it, and moves the
/// counts and the student's lists in the same commit. So the assignment's own event shows in its
/// payload that all is done.
///
/// `edit` may run several times.
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
            // The user's document or counts are missing: find out which, and do without.
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

/// Notes with a student who lost an assignment that work in it has begun since: a test was under way. So the
/// assignment comes back with its student even when its administration has closed by then.
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
/// A deletion that this service made took the counts and the user's lists along, and left a mark.
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

/// What a transaction takes for granted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existence {
    /// The user's document and the counts exist, as they nearly always do; if not, the commit
    /// conflicts and nothing is written.
    Assumed,
    /// Nothing: look.
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

    /// Applies `edit` and settles what the assignment contributes then; false when it's missing.
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
        // The first count of an assignment: what counts, only its administration tells.
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
            // The first count of an assignment may be the first count of its administration.
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

    /// Takes a deleted assignment from the counts, unless that was done: the commit of a deletion by this
    /// service carries a mark.
    async fn forget(&self, now: Timestamp, tx: Transaction, before: &Document, known: Existence) -> Result<(), StoreError> {
        let mark = deletion_mark(before, now)?;
        if tx.get(&mark.path).await?.is_some() {
            return Ok(());
        }
        let archive_path = archive_path(&self.path)?;
        let found = tx.get_all(&[self.user.clone(), self.path.clone(), archive_path]).await?;
        let [user, current, archive] = <[Option<Document>; 3]>::try_from(found).unwrap_or_default();
        let date = assignment::date_assigned;
        // The very same assignment is back, with its record of what is counted.
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
            // There's an archive of all that the student's document remembers.
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

    /// The increments; none when the administration is gone, so that no counts come to life again.
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

//! The events of assignments: created, updated, deleted.
//!
//! Each reads the assignment as it is now and settles what it contributes against what it remembers
//! to have contributed ([`counts`](super::counts)). What a fan-out wrote is settled already, which the
//! event's own payload shows, so that such an event costs nothing.

use super::counts::{Contribution, CountsDelta};
use super::side_effects::{assigned_on, date_assigned, lists_assignment, user_write};
use crate::app::App;
use crate::fields;
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{
    ChangeKind, DocPath, Document, Fields, Precondition, StoreError, Timestamp, Transaction, Value, Write,
};

/// `syncAssignmentCreated` (functions §3.5).
pub async fn created(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    settle(&app, &event).await
}

/// `syncAssignmentUpdated` (functions §3.5): also for a student's start or completion of a task.
pub async fn updated(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    settle(&app, &event).await
}

async fn settle(app: &App, event: &DocumentEvent) -> Result<(), HandlerError> {
    let Some(after) = &event.change.after else { return Ok(()) };
    if Contribution::is_settled(&after.fields) {
        return Ok(());
    }
    let assignment = Assignment::of(event)?;
    match app.stores.admin.transaction(|tx| assignment.settle(app.now(), tx, Known::Usual)).await {
        Err(StoreError::Conflict(_)) => {
            // The user's document or counts are missing: find out which, and do without.
            app.stores.admin.transaction(|tx| assignment.settle(app.now(), tx, Known::Looked)).await?;
        }
        other => {
            other?;
        }
    }
    Ok(())
}

/// `syncAssignmentDeleted` (functions §3.5).
///
/// A deletion that this service made took the counts along and left the user's lists; so the lists
/// tell whether the deleted assignment is still counted.
pub async fn deleted(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let (Some(before), Some(ChangeKind::Deleted)) = (&event.change.before, event.change.kind()) else { return Ok(()) };
    let assignment = Assignment::of(&event)?;
    match app.stores.admin.transaction(|tx| assignment.forget(app.now(), tx, before, Known::Usual)).await {
        Err(StoreError::Conflict(_)) => {
            app.stores.admin.transaction(|tx| assignment.forget(app.now(), tx, before, Known::Looked)).await?;
        }
        other => {
            other?;
        }
    }
    Ok(())
}

/// What a transaction takes for granted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// The user's document and the counts exist, as they nearly always do; if not, the commit
    /// conflicts and nothing is written.
    Usual,
    /// Nothing: look.
    Looked,
}

struct Assignment {
    path: DocPath,
    user: DocPath,
    administration: String,
}

impl Assignment {
    fn of(event: &DocumentEvent) -> Result<Assignment, HandlerError> {
        let path = event.change.path.clone();
        let user = path.parent().ok_or_else(|| HandlerError::Permanent("not an assignment's path".to_owned()))?;
        Ok(Assignment { administration: path.id().to_owned(), path, user })
    }

    async fn settle(&self, now: Timestamp, tx: Transaction, known: Known) -> Result<(), StoreError> {
        let Some(current) = tx.get(&self.path).await? else { return Ok(()) };
        let recorded = Contribution::recorded(&current.fields);
        let actual = Contribution::of(&current.fields);
        if recorded.as_ref() == Some(&actual) {
            return Ok(());
        }
        let assigned = assigned_on(&current.fields, now);
        let mut delta = CountsDelta::default();
        delta.step(recorded.as_ref(), Some(&actual));
        let user_write =
            user_write(&self.user, &self.administration, recorded.as_ref(), Some((&actual, assigned)), now);
        // The first count of an assignment may be the first count of its administration.
        let counts_exist = if recorded.is_some() { known } else { Known::Looked };
        tx.write_all(self.counts_writes(&tx, &delta, counts_exist).await?).await;
        tx.write_all(self.if_user_exists(&tx, user_write, known).await?).await;
        let mut record = Fields::new();
        actual.record(&mut record);
        tx.write(Write::update(self.path.clone(), record)).await;
        Ok(())
    }

    async fn forget(&self, now: Timestamp, tx: Transaction, before: &Document, known: Known) -> Result<(), StoreError> {
        let user = tx.get(&self.user).await?;
        if let Some(user) = &user {
            let listed_since = date_assigned(&user.fields, &self.administration);
            let assigned = before.fields.get("dateAssigned").and_then(Value::as_timestamp);
            let other = matches!((listed_since, assigned), (Some(listed), Some(assigned)) if listed != assigned);
            if !lists_assignment(&user.fields, &self.administration) || other {
                return Ok(());
            }
        }
        if tx.get(&self.path).await?.is_some() {
            return Ok(());
        }
        let recorded = Contribution::recorded(&before.fields);
        match user {
            Some(_) => {
                tx.write_all(user_write(&self.user, &self.administration, recorded.as_ref(), None, now)).await;
            }
            None => {
                // No list can tell whether this deletion was counted; a mark of its own does.
                let mark = deletion_mark(&self.path, before, now)?;
                if tx.get(&mark.path).await?.is_some() {
                    return Ok(());
                }
                tx.write(mark).await;
            }
        }
        let mut delta = CountsDelta::default();
        delta.step(recorded.as_ref(), None);
        tx.write_all(self.counts_writes(&tx, &delta, known).await?).await;
        Ok(())
    }

    /// The increments; none when the administration is gone, so that no counts come to life again.
    async fn counts_writes(
        &self,
        tx: &Transaction,
        delta: &CountsDelta,
        known: Known,
    ) -> Result<Vec<Write>, StoreError> {
        if known == Known::Usual {
            return delta.writes(&self.administration, Precondition::Exists);
        }
        let administration = DocPath::in_collection("administrations", &self.administration)?;
        match tx.get(&administration).await? {
            Some(_) => delta.writes(&self.administration, Precondition::None),
            None => Ok(Vec::new()),
        }
    }

    async fn if_user_exists(
        &self,
        tx: &Transaction,
        write: Option<Write>,
        known: Known,
    ) -> Result<Option<Write>, StoreError> {
        if write.is_some() && known == Known::Looked && tx.get(&self.user).await?.is_none() {
            return Ok(None);
        }
        Ok(write)
    }
}

/// How long a mark of a counted deletion is kept: longer than any event can be delivered again.
const MARK_DAYS: i64 = 30;

/// The mark that the deletion of the assignment at `path`, which was as `before`, is counted. Whoever
/// deletes an assignment of a user without a document writes it along, for no list can tell.
pub fn deletion_mark(path: &DocPath, before: &Document, now: Timestamp) -> Result<Write, StoreError> {
    let user = path.parent().map(|user| user.id().to_owned()).unwrap_or_default();
    let (administration, born) = (path.id(), before.create_time.as_microsecond());
    let id = format!("syncAssignmentDeleted__{user}__{administration}__{born}");
    let expires = now.checked_add(jiff::SignedDuration::from_hours(24 * MARK_DAYS)).unwrap_or(now);
    let mark = DocPath::in_collection("processedEvents", &id)?;
    Ok(Write::create(mark, fields! { "at" => now, "expireAt" => expires }))
}

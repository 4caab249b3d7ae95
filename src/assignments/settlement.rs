//! What decisions about assignments of one administration write: the assignments, with the record of
//! what is counted, the students' lists, and the counts. All of it belongs into one commit.

use super::build::Decision;
use super::counts::{Contribution, CountsDelta};
use super::side_effects::{Memory, Step, dates_left, list_dates, lists_assignment};
use crate::documents::archive::archiving;
use crate::documents::assignment::assignment_path;
use crate::documents::former::{Dates, former};
use crate::documents::processed_event;
use crate::documents::user::archived_unsaid;
use crate::store::{DocPath, Document, Fields, Precondition, Result, Timestamp, Write};

/// Collects writes. The counts come last ([`Settlement::counts`]), because they are shared.
pub struct Settlement<'a> {
    administration: &'a str,
    now: Timestamp,
    delta: CountsDelta,
}

/// What a decision about one student's assignment writes.
#[derive(Default)]
pub struct Settled {
    /// To the assignment; the commit conflicts when somebody touched it since it was read. With a
    /// deletion go the mark that it is counted, and the archive.
    pub of_assignment: Vec<Write>,
    /// To the student's document, by [`user_write`](super::side_effects::user_write).
    pub step: Option<Step>,
}

impl<'a> Settlement<'a> {
    /// Nothing yet.
    pub fn new(administration: &'a str, now: Timestamp) -> Settlement<'a> {
        Settlement { administration, now, delta: CountsDelta::default() }
    }

    /// Carries out a decision about the assignment of `user` that is `existing` now.
    pub fn settle(&mut self, user: &Document, existing: Option<&Document>, decision: Decision) -> Result<Settled> {
        let path = assignment_path(&user.path, self.administration)?;
        let before = existing.and_then(|existing| Contribution::recorded(&existing.fields));
        // Lists that don't know of the assignment are mended as if it were new.
        let listed = lists_assignment(&user.fields, self.administration);
        let known = former(&user.fields, self.administration);
        // What is remembered of it is past once it's there.
        let past = if known.is_some() { Memory::Past } else { Memory::Same };
        let dates = |fields: &Fields| known.unwrap_or_else(|| list_dates(fields, self.now));
        let (write, after, memory) = match decision {
            Decision::Nothing => {
                let unlisted = existing.zip(before).filter(|_| !listed);
                let step = unlisted.map(|(existing, contribution)| {
                    self.step(user, None, Some((contribution, dates(&existing.fields))), past)
                });
                return Ok(Settled { of_assignment: Vec::new(), step });
            }
            Decision::Create(fields) | Decision::Update(fields) => {
                // Whoever decided has put the record in: they know which tasks count.
                let after = Contribution::recorded(&fields).map(|recorded| (recorded, dates(&fields)));
                (Write::set(path, fields), after, past)
            }
            Decision::Delete => {
                let left = existing.map(|existing| dates_left(Some(&user.fields), &existing.fields, self.now));
                (Write::delete(path), None, left.map_or(Memory::Same, Memory::Of))
            }
        };
        let deleted = existing.filter(|_| write.is_delete());
        let mark = deleted.map(|existing| deletion_mark(existing, self.now)).transpose()?;
        let archive = deleted.map(|existing| archiving(existing, self.now)).transpose()?;
        let unchanged =
            existing.map_or(Precondition::Missing, |existing| Precondition::UpdatedAt(existing.update_time));
        self.delta.step(before.as_ref(), after.as_ref().map(|(contribution, _)| contribution));
        let step = self.step(user, before.filter(|_| listed), after, memory);
        let of_assignment = std::iter::once(write.when(unchanged)).chain(mark).chain(archive).collect();
        Ok(Settled { of_assignment, step: Some(step) })
    }

    fn step(
        &self,
        user: &Document,
        before: Option<Contribution>,
        after: Option<(Contribution, Dates)>,
        memory: Memory,
    ) -> Step {
        let archived = archived_unsaid(&user.fields).map(|archived| (archived, user.update_time));
        Step { administration: self.administration.to_owned(), before, after, memory, archived }
    }

    /// How many documents of counts these writes are.
    pub fn documents(&self) -> usize {
        self.delta.documents()
    }

    /// The writes to the counts; `precondition` as in [`CountsDelta::writes`].
    pub fn counts(&self, precondition: Precondition) -> Result<Vec<Write>> {
        self.delta.writes(self.administration, precondition)
    }
}

/// How long the mark of a counted deletion is kept: longer than any event can be delivered again.
const MARK_DAYS: i64 = 30;

/// The mark that this very assignment's deletion is counted, for the commit that counts it. The student's
/// lists tell as much while the student is there; the mark tells it when they are gone too.
pub fn deletion_mark(assignment: &Document, now: Timestamp) -> Result<Write> {
    let user = assignment.path.parent();
    let user = user.as_ref().map(DocPath::id).unwrap_or_default();
    let (administration, born) = (assignment.id(), assignment.create_time.as_microsecond());
    let id = format!("syncAssignmentDeleted__{user}__{administration}__{born}");
    let expires = now.checked_add(jiff::SignedDuration::from_hours(24 * MARK_DAYS)).unwrap_or(now);
    processed_event::marking(&id, now, expires)
}

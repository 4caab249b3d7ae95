//! Turns decisions about the assignments of one administration into writes: to the assignments with their records of
//! what is counted, to the students' lists, and to the counts. All writes belong in one commit.

use super::build::Decision;
use super::counts::{Contribution, CountsDelta};
use super::side_effects::{Memory, Step, dates_left, list_dates, lists_assignment};
use crate::documents::archive::archiving;
use crate::documents::assignment::assignment_path;
use crate::documents::former::{Dates, former};
use crate::documents::processed_event;
use crate::documents::user::archived_unsaid;
use crate::store::{DocPath, Document, Fields, Precondition, Result, Timestamp, Write};

/// Collects the writes. The writes to the counts come last ([`Settlement::counts`]), because students share them.
pub struct Settlement<'a> {
    administration: &'a str,
    now: Timestamp,
    delta: CountsDelta,
}

/// The writes that a decision about one student's assignment causes.
#[derive(Default)]
pub struct Settled {
    /// Writes to the assignment, with the precondition that it's unchanged since it was read. A deletion also writes
    /// the mark that the deletion is counted, and the archive.
    pub of_assignment: Vec<Write>,
    /// The change for the student's document, to be written by [`user_write`](super::side_effects::user_write).
    pub step: Option<Step>,
}

impl<'a> Settlement<'a> {
    /// An empty settlement.
    pub fn new(administration: &'a str, now: Timestamp) -> Settlement<'a> {
        Settlement { administration, now, delta: CountsDelta::default() }
    }

    /// Applies a decision about the assignment of `user`, which is `existing` now.
    pub fn settle(&mut self, user: &Document, existing: Option<&Document>, decision: Decision) -> Result<Settled> {
        let path = assignment_path(&user.path, self.administration)?;
        let before = existing.and_then(|existing| Contribution::recorded(&existing.fields));
        // Lists that lack the assignment are repaired as if the assignment were new.
        let listed = lists_assignment(&user.fields, self.administration);
        let known = former(&user.fields, self.administration);
        // Once the assignment exists, the memory of the former one is obsolete.
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
                // The decision has added the record, because it knows which tasks count.
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

    /// How many counts documents these writes change.
    pub fn documents(&self) -> usize {
        self.delta.documents()
    }

    /// The writes to the counts; `precondition` as in [`CountsDelta::writes`].
    pub fn counts(&self, precondition: Precondition) -> Result<Vec<Write>> {
        self.delta.writes(self.administration, precondition)
    }
}

/// How long the mark of a counted deletion is kept, in days: longer than any event can be redelivered.
const MARK_DAYS: i64 = 30;

/// The mark that the deletion of exactly this assignment is counted, for the commit that counts it. The student's lists
/// would tell as much while the student exists; the mark also works when the student is gone.
pub fn deletion_mark(assignment: &Document, now: Timestamp) -> Result<Write> {
    let user = assignment.path.parent();
    let user = user.as_ref().map(DocPath::id).unwrap_or_default();
    let (administration, born) = (assignment.id(), assignment.create_time.as_microsecond());
    let id = format!("syncAssignmentDeleted__{user}__{administration}__{born}");
    let expires = now.checked_add(jiff::SignedDuration::from_hours(24 * MARK_DAYS)).unwrap_or(now);
    processed_event::marking(&id, now, expires)
}

//! What an event of a run requires, derived from the event's payload
//! (docs/domain/runs.md#which-changes-of-a-run-matter). Pure.
//!
//! A run is written after every item of a test, and by this service itself. Changes without any effect are recognised
//! here, before a single document is read.

use super::best::Run;
use super::category;
use crate::documents::administration::administration_path;
use crate::documents::run;
use crate::store::{DocumentChange, Fields, Timestamp};

/// A task and an assignment: the runs of one student with the same pair are compared with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The task's ID.
    pub task: String,
    /// The assignment's ID, which is its administration's.
    pub assignment: String,
}

/// What to do about the runs of a [`Pair`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The pair.
    pub pair: Pair,
    /// When the event's run left the pair, if it did.
    pub left: Option<Timestamp>,
}

/// What an event requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing.
    Nothing,
    /// Only writing the run's category score.
    Category,
    /// Choosing the best runs again, and updating the assignment.
    Choice(Vec<Touched>),
}

impl Pair {
    /// The pair of a run; `None` for a run outside any assignment, or with IDs that can't exist.
    pub fn of(run: &Fields) -> Option<Pair> {
        let text = |name: &str| run.get(name)?.as_str().filter(|text| !text.is_empty());
        let (task, assignment) = (text(run::field::TASK_ID)?, text(run::field::ASSIGNMENT_ID)?);
        administration_path(assignment).ok()?;
        Some(Pair { task: task.to_owned(), assignment: assignment.to_owned() })
    }
}

/// What a change of a run requires.
pub fn asked(change: &DocumentChange) -> Asked {
    let id = change.path.id();
    let before = change.before.as_ref().map(|document| &document.fields);
    let after = change.after.as_ref().map(|document| &document.fields);
    let (from, to) = (before.and_then(Pair::of), after.and_then(Pair::of));
    if let (Some(before), Some(after), Some(pair)) = (before, after, &to)
        && from == to
        && is_harmless(id, before, after)
    {
        return match category::due(&pair.task, after) {
            Some(_) => Asked::Category,
            None => Asked::Nothing,
        };
    }
    let left = from.filter(|from| to.as_ref() != Some(from)).map(|pair| Touched { pair, left: Some(change.time) });
    let now = to.map(|pair| Touched { pair, left: None });
    let touched: Vec<Touched> = left.into_iter().chain(now).collect();
    if touched.is_empty() { Asked::Nothing } else { Asked::Choice(touched) }
}

/// True when the change of a run can change neither the choice of the best run nor what the assignment says.
///
/// Scores matter only if they affect the choice, and improving scores of a run that is marked as the best don't: the
/// run was the best when it was marked, every change for the worse and every change of another run since has its own
/// event, and the mark is set in a transaction.
fn is_harmless(id: &str, before: &Fields, after: &Fields) -> bool {
    let same = |name: &str| before.get(name) == after.get(name);
    if ![run::field::COMPLETED, run::field::TIME_STARTED, run::field::TIME_FINISHED, run::field::RELIABLE]
        .into_iter()
        .all(same)
    {
        return false;
    }
    let (was, is) = (Run::of(id, before), Run::of(id, after));
    was.does_as(&is) || was.is_marked && is.is_marked && is.compare(&was).is_le()
}

#[cfg(test)]
mod tests;

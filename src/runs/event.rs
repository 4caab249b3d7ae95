//! What an event of a run asks for, told from its own payload (docs/domain/runs.md#which-changes-of-a-run-matter).
//! Pure.
//!
//! A run is written after every item of a test, and by this service itself. So what can't change
//! anything is told apart here, before a single document is read.

use super::best::Run;
use super::category;
use crate::documents::administration::administration_path;
use crate::documents::run;
use crate::store::{DocumentChange, Fields, Timestamp};

/// The runs that are compared with each other: those of one student with the same task and assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The task's ID.
    pub task: String,
    /// The assignment's ID, which is its administration's.
    pub assignment: String,
}

/// What is to be done about a [`Pair`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Which runs.
    pub pair: Pair,
    /// When the event's run left them, if it did.
    pub left: Option<Timestamp>,
}

/// What an event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing that it tells matters.
    Nothing,
    /// Only the run's category score is to be written.
    Category,
    /// The best runs are to be chosen anew, and the assignment is to follow.
    Choice(Vec<Touched>),
}

impl Pair {
    /// The runs that a run belongs to; `None` for one that's outside any assignment, or names one that
    /// can't exist.
    pub fn of(run: &Fields) -> Option<Pair> {
        let text = |name: &str| run.get(name)?.as_str().filter(|text| !text.is_empty());
        let (task, assignment) = (text(run::field::TASK_ID)?, text(run::field::ASSIGNMENT_ID)?);
        administration_path(assignment).ok()?;
        Some(Pair { task: task.to_owned(), assignment: assignment.to_owned() })
    }
}

/// What a change of a run asks for.
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

/// True when the change of a run can change neither the choice of the best one nor what the
/// assignment says.
///
/// Scores matter as far as they enter the choice; and not even that far while they get better in a
/// run that is marked as the best. It was when it was marked, every change for the worse and every
/// change of another run since has an event of its own, and the mark is set in a transaction.
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

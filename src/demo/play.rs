//! Plays students as the ROAR client writes for them: it starts a task in one transaction, and
//! completes it in another.

use crate::fields;
use crate::store::{Database, DocPath, Fields, Result, Timestamp, Value, Write};

/// A step of a student's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Starts the task at this place of the assignment.
    Start(usize),
    /// Completes the task at this place of the assignment.
    Complete(usize),
}

/// Writes a step to the student's assignment. A step on a missing task or assignment does nothing.
pub async fn play(database: &Database, assignment: &DocPath, step: Step, now: Timestamp) -> Result<()> {
    let played = database.transaction(|tx| async move {
        if let Some(document) = tx.get(assignment).await?
            && let Some(changes) = after(&document.fields, step, now)
        {
            tx.write(Write::update(assignment.clone(), changes)).await;
        }
        Ok(())
    });
    played.await.map(|_| ())
}

/// The fields that the client writes for a step.
fn after(assignment: &Fields, step: Step, now: Timestamp) -> Option<Fields> {
    let mut assessments = assignment.get("assessments")?.as_array()?.to_vec();
    let (Step::Start(at) | Step::Complete(at)) = step;
    let Value::Map(task) = assessments.get_mut(at)? else { return None };
    match step {
        Step::Start(_) => {
            task.insert("startedOn".to_owned(), Value::Timestamp(now));
            Some(fields! { "assessments" => assessments, "started" => true })
        }
        Step::Complete(_) => {
            task.insert("completedOn".to_owned(), Value::Timestamp(now));
            // The client's rule for a complete assignment: every task is completed, or optional.
            let done = assessments.iter().filter_map(Value::as_map).all(|task| {
                task.contains_key("completedOn") || task.get("optional").and_then(Value::as_bool) == Some(true)
            });
            let mut changes = fields! { "assessments" => assessments };
            if done {
                changes.insert("completed".to_owned(), Value::Boolean(true));
            }
            Some(changes)
        }
    }
}

/// The steps of the n-th student of a demonstration: some students do nothing, some begin, some finish all tasks; and
/// some complete a task that's hosted elsewhere, which has no start.
pub fn steps(n: usize, tasks: usize) -> Vec<Step> {
    // Mixed, so that classmates differ.
    match (n * 7 + n / 20 * 3) % 10 {
        0 | 1 => vec![],
        2 | 3 => vec![Step::Start(0)],
        4 => vec![Step::Start(0), Step::Complete(0), Step::Start(1)],
        5 => vec![Step::Complete(0)],
        _ => (0..tasks).flat_map(|task| [Step::Start(task), Step::Complete(task)]).collect(),
    }
}

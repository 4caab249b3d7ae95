//! The handler of the events of runs.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::assignment::{Outcome, follow};
use super::best::{Run, best, keep_those_that_matter};
use super::category;
use super::event::{Asked, Pair, Touched, asked};
use super::hold::{hold, not_found};
use super::load::{self, runs_of_assignment};
use crate::app::App;
use crate::assignments::{self, Amended};
use crate::documents::archive::archive_path;
use crate::documents::assignment::assignment_path;
use crate::documents::run::{self, run_path};
use crate::fields;
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{DocPath, FieldPath, Fields, Precondition, StoreError, Transaction, Value, Write};

/// How often an assignment is compared again with runs that keep changing; then the event is retried later.
const ROUNDS: usize = 10;

/// `syncOnRunDocUpdate` (docs/domain/runs.md): marks the best of a task's runs in the
/// assessment database, and brings the assignment in the admin database in line with it.
pub async fn written(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let asked = asked(&event.change);
    if asked == Asked::Nothing {
        return Ok(());
    }
    let run = &event.change.path;
    let user = run.parent().ok_or_else(|| HandlerError::Permanent("not a run's path".to_owned()))?;
    match asked {
        Asked::Nothing => {}
        Asked::Category => {
            app.stores.assessment.transaction(|tx| score(tx, run)).await?;
        }
        Asked::Choice(touched) => {
            for touched in &touched {
                sync(&app, &user, run, touched).await?;
            }
        }
    }
    Ok(())
}

/// Chooses the best run of a pair and updates the assignment.
///
/// No transaction spans two databases. So the assignment may be written from runs that have changed in between, after
/// the event of that change found nothing to do. Therefore the written assignment is compared with the runs again until
/// both agree. An interrupted run of this function is made up for by the event's next delivery, because neither step
/// depends on whether the other changed anything.
async fn sync(app: &App, user: &DocPath, run: &DocPath, touched: &Touched) -> Result<(), HandlerError> {
    let path = assignment_path(user, &touched.pair.assignment)?;
    let mut written = None;
    for _ in 0..ROUNDS {
        let mark = |tx| mark(app, tx, user, run, &touched.pair);
        let (runs, _) = app.stores.assessment.transaction(mark).await?;
        if written.as_ref() == Some(&runs) || !follow_with(app, &path, touched, &runs).await? {
            return Ok(());
        }
        written = Some(runs);
    }
    Err(StoreError::Contention.into())
}

/// Marks the best run of a pair and returns the pair's runs; writes the category score that `run` lacks, if `run`
/// belongs to the pair.
async fn mark(app: &App, tx: Transaction, user: &DocPath, run: &DocPath, pair: &Pair) -> Result<Vec<Run>, StoreError> {
    let known = load::of_pair(&tx, user, run, pair, |path| app.stores.assessment.reference(path)).await?;
    let mut runs: Vec<Run> = known.iter().map(|known| known.run.clone()).collect();
    let Some(best) = best(&runs).map(|best| best.id.clone()) else { return Ok(runs) };
    for known in known {
        let is_best = known.run.id == best;
        let due = known.due.filter(|_| known.path == *run);
        tx.write_all(marks(app, known.path, known.marked, is_best, due)).await;
    }
    runs.iter_mut().for_each(|run| run.is_marked = run.id == best);
    keep_those_that_matter(&mut runs);
    Ok(runs)
}

/// The write that marks and scores a run; `None` where the run is right already.
fn marks(app: &App, run: DocPath, marked: Option<bool>, is_best: bool, score: Option<Value>) -> Option<Write> {
    let (mut fields, mut mask) = (Fields::new(), Vec::new());
    if marked != Some(is_best) {
        fields =
            fields! { run::field::BEST_RUN => is_best, run::field::CLOUD_SYNC_TIMESTAMP => app.now().as_millisecond() };
        mask.extend(fields.keys().map(FieldPath::top));
    }
    if let Some(score) = score {
        fields.extend(category::scored(score));
        mask.push(category::path());
    }
    (!mask.is_empty()).then(|| Write::merge(run, fields, mask).when(Precondition::Exists))
}

/// Writes the category score that the run lacks, which is all that its event requires.
async fn score(tx: Transaction, run: &DocPath) -> Result<(), StoreError> {
    let Some(current) = tx.get(run).await? else { return Ok(()) };
    let due = Pair::of(&current.fields).and_then(|pair| category::due(&pair.task, &current.fields));
    if let Some(score) = due {
        let write = Write::merge(run.clone(), category::scored(score), vec![category::path()]);
        tx.write(write.when(Precondition::Exists)).await;
    }
    Ok(())
}

/// Updates the assignment from the runs of one of its tasks; true when the assignment was written.
async fn follow_with(app: &App, path: &DocPath, touched: &Touched, runs: &[Run]) -> Result<bool, HandlerError> {
    let Pair { task, assignment } = &touched.pair;
    if runs.is_empty() && touched.left.is_none() {
        // The run is gone already; the event of its deletion clears the task.
        return Ok(false);
    }
    let edit = |fields: &Fields| match follow(fields, task, runs, touched.left, app.now()) {
        Outcome::Changed(changes) => changes,
        Outcome::Same => Fields::new(),
        Outcome::NoTask => {
            tracing::info!(administration = assignment, task, "the run's task isn't in its assignment");
            Fields::new()
        }
    };
    let amended = assignments::amend(app, path, edit).await?;
    if amended == Amended::Missing {
        tracing::info!(administration = assignment, task, "the run's assignment doesn't exist");
        if let (Some(user), false) = (path.parent(), runs.is_empty()) {
            let began = runs.iter().filter_map(|run| run.started).min().unwrap_or_else(|| app.now());
            assignments::remember_work(app, &user, assignment, began).await?;
        }
    }
    Ok(amended == Amended::Done)
}

/// Which of these runs of a student are known to be deleted, because they are archived. Costs one read for each run.
pub async fn deleted_runs(app: &App, user: &DocPath, ids: &BTreeSet<String>) -> Result<BTreeSet<String>, StoreError> {
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let archives = ids.iter().filter_map(|id| archive_path(&run_path(user, id).ok()?).ok()).collect::<Vec<_>>();
    let found = app.stores.assessment.get_fields(&archives, Some(&[])).await?;
    Ok(found.into_iter().zip(&archives).filter_map(|(found, path)| found.map(|_| path.id().to_owned())).collect())
}

/// Updates one task of an assignment from its runs, after a client's write has dropped runs. `run` is one of the
/// dropped runs.
pub async fn note_again(app: &App, assignment: &DocPath, task: String, run: &str) -> Result<(), HandlerError> {
    let user = assignment.parent().ok_or_else(|| HandlerError::Permanent("not an assignment's path".to_owned()))?;
    let Ok(run) = run_path(&user, run) else { return Ok(()) };
    let pair = Pair { task, assignment: assignment.id().to_owned() };
    sync(app, &user, &run, &Touched { pair, left: None }).await
}

/// Updates an assignment from all of its runs, for a restored assignment, which missed the events of its runs. Reads
/// the runs and the assignment; after a write, both again, as `sync` does.
pub async fn hold_assignment(app: &App, path: &DocPath) -> Result<(), HandlerError> {
    let user = path.parent().ok_or_else(|| HandlerError::Permanent("not an assignment's path".to_owned()))?;
    let mut written = None;
    let (mut asked, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..ROUNDS {
        let runs = runs_of_assignment(app, &user, path.id()).await?;
        if written.as_ref() == Some(&runs) {
            return Ok(());
        }
        let unknown = Mutex::new(BTreeSet::new());
        let edit = |assignment: &Fields| {
            *unknown.lock() = not_found(assignment, &runs);
            hold(assignment, &runs, &deleted, None, app.now())
        };
        let amended = assignments::amend(app, path, edit).await?;
        let unknown: BTreeSet<String> = unknown.into_inner().difference(&asked).cloned().collect();
        if !unknown.is_empty() {
            deleted.extend(deleted_runs(app, &user, &unknown).await?);
            asked.extend(unknown);
        } else if amended != Amended::Done {
            return Ok(());
        } else {
            written = Some(runs);
        }
    }
    Err(StoreError::Contention.into())
}

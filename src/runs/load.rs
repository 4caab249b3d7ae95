//! Loads runs. Clients create runs, as many and as large as the security rules allow; so this module bounds how many
//! are read, and how large they may be.
//!
//! For each task of an assignment, the first [`MOST_OF_TASK`] runs by ID are considered, and the one that is marked as
//! the best so far. Nobody takes a test that often; somebody who creates more runs in other ways gets the best of
//! these.

pub use super::best::MOST_OF_TASK;
use super::best::{self, Run};
use super::category;
use super::event::Pair;
use super::hold::{RunsByTask, by_task, fields_by_task};
use crate::app::App;
use crate::documents::run;
use crate::store::path::NAME_FIELD;
use crate::store::{Database, Direction, DocPath, Document, Query, StoreError, Transaction, Value};

/// The most runs of one assignment that are considered.
pub const MOST_OF_ASSIGNMENT: usize = 1000;
/// The most runs of one student that are updated when the student changes.
pub const MOST_OF_STUDENT: usize = 5000;
/// Run documents held in memory at once; each may have a million bytes.
const PAGE: u32 = 20;

/// A run of a pair, with what a transaction may have to correct.
pub(super) struct LoadedRun {
    pub(super) path: DocPath,
    pub(super) run: Run,
    /// The run's mark of being the best, if it has one.
    pub(super) marked: Option<bool>,
    /// The category score that the run lacks.
    pub(super) due: Option<Value>,
}

impl LoadedRun {
    fn of(document: &Document, pair: &Pair) -> LoadedRun {
        LoadedRun {
            path: document.path.clone(),
            run: Run::of(document.id(), &document.fields),
            marked: document.fields.get(BEST).and_then(Value::as_bool),
            due: category::due(&pair.task, &document.fields),
        }
    }
}

/// The field that marks the best run.
pub(super) const BEST: &str = run::field::BEST_RUN;

/// The runs of a pair that matter, read in a transaction; includes `own` if it belongs to the pair.
///
/// Reads the runs, at most [`MOST_OF_TASK`]; where there are that many, up to three more.
pub(super) async fn of_pair(
    tx: &Transaction,
    user: &DocPath,
    own: &DocPath,
    pair: &Pair,
    reference: impl Fn(&DocPath) -> Value,
) -> Result<Vec<LoadedRun>, StoreError> {
    let selected: Vec<&str> = best::FIELDS.into_iter().chain(category::FIELDS).chain([BEST]).collect();
    let all = Query::collection(format!("{user}/runs"))
        .equal(run::field::ASSIGNMENT_ID, pair.assignment.as_str())
        .equal(run::field::TASK_ID, pair.task.as_str())
        .select(&selected);
    let by_id = all.clone().order_by(NAME_FIELD, Direction::Ascending).limit(PAGE);
    let mut known: Vec<LoadedRun> = Vec::new();
    loop {
        let query = match known.last() {
            Some(last) => by_id.clone().start_after(vec![reference(&last.path)]),
            None => by_id.clone(),
        };
        let page = tx.query(query).await?;
        known.extend(page.iter().map(|document| LoadedRun::of(document, pair)));
        if page.len() < PAGE as usize {
            return Ok(known);
        }
        if known.len() >= MOST_OF_TASK {
            break;
        }
    }
    // There may be more runs; the best one so far stays the best unless one of these is better.
    let marked = tx.query(all.equal(BEST, true).limit(2)).await?;
    let own = tx.get(own).await?.filter(|own| Pair::of(&own.fields).as_ref() == Some(pair));
    for document in marked.iter().chain(&own) {
        if known.iter().all(|known| known.path != document.path) {
            known.push(LoadedRun::of(document, pair));
        }
    }
    Ok(known)
}

/// The runs of a student's assignment that matter, by task. Costs one read for each run, or one when there are none.
pub async fn runs_of_assignment(app: &App, user: &DocPath, assignment: &str) -> Result<RunsByTask, StoreError> {
    let query = Query::collection(format!("{user}/runs"))
        .equal(run::field::ASSIGNMENT_ID, assignment)
        .order_by(NAME_FIELD, Direction::Ascending)
        .select(&fields_by_task());
    let mut runs = RunsByTask::new();
    let mut pages = Pages::new(&app.stores.assessment, query, MOST_OF_ASSIGNMENT);
    while let Some(page) = pages.next().await? {
        for (task, of_task) in by_task(&page) {
            runs.entry(task).or_default().extend(of_task);
        }
    }
    runs.values_mut().for_each(best::keep_those_that_matter);
    Ok(runs)
}

/// Reads the results of a query for runs page by page, up to a maximum number.
pub struct Pages<'a> {
    database: &'a Database,
    query: Query,
    left: usize,
    cursor: Option<DocPath>,
    is_done: bool,
}

impl<'a> Pages<'a> {
    /// Pages of `query`, whose order must be by document name only.
    pub fn new(database: &'a Database, query: Query, most: usize) -> Pages<'a> {
        Pages { database, query: query.limit(PAGE), left: most, cursor: None, is_done: false }
    }

    /// The next page; `None` after the last. The first page is empty when there are no results.
    pub async fn next(&mut self) -> Result<Option<Vec<Document>>, StoreError> {
        if self.is_done || self.left == 0 {
            return Ok(None);
        }
        let query = match &self.cursor {
            Some(cursor) => self.query.clone().start_after(vec![self.database.reference(cursor)]),
            None => self.query.clone(),
        };
        let page = self.database.query(query).await?;
        self.is_done = page.len() < PAGE as usize;
        self.left = self.left.saturating_sub(page.len());
        self.cursor = page.last().map(|last| last.path.clone());
        if self.left == 0 && !self.is_done {
            tracing::warn!("a student has more runs than are looked at: the others are left out");
        }
        Ok(Some(page))
    }
}

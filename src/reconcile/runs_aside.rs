//! Reads an administration's runs in parallel with its assignments: both come in the order of their students, so that
//! only a page of each is in memory.

use std::collections::VecDeque;

use super::pages::PAGE;
use crate::app::App;
use crate::documents::run;
use crate::documents::user;
use crate::runs::best::keep_those_that_matter;
use crate::runs::hold::{RunsByTask, by_task, fields_by_task};
use crate::runs::load::MOST_OF_ASSIGNMENT;
use crate::store::path::NAME_FIELD;
use crate::store::{Direction, DocPath, Document, Result};

/// Reads an administration's runs, in the order of their students, page by page in parallel with the assignments.
pub struct RunsAside<'a> {
    source: Option<(&'a App, &'a str)>,
    ahead: VecDeque<Document>,
    cursor: Option<DocPath>,
    /// Students who have runs and for whom no assignment was found.
    strangers: Vec<DocPath>,
}

impl<'a> RunsAside<'a> {
    /// The runs of an administration.
    pub fn of(app: &'a App, administration: &'a str) -> RunsAside<'a> {
        RunsAside { source: Some((app, administration)), ahead: VecDeque::new(), cursor: None, strangers: Vec::new() }
    }

    /// No runs, for an administration that no longer exists.
    pub fn none() -> RunsAside<'a> {
        RunsAside { source: None, ahead: VecDeque::new(), cursor: None, strangers: Vec::new() }
    }

    /// The next run, if there is one, without taking it.
    async fn peek(&mut self) -> Result<Option<&Document>> {
        if let Some((app, administration)) = self.source.filter(|_| self.ahead.is_empty()) {
            let database = &app.stores.assessment;
            let mut query = run::all()
                .equal(run::field::ASSIGNMENT_ID, administration)
                .order_by(NAME_FIELD, Direction::Ascending)
                .limit(PAGE)
                .select(&fields_by_task());
            if let Some(cursor) = &self.cursor {
                query = query.start_after(vec![database.reference(cursor)]);
            }
            self.ahead = database.query(query).await?.into();
            if self.ahead.len() < PAGE as usize {
                self.source = None;
            }
            self.cursor = self.ahead.back().map(|last| last.path.clone());
        }
        Ok(self.ahead.front())
    }

    /// Takes the runs of a student. Students must be given in the order of their IDs; students with runs who are
    /// skipped are noted as students without an assignment.
    pub async fn take(&mut self, user: &DocPath) -> Result<RunsByTask> {
        let mut own: Vec<Document> = Vec::new();
        loop {
            let of = match self.peek().await? {
                Some(run) => run.path.parent(),
                None => break,
            };
            let is_next = of.as_ref().is_some_and(|of| of.as_str() > user.as_str());
            if is_next {
                break;
            }
            let run = self.ahead.pop_front();
            match of {
                Some(of) if of == *user => own.extend(run.filter(|_| own.len() < MOST_OF_ASSIGNMENT)),
                Some(of) => self.pass(of),
                None => {}
            }
        }
        let mut runs = by_task(&own);
        runs.values_mut().for_each(keep_those_that_matter);
        Ok(runs)
    }

    fn pass(&mut self, user: DocPath) {
        // Guests have runs, too, but never have assignments.
        if user.collection_id() == user::COLLECTION && self.strangers.last() != Some(&user) {
            self.strangers.push(user);
        }
    }

    /// Takes a page of students for whom no assignment was found. With `all`, also reads the remaining runs, and
    /// returns the last such students even when they are fewer than a page.
    pub async fn gathered(&mut self, all: bool) -> Result<Vec<DocPath>> {
        while all && self.strangers.len() < PAGE as usize {
            let Some(of) = self.peek().await?.map(|run| run.path.parent()) else { break };
            self.ahead.pop_front();
            if let Some(of) = of {
                self.pass(of);
            }
        }
        let ready = if all || self.strangers.len() >= PAGE as usize { self.strangers.len() } else { 0 };
        Ok(self.strangers.drain(..ready).collect())
    }
}

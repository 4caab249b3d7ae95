//! An administration's runs beside its assignments: both are read in the order of their students, so that memory is for
//! a page of each.

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

/// An administration's runs, in the order of their students, page by page beside the assignments.
pub struct RunsAside<'a> {
    source: Option<(&'a App, &'a str)>,
    ahead: VecDeque<Document>,
    cursor: Option<DocPath>,
    /// Students with runs whom no assignment was found for.
    strangers: Vec<DocPath>,
}

impl<'a> RunsAside<'a> {
    /// Of an administration.
    pub fn of(app: &'a App, administration: &'a str) -> RunsAside<'a> {
        RunsAside { source: Some((app, administration)), ahead: VecDeque::new(), cursor: None, strangers: Vec::new() }
    }

    /// None, for an administration that's gone.
    pub fn none() -> RunsAside<'a> {
        RunsAside { source: None, ahead: VecDeque::new(), cursor: None, strangers: Vec::new() }
    }

    /// The next run, if there is one more.
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

    /// The runs of a student. Students come in the order of their IDs; runs of those who are passed over are of
    /// strangers.
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
        // Guests have runs, too, and no assignments.
        if user.collection_id() == user::COLLECTION && self.strangers.last() != Some(&user) {
            self.strangers.push(user);
        }
    }

    /// A page of students whom no assignment was found for; fewer than a page only when `all` are asked for, from the
    /// runs that remain.
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

//! The writer thread. It groups all waiting commits into one SQLite transaction, so that many commits share one sync of
//! the disk (group commit).

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::commit::decide;
use super::outbox;
use super::prepare::PreparedWrite;
use super::read::last_commit;
use super::schema::sql;
use super::validate::ReadSet;
use crate::{Committed, DocumentChange, Result, StoreError};

/// The most jobs in one SQLite transaction: bounds its memory and the first job's wait.
const MOST_JOBS: usize = 256;

pub(super) type Reply<T> = oneshot::Sender<Result<T>>;

/// What the writer can be asked for.
pub(super) enum Job {
    /// Do the writes, if what was read still holds.
    /// The writes go back with the reply, to be freed by the caller's thread.
    Commit { writes: Vec<PreparedWrite>, reads: Option<ReadSet>, reply: Reply<(Committed, Vec<PreparedWrite>)> },
    /// Remove these rows of the outbox.
    Acknowledge { rows: Vec<i64>, reply: Reply<()> },
    /// Take all rows out of the outbox.
    TakeEvents { reply: Reply<Vec<(String, DocumentChange)>> },
}

enum Answer {
    Committed(Committed),
    Acknowledged,
    Taken(Vec<(String, DocumentChange)>),
}

/// The effects of a transaction, to be published once it's on disk.
#[derive(Default)]
struct Tally {
    answers: Vec<Result<Answer>>,
    added: u64,
    removed: u64,
    changed: bool,
}

pub(super) struct Writer {
    connection: Connection,
    shared: Arc<Shared>,
    /// The time of the last commit, in microseconds.
    last: i64,
    /// The time of the last commit that changed something, as readers see it.
    changed: i64,
    next_event: i64,
    synced: bool,
}

impl Writer {
    pub(super) fn new(connection: Connection, shared: Arc<Shared>) -> Result<Writer> {
        let last = last_commit(&connection)?;
        let (next_event, waiting) = outbox::state(&connection)?;
        shared.pending.send_replace(waiting);
        Ok(Writer { connection, shared, last, changed: last, next_event, synced: true })
    }

    /// Works until every sender is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(MOST_JOBS);
        while jobs.blocking_recv_many(&mut group, MOST_JOBS) > 0 {
            self.finish(&mut group);
        }
    }

    fn finish(&mut self, group: &mut Vec<Job>) {
        match self.attempt(group) {
            Ok(tally) => {
                self.settle(&tally);
                for (job, answer) in group.drain(..).zip(tally.answers) {
                    job.reply(answer);
                }
            }
            // One job may be the cause of the failure: each is repeated in a transaction of its own.
            Err(_) if group.len() > 1 => {
                for job in std::mem::take(group) {
                    self.finish(&mut vec![job]);
                }
            }
            Err(error) => group.drain(..).for_each(|job| job.reply(Err(error.clone()))),
        }
    }

    /// Notifies the dispatcher and those who wait for the outbox, before the replies are sent, so that a caller sees
    /// its own events.
    fn settle(&self, tally: &Tally) {
        if tally.added > 0 || tally.removed > 0 {
            self.shared
                .pending
                .send_modify(|pending| *pending = (*pending + tally.added).saturating_sub(tally.removed));
        }
        if tally.added > 0 {
            self.shared.wake.notify_one();
        }
    }

    fn attempt(&mut self, group: &[Job]) -> Result<Tally> {
        // Without a sync: if a crash undoes the removal, events are only delivered again.
        let sync = group.iter().any(|job| matches!(job, Job::Commit { .. }));
        if sync != self.synced {
            let level = if sync { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level).map_err(sql)?;
            self.synced = sync;
        }
        let changed = self.changed;
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(sql)?;
        let result = self.transact(group).and_then(|tally| {
            self.connection.execute_batch("COMMIT").map_err(sql)?;
            Ok(tally)
        });
        if result.is_err() {
            self.changed = changed;
            if !self.connection.is_autocommit() {
                // Should this fail too, the next BEGIN does, and tells its callers.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
        }
        result
    }

    fn transact(&mut self, group: &[Job]) -> Result<Tally> {
        let mut tally = Tally::default();
        for job in group {
            let answer = match job {
                Job::Commit { writes, reads, .. } => {
                    self.commit(writes, reads.as_ref(), &mut tally)?.map(Answer::Committed)
                }
                Job::Acknowledge { rows, .. } => {
                    tally.removed += outbox::remove(&self.connection, rows)?;
                    Ok(Answer::Acknowledged)
                }
                Job::TakeEvents { .. } => {
                    let (events, rows) = outbox::take(&self.connection)?;
                    tally.removed += rows;
                    Ok(Answer::Taken(events))
                }
            };
            tally.answers.push(answer);
        }
        if tally.changed {
            self.connection
                .prepare_cached("UPDATE meta SET value = ? WHERE key = 'last_commit'")
                .and_then(|mut statement| statement.execute([self.changed]))
                .map_err(sql)?;
        }
        Ok(tally)
    }

    /// The outer error is the transaction's, the inner one this commit's alone, which then has
    /// written nothing.
    fn commit(
        &mut self,
        writes: &[PreparedWrite],
        reads: Option<&ReadSet>,
        tally: &mut Tally,
    ) -> Result<Result<Committed>> {
        if let Some(reads) = reads {
            match reads.holds(&self.connection, &self.shared, self.changed) {
                Ok(true) => {}
                Ok(false) => return Ok(Err(StoreError::Contention)),
                Err(error) => return Ok(Err(error)),
            }
        }
        let time = self.shared.clock.now().as_microsecond().max(self.last + 1);
        let decided = match decide(&self.connection, &self.shared, writes, time) {
            Ok(decided) => decided,
            Err(error) => return Ok(Err(error)),
        };
        self.last = time;
        if decided.changes() {
            self.changed = time;
            let events = decided.write(&self.connection, &self.shared, self.next_event)?;
            self.next_event += events;
            tally.added += events.unsigned_abs();
            tally.changed = true;
        }
        Ok(Ok(decided.answer))
    }
}

impl Job {
    fn reply(self, answer: Result<Answer>) {
        // A caller that has gone needs no answer.
        match (self, answer) {
            (Job::Commit { reply, writes, .. }, Ok(Answer::Committed(committed))) => {
                drop(reply.send(Ok((committed, writes))));
            }
            (Job::Commit { reply, .. }, Err(error)) => drop(reply.send(Err(error))),
            (Job::Acknowledge { reply, .. }, answer) => drop(reply.send(answer.map(drop))),
            (Job::TakeEvents { reply, .. }, Ok(Answer::Taken(events))) => drop(reply.send(Ok(events))),
            (Job::TakeEvents { reply, .. }, Err(error)) => drop(reply.send(Err(error))),
            (Job::Commit { .. } | Job::TakeEvents { .. }, Ok(_)) => {}
        }
    }
}

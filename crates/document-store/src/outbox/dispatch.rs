//! The dispatcher: delivers the events in an outbox at least once, several at a time, and again when they're refused.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Outbox, OutboxRow};
use crate::backoff::{Backoff, Jitter};
use crate::context::SystemRandom;
use crate::{ChangeSink, Delivery, Result};

/// Options of a dispatcher.
#[derive(Clone, Debug)]
pub struct DispatchOptions {
    /// How many events are handled at a time.
    pub concurrency: usize,
    /// How many events are held in memory at most.
    pub batch: usize,
    /// The pauses before a refused event is delivered again, and before the outbox is asked again after a failure.
    pub backoff: Backoff,
}

impl Default for DispatchOptions {
    /// 16 at a time, 64 in memory, again after at most 100 ms, doubled each time up to 60 s.
    fn default() -> Self {
        DispatchOptions {
            concurrency: 16,
            batch: 64,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(60)).with_jitter(Jitter::Full),
        }
    }
}

/// A running dispatcher. When it's dropped, no further delivery begins; [`Dispatcher::stop`] also waits for those under
/// way.
pub struct Dispatcher {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Dispatcher {
    /// Begins no further delivery, and waits until those under way have ended and their outcome is recorded. Other
    /// events stay in the outbox for the next dispatcher.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // It only fails when the runtime shuts down, which stops it as well.
            let _ = task.await;
        }
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Dispatcher {
    /// Begins to deliver the rows of an outbox to `sink`, the oldest first. An outbox must have only one dispatcher at
    /// a time. Panics outside of a Tokio runtime.
    pub fn start(outbox: Arc<dyn Outbox>, sink: Arc<dyn ChangeSink>, options: DispatchOptions) -> Dispatcher {
        let stop = CancellationToken::new();
        let delivery = DeliveryLoop {
            outbox,
            sink,
            options,
            read: 0,
            more: true,
            ready: VecDeque::new(),
            running: JoinSet::new(),
            retries: BinaryHeap::new(),
            attempts: HashMap::new(),
            done: Vec::new(),
        };
        Dispatcher { task: Some(tokio::spawn(delivery.run(stop.clone()))), stop }
    }
}

struct DeliveryLoop {
    outbox: Arc<dyn Outbox>,
    sink: Arc<dyn ChangeSink>,
    options: DispatchOptions,
    /// The number of the last row that was read.
    read: i64,
    /// The outbox may have rows after that.
    more: bool,
    ready: VecDeque<OutboxRow>,
    running: JoinSet<(i64, Delivery)>,
    /// The numbers of refused rows, by when they're to be delivered again.
    retries: BinaryHeap<Reverse<(Instant, i64)>>,
    attempts: HashMap<i64, u32>,
    /// Acknowledged rows that are still in the outbox.
    done: Vec<i64>,
}

/// After this many failures in a row to read the outbox, failures are logged as errors.
const WORTH_A_LOOK: u32 = 5;

impl DeliveryLoop {
    async fn run(mut self, stop: CancellationToken) {
        let outbox = self.outbox.clone();
        let mut removing: Option<BoxFuture<'static, Vec<i64>>> = None;
        let mut failed = false;
        let mut unread = 0;
        loop {
            if let Err(error) = self.take_up().await {
                unread += 1;
                match unread < WORTH_A_LOOK {
                    true => tracing::warn!(%error, "cannot read the outbox for now"),
                    false => tracing::error!(%error, times = unread, "cannot read the outbox"),
                }
                let pause = self.wait(unread);
                tokio::select! {
                    () = tokio::time::sleep(pause) => continue,
                    () = stop.cancelled() => break,
                }
            }
            unread = 0;
            self.start_ready();
            // One removal at a time: rows acknowledged meanwhile are removed together by the next one.
            if removing.is_none() && !self.done.is_empty() {
                let pause = if failed { self.wait(4) } else { Duration::ZERO };
                removing = Some(remove(self.outbox.clone(), std::mem::take(&mut self.done), pause));
            }
            let due = self.retries.peek().map(|Reverse((due, _))| *due);
            tokio::select! {
                () = stop.cancelled() => break,
                Some(finished) = self.running.join_next() => self.note(finished),
                left = async { Some(removing.as_mut()?.await) }, if removing.is_some() => {
                    removing = None;
                    let left: Vec<i64> = Option::unwrap_or_default(left);
                    failed = !left.is_empty();
                    self.done.extend(left);
                }
                () = outbox.written() => self.more = true,
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
        while let Some(finished) = self.running.join_next().await {
            self.note(finished);
        }
        if let Some(removing) = removing {
            self.done.extend(removing.await);
        }
        if !self.done.is_empty() {
            remove(self.outbox.clone(), self.done, Duration::ZERO).await;
        }
    }

    /// Reads rows that are due again or new, as many as the batch has room for.
    async fn take_up(&mut self) -> Result<()> {
        let room = self.options.batch.max(1).saturating_sub(self.ready.len() + self.running.len());
        // Read once all are started: reading a few rows at a time would take many reads.
        if !self.ready.is_empty() || room == 0 {
            return Ok(());
        }
        let now = Instant::now();
        let mut due = Vec::new();
        while let Some(Reverse((at, row))) = self.retries.peek().copied() {
            if at > now || due.len() >= room {
                break;
            }
            self.retries.pop();
            due.push(row);
        }
        if !due.is_empty() {
            match self.outbox.rows(&due).await {
                Ok(found) => self.ready.extend(found),
                Err(error) => {
                    self.retries.extend(due.into_iter().map(|row| Reverse((now, row))));
                    return Err(error);
                }
            }
        }
        let room = room.saturating_sub(self.ready.len());
        if self.more && room > 0 {
            let found = self.outbox.after(self.read, room).await?;
            self.more = found.len() == room;
            self.read = found.last().map_or(self.read, |waiting| waiting.row);
            self.ready.extend(found);
        }
        Ok(())
    }

    fn start_ready(&mut self) {
        while self.running.len() < self.options.concurrency.max(1) {
            let Some(OutboxRow { row, trigger, change }) = self.ready.pop_front() else { return };
            let change = match change {
                Ok(change) => change,
                Err(error) => {
                    tracing::error!(%error, trigger, row, "an event cannot be read");
                    self.refuse(row);
                    continue;
                }
            };
            let sink = self.sink.clone();
            self.running.spawn(async move {
                let delivery = AssertUnwindSafe(sink.deliver(&trigger, change)).catch_unwind().await;
                let delivery = delivery.unwrap_or_else(|_| {
                    tracing::error!(trigger, row, "the handler of an event panicked");
                    Delivery::Refused
                });
                (row, delivery)
            });
        }
    }

    fn note(&mut self, finished: Result<(i64, Delivery), tokio::task::JoinError>) {
        match finished {
            Ok((row, Delivery::Acknowledged)) => {
                self.attempts.remove(&row);
                self.done.push(row);
            }
            Ok((row, Delivery::Refused)) => self.refuse(row),
            // Panics are caught, so the runtime is shutting down; the row stays for the next start.
            Err(error) => tracing::warn!(%error, "an event's delivery was aborted"),
        }
    }

    fn refuse(&mut self, row: i64) {
        let attempts = self.attempts.entry(row).or_insert(0);
        *attempts += 1;
        let attempts = *attempts;
        self.retries.push(Reverse((Instant::now() + self.wait(attempts), row)));
    }

    /// The pause after that many failures in a row.
    fn wait(&self, attempts: u32) -> Duration {
        self.options.backoff.pause(attempts, &SystemRandom)
    }
}

/// Removes rows from the outbox after a pause. Returns those that couldn't be removed.
fn remove(outbox: Arc<dyn Outbox>, rows: Vec<i64>, pause: Duration) -> BoxFuture<'static, Vec<i64>> {
    async move {
        tokio::time::sleep(pause).await;
        let again = rows.clone();
        match outbox.remove(rows).await {
            Ok(()) => Vec::new(),
            Err(error) => {
                tracing::warn!(%error, "handled events stay in the outbox for now");
                again
            }
        }
    }
    .boxed()
}

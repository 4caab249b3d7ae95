//! The dispatcher over an outbox that is nothing but rows in memory: it asks no more of a store than that.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{DispatchOptions, Dispatcher, Outbox, OutboxRow};
use crate::{ChangeSink, Delivery, DocPath, DocumentChange, Result, StoreError, Timestamp};

#[derive(Default)]
struct Rows {
    rows: Mutex<BTreeMap<i64, String>>,
    written: Notify,
    /// How many of the next requests fail.
    failures: Mutex<u32>,
}

impl Rows {
    fn add(&self, row: i64) {
        self.rows.lock().insert(row, format!("users/u{row}"));
        self.written.notify_one();
    }

    fn fail(&self) -> Result<()> {
        let mut failures = self.failures.lock();
        match *failures {
            0 => Ok(()),
            _ => {
                *failures -= 1;
                Err(StoreError::Unavailable("for now".to_owned()))
            }
        }
    }
}

fn waiting((row, path): (&i64, &String)) -> OutboxRow {
    let (path, time) = (DocPath::new(path.as_str()).unwrap(), Timestamp::UNIX_EPOCH);
    let change = DocumentChange { id: row.to_string(), path, before: None, after: None, time };
    OutboxRow { row: *row, trigger: "onWritten".to_owned(), change: Ok(change) }
}

#[async_trait]
impl Outbox for Rows {
    async fn rows(&self, rows: &[i64]) -> Result<Vec<OutboxRow>> {
        self.fail()?;
        Ok(self.rows.lock().iter().filter(|(row, _)| rows.contains(row)).map(waiting).collect())
    }

    async fn after(&self, row: i64, limit: usize) -> Result<Vec<OutboxRow>> {
        self.fail()?;
        Ok(self.rows.lock().range(row + 1..).take(limit).map(waiting).collect())
    }

    async fn remove(&self, rows: Vec<i64>) -> Result<()> {
        self.fail()?;
        self.rows.lock().retain(|row, _| !rows.contains(row));
        Ok(())
    }

    async fn written(&self) {
        self.written.notified().await;
    }
}

/// What came, and how often each is refused first.
#[derive(Default)]
struct Sink {
    came: Mutex<Vec<String>>,
    refusals: u32,
}

#[async_trait]
impl ChangeSink for Sink {
    async fn deliver(&self, trigger: &str, change: DocumentChange) -> Delivery {
        assert_eq!(trigger, "onWritten");
        let mut came = self.came.lock();
        came.push(change.path.id().to_owned());
        let times = came.iter().filter(|id| *id == change.path.id()).count();
        if times as u32 > self.refusals { Delivery::Acknowledged } else { Delivery::Refused }
    }
}

/// Waits until the outbox is empty. Time is paused, so that this takes none.
async fn emptied(rows: &Rows) {
    while !rows.rows.lock().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_row_is_delivered_until_it_is_acknowledged_and_then_removed() {
    let (rows, sink) = (Arc::new(Rows::default()), Arc::new(Sink { refusals: 2, ..Sink::default() }));
    rows.add(1);
    let options = DispatchOptions { concurrency: 2, batch: 3, ..DispatchOptions::default() };
    let dispatcher = Dispatcher::start(rows.clone(), sink.clone(), options.clone());
    emptied(&rows).await;
    // Many more than fit into memory, while requests fail now and then.
    *rows.failures.lock() = 7;
    (2..40).for_each(|row| rows.add(row));
    emptied(&rows).await;
    dispatcher.stop().await;
    let came = std::mem::take(&mut *sink.came.lock());
    for row in 1..40 {
        assert!(came.iter().filter(|id| **id == format!("u{row}")).count() >= 3, "u{row}: {came:?}");
    }
    // What is written while nobody delivers waits for the next dispatcher.
    rows.add(40);
    tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
    assert!(sink.came.lock().is_empty());
    let dispatcher = Dispatcher::start(rows.clone(), sink.clone(), options);
    emptied(&rows).await;
    dispatcher.stop().await;
    assert_eq!(*sink.came.lock(), ["u40"; 3]);
}

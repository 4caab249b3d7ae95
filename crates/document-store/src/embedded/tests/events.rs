//! Triggers, the outbox and its dispatcher.

use std::time::Duration;

use parking_lot::Mutex;

use super::*;
use crate::backoff::{Backoff, Jitter};
use crate::fields;
use crate::{ChangeKind, Delivery, Value};

const TRIGGERS: &[(&str, ChangeFilter, &str)] = &[
    ("created", ChangeFilter::Created, "users/{user}/assignments/{id}"),
    ("updated", ChangeFilter::Updated, "users/{user}/assignments/{id}"),
    ("deleted", ChangeFilter::Deleted, "users/{user}/assignments/{id}"),
    ("written", ChangeFilter::Written, "users/{user}/{any}/{id}"),
];

fn quick() -> DispatchOptions {
    DispatchOptions {
        backoff: Backoff::new(Duration::from_micros(1), Duration::from_micros(10)).with_jitter(Jitter::Full),
        ..DispatchOptions::default()
    }
}

/// Refuses each event so many times, then keeps it.
struct Sink {
    refusals: usize,
    seen: Mutex<HashMap<(String, String), usize>>,
    kept: Mutex<Vec<(String, DocumentChange)>>,
    store: Mutex<Option<Arc<EmbeddedStore>>>,
}

impl Sink {
    fn new(refusals: usize) -> Arc<Sink> {
        Arc::new(Sink { refusals, seen: Mutex::default(), kept: Mutex::default(), store: Mutex::default() })
    }
}

#[async_trait]
impl ChangeSink for Sink {
    async fn deliver(&self, trigger: &str, change: DocumentChange) -> Delivery {
        let times = {
            let mut seen = self.seen.lock();
            let times = seen.entry((trigger.to_owned(), change.id.clone())).or_insert(0);
            *times += 1;
            *times
        };
        if times <= self.refusals {
            assert!(times % 2 == 0, "an odd attempt panics, an even one is refused");
            return Delivery::Refused;
        }
        let store = self.store.lock().clone();
        if let (Some(store), Some(after)) = (store, &change.after)
            && let Some(left @ 1..) = after.fields.get("left").and_then(Value::as_i64)
        {
            store.commit(vec![Write::update(change.path.clone(), fields! { "left" => left - 1 })]).await.unwrap();
        }
        self.kept.lock().push((trigger.to_owned(), change));
        Delivery::Acknowledged
    }
}

#[tokio::test]
async fn each_trigger_gets_what_it_matches() {
    let store = fixture("{}", TRIGGERS);
    let path = || doc("users/u/assignments/a");
    let first = store.write(Write::set(path(), fields! { "k" => 1 })).await;
    let second = store.write(Write::set(path(), fields! { "k" => 2 })).await;
    let third = store.write(Write::delete(path())).await;
    store.commit(vec![Write::delete(path()), Write::set(doc("users/u"), fields! {})]).await.unwrap();
    store.write(Write::set(doc("users/u/assignments/a/b/c"), fields! {})).await;
    assert_eq!(store.pending_events(), 6);
    let events = store.take_events().await.unwrap();
    let names: Vec<_> = events.iter().map(|(trigger, _)| trigger.as_str()).collect();
    assert_eq!(names, ["created", "written", "updated", "written", "deleted", "written"]);
    let kinds: Vec<_> = events.iter().step_by(2).filter_map(|(_, change)| change.kind()).collect();
    assert_eq!(kinds, [ChangeKind::Created, ChangeKind::Updated, ChangeKind::Deleted]);
    let update = &events[2].1;
    let (before, after) = (update.before.as_ref().unwrap(), update.after.as_ref().unwrap());
    assert_eq!((&before.fields, &after.fields), (&fields! { "k" => 1 }, &fields! { "k" => 2 }));
    assert_eq!((before.update_time, after.update_time, update.time), (first.time, second.time, second.time));
    assert_eq!(after.create_time, first.time);
    let delete = &events[4].1;
    assert_eq!((delete.time, delete.before.as_ref().map(|before| before.update_time)), (third.time, Some(second.time)));
    let ids: BTreeSet<_> = events.iter().map(|(_, change)| &change.id).collect();
    assert_eq!(ids.len(), 6);
    assert_eq!(store.pending_events(), 0);
    assert!(store.take_events().await.unwrap().is_empty());
}

#[tokio::test]
async fn refused_events_and_panics_come_again_until_all_are_done() {
    let store = fixture("{}", TRIGGERS);
    let sink = Sink::new(3);
    let dispatcher = store.start_dispatcher(sink.clone(), quick());
    for n in 0..40 {
        store.write(Write::set(doc(&format!("users/u/assignments/{n}")), fields! { "n" => n })).await;
    }
    store.drained().await;
    assert_eq!(sink.kept.lock().len(), 80);
    assert!(sink.seen.lock().values().all(|times| *times == 4), "the event's ID stays the same");
    dispatcher.stop().await;
    assert!(store.take_events().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_handler_writes_is_delivered_before_the_store_is_quiet() {
    let store = fixture("{}", &[("chain", ChangeFilter::Written, "a/{id}")]);
    let sink = Sink::new(0);
    *sink.store.lock() = Some(store.store.clone());
    let dispatcher = store.start_dispatcher(sink.clone(), quick());
    store.write(Write::set(doc("a/n"), fields! { "left" => 10 })).await;
    store.drained().await;
    assert_eq!(store.one("a/n").await.unwrap().fields, fields! { "left" => 0 });
    assert_eq!(sink.kept.lock().len(), 11);
    dispatcher.stop().await;
    sink.store.lock().take();
}

#[tokio::test]
async fn events_wait_for_a_dispatcher_across_restarts() {
    let store = fixture("{}", TRIGGERS);
    for n in 0..300 {
        store.write(Write::set(doc(&format!("users/u/assignments/{n}")), fields! {})).await;
    }
    let store = store.reopened("{}", TRIGGERS);
    assert_eq!(store.pending_events(), 600);
    let sink = Sink::new(0);
    let options = DispatchOptions { batch: 7, concurrency: 3, ..quick() };
    let dispatcher = store.start_dispatcher(sink.clone(), options);
    store.drained().await;
    dispatcher.stop().await;
    assert_eq!(sink.seen.lock().len(), 600);
    assert_eq!(sink.kept.lock().len(), 600);
}

/// Says when an event has come, and holds it until told to go on.
struct Gate {
    entered: tokio::sync::Semaphore,
    open: tokio::sync::Semaphore,
}

#[async_trait]
impl ChangeSink for Gate {
    async fn deliver(&self, _: &str, _: DocumentChange) -> Delivery {
        self.entered.add_permits(1);
        self.open.acquire().await.unwrap().forget();
        Delivery::Acknowledged
    }
}

#[tokio::test]
async fn a_stop_finishes_what_runs_and_hands_back_the_rest() {
    let store = fixture("{}", &[("t", ChangeFilter::Written, "a/{id}")]);
    let gate = Arc::new(Gate { entered: tokio::sync::Semaphore::new(0), open: tokio::sync::Semaphore::new(0) });
    let options = DispatchOptions { concurrency: 2, ..quick() };
    let dispatcher = store.start_dispatcher(gate.clone(), options);
    let writes = (0..10).map(|n| Write::set(doc(&format!("a/{n}")), fields! {})).collect();
    store.commit(writes).await.unwrap();
    gate.entered.acquire_many(2).await.unwrap().forget();
    let stopping = tokio::spawn(dispatcher.stop());
    tokio::task::yield_now().await;
    assert!(!stopping.is_finished());
    gate.open.add_permits(2);
    stopping.await.unwrap();
    assert_eq!(store.pending_events(), 8);
    assert_eq!(gate.entered.available_permits(), 0, "no other one was begun");
    let sink = Sink::new(0);
    let dispatcher = store.start_dispatcher(sink.clone(), quick());
    store.drained().await;
    assert_eq!(sink.kept.lock().len(), 8);
    dispatcher.stop().await;
}

//! What people signed is on record by the store's time, whatever becomes of their own document.

use roar_functions::fields;
use roar_functions::store::{Fields, Query, Value};

use super::{school, update};
use crate::local::LocalWorld;
use crate::small::at;

fn signed(date: &str) -> Value {
    Value::Map(fields! { "amount" => "0", "dateSigned" => at(date) })
}

fn legal(entries: Vec<Value>) -> Fields {
    fields! { "legal" => fields! { "consent" => fields! { "v1" => entries } } }
}

async fn records(world: &LocalWorld) -> Vec<Fields> {
    let found = world.admin().query(Query::collection("users/s0/consents")).await.expect("records");
    found.into_iter().map(|record| record.fields).collect()
}

#[tokio::test]
async fn consent_is_recorded_when_it_is_given_and_when_it_disappears() {
    let world = school(2).await;
    let before = world.admin().cost();
    // Backdated: the date is the client's.
    update(&world, "users/s0", legal(vec![signed("2020-01-01T00:00:00Z")])).await;
    world.settle().await;
    let spent = world.admin().cost() - before;
    assert_eq!((spent.reads, spent.writes), (0, 2), "the client's own write and the record");
    let found = records(&world).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["signed"], signed("2020-01-01T00:00:00Z"));
    let recorded = found[0]["recordedAt"].as_timestamp().expect("a time");
    assert!(recorded > at("2026-01-01T00:00:00Z"), "by the store's time");
    // Rewritten, by somebody whom no rule holds back: what was there stays on record.
    update(&world, "users/s0", legal(vec![signed("2026-09-01T00:00:00Z")])).await;
    world.settle().await;
    let found = records(&world).await;
    let gone = found.iter().filter(|record| record.contains_key("goneAt")).count();
    assert_eq!((found.len(), gone), (3, 1), "{found:?}");
    // Events that come again record nothing twice.
    update(&world, "users/s0", legal(vec![signed("2026-09-01T00:00:00Z"), signed("2026-09-02T00:00:00Z")])).await;
    let events = world.events().await;
    for event in events.iter().chain(&events) {
        assert!(world.deliver(event.clone()).await);
    }
    assert_eq!(records(&world).await.len(), 4);
}

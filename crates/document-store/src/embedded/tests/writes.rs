//! What commits do; the answers are the Firestore emulator's.

use jiff::SignedDuration;

use super::*;
use crate::fields;
use crate::{Fields, Precondition, Transform, Value};

fn store() -> Fixture {
    fixture("{}", &[("all", ChangeFilter::Written, "a/{id}")])
}

fn one_field(k: i64) -> Fields {
    fields! { "k" => k }
}

#[tokio::test]
async fn times_move_on_although_the_clock_stands() {
    let store = store();
    let first = store.write(Write::set(doc("a/n"), one_field(1))).await;
    let second = store.write(Write::set(doc("a/n"), one_field(2))).await;
    assert_eq!(micros(second.time), micros(first.time) + 1);
    let now = store.one("a/n").await.unwrap();
    assert_eq!((now.create_time, now.update_time), (first.time, second.time));
    let store = store.reopened("{}", &[]);
    store.clock.advance(SignedDuration::from_secs(-5));
    let third = store.write(Write::delete(doc("a/n"))).await;
    assert_eq!(micros(third.time), micros(second.time) + 1);
    let store = store.reopened("{}", &[]);
    let fourth = store.write(Write::set(doc("a/n"), one_field(2))).await;
    assert_eq!(micros(fourth.time), micros(third.time) + 1, "a delete's time is remembered too");
}

#[tokio::test]
async fn what_changes_nothing_leaves_the_update_time_and_makes_no_event() {
    let store = store();
    let first = store.write(Write::set(doc("a/n"), fields! { "k" => 1, "nan" => f64::NAN })).await;
    store.take_events().await.unwrap();
    let plus =
        |by: i64| Write::transform(doc("a/n"), vec![]).with(FieldPath::top("k"), Transform::Increment(by.into()));
    for writes in [
        vec![Write::set(doc("a/n"), fields! { "k" => 1, "nan" => f64::NAN })],
        vec![Write::update(doc("a/n"), one_field(1))],
        vec![plus(0)],
        vec![plus(1), plus(-1)],
        vec![Write::merge(doc("a/n"), Fields::new(), vec![FieldPath::dotted("k.x"), FieldPath::dotted("b.c")])],
        vec![Write::merge(doc("a/n"), Fields::new(), vec![])],
    ] {
        let committed = store.commit(writes.clone()).await.unwrap();
        assert!(committed.results.iter().all(|result| result.update_time == Some(first.time)), "{writes:?}");
        assert_eq!(store.one("a/n").await.unwrap().update_time, first.time);
    }
    assert_eq!(store.pending_events(), 0);
    let changed = store.write(Write::update(doc("a/n"), fields! { "k" => 1.0 })).await;
    assert_eq!(changed.results[0].update_time, Some(changed.time), "another type is another value");
}

#[tokio::test]
async fn the_writes_of_one_commit_come_in_order_and_make_one_change() {
    let store = store();
    let committed = store
        .commit(vec![
            Write::create(doc("a/two"), one_field(1)),
            Write::update(doc("a/two"), fields! { "j" => 1 }).when(Precondition::Exists),
            Write::transform(doc("a/two"), vec![]).with(FieldPath::top("k"), Transform::Increment(5.into())),
            Write::create(doc("a/gone"), one_field(1)),
            Write::delete(doc("a/gone")),
        ])
        .await
        .unwrap();
    assert_eq!(store.one("a/two").await.unwrap().fields, fields! { "k" => 6, "j" => 1 });
    let times: Vec<_> = committed.results.iter().map(|result| result.update_time).collect();
    assert_eq!(times, [Some(committed.time), Some(committed.time), Some(committed.time), None, None]);
    assert_eq!(committed.results[2].transformed, [Value::Integer(6)]);
    let events = store.take_events().await.unwrap();
    assert_eq!(events.len(), 1, "what came and went in one commit is no change");
    assert_eq!(events[0].1.after.as_ref().unwrap().fields, fields! { "k" => 6, "j" => 1 });

    let again =
        store.commit(vec![Write::delete(doc("a/two")), Write::set(doc("a/two"), fields! { "k" => 6, "j" => 1 })]);
    let again = again.await.unwrap();
    let now = store.one("a/two").await.unwrap();
    assert_eq!((now.create_time, now.update_time), (again.time, again.time), "it is a new document");
    assert_eq!(store.take_events().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_failed_precondition_leaves_everything_as_it_was() {
    let store = store();
    let first = store.write(Write::set(doc("a/n"), one_field(1))).await;
    let long_ago = Precondition::UpdatedAt(Timestamp::UNIX_EPOCH);
    for bad in [
        Write::create(doc("a/n"), one_field(2)),
        Write::update(doc("a/missing"), one_field(2)),
        Write::delete(doc("a/missing")).when(Precondition::Exists),
        Write::delete(doc("a/n")).when(Precondition::Missing),
        Write::set(doc("a/n"), one_field(2)).when(long_ago),
        Write::set(doc("a/missing"), one_field(2)).when(long_ago),
        Write::create(doc("a/twice"), one_field(2)),
    ] {
        let writes = vec![Write::set(doc("a/twice"), one_field(1)), bad.clone()];
        assert!(matches!(store.commit(writes).await, Err(StoreError::Conflict(_))), "{bad:?}");
        assert_eq!(store.one("a/twice").await, None);
    }
    store.write(Write::set(doc("a/n"), one_field(2)).when(Precondition::UpdatedAt(first.time))).await;
    store.write(Write::delete(doc("a/missing"))).await;
}

#[tokio::test]
async fn what_firestore_does_not_store_is_refused() {
    let store = store();
    let bad = [
        Write::set(doc("a/n"), fields! { "k" => Value::Array(vec![Value::Array(vec![])]) }),
        Write::set(doc("a/n"), fields! { "__k__" => 1 }),
        Write::set(doc("a/n"), fields! { "a" => "x".repeat(600_000), "b" => "x".repeat(600_000) }),
        Write::merge(doc("a/n"), Fields::new(), vec![FieldPath::top("__k__")]),
        Write::transform(doc("a/n"), vec![]).with(FieldPath::top("k"), Transform::Increment("x".into())),
        Write::transform(doc("a/n"), vec![]).with(FieldPath::top("k"), Transform::Union(vec![Value::Array(vec![])])),
        Write::set(doc("a/n"), one_field(1)).when(Precondition::UpdatedAt(Timestamp::from_nanosecond(1).unwrap())),
    ];
    for write in bad {
        let shown = format!("{write:?}").chars().take(200).collect::<String>();
        let refused = store.commit(vec![write]).await;
        assert!(matches!(refused, Err(StoreError::InvalidArgument(_))), "{shown}");
    }
    // Two halves that are too large only together.
    store.write(Write::set(doc("a/n"), fields! { "a" => "x".repeat(600_000) })).await;
    let refused = store.commit(vec![Write::update(doc("a/n"), fields! { "b" => "x".repeat(600_000) })]).await;
    assert!(matches!(refused, Err(StoreError::InvalidArgument(_))));
}

#[tokio::test]
async fn a_mask_reads_only_its_fields() {
    let store = store();
    store.write(Write::set(doc("a/n"), fields! { "k" => 1, "m" => fields! { "x" => 1, "y" => 2 } })).await;
    let mask = [FieldPath::dotted("m.y"), FieldPath::top("missing")];
    let paths = [doc("a/missing"), doc("a/n"), doc("a/n")];
    let found = store.get_all(&paths, Some(&mask)).await.unwrap();
    assert_eq!(found[0], None);
    assert_eq!(found[1].as_ref().unwrap().fields, fields! { "m" => fields! { "y" => 2 } });
    assert_eq!(found[1], found[2]);
}

#[tokio::test]
async fn commits_at_once_lose_no_increment() {
    let store = store();
    let plus = || Write::transform(doc("a/n"), vec![]).with(FieldPath::top("k"), Transform::Increment(1.into()));
    let commits = (0..100).map(|_| store.commit(vec![plus(), plus()]));
    let answers = futures::future::try_join_all(commits).await.unwrap();
    assert_eq!(store.one("a/n").await.unwrap().fields, one_field(200));
    let times: BTreeSet<_> = answers.iter().map(|answer| answer.time).collect();
    assert_eq!(times.len(), 100, "each commit has its own time");
}

#[tokio::test]
async fn a_refused_commit_does_not_harm_its_neighbours() {
    let store = store();
    let commits = (0..50).map(|n| {
        let path = doc(&format!("a/{}", n / 2));
        store.commit(vec![Write::create(path, one_field(n))])
    });
    let answers = futures::future::join_all(commits).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 25);
    assert_eq!(store.all(Query::collection("a")).await.len(), 25);
}

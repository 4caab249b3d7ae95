//! Optimistic transactions: one snapshot, nothing lost, no phantom.

use proptest::prelude::*;

use super::*;
use crate::fields;
use crate::{Database, FieldOp, Value};

const BY_K: &str = r#"{"indexes":[{"collectionGroup":"a","queryScope":"COLLECTION","fields":[
    {"fieldPath":"k","order":"ASCENDING"}]}]}"#;

async fn set(store: &Fixture, path: &str, k: i64) {
    store.write(Write::set(doc(path), fields! { "k" => k })).await;
}

#[tokio::test]
async fn a_change_of_what_was_read_is_contention() {
    let store = fixture("{}", &[]);
    for (before, after) in [(Some(1), Some(2)), (None, Some(1)), (Some(1), None)] {
        store.write(Write::delete(doc("a/n"))).await;
        if let Some(k) = before {
            set(&store, "a/n", k).await;
        }
        let mut attempt = store.begin(None);
        attempt.get_all(&[doc("a/n")], None).await.unwrap();
        match after {
            Some(k) => set(&store, "a/n", k).await,
            None => drop(store.write(Write::delete(doc("a/n"))).await),
        }
        let outcome = attempt.commit(vec![Write::set(doc("a/m"), fields! {})]).await;
        assert_eq!(outcome, Err(StoreError::Contention));
        assert_eq!(store.one("a/m").await, None);
    }
}

#[tokio::test]
async fn a_change_of_something_else_is_none() {
    let store = fixture(BY_K, &[]);
    set(&store, "a/n", 1).await;
    let mut attempt = store.begin(None);
    attempt.get_all(&[doc("a/n"), doc("a/missing")], None).await.unwrap();
    attempt.query(Query::collection("a").equal("k", 1)).await.unwrap();
    set(&store, "b/n", 1).await;
    set(&store, "a/other", 2).await;
    set(&store, "a/n", 1).await;
    attempt.commit(vec![Write::set(doc("a/m"), fields! {})]).await.unwrap();
}

#[tokio::test]
async fn a_query_notices_what_enters_leaves_and_changes() {
    let store = fixture(BY_K, &[]);
    let query = || Query::collection("a").filter("k", FieldOp::GreaterThan, 10).limit(2);
    for change in ["a/enters", "a/one"] {
        for k in [11, 12] {
            store.write(Write::delete(doc("a/enters"))).await;
            set(&store, "a/one", 20).await;
            let mut attempt = store.begin(None);
            assert_eq!(attempt.query(query()).await.unwrap().len(), 1);
            set(&store, change, k).await;
            let outcome = attempt.commit(vec![Write::set(doc("b/m"), fields! {})]).await;
            assert_eq!(outcome, Err(StoreError::Contention), "{change} {k}");
        }
    }
}

#[tokio::test]
async fn reads_that_do_not_fit_together_are_contention_at_once() {
    let store = fixture("{}", &[]);
    set(&store, "a/x", 1).await;
    set(&store, "a/y", 1).await;
    let mut attempt = store.begin(None);
    attempt.get_all(&[doc("a/x")], None).await.unwrap();
    store
        .commit(vec![Write::set(doc("a/x"), fields! { "k" => 2 }), Write::set(doc("a/y"), fields! { "k" => 2 })])
        .await
        .unwrap();
    assert_eq!(attempt.get_all(&[doc("a/y")], None).await, Err(StoreError::Contention));
    // Whoever goes on all the same does not commit either.
    assert_eq!(attempt.commit(vec![Write::delete(doc("a/x"))]).await, Err(StoreError::Contention));
    attempt.rollback().await.unwrap();
}

/// Moves between accounts under contention: the sum stays, and each transfer happens once.
fn transfers(moves: Vec<(usize, usize, i64)>) {
    runtime().block_on(async {
        let fixture = fixture("{}", &[]);
        let database = Database::new(fixture.store.clone());
        for account in 0..3 {
            set(&fixture, &format!("a/{account}"), 100).await;
        }
        let balance = |found: &Option<Document>| found.as_ref().and_then(|one| one.fields["k"].as_i64()).unwrap();
        let tasks = moves.iter().filter(|(from, to, _)| from != to).map(|&(from, to, amount)| {
            let database = database.clone();
            async move {
                database
                    .transaction(|transaction| async move {
                        let paths = [doc(&format!("a/{from}")), doc(&format!("a/{to}"))];
                        let found = transaction.get_all(&paths).await?;
                        for (path, change, found) in [(&paths[0], -amount, &found[0]), (&paths[1], amount, &found[1])] {
                            let fields = fields! { "k" => balance(found) + change };
                            transaction.write(Write::set(path.clone(), fields)).await;
                        }
                        Ok::<_, StoreError>(())
                    })
                    .await
            }
        });
        // Few enough at a time that none runs out of attempts.
        let outcomes: Vec<_> = futures::StreamExt::collect(futures::StreamExt::buffer_unordered(
            futures::stream::iter(tasks.collect::<Vec<_>>()),
            4,
        ))
        .await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let mut expected = [100_i64; 3];
        for &(from, to, amount) in moves.iter().filter(|(from, to, _)| from != to) {
            expected[from] -= amount;
            expected[to] += amount;
        }
        for (account, expected) in expected.into_iter().enumerate() {
            let found = fixture.one(&format!("a/{account}")).await.unwrap();
            assert_eq!(found.fields["k"], Value::Integer(expected));
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn transfers_under_contention_lose_nothing(
        moves in proptest::collection::vec((0..3_usize, 0..3_usize, 1..50_i64), 1..16)
    ) {
        transfers(moves);
    }
}

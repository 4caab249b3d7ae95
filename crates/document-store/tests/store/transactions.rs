//! Transactions: what was read has not changed when the commit happens.

use std::sync::atomic::{AtomicU32, Ordering};

use document_store::fields;
use document_store::{Database, FieldOp, Query, StoreError, Transaction, Transform, Write};
use futures::future::join_all;

use crate::{field, int, path};

async fn number(db: &Database, at: &str) -> i64 {
    db.get(&path(at)).await.unwrap().unwrap().fields["n"].as_i64().unwrap()
}

async fn put(db: &Database, at: &str, n: i64) {
    db.commit(vec![Write::set(path(at), fields! {"n" => n})]).await.unwrap();
}

pub async fn a_transaction_commits_what_it_decided(db: Database) {
    put(&db, "x/a", 1).await;
    let decide = async |transaction: Transaction| {
        let found = transaction.get_all(&["x/a", "x/none"].map(path)).await?;
        assert!(found[1].is_none());
        let n = found[0].as_ref().unwrap().fields["n"].as_i64().unwrap();
        let matching = transaction.query(Query::collection("x").filter("n", FieldOp::GreaterThan, int(0))).await?;
        transaction.write(Write::create(path("x/b"), fields! {"n" => n + matching.len() as i64})).await;
        transaction.write_all([Write::delete(path("x/a"))]).await;
        Ok::<_, StoreError>(n)
    };
    let (n, committed) = db.transaction(decide).await.unwrap();
    let committed = committed.unwrap();
    assert_eq!((n, committed.results.len()), (1, 2));
    let b = db.get(&path("x/b")).await.unwrap().unwrap();
    assert_eq!((b.fields["n"].clone(), b.update_time), (int(2), committed.time));
    assert_eq!(db.get(&path("x/a")).await.unwrap(), None);
}

pub async fn a_transactions_reads_see_one_state(db: Database) {
    put(&db, "x/a", 1).await;
    let read = async |transaction: Transaction| {
        let first = transaction.get(&path("x/a")).await?;
        transaction.write(Write::set(path("x/a"), fields! {"n" => 2})).await;
        // Writes wait for the commit, so reads don't see them.
        let second = transaction.get(&path("x/a")).await?;
        let third = transaction.query(Query::collection("x")).await?.pop();
        assert_eq!(first, second);
        assert_eq!(first, third);
        Ok::<_, StoreError>(())
    };
    db.transaction(read).await.unwrap();
    assert_eq!(number(&db, "x/a").await, 2);
}

pub async fn concurrent_increments_lose_nothing(db: Database) {
    put(&db, "x/a", 0).await;
    let increment = async |transaction: Transaction| {
        let n = transaction.get(&path("x/a")).await?.unwrap().fields["n"].as_i64().unwrap();
        transaction.write(Write::update(path("x/a"), fields! {"n" => n + 1})).await;
        Ok::<_, StoreError>(())
    };
    let tasks = (0..12).map(|_| {
        let db = db.clone();
        tokio::spawn(async move { db.transaction(increment).await.map(drop) })
    });
    for outcome in join_all(tasks).await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(number(&db, "x/a").await, 12);
}

pub async fn plain_increments_beside_transactions_are_kept(db: Database) {
    put(&db, "x/a", 0).await;
    let tasks = (0..8).map(|task| {
        let db = db.clone();
        tokio::spawn(async move {
            if task % 2 == 0 {
                let write = Write::transform(path("x/a"), vec![]).with(field("n"), Transform::Increment(int(1)));
                return db.commit(vec![write]).await.map(drop);
            }
            let increment = async |transaction: Transaction| {
                let n = transaction.get(&path("x/a")).await?.unwrap().fields["n"].as_i64().unwrap();
                transaction.write(Write::update(path("x/a"), fields! {"n" => n + 1})).await;
                Ok::<_, StoreError>(())
            };
            db.transaction(increment).await.map(drop)
        })
    });
    for outcome in join_all(tasks).await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(number(&db, "x/a").await, 8);
}

pub async fn a_cancelled_transaction_holds_nothing(db: Database) {
    put(&db, "x/a", 1).await;
    let (read, has_read) = tokio::sync::oneshot::channel();
    let stuck = tokio::spawn({
        let db = db.clone();
        let mut read = Some(read);
        async move {
            let wait = |transaction: Transaction| {
                let read = read.take();
                async move {
                    transaction.get(&path("x/a")).await?;
                    read.unwrap().send(()).unwrap();
                    std::future::pending::<Result<(), StoreError>>().await
                }
            };
            db.transaction(wait).await.map(drop)
        }
    });
    has_read.await.unwrap();
    stuck.abort();
    assert!(stuck.await.unwrap_err().is_cancelled());
    let update = async |transaction: Transaction| {
        let n = transaction.get(&path("x/a")).await?.unwrap().fields["n"].as_i64().unwrap();
        transaction.write(Write::update(path("x/a"), fields! {"n" => n + 1})).await;
        Ok::<_, StoreError>(())
    };
    db.transaction(update).await.unwrap();
    put(&db, "x/a", 5).await;
    assert_eq!(number(&db, "x/a").await, 5);
}

pub async fn write_skew_does_not_happen(db: Database) {
    // Of two on duty one may leave; each decides by reading both and writes only its own.
    for round in 0..3 {
        let at = |who: &str| path(&format!("duty/{who}{round}"));
        db.commit(["a", "b"].map(|who| Write::set(at(who), fields! {"n" => 1})).to_vec()).await.unwrap();
        let leave = |who: &'static str| {
            let (db, both, own) = (db.clone(), [at("a"), at("b")], at(who));
            tokio::spawn(async move {
                let decide = async |transaction: Transaction| {
                    let found = transaction.get_all(&both).await?;
                    let on_duty = found.iter().flatten().filter(|d| d.fields["n"] == int(1)).count();
                    if on_duty == 2 {
                        transaction.write(Write::update(own.clone(), fields! {"n" => 0})).await;
                    }
                    Ok::<_, StoreError>(())
                };
                db.transaction(decide).await.map(drop)
            })
        };
        for outcome in join_all([leave("a"), leave("b")]).await {
            outcome.unwrap().unwrap();
        }
        let found = db.get_all(&[at("a"), at("b")]).await.unwrap();
        assert_eq!(found.iter().flatten().filter(|d| d.fields["n"] == int(1)).count(), 1);
    }
}

pub async fn concurrent_queries_and_inserts_keep_their_rule(db: Database) {
    // At most three places: each counts by a query and takes a new document.
    let tasks = (0..6).map(|n| {
        let db = db.clone();
        tokio::spawn(async move {
            let take = async |transaction: Transaction| {
                if transaction.query(Query::collection("places").equal("n", 1)).await?.len() < 3 {
                    transaction.write(Write::create(path(&format!("places/{n}")), fields! {"n" => 1})).await;
                }
                Ok::<_, StoreError>(())
            };
            db.transaction(take).await.map(drop)
        })
    });
    for outcome in join_all(tasks).await {
        outcome.unwrap().unwrap();
    }
    assert_eq!(db.count(Query::collection("places")).await.unwrap(), 3);
}

pub async fn an_error_writes_nothing(db: Database) {
    put(&db, "x/a", 1).await;
    let fail = async |transaction: Transaction| {
        transaction.get(&path("x/a")).await?;
        transaction.write(Write::delete(path("x/a"))).await;
        Err::<(), _>(StoreError::Internal("on purpose".to_owned()))
    };
    let outcome = db.transaction(fail).await;
    assert_eq!(outcome.map(drop), Err(StoreError::Internal("on purpose".to_owned())));
    // The attempt is over: nothing it read is held any more.
    put(&db, "x/a", 2).await;
    assert_eq!(number(&db, "x/a").await, 2);
}

pub async fn a_failed_precondition_is_not_retried(db: Database) {
    put(&db, "x/a", 1).await;
    let attempts = AtomicU32::new(0);
    let create = async |transaction: Transaction| {
        attempts.fetch_add(1, Ordering::Relaxed);
        transaction.get(&path("x/b")).await?;
        transaction.write(Write::create(path("x/a"), fields! {"n" => 2})).await;
        transaction.write(Write::set(path("x/b"), fields! {"n" => 2})).await;
        Ok::<_, StoreError>(())
    };
    assert!(matches!(db.transaction(create).await, Err(StoreError::Conflict(_))));
    assert_eq!(attempts.into_inner(), 1);
    assert_eq!(db.get(&path("x/b")).await.unwrap(), None);
    put(&db, "x/b", 3).await;
}

pub async fn a_transaction_without_writes_commits_nothing(db: Database) {
    put(&db, "x/a", 1).await;
    let read = async |transaction: Transaction| {
        let found = transaction.get(&path("x/a")).await?;
        Ok::<_, StoreError>(found.unwrap().update_time)
    };
    let (time, committed) = db.transaction(read).await.unwrap();
    assert_eq!(committed, None);
    assert_eq!(db.get(&path("x/a")).await.unwrap().unwrap().update_time, time);
    // Nothing read at all: a plain commit.
    let write = async |transaction: Transaction| {
        transaction.write(Write::update(path("x/a"), fields! {"n" => 5})).await;
        Ok::<_, StoreError>(())
    };
    assert!(db.transaction(write).await.unwrap().1.is_some());
    assert_eq!(number(&db, "x/a").await, 5);
}

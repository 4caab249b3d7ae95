//! Preconditions, and several writes in one commit.

use document_store::fields;
use document_store::{Database, Precondition, StoreError, Timestamp, Transform, Write};

use crate::{field, int, path};

fn is_conflict<T>(outcome: Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::Conflict(_)))
}

pub async fn preconditions_decide(db: Database) {
    let (here, gone) = (path("users/here"), path("users/gone"));
    db.commit(vec![Write::set(here.clone(), fields! {"x" => 1})]).await.unwrap();
    let refused = [
        Write::create(here.clone(), fields! {"x" => 2}),
        Write::update(gone.clone(), fields! {"x" => 2}),
        Write::set(gone.clone(), fields! {"x" => 2}).when(Precondition::Exists),
        Write::merge(here.clone(), fields! {"x" => 2}, vec![field("x")]).when(Precondition::Missing),
        Write::delete(gone.clone()).when(Precondition::Exists),
        Write::delete(here.clone()).when(Precondition::Missing),
        Write::transform(gone.clone(), vec![])
            .with(field("x"), Transform::Increment(int(1)))
            .when(Precondition::Exists),
    ];
    for write in refused {
        assert!(is_conflict(db.commit(vec![write.clone()]).await), "{write:?}");
    }
    assert_eq!(db.get(&here).await.unwrap().unwrap().fields, fields! {"x" => 1});
    assert_eq!(db.get(&gone).await.unwrap(), None);
    let accepted = [
        Write::update(here.clone(), fields! {"x" => 3}),
        Write::set(here.clone(), fields! {"x" => 4}).when(Precondition::Exists),
        Write::delete(here.clone()).when(Precondition::Exists),
        Write::create(here.clone(), fields! {"x" => 5}),
    ];
    for write in accepted {
        db.commit(vec![write.clone()]).await.unwrap_or_else(|error| panic!("{write:?}: {error}"));
    }
    assert_eq!(db.get(&here).await.unwrap().unwrap().fields, fields! {"x" => 5});
}

pub async fn update_time_preconditions_decide(db: Database) {
    let at = path("users/a");
    let first = db.commit(vec![Write::set(at.clone(), fields! {"x" => 1})]).await.unwrap().unwrap().time;
    let second = db.commit(vec![Write::set(at.clone(), fields! {"x" => 2})]).await.unwrap().unwrap().time;
    let some_time: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    let set = |time| Write::set(at.clone(), fields! {"x" => 3}).when(Precondition::UpdatedAt(time));
    assert!(is_conflict(db.commit(vec![set(first)]).await));
    assert!(is_conflict(db.commit(vec![set(some_time)]).await));
    assert!(is_conflict(db.commit(vec![Write::delete(at.clone()).when(Precondition::UpdatedAt(first))]).await));
    let missing = Write::set(path("users/none"), fields! {}).when(Precondition::UpdatedAt(some_time));
    assert!(is_conflict(db.commit(vec![missing]).await));
    // A time that the document never had is a mistake, and nothing to try again for.
    let elsewhere = db.commit(vec![Write::set(path("users/b"), fields! {})]).await.unwrap().unwrap().time;
    assert!(matches!(db.commit(vec![set(elsewhere)]).await, Err(StoreError::InvalidArgument(_))));
    assert_eq!(db.get(&at).await.unwrap().unwrap().update_time, second);
    // Both mean the time before the commit.
    let third = db.commit(vec![set(second), set(second)]).await.unwrap().unwrap().time;
    db.commit(vec![Write::delete(at.clone()).when(Precondition::UpdatedAt(third))]).await.unwrap();
    assert_eq!(db.get(&at).await.unwrap(), None);
}

pub async fn a_commit_is_all_or_nothing(db: Database) {
    let (a, b, c) = (path("users/a"), path("other/b"), path("users/a/runs/c"));
    db.commit(vec![Write::set(b.clone(), fields! {"x" => 1})]).await.unwrap();
    let writes = vec![
        Write::set(a.clone(), fields! {"x" => 1}),
        Write::delete(b.clone()),
        Write::update(c.clone(), fields! {"x" => 1}),
    ];
    assert!(is_conflict(db.commit(writes).await));
    let found = db.get_all(&[a.clone(), b.clone(), c.clone()]).await.unwrap();
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
    let writes = vec![
        Write::set(a.clone(), fields! {"x" => 1}),
        Write::delete(b.clone()),
        Write::create(c.clone(), fields! {"x" => 1}),
    ];
    let time = db.commit(writes).await.unwrap().unwrap().time;
    let found = db.get_all(&[a, b, c]).await.unwrap();
    assert_eq!(
        found.iter().map(|d| d.as_ref().map(|d| d.update_time)).collect::<Vec<_>>(),
        [Some(time), None, Some(time)]
    );
    assert_eq!(db.commit(vec![]).await, Ok(None));
}

pub async fn writes_of_one_commit_see_each_other(db: Database) {
    let at = path("users/a");
    let writes = vec![
        Write::create(at.clone(), fields! {"x" => 1}),
        Write::update(at.clone(), fields! {"y" => 2}),
        Write::transform(at.clone(), vec![]).with(field("x"), Transform::Increment(int(10))),
        Write::transform(at.clone(), vec![]).with(field("x"), Transform::Increment(int(10))),
    ];
    let done = db.commit(writes).await.unwrap().unwrap();
    assert_eq!(db.get(&at).await.unwrap().unwrap().fields, fields! {"x" => 21, "y" => 2});
    assert_eq!((&done.results[2].transformed[..], &done.results[3].transformed[..]), (&[int(11)][..], &[int(21)][..]));
    // What an earlier write of the commit deleted is missing for the next.
    let writes = vec![Write::delete(at.clone()), Write::update(at.clone(), fields! {"y" => 3})];
    assert!(db.commit(writes).await.is_err());
    db.commit(vec![Write::delete(at.clone()), Write::create(at.clone(), fields! {"y" => 3})]).await.unwrap();
    assert_eq!(db.get(&at).await.unwrap().unwrap().fields, fields! {"y" => 3});
    let twice =
        vec![Write::create(path("users/b"), fields! {"x" => 1}), Write::create(path("users/b"), fields! {"x" => 2})];
    assert!(db.commit(twice).await.is_err());
    assert_eq!(db.get(&path("users/b")).await.unwrap(), None);
}

pub async fn a_write_that_changes_nothing_keeps_the_update_time(db: Database) {
    let at = path("users/a");
    let fields = fields! {"x" => 1, "m" => fields! {"p" => 1}};
    let first = db.commit(vec![Write::set(at.clone(), fields.clone())]).await.unwrap().unwrap();
    let idle = [
        vec![Write::set(at.clone(), fields.clone())],
        vec![Write::update(at.clone(), fields! {"x" => 1})],
        vec![Write::merge(at.clone(), fields! {}, vec![field("absent")])],
        vec![Write::merge(at.clone(), fields! {}, vec![])],
        // There and back within one commit.
        vec![Write::set(at.clone(), fields! {"x" => 2}), Write::set(at.clone(), fields.clone())],
    ];
    for writes in idle {
        let done = db.commit(writes.clone()).await.unwrap().unwrap();
        assert!(done.time > first.time);
        for result in done.results {
            assert_eq!(result.update_time, Some(first.time), "{writes:?}");
        }
        let document = db.get(&at).await.unwrap().unwrap();
        assert_eq!((document.create_time, document.update_time), (first.time, first.time), "{writes:?}");
    }
    // An integer and an equal double are two values.
    let done = db.commit(vec![Write::update(at.clone(), fields! {"x" => 1.0})]).await.unwrap().unwrap();
    assert_eq!(done.results[0].update_time, Some(done.time));
}

pub async fn a_delete_within_a_commit_begins_the_document_anew(db: Database) {
    let at = path("users/a");
    let fields = fields! {"x" => 1};
    db.commit(vec![Write::set(at.clone(), fields.clone())]).await.unwrap();
    let anew = [
        vec![Write::delete(at.clone()), Write::create(at.clone(), fields.clone())],
        vec![Write::delete(at.clone()), Write::set(at.clone(), fields.clone())],
        vec![Write::delete(at.clone()), Write::merge(at.clone(), fields.clone(), vec![field("x")])],
    ];
    for writes in anew {
        let done = db.commit(writes.clone()).await.unwrap().unwrap();
        let document = db.get(&at).await.unwrap().unwrap();
        assert_eq!((document.create_time, document.update_time), (done.time, done.time), "{writes:?}");
        assert_eq!(done.results[1].update_time, Some(done.time));
        assert_eq!(document.fields, fields);
    }
}

pub async fn results_tell_what_the_commit_left(db: Database) {
    let (a, b, c) = (path("users/a"), path("users/b"), path("users/c"));
    let writes = vec![
        Write::set(a.clone(), fields! {"x" => 1}),
        Write::set(b.clone(), fields! {"x" => 1}),
        Write::delete(b.clone()),
        Write::delete(path("users/none")),
        Write::delete(c.clone()),
        Write::set(c.clone(), fields! {"x" => 1}),
    ];
    let done = db.commit(writes).await.unwrap().unwrap();
    // Each result speaks of its document as it is after the whole commit.
    let times: Vec<_> = done.results.iter().map(|result| result.update_time).collect();
    assert_eq!(times, [Some(done.time), None, None, None, Some(done.time), Some(done.time)]);
    assert!(done.results.iter().all(|result| result.transformed.is_empty()));
}

pub async fn many_writes_fit_one_commit(db: Database) {
    let writes = (0..1200).map(|n| Write::set(path(&format!("many/{n:04}")), fields! {"n" => n})).collect();
    let done = db.commit(writes).await.unwrap().unwrap();
    assert_eq!(done.results.len(), 1200);
    let paths: Vec<_> = (0..1200).rev().map(|n| path(&format!("many/{n:04}"))).collect();
    let found = db.get_all(&paths).await.unwrap();
    let numbers: Vec<_> = found.iter().flatten().map(|document| document.fields["n"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (0..1200).rev().collect::<Vec<_>>());
}

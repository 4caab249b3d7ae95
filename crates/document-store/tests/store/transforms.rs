//! Field transforms and what they answer.

use document_store::fields;
use document_store::{Database, Fields, StoreError, Transform, Value, Write};

use crate::{double, field, int, list, path};

const AT: &str = "users/a";

/// Applies transforms to `users/a`; gives their results and the document's fields.
async fn apply(db: &Database, transforms: Vec<(&str, Transform)>) -> (Vec<Value>, Fields) {
    let mut write = Write::transform(path(AT), vec![]);
    for (at, transform) in transforms {
        write = write.with(field(at), transform);
    }
    let done = db.commit(vec![write]).await.unwrap().unwrap();
    let document = db.get(&path(AT)).await.unwrap().unwrap();
    (done.results.into_iter().next().unwrap().transformed, document.fields)
}

async fn put(db: &Database, fields: Fields) {
    db.commit(vec![Write::set(path(AT), fields)]).await.unwrap();
}

/// Debug text tells NaN, -0 and the kinds of numbers apart.
fn text(value: impl std::fmt::Debug) -> String {
    format!("{value:?}")
}

pub async fn server_time_is_the_time_of_the_commit_in_milliseconds(db: Database) {
    let write = Write::set(path(AT), fields! {"x" => 1})
        .with(field("t"), Transform::ServerTime)
        .with(field("m.t"), Transform::ServerTime);
    let done = db.commit(vec![write]).await.unwrap().unwrap();
    let [Value::Timestamp(time), again] = &done.results[0].transformed[..] else { panic!("{done:?}") };
    assert_eq!(again, &Value::Timestamp(*time));
    assert_eq!(time.as_microsecond() % 1000, 0);
    let earlier = done.time.duration_since(*time);
    assert!(!earlier.is_negative() && earlier.as_secs() < 5, "{earlier}");
    let stored = db.get(&path(AT)).await.unwrap().unwrap().fields;
    assert_eq!(stored, fields! {"x" => 1, "t" => *time, "m" => fields! {"t" => *time}});
}

pub async fn increment_adds_integers_and_doubles(db: Database) {
    put(&db, fields! {"i" => 1, "d" => 0.5, "text" => "x", "null" => Value::Null}).await;
    let add = |by: Value| Transform::Increment(by);
    let (results, fields) = apply(
        &db,
        vec![
            ("i", add(int(2))),
            ("d", add(int(1))),
            ("text", add(int(7))),
            ("null", add(double(1.5))),
            ("missing", add(int(-3))),
            ("zero", add(int(0))),
        ],
    )
    .await;
    assert_eq!(results, [int(3), double(1.5), int(7), double(1.5), int(-3), int(0)]);
    let expected = fields! {"i" => 3, "d" => 1.5, "text" => 7, "null" => 1.5, "missing" => -3, "zero" => 0};
    assert_eq!(fields, expected);
    let (results, _) = apply(&db, vec![("i", add(double(0.25)))]).await;
    assert_eq!(results, [double(3.25)]);
    db.commit(vec![Write::delete(path(AT))]).await.unwrap();
    let (_, fields) = apply(&db, vec![("n", add(int(4)))]).await;
    assert_eq!(fields, fields! {"n" => 4}, "a transform creates a missing document");
}

pub async fn increment_stops_at_the_ends_of_the_integers(db: Database) {
    put(&db, fields! {"max" => i64::MAX, "min" => i64::MIN, "nan" => f64::NAN}).await;
    let (results, _) = apply(
        &db,
        vec![
            ("max", Transform::Increment(int(1))),
            ("min", Transform::Increment(int(-1))),
            ("nan", Transform::Increment(int(1))),
        ],
    )
    .await;
    assert_eq!(text(results), text([int(i64::MAX), int(i64::MIN), double(f64::NAN)]));
}

pub async fn maximum_and_minimum_keep_what_is_equal(db: Database) {
    put(&db, fields! {"a" => 3, "b" => 3, "c" => 3.0, "d" => -0.0, "e" => 0, "text" => "x", "n" => 5}).await;
    let (results, fields) = apply(
        &db,
        vec![
            ("a", Transform::Maximum(int(4))),
            ("b", Transform::Maximum(double(3.0))),
            ("c", Transform::Minimum(int(3))),
            ("d", Transform::Maximum(int(0))),
            ("e", Transform::Minimum(double(-0.0))),
            ("text", Transform::Minimum(int(-7))),
            ("missing", Transform::Maximum(int(-7))),
            ("n", Transform::Minimum(double(4.5))),
        ],
    )
    .await;
    let expected = [int(4), int(3), double(3.0), double(-0.0), int(0), int(-7), int(-7), double(4.5)];
    assert_eq!(text(&results), text(&expected));
    assert_eq!(text(&fields["d"]), text(double(-0.0)));
}

pub async fn nan_wins_maximum_and_minimum(db: Database) {
    put(&db, fields! {"a" => f64::NAN, "b" => f64::NAN, "c" => 1, "d" => 1}).await;
    let (results, _) = apply(
        &db,
        vec![
            ("a", Transform::Maximum(int(1))),
            ("b", Transform::Minimum(int(1))),
            ("c", Transform::Maximum(double(f64::NAN))),
            ("d", Transform::Minimum(double(f64::NAN))),
        ],
    )
    .await;
    assert_eq!(text(results), text([double(f64::NAN), double(f64::NAN), double(f64::NAN), double(f64::NAN)]));
}

pub async fn union_appends_what_the_list_lacks(db: Database) {
    put(&db, fields! {"l" => list([int(2), int(1), int(2)]), "text" => "x"}).await;
    let new = || vec![int(3), int(1), int(3), Value::from("a")];
    let (results, fields) = apply(
        &db,
        vec![("l", Transform::Union(new())), ("text", Transform::Union(new())), ("missing", Transform::Union(vec![]))],
    )
    .await;
    assert_eq!(results, [Value::Null, Value::Null, Value::Null]);
    let expected = fields! {
        "l" => list([int(2), int(1), int(2), int(3), Value::from("a")]),
        "text" => list([int(3), int(1), Value::from("a")]),
        "missing" => list([]),
    };
    assert_eq!(fields, expected);
}

pub async fn remove_takes_every_equal_value(db: Database) {
    let map = Value::Map(fields! {"p" => 1});
    put(&db, fields! {"l" => list([int(2), int(1), map.clone(), int(2), Value::Null]), "text" => "x"}).await;
    let (results, fields) = apply(
        &db,
        vec![
            ("l", Transform::Remove(vec![int(2), map, Value::Null, int(9)])),
            ("text", Transform::Remove(vec![int(1)])),
            ("missing", Transform::Remove(vec![int(1)])),
        ],
    )
    .await;
    assert_eq!(results, [Value::Null, Value::Null, Value::Null]);
    assert_eq!(fields, fields! {"l" => list([int(1)]), "text" => list([]), "missing" => list([])});
}

pub async fn equal_numbers_count_as_one_in_lists(db: Database) {
    let numbers = [int(1), double(f64::NAN), double(-0.0), Value::Map(fields! {"p" => 1})];
    put(&db, fields! {"u" => list(numbers.clone()), "r" => list(numbers)}).await;
    let others = vec![double(1.0), double(f64::NAN), int(0), Value::Map(fields! {"p" => 1.0})];
    let (_, fields) = apply(&db, vec![("u", Transform::Union(others.clone())), ("r", Transform::Remove(others))]).await;
    assert_eq!(fields["u"].as_array().unwrap().len(), 4);
    assert_eq!(fields["r"], list([]));
}

pub async fn transforms_follow_the_fields_of_their_write(db: Database) {
    put(&db, fields! {"n" => 100, "m" => 100}).await;
    let set = Write::merge(path(AT), fields! {"n" => 5}, vec![field("n"), field("m")])
        .with(field("n"), Transform::Increment(int(2)))
        .with(field("m"), Transform::Increment(int(2)))
        .with(field("n"), Transform::Maximum(int(50)));
    let done = db.commit(vec![set]).await.unwrap().unwrap();
    assert_eq!(done.results[0].transformed, [int(7), int(2), int(50)]);
    assert_eq!(db.get(&path(AT)).await.unwrap().unwrap().fields, fields! {"n" => 50, "m" => 2});
}

pub async fn transforms_reach_into_maps(db: Database) {
    put(&db, fields! {"x" => "text", "m" => fields! {"n" => 1, "o" => 2}}).await;
    let (_, fields) = apply(
        &db,
        vec![
            ("m.n", Transform::Increment(int(1))),
            ("m.p.q", Transform::Union(vec![int(1)])),
            ("x.y", Transform::Increment(int(3))),
        ],
    )
    .await;
    let expected = fields! {
        "x" => fields! {"y" => 3},
        "m" => fields! {"n" => 2, "o" => 2, "p" => fields! {"q" => list([int(1)])}},
    };
    assert_eq!(fields, expected);
}

pub async fn transforms_need_fitting_values(db: Database) {
    let nothing = || Write::transform(path(AT), vec![]);
    let refused = [
        nothing().with(field("n"), Transform::Increment(Value::from("x"))),
        nothing().with(field("n"), Transform::Maximum(Value::Null)),
        nothing().with(field("n"), Transform::Minimum(list([]))),
        nothing().with(field("m"), Transform::ServerTime).with(field("m.n"), Transform::ServerTime),
    ];
    for write in refused {
        let outcome = db.commit(vec![write.clone()]).await;
        assert!(matches!(outcome, Err(StoreError::InvalidArgument(_))), "{write:?}: {outcome:?}");
    }
    assert_eq!(db.get(&path(AT)).await.unwrap(), None);
}

pub async fn a_transform_that_changes_nothing_keeps_the_update_time(db: Database) {
    let fields = fields! {"n" => 1, "l" => list([int(1)])};
    let first = db.commit(vec![Write::set(path(AT), fields)]).await.unwrap().unwrap();
    let write = Write::transform(path(AT), vec![])
        .with(field("n"), Transform::Increment(int(0)))
        .with(field("n"), Transform::Maximum(int(0)))
        .with(field("l"), Transform::Union(vec![int(1)]))
        .with(field("l"), Transform::Remove(vec![int(2)]));
    let done = db.commit(vec![write]).await.unwrap().unwrap();
    assert_eq!(done.results[0].update_time, Some(first.time));
    assert_eq!(db.get(&path(AT)).await.unwrap().unwrap().update_time, first.time);
}

//! What the store refuses.

use document_store::fields;
use document_store::{
    Cursor, Database, Direction, FieldOp, FieldPath, Fields, Filter, Query, StoreError, Value, Write,
};

use crate::{int, list, path};

async fn set(db: &Database, fields: Fields) -> Result<(), StoreError> {
    db.commit(vec![Write::set(path("users/a"), fields)]).await.map(drop)
}

fn is_refused<T>(outcome: Result<T, StoreError>) -> bool {
    matches!(outcome, Err(StoreError::InvalidArgument(_)))
}

pub async fn a_document_holds_a_mebibyte(db: Database) {
    let halves = |size: usize| fields! {"m" => "x".repeat(size), "n" => "x".repeat(size)};
    set(&db, halves(524_200)).await.unwrap();
    assert!(is_refused(set(&db, halves(524_300)).await));
    let small = Write::set(path("users/b"), fields! {"x" => 1});
    let large = Write::set(path("users/c"), halves(600_000));
    assert!(is_refused(db.commit(vec![small, large]).await));
    assert_eq!(db.get(&path("users/b")).await.unwrap(), None);
    // Growing by a merge counts what is there already.
    let more = Write::merge(path("users/a"), fields! {"o" => "x".repeat(1000)}, vec![FieldPath::top("o")]);
    assert!(is_refused(db.commit(vec![more]).await));
}

pub async fn a_string_has_its_own_limit(db: Database) {
    set(&db, fields! {"m" => "x".repeat(1_048_487)}).await.unwrap();
    assert!(is_refused(set(&db, fields! {"m" => "x".repeat(1_048_488)}).await));
}

pub async fn lists_hold_no_lists(db: Database) {
    assert!(is_refused(set(&db, fields! {"l" => list([list([])])}).await));
    assert!(is_refused(set(&db, fields! {"m" => fields! {"l" => list([list([int(1)])])}}).await));
    set(&db, fields! {"l" => list([Value::Map(fields! {"l" => list([int(1)])})])}).await.unwrap();
}

pub async fn some_field_names_are_refused(db: Database) {
    for name in ["__x__", "", &"n".repeat(1501)] {
        assert!(is_refused(set(&db, fields! {name => 1}).await), "{name:?}");
        assert!(is_refused(set(&db, fields! {"m" => fields! {name => 1}}).await), "nested {name:?}");
    }
    set(&db, fields! {"__x" => 1, "_" => 1, "n".repeat(1500) => 1}).await.unwrap();
}

pub async fn values_out_of_range_are_refused(db: Database) {
    let point = |latitude, longitude| Value::GeoPoint { latitude, longitude };
    let values = [
        point(90.5, 0.0),
        point(0.0, -180.5),
        point(f64::NAN, 0.0),
        Value::Reference("nonsense".to_owned()),
        Value::Reference("projects/p/databases/d/documents/users".to_owned()),
        Value::Timestamp("0000-12-31T23:59:59Z".parse().unwrap()),
    ];
    for value in values {
        let outcome = set(&db, fields! {"x" => value.clone()}).await;
        assert!(is_refused(outcome.clone()), "{value:?}: {outcome:?}");
    }
}

pub async fn malformed_queries_are_refused(db: Database) {
    let users = || Query::collection("users");
    let queries = [
        users().filter("x", FieldOp::In, list([])),
        users().filter("x", FieldOp::In, int(1)),
        users().filter("x", FieldOp::NotIn, list([])),
        users().filter("x", FieldOp::ArrayContainsAny, list([])),
        users().and(Filter::Or(vec![])),
        users().equal("__name__", "text"),
        // A cursor's values are those of the order that the query states.
        users().start_after(vec![db.reference(&path("users/a"))]),
        users().order_by("x", Direction::Ascending).start_after(vec![int(1), int(2), int(3)]),
        Query { end: Some(Cursor { values: vec![int(1), int(2)], before: true }), ..users() },
        Query {
            filter: Some(Filter::Field { path: FieldPath::top(""), op: FieldOp::Equal, value: int(1) }),
            ..users()
        },
        Query::collection("users/u1"),
        Query::collection(""),
    ];
    for query in queries {
        let outcome = db.query(query.clone()).await;
        assert!(is_refused(outcome.clone()), "{query:?}: {outcome:?}");
        assert!(is_refused(db.count(query).await));
    }
}

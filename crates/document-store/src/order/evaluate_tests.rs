//! The answers are the Firestore emulator's.

use super::*;
use crate::fields;
use crate::{DocPath, FieldOp, Filter, StoreError, Timestamp, UnaryOp};

const ROOT: &str = "projects/p/databases/d/documents";

fn documents() -> Vec<Document> {
    let document = |path: &str, fields| Document {
        path: DocPath::new(path).unwrap(),
        fields,
        create_time: Timestamp::UNIX_EPOCH,
        update_time: Timestamp::UNIX_EPOCH,
    };
    let list = |items: &[i64]| Value::Array(items.iter().copied().map(Value::Integer).collect());
    vec![
        document("x/y/c/s2", fields! { "a" => 1 }),
        document("c/d8", fields! { "l" => list(&[2, 3]), "a" => Value::Null }),
        document("c/d1", fields! { "a" => 1, "b" => 1 }),
        document("c/d1/c/s1", fields! { "a" => 9 }),
        document("c/d2", fields! { "a" => 1, "b" => 2 }),
        document("c/d3", fields! { "a" => 2, "b" => 1 }),
        document("c/d4", fields! { "a" => 2 }),
        document("c/d5", fields! { "b" => 5 }),
        document("c/d6", fields! { "a" => 3, "b" => 0, "m" => fields! { "x" => 1 } }),
        document("c/d7", fields! { "a" => "s", "b" => 1, "l" => list(&[1, 2]) }),
    ]
}

fn ids(query: Query) -> Result<String> {
    let found = evaluate(query, ROOT, documents())?;
    Ok(found.iter().map(Document::id).collect::<Vec<_>>().join(" "))
}

fn c() -> Query {
    Query::collection("c")
}

fn reference(path: &str) -> Value {
    Value::Reference(format!("{ROOT}/{path}"))
}

const UP: Direction = Direction::Ascending;
const DOWN: Direction = Direction::Descending;

#[test]
fn the_implied_order_is_the_emulators() {
    let above = |path: &str| Filter::field(path, FieldOp::GreaterThan, 0);
    let cases = [
        (c(), "d1 d2 d3 d4 d5 d6 d7 d8"),
        (c().and(above("a")), "d1 d2 d3 d4 d6"),
        (c().and(above("b")).and(above("a")), "d1 d2 d3"),
        (c().and(above("a")).order_by("b", UP), "d6 d1 d3 d2"),
        (c().order_by("b", DOWN), "d5 d2 d7 d3 d1 d6"),
        (c().and(above("b")).order_by("a", DOWN), "d7 d3 d2 d1"),
        (c().filter("a", FieldOp::NotEqual, 1), "d3 d4 d6 d7"),
        (c().filter("a", FieldOp::NotIn, vec![Value::Integer(1)]), "d3 d4 d6 d7"),
        (c().and(Filter::Unary { path: FieldPath::top("a"), op: UnaryOp::IsNotNull }), "d1 d2 d3 d4 d6 d7"),
        (
            c().and(Filter::Or(vec![
                Filter::field("a", FieldOp::GreaterThan, 1),
                Filter::field("b", FieldOp::GreaterThan, 1),
            ])),
            "d2 d3 d6",
        ),
        (c().filter("a", FieldOp::In, vec![Value::Integer(2), Value::Integer(1)]).order_by("a", DOWN), "d4 d3 d2 d1"),
        (Query::group("c").and(above("a")), "d1 d2 s2 d3 d4 d6 s1"),
        (Query::group("c"), "d1 s1 d2 d3 d4 d5 d6 d7 d8 s2"),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(query.clone()).unwrap(), expected, "{query:?}");
    }
}

#[test]
fn cursors_are_positions_in_the_said_order() {
    let by_a = || c().order_by("a", UP);
    let at = |mut query: Query, start: Option<(Vec<Value>, bool)>, end: Option<(Vec<Value>, bool)>| {
        let cursor = |(values, before)| Cursor { values, before };
        query.start = start.map(cursor);
        query.end = end.map(cursor);
        ids(query)
    };
    let two = || vec![Value::Integer(2)];
    assert_eq!(at(by_a(), Some((two(), true)), None).unwrap(), "d3 d4 d6 d7");
    assert_eq!(at(by_a(), Some((two(), false)), None).unwrap(), "d6 d7");
    assert_eq!(at(by_a(), None, Some((two(), true))).unwrap(), "d8 d1 d2");
    assert_eq!(at(by_a(), None, Some((two(), false))).unwrap(), "d8 d1 d2 d3 d4");
    assert_eq!(at(by_a(), Some((vec![], false)), None).unwrap(), "");
    let by_name = || c().order_by("__name__", UP);
    assert_eq!(at(by_name(), Some((vec![reference("c/d1/c/d1")], false)), None).unwrap(), "d2 d3 d4 d5 d6 d7 d8");
    assert_eq!(at(by_name(), Some((vec![reference("b/z")], false)), None).unwrap(), "d1 d2 d3 d4 d5 d6 d7 d8");
    for (query, values) in [(by_a(), vec![2.into(), reference("c/d3")]), (c(), two()), (by_name(), vec!["d3".into()])] {
        assert!(matches!(at(query, Some((values, true)), None), Err(StoreError::InvalidArgument(_))));
    }
}

#[test]
fn a_projection_keeps_what_was_asked_for() {
    let found = evaluate(c().select(&["m.x", "a"]), ROOT, documents()).unwrap();
    assert_eq!(found[5].fields, fields! { "a" => 3, "m" => fields! { "x" => 1 } });
    assert_eq!(found[4].fields, Fields::new());
    let names = evaluate(c().select(&[]).limit(2), ROOT, documents()).unwrap();
    assert!(names.iter().all(|document| document.fields.is_empty()));
    let mut page = c().order_by("a", UP).limit(2);
    page.offset = 3;
    assert_eq!(ids(page).unwrap(), "d3 d4");
    assert_eq!(ids(c().limit(0)).unwrap(), "");
}

#[test]
fn what_firestore_refuses_is_refused() {
    let numbers = |n: i64| Value::Array((0..n).map(Value::Integer).collect());
    let not_equal = |path: &str| Filter::field(path, FieldOp::NotEqual, 1);
    let contains = |n: i64| Filter::field("l", FieldOp::ArrayContains, n);
    let bad = [
        c().filter("a", FieldOp::In, numbers(31)),
        c().filter("a", FieldOp::In, numbers(0)),
        c().filter("a", FieldOp::In, 1),
        c().filter("a", FieldOp::NotIn, numbers(11)),
        c().filter("a", FieldOp::In, numbers(6)).filter("b", FieldOp::In, numbers(6)),
        c().and(not_equal("a")).and(not_equal("b")),
        c().and(contains(1)).and(contains(2)),
        c().and(Filter::Or(vec![Filter::field("a", FieldOp::NotIn, numbers(1)), contains(1)])),
        c().and(Filter::Or(vec![])),
        c().order_by("a", UP).order_by("a", DOWN),
        c().order_by("__name__", UP).order_by("a", UP),
        c().order_by("__name__", UP).filter("a", FieldOp::GreaterThan, 1),
        c().equal("__name__", "d3"),
        c().equal("__name__", Value::Reference("projects/q/databases/d/documents/c/d1".into())),
        c().filter("__name__", FieldOp::GreaterThan, reference("c")),
        c().filter("__name__", FieldOp::ArrayContains, reference("c/d1")),
        c().equal("__x__", 1),
        Query::collection("c/d"),
        Query::group("c/d/e"),
        Query::group("__x__"),
    ];
    for query in bad {
        assert!(matches!(ids(query.clone()), Err(StoreError::InvalidArgument(_))), "{query:?}");
    }
}

//! Queries through indexes return what the definition says, and read no more than they must.

use proptest::prelude::*;

use super::*;
use crate::fields;
use crate::order::evaluate;
use crate::{Cursor, Direction, FieldOp, Fields, Filter, UnaryOp, Value};

const INDEXES: &str = r#"{"indexes": [
    {"collectionGroup":"c","queryScope":"COLLECTION","fields":[
        {"fieldPath":"a","order":"ASCENDING"},{"fieldPath":"b","order":"ASCENDING"}]},
    {"collectionGroup":"c","queryScope":"COLLECTION","fields":[
        {"fieldPath":"a","order":"ASCENDING"},{"fieldPath":"b","order":"DESCENDING"}]},
    {"collectionGroup":"c","queryScope":"COLLECTION","fields":[
        {"fieldPath":"l","arrayConfig":"CONTAINS"},{"fieldPath":"m.x","order":"ASCENDING"}]},
    {"collectionGroup":"c","queryScope":"COLLECTION_GROUP","fields":[
        {"fieldPath":"l","arrayConfig":"CONTAINS"},{"fieldPath":"a","order":"DESCENDING"}]}
  ],
  "fieldOverrides": [
    {"collectionGroup":"c","fieldPath":"a","indexes":[{"order":"ASCENDING","queryScope":"COLLECTION_GROUP"},
        {"order":"ASCENDING","queryScope":"COLLECTION"}]},
    {"collectionGroup":"c","fieldPath":"b","indexes":[{"order":"DESCENDING","queryScope":"COLLECTION"}]},
    {"collectionGroup":"c","fieldPath":"l","indexes":[{"arrayConfig":"CONTAINS","queryScope":"COLLECTION_GROUP"},
        {"arrayConfig":"CONTAINS","queryScope":"COLLECTION"}]}
  ]}"#;

fn small_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (0_i64..3).prop_map(Value::Integer),
        1 => Just(Value::Double(1.0)),
        1 => Just(Value::Double(f64::NAN)),
        1 => Just(Value::Null),
        2 => "[a-b]{0,1}".prop_map(Value::String),
        1 => any::<bool>().prop_map(Value::Boolean),
        1 => Just(Value::Array(vec![Value::Null])),
    ]
}

fn document_fields() -> impl Strategy<Value = Fields> {
    let list = proptest::collection::vec(small_value().prop_filter("flat", |v| v.as_array().is_none()), 0..3);
    let part = |value| proptest::option::weighted(0.8, value);
    (part(small_value()), part(small_value()), part(small_value()), proptest::option::weighted(0.7, list)).prop_map(
        |(a, b, x, l)| {
            let mut fields = Fields::new();
            let named = [("a", a), ("b", b), ("m", x.map(|x| fields! { "x" => x }.into())), ("l", l.map(Value::Array))];
            for (name, value) in named {
                fields.extend(value.map(|value| (name.to_owned(), value)));
            }
            fields
        },
    )
}

fn any_path() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "c/[a-e]".prop_map(|path| path),
        2 => "c/[a-b]/c/[a-c]".prop_map(|path| path),
        2 => "x/[a-b]/c/[a-c]".prop_map(|path| path),
        1 => "d/[a-b]".prop_map(|path| path),
    ]
}

fn reference() -> impl Strategy<Value = Value> {
    any_path().prop_map(|path| Value::Reference(format!("{ROOT}/{path}")))
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let path = || prop_oneof![3 => Just("a"), 3 => Just("b"), 1 => Just("m.x")];
    let comparison = prop_oneof![
        4 => Just(FieldOp::Equal),
        1 => Just(FieldOp::LessThan),
        1 => Just(FieldOp::LessThanOrEqual),
        1 => Just(FieldOp::GreaterThan),
        1 => Just(FieldOp::GreaterThanOrEqual),
        1 => Just(FieldOp::NotEqual),
    ];
    let name_op = prop_oneof![
        Just(FieldOp::Equal),
        Just(FieldOp::LessThan),
        Just(FieldOp::LessThanOrEqual),
        Just(FieldOp::GreaterThan),
        Just(FieldOp::GreaterThanOrEqual),
    ];
    let values = || proptest::collection::vec(small_value(), 1..4);
    let unary =
        prop_oneof![Just(UnaryOp::IsNull), Just(UnaryOp::IsNan), Just(UnaryOp::IsNotNull), Just(UnaryOp::IsNotNan)];
    let leaf = prop_oneof![
        5 => (path(), comparison, small_value()).prop_map(|(path, op, value)| Filter::field(path, op, value)),
        2 => (path(), values()).prop_map(|(path, values)| Filter::field(path, FieldOp::In, values)),
        1 => (path(), values()).prop_map(|(path, values)| Filter::field(path, FieldOp::NotIn, values)),
        2 => small_value().prop_map(|value| Filter::field("l", FieldOp::ArrayContains, value)),
        2 => values().prop_map(|values| Filter::field("l", FieldOp::ArrayContainsAny, values)),
        1 => (path(), unary).prop_map(|(path, op)| Filter::Unary { path: FieldPath::dotted(path), op }),
        1 => (name_op, reference()).prop_map(|(op, value)| Filter::field("__name__", op, value)),
    ];
    prop_oneof![
        9 => leaf.clone(),
        1 => proptest::collection::vec(leaf, 1..3).prop_map(Filter::Or),
    ]
}

fn any_query() -> impl Strategy<Value = Query> {
    let from = prop_oneof![
        3 => Just(Query::collection("c")),
        1 => Just(Query::collection("x/a/c")),
        2 => Just(Query::group("c")),
    ];
    let direction = || prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
    let order = proptest::collection::vec(
        (prop_oneof![Just("a"), Just("b"), Just("m.x"), Just("__name__")], direction()),
        0..3,
    );
    let cursor = || {
        proptest::option::weighted(
            0.3,
            (proptest::collection::vec(small_value(), 3), reference(), 1_usize..4, any::<bool>()),
        )
    };
    (
        from,
        proptest::collection::vec(any_filter(), 0..3),
        order,
        cursor(),
        cursor(),
        0_u32..3,
        proptest::option::of(0_u32..4),
    )
        .prop_map(|(mut query, filters, order, start, end, offset, limit)| {
            for filter in filters {
                query = query.and(filter);
            }
            for (path, direction) in order {
                query = query.order_by(path, direction);
            }
            let cursor = |values: Vec<Value>, name: Value, length: usize, before: bool| Cursor {
                values: query
                    .order
                    .iter()
                    .zip(values)
                    .take(length)
                    .map(|((path, _), value)| if path.is_name() { name.clone() } else { value })
                    .collect(),
                before,
            };
            let start = start.map(|(values, name, length, before)| cursor(values, name, length, before));
            let end = end.map(|(values, name, length, before)| cursor(values, name, length, before));
            Query { start, end, offset, limit, ..query }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Documents come, change and go; then every query must return what the definition says of the
    /// documents that are there, in the same order, and count as many.
    #[test]
    fn an_indexed_query_returns_what_a_scan_does(
        writes in proptest::collection::vec((any_path(), proptest::option::weighted(0.9, document_fields())), 1..40),
        queries in proptest::collection::vec(any_query(), 60),
    ) {
        runtime().block_on(async {
            let store = fixture(INDEXES, &[]);
            for chunk in writes.chunks(5) {
                let commit = chunk.iter().map(|(path, fields)| match fields {
                    Some(fields) => Write::set(doc(path), fields.clone()),
                    None => Write::delete(doc(path)),
                });
                store.commit(commit.collect()).await.unwrap();
            }
            let paths: BTreeSet<_> = writes.iter().map(|(path, _)| doc(path)).collect();
            let paths: Vec<_> = paths.into_iter().collect();
            let documents: Vec<_> =
                store.get_all(&paths, None).await.unwrap().into_iter().flatten().collect();
            for query in queries {
                let Ok(expected) = evaluate(query.clone(), ROOT, documents.clone()) else { continue };
                let show = |found: &[Document]| format!("{:?}", found.iter().map(|d| d.path.clone()).collect::<Vec<_>>());
                let found = store.all(query.clone()).await;
                assert_eq!(show(&found), show(&expected), "{query:?} {:?}", store.plan(&query));
                let count = store.count(query.clone()).await.unwrap();
                assert_eq!(count, expected.len() as u64, "{query:?} {:?}", store.plan(&query));
            }
        });
    }
}

#[tokio::test]
async fn pages_through_several_values_seek_and_skip_doubles() {
    let store = fixture(INDEXES, &[]);
    let list = |items: &[i64]| Value::Array(items.iter().copied().map(Value::Integer).collect());
    let writes =
        (0..1000_i64).map(|n| Write::set(doc(&format!("c/{n:04}")), fields! { "l" => list(&[n % 2, n % 3, n % 7]) }));
    store.commit(writes.collect()).await.unwrap();
    let wanted = Value::Array(vec![Value::Integer(1), Value::Integer(5)]);
    let query = || {
        Query::collection("c")
            .filter("l", FieldOp::ArrayContainsAny, wanted.clone())
            .order_by("__name__", Direction::Ascending)
    };
    let plan = store.plan(&query().limit(10)).unwrap();
    assert_eq!(plan.index(), Some("collection c: l contains, __name__ asc"));
    assert!(plan.is_ordered() && !plan.is_scan());
    let expected: Vec<_> = (0..1000)
        .filter(|n| [n % 2, n % 3, n % 7].iter().any(|m| *m == 1 || *m == 5))
        .map(|n| format!("{n:04}"))
        .collect();
    let mut found = Vec::new();
    loop {
        let mut page = query().limit(64);
        if let Some(last) = found.last() {
            page = page.start_after(vec![Value::Reference(format!("{ROOT}/c/{last}"))]);
        }
        let ids = store.ids(page).await;
        if ids.is_empty() {
            break;
        }
        found.extend(ids);
    }
    assert_eq!(found, expected);
    assert_eq!(store.count(query()).await.unwrap(), expected.len() as u64);
    assert!(store.scans().is_empty());
}

#[tokio::test]
async fn a_stream_is_one_snapshot_and_holds_up_nobody() {
    let store = fixture("{}", &[]);
    let writes = (0..2000).map(|n| Write::set(doc(&format!("c/{n:04}")), fields! { "n" => n }));
    store.commit(writes.collect()).await.unwrap();
    // More streams than readers, each of them begun and none read to its end.
    let mut streams: Vec<_> = (0..10).map(|_| store.query(Query::collection("c"))).collect();
    for stream in &mut streams {
        assert!(stream.try_next().await.unwrap().is_some());
    }
    store.commit((0..2000).map(|n| Write::delete(doc(&format!("c/{n:04}")))).collect()).await.unwrap();
    assert_eq!(store.count(Query::collection("c")).await.unwrap(), 0);
    for stream in streams {
        let rest: Vec<_> = stream.try_collect().await.unwrap();
        assert_eq!(rest.len(), 1999);
    }
}

#[tokio::test]
async fn plans_use_what_is_declared_and_tell_what_is_not() {
    let store = fixture(INDEXES, &[]);
    let plan = |query: Query| store.plan(&query).unwrap();
    let c = || Query::collection("c");
    let range = plan(c().equal("a", 1).filter("b", FieldOp::GreaterThan, 1));
    assert_eq!(range.index(), Some("collection c: a asc, b asc, __name__ asc"));
    assert!(range.is_ordered() && range.covered);
    let descending = plan(c().equal("a", 1).order_by("b", Direction::Descending));
    assert!(descending.is_ordered() && descending.covered);
    let group = plan(Query::group("c").filter("l", FieldOp::ArrayContains, 1).filter("a", FieldOp::LessThan, 3));
    assert_eq!(group.index(), Some("group c: l contains, a desc, __name__ desc"));
    assert!(group.is_ordered() && group.covered, "it is read backwards");
    let residual = plan(c().equal("a", 1).equal("z", 1));
    assert!(residual.index().is_some() && !residual.covered && !residual.is_scan());
    let in_order = plan(c().equal("a", 1).order_by("__name__", Direction::Descending));
    assert!(in_order.is_ordered() && in_order.covered);
    assert!(plan(c().equal("z", 1)).is_scan());
    assert!(plan(Query::group("c").equal("z", 1)).is_scan());
    assert!(!plan(c()).is_scan() && plan(c()).covered && plan(c()).is_ordered());
    let by_name = plan(c().equal("__name__", Value::Reference(format!("{ROOT}/c/x"))));
    assert!(!by_name.is_scan());
    assert!(matches!(store.plan(&c().equal("__x__", 1)), Err(StoreError::InvalidArgument(_))));
}

//! Queries.

use document_store::fields;
use document_store::{
    Cursor, Database, Direction, FieldOp, FieldPath, Fields, Filter, Query, StoreError, UnaryOp, Value, Write,
};

use crate::{double, field, int, list, path};

use Direction::{Ascending, Descending};

/// Puts a document `x/NAME` for each entry.
async fn fill(db: &Database, documents: impl IntoIterator<Item = (&str, Fields)>) {
    let writes = documents.into_iter().map(|(id, fields)| Write::set(path(&format!("x/{id}")), fields)).collect();
    db.commit(writes).await.unwrap();
}

/// The IDs of the query's results, in order, separated by spaces.
async fn ids(db: &Database, query: Query) -> String {
    let found = db.query(query.clone()).await.unwrap_or_else(|error| panic!("{query:?}: {error}"));
    found.iter().map(|document| document.id()).collect::<Vec<_>>().join(" ")
}

fn all() -> Query {
    Query::collection("x")
}

pub async fn each_operator_finds_its_documents(db: Database) {
    fill(
        &db,
        [
            ("a", fields! {"n" => 1, "l" => list([int(1), int(2)])}),
            ("b", fields! {"n" => 2, "l" => list([int(3)])}),
            ("c", fields! {"n" => 2.5, "l" => list([])}),
            ("d", fields! {"n" => 3, "l" => "2"}),
            ("e", fields! {"n" => Value::Null}),
            ("f", fields! {"other" => 1}),
        ],
    )
    .await;
    let numbers = || list([int(1), double(3.0), int(7)]);
    let table = [
        ("n", FieldOp::LessThan, int(2), "a"),
        ("n", FieldOp::LessThanOrEqual, int(2), "a b"),
        ("n", FieldOp::GreaterThan, int(2), "c d"),
        ("n", FieldOp::GreaterThanOrEqual, int(2), "b c d"),
        ("n", FieldOp::Equal, int(2), "b"),
        ("n", FieldOp::Equal, double(2.0), "b"),
        ("n", FieldOp::NotEqual, int(2), "a c d"),
        ("n", FieldOp::In, numbers(), "a d"),
        ("n", FieldOp::NotIn, numbers(), "b c"),
        ("l", FieldOp::ArrayContains, int(2), "a"),
        ("l", FieldOp::ArrayContains, double(3.0), "b"),
        ("l", FieldOp::ArrayContainsAny, numbers(), "a b"),
        ("l", FieldOp::Equal, list([int(1), double(2.0)]), "a"),
        ("l", FieldOp::NotEqual, list([]), "d a b"),
    ];
    for (at, op, value, expected) in table {
        assert_eq!(ids(&db, all().filter(at, op, value.clone())).await, expected, "{at} {op:?} {value:?}");
    }
}

pub async fn comparisons_stay_within_one_type(db: Database) {
    fill(
        &db,
        [
            ("a", fields! {"v" => 1}),
            ("b", fields! {"v" => "1"}),
            ("c", fields! {"v" => true}),
            ("d", fields! {"v" => Value::Bytes(vec![1])}),
            ("e", fields! {"v" => f64::NAN}),
            ("f", fields! {"v" => list([int(1)])}),
            ("g", fields! {"v" => fields! {"p" => 1}}),
        ],
    )
    .await;
    assert_eq!(ids(&db, all().filter("v", FieldOp::GreaterThan, int(0))).await, "a");
    assert_eq!(ids(&db, all().filter("v", FieldOp::LessThan, int(9))).await, "a", "NaN is below no number");
    assert_eq!(ids(&db, all().filter("v", FieldOp::GreaterThanOrEqual, "")).await, "b");
    assert_eq!(ids(&db, all().filter("v", FieldOp::GreaterThanOrEqual, false)).await, "c");
    assert_eq!(ids(&db, all().filter("v", FieldOp::LessThan, Value::Bytes(vec![2]))).await, "d");
    assert_eq!(ids(&db, all().filter("v", FieldOp::GreaterThanOrEqual, list([]))).await, "f");
    assert_eq!(ids(&db, all().filter("v", FieldOp::GreaterThan, Fields::new())).await, "g");
    assert_eq!(ids(&db, all().filter("v", FieldOp::NotEqual, int(1))).await, "c e b d f g");
}

pub async fn unary_filters_test_for_null_and_nan(db: Database) {
    fill(
        &db,
        [
            ("a", fields! {"v" => 1}),
            ("b", fields! {"v" => Value::Null}),
            ("c", fields! {"v" => f64::NAN}),
            ("d", fields! {"v" => "x"}),
            ("e", fields! {}),
        ],
    )
    .await;
    let unary = |op| all().and(Filter::Unary { path: field("v"), op });
    assert_eq!(ids(&db, unary(UnaryOp::IsNull)).await, "b");
    assert_eq!(ids(&db, unary(UnaryOp::IsNan)).await, "c");
    assert_eq!(ids(&db, unary(UnaryOp::IsNotNull)).await, "c a d");
    assert_eq!(ids(&db, unary(UnaryOp::IsNotNan)).await, "a d");
    assert_eq!(ids(&db, all().equal("v", Value::Null)).await, "b");
    assert_eq!(ids(&db, all().equal("v", f64::NAN)).await, "c");
    assert_eq!(ids(&db, all().filter("v", FieldOp::NotEqual, Value::Null)).await, "c a d");
}

pub async fn and_and_or_nest(db: Database) {
    let documents = (0..16_i64).map(|n| {
        let fields = fields! {"p" => n & 1, "q" => (n >> 1) & 1, "r" => (n >> 2) & 1, "s" => (n >> 3) & 1};
        Write::set(path(&format!("x/{n:02}")), fields)
    });
    db.commit(documents.collect()).await.unwrap();
    let is = |at: &str, n: i64| Filter::field(at, FieldOp::Equal, n);
    let either = Filter::Or(vec![is("p", 1), Filter::And(vec![is("q", 1), is("r", 1)])]);
    let query = all().and(either).equal("s", 1);
    assert_eq!(ids(&db, query).await, "09 11 13 14 15");
    let nested = Filter::And(vec![
        Filter::Or(vec![is("p", 1), is("q", 1)]),
        Filter::Or(vec![is("r", 1), is("s", 1)]),
        Filter::field("p", FieldOp::NotEqual, 1),
    ]);
    assert_eq!(ids(&db, all().and(nested)).await, "06 10 14");
    let overlapping = Filter::Or(vec![is("p", 1), is("p", 1), Filter::field("p", FieldOp::In, list([int(1), int(7)]))]);
    assert_eq!(ids(&db, all().and(overlapping).equal("q", 0).equal("r", 0)).await, "01 09", "each result comes once");
}

/// One document for each value, in the order in which Firestore sorts them; equal neighbours share
/// a letter.
fn ordered_values(db: &Database) -> Vec<(&'static str, Value)> {
    let time = |text: &str| Value::Timestamp(text.parse().unwrap());
    let reference = |text: &str| Value::Reference(format!("projects/demo/databases/(default)/documents/{text}"));
    vec![
        ("a", Value::Null),
        ("b", Value::Boolean(false)),
        ("c", Value::Boolean(true)),
        ("d", double(f64::NAN)),
        ("e", double(f64::NEG_INFINITY)),
        ("f", int(i64::MIN)),
        ("g", double(-1.5)),
        ("h0", int(0)),
        ("h1", double(-0.0)),
        ("i", double(5e-324)),
        ("j0", double(1.0)),
        ("j1", int(1)),
        // Compared exactly, although the first two are one double, and so are the others.
        ("k", double(9_007_199_254_740_992.0)),
        ("ka", int((1 << 53) + 1)),
        ("kb", int(i64::MAX)),
        ("kc", double(9_223_372_036_854_775_808.0)),
        ("l", double(f64::INFINITY)),
        ("m", time("1969-12-31T23:59:59Z")),
        ("n", time("2025-03-10T18:20:43.677647Z")),
        ("o", Value::from("")),
        ("p", Value::from("A")),
        ("q", Value::from("a")),
        ("r", Value::from("a\u{0}")),
        ("s", Value::from("aa")),
        ("t", Value::from("é")),
        // By UTF-8, so U+FFFD comes before what lies beyond the basic plane.
        ("u", Value::from("\u{fffd}")),
        ("v", Value::from("🎈")),
        ("w", Value::Bytes(vec![])),
        ("x", Value::Bytes(vec![0, 255])),
        ("y", Value::Bytes(vec![1])),
        ("z", reference("a/b")),
        ("za", reference("a/b/c/d")),
        ("zb", reference("a/b-")),
        ("zc", db.reference(&path("a/a"))),
        ("zd", Value::GeoPoint { latitude: -1.0, longitude: 9.0 }),
        ("ze", Value::GeoPoint { latitude: 0.0, longitude: -1.0 }),
        ("zf", Value::GeoPoint { latitude: 0.0, longitude: 1.0 }),
        ("zg", list([])),
        ("zh", list([Value::Null])),
        ("zi", list([int(1)])),
        ("zj", list([int(1), int(0)])),
        ("zk", list([int(2)])),
        ("zl", list([Value::from("")])),
        ("zm", Value::empty_map()),
        ("zn", Value::Map(fields! {"a" => 1})),
        ("zo", Value::Map(fields! {"a" => 1, "b" => 0})),
        ("zp", Value::Map(fields! {"a" => 2})),
        ("zq", Value::Map(fields! {"b" => 0})),
    ]
}

pub async fn values_of_all_types_have_one_order(db: Database) {
    let values = ordered_values(&db);
    fill(&db, values.iter().map(|(id, value)| (*id, fields! {"v" => value.clone()}))).await;
    let upwards = values.iter().map(|(id, _)| *id).collect::<Vec<_>>().join(" ");
    assert_eq!(ids(&db, all().order_by("v", Ascending)).await, upwards);
    let downwards = values.iter().rev().map(|(id, _)| *id).collect::<Vec<_>>().join(" ");
    assert_eq!(ids(&db, all().order_by("v", Descending)).await, downwards);
    // A cursor at each value leaves what comes after; equal values stay together.
    for (index, (id, value)) in values.iter().enumerate() {
        let equal = |other: &str| id.starts_with(['h', 'j']) && other.starts_with(&id[..1]);
        let rest = values[index + 1..].iter().map(|(other, _)| *other).filter(|other| !equal(other));
        let rest = rest.collect::<Vec<_>>().join(" ");
        let query = all().order_by("v", Ascending).start_after(vec![value.clone()]);
        assert_eq!(ids(&db, query).await, rest, "after {id}");
    }
}

pub async fn documents_without_an_ordered_field_are_left_out(db: Database) {
    fill(
        &db,
        [
            ("a", fields! {"v" => 2, "w" => 1}),
            ("b", fields! {"v" => 1}),
            ("c", fields! {"v" => Value::Null, "w" => 1}),
            ("d", fields! {"w" => 1}),
            ("e", fields! {"v" => 2, "w" => 0}),
        ],
    )
    .await;
    assert_eq!(ids(&db, all()).await, "a b c d e");
    assert_eq!(ids(&db, all().order_by("v", Ascending)).await, "c b a e");
    assert_eq!(ids(&db, all().order_by("v", Descending)).await, "e a b c", "names follow the last direction");
    assert_eq!(ids(&db, all().order_by("v", Ascending).order_by("w", Ascending)).await, "c e a");
    assert_eq!(ids(&db, all().order_by("v", Descending).order_by("__name__", Ascending)).await, "a e b c");
    assert_eq!(ids(&db, all().equal("w", 1).order_by("__name__", Descending)).await, "d c a");
    assert_eq!(ids(&db, all().equal("w", 1).order_by("v", Descending)).await, "a c");
}

pub async fn inequality_fields_order_the_results(db: Database) {
    fill(
        &db,
        [
            ("a", fields! {"v" => 3, "w" => 1}),
            ("b", fields! {"v" => 1, "w" => 2}),
            ("c", fields! {"v" => 2, "w" => 3}),
            ("d", fields! {"v" => 2, "w" => 0}),
        ],
    )
    .await;
    assert_eq!(ids(&db, all().filter("v", FieldOp::GreaterThan, int(0))).await, "b c d a");
    assert_eq!(ids(&db, all().filter("v", FieldOp::NotEqual, int(1))).await, "c d a");
    let query = all().filter("v", FieldOp::LessThan, int(3)).order_by("v", Descending);
    assert_eq!(ids(&db, query).await, "d c b");
    let query = all().filter("v", FieldOp::GreaterThan, int(1)).filter("w", FieldOp::GreaterThan, int(0));
    assert_eq!(ids(&db, query).await, "c a");
}

pub async fn cursors_bound_the_results(db: Database) {
    let documents = [("a", 1), ("b", 1), ("c", 2), ("d", 2), ("e", 3)];
    fill(&db, documents.map(|(id, v)| (id, fields! {"v" => v}))).await;
    let name = |id: &str| db.reference(&path(&format!("x/{id}")));
    let cursor = |values: Vec<Value>, before| Some(Cursor { values, before });
    let by_v = || all().order_by("v", Ascending);
    let both = || by_v().order_by("__name__", Ascending);
    let table = [
        (Query { start: cursor(vec![int(2)], true), ..by_v() }, "c d e"),
        (Query { start: cursor(vec![int(2)], false), ..by_v() }, "e"),
        (Query { end: cursor(vec![int(2)], true), ..by_v() }, "a b"),
        (Query { end: cursor(vec![int(2)], false), ..by_v() }, "a b c d"),
        (Query { start: cursor(vec![int(1), name("a")], false), ..both() }, "b c d e"),
        (Query { end: cursor(vec![int(2), name("c")], false), ..both() }, "a b c"),
        (Query { start: cursor(vec![int(2)], true), ..all().order_by("v", Descending) }, "d c b a"),
        (Query { start: cursor(vec![name("b")], false), ..all().order_by("__name__", Ascending) }, "c d e"),
        (Query { start: cursor(vec![name("bb")], false), end: cursor(vec![name("d")], true), ..both_names() }, "c"),
        (Query { start: cursor(vec![Value::from("text")], true), ..by_v() }, ""),
        (Query { end: cursor(vec![Value::from("text")], true), ..by_v() }, "a b c d e"),
        (Query { start: cursor(vec![int(3)], true), end: cursor(vec![int(1)], true), ..by_v() }, ""),
    ];
    for (query, expected) in table {
        assert_eq!(ids(&db, query.clone()).await, expected, "{query:?}");
    }
}

fn both_names() -> Query {
    all().order_by("__name__", Ascending)
}

pub async fn limit_and_offset_cut_the_results(db: Database) {
    fill(&db, ["a", "b", "c", "d"].map(|id| (id, fields! {"v" => 1}))).await;
    let table = [(0, Some(2), "a b"), (1, Some(2), "b c"), (3, None, "d"), (4, Some(1), ""), (0, Some(0), "")];
    for (offset, limit, expected) in table {
        let query = Query { offset, limit, ..all() };
        assert_eq!(ids(&db, query.clone()).await, expected, "{offset} {limit:?}");
        assert_eq!(db.count(query).await.unwrap(), expected.split_whitespace().count() as u64);
    }
    assert_eq!(ids(&db, all().equal("v", 1).order_by("__name__", Descending).limit(3)).await, "d c b");
}

pub async fn projection_leaves_only_its_fields(db: Database) {
    fill(&db, [("a", fields! {"v" => 1, "w" => 2, "m" => fields! {"p" => 1, "q r" => 2}}), ("b", fields! {"v" => 1})])
        .await;
    let select = vec![field("w"), FieldPath::of(["m", "q r"])];
    let found = db.query(Query { select: Some(select), ..all() }).await.unwrap();
    assert_eq!(found[0].fields, fields! {"w" => 2, "m" => fields! {"q r" => 2}});
    assert_eq!(found[1].fields, fields! {}, "a document without the fields is found all the same");
    let names = db.query(all().select(&[])).await.unwrap();
    assert_eq!(names.iter().map(|d| (d.id(), d.fields.len())).collect::<Vec<_>>(), [("a", 0), ("b", 0)]);
    assert_eq!(names[0].update_time, found[0].update_time);
    assert_eq!(ids(&db, all().equal("v", 1).select(&["w"])).await, "a b", "filters see all fields");
}

pub async fn collection_queries_stay_in_their_collection(db: Database) {
    let at = ["users/a", "users/b", "users/a/runs/r1", "users/b/runs/r2", "users/a/runs/r1/runs/deep", "runs/r0"];
    db.commit(at.map(|at| Write::set(path(at), fields! {"v" => 1})).to_vec()).await.unwrap();
    assert_eq!(ids(&db, Query::collection("users")).await, "a b");
    assert_eq!(ids(&db, Query::collection("users/a/runs")).await, "r1");
    assert_eq!(ids(&db, Query::collection("runs").equal("v", 1)).await, "r0");
    assert_eq!(ids(&db, Query::collection("users/none/runs")).await, "");
}

pub async fn groups_reach_every_collection_of_their_id(db: Database) {
    let at =
        ["users/b/runs/r2", "users/a/runs/r1", "users/a/runs/r1/runs/deep", "runs/r0", "users/a/other/o", "users/a"];
    let writes = at.iter().enumerate().map(|(n, at)| Write::set(path(at), fields! {"v" => n as i64}));
    db.commit(writes.collect()).await.unwrap();
    assert_eq!(ids(&db, Query::group("runs")).await, "r0 r1 deep r2", "in the order of whole names");
    assert_eq!(ids(&db, Query::group("runs").filter("v", FieldOp::GreaterThan, int(0))).await, "r1 deep r0");
    assert_eq!(ids(&db, Query::group("none")).await, "");
    let after = db.reference(&path("users/a/runs/r1"));
    let query = Query::group("runs").order_by("__name__", Ascending).start_after(vec![after.clone()]);
    assert_eq!(ids(&db, query).await, "deep r2");
    assert_eq!(ids(&db, Query::group("runs").equal("__name__", after)).await, "r1");
    assert_eq!(db.count(Query::group("runs")).await.unwrap(), 4);
}

pub async fn pages_by_name_cover_an_array_query_once(db: Database) {
    let user = |n: i64| {
        let fields = fields! {"orgs" => list([Value::from(["x", "y", "z"][(n % 3) as usize]), Value::from("w")])};
        Write::set(path(&format!("users/u{n:03}")), fields)
    };
    db.commit((0..50).map(user).collect()).await.unwrap();
    let matching = Query::collection("users")
        .filter("orgs", FieldOp::ArrayContainsAny, Value::strings(["x", "z", "w"]))
        .order_by("__name__", Ascending)
        .limit(7);
    let mut page = db.query(matching.clone()).await.unwrap();
    let mut seen = Vec::new();
    while let Some(last) = page.last() {
        let after = db.reference(&last.path);
        seen.extend(page.iter().map(|document| document.id().to_owned()));
        page = db.query(matching.clone().start_after(vec![after])).await.unwrap();
    }
    assert_eq!(seen, (0..50).map(|n| format!("u{n:03}")).collect::<Vec<_>>());
}

pub async fn count_agrees_with_the_query(db: Database) {
    let writes = (0..30).map(|n| Write::set(path(&format!("x/{n:02}")), fields! {"v" => n % 4}));
    db.commit(writes.collect()).await.unwrap();
    let cursor = Cursor { values: vec![int(1)], before: false };
    let queries = [
        all(),
        all().equal("v", 3),
        all().equal("v", 9),
        all().filter("v", FieldOp::NotEqual, int(0)).limit(5),
        all().order_by("missing", Ascending),
        Query { start: Some(cursor), ..all().order_by("v", Ascending) },
        Query { offset: 28, ..all() },
        all().filter("v", FieldOp::In, list([int(0), int(1)])),
    ];
    for query in queries {
        let found = db.query(query.clone()).await.unwrap().len() as u64;
        assert_eq!(db.count(query.clone()).await, Ok::<_, StoreError>(found), "{query:?}");
    }
}

pub async fn nested_fields_are_found(db: Database) {
    fill(
        &db,
        [
            ("a", fields! {"m" => fields! {"p" => 1, "q r" => fields! {"s" => "x"}}}),
            ("b", fields! {"m" => fields! {"p" => 2}}),
            ("c", fields! {"m" => 1, "m.p" => 1}),
        ],
    )
    .await;
    assert_eq!(ids(&db, all().equal("m.p", 1)).await, "a");
    assert_eq!(ids(&db, all().order_by("m.p", Descending)).await, "b a");
    let deep = Filter::Field { path: FieldPath::of(["m", "q r", "s"]), op: FieldOp::Equal, value: Value::from("x") };
    assert_eq!(ids(&db, all().and(deep)).await, "a");
    let dotted = Filter::Field { path: FieldPath::top("m.p"), op: FieldOp::Equal, value: int(1) };
    assert_eq!(ids(&db, all().and(dotted)).await, "c");
    assert_eq!(ids(&db, all().equal("m", fields! {"p" => 2.0})).await, "b");
}

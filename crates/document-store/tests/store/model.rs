//! Random documents, queries and writes, out of small ranges so that they meet.

use document_store::{
    Cursor, Database, Direction, DocPath, FieldOp, FieldPath, FieldTransform, Fields, Filter, Precondition, Query,
    Scope, Transform, UnaryOp, Value, Write, WriteKind,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// The collection that random documents are in. Every case renames it, so that it begins empty.
pub const COLLECTION: &str = "C";
/// Stands for the database's root in references.
const ROOT: &str = "@";

/// IDs that sort differently as text, as bytes and as path segments.
const IDS: [&str; 8] = ["a", "a-", "aa", "b", "B", "é", "1", "b/C/x"];
const FIELDS: [&str; 4] = ["a", "b", "m.p", "m.q r"];

/// A value without other values in it.
pub fn scalar() -> impl Strategy<Value = Value> {
    let times = ["1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z", "2025-03-10T18:20:43.677647Z"];
    let geo = |(latitude, longitude)| Value::GeoPoint { latitude, longitude };
    prop_oneof![
        2 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::Boolean),
        6 => number(),
        6 => select(&["", "a", "ab", "b", "é", "\u{fffd}", "🎈"][..]).prop_map(Value::from),
        1 => select(times.to_vec()).prop_map(|text| Value::Timestamp(text.parse().unwrap())),
        1 => select(vec![vec![], vec![0], vec![0, 1], vec![255]]).prop_map(Value::Bytes),
        2 => select(&IDS[..]).prop_map(|id| Value::Reference(format!("{ROOT}/{COLLECTION}/{id}"))),
        1 => select(vec![(0.0, 0.0), (0.0, 1.0), (-1.0, 1.0)]).prop_map(geo),
    ]
}

/// Integers and doubles around each other.
pub fn number() -> impl Strategy<Value = Value> {
    let large = 1_i64 << 53;
    prop_oneof![
        4 => (-2..4_i64).prop_map(Value::Integer),
        1 => select(vec![i64::MIN, i64::MAX, large, large + 1, large - 1]).prop_map(Value::Integer),
        4 => select(vec![-1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0]).prop_map(Value::Double),
        1 => select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, large as f64, i64::MAX as f64, i64::MIN as f64])
            .prop_map(Value::Double),
    ]
}

/// Any value, nested a little.
pub fn value() -> impl Strategy<Value = Value> {
    let map = || btree_map(select(&["p", "q r"][..]).prop_map(str::to_owned), scalar(), 0..3).prop_map(Value::Map);
    prop_oneof![
        6 => scalar(),
        2 => vec(prop_oneof![4 => scalar(), 1 => map()], 0..4).prop_map(Value::Array),
        1 => map(),
    ]
}

/// A document's fields, some of those that queries ask for.
pub fn fields() -> impl Strategy<Value = Fields> {
    let map = (option::of(scalar()), option::of(scalar())).prop_map(|(p, q)| {
        Value::Map(
            [("p", p), ("q r", q)].into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        )
    });
    let m = prop_oneof![3 => map, 1 => value()];
    (option::of(value()), option::of(value()), option::of(m)).prop_map(|(a, b, m)| {
        [("a", a), ("b", b), ("m", m)].into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    })
}

/// A document's path.
pub fn doc_path() -> impl Strategy<Value = DocPath> {
    select(&IDS[..]).prop_map(|id| DocPath::new(format!("{COLLECTION}/{id}")).unwrap())
}

fn field() -> impl Strategy<Value = FieldPath> {
    select(&FIELDS[..]).prop_map(FieldPath::dotted)
}

fn condition() -> impl Strategy<Value = Filter> {
    use FieldOp::*;
    let compare =
        (field(), select(vec![LessThan, LessThanOrEqual, GreaterThan, GreaterThanOrEqual, NotEqual]), value());
    let equal = (field(), select(vec![Equal, ArrayContains]), value());
    let one_of = (field(), select(vec![In, ArrayContainsAny, NotIn]), vec(value(), 1..4).prop_map(Value::Array));
    let unary = select(vec![UnaryOp::IsNan, UnaryOp::IsNull, UnaryOp::IsNotNan, UnaryOp::IsNotNull]);
    let make = |(path, op, value)| Filter::Field { path, op, value };
    prop_oneof![
        4 => compare.prop_map(make),
        4 => equal.prop_map(make),
        2 => one_of.prop_map(make),
        1 => (field(), unary).prop_map(|(path, op)| Filter::Unary { path, op }),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    condition().prop_recursive(2, 6, 3, |inner| {
        prop_oneof![vec(inner.clone(), 1..4).prop_map(Filter::And), vec(inner, 1..3).prop_map(Filter::Or),]
    })
}

/// An order, and values for cursors at some of its leading entries.
type Positions = (Vec<(FieldPath, Direction)>, Option<Cursor>, Option<Cursor>);

fn order() -> impl Strategy<Value = Positions> {
    let direction = || select(vec![Direction::Ascending, Direction::Descending]);
    let by_fields = vec((field(), direction()), 0..3);
    (by_fields, option::of(direction())).prop_flat_map(|(mut order, name)| {
        // A field twice in one order is refused.
        if order.len() == 2 && order[0].0 == order[1].0 {
            order.pop();
        }
        order.extend(name.map(|direction| (FieldPath::name(), direction)));
        let cursor = || {
            let named: Vec<_> = order.iter().map(|(path, _)| path.is_name()).collect();
            let values = named.into_iter().map(|named| if named { name_value().boxed() } else { value().boxed() });
            let values: Vec<_> = values.collect();
            let count = values.len();
            (values, 1..=count.max(1), any::<bool>()).prop_map(|(mut values, count, before)| {
                values.truncate(count);
                Cursor { values, before }
            })
        };
        let (start, end) = (option::weighted(0.4, cursor()), option::weighted(0.4, cursor()));
        (Just(order), start, end)
    })
}

fn name_value() -> impl Strategy<Value = Value> {
    select(&IDS[..]).prop_map(|id| Value::Reference(format!("{ROOT}/{COLLECTION}/{id}")))
}

/// A query over the collection, one in it, or its group.
pub fn query() -> impl Strategy<Value = Query> {
    let scope = prop_oneof![
        4 => Just(Scope::Collection(COLLECTION.to_owned())),
        1 => Just(Scope::Collection(format!("{COLLECTION}/b/{COLLECTION}"))),
        2 => Just(Scope::Group(COLLECTION.to_owned())),
    ];
    let cut = (prop_oneof![4 => Just(0), 1 => 0..4_u32], option::weighted(0.3, 0..6_u32));
    let projection = option::weighted(0.2, vec(field(), 0..3));
    (scope, option::weighted(0.8, filter()), order(), cut, projection).prop_map(
        |(from, filter, (order, start, end), (offset, limit), select)| {
            // A cursor's values are those of the order that the query states.
            let (start, end) = if order.is_empty() { (None, None) } else { (start, end) };
            Query { from, filter, order, start, end, offset, limit, select }
        },
    )
}

/// A write to one of a few documents. An [`Precondition::UpdatedAt`] here holds the number of the
/// commit that is meant, as its second.
pub fn write() -> impl Strategy<Value = Write> {
    let path = select(&IDS[..3]).prop_map(|id| DocPath::new(format!("{COLLECTION}/{id}")).unwrap());
    let mask = option::of(vec(prop_oneof![3 => field(), 1 => Just(FieldPath::top("m"))], 0..4));
    let set = (fields(), mask, vec((field(), transform()), 0..3)).prop_map(|(fields, mask, transforms)| {
        let transforms = transforms.into_iter().map(|(path, transform)| FieldTransform { path, transform });
        WriteKind::Set { fields, mask, transforms: transforms.collect() }
    });
    let kind = prop_oneof![5 => set, 1 => Just(WriteKind::Delete)];
    let precondition = prop_oneof![
        6 => Just(Precondition::None),
        1 => Just(Precondition::Exists),
        1 => Just(Precondition::Missing),
        1 => (0..4_i64).prop_map(|commit| Precondition::UpdatedAt(second(commit))),
    ];
    (path, kind, precondition).prop_map(|(path, kind, precondition)| Write { path, kind, precondition })
}

fn second(number: i64) -> document_store::Timestamp {
    document_store::Timestamp::new(number, 0).unwrap()
}

fn transform() -> impl Strategy<Value = Transform> {
    let items = || {
        vec(value(), 0..4)
            .prop_map(|items| items.into_iter().filter(|item| item.as_array().is_none()).collect::<Vec<_>>())
    };
    prop_oneof![
        1 => Just(Transform::ServerTime),
        2 => number().prop_map(Transform::Increment),
        2 => number().prop_map(Transform::Maximum),
        2 => number().prop_map(Transform::Minimum),
        2 => items().prop_map(Transform::Union),
        2 => items().prop_map(Transform::Remove),
    ]
}

/// Moves paths, queries and references from the model's collection and root to those of a case.
pub struct Placed<'a> {
    /// Gives the root.
    pub database: &'a Database,
    /// The case's collection.
    pub collection: &'a str,
}

impl Placed<'_> {
    fn text(&self, path: &str) -> String {
        let moved = path.split('/').map(|segment| if segment == COLLECTION { self.collection } else { segment });
        moved.collect::<Vec<_>>().join("/")
    }

    /// A path's place.
    pub fn path(&self, path: &DocPath) -> DocPath {
        DocPath::new(self.text(path.as_str())).unwrap()
    }

    /// A value with its references placed.
    pub fn value(&self, value: &Value) -> Value {
        match value {
            Value::Reference(name) => match name.strip_prefix(ROOT) {
                Some(path) => self.database.reference(&DocPath::new(self.text(&path[1..])).unwrap()),
                None => value.clone(),
            },
            Value::Array(items) => Value::Array(items.iter().map(|item| self.value(item)).collect()),
            Value::Map(fields) => Value::Map(self.fields(fields)),
            other => other.clone(),
        }
    }

    /// Fields with their references placed.
    pub fn fields(&self, fields: &Fields) -> Fields {
        fields.iter().map(|(name, value)| (name.clone(), self.value(value))).collect()
    }

    fn filter(&self, filter: &Filter) -> Filter {
        let all = |filters: &[Filter]| filters.iter().map(|filter| self.filter(filter)).collect();
        match filter {
            Filter::And(filters) => Filter::And(all(filters)),
            Filter::Or(filters) => Filter::Or(all(filters)),
            Filter::Field { path, op, value } => {
                Filter::Field { path: path.clone(), op: *op, value: self.value(value) }
            }
            Filter::Unary { .. } => filter.clone(),
        }
    }

    fn cursor(&self, cursor: &Cursor) -> Cursor {
        Cursor { values: cursor.values.iter().map(|value| self.value(value)).collect(), before: cursor.before }
    }

    /// A query's place.
    pub fn query(&self, query: &Query) -> Query {
        let from = match &query.from {
            Scope::Collection(path) => Scope::Collection(self.text(path)),
            Scope::Group(id) => Scope::Group(self.text(id)),
        };
        Query {
            from,
            filter: query.filter.as_ref().map(|filter| self.filter(filter)),
            start: query.start.as_ref().map(|cursor| self.cursor(cursor)),
            end: query.end.as_ref().map(|cursor| self.cursor(cursor)),
            ..query.clone()
        }
    }

    /// A write's place; `times` are those of the case's commits so far.
    pub fn write(&self, write: &Write, times: &[document_store::Timestamp]) -> Write {
        let values = |items: &[Value]| items.iter().map(|item| self.value(item)).collect();
        let kind = match &write.kind {
            WriteKind::Delete => WriteKind::Delete,
            WriteKind::Set { fields, mask, transforms } => {
                let placed = transforms.iter().map(|field| FieldTransform {
                    path: field.path.clone(),
                    transform: match &field.transform {
                        Transform::Union(items) => Transform::Union(values(items)),
                        Transform::Remove(items) => Transform::Remove(values(items)),
                        other => other.clone(),
                    },
                });
                WriteKind::Set { fields: self.fields(fields), mask: mask.clone(), transforms: placed.collect() }
            }
        };
        let precondition = match write.precondition {
            Precondition::UpdatedAt(number) => {
                let meant = times.iter().rev().nth(number.as_second() as usize);
                Precondition::UpdatedAt(meant.copied().unwrap_or(second(1_000_000)))
            }
            other => other,
        };
        Write { path: self.path(&write.path), kind, precondition }
    }
}

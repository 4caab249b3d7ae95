//! Every value that a document can hold, written and read back.

use document_store::fields;
use document_store::{Database, Fields, Timestamp, Value, Write};

use crate::{double, int, list, path};

fn time(text: &str) -> Value {
    Value::Timestamp(text.parse().unwrap())
}

pub async fn every_value_survives(db: Database) {
    let values = [
        Value::Null,
        Value::Boolean(true),
        Value::Boolean(false),
        int(0),
        int(i64::MAX),
        int(i64::MIN),
        int((1 << 53) + 1),
        double(0.1),
        double(-0.0),
        double(f64::NAN),
        double(f64::INFINITY),
        double(f64::NEG_INFINITY),
        double(f64::MIN_POSITIVE),
        double(5e-324),
        double(f64::MAX),
        double(3.0),
        time("2025-03-10T18:20:43.677647Z"),
        time("1969-12-31T23:59:59.000001Z"),
        time("0001-01-01T00:00:00Z"),
        time("9999-12-30T22:00:00Z"),
        Value::from(""),
        Value::from("naïve \u{0}\n日本 🎈"),
        Value::from("x".repeat(5000)),
        Value::Bytes(vec![]),
        Value::Bytes((0..=255).collect()),
        db.reference(&path("users/u1")),
        Value::Reference("projects/other/databases/d/documents/a/b/c/d".to_owned()),
        Value::GeoPoint { latitude: -90.0, longitude: 180.0 },
        Value::GeoPoint { latitude: 0.25, longitude: -0.5 },
        list([]),
        list([Value::Null, int(1), double(1.0), Value::from("x"), Value::empty_map()]),
        Value::empty_map(),
        Value::Map(fields! {"a" => fields! {"b" => list([Value::Map(fields! {"c" => list([])})])}}),
    ];
    let fields: Fields = values.into_iter().enumerate().map(|(n, value)| (format!("f{n:02}"), value)).collect();
    db.commit(vec![Write::set(path("values/a"), fields.clone())]).await.unwrap();
    let expected = format!("{fields:?}");
    assert_eq!(format!("{:?}", db.get(&path("values/a")).await.unwrap().unwrap().fields), expected);
    // Once more through a merge, value by value, and inside a list.
    for (name, value) in &fields {
        let mut one = Fields::new();
        one.insert(name.clone(), value.clone());
        db.commit(vec![Write::merge(path("values/b"), one, vec![crate::field(name)])]).await.unwrap();
    }
    assert_eq!(format!("{:?}", db.get(&path("values/b")).await.unwrap().unwrap().fields), expected);
}

pub async fn timestamps_lose_what_is_finer_than_microseconds(db: Database) {
    let fine = |seconds, nanos| Value::Timestamp(Timestamp::new(seconds, nanos).unwrap());
    let written = fields! {
        "after" => fine(1_700_000_000, 123_456_789),
        "before" => fine(-5, -123_456_789),
        "inside" => list([Value::Map(fields! {"t" => fine(0, 999)})]),
    };
    db.commit(vec![Write::set(path("values/a"), written)]).await.unwrap();
    let expected = fields! {
        "after" => fine(1_700_000_000, 123_456_000),
        // Towards the past, whichever side of 1970.
        "before" => fine(-5, -123_457_000),
        "inside" => list([Value::Map(fields! {"t" => fine(0, 0)})]),
    };
    assert_eq!(db.get(&path("values/a")).await.unwrap().unwrap().fields, expected);
}

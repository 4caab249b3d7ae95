//! What a document may hold, and how it lies on disk.

use crate::order::{check_field_name, encode_name};
use crate::size::document_size;
use crate::{DocPath, Document, FIRST_INSTANT, Fields, Result, StoreError, Timestamp, Value};

/// The most that a document may take, counted as Firestore documents it.
const MOST_BYTES: usize = 1 << 20;
/// The most that one string or byte string may take.
const MOST_VALUE_BYTES: usize = (1 << 20) - 89;
/// How deep lists and maps may lie in one another.
const MOST_DEPTH: u32 = 20;

/// Brings fields into the form that Firestore stores them in: instants in whole microseconds, one
/// zero, one NaN. Fails with [`StoreError::InvalidArgument`] on what Firestore doesn't store.
pub(crate) fn normalise(fields: &mut Fields) -> Result<()> {
    normalise_fields(fields, 0)
}

/// As [`normalise`], for an operand of a transform.
pub(super) fn normalise_operand(value: &mut Value) -> Result<()> {
    normalise_value(value, 0)
}

fn normalise_fields(fields: &mut Fields, depth: u32) -> Result<()> {
    fields.iter_mut().try_for_each(|(name, value)| {
        check_field_name(name)?;
        normalise_value(value, depth)
    })
}

fn normalise_value(value: &mut Value, depth: u32) -> Result<()> {
    match value {
        // There is one NaN; zeros keep their sign.
        Value::Double(number) if number.is_nan() => *number = f64::NAN,
        Value::Timestamp(instant) => {
            if *instant < FIRST_INSTANT {
                return refuse("a timestamp lies before the year 1");
            }
            *instant = micros_down(*instant)?;
        }
        Value::String(text) if text.len() > MOST_VALUE_BYTES => return refuse("a string is over 1,048,487 bytes"),
        Value::Bytes(bytes) if bytes.len() > MOST_VALUE_BYTES => return refuse("bytes are over 1,048,487"),
        Value::Reference(name) => check_reference(name)?,
        Value::GeoPoint { latitude, longitude } => {
            if !(-90.0..=90.0).contains(latitude) || !(-180.0..=180.0).contains(longitude) {
                return refuse("a geo point lies outside of ±90 or ±180 degrees");
            }
        }
        Value::Array(items) => {
            check_depth(depth)?;
            for item in items {
                if matches!(item, Value::Array(_)) {
                    return refuse("a list holds a list directly");
                }
                normalise_value(item, depth + 1)?;
            }
        }
        Value::Map(fields) => {
            check_depth(depth)?;
            normalise_fields(fields, depth + 1)?;
        }
        Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Double(_) | Value::String(_) | Value::Bytes(_) => {
        }
    }
    Ok(())
}

fn check_depth(depth: u32) -> Result<()> {
    if depth >= MOST_DEPTH { refuse("lists and maps lie more than 20 deep") } else { Ok(()) }
}

/// Checks the depth of fields that were put together from parts, each of which was checked.
pub(super) fn check_depth_of(fields: &Fields) -> Result<()> {
    fn check(value: &Value, depth: u32) -> Result<()> {
        match value {
            Value::Array(items) => {
                check_depth(depth)?;
                items.iter().try_for_each(|item| check(item, depth + 1))
            }
            Value::Map(fields) => {
                check_depth(depth)?;
                fields.values().try_for_each(|value| check(value, depth + 1))
            }
            _ => Ok(()),
        }
    }
    fields.values().try_for_each(|value| check(value, 0))
}

fn check_reference(name: &str) -> Result<()> {
    let mut segments = name.split('/');
    let fixed = segments.next() == Some("projects")
        && segments.next().is_some_and(|project| !project.is_empty())
        && segments.next() == Some("databases")
        && segments.next().is_some_and(|database| !database.is_empty())
        && segments.next() == Some("documents");
    let path: Vec<_> = segments.collect();
    if !fixed || path.is_empty() || path.len() % 2 != 0 || path.iter().any(|segment| segment.is_empty()) {
        return refuse("a reference isn't a document's full name");
    }
    Ok(())
}

/// Checks the document's size. Fails with [`StoreError::InvalidArgument`] above 1 MiB.
pub(super) fn check_size(path: &DocPath, fields: &Fields) -> Result<()> {
    let size = document_size(path, fields);
    if size > MOST_BYTES {
        return refuse("the document is over 1,048,576 bytes");
    }
    Ok(())
}

fn refuse<T>(why: &str) -> Result<T> {
    Err(StoreError::InvalidArgument(why.to_owned()))
}

/// The instant in whole microseconds, rounded down.
fn micros_down(instant: Timestamp) -> Result<Timestamp> {
    let micros = instant.as_nanosecond().div_euclid(1000);
    Timestamp::from_nanosecond(micros * 1000).map_err(|error| StoreError::Internal(error.to_string()))
}

/// The fields as bytes. The same fields make the same bytes.
pub(crate) fn encode_fields(fields: &Fields) -> Result<Vec<u8>> {
    postcard::to_stdvec(fields).map_err(|error| StoreError::Internal(format!("a record cannot be encoded: {error}")))
}

pub(crate) fn decode_fields(data: &[u8]) -> Result<Fields> {
    postcard::from_bytes(data).map_err(|error| StoreError::Internal(format!("a record is damaged: {error}")))
}

/// A stored document.
pub(super) fn document(path: DocPath, created: i64, updated: i64, data: &[u8]) -> Result<Document> {
    let fields = decode_fields(data)?;
    Ok(Document { path, fields, create_time: instant(created)?, update_time: instant(updated)? })
}

/// The instant of a stored time in microseconds.
pub(super) fn instant(micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|_| StoreError::Internal("a stored time is damaged".to_owned()))
}

/// The key of a document: its collection's ID, then its path. A collection lies together, as does
/// a collection group, each in the order of names.
pub(crate) fn document_key(path: &DocPath) -> Vec<u8> {
    let mut key = group_key(path.collection_id());
    encode_name(path.as_str(), &mut key);
    key
}

/// What the keys of all documents of the collection ID begin with.
pub(super) fn group_key(collection_id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(128);
    encode_name(collection_id, &mut key);
    key
}

/// What the keys of all documents of the collection begin with. Collections of the same ID below
/// those documents lie there too; [`is_nested`] tells them.
pub(crate) fn collection_key(collection: &str) -> Vec<u8> {
    let mut key = group_key(collection.rsplit('/').next().unwrap_or_default());
    encode_name(collection, &mut key);
    // The name goes on: a separator in place of the end.
    if let Some(last) = key.last_mut() {
        *last = 1;
    }
    key
}

/// True when the rest of a key, after its collection's, is of a document further below.
pub(crate) fn is_nested(rest: &[u8]) -> bool {
    rest.windows(2).any(|pair| pair == [0, 1])
}

/// The path in a document's key.
pub(crate) fn path_of(key: &[u8]) -> Result<DocPath> {
    let damaged = || StoreError::Internal("a document's key is damaged".to_owned());
    let start = key.windows(2).position(|pair| pair == [0, 0]).ok_or_else(damaged)? + 2;
    let mut path = Vec::with_capacity(key.len() - start);
    let mut rest = key[start..].iter();
    while let Some(&byte) = rest.next() {
        match byte {
            0 => match rest.next() {
                Some(0xff) => path.push(0),
                Some(1) => path.push(b'/'),
                Some(0) => break,
                _ => return Err(damaged()),
            },
            other => path.push(other),
        }
    }
    DocPath::new(String::from_utf8(path).map_err(|_| damaged())?).map_err(|_| damaged())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn keys_hold_their_paths() {
        for path in ["users/u1", "users/u1/assignments/é😀", "a\0b/c\0/d/e\0\u{1}"] {
            let path = DocPath::new(path).unwrap();
            let key = document_key(&path);
            assert_eq!(path_of(&key).unwrap(), path);
            let collection = collection_key(path.collection());
            assert!(key.starts_with(&collection));
            assert!(!is_nested(&key[collection.len()..]));
        }
        let nested = document_key(&DocPath::new("c/d/c/e").unwrap());
        assert!(is_nested(&nested[collection_key("c").len()..]));
    }

    #[test]
    fn the_size_limit_is_the_emulators() {
        let path = DocPath::new("a/big").unwrap();
        let of = |size: usize| {
            let body = size - (2 + 4 + 16) - 32 - 3 - 3;
            fields! { "b" => "x".repeat(body / 2), "c" => "x".repeat(body - body / 2) }
        };
        assert!(check_size(&path, &of(1 << 20)).is_ok());
        assert!(check_size(&path, &of((1 << 20) + 1)).is_err());
    }

    #[test]
    fn values_are_stored_as_firestore_stores_them() {
        let at = |text: &str| Value::Timestamp(text.parse().unwrap());
        let mut fields = fields! {
            "z" => -0.0,
            "t" => at("2020-01-01T00:00:00.123456789Z"),
            "u" => at("1960-01-01T00:00:00.123456789Z"),
        };
        normalise(&mut fields).unwrap();
        assert_eq!(fields["t"], at("2020-01-01T00:00:00.123456Z"));
        assert_eq!(fields["u"], at("1960-01-01T00:00:00.123456Z"));
        assert!(matches!(fields["z"], Value::Double(zero) if zero.is_sign_negative()));
        let list = |item: Value| Value::Array(vec![item]);
        let deep = |levels| (0..levels).fold(Value::from(1), |inner, _| fields! { "a" => inner }.into());
        for good in [deep(20), list(fields! { "b" => list(1.into()) }.into())] {
            assert!(normalise(&mut fields! { "r" => good }).is_ok());
        }
        for bad in [
            deep(21),
            list(list(1.into())),
            Value::GeoPoint { latitude: 91.0, longitude: 0.0 },
            Value::Reference("foo".into()),
            fields! { "__x__" => 1 }.into(),
            fields! { "" => 1 }.into(),
        ] {
            assert!(normalise(&mut fields! { "r" => bad.clone() }).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn records_survive() {
        let fields = fields! {
            "t" => Value::Timestamp(Timestamp::UNIX_EPOCH), "m" => fields! { "n" => Value::Null },
            "g" => Value::GeoPoint { latitude: 1.0, longitude: 2.0 }, "b" => Value::Bytes(vec![0, 255]),
        };
        assert_eq!(decode_fields(&encode_fields(&fields).unwrap()).unwrap(), fields);
        assert!(decode_fields(&[1, 200]).is_err());
    }
}

//! Values: the embedded store's records, the order of values and of their keys, and Firestore's messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use roar_functions::fuzzing::{decode_fields, encode_fields, event_body, store};
use roar_functions::store::firestore::event::decode_event;
use roar_functions::store::order::{compare, encode, equal};
use roar_functions::store::size::document_size;
use roar_functions::store::{DocPath, Document, Value};
use roar_functions_fuzz::now;

fuzz_target!(|bytes: &[u8]| {
    let Ok(fields) = decode_fields(bytes) else { return };
    let record = encode_fields(&fields).expect("a record");
    assert_eq!(encode_fields(&decode_fields(&record).expect("it was written")).as_ref(), Ok(&record));
    assert!(fields == fields.clone(), "a value isn't the same as itself");
    order(fields.values().take(6).collect());

    let mut stored = fields;
    if store(&mut stored).is_err() {
        return;
    }
    let mut again = stored.clone();
    store(&mut again).expect("it was stored");
    // Byte by byte, because both zeros equal each other.
    assert_eq!(encode_fields(&again), encode_fields(&stored), "{again:?} {stored:?}");
    let path = DocPath::new("c/d").expect("a path");
    assert!(document_size(&path, &stored) >= 32);
    let document = Document { path, fields: stored, create_time: now(), update_time: now() };
    let body = event_body("projects/p/databases/d/documents", None, Some(&document));
    let sent = decode_event("application/protobuf", &body).expect("an event").after.expect("a document");
    // Not byte by byte: the message for a point has no negative zero.
    assert_eq!(sent, document);
});

fn order(values: Vec<&Value>) {
    let key = |value: &Value| {
        let mut key = Vec::new();
        encode(value, &mut key);
        key
    };
    let keys: Vec<Vec<u8>> = values.iter().map(|value| key(value)).collect();
    for (a, one) in values.iter().enumerate() {
        assert!(equal(one, one));
        for (b, other) in values.iter().enumerate() {
            let ordering = compare(one, other);
            assert_eq!(ordering, compare(other, one).reverse(), "{one:?} {other:?}");
            assert_eq!(ordering, keys[a].cmp(&keys[b]), "{one:?} {other:?}");
            assert!(ordering.is_eq() || !keys[a].starts_with(&keys[b]), "{one:?} {other:?}");
            if one == other {
                assert!(ordering.is_eq(), "{one:?} {other:?}");
            }
            for third in &values {
                if ordering.is_le() && compare(other, third).is_le() {
                    assert!(compare(one, third).is_le(), "{one:?} {other:?} {third:?}");
                }
            }
        }
    }
}

//! The body of a call: the protocol's envelope, its number wrappers, then values as they're stored.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use roar_functions::fields;
use roar_functions::fuzzing::{call, decode};
use roar_functions::payload::value;
use roar_functions_fuzz::{assert_discreet, assert_storable, mutate_json};
use serde_json::Value as Json;

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| { mutate_json(data, size, most, seed) });

fuzz_target!(|body: &[u8]| {
    let Some(data) = call(body) else { return };
    let Ok(decoded) = decode(data.clone()) else { return };
    assert!(depth(&decoded) <= depth(&data) && depth(&data) <= 127);
    assert_eq!(decode(decoded.clone()).as_ref(), Ok(&decoded), "wrappers are left");
    match value(&decoded) {
        Ok(value) => assert_storable(&fields! { "data" => value }),
        Err(wrong) => assert_discreet(&wrong.of("data")),
    }
});

fn depth(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(entries) => 1 + entries.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

//! The payloads of all callables: one JSON value, read as each of them would.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use roar_functions::fuzzing::PAYLOADS;
use roar_functions::runtime::FunctionError;
use roar_functions_fuzz::{assert_discreet, mutate_json};
use serde_json::Value as Json;

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| { mutate_json(data, size, most, seed) });

fuzz_target!(|bytes: &[u8]| {
    let Ok(data) = serde_json::from_slice::<Json>(bytes) else { return };
    // Null is the same as absent.
    let mut shorter = data.clone();
    if let Json::Object(fields) = &mut shorter {
        fields.retain(|_, value| !value.is_null());
    }
    for (function, read) in PAYLOADS {
        let outcome = read(&data);
        if let Err(error) = &outcome {
            assert_discreet(error);
        }
        let message = |outcome: Result<(), FunctionError>| outcome.map_err(|error| error.message);
        assert_eq!(message(read(&shorter)), message(outcome), "{function}");
    }
});

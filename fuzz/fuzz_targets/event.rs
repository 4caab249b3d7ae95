//! Document events as they come over HTTP: header lines, an empty line, the body. Without `ce-type` it's structured
//! mode. Then what handlers tell from an event's own documents.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use roar_functions::administrations::material::fingerprint;
use roar_functions::assignments::counts::Contribution;
use roar_functions::assignments::tasks::Tasks;
use roar_functions::documents::administration::Administration;
use roar_functions::fuzzing::{event, event_body, store};
use roar_functions::mirror::mirrored;
use roar_functions::orgs::OrgType;
use roar_functions::runs::event::asked;
use roar_functions::runs::{best, category};
use roar_functions::store::firestore::event::{DecodedEvent, decode_event};
use roar_functions::store::{DocumentChange, Fields, Value};
use roar_functions::users::change::{UserChange, changes};
use roar_functions_fuzz::{assert_storable, mutate_json, now};

const ROOT: &str = "projects/p/databases/(default)/documents";
/// How deep lists and maps lie in a document of Firestore's, at most.
const MOST_DEPTH: usize = 20;

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| { mutate_json(data, size, most, seed) });

fuzz_target!(|bytes: &[u8]| {
    let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (&[][..], bytes),
    };
    let head = String::from_utf8_lossy(head);
    let headers: Vec<_> = head.lines().filter_map(|line| line.split_once(": ")).collect();
    let Ok((_, mut change)) = event(&headers, body, None, now()) else { return };
    assert!(!change.id.is_empty() && change.kind().is_some());
    survive(&change);

    // Firestore has stored them, so handlers meet nothing else.
    for document in [&mut change.before, &mut change.after].into_iter().flatten() {
        if store(&mut document.fields).is_err() {
            return;
        }
    }
    handle(&change);
});

/// Written again, in either form of protobuf, an event says the same.
fn survive(change: &DocumentChange) {
    let (before, after) = (change.before.as_ref(), change.after.as_ref());
    if before.into_iter().chain(after).any(|document| depth(&document.fields) > MOST_DEPTH) {
        return;
    }
    let body = event_body(ROOT, before, after);
    let path = change.path.clone();
    let expected = Ok(DecodedEvent { path, before: before.cloned(), after: after.cloned() });
    for body in [STANDARD.encode(&body).into_bytes(), body] {
        assert_eq!(decode_event("application/protobuf", &body), expected);
    }
}

fn depth(fields: &Fields) -> usize {
    let of = |value: &Value| match value {
        Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
        other => depth_of(other),
    };
    fields.values().map(of).max().unwrap_or(0)
}

fn depth_of(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth_of).max().unwrap_or(0),
        Value::Map(fields) => 1 + depth(fields),
        _ => 0,
    }
}

fn handle(change: &DocumentChange) {
    let sides = (change.before.as_ref().map(|side| &side.fields), change.after.as_ref().map(|side| &side.fields));
    let _ = asked(change);
    let Some(after) = sides.1 else { return };
    // A change of nothing is none.
    let types = ["student".to_owned(), "guest".to_owned()];
    assert!(!changes(Some(after), after, &types, now()).matters(), "{after:?}");
    let change = changes(sides.0, after, &types, now());
    assert_eq!(UserChange::read(&change.to_fields()), change);

    let contribution = Contribution::of(after, &Tasks::known_to(after));
    let mut counted = after.clone();
    contribution.record(&mut counted);
    assert_eq!(Contribution::recorded(&counted), Some(contribution));
    assert!(Contribution::is_settled(&counted));

    let administration = Administration::from_fields("a1", after.clone());
    assert_eq!(fingerprint(&administration), fingerprint(&administration.clone()));

    let run = best::Run::of("r1", after);
    assert!(run.compare(&run).is_eq());
    if let Some(other) = sides.0.map(|before| best::Run::of("r2", before)) {
        assert_eq!(run.compare(&other), other.compare(&run).reverse());
        assert!(run.compare(&other).is_ne());
    }
    for task in ["swr", "sre", "pa"] {
        if let Some(score) = category::due(task, after) {
            let mut scored = after.clone();
            roar_functions::store::order::set_field(&mut scored, &category::path(), score);
            // Whatever is still due would be written for ever.
            assert_eq!(category::due(task, &scored), None, "{after:?}");
            assert_storable(&scored);
        }
    }
    for org_type in OrgType::ALL {
        assert_storable(&mirrored(org_type, after, &["name".to_owned()]));
    }
}

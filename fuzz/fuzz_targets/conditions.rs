//! Conditions of assessments: `{"condition": …, "user": {…}, "now": seconds}`.
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use roar_functions::documents::conditions::{Comparison, Condition, normalise};
use roar_functions::store::{Fields, Timestamp, Value};
use roar_functions_fuzz::{fields, mutate_json, now, value};
use serde_json::Value as Json;

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| { mutate_json(data, size, most, seed) });

fuzz_target!(|bytes: &[u8]| {
    let Ok(input) = serde_json::from_slice::<Json>(bytes) else { return };
    let user = fields(&input["user"]).unwrap_or_default();
    let now = input["now"].as_i64().and_then(|second| Timestamp::from_second(second).ok()).unwrap_or(now());
    let sent = value(&input["condition"]);

    let lenient = Condition::from_value(&sent);
    assert_eq!(lenient.is_true_of(&user, now), lenient.is_true_of(&user, now));
    compare_all(&lenient, &user, now);

    let normal = normalise(&sent, "at");
    let shorter = normalise(&without_nulls(&sent), "at");
    assert_eq!(normal.as_ref().map(without_nulls), shorter.as_ref().map(without_nulls), "null is as good as absent");
    let Ok(normal) = normal else { return };
    assert_eq!(normalise(&normal, "at").as_ref(), Ok(&normal), "what is stored can be sent again");
    let strict = Condition::from_value(&normal);
    assert!(!is_never(&strict), "a condition was accepted that is none: {normal:?}");
    compare_all(&strict, &user, now);
});

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Map(fields) => {
            let there = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Map(there.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

fn is_never(condition: &Condition) -> bool {
    match condition {
        Condition::Never => true,
        Condition::All(conditions) | Condition::Any(conditions) => conditions.iter().any(is_never),
        Condition::Always | Condition::Field { .. } => false,
    }
}

/// The six comparisons of a field with a literal don't contradict each other.
fn compare_all(condition: &Condition, user: &Fields, now: Timestamp) {
    match condition {
        Condition::All(conditions) | Condition::Any(conditions) => {
            conditions.iter().for_each(|condition| compare_all(condition, user, now));
        }
        Condition::Field { field, value, .. } => {
            let holds = |op| Condition::Field { field: field.clone(), op, value: value.clone() }.is_true_of(user, now);
            let (less, greater) = (holds(Comparison::LessThan), holds(Comparison::GreaterThan));
            let (at_most, at_least) = (holds(Comparison::LessThanOrEqual), holds(Comparison::GreaterThanOrEqual));
            let (equal, other) = (holds(Comparison::Equal), holds(Comparison::NotEqual));
            assert!(!(less && (greater || at_least)) && !(greater && at_most), "{condition:?} {user:?}");
            assert!((!less || at_most) && (!greater || at_least), "{condition:?} {user:?}");
            assert!(!(equal && (less || greater)) && !(equal && other), "{condition:?} {user:?}");
            assert!(equal || other || field == "age", "{condition:?} {user:?}");
        }
        Condition::Always | Condition::Never => {}
    }
}

//! A student's former data: `users/{roarUid}.studentDataBefore`, a list of former values of `studentData`, each with
//! the time until which the value was current. Pure.
//!
//! A promotion alone assigns nothing (docs/domain/assignments.md#corrections-and-promotions). With these entries
//! `reconcile` distinguishes a student who gets an assignment with the administration's next save from a student whose
//! assignment is missing by an error.

use jiff::SignedDuration;

use crate::fields;
use crate::store::size::fields_size;
use crate::store::{Fields, Timestamp, Value};

/// The field.
pub const BEFORE: &str = super::user::field::STUDENT_DATA_BEFORE;

/// How many former states are kept: more than a student's data changes between two saves of an administration.
const MOST: usize = 10;
/// How long a state is kept when there is a newer one: longer than a school year.
const LONGEST: SignedDuration = SignedDuration::from_hours(400 * 24);
/// The size limit in bytes of a state that is kept; usually, a student's data has a tenth of it.
const MOST_BYTES: usize = 10_000;

/// The list with one more state, which was current until `until`; `None` when nothing has to be added. Adding is
/// idempotent: an event that is delivered twice adds one state, and the order of events doesn't change the list.
pub fn with(user: &Fields, data: &Fields, until: Timestamp) -> Option<Value> {
    if fields_size(data) > MOST_BYTES {
        return None;
    }
    let known = user.get(BEFORE).and_then(Value::as_array).unwrap_or_default();
    if known.iter().any(|entry| held_until(entry) == Some(until)) {
        return None;
    }
    let mut entries = known.to_vec();
    entries.push(Value::Map(fields! { "data" => Value::Map(data.clone()), "until" => until }));
    entries.retain(|entry| held_until(entry).is_some_and(|held| until.duration_since(held) < LONGEST));
    entries.sort_by_key(held_until);
    let surplus = entries.len().saturating_sub(MOST);
    entries.drain(..surplus);
    Some(Value::Array(entries))
}

/// The former states of a student's data that were current at some time after `since`.
pub fn since(user: &Fields, since: Timestamp) -> impl Iterator<Item = &Fields> {
    let entries = user.get(BEFORE).and_then(Value::as_array).unwrap_or_default();
    let later = entries.iter().filter(move |entry| held_until(entry).is_some_and(|until| until > since));
    later.filter_map(|entry| entry.as_map()?.get("data")?.as_map())
}

fn held_until(entry: &Value) -> Option<Timestamp> {
    entry.as_map()?.get("until")?.as_timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn grades(user: &Fields, from: i64) -> Vec<&str> {
        since(user, at(from)).map(|data| data["grade"].as_str().unwrap()).collect()
    }

    #[test]
    fn former_states_are_kept_in_order_and_once() {
        let mut user = Fields::new();
        for (grade, until) in [("3", 30), ("1", 10), ("2", 20), ("1", 10)] {
            let list = with(&user, &fields! { "grade" => grade }, at(until));
            user.extend(list.map(|list| (BEFORE.to_owned(), list)));
        }
        assert_eq!(grades(&user, 0), ["1", "2", "3"]);
        assert_eq!(grades(&user, 10), ["2", "3"]);
        assert_eq!(grades(&user, 30), [""; 0]);
    }

    #[test]
    fn the_list_is_bounded() {
        let mut user = Fields::new();
        for n in 0..25 {
            let list = with(&user, &fields! { "grade" => n.to_string() }, at(n)).unwrap();
            user.insert(BEFORE.to_owned(), list);
        }
        assert_eq!(grades(&user, 0).len(), MOST);
        assert_eq!(grades(&user, 23), ["24"]);
        assert_eq!(with(&user, &fields! { "grade" => "x".repeat(20_000) }, at(99)), None);
    }
}

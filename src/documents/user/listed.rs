//! The administrations that a student's document lists as assigned, started and completed, with the date of each
//! (docs/domain/assignments.md#the-students-lists). Pure.

use super::field;
use crate::documents::former::Dates;
use crate::store::{FieldPath, Fields, Timestamp, Value};

/// The lists in `assignments`, in the order of a student's work, each with the map of its entries' dates.
pub const LISTS: [(&str, &str); 3] = [
    ("assigned", field::ASSIGNMENTS_ASSIGNED),
    ("started", field::ASSIGNMENTS_STARTED),
    ("completed", field::ASSIGNMENTS_COMPLETED),
];

/// The path of one of the lists.
pub fn list_path(list: &str) -> FieldPath {
    FieldPath::of([field::ASSIGNMENTS, list])
}

/// The entries of one of the lists.
pub fn list<'a>(user: &'a Fields, list: &str) -> &'a [Value] {
    let lists = user.get(field::ASSIGNMENTS).and_then(Value::as_map);
    lists.and_then(|lists| lists.get(list)).and_then(Value::as_array).unwrap_or_default()
}

/// True when the list of assigned administrations has this one.
pub fn lists_assignment(user: &Fields, administration: &str) -> bool {
    list(user, LISTS[0].0).iter().any(|id| id.as_str() == Some(administration))
}

/// When the user's document says that the administration was assigned.
pub fn date_assigned(user: &Fields, administration: &str) -> Option<Timestamp> {
    date(user, LISTS[0].1, administration)
}

/// The dates that the user's document has of an administration, in the order of [`LISTS`].
pub fn dates(user: &Fields, administration: &str) -> [Option<Timestamp>; 3] {
    LISTS.map(|(_, dates)| date(user, dates, administration))
}

fn date(user: &Fields, dates: &str, administration: &str) -> Option<Timestamp> {
    user.get(dates)?.as_map()?.get(administration)?.as_timestamp()
}

/// The dates that the student's document keeps of an assignment that is deleted: those in the student's lists, and
/// where these have none, the assignment's own (`told`).
pub fn dates_left(user: Option<&Fields>, administration: &str, told: Dates) -> Dates {
    let [assigned, started, completed] = user.map(|user| dates(user, administration)).unwrap_or_default();
    Dates {
        assigned: assigned.unwrap_or(told.assigned),
        started: told.started.map(|told| started.unwrap_or(told)),
        completed: told.completed.map(|told| completed.unwrap_or(told)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn lists_and_dates_are_read_and_outlive_what_the_assignment_tells() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let user = fields! {
            "assignments" => fields! { "assigned" => Value::strings(["a"]) },
            "assignmentsAssigned" => fields! { "a" => at(1) }, "assignmentsStarted" => fields! { "a" => at(2) },
        };
        assert_eq!((lists_assignment(&user, "a"), lists_assignment(&user, "b")), (true, false));
        assert_eq!((date_assigned(&user, "a"), date_assigned(&user, "b")), (Some(at(1)), None));
        assert_eq!(dates(&user, "a"), [Some(at(1)), Some(at(2)), None]);
        let told = Dates { assigned: at(7), started: None, completed: Some(at(9)) };
        // Work that the assignment doesn't show isn't kept, even if the lists have it.
        let left = Dates { assigned: at(1), started: None, completed: Some(at(9)) };
        assert_eq!(dates_left(Some(&user), "a", told), left);
        assert_eq!(dates_left(None, "a", told), told);
    }
}

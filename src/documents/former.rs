//! What a student's document remembers of assignments that went: `users/{roarUid}.formerAssignments`, by
//! administration, with the dates of the student's lists when it went. Pure.
//!
//! The entry is written in the commit that deletes and archives the assignment, so an entry means that there is an
//! archive. Whoever makes the assignment again sees from the student's own document that there is something to
//! take up, without a read, and takes the entry away.

use crate::documents::administration::administration_path;
use crate::store::{FieldPath, Fields, Timestamp, Value};

/// The field.
pub const FORMER: &str = super::user::field::FORMER_ASSIGNMENTS;

/// When an assignment came to be in each of the student's lists; `None` where it isn't in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    /// Assigned.
    pub assigned: Timestamp,
    /// Started.
    pub started: Option<Timestamp>,
    /// Completed.
    pub completed: Option<Timestamp>,
}

const NAMES: [&str; 3] = ["assigned", "started", "completed"];

impl Dates {
    /// In the order of the lists: assigned, started, completed.
    pub fn in_order(&self) -> [Option<Timestamp>; 3] {
        [Some(self.assigned), self.started, self.completed]
    }

    /// The entry of a document.
    pub fn to_value(self) -> Value {
        let dates = NAMES.into_iter().zip(self.in_order());
        Value::Map(dates.filter_map(|(name, date)| Some((name.to_owned(), Value::Timestamp(date?)))).collect())
    }

    /// True when work in the assignment had begun.
    pub fn has_begun(&self) -> bool {
        self.started.is_some() || self.completed.is_some()
    }
}

/// What the student's document remembers of an assignment of this administration that went.
pub fn former(user: &Fields, administration: &str) -> Option<Dates> {
    read(user.get(FORMER)?.as_map()?.get(administration)?)
}

/// All that the student's document remembers.
pub fn all_former(user: &Fields) -> impl Iterator<Item = (&str, Dates)> {
    let entries = user.get(FORMER).and_then(Value::as_map).into_iter().flatten();
    // Whoever can write the document can write anything: what's no ID leads nowhere.
    let entries = entries.filter(|(id, _)| administration_path(id).is_ok());
    entries.filter_map(|(id, entry)| Some((id.as_str(), read(entry)?)))
}

fn read(entry: &Value) -> Option<Dates> {
    let entry = entry.as_map()?;
    let date = |name: &str| entry.get(name).and_then(Value::as_timestamp);
    Some(Dates { assigned: date("assigned")?, started: date("started"), completed: date("completed") })
}

/// Where the entry of an administration is.
pub fn entry_path(administration: &str) -> FieldPath {
    FieldPath::of([FORMER, administration])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    #[test]
    fn entries_are_read_as_they_were_written() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for dates in [
            Dates { assigned: at(1), started: None, completed: None },
            Dates { assigned: at(1), started: Some(at(2)), completed: None },
            Dates { assigned: at(1), started: None, completed: Some(at(3)) },
        ] {
            let user =
                fields! { FORMER => fields! { "a" => dates.to_value(), "b" => true, "c/d" => dates.to_value() } };
            assert_eq!(former(&user, "a"), Some(dates));
            assert_eq!((former(&user, "b"), former(&user, "c")), (None, None));
            assert_eq!(all_former(&user).collect::<Vec<_>>(), [("a", dates)]);
            assert_eq!(dates.has_begun(), dates.started.is_some() || dates.completed.is_some());
        }
        assert_eq!(all_former(&fields! { FORMER => 1 }).count(), 0);
    }
}

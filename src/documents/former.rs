//! The deleted assignments that a student's document lists: `users/{roarUid}.formerAssignments`, by administration,
//! with the dates that the student's lists had at the deletion. Pure.
//!
//! The entry is written in the commit that deletes and archives the assignment, so an entry means that there is an
//! archive. Code that creates the assignment again sees in the student's document, without another read, that there is
//! an archive to restore, and removes the entry.

use crate::documents::administration::administration_path;
use crate::store::{FieldPath, Fields, Timestamp, Value};

/// The field.
pub const FORMER: &str = super::user::field::FORMER_ASSIGNMENTS;

/// When an assignment was added to each of the student's lists; `None` for a list that doesn't have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    /// When it was assigned.
    pub assigned: Timestamp,
    /// When it was started.
    pub started: Option<Timestamp>,
    /// When it was completed.
    pub completed: Option<Timestamp>,
}

const NAMES: [&str; 3] = ["assigned", "started", "completed"];

impl Dates {
    /// The dates in the order of the lists: assigned, started, completed.
    pub fn in_order(&self) -> [Option<Timestamp>; 3] {
        [Some(self.assigned), self.started, self.completed]
    }

    /// The entry's value in the student's document.
    pub fn to_value(self) -> Value {
        let dates = NAMES.into_iter().zip(self.in_order());
        Value::Map(dates.filter_map(|(name, date)| Some((name.to_owned(), Value::Timestamp(date?)))).collect())
    }

    /// True when work in the assignment had begun.
    pub fn has_begun(&self) -> bool {
        self.started.is_some() || self.completed.is_some()
    }
}

/// The entry of a student's document for the deleted assignment of this administration, if there is one.
pub fn former(user: &Fields, administration: &str) -> Option<Dates> {
    read(user.get(FORMER)?.as_map()?.get(administration)?)
}

/// All entries of a student's document, each with its administration's ID.
pub fn all_former(user: &Fields) -> impl Iterator<Item = (&str, Dates)> {
    let entries = user.get(FORMER).and_then(Value::as_map).into_iter().flatten();
    // Clients may write anything into the document: keys that can't be an administration's ID are ignored.
    let entries = entries.filter(|(id, _)| administration_path(id).is_ok());
    entries.filter_map(|(id, entry)| Some((id.as_str(), read(entry)?)))
}

fn read(entry: &Value) -> Option<Dates> {
    let entry = entry.as_map()?;
    let date = |name: &str| entry.get(name).and_then(Value::as_timestamp);
    Some(Dates { assigned: date("assigned")?, started: date("started"), completed: date("completed") })
}

/// The path of an administration's entry, as a field of the student's document.
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

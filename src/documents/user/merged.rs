//! The fields of users' documents that record merges of users who turned out to be one person. Pure.

use super::{field, is_student};
use crate::store::{Fields, Value};

/// The field of a merged user with the ID of the user into whom they were merged.
pub const MERGED_INTO: &str = field::MERGED_INTO;
/// The field that has this ID while the merge is under way.
pub const MERGING_INTO: &str = field::MERGING_INTO;
/// The field of the remaining user with the IDs of the users who were merged into them.
pub const MERGED_FROM: &str = field::MERGED_FROM;

/// Why the user `from` can't be merged into the user `into`: a text for people. `None` when they can be merged.
pub fn refusal(from: (&str, &Fields), into: (&str, &Fields)) -> Option<String> {
    let pointer = |user: &Fields, name: &str| user.get(name).and_then(Value::as_str).map(str::to_owned);
    let (from_id, from) = from;
    let (into_id, into) = into;
    if from_id == into_id {
        return Some("A user can't be merged into themselves.".to_owned());
    }
    if let Some(other) = pointer(into, MERGED_INTO).or_else(|| pointer(into, MERGING_INTO)) {
        return Some(format!("{into_id} is merged into {other} itself."));
    }
    let other = pointer(from, MERGED_INTO).or_else(|| pointer(from, MERGING_INTO)).filter(|other| other != into_id);
    if let Some(other) = other {
        return Some(format!("{from_id} is merged into {other} already."));
    }
    if is_student(from) != is_student(into) {
        return Some("One of them is a student and the other isn't: that's not one person.".to_owned());
    }
    None
}

/// True for a user whose merge into another is complete.
pub fn is_merged(from: &Fields) -> bool {
    from.contains_key(MERGED_INTO)
}

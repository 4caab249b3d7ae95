//! Users who turned out to be one person, as their documents say it. Pure.

use super::{field, is_student};
use crate::store::{Fields, Value};

/// Where a user's document says whom they turned out to be.
pub const MERGED_INTO: &str = field::MERGED_INTO;
/// The same while the merge is under way.
pub const MERGING_INTO: &str = field::MERGING_INTO;
/// Where the other one's document says who they were besides.
pub const MERGED_FROM: &str = field::MERGED_FROM;

/// Why two users can't be merged; for people.
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

/// True for a user who is merged into another, all of it done.
pub fn is_merged(from: &Fields) -> bool {
    from.contains_key(MERGED_INTO)
}

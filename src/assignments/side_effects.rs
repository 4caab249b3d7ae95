//! What an assignment's changes mean for the student's own document: the lists of assigned, started
//! and completed administrations, and their dates (org-hierarchy §6).

use super::counts::Contribution;
use crate::store::{DocPath, FieldPath, Fields, Precondition, Timestamp, Transform, Value, Write};

/// The lists in `users/{roarUid}.assignments`, each with the map that dates its entries.
const LISTS: [(&str, &str); 3] =
    [("assigned", "assignmentsAssigned"), ("started", "assignmentsStarted"), ("completed", "assignmentsCompleted")];

/// True when the user's document lists the administration as assigned.
pub fn lists_assignment(user: &Fields, administration: &str) -> bool {
    let assigned = user.get("assignments").and_then(Value::as_map).and_then(|lists| lists.get("assigned"));
    let assigned = assigned.and_then(Value::as_array).unwrap_or_default();
    assigned.iter().any(|id| id.as_str() == Some(administration))
}

/// When the user's document says that the administration was assigned.
pub fn date_assigned(user: &Fields, administration: &str) -> Option<Timestamp> {
    user.get("assignmentsAssigned")?.as_map()?.get(administration)?.as_timestamp()
}

/// When the assignment says that it was assigned; `now` where it doesn't say.
pub fn assigned_on(assignment: &Fields, now: Timestamp) -> Timestamp {
    assignment.get("dateAssigned").and_then(Value::as_timestamp).unwrap_or(now)
}

/// The write to the user's document that goes with a step from `before` to `after` of the user's
/// assignment (`None`: no assignment that is counted). `None` when the document need not change.
///
/// The commit conflicts when the user's document is missing; the caller then leaves the write out.
pub fn user_write(
    user: &DocPath,
    administration: &str,
    before: Option<&Contribution>,
    after: Option<(&Contribution, Timestamp)>,
    now: Timestamp,
) -> Option<Write> {
    let flags = |contribution: &Contribution| [true, contribution.started, contribution.completed];
    let was = before.map_or([false; 3], flags);
    let is = after.map_or([false; 3], |(contribution, _)| flags(contribution));
    let id = Value::from(administration);
    let mut mask = Vec::new();
    let mut fields = Fields::new();
    let mut transforms = Vec::new();
    for (index, (list, dates)) in LISTS.into_iter().enumerate() {
        // When the assignment goes, so do all its traces, whatever was recorded of it.
        if was[index] == is[index] && after.is_some() {
            continue;
        }
        mask.push(FieldPath::of([dates, administration]));
        let path = FieldPath::of(["assignments", list]);
        if is[index] {
            let date = match after {
                Some((_, assigned)) if index == 0 => assigned,
                _ => now,
            };
            let entry = Fields::from([(administration.to_owned(), Value::Timestamp(date))]);
            fields.insert(dates.to_owned(), Value::Map(entry));
            transforms.push((path, Transform::Union(vec![id.clone()])));
        } else {
            transforms.push((path, Transform::Remove(vec![id.clone()])));
        }
    }
    if mask.is_empty() {
        return None;
    }
    let write = Write::merge(user.clone(), fields, mask).when(Precondition::Exists);
    Some(transforms.into_iter().fold(write, |write, (path, transform)| write.with(path, transform)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::WriteKind;

    fn state(started: bool, completed: bool) -> Contribution {
        Contribution { started, completed, ..Contribution::default() }
    }

    /// The lists and dates that a step touches: `+assigned`, `-started`, …
    fn touched(before: Option<Contribution>, after: Option<Contribution>) -> Vec<String> {
        let user = DocPath::new("users/u").unwrap();
        let now = Timestamp::from_second(100).unwrap();
        let assigned = Timestamp::from_second(50).unwrap();
        let after = after.as_ref().map(|after| (after, assigned));
        let Some(write) = user_write(&user, "a", before.as_ref(), after, now) else { return Vec::new() };
        assert_eq!(write.precondition, Precondition::Exists);
        let WriteKind::Set { fields, mask: Some(mask), transforms } = write.kind else { panic!("a merge") };
        assert_eq!(mask.len(), transforms.len(), "each list moves with its dates");
        let mut touched = Vec::new();
        for (path, transform) in mask.iter().zip(&transforms) {
            let dates = &path.segments()[0];
            let list = &transform.path.segments()[1];
            assert_eq!(dates.to_lowercase(), format!("assignments{list}"));
            match transform.transform {
                Transform::Union(_) => {
                    let date = fields[dates].as_map().unwrap()["a"].as_timestamp().unwrap();
                    assert_eq!(date, if list == "assigned" { assigned } else { now });
                    touched.push(format!("+{list}"));
                }
                Transform::Remove(_) => {
                    assert!(!fields.contains_key(dates));
                    touched.push(format!("-{list}"));
                }
                _ => panic!("an unexpected transform"),
            }
        }
        touched
    }

    #[test]
    fn lists_follow_the_flags() {
        let table: [(&str, Option<Contribution>, Option<Contribution>, &[&str]); 8] = [
            ("created", None, Some(state(false, false)), &["+assigned"]),
            ("created with work done", None, Some(state(true, true)), &["+assigned", "+started", "+completed"]),
            ("started", Some(state(false, false)), Some(state(true, false)), &["+started"]),
            ("completed", Some(state(true, false)), Some(state(true, true)), &["+completed"]),
            ("completed elsewhere", Some(state(false, false)), Some(state(false, true)), &["+completed"]),
            ("undone", Some(state(true, true)), Some(state(false, false)), &["-started", "-completed"]),
            ("unchanged", Some(state(true, false)), Some(state(true, false)), &[]),
            ("deleted", Some(state(false, false)), None, &["-assigned", "-started", "-completed"]),
        ];
        for (event, before, after, expected) in table {
            assert_eq!(touched(before, after), expected, "{event}");
        }
    }
}

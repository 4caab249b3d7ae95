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

/// A step of one assignment, from what it contributed before to what it contributes now (`None`: no
/// assignment that is counted), the latter with the time when it was assigned.
#[derive(Clone, Debug)]
pub struct Step {
    /// The administration.
    pub administration: String,
    /// Before.
    pub before: Option<Contribution>,
    /// Now.
    pub after: Option<(Contribution, Timestamp)>,
}

/// The write to the user's document that goes with a step of one of the user's assignments. `None` when
/// the document need not change.
///
/// The commit conflicts when the user's document is missing; the caller then leaves the write out.
pub fn user_write(
    user: &DocPath,
    administration: &str,
    before: Option<&Contribution>,
    after: Option<(&Contribution, Timestamp)>,
    now: Timestamp,
) -> Option<Write> {
    let after = after.map(|(contribution, assigned)| (flags(contribution), assigned));
    user_writes_of(user, &[(administration, before.map(flags), after)], now).pop()
}

/// As [`user_write`], for steps of several assignments: one write, or two when some lists lose and gain
/// administrations.
pub fn user_writes(user: &DocPath, steps: &[Step], now: Timestamp) -> Vec<Write> {
    let steps: Vec<_> = steps
        .iter()
        .map(|step| {
            let after = step.after.as_ref().map(|(contribution, assigned)| (flags(contribution), *assigned));
            (step.administration.as_str(), step.before.as_ref().map(flags), after)
        })
        .collect();
    user_writes_of(user, &steps, now)
}

/// Whether an assignment is in each of the lists.
type Flags = [bool; 3];

fn flags(contribution: &Contribution) -> Flags {
    [true, contribution.started, contribution.completed]
}

fn user_writes_of(
    user: &DocPath,
    steps: &[(&str, Option<Flags>, Option<(Flags, Timestamp)>)],
    now: Timestamp,
) -> Vec<Write> {
    let mut mask = Vec::new();
    let mut fields = Fields::new();
    let (mut transforms, mut more) = (Vec::new(), Vec::new());
    for (index, (list, dates)) in LISTS.into_iter().enumerate() {
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        for (administration, before, after) in steps {
            let was = before.is_some_and(|flags| flags[index]);
            let is = after.is_some_and(|(flags, _)| flags[index]);
            // When the assignment goes, so do all its traces, whatever was recorded of it.
            if was == is && after.is_some() {
                continue;
            }
            mask.push(FieldPath::of([dates, administration]));
            if is {
                let date = after.filter(|_| index == 0).map_or(now, |(_, assigned)| assigned);
                let entries = fields.entry(dates.to_owned()).or_insert_with(Value::empty_map);
                if let Value::Map(entries) = entries {
                    entries.insert((*administration).to_owned(), Value::Timestamp(date));
                }
                joined.push(Value::from(*administration));
            } else {
                left.push(Value::from(*administration));
            }
        }
        let path = FieldPath::of(["assignments", list]);
        // A field takes one transform a write.
        let of_left = if joined.is_empty() { &mut transforms } else { &mut more };
        if !left.is_empty() {
            of_left.push((path.clone(), Transform::Remove(left)));
        }
        if !joined.is_empty() {
            transforms.push((path, Transform::Union(joined)));
        }
    }
    if mask.is_empty() {
        return Vec::new();
    }
    let with = |write: Write, transforms: Vec<(FieldPath, Transform)>| {
        transforms.into_iter().fold(write, |write, (path, transform)| write.with(path, transform))
    };
    let mut writes = vec![with(Write::merge(user.clone(), fields, mask).when(Precondition::Exists), transforms)];
    if !more.is_empty() {
        let write = Write::transform(user.clone(), Vec::new()).when(Precondition::Exists);
        writes.push(with(write, more));
    }
    writes
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

    #[test]
    fn steps_of_several_assignments_share_a_write() {
        let user = DocPath::new("users/u").unwrap();
        let now = Timestamp::from_second(100).unwrap();
        let step = |administration: &str, before: Option<Contribution>, after: Option<Contribution>| Step {
            administration: administration.to_owned(),
            before,
            after: after.map(|after| (after, now)),
        };
        let transforms = |write: &Write| match &write.kind {
            WriteKind::Set { transforms, .. } => transforms.clone(),
            WriteKind::Delete => panic!("a merge"),
        };
        let joined = step("a", None, Some(state(false, false)));
        let again = step("b", None, Some(state(true, false)));
        let left = step("c", Some(state(true, true)), None);
        let writes = user_writes(&user, &[joined.clone(), again.clone()], now);
        assert_eq!(writes.len(), 1);
        let union = |ids: &[&str]| Transform::Union(ids.iter().map(|id| Value::from(*id)).collect());
        let found: Vec<_> = transforms(&writes[0]).into_iter().map(|of| (of.path.to_string(), of.transform)).collect();
        assert_eq!(
            found,
            [
                ("assignments.assigned".to_owned(), union(&["a", "b"])),
                ("assignments.started".to_owned(), union(&["b"]))
            ]
        );
        // Lists that lose and gain need a second write.
        let writes = user_writes(&user, &[joined, again, left], now);
        let counts: Vec<_> = writes.iter().map(|write| transforms(write).len()).collect();
        assert_eq!(counts, [3, 2]);
        assert!(user_writes(&user, &[], now).is_empty());
    }
}

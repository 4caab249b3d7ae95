//! How an assignment's changes update the student's own document: the lists of assigned, started and completed
//! administrations, and their dates (docs/domain/assignments.md#the-students-lists).

use super::counts::Contribution;
use crate::documents::assignment::{self, has_begun};
use crate::documents::former::{self, Dates};
use crate::documents::user;
use crate::documents::user::listed::{self, LISTS, list_path};
pub use crate::documents::user::listed::{date_assigned, lists_assignment};
use crate::store::{DocPath, FieldPath, Fields, Precondition, Timestamp, Transform, Value, Write};

/// The assignment's own date of assignment; `now` where it has none.
pub fn assigned_on(assignment: &Fields, now: Timestamp) -> Timestamp {
    assignment::date_assigned(assignment).unwrap_or(now)
}

/// When the assignment entered each of the student's lists, according to the assignment itself: work starts with the
/// first started task and is complete with the last completed one.
pub fn list_dates(assignment: &Fields, now: Timestamp) -> Dates {
    let assessments = assignment::assessments(assignment);
    let of = |name: &'static str| {
        let entries = assessments.iter().filter_map(Value::as_map);
        entries.filter_map(move |entry| entry.get(name).and_then(Value::as_timestamp))
    };
    let [started, completed] = assignment::flags(assignment);
    let begun = started || assessments.iter().filter_map(Value::as_map).any(has_begun);
    Dates {
        assigned: assigned_on(assignment, now),
        started: begun.then(|| of(assignment::field::STARTED_ON).min().unwrap_or(now)),
        completed: completed.then(|| of(assignment::field::COMPLETED_ON).max().unwrap_or(now)),
    }
}

/// The dates that the student's document remembers of an assignment that is deleted: those of the student's lists, else
/// those of the assignment.
pub fn dates_left(user: Option<&Fields>, assignment: &Fields, now: Timestamp) -> Dates {
    let told = list_dates(assignment, now);
    listed::dates_left(user, assignment::administration_id(assignment).unwrap_or_default(), told)
}

/// The change of one assignment's contribution, where `None` is no counted assignment, with the dates for the student's
/// lists afterwards.
#[derive(Clone, Debug)]
pub struct Step {
    /// The administration.
    pub administration: String,
    /// The contribution before.
    pub before: Option<Contribution>,
    /// The contribution now, with the dates of the lists.
    pub after: Option<(Contribution, Dates)>,
    /// How the student's memory of the assignment changes.
    pub memory: Memory,
    /// The value of `archived` to add to the student's document, with that document's update time, where the document
    /// lacks the field.
    pub archived: Option<(Value, Timestamp)>,
}

/// How the entry of an assignment in [`former`] of the student's document changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The entry stays as it is.
    Same,
    /// The assignment was deleted and could be restored: remember these dates.
    Of(Dates),
    /// The assignment exists again: remove the entry.
    Past,
}

/// The write to the user's document for the change of one of the user's assignments. `None` when the document need not
/// change.
///
/// The commit fails with a conflict when the user's document is missing; the caller then leaves the write out.
pub fn user_write(user: &DocPath, step: &Step, now: Timestamp) -> Option<Write> {
    // One assignment either leaves its lists or joins them, so there is only one write.
    user_writes(user, std::slice::from_ref(step), now).pop()
}

/// Whether an assignment is in each of the three lists.
type Flags = [bool; 3];

fn flags(contribution: &Contribution) -> Flags {
    [true, contribution.started, contribution.completed]
}

/// As [`user_write`], for the changes of several assignments: one write, or two when some list both loses and gains
/// administrations.
pub fn user_writes(user: &DocPath, steps: &[Step], now: Timestamp) -> Vec<Write> {
    let mut mask = Vec::new();
    let mut fields = Fields::new();
    let mut precondition = Precondition::Exists;
    let (mut transforms, mut more) = (Vec::new(), Vec::new());
    let put = |fields: &mut Fields, name: &str, administration: &str, value: Value| {
        let entries = fields.entry(name.to_owned()).or_insert_with(Value::empty_map);
        if let Value::Map(entries) = entries {
            entries.insert(administration.to_owned(), value);
        }
    };
    for (index, (list, dates)) in LISTS.into_iter().enumerate() {
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        for Step { administration, before, after, .. } in steps {
            let was = before.as_ref().is_some_and(|before| flags(before)[index]);
            let is = after.as_ref().is_some_and(|(after, _)| flags(after)[index]);
            // With a deleted assignment all of its traces are removed, whatever was recorded.
            if was == is && after.is_some() {
                continue;
            }
            mask.push(FieldPath::of([dates, administration]));
            if is {
                // Changes that happen now are dated now; an assignment that is created with work in it brings that
                // work's dates.
                let known = after.as_ref().filter(|_| index == 0 || before.is_none());
                let date = known.and_then(|(_, dates)| dates.in_order()[index]).unwrap_or(now);
                put(&mut fields, dates, administration, Value::Timestamp(date));
                joined.push(Value::from(administration.as_str()));
            } else {
                left.push(Value::from(administration.as_str()));
            }
        }
        let path = list_path(list);
        // Firestore allows one transform for each field in a write.
        let of_left = if joined.is_empty() { &mut transforms } else { &mut more };
        if !left.is_empty() {
            of_left.push((path.clone(), Transform::Remove(left)));
        }
        if !joined.is_empty() {
            transforms.push((path, Transform::Union(joined)));
        }
    }
    for Step { administration, memory, archived, .. } in steps {
        // This value is only added to a write that is made anyway.
        if let Some((archived, of)) = archived.as_ref().filter(|_| !mask.is_empty() || *memory != Memory::Same) {
            // The student may be archived at this very moment.
            precondition = Precondition::UpdatedAt(*of);
            fields.insert(user::field::ARCHIVED.to_owned(), archived.clone());
            if !mask.contains(&FieldPath::top(user::field::ARCHIVED)) {
                mask.push(FieldPath::top(user::field::ARCHIVED));
            }
        }
        if *memory != Memory::Same {
            mask.push(former::entry_path(administration));
        }
        if let Memory::Of(dates) = memory {
            put(&mut fields, former::FORMER, administration, dates.to_value());
        }
    }
    if mask.is_empty() {
        return Vec::new();
    }
    let with = |write: Write, transforms: Vec<(FieldPath, Transform)>| {
        transforms.into_iter().fold(write, |write, (path, transform)| write.with(path, transform))
    };
    let mut writes = vec![with(Write::merge(user.clone(), fields, mask).when(precondition), transforms)];
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
        let after = after.map(|after| (after, Dates { assigned, started: None, completed: None }));
        let step = Step { administration: "a".to_owned(), before, after, memory: Memory::Same, archived: None };
        let Some(write) = user_write(&user, &step, now) else { return Vec::new() };
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
    fn what_went_is_remembered_and_its_dates_come_back_with_it() {
        let user = DocPath::new("users/u").unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let dates = Dates { assigned: at(10), started: Some(at(20)), completed: Some(at(30)) };
        let step =
            |before, after, memory| Step { administration: "a".to_owned(), before, after, memory, archived: None };
        let of = |step: Step| match user_write(&user, &step, at(100)).unwrap().kind {
            WriteKind::Set { fields, mask: Some(mask), .. } => (fields, mask),
            _ => panic!("a merge"),
        };
        let (fields, mask) = of(step(Some(state(true, true)), None, Memory::Of(dates)));
        assert_eq!(fields, crate::fields! { former::FORMER => crate::fields! { "a" => dates.to_value() } });
        assert!(mask.contains(&former::entry_path("a")));
        let (fields, mask) = of(step(None, Some((state(true, true), dates)), Memory::Past));
        let on = |second| Value::Map(crate::fields! { "a" => at(second) });
        let expected = Fields::from([
            ("assignmentsAssigned".to_owned(), on(10)),
            ("assignmentsStarted".to_owned(), on(20)),
            ("assignmentsCompleted".to_owned(), on(30)),
        ]);
        assert_eq!(fields, expected);
        assert!(mask.contains(&former::entry_path("a")));
    }

    #[test]
    fn the_dates_of_what_goes() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let entry = |started: Option<i64>, completed: Option<i64>| {
            let dates = [("startedOn", started), ("completedOn", completed)];
            let dates =
                dates.into_iter().filter_map(|(name, date)| Some((name.to_owned(), Value::Timestamp(at(date?)))));
            Value::Map(dates.collect())
        };
        let assignment = crate::fields! {
            "id" => "a", "started" => true, "completed" => true, "dateAssigned" => at(1),
            "assessments" => vec![entry(Some(5), Some(6)), entry(Some(3), Some(9))],
        };
        let told = Dates { assigned: at(1), started: Some(at(3)), completed: Some(at(9)) };
        assert_eq!(list_dates(&assignment, at(100)), told);
        let user = crate::fields! { "assignmentsStarted" => crate::fields! { "a" => at(4), "b" => at(5) } };
        assert_eq!(dates_left(Some(&user), &assignment, at(100)), Dates { started: Some(at(4)), ..told });
        let bare = crate::fields! { "id" => "a", "assessments" => vec![entry(None, None)] };
        let nothing = Dates { assigned: at(100), started: None, completed: None };
        assert_eq!(dates_left(Some(&user), &bare, at(100)), nothing);
        let external = crate::fields! { "id" => "a", "assessments" => vec![entry(None, Some(6))] };
        assert!(list_dates(&external, at(100)).has_begun(), "whatever the flags say");
    }

    #[test]
    fn steps_of_several_assignments_share_a_write() {
        let user = DocPath::new("users/u").unwrap();
        let now = Timestamp::from_second(100).unwrap();
        let step = |administration: &str, before: Option<Contribution>, after: Option<Contribution>| Step {
            administration: administration.to_owned(),
            before,
            after: after.map(|after| (after, Dates { assigned: now, started: None, completed: None })),
            memory: Memory::Same,
            archived: None,
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

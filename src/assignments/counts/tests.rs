use proptest::prelude::*;

use super::*;
use crate::fields;

fn assignment(orgs: &[&str], flags: (bool, bool), tasks: &[(&str, bool, bool)]) -> Fields {
    let tasks = tasks.iter().map(|(task, started, completed)| {
        let mut assessment = fields! { "taskId" => *task, "optional" => false };
        if *started {
            assessment.insert("startedOn".to_owned(), Value::Timestamp(jiff::Timestamp::UNIX_EPOCH));
        }
        if *completed {
            assessment.insert("completedOn".to_owned(), Value::Timestamp(jiff::Timestamp::UNIX_EPOCH));
        }
        Value::Map(assessment)
    });
    fields! {
        "assigningOrgs" => fields! { "districts" => Value::strings(orgs.iter().copied()) },
        "started" => flags.0,
        "completed" => flags.1,
        "assessments" => tasks.collect::<Vec<_>>(),
    }
}

/// What an assignment contributes whose entries are all its administration's.
fn contribution(assignment: &Fields) -> Contribution {
    Contribution::of(assignment, &Tasks::known_to(assignment))
}

/// The delta between two states as text: `key block assigned started completed`.
fn delta(before: Option<&Fields>, after: Option<&Fields>) -> Vec<String> {
    let before = before.map(contribution);
    let after = after.map(contribution);
    let mut delta = CountsDelta::default();
    delta.step(before.as_ref(), after.as_ref());
    delta.moves().map(|(key, name, c)| format!("{key} {name} {} {} {}", c.assigned, c.started, c.completed)).collect()
}

#[test]
fn the_table_of_consequences() {
    let fresh = assignment(&["o"], (false, false), &[("a", false, false), ("b", false, false)]);
    let started = assignment(&["o"], (true, false), &[("a", true, false), ("b", false, false)]);
    let two = assignment(&["o"], (true, false), &[("a", true, false), ("b", true, false)]);
    let one_done = assignment(&["o"], (true, false), &[("a", true, true), ("b", true, false)]);
    let done = assignment(&["o"], (true, true), &[("a", true, true), ("b", true, true)]);
    let external = assignment(&["o"], (false, true), &[("a", false, true), ("b", false, false)]);
    let moved = assignment(&["p"], (true, false), &[("a", true, false), ("b", false, false)]);
    let fewer = assignment(&["o"], (true, false), &[("a", true, false)]);
    let both = |rows: &[&str]| -> Vec<String> {
        ["o", "total"].iter().flat_map(|key| rows.iter().map(move |row| format!("{key} {row}"))).collect()
    };
    let table = [
        ("created", None, Some(&fresh), both(&["a 1 0 0", "assignment 1 0 0", "b 1 0 0"])),
        ("first task started", Some(&fresh), Some(&started), both(&["a 0 1 0", "assignment 0 1 0"])),
        ("another task started", Some(&started), Some(&two), both(&["b 0 1 0"])),
        ("a task completed", Some(&two), Some(&one_done), both(&["a 0 0 1"])),
        ("the last completed", Some(&one_done), Some(&done), both(&["assignment 0 0 1", "b 0 0 1"])),
        ("undone", Some(&done), Some(&one_done), both(&["assignment 0 0 -1", "b 0 0 -1"])),
        ("completed elsewhere", Some(&fresh), Some(&external), both(&["a 0 1 1", "assignment 0 1 1"])),
        (
            "moved",
            Some(&started),
            Some(&moved),
            ["o a -1 -1 0", "o assignment -1 -1 0", "o b -1 0 0", "p a 1 1 0", "p assignment 1 1 0", "p b 1 0 0"]
                .map(str::to_owned)
                .to_vec(),
        ),
        ("task removed", Some(&started), Some(&fewer), both(&["b -1 0 0"])),
        ("deleted", Some(&one_done), None, both(&["a -1 -1 -1", "assignment -1 -1 0", "b -1 -1 0"])),
        ("nothing", Some(&two), Some(&two), vec![]),
    ];
    for (event, before, after, expected) in table {
        assert_eq!(delta(before, after), expected, "{event}");
    }
}

#[test]
fn only_tasks_that_count_are_counted_and_each_once() {
    let tasks = Tasks::from_iter(["a"]);
    let invented = assignment(&["o"], (true, false), &[("a", true, false), ("__x__", true, true), ("b", true, true)]);
    let twice = assignment(&["o"], (true, false), &[("a", false, false), ("a", true, false), ("a", false, false)]);
    for assignment in [invented, twice] {
        let mut delta = CountsDelta::default();
        delta.step(None, Some(&Contribution::of(&assignment, &tasks)));
        let moves: Vec<_> =
            delta.moves().map(|(key, name, c)| format!("{key} {name} {}{}", c.assigned, c.started)).collect();
        assert_eq!(moves, ["o a 11", "o assignment 11", "total a 11", "total assignment 11"]);
    }
}

#[test]
fn an_org_listed_under_two_types_counts_once() {
    let twice = fields! {
        "assigningOrgs" => fields! { "districts" => Value::strings(["o"]), "groups" => Value::strings(["o"]) },
    };
    assert_eq!(delta(None, Some(&twice)), ["o assignment 1 0 0", "total assignment 1 0 0"]);
}

#[test]
fn the_writes_increment_only_what_moves() {
    let before = contribution(&assignment(&["o"], (false, false), &[("a-b", false, false)]));
    let after = contribution(&assignment(&["o"], (true, false), &[("a-b", true, false)]));
    let mut delta = CountsDelta::default();
    delta.step(Some(&before), Some(&after));
    let writes = delta.writes("adm", Precondition::Exists).unwrap();
    assert_eq!(writes.len(), 2);
    assert_eq!(writes[0].path.as_str(), "administrations/adm/stats/o");
    assert_eq!(writes[0].precondition, Precondition::Exists);
    let crate::store::WriteKind::Set { transforms, .. } = &writes[0].kind else { panic!("a set") };
    let paths: Vec<_> = transforms.iter().map(|transform| transform.path.to_string()).collect();
    assert_eq!(paths, ["updatedAt", "`a-b`.started", "assignment.started"]);
}

fn any_assignment() -> impl Strategy<Value = Fields> {
    let orgs = prop::collection::vec(prop::sample::select(vec!["o1", "o2", "o3"]), 0..3);
    let task = (prop::sample::select(vec!["a", "b", "c-d"]), any::<bool>(), any::<bool>());
    (orgs, any::<(bool, bool)>(), prop::collection::vec(task, 0..4))
        .prop_map(|(orgs, flags, tasks)| assignment(&orgs, flags, &tasks))
}

proptest! {
    #[test]
    fn the_record_remembers_the_contribution(assignment in any_assignment()) {
        let contribution = contribution(&assignment);
        let mut recorded = assignment.clone();
        contribution.record(&mut recorded);
        prop_assert_eq!(Contribution::recorded(&recorded), Some(contribution));
        prop_assert!(Contribution::is_settled(&recorded));
        prop_assert!(!Contribution::is_settled(&assignment));
    }

    /// However a history goes, the steps add up to the last state's own contribution.
    #[test]
    fn steps_add_up(history in prop::collection::vec(prop::option::of(any_assignment()), 1..6)) {
        let states: Vec<_> = history.iter().map(|state| state.as_ref().map(contribution)).collect();
        let mut walked = CountsDelta::default();
        let mut before = None;
        for state in &states {
            walked.step(before, state.as_ref());
            before = state.as_ref();
        }
        let mut direct = CountsDelta::default();
        direct.step(None, before);
        prop_assert_eq!(walked.moves().collect::<Vec<_>>(), direct.moves().collect::<Vec<_>>());
    }
}

use proptest::prelude::*;

use super::*;
use crate::documents::user::merged::refusal;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn user(user_type: &str) -> Fields {
    fields! { "userType" => user_type, "archived" => false }
}

#[test]
fn who_cant_be_merged() {
    let (one, other) = (user("student"), user("student"));
    let with = |name: &str, to: &str| {
        let mut user = user("student");
        user.insert(name.to_owned(), Value::from(to));
        user
    };
    assert_eq!(refusal(("a", &one), ("b", &other)), None);
    for (from, into, why) in [
        (("a", one.clone()), ("a", one.clone()), "themselves"),
        (("a", with(MERGED_INTO, "c")), ("b", one.clone()), "merged into c"),
        (("a", with(MERGING_INTO, "c")), ("b", one.clone()), "merged into c"),
        (("a", one.clone()), ("b", with(MERGED_INTO, "c")), "merged into c"),
        (("a", user("educator")), ("b", one.clone()), "student"),
        (("a", one.clone()), ("b", user("admin")), "student"),
    ] {
        let refused = refusal((from.0, &from.1), (into.0, &into.1)).expect("a refusal");
        assert!(refused.contains(why), "{refused}");
    }
    // Begun or done, the same merge goes on.
    assert_eq!(refusal(("a", &with(MERGING_INTO, "b")), ("b", &one)), None);
    assert_eq!(refusal(("a", &with(MERGED_INTO, "b")), ("b", &one)), None);
    assert_eq!(refusal(("a", &user("educator")), ("b", &user("admin"))), None);
}

#[test]
fn the_user_who_stays_has_what_both_had() {
    let orgs = |current: &[&str], all: &[&str], dates: Fields| {
        Value::Map(fields! {
            "current" => Value::strings(current.to_vec()), "all" => Value::strings(all.to_vec()), "dates" => dates,
        })
    };
    let mut into = user("student");
    into.extend(fields! {
        "email" => "own@school.example", "name" => fields! { "first" => "Ada", "middle" => Value::Null, "last" => "B" },
        "studentData" => fields! { "grade" => "3" },
        "schools" => orgs(&["s1"], &["s0", "s1"], fields! {
            "s0" => fields! { "from" => at(1), "to" => at(2) }, "s1" => fields! { "from" => at(9) },
        }),
        "legal" => fields! { "tos" => fields! { "v1" => vec![Value::from(1)] } },
    });
    let mut from = user("student");
    from.extend(fields! {
        "email" => "other@school.example", "username" => "ada1", "name" => fields! { "first" => "A", "middle" => "M" },
        "studentData" => fields! { "grade" => "4", "gender" => "F" },
        "schools" => orgs(&["s1", "s2"], &["s1", "s2"], fields! {
            "s1" => fields! { "from" => at(5) }, "s2" => fields! { "from" => at(6) },
        }),
        "legal" => fields! { "tos" => fields! { "v1" => vec![Value::from(1), Value::from(2)], "v2" => vec![Value::from(3)] } },
        "childIds" => Value::strings(["c"]),
    });
    let taken = taken_over(&into, "from", &from, at(100));
    let mut after = into.clone();
    after.extend(taken);
    assert_eq!(after["email"], Value::from("own@school.example"));
    assert_eq!(after["username"], Value::from("ada1"));
    assert_eq!(after["name"], Value::Map(fields! { "first" => "Ada", "middle" => "M", "last" => "B" }));
    assert_eq!(after["studentData"], Value::Map(fields! { "grade" => "3", "gender" => "F" }));
    assert_eq!(
        after["schools"],
        orgs(
            &["s1", "s2"],
            &["s0", "s1", "s2"],
            fields! {
                "s0" => fields! { "from" => at(1), "to" => at(2) }, "s1" => fields! { "from" => at(5) },
                "s2" => fields! { "from" => at(6) },
            }
        )
    );
    let signed = fields! { "v1" => vec![Value::from(1), Value::from(2)], "v2" => vec![Value::from(3)] };
    assert_eq!(after["legal"], Value::Map(fields! { "tos" => signed }));
    assert_eq!((&after["childIds"], &after[MERGED_FROM]), (&Value::strings(["c"]), &Value::strings(["from"])));
    assert_eq!(taken_over(&after, "from", &from, at(200)), Fields::new(), "once");

    let (fields, mask) = retired(&from, "into", &after, at(100)).expect("a change");
    let mut gone = from.clone();
    for path in &mask {
        let name = &path.segments()[0];
        match fields.get(name) {
            Some(value) => gone.insert(name.clone(), value.clone()),
            None => gone.remove(name),
        };
    }
    assert_eq!((&gone["archived"], &gone[MERGED_INTO]), (&Value::Boolean(true), &Value::from("into")));
    assert_eq!(listed(gone.get("schools").and_then(Value::as_map), "current"), [""; 0]);
    assert_eq!((gone.get("username"), gone["email"].as_str()), (None, Some("other@school.example")));
    assert_eq!(retired(&gone, "into", &after, at(200)), None, "once");
    // Somebody archived comes to life by somebody who isn't.
    let mut archived = user("student");
    archived.insert("archived".to_owned(), Value::Boolean(true));
    assert_eq!(taken_over(&archived, "from", &from, at(100)).get("archived"), Some(&Value::Boolean(false)));
}

fn entry(task: &str, started: Option<i64>, completed: Option<i64>, runs: &[&str]) -> Value {
    let mut entry = fields! { "taskId" => task, "optional" => false };
    for (name, date) in [("startedOn", started), ("completedOn", completed)] {
        entry.extend(date.map(|date| (name.to_owned(), Value::Timestamp(at(date)))));
    }
    if let [best, ..] = runs {
        entry.insert("runId".to_owned(), Value::from(*best));
        entry.insert("allRunIds".to_owned(), Value::strings(runs.to_vec()));
    }
    Value::Map(entry)
}

fn assignment(entries: Vec<Value>, started: bool, completed: bool, org: &str) -> Fields {
    let orgs = fields! { "schools" => Value::strings([org]) };
    let mut assignment = fields! {
        "id" => "a", "assessments" => entries, "started" => started, "completed" => completed,
        "assigningOrgs" => orgs.clone(), "readOrgs" => orgs, "dateAssigned" => at(10), "progress" => Fields::new(),
    };
    Contribution::of(&assignment, &Tasks::known_to(&assignment)).record(&mut assignment);
    assignment
}

fn shown(assignment: &Fields) -> Vec<String> {
    let date = |entry: &Fields, name: &str| entry.get(name).and_then(Value::as_timestamp).map(Timestamp::as_second);
    let entries = assessments_of(assignment);
    let line = |entry: &Fields| {
        let runs = entry.get("allRunIds").and_then(Value::as_string_list).unwrap_or_default().join("+");
        let run = entry.get("runId").and_then(Value::as_str).unwrap_or("-");
        format!(
            "{} {:?} {:?} {run} {runs}",
            task_id(entry).unwrap(),
            date(entry, "startedOn"),
            date(entry, "completedOn")
        )
    };
    entries.iter().map(line).collect()
}

#[test]
fn each_task_has_the_better_progress_of_both() {
    let own = assignment(
        vec![
            entry("pa", Some(1), None, &["r1"]),
            entry("swr", Some(3), Some(9), &["r2"]),
            entry("sre", None, None, &[]),
            entry("letter", Some(5), None, &[]),
        ],
        true,
        false,
        "s1",
    );
    let other = assignment(
        vec![
            entry("pa", Some(2), Some(4), &["r3"]),
            entry("swr", Some(2), Some(8), &["r4", "r5"]),
            entry("letter", Some(4), None, &[]),
            entry("vocab", Some(7), Some(7), &[]),
            entry("cva", None, None, &[]),
        ],
        true,
        false,
        "s2",
    );
    let merged = merged_assignment(Some(&own), &other, &user("student"), at(100));
    assert_eq!(
        shown(&merged),
        [
            "pa Some(2) Some(4) r3 r3+r1",
            "swr Some(2) Some(8) r4 r4+r5+r2",
            "sre None None - ",
            "letter Some(4) None - ",
            "vocab Some(7) Some(7) - ",
        ]
    );
    assert_eq!(OrgLists::from_value(merged.get("assigningOrgs")).flatten(), ["s1", "s2"]);
    assert!(Contribution::is_settled(&merged));
    // Merged again, nothing changes.
    assert_eq!(merged_assignment(Some(&merged), &other, &user("student"), at(200)), merged);
    // Somebody without one takes it whole; it's counted for them from now on.
    let moved = merged_assignment(None, &other, &user("student"), at(100));
    assert_eq!(shown(&moved), shown(&other));
    assert_ne!(crate::assignments::counts::life(&moved), None);
    // Both halves done make a whole.
    let first = assignment(vec![entry("pa", Some(1), Some(2), &[]), entry("swr", None, None, &[])], true, false, "s1");
    let second = assignment(vec![entry("pa", None, None, &[]), entry("swr", Some(1), Some(2), &[])], true, false, "s1");
    let whole = merged_assignment(Some(&first), &second, &user("student"), at(100));
    assert_eq!(whole["completed"], Value::Boolean(true));
}

proptest! {
    /// Nothing that either did is lost, whoever is merged into whom.
    #[test]
    fn merging_loses_no_work(
        own in prop::collection::vec((any::<bool>(), any::<bool>()), 3),
        other in prop::collection::vec((any::<bool>(), any::<bool>()), 3),
    ) {
        let of = |work: &[(bool, bool)]| {
            let entries = work.iter().zip(["pa", "swr", "sre"]).map(|((started, completed), task)| {
                entry(task, started.then_some(1), completed.then_some(2), &[])
            });
            assignment(entries.collect(), work.iter().any(|(started, _)| *started), false, "s1")
        };
        let merged = merged_assignment(Some(&of(&own)), &of(&other), &user("student"), at(100));
        for ((entry, own), other) in assessments_of(&merged).iter().zip(&own).zip(&other) {
            let has = |name: &str| entry.contains_key(name);
            prop_assert_eq!(has("completedOn"), own.1 || other.1);
            prop_assert!(has_begun(entry) == (own.0 || own.1 || other.0 || other.1));
        }
    }
}

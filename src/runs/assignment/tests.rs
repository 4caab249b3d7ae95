use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn now() -> Timestamp {
    at(5_000)
}

fn run(id: &str, started: i64, finished: Option<i64>) -> Run {
    Run {
        id: id.to_owned(),
        completed: finished.is_some(),
        started: Some(at(started)),
        finished: finished.map(at),
        theta_se: None,
        attempted: 0.0,
        is_marked: false,
    }
}

fn task(id: &str, more: Fields) -> Value {
    let mut entry = fields! { "taskId" => id, "optional" => false, "params" => Fields::new() };
    entry.extend(more);
    Value::Map(entry)
}

fn assignment(tasks: Vec<Value>, progress: Fields) -> Fields {
    fields! { "assessments" => tasks, "progress" => progress, "started" => false, "completed" => false }
}

/// Two tasks, nothing begun.
fn fresh() -> Fields {
    let progress = fields! { "swr_es" => "assigned", "pa" => "assigned" };
    assignment(vec![task("swr-es", fields! {}), task("pa", fields! {})], progress)
}

/// The assignment after it followed the runs of `swr-es`; it must not change twice.
fn followed(before: &Fields, runs: &[Run], left: Option<Timestamp>) -> Fields {
    let mut after = before.clone();
    if let Outcome::Changed(changes) = follow(before, "swr-es", runs, left, now()) {
        after.extend(changes);
        assert_eq!(follow(&after, "swr-es", runs, left, now()), Outcome::Same, "once is enough");
    }
    after
}

fn entry(assignment: &Fields, at: usize) -> Fields {
    assignment["assessments"].as_array().unwrap()[at].as_map().unwrap().clone()
}

fn mark(assignment: &Fields, key: &str) -> Value {
    assignment["progress"].as_map().unwrap()[key].clone()
}

fn flags(assignment: &Fields) -> (bool, bool) {
    (assignment["started"].as_bool().unwrap(), assignment["completed"].as_bool().unwrap())
}

#[test]
fn a_run_begins_the_task() {
    let after = followed(&fresh(), &[run("r", 60, None)], None);
    let expected = fields! {
        "taskId" => "swr-es", "optional" => false, "params" => Fields::new(),
        "runId" => "r", "allRunIds" => Value::strings(["r"]), "startedOn" => at(60),
    };
    assert_eq!(entry(&after, 0), expected);
    assert_eq!(entry(&after, 1), entry(&fresh(), 1), "the other task is as it was");
    assert_eq!(after["progress"], Value::Map(fields! { "swr_es" => "started", "pa" => "assigned" }));
    assert_eq!(flags(&after), (true, false));
    assert_eq!(after["cloudSyncTimestamp"], Value::Integer(5_000_000));
}

#[test]
fn a_completed_run_completes_the_task_and_the_last_one_the_assignment() {
    let after = followed(&fresh(), &[run("r", 60, Some(90))], None);
    assert_eq!(entry(&after, 0)["completedOn"], Value::Timestamp(at(90)));
    assert_eq!(mark(&after, "swr_es"), Value::from("completed"));
    assert_eq!(flags(&after), (true, false), "pa is still to be done");

    let optional = assignment(
        vec![task("swr-es", fields! {}), task("pa", fields! { "optional" => true })],
        fields! { "swr_es" => "assigned", "pa" => "assigned" },
    );
    assert_eq!(flags(&followed(&optional, &[run("r", 60, Some(90))], None)), (true, true));
    assert_eq!(flags(&followed(&optional, &[run("r", 60, None)], None)), (true, false));

    let marked = assignment(
        vec![task("swr-es", fields! {}), task("survey", fields! {})],
        fields! { "swr_es" => "assigned", "survey" => "completed" },
    );
    assert_eq!(flags(&followed(&marked, &[run("r", 60, Some(90))], None)), (true, true), "marked without a date");
}

#[test]
fn runs_are_listed_by_their_start() {
    let runs = [run("b", 70, None), run("a", 70, None), run("c", 60, Some(65)), run("d", 10, None)];
    let after = entry(&followed(&fresh(), &runs, None), 0);
    assert_eq!(after["runId"], Value::from("c"));
    assert_eq!(after["allRunIds"], Value::strings(["d", "c", "a", "b"]));
    assert_eq!((&after["startedOn"], &after["completedOn"]), (&Value::from(at(60)), &Value::from(at(65))));
}

#[test]
fn what_the_client_completed_stays_completed() {
    let dated = assignment(
        vec![task("swr-es", fields! { "startedOn" => at(50), "completedOn" => at(99) })],
        fields! { "swr_es" => "assigned" },
    );
    let after = followed(&dated, &[run("r", 60, None)], None);
    assert_eq!(entry(&after, 0)["completedOn"], Value::Timestamp(at(99)));
    assert_eq!(entry(&after, 0)["startedOn"], Value::Timestamp(at(60)));
    assert_eq!(mark(&after, "swr_es"), Value::from("completed"));
    assert_eq!(flags(&after), (true, true));

    let marked = assignment(vec![task("swr-es", fields! {})], fields! { "swr_es" => "completed" });
    let after = followed(&marked, &[run("r", 60, None)], None);
    assert_eq!(mark(&after, "swr_es"), Value::from("completed"));

    let mut flagged = fresh();
    flagged.insert("completed".to_owned(), Value::Boolean(true));
    assert_eq!(flags(&followed(&flagged, &[run("r", 60, None)], None)), (true, true));
}

#[test]
fn there_is_a_date_or_nothing_but_no_null() {
    let nulls = fields! { "startedOn" => Value::Null, "completedOn" => Value::Null };
    let before = assignment(vec![task("swr-es", nulls)], fields! { "swr_es" => "assigned" });
    let after = entry(&followed(&before, &[run("r", 60, None)], None), 0);
    assert!(!after.contains_key("completedOn"));
    let after = entry(&followed(&before, &[Run { started: None, ..run("r", 60, None) }], None), 0);
    assert!(!after.contains_key("startedOn"));
    // A completed run that doesn't say when brings no date.
    let after = followed(&before, &[Run { completed: true, ..run("r", 60, None) }], None);
    assert!(!entry(&after, 0).contains_key("completedOn"));
    assert_eq!((mark(&after, "swr_es"), flags(&after)), (Value::from("completed"), (true, true)));
}

#[test]
fn keys_with_hyphens_are_read_and_rewritten() {
    let legacy = assignment(
        vec![task("swr-es", fields! {}), task("roar-inference", fields! {})],
        fields! { "swr-es" => "completed", "roar-inference" => "completed", "note" => "kept" },
    );
    let after = followed(&legacy, &[run("r", 60, None)], None);
    let expected = fields! { "swr_es" => "completed", "roar_inference" => "completed", "note" => "kept" };
    assert_eq!(after["progress"], Value::Map(expected));
    assert_eq!(flags(&after), (true, true), "the other task's old key counts too");
}

#[test]
fn the_last_run_takes_its_task_back() {
    let one = followed(&fresh(), &[run("r", 60, Some(90))], None);
    let after = followed(&one, &[], Some(at(100)));
    let expected = fields! {
        "taskId" => "swr-es", "optional" => false, "params" => Fields::new(), "allRunIds" => Value::Array(vec![]),
    };
    assert_eq!(entry(&after, 0), expected);
    assert_eq!(after["progress"], Value::Map(fields! { "swr_es" => "assigned", "pa" => "assigned" }));
    assert_eq!(flags(&after), (false, false));

    // Whatever the dates say: the entry names a run.
    assert_eq!(entry(&followed(&one, &[], Some(at(1))), 0), expected);
    // Only the event of a run that left may clear.
    assert_eq!(followed(&one, &[], None), one);
}

#[test]
fn other_work_keeps_the_assignment_started() {
    for (other, expected) in [
        (fields! { "startedOn" => at(10) }, (true, false)),
        (fields! { "completedOn" => at(10) }, (true, false)),
        (fields! {}, (false, false)),
    ] {
        let before = assignment(vec![task("swr-es", fields! {}), task("pa", other)], fields! {});
        let one = followed(&before, &[run("r", 60, None)], None);
        assert_eq!(flags(&followed(&one, &[], Some(at(100)))), expected);
    }
}

/// The deletion is handled before anybody saw the run, so only the client's dates tell of it.
#[test]
fn a_run_that_nobody_saw_takes_the_dates_up_to_its_end() {
    let dates = fields! { "startedOn" => at(50), "completedOn" => at(99) };
    let mut before = assignment(vec![task("swr-es", dates)], fields! { "swr_es" => "assigned" });
    before.insert("started".to_owned(), Value::Boolean(true));
    let unseen = followed(&before, &[], Some(at(100)));
    let seen = followed(&followed(&before, &[run("r", 60, Some(99))], None), &[], Some(at(100)));
    assert_eq!(unseen, seen, "the same as if it had been seen");
    assert_eq!(flags(&unseen), (false, false));

    // Work that began since then has nothing to do with it.
    let after = entry(&followed(&before, &[], Some(at(70))), 0);
    assert_eq!((after.get("startedOn"), after.get("completedOn")), (None, Some(&Value::from(at(99)))));
    // And once it's cleared, a late copy of the event touches nothing.
    let again = assignment(
        vec![task("swr-es", fields! { "allRunIds" => Value::Array(vec![]), "completedOn" => at(300) })],
        fields! { "swr_es" => "assigned" },
    );
    assert_eq!(followed(&again, &[], Some(at(100))), again);
}

#[test]
fn a_task_that_is_not_in_the_assignment_is_told() {
    assert_eq!(follow(&fresh(), "vocab", &[run("r", 60, None)], None, now()), Outcome::NoTask);
    assert_eq!(follow(&fields! {}, "vocab", &[], Some(now()), now()), Outcome::NoTask);
}

proptest! {
    /// Whatever the runs did in between, the assignment ends as their last state makes it.
    #[test]
    fn the_way_to_the_runs_does_not_matter(
        steps in prop::collection::vec((0..3_usize, 0..9_i64), 0..6),
        last in prop::collection::vec((0..3_usize, 0..9_i64), 1..4),
    ) {
        let runs = |picks: &[(usize, i64)]| {
            let mut runs: Vec<Run> =
                picks.iter().map(|(which, start)| run(["a", "b", "c"][*which], *start, None)).collect();
            runs.sort_by(|one, other| one.id.cmp(&other.id));
            runs.dedup_by(|one, other| one.id == other.id);
            runs
        };
        let direct = followed(&fresh(), &runs(&last), None);
        let mut wandered = fresh();
        for count in 0..steps.len() {
            let left = (count == 2).then_some(at(100));
            let now = if count == 2 { vec![] } else { runs(&steps[..=count]) };
            wandered = followed(&wandered, &now, left);
        }
        prop_assert_eq!(followed(&wandered, &runs(&last), None), direct);
    }
}

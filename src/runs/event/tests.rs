use super::*;
use crate::fields;
use crate::store::{DocPath, Document, Value};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn run() -> Fields {
    fields! {
        "taskId" => "swr",
        "assignmentId" => "adm",
        "completed" => false,
        "timeStarted" => at(60),
        "userData" => fields! { "schoolLevel" => "elementary" },
        "scores" => scores(5, Some(10)),
    }
}

/// Scores after that many items, with that category score.
fn scores(items: i64, category: Option<i64>) -> Fields {
    let mut composite = fields! { "wjPercentile" => 10, "roarScore" => 300 };
    if let Some(category) = category {
        composite.insert("categoryScore".to_owned(), Value::Integer(category));
    }
    fields! {
        "raw" => fields! { "composite" => fields! { "test" => fields! { "numAttempted" => items } } },
        "computed" => fields! { "composite" => composite },
    }
}

/// The run with other fields; null takes a field away.
fn with(changes: Fields) -> Fields {
    let mut run = run();
    for (name, value) in changes {
        match value {
            Value::Null => run.remove(&name),
            value => run.insert(name, value),
        };
    }
    run
}

fn ask(before: Option<Fields>, after: Option<Fields>) -> Asked {
    let path = DocPath::new("users/u/runs/r").unwrap();
    let document = |fields| Document { path: path.clone(), fields, create_time: at(0), update_time: at(0) };
    let (before, after) = (before.map(document), after.map(document));
    asked(&DocumentChange { id: "e".to_owned(), path: path.clone(), before, after, time: at(900) })
}

fn pair(task: &str, assignment: &str) -> Pair {
    Pair { task: task.to_owned(), assignment: assignment.to_owned() }
}

fn stays(task: &str, assignment: &str) -> Touched {
    Touched { pair: pair(task, assignment), left: None }
}

fn leaves(task: &str, assignment: &str) -> Touched {
    Touched { pair: pair(task, assignment), left: Some(at(900)) }
}

#[test]
fn a_run_that_comes_or_goes_asks_for_a_choice() {
    assert_eq!(ask(None, Some(run())), Asked::Choice(vec![stays("swr", "adm")]));
    assert_eq!(ask(Some(run()), None), Asked::Choice(vec![leaves("swr", "adm")]));
}

#[test]
fn a_run_outside_any_assignment_asks_for_nothing() {
    for outside in [
        fields! { "assignmentId" => Value::Null },
        fields! { "assignmentId" => "" },
        fields! { "assignmentId" => 7 },
        fields! { "assignmentId" => "a/b" },
        fields! { "taskId" => Value::Null },
    ] {
        let outside = with(outside);
        assert_eq!(ask(None, Some(outside.clone())), Asked::Nothing);
        assert_eq!(ask(Some(outside.clone()), None), Asked::Nothing);
        let mut later = outside.clone();
        later.insert("completed".to_owned(), Value::Boolean(true));
        assert_eq!(ask(Some(outside), Some(later)), Asked::Nothing);
    }
    let mut null = run();
    null.insert("assignmentId".to_owned(), Value::Null);
    assert_eq!(ask(None, Some(null)), Asked::Nothing);
}

#[test]
fn what_enters_the_choice_asks_for_it() {
    for change in [
        fields! { "completed" => true },
        fields! { "timeStarted" => at(61) },
        fields! { "timeFinished" => at(99) },
        fields! { "reliable" => true },
        fields! { "scores" => scores(6, Some(10)) },
        fields! { "scores" => Value::Null },
    ] {
        let after = with(change.clone());
        assert_eq!(ask(Some(run()), Some(after)), Asked::Choice(vec![stays("swr", "adm")]), "{change:?}");
    }
}

#[test]
fn a_run_that_moves_touches_both_places() {
    let moved = with(fields! { "taskId" => "pa" });
    assert_eq!(ask(Some(run()), Some(moved)), Asked::Choice(vec![leaves("swr", "adm"), stays("pa", "adm")]));
    let moved = with(fields! { "assignmentId" => "other" });
    assert_eq!(ask(Some(run()), Some(moved.clone())), Asked::Choice(vec![leaves("swr", "adm"), stays("swr", "other")]));
    let out = with(fields! { "assignmentId" => Value::Null });
    assert_eq!(ask(Some(run()), Some(out.clone())), Asked::Choice(vec![leaves("swr", "adm")]));
    assert_eq!(ask(Some(out), Some(moved)), Asked::Choice(vec![stays("swr", "other")]));
}

/// What this service writes to runs comes back as events.
#[test]
fn own_writes_ask_for_nothing() {
    for change in [
        fields! { "bestRun" => true, "cloudSyncTimestamp" => 1_000 },
        fields! { "cloudSyncTimestamp" => 2_000 },
        fields! { "interactions" => fields! { "test" => fields! { "blur" => 1 } } },
    ] {
        assert_eq!(ask(Some(run()), Some(with(change.clone()))), Asked::Nothing, "{change:?}");
    }
    let unscored = with(fields! { "scores" => scores(5, None) });
    assert_eq!(ask(Some(unscored), Some(run())), Asked::Nothing);
}

#[test]
fn a_category_score_that_a_client_took_away_is_written_again() {
    let unscored = with(fields! { "scores" => scores(5, None) });
    assert_eq!(ask(Some(run()), Some(unscored)), Asked::Category);
}

#[test]
fn the_best_run_may_get_better_without_a_choice() {
    let best = |items| with(fields! { "bestRun" => true, "scores" => scores(items, Some(10)) });
    assert_eq!(ask(Some(best(5)), Some(best(6))), Asked::Nothing);
    assert_eq!(ask(Some(best(6)), Some(best(5))), Asked::Choice(vec![stays("swr", "adm")]), "it got worse");
    let unmarked = with(fields! { "scores" => scores(5, Some(10)) });
    assert_eq!(ask(Some(unmarked), Some(best(6))), Asked::Choice(vec![stays("swr", "adm")]), "not marked before");
    let completed = |items| {
        let mut run = best(items);
        run.insert("completed".to_owned(), Value::Boolean(true));
        run
    };
    assert_eq!(ask(Some(completed(6)), Some(completed(5))), Asked::Nothing, "of completed runs scores don't matter");
}

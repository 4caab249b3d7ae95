//! Which run of a task is the best one (docs/domain/runs.md#the-best-run). Pure.

use std::cmp::Ordering;

use crate::documents::run;
use crate::store::{Fields, Timestamp, Value, lookup};

/// The most runs of one task of an assignment that are compared, besides the best one so far.
pub const MOST_OF_TASK: usize = 100;

/// The part of a run document that matters to the choice of the best run, and to the assignment.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its document's ID.
    pub id: String,
    /// Whether the student reached the end.
    pub completed: bool,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// The standard error of the ability that the test estimates; `None` where it estimates none.
    pub theta_se: Option<f64>,
    /// How many items the student attempted.
    pub attempted: f64,
    /// Whether the run is marked as the best of its task.
    pub is_marked: bool,
}

/// The fields that [`Run::of`] reads, for queries to select.
///
/// These are single fields, because clients write the maps around them, which may be large.
pub const FIELDS: [&str; 6] = [
    run::field::COMPLETED,
    run::field::TIME_STARTED,
    run::field::TIME_FINISHED,
    run::path::THETA_SE,
    run::path::NUM_ATTEMPTED,
    run::field::BEST_RUN,
];

impl Run {
    /// Reads a run document.
    pub fn of(id: &str, fields: &Fields) -> Run {
        let time = |name: &str| fields.get(name).and_then(Value::as_timestamp);
        let score = |name: &str| number(lookup(fields, name)?);
        Run {
            id: id.to_owned(),
            completed: fields.get(run::field::COMPLETED).and_then(Value::as_bool).unwrap_or(false),
            started: time(run::field::TIME_STARTED),
            finished: time(run::field::TIME_FINISHED),
            theta_se: score(run::path::THETA_SE),
            attempted: score(run::path::NUM_ATTEMPTED).filter(|number| *number > 0.0).unwrap_or(0.0),
            is_marked: fields.get(run::field::BEST_RUN).and_then(Value::as_bool).unwrap_or(false),
        }
    }

    /// True when both runs show the same work, whether or not they are marked as the best.
    pub fn does_as(&self, other: &Run) -> bool {
        *self == Run { is_marked: self.is_marked, ..other.clone() }
    }

    /// The run's rank, smaller being better: completed runs come first; then runs that estimate an ability, the most
    /// precise first; then runs with attempted items, the most items first.
    fn standing(&self) -> (u8, f64) {
        match self.theta_se {
            _ if self.completed => (0, 0.0),
            Some(error) => (1, error),
            None if self.attempted > 0.0 => (2, -self.attempted),
            None => (3, 0.0),
        }
    }

    /// Orders runs of one task, the best first. No two runs are equal: between equally good ones the
    /// earlier start decides, then the ID.
    pub fn compare(&self, other: &Run) -> Ordering {
        let (class, measure) = self.standing();
        let (other_class, other_measure) = other.standing();
        let better = class.cmp(&other_class).then_with(|| measure.total_cmp(&other_measure));
        better.then_with(|| self.by_start(other))
    }

    /// Orders runs by their start, then their ID; those without a start come last.
    pub fn by_start(&self, other: &Run) -> Ordering {
        let start = |run: &Run| (run.started.is_none(), run.started);
        start(self).cmp(&start(other)).then_with(|| self.id.cmp(&other.id))
    }
}

/// The best of a task's runs; `None` where there is none.
pub fn best(runs: &[Run]) -> Option<&Run> {
    runs.iter().min_by(|one, other| one.compare(other))
}

/// Reduces a task's runs, sorted by ID, to those that matter: the first [`MOST_OF_TASK`] of them and the best one so
/// far ([`load`](super::load)).
pub fn keep_those_that_matter(runs: &mut Vec<Run>) {
    let mut index = 0;
    runs.retain(|run| {
        index += 1;
        index <= MOST_OF_TASK || run.is_marked
    });
}

/// A meaningful number: clients write zero and NaN for "unknown".
fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Integer(number) => *number as f64,
        Value::Double(number) => *number,
        _ => return None,
    };
    (number != 0.0 && !number.is_nan()).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fields;

    /// A run that began at that minute, as a document.
    fn document(minute: i64, completed: bool, test: Fields) -> Fields {
        fields! {
            "completed" => completed,
            "timeStarted" => Timestamp::from_second(minute * 60).unwrap(),
            "scores" => fields! { "raw" => fields! { "composite" => fields! { "test" => test } } },
        }
    }

    fn chosen(runs: &[(&str, Fields)]) -> Option<String> {
        let runs: Vec<Run> = runs.iter().map(|(id, fields)| Run::of(id, fields)).collect();
        best(&runs).map(|run| run.id.clone())
    }

    #[test]
    fn the_best_run_of_a_task() {
        let tried = |number: i64| fields! { "numAttempted" => number };
        let precise = |error: f64, number: i64| fields! { "thetaSE" => error, "numAttempted" => number };
        let none = Fields::new;
        let table: Vec<(&str, Vec<(&str, Fields)>, Option<&str>)> = vec![
            ("no run", vec![], None),
            ("one run", vec![("a", document(9, false, none()))], Some("a")),
            (
                "the completed one that began first",
                vec![
                    ("a", document(10, true, none())),
                    ("b", document(9, true, none())),
                    ("c", document(8, false, precise(0.1, 90))),
                ],
                Some("b"),
            ),
            (
                "an estimate beats items",
                vec![("a", document(9, false, precise(0.4, 5))), ("b", document(8, false, tried(40)))],
                Some("a"),
            ),
            (
                "the most precise estimate",
                vec![("a", document(8, false, precise(0.4, 50))), ("b", document(9, false, precise(0.3, 5)))],
                Some("b"),
            ),
            (
                "an estimate of zero is none",
                vec![("a", document(8, false, precise(0.0, 3))), ("b", document(9, false, tried(7)))],
                Some("b"),
            ),
            (
                "the most items",
                vec![("a", document(8, false, tried(3))), ("b", document(9, false, tried(7)))],
                Some("b"),
            ),
            (
                "some items beat none",
                vec![("a", document(8, false, none())), ("b", document(9, false, tried(1)))],
                Some("b"),
            ),
            (
                "no items at all: the first",
                vec![("b", document(9, false, none())), ("a", document(10, false, tried(0)))],
                Some("b"),
            ),
            (
                "equal starts: the smaller ID",
                vec![("b", document(9, true, none())), ("a", document(9, true, none()))],
                Some("a"),
            ),
            (
                "a start beats none",
                vec![("a", fields! { "completed" => true }), ("b", document(9, true, none()))],
                Some("b"),
            ),
            (
                "scores of the wrong shape say nothing",
                vec![
                    ("a", fields! { "scores" => fields! { "raw" => "none" }, "completed" => "yes" }),
                    ("b", document(9, false, fields! { "thetaSE" => Value::Null, "numAttempted" => "many" })),
                ],
                Some("b"),
            ),
        ];
        for (case, runs, expected) in table {
            assert_eq!(chosen(&runs).as_deref(), expected, "{case}");
        }
    }

    #[test]
    fn whole_numbers_and_doubles_are_one_kind() {
        let run = Run::of("a", &document(1, false, fields! { "thetaSE" => 1, "numAttempted" => 12.0 }));
        assert_eq!((run.theta_se, run.attempted), (Some(1.0), 12.0));
        let run = Run::of("a", &document(1, false, fields! { "thetaSE" => f64::NAN, "numAttempted" => -3 }));
        assert_eq!((run.theta_se, run.attempted), (None, 0.0));
    }

    fn any_run() -> impl Strategy<Value = Run> {
        let start = prop::option::of(0..4_i64);
        let error = prop::option::of(prop::sample::select(vec![0.2, 0.3, 0.5, f64::INFINITY]));
        ("[a-e]", any::<bool>(), start, error, 0..4_u8).prop_map(|(id, completed, start, theta_se, attempted)| Run {
            id,
            completed,
            started: start.map(|second| Timestamp::from_second(second).unwrap()),
            finished: None,
            theta_se,
            attempted: f64::from(attempted),
            is_marked: false,
        })
    }

    /// Runs with different IDs.
    fn any_runs() -> impl Strategy<Value = Vec<Run>> {
        prop::collection::vec(any_run(), 0..6).prop_map(|mut runs| {
            runs.sort_by(|one, other| one.id.cmp(&other.id));
            runs.dedup_by(|one, other| one.id == other.id);
            runs
        })
    }

    /// The rule step by step, as docs/domain/runs.md#the-best-run has it.
    fn by_the_book(runs: &[Run]) -> Option<&Run> {
        let mut runs: Vec<&Run> = runs.iter().collect();
        runs.sort_by(|one, other| one.by_start(other));
        if let Some(completed) = runs.iter().find(|run| run.completed) {
            return Some(completed);
        }
        let lowest = runs.iter().filter_map(|run| run.theta_se).min_by(f64::total_cmp);
        if let Some(lowest) = lowest {
            return runs.into_iter().find(|run| run.theta_se == Some(lowest));
        }
        let most = runs.iter().map(|run| run.attempted).fold(0.0, f64::max);
        runs.into_iter().find(|run| run.attempted == most)
    }

    proptest! {
        #[test]
        fn the_order_of_the_runs_does_not_matter(runs in any_runs(), turn in 0..6_usize) {
            let expected = best(&runs).cloned();
            prop_assert_eq!(expected.is_none(), runs.is_empty());
            let mut turned = runs.clone();
            turned.rotate_left(turn.min(runs.len()));
            prop_assert_eq!(best(&turned).cloned(), expected.clone());
            turned.reverse();
            prop_assert_eq!(best(&turned).cloned(), expected);
        }

        #[test]
        fn the_choice_is_that_of_the_rules(runs in any_runs()) {
            prop_assert_eq!(best(&runs), by_the_book(&runs));
        }

        /// What lets an event of the best run go without a read.
        #[test]
        fn the_best_run_stays_the_best_when_it_gets_better(runs in any_runs(), later in any_run()) {
            let Some(before) = best(&runs).cloned() else { return Ok(()) };
            let later = Run { id: before.id.clone(), ..later };
            if later.compare(&before).is_le() {
                let runs: Vec<Run> =
                    runs.into_iter().map(|run| if run.id == before.id { later.clone() } else { run }).collect();
                prop_assert_eq!(best(&runs), Some(&later));
            }
        }

        #[test]
        fn a_worse_run_that_goes_changes_nothing(runs in any_runs()) {
            let expected = best(&runs).cloned();
            for gone in runs.iter().filter(|run| Some(*run) != expected.as_ref()) {
                let left: Vec<Run> = runs.iter().filter(|run| *run != gone).cloned().collect();
                prop_assert_eq!(best(&left), expected.as_ref());
            }
        }
    }
}

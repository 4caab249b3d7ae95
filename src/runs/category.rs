//! The score by which reports sort a run into a support category (docs/domain/runs.md#category-scores). Pure.

use crate::documents::run;
use crate::fields;
use crate::store::size::value_size;
use crate::store::{FieldPath, Fields, Value};

/// The fields that [`due`] reads, for queries to select.
///
/// These are single fields, because clients write the maps around them, which may be large.
pub const FIELDS: [&str; 7] = [
    run::path::WJ_PERCENTILE,
    run::path::TOSREC_PERCENTILE,
    run::path::SRE_SCORE,
    run::path::PERCENTILE,
    run::path::ROAR_SCORE,
    run::path::CATEGORY_SCORE,
    run::path::SCHOOL_LEVEL,
];
/// The most bytes of a score.
const MOST_BYTES: usize = 100;

/// The names of the lower school levels; clients have spelled the first in several ways
/// (docs/domain/decisions.md#a-55).
const LOW: [&str; 4] = ["early-childhood", "early_childhood", "early", "elementary"];

/// The category score that the run should have and lacks; `None` where there is nothing to write.
pub fn due(task: &str, run: &Fields) -> Option<Value> {
    let composite = run::composite(run)?;
    let level = run::school_level(run)?;
    let low = LOW.contains(&level);
    let score = match (task, low) {
        ("swr", true) => "wjPercentile",
        ("sre", true) => "tosrecPercentile",
        ("sre", false) => "sreScore",
        ("pa", true) => "percentile",
        ("swr" | "pa", false) => "roarScore",
        _ => return None,
    };
    let score = composite.get(score).filter(|score| value_size(score) <= MOST_BYTES)?;
    (composite.get(run::field::CATEGORY_SCORE) != Some(score)).then(|| score.clone())
}

/// The field that stores the score.
pub fn path() -> FieldPath {
    run::category_score_path()
}

/// The score as a run document holds it, at [`path`].
pub fn scored(score: Value) -> Fields {
    let composite = fields! { run::field::CATEGORY_SCORE => score };
    fields! { run::field::SCORES => fields! { run::field::COMPUTED => fields! { run::field::COMPOSITE => composite } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::lookup;

    fn run(level: &str, composite: impl Into<Value>) -> Fields {
        fields! {
            "scores" => fields! { "computed" => fields! { "composite" => composite.into() } },
            "userData" => fields! { "schoolLevel" => level },
        }
    }

    #[test]
    fn the_score_depends_on_task_and_level() {
        let composite = || {
            fields! {
                "wjPercentile" => 1, "roarScore" => 2, "tosrecPercentile" => 3, "sreScore" => 4, "percentile" => 5,
            }
        };
        let table = [
            ("swr", "elementary", Some(1)),
            ("swr", "early-childhood", Some(1)),
            ("swr", "early_childhood", Some(1)),
            ("swr", "middle", Some(2)),
            ("sre", "elementary", Some(3)),
            ("sre", "high", Some(4)),
            ("pa", "elementary", Some(5)),
            ("pa", "middle", Some(2)),
            ("swr-es", "elementary", None),
            ("vocab", "high", None),
            ("swr", "", None),
        ];
        for (task, level, expected) in table {
            assert_eq!(due(task, &run(level, composite())), expected.map(Value::Integer), "{task}, {level}");
        }
    }

    #[test]
    fn nothing_is_due_without_a_score_or_a_level() {
        assert_eq!(due("swr", &run("elementary", fields! { "roarScore" => 2 })), None);
        assert_eq!(due("swr", &run("elementary", 12)), None);
        assert_eq!(due("swr", &fields! {}), None);
        let mut unknown = run("elementary", fields! { "wjPercentile" => 2 });
        unknown.remove("userData");
        assert_eq!(due("swr", &unknown), None);
    }

    #[test]
    fn what_is_written_already_is_not_due() {
        assert_eq!(due("pa", &run("high", fields! { "roarScore" => 2, "categoryScore" => 2 })), None);
        let stale = fields! { "roarScore" => 2, "categoryScore" => 1 };
        assert_eq!(due("pa", &run("high", stale)), Some(Value::Integer(2)));
        // Clients write NaN, which would be due for ever.
        let nan = fields! { "roarScore" => f64::NAN, "categoryScore" => f64::NAN };
        assert_eq!(due("pa", &run("high", nan)), None);
    }

    #[test]
    fn the_score_is_written_where_its_path_points() {
        let path = path().segments().join(".");
        assert_eq!(lookup(&scored(Value::Integer(7)), &path), Some(&Value::Integer(7)));
    }
}

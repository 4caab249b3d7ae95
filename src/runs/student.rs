//! The student data in a run, and how it follows the student (docs/domain/runs.md#what-a-run-shows-of-its-student).
//! Pure.
//!
//! A run is a snapshot of its start, so the grade in it stays. But a corrected date of birth is applied, and the orgs
//! follow the assignment while the assignment is open.

use jiff::civil::Date;

pub use crate::documents::run::assignment_of;

use crate::documents::run;
use crate::documents::user::age::{age_in_months, day};
use crate::orgs::OrgLists;
use crate::store::{FieldPath, Fields, Value};

/// The fields with the age in runs, in both spellings; the second spelling is corrected where a run has it, but never
/// added (docs/domain/decisions.md#a-20).
const AGES: [(&str, &str); 2] = [(run::field::AGE_MONTHS, "age_months"), (run::field::AGE_YEARS, "age_years")];

/// The fields of a run that this module reads.
pub const SHOWN: [&str; 10] = [
    run::field::ASSIGNMENT_ID,
    run::field::ASSIGNING_ORGS,
    run::field::READ_ORGS,
    run::field::TIME_STARTED,
    run::path::BIRTH_MONTH,
    run::path::BIRTH_YEAR,
    run::path::AGE_MONTHS,
    run::path::AGE_MONTHS_SNAKE,
    run::path::AGE_YEARS,
    run::path::AGE_YEARS_SNAKE,
];

/// Fields and the mask to write them with.
pub type Changes = (Fields, Vec<FieldPath>);

/// What a corrected date of birth changes in a run: month and year of birth, and the age at the run's start. `None`
/// when the run is right already.
pub fn birth_changes(run: &Fields, born: Date) -> Option<Changes> {
    let data = run.get(run::field::USER_DATA).and_then(Value::as_map);
    let mut wanted =
        vec![(run::field::BIRTH_MONTH, i64::from(born.month())), (run::field::BIRTH_YEAR, i64::from(born.year()))];
    if let Some(started) = run.get(run::field::TIME_STARTED).and_then(Value::as_timestamp) {
        let months = age_in_months(born, day(started));
        for ((name, snake), age) in AGES.into_iter().zip([months, months.div_euclid(12)]) {
            wanted.push((name, age));
            if data.is_some_and(|data| data.contains_key(snake)) {
                wanted.push((snake, age));
            }
        }
    }
    let shown = |name: &str| data.and_then(|data| data.get(name)).and_then(Value::as_i64);
    let changed: Fields = wanted
        .into_iter()
        .filter(|(name, value)| shown(name) != Some(*value))
        .map(|(name, value)| (name.to_owned(), Value::Integer(value)))
        .collect();
    if changed.is_empty() {
        return None;
    }
    let mask = changed.keys().map(|name| FieldPath::of([run::field::USER_DATA, name])).collect();
    Some((Fields::from([(run::field::USER_DATA.to_owned(), Value::Map(changed))]), mask))
}

/// What the orgs of its assignment change in a run. `None` when the run has these orgs already.
pub fn org_changes(run: &Fields, assigning: &OrgLists, read: &OrgLists) -> Option<Changes> {
    let mut changed = Fields::new();
    for (name, lists) in [(run::field::ASSIGNING_ORGS, assigning), (run::field::READ_ORGS, read)] {
        if !OrgLists::from_value(run.get(name)).same_orgs(lists) {
            changed.insert(name.to_owned(), lists.to_value());
        }
    }
    let mask: Vec<FieldPath> = changed.keys().map(FieldPath::top).collect();
    (!mask.is_empty()).then_some((changed, mask))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::orgs::OrgType;
    use crate::store::Timestamp;

    fn run(data: Fields, started: Option<&str>) -> Fields {
        let mut run = fields! { "taskId" => "swr", "userData" => data };
        let started = started.map(|text| text.parse::<Timestamp>().unwrap());
        run.extend(started.map(|started| ("timeStarted".to_owned(), Value::Timestamp(started))));
        run
    }

    #[test]
    fn a_corrected_birth_moves_the_age_at_the_start() {
        let born: Date = "2015-03-20".parse().unwrap();
        let before = fields! {
            "grade" => "2", "birthMonth" => 9, "birthYear" => 2015, "ageMonths" => 95, "ageYears" => 7, "age_months" => 95,
        };
        let (changes, mask) = birth_changes(&run(before, Some("2023-09-15T10:00:00Z")), born).unwrap();
        let expected = fields! { "birthMonth" => 3, "ageMonths" => 101, "ageYears" => 8, "age_months" => 101 };
        assert_eq!(changes, fields! { "userData" => expected });
        assert_eq!(mask.len(), 4);
        // Without a start, only the birth.
        let (changes, _) = birth_changes(&run(Fields::new(), None), born).unwrap();
        assert_eq!(changes, fields! { "userData" => fields! { "birthMonth" => 3, "birthYear" => 2015 } });
        let right = fields! { "birthMonth" => 3, "birthYear" => 2015 };
        assert_eq!(birth_changes(&run(right, None), born), None);
    }

    #[test]
    fn a_run_takes_the_orgs_of_its_assignment() {
        let lists = |ids: &[&str]| ids.iter().map(|id| (OrgType::School, *id)).collect::<OrgLists>();
        let run =
            fields! { "assigningOrgs" => lists(&["s1"]).to_value(), "readOrgs" => lists(&["s1", "s2"]).to_value() };
        assert_eq!(org_changes(&run, &lists(&["s1"]), &lists(&["s2", "s1"])), None);
        let (changes, mask) = org_changes(&run, &lists(&[]), &lists(&["s1", "s2"])).unwrap();
        assert_eq!((changes, mask.len()), (fields! { "assigningOrgs" => lists(&[]).to_value() }, 1));
    }
}

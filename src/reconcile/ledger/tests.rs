use super::*;
use crate::fields;
use crate::store::{DocPath, Value};

fn assignment(school: &str, started: bool, recorded: Option<bool>) -> Fields {
    let mut fields = fields! {
        "assigningOrgs" => fields! { "schools" => Value::strings([school]) },
        "started" => started,
    };
    if let Some(recorded) = recorded {
        let then = assignment(school, recorded, None);
        Contribution::of(&then, &Tasks::known_to(&then)).record(&mut fields);
    }
    fields
}

fn stats(key: &str, assigned: i64, started: i64, second: i64) -> Document {
    let update_time = Timestamp::from_second(second).unwrap();
    Document {
        path: DocPath::new(format!("administrations/a/stats/{key}")).unwrap(),
        fields: fields! { "assignment" => fields! { "assigned" => assigned, "started" => started } },
        create_time: Timestamp::UNIX_EPOCH,
        update_time,
    }
}

/// One assignment of a school: `(case, assignment, stored counts of the school, whether the record is restored,
/// finding)`.
#[test]
fn counts_beside_records() {
    use Unrecorded::{IsActual, IsNothing};
    let table = [
        ("sound", assignment("s", true, Some(true)), (1, 1), IsNothing, None),
        ("started, and the event is to come", assignment("s", true, Some(false)), (1, 0), IsNothing, None),
        ("too high", assignment("s", true, Some(true)), (2, 1), IsNothing, Some(Kind::CountDiffers)),
        ("right by accident", assignment("s", true, Some(false)), (1, 1), IsNothing, None),
        ("no record, counted", assignment("s", false, None), (1, 0), IsActual, None),
        ("no record, not counted", assignment("s", false, None), (0, 0), IsActual, Some(Kind::CountDiffers)),
        ("no record, counted, as the ledger has it", assignment("s", false, None), (1, 0), IsNothing, None),
    ];
    for (what, assignment, (assigned, started), unrecorded, expected) in table {
        let mut sums = Sums::default();
        sums.add(&assignment, None);
        let documents = [stats("s", assigned, started, 1), stats("total", assigned, started, 1)];
        let found = compare(&documents, &documents, &sums, unrecorded);
        let kinds: Vec<_> = found.get("s").into_iter().flat_map(|key| key.findings("s")).map(|f| f.kind).collect();
        assert_eq!(kinds.first().copied(), expected, "{what}");
        let mut delta = CountsDelta::default();
        found.iter().for_each(|(key, difference)| difference.mend(key, &mut delta));
        for (key, block, by) in delta.moves() {
            let difference = found[key].blocks[block];
            assert_eq!(difference.stored.until(difference.recorded), by, "{what}");
        }
    }
}

#[test]
fn a_difference_is_exact_only_if_its_counts_held_still() {
    let mut sums = Sums::default();
    sums.add(&assignment("s", true, Some(true)), None);
    let before = [stats("s", 2, 1, 1), stats("total", 2, 1, 1), stats("stray", 3, 0, 1)];
    let after = [stats("s", 2, 1, 1), stats("total", 3, 1, 2), stats("stray", 3, 0, 1)];
    let found = compare(&before, &after, &sums, Unrecorded::IsNothing);
    let exact: Vec<_> = found.iter().map(|(key, difference)| (key.as_str(), difference.exact)).collect();
    assert_eq!(exact, [("s", true), ("stray", true), ("total", false)]);
    assert!(found["stray"].is_stray && !found["s"].is_stray);
    assert_eq!(found["stray"].findings("stray")[0].kind, Kind::CountsStray);
    let missing = compare(&[], &[], &sums, Unrecorded::IsNothing);
    assert_eq!(missing["s"].findings("s")[0].kind, Kind::CountsMissing);
    assert!(missing["s"].exact, "there was nothing before and after");
    let gone = compare(&before, &[], &sums, Unrecorded::IsNothing);
    assert!(!gone["s"].exact);
}

/// Students' work moves counts and records alike, so the difference is the same at any time.
#[test]
fn a_difference_stays_the_same_while_students_work() {
    let at = |started: bool, stored: (i64, i64)| {
        let mut sums = Sums::default();
        sums.add(&assignment("s", started, Some(started)), None);
        let documents = [stats("s", stored.0, stored.1, 1), stats("total", 1, i64::from(started), 1)];
        compare(&documents, &documents, &sums, Unrecorded::IsNothing)
    };
    let (before, after) = (at(false, (1, 5)), at(true, (1, 6)));
    assert!(before["s"].is_same_as(&after["s"]));
    assert!(!before["s"].is_same_as(&at(true, (1, 5))["s"]));
}

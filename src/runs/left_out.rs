//! Runs that a client's write has dropped from an assignment (docs/domain/runs.md#runs-that-a-write-leaves-out). Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::documents::assignment::{assessments_of, field, task_id};
use crate::store::{Fields, Value};

/// The tasks for which the assignment no longer names all runs, or names another best run among the same runs, although
/// this service didn't write the change; each with one of the runs that were named before.
///
/// Writes of this service are recognised by a new `cloudSyncTimestamp`, which no client may write. Added runs are also
/// the service's writes, because clients may not name runs.
pub fn left_out(before: &Fields, after: &Fields) -> BTreeMap<String, String> {
    let is_same = |name: &str| before.get(name) == after.get(name);
    if is_same(field::ASSESSMENTS) || !is_same(field::CLOUD_SYNC_TIMESTAMP) {
        return BTreeMap::new();
    }
    let entries = |assignment| {
        let entries = assessments_of(assignment).into_iter();
        entries.filter_map(|entry| Some((task_id(&entry)?.to_owned(), entry))).collect::<BTreeMap<_, _>>()
    };
    let now = entries(after);
    let were = entries(before).into_iter().filter_map(|(task, entry)| {
        let [were, are] = [&entry, now.get(&task)?].map(named);
        let best = |entry: &Fields| entry.get(field::RUN_ID).cloned().unwrap_or(Value::Null);
        let is_left_out = !were.is_subset(&are) || (were == are && best(&entry) != best(&now[&task]));
        Some((task, were.into_iter().next().filter(|_| is_left_out)?))
    });
    were.collect()
}

/// The runs that an entry names.
fn named(entry: &Fields) -> BTreeSet<String> {
    let all = entry.get(field::ALL_RUN_IDS).and_then(Value::as_string_list).unwrap_or_default();
    let best = entry.get(field::RUN_ID).and_then(Value::as_str).map(str::to_owned);
    all.into_iter().chain(best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    fn entry(task: &str, run: Option<&str>, all: Option<&[&str]>) -> Fields {
        let mut entry = fields! { "taskId" => task };
        entry.extend(run.map(|run| ("runId".to_owned(), Value::from(run))));
        entry.extend(all.map(|all| ("allRunIds".to_owned(), Value::strings(all.iter().copied()))));
        entry
    }

    fn assignment(synced: i64, entries: &[Fields]) -> Fields {
        let entries: Vec<Value> = entries.iter().cloned().map(Value::Map).collect();
        fields! { "assessments" => entries, "cloudSyncTimestamp" => synced }
    }

    #[test]
    fn what_a_client_leaves_out_is_found() {
        let noted = || entry("swr", Some("a"), Some(&["b", "a"]));
        for (after, expected) in [
            (noted(), None),
            (entry("swr", None, None), Some("a")),
            (entry("swr", Some("b"), Some(&["b", "a"])), Some("a")),
            (entry("swr", Some("a"), Some(&["a"])), Some("a")),
            // A run has joined.
            (entry("swr", Some("c"), Some(&["c", "b", "a"])), None),
            // The task is gone from the assignment: an administration took it out.
            (entry("pa", None, None), None),
        ] {
            let expected: BTreeMap<String, String> =
                expected.map(|run| ("swr".to_owned(), run.to_owned())).into_iter().collect();
            let before = assignment(1, &[noted()]);
            assert_eq!(left_out(&before, &assignment(1, std::slice::from_ref(&after))), expected, "{after:?}");
            // The service's own write.
            assert_eq!(left_out(&before, &assignment(2, &[after])), BTreeMap::new());
        }
    }

    #[test]
    fn one_of_several_runs_is_enough() {
        let before = assignment(1, &[entry("swr", None, Some(&["b", "a"])), entry("pa", None, None)]);
        let after = assignment(1, &[entry("swr", None, Some(&[])), entry("pa", Some("x"), Some(&["x"]))]);
        assert_eq!(left_out(&before, &after), BTreeMap::from([("swr".to_owned(), "a".to_owned())]));
    }
}

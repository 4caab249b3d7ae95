//! THE INDEX: every function of the service, in one table. Routes, names, limits, triggers, manifests
//! and the README's list are all derived from it; nothing lists functions a second time.

use std::time::Duration;

use crate::administrations::{self, fanout};
use crate::app::{ADMIN, ASSESSMENT, App};
use crate::assignments;
use crate::reconcile;
use crate::reports;
use crate::rights::callable;
use crate::runs;
use crate::runtime::{DocumentEventType, Function};

/// What operators call may take longer than what people wait for.
const OPERATOR_TIMEOUT: Duration = Duration::from_secs(540);

/// All functions.
pub fn table() -> Vec<Function<App>> {
    use DocumentEventType::{Created, Deleted, Updated, Written};
    let assignment = "users/{roarUid}/assignments/{assignmentUid}";
    vec![
        callable(
            "createAdministration",
            "Makes an administration, or changes one.",
            administrations::create_administration,
        ),
        callable(
            "getAdministrations",
            "Lists the administrations that the caller may read.",
            reports::get_administrations,
        ),
        callable(
            "getAssignmentStats",
            "Says for administrations how many students have yet to start, have started, have completed.",
            reports::get_assignment_stats,
        ),
        callable(
            "getAdministrationOrgsAndStats",
            "Shows an administration's orgs with their counts, level by level.",
            reports::get_administration_orgs_and_stats,
        ),
        callable(
            "reconcileAdministration",
            "Compares an administration's assignments, counts and lists, and mends them (super admins).",
            reconcile::reconcile_administration,
        )
        .with_timeout(OPERATOR_TIMEOUT),
        Function::on_document(
            ADMIN,
            Written,
            "administrations/{administrationId}",
            "syncAssignmentsOnAdministrationUpdate",
            "Brings every assignment in line with its administration.",
            administrations::written,
        ),
        Function::on_document(
            ADMIN,
            Created,
            assignment,
            "syncAssignmentCreated",
            "Counts a new assignment and lists it with its student.",
            assignments::created,
        ),
        Function::on_document(
            ADMIN,
            Updated,
            assignment,
            "syncAssignmentUpdated",
            "Moves the counts and the student's lists when work begins or ends.",
            assignments::updated,
        ),
        Function::on_document(
            ADMIN,
            Deleted,
            assignment,
            "syncAssignmentDeleted",
            "Takes a deleted assignment from the counts and the student's lists.",
            assignments::deleted,
        ),
        Function::on_document(
            ADMIN,
            Written,
            "users/{roarUid}",
            "syncAssignmentsOnUserUpdate",
            "Lets assignments, runs and the de-identified copy follow a user: orgs, grade, date of birth.",
            assignments::user_written,
        ),
        Function::on_document(
            ASSESSMENT,
            Written,
            "users/{roarUid}/runs/{runId}",
            "syncOnRunDocUpdate",
            "Marks the best run of a task and brings the assignment in line with it.",
            runs::written,
        ),
        Function::task(
            assignments::FOLLOW_AGAIN,
            "Follows the users who changed during a sync.",
            assignments::run_follow_again,
        ),
        Function::task(fanout::PLAN, "Normalises an administration's orgs and plans its sync.", fanout::run_plan),
        Function::task(fanout::CHUNK, "Brings the assignments of a few hundred students in line.", fanout::run_chunk),
        Function::task(
            fanout::SWEEP,
            "Finds students who left an administration while it was closed, when it opens again.",
            fanout::run_sweep,
        ),
        Function::task(fanout::REMOVE, "Deletes the assignments of a deleted administration.", fanout::run_remove),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::runtime::Trigger;

    #[test]
    fn names_are_unique_whatever_their_case() {
        let mut names = HashSet::new();
        for function in table() {
            for name in [function.name].iter().chain(function.aliases) {
                assert!(names.insert(name.to_lowercase()), "{name} is listed twice");
            }
        }
    }

    #[test]
    fn every_event_and_task_has_time_below_the_redelivery_deadline() {
        for function in table() {
            assert!(!function.summary.is_empty(), "{}", function.name);
            if !matches!(function.trigger, Trigger::Callable(_)) {
                assert!(function.timeout.as_secs() < 600, "{}", function.name);
            }
        }
    }
}

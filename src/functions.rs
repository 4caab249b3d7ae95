//! THE INDEX: every function of the service, in one table. Routes, names, limits, triggers, manifests
//! and the README's list are all derived from it; nothing lists functions a second time.

use std::time::Duration;

use crate::administrations::{self, fanout};
use crate::app::{ADMIN, ASSESSMENT, App};
use crate::archive;
use crate::assignments;
use crate::claims;
use crate::following;
use crate::merging;
use crate::mirror;
use crate::reactions;
use crate::reconcile;
use crate::reports;
use crate::rights::{callable, streaming_callable};
use crate::rostering;
use crate::runs;
use crate::runtime::{DocumentEventType, Function};
use crate::users;

/// What operators call may take longer than what people wait for.
const OPERATOR_TIMEOUT: Duration = Duration::from_secs(540);

/// The rosters of large districts take their time (docs/domain/rosters.md#where-rosters-come-from).
const ROSTER_TIMEOUT: Duration = Duration::from_secs(3600);

/// Mirrors write one small document (docs/domain/orgs.md).
const MIRROR_TIMEOUT: Duration = Duration::from_secs(180);

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
        .without_budget()
        .with_timeout(OPERATOR_TIMEOUT),
        callable("appendToAdminClaims", "Gives somebody rights over orgs.", claims::append_to_admin_claims)
            .privileged(),
        callable("removeFromAdminClaims", "Takes somebody's rights over orgs away.", claims::remove_from_admin_claims)
            .privileged(),
        callable("setUidClaims", "Tells both projects who somebody is, at every sign-in.", claims::set_uid_claims)
            .with_aliases(&["setUidCustomClaims"]),
        callable(
            "associateAssessmentUid",
            "Makes an assessment account the caller's.",
            claims::associate_assessment_uid,
        ),
        callable(
            "createAdministratorAccount",
            "Makes somebody an administrator, with accounts in both projects.",
            users::administrator::create_administrator_account,
        )
        .privileged(),
        callable(
            "updateUserRecord",
            "Changes a user's account: password, e-mail address, …",
            users::record::update_user_record,
        )
        .privileged(),
        callable(
            "mergeUsers",
            "Makes two users who are one person one user, or shows what that would change (super admins).",
            merging::merge_users,
        )
        .privileged()
        .without_budget()
        .with_timeout(OPERATOR_TIMEOUT),
        callable(
            "syncCleverUser",
            "Takes over what Clever says of somebody who has signed in with it.",
            rostering::clever::sync_clever_user,
        ),
        streaming_callable(
            "syncCleverOrgs",
            "Brings districts, schools, classes and, if asked, people in line with Clever.",
            rostering::clever::sync_clever_orgs,
        )
        .without_budget()
        .with_timeout(ROSTER_TIMEOUT)
        .with_aliases(&["cleverSyncOrgs"]),
        callable(
            "rosterDoubles",
            "Lists people of a district's roster who may be users made by hand, and confirms or rejects them.",
            rostering::doubles::roster_doubles,
        )
        .privileged()
        .with_timeout(OPERATOR_TIMEOUT),
        callable("createLevanteGroup", "Makes a group, and its maker its admin.", claims::create_group),
        Function::on_document(
            ADMIN,
            Written,
            "userClaims/{targetUid}",
            "mirrorCustomClaims",
            "Lets custom claims, the assessment project's copy and the user's type follow the claims.",
            claims::written,
        ),
        Function::on_document(
            ADMIN,
            Updated,
            "identityProviderIds/{entryId}",
            "syncClaimsOnRosterUpdate",
            "Gives and takes rights that come with a roster, of people who have signed in.",
            claims::entry_updated,
        ),
        Function::on_document(
            ADMIN,
            Deleted,
            "districts/{documentId}",
            "removeDistrictFromClaims",
            "Takes a deleted district from the claims that name it.",
            claims::org_deleted,
        ),
        Function::on_document(
            ADMIN,
            Deleted,
            "schools/{documentId}",
            "removeSchoolFromClaims",
            "Takes a deleted school from the claims that name it.",
            claims::org_deleted,
        ),
        Function::on_document(
            ADMIN,
            Deleted,
            "classes/{documentId}",
            "removeClassFromClaims",
            "Takes a deleted class from the claims that name it.",
            claims::org_deleted,
        ),
        Function::on_document(
            ADMIN,
            Deleted,
            "groups/{documentId}",
            "removeGroupFromClaims",
            "Takes a deleted group from the claims that name it.",
            claims::org_deleted,
        ),
        Function::on_document(
            ADMIN,
            Deleted,
            "families/{documentId}",
            "removeFamilyFromClaims",
            "Takes a deleted family from the claims that name it.",
            claims::org_deleted,
        ),
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
            reactions::assignment_created,
        ),
        Function::on_document(
            ADMIN,
            Updated,
            assignment,
            "syncAssignmentUpdated",
            "Moves the counts and the student's lists when work begins or ends.",
            reactions::assignment_updated,
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
            reactions::user_written,
        ),
        Function::on_document(
            ASSESSMENT,
            Written,
            "users/{roarUid}/runs/{runId}",
            "syncOnRunDocUpdate",
            "Marks the best run of a task and brings the assignment in line with it.",
            runs::written,
        ),
        follows(
            "schools/{documentId}",
            "syncHierarchyOnSchoolUpdate",
            "Lets lists, rights and people follow a school.",
        ),
        follows("classes/{documentId}", "syncHierarchyOnClassUpdate", "Lets lists, rights and people follow a class."),
        follows("groups/{documentId}", "syncHierarchyOnGroupUpdate", "Lets lists and rights follow a group."),
        mirrors("districts/{documentId}", "mirrorDistricts", "Mirrors districts, without personal data."),
        mirrors("schools/{documentId}", "mirrorSchools", "Mirrors schools, without personal data."),
        mirrors("classes/{documentId}", "mirrorClasses", "Mirrors classes, without personal data."),
        mirrors("groups/{documentId}", "mirrorGroups", "Mirrors groups, without personal data."),
        mirrors("families/{documentId}", "mirrorFamilies", "Mirrors families, without personal data."),
        archives_admin("users/{doc0}", "softDeleteUser", "Archives a deleted user."),
        archives_admin("users/{doc0}/assignments/{doc1}", "softDeleteUserAssignment", "Archives a deleted assignment."),
        archives_admin(
            "users/{doc0}/externalData/{doc1}",
            "softDeleteUserExternalData",
            "Archives deleted data of an identity provider.",
        ),
        archives_assessment("users/{doc0}", "softDeleteAssessmentUser", "Archives a deleted de-identified user."),
        archives_assessment("users/{doc0}/runs/{doc1}", "softDeleteUserRun", "Archives a user's deleted run."),
        archives_assessment(
            "users/{doc0}/runs/{doc1}/trials/{doc2}",
            "softDeleteUserTrial",
            "Archives a user's deleted trial.",
        ),
        archives_assessment("guests/{doc0}", "softDeleteGuest", "Archives a deleted guest."),
        archives_assessment("guests/{doc0}/runs/{doc1}", "softDeleteGuestRun", "Archives a guest's deleted run."),
        archives_assessment(
            "guests/{doc0}/runs/{doc1}/trials/{doc2}",
            "softDeleteGuestTrial",
            "Archives a guest's deleted trial.",
        ),
        Function::task("Follows the users who changed during a sync.", following::run_follow_again),
        Function::task("Normalises an administration's orgs and plans its sync.", fanout::run_plan),
        Function::task("Brings the assignments of a few hundred students in line.", fanout::run_chunk),
        Function::task(
            "Finds students who left an administration while it was closed, when it opens again.",
            fanout::run_sweep,
        ),
        Function::task(
            "Lets rights over an org, and its administrations, follow what is below it.",
            reactions::run_follow_org,
        ),
        Function::task("Lets the classes and people of an org that has moved go with it.", reactions::run_move_members),
        Function::task("Deletes the assignments of a deleted administration.", fanout::run_remove),
    ]
}

/// What follows from a change of an org's place, for one type of org.
fn follows(pattern: &'static str, name: &'static str, summary: &'static str) -> Function<App> {
    Function::on_document(ADMIN, DocumentEventType::Written, pattern, name, summary, reactions::org_written)
}

/// A mirror of one type of org.
fn mirrors(pattern: &'static str, name: &'static str, summary: &'static str) -> Function<App> {
    let written = DocumentEventType::Written;
    Function::on_document(ADMIN, written, pattern, name, summary, mirror::written).with_timeout(MIRROR_TIMEOUT)
}

/// An archive of documents of the admin database.
fn archives_admin(pattern: &'static str, name: &'static str, summary: &'static str) -> Function<App> {
    Function::on_document(ADMIN, DocumentEventType::Deleted, pattern, name, summary, archive::deleted_in_admin)
}

/// An archive of documents of the assessment database.
fn archives_assessment(pattern: &'static str, name: &'static str, summary: &'static str) -> Function<App> {
    let deleted = DocumentEventType::Deleted;
    Function::on_document(ASSESSMENT, deleted, pattern, name, summary, archive::deleted_in_assessment)
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
    fn nothing_is_set_off_by_an_archive() {
        for function in table() {
            let Trigger::Document { pattern, .. } = &function.trigger else { continue };
            let mut collections = pattern.as_str().split('/').step_by(2);
            assert!(collections.all(|name| !name.starts_with("deleted-") && !name.contains('{')), "{}", function.name);
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

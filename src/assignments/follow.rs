//! How one assignment changes when its student changes (docs/domain/assignments.md#when-a-student-changes). Pure.
//!
//! Closed assignments stay as they are, but for the date of birth, whose change is a correction. Open assignments show
//! the student's current data, follow the student from org to org, and lose assessments that no longer apply after a
//! promotion, but never started work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::build::{CONDITION_FIELDS, Decision, Definition, FormerAssignment, assessments, user_data};
use super::counts::Contribution;
use super::tasks::Tasks;
use crate::documents::administration::Administration;
use crate::documents::administration_org;
use crate::documents::assignment::{self, assessments_of, has_begun, is_complete, progress, requirements, task_id};
use crate::documents::org_lists::OrgSet;
use crate::documents::run;
use crate::documents::user::age::{age_in_months, date_of_birth, day};
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::{self, is_living};
use crate::orgs::OrgTree;
use crate::store::{Fields, Timestamp, Value};
use crate::users::change::UserChange;

/// What is needed to decide how a student's assignment follows the student.
pub struct Follower<'a> {
    /// The student as they are now.
    pub user: &'a Fields,
    /// True when users of this type get assignments.
    pub assignable: bool,
    /// What changed.
    pub change: &'a UserChange,
    /// The student's orgs and their ancestors.
    pub tree: &'a OrgTree,
    /// Whether a promotion also assigns the assessments that apply now
    /// (docs/domain/assignments.md#corrections-and-promotions).
    pub assign_on_promotion: bool,
    /// The time now.
    pub now: Timestamp,
}

/// True when the change may affect the conditions of the assignment's administration, so that the administration has to
/// be read. `None` is an assignment that doesn't record which fields its conditions depend on.
fn conditions_care(looked_at: Option<&[Value]>, change: &UserChange) -> bool {
    let Some(fields) = looked_at else { return change.grade || change.birth };
    fields
        .iter()
        .filter_map(Value::as_str)
        .any(|field| (change.grade && user::depends_on_grade(field)) || (change.birth && user::depends_on_birth(field)))
}

/// True when [`Follower::open`] needs the assignment's administration.
pub fn needs_administration(assignment: &Fields, change: &UserChange) -> bool {
    conditions_care(assignment.get(CONDITION_FIELDS).and_then(Value::as_array), change)
}

/// An assignment is open until its closing date (docs/domain/assignments.md#opening-and-closing-times).
pub fn is_open(assignment: &Fields, now: Timestamp) -> bool {
    assignment::is_open(assignment, now)
}

impl Follower<'_> {
    /// True when the student may have open assignments at all.
    pub fn is_assigned(&self) -> bool {
        self.assignable && is_living(self.user)
    }

    /// Decides about an administration of which the student has no assignment and that is assigned to `assigned` of the
    /// student's orgs: creates an assignment, or restores the `former` one.
    pub fn join(
        &self,
        administration: Administration,
        assigned: OrgSet,
        tree: Arc<OrgTree>,
        former: Option<FormerAssignment<'_>>,
    ) -> Decision {
        if !self.is_assigned() {
            return Decision::Nothing;
        }
        let is_open = is_open(&administration.fields, self.now);
        let definition = Definition { administration, assigned, tree };
        match former {
            Some(former) if is_open => definition.decide_again(self.user, &former, self.now),
            Some(former) => definition.decide_again_when_closed(self.user, &former, self.now),
            None if is_open => definition.decide(self.user, None, self.now),
            None => Decision::Nothing,
        }
    }

    /// Decides about an open assignment of the student. `assigned`: those of the student's orgs that were found to be
    /// assigned. `accounted`: the orgs that syncs of the administration account for, if known; needed where the
    /// assignment has other orgs of the student ([`Follower::unaccounted`]). `administration`: given where the change
    /// needs it.
    pub fn open(
        &self,
        existing: &Fields,
        assigned: &OrgSet,
        accounted: Option<&OrgSet>,
        administration: Option<&Administration>,
    ) -> Decision {
        if !self.is_assigned() {
            return Decision::Delete;
        }
        let mut assignment = existing.clone();
        let tasks = administration.map_or_else(|| Tasks::known_to(existing), Tasks::of);
        if self.change.orgs {
            let held = assignment::assigning_orgs(existing);
            // The assignment keeps an org of the student as long as a sync will still process that org: if the
            // administration has lost the org, the sync removes it. A sync that has ended may have missed students who
            // were out of the org at that moment.
            let mut reasons = match accounted {
                Some(accounted) => held.intersection(accounted).to_set(),
                None => held.to_set(),
            };
            current_orgs(self.user).intersection(assigned).iter().for_each(|(of, id)| {
                reasons.insert(of, id);
            });
            let assigning = current_orgs(self.user).intersection(&reasons);
            if assigning.is_empty() {
                return Decision::Delete;
            }
            if !assigning.same_orgs(&held) {
                assignment.insert(assignment::field::ASSIGNING_ORGS.to_owned(), assigning.to_value());
                assignment.insert(assignment::field::READ_ORGS.to_owned(), self.tree.read_orgs(&assigning).to_value());
            }
        }
        if let Some(administration) = administration {
            let old = assessments_of(existing);
            let left = self.assessments(&old, administration);
            if left.is_empty() {
                return Decision::Delete;
            }
            let progress = progress(existing, &left);
            if requirements(&left) != requirements(&old) {
                assignment
                    .insert(assignment::field::COMPLETED.to_owned(), Value::Boolean(is_complete(&left, &progress)));
            }
            assignment.insert(assignment::field::PROGRESS.to_owned(), Value::Map(progress));
            assignment.insert(assignment::field::ASSESSMENTS.to_owned(), Value::Array(left));
        }
        assignment.insert(assignment::field::USER_DATA.to_owned(), Value::Map(user_data(self.user)));
        updated(existing, assignment, &tasks)
    }

    /// True when the assignment has an org of the student's that isn't in `assigned`, so that the caller has to find
    /// out whether the administration lost that org.
    pub fn unaccounted(&self, existing: &Fields, assigned: &OrgSet) -> bool {
        let held = assignment::assigning_orgs(existing);
        let kept = held.intersection(&current_orgs(self.user).to_set());
        self.change.orgs && !kept.difference(assigned).is_empty()
    }

    /// The assessments that the assignment keeps (docs/domain/assignments.md#corrections-and-promotions): started ones
    /// and those that still apply. Whether each is optional follows the student.
    fn assessments(&self, old: &[Fields], administration: &Administration) -> Vec<Value> {
        if (self.assign_on_promotion && self.change.grade) || self.change.learnt {
            return assessments(administration, self.user, old, self.now);
        }
        let followed = old.iter().filter_map(|entry| {
            let known = administration.assessments.iter().find(|known| task_id(entry) == Some(&known.task_id));
            // Assessments that an edit of the administration removed are handled by its sync.
            let Some(known) = known else { return Some(entry.clone()) };
            if !has_begun(entry) && !known.is_assigned_to(self.user, self.now) {
                return None;
            }
            let mut entry = entry.clone();
            entry.insert(
                assignment::field::OPTIONAL.to_owned(),
                Value::Boolean(known.is_optional_for(self.user, self.now)),
            );
            Some(entry)
        });
        followed.map(Value::Map).collect()
    }

    /// Decides about a closed assignment: only the date of birth reaches it, and values computed from that where the
    /// assignment has them (docs/domain/assignments.md#opening-and-closing-times).
    pub fn closed(&self, existing: &Fields) -> Decision {
        let born = date_of_birth(self.user).filter(|_| self.change.birth);
        let (Some(born), Some(dob)) = (born, user::in_student_data(self.user, user::field::DOB)) else {
            return Decision::Nothing;
        };
        let mut assignment = existing.clone();
        let mut data = existing.get(assignment::field::USER_DATA).and_then(Value::as_map).cloned().unwrap_or_default();
        data.insert(user::field::DOB.to_owned(), dob.clone());
        let assigned = assignment::date_assigned(existing);
        let computed = [
            (user::field::BIRTH_MONTH, Some(i64::from(born.month()))),
            (user::field::BIRTH_YEAR, Some(i64::from(born.year()))),
            (run::field::AGE_MONTHS, assigned.map(|assigned| age_in_months(born, day(assigned)))),
        ];
        for (name, value) in computed {
            if let (Some(shown), Some(value)) = (data.get_mut(name), value) {
                *shown = Value::Integer(value);
            }
        }
        assignment.insert(assignment::field::USER_DATA.to_owned(), Value::Map(data));
        updated(existing, assignment, &Tasks::known_to(existing))
    }
}

/// An update, unless nothing would change.
fn updated(existing: &Fields, mut assignment: Fields, tasks: &Tasks) -> Decision {
    if assignment == *existing {
        return Decision::Nothing;
    }
    // These changes don't move the counts of a closed or foreign assignment. The record follows what is written, and
    // the counts follow the record.
    Contribution::of(&assignment, tasks).record(&mut assignment);
    Decision::Update(assignment)
}

/// The administrations that are assigned to the student's orgs, each with those orgs: from the documents of
/// `assignedOrgs` that were found for these orgs.
pub fn assigned_by<'a>(found: impl IntoIterator<Item = &'a Fields>) -> BTreeMap<String, OrgSet> {
    let mut administrations: BTreeMap<String, OrgSet> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for org in found {
        let Some((administration, of, id)) = administration_org::read(org) else { continue };
        if seen.insert((administration, of, id)) {
            administrations.entry(administration.to_owned()).or_default().insert(of, id);
        }
    }
    administrations
}

//! Which student gets which assignment, and how an existing assignment changes (docs/domain/assignments.md). Pure.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::counts::{Contribution, begin_life};
use super::side_effects::date_assigned;
use super::tasks::Tasks;
use crate::documents::administration::{self, Administration, Assessment};
use crate::documents::archive::kept;
use crate::documents::assignment::{
    self, assessments_of, has_begun, is_complete, progress, progress_key, requirements, task_id, task_ids,
};
use crate::documents::former::former;
use crate::documents::org_lists::OrgSet;
use crate::documents::user;
use crate::documents::user::age::date_of_birth;
use crate::documents::user::grade::grade_text;
use crate::documents::user::orgs::current_orgs;
use crate::fields;
use crate::orgs::{OrgLists, OrgTree};
use crate::store::size::{depth, fields_size, value_size};
use crate::store::{Document, Fields, Timestamp, Value};

/// An administration as its fan-out needs it: read once and used for every student.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The administration.
    pub administration: Administration,
    /// All orgs whose members are assigned.
    pub assigned: OrgSet,
    /// The hierarchy around these orgs.
    pub tree: Arc<OrgTree>,
}

/// The field of an assignment that lists the user fields which its administration's conditions depend on, so that a
/// change of other fields needn't read the administration.
pub const CONDITION_FIELDS: &str = assignment::field::CONDITION_FIELDS;

/// What to do with a student's assignment.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Leave the assignment, or its absence, as it is.
    Nothing,
    /// Create this assignment.
    Create(Fields),
    /// Replace the assignment with this one.
    Update(Fields),
    /// Delete the assignment.
    Delete,
}

/// What is known of an assignment that a user had before.
#[derive(Clone, Copy, Debug, Default)]
pub struct FormerAssignment<'a> {
    /// The assignment's archive.
    pub archived: Option<&'a Fields>,
    /// When it was assigned, where the archive doesn't say.
    pub assigned: Option<Timestamp>,
}

impl<'a> FormerAssignment<'a> {
    /// What is known of the assignment of `administration` that a user had before; `None` when the user had none.
    /// `archived` is the assignment's archive, if there is one.
    pub fn of(user: &Fields, administration: &str, archived: Option<&'a Document>) -> Option<FormerAssignment<'a>> {
        let archived = archived.map(|archived| &archived.fields);
        let left = former(user, administration).map(|dates| dates.assigned);
        // The user's lists name the assignment, but it doesn't exist: it was deleted outside of the service.
        let assigned = left.or_else(|| date_assigned(user, administration));
        (archived.is_some() || assigned.is_some()).then_some(FormerAssignment { archived, assigned })
    }

    /// The assignment's former state; without an archive, an assignment without any work.
    pub fn state(&self, now: Timestamp) -> Fields {
        let mut state = match self.archived {
            Some(archived) => kept(archived),
            None => fields! { assignment::field::STARTED => false, assignment::field::COMPLETED => false },
        };
        if assignment::date_assigned(&state).is_none() {
            state.insert(assignment::field::DATE_ASSIGNED.to_owned(), Value::Timestamp(self.assigned.unwrap_or(now)));
        }
        state
    }
}

/// An assignment that is created again, counted from `now` on.
fn again(mut assignment: Fields, tasks: &Tasks, now: Timestamp) -> Decision {
    assignment.insert(assignment::field::LAST_SYNCED_FROM_ADMINISTRATION.to_owned(), Value::Timestamp(now));
    begin_life(&mut assignment, now);
    Contribution::of(&assignment, tasks).record(&mut assignment);
    Decision::Create(assignment)
}

impl Definition {
    /// The most bytes that an assignment may have before its student's data; all of these come from the administration.
    pub fn most_bytes(&self) -> usize {
        fields_size(&self.administration.fields)
    }

    /// True when an assignment of the administration fits into a document together with its student's data. An
    /// administration whose assignments don't fit can't be assigned to anybody.
    pub fn has_room(&self, now: Timestamp) -> bool {
        let nobody = Fields::new();
        let assessments = self.administration.assessments.iter();
        let entries = assessments.map(|assessment| Value::Map(entry(assessment, Fields::new(), &nobody, now)));
        let entries: Vec<Value> = entries.collect();
        let mut plain = self.details();
        plain.extend(fields! { assignment::field::PROGRESS => progress(&nobody, &entries), assignment::field::ASSESSMENTS => entries });
        fields_size(&plain) <= MOST_WITHOUT_STUDENT
    }

    /// True when the user is in an org of the administration.
    pub fn assigns(&self, user: &Fields) -> bool {
        !current_orgs(user).intersection(&self.assigned).is_empty()
    }

    /// Decides about a user who may be assigned, that is, a user of an assigned type who isn't archived. `existing` is
    /// the user's assignment of this administration, if there is one.
    pub fn decide(&self, user: &Fields, existing: Option<&Fields>, now: Timestamp) -> Decision {
        let assigning = current_orgs(user).intersection(&self.assigned);
        match existing {
            None => self.create(user, &assigning, now).map_or(Decision::Nothing, Decision::Create),
            Some(existing) => self.update(user, &assigning, existing, now),
        }
    }

    /// Decides about a user who had the assignment before, lost it with their orgs or in another way, and may be
    /// assigned again. The former assignment is restored, work included, and follows the administration from there.
    pub fn decide_again(&self, user: &Fields, former: &FormerAssignment<'_>, now: Timestamp) -> Decision {
        let assigning = current_orgs(user).intersection(&self.assigned);
        let before = former.state(now);
        match self.update(user, &assigning, &before, now) {
            Decision::Update(fields) => again(fields, &self.tasks(), now),
            Decision::Nothing => again(before, &self.tasks(), now),
            Decision::Delete | Decision::Create(_) => Decision::Nothing,
        }
    }

    /// Decides about a closed administration, for a user who lost the assignment while the administration was open and
    /// is back in one of the orgs that assigned it. Without leaving, the user would have kept the assignment, so it's
    /// restored as it was if work in it had begun.
    pub fn decide_again_when_closed(&self, user: &Fields, former: &FormerAssignment<'_>, now: Timestamp) -> Decision {
        let Some(archived) = former.archived else { return Decision::Nothing };
        let held = assignment::assigning_orgs(archived);
        // Orgs that were removed from the administration stay removed, although it has closed since.
        let given = self.administration.input_orgs().to_set();
        let is_given = |of, id: &str| {
            let above = self.tree.read_orgs(&[(of, id)].into_iter().collect());
            !above.intersection(&given).is_empty()
        };
        let back = current_orgs(user).intersection(&held.to_set());
        let assigning: OrgLists = back.iter().filter(|(of, id)| is_given(*of, id)).collect();
        if assigning.is_empty() {
            return Decision::Nothing;
        }
        let mut assignment = former.state(now);
        assignment.extend(self.details());
        assignment.extend(fields! {
            assignment::field::ASSIGNING_ORGS => assigning.to_value(),
            assignment::field::READ_ORGS => self.tree.read_orgs(&assigning).to_value(),
        });
        again(assignment, &self.tasks(), now)
    }

    fn create(&self, user: &Fields, assigning: &OrgLists, now: Timestamp) -> Option<Fields> {
        if assigning.is_empty() {
            return None;
        }
        let assessments: Vec<Value> = self
            .administration
            .assessments
            .iter()
            .filter(|assessment| assessment.is_assigned_to(user, now))
            .map(|assessment| Value::Map(entry(assessment, Fields::new(), user, now)))
            .collect();
        if assessments.is_empty() {
            return None;
        }
        let progress: Fields =
            task_ids(&assessments).map(|task| (progress_key(task), Value::from(assignment::mark::ASSIGNED))).collect();
        let mut assignment = self.details();
        assignment.extend(fields! {
            assignment::field::STARTED => false,
            assignment::field::COMPLETED => false,
            assignment::field::DATE_ASSIGNED => now,
            assignment::field::LAST_SYNCED_FROM_ADMINISTRATION => now,
            assignment::field::ASSIGNING_ORGS => assigning.to_value(),
            assignment::field::READ_ORGS => self.tree.read_orgs(assigning).to_value(),
            assignment::field::ASSESSMENTS => assessments,
            assignment::field::PROGRESS => progress,
            assignment::field::USER_DATA => user_data(user),
        });
        Contribution::of(&assignment, &self.tasks()).record(&mut assignment);
        Some(assignment)
    }

    fn update(&self, user: &Fields, assigning: &OrgLists, existing: &Fields, now: Timestamp) -> Decision {
        if assigning.is_empty() {
            return Decision::Delete;
        }
        let old = assessments_of(existing);
        let assessments = assessments(&self.administration, user, &old, now);
        if assessments.is_empty() {
            return Decision::Delete;
        }
        let mut assignment = existing.clone();
        assignment.extend(self.details());
        let progress = progress(existing, &assessments);
        if requirements(&assessments) != requirements(&old) {
            assignment
                .insert(assignment::field::COMPLETED.to_owned(), Value::Boolean(is_complete(&assessments, &progress)));
        }
        assignment.extend(fields! {
            assignment::field::ASSIGNING_ORGS => assigning.to_value(),
            assignment::field::READ_ORGS => self.tree.read_orgs(assigning).to_value(),
            assignment::field::ASSESSMENTS => assessments,
            assignment::field::PROGRESS => progress,
            assignment::field::USER_DATA => user_data(user),
        });
        self.changed(existing, assignment, now)
    }

    /// Decides about an assignment of a closed administration: only the administration's own details reach it
    /// (docs/domain/administrations.md#closing-and-reopening).
    pub fn update_details(&self, existing: &Fields, now: Timestamp) -> Decision {
        let mut assignment = existing.clone();
        assignment.extend(self.details());
        self.changed(existing, assignment, now)
    }

    /// Decides after orgs were removed from the administration: these leave the assignment's lists, and the assignment
    /// is deleted with the last of them. `removed` must have no org that is still assigned.
    pub fn subtract(&self, existing: &Fields, removed: &OrgSet, now: Timestamp) -> Decision {
        let assigning = assignment::assigning_orgs(existing);
        let left = assigning.difference(removed);
        if left.is_empty() {
            return Decision::Delete;
        }
        if left == assigning {
            return Decision::Nothing;
        }
        let mut assignment = existing.clone();
        assignment.extend(fields! {
            assignment::field::ASSIGNING_ORGS => left.to_value(),
            assignment::field::READ_ORGS => self.tree.read_orgs(&left).to_value(),
        });
        self.changed(existing, assignment, now)
    }

    /// An update, unless only the time of the sync would change. The record of what is counted is updated too, also
    /// where the administration merely counts other tasks; the caller moves the counts by the difference.
    fn changed(&self, existing: &Fields, mut assignment: Fields, now: Timestamp) -> Decision {
        let contribution = Contribution::of(&assignment, &self.tasks());
        // Work in progress is counted by its own event.
        let counts_same_tasks = |recorded: Contribution| recorded.tasks.keys().eq(contribution.tasks.keys());
        if assignment == *existing && Contribution::recorded(existing).is_none_or(counts_same_tasks) {
            return Decision::Nothing;
        }
        assignment.insert(assignment::field::LAST_SYNCED_FROM_ADMINISTRATION.to_owned(), Value::Timestamp(now));
        contribution.record(&mut assignment);
        Decision::Update(assignment)
    }

    fn tasks(&self) -> Tasks {
        Tasks::of(&self.administration)
    }

    /// The fields that every assignment copies from its administration.
    fn details(&self) -> Fields {
        let administration = &self.administration;
        let mut details = fields! {
            assignment::field::ID => administration.id.as_str(),
            assignment::field::CREATED_BY => administration.text(administration::field::CREATED_BY),
            assignment::field::NAME => administration.text(administration::field::NAME),
            assignment::field::PUBLIC_NAME => administration.public_name(),
            assignment::field::SEQUENTIAL => administration.flag(administration::field::SEQUENTIAL),
            assignment::field::LEGAL => administration.fields.get(administration::field::LEGAL).filter(|legal| !legal.is_null()).cloned()
                .unwrap_or_else(Value::empty_map),
            assignment::field::TEST_DATA => administration.flag(administration::field::TEST_DATA),
            assignment::field::DEMO_DATA => administration.flag(administration::field::DEMO_DATA),
            CONDITION_FIELDS => Value::strings(&administration.condition_fields),
        };
        for date in [assignment::field::DATE_OPENED, assignment::field::DATE_CLOSED, assignment::field::DATE_CREATED] {
            if let Some(instant) = administration.fields.get(date).filter(|value| value.as_timestamp().is_some()) {
                details.insert(date.to_owned(), instant.clone());
            }
        }
        details
    }
}

/// The assessments of an assignment that has `old` ones. Started work always stays; everything else follows the
/// administration. The order is the administration's; started work that the administration no longer has comes last.
pub(super) fn assessments(
    administration: &Administration,
    user: &Fields,
    old: &[Fields],
    now: Timestamp,
) -> Vec<Value> {
    // A client may have made several entries of one task: take the one with work in it.
    let mut by_task: BTreeMap<&str, &Fields> = BTreeMap::new();
    for entry in old {
        let Some(task) = task_id(entry) else { continue };
        let known = by_task.entry(task).or_insert(entry);
        if !has_begun(known) && has_begun(entry) {
            *known = entry;
        }
    }
    let mut placed = HashSet::new();
    let mut result = Vec::new();
    for assessment in &administration.assessments {
        if !placed.insert(assessment.task_id.as_str()) {
            continue;
        }
        match by_task.get(assessment.task_id.as_str()) {
            Some(kept) if has_begun(kept) => {
                let mut kept = (*kept).clone();
                kept.insert(
                    assignment::field::OPTIONAL.to_owned(),
                    Value::Boolean(assessment.is_optional_for(user, now)),
                );
                result.push(Value::Map(kept));
            }
            known if assessment.is_assigned_to(user, now) => {
                let known = known.map(|known| (*known).clone()).unwrap_or_default();
                result.push(Value::Map(entry(assessment, known, user, now)));
            }
            _ => {}
        }
    }
    let left = old.iter().filter(|entry| has_begun(entry));
    result.extend(
        left.filter(|entry| task_id(entry).is_none_or(|task| !placed.contains(task)))
            .map(|entry| Value::Map(entry.clone())),
    );
    result
}

/// An assessment as an assignment holds it, based on the unstarted entry `known`.
pub(crate) fn entry(assessment: &Assessment, known: Fields, user: &Fields, now: Timestamp) -> Fields {
    let mut entry = known;
    entry.insert(assignment::field::TASK_ID.to_owned(), Value::from(assessment.task_id.as_str()));
    entry.insert(assignment::field::OPTIONAL.to_owned(), Value::Boolean(assessment.is_optional_for(user, now)));
    entry.insert(assignment::field::PARAMS.to_owned(), Value::Map(assessment.params.clone()));
    for (name, value) in [
        (assignment::field::VARIANT_ID, &assessment.variant_id),
        (assignment::field::VARIANT_NAME, &assessment.variant_name),
    ] {
        match value {
            Some(value) => entry.insert(name.to_owned(), value.clone()),
            None => entry.remove(name),
        };
    }
    entry
}

/// The snapshot of the student that reports read (docs/domain/assignments.md#what-an-assignment-holds): the student
/// data at the top level, the grade as text, and the user's identity, with null for what isn't known.
pub(crate) fn user_data(user: &Fields) -> Fields {
    let mut data = user::student_data(user).cloned().unwrap_or_default();
    if let Some(grade) = data.get(user::field::GRADE).and_then(grade_text) {
        data.insert(user::field::GRADE.to_owned(), Value::String(grade));
    }
    if let Some(born) = date_of_birth(user) {
        for (name, value) in
            [(user::field::BIRTH_MONTH, i64::from(born.month())), (user::field::BIRTH_YEAR, i64::from(born.year()))]
        {
            if let Some(shown) = data.get_mut(name) {
                *shown = Value::Integer(value);
            }
        }
    }
    // People write these fields. Values that are too large must not make the assignment, and with it a whole sync, fail
    // to be stored.
    data.retain(|_, value| fits(value));
    if fields_size(&data) > MOST_STUDENT_DATA {
        data.retain(|_, value| value_size(value) <= SMALL);
    }
    if fields_size(&data) > MOST_STUDENT_DATA {
        data.retain(|name, _| {
            matches!(
                name.as_str(),
                user::field::GRADE
                    | user::field::DOB
                    | user::field::BIRTH_MONTH
                    | user::field::BIRTH_YEAR
                    | user::field::SCHOOL_LEVEL
            )
        });
    }
    for name in [
        user::field::NAME,
        user::field::ASSESSMENT_PID,
        user::field::ASSESSMENT_UID,
        user::field::EMAIL,
        user::field::USERNAME,
    ] {
        data.insert(name.to_owned(), user.get(name).filter(|value| fits(value)).cloned().unwrap_or(Value::Null));
    }
    data
}

/// The most bytes and the most levels of a student's field that an assignment copies.
const MOST_OF_A_FIELD: (usize, usize) = (20_000, 10);
/// The most bytes of an assignment without its student's data. At most 300,000 bytes are added for the student, and a
/// document may have a million.
const MOST_WITHOUT_STUDENT: usize = 700_000;
/// The most bytes of a student's data altogether; a document may have a million.
const MOST_STUDENT_DATA: usize = 200_000;
/// The most bytes of each field that is kept when the student's data altogether is too large.
const SMALL: usize = 1000;

fn fits(value: &Value) -> bool {
    let (bytes, levels) = MOST_OF_A_FIELD;
    value_size(value) <= bytes && depth(value) <= levels
}

#[cfg(test)]
mod tests;

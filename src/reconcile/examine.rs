//! Examines one student and their assignment: what differs, and what repairs it. Pure.

use std::collections::BTreeSet;

use super::report::{Finding, Kind};
use super::standing::Scope;
use crate::app::Settings;
use crate::assignments::build::{Decision, Definition, FormerAssignment};
use crate::assignments::counts::{Contribution, CountsDelta};
use crate::assignments::settlement::deletion_mark;
use crate::assignments::side_effects::{dates_left, list_dates};
use crate::assignments::tasks::Tasks;
use crate::documents::archive::archiving;
use crate::documents::assignment::{self, assessments_of, assignment_path, flags};
use crate::documents::former::{FORMER, entry_path, former};
use crate::documents::history;
use crate::documents::user::listed::{self, LISTS, list_path};
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::{self, is_living, is_of_type};
use crate::orgs::OrgLists;
use crate::runs::hold::{RunsByTask, hold, not_found};
use crate::store::{DocPath, Document, FieldPath, Fields, Precondition, Result, Timestamp, Transform, Value, Write};

/// The rules that students' documents are compared with.
pub struct Rules<'a> {
    /// The administration's ID.
    pub administration: &'a str,
    /// The administration's state and definition.
    pub scope: &'a Scope,
    /// The service's settings, including the types of users that get assignments.
    pub settings: &'a Settings,
    /// When the administration's last sync was planned.
    pub planned: Option<Timestamp>,
    /// The tasks that count; `None` where the record of each assignment names them.
    pub tasks: Option<&'a Tasks>,
    /// The time of the examination.
    pub now: Timestamp,
}

/// A student's two documents, as read.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The path of the user's document, whether or not the document exists.
    pub path: &'a DocPath,
    /// The user.
    pub user: Option<&'a Document>,
    /// The user's assignment of the administration.
    pub assignment: Option<&'a Document>,
    /// The archived assignment, where there's no assignment and the archive was read.
    pub archived: Option<&'a Document>,
    /// The user's runs of the administration, where they were read.
    pub runs: Option<&'a RunsByTask>,
    /// Runs that the assignment names, which are known to have been deleted.
    pub deleted: &'a BTreeSet<String>,
}

/// The result of an examination.
#[derive(Debug, Default, PartialEq)]
pub struct Examined {
    /// The differences.
    pub findings: Vec<Finding>,
    /// The repair of the differences; `None` when nothing differs, or nothing can be repaired safely.
    pub repair: Option<Repair>,
}

/// A repair of one student. Its writes and its change of the counts belong in one commit.
#[derive(Debug, Default, PartialEq)]
pub struct Repair {
    /// The writes to the assignment and the user's document.
    pub writes: Vec<Write>,
    /// The assignment's contribution to the counts before the repair.
    before: Option<Contribution>,
    /// The assignment's contribution to the counts after the repair.
    after: Option<Contribution>,
}

impl Repair {
    /// Adds the repair's change of the counts.
    pub fn step(&self, delta: &mut CountsDelta) {
        delta.step(self.before.as_ref(), self.after.as_ref());
    }

    /// Which of the user's three lists name the administration after the repair; each entry then has its date.
    pub fn listed(&self) -> [bool; 3] {
        self.after.as_ref().map_or([false; 3], |after| [true, after.started, after.completed])
    }
}

/// What the assignment should be.
enum Target {
    Absent,
    Present(Fields),
    /// The assignment is wrong, but repairing it might lose work.
    Unclear,
}

/// For each of a user's three lists: whether the list names the administration, and whether its map of dates does.
pub fn traces(user: &Fields, administration: &str) -> [(bool, bool); 3] {
    LISTS.map(|(list, dates)| {
        let listed = listed::list(user, list);
        let dated = user.get(dates).and_then(Value::as_map);
        (
            listed.iter().any(|id| id.as_str() == Some(administration)),
            dated.is_some_and(|dates| dates.contains_key(administration)),
        )
    })
}

impl Rules<'_> {
    /// Examines one student.
    pub fn examine(&self, subject: Subject<'_>) -> Result<Examined> {
        let mut findings = Vec::new();
        let target = match subject.assignment {
            Some(assignment) => self.existing(subject, &assignment.fields, &mut findings),
            None => self.missing(subject, &mut findings),
        };
        let target = match target {
            Target::Absent => None,
            Target::Present(fields) => Some(fields),
            Target::Unclear => return Ok(Examined { findings, repair: None }),
        };
        let user_id = subject.path.id();
        let stored = subject.assignment.map(|assignment| &assignment.fields);
        let recorded = stored.and_then(Contribution::recorded);
        if let (Some(stored), Some(_)) = (stored, &target) {
            match &recorded {
                None => findings.push(Finding::of_user(Kind::RecordMissing, user_id)),
                Some(recorded) if *recorded != self.contribution(stored) => {
                    findings.push(Finding::of_user(Kind::RecordDiffers, user_id));
                }
                Some(_) => {}
            }
        }
        let lists = self.lists_write(subject, target.as_ref(), &mut findings);
        if findings.is_empty() {
            return Ok(Examined::default());
        }
        let after = target.as_ref().map(|target| self.contribution(target));
        // The counts may or may not include an assignment without a record, because older functions may have counted
        // it. So the repair restores its record without moving the counts; where the counts then differ from the
        // records, they are repaired separately.
        let before = match (&recorded, stored, &target) {
            (None, Some(stored), Some(_)) => Some(self.contribution(stored)),
            _ => recorded,
        };
        let mut writes = self.assignment_writes(subject, target)?;
        writes.extend(lists);
        Ok(Examined { findings, repair: Some(Repair { writes, before, after }) })
    }

    /// Examines a student without an assignment.
    fn missing(&self, subject: Subject<'_>, findings: &mut Vec<Finding>) -> Target {
        let (Scope::Open(definition, _), Some(user)) = (self.scope, subject.user) else { return Target::Absent };
        if !is_living(&user.fields) || !self.is_assigned_type(&user.fields) {
            return Target::Absent;
        }
        let Decision::Create(fields) = self.made_up_for(definition, subject, &user.fields) else {
            return Target::Absent;
        };
        let was_begun = former(&user.fields, self.administration).is_some_and(|dates| dates.has_begun());
        let is_work = flags(&fields).contains(&true) || was_begun;
        if !is_work && self.waits_for_save(definition, &user.fields) {
            findings.push(Finding::of_user(Kind::WaitsForSave, subject.path.id()));
            return Target::Unclear;
        }
        findings.push(Finding::of_user(Kind::AssignmentMissing, subject.path.id()));
        Target::Present(fields)
    }

    /// Decides on the assignment that a student without one should have, including their earlier work in it.
    fn made_up_for(&self, definition: &Definition, subject: Subject<'_>, user: &Fields) -> Decision {
        let known = FormerAssignment::of(user, self.administration, subject.archived);
        let no_runs = RunsByTask::new();
        let runs = subject.runs.unwrap_or(&no_runs);
        if known.is_none() && runs.is_empty() {
            return definition.decide(user, None, self.now);
        }
        let known = known.unwrap_or_default();
        let mut state = known.state(self.now);
        state.extend(hold(&state, runs, subject.deleted, Some((&definition.administration, user)), self.now));
        definition.decide_again(user, &FormerAssignment { archived: Some(&state), ..known }, self.now)
    }

    /// True when the rules leave the assignment of this student to the administration's next save: the student's data
    /// has changed since the last sync began, and with the data from before some such change, no part of the
    /// administration applied to them (docs/domain/assignments.md#corrections-and-promotions).
    fn waits_for_save(&self, definition: &Definition, user: &Fields) -> bool {
        let Some(planned) = self.planned else { return false };
        let mut former = history::since(user, planned);
        former.any(|data| {
            let mut then = user.clone();
            then.insert(user::field::STUDENT_DATA.to_owned(), Value::Map(data.clone()));
            !matches!(definition.decide(&then, None, self.now), Decision::Create(_))
        })
    }

    fn existing(&self, subject: Subject<'_>, assignment: &Fields, findings: &mut Vec<Finding>) -> Target {
        let user_id = subject.path.id();
        let mut find = |kind| findings.push(Finding::of_user(kind, user_id));
        let no_assessments = assignment::assessments(assignment).iter().all(Value::is_null);
        let Some(user) = subject.user else {
            find(if matches!(self.scope, Scope::Gone) { Kind::AdministrationGone } else { Kind::UserGone });
            return Target::Absent;
        };
        let mut target = assignment.clone();
        match self.scope {
            Scope::Gone => {
                find(Kind::AdministrationGone);
                return Target::Absent;
            }
            Scope::Closed => {
                let no_orgs = assignment::assigning_orgs(assignment).is_empty();
                if no_orgs {
                    find(Kind::NoAssigningOrgs);
                }
                if no_assessments {
                    find(Kind::NoAssessments);
                }
                if no_orgs || no_assessments {
                    // A student's work isn't deleted because of a list of orgs.
                    return if has_begun(assignment) { Target::Unclear } else { Target::Absent };
                }
            }
            Scope::Open(definition, _) => {
                let assigning = current_orgs(&user.fields).intersection(&definition.assigned);
                let reason = match () {
                    () if !is_living(&user.fields) => Some(Kind::UserArchived),
                    () if !self.is_assigned_type(&user.fields) => Some(Kind::UserTypeNotAssigned),
                    () if assigning.is_empty() => Some(Kind::UserNotInOrgs),
                    () => None,
                };
                if let Some(reason) = reason {
                    find(reason);
                    return Target::Absent;
                }
                if no_assessments {
                    find(Kind::NoAssessments);
                    match definition.decide(&user.fields, Some(assignment), self.now) {
                        Decision::Update(fields) => target = fields,
                        Decision::Delete => return Target::Absent,
                        Decision::Nothing | Decision::Create(_) => return Target::Unclear,
                    }
                }
                let read = definition.tree.read_orgs(&assigning);
                for (kind, name, expected) in [
                    (Kind::AssigningOrgsDiffer, assignment::field::ASSIGNING_ORGS, assigning),
                    (Kind::ReadOrgsDiffer, assignment::field::READ_ORGS, read),
                ] {
                    let stored = OrgLists::from_value(assignment.get(name));
                    if !stored.same_orgs(&expected) {
                        let [stored, expected_ids] = [&stored, &expected].map(|orgs| orgs.flatten().into());
                        findings.push(Finding::of_user(kind, user_id).field(name).values(stored, expected_ids));
                        target.insert(name.to_owned(), expected.to_value());
                    }
                }
            }
        }
        if let Some(runs) = subject.runs {
            let administration = match self.scope {
                Scope::Open(definition, _) => Some((&definition.administration, &user.fields)),
                Scope::Closed | Scope::Gone => None,
            };
            if !not_found(&target, runs).is_subset(subject.deleted) {
                findings.push(Finding::of_user(Kind::RunsNotFound, user_id));
            }
            let changes = hold(&target, runs, subject.deleted, administration, self.now);
            if !changes.is_empty() {
                findings.push(Finding::of_user(Kind::RunsDiffer, user_id));
                target.extend(changes);
            }
        }
        if assignment::administration_id(assignment) != Some(self.administration) {
            findings.push(Finding::of_user(Kind::IdDiffers, user_id));
            target.insert(assignment::field::ID.to_owned(), Value::from(self.administration));
        }
        Target::Present(target)
    }

    fn contribution(&self, assignment: &Fields) -> Contribution {
        Contribution::by(assignment, self.tasks)
    }

    fn is_assigned_type(&self, user: &Fields) -> bool {
        is_of_type(user, &self.settings.assigned_user_types)
    }

    fn assignment_writes(&self, subject: Subject<'_>, target: Option<Fields>) -> Result<Vec<Write>> {
        let path = assignment_path(subject.path, self.administration)?;
        let Some(mut target) = target else {
            let Some(assignment) = subject.assignment else { return Ok(Vec::new()) };
            let mut writes = vec![Write::delete(path)];
            // The mark tells the handler of the deletion's event that the counts were moved already.
            writes.push(deletion_mark(assignment, self.now)?);
            writes.push(archiving(assignment, self.now)?);
            return Ok(writes);
        };
        self.contribution(&target).record(&mut target);
        let Some(stored) = subject.assignment else { return Ok(vec![Write::create(path, target)]) };
        let changed: Vec<String> = target
            .iter()
            .filter(|(name, value)| stored.fields.get(*name) != Some(*value))
            .map(|(n, _)| n.clone())
            .collect();
        let mask: Vec<FieldPath> = changed.iter().map(FieldPath::top).collect();
        if changed.iter().all(|name| name == assignment::field::COUNTED)
            && Contribution::recorded(&stored.fields) == Contribution::recorded(&target)
        {
            return Ok(Vec::new());
        }
        target.retain(|name, _| changed.contains(name));
        Ok(vec![Write::merge(path, target, mask).when(Precondition::Exists)])
    }

    /// Compares the user's lists and dates with the expected ones, and returns the write that repairs them. Existing
    /// dates stay.
    fn lists_write(&self, subject: Subject<'_>, target: Option<&Fields>, findings: &mut Vec<Finding>) -> Option<Write> {
        let user = subject.user?;
        let flags = target.map(flags).map(|[started, completed]| [true, started, completed]);
        // List entries of an assignment that this repair adds or removes change with the assignment; they aren't
        // reported as findings of their own.
        let held = findings.iter().any(|finding| finding.kind == Kind::RunsDiffer);
        let follow = held || target.is_some() != subject.assignment.is_some();
        let mut mask = Vec::new();
        let mut dated_fields = Fields::new();
        let mut transforms = Vec::new();
        let traces = traces(&user.fields, self.administration);
        let dates_to_come = target.map_or([None; 3], |target| {
            let told = list_dates(target, self.now);
            former(&user.fields, self.administration).unwrap_or(told).in_order()
        });
        for (index, (list, dates)) in LISTS.into_iter().enumerate() {
            let expected = flags.is_some_and(|flags| flags[index]);
            let (listed, dated) = traces[index];
            let mut find = |kind, field: String| {
                if !follow {
                    findings.push(Finding::of_user(kind, subject.path.id()).field(field));
                }
            };
            if listed != expected {
                let kind = if expected { Kind::ListEntryMissing } else { Kind::ListEntryStray };
                find(kind, format!("assignments.{list}"));
                let id = vec![Value::from(self.administration)];
                let transform = if expected { Transform::Union(id) } else { Transform::Remove(id) };
                transforms.push((list_path(list), transform));
            }
            if dated != expected {
                find(if expected { Kind::DateMissing } else { Kind::DateStray }, dates.to_owned());
                mask.push(FieldPath::of([dates, self.administration]));
                if expected {
                    let date = Value::Timestamp(dates_to_come[index].unwrap_or(self.now));
                    dated_fields
                        .insert(dates.to_owned(), Value::Map(Fields::from([(self.administration.to_owned(), date)])));
                }
            }
        }
        // Updates the user's record of former assignments: an assignment that is removed may be restored later, and
        // then is no longer a former one.
        match (subject.assignment, target) {
            (Some(assignment), None) => {
                let dates = dates_left(Some(&user.fields), &assignment.fields, self.now);
                let entry = Fields::from([(self.administration.to_owned(), dates.to_value())]);
                dated_fields.insert(FORMER.to_owned(), Value::Map(entry));
                mask.push(entry_path(self.administration));
            }
            (None, Some(_)) if former(&user.fields, self.administration).is_some() => {
                mask.push(entry_path(self.administration));
            }
            _ => {}
        }
        if mask.is_empty() && transforms.is_empty() {
            return None;
        }
        let write = Write::merge(user.path.clone(), dated_fields, mask).when(Precondition::Exists);
        Some(transforms.into_iter().fold(write, |write, (path, transform)| write.with(path, transform)))
    }
}

fn has_begun(assignment: &Fields) -> bool {
    flags(assignment).contains(&true) || assessments_of(assignment).iter().any(assignment::has_begun)
}

#[cfg(test)]
mod tests;

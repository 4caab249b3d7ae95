//! The handle by which tests and demonstrations change a fake Clever's districts.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::FakeClever;
use super::district::State;
use super::roster::{Kind, Roster};
use crate::rostering::clever::{DistrictToken, Version};

/// One district of a fake Clever. Changes show in the next answer.
///
/// Records are named by their IDs. The methods panic for IDs that the district never had.
#[derive(Clone)]
pub struct FakeDistrict {
    pub(super) fake: FakeClever,
    pub(super) number: usize,
}

impl FakeDistrict {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.fake.0.state.lock().districts[self.number])
    }

    /// The district's original roster: IDs, numbers, and who is in which section at first.
    pub fn roster(&self) -> Roster {
        self.with(|state| state.roster)
    }

    /// The district's ID.
    pub fn id(&self) -> String {
        self.roster().id(Kind::District, 0)
    }

    /// The district's current token, if it's connected.
    pub fn token(&self) -> Option<DistrictToken> {
        let serial = self.with(|state| state.token)?;
        let token = SecretString::from(self.fake.district_token(&self.roster(), serial));
        Some(DistrictToken { district: self.id(), token })
    }

    fn key(&self, id: &str) -> (Kind, u64) {
        self.roster().read_id(id).unwrap_or_else(|| panic!("{id} is no ID of this district's"))
    }

    /// The record as requests get it now; `None` when it was removed.
    pub fn record(&self, id: &str) -> Option<Value> {
        let (kind, index) = self.key(id);
        self.with(|state| state.record(kind, index, Version::V3_1))
    }

    /// The IDs of all current records of a kind, in order.
    pub fn ids(&self, kind: Kind) -> Vec<String> {
        self.with(|state| {
            let there = (0..state.length(kind)).filter(|index| state.is_there(kind, *index));
            there.map(|index| state.roster.id(kind, index)).collect()
        })
    }

    /// The IDs of the users who currently have a role, in order.
    pub fn users(&self, role: &str) -> Vec<String> {
        self.with(|state| {
            let there = (0..state.length(Kind::User)).filter(|index| state.is_there(Kind::User, *index));
            there.filter(|index| state.holds(*index, role)).map(|index| state.roster.id(Kind::User, index)).collect()
        })
    }

    /// The IDs of a section's current students.
    pub fn students_of(&self, section: &str) -> Vec<String> {
        let (_, index) = self.key(section);
        self.with(|state| state.students_of(index).into_iter().map(|n| state.roster.id(Kind::User, n)).collect())
    }

    /// Sets a field of a record, as `roles/student/grade`.
    pub fn set(&self, id: &str, path: &str, value: impl Into<Value>) {
        let key = self.key(id);
        self.with(|state| state.set(key, path, Some(value.into())));
    }

    /// Removes a field from a record.
    pub fn unset(&self, id: &str, path: &str) {
        let key = self.key(id);
        self.with(|state| state.set(key, path, None));
    }

    /// Sets a student's grade, to the next or any other one.
    pub fn promote(&self, student: &str, grade: &str) {
        self.set(student, "roles/student/grade", grade);
    }

    /// Corrects a student's date of birth, written as M/D/YYYY.
    pub fn set_dob(&self, student: &str, dob: &str) {
        self.set(student, "roles/student/dob", dob);
    }

    /// Changes a user's e-mail address, or removes it.
    pub fn set_email(&self, user: &str, email: Option<&str>) {
        self.set(user, "email", email.map_or(Value::Null, Value::from));
    }

    /// A school, a section or the district gets another name.
    pub fn rename(&self, id: &str, name: &str) {
        self.set(id, "name", name);
    }

    /// Moves a student from one section to another; the student's school changes accordingly.
    pub fn move_student(&self, student: &str, from: &str, to: &str) {
        self.leave(student, from);
        self.join(student, to);
        let school = self.roster().id(Kind::School, self.roster().school_of_section(self.key(to).1));
        self.set(student, "roles/student/school", school.clone());
        self.set(student, "roles/student/schools", json!([school]));
        let enrollment = json!({
            "school": school, "start_date": "2026-09-02T00:00:00.000Z", "end_date": "2027-06-10T00:00:00.000Z",
        });
        self.set(student, "roles/student/enrollments", json!([enrollment]));
    }

    /// Adds a student to a section; they stay in their other sections.
    pub fn join(&self, student: &str, section: &str) {
        let (student, section) = (self.key(student).1, self.key(section).1);
        self.with(|state| state.join(student, section));
    }

    /// A student leaves a section.
    pub fn leave(&self, student: &str, section: &str) {
        let (student, section) = (self.key(student).1, self.key(section).1);
        self.with(|state| state.leave(student, section));
    }

    /// Adds `number` new students to a section. Returns their IDs.
    pub fn add_students(&self, number: u64, section: &str) -> Vec<String> {
        let (_, section) = self.key(section);
        let add = |state: &mut State| {
            let index = state.add(section);
            state.roster.id(Kind::User, index)
        };
        (0..number).map(|_| self.with(add)).collect()
    }

    /// Removes a record, as if it were deleted or not shared any more.
    pub fn remove(&self, id: &str) {
        let key = self.key(id);
        self.with(|state| state.remove(key));
    }

    /// Restores a removed record, with the same ID.
    pub fn bring_back(&self, id: &str) {
        let key = self.key(id);
        self.with(|state| state.bring_back(key));
    }

    /// Sets the district's state: running, pending, error, paused, success, or empty.
    pub fn set_state(&self, state: &str) {
        let id = self.id();
        self.set(&id, "state", state);
        match state {
            "paused" => self.set_pause(Some("2026-09-01"), Some("2026-09-15")),
            _ => self.set_pause(None, None),
        }
        self.set(&id, "error", if state == "error" { "The data can't be read" } else { "" });
    }

    /// Sets the first and the last day of the district's pause, as days or as instants. The district's state doesn't
    /// matter.
    pub fn set_pause(&self, start: Option<&str>, end: Option<&str>) {
        let id = self.id();
        for (field, date) in [("pause_start", start), ("pause_end", end)] {
            self.set(&id, field, date.map_or(Value::Null, Value::from));
        }
    }

    /// Makes the token invalid; a new one can be fetched.
    pub fn replace_token(&self) {
        self.with(State::replace_token);
    }

    /// Disconnects the district: its token becomes invalid, and no new one can be fetched.
    pub fn disconnect(&self) {
        self.with(|state| state.token = None);
    }

    /// Connects the district again, with a new token.
    pub fn connect(&self) {
        self.replace_token();
    }

    /// Signs a user in. Returns the user's token.
    pub fn sign_in(&self, user: &str) -> SecretString {
        self.key(user);
        let mut state = self.fake.0.state.lock();
        let token = format!("il{:016x}{:04}", self.roster_of(&state).dice("sign-in", 0), state.users.len());
        state.users.insert(token.clone(), (self.number, user.to_owned()));
        token.into()
    }

    fn roster_of(&self, state: &super::All) -> Roster {
        state.districts[self.number].roster
    }
}

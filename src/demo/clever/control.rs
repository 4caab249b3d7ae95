//! Changes a fake Clever by HTTP: for tests in other processes, and for people who experiment.

use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::Fault;
use super::{FakeClever, FakeDistrict};
use secrecy::ExposeSecret;

/// The path to which changes are posted.
pub(super) const PATH: &str = "/_control";

/// A change to make: `{"action": "move", "id": …, "from": …, "to": …}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Change {
    /// Sets a field of a record: `roles/student/grade`.
    Set { id: String, path: String, value: Value },
    /// A student leaves one section for another.
    Move { id: String, from: String, to: String },
    /// A record is removed.
    Remove { id: String },
    /// A removed record is restored.
    BringBack { id: String },
    /// New students are added to a section; the answer has their IDs.
    Add { section: String, number: u64 },
    /// A user signs in; the answer has their token.
    SignIn { id: String },
    /// The next requests for this path fail with this status.
    Fail { path: String, status: u16, times: usize },
    /// Requests stop failing.
    Recover,
}

impl FakeClever {
    /// Makes the change. `None` for an ID that no district has.
    pub(super) fn change(&self, change: Change) -> Option<Value> {
        match change {
            Change::Set { id, path, value } => self.of(&id)?.set(&id, &path, value),
            Change::Move { id, from, to } => {
                (self.of(&from)?.number == self.of(&to)?.number).then_some(())?;
                self.of(&id)?.move_student(&id, &from, &to);
            }
            Change::Remove { id } => self.of(&id)?.remove(&id),
            Change::BringBack { id } => self.of(&id)?.bring_back(&id),
            Change::Add { section, number } => {
                return Some(json!({ "ids": self.of(&section)?.add_students(number, &section) }));
            }
            Change::SignIn { id } => return Some(json!({ "token": self.of(&id)?.sign_in(&id).expose_secret() })),
            Change::Fail { path, status, times } => {
                self.fail(&path, std::iter::repeat_n(Fault::Status(status), times));
            }
            Change::Recover => self.recover(),
        }
        Some(json!({}))
    }

    /// The district that has an ID.
    fn of(&self, id: &str) -> Option<FakeDistrict> {
        let districts = self.0.state.lock().districts.len();
        (0..districts).map(|number| self.district(number)).find(|district| district.roster().read_id(id).is_some())
    }
}

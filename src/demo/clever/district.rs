//! The current state of a district: the made-up roster, and the changes made since.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use super::records::put;
use super::roster::{Kind, Person, Roster};
use crate::rostering::clever::Version;

/// A record, by its kind and index.
type Key = (Kind, u64);

/// The current state of a district.
pub(super) struct State {
    pub(super) roster: Roster,
    /// Whether some records have undocumented values.
    pub(super) unknown_values: bool,
    gone: HashSet<Key>,
    /// The fields that differ from the roster's.
    changed: HashMap<Key, Changes>,
    /// The students who joined each section, and those who left each.
    joined: HashMap<u64, BTreeSet<u64>>,
    left: HashMap<u64, BTreeSet<u64>>,
    /// The section of each newcomer, that is, student added later.
    newcomers: Vec<u64>,
    /// How often the token was replaced; `None` while the district isn't connected.
    pub(super) token: Option<u64>,
    /// How many tokens there have been.
    tokens: u64,
}

#[derive(Default)]
struct Changes {
    fields: BTreeMap<String, Option<Value>>,
    /// How often the record was changed.
    times: u32,
}

impl State {
    pub(super) fn new(roster: Roster, unknown_values: bool) -> State {
        State {
            roster,
            unknown_values,
            gone: HashSet::new(),
            changed: HashMap::new(),
            joined: HashMap::new(),
            left: HashMap::new(),
            newcomers: Vec::new(),
            token: Some(0),
            tokens: 0,
        }
    }

    /// The number of records of a kind, removed ones included. All their indexes are below this number.
    pub(super) fn length(&self, kind: Kind) -> u64 {
        match kind {
            Kind::District => 1,
            Kind::School => self.roster.size.schools.max(1),
            Kind::Section => self.roster.sections(),
            Kind::User => self.roster.users() + self.newcomers.len() as u64,
            Kind::Course | Kind::Term | Kind::Legacy => 0,
        }
    }

    pub(super) fn is_there(&self, kind: Kind, index: u64) -> bool {
        index < self.length(kind) && !self.gone.contains(&(kind, index))
    }

    pub(super) fn holds(&self, index: u64, role: &str) -> bool {
        self.roster.holds(self.roster.person(index), role)
    }

    /// The record's current state; `None` when it was removed.
    pub(super) fn record(&self, kind: Kind, index: u64, version: Version) -> Option<Value> {
        if !self.is_there(kind, index) {
            return None;
        }
        let mut record = match kind {
            Kind::District => self.roster.district_json(version),
            Kind::School => self.roster.school_json(index),
            Kind::Section => {
                let is_user = |user: &u64| self.is_there(Kind::User, *user);
                let teachers: Vec<u64> = self.roster.teachers_of(index).into_iter().filter(is_user).collect();
                self.roster.section_json(index, version, &teachers, &self.students_of(index))
            }
            Kind::User => {
                let home = match self.roster.person(index) {
                    Person::Newcomer(n) => self.newcomers.get(n as usize).copied(),
                    _ => None,
                };
                self.roster.user_json(index, version, home, self.unknown_values)
            }
            Kind::Course | Kind::Term | Kind::Legacy => return None,
        };
        if let Some(changes) = self.changed.get(&(kind, index)) {
            for (path, value) in &changes.fields {
                put(&mut record, path, value.clone());
            }
            if kind != Kind::District {
                let (hours, minutes) = (changes.times / 60 % 24, changes.times % 60);
                record["last_modified"] = json!(format!("2026-09-02T{hours:02}:{minutes:02}:00.000Z"));
            }
        }
        Some(record)
    }

    /// The indexes of a section's current students, in order.
    pub(super) fn students_of(&self, section: u64) -> Vec<u64> {
        let mut students = self.roster.students_of(section);
        if let Some(left) = self.left.get(&section) {
            students.retain(|student| !left.contains(student));
        }
        students.extend(self.joined.get(&section).into_iter().flatten());
        students.retain(|student| self.is_there(Kind::User, *student));
        students
    }

    pub(super) fn set(&mut self, key: Key, path: &str, value: Option<Value>) {
        let changes = self.changed.entry(key).or_default();
        changes.fields.insert(path.to_owned(), value);
        changes.times += 1;
    }

    /// Marks the record as changed, for changes that aren't in one of the record's own fields.
    fn touch(&mut self, key: Key) {
        self.changed.entry(key).or_default().times += 1;
    }

    pub(super) fn remove(&mut self, key: Key) {
        self.gone.insert(key);
    }

    pub(super) fn bring_back(&mut self, key: Key) {
        self.gone.remove(&key);
    }

    pub(super) fn join(&mut self, student: u64, section: u64) {
        if self.students_of(section).contains(&student) {
            return;
        }
        self.left.entry(section).or_default().remove(&student);
        if !self.roster.students_of(section).contains(&student) {
            self.joined.entry(section).or_default().insert(student);
        }
        self.touch((Kind::Section, section));
    }

    pub(super) fn leave(&mut self, student: u64, section: u64) {
        self.joined.entry(section).or_default().remove(&student);
        self.left.entry(section).or_default().insert(student);
        self.touch((Kind::Section, section));
    }

    /// Adds a new student to the section. Returns the student's index.
    pub(super) fn add(&mut self, section: u64) -> u64 {
        let index = self.length(Kind::User);
        self.newcomers.push(section);
        self.join(index, section);
        index
    }

    pub(super) fn replace_token(&mut self) {
        self.tokens += 1;
        self.token = Some(self.tokens);
    }

    /// Replaces the district's token, unless the district isn't connected.
    pub(super) fn renew_token(&mut self) {
        if self.token.is_some() {
            self.replace_token();
        }
    }
}

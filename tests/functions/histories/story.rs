//! What can happen in a history: steps of people and clients, and of the machinery between them.

use std::collections::BTreeSet;

use proptest::prelude::*;

use roar_functions::app::App;
use roar_functions::demo::play::{Step as Play, play};
use roar_functions::fields;
use roar_functions::store::{
    Database, DocPath, Document, FieldPath, Fields, Precondition, Timestamp, Value, Write, lookup,
};

use crate::local::{Event, LocalWorld};
use crate::small::{administration, at, condition, copy_of, lists, org_maps, student, task};
use crate::world::{EmulatorWorld, set};

/// Where a student can be: a whole chain, a class without its school, nowhere.
pub const PLACES: [&[&str]; 7] = [
    &["D1", "S1", "C1"],
    &["D1", "S1", "C2", "G1"],
    &["D1", "S2", "C3"],
    &["D2", "S3", "C4"],
    &["C1"],
    &["D1", "S1", "S2", "C1", "C3"],
    &[],
];
/// What an administration can be given to.
const TARGETS: [&[&str]; 6] = [&["D1"], &["S1"], &["C1", "S3"], &["G1"], &["D1", "D2"], &["C3"]];
const USERS: u8 = 3;
const ADMINISTRATIONS: u8 = 3;
const OPEN: &str = "2099-12-01T00:00:00Z";
const CLOSED: &str = "2026-09-10T00:00:00Z";

/// A step of a history. Its `Debug` form is the story that a failure tells.
#[derive(Clone, Debug)]
pub enum Step {
    Administer {
        administration: u8,
        to: u8,
        tasks: u8,
        open: bool,
    },
    DeleteAdministration(u8),
    Enrol {
        user: u8,
        place: u8,
        grade: u8,
    },
    Move {
        user: u8,
        place: u8,
        sloppily: bool,
    },
    Promote(u8),
    CorrectBirth {
        user: u8,
        year: u8,
    },
    Rename(u8),
    Archive {
        user: u8,
        archived: bool,
    },
    /// A roster has a gap: somebody is in no org, or archived, of another type, or gone, and right afterwards there
    /// again.
    Gap {
        user: u8,
        way: u8,
    },
    /// An administration is taken from its orgs, and given back.
    GiveElsewhere(u8),
    GiveBack(u8),
    Retype {
        user: u8,
        educator: bool,
    },
    DeleteUser(u8),
    ArchiveClass {
        class: u8,
        archived: bool,
    },
    Start {
        user: u8,
        administration: u8,
        task: u8,
    },
    Complete {
        user: u8,
        administration: u8,
        task: u8,
    },
    /// A run of a task is written, in the assessment database.
    Run {
        user: u8,
        administration: u8,
        run: u8,
        minute: u8,
        done: bool,
    },
    DeleteRun {
        user: u8,
        run: u8,
    },
    /// Somebody deletes an assignment past the service.
    DeleteAssignment {
        user: u8,
        administration: u8,
    },
    /// An event that waits is delivered, whichever.
    Deliver(u8),
    /// An event that was delivered comes again.
    Again(u8),
    /// A task takes a step, whichever.
    Work(u8),
    /// Somebody means harm.
    Hostile(super::hostile::Act),
    /// Everything that waits is done, and the documents are looked at.
    Rest,
}

pub fn steps() -> impl Strategy<Value = Step> {
    let user = || 0..USERS;
    let administration = || 0..ADMINISTRATIONS;
    let place = || 0..PLACES.len() as u8;
    prop_oneof![
        5 => (administration(), 0..TARGETS.len() as u8, 1..16_u8, prop::bool::weighted(0.85))
            .prop_map(|(administration, to, tasks, open)| Step::Administer { administration, to, tasks, open }),
        1 => administration().prop_map(Step::DeleteAdministration),
        4 => (user(), place(), 3..7_u8).prop_map(|(user, place, grade)| Step::Enrol { user, place, grade }),
        4 => (user(), place(), any::<bool>()).prop_map(|(user, place, sloppily)| Step::Move { user, place, sloppily }),
        2 => user().prop_map(Step::Promote),
        2 => (user(), 12..18_u8).prop_map(|(user, year)| Step::CorrectBirth { user, year }),
        1 => user().prop_map(Step::Rename),
        1 => (user(), any::<bool>()).prop_map(|(user, archived)| Step::Archive { user, archived }),
        1 => (user(), any::<bool>()).prop_map(|(user, educator)| Step::Retype { user, educator }),
        1 => user().prop_map(Step::DeleteUser),
        2 => (user(), 0..8_u8).prop_map(|(user, way)| Step::Gap { user, way }),
        1 => administration().prop_map(Step::GiveElsewhere),
        1 => administration().prop_map(Step::GiveBack),
        1 => (1..5_u8, any::<bool>()).prop_map(|(class, archived)| Step::ArchiveClass { class, archived }),
        3 => (user(), administration(), 0..3_u8)
            .prop_map(|(user, administration, task)| Step::Start { user, administration, task }),
        3 => (user(), administration(), 0..3_u8)
            .prop_map(|(user, administration, task)| Step::Complete { user, administration, task }),
        3 => (user(), administration(), 0..3_u8, 0..60_u8, any::<bool>())
            .prop_map(|(user, administration, run, minute, done)| Step::Run { user, administration, run, minute, done }),
        1 => (user(), 0..3_u8).prop_map(|(user, run)| Step::DeleteRun { user, run }),
        1 => (user(), administration())
            .prop_map(|(user, administration)| Step::DeleteAssignment { user, administration }),
        14 => any::<u8>().prop_map(Step::Deliver),
        3 => any::<u8>().prop_map(Step::Again),
        10 => any::<u8>().prop_map(Step::Work),
        1 => Just(Step::Rest),
    ]
}

/// The tasks that an administration can have, by bit.
fn tasks(bits: u8) -> Vec<Value> {
    let all = [
        task("pa", None),
        task("swr", Some(condition("studentData.grade", "LESS_THAN_OR_EQUAL", "5"))),
        task("morphology", Some(condition("studentData.grade", "GREATER_THAN_OR_EQUAL", "6"))),
        task("letter", Some(condition("age", "LESS_THAN", 11))),
    ];
    all.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, task)| task).collect()
}

pub fn user_path(user: u8) -> DocPath {
    DocPath::in_collection("users", &format!("u{user}")).expect("a path")
}

pub fn administration_id(administration: u8) -> String {
    format!("a{administration}")
}

/// Where a history happens.
enum Place {
    /// On the embedded store, where events and tasks move only when the history says so.
    Local(Box<LocalWorld>),
    /// On the Firestore emulator, which delivers by itself.
    Emulator(Box<EmulatorWorld>),
}

/// A world, and what its history has come to.
pub struct Stage {
    place: Place,
    waiting: Vec<Event>,
    delivered: Vec<Event>,
    /// How many steps have been taken, and when each administration was last saved, and each user last
    /// promoted or corrected.
    pub clock: usize,
    pub saved: [usize; ADMINISTRATIONS as usize],
    pub changed: [usize; USERS as usize],
    /// Whose tasks runs have begun, and perhaps given back.
    pub ran: [bool; USERS as usize],
    /// Assignments that somebody has deleted: they come back with the next save, or not.
    pub deleted: BTreeSet<(u8, u8)>,
    /// What students did by the client's word, in tasks that have no runs here: of whom, in which administration, the
    /// task, and whether it was completed.
    pub worked: BTreeSet<(u8, u8, String, bool)>,
    /// Users who were deleted, and perhaps made again.
    pub remade: BTreeSet<u8>,
    /// Which assignments students have been seen to have.
    had: BTreeSet<(u8, u8)>,
}

impl Stage {
    pub async fn set_up() -> Stage {
        let world = LocalWorld::start().await;
        world.service.queue.stop(std::time::Duration::from_secs(5)).await;
        Stage::at(Place::Local(Box::new(world))).await
    }

    pub async fn set_up_on_emulator() -> Stage {
        Stage::at(Place::Emulator(Box::new(EmulatorWorld::start().await))).await
    }

    async fn at(place: Place) -> Stage {
        let stage = Stage {
            place,
            waiting: Vec::new(),
            delivered: Vec::new(),
            clock: 0,
            saved: Default::default(),
            changed: Default::default(),
            ran: Default::default(),
            deleted: BTreeSet::new(),
            worked: BTreeSet::new(),
            had: BTreeSet::new(),
            remade: BTreeSet::new(),
        };
        crate::small::write_orgs(stage.admin()).await;
        let group = fields! { "archived" => false, "parentOrgType" => "district", "parentOrgId" => "D1" };
        set(stage.admin(), "groups/G1", group).await;
        stage
    }

    fn app(&self) -> &App {
        match &self.place {
            Place::Local(world) => &world.service.app,
            Place::Emulator(world) => &world.service.app,
        }
    }

    pub fn admin(&self) -> &Database {
        &self.app().stores.admin
    }

    pub fn assessment(&self) -> &Database {
        &self.app().stores.assessment
    }

    pub fn now(&self) -> Timestamp {
        self.app().now()
    }

    pub async fn get(&self, path: &str) -> Option<Document> {
        self.admin().get(&DocPath::new(path).expect("a path")).await.expect("readable")
    }

    /// Takes a step. `true`: the documents should be looked at now.
    pub async fn take(&mut self, step: &Step) -> bool {
        self.clock += 1;
        if let Place::Local(world) = &self.place {
            world.clock.advance(jiff::SignedDuration::from_millis(1));
        }
        match *step {
            Step::Administer { administration, to, tasks, open } => {
                self.administer(administration, to, tasks, open).await
            }
            Step::DeleteAdministration(administration) => {
                self.delete(&format!("administrations/{}", administration_id(administration))).await;
            }
            Step::Enrol { user, place, grade } => self.enrol(user, place, grade).await,
            Step::Move { user, place, sloppily } => self.move_to(user, place, sloppily).await,
            Step::Promote(user) => self.promote(user).await,
            Step::CorrectBirth { user, year } => {
                self.changed[usize::from(user)] = self.clock;
                let born = at(&format!("20{year}-09-20T00:00:00Z"));
                self.edit(user, fields! { "studentData" => fields! { "dob" => born } }).await;
            }
            Step::Rename(user) => {
                let name = fields! { "first" => format!("Name {}", self.clock), "last" => "Example" };
                self.edit(user, fields! { "name" => name }).await;
            }
            Step::Archive { user, archived } => self.edit(user, fields! { "archived" => archived }).await,
            Step::Retype { user, educator } => {
                self.edit(user, fields! { "userType" => if educator { "educator" } else { "student" } }).await;
            }
            Step::DeleteUser(user) => {
                // Should the user be made again while a sync is under way, that knows nothing of what they did before
                // (reconciling finds it).
                self.worked.retain(|(of, ..)| *of != user);
                self.remade.insert(user);
                self.delete(user_path(user).as_str()).await;
            }
            Step::Gap { user, way } => self.gap(user, way).await,
            Step::GiveElsewhere(administration) => self.give(administration, "D2").await,
            Step::GiveBack(administration) => self.give(administration, "D1").await,
            Step::ArchiveClass { class, archived } => {
                let path = DocPath::in_collection("classes", &format!("C{class}")).expect("a path");
                let write = Write::update(path, fields! { "archived" => archived });
                self.admin().commit(vec![write]).await.expect("written");
            }
            Step::Start { user, administration, task } => {
                self.play(user, administration, Play::Start(usize::from(task))).await;
            }
            Step::Complete { user, administration, task } => {
                self.play(user, administration, Play::Complete(usize::from(task))).await;
            }
            Step::Run { user, administration, run, minute, done } => {
                // A run is of an assignment that its student has, or had when the test began.
                let assigned =
                    user_path(user).child("assignments", &administration_id(administration)).expect("a path");
                let found = self.get(assigned.as_str()).await;
                let tasks = found.as_ref().and_then(|found| found.fields["assessments"].as_array()).unwrap_or_default();
                if tasks.iter().any(|entry| entry.as_map().is_some_and(|entry| entry["taskId"] == Value::from("pa"))) {
                    self.had.insert((user, administration));
                }
                if !self.had.contains(&(user, administration)) {
                    return false;
                }
                self.ran[usize::from(user)] = true;
                let started = at(&format!("2026-09-14T10:{minute:02}:00Z"));
                let fields = fields! {
                    "id" => format!("r{run}"), "taskId" => "pa", "assignmentId" => administration_id(administration),
                    "completed" => done, "timeStarted" => started, "userData" => Fields::new(),
                };
                let path = DocPath::new(format!("{}/runs/r{run}", user_path(user))).expect("a path");
                let mask = fields.keys().map(FieldPath::top).collect();
                let assessment = self.assessment();
                assessment.commit(vec![Write::merge(path, fields, mask)]).await.expect("written");
            }
            Step::DeleteRun { user, run } => {
                let path = DocPath::new(format!("{}/runs/r{run}", user_path(user))).expect("a path");
                let assessment = self.assessment();
                assessment.commit(vec![Write::delete(path)]).await.expect("deleted");
            }
            Step::DeleteAssignment { user, administration } => {
                self.deleted.insert((user, administration));
                // Until the deletion's event comes, what was in it is nowhere but in the event.
                self.worked.retain(|(of, at, ..)| (*of, *at) != (user, administration));
                self.delete(&format!("{}/assignments/{}", user_path(user), administration_id(administration))).await;
            }
            Step::Deliver(which) => {
                self.collect().await;
                if !self.waiting.is_empty() {
                    let event = self.waiting.swap_remove(usize::from(which) % self.waiting.len());
                    self.deliver(event).await;
                }
            }
            Step::Again(which) => {
                if !self.delivered.is_empty() {
                    let event = self.delivered[usize::from(which) % self.delivered.len()].clone();
                    self.deliver(event).await;
                }
            }
            Step::Work(which) => {
                if let Place::Local(world) = &self.place {
                    let tasks = crate::races::tasks(world).await;
                    if !tasks.is_empty() {
                        let task = &tasks[usize::from(which) % tasks.len()];
                        crate::races::run_task_to_its_end(world, task).await;
                    }
                }
            }
            Step::Hostile(act) => self.act(act).await,
            Step::Rest => {
                self.rest().await;
                return true;
            }
        }
        false
    }

    async fn collect(&mut self) {
        if let Place::Local(world) = &self.place {
            self.waiting.extend(world.events().await);
        }
    }

    async fn deliver(&mut self, event: Event) {
        let Place::Local(world) = &self.place else { return };
        if world.deliver(event.clone()).await {
            self.delivered.push(event);
        } else {
            self.waiting.push(event);
        }
    }

    /// Until nothing waits any more.
    pub async fn rest(&mut self) {
        for _ in 0..500 {
            self.collect().await;
            if let Some(event) = self.waiting.pop() {
                self.deliver(event).await;
                continue;
            }
            let Place::Local(world) = &self.place else { return };
            let tasks = crate::races::tasks(world).await;
            if tasks.is_empty() {
                return;
            }
            for task in tasks {
                crate::races::run_task_to_its_end(world, &task).await;
            }
        }
        // What is left is complained of by whoever looks.
    }

    async fn administer(&mut self, id: u8, to: u8, bits: u8, open: bool) {
        self.saved[usize::from(id)] = self.clock;
        let closed = at(if open { OPEN } else { CLOSED });
        let fields = administration(TARGETS[usize::from(to)], tasks(bits), closed);
        let path = DocPath::in_collection("administrations", &administration_id(id)).expect("a path");
        // As the dashboard does: the document is merged, so that what the service computed stays.
        let mask = fields.keys().map(FieldPath::top).collect();
        self.admin().commit(vec![Write::merge(path, fields, mask)]).await.expect("written");
    }

    async fn enrol(&mut self, user: u8, place: u8, grade: u8) {
        if self.get(user_path(user).as_str()).await.is_some() {
            return;
        }
        let fields = student(PLACES[usize::from(place)], &grade.to_string());
        set(self.assessment(), user_path(user).as_str(), copy_of(&fields)).await;
        set(self.admin(), user_path(user).as_str(), fields).await;
    }

    async fn move_to(&mut self, user: u8, place: u8, sloppily: bool) {
        let place = PLACES[usize::from(place)];
        if !sloppily {
            return self.edit(user, org_maps(place, self.now())).await;
        }
        // An importer that leaves the history to others.
        let orgs = lists(place);
        let maps = roar_functions::orgs::OrgType::ALL
            .map(|of| (of.plural().to_owned(), Value::Map(fields! { "current" => Value::strings(orgs.of(of)) })));
        self.edit(user, maps.into_iter().collect()).await;
    }

    /// Takes a student away and brings them back, one half of it or the other: the two halves of a way differ in their
    /// lowest bit, and events come in between or not.
    async fn gap(&mut self, user: u8, way: u8) {
        let back = way & 1 == 1;
        match way >> 1 {
            0 if back => self.edit(user, org_maps(PLACES[0], self.now())).await,
            0 => self.edit(user, org_maps(&[], self.now())).await,
            1 => self.edit(user, fields! { "archived" => !back }).await,
            2 => self.edit(user, fields! { "userType" => if back { "student" } else { "educator" } }).await,
            _ => {
                for place in [&[][..], PLACES[0]] {
                    self.edit(user, org_maps(place, self.now())).await;
                }
            }
        }
    }

    async fn give(&mut self, id: u8, to: &str) {
        let path = DocPath::in_collection("administrations", &administration_id(id)).expect("a path");
        if self.get(path.as_str()).await.is_none() {
            return;
        }
        self.saved[usize::from(id)] = self.clock;
        let write = Write::update(path, fields! { "minimalOrgs" => lists(&[to]).to_value() });
        self.admin().commit(vec![write]).await.expect("written");
    }

    async fn promote(&mut self, user: u8) {
        let Some(document) = self.get(user_path(user).as_str()).await else { return };
        let grade = lookup(&document.fields, "studentData.grade").and_then(Value::as_str).unwrap_or("3");
        let next: i64 = grade.parse::<i64>().expect("a number") + 1;
        if next <= 12 {
            self.changed[usize::from(user)] = self.clock;
            self.edit(user, fields! { "studentData" => fields! { "grade" => next.to_string() } }).await;
        }
    }

    /// Merges fields into the user, if there is one.
    async fn edit(&mut self, user: u8, changed: Fields) {
        let mut mask = Vec::new();
        for (name, value) in &changed {
            match value {
                Value::Map(inner) if name != "name" => {
                    mask.extend(inner.keys().map(|key| FieldPath::of([name.as_str(), key])));
                }
                _ => mask.push(FieldPath::top(name)),
            }
        }
        let write = Write::merge(user_path(user), changed, mask).when(Precondition::Exists);
        let _ = self.admin().commit(vec![write]).await;
    }

    async fn delete(&mut self, path: &str) {
        let path = DocPath::new(path).expect("a path");
        self.admin().commit(vec![Write::delete(path)]).await.expect("deleted");
    }

    async fn play(&mut self, user: u8, administration: u8, step: Play) {
        let path = user_path(user).child("assignments", &administration_id(administration)).expect("a path");
        let before = self.get(path.as_str()).await;
        play(self.admin(), &path, step, self.now()).await.expect("played");
        let (Play::Start(at) | Play::Complete(at)) = step;
        let Some(before) = before else { return };
        let entry = before.fields["assessments"].as_array().expect("a list").get(at).and_then(Value::as_map);
        let Some(task) = entry.and_then(|entry| entry["taskId"].as_str()).filter(|task| *task != "pa") else { return };
        self.worked.insert((user, administration, task.to_owned(), matches!(step, Play::Complete(_))));
    }
}

//! `sync clever --deep` is killed at twenty moments, on an empty store and on one with an older roster; begun again, it
//! comes to the same end as one that nobody killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use roar_functions::context::Context;
use roar_functions::demo::clever::{Kind, Roster, Size};
use roar_functions::runtime::DatabaseName;
use roar_functions::service::open_embedded;
use roar_functions::store::{Database, Fields, Query, Value};
use serde_json::{Value as Json, json};

use super::cli::{Running, program, run};
use super::cli_rosters::clever;

/// Kills that hit a sync between its first write and its last, on each of the two stores.
const HITS: usize = 10;
/// Kills in all, on each: some come too early, or too late.
const KILLS: usize = 40;
/// The projects whose databases the program opens.
const ADMIN: &str = "demo-roar-admin";
const ASSESSMENT: &str = "demo-roar-assessment";
const SYNC: [&str; 3] = ["sync", "clever", "--deep"];

const ROSTER: Roster =
    Roster { seed: 1, number: 0, size: Size { schools: 6, students: 200, homeroom: 5, contacts: true } };

/// A made-up Clever, and how the program finds it.
struct Scene {
    _clever: Running,
    variables: Vec<(String, String)>,
}

impl Scene {
    fn open() -> Scene {
        let (running, mut variables) = clever(&["--students", "200", "--schools", "6", "--homeroom", "5"]);
        assert_eq!(variables.len(), 4, "{variables:?}");
        // Several pages; but all syncs together must not ask for more than Clever answers in a minute.
        variables.push(("ROAR_CLEVER_PAGE_LIMIT".to_owned(), "40".to_owned()));
        Scene { _clever: running, variables }
    }

    fn variables<'a>(&'a self, directory: &'a Path) -> Vec<(&'a str, &'a str)> {
        let variables = self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        variables.chain([("ROAR_DATA_DIR", directory.to_str().unwrap())]).collect()
    }

    /// Syncs to the end. How long that took.
    fn sync(&self, directory: &Path) -> Duration {
        let began = Instant::now();
        let (code, stdout, stderr) = run(&SYNC, &self.variables(directory));
        assert_eq!(code, 0, "{stdout}{stderr}");
        began.elapsed()
    }

    /// Begins a sync and kills it after that time: no handler runs, nothing is flushed. True if it was at work still.
    fn sync_and_kill(&self, directory: &Path, after: Duration) -> bool {
        let mut command = program(&SYNC, &self.variables(directory));
        let mut running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        std::thread::sleep(after);
        running.0.try_wait().unwrap().is_none()
    }

    /// A school year goes by: a school and a class are gone, people leave, move, come, and are promoted.
    async fn change(&self) {
        let (section, student) = (|n| ROSTER.id(Kind::Section, n), |n| ROSTER.student_id(n));
        let closed = (0..ROSTER.sections()).filter(|n| ROSTER.school_of_section(*n) == 5);
        let remove = |id: String| json!({"action": "remove", "id": id});
        let set = |n, name: &str, value: &str| json!({"action": "set", "id": student(n), "path": format!("roles/student/{name}"), "value": value});
        let mut changes: Vec<Json> = closed.chain([1]).map(|n| remove(section(n))).collect();
        changes.push(remove(ROSTER.id(Kind::School, 5)));
        changes.extend((0..ROSTER.size.students).filter_map(|n| match (ROSTER.school_of(n), n % 7) {
            (5, 0) | (_, 1) => {
                let (from, to) = (section(ROSTER.homeroom_of(n)), section((n + 20) % 60));
                Some(json!({"action": "move", "id": student(n), "from": from, "to": to}))
            }
            (5, _) => Some(remove(student(n))),
            (_, 2) => Some(set(n, "grade", "7")),
            (_, 3) => Some(set(n, "dob", "3/20/2015")),
            (_, 4) if n < 50 => Some(remove(student(n))),
            _ => None,
        }));
        changes.push(json!({"action": "add", "section": section(3), "number": 5}));
        changes.push(json!({"action": "set", "id": section(2), "path": "teachers", "value": []}));
        let url = self.variables.iter().find(|(name, _)| name == "ROAR_CLEVER_API_URL").unwrap();
        let (http, url) = (crate::support::world::http(), format!("{}/_control", url.1));
        for change in changes {
            assert_eq!(http.post(&url).json(&change).send().await.unwrap().status(), 200, "{change}");
        }
    }
}

/// What a sync has come to, without times and generated IDs. Orgs by path; people and the notes of them by their ID at
/// Clever.
#[derive(Debug, PartialEq)]
struct End(BTreeMap<String, Value>);

impl End {
    /// What is in the store now; nobody may have it open.
    async fn of(directory: &Path) -> End {
        let mut end = BTreeMap::new();
        for (label, project) in [("admin", ADMIN), ("assessment", ASSESSMENT)] {
            let database = open(directory, label, project);
            for collection in ["districts", "schools", "classes", "groups"] {
                for org in database.query(Query::collection(collection)).await.unwrap() {
                    end.insert(format!("{label} {}", org.path), timeless("", &Value::Map(org.fields)));
                }
            }
            let all = |collection: &str| database.query(Query::collection(collection));
            let users = all("users").await.unwrap().into_iter();
            let mut users: BTreeMap<String, Fields> = users.map(|user| (user.id().to_owned(), user.fields)).collect();
            for note in all("identityProviderIds").await.unwrap() {
                let text = |name: &str| note.fields[name].as_str().unwrap().to_owned();
                // Taken out: nobody is noted twice, or has two documents.
                let user = users.remove(&text("roarUid")).expect("everybody has a document of their own");
                for (kind, fields) in [("user", user), ("note", note.fields.clone())] {
                    let known = end.insert(format!("{kind} {}", text("providerId")), timeless("", &Value::Map(fields)));
                    assert_eq!(known, None, "everybody is there once");
                }
            }
            assert!(users.is_empty(), "nobody is there who isn't noted: {:?}", users.keys());
        }
        End(end)
    }

    /// What differs.
    fn differences(&self, other: &End) -> Vec<String> {
        let keys: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let differing = keys.into_iter().filter(|key| self.0.get(*key) != other.0.get(*key));
        differing.map(|key| format!("{key}: {:?} instead of {:?}", self.0.get(key), other.0.get(key))).collect()
    }
}

fn open(directory: &Path, label: &'static str, project: &str) -> Database {
    let name = DatabaseName { project: project.to_owned(), database: "(default)".to_owned() };
    Database::new(open_embedded(directory, label, &name, &Context::system()).unwrap())
}

/// A value without what differs from sync to sync, and lists in order.
fn timeless(name: &str, value: &Value) -> Value {
    match value {
        Value::Timestamp(_) if name != "dob" => Value::from("a time"),
        Value::String(_) if name == "roarUid" => Value::from("an ID"),
        Value::Map(fields) => {
            Value::Map(fields.iter().map(|(name, value)| (name.clone(), timeless(name, value))).collect())
        }
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(|value| timeless(name, value)).collect();
            list.sort_by_key(|value| format!("{value:?}"));
            Value::Array(list)
        }
        other => other.clone(),
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// How many runs there are in each state.
async fn runs(directory: &Path) -> BTreeMap<String, usize> {
    let runs = open(directory, "admin", ADMIN).query(Query::collection("rosteringRuns")).await.unwrap();
    let mut states = BTreeMap::new();
    for run in runs {
        *states.entry(run.fields["state"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    states
}

/// A store to begin with, and what a sync of it comes to.
struct Beginning {
    directory: tempfile::TempDir,
    before: End,
    expected: End,
}

impl Beginning {
    async fn at(scene: &Scene, directory: tempfile::TempDir) -> Beginning {
        let before = End::of(directory.path()).await;
        let done = firebase_emulators::directory();
        copy(directory.path(), done.path());
        scene.sync(done.path());
        let expected = End::of(done.path()).await;
        let orgs = |label: &str| expected.0.keys().filter(|key| key.starts_with(label)).count();
        assert_eq!(orgs("admin "), orgs("assessment "), "all orgs are in both databases");
        Beginning { before, expected, directory }
    }

    fn copied(&self) -> tempfile::TempDir {
        let directory = firebase_emulators::directory();
        copy(self.directory.path(), directory.path());
        directory
    }

    /// Kills a sync after that time; another one makes it good. True when it was cut in the middle.
    async fn kill(&self, scene: &Scene, after: Duration) -> bool {
        let directory = self.copied();
        let directory = directory.path();
        let was_running = scene.sync_and_kill(directory, after);
        let cut = End::of(directory).await;
        let begun = runs(directory).await;
        scene.sync(directory);
        let differing = End::of(directory).await.differences(&self.expected);
        assert!(differing.is_empty(), "killed after {after:?}: {differing:#?}");
        let ended = runs(directory).await;
        assert_eq!(ended.values().sum::<usize>(), begun.values().sum::<usize>() + 1, "{ended:?}");
        assert!(ended.keys().all(|state| state == "done" || state == "failed"), "{ended:?}");
        let tasks = open(directory, "admin", ADMIN).query(Query::collection("functionTasks")).await.unwrap();
        assert!(tasks.is_empty(), "killed after {after:?}: tasks are left");
        was_running && cut != self.before && cut != self.expected
    }
}

#[tokio::test]
async fn a_sync_that_is_killed_comes_to_the_same_end_when_it_is_begun_again() {
    let scene = Scene::open();
    let older = firebase_emulators::directory();
    scene.sync(older.path());
    scene.change().await;
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    for directory in [firebase_emulators::directory(), older] {
        let beginning = Beginning::at(&scene, directory).await;
        let (mut kills, mut hits, mut took) = (0, 0, scene.sync(beginning.copied().path()));
        while hits < HITS {
            assert!(kills < KILLS, "only {hits} of {kills} kills hit a sync at work");
            let moment = took.mul_f64(random.next_u64() as f64 / u64::MAX as f64);
            kills += 1;
            match beginning.kill(&scene, moment).await {
                true => hits += 1,
                // The machine may be busier than before, or less.
                false => took = scene.sync(beginning.copied().path()),
            }
        }
        println!("{hits} of {kills} kills hit a sync at work, which takes {took:?}");
    }
}

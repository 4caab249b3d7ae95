//! A district that comes from Clever: its orgs and people, before a fake Clever that changes and fails.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use roar_functions::context::Context;
use roar_functions::demo::clever::{FakeClever, FakeDistrict, Fault, Options as Fake, Size, Sockless};
use roar_functions::fields;
use roar_functions::rostering::clever::map::{self, Enrolments};
use roar_functions::rostering::clever::records::{Record, Section, User};
use roar_functions::rostering::clever::sync::{Options, Report, SyncError, sync_district};
use roar_functions::rostering::clever::{Clever, District, Settings};
use roar_functions::rostering::person;
use roar_functions::store::{DocPath, Document, Fields, Query, Value};
use serde_json::json;

use crate::local::LocalWorld;
use crate::town::lists;
use crate::world::{assert_consistent, assignments, open_administration, set};

const STUDENTS: u64 = 120;

struct Scene {
    world: LocalWorld,
    fake: FakeClever,
    there: FakeDistrict,
    client: District,
}

const DEEP: Options = Options { shallow: false, dry_run: false, confirm_unenroll: false };

impl Scene {
    async fn open() -> Scene {
        let world = LocalWorld::start().await;
        // Pauses between attempts take real time, if little of it; the world's own clock stands still.
        let fake = FakeClever::new(Fake::of(Size::of(STUDENTS)), Context::system());
        let settings = Settings { page_limit: 50, ..Sockless::settings() };
        let clever = Clever::by(Arc::new(fake.transport()), settings, Context::system());
        let there = fake.district(0);
        let client = clever.district(there.token().expect("it's connected"));
        Scene { world, fake, there, client }
    }

    async fn sync(&self, options: Options) -> Result<Report, SyncError> {
        sync_district(&self.world.service.app, &self.client, options, &|_| {}).await
    }

    /// Syncs, and lets everything follow.
    async fn settle(&self) -> Report {
        let report = self.sync(DEEP).await.expect("synced");
        self.world.settle().await;
        report
    }

    async fn all(&self, collection: &str) -> BTreeMap<String, Fields> {
        let found = self.world.admin().query(Query::collection(collection)).await.expect("documents");
        found.into_iter().map(|document: Document| (document.id().to_owned(), document.fields)).collect()
    }

    /// The users document of a person of Clever's.
    async fn user(&self, id: &str) -> Fields {
        let entry = self.entry(id).await;
        let roar_uid = entry.get("roarUid").and_then(Value::as_str).expect("a user").to_owned();
        let path = DocPath::in_collection("users", &roar_uid).expect("a path");
        self.world.admin().get(&path).await.expect("readable").expect("a user").fields
    }

    async fn entry(&self, id: &str) -> Fields {
        let path = DocPath::in_collection("identityProviderIds", &format!("clever-{id}")).expect("a path");
        self.world.admin().get(&path).await.expect("readable").expect("an entry").fields
    }

    /// ROAR has what Clever has, once each, and nobody else is enrolled.
    async fn assert_right(&self, what: &str) {
        let mut enrolments = Enrolments::default();
        let mut classes = Vec::new();
        let mut pages = self.client.sections();
        while let Some(page) = pages.next().await.expect("sections") {
            for section in &page.records {
                let section: &Section = section;
                enrolments.add(section);
                classes.push(section.id().to_owned());
            }
        }
        let stored = self.all("classes").await;
        let living = |document: &&Fields| document.get("archived") == Some(&Value::Boolean(false));
        assert_eq!(stored.values().filter(living).count(), classes.len(), "{what}");
        let owned = lists(&json!({
            "districts": [self.there.id()], "classes": stored.keys().collect::<Vec<_>>(),
            "schools": self.all("schools").await.keys().collect::<Vec<_>>(),
        }));
        let owned = roar_functions::orgs::OrgLists::from_value(Some(&owned)).to_set();
        let users = self.all("users").await;
        let entries = self.all("identityProviderIds").await;
        let mut present = 0;
        let mut pages = self.client.users(None);
        while let Some(page) = pages.next().await.expect("users") {
            for user in &page.records {
                let user: &User = user;
                let sections = enrolments.sections_of(user.id());
                let Some(wanted) = map::person(user, &self.there.id(), &sections) else { continue };
                let entry = entries.get(&format!("clever-{}", user.id())).unwrap_or_else(|| panic!("{what}: nobody"));
                let roar_uid = entry.get("roarUid").and_then(Value::as_str).expect("a user");
                let change = person::change(&users[roar_uid], &wanted, &owned, self.world.now());
                assert_eq!(change, None, "{what}");
                present += 1;
            }
        }
        let enrolled = |user: &&Fields| user.get("archived") == Some(&Value::Boolean(false));
        // Contacts are in no org, so that nothing archives them.
        let rostered = users.values().filter(|user| user.contains_key("ssoType")).filter(enrolled).count();
        assert_eq!(rostered, present, "{what}");
        assert_eq!(entries.len(), users.values().filter(|user| user.contains_key("ssoType")).count(), "{what}");
    }

    async fn administer(&self) -> String {
        let claims = fields! { "super_admin" => true, "roarUid" => "super" };
        set(self.world.admin(), "userClaims/super", fields! { "claims" => claims, "lastUpdated" => 1 }).await;
        let mut administration = open_administration(self.world.now());
        administration["orgs"] = json!({"districts": [self.there.id()]});
        for assessment in administration["assessments"].as_array_mut().expect("assessments") {
            assessment["conditions"] = json!(null);
        }
        let id = self.world.create("super", administration).await;
        self.world.settle().await;
        id
    }
}

#[tokio::test]
async fn a_district_comes_from_clever_and_follows_it() {
    let scene = Scene::open().await;
    let report = scene.settle().await;
    scene.assert_right("the first sync").await;
    let students = scene.there.users("student");
    assert_eq!(report.counts["users"].created as usize, scene.all("identityProviderIds").await.len());
    let district = scene.all("districts").await.remove(&scene.there.id()).expect("the district");
    assert_eq!(
        district.get("schools").and_then(Value::as_array).map(<[Value]>::len),
        Some(scene.all("schools").await.len())
    );
    let id = scene.administer().await;
    assert_eq!(assignments(scene.world.admin(), &id).await.len(), students.len());
    // One moves, one leaves, one is promoted, one date of birth is mended, one is new; a school is renamed.
    let sections = scene.there.ids(roar_functions::demo::clever::Kind::Section);
    let from = sections.iter().find(|section| !scene.there.students_of(section).is_empty()).expect("a class");
    let moved = scene.there.students_of(from).first().cloned().expect("a student");
    let to = sections.iter().find(|section| !scene.there.students_of(section).contains(&moved)).expect("another");
    scene.there.move_student(&moved, from, to);
    let others: Vec<&String> = students.iter().filter(|student| **student != moved).collect();
    let (left, promoted, mended) = (others[0], others[1], others[2]);
    scene.there.remove(left);
    scene.there.promote(promoted, "7");
    scene.there.set_dob(mended, "3/20/2015");
    let added = scene.there.add_students(1, to);
    let report = scene.settle().await;
    assert_eq!((report.counts["users"].removed, report.held_back), (1, None));
    scene.assert_right("the second sync").await;
    let current = |user: &Fields, name: &str| {
        let map = user.get(name).and_then(Value::as_map).expect("orgs");
        map.get("current").and_then(Value::as_string_list).expect("a list")
    };
    assert!(current(&scene.user(&moved).await, "classes").contains(to));
    assert!(!current(&scene.user(&moved).await, "classes").contains(from));
    let gone = scene.user(left).await;
    assert_eq!((current(&gone, "schools"), gone.get("archived")), (vec![], Some(&Value::Boolean(true))));
    let data = |user: &Fields, name: &str| user["studentData"].as_map().and_then(|data| data.get(name).cloned());
    assert_eq!(data(&scene.user(promoted).await, "schoolLevel"), Some(Value::from("middle")));
    let born = "2015-03-20T00:00:00Z".parse::<roar_functions::store::Timestamp>().expect("an instant");
    assert_eq!(data(&scene.user(mended).await, "dob"), Some(Value::from(born)));
    assert_eq!(scene.user(&added[0]).await.get("userType"), Some(&Value::from("student")));
    let assigned = assignments(scene.world.admin(), &id).await;
    assert_eq!(assigned.len(), students.len(), "one came, one went");
    assert_consistent(scene.world.admin(), &id).await;
    // Who comes back has the same document.
    let before = scene.entry(left).await.get("roarUid").cloned();
    scene.there.bring_back(left);
    scene.settle().await;
    scene.assert_right("who came back").await;
    assert_eq!(scene.entry(left).await.get("roarUid").cloned(), before);
    assert_eq!(assignments(scene.world.admin(), &id).await.len(), students.len() + 1);
    assert_consistent(scene.world.admin(), &id).await;
}

#[tokio::test]
async fn what_a_sync_costs() {
    let scene = Scene::open().await;
    let before = scene.world.admin().cost();
    let report = scene.sync(DEEP).await.expect("synced");
    let spent = scene.world.admin().cost() - before;
    let total = |report: &Report, of: fn(&roar_functions::rostering::clever::sync::Counts) -> u64| {
        report.counts.values().map(of).sum::<u64>()
    };
    let orgs = total(&report, |counts| counts.created) - report.counts["users"].created;
    assert!(spent.writes <= 2 * report.counts["users"].created + orgs, "{spent:?} {report:?}");
    scene.world.settle().await;
    let before = scene.world.admin().cost();
    let report = scene.sync(DEEP).await.expect("synced");
    let spent = scene.world.admin().cost() - before;
    assert_eq!((spent.writes, spent.deletes), (0, 0), "{report:?}");
    let entities = total(&report, |counts| counts.unchanged);
    assert!(spent.reads <= entities, "{spent:?} for {entities}");
    assert_eq!(total(&report, |counts| counts.created + counts.updated + counts.removed), 0);
    assert_eq!(scene.world.store.scans(), [""; 0], "no query goes through a whole collection");
    assert_eq!(scene.world.events().await.len(), 0);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let scene = Scene::open().await;
    let dry = Options { dry_run: true, ..DEEP };
    let would = scene.sync(dry).await.expect("planned");
    assert_eq!((scene.all("users").await.len(), scene.all("districts").await.len()), (0, 0));
    assert_eq!(scene.settle().await, would);
    let shallow = scene.sync(Options { shallow: true, ..DEEP }).await.expect("synced");
    assert!(!shallow.counts.contains_key("users"));
}

#[tokio::test]
async fn nobody_is_unenrolled_by_mistake() {
    let scene = Scene::open().await;
    scene.settle().await;
    let before = scene.all("users").await;
    // A third of them is missing.
    for student in scene.there.users("student").iter().step_by(3) {
        scene.there.remove(student);
    }
    let report = scene.settle().await;
    assert!(report.held_back.is_some_and(|missing| missing >= STUDENTS / 3), "{report:?}");
    assert_eq!(scene.all("users").await, before);
    // The list is empty, or the district has paused it.
    for state in ["paused", "error", "pending"] {
        scene.there.set_state(state);
        let confirmed = Options { confirm_unenroll: true, ..DEEP };
        let report = scene.sync(confirmed).await.expect("synced");
        scene.world.settle().await;
        assert!(report.keeps_missing, "{state}");
        assert_eq!(scene.all("users").await, before, "{state}");
    }
    scene.there.set_state("running");
    let report = scene.sync(Options { confirm_unenroll: true, ..DEEP }).await.expect("synced");
    scene.world.settle().await;
    assert!(report.counts["users"].removed >= STUDENTS / 3);
    scene.assert_right("once it's confirmed").await;
}

#[tokio::test]
async fn a_fetch_that_fails_unenrols_nobody_and_the_next_sync_goes_on() {
    for path in ["/schools", "/sections", "/users"] {
        let scene = Scene::open().await;
        scene.settle().await;
        let left = scene.there.users("student")[0].clone();
        scene.there.remove(&left);
        scene.fake.fail(path, std::iter::repeat_n(Fault::Status(503), 40));
        let result = tokio::time::timeout(Duration::from_secs(120), scene.sync(DEEP)).await;
        assert!(!matches!(result, Ok(Ok(_))), "{path}");
        scene.world.settle().await;
        assert_eq!(scene.user(&left).await.get("archived"), Some(&Value::Boolean(false)), "{path}");
        scene.fake.recover();
        scene.settle().await;
        scene.assert_right(path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_is_killed_anywhere_is_made_good_by_the_next() {
    for cut in 0..20 {
        let scene = Scene::open().await;
        if cut % 2 == 0 {
            scene.settle().await;
            for (place, student) in scene.there.users("student").iter().enumerate().take(40) {
                match place % 4 {
                    0 if place < 16 => scene.there.remove(student),
                    1 => scene.there.promote(student, "8"),
                    _ => scene.there.set_dob(student, "1/2/2014"),
                }
            }
        }
        let _ = tokio::time::timeout(Duration::from_millis(4 * cut), scene.sync(DEEP)).await;
        scene.settle().await;
        scene.assert_right(&format!("cut after {} ms", 4 * cut)).await;
    }
}

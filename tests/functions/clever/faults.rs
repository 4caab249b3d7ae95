//! Every way in which Clever fails, alone and mixed, and records that come and go meanwhile: either the end is right, or
//! the sync says why it isn't, and nobody was unenrolled and nothing archived. The next sync makes it right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use roar_functions::demo::clever::{FakeClever, FakeDistrict, Fault, Kind, Options as Fake, Size};
use roar_functions::rostering::report::Phase;
use roar_functions::runtime::FunctionError;
use roar_functions::store::{Fields, Value, lookup};
use serde_json::{Value as Json, json};

use super::Scene;
use crate::local::LocalWorld;
use crate::world::{assert_consistent, open_administration};

/// Of so many schools, one may vanish with its classes, and some classes more, without being too many.
const SIZE: Size = Size { schools: 8, students: 72, homeroom: 3, contacts: false };
/// Small enough for several pages of classes, and many of people.
const PAGE: u32 = 12;

const DEEP: fn() -> Json = || json!({"shallow": false});

/// A district that was synced before and has changed since: a school is closed, a class is gone, people have left, moved
/// and come, and some data are others.
struct Changed {
    scene: Scene,
    /// How often it has changed.
    times: usize,
    /// The people who have left.
    left: Vec<String>,
    /// An administration of two classes, one of which is gone.
    administration: String,
    before: Held,
    /// What has come or gone during the sync.
    moving: Arc<Mutex<BTreeSet<String>>>,
}

/// What nobody may lose by a sync that failed. People are named by their ID at Clever.
struct Held {
    /// Whether users, orgs and notes are archived or gone: `users/…`, `schools/…`.
    archived: BTreeMap<String, bool>,
    /// The orgs of those who left.
    orgs: BTreeMap<String, Vec<Value>>,
    /// The administration's orgs.
    assigned: Option<Value>,
}

impl Changed {
    async fn open() -> Changed {
        let scene = Scene::of(LocalWorld::with_pages(Default::default(), Fake::of(SIZE), PAGE).await);
        Changed::of(scene, 1).await
    }

    /// Everything is back, and changes again.
    async fn again(self) -> Changed {
        let there = &self.scene.there;
        let all = [Kind::School, Kind::Section, Kind::User];
        let ever = all.into_iter().flat_map(|kind| (0..1000).map(move |n| (kind, n)));
        let roster = there.roster();
        ever.for_each(|(kind, n)| there.bring_back(&roster.id(kind, n)));
        let sections = there.ids(Kind::Section);
        for n in (0..SIZE.students).filter(|n| roster.school_of(*n) == SIZE.schools - 1) {
            there.move_student(&roster.student_id(n), &sections[2], &roster.id(Kind::Section, roster.homeroom_of(n)));
        }
        Changed::of(self.scene, self.times + 1).await
    }

    async fn of(scene: Scene, times: usize) -> Changed {
        scene.call(DEEP()).await.expect("synced");
        scene.world.settle().await;
        let sections = scene.there.ids(Kind::Section);
        let mut administration = open_administration(scene.world.now());
        administration["orgs"] = json!({"classes": [sections[0], sections[1]]});
        let administration = scene.world.create("super", administration).await;
        scene.world.settle().await;
        let left = change(&scene.there, times);
        let before = Held::of(&scene, &left, &administration).await;
        Changed { scene, times, left, administration, before, moving: Arc::default() }
    }

    async fn held(&self) -> Held {
        Held::of(&self.scene, &self.left, &self.administration).await
    }

    /// Nobody was unenrolled, nothing archived.
    async fn assert_held(&self, what: &str) {
        self.held().await.assert_same(&self.before, what);
    }

    /// Who isn't at Clever any more is out, what isn't there is archived and assigned no more, and everything else is
    /// there. What came or went during the sync may be either.
    async fn assert_right(&self, what: &str) {
        let now = self.held().await;
        let moving = self.moving.lock().clone();
        for (path, is_archived) in &now.archived {
            let id = path.rsplit('/').next().expect("an ID");
            let is_gone = self.scene.there.record(id).is_none();
            assert!(moving.contains(id) || *is_archived == is_gone, "{what}: {path}");
        }
        let kept = self.scene.there.ids(Kind::Section)[0].clone();
        assert_eq!(now.assigned, Some(Value::strings([kept])), "{what}");
        let orgs: Vec<&Value> = now.orgs.values().flatten().collect();
        assert!(orgs.iter().all(|orgs| orgs.as_array() == Some(&[])), "{what}: those who left are in no org");
        assert_consistent(self.scene.world.admin(), &self.administration).await;
    }
}

impl Held {
    async fn of(scene: &Scene, left: &[String], administration: &str) -> Held {
        let mut archived = BTreeMap::new();
        let (users, notes) = (scene.all("users").await, scene.all("identityProviderIds").await);
        let is = |document: &Fields, flag: &str| document.get(flag).and_then(Value::as_bool).unwrap_or_default();
        for note in notes.values() {
            let [id, roar_uid] = ["providerId", "roarUid"].map(|name| note[name].as_str().expect("a note"));
            archived.insert(format!("notes/{id}"), is(note, "gone"));
            archived.insert(format!("users/{id}"), is(&users[roar_uid], "archived"));
        }
        for collection in ["districts", "schools", "classes"] {
            let orgs = scene.all(collection).await;
            archived.extend(orgs.iter().map(|(id, org)| (format!("{collection}/{id}"), is(org, "archived"))));
        }
        let mut orgs = BTreeMap::new();
        for id in left {
            let user = scene.user(id).await;
            let types = ["districts", "schools", "classes", "groups", "families"];
            let current = |name: &str| lookup(&user, &format!("{name}.current")).cloned();
            orgs.insert(id.clone(), types.into_iter().filter_map(current).collect());
        }
        let administration = scene.world.get(&format!("administrations/{administration}")).await.expect("it's there");
        Held { archived, orgs, assigned: lookup(&administration.fields, "minimalOrgs.classes").cloned() }
    }

    /// Nothing was lost since; what is new isn't archived.
    fn assert_same(&self, before: &Held, what: &str) {
        for (path, is_archived) in &self.archived {
            assert_eq!(*is_archived, before.archived.get(path).copied().unwrap_or_default(), "{what}: {path}");
        }
        assert!(before.archived.keys().all(|path| self.archived.contains_key(path)), "{what}: nothing is deleted");
        assert_eq!(self.orgs, before.orgs, "{what}: the orgs of those who left");
        assert_eq!(self.assigned, before.assigned, "{what}: the administration's orgs");
    }
}

/// A school is closed, and its students leave, but for two who go elsewhere; a class of another school is gone; some
/// people leave, move, come, or are other than they were: others each time. Gives who has left.
fn change(there: &FakeDistrict, times: usize) -> Vec<String> {
    let closed = there.ids(Kind::School).pop().expect("a school");
    let sections = there.ids(Kind::Section);
    let is_closed = |id: &&String| there.record(id).expect("a section")["school"] == *closed;
    let (gone, open): (Vec<_>, Vec<_>) = sections.iter().partition(is_closed);
    let is_member = |id: &String| there.record(id).expect("a student")["roles"]["student"]["school"] == *closed;
    let (mut members, others): (Vec<_>, Vec<_>) = there.users("student").into_iter().partition(is_member);
    for student in members.drain(..2) {
        there.move_student(&student, gone[0], open[2]);
    }
    let mut others = others.into_iter().skip(4 * times);
    let mut one = || others.next().expect("a student");
    members.push(one());
    gone.into_iter().chain([open[1], &closed]).chain(&members).for_each(|id| there.remove(id));
    there.move_student(&one(), open[0], open[3]);
    there.promote(&one(), "8");
    there.set_dob(&one(), &format!("3/{times}/2015"));
    there.add_students(1, open[2]);
    members
}

/// How a sync ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Right,
    /// It said why not.
    Held,
}

type Outcome = Result<Json, FunctionError>;

/// Syncs while things fail; then without.
async fn outlast(changed: &Changed, what: &str) -> (End, Outcome) {
    let scene = &changed.scene;
    let outcome = scene.call(DEEP()).await;
    scene.world.settle().await;
    scene.fake.recover();
    let end = assert_told(changed, &outcome, what).await;
    match end {
        End::Held => changed.assert_held(what).await,
        End::Right => {
            changed.assert_right(what).await;
            if changed.moving.lock().is_empty() {
                scene.assert_right(what).await;
            }
        }
    }
    changed.moving.lock().clear();
    let what = format!("{what}, then nothing");
    scene.call(DEEP()).await.expect("nothing fails any more");
    scene.world.settle().await;
    scene.assert_right(&what).await;
    changed.assert_right(&what).await;
    (end, outcome)
}

/// Whoever isn't told that it's done is told why it isn't, and so is who looks at the run.
async fn assert_told(changed: &Changed, outcome: &Outcome, what: &str) -> End {
    let runs = changed.scene.all("rosteringRuns").await;
    let is_over = |run: &Fields| run["state"].as_str().is_some_and(Phase::is_over);
    assert!(runs.values().all(is_over), "{what}: {runs:?}");
    let details = match outcome {
        Ok(answer) => answer.clone(),
        Err(error) => {
            assert!(!error.message.is_empty(), "{what}");
            error.details.clone().unwrap_or_default()
        }
    };
    // Whatever it says, it holds something back.
    let is_kept = !matches!(details["districts"][0]["keepsMissing"], Json::Null | Json::Bool(false));
    if let Some(run) = details["runId"].as_str() {
        let run = &runs[run];
        assert_eq!(run["success"].as_bool(), Some(outcome.is_ok()), "{what}: {run:?}");
        let has_reason = run.get("error").and_then(Value::as_str).is_some_and(|error| !error.is_empty());
        assert_eq!(has_reason, outcome.is_err(), "{what}: {run:?}");
        let shows_why = run.get("keepsMissing").is_some_and(|why| !why.is_null() && *why != Value::Boolean(false));
        assert_eq!(shows_why, is_kept, "{what}: {run:?}");
    }
    let district = json!(changed.scene.there.id());
    let is_gone = details["disconnected"].as_array().is_some_and(|gone| gone.contains(&district));
    if outcome.is_ok() && !is_kept && !is_gone { End::Right } else { End::Held }
}

/// Each with its name: those that pass, those that don't, and those that say something wrong.
fn every_fault() -> Vec<(String, Fault)> {
    let statuses = [401, 404, 413, 500, 502].map(|status| (status.to_string(), Fault::Status(status)));
    let others = [
        ("rate limit", Fault::RateLimited(Duration::ZERO)),
        ("cut", Fault::Cut),
        ("truncated", Fault::Truncated),
        ("HTML", Fault::Html),
        ("slow", Fault::Slow(Duration::from_millis(50))),
        ("empty", Fault::Empty),
        ("token replaced", Fault::Replaced),
        ("token revoked", Fault::Revoked),
    ];
    statuses.into_iter().chain(others.map(|(name, fault)| (name.to_owned(), fault))).collect()
}

/// True for what is over when it's asked again.
fn passes(fault: &Fault) -> bool {
    !matches!(fault, Fault::Status(401 | 404 | 413) | Fault::Empty | Fault::Revoked)
}

/// Which requests fail.
#[derive(Clone, Copy, Debug)]
enum When {
    /// The first of that path.
    First,
    /// That page alone.
    Page(u64),
    /// That page and all later ones.
    From(u64),
}

fn fail(fake: &FakeClever, path: &'static str, fault: &Fault, when: When) {
    let one = vec![fault.clone()];
    let many = vec![fault.clone(); 100];
    match when {
        When::First => fake.fail(path, one),
        When::From(1) => fake.fail(path, many),
        When::Page(page) => fake.after(path, page - 1, move |fake| fake.fail(path, one)),
        When::From(page) => fake.after(path, page - 1, move |fake| fake.fail(path, many)),
    }
}

/// Every failure of these requests, one after the other: the district changes anew each time.
async fn alone(places: &[(&'static str, When)]) {
    let trials = places.iter().map(|(path, when)| {
        let (path, when) = (*path, *when);
        tokio::spawn(async move {
            let mut changed = Changed::open().await;
            for (name, fault) in every_fault() {
                fail(&changed.scene.fake, path, &fault, when);
                let (what, failed) = (format!("{name} at {path}, {when:?}"), changed.scene.fake.failed());
                let end = outlast(&changed, &what).await.0;
                println!("{what}: {end:?}");
                assert!(changed.scene.fake.failed() > failed, "{what}: nothing failed");
                if passes(&fault) && !matches!(when, When::From(_)) {
                    assert_eq!(end, End::Right, "{what}");
                }
                changed = changed.again().await;
            }
        })
    });
    futures::future::join_all(trials).await.into_iter().for_each(|one| one.expect("it ends"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_before_the_lists() {
    let places = ["/oauth/tokens", "/districts"];
    alone(&places.map(|path| [(path, When::First), (path, When::From(1))]).concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_among_the_orgs() {
    // There are four pages of sections.
    let sections = [When::First, When::Page(4), When::From(2)].map(|when| ("/sections", when));
    let schools = [When::First, When::From(1)].map(|when| ("/schools", when));
    alone(&[&sections[..], &schools[..]].concat()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_among_the_people() {
    // There are nine pages of them, or ten.
    alone(&[When::First, When::Page(2), When::Page(9), When::From(6)].map(|when| ("/users", when))).await;
}

/// So few are missing from a list whose last page is empty that they might well be gone.
#[tokio::test]
async fn a_list_that_ends_early_takes_nothing_for_gone() {
    for (path, page, pages) in [("/users", 12, 10), ("/users", 113, 2), ("/schools", 7, 2), ("/sections", 9, 6)] {
        let scene = Scene::of(LocalWorld::with_pages(Default::default(), Fake::of(SIZE), page).await);
        scene.call(DEEP()).await.expect("synced");
        scene.world.settle().await;
        let id = scene.administer().await;
        let before = Held::of(&scene, &[], &id).await;
        assert_eq!(scene.fake.asked(path), pages, "{path}");
        fail(&scene.fake, path, &Fault::Empty, When::Page(pages));
        let outcome = scene.call(DEEP()).await;
        scene.world.settle().await;
        Held::of(&scene, &[], &id).await.assert_same(&before, &format!("{path}, {page} a page: {outcome:?}"));
        scene.call(DEEP()).await.expect("nothing fails any more");
        scene.world.settle().await;
        scene.assert_right(path).await;
    }
}

/// Lets records come and go while a sync fetches them: none of those that changed before.
fn stir(changed: &Changed, random: &mut TestRng) {
    let (fake, there) = (&changed.scene.fake, changed.scene.there.clone());
    let (sections, students) = (there.ids(Kind::Section), there.users("student"));
    // Two classes at most are gone in the end, or too many would be.
    for kind in [0, 0, 1, 1, 2, 2, 3, 3, 4] {
        let mut one_of = |list: &[String]| list[4 + random.next_u64() as usize % (list.len() - 4)].clone();
        let (section, other, student) = (one_of(&sections), one_of(&sections), one_of(&students));
        let at = 1 + random.next_u64() % 16;
        let (there, moving) = (there.clone(), changed.moving.clone());
        fake.after("/", at, move |_| {
            let mut moving = moving.lock();
            let moved = match kind {
                0 => vec![student],
                1 => vec![section],
                2 => there.add_students(1, &section),
                3 => {
                    there.move_student(&student, &section, &other);
                    vec![student]
                }
                _ => Vec::new(),
            };
            match kind {
                0 | 1 => there.remove(&moved[0]),
                4 => moving.iter().for_each(|id| there.bring_back(id)),
                _ => {}
            }
            moving.extend(moved);
        });
    }
}

fn random(seed: u64) -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &[seed as u8; 32])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_come_and_go_while_they_are_fetched() {
    let trials = (0..16).map(|seed| {
        tokio::spawn(async move {
            let changed = Changed::open().await;
            stir(&changed, &mut random(seed));
            let (end, outcome) = outlast(&changed, &format!("seed {seed}")).await;
            outcome.expect("Clever answers well");
            end
        })
    });
    let ends: Vec<End> = futures::future::join_all(trials).await.into_iter().map(|one| one.expect("it ends")).collect();
    assert!(ends.iter().filter(|end| **end == End::Right).count() > 8, "most come through: {ends:?}");
}

/// What goes wrong by chance: mostly what passes, beside all the rest.
fn mixed() -> Vec<Fault> {
    let is_quick = |fault: &&Fault| !matches!(fault, Fault::Slow(_) | Fault::RateLimited(_));
    let passing = Fault::PASSING.iter().filter(is_quick).cloned().cycle().take(28);
    let [at_once, soon] = [Fault::RateLimited(Duration::ZERO), Fault::RateLimited(Duration::from_secs(1))];
    let tokens = [Fault::Replaced, Fault::Status(401), Fault::Status(413)];
    passing.chain([at_once, soon]).chain(tokens).chain(every_fault().into_iter().map(|(_, fault)| fault)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_mixed_by_chance() {
    let trials = (0..32).map(|seed| {
        tokio::spawn(async move {
            let changed = Changed::open().await;
            // From few of the requests to nearly all.
            changed.scene.fake.fail_at_random(&mixed(), seed, 20 + 20 * seed, 7);
            if seed % 3 == 1 {
                stir(&changed, &mut random(seed));
            }
            outlast(&changed, &format!("seed {seed}")).await.0
        })
    });
    let ends: Vec<End> = futures::future::join_all(trials).await.into_iter().map(|one| one.expect("it ends")).collect();
    println!("{ends:?}");
    assert!(ends.contains(&End::Right) && ends.contains(&End::Held), "some come through and some don't: {ends:?}");
}

//! Runs in the assessment database, and the assignments that follow them in the admin database.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use roar_functions::context::Context;
use roar_functions::demo::district::District;
use roar_functions::demo::play::{Step, play};
use roar_functions::fields;
use roar_functions::store::{Cost, Database, DocPath, Document, Fields, Query, Timestamp, Value, Write};

use crate::killed::Server;
use crate::local::{LocalWorld, NOW};
use crate::scenario;
use crate::world::{EmulatorWorld, admin_uid, assert_consistent, fill, open_administration};

/// Places of the tasks in the assignment.
const SWR_ES: usize = 0;
const PA: usize = 1;

/// An administration with the tasks swr-es and pa for everybody, and vocab, which is optional.
fn payload(now: Timestamp) -> serde_json::Value {
    use serde_json::json;
    let mut payload = open_administration(now);
    let task = |id: &str| json!({ "taskId": id, "variantId": format!("{id}-v"), "variantName": "v", "params": {} });
    let mut optional = task("vocab");
    optional["conditions"] = json!({ "optional": true });
    payload["assessments"] = json!([task("swr-es"), task("pa"), optional]);
    payload
}

/// A district with an administration whose assignments are there.
struct School {
    world: LocalWorld,
    id: String,
}

impl School {
    async fn open() -> School {
        let world = LocalWorld::start().await;
        scenario::fill(&world).await;
        let id = world.create(admin_uid(), payload(world.now())).await;
        world.settle().await;
        School { world, id }
    }

    /// A run of the n-th student that began that many minutes ago, and was completed that many ago.
    fn run(&self, task: &str, began: i64, completed: Option<i64>) -> Fields {
        run(&self.id, task, began, completed)
    }

    async fn put(&self, student: usize, id: &str, run: Fields) {
        put(self.world.assessment(), student, id, run).await;
    }

    async fn change(&self, student: usize, id: &str, changes: Fields) {
        self.world.assessment().commit(vec![Write::update(run_path(student, id), changes)]).await.expect("written");
    }

    async fn delete(&self, student: usize, id: &str) {
        self.world.assessment().commit(vec![Write::delete(run_path(student, id))]).await.expect("deleted");
    }

    async fn play(&self, student: usize, step: Step) {
        let path = scenario::assignment(student, &self.id);
        play(self.world.admin(), &path, step, self.world.now()).await.expect("a step");
    }

    async fn assignment(&self, student: usize) -> Fields {
        let path = scenario::assignment(student, &self.id);
        self.world.admin().get(&path).await.expect("readable").expect("an assignment").fields
    }

    /// Everything follows, and all counts and lists are right.
    async fn settle(&self) {
        self.world.settle().await;
        assert_consistent(self.world.admin(), &self.id).await;
        assert_eq!(self.world.store.scans(), Vec::<String>::new(), "every query has an index");
        assert_eq!(self.world.assessment_store.scans(), Vec::<String>::new(), "every query has an index");
    }

    async fn best(&self, student: usize, task: &str) -> Vec<String> {
        best(self.world.assessment(), student, &self.id, task).await
    }

    async fn cost(&self, step: impl Future<Output = ()>) -> (Cost, Cost) {
        let (assessment, admin) = (self.world.assessment().cost(), self.world.admin().cost());
        step.await;
        self.world.settle().await;
        (self.world.assessment().cost() - assessment, self.world.admin().cost() - admin)
    }
}

fn ago(minutes: i64) -> Timestamp {
    NOW.parse::<Timestamp>().expect("an instant") - SignedDuration::from_mins(minutes)
}

fn run(assignment: &str, task: &str, began: i64, completed: Option<i64>) -> Fields {
    fields! {
        "assignmentId" => assignment,
        "taskId" => task,
        "completed" => completed.is_some(),
        "timeStarted" => ago(began),
        "timeFinished" => completed.map_or(Value::Null, |minutes| Value::Timestamp(ago(minutes))),
        "reliable" => false,
        "userData" => fields! { "schoolLevel" => "elementary" },
        "scores" => scores(fields! {}, fields! {}),
    }
}

fn scores(test: Fields, composite: Fields) -> Value {
    let raw = fields! { "composite" => fields! { "test" => test } };
    Value::Map(fields! { "raw" => raw, "computed" => fields! { "composite" => composite } })
}

fn run_path(student: usize, id: &str) -> DocPath {
    DocPath::new(format!("users/{}/runs/{id}", District::student_id(student))).expect("a path")
}

async fn put(database: &Database, student: usize, id: &str, run: Fields) {
    database.commit(vec![Write::set(run_path(student, id), run)]).await.expect("written");
}

async fn runs(database: &Database, student: usize) -> Vec<Document> {
    let query = Query::collection(format!("users/{}/runs", District::student_id(student)));
    database.query(query).await.expect("runs")
}

/// The runs of the task that are marked as the best; every other run of it is marked as not the best.
async fn best(database: &Database, student: usize, assignment: &str, task: &str) -> Vec<String> {
    let mut best = Vec::new();
    for run in runs(database, student).await {
        if run.fields["taskId"] == Value::from(task) && run.fields["assignmentId"] == Value::from(assignment) {
            match run.fields.get("bestRun") {
                Some(Value::Boolean(true)) => best.push(run.id().to_owned()),
                Some(Value::Boolean(false)) => {}
                other => panic!("{}: {other:?}", run.path),
            }
        }
    }
    best
}

fn entry(assignment: &Fields, task: usize) -> &Fields {
    assignment["assessments"].as_array().expect("a list")[task].as_map().expect("a map")
}

fn progress<'a>(assignment: &'a Fields, key: &str) -> &'a str {
    assignment["progress"].as_map().expect("a map")[key].as_str().expect("text")
}

fn flags(assignment: &Fields) -> (Option<bool>, Option<bool>) {
    (assignment["started"].as_bool(), assignment["completed"].as_bool())
}

#[tokio::test]
async fn runs_take_an_assignment_from_start_to_end() {
    let school = School::open().await;
    school.put(0, "r1", school.run("swr-es", 30, None)).await;
    school.settle().await;
    let assignment = school.assignment(0).await;
    let swr = entry(&assignment, SWR_ES);
    assert_eq!((&swr["runId"], &swr["allRunIds"]), (&Value::from("r1"), &Value::strings(["r1"])));
    assert_eq!((&swr["startedOn"], swr.get("completedOn")), (&Value::from(ago(30)), None));
    assert_eq!((progress(&assignment, "swr_es"), progress(&assignment, "pa")), ("started", "assigned"));
    assert_eq!(flags(&assignment), (Some(true), Some(false)));
    assert_eq!(school.best(0, "swr-es").await, ["r1"]);

    school.change(0, "r1", fields! { "completed" => true, "timeFinished" => ago(20) }).await;
    school.put(0, "r2", school.run("pa", 15, Some(5))).await;
    school.settle().await;
    let assignment = school.assignment(0).await;
    assert_eq!(entry(&assignment, SWR_ES)["completedOn"], Value::Timestamp(ago(20)));
    assert_eq!(entry(&assignment, PA)["completedOn"], Value::Timestamp(ago(5)));
    assert_eq!((progress(&assignment, "swr_es"), progress(&assignment, "pa")), ("completed", "completed"));
    assert_eq!(flags(&assignment), (Some(true), Some(true)), "vocab is optional");
    assert_eq!(school.best(0, "pa").await, ["r2"]);
    let counts = crate::world::stored_counts(school.world.admin(), &school.id).await;
    assert_eq!(counts.get("total", "assignment").completed, 1);
    assert_eq!(counts.get("total", "swr-es").completed, 1);
}

#[tokio::test]
async fn the_best_of_several_runs_in_whatever_order_they_come() {
    let school = School::open().await;
    let tried = |run: Fields, test: Fields| {
        let mut run = run;
        run.insert("scores".to_owned(), scores(test, fields! {}));
        run
    };
    // A complete 10:00, B complete 9:00, C incomplete 8:00; B comes last.
    school.put(0, "C", school.run("swr-es", 120, None)).await;
    school.put(0, "A", school.run("swr-es", 0, Some(0))).await;
    school.settle().await;
    assert_eq!(school.best(0, "swr-es").await, ["A"]);
    school.put(0, "B", school.run("swr-es", 60, Some(50))).await;
    school.settle().await;
    assert_eq!(school.best(0, "swr-es").await, ["B"]);
    let assignment = school.assignment(0).await;
    let swr = entry(&assignment, SWR_ES);
    assert_eq!((&swr["runId"], &swr["allRunIds"]), (&Value::from("B"), &Value::strings(["C", "B", "A"])));
    assert_eq!((&swr["startedOn"], &swr["completedOn"]), (&Value::from(ago(60)), &Value::from(ago(50))));

    // An estimate with few items beats many items without one.
    school.put(1, "A", tried(school.run("pa", 10, None), fields! { "thetaSE" => 0.4, "numAttempted" => 5 })).await;
    school.put(1, "B", tried(school.run("pa", 20, None), fields! { "numAttempted" => 40 })).await;
    // More items beat fewer.
    school.put(2, "A", tried(school.run("pa", 20, None), fields! { "numAttempted" => 3 })).await;
    school.put(2, "B", tried(school.run("pa", 10, None), fields! { "numAttempted" => 7 })).await;
    // Neither: the one that began first.
    school.put(3, "A", school.run("pa", 10, None)).await;
    school.put(3, "B", school.run("pa", 20, None)).await;
    school.settle().await;
    for (student, expected) in [(1, "A"), (2, "B"), (3, "B")] {
        assert_eq!(school.best(student, "pa").await, [expected]);
        assert_eq!(entry(&school.assignment(student).await, PA)["runId"], Value::from(expected));
    }

    // A grows past B, and B is overtaken.
    school.change(2, "A", fields! { "scores" => scores(fields! { "numAttempted" => 8 }, fields! {}) }).await;
    school.settle().await;
    assert_eq!(school.best(2, "pa").await, ["A"]);
    assert_eq!(entry(&school.assignment(2).await, PA)["runId"], Value::from("A"));
}

#[tokio::test]
async fn deleted_runs() {
    let school = School::open().await;
    for (id, began, completed) in [("a", 60, Some(50)), ("b", 30, Some(20)), ("c", 90, None)] {
        school.put(0, id, school.run("swr-es", began, completed)).await;
    }
    school.settle().await;
    school.delete(0, "a").await;
    school.settle().await;
    assert_eq!(school.best(0, "swr-es").await, ["b"]);
    let assignment = school.assignment(0).await;
    let swr = entry(&assignment, SWR_ES);
    assert_eq!((&swr["runId"], &swr["completedOn"]), (&Value::from("b"), &Value::from(ago(20))));
    assert_eq!(swr["allRunIds"], Value::strings(["c", "b"]));

    school.delete(0, "b").await;
    school.delete(0, "c").await;
    school.settle().await;
    let assignment = school.assignment(0).await;
    let swr = entry(&assignment, SWR_ES);
    for gone in ["runId", "startedOn", "completedOn"] {
        assert!(!swr.contains_key(gone), "{gone}");
    }
    assert_eq!(swr["allRunIds"], Value::Array(vec![]));
    assert_eq!(progress(&assignment, "swr_es"), "assigned");
    assert_eq!(flags(&assignment), (Some(false), Some(false)));
}

/// A task that another site hosts is completed without any run.
#[tokio::test]
async fn work_without_runs_stays_when_other_runs_go() {
    let school = School::open().await;
    school.play(0, Step::Complete(PA)).await;
    school.put(0, "a", school.run("swr-es", 60, Some(50))).await;
    school.settle().await;
    assert_eq!(flags(&school.assignment(0).await), (Some(true), Some(true)));
    school.delete(0, "a").await;
    school.settle().await;
    let assignment = school.assignment(0).await;
    assert_eq!(entry(&assignment, PA)["completedOn"], Value::Timestamp(school.world.now()));
    assert!(!entry(&assignment, SWR_ES).contains_key("completedOn"));
    assert_eq!(flags(&assignment), (Some(true), Some(false)));
}

#[tokio::test]
async fn runs_of_no_assignment_are_left_alone() {
    let school = School::open().await;
    let mut practice = school.run("swr-es", 10, Some(5));
    practice.insert("assignmentId".to_owned(), Value::Null);
    let before = school.assignment(0).await;
    let (assessment, admin) = school.cost(school.put(0, "practice", practice.clone())).await;
    assert_eq!((assessment.reads, assessment.writes, admin), (0, 1, Cost::default()));
    // Of an assignment, or a task, that isn't there: the run is marked all the same.
    school.put(0, "lost", run("elsewhere", "swr-es", 10, None)).await;
    school.put(0, "other", school.run("sre", 10, None)).await;
    school.settle().await;
    assert_eq!(school.assignment(0).await, before);
    assert_eq!(school.best(0, "sre").await, ["other"]);
    assert_eq!(best(school.world.assessment(), 0, "elsewhere", "swr-es").await, ["lost"]);
    let runs = runs(school.world.assessment(), 0).await;
    let untouched = runs.iter().find(|run| run.id() == "practice").expect("the run");
    assert_eq!(untouched.fields, practice);
}

#[tokio::test]
async fn a_run_that_moves_to_another_task_or_assignment() {
    let school = School::open().await;
    let other = school.world.create(admin_uid(), payload(school.world.now())).await;
    school.put(0, "a", school.run("swr-es", 60, Some(50))).await;
    school.put(0, "b", school.run("swr-es", 30, None)).await;
    school.settle().await;
    school.change(0, "a", fields! { "taskId" => "pa" }).await;
    school.settle().await;
    assert_eq!((school.best(0, "swr-es").await, school.best(0, "pa").await), (vec!["b".into()], vec!["a".into()]));
    let assignment = school.assignment(0).await;
    assert_eq!(entry(&assignment, SWR_ES)["allRunIds"], Value::strings(["b"]));
    assert_eq!(entry(&assignment, PA)["completedOn"], Value::Timestamp(ago(50)));

    school.change(0, "a", fields! { "assignmentId" => other.as_str() }).await;
    school.settle().await;
    assert_consistent(school.world.admin(), &other).await;
    assert!(!entry(&school.assignment(0).await, PA).contains_key("runId"));
    let path = scenario::assignment(0, &other);
    let moved = school.world.admin().get(&path).await.expect("readable").expect("an assignment").fields;
    assert_eq!(entry(&moved, PA)["runId"], Value::from("a"));
    assert_eq!(flags(&moved), (Some(true), Some(false)));
}

#[tokio::test]
async fn category_scores() {
    let school = School::open().await;
    let scored = |composite: Fields| fields! { "scores" => scores(fields! { "numAttempted" => 4 }, composite) };
    let mut run = school.run("pa", 30, None);
    run.extend(scored(fields! { "percentile" => 40, "roarScore" => 500 }));
    school.put(0, "r", run).await;
    school.settle().await;
    let composite = |run: &Document| {
        let scores = run.fields["scores"].as_map().unwrap()["computed"].as_map().unwrap();
        scores["composite"].as_map().unwrap().clone()
    };
    let read = async || composite(&runs(school.world.assessment(), 0).await[0]);
    assert_eq!(read().await["categoryScore"], Value::Integer(40));
    assert_eq!(read().await["roarScore"], Value::Integer(500), "the other scores stay");
    // The client writes its scores anew, without ours: one read, one write, none in the admin database.
    let change = school.change(0, "r", scored(fields! { "percentile" => 44, "roarScore" => 510 }));
    let (assessment, admin) = school.cost(change).await;
    assert_eq!(read().await["categoryScore"], Value::Integer(44));
    assert_eq!((assessment.reads, assessment.writes - 1, admin), (1, 1, Cost::default()));
}

#[tokio::test]
async fn what_a_step_of_a_run_costs() {
    let school = School::open().await;
    let cost = |reads, writes| Cost { reads, writes, deletes: 0 };
    // The client's own write is one. The run is read, marked, and looked at once more after the
    // assignment is written; that goes with the student and the counts of school, class, district and
    // all. What comes back as events costs nothing.
    let started = school.cost(school.put(0, "r", school.run("pa", 30, None))).await;
    assert_eq!(started, (cost(2, 1 + 1), cost(1, 6)));
    // After each item the client writes scores; the best run gets better.
    let scored = |items: i64| fields! { "scores" => scores(fields! { "numAttempted" => items }, fields! {}) };
    let item = school.cost(school.change(0, "r", scored(5))).await;
    assert_eq!(item, (cost(0, 1), cost(0, 0)));
    let done = fields! { "completed" => true, "timeFinished" => ago(20) };
    let completed = school.cost(school.change(0, "r", done)).await;
    assert_eq!(completed, (cost(2, 1), cost(1, 5)), "no list of the student moves");
    // Found reliable: looked at, in vain.
    let reliable = school.cost(school.change(0, "r", fields! { "reliable" => true })).await;
    assert_eq!(reliable, (cost(1, 1), cost(1, 0)));
    // A second run, worse than the first.
    let second = school.cost(school.put(0, "s", school.run("pa", 10, None))).await;
    assert_eq!(second, (cost(4, 1 + 1), cost(1, 1)), "no count moves");
    let own = fields! { "bestRun" => true, "cloudSyncTimestamp" => 1_i64, "interactions" => fields! { "blur" => 1 } };
    assert_eq!(school.cost(school.change(0, "r", own)).await, (cost(0, 1), cost(0, 0)));
    school.settle().await;
}

/// The first step's writes are there, the second step never ran.
#[tokio::test]
async fn an_event_that_comes_again_finishes_what_was_begun() {
    let school = School::open().await;
    school.put(0, "a", school.run("pa", 30, Some(10))).await;
    let events = school.world.events().await;
    let marks = fields! { "bestRun" => true, "cloudSyncTimestamp" => school.world.now().as_millisecond() };
    school.change(0, "a", marks).await;
    for event in events {
        assert!(school.world.deliver(event).await);
    }
    school.settle().await;
    assert_eq!(entry(&school.assignment(0).await, PA)["runId"], Value::from("a"));
}

#[tokio::test]
async fn an_event_that_came_before_the_assignment_may_come_again() {
    let world = LocalWorld::start().await;
    scenario::fill(&world).await;
    let id = "later";
    put(world.assessment(), 0, "a", run(id, "pa", 30, None)).await;
    let events = world.events().await;
    for event in &events {
        assert!(world.deliver(event.clone()).await, "there's nothing to wait for");
    }
    let path = scenario::assignment(0, id);
    let assignment = fields! {
        "id" => id, "started" => false, "completed" => false, "progress" => fields! { "pa" => "assigned" },
        "assessments" => vec![Value::Map(fields! { "taskId" => "pa" })],
        "assigningOrgs" => fields! { "schools" => Value::strings(["school-0001"]) },
    };
    world.admin().commit(vec![Write::set(path.clone(), assignment)]).await.expect("written");
    for event in events {
        assert!(world.deliver(event).await);
    }
    world.settle().await;
    let assignment = world.admin().get(&path).await.expect("readable").expect("an assignment").fields;
    assert_eq!(entry(&assignment, 0)["runId"], Value::from("a"));
    let stats = Query::collection(format!("administrations/{id}/stats"));
    assert_eq!(world.admin().query(stats).await.expect("counts"), [], "an administration that is gone stays gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_that_end_at_once_leave_one_best() {
    let school = School::open().await;
    for student in 0..scenario::STUDENTS {
        for id in ["a", "b"] {
            school.put(student, id, school.run("pa", if id == "a" { 20 } else { 30 }, None)).await;
        }
        school.world.settle().await;
        for id in ["a", "b"] {
            school.change(student, id, fields! { "completed" => true, "timeFinished" => ago(10) }).await;
        }
        let deliveries = school.world.events().await.into_iter().map(|event| school.world.deliver(event));
        assert!(futures::future::join_all(deliveries).await.into_iter().all(|delivered| delivered));
        school.world.settle().await;
        assert_eq!(school.best(student, "pa").await, ["b"]);
        assert_eq!(entry(&school.assignment(student).await, PA)["runId"], Value::from("b"));
    }
    school.settle().await;
}

/// The event of a run's creation is under way while the run is deleted, so that the assignment stands
/// as before when the deletion's event looks at it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_comes_and_goes_at_once_leaves_no_trace() {
    let school = School::open().await;
    school.put(0, "a", school.run("pa", 20, None)).await;
    school.settle().await;
    let expected = entry(&school.assignment(0).await, PA).clone();
    for _ in 0..100 {
        school.put(0, "b", school.run("pa", 30, Some(10))).await;
        let coming = school.world.events().await;
        let come = futures::future::join_all(coming.into_iter().map(|event| school.world.deliver(event)));
        let go = async {
            school.delete(0, "b").await;
            let going = school.world.events().await;
            futures::future::join_all(going.into_iter().map(|event| school.world.deliver(event))).await
        };
        futures::join!(come, go);
        school.world.settle().await;
        let mut found = entry(&school.assignment(0).await, PA).clone();
        // Completed once, and not taken back while there are runs.
        found.remove("completedOn");
        assert_eq!(found, expected);
        assert_eq!(school.best(0, "pa").await, ["a"]);
    }
}

/// What clients do to runs and assignments, in an order that they keep; their events know none.
async fn study(school: &School) {
    let scored = |items: i64| fields! { "scores" => scores(fields! { "numAttempted" => items }, fields! {}) };
    let done = |minutes| fields! { "completed" => true, "timeFinished" => ago(minutes) };
    // One task twice; the better run is the earlier one, which ends later.
    school.play(0, Step::Start(SWR_ES)).await;
    school.put(0, "a", school.run("swr-es", 60, None)).await;
    school.put(0, "b", school.run("swr-es", 50, None)).await;
    school.change(0, "b", done(40)).await;
    school.change(0, "a", done(30)).await;
    school.play(0, Step::Complete(SWR_ES)).await;
    school.delete(0, "b").await;
    // The only run goes.
    school.play(1, Step::Start(PA)).await;
    school.put(1, "a", school.run("pa", 60, None)).await;
    school.delete(1, "a").await;
    // And one that no client told the assignment of.
    school.put(2, "a", school.run("pa", 60, Some(30))).await;
    school.delete(2, "a").await;
    // A run goes to another task.
    school.put(3, "a", school.run("swr-es", 60, None)).await;
    school.put(3, "b", school.run("swr-es", 50, None)).await;
    school.change(3, "a", fields! { "taskId" => "pa" }).await;
    // Runs overtake each other.
    for items in 1..4 {
        for (id, more) in [("a", 0), ("b", items - 2), ("c", 2 - items)] {
            let mut run = school.run("pa", 60, None);
            run.extend(scored(items + more));
            match items {
                1 => school.put(4, id, run).await,
                _ => school.change(4, id, scored(items + more)).await,
            }
        }
    }
    // All is done.
    for (id, task) in [("a", "swr-es"), ("b", "pa")] {
        school.put(5, id, school.run(task, 60, Some(30))).await;
    }
}

/// All documents of both databases; what is empty counts as what was never there.
async fn documents(school: &School) -> Vec<(String, Fields)> {
    let mut all = school.world.documents().await;
    for (_, fields) in &mut all {
        for lists in fields.values_mut() {
            if let Value::Map(lists) = lists {
                lists.retain(|_, list| list.as_array().is_none_or(|list| !list.is_empty()));
            }
        }
        fields.retain(|_, value| *value != Value::empty_map());
    }
    for student in 0..scenario::STUDENTS {
        let runs = runs(school.world.assessment(), student).await;
        all.extend(runs.into_iter().map(|run| (format!("assessment: {}", run.path), run.fields)));
    }
    all
}

#[tokio::test]
async fn three_times_and_shuffled() {
    let in_order = School::open().await;
    study(&in_order).await;
    in_order.settle().await;
    let expected = documents(&in_order).await;
    for seed in 0..40_u8 {
        let school = School::open().await;
        assert_eq!(school.id, in_order.id);
        let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        study(&school).await;
        let mut waiting = Vec::new();
        loop {
            for event in school.world.events().await {
                waiting.extend([event.clone(), event.clone(), event]);
            }
            if waiting.is_empty() {
                break;
            }
            let next = (random.next_u64() % waiting.len() as u64) as usize;
            assert!(school.world.deliver(waiting.swap_remove(next)).await);
        }
        school.settle().await;
        let found = documents(&school).await;
        assert_eq!(found.len(), expected.len(), "seed {seed}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "seed {seed}");
        }
    }
}

/// The server delivers the events of both embedded databases.
#[test]
fn the_server_watches_the_assessment_database_too() {
    let directory = crate::world::directory();
    let open = |label| Database::new(crate::world::open(directory.path(), label, &Context::system()));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let path = scenario::assignment(0, "adm");
    runtime.block_on(async {
        let assignment = fields! { "assessments" => vec![Value::Map(fields! { "taskId" => "pa" })] };
        open("admin").commit(vec![Write::set(path.clone(), assignment)]).await.expect("written");
        put(&open("assessment"), 0, "a", run("adm", "pa", 20, None)).await;
    });
    let began = Instant::now();
    loop {
        let server = Server::start(directory.path());
        std::thread::sleep(Duration::from_millis(300));
        server.kill();
        let assignment = runtime.block_on(open("admin").get(&path)).expect("readable").expect("an assignment");
        if entry(&assignment.fields, 0).get("runId") == Some(&Value::from("a")) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{assignment:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_emulator() {
    let world = EmulatorWorld::start().await;
    fill(world.admin(), 20).await;
    let (status, answer) = world.call(admin_uid(), "createAdministration", payload(world.service.app.now())).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["result"]["administrationId"].as_str().expect("an ID").to_owned();
    let path = scenario::assignment(0, &id);
    let until = async |what: &str, holds: &dyn Fn(&Fields) -> bool| {
        let began = Instant::now();
        loop {
            let assignment = world.admin().get(&path).await.expect("readable");
            if assignment.as_ref().is_some_and(|assignment| holds(&assignment.fields)) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "not {what}: {assignment:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let run_id = |assignment: &Fields| entry(assignment, SWR_ES).get("runId").cloned();
    until("assigned", &|_| true).await;
    put(world.assessment(), 0, "late", run(&id, "swr-es", 10, Some(5))).await;
    until("completed", &|assignment| run_id(assignment) == Some(Value::from("late"))).await;
    // Two at once, one of them better than all.
    let (one, two) = (run(&id, "swr-es", 40, Some(30)), run(&id, "swr-es", 60, None));
    futures::join!(put(world.assessment(), 0, "early", one), put(world.assessment(), 0, "open", two));
    let all = Value::strings(["open", "early", "late"]);
    until("early", &|assignment| {
        run_id(assignment) == Some(Value::from("early")) && entry(assignment, SWR_ES)["allRunIds"] == all
    })
    .await;
    world.service.runtime.quiet().await;
    assert_eq!(best(world.assessment(), 0, &id, "swr-es").await, ["early"]);
    let deletes = ["late", "early", "open"].map(|run| Write::delete(run_path(0, run)));
    world.assessment().commit(deletes.to_vec()).await.expect("deleted");
    until("cleared", &|assignment| run_id(assignment).is_none() && flags(assignment) == (Some(false), Some(false)))
        .await;
    // The counts move with the assignment; those of its creation come with the fan-out.
    let administration = DocPath::new(format!("administrations/{id}")).expect("a path");
    let began = Instant::now();
    loop {
        let document = world.admin().get(&administration).await.expect("readable").expect("the administration");
        if document.fields.get("syncStatus") == Some(&Value::from("complete")) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{document:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.service.runtime.quiet().await;
    assert_consistent(world.admin(), &id).await;
}

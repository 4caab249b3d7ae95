//! Runs in the assessment database, and the assignments that follow them in the admin database.

mod delivered;
mod shuffled;

use std::task::Poll;

use jiff::SignedDuration;
use roar_functions::demo::district::District;
use roar_functions::demo::play::{Step, play};
use roar_functions::fields;
use roar_functions::runtime::{DocumentEvent, Trigger};
use roar_functions::store::{Cost, Database, DocPath, Document, Fields, Query, Timestamp, Value, Write};

use crate::local::{LocalWorld, NOW};
use crate::scenario;
use crate::world::{admin_uid, assert_consistent, open_administration};

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

/// A browser writes back a list of tasks that it read before the service noted the runs.
#[tokio::test]
async fn runs_that_a_client_leaves_out_are_noted_again() {
    let school = School::open().await;
    school.put(0, "r1", school.run("swr-es", 30, Some(20))).await;
    school.put(0, "r2", school.run("swr-es", 15, None)).await;
    school.settle().await;
    let noted = school.assignment(0).await;
    let path = scenario::assignment(0, &school.id);
    for left in [&["r1"][..], &[]] {
        let mut entries = noted["assessments"].as_array().expect("a list").to_vec();
        let Some(Value::Map(swr)) = entries.get_mut(SWR_ES) else { panic!("a map") };
        match left.first() {
            Some(_) => drop(swr.insert("allRunIds".to_owned(), Value::strings(left.iter().copied()))),
            None => ["runId", "allRunIds"].iter().for_each(|name| drop(swr.remove(*name))),
        }
        let write = Write::update(path.clone(), fields! { "assessments" => entries });
        let cost = school.cost(async { drop(school.world.admin().commit(vec![write]).await.expect("written")) }).await;
        // Two runs are read, and once more after the write; the assignment, and the student for the lists.
        assert!(cost.0.reads <= 5 && cost.0.writes == 0, "{cost:?}");
        assert!(cost.1.reads <= 2 && cost.1.writes == 2, "{cost:?}");
        assert_eq!(school.assignment(0).await["assessments"], noted["assessments"]);
        school.settle().await;
    }
    // What a student's page writes otherwise has nothing looked at.
    let write = Write::update(path, fields! { "assessments" => noted["assessments"].clone() });
    let cost = school.cost(async { drop(school.world.admin().commit(vec![write]).await.expect("written")) }).await;
    assert_eq!((cost.0.reads, cost.1.reads), (0, 0), "{cost:?}");
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

/// The first step's writes exist, but the second step never ran.
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

/// A run is created and then deleted. The handler of its creation has read the run but not yet written the assignment,
/// so the deletion's handler finds nothing to change; afterwards the first handler writes the older state.
#[tokio::test]
async fn what_is_written_from_an_older_state_is_put_right() {
    const ATTEMPTS: usize = 50;
    let school = School::open().await;
    school.put(0, "a", school.run("pa", 20, None)).await;
    school.settle().await;
    let expected = school.assignment(0).await;

    let function = school.world.service.runtime.registry().find("syncOnRunDocUpdate").expect("it's in the index");
    let Trigger::Document { pattern, handler, .. } = &function.trigger else { panic!("a document trigger") };
    let mut caught = None;
    for _ in 0..ATTEMPTS {
        school.put(0, "b", school.run("pa", 30, None)).await;
        let (_, change) = school.world.events().await.pop().expect("the run's event");
        let params = pattern.matches(&change.path).expect("a run");
        let mut coming = handler(school.world.service.app.clone(), DocumentEvent { change, params });
        // The handler goes on only when it's polled: until the runs are marked, and no further.
        let (before, untouched) = (school.world.assessment().cost(), school.world.admin().cost());
        let mut ended = None;
        while ended.is_none() && school.world.assessment().cost().writes == before.writes {
            if let Poll::Ready(result) = futures::poll!(&mut coming) {
                ended = Some(result);
            }
            tokio::task::yield_now().await;
        }
        if ended.is_none() && school.world.admin().cost().writes == untouched.writes {
            caught = Some(coming);
            break;
        }
        // On a busy machine one poll may go through both steps; then the race is run anew.
        match ended {
            Some(result) => result.expect("it's handled"),
            None => coming.await.expect("it's handled"),
        }
        school.delete(0, "b").await;
        school.settle().await;
        assert_eq!(school.assignment(0).await, expected);
    }
    let coming = caught.expect("the handler between its two steps");
    school.delete(0, "b").await;
    for going in school.world.events().await {
        assert!(school.world.deliver(going).await);
    }
    assert_eq!(school.assignment(0).await, expected, "nothing is to be done yet");
    coming.await.expect("it's handled");
    school.settle().await;
    assert_eq!(school.assignment(0).await, expected);
    assert_eq!(school.best(0, "pa").await, ["a"]);
}

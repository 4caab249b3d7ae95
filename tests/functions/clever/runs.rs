//! Runs: what their documents show, who may begin one, and what becomes of those that die.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use roar_functions::demo::clever::{Fault, Options as Fake, Size};
use roar_functions::orgs::{OrgKey, OrgType};
use roar_functions::rostering::Rosters;
use roar_functions::rostering::report::{Phase, Progress, Report};
use roar_functions::rostering::run::{Begin, BeginError, Learnt, Run};
use roar_functions::runtime::{Call, Chunks, Status, Trigger};
use roar_functions::store::embedded::EmbeddedStore;
use roar_functions::store::{
    Backend, BackendTransaction, Committed, Database, DocPath, Document, FieldPath, Query, Value, Write, lookup,
};
use serde_json::{Value as Json, json};

use super::Scene;
use crate::local::{LocalWorld, caller};
use crate::world::PROJECT;

#[tokio::test]
async fn a_run_shows_what_it_did() {
    let scene = Scene::open().await;
    let answer = scene.call(json!({"shallow": false})).await.expect("synced");
    let id = answer["runId"].as_str().expect("a run").to_owned();
    let district = scene.there.id();
    assert_eq!((answer["status"].as_str(), answer["dryRun"].as_bool()), (Some("ok"), Some(false)));
    let people = scene.all("identityProviderIds").await.len();
    assert_eq!(answer["counts"]["users"]["created"], json!(people));
    assert_eq!(answer["counts"]["districts"]["created"], json!(1));
    assert_eq!(answer["districts"][0]["runId"], json!(id));
    let run = scene.world.get(&format!("rosteringRuns/{id}")).await.expect("a run").fields;
    let text = |name: &str| run.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    assert_eq!([text("state"), text("runType"), text("provider")], ["done", "full", "clever"]);
    assert_eq!([text("partnerId"), text("triggeredBy")], [format!("clever-{district}"), "super".to_owned()]);
    assert_eq!((run.get("success"), run.get("error")), (Some(&Value::Boolean(true)), None));
    assert!(run.contains_key("startedAt") && run.contains_key("endedAt") && run.contains_key("heartbeatAt"));
    let partner = scene.world.get(&format!("rosteringPartners/clever-{district}")).await.expect("a partner").fields;
    assert_eq!((partner.get("activeRun"), partner.get("orgId")), (None, Some(&Value::from(district.as_str()))));
    assert_ne!(partner.get("displayName"), Some(&Value::from(district.as_str())), "it has its name");
    let stats = scene.all(&format!("rosteringRuns/{id}/stats")).await;
    assert_eq!(stats["user__created"].get("count"), Some(&Value::Integer(people as i64)));
    assert_eq!(stats.keys().collect::<Vec<_>>(), ["class__created", "org__created", "user__created"]);
    // Again: nothing is written but the run.
    scene.world.settle().await;
    let before = scene.world.documents().await;
    let answer = scene.call(json!({"shallow": false})).await.expect("synced");
    assert_eq!(answer["counts"]["users"]["unchanged"], json!(people));
    scene.world.settle().await;
    assert_eq!(scene.world.documents().await, before);
    // Who leaves has an event, and what can't be read a status.
    let students = scene.there.users("student");
    scene.there.remove(&students[0]);
    scene.there.set(&students[1], "roles/student/schools", json!(7));
    let answer = scene.call(json!({"shallow": false})).await.expect("synced");
    let id = answer["runId"].as_str().expect("a run").to_owned();
    let events = scene.all(&format!("rosteringRuns/{id}/events")).await;
    let kinds: Vec<_> = events.values().filter_map(|event| event.get("eventType")?.as_str()).collect();
    assert!(kinds.contains(&"unenroll") && kinds.contains(&"batch_skip") && kinds.len() == 2, "{kinds:?}");
    let statuses = scene.all(&format!("rosteringRuns/{id}/entityStatus")).await;
    let status = &statuses[&format!("user__{}", students[1])];
    assert_eq!(status.get("status"), Some(&Value::from("skipped")));
}

#[tokio::test]
async fn a_server_that_stops_says_so_of_its_runs() {
    let scene = Scene::open().await;
    scene.fake.fail("/users", [Fault::Slow(Duration::from_secs(60))]);
    let stop = async {
        // Once the people are asked for, there's a run that shows it.
        let is_there = async || {
            let runs = scene.all("rosteringRuns").await;
            runs.values().any(|run| run["state"].as_str() == Some("syncing_users") && run.contains_key("progress"))
        };
        while !is_there().await {
            tokio::task::yield_now().await;
        }
        Rosters::of(&scene.world.service.app).stop();
    };
    let (answer, ()) = futures::join!(scene.call(json!({"shallow": false})), stop);
    assert_eq!(answer.expect_err("it was stopped").status, Status::Unavailable);
    let runs = scene.all("rosteringRuns").await;
    let ended: Vec<_> = runs.values().map(|run| (run["state"].as_str(), run["error"].as_str())).collect();
    assert_eq!(ended, [(Some("failed"), Some("the server stopped"))]);
    // What it had done stays known, and the next one need not wait.
    let run = runs.values().next().expect("a run");
    assert!(lookup(run, "counts.classes.created").and_then(Value::as_i64).is_some_and(|classes| classes > 0));
    let partner = scene.world.get(&format!("rosteringPartners/clever-{}", scene.there.id())).await.expect("a partner");
    assert_eq!(partner.fields.get("activeRun"), None);
    // None begins any more.
    let refused = scene.call(json!({})).await.expect_err("it's stopping");
    assert_eq!((refused.status, scene.all("rosteringRuns").await.len()), (Status::Unavailable, 1));
}

#[tokio::test]
async fn a_shallow_sync_leaves_people_alone() {
    let scene = Scene::open().await;
    let answer = scene.call(json!(null)).await.expect("synced");
    assert_eq!(answer["counts"].get("users"), None);
    assert_eq!((scene.all("users").await.len(), scene.all("identityProviderIds").await.len()), (0, 0));
    assert_eq!(scene.all("districts").await.len(), 1);
    assert_eq!(scene.fake.asked("/users"), 0);
}

/// What a call with a stream answers, and what is heard before.
async fn streamed(scene: &Scene, data: Json) -> (Json, Vec<Json>) {
    let function = scene.world.service.runtime.registry().find("syncCleverOrgs").expect("it's in the index");
    let Trigger::Callable(handler) = &function.trigger else { panic!("a callable") };
    let (chunks, mut said) = Chunks::channel();
    let call = Call { chunks, ..Call::new(data, Some(caller(PROJECT, "super"))) };
    let running = handler(scene.world.service.app.clone(), call);
    let heard = async {
        let mut heard = Vec::new();
        while let Some(chunk) = said.recv().await {
            heard.push(chunk);
        }
        heard
    };
    let (answer, heard) = futures::join!(running, heard);
    (answer.expect("synced"), heard)
}

#[tokio::test]
async fn who_streams_hears_how_far_it_is() {
    let scene = Scene::open().await;
    scene.appoint_super_admin().await;
    // Slow enough for somebody to look.
    scene.fake.fail("/sections", std::iter::repeat_n(Fault::Slow(Duration::from_millis(600)), 2));
    let (_, heard) = streamed(&scene, json!({"shallow": true})).await;
    let classes = scene.there.ids(roar_functions::demo::clever::Kind::Section).len() as u64;
    let at_work = heard.iter().find(|chunk| chunk["phase"] == "fetching" && chunk["done"].as_u64() > Some(0));
    let at_work = at_work.expect("fetching is seen");
    assert!(at_work["total"].is_null(), "nobody knows yet: {at_work}");
    let last = heard.last().expect("something");
    assert_eq!((&last["done"], &last["total"]), (&json!(classes + 2), &json!(classes + 2)));
    scene.fake.fail("/users", std::iter::repeat_n(Fault::Slow(Duration::from_millis(400)), 4));
    let (answer, heard) = streamed(&scene, json!({"shallow": false})).await;
    let phases: Vec<_> = heard.iter().filter_map(|chunk| chunk["phase"].as_str()).collect();
    assert!(phases.contains(&"syncing_users") && phases.last() == Some(&"done"), "{phases:?}");
    let done: Vec<_> = heard.iter().filter_map(|chunk| chunk["done"].as_u64()).collect();
    assert!(done.is_sorted() && done.first() < done.last(), "{done:?}");
    let last = heard.last().expect("something");
    assert_eq!((&last["runId"], &last["districtId"]), (&answer["runId"], &json!(scene.there.id())));
    assert_eq!(last["counts"], answer["counts"]);
    assert_eq!(last["done"], last["total"]);
    let at_work = heard.iter().find(|chunk| chunk["phase"] == "syncing_users" && chunk["done"].as_u64() > Some(50));
    let at_work = at_work.expect("on the way");
    assert!(at_work["total"].as_u64() >= at_work["done"].as_u64() && at_work["rate"].as_f64() > Some(0.0));
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_stop_it() {
    let scene = Scene::open().await;
    let function = scene.world.service.runtime.registry().find("syncCleverOrgs").expect("it's in the index");
    let Trigger::Callable(handler) = &function.trigger else { panic!("a callable") };
    scene.call(json!({"shallow": true})).await.expect("synced");
    let (chunks, said) = Chunks::channel();
    drop(said);
    let call = Call { chunks, ..Call::new(json!({"shallow": false}), Some(caller(PROJECT, "super"))) };
    let answer = handler(scene.world.service.app.clone(), call).await.expect("synced");
    assert_eq!(answer["districts"][0]["state"], "done");
}

#[tokio::test]
async fn one_sync_of_a_district_at_a_time() {
    let scene = Scene::open().await;
    let org = OrgKey::new(OrgType::District, scene.there.id());
    let begin = Begin { provider: "clever", org: &org, is_full: true, by: "somebody", batch: "r1", id: "r1" };
    let run = Run::begin(&scene.world.service.app, begin).await.expect("begun");
    let refused = scene.call(json!({})).await.expect_err("it's refused");
    assert_eq!(refused.status, Status::FailedPrecondition);
    assert!(refused.message.contains("already"), "{}", refused.message);
    assert_eq!(refused.details.expect("details")["districts"][0]["error"]["busy"], "r1");
    assert_eq!(scene.all("districts").await.len(), 0);
    // Nothing of it is in the way of a look.
    scene.call(json!({"dryRun": true})).await.expect("looked");
    // It dies. Here that's known at once, for nobody else has this store open.
    drop(run);
    scene.call(json!({})).await.expect("synced");
    let died = scene.world.get("rosteringRuns/r1").await.expect("a run").fields;
    assert_eq!((died["state"].as_str(), died["success"].as_bool()), (Some("failed"), Some(false)));
}

/// A store that other processes may have open, too.
struct Shared(Arc<EmbeddedStore>);

#[async_trait::async_trait]
impl Backend for Shared {
    fn root(&self) -> &str {
        self.0.root()
    }
    async fn get_all(
        &self,
        paths: &[DocPath],
        mask: Option<&[FieldPath]>,
    ) -> roar_functions::store::Result<Vec<Option<Document>>> {
        self.0.get_all(paths, mask).await
    }
    fn query(&self, query: Query) -> futures::stream::BoxStream<'static, roar_functions::store::Result<Document>> {
        self.0.query(query)
    }
    async fn count(&self, query: Query) -> roar_functions::store::Result<u64> {
        self.0.count(query).await
    }
    async fn commit(&self, writes: Vec<Write>) -> roar_functions::store::Result<Committed> {
        self.0.commit(writes).await
    }
    fn begin(&self, retry_of: Option<Vec<u8>>) -> Box<dyn BackendTransaction> {
        self.0.begin(retry_of)
    }
    async fn ping(&self) -> roar_functions::store::Result<()> {
        self.0.ping().await
    }
}

#[tokio::test]
async fn elsewhere_a_silent_run_is_over_after_a_quarter_of_an_hour() {
    let world = LocalWorld::start().await;
    let mut app = world.service.app.clone();
    app.stores.admin = Database::new(Arc::new(Shared(world.store.clone())));
    let org = OrgKey::new(OrgType::District, "d1");
    let begin = |id: &'static str| Begin { provider: "clever", org: &org, is_full: true, by: "x", batch: id, id };
    let first = Run::begin(&app, begin("r1")).await.expect("begun");
    // Another process knows nothing of it but its document.
    Rosters::of(&app).tally.gone("r1");
    world.clock.advance(SignedDuration::from_mins(14));
    let busy = Run::begin(&app, begin("r2")).await;
    assert!(matches!(busy, Err(BeginError::Busy { run }) if run == "r1"));
    // A sign of life counts.
    first.check(&Progress::default()).await.expect("alive");
    Rosters::of(&app).tally.gone("r1");
    world.clock.advance(SignedDuration::from_mins(14));
    assert!(matches!(Run::begin(&app, begin("r3")).await, Err(BeginError::Busy { .. })));
    world.clock.advance(SignedDuration::from_mins(2));
    let second = Run::begin(&app, begin("r4")).await.expect("it took over");
    let get = async |id: &str| world.get(&format!("rosteringRuns/{id}")).await.expect("a run").fields;
    assert_eq!(get("r1").await["state"].as_str(), Some("failed"));
    // The first one awakes: it notices before it writes, and leaves the other's documents alone.
    assert!(first.check(&Progress::default()).await.is_err());
    first.finish(&Report::default(), Phase::Done, None, Learnt::default()).await;
    assert_eq!(get("r1").await["state"].as_str(), Some("failed"));
    let partner = world.get("rosteringPartners/clever-d1").await.expect("a partner").fields;
    assert_eq!(partner["activeRun"].as_str(), Some("r4"));
    second.finish(&Report::default(), Phase::Done, None, Learnt { name: Some("D"), ..Learnt::default() }).await;
    assert_eq!(get("r4").await["state"].as_str(), Some("done"));
    let partner = world.get("rosteringPartners/clever-d1").await.expect("a partner").fields;
    assert_eq!((partner.get("activeRun"), partner["displayName"].as_str()), (None, Some("D")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_killed_anywhere_is_made_good_by_the_next() {
    for cut in 0..20 {
        let scene = Scene::open().await;
        if cut % 2 == 0 {
            scene.call(json!({"shallow": false})).await.expect("synced");
            scene.world.settle().await;
            for (place, student) in scene.there.users("student").iter().enumerate().take(40) {
                match place % 4 {
                    0 if place < 16 => scene.there.remove(student),
                    1 => scene.there.promote(student, "8"),
                    _ => scene.there.set_dob(student, "1/2/2014"),
                }
            }
        }
        let call = scene.call(json!({"shallow": false}));
        let _ = tokio::time::timeout(Duration::from_millis(4 * cut), call).await;
        scene.call(json!({"shallow": false})).await.expect("synced");
        scene.world.settle().await;
        scene.assert_right(&format!("cut after {} ms", 4 * cut)).await;
        let states = scene.all("rosteringRuns").await;
        let over = |run: &&roar_functions::store::Fields| matches!(run["state"].as_str(), Some("done" | "failed"));
        assert_eq!(states.values().filter(over).count(), states.len(), "{states:?}");
    }
}

#[tokio::test]
async fn a_district_that_fails_keeps_no_other_from_it() {
    let sizes = vec![Size::of(20), Size::of(30), Size::of(10)];
    let world = LocalWorld::with_clever(Default::default(), Fake { districts: sizes, ..Fake::default() }).await;
    let scene = Scene::of(world);
    let ids: Vec<String> = (0..3).map(|number| scene.fake.district(number).id()).collect();
    scene.call(json!({"shallow": false})).await.expect("all three");
    assert_eq!(scene.all("districts").await.keys().cloned().collect::<Vec<_>>(), ids);
    // One disconnects: what is known of it stays, and it's said.
    scene.fake.district(2).disconnect();
    let answer = scene.call(json!({"shallow": false})).await.expect("the two others");
    assert_eq!(answer["disconnected"], json!([ids[2]]));
    assert_eq!(scene.all("districts").await.len(), 3);
    // Another one's record is refused.
    scene.fake.fail(&format!("/districts/{}", ids[0]), std::iter::repeat_n(Fault::Status(500), 40));
    let refused = scene.call(json!({"shallow": false})).await.expect_err("one fails");
    assert_eq!(refused.status, Status::Unavailable);
    assert!(refused.message.contains(&ids[0]), "{}", refused.message);
    let details = refused.details.expect("details");
    let states: Vec<_> = details["districts"].as_array().expect("a list").iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["failed", "done"]);
    let failed = details["districts"][0]["runId"].as_str().expect("a run");
    let run = scene.world.get(&format!("rosteringRuns/{failed}")).await.expect("a run").fields;
    assert_eq!((run["state"].as_str(), run["success"].as_bool()), (Some("failed"), Some(false)));
    assert!(run["error"].as_str().is_some_and(|error| error.contains("Clever")), "{run:?}");
    // One alone can be asked for.
    scene.fake.recover();
    let answer = scene.call(json!({"shallow": false, "districtId": ids[0]})).await.expect("that one");
    assert_eq!(answer["districts"].as_array().map(Vec::len), Some(1));
    let refused = scene.call(json!({"districtId": ids[2]})).await.expect_err("it isn't connected");
    assert_eq!(refused.status, Status::NotFound);
}

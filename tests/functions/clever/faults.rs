//! Every way in which Clever fails, alone and mixed: either the end is right, or the run has failed with a reason and
//! nobody was unenrolled.

use std::time::Duration;

use roar_functions::demo::clever::Fault;
use roar_functions::store::Value;
use serde_json::json;

use super::Scene;

/// A district that was synced before; since then, one has left, one was promoted, one is new.
async fn changed() -> (Scene, String) {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": false})).await.expect("synced");
    scene.world.settle().await;
    let students = scene.there.users("student");
    scene.there.remove(&students[0]);
    scene.there.promote(&students[1], "8");
    let class = scene.there.ids(roar_functions::demo::clever::Kind::Section)[1].clone();
    scene.there.add_students(1, &class);
    (scene, students[0].clone())
}

/// Syncs while things fail; then without.
async fn outlast(scene: &Scene, left: &str, what: &str) -> bool {
    let outcome = scene.call(json!({"shallow": false})).await;
    scene.world.settle().await;
    let is_done = outcome.is_ok();
    match outcome {
        Ok(_) => {
            scene.fake.recover();
            scene.assert_right(what).await;
        }
        Err(error) => {
            assert!(!error.message.is_empty(), "{what}");
            assert_eq!(scene.user(left).await.get("archived"), Some(&Value::Boolean(false)), "{what}");
            let runs = scene.all("rosteringRuns").await;
            let reason = |run: &roar_functions::store::Fields| {
                run["state"].as_str() == Some("done") || run.get("error").and_then(Value::as_str).is_some()
            };
            assert!(runs.values().all(reason), "{what}: {runs:?}");
        }
    }
    scene.fake.recover();
    scene.call(json!({"shallow": false})).await.expect("nothing fails any more");
    scene.world.settle().await;
    scene.assert_right(what).await;
    is_done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_alone() {
    let all = |path: &'static str| {
        [
            ("rate limit", Fault::RateLimited(Duration::from_secs(0))),
            ("500", Fault::Status(500)),
            ("502", Fault::Status(502)),
            ("401", Fault::Status(401)),
            ("404", Fault::Status(404)),
            ("413", Fault::Status(413)),
            ("cut", Fault::Cut),
            ("truncated", Fault::Truncated),
            ("HTML", Fault::Html),
            ("slow", Fault::Slow(Duration::from_millis(50))),
            ("empty", Fault::Empty),
        ]
        .map(|(name, fault)| (format!("{name} at {path}"), path, fault))
    };
    let paths = ["/oauth/tokens", "/districts", "/schools", "/sections", "/users"].map(|path| {
        tokio::spawn(async move {
            for (name, path, fault) in all(path) {
                // Once, and without end.
                for times in [1, 60] {
                    let (scene, left) = changed().await;
                    scene.fake.fail(path, std::iter::repeat_n(fault.clone(), times));
                    outlast(&scene, &left, &format!("{name}, {times} times")).await;
                }
            }
        })
    });
    futures::future::join_all(paths).await.into_iter().for_each(|one| one.expect("it ends"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_mixed_by_chance() {
    let trials = (0..24).map(|seed| {
        tokio::spawn(async move {
            let (scene, left) = changed().await;
            // From some of the requests to nearly all.
            scene.fake.fail_at_random(seed, 100 + 35 * seed, 7);
            outlast(&scene, &left, &format!("seed {seed}")).await
        })
    });
    let done: Vec<bool> =
        futures::future::join_all(trials).await.into_iter().map(|one| one.expect("it ends")).collect();
    assert!(done.contains(&true) && done.contains(&false), "some come through and some don't: {done:?}");
}

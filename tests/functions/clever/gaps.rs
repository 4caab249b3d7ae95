//! Students who are missing from one sync, and there again with the next.

use super::*;
use roar_functions::demo::play::{Step, play};

/// A student completes everything, is missing from one sync and comes back with the next: nothing is lost.
#[tokio::test]
async fn a_gap_in_the_roster_undoes_no_work() {
    let scene = Scene::open().await;
    scene.settle().await;
    let id = scene.administer().await;
    let students = scene.there.users("student");
    let mut before = Vec::new();
    for student in &students[..3] {
        let entry = scene.entry(student).await;
        let user = entry["roarUid"].as_str().expect("a user").to_owned();
        let path = DocPath::new(format!("users/{user}/assignments/{id}")).expect("a path");
        let assignment = scene.world.admin().get(&path).await.expect("readable").expect("an assignment");
        let tasks = assignment.fields["assessments"].as_array().expect("a list").len();
        for task in 0..tasks {
            for step in [Step::Start(task), Step::Complete(task)] {
                play(scene.world.admin(), &path, step, scene.world.now()).await.expect("a step");
            }
        }
        let run = fields! {
            "id" => "r", "taskId" => "swr", "assignmentId" => id.as_str(), "completed" => true,
            "timeStarted" => scene.world.now(), "timeFinished" => scene.world.now(), "userData" => Fields::new(),
        };
        set(scene.world.assessment(), &format!("users/{user}/runs/r"), run).await;
        scene.world.settle().await;
        before.push((path.clone(), scene.world.get(path.as_str()).await.expect("an assignment").fields));
    }
    for student in &students[..3] {
        scene.there.remove(student);
    }
    scene.settle().await;
    for (path, _) in &before {
        assert_eq!(scene.world.get(path.as_str()).await, None);
    }
    for student in &students[..3] {
        scene.there.bring_back(student);
    }
    scene.world.clock.advance(jiff::SignedDuration::from_hours(24));
    scene.settle().await;
    for (path, before) in before {
        let after = scene.world.get(path.as_str()).await.expect("an assignment").fields;
        for name in ["started", "completed", "dateAssigned", "assessments", "progress", "assigningOrgs"] {
            assert_eq!(after.get(name), before.get(name), "{name}");
        }
        assert_eq!(after["completed"], Value::Boolean(true));
    }
    crate::world::assert_consistent(scene.world.admin(), &id).await;
}

//! Events of runs as a running server gets them: from the embedded stores, and from the emulator.

use std::time::Duration;

use firebase_emulators::eventually;
use roar_functions::context::Context;
use roar_functions::fields;
use roar_functions::store::{Database, Fields, Value, Write};

use super::{PA, SWR_ES, best, entry, flags, payload, put, run, run_path};
use crate::emulator::synced;
use crate::killed::Server;
use crate::scenario;
use crate::world::{EmulatorWorld, PROJECT, admin_uid, assert_consistent, assignments, call, data_token, fill};

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
    runtime.block_on(eventually(async || {
        Server::start(directory.path()).kill_after(Duration::from_millis(300));
        let assignment = open("admin").get(&path).await.expect("readable").expect("an assignment");
        let is_named = entry(&assignment.fields, 0).get("runId") == Some(&Value::from("a"));
        if is_named { Ok(()) } else { Err(format!("{assignment:?}")) }
    }));
}

/// The server is killed in the middle of runs' events, again and again: between the databases too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_survive_twenty_kills() {
    const STUDENTS: usize = 600;
    let directory = crate::world::directory();
    let open = |label| crate::world::open(directory.path(), label, &Context::system());
    let admin = || Database::new(open("admin"));
    fill(&admin(), STUDENTS).await;
    let work = |milliseconds| Server::start(directory.path()).kill_after(Duration::from_millis(milliseconds));
    let server = Server::start(directory.path());
    let now = Context::system().now();
    let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client");
    let token = data_token(directory.path(), PROJECT, admin_uid(), now);
    let (status, answer) = call(&http, &server.url, &token, "createAdministration", payload(now)).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["result"]["administrationId"].as_str().expect("an ID").to_owned();
    server.kill();
    eventually(async || {
        work(500);
        let assigned = assignments(&admin(), &id).await.len();
        let pending = open("admin").pending_events();
        if assigned == STUDENTS && pending == 0 {
            Ok(())
        } else {
            Err(format!("{assigned} assigned, {pending} events"))
        }
    })
    .await;

    let runs = (0..STUDENTS).flat_map(|student| {
        let write = |run_id, run| Write::set(run_path(student, run_id), run);
        [write("a", run(&id, "pa", 10, Some(5))), write("b", run(&id, "pa", 40, Some(30)))]
    });
    let assessment = Database::new(open("assessment"));
    for writes in runs.collect::<Vec<_>>().chunks(400) {
        assessment.commit(writes.to_vec()).await.expect("written");
    }
    drop(assessment);
    let mut interrupted = 0;
    for kill in 0..20 {
        work(5 + kill * 7 % 40);
        interrupted += usize::from(open("assessment").pending_events() > 0);
    }
    println!("{interrupted} of 20 kills hit the work");
    assert!(interrupted > 1, "the kills hit the work");
    eventually(async || {
        work(500);
        let pending = open("assessment").pending_events() + open("admin").pending_events();
        if pending == 0 { Ok(()) } else { Err(format!("{pending} events")) }
    })
    .await;
    let (admin, assessment) = (admin(), Database::new(open("assessment")));
    for assignment in assignments(&admin, &id).await {
        let pa = entry(&assignment.fields, PA);
        assert_eq!((&pa["runId"], &pa["allRunIds"]), (&Value::from("b"), &Value::strings(["b", "a"])));
    }
    for student in 0..STUDENTS {
        assert_eq!(best(&assessment, student, &id, "pa").await, ["b"]);
    }
    assert_consistent(&admin, &id).await;
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
        eventually(async || {
            let assignment = world.admin().get(&path).await.expect("readable");
            let holds = assignment.as_ref().is_some_and(|assignment| holds(&assignment.fields));
            if holds { Ok(()) } else { Err(format!("not {what}: {assignment:?}")) }
        })
        .await;
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
    synced(&world, &id).await;
    world.service.runtime.quiet().await;
    assert_consistent(world.admin(), &id).await;
}

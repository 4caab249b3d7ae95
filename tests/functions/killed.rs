//! The process is killed in the middle of its work, repeatedly, and the next process completes the work.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use firebase_emulators::eventually;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use roar_functions::context::Context;
use roar_functions::store::{Database, DocPath, Query, Value};

use crate::world::{PROJECT, admin_uid, assert_consistent, assignments, call, data_token, fill, open_administration};

const STUDENTS: usize = 5000;
const KILLS: usize = 20;

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    pub fn start(directory: &std::path::Path) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_roar-functions"))
            .arg("serve")
            .env_clear()
            .env("ROAR_LISTEN", "127.0.0.1:0")
            .env("ROAR_DATA_DIR", directory)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut log = BufReader::new(child.stderr.take().expect("a log"));
        let mut line = String::new();
        let url = loop {
            line.clear();
            assert_ne!(log.read_line(&mut line).expect("a log"), 0, "the server ended before it listened");
            if let Some((_, url)) = line.split_once("listening on ") {
                break url.split_whitespace().next().expect("a URL").to_owned();
            }
        };
        // The log must be read, or the server waits for its reader.
        std::thread::spawn(move || log.lines().map_while(Result::ok).for_each(drop));
        Server { child, url }
    }

    /// Lets the server work for that long, and kills it. The work ends at no particular moment, which is what tests of
    /// kills vary.
    pub fn kill_after(self, time: Duration) {
        std::thread::sleep(time);
        self.kill();
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub fn kill(mut self) {
        self.child.kill().expect("a process to kill");
        self.child.wait().expect("an end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open(directory: &std::path::Path) -> Database {
    Database::new(crate::world::open(directory, "admin", &Context::system()))
}

async fn all_complete(directory: &std::path::Path, administrations: &[String]) -> bool {
    let database = open(directory);
    let tasks = database.query(Query::collection("functionTasks")).await.expect("tasks");
    for id in administrations {
        let path = DocPath::new(format!("administrations/{id}")).expect("a path");
        let document = database.get(&path).await.expect("readable").expect("the administration");
        if document.fields.get("syncStatus") != Some(&Value::from("complete")) {
            return false;
        }
    }
    tasks.is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_out_survives_twenty_kills() {
    let directory = crate::world::directory();
    {
        let store = crate::world::open(directory.path(), "admin", &Context::system());
        fill(&Database::new(store.clone()), STUDENTS).await;
        // The students came long ago.
        store.take_events().await.expect("the outbox");
    }
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client");
    let mut created = Vec::new();
    let mut kills = 0;
    while kills < KILLS {
        let server = Server::start(directory.path());
        // A fan-out that the last process left is finished by this one, or the next; a new one begins
        // when there may be none.
        if created.len() * 7 <= kills {
            let now = Context::system().now();
            let token = data_token(directory.path(), PROJECT, admin_uid(), now);
            let (status, answer) =
                call(&http, &server.url, &token, "createAdministration", open_administration(now)).await;
            assert_eq!(status, 200, "{answer}");
            created.push(answer["result"]["administrationId"].as_str().expect("an ID").to_owned());
        }
        let wait = 5 + random.next_u64() % 120;
        server.kill_after(Duration::from_millis(wait));
        kills += 1;
    }
    let interrupted = {
        let database = open(directory.path());
        database.query(Query::collection("functionTasks")).await.expect("tasks").len()
    };
    println!("{} fan-outs, {kills} kills, {interrupted} tasks left by the last", created.len());
    assert!(interrupted > 0, "the last kill hit a fan-out");

    // Now the server is let run until all is done. The store is its own while it runs, so it's looked
    // at in between.
    eventually(async || {
        Server::start(directory.path()).kill_after(Duration::from_secs(2));
        let are_complete = all_complete(directory.path(), &created).await;
        if are_complete { Ok(()) } else { Err("fan-outs that aren't complete".to_owned()) }
    })
    .await;

    let database = open(directory.path());
    for id in &created {
        let found = assignments(&database, id).await;
        assert_eq!(found.len(), STUDENTS, "none is missing, none is doubled");
        assert_consistent(&database, id).await;
        let path = DocPath::new(format!("administrations/{id}")).expect("a path");
        let document = database.get(&path).await.expect("readable").expect("the administration");
        assert_eq!(document.fields["syncChunksCompleted"], document.fields["syncChunksTotal"]);
        assert_eq!(document.fields["syncStatus"], Value::from("complete"));
    }
}

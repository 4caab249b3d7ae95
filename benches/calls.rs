//! Round trips of a callable over HTTP, and the time until the server is ready:
//! `cargo bench --bench calls`.

#[path = "../tests/functions/world.rs"]
mod world;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use roar_functions::app::{Settings, Stores};
use roar_functions::context::Context;
use roar_functions::rostering::Rosters;
use roar_functions::store::Database;

use world::{PROJECT, admin_uid, fill, open_administration, service, token};

const CALLS: usize = 4000;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(roar_functions::cli::BLOCKING_THREADS)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(calls());
    start_up();
    runtime.shutdown_background();
}

async fn calls() {
    let directory = tempfile::tempdir().expect("a directory");
    let context = Context::system();
    let open = |label| world::open(directory.path(), label, &context);
    let (admin, assessment) = (open("admin"), open("assessment"));
    let stores = Stores { admin: Database::new(admin), assessment: Database::new(assessment) };
    let service = service(stores, directory.path(), PROJECT, context, Settings::default(), Rosters::default());
    fill(&service.app.stores.admin, 10).await;
    let server = service.bind(([127, 0, 0, 1], 0).into(), Duration::from_secs(5)).await.expect("a port");
    let url = format!("http://{}/createAdministration", server.address().expect("an address"));
    tokio::spawn(server.run(std::future::pending()));
    let token = token(PROJECT, admin_uid(), service.app.now());
    let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client");
    println!("| createAdministration | at once | calls/s | p50 ms | p99 ms |");
    println!("|---|---|---|---|---|");
    for (what, request_id) in
        [("repeated request (reads)", Some("again")), ("new administration (reads and a durable commit)", None)]
    {
        let mut data = open_administration(service.app.now());
        if let Some(id) = request_id {
            data["requestId"] = id.into();
        }
        let body = serde_json::json!({ "data": data }).to_string();
        for at_once in [1, 16, 64] {
            let one = || {
                let (http, url, token, body) = (http.clone(), url.clone(), token.clone(), body.clone());
                async move {
                    let began = Instant::now();
                    let request = http.post(url).bearer_auth(token).header("content-type", "application/json");
                    let answer = request.body(body).send().await.expect("an answer");
                    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
                    let _ = answer.bytes().await;
                    began.elapsed()
                }
            };
            for _ in 0..100 {
                one().await;
            }
            let began = Instant::now();
            let mut times: Vec<Duration> =
                futures::stream::iter((0..CALLS).map(|_| one())).buffer_unordered(at_once).collect().await;
            let took = began.elapsed().as_secs_f64();
            times.sort();
            let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize].as_secs_f64() * 1000.0;
            println!("| {what} | {at_once} | {:.0} | {:.2} | {:.2} |", CALLS as f64 / took, at(0.5), at(0.99));
        }
    }
}

/// From the start of the process to the line that says it listens.
fn start_up() {
    let mut times: Vec<Duration> = (0..10)
        .map(|_| {
            let directory = tempfile::tempdir().expect("a directory");
            let began = Instant::now();
            let mut server = Command::new(env!("CARGO_BIN_EXE_roar-functions"))
                .arg("serve")
                .env("ROAR_LISTEN", "127.0.0.1:0")
                .env("ROAR_DATA_DIR", directory.path())
                .env("ROAR_LOG", "info")
                .stderr(Stdio::piped())
                .spawn()
                .expect("the server starts");
            let log = BufReader::new(server.stderr.take().expect("a log"));
            let listening = log.lines().map_while(Result::ok).any(|line| line.contains("listening on"));
            let took = began.elapsed();
            assert!(listening, "the server ended");
            let _ = server.kill();
            let _ = server.wait();
            took
        })
        .collect();
    times.sort();
    println!("\nStart-up to ready: median {:.0} ms.", times[times.len() / 2].as_secs_f64() * 1000.0);
}

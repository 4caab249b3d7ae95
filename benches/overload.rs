//! More than a server can do: what it takes it does right and in bounded time and memory, what it can't it refuses at
//! once. `cargo bench --bench overload`; `ROAR_BENCH_SECONDS=20` for less than its two minutes.
//!
//! First it's seen how much the server does when nobody has to wait for long; then four times that is asked of it.
//! Callables read and write, events come over HTTP, and clients that say nothing keep connections open. The server
//! and who asks it share the machine.

#[allow(dead_code)]
#[path = "../crates/functions-runtime/tests/runtime/support/keys.rs"]
mod keys;
#[path = "../tests/functions/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use roar_functions::context::Context;
use roar_functions::store::Database;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Semaphore;

use keys::{KeyServer, SigningKey};
use world::{PROJECT, admin_uid, data_token, fill, open_administration};

/// Who delivers events, and to whom.
const SENDER: &str = "eventarc@demo.iam.gserviceaccount.com";
const AUDIENCE: &str = "https://functions.example";
/// How many ask at once when it's seen what the server can do.
const CALM: usize = 48;
/// How many times that is asked of it.
const TIMES: f64 = 4.0;
/// How many may wait for an answer; more aren't asked. A load that's larger is no other for the server.
const MOST_WAITING: usize = 3000;
/// Connections that say nothing, or begin a call and say nothing more.
const SILENT: usize = 200;
/// MiB of memory at which the server begins nothing more.
const MEMORY: u64 = 256;
/// Students of the district that administrations are for.
const STUDENTS: usize = 10;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One that asks, and what came of it.
struct Load {
    http: reqwest::Client,
    url: String,
    token: String,
    /// What events come with.
    events_token: String,
    next: AtomicU64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// How long accepted requests took, in milliseconds, by kind.
    accepted: BTreeMap<&'static str, Vec<f64>>,
    refused: Vec<f64>,
    /// Anything else, which mustn't be.
    odd: BTreeMap<String, u64>,
    administrations: BTreeSet<String>,
    archived: BTreeSet<String>,
}

fn main() {
    let seconds = std::env::var("ROAR_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(120);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(overload(Duration::from_secs(seconds)));
    runtime.shutdown_background();
}

async fn overload(time: Duration) {
    let directory = tempfile::tempdir().expect("a directory");
    {
        let context = Context::system();
        let admin = Database::new(world::open(directory.path(), "admin", &context));
        fill(&admin, STUDENTS).await;
    }
    let key = SigningKey::new("events");
    let keys = KeyServer::start(&[&key]).await;
    let (mut server, url) = start(directory.path(), &keys.url);
    let now = Context::system().now();
    let load = Arc::new(Load {
        http: reqwest::Client::builder().timeout(Duration::from_secs(60)).build().expect("a client"),
        token: data_token(directory.path(), PROJECT, admin_uid(), now),
        events_token: key.sign(&json!({
            "iss": "https://accounts.google.com", "aud": AUDIENCE, "email": SENDER, "email_verified": true,
            "iat": now.as_second(), "exp": now.as_second() + 3600,
        })),
        url: url.clone(),
        next: AtomicU64::new(0),
        seen: Mutex::default(),
    });
    let silent: Vec<_> = futures::future::join_all((0..SILENT).map(|number| {
        let address = url.trim_start_matches("http://").to_owned();
        async move {
            let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
            if number % 2 == 0 {
                let head = "POST /getAdministrations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
                stream.write_all(format!("{head}content-length: 1000000\r\n\r\n{{").as_bytes()).await.expect("sent");
            }
            stream
        }
    }))
    .await;

    let calm = time.min(Duration::from_secs(15));
    let capacity = in_turn(&load, calm).await;
    let calm_seen = std::mem::take(&mut *load.seen.lock());
    println!("| | asked/s | done/s | refused/s | p50 ms | p99 ms | refused p99 ms | most memory |");
    println!("|---|---|---|---|---|---|---|---|");
    report("as much as it can", &calm_seen, calm, &server);
    at_rate(&load, capacity * TIMES, time).await;
    drop(silent);
    settle(&load).await;
    let mut seen = std::mem::take(&mut *load.seen.lock());
    report("four times that", &seen, time, &server);
    for (kind, times) in &mut seen.accepted {
        println!("{kind}: {} done, p50 {:.1} ms, p99 {:.1} ms", times.len(), at(times, 0.5), at(times, 0.99));
    }
    let peak = memory(&server);
    stop(&mut server);

    assert!(seen.odd.is_empty() && calm_seen.odd.is_empty(), "{:?} {:?}", seen.odd, calm_seen.odd);
    assert!(!seen.refused.is_empty(), "it was never asked for too much");
    // What is under way may yet take some.
    assert!(peak < 2.0 * MEMORY as f64, "{peak} MiB");
    check(directory.path(), [&calm_seen, &seen]);
}

/// The program while it serves; it doesn't outlive this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program, and where it listens.
fn start(directory: &Path, keys: &str) -> (Server, String) {
    let mut server = program(directory);
    server.env("ROAR_OIDC_KEYS_URL", keys);
    server.env("ROAR_EVENTS_AUDIENCE", AUDIENCE).env("ROAR_EVENTS_SERVICE_ACCOUNT", SENDER);
    // One caller asks for everything.
    server.env("ROAR_ADMIN_CALL_BUDGET", "0").env("ROAR_CALL_BUDGET", "0");
    let mut server = server.arg("serve").stderr(Stdio::piped()).spawn().expect("the server starts");
    let mut lines = BufReader::new(server.stderr.take().expect("a log")).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("listening on")).expect("it listens");
    let address = line.rsplit("listening on ").next().and_then(|rest| rest.split_whitespace().next());
    let url = address.expect("its address").to_owned();
    // Nobody holds it up by not reading what it says.
    std::thread::spawn(move || lines.for_each(drop));
    (Server(server), url)
}

fn program(directory: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_roar-functions"));
    program.env("ROAR_LISTEN", "127.0.0.1:0").env("ROAR_DATA_DIR", directory).env("ROAR_LOG", "info");
    program.env("ROAR_MAX_MEMORY", MEMORY.to_string());
    program.env("ROAR_ADMIN_PROJECT", PROJECT).env("ROAR_ASSESSMENT_PROJECT", format!("{PROJECT}-assessment"));
    program
}

/// Asks for as much as a few can; how much that is, a second.
async fn in_turn(load: &Arc<Load>, time: Duration) -> f64 {
    let end = Instant::now() + time;
    let askers = (0..CALM).map(|_| {
        let load = load.clone();
        tokio::spawn(async move {
            let mut asked = 0_u64;
            while Instant::now() < end {
                load.ask().await;
                asked += 1;
            }
            asked
        })
    });
    let asked = futures::future::join_all(askers).await;
    asked.into_iter().map(|asked| asked.expect("an asker")).sum::<u64>() as f64 / time.as_secs_f64()
}

/// Asks for so much a second, whatever becomes of it.
async fn at_rate(load: &Arc<Load>, rate: f64, time: Duration) {
    let waiting = Arc::new(Semaphore::new(MOST_WAITING));
    let began = Instant::now();
    let mut asked = 0.0;
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    while began.elapsed() < time {
        ticks.tick().await;
        let due = began.elapsed().as_secs_f64() * rate;
        while asked < due {
            asked += 1.0;
            let Ok(place) = waiting.clone().try_acquire_owned() else { continue };
            let load = load.clone();
            tokio::spawn(async move {
                load.ask().await;
                drop(place);
            });
        }
    }
    let _all = waiting.acquire_many(MOST_WAITING as u32).await.expect("everybody has an answer");
}

impl Load {
    async fn ask(&self) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (kind, path, body) = match number % 100 {
            // Few: everybody in the district gets each of them.
            0 => ("createAdministration", "/createAdministration", json!({ "data": self.administration(number) })),
            1..=30 => ("event", "/events/softDeleteUser", deletion(number)),
            31..=50 => ("getAdministrations", "/getAdministrations", json!({ "data": { "idsOnly": true } })),
            51..=75 => (
                "getAssignmentStats",
                "/getAssignmentStats",
                json!({ "data": { "administrationIds": (0..20).map(|n| format!("a{n}")).collect::<Vec<_>>() } }),
            ),
            _ => ("setUidClaims", "/setUidClaims", json!({ "data": { "assessmentUid": "someone" } })),
        };
        let began = Instant::now();
        let token = if kind == "event" { &self.events_token } else { &self.token };
        let answer = self.http.post(format!("{}{path}", self.url)).bearer_auth(token).json(&body).send().await;
        let answer = match answer {
            Ok(answer) => Ok((answer.status().as_u16(), answer.text().await.unwrap_or_default())),
            Err(error) => Err(error.to_string()),
        };
        let took = began.elapsed().as_secs_f64() * 1000.0;
        let mut seen = self.seen.lock();
        match answer {
            Ok((503, _)) => seen.refused.push(took),
            Ok((200 | 204, text)) => {
                seen.accepted.entry(kind).or_default().push(took);
                if kind == "createAdministration" {
                    let answer: Value = serde_json::from_str(&text).expect("JSON");
                    let id = answer["result"]["administrationId"].as_str().expect("an ID").to_owned();
                    seen.administrations.insert(id);
                } else if kind == "event" {
                    seen.archived.insert(gone(number));
                }
            }
            // There's no such account; that was found out, which is all that it's for.
            Ok((404, _)) if kind == "setUidClaims" => seen.accepted.entry(kind).or_default().push(took),
            Ok((status, text)) => *seen.odd.entry(format!("{kind}: {status} {text}")).or_default() += 1,
            Err(error) => *seen.odd.entry(format!("{kind}: {error}")).or_default() += 1,
        }
    }

    fn administration(&self, number: u64) -> Value {
        let mut administration = open_administration(Context::system().now());
        administration["name"] = json!(format!("Administration {number}"));
        administration
    }
}

fn gone(number: u64) -> String {
    format!("gone-{number}")
}

/// As Eventarc tells that a user was deleted.
fn deletion(number: u64) -> Value {
    let name = format!("projects/{PROJECT}/databases/(default)/documents/users/{}", gone(number));
    let time = "2026-01-02T03:04:05Z";
    let fields = json!({ "userType": { "stringValue": "student" }, "note": { "stringValue": "x".repeat(2000) } });
    json!({
        "specversion": "1.0", "id": format!("event-{number}"), "time": time,
        "type": "google.cloud.firestore.document.v1.deleted",
        "source": format!("//firestore.googleapis.com/projects/{PROJECT}/databases/(default)"),
        "data": { "oldValue": { "name": name, "fields": fields, "createTime": time, "updateTime": time } },
    })
}

/// Waits until everything is done that was asked for.
async fn settle(load: &Load) {
    let quiet = async {
        let mut still = 0;
        while still < 5 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let text = load.http.get(format!("{}/metrics", load.url)).send().await.expect("metrics");
            let text = text.text().await.expect("metrics");
            let of = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or(" 0");
                line.trim().parse::<f64>().expect("a number")
            };
            let is_quiet = of("tasks_pending") + of("function_runs_in_progress") == 0.0;
            still = if is_quiet { still + 1 } else { 0 };
        }
    };
    tokio::time::timeout(Duration::from_secs(600), quiet).await.expect("everything ends");
}

fn at(times: &mut [f64], share: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get((share * times.len().saturating_sub(1) as f64) as usize).copied().unwrap_or(f64::NAN)
}

fn report(what: &str, seen: &Seen, time: Duration, server: &Server) {
    let mut accepted: Vec<f64> = seen.accepted.values().flatten().copied().collect();
    let mut refused = seen.refused.clone();
    let rate = |number: usize| number as f64 / time.as_secs_f64();
    println!(
        "| {what} | {:.0} | {:.0} | {:.0} | {:.1} | {:.1} | {:.1} | {:.0} MiB |",
        rate(accepted.len() + refused.len()),
        rate(accepted.len()),
        rate(refused.len()),
        at(&mut accepted, 0.5),
        at(&mut accepted, 0.99),
        at(&mut refused, 0.99),
        memory(server)
    );
}

/// The most memory that the server has held.
fn memory(server: &Server) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.0.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

fn stop(server: &mut Server) {
    let asked = Command::new("kill").arg(server.0.id().to_string()).status().expect("kill");
    assert!(asked.success() && server.0.wait().expect("its end").success(), "it ends in good order");
}

/// Everything that was accepted is there, once, and right.
fn check(directory: &Path, seen: [&Seen; 2]) {
    let list = |collection: &str| -> BTreeSet<String> {
        let output = program(directory).args(["doc", "list", collection]).output().expect("documents");
        let text = String::from_utf8(output.stdout).expect("text");
        let id = |line: &str| {
            let document: Value = serde_json::from_str(line).expect("JSON");
            document["path"].as_str().expect("a path").rsplit('/').next().expect("an ID").to_owned()
        };
        text.lines().map(id).collect()
    };
    let all =
        |of: fn(&Seen) -> &BTreeSet<String>| seen.iter().flat_map(|seen| of(seen)).cloned().collect::<BTreeSet<_>>();
    let administrations = all(|seen| &seen.administrations);
    assert_eq!(list("administrations"), administrations, "those that were answered for, and no other");
    assert_eq!(list("deleted-users"), all(|seen| &seen.archived), "those whose events were taken, and no other");
    let output = program(directory).args(["reconcile", "--format", "json"]).output().expect("a reconciliation");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(report["agrees"] == true, "{report:#}");
    let assignments: u64 = report["administrations"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["assignments"].as_u64())
        .sum();
    assert_eq!(assignments, administrations.len() as u64 * STUDENTS as u64);
    println!("All right: {} administrations, {assignments} assignments and their counts.", administrations.len());
}

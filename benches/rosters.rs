//! How fast a district comes from Clever: `cargo bench --bench rosters`.
//!
//! A made-up Clever, in a process of its own, shares a district: synced for the first time, then unchanged, then with
//! one student in a hundred promoted. Each line is a process of its own, for its peak memory.

mod shared;
#[path = "../tests/functions/world.rs"]
mod world;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Url;
use roar_functions::app::{Settings, Stores};
use roar_functions::context::Context;
use roar_functions::demo::clever::FakeClever;
use roar_functions::rostering::Rosters;
use roar_functions::rostering::clever::records::{Record as _, Role};
use roar_functions::rostering::clever::{Clever, Settings as CleverSettings};
use roar_functions::rostering::partners::{Ask, sync_all};
use roar_functions::rostering::report::Report;
use roar_functions::rostering::sync::Options;
use roar_functions::service::Service;
use roar_functions::store::Database;

use world::{EmulatorWorld, PROJECT, service};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if let Some((store, students)) = shared::own_line() {
        let runtime = shared::runtime();
        match store.as_str() {
            "embedded" => runtime.block_on(embedded(students)),
            _ => runtime.block_on(emulator(students)),
        }
        runtime.shutdown_background();
        return;
    }
    println!(
        "| store | sync | records | seconds | records/s | with what follows | reads each | writes each | peak MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    // Of three people in such a district, two are students.
    shared::measure_each(&[("embedded", 6_475), ("embedded", 64_750), ("emulator", 1_000)]);
}

/// The made-up Clever, ended when this is dropped.
struct Process(Child, Url);

impl Process {
    async fn start(students: usize) -> Process {
        let url = Url::parse(&format!("http://127.0.0.1:{}", firebase_emulators::free_port())).expect("an address");
        let listen = url.as_str().trim_start_matches("http://").trim_end_matches('/').to_owned();
        let child = Command::new(env!("CARGO_BIN_EXE_roar-functions"))
            .args(["fake-clever", "--students", &students.to_string(), "--listen", &listen])
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let process = Process(child, url);
        let clever = process.clever();
        while clever.district_tokens().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        process
    }

    fn clever(&self) -> Clever {
        let settings = CleverSettings { timeout: Duration::from_secs(300), ..FakeClever::settings(&self.1) };
        Clever::new(settings, Context::system()).expect("a client")
    }

    /// Promotes one student in a hundred.
    async fn promote(&self) {
        let clever = self.clever();
        let token = clever.district_tokens().await.expect("tokens").remove(0);
        let mut pages = clever.district(token).users(Some(Role::Student));
        let http = reqwest::Client::builder().build().expect("a client");
        let control = self.1.join("_control").expect("an address");
        while let Some(page) = pages.next().await.expect("students") {
            for student in page.records.iter().step_by(100).flatten() {
                let path = "roles/student/grade";
                let change = serde_json::json!({"action": "set", "id": student.id(), "path": path, "value": "13"});
                http.post(control.clone()).json(&change).send().await.expect("it answers");
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn embedded(students: usize) {
    let clever = Process::start(students).await;
    let directory = tempfile::tempdir().expect("a directory");
    let context = Context::system();
    let open = |label| world::open(directory.path(), label, &context);
    let (admin, assessment) = (open("admin"), open("assessment"));
    let stores = Stores { admin: Database::new(admin.clone()), assessment: Database::new(assessment.clone()) };
    let rosters = Rosters::new(Some(clever.clever()));
    let service = service(stores, directory.path(), PROJECT, context.clone(), Settings::default(), rosters);
    service.start_tasks();
    let runtime = Arc::new(service.runtime.clone());
    let dispatchers = [&admin, &assessment].map(|store| store.start_dispatcher(runtime.clone(), Default::default()));
    let settled = async || {
        admin.drained().await;
        service.queue.idle().await;
    };
    measure("embedded", &clever, &service, settled).await;
    for dispatcher in dispatchers {
        dispatcher.stop().await;
    }
}

async fn emulator(students: usize) {
    let clever = Process::start(students).await;
    let world = EmulatorWorld::start().await;
    let mut service = world.service.clone();
    service.app = service.app.clone().with_extension(Rosters::new(Some(clever.clever())));
    // The emulator hands over what follows one event at a time; how long that takes is its own matter.
    measure("emulator", &clever, &service, async || {}).await;
}

async fn measure(store: &str, clever: &Process, service: &Service, settled: impl AsyncFn()) {
    for what in ["first", "unchanged", "1 % changed"] {
        if what == "1 % changed" {
            clever.promote().await;
        }
        let app = &service.app;
        let asked = Rosters::of(app).clever.clone().expect("it's set up");
        let before = app.stores.admin.cost();
        let began = Instant::now();
        let ask = Ask { options: Options::DEEP, district: None, by: "bench", limit: Duration::from_secs(3600) };
        let synced = sync_all(app, &asked, &ask, None).await.expect("synced");
        let took = began.elapsed();
        let cost = app.stores.admin.cost() - before;
        settled().await;
        let with_all = began.elapsed();
        assert!(synced.districts.iter().all(|one| one.error.is_none() && one.report.safety_stop.is_none()));
        let totals = Report::total(synced.districts.iter().map(|one| &one.report));
        let records: u64 = totals.values().map(|counts| counts.done()).sum();
        let each = |number: u64| number as f64 / records as f64;
        println!(
            "| {store} | {what} | {records} | {:.2} | {:.0} | {:.2} s | {:.2} | {:.2} | {:.0} |",
            took.as_secs_f64(),
            records as f64 / took.as_secs_f64(),
            with_all.as_secs_f64(),
            each(cost.reads),
            each(cost.writes + cost.deletes),
            shared::peak_mib(),
        );
    }
}

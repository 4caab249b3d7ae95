//! The real emulators of Firestore and Firebase Auth, for tests.
//!
//! `SHARED_FIRESTORE_EMULATOR=host:port` names an emulator that runs already (`make test` starts one);
//! without it the first test of a process that asks starts one for the process. Each test takes a
//! project of its own, so tests never see each other's documents.

pub mod auth;
mod wait;

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

pub use wait::eventually;

/// The environment variable that names a running emulator, `host:port`.
pub const SHARED_EMULATOR: &str = "SHARED_FIRESTORE_EMULATOR";
/// The environment variable that names the emulator's jar.
pub const EMULATOR_JAR: &str = "FIRESTORE_EMULATOR_JAR";

const MAIN_CLASS: &str = "com.google.cloud.datastore.emulator.firestore.CloudFirestore";
const JAR_IN_SDK: &str = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar";
const HOW_TO_GET_IT: &str = "Install it with `gcloud components install cloud-firestore-emulator` (or the package \
     google-cloud-cli-firestore-emulator), or set FIRESTORE_EMULATOR_JAR to the jar; Java 17 or newer runs it.";

/// `host:port` of the emulator that this process's tests share.
pub fn firestore_host() -> &'static str {
    static SHARED: OnceLock<(String, Option<Emulator>)> = OnceLock::new();
    // Never dropped, being static; the emulator ends when the process does (see `Emulator`).
    let (host, _) = SHARED.get_or_init(|| match std::env::var(SHARED_EMULATOR) {
        Ok(host) if !host.is_empty() => (host, None),
        _ => {
            let emulator = Emulator::start();
            (emulator.host().to_owned(), Some(emulator))
        }
    });
    host
}

/// A project ID that no other test uses, in this process or another.
pub fn unique_project(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let started = std::time::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_millis() % 10_000_000_000;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("demo-{prefix}-{}-{started}-{count}", std::process::id())
}

/// A Firestore emulator for one test. It's stopped when this is dropped, or when the process ends in any way.
///
/// For the latter, a shell beside the emulator waits for the end of a pipe from this process, which the kernel closes
/// when the process dies.
pub struct Emulator {
    host: String,
    shell: Child,
}

impl Emulator {
    /// Starts one that sends no events, and waits until it answers.
    pub fn start() -> Emulator {
        Emulator::launch(None)
    }

    /// Starts one that posts document events to `functions`.
    pub fn start_with_events(functions: SocketAddr) -> Emulator {
        Emulator::launch(Some(functions))
    }

    /// `host:port`.
    pub fn host(&self) -> &str {
        &self.host
    }

    fn launch(functions: Option<SocketAddr>) -> Emulator {
        let jar = jar();
        // Another process may take the port before the emulator does; then a new port is tried.
        let mut log = String::new();
        for _ in 0..3 {
            match Emulator::launch_once(&jar, functions) {
                Ok(emulator) => return emulator,
                Err(printed) => log = printed,
            }
        }
        panic!("the Firestore emulator ({}) did not start; it printed:\n{log}", jar.display());
    }

    fn launch_once(jar: &Path, functions: Option<SocketAddr>) -> Result<Emulator, String> {
        let port = free_port();
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg("java \"$@\" </dev/null 2>&1 & emulator=$!; exec >/dev/null 2>&1; read -r _; kill -9 $emulator")
            .arg("emulator")
            .args(["-Xmx2g", "-XX:+UseSerialGC", "-cp"])
            .arg(jar)
            .args([MAIN_CLASS, "--host", "127.0.0.1", "--port", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(functions) = functions {
            command.args(["--functions_emulator", &functions.to_string()]);
        }
        let mut shell = command.spawn().expect("sh runs");
        let output = shell.stdout.take().expect("the shell's output is piped");
        let emulator = Emulator { host: format!("127.0.0.1:{port}"), shell };
        let mut lines = BufReader::new(output).lines();
        let mut printed = String::new();
        for line in lines.by_ref().map_while(Result::ok) {
            if line.contains("is now running") {
                // Its output is read, because the emulator would block on a full pipe.
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(emulator);
            }
            printed.push_str(&line);
            printed.push('\n');
        }
        Err(printed)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// A directory that is gone afterwards; in memory, where the machine has such a place: what a test's
/// store writes need not outlive the machine.
pub fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary directory")
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("a listener has an address").port()
}

fn jar() -> PathBuf {
    let found = match std::env::var_os(EMULATOR_JAR) {
        Some(path) => PathBuf::from(path),
        None => {
            sdk_root().unwrap_or_else(|why| panic!("no Firestore emulator: {why}. {HOW_TO_GET_IT}")).join(JAR_IN_SDK)
        }
    };
    assert!(found.is_file(), "no Firestore emulator at {}. {HOW_TO_GET_IT}", found.display());
    found
}

fn sdk_root() -> Result<PathBuf, String> {
    let asked = Command::new("gcloud").args(["info", "--format=value(installation.sdk_root)"]).output();
    let output = asked.map_err(|error| format!("{EMULATOR_JAR} is not set and `gcloud` can't be run ({error})"))?;
    let root = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || root.is_empty() {
        return Err(format!("{EMULATOR_JAR} is not set and `gcloud info` doesn't know where it is installed"));
    }
    Ok(PathBuf::from(root))
}

//! The command line.

mod demo;
mod doc;
mod error;
mod fake_clever;
mod healthcheck;
pub mod json;
mod log;
mod openapi;
mod output;
pub mod queues;
mod reconcile;
mod rosters;
mod serve;
mod sync;
mod token;
mod traces;
pub mod triggers;
mod users;
mod wiring;
mod work;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::error::CliError;
use self::output::{ListFormat, ReportFormat, print};
use self::traces::Traces;
use crate::config::{LogArgs, ServeArgs};

/// The limit of threads for blocking work: the readers of both embedded databases (four each), and as many for
/// preparing commits. Each thread keeps memory of its own: the usual limit of 512 threads would retain hundreds of
/// MiB.
pub const BLOCKING_THREADS: usize = 16;

/// The exit code of a command that a signal stopped, by the convention of shells.
const INTERRUPTED: u8 = 130;

/// The backend of ROAR, the Rapid Online Assessment of Reading: callable functions, document triggers
/// and exact completion counts, on Cloud Firestore or an embedded store.
///
/// Settings are environment variables or flags, both named in each command's help; the flag goes first.
#[derive(Debug, Parser)]
#[command(name = "roar-functions", version)]
struct Cli {
    #[command(flatten)]
    log: LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve functions until SIGTERM or SIGINT.
    ///
    /// Routes: POST /{function} and POST /{project}/{region}/{function} (callables), POST
    /// /events/{function} (Eventarc), POST /functions/projects/{project}/triggers/{function} (the
    /// Firestore emulator), POST /tasks/{queue} (Cloud Tasks), GET /healthz, /readyz,
    /// /metrics and /openapi.json.
    ///
    /// On SIGTERM or SIGINT the server takes no new connection and begins no new task; what runs may
    /// go on for the grace period. Nothing is lost: tasks are in the store until they're done, and
    /// events that weren't acknowledged come again.
    Serve(Box<ServeArgs>),
    /// Show the main job on an embedded store, then serve.
    ///
    /// Makes a district with students, creates an administration over HTTP, shows the assignments
    /// appear, plays students at work, and prints the counts beside a recount.
    ///
    /// With --clever, a district's roster comes from a made-up Clever, which goes on listening.
    Demo(demo::DemoArgs),
    /// Print an ID token for development.
    Token(token::TokenArgs),
    /// Read and write documents, whatever the store.
    Doc(doc::DocArgs),
    /// Compare what is derived from assignments with them, and mend it.
    ///
    /// Recounts every administration's assignments and compares: the counts of every org; what each
    /// assignment remembers to have contributed to them; every student's lists of assigned, started and
    /// completed administrations and their dates; every open assignment's orgs; assignments without an
    /// administration, a user, orgs or assessments; students without the assignment that is theirs.
    ///
    /// With --fix it mends what differs, and may do so while a server and students work on the same
    /// Firestore: students are mended in small transactions, and counts are moved by what they are off,
    /// never set. An administration whose sync is under way, due or failed, or that is being deleted, is
    /// named and left alone. Assignments of nobody, of nothing, or of students who have left all of its
    /// orgs are deleted, as a sync would do it. To adopt a database whose assignments were made by
    /// older functions, run it with --fix before the triggers are switched on.
    ///
    /// Also what runs say that assignments don't: completed tasks, and the best run. Students who fell under an
    /// administration's conditions only by promotion, where promotion assigns nothing
    /// (ROAR_ASSIGN_ON_PROMOTION=false), wait for the administration's next save: they are shown, are no difference,
    /// and get nothing from --fix.
    ///
    /// An embedded store is open to one process at a time: stop its server first (events and tasks that
    /// it left are done before anything is mended), or let a super admin call
    /// the server's reconcileAdministration {administrationId, fix}.
    ///
    /// Findings name IDs, never persons. Exits with 0 when everything was looked at and agrees (with
    /// --fix: now), with 1 when something differs still or could not be looked at, with 2 when the
    /// arguments or variables are wrong.
    Reconcile(Box<reconcile::ReconcileArgs>),
    /// Bring rosters in line with who provides them.
    Sync(sync::SyncArgs),
    /// A made-up Clever with one district, to try rosters out.
    ///
    /// Answers as Clever's Data API does, with paging, rate limit and tokens. Records are changed by POST /_control:
    /// {"action": "set", "id": ID, "path": "roles/student/grade", "value": "5"}, {"action": "move", "id": STUDENT,
    /// "from": SECTION, "to": SECTION}, remove, bringBack {"id"}, add {"section", "number"}, signIn {"id"}, fail
    /// {"path", "status", "times"}, recover.
    FakeClever(fake_clever::FakeCleverArgs),
    /// Ask a server on this machine whether it's ready; for containers. Exits with 0 when it is, else with 1.
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print the OpenAPI document of all callables, as GET /openapi.json gives it.
    Openapi,
    /// List queues of tasks, or make them in the Cloud Tasks emulator.
    Queues(queues::QueuesArgs),
    /// List document triggers, or register them with the Firestore emulator.
    Triggers(triggers::TriggersArgs),
    /// Make two users one, who turned out to be one person.
    Users(users::UsersArgs),
    /// Decide about people of rosters who may be users made by hand.
    Rosters(rosters::RostersArgs),
}

/// Runs the command that the program's arguments name. Exits with 0 when it succeeded, 1 when it
/// failed, 2 when the arguments or variables are wrong, 130 when a signal stopped the command.
pub fn main() -> ExitCode {
    let mut cli = Cli::parse();
    // A demonstration, a sync and merges print their own progress.
    let tells = matches!(cli.command, Command::Demo(_) | Command::Sync(_) | Command::Users(_) | Command::Rosters(_));
    if tells && cli.log.log == "info" {
        "warn".clone_into(&mut cli.log.log);
    }
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        };
    // Only these commands run functions, whose spans can be exported.
    let serves = matches!(cli.command, Command::Serve(_) | Command::Demo(_));
    let traces = match runtime.block_on(Traces::open(&cli.log, serves)) {
        Ok(traces) => traces,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    log::init(&cli.log, traces.as_ref());
    let result = runtime.block_on(run(cli.command));
    if let Some(traces) = traces {
        traces.close();
    }
    // Work that still runs after the grace period is abandoned.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError::Differs) => ExitCode::FAILURE,
        Err(stopped @ CliError::Stopped(_)) => {
            eprintln!("{stopped}");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if matches!(error, CliError::Config(_)) { 2 } else { 1 })
        }
    }
}

async fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Serve(args) => serve::run(&args).await,
        Command::Demo(args) => demo::run(&args).await,
        Command::Token(args) => token::run(&args),
        Command::Doc(args) => doc::run(args).await,
        Command::Reconcile(args) => reconcile::run(*args).await,
        Command::Sync(args) => sync::run(args).await,
        Command::FakeClever(args) => fake_clever::run(&args).await,
        Command::Healthcheck(args) => healthcheck::run(&args).await,
        Command::Openapi => openapi::run(),
        Command::Queues(args) => queues::run(args).await,
        Command::Triggers(args) => triggers::run(args).await,
        Command::Users(args) => users::run(args).await,
        Command::Rosters(args) => rosters::run(args).await,
    }
}

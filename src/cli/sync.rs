//! `sync clever`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::serve::{stopping, until_stopped};
use super::{CliError, ReportFormat, wiring};
use crate::app::App;
use crate::config::{AccountsArgs, BackendConfig, BehaviourArgs, CleverArgs, StoreArgs};
use crate::context::Context;
use crate::payload::done;
use crate::rostering::Rosters;
use crate::rostering::clever::Clever;
use crate::rostering::clever::answer::OrgsSynced;
use crate::rostering::partners::{AllSynced, Ask, Failure, Step, sync_all};
use crate::rostering::report::{Kind, Report, StopReason};
use crate::rostering::sync::Options;
use crate::runtime::{LocalQueue, QueueOptions};
use crate::store::StoreError;

/// The time limit for the pending events and tasks of an embedded store.
const SETTLE: Duration = Duration::from_secs(3600);
/// The time limit for the whole sync.
const LIMIT: Duration = Duration::from_secs(24 * 3600);
/// The capacity of the channel of progress steps that are to be shown.
const WAITING: usize = 64;
/// The limit of problems that the output names.
const NAMED: usize = 10;

#[derive(Debug, Args)]
pub struct SyncArgs {
    #[command(subcommand)]
    provider: Provider,
}

#[derive(Debug, Subcommand)]
enum Provider {
    /// Bring districts, schools, classes and, with --deep, people in line with Clever.
    ///
    /// Syncs every district that has connected, some at a time, each in a run of its own; does what a super admin's
    /// call of syncCleverOrgs does. What is right already isn't written. Nobody is unenrolled and nothing archived
    /// unless everything could be fetched, and unless at most ROAR_ROSTER_MISSING_SHARE percent are missing.
    ///
    /// On Firestore, a server must be running: what follows for assignments and counts follows from the documents'
    /// events. An embedded store is open to one process at a time: stop its server first, or call syncCleverOrgs there;
    /// this command then delivers the events itself.
    ///
    /// Exits with 0 when everything is in line now; with 1 when a district failed or was held back, when something
    /// couldn't be stored, or when the numbers disagree in the end; with 2 when the arguments or variables are wrong.
    Clever(Box<CleverSync>),
}

#[derive(Debug, Args)]
struct CleverSync {
    /// People too, with their classes; not orgs alone.
    #[arg(long)]
    deep: bool,
    /// Say what would change, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Only this district.
    #[arg(long, value_name = "ID")]
    district: Option<String>,
    /// Take for gone what is missing, however much it is. Look at a dry run first.
    #[arg(long)]
    confirm_unenroll: bool,
    /// table or json.
    #[arg(long, value_enum, default_value = "table")]
    format: ReportFormat,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    accounts: AccountsArgs,
    #[command(flatten)]
    clever: CleverArgs,
    #[command(flatten)]
    behaviour: BehaviourArgs,
}

pub async fn run(args: SyncArgs) -> Result<(), CliError> {
    let Provider::Clever(args) = args.provider;
    let store = args.store.check()?;
    let accounts = args.accounts.check(&store)?;
    let clever = args.clever.check()?.ok_or_else(|| {
        CliError::Other("nobody can be asked: set ROAR_CLEVER_CLIENT_ID and ROAR_CLEVER_CLIENT_SECRET".to_owned())
    })?;
    let settings = wiring::settings(&args.behaviour.check()?);
    let context = Context::system();
    let is_embedded = matches!(store.backend, BackendConfig::Embedded(_));
    let opened = wiring::open(&store, &context).await.map_err(|error| match error {
        CliError::Store(StoreError::Unavailable(why)) if is_embedded => CliError::Other(format!(
            "{why}. If that's a running server, ask it: a super admin calls syncCleverOrgs {{shallow: {}}} there. Or \
             stop it first",
            !args.deep
        )),
        error => error,
    })?;
    let accounts = wiring::accounts(&accounts, &store, &context).await?;
    let rosters = wiring::rosters(Some(clever), context.clone())?;
    let stop = stopping()?;
    let synced = match is_embedded && !args.dry_run {
        false => {
            let queue = LocalQueue::new(opened.stores.admin.clone(), QueueOptions::default());
            let app = App::new(opened.stores, accounts, context, queue, settings).with_extension(rosters);
            sync(&app, &args, &stop).await?
        }
        true => {
            let built = wiring::closed(opened, accounts, &store, settings, rosters)?;
            let dispatchers = built.start();
            let synced = sync(&built.service.app, &args, &stop).await?;
            let waiting = bar("waiting for what follows from it");
            // Events stay in the store until they're handled, so a stop loses none.
            let left = "the roster is written; what follows from it goes on when the store is opened again.";
            until_stopped(&stop, left, built.settled_within(SETTLE)).await?;
            waiting.finish_and_clear();
            for dispatcher in dispatchers {
                dispatcher.stop().await;
            }
            synced
        }
    };
    let text = match args.format {
        ReportFormat::Json => {
            let told = done(OrgsSynced::of(&synced)).map_err(|error| CliError::Other(error.to_string()))?;
            serde_json::to_string_pretty(&told).map_err(|error| CliError::Other(error.to_string()))?
        }
        ReportFormat::Table => as_text(&synced, args.dry_run),
    };
    writeln!(std::io::stdout(), "{text}").map_err(|error| CliError::Other(error.to_string()))?;
    let is_right = synced.districts.iter().all(|one| one.error.is_none() && one.report.is_right());
    if is_right { Ok(()) } else { Err(CliError::Differs) }
}

async fn sync(app: &App, args: &CleverSync, stop: &CancellationToken) -> Result<AllSynced, CliError> {
    let clever: &Clever = &Rosters::of(app).clever.clone().ok_or_else(|| CliError::Other("no Clever".to_owned()))?;
    let options = Options {
        shallow: !args.deep,
        dry_run: args.dry_run,
        confirm_unenroll: args.confirm_unenroll,
        missing_share: app.settings.roster_missing_share,
    };
    let ask = Ask { options, district: args.district.as_deref(), by: "sync clever", limit: LIMIT };
    let (steps, said) = mpsc::channel(WAITING);
    let synced = async {
        let synced = sync_all(app, clever, &ask, Some(&steps)).await;
        drop(steps);
        synced
    };
    // An interrupted run gets a moment to record its end; otherwise the next run would have to wait for its heartbeat
    // to expire.
    let rosters = Rosters::of(app);
    let stopped = async {
        stop.cancelled().await;
        rosters.stop();
        tokio::time::sleep(A_MOMENT).await;
        Err(CliError::Stopped(STOPPED.to_owned()))
    };
    let work = async {
        let (synced, ()) = futures::join!(synced, show(said));
        synced.map_err(|error| CliError::Other(error.to_string()))
    };
    let synced = tokio::select! {
        biased;
        synced = work => synced,
        stopped = stopped => stopped,
    };
    match stop.is_cancelled() {
        true => Err(CliError::Stopped(STOPPED.to_owned())),
        false => synced,
    }
}

/// The text that says what is left to do after an interrupted sync.
const STOPPED: &str =
    "what was synced so far stays; nobody was taken for gone who hadn't been. The next sync does the rest.";
/// How long an interrupted sync may take to record the end of its runs.
const A_MOMENT: Duration = Duration::from_millis(1500);

/// Shows the progress of the districts, a bar each, on standard error; hidden when that isn't a terminal.
async fn show(mut steps: mpsc::Receiver<Step>) {
    let all = MultiProgress::new();
    let mut bars: BTreeMap<String, ProgressBar> = BTreeMap::new();
    while let Some(step) = steps.recv().await {
        let bar = bars.entry(step.district.clone()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}");
            let bar = ProgressBar::new(0).with_prefix(step.district.clone());
            all.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")))
        });
        bar.set_length(step.progress.total.unwrap_or(step.progress.done).max(step.progress.done));
        bar.set_position(step.progress.done);
        let rate = if step.rate >= 1.0 { format!(", {:.0} a second", step.rate) } else { String::new() };
        bar.set_message(format!("{}{rate}", step.progress.phase.name().replace('_', " ")));
    }
    bars.values().for_each(ProgressBar::finish);
}

fn bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn as_text(synced: &AllSynced, dry_run: bool) -> String {
    let mut table = Table::new();
    let header = ["District", "", "created", "updated", "unchanged", "gone", "skipped", "failed"];
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    let mut lines = Vec::new();
    for one in &synced.districts {
        for (kind, counts) in &one.report.counts {
            let number = |number: u64| Cell::new(number).set_alignment(CellAlignment::Right);
            table.add_row([
                Cell::new(&one.district),
                Cell::new(kind.plural()),
                number(counts.created),
                number(counts.updated),
                number(counts.unchanged),
                number(counts.removed),
                number(counts.skipped),
                number(counts.failed),
            ]);
        }
        match &one.error {
            Some(Failure::Busy(run)) => lines.push(format!("{} is being synced already (run {run}).", one.district)),
            Some(Failure::Failed(error)) => lines.push(format!("{} failed: {error}.", one.district)),
            None => {}
        }
        if let Some(held) = one.report.safety_stop {
            let advice = match held.reason {
                StopReason::Empty => ".",
                _ => "; --confirm-unenroll does it.",
            };
            lines.push(format!("{}: {held}. Nothing was taken for gone{advice}", one.district));
        }
        if let Some(keeps) = one.report.incomplete {
            lines.push(format!("{}: {}; what is missing wasn't taken for gone.", one.district, keeps.told()));
        }
        for problem in one.report.problems.iter().take(NAMED) {
            let id = problem.id.as_deref().unwrap_or("one without an ID");
            lines.push(format!("{}, {}: {} ({}).", one.district, problem.kind.plural(), problem.why, id));
        }
        if dry_run {
            for difference in one.report.differences.iter().take(NAMED) {
                let fields = difference.fields.join(", ");
                let what = if fields.is_empty() { String::new() } else { format!(": {fields}") };
                lines.push(format!(
                    "{} {} would be {}{what}",
                    difference.kind.plural(),
                    difference.id,
                    difference.action
                ));
            }
            lines.push(format!("{}: {} would change.", one.district, one.report.differing));
        }
        if one.report.doubles > 0 {
            lines.push(format!(
                "{}: {} new people may be users made by hand; rosters doubles --district {} shows them.",
                one.district, one.report.doubles, one.district
            ));
        }
        for mismatch in &one.report.mismatches {
            let (theirs, ours) = (mismatch.provider, mismatch.here);
            let kind = mismatch.user_type.unwrap_or(mismatch.kind.plural());
            lines.push(format!("{}: Clever has {theirs} {kind}, ROAR {ours}.", one.district));
        }
    }
    lines.extend(synced.disconnected.iter().map(|id| format!("{id} isn't connected any more; it stays as it is.")));
    let total = Report::total(synced.districts.iter().map(|one| &one.report));
    let users = total.get(&Kind::Users).map_or(0, |counts| counts.done());
    lines.push(format!("{} districts, {users} people.", synced.districts.len()));
    if table.row_count() > 0 { format!("{table}\n{}", lines.join("\n")) } else { lines.join("\n") }
}

//! `reconcile`.

use std::io::Write as _;
use std::time::Duration;

use clap::{Args, ValueEnum};
use comfy_table::{Cell, CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

use super::serve::{stopping, until_stopped};
use super::wiring::Opened;
use super::{CliError, ReportFormat, wiring};
use crate::app::{App, Projects, Settings};
use crate::config::{AccountsArgs, BackendConfig, StoreArgs, StoreConfig, assigned_user_types};
use crate::context::Context;
use crate::reconcile::hierarchy::report::HierarchyReport;
use crate::reconcile::hierarchy::{reconcile_claims, reconcile_orgs};
use crate::reconcile::report::{AdministrationReport, Kind, State};
use crate::reconcile::{Options, Report, Step, adopt, reconcile_all, reconcile_one};
use crate::rostering::Rosters;
use crate::runtime::{LocalQueue, QueueOptions};
use crate::store::StoreError;

/// How long a difference must persist where others may write meanwhile: the time that events take to arrive.
const PATIENCE: Duration = Duration::from_secs(3);
/// The time limit for the pending events and tasks of an embedded store.
const SETTLE: Duration = Duration::from_secs(1800);
/// The number of examples in a line of the table.
const EXAMPLES: usize = 3;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// What is derived from assignments, with them.
    Administrations,
    /// Lists of children, districts of classes and the orgs of people, with the orgs' own links.
    Orgs,
    /// Rights over orgs, with what was granted and what is below that.
    Claims,
}

#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// What to compare. Of orgs: the lists of children in the documents of districts, schools and others; the district
    /// that a class copies from its school; and which orgs above their schools and classes people are in. Costs a read
    /// for each org and each user. Of claims: the orgs that everybody has rights over. Costs a read for each org and
    /// each account that has signed in.
    #[arg(value_enum, default_value = "administrations")]
    what: What,
    /// Only this administration. It need not exist: what is left of a deleted one is found, too.
    /// Default: all, and what is left of deleted ones.
    #[arg(long, value_name = "ID")]
    administration: Option<String>,
    /// Mend what differs.
    #[arg(long)]
    fix: bool,
    /// Begin a sync of every administration that this service has never synced, after mending. For a database of older
    /// functions, once these are switched off. On Firestore, servers do the work: within ROAR_TASKS_SWEEP with Cloud
    /// Tasks, else when one starts. What is said of differences is from before.
    #[arg(long, requires = "fix")]
    adopt: bool,
    /// table (one line for each kind of difference, with examples) or json (every finding, up to 200 of
    /// a kind, and how many there are of each).
    #[arg(long, value_enum, default_value = "table")]
    format: ReportFormat,
    /// The types of users that administrations are assigned to, separated by commas: as `serve` has it.
    #[arg(long, value_name = "TYPES", env = "ROAR_ASSIGNED_USER_TYPES", default_value = "student")]
    assigned_user_types: String,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    accounts: AccountsArgs,
}

pub async fn run(args: ReconcileArgs) -> Result<(), CliError> {
    let settings =
        Settings { assigned_user_types: assigned_user_types(&args.assigned_user_types)?, ..Settings::default() };
    let store = args.store.check()?;
    let accounts = args.accounts.check(&store)?;
    let context = Context::system();
    let is_embedded = matches!(store.backend, BackendConfig::Embedded(_));
    let opened = wiring::open(&store, &context).await.map_err(|error| match error {
        CliError::Store(StoreError::Unavailable(why)) if is_embedded => CliError::Other(format!(
            "{why}. If that's a running server, ask it: a super admin calls reconcileAdministration \
             {{administrationId, fix}} there. Or stop it first"
        )),
        error => error,
    })?;
    let accounts = wiring::accounts(&accounts, &store, &context).await.map_err(|error| match error {
        CliError::Store(StoreError::Unavailable(why)) => CliError::Other(format!(
            "{why}. If that's a running server, stop it first, or let both have the Auth emulator \
             (FIREBASE_AUTH_EMULATOR_HOST)"
        )),
        error => error,
    })?;
    if args.what != What::Administrations && (args.administration.is_some() || args.adopt) {
        let why =
            "--administration and --adopt are about administrations: leave them out, or leave out orgs and claims";
        return Err(CliError::Other(why.to_owned()));
    }
    let bar = bar(args.what);
    let stop = stopping()?;
    let left = match args.fix {
        true => "what was mended so far is mended, students and counts alike. Run it again for the rest.",
        false => "nothing was written.",
    };
    let (answer, waiting) = match args.fix && is_embedded {
        true => {
            let work = settled(opened, accounts, &store, &args, settings, &bar);
            (until_stopped(&stop, left, work).await?, 0)
        }
        false => {
            let waiting = opened.embedded.iter().map(|store| store.pending_events()).sum();
            let queue = LocalQueue::new(opened.stores.admin.clone(), QueueOptions::default());
            let patience = if is_embedded { Duration::ZERO } else { PATIENCE };
            let app = App::new(opened.stores, accounts, context, queue, settings);
            (until_stopped(&stop, left, reconcile(&app, &args, patience, &bar)).await?, waiting)
        }
    };
    bar.finish_and_clear();
    writeln!(std::io::stdout(), "{}", answer.text).map_err(|error| CliError::Other(error.to_string()))?;
    if waiting > 0 {
        let hint = "counts and lists may lag behind them; --fix or `serve` delivers them first";
        eprintln!("note: {waiting} document events are still to be delivered: {hint}");
    }
    if answer.agrees { Ok(()) } else { Err(CliError::Differs) }
}

/// Reconciles an embedded store, which no other process has open. Pending events and tasks are processed first, because
/// what they are about to change is no difference. The events and tasks that the repairs cause are processed
/// afterwards.
async fn settled(
    opened: Opened,
    accounts: Projects,
    store: &StoreConfig,
    args: &ReconcileArgs,
    settings: Settings,
    bar: &ProgressBar,
) -> Result<Answer, CliError> {
    let built = wiring::closed(opened, accounts, store, settings, Rosters::default())?;
    let dispatchers = built.start();
    bar.set_message("waiting for events and tasks");
    built.settled_within(SETTLE).await?;
    let report = reconcile(&built.service.app, args, Duration::ZERO, bar).await;
    built.settled_within(SETTLE).await?;
    for dispatcher in dispatchers {
        dispatcher.stop().await;
    }
    report
}

/// The command's output, and whether everything agrees.
struct Answer {
    text: String,
    agrees: bool,
}

impl Answer {
    fn new<T: serde::Serialize>(
        report: &T,
        agrees: bool,
        format: ReportFormat,
        table: impl Fn(&T) -> String,
    ) -> Result<Answer, CliError> {
        let text = match format {
            ReportFormat::Json => {
                serde_json::to_string_pretty(report).map_err(|error| CliError::Other(error.to_string()))?
            }
            ReportFormat::Table => table(report),
        };
        Ok(Answer { text, agrees })
    }
}

async fn reconcile(app: &App, args: &ReconcileArgs, patience: Duration, bar: &ProgressBar) -> Result<Answer, CliError> {
    let looked = || bar.inc(1);
    let report = match args.what {
        What::Administrations => {
            let report = administrations(app, args, patience, bar).await?;
            return Answer::new(&report, report.agrees, args.format, as_text);
        }
        What::Orgs => reconcile_orgs(app, args.fix, &looked).await?,
        What::Claims => reconcile_claims(app, args.fix, &looked).await?,
    };
    Answer::new(&report, report.agrees, args.format, hierarchy_as_text)
}

async fn administrations(
    app: &App,
    args: &ReconcileArgs,
    patience: Duration,
    bar: &ProgressBar,
) -> Result<Report, CliError> {
    let options = Options { fix: args.fix, patience };
    let watch = |step: Step<'_>| match step {
        Step::Found(administrations) => bar.set_length(administrations as u64),
        Step::Begins(id) => bar.set_message(id.to_owned()),
        Step::Looked(_) => bar.tick(),
        Step::Done => bar.inc(1),
    };
    let report = match &args.administration {
        None => reconcile_all(app, &options, &watch).await?,
        Some(id) => reconcile_one(app, id, &options, &watch)
            .await?
            .ok_or_else(|| CliError::Other(format!("there is no administration {id}, nor anything of one")))?,
    };
    if args.adopt {
        let adopted = adopt(app, args.administration.as_deref()).await?;
        bar.suspend(|| {
            eprintln!(
                "note: a sync begins of {} administrations that had none; reconcile again when it has ended",
                adopted.len()
            )
        });
    }
    Ok(report)
}

/// A progress bar on standard error; hidden when that isn't a terminal.
fn bar(what: What) -> ProgressBar {
    let style = ProgressStyle::with_template(match what {
        What::Administrations => "{spinner} {pos} of {len} administrations {wide_msg} {elapsed}",
        What::Orgs => "{spinner} {pos} orgs that differ, and users {elapsed}",
        What::Claims => "{spinner} {pos} accounts {elapsed}",
    });
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn as_text(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["Administration", "Found", "Fixed", "", "For example"]);
    let found: Vec<_> = report.administrations.iter().filter(|one| !one.kinds.is_empty()).collect();
    for administration in &found {
        for (kind, tally) in &administration.kinds {
            let number = |number: u64| Cell::new(number).set_alignment(CellAlignment::Right);
            table.add_row([
                Cell::new(&administration.administration_id),
                number(tally.found),
                number(tally.fixed),
                Cell::new(kind.text()),
                Cell::new(examples(administration, *kind)),
            ]);
        }
    }
    let mut lines = Vec::new();
    if !found.is_empty() {
        lines.push(table.to_string());
    }
    for administration in &report.administrations {
        let id = &administration.administration_id;
        let why = match administration.state {
            State::Pending => Some("its sync is under way, or due"),
            State::Failed => Some("its sync has failed; save it again"),
            State::Deleting => Some("it is being deleted"),
            State::Open | State::Closed | State::Gone => None,
        };
        lines.extend(why.map(|why| format!("{id} was not looked at: {why}.")));
        lines.extend(administration.notes.iter().map(|note| format!("{id}: {note}.")));
    }
    let assignments: u64 = report.administrations.iter().map(|one| one.assignments).sum();
    let agreeing = report.administrations.iter().filter(|one| one.agrees()).count();
    let differed = found.iter().any(|one| one.kinds.keys().any(|kind| kind.is_difference()));
    let now = if differed { " now" } else { "" };
    lines.push(format!(
        "{agreeing} of {} administrations agree{now} ({assignments} assignments).",
        report.administrations.len()
    ));
    lines.join("\n")
}

fn hierarchy_as_text(report: &HierarchyReport) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["Found", "Fixed", "", "For example"]);
    for (kind, tally) in &report.kinds {
        let number = |number: u64| Cell::new(number).set_alignment(CellAlignment::Right);
        let of_kind = report.findings.iter().filter(|finding| finding.kind == *kind);
        let examples = of_kind.take(EXAMPLES).map(|finding| finding.place()).collect::<Vec<_>>().join(", ");
        table.add_row([number(tally.found), number(tally.fixed), Cell::new(kind.text()), Cell::new(examples)]);
    }
    let looked = format!("{} orgs, {} users, {} accounts looked at", report.orgs, report.users, report.claims);
    let all = if report.agrees { "all agree" } else { "not all agree" };
    let now = if report.fix && report.kinds.values().any(|tally| tally.fixed > 0) { " now" } else { "" };
    match report.kinds.is_empty() {
        true => format!("{looked}: {all}."),
        false => format!("{table}\n{looked}: {all}{now}."),
    }
}

fn examples(administration: &AdministrationReport, kind: Kind) -> String {
    let of_kind = administration.findings.iter().filter(|finding| finding.kind == kind);
    of_kind.take(EXAMPLES).map(|finding| finding.place()).collect::<Vec<_>>().join(", ")
}

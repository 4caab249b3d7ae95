//! `rosters doubles`.

use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::{Cell, Table, presets};
use indicatif::ProgressBar;
use serde_json::json;

use super::work::{Ask as Work, ChangeArgs, PlaceArgs, work};
use super::{CliError, ReportFormat, print};
use crate::app::App;
use crate::rostering::doubles::{Ask, DecideError, Decided, Double, decide, waiting};

/// The time limit for the whole command.
const LIMIT: Duration = Duration::from_secs(24 * 3600);
/// The limit of pairs that are shown, and of failed merges that are.
const SHOWN: usize = 1000;
/// The name recorded as the author of the decisions.
const BY: &str = "rosters doubles";

#[derive(Debug, Args)]
pub struct RostersArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Decide about people of a roster who may be users made by hand.
    ///
    /// Whoever is new in a roster gets a user of their own. Where a user of the district who was made by hand shows the
    /// same address, name and, as far as both are known, date of birth, the two are noted as a pair: administrators can
    /// edit these fields, so they make nobody the same person. Without more, this lists the pairs that wait, by ID.
    ///
    /// --confirm says that a pair is one person, --confirm-all that all pairs are: for a district that moves from users
    /// made by hand to a roster. The user made by hand is merged into the roster's (see users merge), with assignments,
    /// runs and rights. Pairs whose person may be one of several users, or of which no name agrees, are left out of all:
    /// confirm them by ID, or reject them. --reject says that a pair is two people; it isn't shown again.
    ///
    /// Only shows what it comes to; --apply does it. Cut short anywhere, it does the rest when it's run again. A merge
    /// can't be undone.
    ///
    /// On Firestore, a server must be running: what follows for counts and copies follows from the documents' events.
    /// An embedded store is open to one process at a time: stop its server first, or call rosterDoubles there.
    ///
    /// Output names IDs, never persons. Exits with 1 when a pair that was confirmed couldn't be merged.
    Doubles(Box<DoublesArgs>),
}

#[derive(Debug, Args)]
struct DoublesArgs {
    /// The roster's district.
    #[arg(long, value_name = "ID")]
    district: String,
    /// Pairs that are one person.
    #[arg(long, value_name = "PAIR", num_args = 1.., conflicts_with = "confirm_all")]
    confirm: Vec<String>,
    /// All pairs that wait are one person each.
    #[arg(long)]
    confirm_all: bool,
    /// Pairs that are two people.
    #[arg(long, value_name = "PAIR", num_args = 1..)]
    reject: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    place: PlaceArgs,
}

impl From<DecideError> for CliError {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Store(error) => CliError::Store(error),
            error => CliError::Other(error.to_string()),
        }
    }
}

pub async fn run(args: RostersArgs) -> Result<(), CliError> {
    let Action::Doubles(args) = args.action;
    if let Some(pair) = args.confirm.iter().find(|pair| args.reject.contains(pair)) {
        return Err(CliError::Other(format!("{pair} is both confirmed and rejected")));
    }
    let ask = Work {
        place: &args.place,
        apply: args.change.apply,
        instead: "call rosterDoubles {districtId, confirm, confirmAll, reject, apply} there",
        left: match args.change.apply {
            true => "what was confirmed so far stays so. Run it again for the rest.",
            false => "nothing was written.",
        },
    };
    let (decided, pairs) = work(&ask, async |app: &App| decide_and_list(app, &args).await).await?;
    let text = match args.change.format {
        ReportFormat::Json => {
            let mut all = serde_json::to_value(&decided).map_err(|error| CliError::Other(error.to_string()))?;
            all["pairs"] = json!(pairs);
            serde_json::to_string_pretty(&all).map_err(|error| CliError::Other(error.to_string()))?
        }
        ReportFormat::Table => as_text(&args, &decided, &pairs),
    };
    print(&format!("{text}\n"))?;
    if decided.failed > 0 { Err(CliError::Differs) } else { Ok(()) }
}

async fn decide_and_list(app: &App, args: &DoublesArgs) -> Result<(Decided, Vec<Double>), CliError> {
    let ask = Ask {
        district: &args.district,
        confirm: &args.confirm,
        confirm_all: args.confirm_all,
        reject: &args.reject,
        apply: args.change.apply,
        by: BY,
        rights: None,
        limit: LIMIT,
    };
    let bar = ProgressBar::new_spinner().with_message("pairs");
    let decided = decide(app, &ask, &|done| bar.set_message(format!("{done} pairs"))).await;
    bar.finish_and_clear();
    let decided = decided?;
    let mut pairs = Vec::new();
    let mut after: Option<String> = None;
    while pairs.len() < SHOWN {
        let page = waiting(&app.stores.admin, &args.district, after.as_deref()).await?;
        pairs.extend(page.pairs);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    pairs.truncate(SHOWN);
    Ok((decided, pairs))
}

fn as_text(args: &DoublesArgs, decided: &Decided, pairs: &[Double]) -> String {
    let mut lines = Vec::new();
    if !pairs.is_empty() {
        let mut table = Table::new();
        let header = ["Pair", "At the provider", "The roster's user", "Made by hand", "What agrees", ""];
        table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
        for double in pairs {
            let several = if double.is_one_of_several { "one of several" } else { "" };
            table.add_row([
                Cell::new(&double.pair),
                Cell::new(&double.provider_id),
                Cell::new(&double.rostered),
                Cell::new(&double.known),
                Cell::new(double.agrees.join(", ")),
                Cell::new(several),
            ]);
        }
        lines.push(table.to_string());
    }
    for failure in &decided.failures {
        lines.push(format!("{}: {}", failure.pair, failure.why));
    }
    let Decided { confirmed, rejected, assignments, runs, accounts_given_up, .. } = decided;
    if args.confirm_all || !args.confirm.is_empty() {
        let are = if decided.applied { "are" } else { "would be" };
        lines.push(format!(
            "{confirmed} pairs {are} one user each, with {assignments} assignments and {runs} runs that go over; \
             {accounts_given_up} accounts are given up."
        ));
    }
    if *rejected > 0 {
        let are = if decided.applied { "are" } else { "would be" };
        lines.push(format!("{rejected} pairs {are} two people."));
    }
    for (number, why) in [
        (decided.gone, "of which a user isn't there any more"),
        (decided.unsure, "were left out: their person may be one of several users, or no name agrees"),
        (decided.failed, "couldn't be merged"),
    ] {
        if number > 0 {
            lines.push(format!("{number} pairs {why}."));
        }
    }
    if decided.cut_short {
        lines.push("The time was over; run it again for the rest.".to_owned());
    }
    lines.push(format!("{} pairs of {} wait.", decided.waiting, args.district));
    let decides = args.confirm_all || !args.confirm.is_empty() || !args.reject.is_empty();
    if decides && !args.change.apply {
        lines.push("Nothing was written. --apply does it; a merge can't be undone.".to_owned());
    }
    lines.join("\n")
}

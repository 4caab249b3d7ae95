//! `users merge`.

use clap::{Args, Subcommand};
use comfy_table::{Cell, Table, presets};

use super::work::{Ask, work};
use super::{CliError, ReportFormat, print};
use crate::app::App;
use crate::config::{AccountsArgs, BehaviourArgs, StoreArgs};
use crate::users::merging::{MergeError, Merged, merge};

/// IDs in a line of the table.
const NAMED: usize = 5;
/// Who it's noted to have been, where rights go over.
const BY: &str = "users merge";

#[derive(Debug, Args)]
pub struct UsersArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make two users one, who turned out to be one person. Shows what would change; --apply does it.
    ///
    /// INTO stays and FROM is archived, with a pointer to INTO. INTO gets FROM's orgs, assignments (of each task the
    /// better progress of both), runs with their trials, entries of rosters, relations, and the account that FROM
    /// signs in with. Where both have an account, INTO's stays and takes over the rights of FROM's, with which nobody
    /// can sign in afterwards: let the user stay who signs in the way they will go on to.
    ///
    /// A merge that was cut short is finished by asking for it again; repeated, it changes nothing. It can't be undone.
    ///
    /// On Firestore, a server must be running: what follows for counts and copies follows from the documents' events.
    /// An embedded store is open to one process at a time: stop its server first, or let a super admin call mergeUsers
    /// {from, into, apply} there.
    ///
    /// Output names IDs, never persons.
    Merge(Box<MergeArgs>),
}

#[derive(Debug, Args)]
struct MergeArgs {
    /// The ID of the user who goes.
    from: String,
    /// The ID of the user who stays.
    into: String,
    /// Do it.
    #[arg(long)]
    apply: bool,
    /// Only show it, which is what happens without --apply in any case.
    #[arg(long, conflicts_with = "apply")]
    dry_run: bool,
    /// table or json.
    #[arg(long, value_enum, default_value = "table")]
    format: ReportFormat,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    accounts: AccountsArgs,
    #[command(flatten)]
    behaviour: BehaviourArgs,
}

impl From<MergeError> for CliError {
    fn from(error: MergeError) -> Self {
        match error {
            MergeError::Store(error) => CliError::Store(error),
            error => CliError::Other(error.to_string()),
        }
    }
}

pub async fn run(args: UsersArgs) -> Result<(), CliError> {
    let Action::Merge(args) = args.action;
    let ask = Ask {
        store: &args.store,
        accounts: &args.accounts,
        behaviour: &args.behaviour,
        apply: args.apply,
        instead: "call mergeUsers {from, into, apply} there",
        left: match args.apply {
            true => "what was merged so far stays so. Run it again for the rest.",
            false => "nothing was written.",
        },
    };
    let merged = work(&ask, async |app: &App| Ok(merge(app, &args.from, &args.into, args.apply, BY).await?)).await?;
    let text = match args.format {
        ReportFormat::Json => {
            serde_json::to_string_pretty(&merged).map_err(|error| CliError::Other(error.to_string()))?
        }
        ReportFormat::Table => as_text(&merged),
    };
    print(&format!("{text}\n"))
}

fn as_text(merged: &Merged) -> String {
    let (from, into) = (&merged.from, &merged.into);
    if merged.already_merged {
        return format!("{from} is merged into {into} already; nothing is left to do.");
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["What goes over", "How many", "For example"]);
    let listed = [
        ("orgs", &merged.orgs),
        ("assignments moved", &merged.assignments_moved),
        ("assignments combined", &merged.assignments_combined),
        ("accounts that sign in as the user who stays", &merged.accounts),
        ("accounts given up", &merged.accounts_given_up),
    ];
    for (what, ids) in listed {
        table.add_row([Cell::new(what), Cell::new(ids.len()), Cell::new(some(ids))]);
    }
    let counted =
        [("runs", merged.runs), ("entries of rosters", merged.roster_entries), ("relations", merged.relations)];
    for (what, number) in counted {
        table.add_row([Cell::new(what), Cell::new(number), Cell::new("")]);
    }
    let said = match merged.applied {
        true => format!("{from} is merged into {into}, and archived."),
        false => format!("Nothing was written. --apply merges {from} into {into}; that can't be undone."),
    };
    format!("{table}\n{said}")
}

fn some(ids: &[String]) -> String {
    let more = if ids.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", ids.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", "))
}

//! `users merge` and `users suspend`.

use clap::{Args, Subcommand};
use comfy_table::{Cell, Table, presets};

use super::work::{Ask, ChangeArgs, PlaceArgs, work};
use super::{CliError, ReportFormat, print};
use crate::app::App;
use crate::claims::suspension::Suspension;
use crate::merging::{MergeError, Merged, merge};

/// The limit of IDs in a line of the table.
const NAMED: usize = 5;
/// The name recorded as the author when a merge transfers rights.
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
    /// Suspend somebody at once: from now on no function does anything for them, and no security rule gives them rights
    /// over others, though their ID tokens last for up to an hour. What is theirs alone (their user document, runs,
    /// assignments) the rules leave open to those tokens. Their accounts in both projects are disabled, and what they are
    /// signed in with can't be renewed. Their rights stay on record, for --lift to give back.
    ///
    /// The same as updateUserRecord {uid, userRecord: {disabled: true}} by a super admin. Repeated, it changes nothing; cut short, it's
    /// finished by asking for it again, and until then the user is suspended. Every change is in claimsAudit.
    ///
    /// An embedded store is open to one process at a time: stop its server first, or call updateUserRecord there.
    Suspend(Box<SuspendArgs>),
}

#[derive(Debug, Args)]
struct SuspendArgs {
    /// The Auth UID, in the admin project.
    uid: String,
    /// Let them in again.
    #[arg(long)]
    lift: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
struct MergeArgs {
    /// The ID of the user who goes.
    from: String,
    /// The ID of the user who stays.
    into: String,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    place: PlaceArgs,
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
    match args.action {
        Action::Merge(args) => run_merge(*args).await,
        Action::Suspend(args) => run_suspend(*args).await,
    }
}

async fn run_suspend(args: SuspendArgs) -> Result<(), CliError> {
    let ask = Ask {
        place: &args.place,
        apply: true,
        instead: "call updateUserRecord {uid, userRecord: {disabled}} there",
        left: "the user is suspended, or was not let in again. Run it again to end it.",
    };
    let suspension =
        Suspension { function: "users suspend", by: "users suspend", admin_uid: &args.uid, by_super_admin: true };
    let changed = async |app: &App| {
        let changed = suspension.of_everything(app, !args.lift).await;
        changed.map_err(|error| CliError::Other(error.message))
    };
    let said = match (args.lift, work(&ask, changed).await?) {
        (false, true) => "is suspended.",
        (false, false) => "is suspended already.",
        (true, true) => "is no longer suspended.",
        (true, false) => "isn't suspended.",
    };
    print(&format!("{} {said}\n", args.uid))
}

async fn run_merge(args: MergeArgs) -> Result<(), CliError> {
    let ask = Ask {
        place: &args.place,
        apply: args.change.apply,
        instead: "call mergeUsers {from, into, apply} there",
        left: match args.change.apply {
            true => "what was merged so far stays so. Run it again for the rest.",
            false => "nothing was written.",
        },
    };
    let merged =
        work(&ask, async |app: &App| Ok(merge(app, &args.from, &args.into, args.change.apply, BY).await?)).await?;
    let text = match args.change.format {
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

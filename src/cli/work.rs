//! The shared part of commands whose work a running server also offers as a callable.

use std::time::Duration;

use clap::Args;

use super::serve::{stopping, until_stopped};
use super::{CliError, ReportFormat, wiring};
use crate::app::App;
use crate::config::{AccountsArgs, BackendConfig, BehaviourArgs, StoreArgs};
use crate::context::Context;
use crate::rostering::Rosters;
use crate::runtime::{LocalQueue, QueueOptions};
use crate::store::StoreError;

/// The time limit for the pending events and tasks of an embedded store.
const SETTLE: Duration = Duration::from_secs(1800);

/// The stores and accounts that a command works on, and what handlers do meanwhile.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    accounts: AccountsArgs,
    #[command(flatten)]
    behaviour: BehaviourArgs,
}

/// Whether a command writes what it comes to, and how it reports that.
#[derive(Debug, Args)]
pub struct ChangeArgs {
    /// Do it.
    #[arg(long)]
    pub apply: bool,
    /// Only show it, which is what happens without --apply in any case.
    #[arg(long, conflicts_with = "apply")]
    dry_run: bool,
    /// table or json.
    #[arg(long, value_enum, default_value = "table")]
    pub format: ReportFormat,
}

/// The settings of a command's work, and the texts of its errors.
pub struct Ask<'a> {
    pub place: &'a PlaceArgs,
    /// True when the command writes.
    pub apply: bool,
    /// The callable to use instead, where a server has the embedded store open.
    pub instead: &'a str,
    /// The text that says what is left to do after an interrupted command.
    pub left: &'a str,
}

/// Opens the stores and does the work. On an embedded store, the events and tasks that the work causes are processed,
/// too.
pub async fn work<T>(ask: &Ask<'_>, work: impl AsyncFnOnce(&App) -> Result<T, CliError>) -> Result<T, CliError> {
    let store = ask.place.store.check()?;
    let accounts = ask.place.accounts.check(&store)?;
    let settings = wiring::settings(&ask.place.behaviour.check()?);
    let context = Context::system();
    let is_embedded = matches!(store.backend, BackendConfig::Embedded(_));
    let running = |error| match error {
        CliError::Store(StoreError::Unavailable(why)) if is_embedded => CliError::Other(format!(
            "{why}. If that's a running server, ask it: a super admin may {}. Or stop it first",
            ask.instead
        )),
        error => error,
    };
    let opened = wiring::open(&store, &context).await.map_err(running)?;
    let accounts = wiring::accounts(&accounts, &store, &context).await.map_err(running)?;
    let stop = stopping()?;
    if !(is_embedded && ask.apply) {
        let queue = LocalQueue::new(opened.stores.admin.clone(), QueueOptions::default());
        let app = App::new(opened.stores, accounts, context, queue, settings);
        return until_stopped(&stop, ask.left, work(&app)).await;
    }
    let built = wiring::closed(opened, accounts, &store, settings, Rosters::default())?;
    let dispatchers = built.start();
    let done = until_stopped(&stop, ask.left, async {
        built.settled_within(SETTLE).await?;
        let done = work(&built.service.app).await?;
        built.settled_within(SETTLE).await?;
        Ok(done)
    });
    let done = done.await?;
    for dispatcher in dispatchers {
        dispatcher.stop().await;
    }
    Ok(done)
}

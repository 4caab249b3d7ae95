//! Rosters of schools from outside: who provides them, what their records say, and what these change about orgs and
//! people.
//!
//! - [`model`] has what rosters say, [`source`] what is asked of a provider; [`sources`] are the providers that there are.
//! - [`org`] and [`person`] decide what a record changes about a document. Both are pure.
//! - [`sync`] brings one district in line with its roster, in a [`run`] that documents show; [`partners`] syncs all
//!   districts of a provider; [`report`] has what a sync comes to.
//! - [`doubles`] are people of a roster who may be users that were made by hand.
//!
//! Only `sources` knows a provider by name. Syncs write orgs, users and roster entries only; what follows from that, for
//! assignments, runs and counts, follows from the documents' events.

pub mod doubles;
pub mod model;
pub mod org;
pub mod partners;
pub mod person;
pub mod report;
pub mod run;
pub mod source;
pub mod sources;
pub mod sync;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use self::sources::clever;
use self::sources::clever::Clever;
pub use self::tally::{Tally, UnderWay};
use crate::app::App;
use crate::store::backoff::{Backoff, Jitter};

/// The providers of rosters that are set up, and the syncs that this process has under way.
#[derive(Default)]
pub struct Rosters {
    /// Clever, where it's set up.
    pub clever: Option<Clever>,
    /// The syncs of this process.
    pub tally: Tally,
    stop: watch::Sender<bool>,
}

impl Rosters {
    /// The rosters of this process.
    pub fn of(app: &App) -> Arc<Rosters> {
        app.extension()
    }

    /// Rosters from these providers.
    pub fn new(clever: Option<Clever>) -> Rosters {
        Rosters { clever, ..Rosters::default() }
    }

    /// Ends the syncs under way, as failed, because the process is to end. Else the next sync would have to wait until
    /// their runs have been without a heartbeat for long.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// True when syncs are to end, and none is to begin.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Resolves when syncs are to end.
    pub(crate) async fn stopped(&self) {
        // Waiting fails only when the sender is dropped, and `self` owns the sender.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }
}

/// The pauses before something that failed is tried again: a second, then twice as long each time, a minute at most,
/// each with a fifth more or less (docs/domain/rosters.md#runs-of-a-sync).
const BACKOFF: Backoff =
    Backoff::new(Duration::from_secs(1), Duration::from_secs(60)).with_jitter(Jitter::PlusMinus(20));

//! Rosters of schools from outside: who provides them, what their records say, and what these change about orgs and
//! people.
//!
//! [`org`] and [`person`] are pure, and know no provider. Importers write orgs and users documents only; what
//! follows from that, for assignments, runs and counts, follows from the documents' events.

pub mod clever;
pub mod doubles;
pub mod org;
pub mod person;
pub mod report;
pub mod run;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use self::clever::Clever;
pub use self::tally::{Tally, UnderWay};
use crate::app::App;
use crate::store::backoff::{Backoff, Jitter};

/// Who provides rosters, and which syncs this process has under way.
#[derive(Default)]
pub struct Rosters {
    /// Clever, where it's set up.
    pub clever: Option<Clever>,
    /// The syncs of this process.
    pub tally: Tally,
    stop: watch::Sender<bool>,
}

impl Rosters {
    /// Those of this process.
    pub fn of(app: &App) -> Arc<Rosters> {
        app.extension()
    }

    /// With these providers.
    pub fn new(clever: Option<Clever>) -> Rosters {
        Rosters { clever, ..Rosters::default() }
    }

    /// Ends the syncs under way, as failed: the process is to end, and the next sync need not wait until a run without
    /// a sign of life is taken for dead.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// True when syncs are to end, and none is to begin.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Resolves when syncs are to end.
    pub(crate) async fn stopped(&self) {
        // The sender is here, so it can't be gone.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }
}

/// The pauses before something that failed is tried again: a second, then twice as long each time, a minute at most,
/// each with a fifth more or less (docs/domain/rosters.md#runs-of-a-sync).
const BACKOFF: Backoff =
    Backoff::new(Duration::from_secs(1), Duration::from_secs(60)).with_jitter(Jitter::PlusMinus(20));

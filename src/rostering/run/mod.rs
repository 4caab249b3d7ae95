//! Runs of a sync, as documents show them (docs/domain/rosters.md#runs-of-a-sync): one at a time for each partner,
//! with a heartbeat.
//!
//! A *partner* is who shares a roster: a district at Clever, say. A run keeps no state that a sync needs: a sync that was
//! cut short anywhere is made good by the next. What it keeps is for people, and for others who would begin one.

mod record;

use std::time::Duration;

use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::watch;

pub use self::record::Begin;
use self::record::{Ending, heartbeat};
use crate::app::App;
use crate::documents::rostering_partner::{self as partners, partner_path};
pub use crate::documents::rostering_partner::{Learnt, Remembered};
use crate::documents::rostering_run::{self as runs, Begun, Event, run_path};
use crate::rostering::Rosters;
use crate::rostering::report::{Phase, Progress, Report};
use crate::store::{DocPath, Document, FieldPath, Fields, Precondition, StoreError, Timestamp, Transaction, Write};

/// A run without a heartbeat for so long is over (docs/domain/rosters.md#runs-of-a-sync).
const SILENCE: jiff::SignedDuration = jiff::SignedDuration::from_mins(15);
/// How often a run says that it's alive. A new phase is said at once.
const BEAT: Duration = Duration::from_secs(10);
/// A run that was held up for so long makes sure that it's still the one before it writes anything.
const STALE: jiff::SignedDuration = jiff::SignedDuration::from_mins(3);
/// Writes in one commit.
const BATCH: usize = 400;
/// How often the end of a run is written when the store fails.
const ATTEMPTS: u32 = 5;

/// Why a run can't begin.
#[derive(Debug, Error)]
pub enum BeginError {
    /// Another one is under way.
    #[error("another sync of it is under way")]
    Busy {
        /// Its ID.
        run: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Somebody else has taken the run for dead, and began another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the sync was silent for so long that another one took over")]
pub struct Superseded;

/// A run that is under way. Dropped, it's as if the process had died: others of this process know at once, others
/// after a quarter of an hour.
pub struct Run {
    app: App,
    provider: &'static str,
    id: String,
    path: DocPath,
    partner: DocPath,
    beat: tokio::sync::Mutex<()>,
    last: Mutex<Beat>,
    remembered: Remembered,
    _alive: Alive,
}

/// The last sign of life.
#[derive(Clone, Copy, Debug)]
struct Beat {
    /// When it was given.
    at: Timestamp,
    /// The document's update time since.
    update_time: Timestamp,
}

/// Says in this process that a run is alive.
struct Alive(App, String);

impl Alive {
    fn new(app: &App, id: &str) -> Alive {
        Rosters::of(app).tally.begin(id);
        Alive(app.clone(), id.to_owned())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        Rosters::of(&self.0).tally.gone(&self.1);
    }
}

impl Run {
    /// Begins a run, unless one of the same partner is under way. One that died is marked as failed.
    pub async fn begin(app: &App, begin: Begin<'_>) -> Result<Run, BeginError> {
        let alive = Alive::new(app, begin.id);
        let path = run_path(begin.id)?;
        let partner = partner_path(begin.provider, &begin.org.id)?;
        let (begin, partner_path, new) = (&begin, &partner, &path);
        let work = |tx: Transaction| async move {
            let now = app.now();
            let known = tx.get(partner_path).await?;
            if let Some(active) = known.as_ref().and_then(partners::active_run)
                && let Some(other) = tx.get(&run_path(active)?).await?.filter(|other| !is_over(other))
            {
                if is_alive(app, &other, now) {
                    return Err(BeginError::Busy { run: active.to_owned() });
                }
                tracing::warn!(run = active, "a sync was cut short");
                tx.write(Write::update(other.path, runs::cut_short(Phase::Failed.name(), now))).await;
            }
            let (fields, mask) = partners::begins(known.is_some(), begin.provider, begin.org, begin.id, now);
            tx.write(Write::merge(partner_path.clone(), fields, mask)).await;
            let run = Begun {
                partner: partner_path.id(),
                provider: begin.provider,
                org: begin.org,
                is_full: begin.is_full,
                state: Phase::Created.name(),
                by: begin.by,
                batch: begin.batch,
            };
            tx.write(Write::create(new.clone(), run.fields(now))).await;
            Ok((now, known.as_ref().map(Remembered::of).unwrap_or_default()))
        };
        let ((at, remembered), committed) = app.stores.admin.transaction(work).await?;
        let update_time = committed.and_then(|committed| committed.results.last()?.update_time);
        let last = Mutex::new(Beat { at, update_time: update_time.unwrap_or(at) });
        let (app, provider, id) = (app.clone(), begin.provider, begin.id.to_owned());
        Ok(Run {
            app,
            provider,
            id,
            path,
            partner,
            beat: tokio::sync::Mutex::default(),
            last,
            remembered,
            _alive: alive,
        })
    }

    /// Its ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Shows where the sync stands, again and again. Ends only when another run took over. To be run beside the sync.
    pub async fn keep(&self, mut progress: watch::Receiver<Progress>) -> Superseded {
        Rosters::of(&self.app).tally.follow(&self.id, progress.clone());
        let mut shown = progress.borrow_and_update().phase;
        let mut next = tokio::time::Instant::now() + BEAT;
        loop {
            let is_due = loop {
                tokio::select! {
                    () = tokio::time::sleep_until(next) => break true,
                    changed = progress.changed() => {
                        let phase = progress.borrow_and_update().phase;
                        if changed.is_err() {
                            // Nothing new will come; it's alive nevertheless.
                            tokio::time::sleep_until(next).await;
                            break true;
                        }
                        if phase != shown {
                            shown = phase;
                            break false;
                        }
                    }
                }
            };
            let now = progress.borrow().clone();
            match self.beat(&now).await {
                Ok(()) => {}
                Err(BeatError::Superseded) => return Superseded,
                // It's tried again with the next beat.
                Err(BeatError::Store(error)) => tracing::warn!(run = self.id, %error, "a heartbeat can't be written"),
            }
            if is_due {
                next = tokio::time::Instant::now() + BEAT;
            }
        }
    }

    /// To be asked before something is written. After a long silence, makes sure that no other run took over.
    pub async fn check(&self, progress: &Progress) -> Result<(), BeatError> {
        let last = self.last.lock().at;
        if self.app.now().duration_since(last) < STALE { Ok(()) } else { self.beat(progress).await }
    }

    /// Writes that the run is alive, and where it stands; unless another one took over.
    async fn beat(&self, progress: &Progress) -> Result<(), BeatError> {
        let _alone = self.beat.lock().await;
        let now = self.app.now();
        let (fields, mask) = heartbeat(progress, now);
        let update_time = self.write_over(Vec::new(), fields, mask).await?;
        *self.last.lock() = Beat { at: now, update_time };
        Ok(())
    }

    /// Writes to the run's document, and with it, if that's still as this run left it. Gives its new update time.
    async fn write_over(&self, with: Vec<Write>, fields: Fields, mask: Vec<FieldPath>) -> Result<Timestamp, BeatError> {
        for _ in 0..2 {
            let update_time = self.last.lock().update_time;
            let write = Write::merge(self.path.clone(), fields.clone(), mask.clone());
            let writes = with.iter().cloned().chain([write.when(Precondition::UpdatedAt(update_time))]).collect();
            match self.app.stores.admin.commit(writes).await {
                Ok(committed) => {
                    let committed = committed.and_then(|committed| committed.results.last()?.update_time);
                    return Ok(committed.unwrap_or(update_time));
                }
                Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
            // A heartbeat of ours may have come through without its answer.
            let current = self.app.stores.admin.get(&self.path).await?.filter(|current| !is_over(current));
            let Some(current) = current else { return Err(BeatError::Superseded) };
            self.last.lock().update_time = current.update_time;
        }
        Err(BeatError::Superseded)
    }

    /// The event of a user who left, to be written with what it's about.
    pub fn unenrolled(&self, roar_uid: &str, provider_id: &str) -> Result<Write, StoreError> {
        Event::Unenrolled { roar_uid, provider_id }.write(&self.path, self.app.now())
    }

    /// What its partner remembers of the runs before.
    pub fn remembered(&self) -> Remembered {
        self.remembered
    }

    /// Ends the run: writes what it came to. A run that another one took over from is left as it is.
    pub async fn finish(self, report: &Report, phase: Phase, error: Option<String>, learnt: Learnt<'_>) {
        let ending = Ending { report, phase, error, now: self.app.now() };
        for attempt in 1.. {
            match self.try_to_finish(&ending, &learnt).await {
                Ok(()) => {
                    Rosters::of(&self.app).tally.ended(self.provider, phase, report);
                    return;
                }
                Err(BeatError::Superseded) => {
                    tracing::warn!(run = self.id, "another sync took over; what this one came to isn't written");
                    return;
                }
                Err(BeatError::Store(error)) if attempt < ATTEMPTS && error.is_transient() => {
                    tokio::time::sleep(crate::rostering::pause(attempt)).await;
                }
                Err(BeatError::Store(error)) => {
                    tracing::error!(run = self.id, %error, "what the sync came to can't be written");
                    return;
                }
            }
        }
    }

    async fn try_to_finish(&self, ending: &Ending<'_>, learnt: &Learnt<'_>) -> Result<(), BeatError> {
        let _alone = self.beat.lock().await;
        let details = ending.details(&self.path)?;
        for batch in details.chunks(BATCH) {
            self.app.stores.admin.commit(batch.to_vec()).await?;
        }
        let (fields, mask) = ending.edit();
        let (learnt, with) = partners::ends(learnt, ending.now);
        let free = Write::merge(self.partner.clone(), learnt, with);
        self.write_over(vec![free], fields, mask).await.map(|_| ())
    }
}

/// Why a sign of life wasn't given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BeatError {
    /// Another run took over.
    #[error("{Superseded}")]
    Superseded,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn is_over(run: &Document) -> bool {
    runs::state(run).is_none_or(Phase::is_over)
}

/// Where only one process has the database open, it knows; elsewhere a run has to be silent for long.
fn is_alive(app: &App, run: &Document, now: Timestamp) -> bool {
    if Rosters::of(app).tally.is_live(run.id()) {
        return true;
    }
    !app.stores.admin.is_exclusive() && runs::heartbeat(run).is_some_and(|heard| now.duration_since(heard) < SILENCE)
}

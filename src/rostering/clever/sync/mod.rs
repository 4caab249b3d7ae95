//! Brings a district's orgs and people in line with Clever.
//!
//! Every record is held against the fingerprint of what was written last, and only what differs is written: who is
//! in a roster is known from `identityProviderIds`, one document a person, so that a repetition finds what was written
//! before. A sync that was cut short anywhere is made good by the next one.
//!
//! Nobody is unenrolled, and nothing archived, unless everything was fetched; nor when more are missing than usual,
//! unless the caller has said so.

mod archiving;
mod doubting;
pub(in crate::rostering::clever) mod entries;
mod following;
mod known;
mod leaving;
mod linking;
mod orgs;
mod people;
mod validating;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;

use super::{CleverError, District};
use crate::accounts::AccountError;
use crate::app::App;
use crate::documents::user::field::LAST_UPDATED;
use crate::orgs::OrgKey;
use crate::rostering::report::{Kind, Phase, Progress, Report};
use crate::rostering::run::{BeatError, Run, Superseded};
use crate::store::{Committed, Database, FieldPath, StoreError, Write, WriteKind};

/// The provider's name in documents.
pub const PROVIDER: &str = "clever";
/// How often a batch is planned anew when somebody changes the same documents.
const CONFLICTS: usize = 8;
/// How often a batch is written when the store fails (docs/domain/rosters.md#runs-of-a-sync).
const ATTEMPTS: u32 = 5;

/// How a sync is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Orgs only.
    pub shallow: bool,
    /// Nothing is written.
    pub dry_run: bool,
    /// However many are missing, they leave.
    pub confirm_unenroll: bool,
    /// The largest share of what there is that may be missing before somebody has to look.
    pub missing_share: f64,
}

impl Options {
    /// Orgs and people, written, with a fifth that may be missing.
    pub const DEEP: Options = Options { shallow: false, dry_run: false, confirm_unenroll: false, missing_share: 0.2 };
}

/// Why a sync ended early. What it had written stays. Nobody was unenrolled, unless that was what it was at.
#[derive(Debug, Error)]
pub enum SyncError {
    /// Clever failed.
    #[error(transparent)]
    Clever(#[from] CleverError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The accounts failed.
    #[error(transparent)]
    Accounts(#[from] AccountError),
    /// Another sync of the same district took over.
    #[error(transparent)]
    Superseded(#[from] Superseded),
    /// It took longer than it may.
    #[error("the sync took too long")]
    TooLong,
    /// The process is to end.
    #[error("the server stopped")]
    Stopped,
}

impl SyncError {
    /// What people are told: the store's own words stay in the log.
    pub fn told(&self) -> String {
        match self {
            SyncError::Store(_) => "the database failed".to_owned(),
            SyncError::Accounts(_) => "the accounts can't be looked up".to_owned(),
            error => error.to_string(),
        }
    }
}

impl From<BeatError> for SyncError {
    fn from(error: BeatError) -> Self {
        match error {
            BeatError::Superseded => Superseded.into(),
            BeatError::Store(error) => error.into(),
        }
    }
}

/// Who hears where a sync stands, and in which run it is.
pub struct Monitor<'a> {
    /// Hears of every page and batch.
    pub progress: &'a watch::Sender<Progress>,
    /// The run, unless nothing is to be written.
    pub run: Option<&'a Run>,
    /// How many students the classes had, all together, at the end of the last sync of people, where that's known.
    pub enrolled_before: Option<u64>,
    /// All notes of the district's people say so: older functions' didn't.
    pub knows_notes: bool,
}

/// What a sync has come to, so far.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was done.
    pub report: Report,
    /// The district's name, if it was fetched.
    pub name: Option<String>,
    /// How many students the classes have, all together.
    pub enrolled: u64,
    /// All notes of the district's people say so.
    pub knows_notes: bool,
}

/// Syncs one district. What it comes to is in `outcome` however it ends, dropped half-way or not.
pub async fn sync_district(
    app: &App,
    district: &District,
    options: Options,
    monitor: &Monitor<'_>,
    outcome: &mut Outcome,
) -> Result<(), SyncError> {
    let Outcome { report, name, enrolled, knows_notes } = outcome;
    *knows_notes = monitor.knows_notes;
    let mut sync = Work {
        database: &app.stores.admin,
        app,
        id: district.id().to_owned(),
        options,
        report,
        monitor,
        name,
        enrolled,
        knows_notes,
        read: 0,
        came: BTreeMap::new(),
        expected: BTreeMap::new(),
        living: BTreeMap::new(),
        by_type: BTreeMap::new(),
        occupied: HashSet::new(),
        addresses: HashMap::new(),
        written: HashSet::new(),
        blames_one: false,
        unwritten: HashSet::new(),
    };
    sync.run(district).await
}

struct Work<'a> {
    database: &'a Database,
    app: &'a App,
    /// The district's ID, Clever's and ROAR's.
    id: String,
    options: Options,
    report: &'a mut Report,
    monitor: &'a Monitor<'a>,
    name: &'a mut Option<String>,
    /// How many students the classes have at Clever, all together.
    enrolled: &'a mut u64,
    knows_notes: &'a mut bool,
    /// Records that were read.
    read: u64,
    /// Records of a list that came, and how many Clever says there are.
    came: BTreeMap<Kind, (u64, u64)>,
    /// Records that there are, as far as that's known.
    expected: BTreeMap<Kind, u64>,
    /// Orgs that Clever has.
    living: BTreeMap<Kind, u64>,
    /// People whom Clever has, by type.
    by_type: BTreeMap<&'static str, u64>,
    /// IDs of people whose usual note is somebody else's.
    occupied: HashSet<String>,
    /// Digests of the addresses of new people, with that of the first who has it.
    addresses: HashMap<String, String>,
    /// Orgs that were written.
    written: HashSet<OrgKey>,
    /// Orgs can't be written together, though they were planned anew often: one after the other, then.
    blames_one: bool,
    /// New orgs that can't be stored: nobody can be in them.
    unwritten: HashSet<OrgKey>,
}

impl Work<'_> {
    async fn run(&mut self, client: &District) -> Result<(), SyncError> {
        let Some(known) = self.orgs(client).await? else { return Ok(()) };
        if !self.options.shallow {
            self.people(client, &known).await?;
        }
        self.follow_administrations(&known.following).await?;
        if !self.holds_back() {
            if self.report.keeps_missing.is_none() {
                self.archive_orgs(&known).await?;
            }
            self.phase(Phase::Validating);
            self.validate().await;
        }
        Ok(())
    }

    /// Goes on to the next phase.
    fn phase(&self, phase: Phase) {
        self.monitor.progress.send_modify(|progress| progress.phase = phase);
    }

    /// Says what was done since.
    fn tell(&self) {
        let (counts, done) = (self.report.counts.clone(), self.read);
        self.monitor.progress.send_modify(|progress| {
            progress.done = done;
            progress.counts = counts;
        });
    }

    /// Says how many records of a kind are expected. What is expected in all is said once nothing is left out of it.
    fn expect(&mut self, kind: Kind, number: u64) {
        self.expected.insert(kind, number);
        let is_all = self.expected.contains_key(if self.options.shallow { &Kind::Classes } else { &Kind::Users });
        let total = self.expected.values().sum::<u64>().max(self.read);
        if is_all {
            self.monitor.progress.send_modify(|progress| progress.total = Some(total));
        }
    }

    /// Writes, unless nothing is to be written. Outages are outlasted; a conflict is the caller's.
    async fn commit(&self, writes: Vec<Write>) -> Result<Option<Committed>, SyncError> {
        if self.options.dry_run || writes.is_empty() {
            return Ok(None);
        }
        for attempt in 1.. {
            if let Some(run) = self.monitor.run {
                let progress = self.monitor.progress.borrow().clone();
                run.check(&progress).await?;
            }
            match self.database.commit(writes.clone()).await {
                Err(error) if error.is_transient() && attempt < ATTEMPTS => self.wait(attempt).await,
                outcome => return outcome.map_err(SyncError::from),
            }
        }
        Ok(None)
    }

    async fn wait(&self, attempt: u32) {
        let phase = self.monitor.progress.borrow().phase;
        let pause: Duration = crate::rostering::pause(attempt);
        tracing::warn!(district = self.id, attempt, ?pause, "the store failed; the batch is tried again");
        self.phase(Phase::Retrying);
        tokio::time::sleep(pause).await;
        self.phase(phase);
    }
}

/// The fields that a write touches, for people: nothing of what's in them.
fn fields_of(write: &Write) -> Vec<String> {
    let WriteKind::Set { mask: Some(mask), .. } = &write.kind else { return Vec::new() };
    mask.iter().map(FieldPath::to_string).filter(|field| field != LAST_UPDATED).collect()
}

//! Brings a district's orgs and people in line with its roster, whichever provider has that
//! ([`source`](super::source)).
//!
//! Every record is compared with the fingerprint of what was written last, and only what differs is written: who is
//! in a roster is known from `identityProviderIds`, one document a person, so that a repetition finds what was written
//! before. A sync that was cut short anywhere is made good by the next one.
//!
//! Nobody is unenrolled, and nothing archived, unless everything was fetched; nor when more are missing than usual,
//! unless the caller has said so.
//!
//! The way through, for orgs (`orgs`): *fetch* the provider's, *load* ours, check the *safety* stops, *plan* the
//! writes, *execute* them. Then, for people (`people`): load their *entries*, compare page by page, *link* who is new
//! to who is known, and write; who wasn't seen is *leaving*. At last, orgs that are gone are archived, what *follows*
//! from orgs that came or moved is done, and the numbers at the end are *verified*.

mod archiving;
mod entries;
mod entry;
mod execute;
mod fetch;
#[cfg(test)]
mod fixtures;
mod following;
mod known;
mod leaving;
mod linking;
mod load;
mod orgs;
mod people;
mod person_plan;
mod plan;
mod safety;
mod verify;

use std::collections::{BTreeMap, HashMap, HashSet};

use thiserror::Error;
use tokio::sync::watch;

use crate::accounts::AccountError;
use crate::app::App;
use crate::orgs::OrgKey;
use crate::rostering::report::{Kind, Phase, Progress, Report};
use crate::rostering::run::{BeatError, Run, Superseded};
use crate::rostering::source::{Source, SourceError};
use crate::store::{Database, StoreError};

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

/// Why a sync ended early. What it had written stays. Nobody was unenrolled, unless it had come to that phase.
#[derive(Debug, Error)]
pub enum SyncError {
    /// The provider failed.
    #[error(transparent)]
    Source(#[from] SourceError),
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

/// What a sync is part of, and whom it tells how far it is.
pub struct Monitor<'a> {
    /// Receives progress after each page or batch.
    pub progress: &'a watch::Sender<Progress>,
    /// The run, unless nothing is to be written.
    pub run: Option<&'a Run>,
    /// How many students the classes had, all together, at the end of the last sync of people, where that's known.
    pub enrolled_before: Option<u64>,
    /// All entries of the district's people say whose roster they are in, which older functions didn't write.
    pub knows_notes: bool,
}

/// What a sync has found and done, so far.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was done.
    pub report: Report,
    /// The district's name, if it was fetched.
    pub name: Option<String>,
    /// How many students the classes have, all together.
    pub enrolled: u64,
    /// All entries of the district's people say whose roster they are in.
    pub knows_notes: bool,
}

/// Syncs one district. What it comes to is in `outcome` however it ends, dropped half-way or not.
pub async fn sync_district(
    app: &App,
    source: &dyn Source,
    options: Options,
    monitor: &Monitor<'_>,
    outcome: &mut Outcome,
) -> Result<(), SyncError> {
    let Outcome { report, name, enrolled, knows_notes } = outcome;
    *knows_notes = monitor.knows_notes;
    let mut sync = Work {
        database: &app.stores.admin,
        app,
        provider: source.provider(),
        id: source.id().to_owned(),
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
        bisects: false,
        unwritten: HashSet::new(),
    };
    sync.run(source).await
}

struct Work<'a> {
    database: &'a Database,
    app: &'a App,
    /// The provider's name in documents.
    provider: &'static str,
    /// The district's ID, the provider's and ROAR's.
    id: String,
    options: Options,
    report: &'a mut Report,
    monitor: &'a Monitor<'a>,
    name: &'a mut Option<String>,
    /// How many students the classes have in the roster, all together.
    enrolled: &'a mut u64,
    knows_notes: &'a mut bool,
    /// Records that were read.
    read: u64,
    /// Records of a list that came, and how many the provider says there are.
    came: BTreeMap<Kind, (u64, u64)>,
    /// Records that there are, as far as that's known.
    expected: BTreeMap<Kind, u64>,
    /// Orgs that the roster has.
    living: BTreeMap<Kind, u64>,
    /// People whom the roster has, by type.
    by_type: BTreeMap<&'static str, u64>,
    /// IDs of people whose usual entry is somebody else's.
    occupied: HashSet<String>,
    /// Digests of the addresses of new people, with that of the first who has it.
    addresses: HashMap<String, String>,
    /// Orgs that were written.
    written: HashSet<OrgKey>,
    /// Retries are exhausted: batches are bisected to find the failing write, also where documents conflict.
    bisects: bool,
    /// New orgs that can't be stored: nobody can be in them.
    unwritten: HashSet<OrgKey>,
}

impl Work<'_> {
    async fn run(&mut self, source: &dyn Source) -> Result<(), SyncError> {
        let Some(known) = self.orgs(source).await? else { return Ok(()) };
        if !self.options.shallow {
            self.people(source, &known).await?;
        }
        self.follow_administrations(&known.following).await?;
        if !self.is_stopped() {
            if self.report.incomplete.is_none() {
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

    /// Sends the progress.
    fn tell(&self) {
        let (counts, done) = (self.report.counts.clone(), self.read);
        self.monitor.progress.send_modify(|progress| {
            progress.done = done;
            progress.counts = counts;
        });
    }

    /// Notes how many records of a kind are expected. The total is sent once it leaves no kind out.
    fn expect(&mut self, kind: Kind, number: u64) {
        self.expected.insert(kind, number);
        let is_all = self.expected.contains_key(if self.options.shallow { &Kind::Classes } else { &Kind::Users });
        let total = self.expected.values().sum::<u64>().max(self.read);
        if is_all {
            self.monitor.progress.send_modify(|progress| progress.total = Some(total));
        }
    }
}

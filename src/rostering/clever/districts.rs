//! All districts that Clever shares with us: each synced in a run of its own, some at a time.

use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::sync::{Monitor, Options, Outcome, PROVIDER, SyncError, sync_district};
use super::{Clever, CleverError, DistrictToken};
use crate::app::App;
use crate::documents::rostering_partner::{of_provider, org_id, partner_path};
use crate::orgs::{OrgKey, OrgType};
use crate::rostering::Rosters;
use crate::rostering::report::{Kind, NAMED, Phase, Progress, Report, counts_json, unread_json};
use crate::rostering::run::{Begin, BeginError, Learnt, Remembered, Run};
use crate::store::StoreError;

/// Districts that are synced at the same time. Each has a rate limit of its own at Clever.
const AT_ONCE: usize = 4;
/// How long a call's syncs may take together: less than the function, so that the ends of the runs are written.
pub const CALL_LIMIT: Duration = Duration::from_secs(3540);
/// How often somebody who listens hears of progress.
const TELL: Duration = Duration::from_millis(500);

/// What is to be synced.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// How.
    pub options: Options,
    /// Only this district.
    pub district: Option<&'a str>,
    /// Who asks: an Auth UID, or the command.
    pub by: &'a str,
    /// How long all of it may take; what isn't done by then fails.
    pub limit: Duration,
}

/// What became of one district.
#[derive(Debug)]
pub struct Synced {
    /// The district's ID.
    pub district: String,
    /// The run's ID; none of a dry run, nor of a district that is being synced already.
    pub run: Option<String>,
    /// How it ended.
    pub phase: Phase,
    /// What was done.
    pub report: Report,
    /// Why it ended early.
    pub error: Option<Failure>,
}

/// Why a district wasn't synced, or not to the end.
#[derive(Debug)]
pub enum Failure {
    /// Another sync of it is under way: that run's.
    Busy(String),
    /// It failed.
    Failed(SyncError),
}

/// What became of all of them.
#[derive(Debug)]
pub struct AllSynced {
    /// How.
    pub options: Options,
    /// The ID of the first run.
    pub run: Option<String>,
    /// The districts, in the order of their IDs.
    pub districts: Vec<Synced>,
    /// Districts that were synced before and aren't connected any more. What is known of them stays as it is.
    pub disconnected: Vec<String>,
}

impl AllSynced {
    /// As answers have it. No kind is left out that was looked at.
    pub fn to_json(&self) -> Json {
        let mut counts = Report::total(self.districts.iter().map(|one| &one.report));
        for kind in Kind::ALL.into_iter().filter(|kind| !(self.options.shallow && *kind == Kind::Users)) {
            counts.entry(kind).or_default();
        }
        json!({
            "status": "ok", "runId": self.run, "counts": counts_json(&counts), "dryRun": self.options.dry_run,
            "districts": self.districts.iter().map(Synced::to_json).collect::<Vec<_>>(),
            "disconnected": self.disconnected,
        })
    }
}

impl Synced {
    fn to_json(&self) -> Json {
        let Synced { district, run, phase, report, error } = self;
        let error = error.as_ref().map(|failure| match failure {
            Failure::Busy(run) => json!({ "busy": run }),
            Failure::Failed(error) => json!({ "message": error.told() }),
        });
        json!({
            "districtId": district, "runId": run, "state": phase.name(), "counts": counts_json(&report.counts),
            "heldBack": report.held_back, "keepsMissing": report.keeps_missing,
            "problems": &report.problems[..report.problems.len().min(NAMED)],
            "unread": unread_json(report), "doubles": report.doubles,
            "differences": report.differences, "differing": report.differing, "mismatches": report.mismatches,
            "error": error,
        })
    }
}

/// Why nothing was synced at all.
#[derive(Debug, thiserror::Error)]
pub enum AllError {
    /// Clever doesn't say which districts there are.
    #[error(transparent)]
    Clever(#[from] CleverError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The one district that was asked for isn't connected.
    #[error("the district isn't connected")]
    NotConnected,
}

/// Where one district stands, for who listens.
#[derive(Clone, Debug)]
pub struct Step {
    /// The district's ID.
    pub district: String,
    /// The run's ID.
    pub run: Option<String>,
    /// Where it stands.
    pub progress: Progress,
    /// Records gone through a second, so far.
    pub rate: f64,
}

impl Step {
    /// As chunks of a stream have it.
    pub fn to_json(&self) -> Json {
        json!({
            "runId": self.run, "districtId": self.district, "phase": self.progress.phase.name(),
            "done": self.progress.done, "total": self.progress.total, "rate": self.rate.round(),
            "counts": counts_json(&self.progress.counts),
        })
    }
}

/// Syncs all connected districts, or one. Those that fail don't keep the others from it. `steps` hears of progress; who
/// doesn't listen is not waited for.
pub async fn sync_all(
    app: &App,
    clever: &Clever,
    ask: &Ask<'_>,
    steps: Option<&mpsc::Sender<Step>>,
) -> Result<AllSynced, AllError> {
    let read_only;
    let app = match ask.options.dry_run {
        true => {
            read_only = app.read_only();
            &read_only
        }
        false => app,
    };
    let deadline = Instant::now() + ask.limit;
    let mut tokens = match ask.district {
        None => clever.district_tokens().await?,
        Some(id) => vec![clever.refresh(id).await?.ok_or(AllError::NotConnected)?],
    };
    tokens.sort_by(|one, other| one.district.cmp(&other.district));
    tokens.dedup_by(|one, other| one.district == other.district);
    let disconnected = match ask.district {
        None => disconnected(app, &tokens).await?,
        Some(_) => Vec::new(),
    };
    let ids: Vec<String> = tokens.iter().map(|_| app.context.document_id()).collect();
    let batch = ids.first().cloned().unwrap_or_default();
    let work: Vec<_> = tokens
        .into_iter()
        .zip(&ids)
        .map(|(token, id)| one(app, clever, ask, token, [&batch, id], steps, deadline))
        .collect();
    let mut districts: Vec<Synced> = futures::stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
    districts.sort_by(|one, other| one.district.cmp(&other.district));
    let run = districts.iter().filter_map(|district| district.run.clone()).min_by_key(|id| id != &batch);
    Ok(AllSynced { options: ask.options, run, districts, disconnected })
}

async fn disconnected(app: &App, tokens: &[DistrictToken]) -> Result<Vec<String>, StoreError> {
    let partners = app.stores.admin.query(of_provider(PROVIDER)).await?;
    let known = partners.iter().filter_map(org_id);
    let is_connected = |id: &&str| tokens.iter().any(|token| token.district == *id);
    Ok(known.filter(|id| !is_connected(id)).map(str::to_owned).collect())
}

async fn one(
    app: &App,
    clever: &Clever,
    ask: &Ask<'_>,
    token: DistrictToken,
    [batch, id]: [&str; 2],
    steps: Option<&mpsc::Sender<Step>>,
    deadline: Instant,
) -> Synced {
    let district = clever.district(token);
    let org = OrgKey::new(OrgType::District, district.id());
    let failed = |failure: Failure| Synced {
        district: org.id.clone(),
        run: None,
        phase: Phase::Failed,
        report: Report::default(),
        error: Some(failure),
    };
    if Rosters::of(app).is_stopped() {
        return failed(Failure::Failed(SyncError::Stopped));
    }
    if Instant::now() >= deadline {
        return failed(Failure::Failed(SyncError::TooLong));
    }
    let begin = Begin { provider: PROVIDER, org: &org, is_full: !ask.options.shallow, by: ask.by, batch, id };
    let run = match ask.options.dry_run {
        true => None,
        false => match Run::begin(app, begin).await {
            Ok(run) => Some(run),
            Err(BeginError::Busy { run }) => return failed(Failure::Busy(run)),
            Err(BeginError::Store(error)) => return failed(Failure::Failed(error.into())),
        },
    };
    let progress = watch::Sender::new(Progress::default());
    let Remembered { enrolled, knows_notes } = match &run {
        Some(run) => run.remembered(),
        None => remembered(app, &org).await.unwrap_or_default(),
    };
    let monitor = Monitor { progress: &progress, run: run.as_ref(), enrolled_before: enrolled, knows_notes };
    let kept = async {
        match &run {
            Some(run) => run.keep(progress.subscribe()).await,
            None => std::future::pending().await,
        }
    };
    let told = tell(&org.id, run.as_ref().map(Run::id), progress.subscribe(), steps);
    let mut outcome = Outcome::default();
    let rosters = Rosters::of(app);
    let synced = tokio::select! {
        ended = tokio::time::timeout_at(deadline, sync_district(app, &district, ask.options, &monitor, &mut outcome)) => {
            ended.unwrap_or(Err(SyncError::TooLong))
        }
        superseded = kept => Err(superseded.into()),
        () = rosters.stopped() => Err(SyncError::Stopped),
        never = told => match never {},
    };
    let (error, Outcome { report, name, enrolled, knows_notes }) = (synced.err(), outcome);
    let phase = match (&error, report.held_back) {
        (Some(_), _) => Phase::Failed,
        (None, Some(_)) => Phase::ValidationFailed,
        (None, None) => Phase::Done,
    };
    let text = match (&error, report.held_back, report.failed()) {
        (Some(error), ..) => Some(error.told()),
        (None, Some(held), _) => Some(held.to_string()),
        (None, None, 0) => None,
        (None, None, failed) => Some(format!("{failed} records couldn't be stored")),
    };
    let (run_id, records) = (run.as_ref().map(Run::id), progress.borrow().done);
    tracing::info!(district = org.id, run = run_id, phase = phase.name(), records, error = text, "a sync ended");
    let id = run.as_ref().map(|run| run.id().to_owned());
    if let Some(run) = run {
        let is_whole = phase == Phase::Done && !ask.options.shallow && report.keeps_missing.is_none();
        let enrolled = is_whole.then_some(enrolled);
        run.finish(&report, phase, text, Learnt { name: name.as_deref(), enrolled, knows_notes }).await;
    }
    if let Some(steps) = steps {
        let progress = Progress { phase, counts: report.counts.clone(), ..progress.borrow().clone() };
        let last = Step { district: org.id.clone(), run: id.clone(), progress, rate: 0.0 };
        // Whoever doesn't read holds nobody up.
        let _ = tokio::time::timeout(TELL, steps.send(last)).await;
    }
    Synced { district: org.id.clone(), run: id, phase, report, error: error.map(Failure::Failed) }
}

/// What a district's partner remembers, for those that begin no run.
async fn remembered(app: &App, org: &OrgKey) -> Result<Remembered, StoreError> {
    let partner = partner_path(PROVIDER, &org.id)?;
    Ok(app.stores.admin.get(&partner).await?.as_ref().map(Remembered::of).unwrap_or_default())
}

/// Tells who listens where the sync stands, now and then. Never ends.
async fn tell(
    district: &str,
    run: Option<&str>,
    mut progress: watch::Receiver<Progress>,
    steps: Option<&mpsc::Sender<Step>>,
) -> Infallible {
    let began = Instant::now();
    if let Some(steps) = steps {
        while progress.changed().await.is_ok() {
            let progress = progress.borrow_and_update().clone();
            let rate = progress.done as f64 / began.elapsed().as_secs_f64().max(0.001);
            let step = Step { district: district.to_owned(), run: run.map(str::to_owned), progress, rate };
            if steps.send(step).await.is_err() {
                break;
            }
            tokio::time::sleep(TELL).await;
        }
    }
    std::future::pending().await
}

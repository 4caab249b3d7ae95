//! Runs functions: each run in a task of its own, with a time limit, a log span, a cost meter and
//! its outcome in the metrics. A handler that panics harms nothing but its own run.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::auth::{AppCheck, Callers, Deliveries, DevelopmentKey, ID_TOKEN_KEYS, IdTokens, KeySource};
use super::budget::{BudgetLedger, Budgets, Reservation};
use super::capacity::{Admission, Capacity};
use super::counted::Counted;
use super::function::Function;
use super::limits::{Limits, SignedOut};
use super::observe::{FunctionCost, Metrics, Trace, TriggerKind};
use super::registry::{Registry, RegistryError};
use super::sign_in::SignInRules;
use document_store::context::Context;
use document_store::{Cost, DatabaseName, Meter, metered};

/// How long a request for an issuer's keys may take.
const KEYS_LIMIT: Duration = Duration::from_secs(10);
/// The time between heartbeats of streaming responses: well below the idle timeouts of proxies.
pub const HEARTBEAT: Duration = Duration::from_secs(30);

/// What a runtime needs besides its functions and their state.
pub struct Options {
    /// The clock and the source of request IDs.
    pub context: Context,
    /// How callers of callables are authenticated and limited.
    pub callers: Callers,
    /// Who may deliver events and tasks.
    pub deliveries: Deliveries,
    /// The databases of document triggers, by the labels in their triggers.
    pub databases: BTreeMap<String, DatabaseName>,
    /// The time between heartbeats of streaming responses.
    pub heartbeat: Duration,
    /// The limits on what is handled at once.
    pub capacity: Capacity,
}

impl Options {
    /// Options of a server for development, over embedded stores: it accepts ID tokens of the databases' projects and
    /// those that `key` signs, has the usual limits, and takes neither App Check tokens nor events and tasks over HTTP.
    /// To be served with [`super::Server::for_this_machine_only`]. Fails when no HTTP client can be made.
    pub fn for_this_machine(
        context: Context,
        key: DevelopmentKey,
        databases: BTreeMap<String, DatabaseName>,
    ) -> Result<Options, reqwest::Error> {
        let projects = databases.values().map(|name| name.project.clone()).collect();
        let http = reqwest::Client::builder().timeout(KEYS_LIMIT).build()?;
        let keys = KeySource::new(ID_TOKEN_KEYS, http);
        let id_tokens = IdTokens { projects, keys, allow_unsigned: false, development: Some(key) };
        let (signed_out, budgets, sign_in) = (SignedOut::default(), Budgets::default(), SignInRules::default());
        Ok(Options {
            context,
            callers: Callers { id_tokens, app_check: AppCheck::Off, signed_out, budgets, sign_in },
            deliveries: Deliveries::Closed,
            databases,
            heartbeat: HEARTBEAT,
            capacity: Capacity::default(),
        })
    }
}

/// Why a runtime can't be built.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// The table of functions is wrong.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A document trigger watches a database that the options don't know.
    #[error("the function {function} watches the database {database:?}, which isn't configured")]
    UnknownDatabase {
        /// The function.
        function: &'static str,
        /// The label in its trigger.
        database: &'static str,
    },
    /// The metrics can't be set up.
    #[error("the metrics can't be set up: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// Runs functions over one state. Cheap to clone; clones are the same runtime.
pub struct Runtime<S> {
    pub(super) inner: Arc<Inner<S>>,
}

impl<S> Clone for Runtime<S> {
    fn clone(&self) -> Self {
        Runtime { inner: self.inner.clone() }
    }
}

pub(super) struct Inner<S> {
    pub(super) registry: Registry<S>,
    pub(super) options: Options,
    pub(super) metrics: Metrics,
    pub(super) limits: Limits,
    pub(super) ledger: Arc<BudgetLedger>,
    pub(super) admission: Arc<Admission>,
    state: S,
    /// How many functions run.
    pub(super) runs: watch::Sender<usize>,
}

/// How a run of a function ended.
#[derive(Debug)]
pub(super) enum Ended<T> {
    /// The handler gave an answer.
    Answered(T),
    /// It panicked.
    Panicked,
    /// It took longer than the function's limit and was dropped.
    TimedOut,
}

/// A run of a function, as it's logged and charged.
pub(super) struct FunctionRun {
    pub(super) kind: TriggerKind,
    /// The ID of the request, the event or the task.
    pub(super) id: String,
    pub(super) trace: Option<Trace>,
    /// Database operations that were made for it before it began.
    pub(super) spent: Cost,
    /// The reservation of its caller's budget, which it's charged to.
    pub(super) reservation: Option<Reservation>,
}

impl<S: Clone + Send + Sync + 'static> Runtime<S> {
    /// A runtime of the functions in `table`, each run with a clone of `state`.
    pub fn new(table: Vec<Function<S>>, state: S, options: Options) -> Result<Self, RuntimeError> {
        let registry = Registry::new(table)?;
        for function in registry.iter() {
            if let super::Trigger::Document { database, .. } = function.trigger
                && !options.databases.contains_key(database)
            {
                return Err(RuntimeError::UnknownDatabase { function: function.name, database });
            }
        }
        let limits = Limits::new(&options.callers.signed_out, &registry);
        let ledger = Arc::new(BudgetLedger::new(options.callers.budgets.clone()));
        let admission = Arc::new(Admission::new(options.capacity));
        let (metrics, runs) = (Metrics::new()?, watch::Sender::new(0));
        let inner = Inner { registry, options, metrics, limits, ledger, admission, state, runs };
        Ok(Runtime { inner: Arc::new(inner) })
    }

    /// The functions.
    pub fn registry(&self) -> &Registry<S> {
        &self.inner.registry
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Folds metrics and forgets limits that no longer matter. To be called every half minute or so.
    pub(super) fn upkeep(&self) {
        self.inner.metrics.upkeep();
        self.inner.limits.upkeep();
        self.inner.ledger.upkeep();
    }

    /// What each function's runs have cost since the start.
    pub fn costs(&self) -> BTreeMap<&'static str, FunctionCost> {
        self.inner.metrics.costs()
    }

    /// How many functions run now.
    pub fn running(&self) -> usize {
        *self.inner.runs.borrow()
    }

    /// Waits until no function runs. New runs may begin all the while.
    pub async fn quiet(&self) {
        // Fails only when the sender is gone, which `self` holds.
        let _ = self.inner.runs.subscribe().wait_for(|runs| *runs == 0).await;
    }

    /// Runs a handler in a Tokio task of its own, so that it goes on when the client disconnects. `judge` names the
    /// outcome for log and metrics.
    pub(super) fn run<T, F>(
        &self,
        function: &Function<S>,
        run: FunctionRun,
        work: impl FnOnce(S) -> F + Send + 'static,
        judge: fn(&T) -> &'static str,
    ) -> JoinHandle<Ended<T>>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let span = tracing::info_span!(
            "function",
            function = function.name,
            kind = run.kind.name(),
            id = run.id,
            trace = run.trace.as_ref().map(|trace| trace.id.as_str()),
            outcome = Empty,
            cost.reads = Empty,
            cost.writes = Empty,
            cost.deletes = Empty,
            otel.name = function.name,
            otel.kind = if run.kind == TriggerKind::Call { "server" } else { "consumer" },
            otel.status_code = Empty,
        );
        match &run.trace {
            Some(trace) => trace.adopt(&span),
            // Exported spans always have a trace: its ID is logged.
            None => drop(Trace::id_of(&span).map(|id| span.record("trace", id))),
        }
        let (name, timeout, run_kind) = (function.name, function.timeout, run.kind);
        let runtime = self.clone();
        let running = Counted::new(&self.inner.runs);
        let run = async move {
            let _running = running;
            let meter = Arc::new(Meter::default());
            meter.add(run.spent);
            let started = Instant::now();
            let state = runtime.inner.state.clone();
            let work = AssertUnwindSafe(async move { work(state).await }).catch_unwind();
            let ended = match metered(meter.clone(), tokio::time::timeout(timeout, work)).await {
                Ok(Ok(answer)) => Ended::Answered(answer),
                Ok(Err(_)) => Ended::Panicked,
                Err(_) => Ended::TimedOut,
            };
            let (took, cost) = (started.elapsed(), meter.total());
            if let Some(reservation) = run.reservation {
                reservation.settle(cost);
            }
            let outcome = match &ended {
                Ended::Answered(answer) => judge(answer),
                Ended::Panicked => "panic",
                Ended::TimedOut => "timeout",
            };
            runtime.inner.metrics.record(name, run.kind, outcome, took, &meter);
            let span = Span::current();
            span.record("outcome", outcome);
            span.record("cost.reads", cost.reads)
                .record("cost.writes", cost.writes)
                .record("cost.deletes", cost.deletes);
            if is_failure(outcome) {
                span.record("otel.status_code", "error");
            }
            let duration_ms = took.as_secs_f64() * 1000.0;
            match ended {
                // Most events find nothing to do; a log line for each would bury the others.
                Ended::Answered(_) if run_kind == TriggerKind::Event && outcome == "ok" && cost == Cost::default() => {
                    tracing::debug!(outcome, duration_ms, "the event was settled already")
                }
                Ended::Answered(_) => {
                    tracing::info!(outcome, duration_ms, cost.reads, cost.writes, cost.deletes, "the function ran")
                }
                // An event or a task is tried again; a call isn't.
                Ended::TimedOut if run_kind != TriggerKind::Call => {
                    tracing::warn!(
                        outcome,
                        duration_ms,
                        cost.reads,
                        cost.writes,
                        cost.deletes,
                        "the function took too long"
                    )
                }
                _ => {
                    tracing::error!(outcome, duration_ms, cost.reads, cost.writes, cost.deletes, "the function broke")
                }
            }
            ended
        };
        tokio::spawn(run.instrument(span))
    }
}

/// True for failures of the service, false for errors of its callers.
fn is_failure(outcome: &str) -> bool {
    matches!(
        outcome,
        "panic" | "timeout" | "transient" | "permanent" | "INTERNAL" | "UNKNOWN" | "DATA_LOSS" | "UNAVAILABLE"
    )
}

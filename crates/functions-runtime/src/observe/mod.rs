//! Metrics of the server for Prometheus, and the costs of functions for tests.

mod recent_events;
pub mod samples;
mod trace;

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::{Key, KeyName, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;

use self::recent_events::RecentEvents;
use self::samples::Source;
pub use self::trace::Trace;
use document_store::{Cost, Meter};

/// The metrics' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Runs of callables, by function and outcome.
    Calls,
    /// Runs on document events, by function and outcome.
    Events,
    /// Attempts at tasks, by function and outcome.
    Tasks,
    /// How long runs took, by function.
    Duration,
    /// Billed document reads, by function.
    Reads,
    /// Billed document writes, by function.
    Writes,
    /// Billed document deletes, by function.
    Deletes,
    /// Conflicts with concurrent writes (repeated transactions, failed preconditions), by function.
    Conflicts,
    /// The time from a change to the start of its handler, by function.
    EventAge,
    /// Events that this process has received before, by function.
    Redeliveries,
    /// Events that wrote nothing, by function.
    Noops,
    /// Events without a document, by function.
    Empty,
    /// Second and later attempts at tasks, by function.
    Retries,
    /// Calls by the result of checking their App Check token, by function.
    AppCheck,
    /// Calls refused because their address called too often without being signed in, by function.
    SignedOutRefused,
    /// Calls refused because their caller's budget is used up, by function.
    BudgetRefused,
}

impl Metric {
    const ALL: [Metric; 16] = [
        Metric::Calls,
        Metric::Events,
        Metric::Tasks,
        Metric::Duration,
        Metric::Reads,
        Metric::Writes,
        Metric::Deletes,
        Metric::Conflicts,
        Metric::EventAge,
        Metric::Redeliveries,
        Metric::Noops,
        Metric::Empty,
        Metric::Retries,
        Metric::AppCheck,
        Metric::SignedOutRefused,
        Metric::BudgetRefused,
    ];

    /// The metric's name in Prometheus.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Calls => "function_calls_total",
            Metric::Events => "function_events_total",
            Metric::Tasks => "function_tasks_total",
            Metric::Duration => "function_duration_seconds",
            Metric::Reads => "function_billed_reads_total",
            Metric::Writes => "function_billed_writes_total",
            Metric::Deletes => "function_billed_deletes_total",
            Metric::Conflicts => "function_store_conflicts_total",
            Metric::EventAge => "function_event_age_seconds",
            Metric::Redeliveries => "function_event_redeliveries_total",
            Metric::Noops => "function_event_noops_total",
            Metric::Empty => "function_event_empty_total",
            Metric::Retries => "function_task_retries_total",
            Metric::AppCheck => "function_app_check_total",
            Metric::SignedOutRefused => "function_signed_out_refused_total",
            Metric::BudgetRefused => "function_budget_refused_total",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Metric::Calls => "Runs of callable functions, by function and outcome.",
            Metric::Events => "Runs of functions on document events, by function and outcome.",
            Metric::Tasks => "Attempts at tasks, by function and outcome.",
            Metric::Duration => "How long the runs of a function took.",
            Metric::Reads => "Document reads as Firestore bills them, by function.",
            Metric::Writes => "Document writes as Firestore bills them, by function.",
            Metric::Deletes => "Document deletes as Firestore bills them, by function.",
            Metric::Conflicts => "Transactions and preconditions that met somebody else's write, by function.",
            Metric::EventAge => "How old changes were when their handlers began.",
            Metric::Redeliveries => "Events that this process had before, by function.",
            Metric::Noops => "Events that wrote nothing, by function.",
            Metric::Empty => "Events that told of no document, because a client only checked that one is there.",
            Metric::Retries => "Attempts at tasks that weren't the first, by function.",
            Metric::SignedOutRefused => "Calls refused because their address made too many without being signed in.",
            Metric::BudgetRefused => "Calls refused because their caller has used up what a minute's calls may cost.",
            Metric::AppCheck => "Calls by their App Check token: good, bad, missing or unchecked for want of keys.",
        }
    }
}

/// What triggered a run of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerKind {
    /// A client's call.
    Call,
    /// A document's change.
    Event,
    /// A task.
    Task,
}

impl TriggerKind {
    /// The name in log lines.
    pub fn name(self) -> &'static str {
        match self {
            TriggerKind::Call => "call",
            TriggerKind::Event => "event",
            TriggerKind::Task => "task",
        }
    }

    fn metric(self) -> Metric {
        match self {
            TriggerKind::Call => Metric::Calls,
            TriggerKind::Event => Metric::Events,
            TriggerKind::Task => Metric::Tasks,
        }
    }
}

/// What all runs of one function cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionCost {
    /// How many runs ended.
    pub runs: u64,
    /// What they cost together.
    pub cost: Cost,
}

/// The upper bounds of the buckets of durations, in seconds: from an event with nothing to do to a long task.
const BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0];

/// The same for the ages of events: from immediate delivery to the last attempt of Pub/Sub, a day later.
const AGES: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0];

/// The metrics of one server. No global recorder: each server of a test process has its own.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    costs: Mutex<BTreeMap<&'static str, FunctionCost>>,
    seen: RecentEvents,
    sources: Mutex<Vec<Source>>,
}

impl Metrics {
    /// Empty metrics. Fails only when the bounds of the buckets above are invalid.
    pub fn new() -> Result<Self, BuildError> {
        let ages = Matcher::Full(Metric::EventAge.name().to_owned());
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS)?.set_buckets_for_metric(ages, &AGES)?;
        let recorder = builder.build_recorder();
        for metric in Metric::ALL {
            let (name, help) = (KeyName::from_const_str(metric.name()), SharedString::const_str(metric.help()));
            match metric {
                Metric::Duration | Metric::EventAge => recorder.describe_histogram(name, Some(Unit::Seconds), help),
                _ => recorder.describe_counter(name, Some(Unit::Count), help),
            }
        }
        let handle = recorder.handle();
        Ok(Metrics {
            recorder,
            handle,
            costs: Mutex::default(),
            seen: RecentEvents::default(),
            sources: Mutex::default(),
        })
    }

    /// Records a run that ended.
    pub fn record(
        &self,
        function: &'static str,
        kind: TriggerKind,
        outcome: &'static str,
        took: Duration,
        spent: &Meter,
    ) {
        let cost = spent.total();
        {
            let mut costs = self.costs.lock();
            let total = costs.entry(function).or_default();
            total.runs += 1;
            total.cost.reads += cost.reads;
            total.cost.writes += cost.writes;
            total.cost.deletes += cost.deletes;
        }
        self.count(kind.metric(), function, vec![Label::from_static_parts("outcome", outcome)], 1);
        self.count(Metric::Reads, function, Vec::new(), cost.reads);
        self.count(Metric::Writes, function, Vec::new(), cost.writes);
        self.count(Metric::Deletes, function, Vec::new(), cost.deletes);
        self.count(Metric::Conflicts, function, Vec::new(), spent.conflicts());
        if kind == TriggerKind::Event && outcome == "ok" && cost.writes + cost.deletes == 0 {
            self.count(Metric::Noops, function, Vec::new(), 1);
        }
        self.observe(Metric::Duration, function, took);
    }

    /// Records an event that is about to be handled, and whether it was received before.
    pub fn event(&self, function: &'static str, id: &str, age: Duration) {
        self.observe(Metric::EventAge, function, age);
        if self.seen.again(function, id) {
            self.count(Metric::Redeliveries, function, Vec::new(), 1);
        }
    }

    /// Records an event without a document.
    pub fn empty_event(&self, function: &'static str) {
        self.count(Metric::Empty, function, Vec::new(), 1);
    }

    /// Records a second or later attempt at a task.
    pub fn task_retried(&self, function: &'static str) {
        self.count(Metric::Retries, function, Vec::new(), 1);
    }

    /// Records a call that was refused before its handler began.
    pub fn refused(&self, function: &'static str, status: &'static str) {
        self.count(Metric::Calls, function, vec![Label::from_static_parts("outcome", status)], 1);
    }

    /// Records the result of checking a call's App Check token.
    pub fn app_check(&self, function: &'static str, outcome: &'static str) {
        self.count(Metric::AppCheck, function, vec![Label::from_static_parts("outcome", outcome)], 1);
    }

    /// Records a call that was refused by the limit for callers who aren't signed in.
    pub fn signed_out_refused(&self, function: &'static str) {
        self.count(Metric::SignedOutRefused, function, Vec::new(), 1);
    }

    /// Records a call that was refused because its caller's budget is used up.
    pub fn budget_refused(&self, function: &'static str) {
        self.count(Metric::BudgetRefused, function, Vec::new(), 1);
    }

    fn observe(&self, metric: Metric, function: &'static str, time: Duration) {
        let key = Key::from_parts(metric.name(), vec![Label::from_static_parts("function", function)]);
        self.recorder.register_histogram(&key, &METADATA).record(time.as_secs_f64());
    }

    fn count(&self, metric: Metric, function: &'static str, mut labels: Vec<Label>, by: u64) {
        labels.push(Label::from_static_parts("function", function));
        self.recorder.register_counter(&Key::from_parts(metric.name(), labels), &METADATA).increment(by);
    }

    /// What each function's runs have cost since the start.
    pub fn costs(&self) -> BTreeMap<&'static str, FunctionCost> {
        self.costs.lock().clone()
    }

    /// Adds samples that are read each time the metrics are rendered.
    pub fn add_source(&self, source: Source) {
        self.sources.lock().push(source);
    }

    /// The metrics in Prometheus's text format.
    pub fn render(&self) -> String {
        for sample in self.sources.lock().iter().flat_map(|source| source()) {
            sample.put(&self.recorder, &METADATA);
        }
        self.handle.render()
    }

    /// Folds recorded durations into their buckets. Without that they pile up in memory until the next
    /// [`Metrics::render`].
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

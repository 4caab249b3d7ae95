//! Metrics that are read when they're asked for: work in progress, queues, memory of the process.

use std::sync::Arc;

use metrics::{Key, KeyName, Label, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;
use tokio::sync::Semaphore;

use crate::engine::Runtime;
use crate::tasks::{LocalQueue, RemoteQueue};

/// The value of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// How much there is now.
    Gauge(f64),
    /// How much there has been since the start.
    Counter(u64),
}

/// One value of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric's name, as Prometheus sees it.
    pub name: &'static str,
    /// What it is, for people.
    pub help: &'static str,
    /// Labels that tell this value from the metric's others.
    pub labels: Vec<(&'static str, &'static str)>,
    /// The value.
    pub reading: Reading,
}

impl Sample {
    /// A gauge without labels.
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Sample {
        Sample { name, help, labels: Vec::new(), reading: Reading::Gauge(value) }
    }

    pub(super) fn put(&self, recorder: &PrometheusRecorder, metadata: &Metadata<'_>) {
        let (name, help) = (KeyName::from_const_str(self.name), SharedString::const_str(self.help));
        let labels: Vec<_> = self.labels.iter().map(|(key, value)| Label::from_static_parts(key, value)).collect();
        let key = Key::from_parts(self.name, labels);
        match self.reading {
            Reading::Gauge(value) => {
                recorder.describe_gauge(name, Some(Unit::Count), help);
                recorder.register_gauge(&key, metadata).set(value);
            }
            Reading::Counter(value) => {
                recorder.describe_counter(name, Some(Unit::Count), help);
                recorder.register_counter(&key, metadata).absolute(value);
            }
        }
    }
}

/// Reads values when the metrics are asked for.
pub type Source = Box<dyn Fn() -> Vec<Sample> + Send + Sync>;

/// Adds the server's samples to a runtime's metrics.
pub(crate) fn of_server<S: Clone + Send + Sync + 'static>(
    runtime: &Runtime<S>,
    connections: &Arc<Semaphore>,
    queue: &Arc<LocalQueue>,
    remote: Option<&Arc<RemoteQueue>>,
) {
    let (room, runs) = (runtime.inner.admission.clone(), runtime.inner.runs.clone());
    let (connections, queue, remote) = (connections.clone(), queue.clone(), remote.cloned());
    let started = runtime.inner.options.context.now().as_second();
    runtime.metrics().add_source(Box::new(move || {
        let most = room.capacity();
        // The acceptor holds one permit for the next connection.
        let open = most.connections.saturating_sub(connections.available_permits() + 1);
        let gauge = |name, help, value: usize| Sample::gauge(name, help, value as f64);
        let mut samples = vec![
            gauge("function_runs_in_progress", "Runs of functions under way.", *runs.borrow()),
            gauge("calls_in_progress", "Calls under way.", room.calls_in_progress()),
            gauge("calls_limit", "Calls that may be under way at once.", most.calls),
            gauge("events_in_progress", "Events from outside under way.", room.events_in_progress()),
            gauge("events_waiting", "Events from outside that wait for their turn.", room.events_waiting()),
            gauge("http_connections", "Open connections.", open),
            gauge("tasks_pending", "Tasks that this instance knows of and that aren't done.", queue.pending()),
            gauge("tasks_running", "Tasks that this instance runs.", queue.running()),
            Sample::gauge("process_start_time_seconds", "When the server started, since 1970.", started as f64),
        ];
        if let Some(remote) = &remote {
            let waiting = remote.unsent();
            samples.push(gauge("task_words_waiting", "Tasks that Cloud Tasks has yet to be notified of.", waiting));
        }
        if let Some(bytes) = resident_memory() {
            let help = "Memory that the process holds, in bytes.";
            samples.push(Sample::gauge("process_resident_memory_bytes", help, bytes as f64));
        }
        samples
    }));
}

/// The memory that this process holds, in bytes; `None` where there's no `/proc`.
pub fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

//! Logs: text for people, or one JSON object a line with the fields that Cloud Logging knows.

use std::fmt;
use std::io::{IsTerminal as _, Write as _};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use super::traces::Traces;
use crate::config::{LogArgs, LogFormat};
use crate::context::Context;

/// Sends all log events to standard error. Does nothing when a subscriber is set already: the first subscriber stays.
pub fn init(args: &LogArgs, traces: Option<&Traces>) {
    // The filter was validated with the arguments.
    let filter = EnvFilter::try_new(&args.log).unwrap_or_default();
    let registry = tracing_subscriber::registry().with(traces.map(Traces::layer));
    let result = match args.log_format {
        LogFormat::Text => {
            // Fields that are only for the exporter of spans are left out.
            let fields = debug_fn(|out, field, value| match field.name() {
                "message" => write!(out, "{value:?}"),
                name if is_for_exporters(name) => Ok(()),
                name => write!(out, "{name}={value:?}"),
            })
            .delimited(" ");
            let text = tracing_subscriber::fmt::layer()
                .with_ansi(std::io::stderr().is_terminal())
                .with_target(false)
                .fmt_fields(fields)
                .with_writer(std::io::stderr);
            registry.with(text.with_filter(filter)).try_init()
        }
        LogFormat::Json => {
            let project = args.log_project.clone().filter(|project| !project.is_empty());
            registry.with(CloudLogging { project, context: Context::system() }.with_filter(filter)).try_init()
        }
    };
    drop(result);
    // The message of a panic may contain a handler's data: only the panic's place in the code is logged.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panic");
    }));
}

/// Writes events as Cloud Logging's structured log entries.
struct CloudLogging {
    project: Option<String>,
    context: Context,
}

/// The fields of a span, kept for the log entries of the span's events.
struct SpanFields(Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for CloudLogging {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: LayerContext<'_, S>) {
        let mut fields = Map::new();
        attributes.record(&mut Collect(&mut fields));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: LayerContext<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            values.record(&mut Collect(&mut fields.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: LayerContext<'_, S>) {
        let mut entry = Map::new();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                entry.extend(fields.0.clone());
            }
        }
        event.record(&mut Collect(&mut entry));
        if let Some(Value::String(trace)) = entry.remove("trace") {
            let trace = match &self.project {
                Some(project) => format!("projects/{project}/traces/{trace}"),
                None => trace,
            };
            entry.insert("logging.googleapis.com/trace".to_owned(), trace.into());
        }
        // Queries filter mostly by these fields, so they become labels, too.
        let labels: Map<String, Value> = ["function", "kind"]
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), entry.get(name)?.clone())))
            .collect();
        if !labels.is_empty() {
            entry.insert("logging.googleapis.com/labels".to_owned(), Value::Object(labels));
        }
        entry.insert("severity".to_owned(), severity(*event.metadata().level()).into());
        entry.insert("time".to_owned(), self.context.now().to_string().into());
        entry.insert("target".to_owned(), event.metadata().target().into());
        // An error is ignored: when standard error is closed, there's no other place to report to.
        let _ = writeln!(std::io::stderr(), "{}", Value::Object(entry));
    }
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        _ => "DEBUG",
    }
}

fn is_for_exporters(field: &str) -> bool {
    field.starts_with("otel.")
}

/// Collects fields, except those that are only for the exporter of spans.
struct Collect<'a>(&'a mut Map<String, Value>);

impl Collect<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        if !is_for_exporters(field.name()) {
            self.0.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Collect<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }
}

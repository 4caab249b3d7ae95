//! The trace that a request belongs to.

use axum::http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The position of a request in a distributed trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace's ID: 32 hexadecimal digits, in lower case.
    pub id: String,
    /// The caller's span in it: 16 hexadecimal digits, if it's known.
    span: Option<SpanId>,
    /// True when the caller records the trace.
    is_sampled: bool,
}

impl Trace {
    /// Reads `traceparent` (W3C Trace Context), or Google's older `X-Cloud-Trace-Context`.
    pub fn of(headers: &HeaderMap) -> Option<Trace> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        text("traceparent").and_then(parent).or_else(|| text("x-cloud-trace-context").and_then(google))
    }

    /// Makes a run's span part of the trace, where spans are exported.
    pub fn adopt(&self, span: &tracing::Span) {
        let (Ok(trace), Some(parent)) = (TraceId::from_hex(&self.id), self.span) else { return };
        let flags = if self.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let context = SpanContext::new(trace, parent, flags, true, TraceState::default());
        // Fails where no spans are exported.
        let _ = span.set_parent(Context::new().with_remote_span_context(context));
    }

    /// The ID of the trace that a span is part of, where spans are exported.
    pub fn id_of(span: &tracing::Span) -> Option<String> {
        let context = span.context();
        let context = context.span().span_context().clone();
        context.is_valid().then(|| context.trace_id().to_string())
    }
}

fn id(text: &str) -> Option<String> {
    let is_legal = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_legal.then(|| text.to_ascii_lowercase())
}

fn is_known(span: &SpanId) -> bool {
    *span != SpanId::INVALID
}

/// `00-{trace}-{span}-{flags}`
fn parent(text: &str) -> Option<Trace> {
    let mut parts = text.split('-').skip(1);
    let id = id(parts.next()?)?;
    let span = parts.next().and_then(|span| SpanId::from_hex(span).ok()).filter(is_known);
    let flags = parts.next().and_then(|flags| u8::from_str_radix(flags, 16).ok()).unwrap_or(0);
    Some(Trace { id, span, is_sampled: flags & 1 == 1 })
}

/// `{trace}/{span, in decimal};o={options}`
fn google(text: &str) -> Option<Trace> {
    let (text, options) = text.split_once(";o=").unwrap_or((text, "0"));
    let (trace, span) = text.split_once('/').unwrap_or((text, ""));
    let span = span.parse::<u64>().ok().map(|span| SpanId::from_bytes(span.to_be_bytes())).filter(is_known);
    Some(Trace { id: id(trace)?, span, is_sampled: options.trim() == "1" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn read(name: &'static str, value: &str) -> Option<Trace> {
        Trace::of(&HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]))
    }

    #[test]
    fn traces_are_read_in_both_forms() {
        let trace = |span: u64, is_sampled| {
            let span = (span != 0).then(|| SpanId::from_bytes(span.to_be_bytes()));
            Some(Trace { id: ID.to_owned(), span, is_sampled })
        };
        for (name, value, expected) in [
            ("traceparent", format!("00-{ID}-00f067aa0ba902b7-01"), trace(0x00f067aa0ba902b7, true)),
            ("traceparent", format!("00-{}-00f067aa0ba902b7-00", ID.to_uppercase()), trace(0x00f067aa0ba902b7, false)),
            ("traceparent", format!("00-{ID}"), trace(0, false)),
            ("traceparent", format!("00-{ID}-0000000000000000-01"), trace(0, true)),
            ("traceparent", "00-short-00f067aa0ba902b7-01".to_owned(), None),
            ("traceparent", "x".to_owned(), None),
            ("x-cloud-trace-context", format!("{ID}/74;o=1"), trace(74, true)),
            ("x-cloud-trace-context", format!("{ID}/74"), trace(74, false)),
            ("x-cloud-trace-context", ID.to_owned(), trace(0, false)),
            ("x-cloud-trace-context", format!("{ID}/-1;o=2"), trace(0, false)),
            ("x-cloud-trace-context", "/1;o=1".to_owned(), None),
        ] {
            assert_eq!(read(name, &value), expected, "{name}: {value}");
        }
    }
}

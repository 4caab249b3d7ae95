//! Traces for OpenTelemetry: spans of functions' calls, exported to a collector in the background.

use std::time::Duration;

use async_trait::async_trait;
use gcloud_sdk::{GCP_DEFAULT_SCOPES, GoogleAuthHeaders};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::CliError;
use crate::config::{LogArgs, is_own_target};

/// The time limit for the collector's answer.
const LIMIT: Duration = Duration::from_secs(10);
/// The time limit for exporting the last spans at shutdown.
const PARTING: Duration = Duration::from_secs(3);

/// The exporter of spans, which works until it's closed.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts to export on the current runtime. `None` unless the arguments ask for traces and the command runs
    /// functions.
    pub async fn open(args: &LogArgs, serves: bool) -> Result<Option<Traces>, CliError> {
        let Some(endpoint) = args.otlp_endpoint.as_ref().filter(|url| serves && !url.is_empty()) else {
            return Ok(None);
        };
        let failed = |error: &dyn std::fmt::Display| CliError::Other(format!("traces can't be exported: {error}"));
        let http = reqwest::Client::builder().timeout(LIMIT).redirect(reqwest::redirect::Policy::none());
        let is_google = reqwest::Url::parse(endpoint)
            .is_ok_and(|url| url.host_str().is_some_and(|host| host.ends_with(".googleapis.com")));
        if is_google && !endpoint.starts_with("https://") {
            return Err(failed(&"Google is told by https (ROAR_OTLP_ENDPOINT)"));
        }
        let credentials = match is_google {
            true => {
                let source = GoogleAuthHeaders::from_adc_with_scopes(GCP_DEFAULT_SCOPES.clone()).await;
                Some(source.map_err(|error| failed(&error))?.into())
            }
            false => None,
        };
        let http = http.build().map_err(|error| failed(&error))?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(OnRuntime { http, credentials, runtime: Handle::current() })
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .with_timeout(LIMIT)
            .build()
            .map_err(|error| failed(&error))?;
        let mut about = vec![
            KeyValue::new("service.name", "roar-functions"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ];
        if let Some(project) = args.log_project.as_ref().filter(|project| !project.is_empty()) {
            about.push(KeyValue::new("gcp.project_id", project.clone()));
        }
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(args.trace_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(Resource::builder_empty().with_attributes(about).build())
            .build();
        Ok(Some(Traces(provider)))
    }

    /// The layer that turns the spans of `tracing` into spans of OpenTelemetry.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(&self) -> impl Layer<S> + Send + Sync + 'static {
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("roar-functions"));
        // Only spans are exported, because events go to the log; and no spans of the exporter's own libraries.
        let is_ours = |of: &Metadata<'_>| of.is_span() && is_own_target(of.target());
        layer
            .with_location(false)
            .with_threads(false)
            .with_filter(filter_fn(is_ours).with_max_level_hint(LevelFilter::INFO))
    }

    /// Exports the remaining spans. Blocks, so don't call this on a thread of the runtime.
    pub fn close(self) {
        if let Err(error) = self.0.shutdown_with_timeout(PARTING) {
            tracing::warn!(%error, "the last traces can't be sent");
        }
    }
}

/// A client that makes its requests on the service's runtime, because the exporter calls from a thread without a
/// runtime.
struct OnRuntime {
    http: reqwest::Client,
    credentials: Option<std::sync::Arc<GoogleAuthHeaders>>,
    runtime: Handle,
}

impl std::fmt::Debug for OnRuntime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OnRuntime")
    }
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (http, credentials) = (self.http.clone(), self.credentials.clone());
        let sent = self.runtime.spawn(async move {
            let (parts, body) = request.into_parts();
            let mut request = http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
            if let Some(credentials) = credentials {
                request = request.headers((*credentials.headers().await?).clone());
            }
            let answer = request.send().await?;
            let mut response = Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                *headers = answer.headers().clone();
            }
            Ok::<_, HttpError>(response.body(answer.bytes().await?)?)
        });
        sent.await?
    }
}

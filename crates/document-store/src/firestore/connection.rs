//! The wire: channels, credentials, headers and deadlines.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gcloud_sdk::google::firestore::v1 as pb;
use gcloud_sdk::{GCP_DEFAULT_SCOPES, GoogleAuthHeaders, HeaderMap};
use pb::firestore_client::FirestoreClient;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use super::FirestoreConfig;
use super::retry::Failure;
use crate::{Result, StoreError};

const CLOUD: &str = "https://firestore.googleapis.com";

/// Largest message to accept. A document holds at most 1 MiB, but a query's message may hold
/// several.
const DECODE_LIMIT: usize = 64 << 20;

/// How calls are authenticated.
enum Credentials {
    /// The emulator's token that no security rule applies to.
    EmulatorOwner,
    /// Application-default credentials.
    Google(Arc<GoogleAuthHeaders>),
}

/// A database's connections, and how to make calls on them.
pub(super) struct Connection {
    clients: Vec<FirestoreClient<Channel>>,
    next: AtomicUsize,
    credentials: Credentials,
    /// `projects/P/databases/D`.
    database: String,
    /// `projects/P/databases/D/documents`.
    root: String,
    resource_prefix: MetadataValue<Ascii>,
    routing: MetadataValue<Ascii>,
    deadline: Duration,
    query_deadline: Duration,
    attempts: u32,
    /// A semaphore of one permit on the emulator: see [`Connection::turn`].
    turns: Option<Arc<Semaphore>>,
}

impl Connection {
    pub(super) async fn open(config: FirestoreConfig) -> Result<Self> {
        for (what, id) in [("project", &config.project), ("database", &config.database)] {
            if id.is_empty() || id.contains('/') {
                return Err(StoreError::InvalidArgument(format!("{id:?} can't be the ID of a {what}")));
            }
        }
        let database = format!("projects/{}/databases/{}", config.project, config.database);
        let encoded = |id: &str| utf8_percent_encode(id, NON_ALPHANUMERIC).to_string();
        let routing = format!("project_id={}&database_id={}", encoded(&config.project), encoded(&config.database));
        let metadata = |text: &str| {
            text.parse().map_err(|_| StoreError::InvalidArgument(format!("{database:?} can't be a database")))
        };
        // The endpoint comes first: its TLS set-up chooses the cryptography that the credentials
        // may need.
        let endpoint = endpoint(config.emulator.as_deref(), &config.user_agent)?;
        let credentials = match &config.emulator {
            Some(_) => Credentials::EmulatorOwner,
            None => {
                let headers =
                    GoogleAuthHeaders::from_adc_with_scopes(GCP_DEFAULT_SCOPES.clone()).await.map_err(|error| {
                        StoreError::PermissionDenied(format!("no application-default credentials: {error}"))
                    })?;
                Credentials::Google(Arc::new(headers))
            }
        };
        let clients = (0..config.connections.max(1))
            .map(|_| FirestoreClient::new(endpoint.connect_lazy()).max_decoding_message_size(DECODE_LIMIT))
            .collect();
        Ok(Connection {
            clients,
            next: AtomicUsize::new(0),
            credentials,
            root: format!("{database}/documents"),
            resource_prefix: metadata(&database)?,
            routing: metadata(&routing)?,
            database,
            deadline: config.deadline,
            query_deadline: config.query_deadline,
            attempts: config.attempts.max(1),
            turns: config.emulator.map(|_| Arc::new(Semaphore::new(1))),
        })
    }

    /// `projects/P/databases/D`.
    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// `projects/P/databases/D/documents`.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// How often a call may be made.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// A permit to run a transaction, to be held until the transaction ends; `None` where none is needed.
    ///
    /// When two transactions have read one document and both commit, Cloud Firestore lets the older one win. The
    /// emulator (1.19.9) lets them wait two seconds for each other's lock and then aborts both, and their retries
    /// alike, so that a handful at once never finish. So on the emulator, transactions of this process run one at a
    /// time. Fails with ABORTED when no permit comes in time, as when a transaction waits for another one inside
    /// itself.
    pub(super) async fn turn(&self) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        let Some(turns) = &self.turns else {
            return Ok(None);
        };
        match tokio::time::timeout(self.deadline, Arc::clone(turns).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            _ => Err(Status::aborted("another transaction on the emulator doesn't end").into()),
        }
    }

    pub(super) async fn batch_get(
        &self,
        message: pb::BatchGetDocumentsRequest,
    ) -> Result<Streaming<pb::BatchGetDocumentsResponse>, Failure> {
        let request = self.request(message, self.query_deadline).await?;
        self.answer(self.client().batch_get_documents(request)).await
    }

    pub(super) async fn run_query(
        &self,
        message: pb::RunQueryRequest,
    ) -> Result<Streaming<pb::RunQueryResponse>, Failure> {
        let request = self.request(message, self.query_deadline).await?;
        self.answer(self.client().run_query(request)).await
    }

    pub(super) async fn count(
        &self,
        message: pb::RunAggregationQueryRequest,
    ) -> Result<Streaming<pb::RunAggregationQueryResponse>, Failure> {
        let request = self.request(message, self.query_deadline).await?;
        self.answer(self.client().run_aggregation_query(request)).await
    }

    pub(super) async fn commit(&self, message: pb::CommitRequest) -> Result<pb::CommitResponse, Failure> {
        let request = self.request(message, self.deadline).await?;
        self.answer(self.client().commit(request)).await
    }

    pub(super) async fn begin(&self, options: pb::TransactionOptions) -> Result<pb::BeginTransactionResponse, Failure> {
        let message = pb::BeginTransactionRequest {
            database: self.database.clone(),
            options: Some(options),
            request_options: None,
        };
        let request = self.request(message, self.deadline).await?;
        self.answer(self.client().begin_transaction(request)).await
    }

    pub(super) async fn rollback(&self, transaction: Vec<u8>) -> Result<(), Failure> {
        let message = pb::RollbackRequest { database: self.database.clone(), transaction, request_options: None };
        let request = self.request(message, self.deadline).await?;
        self.answer(self.client().rollback(request)).await
    }

    /// The next message of a stream, waited for as long as one call may take.
    pub(super) async fn next<M>(&self, stream: &mut Streaming<M>) -> Result<Option<M>, Failure> {
        self.in_time(stream.message()).await
    }

    /// The next connection's client, in round robin. (Clones of a client share its connection.)
    fn client(&self) -> FirestoreClient<Channel> {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len();
        self.clients[index].clone()
    }

    async fn request<M>(&self, message: M, deadline: Duration) -> Result<Request<M>, Failure> {
        let mut request = Request::new(message);
        // Tells the server when nobody waits any more.
        request.set_timeout(deadline);
        let metadata = request.metadata_mut();
        match &self.credentials {
            Credentials::EmulatorOwner => {
                metadata.insert("authorization", MetadataValue::from_static("Bearer owner"));
            }
            Credentials::Google(source) => {
                let headers = self
                    .in_time(async {
                        let unavailable = |error| Status::unavailable(format!("no access token: {error}"));
                        source.headers().await.map_err(unavailable)
                    })
                    .await?;
                *metadata = merged(std::mem::take(metadata), &headers);
            }
        }
        metadata.insert("google-cloud-resource-prefix", self.resource_prefix.clone());
        metadata.insert("x-goog-request-params", self.routing.clone());
        Ok(request)
    }

    async fn answer<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failure> {
        self.in_time(call).await.map(Response::into_inner)
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Failure> {
        match tokio::time::timeout(self.deadline, work).await {
            Ok(outcome) => outcome.map_err(Failure::from),
            Err(_) => Err(Status::deadline_exceeded(format!("no answer within {:?}", self.deadline)).into()),
        }
    }
}

/// Credentials' headers (the token, and the project that pays if one is set) added to metadata.
fn merged(metadata: MetadataMap, headers: &HeaderMap) -> MetadataMap {
    let mut all = metadata.into_headers();
    for (name, value) in headers {
        all.insert(name.clone(), value.clone());
    }
    MetadataMap::from_headers(all)
}

fn endpoint(emulator: Option<&str>, user_agent: &str) -> Result<Endpoint> {
    let (url, tls) = match emulator {
        Some(host) => (format!("http://{}", host.trim_start_matches("http://")), false),
        None => (CLOUD.to_owned(), true),
    };
    let wrong = |error: &dyn std::fmt::Display| {
        StoreError::InvalidArgument(format!("{url:?} can't be the address of Firestore: {error}"))
    };
    let endpoint = Endpoint::from_shared(url.clone())
        .and_then(|endpoint| endpoint.user_agent(user_agent))
        .map_err(|error| wrong(&error))?
        .connect_timeout(Duration::from_secs(10))
        .tcp_keepalive(Some(Duration::from_secs(60)))
        .http2_keep_alive_interval(Duration::from_secs(60))
        .keep_alive_timeout(Duration::from_secs(20))
        .keep_alive_while_idle(true);
    if !tls {
        return Ok(endpoint);
    }
    endpoint.tls_config(ClientTlsConfig::new().with_webpki_roots()).map_err(|error| wrong(&error))
}

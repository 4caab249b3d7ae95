//! The assembled service: the table of functions with two databases, a task queue and the runtime.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;

use crate::accounts::embedded::EmbeddedAccounts;
use crate::accounts::identity_toolkit::{self, IdentityToolkit};
use crate::accounts::{AccountError, Accounts};
use crate::administrations::definitions::Definitions;
use crate::app::{ADMIN, ASSESSMENT, App, Projects, Settings, Stores};
use crate::context::Context;
use crate::documents::administration;
use crate::documents::administration_org::OrgSubcollection;
use crate::documents::assignment;
use crate::functions;
use crate::openapi;
use crate::rostering::{Rosters, Tally, UnderWay};
use crate::runtime::auth::{Callers, Deliveries};
use crate::runtime::observe::samples::{Reading, Sample};
use crate::runtime::{
    Capacity, CloudTasks, DatabaseName, HEARTBEAT, LocalQueue, Options, QueueOptions, RemoteQueue, Runtime,
    RuntimeError, Server, ServerOptions, TaskQueue, outbox_triggers,
};
use crate::store::embedded::{EmbeddedStore, Index, IndexMode, IndexSet};
use crate::store::{Direction, StoreError};

/// Indexed fields that only the dashboard's own queries need; an embedded store has no such clients.
const DASHBOARD_FIELDS: [&str; 3] = [administration::field::NAME, "readOrgs.", administration::field::TEST_DATA];

const ASCENDING: IndexMode = IndexMode::Ordered(Direction::Ascending);

/// The indexes that an embedded store maintains: those of the deployed `firestore.indexes.json` that the functions' own
/// queries use.
pub fn embedded_indexes() -> Result<IndexSet, StoreError> {
    let all = IndexSet::parse(include_str!("../firestore.indexes.json"))?;
    let needed = |index: &Index| {
        let mut paths = index.fields.iter().map(|field| field.path.to_string());
        // Where the first field leaves few documents, the index of that field alone serves every query. The other
        // indexes would cost a write for each org at each sync.
        match index.collection_id.as_str() {
            read if read == OrgSubcollection::Read.id() => return index.group && index.fields.len() == 1,
            administration::COLLECTION => return index.fields.len() == 1 && index.fields[0].mode == ASCENDING,
            _ => {}
        }
        // Field overrides repeat what Firestore indexes for every field by default; one direction is enough for the
        // queries.
        let repeated = match index.fields.as_slice() {
            // These fields hold lists, and queries ask for their elements.
            [only] if only.path.to_string().starts_with("claims.adminOrgs.") => only.mode != IndexMode::Contains,
            [only] if !index.group => only.path.to_string() == assignment::field::ID || only.mode != ASCENDING,
            _ => false,
        };
        !repeated && !paths.any(|path| DASHBOARD_FIELDS.iter().any(|dashboard| path.starts_with(dashboard)))
    };
    Ok(all.only(needed))
}

/// Opens one database of an embedded store in `directory`, with the triggers of the function table. Fails as
/// [`EmbeddedStore::open`] does.
pub fn open_embedded(
    directory: &Path,
    label: &'static str,
    name: &DatabaseName,
    context: &Context,
) -> Result<Arc<EmbeddedStore>, StoreError> {
    let triggers = outbox_triggers(&functions::table(), label);
    EmbeddedStore::open(directory, label, name.clone(), &embedded_indexes()?, triggers, context.clock.clone())
}

/// The user agent of this program's requests to other services.
pub const USER_AGENT: &str = concat!("roar-functions/", env!("CARGO_PKG_VERSION"));

/// Opens the accounts of both projects in `directory`. When both databases are in one project, they share the accounts.
/// Fails as [`EmbeddedAccounts::open`] does.
pub fn open_embedded_accounts(
    directory: &Path,
    admin: &str,
    assessment: &str,
    context: &Context,
) -> Result<Projects, StoreError> {
    let open = |label, project: &str| -> Result<Accounts, StoreError> {
        Ok(Accounts::new(project, Arc::new(EmbeddedAccounts::open(directory, label, project, context)?)))
    };
    let admin_accounts = open("admin-accounts", admin)?;
    let assessment =
        if admin == assessment { admin_accounts.clone() } else { open("assessment-accounts", assessment)? };
    Ok(Projects { admin: admin_accounts, assessment })
}

/// Opens the accounts of both projects over one connection: of the emulator (host:port), or of Firebase Authentication
/// with application-default credentials. Fails when there are no credentials.
pub async fn open_accounts(admin: &str, assessment: &str, emulator: Option<&str>) -> Result<Projects, AccountError> {
    let options = identity_toolkit::Options { user_agent: USER_AGENT, ..identity_toolkit::Options::default() };
    let connection = Arc::new(identity_toolkit::Connection::open(emulator, options).await?);
    let accounts = |project: &str| -> Result<Accounts, AccountError> {
        Ok(Accounts::new(project, Arc::new(IdentityToolkit::new(connection.clone(), project)?)))
    };
    Ok(Projects { admin: accounts(admin)?, assessment: accounts(assessment)? })
}

/// The parts that a service is assembled from.
pub struct ServiceParts {
    /// The databases.
    pub stores: Stores,
    /// The accounts of the two projects.
    pub accounts: Projects,
    /// Project and database ID of the admin database.
    pub admin: DatabaseName,
    /// Project and database ID of the assessment database.
    pub assessment: DatabaseName,
    /// The clock and IDs.
    pub context: Context,
    /// Settings of the domain rules.
    pub settings: Settings,
    /// The configured providers of rosters.
    pub rosters: Rosters,
    /// Options of the task queue in this process.
    pub queue: QueueOptions,
    /// Cloud Tasks, which notifies instances of pending tasks; `None` when this process is the only one.
    pub cloud_tasks: Option<CloudTasks>,
    /// Limits on concurrent work.
    pub capacity: Capacity,
    /// Which callers are accepted.
    pub callers: Callers,
    /// Who may deliver events and tasks.
    pub deliveries: Deliveries,
}

/// A service that's ready to start. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    /// The application state that handlers get.
    pub app: App,
    /// Runs the functions.
    pub runtime: Runtime<App>,
    /// Runs the tasks.
    pub queue: Arc<LocalQueue>,
    /// Notifies instances of pending tasks by Cloud Tasks, where there are several instances.
    pub remote: Option<Arc<RemoteQueue>>,
}

impl Service {
    /// Assembles the service. Nothing runs yet.
    pub fn assemble(parts: ServiceParts) -> Result<Service, RuntimeError> {
        let queue = LocalQueue::new(parts.stores.admin.clone(), parts.queue);
        let table = functions::table();
        let remote = parts.cloud_tasks.map(|cloud| {
            let (database, context) = (parts.stores.admin.clone(), parts.context.clone());
            RemoteQueue::new(cloud, database, context, queue.clone(), &table)
        });
        let tasks: Arc<dyn TaskQueue> = match &remote {
            Some(remote) => remote.clone(),
            None => queue.clone(),
        };
        let context = parts.context.clone();
        let app = App::new(parts.stores, parts.accounts, context, tasks, parts.settings).with_extension(parts.rosters);
        let options = Options {
            context: parts.context,
            callers: parts.callers,
            deliveries: parts.deliveries,
            databases: BTreeMap::from([(ADMIN.to_owned(), parts.admin), (ASSESSMENT.to_owned(), parts.assessment)]),
            heartbeat: HEARTBEAT,
            capacity: parts.capacity,
        };
        let runtime = Runtime::new(table, app.clone(), options)?;
        let rosters = Rosters::of(&app);
        runtime.metrics().add_source(Box::new(move || samples(&rosters.tally)));
        let definitions = Definitions::of(&app);
        runtime.metrics().add_source(Box::new(move || {
            let help =
                "Students whom syncs of administrations passed over, because a document of theirs takes no more.";
            let reading = Reading::Counter(definitions.refused());
            vec![Sample { name: "sync_students_refused_total", help, labels: Vec::new(), reading }]
        }));
        Ok(Service { app, runtime, queue, remote })
    }

    /// Starts to run tasks, beginning with those that a shutdown or a crash left pending.
    pub fn start_tasks(&self) {
        match &self.remote {
            Some(remote) => remote.start(),
            None => self.queue.start(Arc::new(self.runtime.clone())),
        }
    }

    /// Binds the HTTP server. `grace` is how long running work may go on after a shutdown was requested.
    pub async fn bind(&self, address: std::net::SocketAddr, grace: Duration) -> std::io::Result<Server<App>> {
        let options = ServerOptions {
            databases: vec![self.app.stores.admin.clone(), self.app.stores.assessment.clone()],
            queue: self.queue.clone(),
            remote: self.remote.clone(),
            grace,
        };
        let server = Server::bind(address, self.runtime.clone(), options).await?;
        // The document never changes; it's built on the first request.
        let document = std::sync::LazyLock::new(|| openapi::document().to_string());
        let document = Arc::new(document);
        let kind = [(header::CONTENT_TYPE, "application/json")];
        let routes = Router::new().route("/openapi.json", get(async move || (kind, (**document).clone())));
        Ok(server.with_routes(routes))
    }
}

/// The metrics of roster syncs.
fn samples(tally: &Tally) -> Vec<Sample> {
    let UnderWay { runs, done, expected } = tally.under_way();
    let mut samples = vec![
        Sample::gauge("roster_syncs_in_progress", "Syncs of rosters under way.", runs as f64),
        Sample::gauge("roster_sync_progress_records", "Records that these have gone through.", done as f64),
        Sample::gauge("roster_sync_expected_records", "Records that these expect.", expected as f64),
    ];
    let counted = |name, help, labels, value| Sample { name, help, labels, reading: Reading::Counter(value) };
    samples.extend(tally.runs().into_iter().map(|(provider, outcome, value)| {
        let labels = vec![("provider", provider), ("outcome", outcome)];
        counted("roster_syncs_total", "Syncs of rosters that ended, by provider and outcome.", labels, value)
    }));
    samples.extend(tally.records().into_iter().map(|(provider, entity, value)| {
        let labels = vec![("provider", provider), ("entity", entity)];
        counted("roster_sync_records_total", "Records that ended syncs went through.", labels, value)
    }));
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of an index in a line.
    fn lines(indexes: &IndexSet, collection_id: &str, group: bool) -> Vec<String> {
        let of_collection = indexes.iter().filter(|index| index.collection_id == collection_id && index.group == group);
        let fields =
            |index: &Index| index.fields.iter().map(|field| field.path.to_string()).collect::<Vec<_>>().join(" ");
        of_collection.map(fields).collect()
    }

    /// An embedded store answers several queries from one index, which Firestore doesn't: those need theirs.
    #[test]
    fn what_an_embedded_store_leaves_out_is_deployed() {
        let deployed = IndexSet::parse(include_str!("../firestore.indexes.json")).expect("definitions");
        let embedded = embedded_indexes().expect("definitions");
        let listing = ["orgId", "orgId testData", "orgId dateClosed", "orgId testData dateClosed"];
        for fields in listing {
            assert!(lines(&deployed, "readOrgs", true).contains(&fields.to_owned()), "readOrgs: {fields}");
        }
        assert_eq!(lines(&embedded, "readOrgs", true), ["orgId"]);
        for fields in ["createdBy", "testData", "dateClosed", "testData dateClosed"] {
            assert!(
                lines(&deployed, "administrations", false).contains(&fields.to_owned()),
                "administrations: {fields}"
            );
        }
        assert_eq!(lines(&embedded, "administrations", false), ["createdBy", "dateClosed", "testData"]);
        let classes = "districtId archived schoolId".to_owned();
        assert!(lines(&deployed, "classes", false).contains(&classes), "to count the classes without a school");
    }
}

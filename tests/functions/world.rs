//! A service under test, with a district in it.
#![allow(dead_code, reason = "the tests and each benchmark use their parts")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use roar_functions::app::{ADMIN, ASSESSMENT, Settings, Stores};
use roar_functions::assignments::recount::Counts;
use roar_functions::assignments::tasks::Tasks;
use roar_functions::cli::triggers::{document_triggers, register};
use roar_functions::context::Context;
use roar_functions::demo::district::{ADMIN_UID, DISTRICT, District, Size, administration};
use roar_functions::documents::administration::Administration;
use roar_functions::functions;
use roar_functions::rostering::Rosters;
use roar_functions::runtime::auth::{
    AppCheck, Callers, Deliveries, DevelopmentKey, IdTokens, KeySource, unsigned_token,
};
use roar_functions::runtime::budget::Budgets;
use roar_functions::runtime::limits::SignedOut;
use roar_functions::runtime::sign_in::SignInRules;
use roar_functions::runtime::{Call, Caller, Capacity, DatabaseName, QueueOptions, Trigger};
use roar_functions::service::{self, Service, ServiceParts};
use roar_functions::store::embedded::EmbeddedStore;
use roar_functions::store::firestore::{FirestoreConfig, FirestoreStore};
use roar_functions::store::{Database, DocPath, Document, Fields, Query, Timestamp, Value, Write};

pub use firebase_emulators::directory;
use firebase_emulators::{Emulator, unique_project};

pub const PROJECT: &str = "demo-roar-admin";

/// An embedded store in a directory.
pub fn open(directory: &std::path::Path, label: &'static str, context: &Context) -> Arc<EmbeddedStore> {
    let name = DatabaseName { project: PROJECT.to_owned(), database: "(default)".to_owned() };
    service::open_embedded(directory, label, &name, context).expect("a store")
}

/// The service over the given databases.
pub fn service(
    stores: Stores,
    accounts: &std::path::Path,
    project: &str,
    context: Context,
    settings: Settings,
    rosters: Rosters,
) -> Service {
    let accounts = service::open_embedded_accounts(accounts, project, &format!("{project}-assessment"), &context);
    // No signed token comes here, so nobody asks for keys.
    let keys = KeySource::new("http://127.0.0.1:9/", reqwest::Client::builder().build().expect("a client"));
    let name = |project: &str| DatabaseName { project: project.to_owned(), database: "(default)".to_owned() };
    Service::assemble(ServiceParts {
        stores,
        accounts: accounts.expect("accounts"),
        admin: name(project),
        assessment: name(&format!("{project}-assessment")),
        context,
        settings,
        rosters,
        queue: QueueOptions::default(),
        cloud_tasks: None,
        capacity: Capacity::default(),
        callers: Callers {
            id_tokens: IdTokens {
                projects: vec![project.to_owned(), format!("{project}-assessment")],
                keys,
                allow_unsigned: true,
                development: None,
            },
            app_check: AppCheck::Off,
            signed_out: SignedOut::unlimited(),
            budgets: Budgets::unlimited(),
            sign_in: SignInRules::default(),
        },
        deliveries: Deliveries::Open,
    })
    .expect("the index is sound")
}

/// A service on the real Firestore emulator, which posts document events to it.
pub struct EmulatorWorld {
    pub service: Service,
    pub url: String,
    pub project: String,
    http: reqwest::Client,
    emulator: Emulator,
    _accounts: tempfile::TempDir,
}

impl EmulatorWorld {
    pub async fn start() -> EmulatorWorld {
        // The emulator must know where to post before the service knows the emulator.
        let address: SocketAddr = ([127, 0, 0, 1], firebase_emulators::free_port()).into();
        let emulator = Emulator::start_with_events(address);
        let project = unique_project("functions");
        let open = async |project: String| {
            let config = FirestoreConfig::new(project, "(default)").on_emulator(emulator.host());
            Database::new(Arc::new(FirestoreStore::open(config).await.expect("the emulator is there")))
        };
        let stores =
            Stores { admin: open(project.clone()).await, assessment: open(format!("{project}-assessment")).await };
        let accounts = directory();
        let service =
            service(stores, accounts.path(), &project, Context::system(), Settings::default(), Rosters::default());
        service.start_tasks();
        let server = service.bind(address, Duration::from_secs(5)).await.expect("the port is free");
        tokio::spawn(server.run(std::future::pending()));
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().expect("a client");
        let world =
            EmulatorWorld { service, url: format!("http://{address}"), project, http, emulator, _accounts: accounts };
        world.register().await;
        world
    }

    pub fn admin(&self) -> &Database {
        &self.service.app.stores.admin
    }

    pub fn assessment(&self) -> &Database {
        &self.service.app.stores.assessment
    }

    pub fn emulator_host(&self) -> &str {
        self.emulator.host()
    }

    /// Registers the triggers as `triggers install` does: each in the project of its database.
    async fn register(&self) {
        let name = |project: String| DatabaseName { project, database: "(default)".to_owned() };
        let databases = BTreeMap::from([
            (ADMIN.to_owned(), name(self.project.clone())),
            (ASSESSMENT.to_owned(), name(format!("{}-assessment", self.project))),
        ]);
        let triggers = document_triggers(&functions::table(), &databases).expect("every database has a name");
        register(self.emulator.host(), &triggers).await.expect("the emulator takes them");
    }

    pub async fn call(&self, uid: &str, function: &str, data: serde_json::Value) -> (u16, serde_json::Value) {
        let token = token(&self.project, uid, self.service.app.now());
        call(&self.http, &self.url, &token, function, data).await
    }
}

pub fn token(project: &str, uid: &str, now: Timestamp) -> String {
    unsigned_token(project, uid, None, serde_json::Map::new(), now).expect("a token")
}

/// A token that a server on that data directory accepts.
pub fn data_token(directory: &std::path::Path, project: &str, uid: &str, now: Timestamp) -> String {
    let key = DevelopmentKey::open(directory, &Context::system()).expect("a key");
    key.token(project, uid, None, serde_json::Map::new(), now).expect("a token")
}

pub async fn call(
    http: &reqwest::Client,
    url: &str,
    token: &str,
    function: &str,
    data: serde_json::Value,
) -> (u16, serde_json::Value) {
    let answer = http
        .post(format!("{url}/{function}"))
        .bearer_auth(token)
        .json(&serde_json::json!({ "data": data }))
        .send()
        .await
        .expect("the server answers");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("an envelope"))
}

/// Fills the admin database with a district of that many students.
pub async fn fill(database: &Database, students: usize) -> District {
    let district = District::new(Size::of(students));
    for batch in district.batches(200) {
        database.commit(batch.expect("good paths")).await.expect("the district is written");
    }
    district
}

/// Waits until everything before is handled: events come in order on the emulator, so a last student's level
/// of school, which the handler writes, tells that all others are followed. Gives how many reads that took.
#[allow(dead_code, reason = "not every benchmark waits like this")]
pub async fn followed(database: &Database, name: &str) -> u64 {
    let path = DocPath::in_collection("users", name).expect("a path");
    let student = roar_functions::fields! {
        "userType" => "student", "archived" => false, "studentData" => roar_functions::fields! { "grade" => "7" },
    };
    database.commit(vec![Write::set(path.clone(), student)]).await.expect("written");
    let mut looks = 0;
    // Benchmarks have thousands of students followed, so that nothing can be said of how long it may take.
    loop {
        looks += 1;
        let user = database.get(&path).await.expect("readable").expect("the last student");
        if roar_functions::store::lookup(&user.fields, "studentData.schoolLevel").is_some() {
            return looks;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// A `createAdministration` payload that is open now.
pub fn open_administration(now: Timestamp) -> serde_json::Value {
    let hours = jiff::SignedDuration::from_hours;
    administration(now - hours(24), now + hours(24 * 60))
}

pub async fn assignments(database: &Database, administration: &str) -> Vec<Document> {
    database.query(Query::group("assignments").equal("id", administration)).await.expect("assignments")
}

pub async fn stored_counts(database: &Database, administration: &str) -> Counts {
    let stats = database.query(Query::collection(format!("administrations/{administration}/stats"))).await;
    Counts::of_documents(&stats.expect("counts"))
}

/// Every count equals the recount, and every user's lists equal the assignments.
pub async fn assert_consistent(database: &Database, administration: &str) {
    let assignments = assignments(database, administration).await;
    let path = DocPath::in_collection("administrations", administration).expect("a path");
    let document = database.get(&path).await.expect("an administration");
    let tasks = document.map(|document| Tasks::of(&Administration::from_document(&document)));
    let recounted = Counts::of_assignments(assignments.iter().map(|assignment| &assignment.fields), tasks.as_ref());
    let stored = stored_counts(database, administration).await;
    assert_eq!(stored.differences(&recounted), [], "counts differ from the recount");
    let by_user: BTreeMap<String, &Document> =
        assignments.iter().filter_map(|a| Some((a.path.parent()?.id().to_owned(), a))).collect();
    for user in database.query(Query::collection("users")).await.expect("users") {
        let assignment = by_user.get(user.id());
        for (list, dates, flag) in [
            ("assigned", "assignmentsAssigned", None),
            ("started", "assignmentsStarted", Some("started")),
            ("completed", "assignmentsCompleted", Some("completed")),
        ] {
            let expected = assignment.is_some_and(|assignment| {
                flag.is_none_or(|flag| assignment.fields.get(flag) == Some(&Value::Boolean(true)))
            });
            let lists = user.fields.get("assignments").and_then(Value::as_map);
            let listed = lists.and_then(|lists| lists.get(list)).and_then(Value::as_string_list).unwrap_or_default();
            assert_eq!(listed.contains(&administration.to_owned()), expected, "{list} of {}", user.path);
            let dated = user.fields.get(dates).and_then(Value::as_map).is_some_and(|d| d.contains_key(administration));
            assert_eq!(dated, expected, "{dates} of {}", user.path);
        }
    }
}

pub async fn set(database: &Database, path: &str, fields: Fields) {
    let write = Write::set(DocPath::new(path).expect("a path"), fields);
    database.commit(vec![write]).await.expect("written");
}

/// Calls `createAdministration` past HTTP and gives the ID.
pub async fn create_in(service: &Service, uid: &str, data: serde_json::Value) -> String {
    let function = service.runtime.registry().find("createAdministration").expect("it's in the index");
    let Trigger::Callable(handler) = &function.trigger else { panic!("a callable") };
    let caller = Caller {
        uid: uid.to_owned(),
        project: service.app.accounts.admin.project().to_owned(),
        claims: Default::default(),
        sign_in: Default::default(),
    };
    let call = Call::new(data, Some(caller));
    let answer = handler(service.app.clone(), call).await.expect("an administration");
    answer["administrationId"].as_str().expect("an ID").to_owned()
}

pub fn admin_uid() -> &'static str {
    ADMIN_UID
}

pub fn district() -> &'static str {
    DISTRICT
}

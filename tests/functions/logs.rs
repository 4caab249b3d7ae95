//! The log contains no personal data at any level: neither from requests and documents, nor from personal data in
//! fields where none belongs.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use roar_functions::fields;
use roar_functions::rights::Role;
use roar_functions::runtime::auth::unsigned_token;
use roar_functions::store::{Timestamp, Value};
use serde_json::{Value as Json, json};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use crate::town::{Town, uid};
use crate::world::{PROJECT, call, open_administration, set, token};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Log;
    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

impl Log {
    /// Captures all log output of this thread, which runs all tasks.
    fn keep() -> (Log, DefaultGuard) {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

const FIRST: &str = "Wilhelmina";
const LAST: &str = "Featherstonehaugh";
const EMAIL: &str = "wilhelmina.f@reading.example";
const PASSWORD: &str = "correct-horse-battery";
const BORN: &str = "2016-02-29";
const PERSONAL: [&str; 8] = [FIRST, LAST, EMAIL, PASSWORD, BORN, "555-0100", "2016-02", "battery"];

/// Requests as they should be, and with what's personal in every wrong place.
fn requests() -> Vec<(&'static str, Json)> {
    let person = json!({
        "email": EMAIL, "name": {"first": FIRST, "middle": null, "last": LAST},
        "orgs": {"schools": ["s1"]}, "adminOrgs": {"schools": ["s1"]},
    });
    let with = |name: &str, value: Json| {
        let mut request = person.clone();
        request[name] = value;
        request
    };
    let named = format!("{FIRST} {LAST}");
    let student = uid(Role::Student);
    vec![
        ("createAdministratorAccount", person.clone()),
        ("createAdministratorAccount", with("name", json!([FIRST, LAST]))),
        ("createAdministratorAccount", with("name", json!(named))),
        ("createAdministratorAccount", with("email", json!(named))),
        ("createAdministratorAccount", with("orgs", json!({ named.clone(): [EMAIL] }))),
        ("createAdministratorAccount", with("orgs", json!({ "schools": [EMAIL] }))),
        ("createAdministratorAccount", with("adminOrgs", json!({ "schools": [named] }))),
        ("createAdministratorAccount", with("isTestData", json!(EMAIL))),
        ("updateUserRecord", json!({"uid": student, "userRecord": {"password": PASSWORD, "email": EMAIL}})),
        (
            "updateUserRecord",
            json!({"uid": student, "userRecord": {"email": format!("{}@example.org", uid(Role::Admin))}}),
        ),
        ("updateUserRecord", json!({"uid": student, "userRecord": {"displayName": named, "phoneNumber": "555-0100"}})),
        ("updateUserRecord", json!({"uid": student, "userRecord": {named.clone(): PASSWORD}})),
        ("updateUserRecord", json!({"uid": EMAIL, "userRecord": {"password": PASSWORD}})),
        ("updateUserRecord", json!({"uid": student, "userRecord": {"password": {"is": PASSWORD}}})),
        ("appendToAdminClaims", json!({"targetUid": EMAIL, "schoolId": "s1"})),
        ("appendToAdminClaims", json!({"targetUid": student, "schoolId": named})),
        ("removeFromAdminClaims", json!({"targetUid": EMAIL, "schools": [named]})),
        (
            "setUidClaims",
            json!({"assessmentUid": EMAIL, "identityProviderId": named, "identityProviderType": "clever"}),
        ),
        ("setUidClaims", json!({"assessmentUid": {"email": EMAIL}})),
        ("associateAssessmentUid", json!({"adminUid": EMAIL, "assessmentUid": named})),
        ("createLevanteGroup", json!({"groupData": {"name": named, "parentOrgType": "school", "parentOrgId": EMAIL}})),
        ("createLevanteGroup", json!({"groupData": {"name": named, named.clone(): [[EMAIL]]}})),
        ("createLevanteGroup", json!({"groupData": {"name": "G", "x": {named.clone(): [[EMAIL]]}}})),
        ("getAssignmentStats", json!({"administrationIds": [EMAIL], "orgId": named})),
        (
            "getAdministrationOrgsAndStats",
            json!({"administrationId": EMAIL, "parentOrgId": named, "parentOrgType": LAST}),
        ),
        ("getAdministrations", json!({"testData": EMAIL})),
        ("reconcileAdministration", json!({"administrationId": EMAIL})),
        ("mergeUsers", json!({"from": EMAIL, "into": named, "apply": true})),
        ("mergeUsers", json!({"from": student, "into": EMAIL, "apply": PASSWORD})),
        ("rosterDoubles", json!({"districtId": EMAIL, "confirm": [named], "reject": [EMAIL], "apply": true})),
        ("rosterDoubles", json!({"districtId": "d1", "confirm": {named.clone(): EMAIL}, "after": LAST})),
    ]
}

#[tokio::test]
async fn nothing_personal_is_in_the_log() {
    let (log, _guard) = Log::keep();
    let town = Town::open().await;
    let server = town.world.service.bind(([127, 0, 0, 1], 0).into(), Duration::ZERO).await.expect("a port");
    let url = format!("http://{}", server.address().expect("an address"));
    tokio::spawn(server.run(std::future::pending()));
    let http = reqwest::Client::builder().build().expect("a client");
    let mut secrets: Vec<String> = PERSONAL.map(str::to_owned).into();
    let born: Timestamp = format!("{BORN}T00:00:00Z").parse().expect("an instant");
    let person = fields! {
        "userType" => "student", "archived" => false, "email" => EMAIL, "username" => EMAIL, "password" => PASSWORD,
        "name" => fields! { "first" => FIRST, "middle" => Value::Null, "last" => LAST },
        "studentData" => fields! { "dob" => born, "grade" => "3", "gender" => "x" },
        "schools" => fields! { "current" => Value::strings(["s1"]), "all" => Value::strings(["s1"]) },
    };
    set(town.world.admin(), "users/pupil", person.clone()).await;
    set(town.world.admin(), "users/pupil/externalData/clever", person.clone()).await;
    let contact = fields! { "name" => LAST, "email" => EMAIL };
    let org = fields! { "name" => "S", "districtId" => "d1", "archived" => false, "principal" => contact, "phone" => "555-0100" };
    set(town.world.admin(), "schools/s1", org).await;
    set(town.world.admin(), "families/f1", fields! { "name" => LAST, "archived" => false }).await;
    town.settle().await;

    let mut administration = open_administration(town.world.now());
    administration["orgs"] = json!({"schools": ["s1"]});
    let token = token(PROJECT, &uid(Role::SuperAdmin), town.world.now());
    let (status, _) = call(&http, &url, &token, "createAdministration", administration.clone()).await;
    assert_eq!(status, 200);
    administration["conditions"] = json!({ EMAIL: PASSWORD });
    administration["assessments"][0]["params"] = json!({ (format!("{FIRST} {LAST}")): [[EMAIL]] });
    let (status, said) = call(&http, &url, &token, "createAdministration", administration).await;
    assert_eq!(status, 400);
    assert!(!said.to_string().contains(FIRST), "{said}");
    town.settle().await;
    for role in [Role::SuperAdmin, Role::Admin, Role::Guest] {
        let claims = json!({"email": EMAIL, "name": format!("{FIRST} {LAST}")});
        let claims = claims.as_object().cloned().expect("claims");
        let token = unsigned_token(PROJECT, &uid(role), None, claims, town.world.now()).expect("a token");
        // What's unsigned ends with a dot; a broken one is logged as little as a good one.
        let broken = token.replace('.', ".x");
        secrets.extend(token.split('.').skip(1).filter(|part| !part.is_empty()).map(str::to_owned));
        for (function, request) in requests() {
            for token in [&token, &broken] {
                let (status, said) = call(&http, &url, token, function, request.clone()).await;
                assert!(status < 500, "{function} as {role:?}: {said}");
                let said = said.to_string();
                let told = secrets.iter().find(|secret| said.contains(*secret));
                assert_eq!(told, None, "{function} as {role:?}: {said}");
            }
        }
        town.settle().await;
    }
    let mut moved = person;
    moved.insert("schools".to_owned(), Value::Map(fields! { "current" => Value::strings(["s2"]) }));
    set(town.world.admin(), "users/pupil", moved).await;
    town.settle().await;
    for path in ["users/pupil/externalData/clever", "users/pupil", "schools/s1", "families/f1"] {
        town.delete(path).await;
    }
    town.settle().await;

    let text = log.text();
    assert!(text.contains("TRACE") || text.contains("DEBUG"), "it's the finest log");
    assert!(text.contains("the function refused the call") && text.lines().count() > 500, "there's a log");
    for secret in secrets {
        let line = text.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}

//! Reconciling as operators start it: by a call, on the command line, and on the real emulator.

use std::time::Duration;

use roar_functions::demo::district::{District, Size};
use roar_functions::fields;
use roar_functions::reconcile::{Options, reconcile_one};
use roar_functions::runtime::{Call, Caller, FunctionError, Status, Trigger};
use roar_functions::store::{DocPath, Value, Write};
use serde_json::{Value as Json, json};

use crate::local::LocalWorld;
use crate::reconcile::{STUDENTS, assert_mended, commit, count, findings, list, put, user, world};
use crate::scenario::assignment;
use crate::world::{assert_consistent, set};

async fn call(world: &LocalWorld, uid: Option<&str>, data: Json) -> Result<Json, FunctionError> {
    let function = world.service.runtime.registry().find("reconcileAdministration").expect("it's in the index");
    let Trigger::Callable(handler) = &function.trigger else { panic!("a callable") };
    let caller = uid.map(|uid| Caller {
        uid: uid.to_owned(),
        project: crate::world::PROJECT.to_owned(),
        claims: Default::default(),
        sign_in: Default::default(),
    });
    handler(world.service.app.clone(), Call::new(data, caller)).await
}

#[tokio::test]
async fn only_super_admins_may_call() {
    let (world, id) = world().await;
    let claims = fields! { "claims" => fields! { "super_admin" => true }, "lastUpdated" => 0 };
    set(world.admin(), "userClaims/super", claims).await;
    world.settle().await;
    let data = json!({ "administrationId": id });
    let super_admin = Some("super");
    for (uid, data, status) in [
        (None, data.clone(), Status::Unauthenticated),
        (Some("student-000001"), data.clone(), Status::PermissionDenied),
        (Some(crate::world::admin_uid()), data.clone(), Status::PermissionDenied),
        (super_admin, json!({}), Status::InvalidArgument),
        (super_admin, json!({ "administrationId": "a/b" }), Status::InvalidArgument),
        (super_admin, json!({ "administrationId": id, "fix": "yes" }), Status::InvalidArgument),
        (super_admin, json!({ "administrationId": "nothing-of-it" }), Status::NotFound),
    ] {
        let error = call(&world, uid, data.clone()).await.expect_err("a refusal");
        assert_eq!(error.status, status, "{uid:?} {data}");
    }
    let answer = call(&world, super_admin, data.clone()).await.expect("a report");
    assert_eq!((&answer["status"], &answer["agrees"]), (&json!("ok"), &json!(true)));
    commit(&world, vec![count(&id, "total", "pa", "assigned", 2)]).await;
    let answer = call(&world, super_admin, json!({ "administrationId": id, "fix": true })).await.expect("a report");
    assert_eq!(answer["agrees"], json!(true), "{answer:#}");
    assert_eq!(answer["administrations"][0]["kinds"], json!({ "countDiffers": { "found": 1, "fixed": 1 } }));
    assert_mended(&world, &id, "called").await;
}

/// The program on a directory, and what it printed.
fn program(directory: &std::path::Path, args: &[&str]) -> (i32, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_roar-functions"))
        .arg("reconcile")
        .args(args)
        .env_clear()
        .env("ROAR_DATA_DIR", directory)
        .output()
        .expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("a code"), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_command_line() {
    let directory = crate::world::directory();
    let context = roar_functions::context::Context::system();
    let open = || crate::world::open(directory.path(), "admin", &context);
    let now = context.now();
    {
        let store = open();
        let database = roar_functions::store::Database::new(store.clone());
        let size = Size { schools: 2, classes_a_school: 3, groups: 1, students: STUDENTS };
        for batch in District::new(size).batches(200) {
            database.commit(batch.expect("good paths")).await.expect("written");
        }
        let hours = jiff::SignedDuration::from_hours;
        let administration = fields! {
            "name" => "Older", "dateOpened" => now - hours(1), "dateClosed" => now + hours(24),
            "minimalOrgs" => fields! { "schools" => Value::strings(["school-0001"]) }, "formatVersion" => 2,
            "assessments" => vec![Value::Map(fields! { "taskId" => "swr" })],
        };
        set(&database, "administrations/older", administration).await;
        // Its event is lost: older functions were to do this.
        store.take_events().await.expect("events");
    }
    let (code, table, errors) = program(directory.path(), &[]);
    assert_eq!((code, errors.as_str()), (1, ""), "{table}");
    assert!(table.contains("a student without the assignment") && table.contains("student-000001"), "{table}");
    assert!(table.ends_with("0 of 1 administrations agree now (0 assignments).\n"), "{table}");
    let (code, report, _) = program(directory.path(), &["--administration", "older", "--format", "json"]);
    let report: Json = serde_json::from_str(&report).expect("JSON");
    assert_eq!((code, &report["agrees"]), (1, &json!(false)));
    assert_eq!(report["administrations"][0]["kinds"], json!({ "assignmentMissing": { "found": 12, "fixed": 0 } }));

    let (code, fixed, errors) = program(directory.path(), &["--fix"]);
    assert_eq!(code, 0, "{fixed} {errors}");
    assert!(fixed.ends_with("1 of 1 administrations agree now (0 assignments).\n"), "{fixed}");
    let (code, clean, errors) = program(directory.path(), &["--fix"]);
    assert_eq!((code, errors.as_str()), (0, ""));
    assert_eq!(clean, "1 of 1 administrations agree (12 assignments).\n");
    assert_consistent(&roar_functions::store::Database::new(open()), "older").await;

    let (code, _, errors) = program(directory.path(), &["--administration", "oldest"]);
    assert_eq!((code, errors.as_str()), (1, "error: there is no administration oldest, nor anything of one\n"));
    let (code, _, errors) = program(directory.path(), &["--format", "xml"]);
    assert!(code == 2 && errors.contains("table, json"), "{errors}");

    // A store that another process has open, as a server would.
    let held = open();
    let (code, _, errors) = program(directory.path(), &[]);
    assert!(code == 1 && errors.contains("reconcileAdministration"), "{errors}");
    drop(held);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_emulator() {
    let world = crate::world::EmulatorWorld::start().await;
    crate::world::fill(world.admin(), 60).await;
    let data = crate::world::open_administration(world.service.app.now());
    let (status, answer) = world.call(crate::world::admin_uid(), "createAdministration", data).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["result"]["administrationId"].as_str().expect("an ID").to_owned();
    crate::emulator::synced(&world, &id).await;
    let run = async |fix: bool| {
        let options = Options { fix, patience: Duration::from_millis(100) };
        let report = reconcile_one(&world.service.app, &id, &options, &|_| {}).await.expect("a report");
        report.expect("an administration")
    };
    let clean = run(false).await;
    assert!(clean.agrees, "{clean:#?}");
    let dated = fields! { "userType" => "student", "assignmentsStarted" => fields! { &id => world.service.app.now() } };
    let broken = vec![
        count(&id, "total", "pa", "assigned", -1),
        count(&id, "school-9999", "pa", "assigned", 1),
        put(assignment(0, &id), &[(&["readOrgs", "districts"], None)]),
        list(user(1), "assigned", &id, false),
        list(user(2), "completed", &id, true),
        Write::set(DocPath::new("users/dated").expect("a path"), dated),
        Write::delete(user(9)),
    ];
    world.admin().commit(broken).await.expect("written");
    let fixed = run(true).await;
    assert!(fixed.agrees, "{fixed:#?}");
    let expected = [
        "CountDiffers total pa",
        "CountsStray school-9999",
        "DateStray dated assignmentsStarted",
        "ListEntryMissing student-000002 assignments.assigned",
        "ListEntryStray student-000003 assignments.completed",
        "ReadOrgsDiffer student-000001 readOrgs",
    ];
    let mut found = findings(&fixed);
    // Unless the event of the user's deletion was faster, and took the assignment along.
    found.remove("UserGone student-000010");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    // The events of the repair come, and find nothing to do.
    crate::world::followed(world.admin(), "last").await;
    let clean = run(true).await;
    assert!(clean.agrees && findings(&clean).is_empty(), "{clean:#?}");
    assert_consistent(world.admin(), &id).await;
}

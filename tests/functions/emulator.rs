//! On the real Firestore emulator, with its own events.

use std::time::{Duration, Instant};

use roar_functions::fields;
use roar_functions::store::{Database, DocPath, Fields, Value, Write};

use crate::world::{EmulatorWorld, admin_uid, assert_consistent, assignments, fill, open_administration, set};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administration_reaches_every_student_of_the_district() {
    let world = EmulatorWorld::start().await;
    fill(world.admin(), 1000).await;
    let before = world.admin().cost();
    let started = Instant::now();
    let (status, answer) =
        world.call(admin_uid(), "createAdministration", open_administration(world.service.app.now())).await;
    assert_eq!(status, 200, "{answer}");
    let id = answer["result"]["administrationId"].as_str().expect("an ID").to_owned();
    let path = DocPath::new(format!("administrations/{id}")).unwrap();
    loop {
        let document = world.admin().get(&path).await.unwrap().expect("the administration");
        if document.fields.get("syncStatus") == Some(&Value::from("complete")) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{document:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{:?} {:?}", started.elapsed(), world.admin().cost() - before);
    assert_eq!(assignments(world.admin(), &id).await.len(), 1000);
    assert_consistent(world.admin(), &id).await;
}

/// Waits until the document is there with these fields; `None` for its absence.
async fn becomes(database: &Database, path: &str, expected: Option<&Fields>) {
    let (path, began) = (DocPath::new(path).expect("a path"), Instant::now());
    loop {
        let found = database.get(&path).await.expect("readable").map(|document| {
            let mut fields = document.fields;
            fields.remove("deletedAt");
            fields
        });
        if found.as_ref() == expected {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{path}: {found:?}, not {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn delete(database: &Database, path: &str) {
    database.commit(vec![Write::delete(DocPath::new(path).expect("a path"))]).await.expect("deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orgs_are_mirrored_and_deletions_archived() {
    let world = EmulatorWorld::start().await;
    let (admin, assessment) = (world.admin(), world.assessment());
    let contact = fields! { "email" => "ada@example.org" };
    let orgs = ["districts", "schools", "classes", "groups", "families"];
    for collection in orgs {
        let org = fields! {
            "name" => "N", "abbreviation" => "n", "districtContact" => contact.clone(), "principal" => contact.clone(),
            "phone" => "555-0100", "createdBy" => "somebody", "mdrNumber" => Value::Null,
        };
        set(admin, &format!("{collection}/o"), org).await;
    }
    for collection in orgs {
        let mut expected = fields! { "name" => "N", "abbreviation" => "n", "mdrNumber" => Value::Null };
        if collection == "families" {
            expected.remove("name");
        }
        becomes(assessment, &format!("{collection}/o"), Some(&expected)).await;
        set(admin, &format!("{collection}/o"), fields! { "abbreviation" => "m", "phone" => "1" }).await;
    }
    for collection in orgs {
        becomes(assessment, &format!("{collection}/o"), Some(&fields! { "abbreviation" => "m" })).await;
        delete(admin, &format!("{collection}/o")).await;
    }
    for collection in orgs {
        becomes(assessment, &format!("{collection}/o"), None).await;
    }

    let table = [
        (admin, "users/u/externalData/clever", "deleted-users/u/deleted-externalData/clever"),
        (admin, "users/u", "deleted-users/u"),
        (assessment, "users/u/runs/r", "deleted-users/u/deleted-runs/r"),
        (assessment, "users/u", "deleted-users/u"),
        (assessment, "guests/g/runs/r/trials/t", "deleted-guests/g/deleted-runs/r/deleted-trials/t"),
    ];
    for (database, path, archive) in table {
        // Three lives, mostly within a second: the emulator tells the time no finer.
        for life in 0..3 {
            set(database, path, fields! { "life" => life, format!("only{life}") => true }).await;
            delete(database, path).await;
        }
        becomes(database, archive, Some(&fields! { "life" => 2, "only2" => true })).await;
    }
}

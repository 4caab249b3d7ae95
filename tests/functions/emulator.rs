//! On the real Firestore emulator, with its own events.

use std::time::{Duration, Instant};

use roar_functions::store::{DocPath, Value};

use crate::world::{EmulatorWorld, admin_uid, assert_consistent, assignments, fill, open_administration};

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

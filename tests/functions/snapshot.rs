//! The documents at the end of a short scenario, as people and clients read them. The clock doesn't advance and IDs
//! count up, so nothing needs to be redacted.

use roar_functions::cli::json::fields_to_json;
use roar_functions::demo::play::{Step, play};
use roar_functions::store::Value;

use crate::local::LocalWorld;
use crate::scenario::{assignment, create, edit_tasks, fill};

#[tokio::test]
async fn the_documents_of_one_student_and_their_counts() {
    let world = LocalWorld::start().await;
    fill(&world).await;
    world.settle().await;
    let id = create(&world).await;
    world.settle().await;
    // A student of grade 3 starts a task, completes another that's hosted elsewhere, and gets a task
    // more by an edit.
    let student = assignment(3, &id);
    for step in [Step::Start(0), Step::Complete(1)] {
        play(world.admin(), &student, step, world.now()).await.expect("a step");
    }
    edit_tasks(&world, &id).await;
    world.settle().await;
    let shown = [
        format!("administrations/{id}"),
        format!("administrations/{id}/assignedOrgs/school-0001"),
        format!("administrations/{id}/readOrgs/district-willow-creek"),
        format!("administrations/{id}/stats/class-00004"),
        format!("administrations/{id}/stats/total"),
        format!("administrationSyncs/{id}"),
        "users/admin-rivera".to_owned(),
        "users/student-000004".to_owned(),
        student.as_str().to_owned(),
    ];
    let mut documents = serde_json::Map::new();
    for path in shown {
        let mut document = world.get(&path).await.unwrap_or_else(|| panic!("{path} is missing"));
        // The time of the commit, which goes on by microseconds.
        document.fields.remove("updatedAt");
        document.fields.remove("dateCreated");
        for name in ["planned", "born"] {
            if let Some(time) = document.fields.get_mut(name) {
                *time = Value::from("a time of a commit");
            }
        }
        documents.insert(path, serde_json::Value::Object(fields_to_json(&document.fields)));
    }
    insta::assert_json_snapshot!(documents);
}

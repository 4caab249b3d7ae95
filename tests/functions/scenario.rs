//! The life of an administration, step by step, written as clients write it.

use roar_functions::demo::play::{Step, play};
use roar_functions::store::{DocPath, Value, Write};
use roar_functions::{fields, store::Fields};

use crate::local::LocalWorld;
use crate::world::{admin_uid, open_administration};

/// Students of the scenario's district: few, so that many runs are quick; enough for two schools.
pub const STUDENTS: usize = 12;

pub async fn fill(world: &LocalWorld) {
    use roar_functions::demo::district::{District, Size};
    let size = Size { schools: 2, classes_a_school: 3, groups: 1, students: STUDENTS };
    for batch in District::new(size).batches(200) {
        world.admin().commit(batch.expect("good paths")).await.expect("the district is written");
    }
}

pub async fn create(world: &LocalWorld) -> String {
    world.create(admin_uid(), open_administration(world.now())).await
}

/// What students do: some start, some complete, one completes without a start.
pub async fn study(world: &LocalWorld, id: &str) {
    for n in 0..STUDENTS {
        let path = assignment(n, id);
        for step in steps(n) {
            play(world.admin(), &path, step, world.now()).await.expect("a step");
        }
    }
}

fn steps(n: usize) -> Vec<Step> {
    match n % 6 {
        0 => vec![Step::Start(0)],
        1 => vec![Step::Start(0), Step::Complete(0)],
        2 => vec![Step::Complete(0)],
        3 => (0..5).flat_map(|task| [Step::Start(task), Step::Complete(task)]).collect(),
        _ => vec![],
    }
}

/// A dashboard's edit, written straight to the document: one task goes, another comes.
pub async fn edit_tasks(world: &LocalWorld, id: &str) {
    let document = world.get(&format!("administrations/{id}")).await.expect("the administration");
    let mut assessments = document.fields["assessments"].as_array().expect("a list").to_vec();
    assessments.retain(|assessment| assessment.as_map().is_some_and(|a| a["taskId"] != Value::from("swr")));
    assessments.push(Value::Map(fields! { "taskId" => "vocab", "params" => fields! { "form" => "a" } }));
    merge(world, &format!("administrations/{id}"), fields! { "assessments" => assessments }).await;
}

/// A dashboard's edit: only the first school is left.
pub async fn keep_one_school(world: &LocalWorld, id: &str) {
    let minimal = fields! { "schools" => Value::strings(["school-0001"]) };
    merge(world, &format!("administrations/{id}"), fields! { "minimalOrgs" => minimal }).await;
}

pub async fn merge(world: &LocalWorld, path: &str, fields: Fields) {
    let write = Write::update(DocPath::new(path).expect("a path"), fields);
    world.admin().commit(vec![write]).await.expect("written");
}

pub async fn delete(world: &LocalWorld, path: &str) {
    world.admin().commit(vec![Write::delete(DocPath::new(path).expect("a path"))]).await.expect("deleted");
}

pub fn assignment(n: usize, id: &str) -> DocPath {
    let student = roar_functions::demo::district::District::student_id(n);
    DocPath::in_collection(&format!("users/{student}/assignments"), id).expect("a path")
}

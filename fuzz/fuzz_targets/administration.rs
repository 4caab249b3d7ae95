//! From a call of `createAdministration` to assignments: `{"data": {…}, "user": {…}, "existing": {…}}`.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use roar_functions::assignments::build::{Decision, Definition};
use roar_functions::documents::administration::Administration;
use roar_functions::documents::assignment::progress_key;
use roar_functions::orgs::{OrgTree, OrgType};
use roar_functions::payload::Payload as _;
use roar_functions::store::{Fields, Value};
use roar_functions::{fields, fuzzing};
use roar_functions_fuzz::{assert_discreet, assert_storable, mutate_json, now};
use serde_json::Value as Json;

fuzz_mutator!(|data: &mut [u8], size: usize, most: usize, seed: u32| { mutate_json(data, size, most, seed) });

fuzz_target!(|bytes: &[u8]| {
    let Ok(input) = serde_json::from_slice::<Json>(bytes) else { return };
    let request = match fuzzing::Administration::read(&input["data"]) {
        Ok(request) => request,
        Err(error) => return assert_discreet(&error),
    };
    let mut administration = fields! {
        "name" => request.name.as_str(),
        "publicName" => request.public_name.as_str(),
        "assessments" => request.assessments.clone(),
        "dateOpened" => request.date_opened,
        "dateClosed" => request.date_closed,
        "sequential" => request.sequential,
        "tags" => Value::strings(&request.tags),
        "testData" => request.test_data,
        "minimalOrgs" => request.orgs.to_value(),
    };
    if let Some(legal) = &request.legal {
        administration.insert("legal".to_owned(), legal.clone());
    }
    assert_storable(&administration);
    let administration = Administration::from_fields("a1", administration);
    assert_eq!(administration.assessments.len(), request.assessments.len(), "an assessment was lost");

    // A level less than documents may have: assignments show parts of users, one level further down.
    let below = serde_json::json!({ "user": input["user"] });
    let Some(Value::Map(mut user)) = roar_functions_fuzz::fields(&below).and_then(|mut fields| fields.remove("user"))
    else {
        return;
    };
    for org_type in OrgType::ALL {
        let current = fields! { "current" => Value::strings(request.orgs.of(org_type)) };
        user.insert(org_type.plural().to_owned(), Value::Map(current));
    }
    let tree = Arc::new(OrgTree::default());
    let definition = Definition { administration, assigned: request.orgs.to_set(), tree };
    settle(&definition, &user, None);
    // A reserved task fails a sync, with a reason. The callable takes none.
    if let Some(existing) = roar_functions_fuzz::fields(&input["existing"]).filter(has_good_tasks) {
        settle(&definition, &user, Some(&existing));
    }
});

fn has_good_tasks(assignment: &Fields) -> bool {
    let assessments = assignment.get("assessments").and_then(Value::as_array).unwrap_or_default();
    let tasks = assessments.iter().filter_map(|entry| entry.as_map()?.get("taskId")?.as_str());
    let is_key = |name: &str| fuzzing::store(&mut fields! { name => true }).is_ok();
    tasks.filter(|task| !task.is_empty()).all(|task| is_key(task) && is_key(&progress_key(task)))
}

/// What is decided can be stored, and nothing is left to decide afterwards.
fn settle(definition: &Definition, user: &Fields, existing: Option<&Fields>) {
    let decided = match definition.decide(user, existing, now()) {
        Decision::Create(fields) if existing.is_none() => fields,
        Decision::Update(fields) if existing.is_some() => fields,
        Decision::Delete if existing.is_some() => return,
        Decision::Nothing => return,
        other => panic!("{other:?}"),
    };
    assert_storable(&decided);
    let again = definition.decide(user, Some(&decided), now());
    assert_eq!(again, Decision::Nothing, "after {decided:?}");
}

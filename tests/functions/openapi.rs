//! The OpenAPI document agrees with the service: its example requests are accepted, and answers match its schemas.

use roar_functions::accounts::NewAccount;
use roar_functions::cli::json::fields_from_json;
use roar_functions::openapi::{document, examples};
use roar_functions::runtime::Status;
use serde_json::{Value as Json, json};

use crate::local::LocalWorld;
use crate::world::set;

const SEED: &str = include_str!("../openapi/seed.jsonl");

/// A world with what the examples name.
async fn seeded() -> LocalWorld {
    let world = LocalWorld::start().await;
    for line in SEED.lines() {
        let seed: Json = serde_json::from_str(line).expect("JSON");
        let fields = seed["fields"].as_object().expect("fields");
        set(world.admin(), seed["path"].as_str().expect("a path"), fields_from_json(fields).expect("storable")).await;
    }
    let accounts = &world.service.app.accounts;
    for who in ["super", "teacher", "student"] {
        let email = Some(format!("{who}@example.org"));
        let new = NewAccount { email, email_verified: true, ..NewAccount::default() };
        accounts.admin.create(&format!("uid-{who}"), &new).await.expect("an account");
        accounts.assessment.create(&format!("assessment-{who}"), &new).await.expect("an account");
    }
    world
}

fn check(schema: &Json, document: &Json, answer: &Json, what: &str) {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<_> = validator.iter_errors(answer).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{what} answers {answer}: {errors:?}");
}

#[tokio::test]
async fn examples_are_taken_and_answers_are_as_described() {
    let document = document();
    let world = seeded().await;
    for example in examples() {
        let name = example.function;
        let responses = &document["paths"][format!("/{name}")]["post"]["responses"];
        match world.call_function(name, "uid-super", example.sent).await {
            Ok(result) => {
                let schema = &responses["200"]["content"]["application/json"]["schema"];
                check(schema, &document, &json!({ "result": result }), name);
                // The example of an answer shows every field that answers have.
                let shown: Vec<_> = example.given.as_object().expect("an object").keys().collect();
                assert_eq!(result.as_object().expect("an object").keys().collect::<Vec<_>>(), shown, "{name}");
            }
            // Nobody has signed in with Clever here.
            Err(error) if name == "syncCleverUser" => {
                assert_eq!(error.status, Status::PermissionDenied, "{name}: {error}");
                assert!(responses.get("403").is_some());
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

/// The pointers of all values in a payload.
fn places(json: &Json, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match json {
        Json::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| places(item, &format!("{at}/{index}"), found))
        }
        Json::Object(fields) => fields.iter().for_each(|(name, field)| places(field, &format!("{at}/{name}"), found)),
        _ => {}
    }
}

#[tokio::test]
async fn refusals_never_repeat_what_was_sent() {
    let world = seeded().await;
    let odd = [
        json!("Jane Doe/"),
        json!(["Jane Doe/", 1]),
        json!({ "Jane Doe/": "Jane Doe/" }),
        json!(-3.5),
        json!(true),
        json!(null),
    ];
    let mut refused = 0;
    for example in examples() {
        let mut found = Vec::new();
        places(&example.sent, "", &mut found);
        for (place, odd) in found.iter().flat_map(|place| odd.iter().map(move |odd| (place, odd))) {
            let mut sent = example.sent.clone();
            if let Some(value) = sent.pointer_mut(place) {
                *value = odd.clone();
            }
            let Err(error) = world.call_function(example.function, "uid-super", sent).await else { continue };
            let (name, message) = (example.function, &error.message);
            assert!(!message.contains("Jane"), "{name}, {place} as {odd}: {message}");
            assert_ne!(error.status, Status::Internal, "{name}, {place} as {odd}");
            refused += 1;
        }
    }
    assert!(refused > 150, "{refused} were refused");
}

//! The OpenAPI document is true: its examples are taken, and what comes back is what it says.

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

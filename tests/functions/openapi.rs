//! The OpenAPI document is true: its examples are taken, and what comes back is what it says.

use roar_functions::accounts::NewAccount;
use roar_functions::openapi::{document, examples};
use roar_functions::runtime::Status;
use roar_functions::store::{Fields, Timestamp, Value};
use serde_json::{Value as Json, json};

use crate::local::LocalWorld;
use crate::world::set;

const SEED: &str = include_str!("../openapi/seed.jsonl");

/// A value as the command `doc` reads it.
fn value(json: &Json) -> Value {
    match json {
        Json::Object(fields) => match fields.get("$timestamp").and_then(Json::as_str) {
            Some(time) => Value::from(time.parse::<Timestamp>().expect("an instant")),
            None => Value::Map(of(fields)),
        },
        Json::Array(items) => Value::Array(items.iter().map(value).collect()),
        plain => roar_functions::payload::value(plain, "seed").expect("storable"),
    }
}

fn of(fields: &serde_json::Map<String, Json>) -> Fields {
    fields.iter().map(|(name, json)| (name.clone(), value(json))).collect()
}

/// A world with what the examples name.
async fn seeded() -> LocalWorld {
    let world = LocalWorld::start().await;
    for line in SEED.lines() {
        let seed: Json = serde_json::from_str(line).expect("JSON");
        let fields = seed["fields"].as_object().expect("fields");
        set(world.admin(), seed["path"].as_str().expect("a path"), of(fields)).await;
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

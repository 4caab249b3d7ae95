//! The callables as an OpenAPI document: `GET /openapi.json` and the command `openapi`. Everything is derived: names,
//! summaries, rights and limits from the function table, and request and answer schemas from each callable's types
//! ([`crate::payload::Payload`]). A test runs every example.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::app::App;
use crate::functions;
use crate::rights::Rule;
use crate::runtime::edge::{Schemas, Signature};
use crate::runtime::{Function, Status};

/// The path of schemas that other schemas refer to.
const DEFINITIONS: &str = "/components/schemas";

/// The OpenAPI 3.1 document.
pub fn document() -> Json {
    let table = functions::table();
    let mut schemas = Schemas::new(DEFINITIONS);
    let mut paths = Map::new();
    for (function, signature) in table.iter().filter_map(|function| Some((function, function.signature.as_ref()?))) {
        let described = operation(function, signature, &mut schemas);
        paths.insert(format!("/{}", function.name), json!({ "post": described }));
        for alias in function.aliases {
            let mut operation = described.clone();
            operation["operationId"] = json!(alias);
            operation["deprecated"] = json!(true);
            paths.insert(format!("/{alias}"), json!({ "post": operation }));
        }
    }
    for (path, operation) in health() {
        paths.insert(path.to_owned(), json!({ "get": operation }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "roar-functions",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "The backend of ROAR, the Rapid Online Assessment of Reading.",
            "description": "Callable functions, as Firebase's client SDKs call them: the arguments are in `data`, the \
                            answer is in `result`. Null is the same as absent. Every function is also reached at \
                            `/{project}/{region}/{function}`, and its name may be written in any case. A request \
                            with `Accept: text/event-stream` is answered by a stream of events.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The server that gives this document." }],
        "security": [{ "idToken": [] }, { "idToken": [], "appCheck": [] }],
        "tags": [{ "name": "callables", "description": "Called by clients." }, { "name": "operation", "description": "For who runs it." }],
        "paths": paths,
        "components": components(schemas.definitions()),
    })
}

/// An example of a call: the function, its request and its answer.
pub struct Example {
    /// The function.
    pub function: &'static str,
    /// The `data` of the request.
    pub sent: Json,
    /// The `result` of the answer.
    pub given: Json,
}

/// An example of each callable.
pub fn examples() -> Vec<Example> {
    let of = |function: Function<App>| {
        let example = (function.signature?.example)();
        Some(Example { function: function.name, sent: example.sent, given: example.given })
    };
    functions::table().into_iter().filter_map(of).collect()
}

/// The schema of an object with exactly one field, which is required.
fn body(key: &str, schema: &Json) -> Json {
    json!({ "type": "object", "properties": { key: schema }, "required": [key], "additionalProperties": false })
}

fn operation(function: &Function<App>, signature: &Signature, schemas: &mut Schemas) -> Json {
    let example = (signature.example)();
    let mut data = schemas.sent(signature.sent);
    let description = data.as_object_mut().and_then(|data| data.remove("description"));
    let description = description.as_ref().and_then(Json::as_str).unwrap_or_default();
    if signature.may_be_left_out {
        data["type"] = json!(["object", "null"]);
    }
    let mut result = schemas.given(signature.given);
    result.as_object_mut().map(|result| result.remove("description"));
    let mut stream =
        "Frames of `data: {\"result\": …}` or `data: {\"error\": …}`, and comments as signs of life.".to_owned();
    if signature.chunk.is_some() {
        stream += " Before, frames of `data: {\"message\": …}` say how far it is.";
    }
    let mut answered = json!({
        "description": "Done.",
        "content": {
            "application/json": { "schema": body("result", &result), "example": { "result": example.given } },
            "text/event-stream": { "schema": { "type": "string", "description": stream } },
        },
    });
    if let Some(chunk) = signature.chunk {
        answered["content"]["text/event-stream"]["schema"]["x-message"] = schemas.given(chunk);
    }
    let mut responses = Map::from_iter([("200".to_owned(), answered)]);
    for (code, texts) in refusals_of(function, signature.refusals) {
        let reference = format!("#{DEFINITIONS}/Error{code}");
        responses.insert(
            code.to_string(),
            json!({
                "description": texts.join(" "),
                "content": {
                    "application/json": { "schema": { "$ref": reference } },
                },
            }),
        );
    }
    json!({
        "operationId": function.name,
        "tags": ["callables"],
        "summary": function.summary,
        "description": format!(
            "{description}\n\nWho may: {}. Takes {} seconds at most.", function.access, function.timeout.as_secs()
        ),
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": body("data", &data), "example": { "data": example.sent } } },
        },
        "responses": responses,
    })
}

/// The errors that a function may answer with, by HTTP status.
fn refusals_of(function: &Function<App>, own: &[(Status, &'static str)]) -> BTreeMap<u16, Vec<String>> {
    let unauthenticated = match function.is_privileged {
        true => "Nobody is signed in, the token doesn't hold, or the sign-in is too long ago for this.",
        false => "Nobody is signed in, or the token doesn't hold.",
    };
    let denied = match (Rule::with_text(function.access), function.is_privileged) {
        (Some(Rule::Readable | Rule::Itself), _) => "The account is suspended, or nobody's.",
        (_, true) => {
            "The caller may not, is suspended, or has signed in without a second factor where one is asked for."
        }
        (_, false) => "The caller may not, or is suspended.",
    };
    let exhausted = match function.is_budgeted {
        true => {
            "Too many calls from one address without a good token, or too much asked for by one caller within a \
                 minute; Retry-After says when."
        }
        false => "Too many calls from one address without a good token; Retry-After says when.",
    };
    let mut all: Vec<(Status, &str)> = vec![
        (Status::InvalidArgument, "The request is malformed; the message names the field."),
        (Status::Unauthenticated, unauthenticated),
        (Status::PermissionDenied, denied),
        (Status::Aborted, "Others change the same at the same time; try again."),
        (Status::ResourceExhausted, exhausted),
        (Status::Internal, "Something is wrong with the service. Nothing is told; the log has it."),
        (Status::Unavailable, "The server or its database is busy or away; try again."),
        (Status::DeadlineExceeded, "It took too long."),
    ];
    all.extend(own);
    let mut by_code: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for (status, text) in all {
        by_code.entry(status.http()).or_default().push(format!("{}: {text}", status.name()));
    }
    by_code
}

fn health() -> Vec<(&'static str, Json)> {
    let text = |description: &str, example: &str| {
        let content = json!({ "text/plain": { "schema": { "type": "string" }, "example": example } });
        json!({ "description": description, "content": content })
    };
    let operation = |id: &str, summary: &str, responses: Json| json!({ "operationId": id, "tags": ["operation"], "summary": summary, "security": [], "responses": responses });
    let ready = json!({ "200": text("Ready.", "ready\n"), "503": text("Not ready, and why.", "stopping\n") });
    let document =
        json!({ "description": "OpenAPI 3.1.", "content": { "application/json": { "schema": { "type": "object" } } } });
    vec![
        ("/healthz", operation("healthz", "Says that the server is alive.", json!({ "200": text("Alive.", "ok\n") }))),
        ("/readyz", operation("readyz", "Says whether the server can work.", ready)),
        (
            "/metrics",
            operation(
                "metrics",
                "Numbers for Prometheus.",
                json!({
                    "200": text("Prometheus' text format.", "calls_limit 256\n"), "404": { "description": "Not for who asks." },
                }),
            ),
        ),
        ("/openapi.json", operation("openapi", "This document.", json!({ "200": document }))),
    ]
}

fn components(mut schemas: Map<String, Json>) -> Json {
    // The statuses that this service answers with.
    const STATUSES: [Status; 11] = [
        Status::InvalidArgument,
        Status::FailedPrecondition,
        Status::Unauthenticated,
        Status::PermissionDenied,
        Status::NotFound,
        Status::AlreadyExists,
        Status::Aborted,
        Status::ResourceExhausted,
        Status::Internal,
        Status::Unavailable,
        Status::DeadlineExceeded,
    ];
    let codes: std::collections::BTreeSet<u16> = STATUSES.iter().map(|status| status.http()).collect();
    for code in codes {
        let words: Vec<_> =
            STATUSES.iter().filter(|status| status.http() == code).map(|status| status.name()).collect();
        let error = json!({
            "type": "object", "required": ["message", "status"], "additionalProperties": false,
            "properties": {
                "message": { "type": "string", "description": "For people." },
                "status": { "type": "string", "enum": words },
                "details": { "description": "For programs." },
            },
        });
        schemas.insert(format!("Error{code}"), body("error", &error));
    }
    json!({
        "schemas": schemas,
        "securitySchemes": {
            "idToken": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A Firebase ID token.",
            },
            "appCheck": {
                "type": "apiKey", "in": "header", "name": "X-Firebase-AppCheck", "description": "A token of App Check.",
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::runtime::Trigger;

    #[test]
    fn every_callable_is_described_and_nothing_else() {
        let table = functions::table();
        for function in &table {
            let is_callable = matches!(function.trigger, Trigger::Callable(_));
            assert_eq!(function.signature.is_some(), is_callable, "{}", function.name);
            assert!(function.access.is_empty() || Rule::with_text(function.access).is_some(), "{}", function.name);
        }
    }

    #[test]
    fn examples_are_what_the_schemas_say() {
        let document = document();
        let validate = |schema: &Json, example: &Json, what: &str| {
            let mut schema = schema.clone();
            schema["components"] = document["components"].clone();
            let validator = jsonschema::validator_for(&schema).expect("a schema");
            let errors: Vec<_> = validator.iter_errors(example).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{what}: {errors:?}");
        };
        for example in examples() {
            let operation = &document["paths"][format!("/{}", example.function)]["post"];
            let sent = &operation["requestBody"]["content"]["application/json"];
            validate(&sent["schema"], &sent["example"], example.function);
            let given = &operation["responses"]["200"]["content"]["application/json"];
            validate(&given["schema"], &given["example"], example.function);
        }
    }

    #[test]
    fn every_name_has_a_path_of_its_own() {
        let document = document();
        let paths = document["paths"].as_object().expect("paths");
        let ids: BTreeSet<_> = paths
            .values()
            .flat_map(|path| path.as_object().expect("a path").values())
            .map(|o| o["operationId"].to_string())
            .collect();
        assert_eq!(ids.len(), paths.len());
        for name in ["/setUidClaims", "/setUidCustomClaims", "/syncCleverOrgs", "/cleverSyncOrgs"] {
            assert!(paths.contains_key(name), "{name}");
        }
        let statuses: Vec<_> =
            paths["/getAssignmentStats"]["post"]["responses"].as_object().expect("responses").keys().collect();
        assert_eq!(statuses, ["200", "400", "401", "403", "409", "429", "500", "503", "504"]);
    }

    #[test]
    fn the_document_is_as_it_was() {
        insta::assert_json_snapshot!(document());
    }
}

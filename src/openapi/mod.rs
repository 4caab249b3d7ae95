//! The callables as an OpenAPI document: `GET /openapi.json` and the command `openapi`. Names, texts, rights and
//! limits come from the index, what is sent and given from [`signatures`]; a test lets every example run.

mod schema;
mod signatures;

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use self::schema::{closed, flag, id_schema, object, required, shared};
use self::signatures::Signature;
use crate::app::App;
use crate::functions;
use crate::rights::Rule;
use crate::runtime::{Function, Status, Trigger};

/// The document, of OpenAPI 3.1.
pub fn document() -> Json {
    let signatures = signatures::all();
    let table = functions::table();
    let mut paths = Map::new();
    for function in table.iter().filter(|function| matches!(function.trigger, Trigger::Callable(_))) {
        let Some(signature) = signatures.iter().find(|signature| signature.name == function.name) else { continue };
        paths.insert(format!("/{}", function.name), json!({ "post": operation(function, signature, function.name) }));
        for alias in function.aliases {
            let mut operation = operation(function, signature, alias);
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
        "components": components(),
    })
}

/// An example of a call: the function, what is sent, and what is given.
pub struct Example {
    /// The function.
    pub function: &'static str,
    /// Its `data`.
    pub sent: Json,
    /// A `result`.
    pub given: Json,
}

/// An example of each callable.
pub fn examples() -> Vec<Example> {
    let example = |of: Signature| Example { function: of.name, sent: of.sent, given: of.given };
    signatures::all().into_iter().map(example).collect()
}

fn operation(function: &Function<App>, signature: &Signature, name: &str) -> Json {
    let Signature { description, data, result, chunk, sent, given, refusals, .. } = signature;
    let body = |key: &'static str, schema: &Json| closed(object(vec![required(key, schema.clone())]));
    let mut stream =
        "Frames of `data: {\"result\": …}` or `data: {\"error\": …}`, and comments as signs of life.".to_owned();
    if chunk.is_some() {
        stream += " Before, frames of `data: {\"message\": …}` say how far it is.";
    }
    let mut answered = json!({
        "description": "Done.",
        "content": {
            "application/json": { "schema": body("result", result), "example": { "result": given } },
            "text/event-stream": { "schema": { "type": "string", "description": stream } },
        },
    });
    if let Some(chunk) = chunk {
        answered["content"]["text/event-stream"]["schema"]["x-message"] = chunk.clone();
    }
    let mut responses = Map::from_iter([("200".to_owned(), answered)]);
    for (code, texts) in refusals_of(function, refusals) {
        let reference = format!("#/components/schemas/Error{code}");
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
        "operationId": name,
        "tags": ["callables"],
        "summary": function.summary,
        "description": format!(
            "{description}\n\nWho may: {}. Takes {} seconds at most.", function.access, function.timeout.as_secs()
        ),
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": body("data", data), "example": { "data": sent } } },
        },
        "responses": responses,
    })
}

/// What a function may refuse with, by HTTP status.
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

fn components() -> Json {
    // What the service answers with; others are clients' own, or nobody's.
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
    let mut schemas = Map::new();
    let ids = json!({ "type": ["array", "null"], "items": { "anyOf": [shared("Id"), { "type": "null" }] } });
    let types = ["districts", "schools", "classes", "groups", "families"];
    let lists: Map<String, Json> = types.iter().map(|name| ((*name).to_owned(), ids.clone())).collect();
    schemas.insert("Id".to_owned(), id_schema());
    schemas.insert(
        "Key".to_owned(),
        json!({ "type": "string", "minLength": 1, "maxLength": 1500, "pattern": "^(?!__.*__$)(?=[\\s\\S]*\\S)" }),
    );
    schemas.insert("Orgs".to_owned(), json!({ "type": "object", "properties": lists, "additionalProperties": false }));
    let condition = || json!({ "anyOf": [shared("Condition"), { "type": "null" }] });
    schemas.insert(
        "Conditions".to_owned(),
        json!({
            "type": "object", "additionalProperties": false,
            "properties": { "assigned": condition(), "optional": condition() },
        }),
    );
    schemas.insert("Condition".to_owned(), condition_schema());
    let codes: std::collections::BTreeSet<u16> = STATUSES.iter().map(|status| status.http()).collect();
    for code in codes {
        let words: Vec<_> =
            STATUSES.iter().filter(|status| status.http() == code).map(|status| status.name()).collect();
        let error = closed(object(vec![
            required("message", json!({ "type": "string", "description": "For people." })),
            required("status", json!({ "type": "string", "enum": words })),
            schema::sometimes("details", json!({ "description": "For programs." })),
        ]));
        schemas.insert(format!("Error{code}"), closed(object(vec![required("error", error)])));
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

fn condition_schema() -> Json {
    let nested = || json!({ "type": "array", "items": shared("Condition") });
    let comparisons =
        ["LESS_THAN", "GREATER_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN_OR_EQUAL", "EQUAL", "NOT_EQUAL"];
    json!({
        "description": "Who it holds of: everybody, who meets all or any of some conditions, or who has a field like this.",
        "anyOf": [
            { "type": "boolean", "const": true },
            object(vec![
                required("op", json!({ "type": "string", "enum": ["AND", "OR"] })),
                required("conditions", nested()),
            ]),
            object(vec![
                required("field", json!({ "type": "string", "minLength": 1, "pattern": "\\S", "example": "studentData.grade" })),
                required("op", json!({ "type": "string", "enum": comparisons })),
                required("value", json!({ "type": ["boolean", "number", "string"] })),
            ]),
            object(vec![required("AND", nested())]),
            object(vec![required("OR", nested())]),
            object(vec![required("type", json!({ "const": "const" })), required("value", flag("Everybody, or nobody."))]),
        ],
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_callable_is_described_and_nothing_else() {
        let table = functions::table();
        let callables = table.iter().filter(|function| matches!(function.trigger, Trigger::Callable(_)));
        let described: Vec<_> = signatures::all().iter().map(|signature| signature.name).collect();
        assert_eq!(described, callables.map(|function| function.name).collect::<Vec<_>>());
        for function in &table {
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

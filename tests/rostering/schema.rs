//! The fake's answers, held against what Clever publishes of each version of its API.

use std::collections::BTreeMap;
use std::path::Path;

use clap::ValueEnum as _;
use reqwest::Url;
use roar_functions::demo::clever::{CLIENT_ID, FakeClever, Kind, Links, Options, Size};
use roar_functions::rostering::clever::{Clever, Settings, Version};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use crate::{context, ids};

/// Names Clever's published descriptions (Swagger 2.0, YAML), of version 3.0, 3.1 or both, with `:` between the files.
/// They aren't ours to keep here.
const DESCRIPTIONS: &str = "CLEVER_OPENAPI";

/// Fields that Clever answers beside the described ones, by definition
/// (docs/domain/wire-formats.md#envelopes-and-paging).
const BESIDE: [(&str, &[&str]); 6] = [
    ("SchoolResponse", &["uri"]),
    ("SectionResponse", &["uri"]),
    ("UserResponse", &["uri"]),
    ("DistrictResponse", &["uri"]),
    ("UsersResponse", &["count"]),
    ("SchoolsResponse", &["count"]),
];

/// The definitions as JSON Schema: Swagger says `x-nullable` where that says `null`, and lets fields pass that it
/// doesn't name, which would let misspelt ones pass.
fn schema_of(definitions: &Map<String, Value>, name: &str) -> jsonschema::Validator {
    let converted = definitions.iter().map(|(name, schema)| {
        let mut schema = convert(schema);
        let beside = BESIDE.iter().filter(|(of, _)| of == name).flat_map(|(_, fields)| *fields);
        for field in beside {
            schema["properties"][field] = json!({});
        }
        (name.clone(), schema)
    });
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": format!("#/definitions/{name}"),
        "definitions": converted.collect::<Map<_, _>>(),
    });
    jsonschema::validator_for(&schema).unwrap()
}

/// What Clever documents as dates in the prose of its Data API, though the schema says `datetime`: days, or points in
/// time.
const DAYS: [&str; 4] = ["pause_start", "pause_end", "start_date", "end_date"];

fn convert_property(name: &str, schema: &Value) -> Value {
    let mut converted = convert(schema);
    if !DAYS.contains(&name) {
        return converted;
    }
    // One that may be null has its format within.
    let within = match converted.get_mut("anyOf").and_then(Value::as_array_mut) {
        Some(any) => any.iter_mut().collect(),
        None => vec![&mut converted],
    };
    for pattern in within.into_iter().filter_map(|schema| schema.get_mut("pattern")) {
        *pattern = json!(r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d\.\d{3}Z)?$");
    }
    converted
}

fn convert(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let mut converted = Map::new();
    for (name, value) in fields {
        let value = match name.as_str() {
            "properties" => {
                let properties = value.as_object().unwrap().iter();
                Value::Object(properties.map(|(name, schema)| (name.clone(), convert_property(name, schema))).collect())
            }
            "items" => convert(value),
            // `datetime` is no format of JSON Schema's; see below.
            "x-nullable" | "x-validation" | "format" => continue,
            _ => value.clone(),
        };
        converted.insert(name.clone(), value);
    }
    if converted.contains_key("properties") {
        converted.insert("additionalProperties".to_owned(), json!(false));
        // `Roles` doesn't say so.
        converted.insert("type".to_owned(), json!("object"));
    }
    match fields.get("format").and_then(Value::as_str) {
        Some("datetime") => {
            drop(converted.insert("pattern".to_owned(), json!(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")))
        }
        Some("date") => drop(converted.insert("pattern".to_owned(), json!(r"^\d{4}-\d\d-\d\d$"))),
        _ => {}
    }
    // Beside a reference, draft 7 sees nothing.
    if let Some(reference) = converted.remove("$ref") {
        converted = Map::from_iter([("$ref".to_owned(), reference)]);
    }
    let converted = Value::Object(converted);
    if fields.get("x-nullable") == Some(&json!(true)) {
        json!({"anyOf": [converted, {"type": "null"}]})
    } else {
        converted
    }
}

/// What Clever publishes of one version, and how a fake's answers are held against it.
struct Description {
    version: Version,
    document: Value,
    /// By the definition's name.
    validators: BTreeMap<String, jsonschema::Validator>,
}

impl Description {
    fn read(path: &Path) -> Description {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let document: Value = serde_saphyr::from_str(&text).expect("the description is YAML");
        let version = document["basePath"].as_str().unwrap().trim_start_matches('/');
        let version = Version::from_str(version, false).expect("a version that the client speaks");
        Description { version, document, validators: BTreeMap::new() }
    }

    fn schema_of(&self, name: &str) -> jsonschema::Validator {
        schema_of(self.document["definitions"].as_object().unwrap(), name)
    }

    /// The schema of what `path` answers with that status.
    fn schema_name(&self, path: &str, status: u16) -> String {
        let response = &self.document["paths"][path]["get"]["responses"][status.to_string()];
        let schema = match response["$ref"].as_str().and_then(|name| name.strip_prefix("#/responses/")) {
            Some(name) => &self.document["responses"][name]["schema"]["$ref"],
            None => &response["schema"]["$ref"],
        };
        let schema = schema.as_str().unwrap_or_else(|| panic!("{path}: {status} isn't described"));
        schema.strip_prefix("#/definitions/").unwrap().to_owned()
    }

    /// Holds an answer of `path`, which the description calls `described`, against its schema.
    fn check(&mut self, path: &str, described: &str, (status, body): (u16, String)) -> Value {
        let name = self.schema_name(described, status);
        if !self.validators.contains_key(&name) {
            self.validators.insert(name.clone(), self.schema_of(&name));
        }
        let body: Value = serde_json::from_str(&body).unwrap();
        let errors = self.validators[&name].iter_errors(&body).take(5);
        let complaints: Vec<_> = errors.map(|error| format!("{error} at {}", error.instance_path())).collect();
        assert!(complaints.is_empty(), "{path}: {complaints:#?}");
        body
    }

    /// A schema that took anything would prove nothing.
    fn check_itself(&self) {
        let user = self.schema_of("UserResponse");
        assert!(user.is_valid(&json!({"data": {"id": "5a", "email": null, "roles": {"student": null}}})));
        for wrong in [
            json!({"data": {"id": null}}),
            json!({"data": {"ids": "5a"}}),
            json!({"data": {"roles": []}}),
            json!({"data": {"roles": {"student": {"grade": "third"}}}}),
            json!({"data": {"roles": {"student": {"dob": "2015-01-02"}}}}),
            json!({"data": {"created": "2026-08-01"}}),
        ] {
            assert!(!user.is_valid(&wrong), "{wrong}");
        }
        // One of the fields that 3.1 has and 3.0 hasn't.
        let newer = json!({"data": {"roles": {"student": {"frl_status": "Free"}}}});
        assert_eq!(user.is_valid(&newer), self.version == Version::V3_1, "{}", self.version);
    }
}

#[tokio::test]
async fn the_fake_answers_as_clever_describes() {
    let Some(paths) = std::env::var_os(DESCRIPTIONS) else {
        eprintln!("skipped: {DESCRIPTIONS} doesn't name Clever's descriptions");
        return;
    };
    for path in std::env::split_paths(&paths) {
        let description = Description::read(&path);
        description.check_itself();
        check_every_answer(description).await;
    }
}

async fn check_every_answer(mut description: Description) {
    let version = description.version;
    let fake = FakeClever::new(Options::of(Size::of(3_000)), context());
    let served = fake.serve().await.unwrap();
    let there = fake.district(0);
    change_everything(&fake);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = async |path: &str, token: &str| -> (u16, String) {
        let url = served.url().join(path).unwrap();
        let answer = http.get(url).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let token = there.token().unwrap().token;
    let token = token.expose_secret();
    // Every page of every list.
    for list in ["districts", "schools", "sections", "users"] {
        let described = format!("/{list}");
        let mut next = Some(format!("/{version}/{list}?limit=1000&count=true"));
        if list == "districts" || list == "sections" {
            next = Some(format!("/{version}/{list}?limit=70"));
        }
        while let Some(path) = next {
            let body = description.check(&path, &described, get(&path, token).await);
            assert!(!body["data"].as_array().unwrap().is_empty());
            let links = body["links"].as_array().unwrap();
            let link = |rel| links.iter().find(|link| link["rel"] == rel);
            assert!(link("self").is_some());
            next = link("next").map(|link| link["uri"].as_str().unwrap().to_owned());
        }
    }
    for role in ["student", "teacher", "staff", "district_admin", "contact"] {
        let path = format!("/{version}/users?role={role}&ending_before=last&limit=5");
        description.check(&path, "/users", get(&path, token).await);
    }
    // Single records, there or not.
    for (kind, list) in [(Kind::School, "schools"), (Kind::Section, "sections"), (Kind::User, "users")] {
        for id in there.ids(kind).into_iter().take(5).chain(["5f0000000000000000000000".to_owned()]) {
            let path = format!("/{version}/{list}/{id}");
            description.check(&path, &format!("/{list}/{{id}}"), get(&path, token).await);
        }
    }
    let path = format!("/{version}/districts/{}", there.id());
    description.check(&path, "/districts/{id}", get(&path, token).await);
    // Whoever signed in sees themselves.
    let user = there.users("student").remove(7);
    let theirs = there.sign_in(&user);
    let path = format!("/{version}/users/{user}");
    description.check(&path, "/users/{id}", get(&path, theirs.expose_secret()).await);
    // And a client that speaks this version reads all of it.
    let clever = Clever::new(Settings { version, ..served.settings() }, context()).unwrap();
    let district = clever.district(there.token().unwrap());
    assert_eq!(ids(district.schools()).await.unwrap(), there.ids(Kind::School));
    assert_eq!(ids(district.sections()).await.unwrap(), there.ids(Kind::Section));
    assert_eq!(ids(district.users(None)).await.unwrap(), there.ids(Kind::User));
}

/// Every change that there is has to leave what the schema describes.
fn change_everything(fake: &FakeClever) {
    let there = fake.district(0);
    let (sections, students) = (there.ids(Kind::Section), there.users("student"));
    there.move_student(&students[0], &sections[0], sections.last().unwrap());
    there.promote(&students[1], "PostGraduate");
    there.set_dob(&students[2], "12/31/2014");
    there.set_email(&students[3], None);
    there.rename(&there.ids(Kind::School)[0], "Other Elementary");
    there.add_students(3, &sections[1]);
    there.remove(&students[4]);
    there.remove(&students[5]);
    there.bring_back(&students[5]);
    there.unset(&students[6], "roles/student/dob");
    there.set_state("paused");
}

/// What Clever doesn't describe, but documents (docs/domain/wire-formats.md#clevers-data-api).
#[tokio::test]
async fn the_fake_behaves_as_clever_documents() {
    let options = Options { links: Links::Absolute, largest_page: 10_000, ..Options::of(Size::of(300)) };
    let fake = FakeClever::new(options, context());
    let served = fake.serve().await.unwrap();
    let there = fake.district(0);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| served.url().join(path).unwrap();
    let district = there.token().unwrap().token;
    let user = there.sign_in(&there.users("teacher")[0]);
    let get = async |path: &str, token: &str| http.get(url(path)).bearer_auth(token).send().await.unwrap();
    let unknown = "65a1b2c3ffffffffffffffff";
    for (path, token, status, is_html) in [
        ("/v3.1/users", district.expose_secret(), 200, false),
        ("/v3.1/users", "nonsense", 401, false),
        ("/v3.1/users", "", 401, false),
        ("/v3.1/users", user.expose_secret(), 404, true),
        ("/v3.1/me", user.expose_secret(), 200, false),
        ("/v3.1/me", district.expose_secret(), 404, false),
        ("/v3.1/users?limit=10001", district.expose_secret(), 413, true),
        ("/v3.1/users?limit=0", district.expose_secret(), 400, false),
        ("/v3.1/users?role=nobody", district.expose_secret(), 400, false),
        ("/v3.1/users?starting_after=x", district.expose_secret(), 400, false),
        (&format!("/v3.1/users/{unknown}"), district.expose_secret(), 404, false),
        ("/v3.1/students", district.expose_secret(), 404, false),
        ("/v2.1/users", district.expose_secret(), 404, false),
    ] {
        let answer = get(path, token).await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(content_type.starts_with("text/html"), is_html, "{path}");
        let body = answer.text().await.unwrap();
        assert_eq!(serde_json::from_str::<Value>(&body).is_err(), is_html, "{path}");
    }
    // A hundred records a page, unless asked for otherwise; IDs ascend.
    let page: Value = get("/v3.1/users?count=true", district.expose_secret()).await.json().await.unwrap();
    let ids: Vec<_> = page["data"].as_array().unwrap().iter().map(|item| item["data"]["id"].to_string()).collect();
    assert_eq!(ids.len(), 100);
    assert!(ids.is_sorted() && ids[0].len() == 26);
    assert_eq!(page["count"], there.ids(Kind::User).len());
    let links = page["links"].as_array().unwrap();
    let next: Url = links.iter().find(|link| link["rel"] == "next").unwrap()["uri"].as_str().unwrap().parse().unwrap();
    let second: Value = get(next.as_str(), district.expose_secret()).await.json().await.unwrap();
    let prev = second["links"].as_array().unwrap().iter().find(|link| link["rel"] == "prev").unwrap().clone();
    let first: Value = get(prev["uri"].as_str().unwrap(), district.expose_secret()).await.json().await.unwrap();
    assert_eq!(first["data"], page["data"]);
    // Tokens are for the app alone.
    for (id, secret, status) in [(CLIENT_ID, "fake-client-secret", 200), (CLIENT_ID, "x", 401), ("x", "x", 401)] {
        let tokens = url("/oauth/tokens?owner_type=district");
        let answer = http.get(tokens).basic_auth(id, Some(secret)).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
    let rate = get("/v3.1/me", user.expose_secret()).await;
    assert_eq!(rate.headers()["x-ratelimit-limit"], "1200");
    assert_eq!(rate.headers()["x-ratelimit-remaining"], "1197");
    assert!(rate.headers()["x-ratelimit-reset"].to_str().unwrap().parse::<i64>().unwrap() % 60 == 0);
}

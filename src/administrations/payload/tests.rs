use serde_json::json;

use super::*;
use crate::fields;
use crate::runtime::Status;

fn valid() -> Json {
    json!({
        "name": "Fall",
        "assessments": [{ "taskId": "swr", "params": { "cat": true } }],
        "dateOpen": "2026-09-01T00:00:00.000Z",
        "dateClose": "2026-12-01T23:59:59.999Z",
        "orgs": { "districts": ["d1"] },
    })
}

fn with(path: &str, value: Json) -> Json {
    let mut data = valid();
    *data.pointer_mut(path).unwrap_or(&mut Json::Null) = value.clone();
    if data.pointer(path).is_none() {
        let (parent, key) = path.rsplit_once('/').unwrap();
        data.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    }
    data
}

#[test]
fn what_the_client_sends_is_read_with_its_defaults() {
    let request = AdministrationRequest::read(&valid()).unwrap();
    assert_eq!(request.public_name, "Fall");
    assert!(request.sequential && !request.test_data && request.tags.is_empty());
    assert_eq!((request.administration_id, request.request_id, request.legal), (None, None, None));
    assert_eq!(request.assessments, [Value::Map(fields! { "taskId" => "swr", "params" => fields! { "cat" => true } })]);
}

#[test]
fn a_day_opens_at_its_beginning_and_closes_at_its_end() {
    let dates = |open: &str, close: &str, zone: Json| {
        let mut data = with("/dateOpen", json!(open));
        data["dateClose"] = json!(close);
        data["timeZone"] = zone;
        AdministrationRequest::read(&data)
            .map(|request| (request.date_opened.to_string(), request.date_closed.to_string()))
    };
    let of = |open: &str, close: &str| Some((open.to_owned(), close.to_owned()));
    let same = ("2026-12-10", "2026-12-10");
    assert_eq!(dates(same.0, same.1, Json::Null).ok(), of("2026-12-10T00:00:00Z", "2026-12-10T23:59:59.999Z"));
    let zone = json!("America/Los_Angeles");
    assert_eq!(dates(same.0, same.1, zone.clone()).ok(), of("2026-12-10T08:00:00Z", "2026-12-11T07:59:59.999Z"));
    // An instant is itself, whatever the zone; a time of day is the zone's.
    assert_eq!(
        dates("2026-12-10T09:30", "2026-12-10T23:59:59Z", zone).ok(),
        of("2026-12-10T17:30:00Z", "2026-12-10T23:59:59Z")
    );
    let refused = |open: &str, close: &str, zone: Json| dates(open, close, zone).unwrap_err();
    assert!(refused("2026-12-11", "2026-12-10", Json::Null).message.contains("dateClose"));
    assert!(refused("2026-12-10T09:30", "2026-12-11", Json::Null).message.contains("dateOpen"), "of no zone");
    for zone in [json!("Mars/Olympus"), json!(""), json!(7), json!("+01:00:00:00")] {
        let error = refused("2026-12-10", "2026-12-11", zone.clone());
        assert!(error.status == Status::InvalidArgument && error.message.contains("timeZone"), "{zone}: {error:?}");
    }
}

#[test]
fn null_is_the_same_as_absent() {
    let mut data = valid();
    for name in ["publicName", "sequential", "tags", "administrationId", "requestId", "isTestData", "legal"] {
        data[name] = Json::Null;
    }
    data["orgs"] =
        json!({ "districts": [null, "d1"], "schools": null, "classes": [], "groups": [null], "families": [] });
    data["assessments"][0]["conditions"] = json!({ "assigned": null, "optional": true });
    data["assessments"][0]["variantId"] = Json::Null;
    let request = AdministrationRequest::read(&data).unwrap();
    assert_eq!(request.orgs.flatten(), ["d1"]);
    let conditions = Value::Map(fields! { "optional" => true });
    let expected = fields! { "taskId" => "swr", "params" => fields! { "cat" => true }, "conditions" => conditions };
    assert_eq!(request.assessments, [Value::Map(expected)]);
}

#[test]
fn every_rule_has_an_error_that_names_the_field() {
    let leaf = |op: &str| json!({ "field": "age", "op": op, "value": 1 });
    let deep = |n| (0..n).fold(json!(true), |inner, _| json!({ "op": "AND", "conditions": [inner] }));
    let nest = (0..30).fold(json!(1), |inner, _| json!({ "a": inner }));
    let table = [
        ("", json!(null), "The request must be an object"),
        ("", json!([]), "The request must be an object"),
        ("/name", json!(null), "name must"),
        ("/name", json!("  "), "name must"),
        ("/name", json!(3), "name must"),
        ("/publicName", json!({}), "publicName must"),
        ("/assessments", json!(null), "assessments must"),
        ("/assessments", json!([]), "assessments must"),
        ("/assessments", json!({}), "assessments must"),
        ("/assessments/0", json!("swr"), "assessments[0] must"),
        ("/assessments/0/taskId", json!(""), "assessments[0].taskId must"),
        ("/assessments/0/taskId", json!(null), "assessments[0].taskId must"),
        ("/assessments/0/taskId", json!("--x--"), "assessments[0].taskId has a key"),
        ("/assessments/0/taskId", json!("updatedAt"), "assessments[0].taskId is a name"),
        ("/assessments/0/params", json!(null), "assessments[0].params must"),
        ("/assessments/0/params", json!([]), "assessments[0].params must"),
        ("/assessments/0/params", json!({ "x": [[1]] }), "assessments[0].params.x holds a list directly in a list"),
        ("/assessments/0/params", json!({ "": 1 }), "assessments[0].params has a key"),
        ("/assessments/0/params", json!({ "__x__": 1 }), "assessments[0].params has a key"),
        ("/assessments/0/params", nest, "nested too deep"),
        ("/assessments/0/variantId", json!(7), "assessments[0].variantId must"),
        ("/assessments/0/conditions", json!([]), "assessments[0].conditions must"),
        ("/assessments/0/conditions", json!({ "assign": true }), "assessments[0].conditions.assign is neither"),
        ("/assessments/0/conditions", json!({ "assigned": leaf("LIKE") }), "conditions.assigned.op is not"),
        ("/assessments/0/conditions", json!({ "assigned": false }), "conditions.assigned must"),
        ("/assessments/0/conditions", json!({ "assigned": { "op": "EQUAL", "value": 1 } }), "assigned has no field"),
        ("/assessments/0/conditions", json!({ "optional": { "op": "EQUAL", "field": "x" } }), "optional has no value"),
        ("/assessments/0/conditions", json!({ "optional": deep(33) }), "more than 32 deep"),
        ("/assessments/0/conditions", json!({ "optional": deep(12) }), "assessments[0] is nested too deep"),
        ("/dateOpen", json!(null), "dateOpen must"),
        ("/dateOpen", json!("tomorrow"), "dateOpen must"),
        ("/dateOpen", json!(1700000000), "dateOpen must"),
        ("/dateOpen", json!("0000-01-01"), "dateOpen must"),
        ("/dateClose", json!("2026-13-01"), "dateClose must"),
        ("/dateClose", json!("2026-08-31T00:00:00Z"), "dateClose must not be before dateOpen"),
        ("/sequential", json!("yes"), "sequential must"),
        ("/isTestData", json!(1), "isTestData must"),
        ("/tags", json!("fall"), "tags must"),
        ("/tags", json!([1]), "tags must"),
        ("/legal", json!("No Consent"), "legal must"),
        ("/administrationId", json!("a/b"), "administrationId must"),
        ("/administrationId", json!(""), "administrationId must"),
        ("/requestId", json!(""), "requestId must"),
        ("/requestId", json!("x".repeat(129)), "requestId must"),
        ("/requestId", json!(1), "requestId must"),
        ("/orgs", json!(null), "orgs must be an object"),
        ("/orgs", json!(["d1"]), "orgs must be an object"),
        ("/orgs", json!({}), "orgs must name at least one org"),
        ("/orgs", json!({ "districts": [null] }), "orgs must name at least one org"),
        ("/orgs", json!({ "districts": "d1" }), "orgs.districts must"),
        ("/orgs", json!({ "schools": ["s1", 7] }), "orgs.schools[1] must"),
        ("/orgs", json!({ "schools": [""] }), "orgs.schools[0] must"),
        ("/orgs", json!({ "schools": ["a/b"] }), "orgs.schools[0] must"),
        ("/orgs", json!({ "cohorts": ["c1"] }), "orgs.cohorts is not"),
        ("/orgs", json!({ "schools": numbered(5001) }), "orgs may name 5000"),
        ("/tags", json!(numbered(101)), "tags must be a list of 100"),
        ("/assessments", json!(numbered(101)), "assessments must be a list of 100"),
    ];
    for (path, value, message) in table {
        let data = if path.is_empty() { value.clone() } else { with(path, value.clone()) };
        let error = AdministrationRequest::read(&data).expect_err(&format!("{path} {value}"));
        assert_eq!(error.status, Status::InvalidArgument, "{path} {value}");
        assert!(error.message.contains(message), "{path} {value}: {}", error.message);
    }
    let mut twice = valid();
    twice["assessments"] = json!([{ "taskId": "swr", "params": {} }, { "taskId": "swr", "params": {} }]);
    assert!(AdministrationRequest::read(&twice).unwrap_err().message.contains("assessments[1].taskId repeats"));
    twice["assessments"] = json!([{ "taskId": "a-b", "params": {} }, { "taskId": "a_b", "params": {} }]);
    assert!(AdministrationRequest::read(&twice).unwrap_err().message.contains("assessments[1].taskId repeats"));
}

#[test]
fn an_empty_period_is_a_period() {
    let mut data = valid();
    data["dateClose"] = data["dateOpen"].clone();
    assert!(AdministrationRequest::read(&data).is_ok());
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

//! What each callable takes and gives, with an example of both that a test lets run.

mod people;
mod rosters;
mod signature;

use serde_json::{Value as Json, json};

pub(super) use self::signature::Signature;
use self::signature::{GONE, LARGE, TAKEN};
use super::schema::{
    about, answer, count, date, flag, id, id_schema, list, map, nullable, object, one_of, optional, required, shared,
    sometimes, text,
};
use crate::runtime::Status::FailedPrecondition;

/// All signatures, in the order of the index.
pub(super) fn all() -> Vec<Signature> {
    let mut all = administrations();
    all.extend(reports());
    all.extend(rights());
    all.extend(people::all());
    all.extend(rosters::all());
    all.extend(groups());
    all
}

fn administrations() -> Vec<Signature> {
    let assessment = object(vec![
        required("taskId", about(shared("Key"), "The task. No two assessments have the same.")),
        required("params", json!({ "type": "object", "description": "What the task is told." })),
        optional("variantId", text("The variant of the task.")),
        optional("variantName", text("Its name.")),
        optional("conditions", about(shared("Conditions"), "Who gets the assessment; everybody without.")),
    ]);
    let mut assessments = list(assessment, "What students do, in that order.");
    assessments["minItems"] = json!(1);
    vec![Signature {
        name: "createAdministration",
        description: "With administrationId, the administration is replaced by what is sent. The assignments of \
                      students follow; syncStatus of the administration shows how far they are. A requestId makes \
                      a repetition within 24 hours answer as before, and do nothing.",
        data: object(vec![
            required("name", text("The name that administrators see.")),
            optional("publicName", text("The name that students see; as name without.")),
            required("assessments", assessments),
            required("dateOpen", date("When students may begin: an instant, or a day, from its beginning on.")),
            required("dateClose", date("When they must be done: an instant, or a day, until its end.")),
            optional(
                "timeZone",
                text("The IANA name of the time zone whose days are meant, and times without an offset. Default: UTC."),
            ),
            required("orgs", about(shared("Orgs"), "Whose students it's for: at least one org.")),
            optional("sequential", flag("Tasks are done in order. Default: true.")),
            optional("tags", list(nullable(json!({ "type": "string" })), "Labels.")),
            optional("legal", json!({ "type": "object", "description": "Consent and assent texts." })),
            optional("isTestData", flag("For test users only.")),
            optional("administrationId", id("The administration to change.")),
            optional("requestId", json!({ "type": "string", "minLength": 1, "maxLength": 128 })),
        ]),
        result: answer(vec![required("administrationId", id("The administration."))]),
        chunk: None,
        sent: json!({
            "name": "Fall benchmark", "publicName": "Reading games",
            "assessments": [{
                "taskId": "swr", "params": { "taskName": "swr" }, "variantId": "adaptive",
                "conditions": { "assigned": { "field": "studentData.grade", "op": "GREATER_THAN_OR_EQUAL", "value": 3 } },
            }],
            "dateOpen": "2026-09-01T08:00:00Z", "dateClose": "2030-12-18T23:59:59Z",
            "orgs": { "districts": ["district-1"], "schools": [], "classes": [], "groups": [], "families": [] },
            "tags": ["fall"], "requestId": "3f0c4a0e-5bb8-4f0b-a1cf-6f1a1f5b8a11",
        }),
        given: json!({ "status": "ok", "administrationId": "8dQb2TnKxUw0VjXy9aRf" }),
        refusals: vec![
            GONE,
            (FailedPrecondition, "The administration is open, and ROAR_EDIT_IN_PROGRESS doesn't let it change."),
        ],
    }]
}

fn net_counts() -> Json {
    object(vec![
        required("assigned", count("Students who have yet to start.")),
        required("started", count("Students who have started, and aren't done.")),
        required("completed", count("Students who are done.")),
    ])
}

fn reports() -> Vec<Signature> {
    let shown = object(vec![
        required("id", id("The administration.")),
        required("name", nullable(json!({ "type": "string" }))),
        required("publicName", nullable(json!({ "type": "string" }))),
        required("dateCreated", nullable(date("When it was made."))),
        required("dateOpened", nullable(date("When students may begin."))),
        required("dateClosed", nullable(date("When they must be done."))),
        required("testData", flag("For test users only.")),
    ]);
    let mut counts = net_counts();
    counts["properties"]["byTask"] = map(net_counts(), "The same by task, where tasks were asked for.");
    let mut administrations = list(nullable(shared("Id")), "The administrations.");
    administrations["minItems"] = json!(1);
    administrations["maxItems"] = json!(crate::reports::payload::MOST_ADMINISTRATIONS);
    let mut tasks = list(nullable(shared("Key")), "Tasks to count one by one.");
    tasks["maxItems"] = json!(crate::reports::payload::MOST_TASKS);
    let row = object(vec![
        required("orgId", id("The org.")),
        required("name", json!({ "type": "string" })),
        required("orgType", one_of(&ORG_TYPES, "The type of the org.")),
        sometimes("hasChildren", flag("Orgs of the administration are below it. Of districts and schools.")),
        sometimes("districtId", id("The district that it's in.")),
        sometimes("schoolId", id("The school that it's in.")),
        sometimes("stats", object(vec![required("assignment", net_counts())])),
    ]);
    vec![
        Signature {
            name: "getAdministrations",
            description: "Those that the caller made, and those assigned to orgs that the caller administers, or to \
                          orgs above or below them.",
            data: nullable(object(vec![
                optional("testData", flag("Only test administrations, or only others.")),
                optional("restrictToOpenAdministrations", flag("Only those that aren't closed.")),
                optional("idsOnly", flag("IDs alone, instead of objects. Default: true.")),
            ])),
            result: answer(vec![required(
                "data",
                json!({ "type": "array", "items": { "anyOf": [shared("Id"), shown] } }),
            )]),
            chunk: None,
            sent: json!({ "idsOnly": false, "restrictToOpenAdministrations": true }),
            given: json!({ "status": "ok", "data": [{
                "id": "fall-2026", "name": "Fall benchmark", "publicName": "Reading games",
                "dateCreated": "2026-08-20T12:00:00Z", "dateOpened": "2026-09-01T08:00:00Z",
                "dateClosed": "2030-12-18T23:59:59Z", "testData": false,
            }] }),
            refusals: vec![],
        },
        Signature {
            name: "getAssignmentStats",
            description: "The three counts of an administration add up to all who are assigned. An org's are for who \
                          administers it; all, without orgId, for who administers all that the administration is \
                          assigned to. Others, and what doesn't exist, are left out.",
            data: object(vec![
                required("administrationIds", administrations),
                optional("orgId", id("Only this org's students; all without.")),
                optional("orgType", one_of(&ORG_TYPES, "Its type.")),
                optional("taskIds", tasks),
                optional("fetchAllTaskIds", flag("Every task of the administration one by one.")),
            ]),
            result: answer(vec![required("data", map(counts, "By administration."))]),
            chunk: None,
            sent: json!({ "administrationIds": ["fall-2026"], "fetchAllTaskIds": true }),
            given: json!({ "status": "ok", "data": { "fall-2026": {
                "assigned": 2, "started": 1, "completed": 0,
                "byTask": { "swr": { "assigned": 2, "started": 1, "completed": 0 } },
            } } }),
            refusals: vec![],
        },
        Signature {
            name: "getAdministrationOrgsAndStats",
            description: "The top-most orgs, or the children of parentOrgId: a district's schools and classes \
                          without a school, a school's classes.",
            data: object(vec![
                required("administrationId", id("The administration.")),
                optional("parentOrgId", id("The org whose children are asked for.")),
                optional("parentOrgType", one_of(&ORG_TYPES, "Its type; goes with parentOrgId.")),
            ]),
            result: answer(vec![required("data", list(row, "One row an org, by name."))]),
            chunk: None,
            sent: json!({ "administrationId": "fall-2026", "parentOrgId": "district-1", "parentOrgType": "district" }),
            given: json!({ "status": "ok", "data": [{
                "orgId": "school-1", "name": "Elm School", "orgType": "school", "hasChildren": false,
                "districtId": "district-1", "stats": { "assignment": { "assigned": 2, "started": 1, "completed": 0 } },
            }] }),
            refusals: vec![GONE],
        },
        reconcile(),
    ]
}

fn reconcile() -> Signature {
    let tally = object(vec![required("found", count("Found.")), required("fixed", count("Of these, mended."))]);
    let finding = object(vec![
        required("kind", json!({ "type": "string", "description": "What differs." })),
        sometimes("userId", id("The student.")),
        sometimes("orgId", json!({ "type": "string", "description": "The org whose counts differ, or total." })),
        sometimes("field", json!({ "type": "string" })),
        sometimes("stored", json!({ "description": "What is stored." })),
        sometimes("expected", json!({ "description": "What should be." })),
        required("fixed", flag("It's mended.")),
    ]);
    let report = object(vec![
        required("administrationId", id("The administration.")),
        required("state", json!({ "type": "string", "description": "How it stands: open, closed, gone, …" })),
        required("assignments", count("Assignments looked at.")),
        required("kinds", map(tally, "How many findings of each kind.")),
        required("findings", list(finding, "The findings, up to 200 of each kind.")),
        required("notes", list(json!({ "type": "string" }), "What an operator should know besides.")),
    ]);
    Signature {
        name: "reconcileAdministration",
        description: "Looks at every assignment of the administration, twice where something differs, and with fix \
                      mends what does.",
        data: object(vec![
            required("administrationId", id("The administration.")),
            optional("fix", flag("Mend what differs. Default: false.")),
        ]),
        result: answer(vec![
            required("agrees", flag("Everything was looked at, and nothing differs (any more).")),
            required("fix", flag("What differs was to be mended.")),
            required("administrations", list(report, "What was found.")),
        ]),
        chunk: None,
        sent: json!({ "administrationId": "fall-2026" }),
        given: json!({
            "status": "ok", "agrees": false, "fix": false,
            "administrations": [{
                "administrationId": "fall-2026", "state": "open", "assignments": 3,
                "kinds": { "countDiffers": { "found": 1, "fixed": 0 } },
                "findings": [{ "kind": "countDiffers", "orgId": "total", "field": "assignment.assigned", "stored": 4,
                               "expected": 3, "fixed": false }],
                "notes": [],
            }],
        }),
        refusals: vec![GONE],
    }
}

const ORG_TYPES: [&str; 5] = ["district", "school", "class", "group", "family"];

fn claims() -> Json {
    map(json!({}), "The claims as they are now: adminOrgs, minimalAdminOrgs, roarUid, …")
}

fn rights() -> Vec<Signature> {
    let orgs = || {
        let mut fields = vec![required("targetUid", id("The account, by its UID in the admin project."))];
        for (one, many) in [
            ("districtId", "districts"),
            ("schoolId", "schools"),
            ("classId", "classes"),
            ("groupId", "groups"),
            ("familyId", "families"),
        ] {
            fields.push(optional(one, id("One of them.")));
            fields.push(optional(many, list(nullable(shared("Id")), "Several.")));
        }
        object(fields)
    };
    let account = |name, what: &str| optional(name, account_id(what));
    vec![
        Signature {
            name: "appendToAdminClaims",
            description: "Whoever administers an org administers what is below it. At least one org must be named. \
                          Again, and nothing changes.",
            data: orgs(),
            result: answer(vec![required("userClaims", claims())]),
            chunk: None,
            sent: json!({ "targetUid": "uid-teacher", "schoolId": "school-1" }),
            given: json!({ "status": "ok", "userClaims": {
                "adminOrgs": { "schools": ["school-1"] }, "minimalAdminOrgs": { "schools": ["school-1"] },
            } }),
            refusals: vec![
                GONE,
                LARGE,
                (FailedPrecondition, "The account is a student's whom the caller doesn't administer."),
            ],
        },
        Signature {
            name: "removeFromAdminClaims",
            description: "What isn't held stays so.",
            data: orgs(),
            result: answer(vec![required("userClaims", claims())]),
            chunk: None,
            sent: json!({ "targetUid": "uid-teacher", "schools": ["school-1"] }),
            given: json!({ "status": "ok", "userClaims": { "adminOrgs": {}, "minimalAdminOrgs": {} } }),
            refusals: vec![GONE, LARGE, (FailedPrecondition, "An org is held through another one above it.")],
        },
        Signature {
            name: "setUidClaims",
            description: "With a token of the admin project: assessmentUid is needed. With one of the assessment \
                          project: roarUid and adminUid are.",
            data: object(vec![
                account("assessmentUid", "The account in the assessment project."),
                account("adminUid", "The account in the admin project; the caller's without."),
                account("roarUid", "The user, where the caller may say so."),
                optional("identityProviderType", text("clever, classlink, …")),
                optional("identityProviderId", text("Who it is there.")),
            ]),
            result: answer(vec![required("userClaims", claims())]),
            chunk: None,
            sent: json!({ "assessmentUid": "assessment-super" }),
            given: json!({ "status": "ok", "userClaims": { "roarUid": "roar-super", "assessmentUid": "assessment-super" } }),
            refusals: vec![
                GONE,
                TAKEN,
                LARGE,
                (FailedPrecondition, "The roster doesn't let this account be that user."),
            ],
        },
        Signature {
            name: "associateAssessmentUid",
            description: "As setUidClaims, without an answer of claims.",
            data: object(vec![
                required("adminUid", account_id("The account in the admin project.")),
                required("assessmentUid", account_id("The account in the assessment project.")),
            ]),
            result: answer(vec![]),
            chunk: None,
            sent: json!({ "adminUid": "uid-super", "assessmentUid": "assessment-super" }),
            given: json!({ "status": "ok" }),
            refusals: vec![
                GONE,
                TAKEN,
                LARGE,
                (FailedPrecondition, "The roster doesn't let this account be that user."),
            ],
        },
    ]
}

fn account_id(description: &str) -> Json {
    let mut schema = id_schema();
    schema["maxLength"] = json!(128);
    about(schema, description)
}

fn groups() -> Vec<Signature> {
    let group = object(vec![
        required("name", text("Its name.")),
        optional("abbreviation", json!({ "type": "string" })),
        optional("tags", list(json!({ "type": "string" }), "Labels.")),
        optional("parentOrgType", one_of(&ORG_TYPES, "The type of the org that it's part of.")),
        optional("parentOrgId", id("That org; goes with parentOrgType.")),
        optional("familyId", id("The family that it's for.")),
    ]);
    vec![Signature {
        name: "createLevanteGroup",
        description: "Any other field that Firestore can store is kept with the group, but for those that the service \
                      keeps itself: id, archived, createdBy, subGroups, schools, classes, … The maker administers it.",
        data: object(vec![required("groupData", group)]),
        result: answer(vec![required("groupId", id("The group."))]),
        chunk: None,
        sent: json!({ "groupData": { "name": "Pilot readers", "abbreviation": "PILOT", "tags": ["pilot"] } }),
        given: json!({ "status": "ok", "groupId": "8dQb2TnKxUw0VjXy9aRf" }),
        refusals: vec![GONE, LARGE],
    }]
}

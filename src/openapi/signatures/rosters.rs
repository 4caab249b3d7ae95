//! Callables that take rosters over.

use serde_json::json;

use super::signature::{GONE, Signature, TAKEN, UNSET};
use crate::openapi::schema::{answer, count, flag, id, list, map, nullable, object, optional, required};
use crate::runtime::Status::{FailedPrecondition, NotFound};

/// Their signatures.
pub(super) fn all() -> Vec<Signature> {
    let counts = || {
        let of_kind = object(
            ["created", "updated", "unchanged", "removed", "skipped", "failed"]
                .map(|name| required(name, json!({ "type": "integer", "minimum": 0 })))
                .into(),
        );
        map(of_kind, "By kind: districts, schools, classes, users.")
    };
    let district = object(vec![
        required("districtId", id("The district at Clever.")),
        required("runId", nullable(json!({ "type": "string" }))),
        required("state", json!({ "type": "string", "description": "What the run ended as." })),
        required("counts", counts()),
        required(
            "heldBack",
            nullable(json!({
                "type": "object",
                "description": "More are missing, or of no use, than is believed: nothing was taken for gone.",
                "required": ["reason", "kind", "missing", "of"],
                "properties": {
                    "reason": { "enum": ["missing", "empty", "unusable"] },
                    "kind": { "type": "string" },
                    "missing": { "type": "integer", "minimum": 0 },
                    "of": { "type": "integer", "minimum": 0 },
                },
            })),
        ),
        required(
            "keepsMissing",
            nullable(json!({
                "enum": ["paused", "unreadable", "short"],
                "description": "Why what is missing isn't taken for gone.",
            })),
        ),
        required("problems", list(json!({ "type": "object" }), "What wasn't synced, by ID.")),
        required("differences", list(json!({ "type": "object" }), "Of a dry run: what would change, by ID.")),
        required("differing", count("How many differences there are.")),
        required("doubles", count("New people who may be users made by hand; see rosterDoubles.")),
        required("mismatches", list(json!({ "type": "object" }), "Where Clever's numbers differ from ours.")),
        required("error", nullable(json!({ "type": "object" }))),
    ]);
    vec![
        Signature {
            name: "syncCleverUser",
            description: "To be called after a sign-in with Clever.",
            data: object(vec![
                required("assessmentUid", id("The caller's account in the assessment project.")),
                required(
                    "accessToken",
                    json!({ "type": "string", "minLength": 1, "maxLength": 4096, "pattern": "^[!-~]+$" }),
                ),
            ]),
            result: answer(vec![]),
            chunk: None,
            sent: json!({ "assessmentUid": "assessment-super", "accessToken": "il0f2b7" }),
            given: json!({ "status": "ok" }),
            refusals: vec![UNSET, TAKEN, GONE],
        },
        Signature {
            name: "syncCleverOrgs",
            description: "May take an hour; the sync goes on when its caller has gone. Called with Accept: \
                          text/event-stream, it says how far it is.",
            data: nullable(object(vec![
                optional("shallow", flag("Orgs only, no people. Default: true.")),
                optional("dryRun", flag("Say what would change, and change nothing.")),
                optional("confirmUnenroll", flag("Those who are missing have left, however many they are.")),
                optional("districtId", id("One district only.")),
            ])),
            result: answer(vec![
                required("runId", nullable(json!({ "type": "string" }))),
                required("dryRun", flag("Nothing was changed.")),
                required("counts", counts()),
                required("districts", list(district, "By district.")),
                required("disconnected", list(json!({ "type": "string" }), "Districts that don't share any more.")),
            ]),
            chunk: Some(object(vec![
                required("runId", nullable(json!({ "type": "string" }))),
                required("districtId", id("The district at Clever.")),
                required("phase", json!({ "type": "string" })),
                required("done", count("Records gone through.")),
                required("total", nullable(count("Records expected."))),
                required("rate", json!({ "type": "number", "description": "Records a second." })),
                required("counts", counts()),
            ])),
            sent: json!({ "shallow": true }),
            given: json!({
                "status": "ok", "runId": "8dQb2TnKxUw0VjXy9aRf", "dryRun": false, "disconnected": [],
                "counts": { "districts": { "created": 1, "updated": 0, "unchanged": 0, "removed": 0, "skipped": 0, "failed": 0 } },
                "districts": [{
                    "districtId": "58da8c63d7dc0ca06800007a", "runId": "8dQb2TnKxUw0VjXy9aRf", "state": "done",
                    "counts": {}, "heldBack": null, "keepsMissing": null, "problems": [], "differences": [],
                    "differing": 0, "doubles": 0, "mismatches": [], "error": null,
                }],
            }),
            refusals: vec![
                (NotFound, "districtId names no district that shares its roster."),
                (FailedPrecondition, "Clever isn't set up; a sync is under way; or more are missing than is believed."),
            ],
        },
        Signature {
            name: "rosterDoubles",
            description: "Who is new in a roster gets a user of their own. Where a user made by hand shows the same address, \
                          name and date of birth, which administrators can edit, the two wait as a pair for somebody's \
                          yes. Lists the pairs that wait, and says what comes of confirming or rejecting some; with \
                          apply, does it. Repeated, it does the rest.",
            data: object(vec![
                required("districtId", id("The roster's district.")),
                optional("confirm", list(json!({ "type": "string" }), "Pairs that are one person; 500 at most.")),
                optional("confirmAll", flag("All pairs that wait are one person each; unsure ones aside.")),
                optional("reject", list(json!({ "type": "string" }), "Pairs that are two people; 500 at most.")),
                optional("apply", flag("Do it. Default: show what it would come to.")),
                optional("after", id("List the pairs after this one.")),
            ]),
            result: answer(vec![
                required("districtId", id("The district.")),
                required(
                    "pairs",
                    list(
                        object(vec![
                            required("pair", id("The pair.")),
                            required("providerId", id("The person at the roster's provider.")),
                            required("rostered", id("The user whom the roster has, and who stays.")),
                            required("known", id("The user made by hand, who is merged into the other.")),
                            required(
                                "agrees",
                                list(json!({ "enum": ["email", "name", "dob", "account"] }), "What agrees."),
                            ),
                            required("isOneOfSeveral", flag("Several users may be the person; confirm by ID.")),
                            required("foundAt", json!({ "type": "string", "format": "date-time" })),
                        ]),
                        "Pairs that wait: a hundred at most.",
                    ),
                ),
                required("next", nullable(json!({ "type": "string", "description": "List those after this pair." }))),
                required("applied", flag("It's done.")),
                required("confirmed", count("Pairs that are one user.")),
                required("rejected", count("Pairs that aren't shown again.")),
                required("gone", count("Pairs of which a user isn't there any more.")),
                required("unsure", count("Pairs left out of all: several users may be the person, or no name agrees.")),
                required("failed", count("Pairs that couldn't be merged, and wait still.")),
                required(
                    "failures",
                    list(
                        object(vec![required("pair", id("The pair.")), required("why", json!({ "type": "string" }))]),
                        "The first of them.",
                    ),
                ),
                required("assignments", count("Assignments that go over.")),
                required("runs", count("Runs that go over.")),
                required("accountsGivenUp", count("Accounts that sign in as nobody afterwards.")),
                required("cutShort", flag("The time was over before the end: call it again.")),
                required("waiting", count("Pairs that wait now.")),
            ]),
            chunk: None,
            sent: json!({ "districtId": "district-1", "confirmAll": true }),
            given: json!({
                "status": "ok", "districtId": "district-1", "next": null, "applied": false, "confirmed": 1,
                "rejected": 0, "gone": 0, "unsure": 0, "failed": 0, "failures": [], "assignments": 1, "runs": 3,
                "accountsGivenUp": 0, "cutShort": false, "waiting": 1,
                "pairs": [{
                    "pair": "9b1f0c6d5e7a48329b1f0c6d5e7a4832", "providerId": "58da8c63d7dc0ca068000001",
                    "rostered": "student-1", "known": "student-2", "agrees": ["email", "name", "dob"],
                    "isOneOfSeveral": false, "foundAt": "2026-09-01T12:00:00Z",
                }],
            }),
            refusals: vec![(NotFound, "A pair that's named doesn't wait.")],
        },
    ]
}

//! Callables that make and change accounts of people.

use serde_json::{Value as Json, json};

use super::signature::{GONE, LARGE, Signature, TAKEN};
use crate::openapi::schema::{about, answer, closed, flag, id, list, object, optional, required, shared};
use crate::runtime::Status::FailedPrecondition;

fn email(description: &str) -> Json {
    json!({ "type": "string", "format": "email", "maxLength": 254, "description": description })
}

/// Their signatures.
pub(super) fn all() -> Vec<Signature> {
    let part = || json!({ "type": "string", "minLength": 1, "maxLength": 200, "pattern": "\\S" });
    let name = json!({
        "anyOf": [
            object(vec![required("first", part()), optional("middle", part()), required("last", part())]),
            { "type": "string", "pattern": "\\S +\\S", "maxLength": 600 },
        ],
        "description": "In parts, or as one text.",
    });
    let mut record = closed(object(vec![
        optional("email", email("The address to sign in with.")),
        optional(
            "phoneNumber",
            json!({ "type": "string", "pattern": "^\\+[1-9][0-9]{6,14}$", "description": "In E.164." }),
        ),
        optional(
            "password",
            json!({ "type": "string", "minLength": 6, "maxLength": 2000, "pattern": "\\S", "format": "password" }),
        ),
        optional("displayName", json!({ "type": "string", "minLength": 1, "maxLength": 2000, "pattern": "\\S" })),
        optional("photoURL", json!({ "type": "string", "format": "uri", "maxLength": 2000 })),
        optional("disabled", flag("Nobody signs in.")),
        optional("emailVerified", flag("The address is known to be theirs. Only super admins say that it is.")),
    ]));
    record["minProperties"] = json!(1);
    vec![
        Signature {
            name: "createAdministratorAccount",
            description: "Accounts in both projects, the user's documents, and rights over adminOrgs. Where there's \
                          an account for the address, it's taken if the caller may. Repeated, it converges.",
            data: object(vec![
                required("email", email("The address to sign in with.")),
                required("name", name),
                optional("orgs", about(shared("Orgs"), "The orgs that they're members of.")),
                optional("adminOrgs", about(shared("Orgs"), "The orgs that they administer.")),
                optional("isTestData", flag("A test user.")),
            ]),
            result: answer(vec![
                required("adminUid", id("The account in the admin project.")),
                required("assessmentUid", id("The account in the assessment project.")),
                required("roarUid", id("The user.")),
            ]),
            chunk: None,
            sent: json!({
                "email": "principal@school.example", "name": { "first": "Pat", "last": "Principal" },
                "orgs": { "schools": ["school-1"] }, "adminOrgs": { "schools": ["school-1"] },
            }),
            given: json!({
                "status": "ok", "adminUid": "WbWnqhx3fHV1u9mkkvcqMA0dRj12",
                "assessmentUid": "3k0KfWsoYyTUZC8xwNqJx4y5Zsk1", "roarUid": "3k0KfWsoYyTUZC8xwNqJx4y5Zsk1",
            }),
            refusals: vec![
                GONE,
                TAKEN,
                LARGE,
                (FailedPrecondition, "The account is a student's whom the caller doesn't administer, or suspended."),
            ],
        },
        Signature {
            name: "updateUserRecord",
            description: "Only the fields that are sent change. The assessment project's account takes over the \
                          address, and whether it can be used.",
            data: object(vec![required("uid", id("The user.")), required("userRecord", record)]),
            result: answer(vec![]),
            chunk: None,
            sent: json!({ "uid": "student-1", "userRecord": { "displayName": "Reader One" } }),
            given: json!({ "status": "ok" }),
            refusals: vec![GONE, TAKEN, LARGE, (FailedPrecondition, "Several accounts claim to be this user's.")],
        },
        merging(),
    ]
}

/// The signature of `mergeUsers`.
fn merging() -> Signature {
    let ids = |description: &str| list(json!({ "type": "string" }), description);
    let number = |description: &str| json!({ "type": "integer", "minimum": 0, "description": description });
    Signature {
        name: "mergeUsers",
        description: "Makes two users who are one person one user: orgs, assignments with the better progress of both, \
                      runs, roster entries, rights and relations go over to `into`, and `from` is archived with a \
                      pointer. Without apply, it's only shown. Repeated, it converges.",
        data: object(vec![
            required("from", id("The user who is merged.")),
            required("into", id("The user who stays.")),
            optional("apply", flag("Do it. Default: show what it would change.")),
        ]),
        result: answer(vec![
            required("from", id("The user who is merged.")),
            required("into", id("The user who stays.")),
            required("applied", flag("It's done.")),
            required("alreadyMerged", flag("Nothing was left to be done.")),
            required("orgs", ids("Orgs that the user who stays gets.")),
            required("assignmentsMoved", ids("Administrations whose assignment they get.")),
            required("assignmentsCombined", ids("Administrations of which both have an assignment.")),
            required("runs", number("Runs that become theirs.")),
            required("rosterEntries", number("Entries of rosters that become theirs.")),
            required("accounts", ids("Accounts that sign in as them.")),
            required("accountsGivenUp", ids("Accounts whose rights went over, and who sign in as nobody.")),
            required("relations", number("Users who are related to them instead.")),
        ]),
        chunk: None,
        sent: json!({ "from": "student-2", "into": "student-1" }),
        given: json!({
            "status": "ok", "from": "student-2", "into": "student-1", "applied": false, "alreadyMerged": false,
            "orgs": ["class-1"], "assignmentsMoved": [], "assignmentsCombined": ["8dQb2TnKxUw0VjXy9aRf"], "runs": 3,
            "rosterEntries": 1, "accounts": [], "accountsGivenUp": [], "relations": 0,
        }),
        refusals: vec![GONE, (FailedPrecondition, "They aren't one person, or one of them is merged already.")],
    }
}

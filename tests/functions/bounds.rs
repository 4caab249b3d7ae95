//! Every query of the service, with the bound on the number of documents that it reads. A student, a parent or an admin
//! may write many documents; none of these may determine how much a handler reads. A new query needs a row here, with
//! the reason for its bound.

use crate::repository::{root, sources};

/// What bounds the documents that a query gives.
enum Bound {
    /// Its own limit, or pages of one.
    Limit,
    /// A walk through pages, whose number is bounded by what is said here.
    Pages(&'static str),
    /// What it asks for is made by this service alone.
    Service(&'static str),
    /// As many as there are of something that a district, a roster or an operator makes: a query about them is about
    /// their work. Students and parents make none of it.
    District(&'static str),
    /// An operator asked to go through everything.
    Operator,
}

use Bound::{District, Limit, Operator, Pages, Service};

const MEMBERS: &str = "people are in an org by a roster or an admin";
const ORGS: &str = "orgs are made by rosters and admins";
const ENTRIES: &str = "one entry for each person of a roster";
const ADMINISTRATIONS: &str = "administrations are made by admins";
const HOLDERS: &str = "claims are written by the service";

/// The queries of each file, in order.
const QUERIES: [(&str, &[Bound]); 39] = [
    ("administrations/fanout/fence.rs", &[Service("tasks of one administration")]),
    ("administrations/fanout/members.rs", &[Pages(MEMBERS), Pages(MEMBERS)]),
    ("administrations/fanout/plan.rs", &[Service("orgs of one administration")]),
    ("administrations/fanout/problems.rs", &[Limit, Service("counted, not read"), Limit]),
    ("administrations/fanout/remove.rs", &[Limit, Limit, Limit]),
    ("administrations/fanout/sweep.rs", &[Limit]),
    ("administrations/org_changes.rs", &[District(ADMINISTRATIONS)]),
    ("claims/binding/bind.rs", &[Limit, Service("entries of one identity")]),
    ("claims/binding/shown.rs", &[Limit]),
    ("claims/gone.rs", &[Service(HOLDERS)]),
    ("claims/hierarchy.rs", &[Service(HOLDERS)]),
    ("claims/roster.rs", &[Service("entries of one account")]),
    ("following/again.rs", &[Service("syncs under way"), Limit, Limit]),
    ("following/follow.rs", &[Pages("MOST_OF_STUDENT")]),
    ("following/pass.rs", &[Service("assignments of one user"), District(ADMINISTRATIONS)]),
    ("merging/accounts.rs", &[Service(HOLDERS), Service("entries of one user")]),
    (
        "merging/carry_out.rs",
        &[
            Service("assignments of one user"),
            Pages("AT_ONCE, or counted"),
            Limit,
            Service("what the service keeps beside a user"),
            District("relations of one user, which importers write"),
        ],
    ),
    ("orgs/load.rs", &[District(ORGS)]),
    ("reactions/org_written/members.rs", &[Limit, Limit]),
    ("reactions/user_written.rs", &[Service("assignments of one user")]),
    ("reconcile/hierarchy/mod.rs", &[Operator, Operator, Operator]),
    ("reconcile/measure.rs", &[Service("counts of one administration")]),
    ("reconcile/mod.rs", &[Operator, Operator, Limit]),
    ("reconcile/pages.rs", &[Limit]),
    ("reconcile/runs_aside.rs", &[Limit]),
    ("reconcile/traces.rs", &[Pages("users who list an administration, which the service writes")]),
    ("reports/administrations.rs", &[District(ADMINISTRATIONS), District(ADMINISTRATIONS), District(ADMINISTRATIONS)]),
    ("reports/tree.rs", &[District(ORGS), District(ORGS), District(ORGS)]),
    ("rights/user_admin.rs", &[Limit]),
    ("rostering/doubles/decide.rs", &[Service(HOLDERS)]),
    ("rostering/doubles/mod.rs", &[Limit, Service("counted, not read")]),
    ("rostering/partners.rs", &[Service("partners")]),
    ("rostering/sources/clever/sign_in.rs", &[Limit]),
    ("rostering/sync/archiving.rs", &[District(ORGS), District(ORGS)]),
    (
        "rostering/sync/entries.rs",
        &[Service(ENTRIES), Service("counted, not read"), District(MEMBERS), Service(ENTRIES)],
    ),
    ("rostering/sync/linking.rs", &[Service(ENTRIES), District(MEMBERS), Service(ENTRIES)]),
    ("rostering/sync/load.rs", &[District(ORGS)]),
    ("rostering/sync/verify.rs", &[District(ORGS)]),
    ("runs/load.rs", &[Pages("MOST_OF_TASK"), Pages("MOST_OF_ASSIGNMENT")]),
];

/// Rooms that only people run, or that only show something; and the documents, of whose queries others make use.
const OTHERS: [&str; 4] = ["cli", "demo", "documents", "fuzzing.rs"];

/// How a query begins: anew, or as one that the file of a document's kind gives.
const BEGINNINGS: [&str; 15] = [
    "Query::collection(",
    "Query::group(",
    "all_waiting(",
    "assignment::all(",
    "assignment::of_administration(",
    "living_of_type(",
    "of_all(",
    "of_district(",
    "of_provider(",
    "older_problems(",
    "query(under_way(",
    "run::all(",
    "user_claims::all(",
    "user_claims::of_user(",
    "user_claims::over_any(",
];

/// Names of the functions in the documents' files that give a query, but for those that are given one.
fn given_queries(text: &str) -> Vec<&str> {
    let functions = text.split("pub fn ").skip(1).filter_map(|function| function.split_once('{')).map(|(head, _)| head);
    let gives = functions.filter(|head| head.contains("-> Query") || head.contains("-> Result<Query"));
    gives.filter(|head| !head.contains(": Query")).filter_map(|head| head.split('(').next()).collect()
}

#[test]
fn queries_of_documents_are_known() {
    let mut seen = 0;
    for (file, text) in sources(&root().join("src/documents")) {
        for name in given_queries(&text) {
            seen += 1;
            let is_known = BEGINNINGS.iter().any(|begin| begin.ends_with(&format!("{name}(")));
            assert!(is_known, "{file}: say in this test that a query may begin with {name}");
        }
    }
    assert!(seen > 10, "{seen} queries");
}

/// The statement in which each query begins, of the code that isn't a test.
fn queries(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let is_whole = |at: usize| {
        let before = &code[..at];
        !before.ends_with(|last: char| last.is_alphanumeric() || last == '_') && !before.ends_with("fn ")
    };
    let found = BEGINNINGS.iter().flat_map(|begin| code.match_indices(begin)).map(|(at, _)| at);
    let mut at: Vec<usize> = found.filter(|at| is_whole(*at)).collect();
    at.sort_unstable();
    // To the end of the statement, and of the next one, in which pages are made of some.
    let statements = |text: &str| text.split_inclusive(';').take(2).collect::<String>();
    at.into_iter().map(|at| statements(&code[at..])).collect()
}

#[test]
fn every_query_has_a_bound_that_no_client_can_raise() {
    let mut seen = 0;
    for (name, text) in sources(&root().join("src")) {
        let is_other = OTHERS.iter().any(|other| name == *other || name.starts_with(&format!("{other}/")));
        if is_other || name.ends_with("tests.rs") || name.contains("/tests/") {
            continue;
        }
        let found = queries(&text);
        let listed = QUERIES.iter().find(|(of, _)| *of == name).map(|(_, bounds)| *bounds).unwrap_or_default();
        assert_eq!(found.len(), listed.len(), "{name}: a query came or went; say in this test what bounds each");
        seen += usize::from(!found.is_empty());
        for (query, bound) in found.iter().zip(listed) {
            let is_limited = query.contains(".limit(");
            match bound {
                Limit => assert!(is_limited, "{name} has a query without a limit: {query:.200}"),
                Pages(why) | Service(why) | District(why) => assert!(!why.is_empty()),
                Operator => {}
            }
        }
    }
    assert_eq!(seen, QUERIES.len(), "a file is listed that has no query");
}

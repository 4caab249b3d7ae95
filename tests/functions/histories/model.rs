//! What must be true when nothing waits any more: a slow and obvious reading of the rules.

use std::collections::{BTreeMap, BTreeSet};

use roar_functions::assignments::counts::Contribution;
use roar_functions::assignments::tasks::Tasks;
use roar_functions::documents::administration::Administration;
use roar_functions::documents::user::age::{age_in_years, date_of_birth};
use roar_functions::documents::user::orgs::current_orgs;
use roar_functions::orgs::{OrgLists, OrgType};
use roar_functions::store::{DocPath, Document, Fields, Query, Value, lookup};

use super::story::{Stage, administration_id, user_path};
use crate::small::orgs_of;

/// Collects what's wrong.
#[derive(Default)]
pub struct Complaints(pub Vec<String>);

impl Complaints {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }
}

pub async fn look(stage: &Stage) -> Complaints {
    let mut complaints = Complaints::default();
    let users: Vec<Document> = stage.admin().query(Query::collection("users")).await.expect("users");
    let all: Vec<Document> = stage.admin().query(Query::group("assignments")).await.expect("assignments");
    let of = |user: &str, id: &str| {
        all.iter().find(|document| document.path.as_str() == format!("users/{user}/assignments/{id}"))
    };
    for administration in 0..3 {
        let id = administration_id(administration);
        let document = stage.get(&format!("administrations/{id}")).await;
        let assigned = listed(stage, &id, "assignedOrgs").await;
        let Some(document) = document else {
            complaints.expect(assigned.is_empty(), || format!("{id} is gone, its orgs aren't"));
            let stats = stage.admin().query(Query::collection(format!("administrations/{id}/stats"))).await;
            complaints.expect(stats.expect("counts").is_empty(), || format!("{id} is gone, its counts aren't"));
            complaints.expect(all.iter().all(|a| a.id() != id), || format!("{id} is gone, assignments aren't"));
            continue;
        };
        let status = document.fields.get("syncStatus").and_then(Value::as_str).unwrap_or_default().to_owned();
        complaints.expect(status == "complete", || format!("{id} is {status}"));
        let is_open = document.fields["dateClosed"].as_timestamp().expect("a date") > stage.now();
        let stored = crate::world::stored_counts(stage.admin(), &id).await;
        let recounted = roar_functions::assignments::recount::Counts::of_assignments(
            all.iter().filter(|assignment| assignment.id() == id).map(|assignment| &assignment.fields),
            is_open.then(|| Tasks::of(&Administration::from_document(&document))).as_ref(),
        );
        let differences = stored.differences(&recounted);
        complaints.expect(differences.is_empty(), || format!("counts of {id}: {differences:?}"));
        if !is_open {
            continue;
        }
        for n in 0..3_u8 {
            work(&mut complaints, stage, n, administration, of(user_path(n).id(), &id));
            let user = users.iter().find(|user| user.path == user_path(n));
            let assignment = of(user_path(n).id(), &id);
            let changed_since = stage.changed[usize::from(n)] > stage.saved[usize::from(administration)]
                || stage.deleted.contains(&(n, administration));
            matches(&mut complaints, stage, user, assignment, &document, &assigned, changed_since);
        }
    }
    // What becomes of the hostile student's own documents is theirs to bear.
    let is_hostile = |path: &DocPath| path.as_str().split('/').nth(1) == Some(super::hostile::STUDENT);
    for assignment in all.iter().filter(|assignment| !is_hostile(&assignment.path)) {
        let path = assignment.path.as_str();
        let user = assignment.path.parent().expect("a user");
        complaints.expect(users.iter().any(|document| document.path == user), || format!("{path} has no user"));
        complaints.expect(Contribution::is_settled(&assignment.fields), || format!("{path} isn't settled"));
        complaints.expect(!orgs_of(assignment, "assigningOrgs").is_empty(), || format!("{path} has no orgs"));
        complaints.expect(!entries(assignment).is_empty(), || format!("{path} has no tasks"));
    }
    for user in users.iter().filter(|user| !is_hostile(&user.path)) {
        lists(&mut complaints, user, &all);
        if text(&user.fields, "userType") == "student" {
            history(&mut complaints, user);
        }
        copy(&mut complaints, stage, user).await;
    }
    runs(&mut complaints, stage, &all).await;
    for left in ["functionTasks", "usersToFollow"] {
        let found = stage.admin().query(Query::group(left)).await.expect("documents");
        complaints.expect(found.is_empty(), || format!("{left} are left: {found:?}"));
    }
    complaints
}

/// Each assignment's runs of a task have one best, and the assignment names it if it names any.
async fn runs(complaints: &mut Complaints, stage: &Stage, assignments: &[Document]) {
    let mut all = stage.assessment().query(Query::group("runs")).await.expect("runs");
    all.retain(|run| !run.path.as_str().starts_with(&format!("users/{}/", super::hostile::STUDENT)));
    let mut by_assignment: BTreeMap<String, Vec<&Document>> = BTreeMap::new();
    for run in &all {
        let user = run.path.parent().expect("a user");
        by_assignment.entry(format!("{user}/assignments/{}", text(&run.fields, "assignmentId"))).or_default().push(run);
    }
    for (path, runs) in &by_assignment {
        let is = |run: &&&Document, name: &str| run.fields.get(name) == Some(&Value::Boolean(true));
        let order =
            |run: &&&Document| (!is(run, "completed"), run.fields["timeStarted"].as_timestamp(), run.id().to_owned());
        let expected = runs.iter().min_by_key(order).map(|run| run.id());
        let best: Vec<&str> = runs.iter().filter(|run| is(run, "bestRun")).map(|run| run.id()).collect();
        complaints.expect(best == expected.into_iter().collect::<Vec<_>>(), || {
            format!("of {path}, {best:?} are best, not {expected:?}")
        });
        let Some(assignment) = assignments.iter().find(|assignment| assignment.path.as_str() == path) else { continue };
        let Some(entry) = entries(assignment).into_iter().find(|entry| text(entry, "taskId") == "pa") else { continue };
        if stage.remade.iter().any(|user| path.starts_with(&format!("{}/", user_path(*user)))) {
            continue;
        }
        let named = entry.get("runId").and_then(Value::as_str);
        complaints.expect(named == expected, || format!("{path} names {named:?}, not {expected:?}"));
        let done = runs.iter().any(|run| is(&run, "completed"));
        let marked = lookup(&assignment.fields, "progress.pa").and_then(Value::as_str);
        complaints.expect(!done || marked == Some("completed"), || format!("{path} has lost a completed run"));
        complaints.expect(marked != Some("assigned"), || format!("{path} has lost a run"));
    }
    let of_others = assignments.iter().filter(|of| !of.path.as_str().contains(super::hostile::STUDENT));
    for assignment in of_others.filter(|assignment| !by_assignment.contains_key(assignment.path.as_str())) {
        let named = entries(assignment).into_iter().find_map(|entry| entry.get("runId"));
        complaints.expect(named.is_none(), || format!("{} names a run that's gone", assignment.path));
    }
}

/// What a student did by the client's word alone, in tasks without runs, is in the assignment whenever there is one,
/// however often it went meanwhile.
fn work(complaints: &mut Complaints, stage: &Stage, user: u8, administration: u8, assignment: Option<&Document>) {
    let Some(assignment) = assignment else { return };
    for (_, _, task, done) in stage.worked.iter().filter(|(of, at, ..)| (*of, *at) == (user, administration)) {
        let entry = entries(assignment).into_iter().find(|entry| text(entry, "taskId") == task);
        let date = if *done { "completedOn" } else { "startedOn" };
        let is_there = entry.is_some_and(|entry| entry.contains_key(date));
        complaints.expect(is_there, || format!("{} has lost that {task} has its {date}", assignment.path));
    }
}

/// The orgs that a subcollection of the administration lists.
async fn listed(stage: &Stage, id: &str, name: &str) -> OrgLists {
    let found = stage.admin().query(Query::collection(format!("administrations/{id}/{name}"))).await;
    let text = |org: &Document, name: &str| org.fields[name].as_str().expect("text").to_owned();
    let pairs: Vec<(OrgType, String)> = found
        .expect("orgs")
        .iter()
        .map(|org| (OrgType::parse(&text(org, "orgType")).expect("a type"), text(org, "orgId")))
        .collect();
    pairs.iter().map(|(of, id)| (*of, id.as_str())).collect()
}

fn entries(assignment: &Document) -> Vec<&Fields> {
    assignment.fields["assessments"].as_array().expect("a list").iter().filter_map(Value::as_map).collect()
}

fn text<'a>(fields: &'a Fields, path: &str) -> &'a str {
    lookup(fields, path).and_then(Value::as_str).unwrap_or_default()
}

/// Whether the administration gives the task to the user.
fn applies(task: &str, user: &Fields, stage: &Stage) -> bool {
    let grade: i64 = text(user, "studentData.grade").parse().expect("a number");
    match task {
        "swr" => grade <= 5,
        "morphology" => grade >= 6,
        "letter" => age_in_years(user, stage.now()).is_some_and(|age| age < 11),
        _ => true,
    }
}

/// The assignment of an open administration: who has one, through which orgs, and with which tasks.
fn matches(
    complaints: &mut Complaints,
    stage: &Stage,
    user: Option<&Document>,
    assignment: Option<&Document>,
    administration: &Document,
    assigned: &OrgLists,
    changed_since: bool,
) {
    let id = administration.id();
    let Some(user) = user else {
        return complaints.expect(assignment.is_none(), || format!("{id} of a user who's gone"));
    };
    let fields = &user.fields;
    let is_assignable = text(fields, "userType") == "student" && fields["archived"] == Value::Boolean(false);
    let through = current_orgs(fields).intersection(&assigned.to_set());
    let wanted: BTreeSet<&str> = administration.fields["assessments"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|task| text(task.as_map().expect("a map"), "taskId"))
        .filter(|task| applies(task, fields, stage))
        .collect();
    let Some(assignment) = assignment else {
        // After a promotion, what applies from then on waits for the next save.
        let due = is_assignable && !through.is_empty() && !wanted.is_empty() && !changed_since;
        return complaints.expect(!due, || format!("{} has no assignment of {id}", user.path));
    };
    let path = assignment.path.as_str();
    complaints.expect(is_assignable, || format!("{path} of somebody who gets none"));
    let mut expected = through.flatten();
    expected.sort();
    let expected = expected.join(" ");
    let held = orgs_of(assignment, "assigningOrgs");
    complaints.expect(held == expected, || format!("{path} through {held:?}, not {expected:?}"));
    let above = |id: &str| -> Vec<&str> {
        let org = crate::small::TREE.iter().find(|(_, of, _)| *of == id);
        org.map_or(vec!["D1"], |(_, _, links)| links.iter().map(|(_, parent)| *parent).collect())
    };
    let mut read: BTreeSet<&str> = expected.split(' ').filter(|id| !id.is_empty()).collect();
    for id in read.clone() {
        read.extend(above(id));
    }
    let read = read.into_iter().collect::<Vec<_>>().join(" ");
    let shown = orgs_of(assignment, "readOrgs");
    complaints.expect(shown == read, || format!("{path} readable by {shown:?}, not {read:?}"));
    let mut has = BTreeMap::new();
    for entry in entries(assignment) {
        let begun = ["startedOn", "completedOn", "runId"].iter().any(|name| entry.contains_key(*name));
        has.insert(text(entry, "taskId"), begun);
    }
    for (task, begun) in &has {
        // What a run had begun and gave back stays until somebody looks at it again.
        let begun = *begun || stage.ran.iter().any(|ran| *ran);
        complaints.expect(begun || wanted.contains(task), || format!("{path} has {task} for no reason"));
    }
    for task in &wanted {
        complaints.expect(has.contains_key(task) || changed_since, || format!("{path} lacks {task}"));
    }
    for (name, of_user) in [("grade", "studentData.grade"), ("dob", "studentData.dob"), ("name", "name")] {
        let shown = lookup(&assignment.fields, &format!("userData.{name}"));
        complaints.expect(shown == lookup(fields, of_user), || format!("{path} shows {name} {shown:?}"));
    }
    let progress: BTreeSet<&str> =
        assignment.fields["progress"].as_map().expect("a map").keys().map(String::as_str).collect();
    complaints.expect(progress == has.keys().copied().collect(), || format!("{path} has progress of {progress:?}"));
}

/// A user's lists and dates name exactly the assignments.
fn lists(complaints: &mut Complaints, user: &Document, all: &[Document]) {
    let of_user = all.iter().filter(|assignment| assignment.path.parent().as_ref() == Some(&user.path));
    let of_user: Vec<&Document> = of_user.collect();
    for (list, dates) in
        [("assigned", "assignmentsAssigned"), ("started", "assignmentsStarted"), ("completed", "assignmentsCompleted")]
    {
        let is_in =
            |assignment: &&&Document| list == "assigned" || assignment.fields.get(list) == Some(&Value::Boolean(true));
        let expected: BTreeSet<String> = of_user.iter().filter(is_in).map(|a| a.id().to_owned()).collect();
        let found = lookup(&user.fields, &format!("assignments.{list}")).and_then(Value::as_string_list);
        let found: BTreeSet<String> = found.unwrap_or_default().into_iter().collect();
        complaints.expect(found == expected, || format!("{} lists {found:?} as {list}, not {expected:?}", user.path));
        let dated = user.fields.get(dates).and_then(Value::as_map);
        let dated: BTreeSet<String> = dated.into_iter().flatten().map(|(id, _)| id.clone()).collect();
        complaints.expect(dated == expected, || format!("{} dates {dated:?} as {list}, not {expected:?}", user.path));
    }
}

/// What must hold of each of a student's maps of orgs (docs/domain/documents.md#what-must-always-hold).
fn history(complaints: &mut Complaints, user: &Document) {
    for of in OrgType::ALL {
        let map = user.fields.get(of.plural()).and_then(Value::as_map).cloned().unwrap_or_default();
        let ids = |name: &str| map.get(name).and_then(Value::as_string_list).unwrap_or_default();
        let (current, ever) = (ids("current"), ids("all"));
        let path = format!("{}.{}", user.path, of.plural());
        complaints.expect(current.iter().all(|id| ever.contains(id)), || format!("{path}: {current:?} in {ever:?}"));
        for id in &ever {
            let date = |name: &str| {
                let dates = map.get("dates")?.as_map()?.get(id)?.as_map()?;
                dates.get(name).filter(|date| !date.is_null())
            };
            complaints.expect(date("from").is_some(), || format!("{path}: {id} has no beginning"));
            complaints.expect(date("to").is_none() == current.contains(id), || format!("{path}: the end of {id}"));
        }
    }
}

/// The de-identified copy says what it should and nothing more.
async fn copy(complaints: &mut Complaints, stage: &Stage, user: &Document) {
    let copy = stage.assessment().get(&user.path).await.expect("readable").expect("a copy");
    let path = &user.path;
    for private in ["name", "email", "username", "studentData", "dob"] {
        complaints.expect(!copy.fields.contains_key(private), || format!("the copy of {path} has {private}"));
    }
    if text(&user.fields, "userType") != "student" {
        return;
    }
    let born = date_of_birth(&user.fields).expect("a date of birth");
    let shown = |name: &str| copy.fields.get(name).and_then(Value::as_i64);
    let birth = (shown("birthMonth"), shown("birthYear"));
    complaints.expect(birth == (Some(born.month().into()), Some(born.year().into())), || {
        format!("the copy of {path} was born {birth:?}")
    });
    let grade = text(&copy.fields, "grade");
    complaints.expect(grade == text(&user.fields, "studentData.grade"), || format!("the copy of {path} is in {grade}"));
    complaints.expect(copy.fields.get("archived") == user.fields.get("archived"), || format!("the copy of {path}"));
    for of in OrgType::ALL.map(OrgType::plural) {
        let [shown, held] = [&copy, user].map(|document| lookup(&document.fields, &format!("{of}.current")));
        complaints.expect(shown == held, || format!("the copy of {path}: {of} {shown:?}, not {held:?}"));
    }
    history(complaints, &copy);
}

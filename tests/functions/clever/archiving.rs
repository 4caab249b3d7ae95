//! Orgs that are gone: archived with all that's below them, once everything was fetched and judged, and never before.

use roar_functions::demo::clever::{Fault, Kind as At, Options as Fake, Size};
use roar_functions::fields;
use roar_functions::rostering::Rosters;
use roar_functions::rostering::report::{Incomplete, Kind, StopReason};
use roar_functions::rostering::sync::Options;
use roar_functions::store::{Fields, Value};
use serde_json::json;

use super::{DEEP, Scene};
use crate::local::LocalWorld;
use crate::world::set;

/// A district of six schools that was synced, of which one is gone.
async fn a_school_less() -> (Scene, String) {
    let size = Size { schools: 6, ..Size::of(120) };
    let scene = Scene::of(LocalWorld::with_clever(Default::default(), Fake::of(size)).await);
    scene.settle().await;
    let gone = scene.there.ids(At::School)[0].clone();
    scene.there.remove(&gone);
    (scene, gone)
}

async fn at(scene: &Scene, path: &str) -> Fields {
    scene.world.get(path).await.unwrap_or_else(|| panic!("{path}")).fields
}

fn ids(org: &Fields, list: &str) -> Vec<String> {
    org.get(list).and_then(Value::as_string_list).unwrap_or_default()
}

async fn archived(scene: &Scene) -> usize {
    let is_archived = |org: &&Fields| org["archived"] == Value::Boolean(true);
    scene.all("schools").await.values().filter(is_archived).count()
        + scene.all("classes").await.values().filter(is_archived).count()
}

#[tokio::test]
async fn nothing_is_archived_before_the_people_are_known() {
    let (scene, _) = a_school_less().await;
    // They can't be fetched.
    scene.fake.fail("/users", std::iter::repeat_n(Fault::Status(404), 2));
    assert!(scene.sync(DEEP).await.is_err());
    scene.world.settle().await;
    assert_eq!(archived(&scene).await, 0);
    scene.fake.recover();
    // One of them may be anybody.
    let student = scene.there.users("student")[0].clone();
    scene.there.set(&student, "id", "Ada Lovelace");
    let report = scene.settle().await;
    assert_eq!((report.incomplete, archived(&scene).await), (Some(Incomplete::Unreadable), 0));
    scene.there.set(&student, "id", student.clone());
    // Too many of them are missing, and too many are of no use.
    let students = scene.there.users("student");
    for what in [StopReason::Missing, StopReason::Unusable] {
        for student in &students[..50] {
            match what {
                StopReason::Missing => scene.there.remove(student),
                _ => scene.there.set(student, "roles/student/schools", "nowhere"),
            }
        }
        let held = scene.settle().await.safety_stop.expect("it's held back");
        assert_eq!((held.reason, held.kind, held.missing), (what, Kind::Users, 50));
        assert_eq!(archived(&scene).await, 0, "{held}");
        students[..50].iter().for_each(|student| scene.there.bring_back(student));
    }
    let confirmed = Options { confirm_unenroll: true, ..DEEP };
    assert_eq!(scene.sync(confirmed).await.expect("synced").safety_stop, None);
    assert!(archived(&scene).await > 0);
}

#[tokio::test]
async fn what_is_below_goes_with_it() {
    let (scene, gone) = a_school_less().await;
    let school = at(&scene, &format!("schools/{gone}")).await;
    let (classes, district) = (ids(&school, "classes"), scene.there.id());
    assert!(classes.len() > 1);
    // One class has moved in time; another one was made by hand, with a group below it, and a group in that.
    let (moved, elsewhere) = (classes[0].clone(), scene.there.ids(At::School)[0].clone());
    scene.there.set(&moved, "school", elsewhere.clone());
    let by_hand = |more: Fields| fields! { "name" => "Chess", "archived" => false }.into_iter().chain(more).collect();
    let below_school = fields! { "schoolId" => gone.as_str(), "subGroups" => Value::strings(["team"]) };
    let group = |of: &str, id: &str| fields! { "parentOrgType" => of, "parentOrgId" => id };
    set(scene.world.admin(), "classes/chess", by_hand(below_school)).await;
    let mut team = group("class", "chess");
    team.insert("subGroups".to_owned(), Value::strings(["pair"]));
    set(scene.world.admin(), "groups/team", by_hand(team)).await;
    set(scene.world.admin(), "groups/pair", by_hand(group("group", "team"))).await;
    scene.world.settle().await;
    let would = scene.sync(Options { dry_run: true, ..DEEP }).await.expect("planned");
    let report = scene.settle().await;
    assert_eq!(would.counts, report.counts, "a dry run says the same");
    assert_eq!(report.counts[&Kind::Schools].removed, 1);
    assert_eq!(report.counts[&Kind::Classes].removed, classes.len() as u64, "one has moved, one was made by hand");
    assert_eq!((report.mismatches.as_slice(), report.counts[&Kind::Classes].skipped), (&[][..], 0));
    let district = at(&scene, &format!("districts/{district}")).await;
    assert!(!ids(&district, "schools").contains(&gone));
    assert_eq!(ids(&district, "archivedSchools"), std::slice::from_ref(&gone));
    let school = at(&scene, &format!("schools/{gone}")).await;
    let mut archived = classes[1..].to_vec();
    archived.push("chess".to_owned());
    assert_eq!((ids(&school, "classes"), ids(&school, "archivedClasses")), (Vec::new(), archived));
    assert!(ids(&at(&scene, &format!("schools/{elsewhere}")).await, "classes").contains(&moved));
    for path in ["classes/chess", "groups/team", "groups/pair"] {
        let org = at(&scene, path).await;
        assert_eq!(org["archived"], Value::Boolean(true), "{path}");
        assert_eq!(ids(&org, "subGroups"), [""; 0], "{path}");
    }
    assert_eq!(ids(&at(&scene, "classes/chess").await, "archivedSubGroups"), ["team"]);
    assert_eq!(scene.settle().await.counts.values().map(|counts| counts.removed + counts.updated).sum::<u64>(), 0);
    // It comes back with its own classes; what was made by hand is for hands.
    scene.there.bring_back(&gone);
    scene.settle().await;
    scene.assert_right("it's back").await;
    assert_eq!(at(&scene, "classes/chess").await["archived"], Value::Boolean(true));
}

#[tokio::test]
async fn a_sync_that_stopped_half_way_is_made_good() {
    let (scene, gone) = a_school_less().await;
    let school = at(&scene, &format!("schools/{gone}")).await;
    // The school was archived, and then it stopped: its classes were archived before, the district lists it still.
    for class in ids(&school, "classes") {
        let mut class_of = at(&scene, &format!("classes/{class}")).await;
        class_of.insert("archived".to_owned(), Value::Boolean(true));
        set(scene.world.admin(), &format!("classes/{class}"), class_of).await;
    }
    let half = school.into_iter().chain(fields! { "archived" => true }).collect();
    set(scene.world.admin(), &format!("schools/{gone}"), half).await;
    scene.settle().await;
    let district = at(&scene, &format!("districts/{}", scene.there.id())).await;
    assert_eq!(ids(&district, "archivedSchools"), std::slice::from_ref(&gone));
    assert_eq!(ids(&at(&scene, &format!("schools/{gone}")).await, "classes"), [""; 0]);
    assert_eq!(scene.settle().await.counts.values().map(|counts| counts.removed + counts.updated).sum::<u64>(), 0);
}

#[tokio::test]
async fn an_org_that_cannot_be_stored_has_nobody_in_it() {
    let scene = Scene::open().await;
    let class = scene.there.ids(At::Section)[0].clone();
    let student = scene.there.students_of(&class)[0].clone();
    scene.there.set(&class, "name", "x".repeat(1_100_000));
    let answer = scene.call(json!({"shallow": false})).await.expect("it ends");
    scene.world.settle().await;
    assert_eq!(answer["counts"]["classes"]["failed"], 1);
    assert!(!scene.current(&student, "classes").await.contains(&class));
    let run = at(&scene, &format!("rosteringRuns/{}", answer["runId"].as_str().expect("a run"))).await;
    assert_eq!((run["state"].as_str(), run["success"].clone()), (Some("done"), Value::Boolean(false)));
    assert_eq!(run["error"].as_str(), Some("1 records couldn't be stored"));
    let outcomes = Rosters::of(&scene.world.service.app).tally.runs();
    assert_eq!(outcomes, [("clever", "incomplete", 1)], "somebody has to look");
    scene.there.set(&class, "name", "Reading");
    scene.call(json!({"shallow": false})).await.expect("it ends");
    scene.world.settle().await;
    assert!(scene.current(&student, "classes").await.contains(&class));
}

#[tokio::test]
async fn an_org_that_is_listed_twice_is_there_once() {
    let scene = Scene::open().await;
    let classes = scene.there.ids(At::Section);
    let twice = classes[0].clone();
    let title = scene.there.record(&twice).expect("a section")["name"].clone();
    scene.there.set(&classes[1], "id", twice.clone());
    let report = scene.settle().await;
    assert_eq!(report.counts[&Kind::Classes].created, classes.len() as u64 - 1);
    assert_eq!(at(&scene, &format!("classes/{twice}")).await["name"].as_str(), title.as_str());
}

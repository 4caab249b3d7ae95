//! A district synced again and again, whatever happens.

use std::time::Duration;

use roar_functions::demo::clever::{Fault, Kind as At, Options as Fake, Size};
use roar_functions::orgs::OrgType;
use roar_functions::rostering::clever::Version;
use roar_functions::rostering::report::{Counts, Kind, Report};
use roar_functions::store::{DocPath, Fields, Timestamp, Value, Write, lookup};
use serde_json::json;

use super::{DEEP, Scene};
use crate::local::LocalWorld;
use crate::town::lists;
use crate::world::{assert_consistent, assignments, set};
use roar_functions::fields;
use roar_functions::rostering::sync::Options;

#[tokio::test]
async fn a_district_comes_from_clever_and_follows_it() {
    let scene = Scene::open().await;
    let report = scene.settle().await;
    scene.assert_right("the first sync").await;
    let students = scene.there.users("student");
    assert_eq!(report.counts[&Kind::Users].created as usize, scene.all("identityProviderIds").await.len());
    let district = scene.all("districts").await.remove(&scene.there.id()).expect("the district");
    assert_eq!(
        district.get("schools").and_then(Value::as_array).map(<[Value]>::len),
        Some(scene.all("schools").await.len())
    );
    let id = scene.administer().await;
    assert_eq!(assignments(scene.world.admin(), &id).await.len(), students.len());
    // One moves, one leaves, one is promoted, one date of birth is mended, one is new; a school is renamed.
    let sections = scene.there.ids(At::Section);
    let from = sections.iter().find(|section| !scene.there.students_of(section).is_empty()).expect("a class");
    let moved = scene.there.students_of(from).first().cloned().expect("a student");
    let to = sections.iter().find(|section| !scene.there.students_of(section).contains(&moved)).expect("another");
    scene.there.move_student(&moved, from, to);
    let others: Vec<&String> = students.iter().filter(|student| **student != moved).collect();
    let (left, promoted, mended) = (others[0], others[1], others[2]);
    scene.there.remove(left);
    scene.there.promote(promoted, "7");
    scene.there.set_dob(mended, "3/20/2015");
    let added = scene.there.add_students(1, to);
    let report = scene.settle().await;
    assert_eq!((report.counts[&Kind::Users].removed, report.safety_stop), (1, None));
    scene.assert_right("the second sync").await;
    let current = |user: &Fields, name: &str| {
        let map = user.get(name).and_then(Value::as_map).expect("orgs");
        map.get("current").and_then(Value::as_string_list).expect("a list")
    };
    assert!(current(&scene.user(&moved).await, "classes").contains(to));
    assert!(!current(&scene.user(&moved).await, "classes").contains(from));
    let gone = scene.user(left).await;
    assert_eq!((current(&gone, "schools"), gone.get("archived")), (vec![], Some(&Value::Boolean(true))));
    let data = |user: &Fields, name: &str| user["studentData"].as_map().and_then(|data| data.get(name).cloned());
    assert_eq!(data(&scene.user(promoted).await, "schoolLevel"), Some(Value::from("middle")));
    let born = "2015-03-20T00:00:00Z".parse::<Timestamp>().expect("an instant");
    assert_eq!(data(&scene.user(mended).await, "dob"), Some(Value::from(born)));
    assert_eq!(scene.user(&added[0]).await.get("userType"), Some(&Value::from("student")));
    let assigned = assignments(scene.world.admin(), &id).await;
    assert_eq!(assigned.len(), students.len(), "one came, one went");
    assert_consistent(scene.world.admin(), &id).await;
    // Who comes back has the same document.
    let before = scene.entry(left).await.get("roarUid").cloned();
    scene.there.bring_back(left);
    scene.settle().await;
    scene.assert_right("who came back").await;
    assert_eq!(scene.entry(left).await.get("roarUid").cloned(), before);
    assert_eq!(assignments(scene.world.admin(), &id).await.len(), students.len() + 1);
    assert_consistent(scene.world.admin(), &id).await;
}

#[tokio::test]
async fn the_older_version_does_as_well_and_tells_less() {
    let mut scene = Scene::open().await;
    let told = async |scene: &Scene| {
        let users = scene.all("users").await;
        let tells = |user: &&Fields| lookup(user, "studentData.frl_status").is_some();
        users.values().filter(tells).count()
    };
    // As it was, but for what only the newer version tells.
    let rest = async |scene: &Scene| {
        let mut users = scene.all("users").await;
        for user in users.values_mut() {
            user.remove("studentDataBefore");
            let Some(Value::Map(data)) = user.get_mut("studentData") else { continue };
            data.retain(|field, _| !["frl_status", "iep_status", "home_language"].contains(&field.as_str()));
        }
        users
    };
    scene.speak(Version::V3_0);
    let report = scene.settle().await;
    scene.assert_right("3.0").await;
    assert_eq!((report.problems.len(), told(&scene).await), (0, 0));
    let again = scene.settle().await;
    assert_eq!(again.counts.values().map(|counts| counts.created + counts.updated).sum::<u64>(), 0);
    let (students, sections) = (scene.there.users("student"), scene.there.ids(At::Section));
    scene.there.remove(&students[0]);
    scene.there.promote(&students[1], "7");
    scene.there.move_student(&students[2], &sections[0], &sections[3]);
    scene.settle().await;
    scene.assert_right("3.0, changed").await;
    // The newer one says more of the same people; the older one no more.
    let before = rest(&scene).await;
    for (version, tells) in [(Version::V3_1, true), (Version::V3_0, false)] {
        scene.speak(version);
        let report = scene.settle().await;
        scene.assert_right(version.as_str()).await;
        assert_eq!((report.counts[&Kind::Users].removed, told(&scene).await > 50), (0, tells), "{version}");
        assert_eq!(rest(&scene).await, before, "{version}");
    }
}

#[tokio::test]
async fn what_a_sync_costs() {
    let scene = Scene::open().await;
    let before = scene.world.admin().cost();
    let report = scene.sync(DEEP).await.expect("synced");
    let spent = scene.world.admin().cost() - before;
    let total = |report: &Report, of: fn(&Counts) -> u64| report.counts.values().map(of).sum::<u64>();
    let orgs = total(&report, |counts| counts.created) - report.counts[&Kind::Users].created;
    assert!(spent.writes <= 2 * report.counts[&Kind::Users].created + orgs, "{spent:?} {report:?}");
    scene.world.settle().await;
    let before = scene.world.admin().cost();
    let report = scene.sync(DEEP).await.expect("synced");
    let spent = scene.world.admin().cost() - before;
    assert_eq!((spent.writes, spent.deletes), (0, 0), "{report:?}");
    let entities = total(&report, |counts| counts.unchanged);
    // One each, and six counts at the end, each a read for a thousand.
    assert!(spent.reads <= entities + 6 * entities.div_ceil(1000), "{spent:?} for {entities}");
    assert_eq!(total(&report, |counts| counts.created + counts.updated + counts.removed), 0);
    assert_eq!(scene.world.store.scans(), [""; 0], "no query goes through a whole collection");
    assert_eq!(scene.world.events().await.len(), 0);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let scene = Scene::open().await;
    let dry = Options { dry_run: true, ..DEEP };
    let would = scene.sync(dry).await.expect("planned");
    assert_eq!((scene.all("users").await.len(), scene.all("districts").await.len()), (0, 0));
    assert_eq!(scene.settle().await.counts, would.counts);
    let differing: u64 = would.counts.values().map(|counts| counts.created).sum();
    assert_eq!((would.differing, would.differences.len()), (differing, differing as usize));
    // Once it's there, a dry run tells what would change, by the names of fields.
    let student = scene.there.users("student")[0].clone();
    scene.there.promote(&student, "8");
    let left = scene.there.users("student")[1].clone();
    scene.there.remove(&left);
    let would = scene.sync(dry).await.expect("planned");
    let told: Vec<_> = would.differences.iter().map(|one| (one.id.as_str(), one.action, one.fields.clone())).collect();
    let fields = vec!["studentData.grade".to_owned(), "studentData.schoolLevel".to_owned()];
    assert_eq!(told, [(student.as_str(), "updated", fields), (left.as_str(), "removed", Vec::new())]);
    assert_eq!(scene.world.events().await, []);
    let shallow = scene.sync(Options { shallow: true, ..DEEP }).await.expect("synced");
    assert!(!shallow.counts.contains_key(&Kind::Users));
}

#[tokio::test]
async fn a_fetch_that_fails_unenrols_nobody_and_the_next_sync_goes_on() {
    for path in ["/schools", "/sections", "/users"] {
        let scene = Scene::open().await;
        scene.settle().await;
        let left = scene.there.users("student")[0].clone();
        scene.there.remove(&left);
        scene.fake.fail(path, std::iter::repeat_n(Fault::Status(503), 40));
        let result = tokio::time::timeout(Duration::from_secs(120), scene.sync(DEEP)).await;
        assert!(!matches!(result, Ok(Ok(_))), "{path}");
        scene.world.settle().await;
        assert_eq!(scene.user(&left).await.get("archived"), Some(&Value::Boolean(false)), "{path}");
        scene.fake.recover();
        scene.settle().await;
        scene.assert_right(path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_is_killed_anywhere_is_made_good_by_the_next() {
    for cut in 0..20 {
        let scene = Scene::open().await;
        if cut % 2 == 0 {
            scene.settle().await;
            for (place, student) in scene.there.users("student").iter().enumerate().take(40) {
                match place % 4 {
                    0 if place < 16 => scene.there.remove(student),
                    1 => scene.there.promote(student, "8"),
                    _ => scene.there.set_dob(student, "1/2/2014"),
                }
            }
        }
        let _ = tokio::time::timeout(Duration::from_millis(4 * cut), scene.sync(DEEP)).await;
        scene.settle().await;
        scene.assert_right(&format!("cut after {} ms", 4 * cut)).await;
    }
}

#[tokio::test]
async fn a_class_that_is_gone_leaves_its_school_and_open_administrations() {
    let scene = Scene::open().await;
    scene.settle().await;
    let classes = scene.there.ids(At::Section);
    let (gone, kept) = (classes[0].clone(), classes[1].clone());
    scene.appoint_super_admin().await;
    let mut administration = crate::world::open_administration(scene.world.now());
    administration["orgs"] = json!({"classes": [gone, kept]});
    let id = scene.world.create("super", administration).await;
    scene.world.settle().await;
    let before = assignments(scene.world.admin(), &id).await.len();
    scene.there.remove(&gone);
    let report = scene.settle().await;
    assert_eq!(report.counts[&Kind::Classes].removed, 1);
    scene.assert_right("a class less").await;
    let administration = scene.world.get(&format!("administrations/{id}")).await.expect("an administration");
    assert_eq!(lookup(&administration.fields, "minimalOrgs.classes"), Some(&Value::strings([&kept])));
    let class = scene.world.get(&format!("classes/{gone}")).await.expect("it's kept");
    assert_eq!(class.fields.get("archived"), Some(&Value::Boolean(true)));
    let school = lookup(&class.fields, "schoolId").and_then(Value::as_str).expect("a school");
    let school = scene.world.get(&format!("schools/{school}")).await.expect("a school");
    assert_eq!(school.fields.get("archivedClasses"), Some(&Value::strings([&gone])));
    let listed = school.fields.get("classes").and_then(Value::as_string_list).expect("a list");
    assert!(!listed.contains(&gone) && listed.contains(&kept));
    assert!(assignments(scene.world.admin(), &id).await.len() < before, "its students have left");
    assert_consistent(scene.world.admin(), &id).await;
    // It comes back.
    scene.there.bring_back(&gone);
    scene.settle().await;
    scene.assert_right("the class is back").await;
}

#[tokio::test]
async fn what_cannot_be_read_or_stored_harms_nobody_else() {
    let scene = Scene::open().await;
    scene.settle().await;
    let students = scene.there.users("student");
    // Not readable; not storable; without a role; changed as usual.
    scene.there.set(&students[0], "roles/student/schools", json!("not a list"));
    scene.there.set(&students[1], "name/first", "x".repeat(1_100_000));
    scene.there.set(&students[2], "roles", json!({}));
    scene.there.promote(&students[3], "7");
    let report = scene.settle().await;
    let counts = report.counts[&Kind::Users];
    assert_eq!((counts.skipped, counts.failed, counts.updated), (2, 1, 1), "{report:?}");
    let named: Vec<_> = report.problems.iter().map(|problem| (problem.id.as_deref(), problem.failed)).collect();
    let expected = [(&students[0], false), (&students[2], false), (&students[1], true)];
    for (id, failed) in expected {
        assert!(named.contains(&(Some(id.as_str()), failed)), "{named:?}");
    }
    // Whoever can't be read is there nevertheless, and so is who has no role that we know.
    for id in &students[..3] {
        assert_eq!(scene.user(id).await.get("archived"), Some(&Value::Boolean(false)));
    }
    assert_eq!(lookup(&scene.user(&students[3]).await, "studentData.grade"), Some(&Value::from("7")));
}

#[tokio::test]
async fn rights_over_a_school_include_the_classes_that_come_and_go() {
    let size = Size { schools: 2, ..Size::of(60) };
    let scene = Scene::of(LocalWorld::with_clever(Default::default(), Fake::of(size)).await);
    let sections = scene.there.ids(At::Section);
    let schools = scene.there.ids(At::School);
    let of = |school: &String| {
        let is_in = |id: &&String| scene.there.record(id).expect("a section")["school"] == json!(school);
        sections.iter().filter(is_in).cloned().collect::<Vec<_>>()
    };
    let classes = [of(&schools[0]), of(&schools[1])];
    let late = classes[0][0].clone();
    scene.there.remove(&late);
    scene.settle().await;
    for (n, school) in schools.iter().enumerate() {
        let uid = format!("uid-{n}");
        let below: Vec<&String> = classes[n].iter().filter(|id| **id != late).collect();
        let orgs = json!({"schools": [school], "classes": below});
        let claims = fields! {
            "roarUid" => uid.as_str(), "adminUid" => uid.as_str(), "minimalAdminOrgs" => lists(&json!({"schools": [school]})),
            "adminOrgs" => lists(&orgs), "role" => "admin",
        };
        set(scene.world.admin(), &format!("userClaims/{uid}"), fields! { "claims" => claims, "lastUpdated" => 1 })
            .await;
    }
    scene.world.settle().await;
    let holds = async |uid: &str, class: &String| scene.admin_orgs(uid).await.contains(OrgType::Class, class);
    // It comes; it moves to the other school.
    scene.there.bring_back(&late);
    scene.settle().await;
    assert!(holds("uid-0", &late).await && !holds("uid-1", &late).await);
    scene.there.set(&late, "school", schools[1].clone());
    scene.settle().await;
    assert!(!holds("uid-0", &late).await && holds("uid-1", &late).await);
    let district = scene.world.get(&format!("districts/{}", scene.there.id())).await.expect("a district").fields;
    assert_eq!(district.get("rosterClaimsDue"), None, "nothing is left to do");
    // Cut short between the two, the next sync does it.
    let path = DocPath::in_collection("districts", &scene.there.id()).expect("a path");
    let due = Write::update(path, fields! { "rosterClaimsDue" => true });
    let claims = Write::update(
        DocPath::new("userClaims/uid-1").expect("a path"),
        fields! { "claims" => fields! {
            "roarUid" => "uid-1", "adminUid" => "uid-1", "role" => "admin",
            "minimalAdminOrgs" => lists(&json!({"schools": [schools[1]]})), "adminOrgs" => lists(&json!({"schools": [schools[1]]})),
        }, "lastUpdated" => 2 },
    );
    scene.world.admin().commit(vec![due, claims]).await.expect("written");
    drop(scene.world.events().await);
    scene.settle().await;
    assert!(holds("uid-1", &late).await);
}

#[tokio::test]
async fn groups_below_a_class_that_is_gone_go_with_it() {
    let scene = Scene::open().await;
    scene.settle().await;
    let class = scene.there.ids(At::Section)[0].clone();
    let group =
        |of: &str, id: &str| fields! { "name" => "G", "archived" => false, "parentOrgType" => of, "parentOrgId" => id };
    set(scene.world.admin(), "groups/below", group("class", &class)).await;
    set(scene.world.admin(), "groups/deeper", group("group", "below")).await;
    set(scene.world.admin(), "groups/beside", group("school", &class)).await;
    scene.world.settle().await;
    scene.there.remove(&class);
    scene.settle().await;
    let archived =
        async |id: &str| scene.world.get(&format!("groups/{id}")).await.expect("a group").fields["archived"].clone();
    assert_eq!(archived("below").await, Value::Boolean(true));
    assert_eq!(archived("deeper").await, Value::Boolean(true));
    assert_eq!(archived("beside").await, Value::Boolean(false), "its parent is a school of that ID");
}

#[tokio::test]
async fn documents_that_say_something_else_do_not_stop_a_district() {
    let scene = Scene::open().await;
    let (school, class) = (scene.there.ids(At::School)[0].clone(), scene.there.ids(At::Section)[0].clone());
    // Somebody's own, under the same IDs: without a district, and of another one.
    set(scene.world.admin(), &format!("schools/{school}"), fields! { "name" => "Old", "archived" => false }).await;
    let other =
        fields! { "name" => "Old", "archived" => false, "districtId" => "another", "tags" => Value::strings(["x"]) };
    set(scene.world.admin(), &format!("classes/{class}"), other).await;
    // And a note under somebody's usual ID that is another person's.
    let student = scene.there.users("student")[0].clone();
    let note =
        fields! { "providerType" => "clever", "providerId" => "moved-on", "roarUid" => "r", "district" => "another" };
    set(scene.world.admin(), &format!("identityProviderIds/clever-{student}"), note.clone()).await;
    let report = scene.settle().await;
    assert_eq!(report.counts[&Kind::Users].failed, 0, "{report:?}");
    let stored = scene.world.get(&format!("classes/{class}")).await.expect("a class").fields;
    assert_eq!(stored["districtId"].as_str(), Some(scene.there.id().as_str()));
    assert_eq!(stored["tags"], Value::strings(["x"]));
    let entries = scene.all("identityProviderIds").await;
    assert_eq!(entries[&format!("clever-{student}")]["providerId"].as_str(), Some("moved-on"));
    assert!(entries.values().any(|entry| entry["providerId"].as_str() == Some(&student)));
    let report = scene.settle().await;
    assert_eq!(report.counts.values().map(|counts| counts.created + counts.updated).sum::<u64>(), 0);
}

//! Pairs of a roster's person and a user made by hand are confirmed and rejected: nothing that a child did gets lost, and
//! whatever is cut short is done by the next time.

use std::time::Duration;

use roar_functions::app::Settings;
use roar_functions::demo::clever::{Options as Fake, Size};
use roar_functions::demo::play::{Step, play};
use roar_functions::fields;
use roar_functions::rostering::doubles::{Ask, DecideError, Decided, decide};
use roar_functions::rostering::report::Kind;
use roar_functions::runtime::Status;
use roar_functions::store::{Fields, Value, Write};
use serde_json::{Value as Json, json};

use super::Scene;
use super::doubles::{ADA, ada, adas, bound, path, roar_uid, shaped, user};
use super::linking::enrolled;
use crate::local::LocalWorld;
use crate::world::{assert_consistent, assignments, set};

pub async fn said(scene: &Scene, confirm: &[String], all: bool, reject: &[String], apply: bool) -> Decided {
    let district = scene.there.id();
    let ask = Ask {
        district: &district,
        confirm,
        confirm_all: all,
        reject,
        apply,
        by: "a test",
        rights: None,
        limit: Duration::from_secs(600),
    };
    let decided = decide(&scene.world.service.app, &ask, &|_| {}).await.expect("decided");
    scene.world.settle().await;
    decided
}

/// Work of a user made by hand, who is Ada, in an administration of the district.
pub async fn with_work(scene: &Scene, ada: &str) -> String {
    let id = scene.administer().await;
    shaped(scene, "by-hand", ada).await;
    set(scene.world.assessment(), "users/by-hand", fields! { "userType" => "student" }).await;
    work(scene, "by-hand", &id).await;
    id
}

async fn work(scene: &Scene, user: &str, administration: &str) {
    let assignment = path(&format!("users/{user}/assignments/{administration}"));
    for step in [Step::Start(0), Step::Complete(0)] {
        play(scene.world.admin(), &assignment, step, scene.world.now()).await.expect("a step");
    }
    scene.world.settle().await;
    let done = scene.world.get(assignment.as_str()).await.expect("an assignment").fields;
    let task = done["assessments"].as_array().expect("a list")[0].as_map().expect("a map")["taskId"].clone();
    let run = fields! {
        "id" => format!("run-{user}").as_str(), "taskId" => task, "assignmentId" => administration, "completed" => true,
        "reliable" => true, "timeStarted" => scene.world.now(), "timeFinished" => scene.world.now(),
    };
    set(scene.world.assessment(), &format!("users/{user}/runs/run-{user}"), run).await;
    let trial = format!("users/{user}/runs/run-{user}/trials/t1");
    set(scene.world.assessment(), &trial, fields! { "correct" => 1 }).await;
    scene.world.settle().await;
}

pub async fn has_work(scene: &Scene, user: &str, administration: &str, of: &str) -> bool {
    let assignment = scene.world.get(&format!("users/{user}/assignments/{administration}")).await;
    let done = assignment.is_some_and(|assignment| {
        let first = assignment.fields["assessments"].as_array().and_then(|all| all[0].as_map().cloned());
        first.is_some_and(|first| first.get("completedOn").is_some_and(|date| !date.is_null()))
    });
    let trial = path(&format!("users/{user}/runs/run-{of}/trials/t1"));
    done && scene.world.assessment().get(&trial).await.expect("readable").is_some()
}

#[tokio::test]
async fn a_confirmed_pair_is_one_user_with_all_that_both_did() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    scene.world.settle().await;
    let ada = ada(&scene);
    let id = with_work(&scene, &ada).await;
    bound(&scene, "uid-hand", "hand@school.example", false, "by-hand", Fields::new()).await;
    scene.settle().await;
    let own = roar_uid(&scene, &ada).await;
    assert!(!has_work(&scene, &own, &id, "by-hand").await);
    let pair = scene.pairs().await.remove(0).pair;
    let before = scene.world.documents().await;
    let shown = said(&scene, std::slice::from_ref(&pair), false, &[], false).await;
    assert_eq!(scene.world.documents().await, before, "only shown");
    let done = said(&scene, &[pair], false, &[], true).await;
    assert_eq!((shown.confirmed, shown.assignments, shown.runs, shown.waiting), (1, 1, 1, 1));
    assert_eq!(Decided { applied: true, waiting: 0, ..shown }, done, "what was shown is what's done");
    assert!(has_work(&scene, &own, &id, "by-hand").await, "nothing that a child did gets lost");
    let by_hand = user(&scene, "by-hand").await;
    assert_eq!((by_hand["mergedInto"].as_str(), &by_hand["archived"]), (Some(own.as_str()), &true.into()));
    assert_consistent(scene.world.admin(), &id).await;
    // They go on with their password until they first sign in at the provider; then that's who they are.
    assert_eq!(scene.claims("uid-hand").await["roarUid"].as_str(), Some(own.as_str()));
    scene.account("uid-ada", &ada).await;
    scene.sign_in("uid-ada", &ada).await;
    assert_eq!(scene.claims("uid-ada").await["roarUid"].as_str(), Some(own.as_str()));
    assert!(scene.world.get("userClaims/uid-hand").await.is_none());
    let report = scene.settle().await;
    assert_eq!(report.get(Kind::Users).created, 0);
    assert!(scene.pairs().await.is_empty());
}

#[tokio::test]
async fn a_rejected_pair_is_not_shown_again() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    let ada = ada(&scene);
    shaped(&scene, "shaped", &ada).await;
    scene.settle().await;
    let pair = scene.pairs().await.remove(0).pair;
    let shown = said(&scene, &[], true, std::slice::from_ref(&pair), false).await;
    assert_eq!((shown.rejected, shown.confirmed, shown.waiting), (1, 0, 1));
    assert_eq!(said(&scene, &[], true, std::slice::from_ref(&pair), true).await.rejected, 1);
    scene.there.promote(&ada, "5");
    scene.settle().await;
    assert!(scene.pairs().await.is_empty());
    assert_eq!(said(&scene, &[], true, &[], true).await.confirmed, 0);
    assert!(!user(&scene, "shaped").await.contains_key("mergedInto"));
    // Nobody can confirm what doesn't wait.
    let district = scene.there.id();
    let confirm = [pair];
    let ask = Ask {
        district: &district,
        confirm: &confirm,
        confirm_all: false,
        reject: &[],
        apply: true,
        by: "a test",
        rights: None,
        limit: Duration::from_secs(60),
    };
    let refused = decide(&scene.world.service.app, &ask, &|_| {}).await.expect_err("it's refused");
    assert!(matches!(refused, DecideError::Unknown("confirm", 0)), "{refused}");
}

#[tokio::test]
async fn of_several_who_may_be_the_person_one_has_to_be_named() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    let ada = ada(&scene);
    shaped(&scene, "shaped", &ada).await;
    let by_hand = enrolled(&scene, &ada, ADA, "student", &scene.there.id(), adas());
    set(scene.world.admin(), "users/by-hand", by_hand).await;
    scene.settle().await;
    let all = said(&scene, &[], true, &[], true).await;
    assert_eq!((all.confirmed, all.unsure, all.waiting), (0, 2, 2));
    let pairs = scene.pairs().await;
    let of = |known: &str| pairs.iter().find(|pair| pair.known == known).expect("a pair").pair.clone();
    let done = said(&scene, &[of("by-hand")], false, &[of("shaped")], true).await;
    assert_eq!((done.confirmed, done.rejected, done.waiting), (1, 1, 0));
    assert!(!scene.current(&ada, "classes").await.contains(&"mine".to_owned()));
}

#[tokio::test]
async fn a_pair_of_whom_one_is_gone_holds_nothing_up() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    let ada = ada(&scene);
    shaped(&scene, "shaped", &ada).await;
    scene.settle().await;
    scene.world.admin().commit(vec![Write::delete(path("users/shaped"))]).await.expect("deleted");
    scene.world.settle().await;
    let done = said(&scene, &[], true, &[], true).await;
    assert_eq!((done.confirmed, done.gone, done.failed, done.waiting), (0, 1, 0, 0));
}

/// A district of some hundred users made by hand moves to a roster, in one step that is cut short.
#[tokio::test]
async fn a_whole_district_moves_from_users_made_by_hand_in_one_step_that_may_be_cut_short() {
    const MANY: usize = 230;
    let scene = Scene::of(LocalWorld::with_clever(Settings::default(), Fake::of(Size::of(MANY as u64))).await);
    scene.call(json!({"shallow": true})).await.expect("orgs");
    scene.world.settle().await;
    let id = scene.administer().await;
    let district = scene.there.id();
    let students: Vec<String> = scene.there.users("student")[..MANY].to_vec();
    for (n, student) in students.iter().enumerate() {
        let address = format!("child{n}@school.example");
        scene.there.set_email(student, Some(&address));
        let user = enrolled(&scene, student, &address, "student", &district, Fields::new());
        set(scene.world.admin(), &format!("users/hand-{n}"), user).await;
    }
    scene.world.settle().await;
    for n in (0..MANY).step_by(10) {
        set(scene.world.assessment(), &format!("users/hand-{n}"), fields! { "userType" => "student" }).await;
        work(&scene, &format!("hand-{n}"), &id).await;
    }
    let report = scene.settle().await;
    assert_eq!(report.doubles, MANY as u64);
    assert_eq!(report.safety_stop, None);
    let before = scene.world.documents().await;
    let shown = said(&scene, &[], true, &[], false).await;
    assert_eq!((shown.confirmed, shown.runs, shown.waiting), (MANY as u64, MANY as u64 / 10, MANY as u64));
    assert_eq!(scene.world.documents().await, before, "only shown");

    let ask = Ask {
        district: &district,
        confirm: &[],
        confirm_all: true,
        reject: &[],
        apply: true,
        by: "a test",
        rights: None,
        limit: Duration::from_secs(600),
    };
    // Nothing in no time.
    let none = Ask { limit: Duration::ZERO, ..ask.clone() };
    let none = decide(&scene.world.service.app, &none, &|_| {}).await.expect("decided");
    assert_eq!((none.confirmed, none.cut_short, none.waiting), (0, true, MANY as u64));
    // Dropped in the middle of whatever it's at, twice.
    for stop in [60, 45] {
        let (at, reached) = tokio::sync::watch::channel(0);
        let told = move |done: u64| at.send(done).unwrap_or_default();
        let mut reached = reached;
        tokio::select! {
            _ = decide(&scene.world.service.app, &ask, &told) => panic!("it wasn't cut short"),
            _ = reached.wait_for(|done| *done >= stop) => {}
        }
    }
    // A commit that was under way is done before this one, which comes after it in the store's queue.
    set(scene.world.admin(), "barriers/cut-short", Fields::new()).await;
    let left =
        roar_functions::rostering::doubles::count_waiting(scene.world.admin(), &district).await.expect("a number");
    assert!(left < MANY as u64 && left > 0, "{left}");
    let rest = said(&scene, &[], true, &[], true).await;
    assert_eq!((rest.confirmed, rest.failed, rest.waiting), (left, 0, 0));
    let cost = (scene.world.admin().cost(), scene.world.assessment().cost());
    let again = said(&scene, &[], true, &[], true).await;
    assert_eq!(again, Decided { applied: true, ..Decided::default() });
    let spent = (scene.world.admin().cost() - cost.0, scene.world.assessment().cost() - cost.1);
    assert!(spent.0.reads <= 2 && spent.0.writes + spent.1.writes == 0, "{spent:?}");
    for (n, student) in students.iter().enumerate() {
        let own = roar_uid(&scene, student).await;
        assert_eq!(user(&scene, &format!("hand-{n}")).await["mergedInto"].as_str(), Some(own.as_str()));
        if n % 10 == 0 {
            assert!(has_work(&scene, &own, &id, &format!("hand-{n}")).await, "{n}");
        }
    }
    assert_eq!(assignments(scene.world.admin(), &id).await.len(), MANY);
    assert_consistent(scene.world.admin(), &id).await;
    // And the roster knows them.
    let report = scene.settle().await;
    assert_eq!((report.get(Kind::Users).created, report.doubles), (0, 0));
}

#[tokio::test]
async fn admins_of_the_district_decide_as_far_as_their_rights_go() {
    let scene = Scene::open().await;
    scene.call(json!({"shallow": true})).await.expect("orgs");
    scene.world.settle().await;
    let district = scene.there.id();
    let students = scene.there.users("student");
    let admin = async |uid: &str, orgs: Fields| {
        let claims = fields! {
            "roarUid" => uid, "adminUid" => uid, "role" => "admin", "adminOrgs" => orgs.clone(), "minimalAdminOrgs" => orgs,
        };
        set(scene.world.admin(), &format!("userClaims/{uid}"), fields! { "claims" => claims, "lastUpdated" => 1 })
            .await;
    };
    let list = |ids: Vec<String>| Value::strings(ids);
    let of_district = fields! {
        "districts" => list(vec![district.clone()]),
        "schools" => list(scene.there.ids(roar_functions::demo::clever::Kind::School)),
        "classes" => list(scene.there.ids(roar_functions::demo::clever::Kind::Section)),
    };
    admin("uid-district", of_district).await;
    admin("uid-class", fields! { "classes" => list(vec!["mine".to_owned()]) }).await;
    for (n, student) in students.iter().enumerate().take(3) {
        let address = format!("child{n}@school.example");
        scene.there.set_email(student, Some(&address));
        let mut user = enrolled(&scene, student, &address, "student", &district, Fields::new());
        if n == 1 {
            let both = fields! { "current" => Value::strings([district.as_str(), "another"]) };
            user.insert("districts".to_owned(), Value::Map(both));
        }
        set(scene.world.admin(), &format!("users/hand-{n}"), user).await;
    }
    scene.settle().await;
    // A student, whose account has rights that the district's admin hasn't.
    bound(&scene, "uid-hand-2", "two@school.example", false, "hand-2", fields! { "admin" => true }).await;
    let call = async |uid: &str, data: Json| {
        let answer = scene.world.call_function("rosterDoubles", uid, data).await;
        scene.world.settle().await;
        answer
    };
    for uid in ["uid-class", "uid-nobody"] {
        let refused = call(uid, json!({"districtId": district, "confirmAll": true, "apply": true})).await;
        assert_eq!(refused.expect_err("refused").status, Status::PermissionDenied, "{uid}");
    }
    let refused = call("uid-district", json!({"districtId": "another"})).await;
    assert_eq!(refused.expect_err("refused").status, Status::PermissionDenied);
    let listed = call("uid-district", json!({"districtId": district})).await.expect("listed");
    assert_eq!((listed["pairs"].as_array().map(Vec::len), &listed["waiting"]), (Some(3), &json!(3)));
    let text = listed.to_string().to_lowercase();
    assert!(!text.contains("school.example"), "{text}");
    let done = call("uid-district", json!({"districtId": district, "confirmAll": true, "apply": true})).await;
    let done = done.expect("decided");
    assert_eq!((&done["confirmed"], &done["failed"], &done["waiting"]), (&json!(1), &json!(2), &json!(2)), "{done}");
    assert!(user(&scene, "hand-0").await.contains_key("mergedInto"));
    for n in [1, 2] {
        assert!(!user(&scene, &format!("hand-{n}")).await.contains_key("mergedInto"), "{n}");
    }
    let unknown = json!({"districtId": district, "reject": ["nothing"]});
    assert_eq!(call("uid-district", unknown).await.expect_err("refused").status, Status::NotFound);
    // A super admin may.
    scene.appoint_super_admin().await;
    let done =
        call("super", json!({"districtId": district, "confirmAll": true, "apply": true})).await.expect("decided");
    assert_eq!((&done["confirmed"], &done["waiting"]), (&json!(2), &json!(0)), "{done}");
}

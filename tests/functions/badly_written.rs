//! Documents with invalid or unusual fields, as clients write them: every code path applies the same rule.

use roar_functions::app::Settings;
use roar_functions::fields;
use roar_functions::reconcile::report::{Kind, State};
use roar_functions::reconcile::{Options, reconcile_one};
use roar_functions::store::{DocPath, FieldPath, Fields, Value, Write, lookup};

use crate::local::LocalWorld;
use crate::small::{administration, at, condition, copy_of, org_maps, student, task, write_orgs};
use crate::world::{assert_consistent, set};

const OPEN: &str = "2026-12-01T00:00:00Z";

fn path(text: &str) -> DocPath {
    DocPath::new(text).expect("a path")
}

async fn world() -> LocalWorld {
    world_with(Settings::default()).await
}

async fn world_with(settings: Settings) -> LocalWorld {
    let world = LocalWorld::with(settings).await;
    write_orgs(world.admin()).await;
    for user in ["u", "v"] {
        let fields = student(&["D1", "S1", "C1"], "3");
        set(world.assessment(), &format!("users/{user}"), copy_of(&fields)).await;
        set(world.admin(), &format!("users/{user}"), fields).await;
    }
    world.settle().await;
    world
}

fn with_dates(opened: Value, closed: Value) -> Fields {
    let mut fields = administration(&["D1"], vec![task("pa", None)], at(OPEN));
    fields.insert("dateOpened".to_owned(), opened);
    fields.insert("dateClosed".to_owned(), closed);
    fields
}

async fn edit(world: &LocalWorld, user: &str, changed: Fields) {
    let mask = changed.keys().map(FieldPath::top).collect();
    let write = Write::merge(path(&format!("users/{user}")), changed, mask);
    world.admin().commit(vec![write]).await.expect("written");
    world.settle().await;
}

async fn status(world: &LocalWorld) -> (String, Option<String>) {
    let fields = world.get("administrations/a").await.expect("the administration").fields;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    (text("syncStatus").unwrap_or_default(), text("syncErrorMessage"))
}

async fn look(world: &LocalWorld) -> roar_functions::reconcile::Report {
    let options = Options { fix: false, patience: std::time::Duration::ZERO };
    let report = reconcile_one(&world.service.app, "a", &options, &|_| {}).await.expect("a store that answers");
    report.expect("a trace of it")
}

/// An administration is created, synced again, joined by a move and reconciled: the result is the same in whatever form
/// its dates are stored.
#[tokio::test]
async fn dates_that_can_be_read_are_read_on_every_path() {
    let (opened, closed) = ("2026-09-01T00:00:00Z", "2026-12-01T00:00:00Z");
    let milliseconds = |text: &str| at(text).as_millisecond();
    let seconds = |text: &str| Value::Map(fields! { "seconds" => at(text).as_second(), "nanoseconds" => 0 });
    for (opens, closes) in [
        (Value::from(opened), Value::from(closed)),
        (Value::Integer(milliseconds(opened)), Value::Integer(milliseconds(closed))),
        (Value::Double(milliseconds(opened) as f64), Value::Integer(milliseconds(closed) / 1000)),
        (seconds(opened), seconds(closed)),
        (Value::from("2026-09-01"), Value::from("2026-12-01")),
    ] {
        let world = world().await;
        set(world.admin(), "administrations/a", with_dates(opens.clone(), closes.clone())).await;
        world.settle().await;
        assert_eq!(status(&world).await, ("complete".to_owned(), None), "{opens:?}");
        let assignment = world.get("users/u/assignments/a").await.expect("an assignment").fields;
        let dates = ["dateOpened", "dateClosed"].map(|name| assignment[name].as_timestamp().expect("a timestamp"));
        let expected = if closes == Value::from("2026-12-01") { at("2026-12-01T23:59:59.999Z") } else { at(closed) };
        assert_eq!(dates, [at(opened), expected], "{opens:?}");
        // Pages that ask for open ones find it, and what leads students to it.
        let stored = world.get("administrations/a").await.expect("the administration").fields;
        assert_eq!(stored["dateClosed"], Value::Timestamp(expected));
        let leading = world.get("administrations/a/assignedOrgs/C1").await.expect("an org").fields;
        assert_eq!(leading["dateClosed"], Value::Timestamp(expected));
        // Who leaves and comes back, and who comes anew, is assigned by the same dates.
        edit(&world, "u", org_maps(&[], world.now())).await;
        edit(&world, "u", org_maps(&["D1", "S2", "C3"], world.now())).await;
        let fields = student(&["D1"], "3");
        set(world.assessment(), "users/w", copy_of(&fields)).await;
        set(world.admin(), "users/w", fields).await;
        world.settle().await;
        for user in ["u", "v", "w"] {
            let assignment = world.get(&format!("users/{user}/assignments/a")).await.expect("an assignment").fields;
            assert_eq!(assignment["dateClosed"], Value::Timestamp(expected), "{user} {closes:?}");
        }
        assert_consistent(world.admin(), "a").await;
        assert!(look(&world).await.agrees);
        // A closed one is closed on every path, too.
        let past = match &closes {
            Value::String(_) => Value::from("2026-09-14"),
            Value::Map(_) => seconds("2026-09-14T00:00:00Z"),
            _ => Value::Integer(milliseconds("2026-09-14T00:00:00Z")),
        };
        let write = Write::update(path("administrations/a"), fields! { "dateClosed" => past });
        world.admin().commit(vec![write]).await.expect("written");
        world.settle().await;
        edit(&world, "u", org_maps(&[], world.now())).await;
        assert!(world.get("users/u/assignments/a").await.is_some(), "who leaves a closed one keeps it");
        assert_eq!(look(&world).await.administrations[0].state, State::Closed);
    }
}

#[tokio::test]
async fn what_cant_be_read_assigns_nobody_and_says_so() {
    for (what, badly, named) in [
        ("a text", with_dates(Value::Timestamp(at(OPEN)), "soon".into()), "dateClosed"),
        ("a number that's no date", with_dates(Value::Timestamp(at(OPEN)), 7.into()), "dateClosed"),
        ("the other date", with_dates("some day".into(), Value::Timestamp(at(OPEN))), "dateOpened"),
        ("none", with_dates(Value::Timestamp(at(OPEN)), Value::Null), "dateClosed is missing"),
        (
            "a task twice",
            administration(&["D1"], vec![task("roar-pa", None), task("swr", None), task("roar_pa", None)], at(OPEN)),
            "roar_pa",
        ),
    ] {
        let world = world().await;
        set(world.admin(), "administrations/a", badly.clone()).await;
        world.settle().await;
        let (state, message) = status(&world).await;
        assert_eq!(state, "failed", "{what}");
        let message = message.expect("a message");
        assert!(message.contains(named) && message.contains("edit and save again"), "{what}: {message}");
        for user in ["u", "v"] {
            assert_eq!(world.get(&format!("users/{user}/assignments/a")).await, None, "{what}");
        }
        // Whoever moves isn't assigned either, and reconciling leaves it alone.
        edit(&world, "u", org_maps(&["D1", "S2", "C3"], world.now())).await;
        assert_eq!(world.get("users/u/assignments/a").await, None, "{what}");
        assert_eq!(look(&world).await.administrations[0].state, State::Failed, "{what}");
        // Nothing goes on by itself.
        let before = world.documents().await;
        world.settle().await;
        assert_eq!(world.documents().await, before, "{what}");
        // Written well, it's assigned.
        set(world.admin(), "administrations/a", administration(&["D1"], vec![task("pa", None)], at(OPEN))).await;
        world.settle().await;
        assert_eq!(status(&world).await, ("complete".to_owned(), None), "{what}");
        assert!(world.get("users/u/assignments/a").await.is_some(), "{what}");
        assert_consistent(world.admin(), "a").await;
        // And written badly again, what there is stays as it is.
        let before = world.get("users/u/assignments/a").await;
        set(world.admin(), "administrations/a", badly).await;
        world.settle().await;
        assert_eq!((status(&world).await.0.as_str(), world.get("users/u/assignments/a").await), ("failed", before));
        edit(&world, "v", org_maps(&["D1", "S2", "C3"], world.now())).await;
        assert!(world.get("users/v/assignments/a").await.is_some(), "{what}: who has it keeps it");
    }
}

/// A student's document without the field `archived` counts as not archived, on every code path.
#[tokio::test]
async fn who_isnt_said_to_be_archived_isnt() {
    for unsaid in [None, Some(Value::Null), Some("false".into())] {
        let world = world().await;
        let bare = |orgs: &[&str]| {
            let mut fields = student(orgs, "3");
            fields.remove("archived");
            fields.extend(unsaid.clone().map(|unsaid| ("archived".to_owned(), unsaid)));
            fields
        };
        // There before the administration, whose fan-out finds them; their own event fills in what's missing.
        set(world.assessment(), "users/w", copy_of(&bare(&["D1"]))).await;
        let write = Write::set(path("users/w"), bare(&["D1", "S1", "C1"]));
        world.admin().commit(vec![write]).await.expect("written");
        world.events().await;
        set(world.admin(), "administrations/a", administration(&["D1"], vec![task("pa", None)], at(OPEN))).await;
        world.settle().await;
        assert!(world.get("users/w/assignments/a").await.is_some(), "{unsaid:?}");
        let user = world.get("users/w").await.expect("a user").fields;
        // What somebody wrote stays as it's written, whatever it means.
        let filled_in = unsaid.clone().filter(|unsaid| !unsaid.is_null()).unwrap_or(Value::Boolean(false));
        assert_eq!(user.get("archived"), Some(&filled_in), "filled in with the lists");
        assert!(look(&world).await.agrees, "{unsaid:?}");
        assert_consistent(world.admin(), "a").await;
        // Who comes later, by their own event.
        set(world.assessment(), "users/x", copy_of(&student(&["D1"], "3"))).await;
        set(world.admin(), "users/x", bare(&["D1", "S1", "C1"])).await;
        world.settle().await;
        assert!(world.get("users/x/assignments/a").await.is_some(), "{unsaid:?}");
        let user = world.get("users/x").await.expect("a user").fields;
        assert_eq!(user.get("archived"), Some(&filled_in));
        // Whose assignment got lost is found.
        let gone = vec![Write::delete(path("users/w/assignments/a")), Write::set(path("users/w"), bare(&["D1"]))];
        crate::reconcile::commit(&world, gone).await;
        assert!(crate::reconcile::findings(&look(&world).await).contains("AssignmentMissing w"), "{unsaid:?}");
    }
    // Somebody who is archived is passed over, and costs a read.
    let world = world().await;
    edit(&world, "v", fields! { "archived" => true }).await;
    set(world.admin(), "administrations/a", administration(&["D1"], vec![task("pa", None)], at(OPEN))).await;
    world.settle().await;
    assert!(world.get("users/u/assignments/a").await.is_some());
    assert_eq!(world.get("users/v/assignments/a").await, None);
    assert!(look(&world).await.agrees);
}

fn upto_5_and_from_6() -> Vec<Value> {
    vec![task("swr", Some(condition("studentData.grade", "GREATER_THAN_OR_EQUAL", "6")))]
}

/// After a promotion, tasks that newly apply are assigned by the next save, so reconciling reports no difference. An
/// assignment that is really missing is reported, also for a promoted student.
#[tokio::test]
async fn who_waits_for_the_next_save_is_told_from_who_lacks_their_assignment() {
    let grade = |grade: &str| {
        let dob = at("2015-09-20T00:00:00Z");
        fields! { "studentData" => fields! { "dob" => dob, "grade" => grade } }
    };
    let waits = |report: &roar_functions::reconcile::Report| {
        report.administrations[0].kinds.get(&Kind::WaitsForSave).map(|tally| tally.found)
    };
    let world = world().await;
    set(world.admin(), "administrations/a", administration(&["D1"], upto_5_and_from_6(), at(OPEN))).await;
    world.settle().await;
    assert_eq!(world.get("users/u/assignments/a").await, None);
    edit(&world, "u", grade("6")).await;
    let report = look(&world).await;
    assert!(report.agrees, "{report:?}");
    assert_eq!((waits(&report), report.administrations[0].findings.len()), (Some(1), 1));
    // Promoted once more, they wait still: also before, nothing was theirs.
    edit(&world, "u", grade("7")).await;
    let report = look(&world).await;
    assert_eq!((report.agrees, waits(&report)), (true, Some(1)));
    // Mending leaves it to the save, too.
    let options = Options { fix: true, patience: std::time::Duration::ZERO };
    let fixed = reconcile_one(&world.service.app, "a", &options, &|_| {}).await.expect("a store").expect("a report");
    assert_eq!((fixed.agrees, waits(&fixed)), (true, Some(1)));
    assert_eq!(world.get("users/u/assignments/a").await, None);
    // The save brings it.
    let write = Write::update(path("administrations/a"), fields! { "name" => "Saved" });
    world.admin().commit(vec![write]).await.expect("written");
    world.settle().await;
    assert!(world.get("users/u/assignments/a").await.is_some());
    assert_eq!(waits(&look(&world).await), None);
    // Promoted after that, it was theirs before and after: lost, it's missing.
    edit(&world, "u", grade("8")).await;
    let lists = ["assignments", "assignmentsAssigned"].map(FieldPath::top).to_vec();
    let gone = vec![Write::delete(path("users/u/assignments/a")), Write::merge(path("users/u"), Fields::new(), lists)];
    crate::reconcile::commit(&world, gone).await;
    let report = look(&world).await;
    assert!(!report.agrees);
    assert!(crate::reconcile::findings(&report).contains("AssignmentMissing u"));
    // So it is with who was never promoted.
    edit(&world, "v", fields! { "name" => fields! { "first" => "V" } }).await;
    assert_eq!(lookup(&world.get("users/v").await.expect("a user").fields, "studentDataBefore"), None);

    // With ROAR_ASSIGN_ON_PROMOTION, nobody waits.
    let world = world_with(Settings { assign_on_promotion: true, ..Settings::default() }).await;
    set(world.admin(), "administrations/a", administration(&["D1"], upto_5_and_from_6(), at(OPEN))).await;
    world.settle().await;
    edit(&world, "u", grade("6")).await;
    assert!(world.get("users/u/assignments/a").await.is_some());
    let report = look(&world).await;
    assert_eq!((report.agrees, waits(&report)), (true, None));
}

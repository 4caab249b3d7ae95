//! One tree: a child's own link says where it belongs, for assignments, rights and people alike, whoever changed it.

use roar_functions::fields;
use roar_functions::orgs::{OrgLists, OrgType};
use roar_functions::store::{Query, Value, Write, lookup};

use super::{field, path, update};
use crate::local::LocalWorld;
use crate::small::{administration, at, copy_of, lists, orgs_of, student, task, write_orgs};
use crate::world::{assert_consistent, set};

/// D1 { S1 { C1, C2 }, S2 { C3 } }, D2 { S3 { C4 } }, a student in each class, an admin of each district and of S1.
async fn world() -> LocalWorld {
    let world = LocalWorld::start().await;
    write_orgs(world.admin()).await;
    let students: [(&str, &[&str]); 5] = [
        ("u1", &["D1", "S1", "C1"]),
        ("u2", &["D1", "S1", "C2"]),
        ("u3", &["D1", "S2", "C3"]),
        ("u4", &["D2", "S3", "C4"]),
        ("u5", &["D1", "S1", "S2", "C1", "C3"]),
    ];
    for (id, orgs) in students {
        let fields = student(orgs, "3");
        set(world.assessment(), &format!("users/{id}"), copy_of(&fields)).await;
        set(world.admin(), &format!("users/{id}"), fields).await;
    }
    for (uid, org) in [("admin-d1", "D1"), ("admin-d2", "D2"), ("admin-s1", "S1")] {
        let granted = lists(&[org]).to_value();
        let claims = fields! { "roarUid" => format!("roar-{uid}"), "adminOrgs" => granted.clone(), "minimalAdminOrgs" => granted };
        set(world.admin(), &format!("userClaims/{uid}"), fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    }
    world.settle().await;
    world
}

async fn rights(world: &LocalWorld, uid: &str) -> String {
    let claims = world.get(&format!("userClaims/{uid}")).await.expect("claims").fields;
    let orgs = OrgLists::from_value(lookup(&claims, "claims.adminOrgs"));
    sorted(orgs.flatten())
}

async fn current(world: &LocalWorld, user: &str) -> String {
    let user = world.get(&format!("users/{user}")).await.expect("a user").fields;
    let ids = OrgType::ALL.into_iter().flat_map(|org_type| {
        lookup(&user, &format!("{}.current", org_type.plural())).and_then(Value::as_string_list).unwrap_or_default()
    });
    sorted(ids.collect())
}

async fn list(world: &LocalWorld, org: &str, name: &str) -> String {
    let list = field(world, org, name).await;
    sorted(list.as_ref().and_then(Value::as_string_list).unwrap_or_default())
}

fn sorted(mut ids: Vec<String>) -> String {
    ids.sort();
    ids.join(" ")
}

async fn assigned(world: &LocalWorld, id: &str) -> String {
    let found = world.admin().query(Query::group("assignments").equal("id", id)).await.expect("assignments");
    sorted(found.iter().map(|assignment| assignment.path.parent().expect("a user").id().to_owned()).collect())
}

async fn assign(world: &LocalWorld, id: &str, org: &str) {
    let fields = administration(&[org], vec![task("pa", None)], at("2026-12-01T00:00:00Z"));
    set(world.admin(), &format!("administrations/{id}"), fields).await;
    world.settle().await;
}

#[tokio::test]
async fn lists_of_children_are_kept_from_the_links() {
    let world = world().await;
    assert_eq!(list(&world, "districts/D1", "schools").await, "S1 S2");
    assert_eq!(list(&world, "schools/S1", "classes").await, "C1 C2");
    let before = (world.admin().cost(), world.events().await.len());
    assert_eq!(before.1, 0);
    update(&world, "classes/C2", fields! { "archived" => true }).await;
    world.settle().await;
    assert_eq!(list(&world, "schools/S1", "classes").await, "C1");
    assert_eq!(list(&world, "schools/S1", "archivedClasses").await, "C2");
    let group = fields! { "name" => "G", "archived" => false, "parentOrgType" => "class", "parentOrgId" => "C1" };
    set(world.admin(), "groups/G1", group).await;
    world.settle().await;
    assert_eq!(list(&world, "classes/C1", "subGroups").await, "G1");
    world
        .admin()
        .commit(vec![Write::delete(path("groups/G1")), Write::delete(path("classes/C2"))])
        .await
        .expect("deleted");
    world.settle().await;
    assert_eq!(list(&world, "classes/C1", "subGroups").await, "");
    assert_eq!(list(&world, "schools/S1", "archivedClasses").await, "");
    // A change of a name costs nothing beyond the mirror's own.
    update(&world, "classes/C1", fields! { "tags" => Value::strings(["x"]) }).await;
    let events = world.events().await;
    let mine: Vec<_> = events.into_iter().filter(|(trigger, _)| trigger.starts_with("syncHierarchy")).collect();
    let before = world.admin().cost();
    for event in mine.clone().into_iter().chain(mine) {
        assert!(world.deliver(event).await);
    }
    assert_eq!((world.admin().cost() - before).reads, 0);
}

/// A school's admin may have written foreign classes into the school's list, when rules still let them.
#[tokio::test]
async fn a_listed_child_that_does_not_link_back_is_no_child() {
    let world = world().await;
    update(&world, "schools/S1", fields! { "classes" => Value::strings(["C1", "C2", "C4"]) }).await;
    world.settle().await;
    assign(&world, "a", "S1").await;
    assert_eq!(assigned(&world, "a").await, "u1 u2 u5");
    let stored = world.get("administrations/a").await.expect("the administration");
    assert_eq!(orgs_of(&stored, "readOrgs"), "C1 C2 D1 S1");
    assert!(world.get("administrations/a/stats/C4").await.is_none());
    assert_eq!(rights(&world, "admin-s1").await, "C1 C2 S1");
    assert_consistent(world.admin(), "a").await;
}

#[tokio::test]
async fn a_school_that_moves_takes_its_people_rights_and_administrations_along() {
    let world = world().await;
    assign(&world, "a", "D1").await;
    assign(&world, "b", "D2").await;
    assign(&world, "c", "S1").await;
    assert_eq!(assigned(&world, "a").await, "u1 u2 u3 u5");
    assert_eq!(rights(&world, "admin-d1").await, "C1 C2 C3 D1 S1 S2");
    let work = fields! { "started" => true };
    update(&world, "users/u1/assignments/a", work).await;
    world.settle().await;

    update(&world, "schools/S1", fields! { "districtId" => "D2" }).await;
    world.settle().await;
    assert_eq!(list(&world, "districts/D1", "schools").await, "S2");
    assert_eq!(list(&world, "districts/D2", "schools").await, "S1 S3");
    assert_eq!(field(&world, "classes/C1", "districtId").await, Some("D2".into()));
    for (uid, expected) in [("admin-d1", "C3 D1 S2"), ("admin-d2", "C1 C2 C4 D2 S1 S3"), ("admin-s1", "C1 C2 S1")] {
        assert_eq!(rights(&world, uid).await, expected, "{uid}");
    }
    for (user, expected) in
        [("u1", "C1 D2 S1"), ("u2", "C2 D2 S1"), ("u3", "C3 D1 S2"), ("u4", "C4 D2 S3"), ("u5", "C1 C3 D1 D2 S1 S2")]
    {
        assert_eq!(current(&world, user).await, expected, "{user}");
    }
    // The assessment database's rules ask the copy.
    let copy = world.assessment().get(&path("users/u1")).await.expect("readable").expect("a copy");
    assert_eq!(lookup(&copy.fields, "districts.current"), Some(&Value::strings(["D2"])));
    assert_eq!(assigned(&world, "a").await, "u3 u5");
    assert_eq!(assigned(&world, "b").await, "u1 u2 u4 u5");
    assert_eq!(assigned(&world, "c").await, "u1 u2 u5");
    let of_c = world.get("users/u1/assignments/c").await.expect("an assignment");
    assert_eq!(orgs_of(&of_c, "readOrgs"), "C1 D2 S1", "who reads it is the new district");
    for id in ["a", "b", "c"] {
        assert_consistent(world.admin(), id).await;
    }
    // And back, with the work that was begun.
    update(&world, "schools/S1", fields! { "districtId" => "D1" }).await;
    world.settle().await;
    assert_eq!(assigned(&world, "a").await, "u1 u2 u3 u5");
    assert_eq!(field(&world, "users/u1/assignments/a", "started").await, Some(true.into()));
    assert_eq!(rights(&world, "admin-d1").await, "C1 C2 C3 D1 S1 S2");
    assert_eq!(rights(&world, "admin-d2").await, "C4 D2 S3");
}

#[tokio::test]
async fn a_class_that_moves_takes_its_people_along() {
    let world = world().await;
    update(&world, "classes/C3", fields! { "schoolId" => "S3" }).await;
    world.settle().await;
    assert_eq!(field(&world, "classes/C3", "districtId").await, Some("D2".into()), "the district is its school's");
    assert_eq!(list(&world, "schools/S2", "classes").await, "");
    assert_eq!(list(&world, "schools/S3", "classes").await, "C3 C4");
    assert_eq!(current(&world, "u3").await, "C3 D2 S3");
    assert_eq!(current(&world, "u5").await, "C1 C3 D1 D2 S1 S3");
    assert_eq!(rights(&world, "admin-d1").await, "C1 C2 D1 S1 S2");
    assert_eq!(rights(&world, "admin-d2").await, "C3 C4 D2 S3");
}

#[tokio::test]
async fn what_is_made_by_hand_is_its_admins_at_once() {
    let world = world().await;
    let class = fields! { "name" => "C9", "archived" => false, "schoolId" => "S1", "districtId" => "D1" };
    set(world.admin(), "classes/C9", class).await;
    world.settle().await;
    assert_eq!(rights(&world, "admin-s1").await, "C1 C2 C9 S1");
    assert_eq!(rights(&world, "admin-d1").await, "C1 C2 C3 C9 D1 S1 S2");
    assign(&world, "a", "S1").await;
    set(world.admin(), "users/u9", student(&["D1", "S1", "C9"], "3")).await;
    world.settle().await;
    assert_eq!(assigned(&world, "a").await, "u1 u2 u5 u9");
    // A class that names a foreign district is its school's all the same.
    let forged = fields! { "name" => "C8", "archived" => false, "schoolId" => "S1", "districtId" => "D2" };
    set(world.admin(), "classes/C8", forged).await;
    world.settle().await;
    assert_eq!(rights(&world, "admin-d2").await, "C4 D2 S3");
    assert!(rights(&world, "admin-d1").await.contains("C8"));
}

/// Many changes at once are followed once or twice, not once each.
#[tokio::test]
async fn many_classes_at_once_are_followed_together() {
    let world = world().await;
    world.service.queue.stop(std::time::Duration::from_secs(5)).await;
    let classes = (0..60).map(|n| {
        let class = fields! { "name" => "C", "archived" => false, "schoolId" => "S1", "districtId" => "D1" };
        Write::set(path(&format!("classes/X{n:02}")), class)
    });
    let before = world.admin().cost();
    world.admin().commit(classes.collect()).await.expect("written");
    for event in world.events().await {
        assert!(world.deliver(event).await);
    }
    let waiting = world.admin().query(Query::collection("functionTasks")).await.expect("tasks");
    assert_eq!(waiting.len(), 2, "one for the school, one for the district");
    world.service.start_tasks();
    world.settle().await;
    let spent = world.admin().cost() - before;
    assert_eq!(rights(&world, "admin-d1").await.split(' ').count(), 6 + 60);
    assert_eq!(list(&world, "schools/S1", "classes").await.split(' ').count(), 62);
    // The class, its two parents, its place in the mirror twice: six an event; and a few hundred for all together.
    assert!(spent.reads <= 60 * 6 + 500, "{spent:?}");
}

/// What was odd before the service kept it: found, mended, and then everything follows.
#[tokio::test]
async fn reconcile_mends_the_hierarchy() {
    use roar_functions::reconcile::hierarchy::report::Kind;
    use roar_functions::reconcile::hierarchy::{reconcile_claims, reconcile_orgs};

    let world = world().await;
    assign(&world, "a", "D1").await;
    let app = &world.service.app;
    let looked = || {};
    let before = (world.admin().cost(), world.assessment().cost());
    assert!(reconcile_orgs(app, true, &looked).await.expect("looked").agrees);
    assert!(reconcile_claims(app, true, &looked).await.expect("looked").agrees);
    let spent = world.admin().cost() - before.0;
    assert_eq!((spent.writes, spent.reads), (0, 2 * (9 + 2) + 5 + 3), "orgs twice, users, claims; empty collections");
    // The store as a move left it that nobody followed.
    let silently = |writes: Vec<Write>| async {
        world.admin().commit(writes).await.expect("written");
        let _ = world.events().await;
    };
    silently(vec![
        Write::update(path("schools/S1"), fields! { "districtId" => "D2" }),
        Write::update(path("schools/S2"), fields! { "classes" => Value::strings(["C4", "nobody"]) }),
    ])
    .await;
    let found = reconcile_orgs(app, false, &looked).await.expect("looked");
    let kinds: Vec<(Kind, u64)> = found.kinds.iter().map(|(kind, tally)| (*kind, tally.found)).collect();
    let expected =
        [(Kind::ListDiffers, 4), (Kind::DistrictDiffers, 2), (Kind::MembershipMissing, 3), (Kind::MembershipStray, 2)];
    assert_eq!(kinds, expected, "{found:?}");
    assert_eq!(reconcile_claims(app, false, &looked).await.expect("looked").kinds[&Kind::RightsDiffer].found, 2);
    assert!(reconcile_orgs(app, true, &looked).await.expect("mended").agrees);
    world.settle().await;
    assert!(reconcile_claims(app, true, &looked).await.expect("mended").agrees);
    world.settle().await;
    assert_eq!(rights(&world, "admin-d1").await, "C3 D1 S2");
    assert_eq!(rights(&world, "admin-d2").await, "C1 C2 C4 D2 S1 S3");
    assert_eq!(current(&world, "u1").await, "C1 D2 S1");
    assert_eq!(list(&world, "schools/S2", "classes").await, "C3");
    let quiet = (reconcile_orgs(app, false, &looked).await, reconcile_claims(app, false, &looked).await);
    assert!(quiet.0.expect("looked").agrees && quiet.1.expect("looked").agrees);
}

/// However many students an administration has: a class that comes without any is no reason to look at them all.
#[tokio::test]
async fn a_new_class_costs_nothing_for_the_students_of_others() {
    let world = world().await;
    for n in 0..200 {
        set(world.admin(), &format!("users/x{n}"), student(&["D1", "S1", "C1"], "3")).await;
    }
    world.settle().await;
    assign(&world, "a", "D1").await;
    let before = world.admin().cost();
    let class = fields! { "name" => "C9", "archived" => false, "schoolId" => "S1", "districtId" => "D1" };
    set(world.admin(), "classes/C9", class).await;
    world.settle().await;
    let spent = world.admin().cost() - before;
    // The tree of nine orgs, for each holder of rights and each plan; of the 200 students, none.
    assert!(spent.reads < 150 && spent.writes < 60, "{spent:?}");
    let assigned_to = world.get("administrations/a/assignedOrgs/C9").await;
    assert!(assigned_to.is_some(), "who joins the class is assigned");
    // An edit that comes at the same time reaches everybody all the same.
    let both = vec![
        Write::update(path("administrations/a"), fields! { "name" => "Renamed" }),
        Write::update(path("classes/C9"), fields! { "archived" => true }),
    ];
    world.admin().commit(both).await.expect("written");
    world.settle().await;
    for user in ["u1", "x79"] {
        assert_eq!(field(&world, &format!("users/{user}/assignments/a"), "name").await, Some("Renamed".into()));
    }
    assert_consistent(world.admin(), "a").await;
}

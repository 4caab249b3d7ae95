//! Mirrors of orgs in the assessment database.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::future::BoxFuture;
use roar_functions::app::{App, Settings};
use roar_functions::orgs::OrgType;
use roar_functions::runtime::{DocumentEvent, HandlerError};
use roar_functions::store::{Cost, DocPath, Fields, Value, Write};
use roar_functions::{fields, mirror};
use tokio::sync::Mutex;

use crate::local::{Event, LocalWorld};
use crate::meddled::{Meddler, meddled};
use crate::world::set;

/// An org with everything personal in it.
fn org(name: &str) -> Fields {
    let contact = fields! { "email" => "ada@example.org", "name" => fields! { "first" => "Ada", "last" => "Example" } };
    fields! {
        "name" => name,
        "archived" => false,
        "tags" => Value::strings(["a", "b"]),
        "districtContact" => contact.clone(),
        "principal" => contact,
        "phone" => "555-0100",
        "createdBy" => "somebody",
        "address" => "1 Main Street",
    }
}

async fn mirror_of(world: &LocalWorld, path: &str) -> Option<Fields> {
    let found = world.assessment().get(&DocPath::new(path).expect("a path")).await.expect("readable");
    found.map(|document| document.fields)
}

async fn change(world: &LocalWorld, path: &str, fields: Fields) {
    let write = Write::update(DocPath::new(path).expect("a path"), fields);
    world.admin().commit(vec![write]).await.expect("written");
}

async fn delete(world: &LocalWorld, path: &str) {
    world.admin().commit(vec![Write::delete(DocPath::new(path).expect("a path"))]).await.expect("deleted");
}

#[tokio::test]
async fn orgs_appear_without_personal_data_and_go_with_their_source() {
    let world = LocalWorld::start().await;
    for org_type in OrgType::ALL {
        let path = format!("{}/o", org_type.plural());
        set(world.admin(), &path, org("One")).await;
        world.settle().await;
        let mut expected = fields! { "name" => "One", "archived" => false, "tags" => Value::strings(["a", "b"]), "address" => "1 Main Street" };
        if org_type == OrgType::Family {
            expected.remove("name");
            expected.remove("address");
        }
        assert_eq!(mirror_of(&world, &path).await, Some(expected), "{path}");

        // Replaced, not merged.
        set(world.admin(), &path, fields! { "archived" => true, "phone" => "1" }).await;
        world.settle().await;
        assert_eq!(mirror_of(&world, &path).await, Some(fields! { "archived" => true }), "{path}");
        delete(&world, &path).await;
        world.settle().await;
        assert_eq!(mirror_of(&world, &path).await, None, "{path}");
    }
    // Of a group that comes to be a family's.
    set(world.admin(), "groups/g", org("Examples")).await;
    world.settle().await;
    assert!(mirror_of(&world, "groups/g").await.expect("a mirror").contains_key("name"));
    change(&world, "groups/g", fields! { "familyId" => "f" }).await;
    world.settle().await;
    let mirror = mirror_of(&world, "groups/g").await.expect("a mirror");
    assert_eq!(mirror.keys().collect::<Vec<_>>(), ["archived", "familyId", "tags"]);
}

#[tokio::test]
async fn the_settings_say_what_is_left_out() {
    let settings = Settings { mirror_omit: vec!["tags".to_owned(), "name".to_owned()], ..Settings::default() };
    let world = LocalWorld::with(settings).await;
    set(world.admin(), "schools/s", fields! { "name" => "S", "tags" => Value::strings(["a"]), "phone" => "1" }).await;
    world.settle().await;
    assert_eq!(mirror_of(&world, "schools/s").await, Some(fields! { "phone" => "1" }));
}

/// What deliveries cost: the admin database, the assessment database.
async fn cost_of(world: &LocalWorld, events: &[Event]) -> (Cost, Cost) {
    let before = (world.admin().cost(), world.assessment().cost());
    // Deletions of orgs set off others, too.
    for event in events.iter().filter(|(trigger, _)| trigger.starts_with("mirror")) {
        assert!(world.deliver(event.clone()).await);
    }
    (world.admin().cost() - before.0, world.assessment().cost() - before.1)
}

#[tokio::test]
async fn what_a_mirror_costs() {
    let world = LocalWorld::start().await;
    // The queue looks for tasks at its start.
    world.settle().await;
    let cost = |reads, writes, deletes| Cost { reads, writes, deletes };
    let read = |n| cost(n, 0, 0);
    let nothing = (Cost::default(), Cost::default());

    set(world.admin(), "districts/d", org("One")).await;
    let created = world.events().await;
    assert_eq!(created.len(), 1);
    assert_eq!(cost_of(&world, &created).await, (read(2), cost(0, 1, 0)), "a new org");
    // It finds a mirror where it expects none, and looks at both.
    assert_eq!(cost_of(&world, &created).await, (read(2), read(1)), "the same event again");

    for irrelevant in [fields! { "phone" => "2" }, fields! { "createdBy" => "x", "principal" => Value::Null }] {
        change(&world, "districts/d", irrelevant).await;
        assert_eq!(cost_of(&world, &world.events().await).await, nothing, "nothing of the mirror");
    }

    change(&world, "districts/d", fields! { "name" => "Two" }).await;
    let changed = world.events().await;
    assert_eq!(cost_of(&world, &changed).await, (read(2), cost(1, 1, 0)), "a change");
    assert_eq!(cost_of(&world, &changed).await, (read(1), read(1)), "the same event again");
    assert_eq!(cost_of(&world, &created).await, (read(2), read(1)), "an old event");

    delete(&world, "districts/d").await;
    let deleted = world.events().await;
    assert_eq!(cost_of(&world, &deleted).await, (read(2), cost(1, 0, 1)), "a deletion");
    for event in [deleted, changed, created] {
        assert_eq!(cost_of(&world, &event).await, (read(1), read(1)), "an old event");
    }
    assert_eq!(mirror_of(&world, "districts/d").await, None);
    assert_eq!(world.events().await.len(), 0);
}

/// A value that doesn't equal itself (NaN) isn't written again and again.
#[tokio::test]
async fn a_number_that_is_none_ends_too() {
    let world = LocalWorld::start().await;
    set(world.admin(), "schools/s", fields! { "name" => "S", "share" => f64::NAN }).await;
    let events = world.events().await;
    cost_of(&world, &events).await;
    cost_of(&world, &events).await;
    assert_eq!(mirror_of(&world, "schools/s").await.expect("a mirror").len(), 2);
}

/// Something that happens once, just before a commit, whose answer may get lost.
struct Interruption {
    happens: Mutex<Option<BoxFuture<'static, ()>>>,
    loses_answer: AtomicBool,
}

#[async_trait]
impl Meddler for Interruption {
    async fn before_commit(&self) {
        if let Some(happens) = self.happens.lock().await.take() {
            happens.await;
        }
    }

    fn loses_answer(&self) -> bool {
        self.loses_answer.swap(false, Ordering::SeqCst)
    }
}

/// The application with something that happens just before its next commit to the assessment database.
fn interrupted(world: &LocalWorld, loses_answer: bool, happens: BoxFuture<'static, ()>) -> App {
    let interruption = Interruption { happens: Mutex::new(Some(happens)), loses_answer: AtomicBool::new(loses_answer) };
    let mut app = world.service.app.clone();
    app.stores.assessment = meddled(world.assessment_store.clone(), interruption);
    app
}

async fn deliver_to(app: App, (_, change): Event) -> Result<(), HandlerError> {
    mirror::written(app, DocumentEvent { change, params: Default::default() }).await
}

/// Another write of the org, whose event is handled at once.
fn another(world: &LocalWorld, path: &'static str, write: Option<Fields>) -> BoxFuture<'static, ()> {
    let (service, store) = (world.service.clone(), world.store.clone());
    Box::pin(async move {
        let path = DocPath::new(path).expect("a path");
        let write = write.map_or_else(|| Write::delete(path.clone()), |fields| Write::set(path.clone(), fields));
        service.app.stores.admin.commit(vec![write]).await.expect("written");
        for event in store.take_events().await.expect("events") {
            deliver_to(service.app.clone(), event).await.expect("it's handled");
        }
    })
}

/// Between a handler's read and its write, the org changes, and the event of that change is handled completely.
#[tokio::test]
async fn an_older_delivery_does_not_have_the_last_word() {
    let named = |name: &str| fields! { "name" => name };
    let table = [
        // First state, what the older delivery saw, and what came in between.
        (None, Some(named("A")), Some(named("B"))),
        (None, Some(named("A")), None),
        (Some(named("A")), Some(named("B")), Some(named("C"))),
        (Some(named("A")), Some(named("B")), None),
        (Some(named("A")), None, Some(named("B"))),
        // Back to what the mirror was made from: the event in between finds it right.
        (Some(named("A")), Some(named("B")), Some(named("A"))),
        (Some(named("A")), None, Some(named("A"))),
    ];
    for (first, seen, last) in table {
        for loses_answer in [false, true] {
            let world = LocalWorld::start().await;
            another(&world, "schools/s", first.clone()).await;
            let path = DocPath::new("schools/s").expect("a path");
            let write =
                seen.clone().map_or_else(|| Write::delete(path.clone()), |fields| Write::set(path.clone(), fields));
            world.admin().commit(vec![write]).await.expect("written");
            let event = world.events().await.pop().expect("an event");
            let app = interrupted(&world, loses_answer, another(&world, "schools/s", last.clone()));
            let handled = deliver_to(app, event.clone()).await;
            let what = format!("{first:?}, {seen:?}, {last:?}, answer lost: {loses_answer}");
            if loses_answer {
                // As after a crash behind the write: the event comes again.
                assert!(matches!(handled, Err(HandlerError::Transient(_))), "{what}");
                assert!(world.deliver(event).await);
            } else {
                handled.expect("it's handled");
            }
            assert_eq!(mirror_of(&world, "schools/s").await, last, "{what}");
        }
    }
}

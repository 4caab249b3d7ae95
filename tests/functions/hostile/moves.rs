//! Orgs that move, again and again, with events that come late, twice and in any order: when all has come to rest, people,
//! rights, lists and administrations are where the orgs' own links say.

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use roar_functions::fields;
use roar_functions::reconcile::hierarchy::{reconcile_claims, reconcile_orgs};
use roar_functions::reconcile::{Options, reconcile_one};
use roar_functions::store::{FieldPath, Fields, Precondition, Value, Write};

use super::path;
use crate::local::{Event, LocalWorld};
use crate::small::{administration, at, copy_of, lists, student, task, write_orgs};
use crate::world::{assert_consistent, set};

const HISTORIES: u64 = 12;
const STEPS: usize = 16;

struct Chance(TestRng);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound.max(1) as u64) as usize
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

async fn write(world: &LocalWorld, document: &str, changed: Fields) {
    let mask = changed.keys().map(FieldPath::top).collect();
    let write = Write::merge(path(document), changed, mask).when(Precondition::Exists);
    let _ = world.admin().commit(vec![write]).await;
}

async fn history(seed: u64) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut chance = Chance(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let world = LocalWorld::start().await;
    write_orgs(world.admin()).await;
    let homes: [&[&str]; 4] = [&["D1", "S1", "C1"], &["D1", "S1", "S2", "C2", "C3"], &["D2", "S3", "C4"], &["D1"]];
    for (n, orgs) in homes.into_iter().enumerate() {
        let fields = student(orgs, "3");
        set(world.assessment(), &format!("users/u{n}"), copy_of(&fields)).await;
        set(world.admin(), &format!("users/u{n}"), fields).await;
    }
    for org in ["D1", "D2", "S1", "C1"] {
        let granted = lists(&[org]).to_value();
        let claims = fields! { "roarUid" => org, "adminOrgs" => granted.clone(), "minimalAdminOrgs" => granted };
        set(world.admin(), &format!("userClaims/of-{org}"), fields! { "claims" => claims, "lastUpdated" => 1 }).await;
    }
    for (id, org) in [("a", "D1"), ("b", "D2"), ("c", "S1")] {
        let fields = administration(&[org], vec![task("pa", None)], at("2026-12-01T00:00:00Z"));
        set(world.admin(), &format!("administrations/{id}"), fields).await;
    }
    world.settle().await;
    let (mut waiting, mut story): (Vec<Event>, Vec<String>) = (Vec::new(), Vec::new());
    for _ in 0..STEPS {
        let (org, link, to) = match chance.below(6) {
            0 | 1 => (format!("schools/{}", chance.of(&["S1", "S2", "S3"])), "districtId", chance.of(&["D1", "D2"])),
            2 | 3 => (
                format!("classes/{}", chance.of(&["C1", "C2", "C3", "C4"])),
                "schoolId",
                chance.of(&["S1", "S2", "S3"]),
            ),
            4 => (format!("administrations/{}", chance.of(&["a", "b", "c"])), "name", chance.of(&["x", "y", "z"])),
            _ => (format!("users/u{}", chance.below(4)), "username", chance.of(&["x", "y", "z"])),
        };
        story.push(format!("{org} {link} {to}"));
        write(&world, &org, fields! { link => to }).await;
        for event in world.events().await {
            waiting.extend([event.clone(), event]);
        }
        for _ in 0..chance.below(6) {
            if !waiting.is_empty() {
                let event = waiting.swap_remove(chance.below(waiting.len()));
                if !world.deliver(event.clone()).await {
                    waiting.push(event);
                }
            }
        }
    }
    while !waiting.is_empty() {
        let event = waiting.swap_remove(chance.below(waiting.len()));
        if !world.deliver(event.clone()).await {
            world.service.queue.idle().await;
            waiting.push(event);
        }
    }
    world.settle().await;
    let (app, looked) = (&world.service.app, || {});
    let orgs = reconcile_orgs(app, false, &looked).await.expect("looked");
    assert!(orgs.kinds.is_empty(), "seed {seed}: {:?}\n{}", orgs.findings, story.join("\n"));
    let claims = reconcile_claims(app, false, &looked).await.expect("looked");
    assert!(claims.kinds.is_empty(), "seed {seed}: {:?}\n{}", claims.findings, story.join("\n"));
    for id in ["a", "b", "c"] {
        let options = Options { fix: false, patience: std::time::Duration::ZERO };
        let report = reconcile_one(app, id, &options, &|_| {}).await.expect("looked").expect("a trace");
        assert!(report.agrees, "seed {seed}: {:?}\n{}", report.administrations[0].findings, story.join("\n"));
        let status = super::field(&world, &format!("administrations/{id}"), "syncStatus").await;
        assert_eq!(status, Some(Value::from("complete")), "seed {seed}");
        assert_consistent(world.admin(), id).await;
    }
}

#[tokio::test]
async fn orgs_may_move_in_any_order() {
    for seed in 0..HISTORIES {
        history(seed).await;
    }
}

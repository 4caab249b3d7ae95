//! Events come twice, late and out of order, and the resulting documents are the same.

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::local::{Event, LocalWorld};
use crate::scenario::{create, delete, edit_tasks, fill, keep_one_school, study};
use crate::world::assert_consistent;

/// Where each step leaves the events that it caused.
struct Post {
    waiting: Vec<Event>,
    random: TestRng,
}

impl Post {
    fn new(seed: u64) -> Post {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Post { waiting: Vec::new(), random: TestRng::from_seed(RngAlgorithm::ChaCha, &bytes) }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.random.next_u64() % bound.max(1) as u64) as usize
    }

    /// Takes three copies of every new event.
    async fn collect(&mut self, world: &LocalWorld) {
        for event in world.events().await {
            self.waiting.extend([event.clone(), event.clone(), event]);
        }
    }

    /// Delivers a few of the waiting events, any of them, in any order.
    async fn deliver_some(&mut self, world: &LocalWorld, count: usize) {
        for _ in 0..count.min(self.waiting.len()) {
            let next = self.below(self.waiting.len());
            let event = self.waiting.swap_remove(next);
            if !world.deliver(event.clone()).await {
                self.waiting.push(event);
            }
            self.collect(world).await;
        }
    }

    /// Delivers everything, until nothing waits and nothing runs.
    async fn deliver_all(&mut self, world: &LocalWorld) {
        loop {
            self.collect(world).await;
            if self.waiting.is_empty() {
                world.service.queue.idle().await;
                self.collect(world).await;
                if self.waiting.is_empty() {
                    return;
                }
            }
            let some = 1 + self.below(8);
            self.deliver_some(world, some).await;
        }
    }

    /// Delivers until every task is done: what the next step of the scenario needs; the rest stays
    /// late.
    async fn deliver_until_synced(&mut self, world: &LocalWorld, administration: &str) {
        let path = format!("administrations/{administration}");
        loop {
            self.collect(world).await;
            world.service.queue.idle().await;
            let document = world.get(&path).await.expect("the administration");
            let synced = document.fields.get("syncStatus").and_then(|status| status.as_str()) == Some("complete");
            let owed = self.waiting.iter().any(|(trigger, _)| trigger == "syncAssignmentsOnAdministrationUpdate");
            if synced && !owed {
                return;
            }
            self.deliver_some(world, 4).await;
        }
    }
}

async fn run(seed: Option<u64>) -> Vec<(String, roar_functions::store::Fields)> {
    let world = LocalWorld::start().await;
    fill(&world).await;
    // What follows from the orgs themselves is done: histories have orgs that change.
    world.settle().await;
    let mut post = Post::new(seed.unwrap_or_default());
    let id = create(&world).await;
    let other = create(&world).await;
    macro_rules! settle {
        () => {
            match seed {
                None => world.settle().await,
                Some(_) => {
                    post.deliver_until_synced(&world, &id).await;
                    post.deliver_until_synced(&world, &other).await;
                }
            }
        };
    }
    settle!();
    study(&world, &id).await;
    study(&world, &other).await;
    edit_tasks(&world, &id).await;
    settle!();
    keep_one_school(&world, &id).await;
    settle!();
    delete(&world, &format!("administrations/{other}")).await;
    match seed {
        None => world.settle().await,
        Some(_) => post.deliver_all(&world).await,
    }
    assert_consistent(world.admin(), &id).await;
    assert_eq!(crate::world::assignments(world.admin(), &other).await.len(), 0);
    world.documents().await
}

async fn seeds(seeds: std::ops::Range<u64>) {
    let expected = run(None).await;
    for seed in seeds {
        let found = run(Some(seed)).await;
        assert_eq!(found.len(), expected.len(), "seed {seed}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "seed {seed}");
        }
    }
}

// In four, so that they run beside each other.

#[tokio::test]
async fn three_times_and_shuffled_seeds_0_to_49() {
    seeds(0..50).await;
}

#[tokio::test]
async fn three_times_and_shuffled_seeds_50_to_99() {
    seeds(50..100).await;
}

#[tokio::test]
async fn three_times_and_shuffled_seeds_100_to_149() {
    seeds(100..150).await;
}

#[tokio::test]
async fn three_times_and_shuffled_seeds_150_to_199() {
    seeds(150..200).await;
}

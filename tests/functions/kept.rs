//! Orgs and documents that come, change, go and come back, with events twice, late, in any order and at
//! once: mirrors equal their orgs, archives the last deletion.

use std::collections::BTreeMap;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use roar_functions::fields;
use roar_functions::store::{Database, DocPath, Fields, Query, Timestamp, Value, Write};

use crate::local::{Event, LocalWorld};

const STEPS: usize = 100;
const ORGS: [&str; 5] = ["districts", "schools", "classes", "groups", "families"];
/// Collections with archives: the database, with `#` for an ID, and the group that their archives are in.
const KEPT: [(bool, &str, &str); 9] = [
    (true, "users/#", "deleted-users"),
    (true, "users/#/assignments/a", "deleted-assignments"),
    (true, "users/#/externalData/clever", "deleted-externalData"),
    (false, "users/#", "deleted-users"),
    (false, "users/#/runs/r", "deleted-runs"),
    (false, "users/#/runs/r/trials/t", "deleted-trials"),
    (false, "guests/#", "deleted-guests"),
    (false, "guests/#/runs/r", "deleted-runs"),
    (false, "guests/#/runs/r/trials/t", "deleted-trials"),
];

/// Path and fields.
type Documents = BTreeMap<String, Fields>;

struct Story {
    world: LocalWorld,
    random: TestRng,
    waiting: Vec<Event>,
    /// By whether it's the admin database's, and the path: when it was last deleted, and in which state.
    deleted: BTreeMap<(bool, String), (Timestamp, Fields)>,
}

impl Story {
    async fn begin(seed: u64) -> Story {
        let mut bytes = [1; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        Story { world: LocalWorld::start().await, random, waiting: Vec::new(), deleted: BTreeMap::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.random.next_u64() % bound as u64) as usize
    }

    fn database(&self, is_admin: bool) -> Database {
        if is_admin { self.world.admin().clone() } else { self.world.assessment().clone() }
    }

    /// Takes one to three copies of each new event.
    async fn collect(&mut self) {
        for (is_admin, store) in [(true, self.world.store.clone()), (false, self.world.assessment_store.clone())] {
            for event in store.take_events().await.expect("events") {
                let (path, time) = (event.1.path.as_str().to_owned(), event.1.time);
                if let (None, Some(before), false) =
                    (&event.1.after, &event.1.before, ORGS.iter().any(|org| path.starts_with(org)))
                {
                    let last = self.deleted.entry((is_admin, path)).or_insert_with(|| (time, before.fields.clone()));
                    if last.0 < time {
                        *last = (time, before.fields.clone());
                    }
                }
                for _ in 0..1 + self.below(3) {
                    self.waiting.push(event.clone());
                }
            }
        }
    }

    /// Some change of an org or of a document with an archive, by a client.
    fn change(&mut self) -> (Database, Write) {
        let id = format!("x{}", self.below(2));
        let goes = self.below(5) < 2;
        let (is_admin, path, fields) = if self.below(5) < 2 {
            let collection = ORGS[self.below(ORGS.len())];
            (true, format!("{collection}/{id}"), self.org())
        } else {
            let (is_admin, pattern, _) = KEPT[self.below(KEPT.len())];
            let mut fields = fields! { "n" => self.below(1000) as i64 };
            if self.below(2) == 0 {
                fields.insert("more".to_owned(), Value::Null);
            }
            (is_admin, pattern.replace('#', &id), fields)
        };
        let path = DocPath::new(path).expect("a path");
        let write = if goes { Write::delete(path) } else { Write::set(path, fields) };
        (self.database(is_admin), write)
    }

    /// Few contents, so that orgs often come back to what they were.
    fn org(&mut self) -> Fields {
        let mut org = fields! { "name" => format!("name {}", self.below(2)), "archived" => self.below(2) == 0 };
        for name in ["districtContact", "principal", "phone", "createdBy", "familyId", "tags"] {
            if self.below(3) == 0 {
                org.insert(name.to_owned(), Value::from(format!("{name} {}", self.below(2))));
            }
        }
        org
    }

    fn draw(&mut self, count: usize) -> Vec<Event> {
        let count = count.min(self.waiting.len());
        (0..count)
            .map(|_| {
                let next = self.below(self.waiting.len());
                self.waiting.swap_remove(next)
            })
            .collect()
    }

    /// Delivers a few events at once, beside a client's change.
    async fn deliver(&mut self, count: usize, change: Option<(Database, Write)>) {
        let events = self.draw(count);
        let deliveries = futures::future::join_all(events.iter().map(|event| self.world.deliver(event.clone())));
        let changing = async {
            if let Some((database, write)) = change {
                database.commit(vec![write]).await.expect("written");
            }
        };
        let (delivered, ()) = futures::future::join(deliveries, changing).await;
        self.waiting.extend(events.into_iter().zip(delivered).filter(|(_, done)| !done).map(|(event, _)| event));
        self.collect().await;
    }

    async fn run(&mut self) {
        for _ in 0..STEPS {
            match self.below(3) {
                0 => {
                    let change = self.change();
                    self.deliver(0, Some(change)).await;
                }
                1 => {
                    let (change, count) = (self.change(), 1 + self.below(3));
                    self.deliver(count, Some(change)).await;
                }
                _ => {
                    let count = 1 + self.below(3);
                    self.deliver(count, None).await;
                }
            }
        }
        loop {
            self.world.service.queue.idle().await;
            self.collect().await;
            if self.waiting.is_empty() {
                return;
            }
            let count = 1 + self.below(4);
            self.deliver(count, None).await;
        }
    }

    async fn documents(&self, is_admin: bool, query: Query) -> Documents {
        let found = self.database(is_admin).query(query).await.expect("documents");
        found.into_iter().map(|document| (document.path.as_str().to_owned(), document.fields)).collect()
    }
}

/// The rule, said once more.
fn stripped(path: &str, org: &Fields) -> Fields {
    let mut org = org.clone();
    for personal in ["districtContact", "principal", "phone", "createdBy"] {
        org.remove(personal);
    }
    if path.starts_with("families/") || (path.starts_with("groups/") && org.contains_key("familyId")) {
        org.remove("name");
    }
    org
}

async fn seeds(seeds: std::ops::Range<u64>) {
    let (mut mirrors, mut archives) = (0, 0);
    for seed in seeds {
        let mut story = Story::begin(seed).await;
        story.run().await;
        for collection in ORGS {
            let orgs = story.documents(true, Query::collection(collection)).await;
            let expected: Documents =
                orgs.into_iter().map(|(path, org)| (path.clone(), stripped(&path, &org))).collect();
            mirrors += expected.len();
            assert_eq!(story.documents(false, Query::collection(collection)).await, expected, "seed {seed}");
        }
        for is_admin in [true, false] {
            let mut kept = Documents::new();
            for (_, _, group) in KEPT.iter().filter(|(of_admin, ..)| *of_admin == is_admin) {
                kept.extend(story.documents(is_admin, Query::group(*group)).await);
            }
            let of_database = story.deleted.iter().filter(|((of_admin, _), _)| *of_admin == is_admin);
            let expected: Documents = of_database
                .map(|((_, path), (time, last))| {
                    let archive: Vec<String> = path
                        .split('/')
                        .enumerate()
                        .map(|(n, part)| if n % 2 == 0 { format!("deleted-{part}") } else { part.to_owned() })
                        .collect();
                    let mut last = last.clone();
                    last.insert("deletedAt".to_owned(), Value::Timestamp(*time));
                    (archive.join("/"), last)
                })
                .collect();
            archives += expected.len();
            assert_eq!(kept, expected, "seed {seed}, admin: {is_admin}");
        }
    }
    println!("{mirrors} mirrors, {archives} archives");
    assert!(mirrors > 100 && archives > 100, "the story is about something");
}

// In four, so that they run beside each other.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_and_goes_seeds_0_to_49() {
    seeds(0..50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_and_goes_seeds_50_to_99() {
    seeds(50..100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_and_goes_seeds_100_to_149() {
    seeds(100..150).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_and_goes_seeds_150_to_199() {
    seeds(150..200).await;
}

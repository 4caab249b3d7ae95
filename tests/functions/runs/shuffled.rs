//! Events of runs come three times and in any order: the documents end the same.

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use roar_functions::demo::play::Step;
use roar_functions::fields;
use roar_functions::store::{Fields, Value};

use super::{PA, SWR_ES, School, ago, runs, scores};
use crate::local::Event;
use crate::scenario;

/// Where the events of a scenario wait; without a seed they are delivered at once and in order.
struct Post {
    waiting: Vec<Event>,
    random: Option<TestRng>,
}

impl Post {
    fn new(seed: Option<u8>) -> Post {
        let random = seed.map(|seed| TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
        Post { waiting: Vec::new(), random }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.as_mut().map_or(0, |random| (random.next_u64() % bound.max(1) as u64) as usize)
    }

    /// After a step: takes three copies of its events, and delivers a few of those that wait.
    async fn pass(&mut self, school: &School) {
        if self.random.is_none() {
            return school.world.settle().await;
        }
        self.collect(school).await;
        for _ in 0..self.below(4) {
            self.deliver_one(school).await;
        }
    }

    async fn collect(&mut self, school: &School) {
        for event in school.world.events().await {
            self.waiting.extend([event.clone(), event.clone(), event]);
        }
    }

    async fn deliver_one(&mut self, school: &School) {
        if !self.waiting.is_empty() {
            let next = self.below(self.waiting.len());
            assert!(school.world.deliver(self.waiting.swap_remove(next)).await);
            self.collect(school).await;
        }
    }

    async fn deliver_all(&mut self, school: &School) {
        while !self.waiting.is_empty() {
            self.deliver_one(school).await;
        }
        school.settle().await;
    }
}

/// A step of a client.
enum Move {
    Play(Step),
    Put(&'static str, Fields),
    Change(&'static str, Fields),
    Delete(&'static str),
}

/// What clients do to runs and assignments, student by student, in an order that they keep.
fn moves(school: &School) -> Vec<(usize, Move)> {
    use Move::{Change, Delete, Play, Put};
    let scored = |items: i64| fields! { "scores" => scores(fields! { "numAttempted" => items }, fields! {}) };
    let done = |minutes| fields! { "completed" => true, "timeFinished" => ago(minutes) };
    let mut moves = vec![
        // One task twice; the better run is the earlier one, which ends later. The other goes.
        (0, Play(Step::Start(SWR_ES))),
        (0, Put("a", school.run("swr-es", 60, None))),
        (0, Put("b", school.run("swr-es", 50, None))),
        (0, Change("b", done(40))),
        (0, Change("a", done(30))),
        (0, Play(Step::Complete(SWR_ES))),
        (0, Delete("b")),
        // The only run goes.
        (1, Play(Step::Start(PA))),
        (1, Put("a", school.run("pa", 60, None))),
        (1, Change("a", done(30))),
        (1, Play(Step::Complete(PA))),
        (1, Delete("a")),
        // And one that no client told the assignment of.
        (2, Play(Step::Complete(SWR_ES))),
        (2, Put("a", school.run("pa", 60, Some(30)))),
        (2, Delete("a")),
        // A run goes to another task, and back.
        (3, Put("a", school.run("swr-es", 60, None))),
        (3, Put("b", school.run("swr-es", 50, None))),
        (3, Change("a", fields! { "taskId" => "pa" })),
        (3, Change("b", fields! { "taskId" => "pa" })),
        (3, Change("a", fields! { "taskId" => "swr-es" })),
        // All is done.
        (5, Put("a", school.run("swr-es", 60, Some(30)))),
        (5, Put("b", school.run("pa", 60, Some(30)))),
    ];
    // Runs overtake each other.
    for (id, items) in [("a", 2), ("b", 1), ("c", 3)] {
        let mut run = school.run("pa", 60, None);
        run.extend(scored(items));
        moves.push((4, Put(id, run)));
    }
    for (id, items) in [("a", 4), ("b", 5), ("c", 6), ("b", 9), ("a", 11), ("c", 8), ("b", 10)] {
        moves.push((4, Change(id, scored(items))));
    }
    moves
}

async fn study(school: &School, post: &mut Post) {
    for (student, step) in moves(school) {
        match step {
            Move::Play(step) => school.play(student, step).await,
            Move::Put(id, run) => school.put(student, id, run).await,
            Move::Change(id, changes) => school.change(student, id, changes).await,
            Move::Delete(id) => school.delete(student, id).await,
        }
        post.pass(school).await;
    }
    post.deliver_all(school).await;
}

/// All documents of both databases; what is empty counts as what was never there.
async fn documents(school: &School) -> Vec<(String, Fields)> {
    let mut all = school.world.documents().await;
    for (_, fields) in &mut all {
        for lists in fields.values_mut() {
            if let Value::Map(lists) = lists {
                lists.retain(|_, list| list.as_array().is_none_or(|list| !list.is_empty()));
            }
        }
        fields.retain(|_, value| *value != Value::empty_map());
    }
    for student in 0..scenario::STUDENTS {
        let runs = runs(school.world.assessment(), student).await;
        all.extend(runs.into_iter().map(|run| (format!("assessment: {}", run.path), run.fields)));
    }
    all
}

#[tokio::test]
async fn three_times_and_shuffled() {
    let run = async |seed| {
        let school = School::open().await;
        study(&school, &mut Post::new(seed)).await;
        (documents(&school).await, school.id)
    };
    let (expected, id) = run(None).await;
    for seed in 0..60 {
        let (found, same) = run(Some(seed)).await;
        assert_eq!((found.len(), same), (expected.len(), id.clone()), "seed {seed}");
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "seed {seed}");
        }
    }
}

//! Whole histories: random steps of people, with events that come late, twice and in any order, and tasks
//! that run whenever they like. Whenever all has come to rest, the documents must be what the rules say.
//!
//! A history that fails is cut down to the shortest that still does, and printed as a story.

mod model;
mod story;

use std::time::{Duration, Instant};

use proptest::prelude::prop;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use story::{Stage, Step, steps};

/// Histories of a test, and steps of a history.
const HISTORIES: u32 = 80;
const STEPS: usize = 60;
/// Histories on the Firestore emulator.
const ON_EMULATOR: usize = 4;

async fn live(history: &[Step]) -> Result<(), String> {
    let mut stage = Stage::set_up().await;
    for step in history.iter().chain([&Step::Rest]) {
        if stage.take(step).await {
            let complaints = model::look(&stage).await.0;
            if !complaints.is_empty() {
                return Err(format!("after {} steps: {}", stage.clock, complaints.join("\n")));
            }
        }
    }
    Ok(())
}

/// A history of people's steps on the emulator, which delivers their events by itself.
async fn live_on_emulator(history: &[Step]) {
    let mut stage = Stage::set_up_on_emulator().await;
    for step in history {
        stage.take(step).await;
    }
    let began = Instant::now();
    loop {
        let complaints = model::look(&stage).await.0;
        if complaints.is_empty() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{}\n{history:#?}", complaints.join("\n"));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_on_the_emulator() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for _ in 0..ON_EMULATOR {
        let steps = prop::collection::vec(steps(), STEPS);
        live_on_emulator(&steps.new_tree(&mut runner).expect("a history").current()).await;
    }
}

/// The shortest part of a failing history that still fails: whatever can be left out is.
async fn shortest(mut history: Vec<Step>) -> Vec<Step> {
    let mut size = history.len() / 2;
    while size > 0 {
        let mut from = 0;
        while from < history.len() {
            let mut shorter = history.clone();
            shorter.drain(from..history.len().min(from + size));
            if live(&shorter).await.is_err() {
                history = shorter;
            } else {
                from += size;
            }
        }
        size /= 2;
    }
    history
}

async fn histories(seed: u8) {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for number in 0..HISTORIES {
        let steps = prop::collection::vec(steps(), STEPS);
        let history = steps.new_tree(&mut runner).expect("a history").current();
        if live(&history).await.is_err() {
            let short = shortest(history).await;
            let story: Vec<String> = short.iter().map(|step| format!("  {step:?}")).collect();
            let why = live(&short).await.expect_err("it fails every time");
            panic!("history {number} of seed {seed}: {why}\nThe story:\n{}", story.join("\n"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_end_as_the_rules_say_1() {
    histories(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_end_as_the_rules_say_2() {
    histories(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_end_as_the_rules_say_3() {
    histories(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_end_as_the_rules_say_4() {
    histories(4).await;
}

//! Whole histories: random steps of people, with events that come late, twice and in any order, and tasks
//! that run whenever they like. Whenever all has come to rest, the documents must be what the rules say.
//!
//! A history that fails is cut down to the shortest that still does, and printed as a story.

pub mod hostile;
mod model;
mod story;

use firebase_emulators::eventually;
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
    if history.iter().any(|step| matches!(step, Step::Hostile(_))) {
        hostile::enrol(&stage).await;
    }
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
    eventually(async || {
        let complaints = model::look(&stage).await.0;
        if complaints.is_empty() { Ok(()) } else { Err(format!("{}\n{history:#?}", complaints.join("\n"))) }
    })
    .await;
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
    all(seed, steps).await;
}

async fn all<S: Strategy<Value = Step>>(seed: u8, steps: impl Fn() -> S) {
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

/// Reads that a hostile step may cause, on the average of a history: its own event, and its part in every sync.
const READS_OF_AN_ACT: u64 = 60;

/// Hostile people change nothing for others. `live` looks at all of these.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_with_hostile_people_1() {
    all(21, hostile::steps).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_with_hostile_people_2() {
    all(22, hostile::steps).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_with_hostile_people_3() {
    all(23, hostile::steps).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_with_hostile_people_4() {
    all(24, hostile::steps).await;
}

/// What histories cost with hostile people in them, and what they cost where these do nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hostile_people_cost() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[31; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut acts, mut with, mut without) = (0, 0, 0);
    for _ in 0..HISTORIES / 2 {
        let steps = prop::collection::vec(hostile::steps(), STEPS);
        let history = steps.new_tree(&mut runner).expect("a history").current();
        let is_act = |step: &&Step| matches!(step, Step::Hostile(_));
        acts += history.iter().filter(is_act).count() as u64;
        let quiet: Vec<Step> = history.iter().filter(|step| !is_act(step)).cloned().collect();
        for (history, reads) in [(&history, &mut with), (&quiet, &mut without)] {
            let mut stage = Stage::set_up().await;
            hostile::enrol(&stage).await;
            let before = hostile::spent(&stage);
            for step in history.iter().chain([&Step::Rest]) {
                stage.take(step).await;
            }
            *reads += (hostile::spent(&stage) - before).reads;
        }
    }
    assert!(with <= without + acts * READS_OF_AN_ACT, "{with} reads with {acts} acts, {without} without");
}

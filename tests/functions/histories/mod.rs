//! Whole histories: random steps of people, with events that come late, twice and in any order, and tasks
//! that run whenever they like. Whenever all has come to rest, the documents must be what the rules say.
//!
//! A history that fails is cut down to the shortest that still does, and printed as a story.

mod model;
mod story;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use story::{Stage, Step, steps};

/// Histories of a test, and steps of a history.
const HISTORIES: u32 = 100;
const STEPS: usize = 60;

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

fn histories(seed: u8) {
    let config = Config { cases: HISTORIES, max_shrink_iters: 1500, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let outcome = runner.run(&prop::collection::vec(steps(), STEPS), |history| {
        runtime.block_on(live(&history)).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, history)) => {
            let story: Vec<String> = history
                .iter()
                .filter(|step| !matches!(step, Step::Nothing))
                .map(|step| format!("  {step:?}"))
                .collect();
            panic!("{why}\nThe story:\n{}", story.join("\n"));
        }
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

#[test]
fn histories_end_as_the_rules_say_1() {
    histories(1);
}

#[test]
fn histories_end_as_the_rules_say_2() {
    histories(2);
}

#[test]
fn histories_end_as_the_rules_say_3() {
    histories(3);
}

#[test]
fn histories_end_as_the_rules_say_4() {
    histories(4);
}

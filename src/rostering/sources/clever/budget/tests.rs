use std::sync::Arc;

use jiff::Timestamp;
use reqwest::header::HeaderName;

use super::*;
use crate::context::{CountingIds, ManualClock, SystemRandom};

/// The second that it is, by the clock that stands still.
const NOW: i64 = 1_000_000;

fn budget(limit: u32) -> Budget {
    let clock = ManualClock::at(Timestamp::from_second(NOW).unwrap());
    let context =
        Context { clock: Arc::new(clock), ids: Arc::new(CountingIds::default()), random: Arc::new(SystemRandom) };
    Budget::new(context, limit, Duration::from_secs(120))
}

fn headers(fields: &[(&str, String)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
}

fn window(left: u32, ends_in: i64) -> HeaderMap {
    headers(&[("X-RateLimit-Remaining", left.to_string()), ("X-RATELIMIT-RESET", (NOW + ends_in).to_string())])
}

/// How long the next leave takes; its request is answered at once.
async fn wait(budget: &Budget) -> u64 {
    let began = Instant::now();
    drop(budget.leave().await);
    began.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_left_to_all() {
    let budget = budget(100);
    // Four are on their way when the first answer says that three are left: some may not be counted in it.
    let mut leaves = Vec::new();
    for _ in 0..4 {
        leaves.push(budget.leave().await);
    }
    budget.note(&window(5, 30));
    drop(leaves);
    assert_eq!([wait(&budget).await, wait(&budget).await], [0, 0]);
    assert_eq!(wait(&budget).await, 30);
}

#[tokio::test(start_paused = true)]
async fn answers_that_were_overtaken_are_ignored() {
    let budget = budget(100);
    let leave = budget.leave().await;
    budget.note(&window(0, 30));
    // Of the same window: nothing comes back. Of an older one: that's over.
    budget.note(&window(9, 30));
    budget.note(&window(9, 10));
    drop(leave);
    assert_eq!(wait(&budget).await, 30);
    // A new window is a new budget.
    let leave = budget.leave().await;
    budget.note(&window(1, 60));
    drop(leave);
    assert_eq!(wait(&budget).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_holds_everybody_up() {
    let limited = |fields: &[(&str, i64)]| {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.to_string())).collect();
        headers(&fields)
    };
    for (fields, waits) in [
        (limited(&[("x-ratelimit-reset", NOW + 20)]), Some(20)),
        (limited(&[("retry-after", 25)]), Some(25)),
        (limited(&[("x-ratelimit-reset", NOW + 20), ("retry-after", 25)]), Some(25)),
        // The window has ended by our clock: the usual pause will do.
        (limited(&[("x-ratelimit-reset", NOW - 20)]), Some(0)),
        // Nobody says: a window is a minute, and there are some attempts.
        (limited(&[]), Some(15)),
        (limited(&[("x-ratelimit-reset", NOW + 121)]), None),
        (limited(&[("retry-after", 121)]), None),
        (headers(&[("x-ratelimit-reset", "soon".to_owned()), ("retry-after", "-1".to_owned())]), Some(15)),
        (headers(&[("x-ratelimit-reset", "1e300".to_owned())]), None),
        (headers(&[("retry-after", "NaN".to_owned())]), Some(15)),
    ] {
        let budget = budget(100);
        assert_eq!(budget.refused(&fields).map(|wait| wait.as_secs()), waits, "{fields:?}");
        assert_eq!(wait(&budget).await, waits.unwrap_or(0), "{fields:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lower_limit_is_taken_over() {
    let budget = budget(100);
    drop(budget.leave().await);
    budget.note(&headers(&[("x-ratelimit-limit", "2".to_owned())]));
    // Nonsense isn't.
    for limit in ["0", "-1", "many", "1000"] {
        budget.note(&headers(&[("x-ratelimit-limit", limit.to_owned())]));
    }
    assert_eq!([wait(&budget).await, wait(&budget).await, wait(&budget).await], [0, 60, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_never_ends_is_not_waited_for() {
    let budget = budget(100);
    let leave = budget.leave().await;
    budget.note(&window(0, 1_000_000_000));
    drop(leave);
    assert_eq!(wait(&budget).await, 60);
}

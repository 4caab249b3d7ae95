//! How often a token may be used.
//!
//! Clever takes 1,200 requests a minute of each token, in a window whose start nobody tells in advance. So no more
//! than that are made in *any* minute; and where Clever says how many are left until when, that counts too, for
//! somebody else may be using the token.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use crate::context::Context;

/// The length of Clever's window.
const MINUTE: Duration = Duration::from_secs(60);

/// How long to wait after a refusal that doesn't say how long.
const UNTOLD: Duration = Duration::from_secs(15);

/// The rate limit of one token: which requests may be made when. All users of a token share its budget.
pub(super) struct Budget {
    context: Context,
    longest_wait: Duration,
    /// Requests wait in line: only the first looks at the clock.
    line: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    /// Requests in any minute.
    limit: usize,
    /// When requests of the last minute were made.
    made: VecDeque<Instant>,
    /// Requests without an answer yet.
    in_flight: u32,
    /// No request before that.
    held_until: Option<Instant>,
    /// Clever's window, as it said last.
    window: Option<Window>,
}

#[derive(Clone, Copy)]
struct Window {
    /// The window's key: its reset time on Clever's clock, in seconds.
    reset: f64,
    ends: Instant,
    left: u32,
}

/// A permit for one request, held until its answer has come.
pub(super) struct Leave<'a>(&'a Budget);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.state.lock().in_flight -= 1;
    }
}

impl Budget {
    pub(super) fn new(context: Context, limit: u32, longest_wait: Duration) -> Budget {
        let state =
            State { limit: limit.max(1) as usize, made: VecDeque::new(), in_flight: 0, held_until: None, window: None };
        Budget { context, longest_wait, line: tokio::sync::Mutex::new(()), state: Mutex::new(state) }
    }

    /// Waits until a request may be made. A future that's dropped loses its place in line.
    pub(super) async fn leave(&self) -> Leave<'_> {
        let _first_in_line = self.line.lock().await;
        loop {
            // The lock isn't kept while waiting.
            let taken = self.state.lock().take(Instant::now());
            match taken {
                Ok(()) => return Leave(self),
                Err(until) => tokio::time::sleep_until(until).await,
            }
        }
    }

    /// Learns the rate limit from an answer's headers.
    pub(super) fn note(&self, headers: &HeaderMap) {
        let told = Told::read(headers);
        let mut state = self.state.lock();
        if let Some(limit) = told.limit.filter(|limit| *limit > 0) {
            state.limit = state.limit.min(limit as usize);
        }
        let (Some(left), Some(reset)) = (told.remaining, told.reset) else { return };
        let ends = Instant::now() + until(reset, &self.context).min(MINUTE);
        state.window = match state.window {
            // An answer that was overtaken.
            Some(window) if window.reset > reset => Some(window),
            // Those made since aren't counted in the answer, but here.
            Some(window) if window.reset == reset => Some(Window { left: left.min(window.left), ..window }),
            // Nor are others that are on their way.
            _ => Some(Window { reset, ends, left: left.saturating_sub(state.in_flight.saturating_sub(1)) }),
        };
    }

    /// Learns from a refusal (429) how long to make no request, and gives that time. `None` when it's longer than we
    /// are to wait.
    pub(super) fn refused(&self, headers: &HeaderMap) -> Option<Duration> {
        let wait = wait_of(headers, &self.context);
        if wait > self.longest_wait {
            return None;
        }
        let until = Instant::now() + wait;
        let mut state = self.state.lock();
        state.held_until = state.held_until.max(Some(until));
        Some(wait)
    }
}

/// How long it is until then, by our clock. A window that has ended already is none.
fn until(reset: f64, context: &Context) -> Duration {
    let now = context.now().as_millisecond() as f64 / 1000.0;
    Duration::try_from_secs_f64((reset - now).max(0.0)).unwrap_or(Duration::MAX)
}

/// How long a refusal (429) says to wait.
pub(super) fn wait_of(headers: &HeaderMap, context: &Context) -> Duration {
    let told = Told::read(headers);
    match told.reset {
        Some(reset) => until(reset, context).max(told.retry_after),
        // Within the attempts that there are, the window ends.
        None => told.retry_after.max(UNTOLD),
    }
}

impl State {
    /// Counts a request, or says until when none may be made.
    fn take(&mut self, now: Instant) -> Result<(), Instant> {
        if let Some(until) = self.held_until.filter(|until| *until > now) {
            return Err(until);
        }
        self.held_until = None;
        while self.made.front().is_some_and(|made| *made + MINUTE <= now) {
            self.made.pop_front();
        }
        if self.made.len() >= self.limit {
            // That many made one minute are too many still: the one that has to age is the limit's.
            return Err(self.made[self.made.len() - self.limit] + MINUTE);
        }
        if let Some(window) = self.window.as_mut().filter(|window| window.ends > now) {
            window.left = window.left.checked_sub(1).ok_or(window.ends)?;
        }
        self.made.push_back(now);
        self.in_flight += 1;
        Ok(())
    }
}

/// What an answer's headers say of the rate limit. Only the reset is documented, and none is sure to come.
struct Told {
    limit: Option<u32>,
    remaining: Option<u32>,
    reset: Option<f64>,
    retry_after: Duration,
}

impl Told {
    fn read(headers: &HeaderMap) -> Told {
        Told {
            limit: number(headers, "x-ratelimit-limit").map(|limit| limit as u32),
            remaining: number(headers, "x-ratelimit-remaining").map(|left| left as u32),
            reset: number(headers, "x-ratelimit-reset"),
            retry_after: retry_after(headers),
        }
    }
}

/// `Retry-After` in seconds; nothing when it's a date or isn't there.
pub(super) fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = number(headers, RETRY_AFTER.as_str()).unwrap_or(0.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

fn number(headers: &HeaderMap, name: &str) -> Option<f64> {
    let text = headers.get(name)?.to_str().ok()?;
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests;

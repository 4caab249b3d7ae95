//! The faults that a fake Clever can simulate.

use std::collections::VecDeque;
use std::time::Duration;

use super::roster::scramble;

/// A fault in the answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Status 429; the rate limit's window ends after this time.
    RateLimited(Duration),
    /// An answer with this status: for 413 and from 502 on with a page of HTML, as proxies send; else with a message.
    Status(u16),
    /// The answer is delayed by this time.
    Slow(Duration),
    /// The connection breaks in the middle of the body.
    Cut,
    /// The body ends in the middle, but the connection closes as after a complete answer.
    Truncated,
    /// A page of HTML with status 200.
    Html,
    /// The list is empty, as if there were no records.
    Empty,
    /// All tokens are replaced before the request is handled: the old ones become invalid, and new ones can be fetched.
    Replaced,
    /// All tokens are refused, though tokens can still be fetched, until the fake Clever recovers.
    Revoked,
}

impl Fault {
    /// Transient faults: a client that retries often enough gets the right answer.
    pub const PASSING: [Fault; 9] = [
        Fault::RateLimited(Duration::from_secs(1)),
        Fault::Status(500),
        Fault::Status(502),
        Fault::Status(503),
        Fault::Slow(Duration::from_millis(1500)),
        Fault::Cut,
        Fault::Cut,
        Fault::Truncated,
        Fault::Html,
    ];
}

/// The faults that are planned, and those that happen at random.
#[derive(Default)]
pub(super) struct Faults {
    /// The planned faults, each with the path prefix of the one request to which it applies.
    queue: VecDeque<(String, Fault)>,
    random: Option<Random>,
    /// Whether all tokens are refused.
    pub(super) are_revoked: bool,
    /// How many requests had a fault.
    pub(super) happened: u64,
}

struct Random {
    /// The faults from which one is chosen.
    faults: Vec<Fault>,
    seed: u64,
    per_mille: u64,
    /// The limit of consecutive requests that fail.
    at_most: u32,
    in_row: u32,
    made: u64,
}

impl Faults {
    pub(super) fn add(&mut self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        self.queue.extend(faults.into_iter().map(|fault| (path.to_owned(), fault)));
    }

    pub(super) fn at_random(&mut self, faults: Vec<Fault>, seed: u64, per_mille: u64, at_most: u32) {
        self.random = Some(Random { faults, seed, per_mille, at_most, in_row: 0, made: 0 });
    }

    pub(super) fn clear(&mut self) {
        *self = Faults { happened: self.happened, ..Faults::default() };
    }

    /// The fault of the next request for this path, if any.
    pub(super) fn next(&mut self, path: &str) -> Option<Fault> {
        let fault = self.choose(path);
        self.happened += u64::from(fault.is_some());
        fault
    }

    fn choose(&mut self, path: &str) -> Option<Fault> {
        if let Some(place) = self.queue.iter().position(|(prefix, _)| path.starts_with(prefix.as_str())) {
            return self.queue.remove(place).map(|(_, fault)| fault);
        }
        let random = self.random.as_mut()?;
        random.made += 1;
        let dice = scramble(random.seed ^ random.made.wrapping_mul(0xa076_1d64_78bd_642f));
        if dice % 1000 >= random.per_mille || random.in_row >= random.at_most {
            random.in_row = 0;
            return None;
        }
        random.in_row += 1;
        let place = scramble(dice) % random.faults.len().max(1) as u64;
        random.faults.get(place as usize).cloned()
    }
}

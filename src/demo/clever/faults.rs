//! What goes wrong at Clever, on demand.

use std::collections::VecDeque;
use std::time::Duration;

use super::roster::scramble;

/// What goes wrong with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429; the window ends after that time.
    RateLimited(Duration),
    /// That status: with a page of HTML from 502 on and with 413, as proxies have it, else with a message.
    Status(u16),
    /// The answer comes after that time.
    Slow(Duration),
    /// The connection breaks in the middle of the body.
    Cut,
    /// The body ends in the middle, as if that were all.
    Truncated,
    /// A page of HTML with status 200.
    Html,
    /// The list is empty, as if there were nothing.
    Empty,
    /// All tokens are replaced before the request is looked at: those in use are taken no more, others can be fetched.
    Replaced,
    /// No token is taken any more, though they can be fetched as ever; until nothing fails any more.
    Revoked,
}

impl Fault {
    /// Failures that pass: whoever asks again often enough gets the right answer.
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

/// What is to go wrong.
#[derive(Default)]
pub(super) struct Faults {
    /// Of requests whose paths begin so, one each.
    queue: VecDeque<(String, Fault)>,
    random: Option<Random>,
    /// No token is taken.
    pub(super) are_revoked: bool,
    /// How often something went wrong.
    pub(super) happened: u64,
}

struct Random {
    /// What there is to choose from.
    faults: Vec<Fault>,
    seed: u64,
    per_mille: u64,
    /// How many requests may fail in a row.
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

    /// What goes wrong with a request for that path.
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

//! Rate limits for calls without a sign-in, by address.
//!
//! Signed-in callers aren't limited here, because many of them may share one address (a school, say). Addresses are
//! kept in memory for as long as they matter, about a minute, and never logged.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;

use super::address;
use super::registry::Registry;

/// The default limit in calls a minute and address, which may all come at once.
pub const CALLS_A_MINUTE: NonZeroU32 = NonZeroU32::new(120).unwrap();

/// How many addresses a limit counts separately (about 4 MiB). While so many have called within the last minute, all
/// further ones are counted as one, so that a flood of addresses takes no more memory.
const MOST_ADDRESSES: usize = 100_000;
/// The least time between two sweeps that make room for new addresses: a sweep looks at every address.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The limit for callers who aren't signed in.
#[derive(Clone, Debug)]
pub struct SignedOut {
    /// Calls a minute and address; `None` for no limit.
    pub calls_a_minute: Option<NonZeroU32>,
    /// How many proxies in front append to `X-Forwarded-For`.
    pub trusted_proxies: usize,
    /// Measures the time in which limits are refilled.
    pub stopwatch: Stopwatch,
}

impl SignedOut {
    /// No limit but those of single functions.
    pub fn unlimited() -> Self {
        SignedOut { calls_a_minute: None, ..SignedOut::default() }
    }
}

impl Default for SignedOut {
    fn default() -> Self {
        SignedOut { calls_a_minute: Some(CALLS_A_MINUTE), trusted_proxies: 0, stopwatch: Stopwatch::start() }
    }
}

/// A monotonic clock: the time since it was started.
#[derive(Clone)]
pub struct Stopwatch(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Stopwatch {
    /// A stopwatch that starts now.
    pub fn start() -> Self {
        let started = Instant::now();
        Stopwatch::new(move || started.elapsed())
    }

    /// A stopwatch that shows what `elapsed` returns, for tests.
    pub fn new(elapsed: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Stopwatch(Arc::new(elapsed))
    }
}

impl fmt::Debug for Stopwatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Stopwatch({:?})", self.now())
    }
}

impl Clock for Stopwatch {
    type Instant = Duration;

    fn now(&self) -> Duration {
        (self.0)()
    }
}

/// Too many calls: the next one is admitted after that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany(pub Duration);

/// All limits of a runtime.
pub(super) struct Limits {
    general: Option<Limit>,
    /// Limits of single functions, by name.
    own: HashMap<&'static str, Limit>,
    trusted_proxies: usize,
}

impl Limits {
    pub fn new<S>(settings: &SignedOut, registry: &Registry<S>) -> Self {
        let limit = |calls| Limit::new(calls, settings.stopwatch.clone());
        let own = registry.iter().filter_map(|function| Some((function.name, limit(function.signed_out_limit?))));
        Limits {
            general: settings.calls_a_minute.map(limit),
            own: own.collect(),
            trusted_proxies: settings.trusted_proxies,
        }
    }

    /// Counts a call of that function without a signed-in caller. Fails when a limit is exceeded.
    pub fn admit(&self, function: &str, headers: &HeaderMap, peer: Option<SocketAddr>) -> Result<(), TooMany> {
        let address = address::client(headers, peer.map(|peer| peer.ip()), self.trusted_proxies);
        let mut limits = self.own.get(function).into_iter().chain(&self.general);
        limits.try_for_each(|limit| limit.admit(address))
    }

    /// Forgets addresses whose limit is full again.
    pub fn upkeep(&self) {
        for limit in self.own.values().chain(&self.general) {
            limit.governor.retain_recent();
            limit.governor.shrink_to_fit();
        }
    }
}

/// What calls are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum LimitKey {
    Network(IpAddr),
    /// All addresses beyond [`MOST_ADDRESSES`], and callers without one.
    Others,
}

struct Limit {
    // `HashMap`'s hasher has a random key, so that nobody can choose colliding addresses.
    governor: RateLimiter<LimitKey, HashMapStateStore<LimitKey>, Stopwatch, NoOpMiddleware<Duration>>,
    stopwatch: Stopwatch,
    most: usize,
    swept: Mutex<Duration>,
}

impl Limit {
    fn new(calls_a_minute: NonZeroU32, stopwatch: Stopwatch) -> Self {
        let governor = RateLimiter::hashmap_with_clock(Quota::per_minute(calls_a_minute), stopwatch.clone());
        Limit { governor, most: MOST_ADDRESSES, swept: Mutex::new(stopwatch.now()), stopwatch }
    }

    fn admit(&self, address: Option<IpAddr>) -> Result<(), TooMany> {
        let who = match address {
            Some(address) if self.has_room() => LimitKey::Network(address::network(address)),
            _ => LimitKey::Others,
        };
        let refused = |until: governor::NotUntil<Duration>| TooMany(until.wait_time_from(self.stopwatch.now()));
        self.governor.check_key(&who).map_err(refused)
    }

    fn has_room(&self) -> bool {
        if self.governor.len() < self.most {
            return true;
        }
        let mut swept = self.swept.lock();
        let now = self.stopwatch.now();
        if now.saturating_sub(*swept) >= SWEEP_INTERVAL {
            *swept = now;
            self.governor.retain_recent();
        }
        self.governor.len() < self.most
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limit(calls: u32, clock: &FakeRelativeClock) -> Limit {
        let clock = clock.clone();
        Limit::new(NonZeroU32::new(calls).unwrap(), Stopwatch::new(move || clock.now().into()))
    }

    fn address(number: u32) -> Option<IpAddr> {
        Some(Ipv4Addr::from_bits(number).into())
    }

    fn admitted(limit: &Limit, address: Option<IpAddr>, calls: usize) -> usize {
        (0..calls).filter(|_| limit.admit(address).is_ok()).count()
    }

    #[test]
    fn an_address_has_its_calls_at_once_and_gets_them_back_bit_by_bit() {
        let clock = FakeRelativeClock::default();
        let limit = limit(4, &clock);
        assert_eq!(admitted(&limit, address(1), 10), 4);
        assert_eq!(limit.admit(address(1)), Err(TooMany(Duration::from_secs(15))));
        // Another's calls are its own.
        assert_eq!(admitted(&limit, address(2), 1), 1);
        clock.advance(Duration::from_secs(14));
        assert_eq!(limit.admit(address(1)), Err(TooMany(Duration::from_secs(1))));
        clock.advance(Duration::from_secs(1));
        assert_eq!(admitted(&limit, address(1), 10), 1);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(admitted(&limit, address(1), 10), 4);
    }

    #[test]
    fn who_has_no_address_shares_what_others_share() {
        let clock = FakeRelativeClock::default();
        let limit = limit(2, &clock);
        assert_eq!(admitted(&limit, None, 10), 2);
        assert_eq!(admitted(&limit, address(1), 10), 2);
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_than_its_room() {
        let clock = FakeRelativeClock::default();
        let limit = Limit { most: 1000, ..limit(2, &clock) };
        // All at once: there's no room after the first thousand, and the rest shares two calls.
        assert_eq!((0..50_000).filter(|number| limit.admit(address(*number)).is_ok()).count(), 1002);
        assert_eq!(limit.governor.len(), 1001);
        // An address that was counted separately before is counted with the others now: a flood evades no limit.
        assert_eq!(admitted(&limit, address(1), 10), 0);
        // Two minutes later all of them have their calls again, so they're forgotten.
        clock.advance(Duration::from_secs(120));
        assert_eq!(admitted(&limit, address(60_000), 10), 2);
        assert_eq!(limit.governor.len(), 1);
        // A flood that lasts an hour.
        for number in 0..360_000 {
            clock.advance(Duration::from_millis(10));
            let _ = limit.admit(address(number));
            assert!(limit.governor.len() <= 1001);
        }
    }

    #[test]
    fn upkeep_forgets_who_has_all_calls_again() {
        let clock = FakeRelativeClock::default();
        let limits = Limits { general: Some(limit(120, &clock)), own: HashMap::new(), trusted_proxies: 0 };
        let general = limits.general.as_ref().unwrap();
        for number in 0..10_000 {
            general.admit(address(number)).unwrap();
        }
        assert_eq!(admitted(general, address(1), 200), 119);
        limits.upkeep();
        assert_eq!(general.governor.len(), 10_000);
        clock.advance(Duration::from_secs(30));
        limits.upkeep();
        // Only the one that has called often is still worth a memory.
        assert_eq!(general.governor.len(), 1);
        assert_eq!(admitted(general, address(1), 200), 60);
        clock.advance(Duration::from_secs(61));
        limits.upkeep();
        assert!(general.governor.is_empty());
    }
}

//! How often an address may call without being signed in.
//!
//! LimitKey is signed in is never limited: a school's children come from one address. Addresses are kept in memory for as
//! long as they matter, a minute or so, and never logged.

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

/// How many calls a minute an address may make by default, at once or spread.
pub const CALLS_A_MINUTE: NonZeroU32 = NonZeroU32::new(120).unwrap();

/// How many addresses a limit keeps apart: about 4 MiB. Those that come when so many have called within the last
/// minute share one allowance, so that a flood of addresses costs no more memory than that.
const MOST_ADDRESSES: usize = 100_000;
/// The least time between two sweeps for want of room: a sweep looks at every address.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The limit for callers who aren't signed in.
#[derive(Clone, Debug)]
pub struct SignedOut {
    /// Calls a minute and address; `None` for any number.
    pub calls_a_minute: Option<NonZeroU32>,
    /// How many proxies in front append to `X-Forwarded-For`.
    pub trusted_proxies: usize,
    /// What time is taken from.
    pub stopwatch: Stopwatch,
}

impl SignedOut {
    /// No limit but what functions ask for.
    pub fn unlimited() -> Self {
        SignedOut { calls_a_minute: None, ..SignedOut::default() }
    }
}

impl Default for SignedOut {
    fn default() -> Self {
        SignedOut { calls_a_minute: Some(CALLS_A_MINUTE), trusted_proxies: 0, stopwatch: Stopwatch::start() }
    }
}

/// The time that has passed since some moment. It never goes back, as the wall clock may.
#[derive(Clone)]
pub struct Stopwatch(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Stopwatch {
    /// One that starts now.
    pub fn start() -> Self {
        let started = Instant::now();
        Stopwatch::new(move || started.elapsed())
    }

    /// One that a test moves.
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

/// Too many calls; there will be room again after that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany(pub Duration);

/// All limits of a runtime.
pub(super) struct Limits {
    general: Option<Limit>,
    /// Of functions that ask for one of their own.
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

    /// Counts a call without a signed-in caller, of that function; refuses the ones too many.
    pub fn admit(&self, function: &str, headers: &HeaderMap, peer: Option<SocketAddr>) -> Result<(), TooMany> {
        let address = address::client(headers, peer.map(|peer| peer.ip()), self.trusted_proxies);
        let mut limits = self.own.get(function).into_iter().chain(&self.general);
        limits.try_for_each(|limit| limit.admit(address))
    }

    /// Forgets addresses that have all their calls again.
    pub fn upkeep(&self) {
        for limit in self.own.values().chain(&self.general) {
            limit.governor.retain_recent();
            limit.governor.shrink_to_fit();
        }
    }
}

/// LimitKey is counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum LimitKey {
    Network(IpAddr),
    /// Everybody for whom there's no room, and who has no address.
    Others,
}

struct Limit {
    // `HashMap`'s own hasher is keyed at random: nobody can choose addresses that collide.
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
        // LimitKey was there before is among the others meanwhile: nobody evades the limit by making room scarce.
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

//! What handlers take from the machine they run on: the time, new IDs and random numbers. No other module of the crate
//! reads the wall clock or makes random numbers (clippy's `disallowed-methods` sees to that), so that tests can replace
//! all three.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use rand::RngExt;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Makes document IDs.
pub trait Ids: Send + Sync + 'static {
    /// A new ID of 20 letters and digits, as Firestore's clients make them.
    fn document_id(&self) -> String;
}

/// Makes random numbers, which spread retries.
pub trait Random: Send + Sync + 'static {
    /// A whole number from 0 to `most`, both included.
    fn up_to(&self, most: u64) -> u64;
}

/// The clock, the source of IDs and that of random numbers. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes document IDs.
    pub ids: Arc<dyn Ids>,
    /// Makes random numbers.
    pub random: Arc<dyn Random>,
}

impl Context {
    /// The machine's clock, random IDs and random numbers.
    pub fn system() -> Self {
        Context { clock: Arc::new(SystemClock), ids: Arc::new(RandomIds), random: Arc::new(SystemRandom) }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new document ID.
    pub fn document_id(&self) -> String {
        self.ids.document_id()
    }
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it's moved.
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn at(start: Timestamp) -> Self {
        ManualClock(AtomicI64::new(start.as_microsecond()))
    }

    /// Moves the clock on.
    pub fn advance(&self, by: SignedDuration) {
        self.0.fetch_add(by.as_micros() as i64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Random IDs, 20 characters of 62: about 119 bits.
pub struct RandomIds;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

impl Ids for RandomIds {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that makes random IDs")]
    fn document_id(&self) -> String {
        let mut random = rand::rng();
        (0..20).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
    }
}

/// IDs that count up, for tests: `test0000000000000001`, …
#[derive(Default)]
pub struct CountingIds(AtomicU64);

impl Ids for CountingIds {
    fn document_id(&self) -> String {
        format!("test{:016}", self.0.fetch_add(1, Ordering::SeqCst) + 1)
    }
}

/// The machine's random numbers. Code that holds a [`Context`] uses that one's instead.
#[derive(Clone, Copy, Debug)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that makes random numbers")]
    fn up_to(&self, most: u64) -> u64 {
        rand::rng().random_range(0..=most)
    }
}

/// Always the same share of what is asked for, from 0.0 to 1.0, for tests.
#[derive(Clone, Copy, Debug)]
pub struct FixedRandom(pub f64);

impl Random for FixedRandom {
    fn up_to(&self, most: u64) -> u64 {
        ((most as f64 * self.0.clamp(0.0, 1.0)) as u64).min(most)
    }
}

//! How long to wait before something that failed is tried again.
//!
//! Pauses grow with the number of failures, up to a longest one, and are partly random: clients that failed at the same
//! moment, for the same reason, must not all come back at the same moment.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::context::Random;

/// How much of a pause is random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// All of it: anything from zero to the full pause. Spreads best where many contend for one thing.
    Full,
    /// The second half: never shorter than half of the pause, for services that need time to recover.
    Equal,
    /// That many percent of the pause (100 at most), more or less. Such a pause may exceed [`Backoff::longest`] by as
    /// much.
    PlusMinus(u32),
}

/// Exponential backoff with jitter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure, before jitter.
    pub first: Duration,
    /// The pause beyond which none grows, before jitter.
    pub longest: Duration,
    /// What each pause is multiplied by to make the next one.
    pub growth: u32,
    /// How much of a pause is random.
    pub jitter: Jitter,
}

impl Backoff {
    /// Pauses that double from `first` to `longest`, of which the second half is random.
    pub const fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, growth: 2, jitter: Jitter::Equal }
    }

    /// The same pauses with another kind of jitter.
    pub const fn with_jitter(self, jitter: Jitter) -> Backoff {
        Backoff { jitter, ..self }
    }

    /// The pause after that many failures in a row (zero counts as one), with its random part from `random`.
    pub fn pause(&self, failures: u32, random: &dyn Random) -> Duration {
        let (least, most) = self.bounds(failures).into_inner();
        let spread = u64::try_from((most - least).as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(random.up_to(spread))
    }

    /// As [`Backoff::pause`], but no shorter than `least`: what a server asks for with Retry-After.
    pub fn pause_at_least(&self, failures: u32, least: Duration, random: &dyn Random) -> Duration {
        self.pause(failures, random).max(least)
    }

    /// The shortest and the longest that [`Backoff::pause`] may be after that many failures in a row.
    pub fn bounds(&self, failures: u32) -> RangeInclusive<Duration> {
        let factor = self.growth.checked_pow(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        let pause = self.first.saturating_mul(factor).min(self.longest);
        match self.jitter {
            Jitter::Full => Duration::ZERO..=pause,
            Jitter::Equal => pause / 2..=pause,
            Jitter::PlusMinus(percent) => {
                let part = (pause / 100).saturating_mul(percent.min(100));
                pause - part..=pause.saturating_add(part)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::context::{FixedRandom, SystemRandom};

    const LEAST: FixedRandom = FixedRandom(0.0);
    const MOST: FixedRandom = FixedRandom(1.0);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let backoff = Backoff::new(millis(200), Duration::from_secs(60));
        for (failures, least, most) in
            [(0, 100, 200), (1, 100, 200), (2, 200, 400), (5, 1600, 3200), (9, 25_600, 51_200)]
        {
            assert_eq!(backoff.pause(failures, &LEAST), millis(least), "{failures}");
            assert_eq!(backoff.pause(failures, &MOST), millis(most), "{failures}");
        }
        for failures in [10, 100, u32::MAX] {
            assert_eq!(backoff.bounds(failures), millis(30_000)..=millis(60_000), "{failures}");
        }
        let slow = Backoff { growth: 1, ..backoff };
        assert_eq!(slow.bounds(50), millis(100)..=millis(200));
        let quick = Backoff { growth: 10, ..backoff };
        assert_eq!(quick.bounds(3), millis(10_000)..=millis(20_000));
    }

    #[test]
    fn jitter_is_of_three_kinds() {
        let pauses = |jitter| {
            let backoff = Backoff::new(millis(1000), millis(8000)).with_jitter(jitter);
            [&LEAST, &FixedRandom(0.5), &MOST].map(|random| backoff.pause(2, random).as_millis())
        };
        assert_eq!(pauses(Jitter::Full), [0, 1000, 2000]);
        assert_eq!(pauses(Jitter::Equal), [1000, 1500, 2000]);
        assert_eq!(pauses(Jitter::PlusMinus(20)), [1600, 2000, 2400]);
        assert_eq!(pauses(Jitter::PlusMinus(500)), [0, 2000, 4000], "no pause is negative");
    }

    #[test]
    fn no_pause_is_shorter_than_a_server_asks_for() {
        let backoff = Backoff::new(millis(200), millis(800));
        assert_eq!(backoff.pause_at_least(1, millis(3000), &MOST), millis(3000));
        assert_eq!(backoff.pause_at_least(1, millis(50), &LEAST), millis(100));
        assert_eq!(backoff.pause_at_least(1, Duration::ZERO, &MOST), millis(200));
    }

    proptest! {
        #[test]
        fn pauses_keep_their_bounds_which_only_grow(
            first in 0_u64..1 << 40, longest in 0_u64..1 << 50, growth in 1_u32..20, failures in any::<u32>(),
            kind in 0_u32..3, percent in 0_u32..200, share in 0.0..=1.0,
        ) {
            let jitter = [Jitter::Full, Jitter::Equal, Jitter::PlusMinus(percent)][kind as usize];
            let (first, longest) = (Duration::from_micros(first), Duration::from_micros(longest));
            let backoff = Backoff { first, longest, growth, jitter };
            let bounds = backoff.bounds(failures);
            for random in [&SystemRandom as &dyn Random, &FixedRandom(share)] {
                prop_assert!(bounds.contains(&backoff.pause(failures, random)));
            }
            prop_assert!(*bounds.end() <= longest.saturating_mul(2));
            let next = backoff.bounds(failures.saturating_add(1));
            prop_assert!(next.start() >= bounds.start() && next.end() >= bounds.end());
        }
    }
}

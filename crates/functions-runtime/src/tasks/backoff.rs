//! How long a task that failed waits.

use std::time::Duration;

use document_store::context::jitter;

/// Exponential backoff with jitter.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub first: Duration,
    /// The longest wait after any.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { first: Duration::from_millis(200), longest: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// The wait after that many failures in a row: between half of the ceiling and all of it, so that
    /// tasks that failed together don't come back together.
    pub fn delay(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let ceiling = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = u64::try_from(ceiling.as_millis() / 2).unwrap_or(u64::MAX);
        Duration::from_millis(half + jitter(half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff::default();
        for (failures, least, most) in [(1, 100, 200), (2, 200, 400), (5, 1600, 3200), (9, 25_600, 51_200)] {
            let delay = backoff.delay(failures);
            assert!(Duration::from_millis(least) <= delay && delay <= Duration::from_millis(most), "{failures}");
        }
        for failures in [10, 100, u32::MAX] {
            assert!(backoff.delay(failures) <= backoff.longest);
            assert!(backoff.delay(failures) >= backoff.longest / 2);
        }
    }
}

//! What the syncs of this process do and did, in numbers.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::report::{Counts, Kind, Phase, Progress, Report};

/// The syncs of this process: those under way, and what came of the others.
#[derive(Default)]
pub struct Tally {
    /// Progress by the IDs of their runs; none before a run follows its sync.
    live: Mutex<HashMap<String, Option<watch::Receiver<Progress>>>>,
    ended: Mutex<Ended>,
}

#[derive(Default)]
struct Ended {
    runs: BTreeMap<(&'static str, &'static str), u64>,
    records: BTreeMap<(&'static str, Kind), Counts>,
}

/// How far the syncs under way are, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// How many there are.
    pub runs: u64,
    /// Records that they have gone through.
    pub done: u64,
    /// Records that they expect, where that's known.
    pub expected: u64,
}

impl Tally {
    /// A run begins.
    pub fn begin(&self, run: &str) {
        self.live.lock().insert(run.to_owned(), None);
    }

    /// The progress of a run that has begun.
    pub fn follow(&self, run: &str, progress: watch::Receiver<Progress>) {
        self.live.lock().insert(run.to_owned(), Some(progress));
    }

    /// A run is no longer under way here.
    pub fn gone(&self, run: &str) {
        self.live.lock().remove(run);
    }

    /// True while a run is under way here.
    pub fn is_live(&self, run: &str) -> bool {
        self.live.lock().contains_key(run)
    }

    /// Counts a run of a provider's roster that has ended, and what it came to.
    pub fn ended(&self, provider: &'static str, phase: Phase, report: &Report) {
        let mut ended = self.ended.lock();
        // Some of it isn't as it should be, and somebody has to look.
        let is_incomplete = phase == Phase::Done && !report.is_right();
        let outcome = if is_incomplete { "incomplete" } else { phase.name() };
        *ended.runs.entry((provider, outcome)).or_default() += 1;
        for (kind, counts) in &report.counts {
            ended.records.entry((provider, *kind)).or_default().add(counts);
        }
    }

    /// The syncs under way.
    pub fn under_way(&self) -> UnderWay {
        let live = self.live.lock();
        let mut all = UnderWay { runs: live.len() as u64, ..UnderWay::default() };
        for progress in live.values().flatten() {
            let progress = progress.borrow();
            all.done += progress.done;
            all.expected += progress.total.unwrap_or(0);
        }
        all
    }

    /// How many syncs ended, by provider and by what they ended as.
    pub fn runs(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.ended.lock().runs.iter().map(|((provider, outcome), runs)| (*provider, *outcome, *runs)).collect()
    }

    /// How many records the syncs that ended went through, by provider and kind.
    pub fn records(&self) -> Vec<(&'static str, &'static str, u64)> {
        let ended = self.ended.lock();
        ended.records.iter().map(|((provider, kind), counts)| (*provider, kind.plural(), counts.done())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_are_counted_while_they_go_on_and_when_they_end() {
        let tally = Tally::default();
        let (first, progress) = watch::channel(Progress { done: 5, total: Some(10), ..Progress::default() });
        tally.begin("a");
        tally.begin("b");
        tally.follow("a", progress);
        assert_eq!(tally.under_way(), UnderWay { runs: 2, done: 5, expected: 10 });
        first.send_modify(|progress| progress.done = 9);
        assert_eq!(tally.under_way().done, 9);
        let of = |failed| {
            let counts = Counts { created: 3, unchanged: 4, failed, ..Counts::default() };
            let mut report = Report::default();
            *report.of(Kind::Users) = counts;
            report
        };
        tally.ended("clever", Phase::Done, &of(0));
        tally.ended("clever", Phase::Done, &of(0));
        tally.ended("clever", Phase::Done, &of(1));
        tally.ended("clever", Phase::Failed, &Report::default());
        tally.gone("a");
        assert!(tally.is_live("b") && !tally.is_live("a"));
        assert_eq!(tally.under_way(), UnderWay { runs: 1, ..UnderWay::default() });
        assert_eq!(tally.runs(), [("clever", "done", 2), ("clever", "failed", 1), ("clever", "incomplete", 1)]);
        assert_eq!(tally.records(), [("clever", "users", 22)]);
    }
}

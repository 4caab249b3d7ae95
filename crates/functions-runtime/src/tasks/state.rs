//! The state of a queue: which tasks are ready, run, or wait. Without I/O and clock, so that its rules are easy to
//! test.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::StoredTask;
use super::attempt::{Attempt, AttemptEnd};

/// How many ready tasks are kept in memory. More stay in the store until there is room.
pub const ROOM: usize = 1000;

/// What the queue knows of its tasks.
#[derive(Default)]
pub struct QueueState {
    entries: HashMap<String, Entry>,
    ready: VecDeque<String>,
    due: BTreeSet<(Instant, String)>,
    running: usize,
    /// The store may hold tasks that aren't in `entries`.
    pub unread: bool,
    /// A task was left in the store after the current reading began, so the store must be read once more.
    missed: bool,
    /// The store is being read.
    pub reading: bool,
    /// No further attempt is begun.
    pub stopping: bool,
}

struct Entry {
    known: Option<StoredTask>,
    attempts: u32,
    failures: u32,
    phase: Phase,
}

enum Phase {
    Ready,
    Running { renewed: Arc<AtomicBool>, woken: bool },
    Waiting { until: Instant, may_wake: bool },
}

impl QueueState {
    /// Notes that a task was handed in. One that runs is run once more afterwards; one that waits is run now.
    pub fn announce(&mut self, id: String, task: StoredTask) {
        let Some(entry) = self.entries.get_mut(&id) else {
            if self.ready.len() >= ROOM {
                self.unread = true;
                self.missed = true;
            } else {
                self.insert(id, Some(task));
            }
            return;
        };
        entry.known = None;
        match &entry.phase {
            Phase::Ready => {}
            Phase::Running { renewed, .. } => renewed.store(true, Ordering::SeqCst),
            Phase::Waiting { .. } => self.make_ready(&id),
        }
    }

    /// Notes that a task was found in the store. False when there's no room for it in memory.
    pub fn found(&mut self, id: String) -> bool {
        if self.entries.contains_key(&id) {
            return true;
        }
        if self.ready.len() >= ROOM {
            return false;
        }
        // The document may have changed since it was found: the attempt reads it again.
        self.insert(id, None);
        true
    }

    fn insert(&mut self, id: String, known: Option<StoredTask>) {
        self.ready.push_back(id.clone());
        self.entries.insert(id, Entry { known, attempts: 0, failures: 0, phase: Phase::Ready });
    }

    /// Notes that all stored tasks were read. True when the store must be read once more from the start.
    pub fn read_through(&mut self) -> bool {
        self.unread = std::mem::take(&mut self.missed);
        self.unread
    }

    /// True when the store is to be read for further tasks.
    pub fn wants_reading(&self) -> bool {
        self.unread && !self.reading && !self.stopping && self.ready.len() <= ROOM / 2
    }

    /// Ends the wait of a task that asked to be run later.
    pub fn wake(&mut self, id: &str) {
        match self.entries.get_mut(id).map(|entry| &mut entry.phase) {
            Some(Phase::Running { woken, .. }) => *woken = true,
            Some(Phase::Waiting { may_wake: true, .. }) => self.make_ready(id),
            _ => {}
        }
    }

    fn make_ready(&mut self, id: &str) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if let Phase::Waiting { until, .. } = entry.phase {
            self.due.remove(&(until, id.to_owned()));
        }
        entry.phase = Phase::Ready;
        self.ready.push_back(id.to_owned());
    }

    /// The next attempt to begin, if one is ready.
    pub fn next(&mut self, now: Instant) -> Option<Attempt> {
        while let Some((until, id)) = self.due.first().cloned()
            && until <= now
        {
            self.due.remove(&(until, id.clone()));
            self.make_ready(&id);
        }
        let id = self.ready.pop_front()?;
        self.begin(id)
    }

    /// Begins an attempt at the task of that ID, whether it's known or not; `None` while it runs.
    pub fn claim(&mut self, id: &str) -> Option<Attempt> {
        match self.entries.get(id).map(|entry| &entry.phase) {
            Some(Phase::Running { .. }) => return None,
            Some(Phase::Waiting { .. }) => self.make_ready(id),
            Some(Phase::Ready) => {}
            None => self.insert(id.to_owned(), None),
        }
        self.ready.retain(|ready| ready != id);
        self.begin(id.to_owned())
    }

    fn begin(&mut self, id: String) -> Option<Attempt> {
        let entry = self.entries.get_mut(&id)?;
        entry.attempts = entry.attempts.saturating_add(1);
        let renewed = Arc::new(AtomicBool::new(false));
        entry.phase = Phase::Running { renewed: renewed.clone(), woken: false };
        self.running += 1;
        Some(Attempt { id, known: entry.known.take(), number: entry.attempts, renewed, trace: None })
    }

    /// Notes how an attempt ended. `delay` is the pause after that many failures in a row.
    pub fn ended(&mut self, id: &str, end: AttemptEnd, now: Instant, delay: impl FnOnce(u32) -> Duration) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        let Phase::Running { renewed, woken } = &entry.phase else { return };
        let (renewed, woken) = (renewed.load(Ordering::SeqCst), *woken);
        self.running -= 1;
        let wait = match end {
            _ if renewed => {
                entry.failures = 0;
                None
            }
            AttemptEnd::Done | AttemptEnd::Gone | AttemptEnd::Unknown => {
                self.entries.remove(id);
                return;
            }
            AttemptEnd::Later(delay) => {
                entry.failures = 0;
                (!woken).then_some((delay, true))
            }
            AttemptEnd::Failed => {
                entry.failures = entry.failures.saturating_add(1);
                Some((delay(entry.failures), false))
            }
        };
        match wait {
            None => {
                entry.phase = Phase::Ready;
                self.ready.push_back(id.to_owned());
            }
            Some((delay, may_wake)) => {
                // At most a day, so that the sum can't overflow.
                let until = now + delay.min(Duration::from_secs(86_400));
                entry.phase = Phase::Waiting { until, may_wake };
                self.due.insert((until, id.to_owned()));
            }
        }
    }

    /// Forgets a task, which a remote queue takes care of.
    pub fn forget(&mut self, id: &str) {
        if let Some(entry) = self.entries.remove(id)
            && matches!(entry.phase, Phase::Running { .. })
        {
            self.running -= 1;
        }
    }

    /// When the next waiting task is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(until, _)| *until)
    }

    /// How many attempts are under way.
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many tasks are known, with one more when the store may hold others.
    pub fn pending(&self) -> usize {
        self.entries.len() + usize::from(self.unread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_delay(_: u32) -> Duration {
        panic!("nothing failed")
    }

    fn announce(state: &mut QueueState, id: &str) {
        let task = StoredTask { function: "work".to_owned(), version: 1, payload: Default::default() };
        state.announce(id.to_owned(), task);
    }

    fn started(state: &mut QueueState, now: Instant) -> Vec<String> {
        std::iter::from_fn(|| state.next(now)).map(|attempt| attempt.id).collect()
    }

    #[test]
    fn tasks_run_in_the_order_they_came_and_never_twice_at_once() {
        let (mut state, now) = (QueueState::default(), Instant::now());
        for id in ["b", "a", "b", "c"] {
            announce(&mut state, id);
        }
        assert_eq!(started(&mut state, now), ["b", "a", "c"]);
        announce(&mut state, "a");
        assert!(state.found("b".to_owned()));
        assert!(state.claim("c").is_none());
        assert_eq!(started(&mut state, now), [""; 0]);
        for id in ["a", "b", "c"] {
            state.ended(id, AttemptEnd::Done, now, no_delay);
        }
        // Handed in again while it ran: it runs once more.
        let again = state.next(now).unwrap();
        assert_eq!((again.id.as_str(), again.number, again.known), ("a", 2, None));
        state.ended("a", AttemptEnd::Gone, now, no_delay);
        assert_eq!((state.pending(), state.running()), (0, 0));
    }

    #[test]
    fn a_later_task_waits_until_it_is_due_or_woken() {
        let (mut state, now) = (QueueState::default(), Instant::now());
        let hour = Duration::from_secs(3600);
        announce(&mut state, "a");
        assert_eq!(started(&mut state, now), ["a"]);
        state.ended("a", AttemptEnd::Later(hour), now, no_delay);
        assert_eq!(state.next_due(), Some(now + hour));
        assert_eq!(started(&mut state, now), [""; 0]);
        assert_eq!(started(&mut state, now + hour), ["a"]);
        state.ended("a", AttemptEnd::Later(hour), now, no_delay);
        state.wake("a");
        assert_eq!(started(&mut state, now), ["a"]);
        // A wake during the attempt isn't lost.
        state.wake("a");
        state.ended("a", AttemptEnd::Later(hour), now, no_delay);
        assert_eq!(started(&mut state, now), ["a"]);
        assert_eq!(state.next_due(), None);
    }

    #[test]
    fn a_failed_task_waits_its_backoff_whoever_wakes_it() {
        let (mut state, now) = (QueueState::default(), Instant::now());
        announce(&mut state, "a");
        for failures in 1..=3 {
            assert_eq!(started(&mut state, now + Duration::from_secs(1)), ["a"]);
            state.ended("a", AttemptEnd::Failed, now, |counted| {
                assert_eq!(counted, failures);
                Duration::from_secs(1)
            });
            state.wake("a");
            assert_eq!(started(&mut state, now), [""; 0]);
        }
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_forgotten() {
        let (mut state, now) = (QueueState::default(), Instant::now());
        for number in 0..ROOM + 10 {
            announce(&mut state, &number.to_string());
        }
        assert_eq!(state.pending(), ROOM + 1);
        assert!(!state.wants_reading());
        assert!(!state.found("another".to_owned()));
        assert_eq!(started(&mut state, now).len(), ROOM);
        assert!(state.wants_reading());
        assert!(state.read_through(), "what was left out must be looked for again");
        assert!(!state.read_through());
        assert!(!state.wants_reading());
    }
}

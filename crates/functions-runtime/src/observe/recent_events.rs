//! Recognises events that are delivered again.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use parking_lot::Mutex;

/// How many events are remembered: 2 MiB or so.
const MOST: usize = 65_536;

/// The last events that this process received, by which it recognises repeated ones. For metrics only: handlers must
/// recognise a repeated event by what is in the store.
#[derive(Default)]
pub struct RecentEvents {
    hasher: RandomState,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl RecentEvents {
    /// Remembers an event of a function. True when the event was remembered before.
    pub fn again(&self, function: &str, id: &str) -> bool {
        let event = self.hasher.hash_one((function, id));
        let mut memory = self.memory.lock();
        if !memory.known.insert(event) {
            return true;
        }
        memory.order.push_back(event);
        if memory.order.len() > MOST
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.known.remove(&oldest);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_known_by_function_and_id_until_many_others_came() {
        let seen = RecentEvents::default();
        assert!(!seen.again("a", "1"));
        assert!(!seen.again("b", "1"), "one change sets off several functions");
        assert!(seen.again("a", "1"));
        for number in 0..MOST {
            seen.again("c", &number.to_string());
        }
        assert!(!seen.again("a", "1"));
        let memory = seen.memory.lock();
        assert_eq!((memory.known.len(), memory.order.len()), (MOST, MOST));
    }
}

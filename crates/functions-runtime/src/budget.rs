//! Budgets of signed-in callers: billed database operations a minute, as a token bucket for each.
//!
//! The cost of a call is known only when it has ended, so a caller may overdraw the budget, and the next call is
//! refused. Each call under way reserves a small part of the budget and returns what it didn't need: that bounds how
//! many calls can begin before the first has ended.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use governor::clock::Clock as _;
use parking_lot::Mutex;

use super::function::Caller;
use super::limits::{Stopwatch, TooMany};
use document_store::Cost;

/// The default budget in operations a minute. (A sign-in may cost five.)
pub const OPERATIONS: NonZeroU32 = NonZeroU32::new(2_000).unwrap();
/// The default budget, in operations a minute, of callers whose rights raise it: those who administer others, whose
/// pages read several hundred documents.
pub const RAISED_OPERATIONS: NonZeroU32 = NonZeroU32::new(60_000).unwrap();

/// How many calls of one caller may be under way before any has ended: each reserves this part of the budget.
pub const UNDER_WAY: u32 = 10;
/// The same where their rights raise the budget: pages for administrators ask for much at once.
pub const RAISED_UNDER_WAY: u32 = 40;
/// How many callers have a balance of their own (about 16 MiB). Further ones share one.
const MOST_CALLERS: usize = 100_000;
/// The least time between two sweeps that make room for new callers: a sweep looks at every balance.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
const MINUTE: f64 = 60.0;

/// The budgets of callers: billed operations of the databases (reads, writes, deletes) a minute.
#[derive(Clone, Debug)]
pub struct Budgets {
    /// Of callers in general; `None` for no limit.
    pub plain: Option<NonZeroU32>,
    /// Of callers whose rights raise it; `None` for no limit.
    pub raised: Option<NonZeroU32>,
    /// Measures the time in which budgets are refilled.
    pub stopwatch: Stopwatch,
}

impl Budgets {
    /// No limit for anybody.
    pub fn unlimited() -> Self {
        Budgets { plain: None, raised: None, stopwatch: Stopwatch::start() }
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Budgets { plain: Some(OPERATIONS), raised: Some(RAISED_OPERATIONS), stopwatch: Stopwatch::start() }
    }
}

/// Where a handler says whether its caller's rights raise the budget. The claims of the token, which may be outdated,
/// don't decide that.
#[derive(Clone, Debug, Default)]
pub struct Allowance(Arc<AtomicU8>);

/// Values of an [`Allowance`] that was set.
const PLAIN: u8 = 1;
const RAISED: u8 = 2;

impl Allowance {
    /// Says whether the caller's rights raise the budget.
    pub fn set(&self, raised: bool) {
        self.0.store(if raised { RAISED } else { PLAIN }, Ordering::Relaxed);
    }

    fn get(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            PLAIN => Some(false),
            RAISED => Some(true),
            _ => None,
        }
    }
}

/// Whose balance it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum BudgetHolder {
    Caller {
        project: String,
        uid: String,
    },
    /// All callers beyond [`MOST_CALLERS`].
    Others,
}

/// What is left of a budget: `left` operations at the time `at`.
#[derive(Clone, Copy, Debug)]
struct Balance {
    left: f64,
    at: Duration,
    raised: bool,
}

/// The balances of all callers.
pub(super) struct BudgetLedger {
    budgets: Budgets,
    most: usize,
    balances: Mutex<Balances>,
}

struct Balances {
    of: HashMap<BudgetHolder, Balance>,
    swept: Duration,
}

impl BudgetLedger {
    pub fn new(budgets: Budgets) -> Self {
        let swept = budgets.stopwatch.now();
        BudgetLedger { budgets, most: MOST_CALLERS, balances: Mutex::new(Balances { of: HashMap::new(), swept }) }
    }

    /// Reserves a part of the caller's budget for a call. Fails with the time to wait when too little is left.
    pub fn admit(self: &Arc<Self>, caller: &Caller) -> Result<Reservation, TooMany> {
        let now = self.budgets.stopwatch.now();
        let mut balances = self.balances.lock();
        let holder = BudgetHolder::Caller { project: caller.project.clone(), uid: caller.uid.clone() };
        let holder = if balances.of.contains_key(&holder) || self.has_room(&mut balances, now) {
            holder
        } else {
            BudgetHolder::Others
        };
        let balance = balances.of.get(&holder).copied();
        let raised = balance.is_some_and(|balance| balance.raised);
        let allowance = Allowance::default();
        let Some(most) = self.most_of(raised) else {
            return Ok(Reservation { ledger: self.clone(), holder, held: 0.0, raised, allowance, settled: false });
        };
        let mut balance =
            balance.map_or(Balance { left: most, at: now, raised }, |balance| refilled(balance, most, now));
        let under_way = if raised { RAISED_UNDER_WAY } else { UNDER_WAY };
        let held = (most / f64::from(under_way)).max(1.0);
        if balance.left < held {
            let wait = Duration::from_secs_f64((held - balance.left) * MINUTE / most);
            balances.of.insert(holder, balance);
            return Err(TooMany(wait));
        }
        balance.left -= held;
        balances.of.insert(holder.clone(), balance);
        Ok(Reservation { ledger: self.clone(), holder, held, raised, allowance, settled: false })
    }

    fn most_of(&self, raised: bool) -> Option<f64> {
        let most = if raised { self.budgets.raised } else { self.budgets.plain };
        most.map(|most| f64::from(most.get()))
    }

    fn has_room(&self, balances: &mut Balances, now: Duration) -> bool {
        if balances.of.len() < self.most {
            return true;
        }
        if now.saturating_sub(balances.swept) >= SWEEP_INTERVAL {
            self.sweep(balances, now);
        }
        balances.of.len() < self.most
    }

    /// Forgets callers whose budget is full again.
    fn sweep(&self, balances: &mut Balances, now: Duration) {
        balances.swept = now;
        balances.of.retain(|_, balance| {
            self.most_of(balance.raised).is_some_and(|most| refilled(*balance, most, now).left < most)
        });
    }

    /// Forgets callers whose budget is full again, and frees their memory.
    pub fn upkeep(&self) {
        let mut balances = self.balances.lock();
        self.sweep(&mut balances, self.budgets.stopwatch.now());
        balances.of.shrink_to_fit();
    }

    /// Charges a call's cost, in place of the `held` that was reserved for it.
    fn settle(&self, holder: &BudgetHolder, held: f64, spent: f64, raised: Option<bool>) {
        if self.budgets.plain.is_none() && self.budgets.raised.is_none() {
            return;
        }
        let now = self.budgets.stopwatch.now();
        let mut balances = self.balances.lock();
        let known = balances.of.get(holder).copied();
        let was_raised = known.is_some_and(|balance| balance.raised);
        // Callers who share a balance have the plain budget.
        let raised = if *holder == BudgetHolder::Others { false } else { raised.unwrap_or(was_raised) };
        let (before, most) = (self.most_of(was_raised), self.most_of(raised));
        let Some(most) = most else {
            balances.of.insert(holder.clone(), Balance { left: 0.0, at: now, raised });
            return;
        };
        let mut balance = match (known, before) {
            (Some(balance), Some(before)) => refilled(balance, before, now),
            // There was no limit when the call began, or the balance was full and so forgotten.
            _ => Balance { left: before.unwrap_or(most), at: now, raised: was_raised },
        };
        balance.left += most - before.unwrap_or(most) + held - spent;
        balance.left = balance.left.min(most);
        balance.raised = raised;
        balances.of.insert(holder.clone(), balance);
    }
}

fn refilled(balance: Balance, most: f64, now: Duration) -> Balance {
    let gained = now.saturating_sub(balance.at).as_secs_f64() / MINUTE * most;
    Balance { left: (balance.left + gained).min(most), at: now, ..balance }
}

/// A part of a caller's budget, reserved for a call under way.
pub(super) struct Reservation {
    ledger: Arc<BudgetLedger>,
    holder: BudgetHolder,
    held: f64,
    raised: bool,
    allowance: Allowance,
    settled: bool,
}

impl Reservation {
    /// Where the handler says whether the caller's rights raise the budget.
    pub fn allowance(&self) -> Allowance {
        self.allowance.clone()
    }

    /// True when the caller's rights were found to raise the budget, in a call before this one.
    pub fn is_raised(&self) -> bool {
        self.raised
    }

    /// Charges what the call has cost, and ends the reservation.
    pub fn settle(mut self, cost: Cost) {
        self.settled = true;
        let spent = cost.reads.saturating_add(cost.writes).saturating_add(cost.deletes);
        self.ledger.settle(&self.holder, self.held, spent as f64, self.allowance.get());
    }
}

impl Drop for Reservation {
    /// Returns the reservation of a call that never ran.
    fn drop(&mut self) {
        if !self.settled && self.held > 0.0 {
            self.ledger.settle(&self.holder, self.held, 0.0, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn ledger(plain: u32, raised: u32, clock: &FakeRelativeClock) -> Arc<BudgetLedger> {
        let clock = clock.clone();
        let stopwatch = Stopwatch::new(move || clock.now().into());
        let budgets = Budgets { plain: NonZeroU32::new(plain), raised: NonZeroU32::new(raised), stopwatch };
        Arc::new(BudgetLedger::new(budgets))
    }

    fn caller(number: usize) -> Caller {
        Caller {
            uid: format!("u{number}"),
            project: "p".to_owned(),
            claims: Default::default(),
            sign_in: Default::default(),
        }
    }

    /// Makes a call at that cost, if it may be made.
    fn call(ledger: &Arc<BudgetLedger>, number: usize, reads: u64, raised: Option<bool>) -> Result<(), TooMany> {
        let reservation = ledger.admit(&caller(number))?;
        if let Some(raised) = raised {
            reservation.allowance().set(raised);
        }
        reservation.settle(Cost::reads(reads));
        Ok(())
    }

    fn seconds(wait: Result<(), TooMany>) -> u64 {
        wait.unwrap_err().0.as_secs_f64().round() as u64
    }

    #[test]
    fn a_dear_call_is_made_good_by_those_after_it() {
        let clock = FakeRelativeClock::default();
        let ledger = ledger(400, 4000, &clock);
        assert_eq!(call(&ledger, 1, 1000, None), Ok(()));
        // 600 are owed, and forty are held for a call: at 400 a minute.
        assert_eq!(seconds(call(&ledger, 1, 0, None)), 96);
        assert_eq!(call(&ledger, 2, 1, None), Ok(()), "another's budget is their own");
        clock.advance(Duration::from_secs(60));
        assert_eq!(seconds(call(&ledger, 1, 0, None)), 36);
        clock.advance(Duration::from_secs(37));
        assert_eq!(call(&ledger, 1, 0, None), Ok(()));
        // Whatever waits, no more than a minute's budget comes together.
        clock.advance(Duration::from_secs(3600));
        assert_eq!(call(&ledger, 1, 395, None), Ok(()));
        assert!(call(&ledger, 1, 0, None).is_err());
    }

    #[test]
    fn no_more_begin_than_could_be_paid_for() {
        let clock = FakeRelativeClock::default();
        let ledger = ledger(400, 4000, &clock);
        let mut under_way: Vec<Reservation> = (0..100).filter_map(|_| ledger.admit(&caller(1)).ok()).collect();
        assert_eq!(under_way.len(), 10);
        // One that ends makes room for another, as far as it has cost nothing; and so does one that never began.
        under_way.pop().unwrap().settle(Cost::reads(5));
        assert!(ledger.admit(&caller(1)).is_err());
        drop(under_way.pop());
        assert!(ledger.admit(&caller(1)).is_ok());
    }

    #[test]
    fn rights_raise_the_budget_from_the_first_call_on_and_as_long_as_they_last() {
        let clock = FakeRelativeClock::default();
        let ledger = ledger(400, 4000, &clock);
        assert_eq!(call(&ledger, 1, 3000, Some(true)), Ok(()));
        assert_eq!(call(&ledger, 1, 850, Some(true)), Ok(()));
        assert_eq!(call(&ledger, 1, 60, Some(true)), Ok(()));
        assert!(call(&ledger, 1, 1, None).is_err());
        clock.advance(Duration::from_secs(60));
        assert_eq!(call(&ledger, 1, 0, Some(false)), Ok(()), "the rights are gone");
        assert_eq!(call(&ledger, 1, 400, None), Ok(()));
        assert!(call(&ledger, 1, 1, None).is_err());
    }

    #[test]
    fn none_is_kept_where_there_is_none() {
        let clock = FakeRelativeClock::default();
        let ledger = ledger(0, 0, &clock);
        for _ in 0..100 {
            assert_eq!(call(&ledger, 1, 1_000_000, Some(true)), Ok(()));
        }
        ledger.upkeep();
        assert!(ledger.balances.lock().of.is_empty());
        // Only those without rights have one.
        let ledger = self::ledger(400, 0, &clock);
        for _ in 0..3 {
            assert_eq!(call(&ledger, 1, 1_000_000, Some(true)), Ok(()));
        }
        assert_eq!(call(&ledger, 2, 1_000_000, Some(false)), Ok(()));
        assert!(call(&ledger, 2, 0, None).is_err());
    }

    #[test]
    fn a_flood_of_callers_takes_no_more_than_its_room() {
        let clock = FakeRelativeClock::default();
        let budgets = ledger(400, 4000, &clock).budgets.clone();
        let ledger = Arc::new(BudgetLedger { most: 100, ..BudgetLedger::new(budgets) });
        let admitted = (0..10_000).filter(|number| call(&ledger, *number, 100, Some(true)).is_ok()).count();
        assert!((100..=105).contains(&admitted), "{admitted}");
        assert_eq!(ledger.balances.lock().of.len(), 101);
        clock.advance(Duration::from_secs(600));
        ledger.upkeep();
        assert!(ledger.balances.lock().of.is_empty());
    }
}

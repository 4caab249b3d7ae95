//! What somebody says of pairs that wait: they are one person, or they aren't.
//!
//! A pair is marked once its merge is done, and a merge that was cut short goes on where it was. So whatever is asked for
//! again does the rest, and only that. At any time, a page of pairs is in memory and a few merges are under way.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;
use tokio::time::Instant;

use super::{Double, count_waiting, waiting};
use crate::app::App;
use crate::documents::doubles::{self as pairs, State, is_waiting, pair_path};
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::user_path;
use crate::documents::user_claims;
use crate::merging::{MergeError, Merged, merge};
use crate::orgs::{OrgLists, OrgType};
use crate::payload::Id;
use crate::rights::Claims;
use crate::store::{DocPath, Precondition, Query, StoreError, Write};

/// Merges that are under way at the same time: each is of other users.
const AT_ONCE: usize = 4;
/// How many pairs that couldn't be merged an answer names. All are counted.
const NAMED: usize = 500;

/// What is said of which pairs.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The roster's district.
    pub district: &'a str,
    /// Pairs that are one person.
    pub confirm: &'a [String],
    /// All pairs that wait are, unsure ones aside ([`Double::is_unsure`]).
    pub confirm_all: bool,
    /// Pairs that are two people. They aren't shown again.
    pub reject: &'a [String],
    /// Do it; else say what it would come to.
    pub apply: bool,
    /// Who says so, for records.
    pub by: &'a str,
    /// The rights of who says so: pairs that these don't cover are left alone. Operators have all.
    pub rights: Option<&'a Claims>,
    /// How long it may take. What isn't done by then waits for the next time.
    pub limit: Duration,
}

/// A pair that waits still, though it was confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Undecided {
    /// The pair.
    #[schemars(with = "Id")]
    pub pair: String,
    /// Why, for people.
    pub why: String,
}

/// What it came to, or would come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Decided {
    /// It's done; else it's only shown.
    pub applied: bool,
    /// Pairs that are one user now.
    pub confirmed: u64,
    /// Pairs that aren't shown again.
    pub rejected: u64,
    /// Pairs of which a user isn't there any more.
    pub gone: u64,
    /// Pairs that were left out of all: several who were known may be the person, or no name agrees.
    pub unsure: u64,
    /// Pairs that couldn't be merged, and wait still.
    pub failed: u64,
    /// The first of them.
    pub failures: Vec<Undecided>,
    /// Assignments that go over.
    pub assignments: u64,
    /// Runs that go over.
    pub runs: u64,
    /// Accounts that sign in as nobody afterwards.
    pub accounts_given_up: u64,
    /// The time was over before the end: asked again, it does the rest.
    pub cut_short: bool,
    /// Pairs that wait now.
    pub waiting: u64,
}

/// Why nothing was decided, or not all.
#[derive(Debug, Error)]
pub enum DecideError {
    /// The field and the place in it that name no pair that waits.
    #[error("{0}[{1}] names no pair of this district that waits")]
    Unknown(&'static str, usize),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of one pair.
enum Step {
    Merged(Box<Merged>),
    Gone,
    Unsure,
    Failed(String),
}

/// Decides about pairs. `told` hears how many are done.
pub async fn decide(app: &App, ask: &Ask<'_>, told: &(dyn Fn(u64) + Sync)) -> Result<Decided, DecideError> {
    let until = Instant::now() + ask.limit;
    let confirmed = named(app, ask, "confirm", ask.confirm).await?;
    let rejected = named(app, ask, "reject", ask.reject).await?;
    let mut decided = Decided { applied: ask.apply, ..Decided::default() };
    for pair in &rejected {
        mark(app, ask, pair, State::Rejected).await?;
        decided.rejected += 1;
    }
    let mut done = 0;
    confirm(app, ask, &confirmed, until, &mut decided, &mut |_| {}).await?;
    let mut after: Option<String> = None;
    let mut is_over = !ask.confirm_all;
    while !is_over && !decided.cut_short {
        let page = waiting(&app.stores.admin, ask.district, after.as_deref()).await?;
        // One that's rejected at the same time waits still while it's only shown.
        let pairs = page.pairs.into_iter().filter(|pair| !ask.reject.contains(&pair.pair));
        let pairs: Vec<Double> = pairs.collect();
        confirm(app, ask, &pairs, until, &mut decided, &mut |more| {
            done += more;
            told(done);
        })
        .await?;
        is_over = page.next.is_none();
        after = page.next;
    }
    decided.waiting = count_waiting(&app.stores.admin, ask.district).await?;
    Ok(decided)
}

/// The pairs with these IDs, all of which wait.
async fn named(app: &App, ask: &Ask<'_>, field: &'static str, ids: &[String]) -> Result<Vec<Double>, DecideError> {
    let paths: Vec<DocPath> = ids.iter().map(|id| pair_path(ask.district, id)).collect::<Result<_, _>>()?;
    let found = app.stores.admin.get_all(&paths).await?;
    let pairs = found.into_iter().enumerate().map(|(place, found)| {
        let pair = found.filter(is_waiting).as_ref().and_then(Double::read);
        pair.ok_or(DecideError::Unknown(field, place))
    });
    pairs.collect()
}

async fn confirm(
    app: &App,
    ask: &Ask<'_>,
    pairs: &[Double],
    until: Instant,
    decided: &mut Decided,
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<(), DecideError> {
    let steps: Vec<_> = pairs.iter().map(|pair| in_time(app, ask, pair, until)).collect();
    let mut steps = futures::stream::iter(steps).buffer_unordered(AT_ONCE);
    while let Some(step) = steps.next().await {
        match step? {
            None => decided.cut_short = true,
            Some((pair, step)) => {
                decided.count(pair, step);
                told(1);
            }
        }
    }
    Ok(())
}

/// Confirms one pair, unless the time is over.
async fn in_time<'p>(
    app: &App,
    ask: &Ask<'_>,
    pair: &'p Double,
    until: Instant,
) -> Result<Option<(&'p Double, Step)>, StoreError> {
    if Instant::now() >= until {
        return Ok(None);
    }
    Ok(Some((pair, one(app, ask, pair).await?)))
}

impl Decided {
    fn count(&mut self, pair: &Double, step: Step) {
        match step {
            Step::Merged(merged) => {
                self.confirmed += 1;
                self.assignments += (merged.assignments_moved.len() + merged.assignments_combined.len()) as u64;
                self.runs += merged.runs;
                self.accounts_given_up += merged.accounts_given_up.len() as u64;
            }
            Step::Gone => self.gone += 1,
            Step::Unsure => self.unsure += 1,
            Step::Failed(why) => {
                self.failed += 1;
                if self.failures.len() < NAMED {
                    self.failures.push(Undecided { pair: pair.pair.clone(), why });
                }
            }
        }
    }
}

/// Confirms one pair. Fails only where the database does; what's wrong with the pair itself keeps no other back.
async fn one(app: &App, ask: &Ask<'_>, pair: &Double) -> Result<Step, StoreError> {
    if pair.is_unsure() && !ask.confirm.contains(&pair.pair) {
        return Ok(Step::Unsure);
    }
    if let Some(rights) = ask.rights
        && let Some(why) = beyond(app, rights, pair).await?
    {
        return Ok(Step::Failed(why.to_owned()));
    }
    let step = match merge(app, &pair.known, &pair.rostered, ask.apply, ask.by).await {
        Ok(merged) => Step::Merged(Box::new(merged)),
        Err(MergeError::Missing(_)) => Step::Gone,
        Err(MergeError::Refused(why)) => Step::Failed(why),
        Err(MergeError::Store(error)) if error.is_transient() => return Err(error),
        Err(error) => {
            tracing::warn!(pair = pair.pair, %error, "two users can't be merged");
            Step::Failed("Merging them failed.".to_owned())
        }
    };
    match &step {
        Step::Merged(_) => mark(app, ask, pair, State::Confirmed).await?,
        Step::Gone => mark(app, ask, pair, State::Gone).await?,
        Step::Unsure | Step::Failed(_) => {}
    }
    Ok(step)
}

/// Why a pair is beyond these rights, if it is: merging gives one of the users the orgs of the other, and their account
/// the rights of the other's.
async fn beyond(app: &App, rights: &Claims, pair: &Double) -> Result<Option<&'static str>, StoreError> {
    let ids = [pair.known.clone(), pair.rostered.clone()];
    let paths: Vec<DocPath> = ids.iter().map(|id| user_path(id)).collect::<Result<_, _>>()?;
    let mut orgs = OrgLists::new();
    for user in app.stores.admin.get_all(&paths).await?.iter().flatten() {
        orgs.extend(&current_orgs(&user.fields));
    }
    // Families are in no district, and go with their children.
    let orgs: OrgLists = orgs.iter().filter(|(org_type, _)| *org_type != OrgType::Family).collect();
    if !rights.administers_all(&orgs) {
        return Ok(Some("One of them is in an org that you don't administer. A super admin can confirm it."));
    }
    let roar_uid = format!("{}.{}", user_claims::field::CLAIMS, user_claims::field::ROAR_UID);
    let holders: Vec<Query> = user_claims::all().each_of(&roar_uid, &ids).map(|(query, _)| query).collect();
    let holders = app.stores.admin.query_each(holders).await?;
    let has_more = holders.iter().any(|holder| !rights.include(&Claims::read(holder.id(), Some(holder))));
    Ok(has_more.then_some("One of them has rights that you don't have. A super admin can confirm it."))
}

async fn mark(app: &App, ask: &Ask<'_>, pair: &Double, state: State) -> Result<(), StoreError> {
    if !ask.apply {
        return Ok(());
    }
    let fields = pairs::decided(state, ask.by, app.now());
    let write = Write::update(pair_path(ask.district, &pair.pair)?, fields).when(Precondition::Exists);
    app.stores.admin.commit(vec![write]).await.map(|_| ())
}

/// The first ID that is in both lists.
pub(super) fn in_both<'a>(confirm: &'a [String], reject: &[String]) -> Option<&'a String> {
    let reject: BTreeSet<&String> = reject.iter().collect();
    confirm.iter().find(|id| reject.contains(id))
}

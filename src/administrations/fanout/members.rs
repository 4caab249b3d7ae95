//! The members of the orgs of a phase: the queries for them, and how many are left to process.

use futures::{StreamExt, TryStreamExt};

use super::ownership::{Phase, run_key, seen_key};
use crate::app::App;
use crate::documents::administration_sync::Progress;
use crate::documents::user;
use crate::documents::user::orgs::current_path;
use crate::orgs::OrgType;
use crate::store::{FieldOp, Query, StoreError, Value};

/// Concurrent count queries.
const PARALLEL_COUNTS: usize = 8;

/// How many orgs one query for members can name: Firestore allows 30 alternatives, and each type of user multiplies
/// them.
pub fn orgs_a_query(app: &App) -> usize {
    (30 / app.settings.assigned_user_types.len().max(1)).max(1)
}

/// The query for the users of one phase who are in any of `orgs`.
pub fn members_query(app: &App, phase: Phase, orgs: &[String]) -> Query {
    let current = current_path(phase.org_type);
    let query = match orgs {
        [one] => Query::collection(user::COLLECTION).filter(&current, FieldOp::ArrayContains, one.as_str()),
        several => {
            Query::collection(user::COLLECTION).filter(&current, FieldOp::ArrayContainsAny, Value::strings(several))
        }
    };
    // Archived users are included, because they may still have assignments and a document that doesn't have the
    // `archived` field would match no query on that field. Archived users are usually in no org, so few are read.
    query.one_of(user::field::USER_TYPE, &app.settings.assigned_user_types)
}

/// Each org from `next_org` on, with how many of its members are left to process. None are left when chunks of earlier
/// phases have seen exactly as many members as the org has; otherwise all are, because somebody came or went. Whole
/// groups of orgs are counted first, and single orgs only where a group's number differs.
pub async fn members_left(
    app: &App,
    phase: Phase,
    ids: &[String],
    next_org: usize,
    progress: &Progress,
) -> Result<Vec<(String, u64)>, StoreError> {
    let size = orgs_a_query(app);
    let runs: Vec<OrgRun> = ids
        .chunks(size)
        .enumerate()
        .skip(next_org / size)
        .map(|(number, orgs)| OrgRun {
            phase,
            orgs: orgs.to_vec(),
            seen: progress.seen(&run_key(phase.flow, phase.org_type, size, number)),
            seen_each: orgs.iter().map(|id| progress.seen(&seen_key(phase.flow, phase.org_type, id))).collect(),
        })
        .collect();
    let counted: Vec<Vec<(String, u64)>> =
        futures::stream::iter(runs).map(|run| run.members_left(app)).buffered(PARALLEL_COUNTS).try_collect().await?;
    Ok(counted.into_iter().flatten().skip(next_org % size).collect())
}

/// Consecutive orgs of a phase that fit into one query.
struct OrgRun {
    phase: Phase,
    orgs: Vec<String>,
    /// How many of their members the chunks of earlier phases have processed: in total and in each org.
    seen: i64,
    seen_each: Vec<i64>,
}

impl OrgRun {
    /// Each org with how many members are left to process.
    async fn members_left(self, app: &App) -> Result<Vec<(String, u64)>, StoreError> {
        let left = |members: u64, seen: i64| if i64::try_from(members) == Ok(seen) { 0 } else { members };
        if self.seen == 0 {
            if let Some(usual) = usual_members(self.phase.org_type) {
                return Ok(self.orgs.into_iter().map(|id| (id, usual)).collect());
            }
        } else if self.orgs.len() > 1 {
            let members = app.stores.admin.count(members_query(app, self.phase, &self.orgs)).await?;
            if left(members, self.seen) == 0 {
                return Ok(self.orgs.into_iter().map(|id| (id, 0)).collect());
            }
        }
        let mut counted = Vec::with_capacity(self.orgs.len());
        for (id, seen) in self.orgs.into_iter().zip(self.seen_each) {
            let members = app.stores.admin.count(members_query(app, self.phase, std::slice::from_ref(&id))).await?;
            counted.push((id, left(members, seen)));
        }
        Ok(counted)
    }
}

/// How many members an org of a small kind usually has: good enough for packing chunks without counting.
fn usual_members(org_type: OrgType) -> Option<u64> {
    match org_type {
        OrgType::Class => Some(25),
        OrgType::Family => Some(5),
        OrgType::District | OrgType::School | OrgType::Group => None,
    }
}

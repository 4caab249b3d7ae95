//! Rights over an org include everything below it. When orgs are added or moved, the claims with rights over their
//! former or current ancestors are recomputed (docs/domain/rights.md#both-lists-of-orgs).

use std::collections::BTreeSet;

use super::ClaimsError;
use super::written::complete_lists;
use crate::app::App;
use crate::documents::user_claims;
use crate::orgs::{OrgLists, OrgType};
use crate::runtime::HandlerError;
use crate::store::{DocPath, StoreError};

/// Firestore's limit on the values of one query.
const VALUES: usize = 30;

/// Recomputes the org lists of all accounts that have rights over one of `orgs`; the events of the claims publish the
/// new lists. When no account has such rights, this costs one read for each thirty orgs of a type. False when some
/// account's claims can't be written, which is logged.
pub async fn follow_hierarchy(app: &App, orgs: &OrgLists) -> Result<bool, ClaimsError> {
    let mut queries = Vec::new();
    for org_type in OrgType::ALL {
        for ids in orgs.of(org_type).chunks(VALUES) {
            let holders = user_claims::over_any(org_type, ids);
            queries.push(holders.select(&[]));
        }
    }
    let holders = app.stores.admin.query_each(queries).await?;
    let holders: BTreeSet<_> = holders.into_iter().map(|holder| holder.path.as_str().to_owned()).collect();
    let mut are_done = true;
    for holder in holders {
        let path = DocPath::new(holder)?;
        match complete_claims(app, &path).await {
            Ok(()) => {}
            Err(HandlerError::Transient(why)) => return Err(StoreError::Unavailable(why).into()),
            Err(HandlerError::Permanent(why)) => {
                tracing::error!(uid = path.id(), why, "claims can't follow the orgs below theirs");
                are_done = false;
            }
        }
    }
    Ok(are_done)
}

/// Recomputes the org lists of one holder of rights. The event of the claims publishes them.
pub async fn complete_claims(app: &App, path: &DocPath) -> Result<(), HandlerError> {
    complete_lists(app, path, &OrgLists::new()).await
}

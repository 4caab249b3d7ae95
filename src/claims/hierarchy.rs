//! Rights over an org include what is below it. When orgs come or move, the claims that hold what they are below now, or
//! were before, are worked out anew (data-model §2.4).

use std::collections::BTreeSet;

use super::ClaimsError;
use super::written::complete_lists;
use crate::app::App;
use crate::orgs::{OrgLists, OrgType};
use crate::store::{FieldOp, Query, StoreError, Value};

/// Firestore's limit on the values of one query.
const VALUES: usize = 30;

/// Works out the lists of everybody who has rights over one of `orgs`. Their events publish them. Costs a read for
/// thirty orgs of a type where nobody has.
pub async fn follow_hierarchy(app: &App, orgs: &OrgLists) -> Result<(), ClaimsError> {
    let mut queries = Vec::new();
    for org_type in OrgType::ALL {
        for ids in orgs.of(org_type).chunks(VALUES) {
            let field = format!("claims.adminOrgs.{}", org_type.plural());
            let holders =
                Query::collection("userClaims").filter(&field, FieldOp::ArrayContainsAny, Value::strings(ids));
            queries.push(holders.select(&[]));
        }
    }
    let holders = app.stores.admin.query_each(queries).await?;
    let holders: BTreeSet<_> = holders.into_iter().map(|holder| holder.path.as_str().to_owned()).collect();
    for holder in holders {
        complete_lists(app, &crate::store::DocPath::new(holder)?, &OrgLists::new())
            .await
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
    }
    Ok(())
}

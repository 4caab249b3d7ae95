//! Removes deleted orgs from all claims: admins' pages load each org that their claims name, and fail when one is
//! missing (docs/domain/dashboard.md#claims-and-tokens).

use super::admin_orgs::{Change, ChangeError};
use super::audit::Action;
use super::publish::ClaimsError;
use crate::accounts::AccountError;
use crate::app::App;
use crate::documents::user_claims;
use crate::orgs::{OrgLists, OrgType};
use crate::runtime::{DocumentEvent, HandlerError};

/// The author that audit records name for changes that the service makes by itself.
const SERVICE: &str = "service";

/// Removes a deleted org from the claims that name it. When no claims name the org, this costs one read besides that of
/// the org.
pub async fn org_deleted(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let path = &event.change.path;
    let Some(org_type) = OrgType::parse(path.collection_id()) else {
        return Err(HandlerError::Permanent("not an org's path".to_owned()));
    };
    let holders = user_claims::over_any(org_type, &[path.id().to_owned()]);
    let holders = app.stores.admin.query(holders.select(&[])).await?;
    // The event may be late, and the org may exist again.
    if holders.is_empty() || app.stores.admin.get(path).await?.is_some() {
        return Ok(());
    }
    let orgs = OrgLists::from_iter([(org_type, path.id())]);
    for holder in holders {
        let change = Change {
            function: "removeOrgFromClaims",
            by: SERVICE,
            target: holder.id(),
            orgs: &orgs,
            action: Action::Remove,
        };
        match change.apply_to_whoever(&app).await {
            // The account or its claims were deleted concurrently.
            Err(ChangeError::NoClaims | ChangeError::Claims(ClaimsError::Account(AccountError::NotFound))) => {}
            other => {
                other.map_err(failed)?;
            }
        }
    }
    Ok(())
}

/// The store would refuse the same write again, so such errors are permanent.
fn failed(error: ChangeError) -> HandlerError {
    match error {
        ChangeError::Claims(ClaimsError::Store(error)) => HandlerError::from(error),
        error => HandlerError::Transient(error.to_string()),
    }
}

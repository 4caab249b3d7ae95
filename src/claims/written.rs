//! `mirrorCustomClaims`: the event of `userClaims` documents (docs/domain/rights.md#publication-in-two-projects).

use super::lists::{AdminOrgs, granted, snapshot, stored};
use super::publish::{ClaimsError, publish, withdraw};
use super::{Rounds, next_update};
use crate::app::App;
use crate::documents::user_claims::{claims_map, is_suspended};
use crate::fields;
use crate::orgs::OrgLists;
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{DocPath, Document, DocumentChange, FieldPath, Fields, Precondition, StoreError, Value, Write};

/// Completes the org lists that somebody wrote by hand, and publishes the claims.
///
/// Functions move `lastUpdated` with the claims they write, and write both lists complete; so only other
/// writes need the hierarchy. But all are published: a function may have died between its commit and the
/// accounts. Where the claims are gone, so are the rights they gave, also in the other project.
pub async fn written(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let change = &event.change;
    let claims_of = |document: &Option<Document>| claims_map(document.as_ref()).cloned();
    let (before, after) = (claims_of(&change.before), claims_of(&change.after));
    let Some(claims) = after else {
        if let Some(before) = before {
            let current = app.stores.admin.get(&change.path).await?;
            if claims_map(current.as_ref()).is_none() {
                let assessment_uid = before.get("assessmentUid").and_then(Value::as_str);
                withdraw(&app, change.path.id(), assessment_uid).await?;
            }
        }
        return Ok(());
    };
    let suspended = |document: &Option<Document>| document.as_ref().is_some_and(is_suspended);
    if before.as_ref() == Some(&claims) && suspended(&change.before) == suspended(&change.after) {
        return Ok(());
    }
    let held = before.unwrap_or_default();
    let lost: Vec<String> = held.keys().filter(|name| !claims.contains_key(*name)).cloned().collect();
    if is_by_hand(change, &held, &claims) {
        complete_lists(&app, &change.path, &added(&held, &claims)).await?;
    }
    publish(&app, change.path.id(), &lost).await?;
    Ok(())
}

/// True when the org lists were written by somebody else than a function: other lists, and a `lastUpdated` that
/// stays, or lists that don't fit together.
fn is_by_hand(change: &DocumentChange, before: &Fields, after: &Fields) -> bool {
    let (held, lists) = (stored(Some(before)), stored(Some(after)));
    if held.same(&lists) && change.before.is_some() {
        return false;
    }
    let moved = |document: &Option<Document>| document.as_ref().and_then(|d| d.fields.get("lastUpdated")).cloned();
    let is_moved = match (moved(&change.before), moved(&change.after)) {
        (Some(before), Some(after)) => before != after,
        _ => false,
    };
    !is_moved || !lists.minimal.difference(&lists.exhaustive.to_set()).is_empty()
}

/// The orgs that an edit added: to the exhaustive list, which gives the rights, or to the minimal one where it's
/// the only one.
fn added(before: &Fields, after: &Fields) -> OrgLists {
    let (held, lists) = (stored(Some(before)), stored(Some(after)));
    match after.get("adminOrgs") {
        Some(Value::Map(_)) => lists.exhaustive.difference(&held.exhaustive.to_set()),
        _ => lists.minimal.difference(&held.minimal.to_set()),
    }
}

/// Works out both lists from what was granted and what an edit added, as far as it's still there.
pub(super) async fn complete_lists(app: &App, path: &DocPath, added: &OrgLists) -> Result<(), HandlerError> {
    let mut rounds = Rounds::new(&app.context);
    while rounds.next().await {
        let Some(document) = app.stores.admin.get(path).await.map_err(ClaimsError::from)? else { return Ok(()) };
        let Some(claims) = claims_map(&document) else { return Ok(()) };
        let before = stored(Some(claims));
        let there: OrgLists = before.minimal.iter().chain(before.exhaustive.iter()).collect();
        let kept = match claims.get("minimalAdminOrgs") {
            // Only what was added counts where nothing was granted before.
            Some(Value::Map(_)) => before.minimal.intersection(&before.exhaustive.to_set()),
            _ => granted(Some(claims)),
        };
        let added = added.intersection(&there.to_set());
        let given: OrgLists = kept.iter().chain(added.iter()).collect();
        let orgs = AdminOrgs::of(&given, &snapshot(&app.stores.admin, &given).await?);
        if orgs.same(&before) {
            return Ok(());
        }
        orgs.check_room().map_err(ClaimsError::from)?;
        let dropped = given.difference(&orgs.exhaustive.to_set()).flatten().len();
        if dropped > 0 {
            tracing::warn!(uid = path.id(), dropped, "claims named orgs that don't exist");
        }
        let updated = next_update(Some(&document), app.now());
        let fields = fields! { "claims" => orgs.to_fields(), "lastUpdated" => updated };
        let mask = AdminOrgs::mask().into_iter().chain([FieldPath::top("lastUpdated")]).collect();
        let write = Write::merge(path.clone(), fields, mask).when(Precondition::UpdatedAt(document.update_time));
        match app.stores.admin.commit(vec![write]).await {
            Err(StoreError::Conflict(_)) => continue,
            other => return other.map(|_| ()).map_err(HandlerError::from),
        }
    }
    Err(HandlerError::Transient("the claims are changed all the time".to_owned()))
}

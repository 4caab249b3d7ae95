//! `mirrorCustomClaims`: the event of `userClaims` documents (functions §3.3).

use super::lists::{AdminOrgs, stored};
use super::next_update;
use super::publish::{ClaimsError, publish};
use crate::app::App;
use crate::fields;
use crate::orgs::{OrgLists, Reach, load_tree};
use crate::rights::claims_map;
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{DocPath, Document, FieldPath, Precondition, StoreError, Value, Write};

/// How often the lists are worked out anew when somebody changes them meanwhile.
const ATTEMPTS: usize = 5;

/// Completes the org lists that somebody wrote by hand, and publishes the claims.
///
/// Functions move `lastUpdated` with the claims they write, and write both lists complete; so only other
/// writes need the hierarchy. But all are published: a function may have died between its commit and the
/// accounts.
pub async fn written(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let change = &event.change;
    let Some(after) = &change.after else { return Ok(()) };
    let Some(claims) = claims_map(&after.fields) else { return Ok(()) };
    let before = change.before.as_ref().and_then(|before| claims_map(&before.fields));
    if before == Some(claims) {
        return Ok(());
    }
    let lost: Vec<String> = before
        .into_iter()
        .flat_map(|before| before.keys())
        .filter(|name| !claims.contains_key(*name))
        .cloned()
        .collect();
    if !is_by_function(change.before.as_ref(), after) {
        complete_lists(&app, &change.path).await?;
    }
    publish(&app, change.path.id(), &lost).await?;
    Ok(())
}

fn is_by_function(before: Option<&Document>, after: &Document) -> bool {
    let moved = |document: &Document| document.fields.get("lastUpdated").cloned();
    match (before.and_then(moved), moved(after)) {
        (Some(before), Some(after)) => before != after,
        _ => false,
    }
}

async fn complete_lists(app: &App, path: &DocPath) -> Result<(), HandlerError> {
    for _ in 0..ATTEMPTS {
        let Some(document) = app.stores.admin.get(path).await.map_err(ClaimsError::from)? else { return Ok(()) };
        let Some(claims) = claims_map(&document.fields) else { return Ok(()) };
        let before = stored(Some(claims));
        // The exhaustive list is what people edit; where there is none, the minimal one.
        let given: &OrgLists = match claims.get("adminOrgs") {
            Some(Value::Map(_)) => &before.exhaustive,
            _ => &before.minimal,
        };
        if given.is_empty() && before.minimal.is_empty() {
            return Ok(());
        }
        let tree = load_tree(&app.stores.admin, given, Reach::Down { include_archived: false }).await?;
        let orgs = AdminOrgs::of(given, &tree);
        if orgs.same(&before) {
            return Ok(());
        }
        let dropped = given.difference(&orgs.exhaustive.to_set()).flatten().len();
        if dropped > 0 {
            tracing::warn!(uid = path.id(), dropped, "claims named orgs that don't exist");
        }
        let fields = fields! { "claims" => orgs.to_fields(), "lastUpdated" => next_update(Some(&document), app.now()) };
        let mask = AdminOrgs::mask().into_iter().chain([FieldPath::top("lastUpdated")]).collect();
        let write = Write::merge(path.clone(), fields, mask).when(Precondition::UpdatedAt(document.update_time));
        match app.stores.admin.commit(vec![write]).await {
            Err(StoreError::Conflict(_)) => continue,
            other => return other.map(|_| ()).map_err(HandlerError::from),
        }
    }
    Err(HandlerError::Transient("the claims are changed all the time".to_owned()))
}

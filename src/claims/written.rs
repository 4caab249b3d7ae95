//! `mirrorCustomClaims`: the event of `userClaims` documents (docs/domain/rights.md#publication-in-two-projects).

use super::edit::{Changes, Decision, Publication, State, Target, edit};
use super::lists::{AdminOrgs, NoRoom, granted, stored};
use super::publish::{publish, withdraw};
use crate::app::App;
use crate::documents::user_claims::{self, claims_map, field, is_suspended};
use crate::orgs::OrgLists;
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{DocPath, Document, DocumentChange, Fields, Value};

/// Completes org lists that were edited by hand, and publishes the claims.
///
/// Functions write both lists complete, and change `lastUpdated` with the claims; so only other edits need the
/// hierarchy. But the claims are published after every change, because a function may have stopped between its commit
/// and the update of the accounts. When the claims document was deleted, its rights are withdrawn in both projects.
pub async fn written(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let change = &event.change;
    let claims_of = |document: &Option<Document>| claims_map(document.as_ref()).cloned();
    let (before, after) = (claims_of(&change.before), claims_of(&change.after));
    let Some(claims) = after else {
        if let Some(before) = before {
            let current = app.stores.admin.get(&change.path).await?;
            if claims_map(current.as_ref()).is_none() {
                let assessment_uid = user_claims::assessment_uid(&before);
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

/// True when the org lists weren't written by a function: the lists changed and `lastUpdated` didn't, or the lists
/// don't agree with each other.
fn is_by_hand(change: &DocumentChange, before: &Fields, after: &Fields) -> bool {
    let (held, lists) = (stored(Some(before)), stored(Some(after)));
    if held.same(&lists) && change.before.is_some() {
        return false;
    }
    let moved = |document: &Option<Document>| {
        document.as_ref().and_then(|d| d.fields.get(user_claims::field::LAST_UPDATED)).cloned()
    };
    let is_moved = match (moved(&change.before), moved(&change.after)) {
        (Some(before), Some(after)) => before != after,
        _ => false,
    };
    !is_moved || !lists.minimal.difference(&lists.exhaustive.to_set()).is_empty()
}

/// The orgs that an edit added: to the exhaustive list, which gives the rights, or to the minimal list where only that
/// is stored.
fn added(before: &Fields, after: &Fields) -> OrgLists {
    let (held, lists) = (stored(Some(before)), stored(Some(after)));
    match after.get(user_claims::field::ADMIN_ORGS) {
        Some(Value::Map(_)) => lists.exhaustive.difference(&held.exhaustive.to_set()),
        _ => lists.minimal.difference(&held.minimal.to_set()),
    }
}

/// Recomputes both lists from the granted orgs and those that an edit added, as far as the claims still hold them. The
/// document's event publishes the lists.
pub(super) async fn complete_lists(app: &App, path: &DocPath, added: &OrgLists) -> Result<(), HandlerError> {
    let covers = |document: Option<&Document>| given(claims_map(document), added);
    // The change has no author and no audit record: rights change only where orgs came or went below a granted org.
    let target = Target {
        covers: Some(&covers),
        as_read: true,
        publication: Publication::Later,
        ..Target::new("mirrorCustomClaims", "service", path.id())
    };
    let dropped = edit(app, &target, |state| completed(state, added)).await?;
    if dropped > 0 {
        tracing::warn!(uid = path.id(), dropped, "claims named orgs that don't exist");
    }
    Ok(())
}

/// The granted orgs of claims, with those that an edit added, as far as the claims still hold them.
fn given(claims: Option<&Fields>, added: &OrgLists) -> OrgLists {
    let before = stored(claims);
    let there: OrgLists = before.minimal.iter().chain(before.exhaustive.iter()).collect();
    let kept = match claims.and_then(|claims| claims.get(field::MINIMAL_ADMIN_ORGS)) {
        // Where nothing was granted before, only the added orgs count.
        Some(Value::Map(_)) => before.minimal.intersection(&before.exhaustive.to_set()),
        _ => granted(claims),
    };
    kept.iter().chain(added.intersection(&there.to_set()).iter()).collect()
}

/// Both complete lists, with the number of orgs that are dropped because they don't exist.
fn completed(state: &State<'_>, added: &OrgLists) -> Result<Decision<'static, usize>, NoRoom> {
    let Some(claims) = state.claims() else { return Ok(Decision::Keep(0)) };
    let given = given(Some(claims), added);
    let orgs = AdminOrgs::of(&given, state.tree);
    if orgs.same(&state.orgs()) {
        return Ok(Decision::Keep(0));
    }
    orgs.check_room()?;
    let dropped = given.difference(&orgs.exhaustive.to_set()).flatten().len();
    Ok(Decision::Write(Changes::of_claims(orgs.to_fields()).into(), dropped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::edit::tests::{change, document, state};
    use crate::fields;
    use crate::orgs::{Org, OrgKey, OrgTree, OrgType};

    #[test]
    fn lists_are_completed_from_what_was_granted_and_added() {
        let mut tree = OrgTree::default();
        tree.insert(OrgKey::new(OrgType::District, "d"), Org::from_fields(OrgType::District, &Fields::new()));
        let school = fields! { "districtId" => "d" };
        tree.insert(OrgKey::new(OrgType::School, "s"), Org::from_fields(OrgType::School, &school));
        let lists = |orgs: &[(OrgType, &'static str)]| orgs.iter().copied().collect::<OrgLists>();
        let district = lists(&[(OrgType::District, "d")]);
        let both = lists(&[(OrgType::District, "d"), (OrgType::School, "s")]);
        let gone = lists(&[(OrgType::District, "d"), (OrgType::School, "gone")]);
        // Both lists before, and the added orgs; the expected write, with the number of dropped orgs.
        for (minimal, exhaustive, added, expected) in [
            (&district, &district, OrgLists::new(), Some((&district, &both, 0))),
            (&district, &both, OrgLists::new(), None),
            (&gone, &gone, OrgLists::new(), Some((&district, &both, 1))),
            (&OrgLists::new(), &district, district.clone(), Some((&district, &both, 0))),
        ] {
            let held = AdminOrgs { minimal: minimal.clone(), exhaustive: exhaustive.clone() };
            let document = document(fields! { "claims" => held.to_fields() });
            let decision = completed(&state(Some(&document), &tree), &added).unwrap();
            match expected {
                None => assert_eq!(decision, Decision::Keep(0)),
                Some((minimal, exhaustive, dropped)) => {
                    let (change, answer) = change(decision);
                    let wanted = AdminOrgs { minimal: minimal.clone(), exhaustive: exhaustive.clone() };
                    let written = AdminOrgs { ..stored(change.fields.get("claims").and_then(Value::as_map)) };
                    assert!(written.same(&wanted), "{written:?}");
                    assert_eq!((answer, change.record), (dropped, None));
                }
            }
        }
        assert_eq!(completed(&state(None, &tree), &OrgLists::new()), Ok(Decision::Keep(0)));
    }
}

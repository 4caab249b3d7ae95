//! Unbinds an account from its user, who belongs to another account from now on.

use super::audit::{Action, Record};
use super::edit::{Changes, Decision, Publication, State, Target, edit};
use super::publish::{ClaimsError, disown};
use crate::app::App;
use crate::fields;
use crate::orgs::OrgLists;
use crate::rights::Claims;
use crate::store::{Document, StoreError};

/// Removes the user and the rights from an account whose user belongs to another account from now on. Fails with a
/// conflict when the claims document has changed since it was read: the user may have been suspended.
pub async fn give_up(app: &App, function: &'static str, by: &str, document: Document) -> Result<(), ClaimsError> {
    disown(app, &document).await?;
    let target = Target {
        as_read: true,
        known: Some(&document),
        publication: Publication::Later,
        ..Target::new(function, by, document.id())
    };
    Ok(edit(app, &target, |state| given_up(&target, state, &document)).await?)
}

fn given_up<'t>(target: &Target<'t>, state: &State<'_>, read: &Document) -> Result<Decision<'t, ()>, StoreError> {
    if state.document.map(|document| document.update_time) != Some(read.update_time) {
        return Err(StoreError::Conflict("the claims to be given up have changed".to_owned()));
    }
    let orgs = state.granted();
    let record = Record {
        orgs: Some(orgs.clone()),
        minimal: Some((orgs, OrgLists::new())),
        details: fields! { "before" => Claims::read(target.uid, state.document).roar_uid },
        ..target.record(Action::Remove)
    };
    Ok(Decision::Write(Changes { record: Some(record), ..*Changes::deletion() }.into(), ()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::edit::tests::{change, document, state};
    use crate::orgs::{OrgTree, OrgType};
    use crate::store::{Fields, Timestamp};

    #[test]
    fn claims_are_given_up_as_they_were_read_or_not_at_all() {
        let orgs: OrgLists = [(OrgType::School, "s")].into_iter().collect();
        let claims = fields! { "roarUid" => "r", "adminOrgs" => orgs.to_value() };
        let read = document(fields! { "claims" => claims });
        let (tree, target) = (OrgTree::default(), Target::new("f", "by", "u"));
        let (change, ()) = change(given_up(&target, &state(Some(&read), &tree), &read).unwrap());
        assert!(change.deletes);
        let record = change.record.expect("a record");
        assert_eq!((record.orgs, record.details), (Some(orgs), fields! { "before" => "r" }));
        let mut changed = document(Fields::new());
        changed.update_time = Timestamp::from_second(1).unwrap();
        for other in [None, Some(&changed)] {
            let refused = given_up(&target, &state(other, &tree), &read);
            assert!(matches!(refused, Err(StoreError::Conflict(_))));
        }
    }
}

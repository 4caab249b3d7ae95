//! The callables `appendToAdminClaims` and `removeFromAdminClaims` (docs/domain/rights.md#who-may-give-what).

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use thiserror::Error;

use super::audit::{Action, Record};
use super::custom::{all_to_json, custom_claims, imported, is_open};
use super::edit::{Changes, Decision, EditError, State, Target, edit};
use super::lists::{AdminOrgs, HeldThrough};
use super::publish::ClaimsError;
use super::sources::Sources;
use super::{LARGE, UserClaims};
use crate::accounts::check_claims;
use crate::app::App;
use crate::documents::user_claims::{self, field};
use crate::orgs::payload::few_orgs;
use crate::orgs::{OrgLists, OrgType};
use crate::payload::refusals::GONE;
use crate::payload::{Checked, Id, Ids, kinds};
use crate::rights::{AboveOrgs, NamesOrgs, Payload, check_appointable};
use crate::runtime::{FunctionError, Status};
use crate::store::{Document, Fields, StoreError, Value};

/// A checked request to give or take rights: the account whose rights change, and the orgs that the rights are over.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminOrgsRequest<const REMOVES: bool> {
    target: String,
    orgs: OrgLists,
}

/// Whose rights, over which orgs: one ID a type (`districtId`), or a list a type (`districts`), or both.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct TargetOrgs {
    /// The account, by its UID in the admin project.
    target_uid: Id<kinds::Account>,
    /// One of them.
    district_id: Option<Id<kinds::District>>,
    /// Several.
    districts: Option<Ids<kinds::District>>,
    /// One of them.
    school_id: Option<Id<kinds::School>>,
    /// Several.
    schools: Option<Ids<kinds::School>>,
    /// One of them.
    class_id: Option<Id<kinds::Class>>,
    /// Several.
    classes: Option<Ids<kinds::Class>>,
    /// One of them.
    group_id: Option<Id<kinds::Group>>,
    /// Several.
    groups: Option<Ids<kinds::Group>>,
    /// One of them.
    family_id: Option<Id<kinds::Family>>,
    /// Several.
    families: Option<Ids<kinds::Family>>,
}

fn of_type<K>(
    org_type: OrgType,
    one: Option<Id<K>>,
    several: Option<Ids<K>>,
) -> impl Iterator<Item = (OrgType, String)> {
    let several = several.map(|several| several.ids).unwrap_or_default();
    one.map(Id::into_string).into_iter().chain(several).map(move |id| (org_type, id))
}

impl TargetOrgs {
    fn check<const REMOVES: bool>(self) -> Checked<AdminOrgsRequest<REMOVES>> {
        let orgs: Vec<(OrgType, String)> = of_type(OrgType::District, self.district_id, self.districts)
            .chain(of_type(OrgType::School, self.school_id, self.schools))
            .chain(of_type(OrgType::Class, self.class_id, self.classes))
            .chain(of_type(OrgType::Group, self.group_id, self.groups))
            .chain(of_type(OrgType::Family, self.family_id, self.families))
            .collect();
        let orgs: OrgLists = orgs.iter().map(|(org_type, id)| (*org_type, id.as_str())).collect();
        if orgs.is_empty() {
            return Err(FunctionError::invalid(
                "One of districtId, schoolId, classId, groupId, familyId, or of districts, schools, classes, groups, \
                 families, must name an org.",
            ));
        }
        Ok(AdminOrgsRequest { target: self.target_uid.into_string(), orgs: few_orgs(orgs, "The request")? })
    }
}

/// Whoever administers an org administers what is below it. At least one org must be named. Again, and nothing changes.
#[derive(Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct AppendToAdminClaims(TargetOrgs);

/// What isn't held stays so. At least one org must be named.
#[derive(Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct RemoveFromAdminClaims(TargetOrgs);

impl Payload for AdminOrgsRequest<false> {
    type Sent = AppendToAdminClaims;
    type Answer = UserClaims;
    const REFUSALS: &'static [(Status, &'static str)] = &[
        GONE,
        LARGE,
        // The errors here come in addition to those that every function answers to callers without the right.
        (Status::PermissionDenied, "The account is a student's whom the caller doesn't administer."),
    ];

    fn check(sent: AppendToAdminClaims) -> Checked<Self> {
        sent.0.check()
    }

    fn example() -> (Json, UserClaims) {
        let schools = json!({ "schools": ["school-1"] });
        let claims = json!({ "adminOrgs": schools, "minimalAdminOrgs": schools });
        (json!({ "targetUid": "uid-teacher", "schoolId": "school-1" }), UserClaims::of(claims))
    }
}

impl Payload for AdminOrgsRequest<true> {
    type Sent = RemoveFromAdminClaims;
    type Answer = UserClaims;
    const REFUSALS: &'static [(Status, &'static str)] =
        &[GONE, (Status::FailedPrecondition, "An org is held through another one above it.")];

    fn check(sent: RemoveFromAdminClaims) -> Checked<Self> {
        sent.0.check()
    }

    fn example() -> (Json, UserClaims) {
        let claims = json!({ "adminOrgs": {}, "minimalAdminOrgs": {} });
        (json!({ "targetUid": "uid-teacher", "schools": ["school-1"] }), UserClaims::of(claims))
    }
}

impl<const REMOVES: bool> NamesOrgs for AdminOrgsRequest<REMOVES> {
    fn orgs(&self) -> &OrgLists {
        &self.orgs
    }

    /// Super admins may remove rights over orgs that no longer exist.
    fn may_be_missing(&self) -> bool {
        REMOVES
    }
}

/// Gives rights over orgs. Idempotent.
pub async fn append_to_admin_claims(
    app: App,
    permit: AboveOrgs,
    request: AdminOrgsRequest<false>,
) -> Result<UserClaims, FunctionError> {
    let AdminOrgsRequest { target, orgs } = &request;
    check_appointable(&app, &permit.requester, target).await?;
    let change =
        Change { function: "appendToAdminClaims", by: &permit.requester.uid, target, orgs, action: Action::Append };
    let claims = change.apply(&app).await?;
    Ok(UserClaims { user_claims: all_to_json(&claims) })
}

/// Takes rights over orgs away; rights that the account doesn't hold are ignored. An org that is administered through
/// an org above it can't be removed alone (FAILED_PRECONDITION).
pub async fn remove_from_admin_claims(
    app: App,
    permit: AboveOrgs,
    request: AdminOrgsRequest<true>,
) -> Result<UserClaims, FunctionError> {
    let AdminOrgsRequest { target, orgs } = &request;
    let change =
        Change { function: "removeFromAdminClaims", by: &permit.requester.uid, target, orgs, action: Action::Remove };
    let claims = change.apply(&app).await?;
    Ok(UserClaims { user_claims: all_to_json(&claims) })
}

/// A change of an account's rights over orgs.
pub struct Change<'a> {
    /// The function that makes the change.
    pub function: &'static str,
    /// The Auth UID of the caller who makes the change.
    pub by: &'a str,
    /// The Auth UID of the account whose rights change.
    pub target: &'a str,
    /// The orgs that the rights are over.
    pub orgs: &'a OrgLists,
    /// [`Action::Append`] or [`Action::Remove`].
    pub action: Action,
}

impl Change<'_> {
    /// Makes the change and publishes it; returns the resulting claims.
    ///
    /// Reads the claims, the granted orgs with everything below them, and the claims again; writes the claims and an
    /// audit record, unless nothing changes.
    pub async fn apply(&self, app: &App) -> Result<Fields, ChangeError> {
        let account = app.accounts.admin.get(self.target).await.map_err(ClaimsError::from)?;
        let account = account.ok_or(ChangeError::NoAccount)?;
        self.apply_with(app, &account.custom_claims).await
    }

    /// As [`Change::apply`], also for claims whose account may have been deleted.
    pub async fn apply_to_whoever(&self, app: &App) -> Result<Fields, ChangeError> {
        self.apply_with(app, &Map::new()).await
    }

    async fn apply_with(&self, app: &App, custom: &Map<String, Json>) -> Result<Fields, ChangeError> {
        let covers = |document: Option<&Document>| {
            let granted = Sources::read(document).granted();
            match self.action {
                Action::Remove => granted.difference(&self.orgs.to_set()),
                _ => granted.iter().chain(self.orgs.iter()).collect(),
            }
        };
        let target = Target { covers: Some(&covers), ..Target::new(self.function, self.by, self.target) };
        Ok(edit(app, &target, |state| self.decide(&target, state, custom)).await?)
    }

    /// Decides how the claims change; the answer is the resulting claims.
    fn decide<'t>(
        &self,
        target: &Target<'t>,
        state: &State<'_>,
        custom: &Map<String, Json>,
    ) -> Result<Decision<'t, Fields>, ChangeError> {
        if state.document.is_none() && self.action == Action::Remove {
            return Err(ChangeError::NoClaims);
        }
        let claims = state.claims();
        let sources = Sources::read(state.document);
        let known = sources.granted();
        let noted = sources.to_value();
        let sources = match self.action {
            Action::Remove => sources.taken(self.orgs),
            _ => sources.given(self.orgs),
        };
        let orgs = match self.action {
            Action::Remove => AdminOrgs::without(&known, self.orgs, state.tree).map_err(ChangeError::HeldThrough)?,
            _ => AdminOrgs::of(&known.iter().chain(self.orgs.iter()).collect(), state.tree),
        };
        let before = state.orgs();
        let mut fields = claims.cloned().unwrap_or_else(|| imported(custom));
        let mut changed: Vec<String> = if claims.is_none() { fields.keys().cloned().collect() } else { Vec::new() };
        // An existing role is never replaced (docs/domain/decisions.md#a-3); the admins of a family launch tasks
        // (docs/domain/decisions.md#a-32).
        let is_family =
            orgs.minimal.iter().all(|(org_type, _)| org_type == OrgType::Family) && !orgs.minimal.is_empty();
        let role = if is_family { user_claims::role::LAUNCH_ADMIN } else { user_claims::role::ADMIN };
        let open = is_open(fields.get(field::ROLE));
        for (name, value, missing) in
            [(field::ADMIN_UID, self.target, !fields.contains_key(field::ADMIN_UID)), (field::ROLE, role, open)]
        {
            if self.action == Action::Append && missing {
                fields.insert(name.to_owned(), Value::from(value));
                changed.push(name.to_owned());
            }
        }
        fields.extend(orgs.to_fields());
        let noted_now = sources.to_value();
        if before.same(&orgs) && noted_now == noted && changed.is_empty() && state.document.is_some() {
            return Ok(Decision::Keep(fields));
        }
        // Removing rights is never refused because of the size of the remaining ones.
        if self.action == Action::Append {
            orgs.check_room().map_err(ClaimsError::from)?;
            check_claims(&custom_claims(custom, &fields, &[])).map_err(ClaimsError::from)?;
        }
        let named = changed.into_iter().filter_map(|name| Some((name.clone(), fields.get(&name)?.clone())));
        let change = Changes::of_claims(named.chain(orgs.to_fields()).collect()).noting(noted_now);
        let record = Record {
            orgs: Some(self.orgs.clone()),
            minimal: Some((before.minimal, orgs.minimal)),
            ..target.record(self.action)
        };
        Ok(Decision::Write(change.recorded(record).into(), fields))
    }
}

/// Why rights over orgs aren't changed. All texts except those of [`ClaimsError`] are for callers.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// The account whose rights they are doesn't exist.
    #[error("targetUid names no account.")]
    NoAccount,
    /// The account holds no claims, so there is nothing to take away.
    #[error("targetUid names somebody who holds no claims.")]
    NoClaims,
    /// The account holds an org above the given one.
    #[error(
        "The {} {} is administered through the {} {}, so it can't be removed alone.",
        .0.org.org_type.singular(), .0.org.id, .0.ancestor.org_type.singular(), .0.ancestor.id
    )]
    HeldThrough(HeldThrough),
    /// Concurrent changes of the same claims exhausted the retries.
    #[error("Too many changes at once. Please try again.")]
    Busy,
    /// The claims can't be written or published.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        ChangeError::Claims(error.into())
    }
}

impl From<EditError<ChangeError>> for ChangeError {
    fn from(error: EditError<ChangeError>) -> Self {
        match error {
            EditError::Claims(ClaimsError::Store(StoreError::Contention)) => ChangeError::Busy,
            EditError::Claims(error) => error.into(),
            EditError::Refused(refusal) => refusal,
        }
    }
}

impl From<ChangeError> for FunctionError {
    fn from(error: ChangeError) -> Self {
        let status = match error {
            ChangeError::Claims(error) => return error.into(),
            ChangeError::NoAccount | ChangeError::NoClaims => Status::NotFound,
            ChangeError::HeldThrough(_) => Status::FailedPrecondition,
            ChangeError::Busy => Status::Aborted,
        };
        FunctionError::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::edit::tests::{change, document, state};
    use crate::fields;
    use crate::orgs::{Org, OrgKey, OrgTree};

    #[test]
    fn rights_are_given_and_taken_with_their_role_and_a_record() {
        let mut tree = OrgTree::default();
        for id in ["s1", "s2"] {
            tree.insert(OrgKey::new(OrgType::School, id), Org::from_fields(OrgType::School, &Fields::new()));
        }
        tree.insert(OrgKey::new(OrgType::Family, "f"), Org::from_fields(OrgType::Family, &Fields::new()));
        let lists = |orgs: &[(OrgType, &'static str)]| orgs.iter().copied().collect::<OrgLists>();
        let (one, two) = (lists(&[(OrgType::School, "s1")]), lists(&[(OrgType::School, "s2")]));
        let both: OrgLists = one.iter().chain(two.iter()).collect();
        let family = lists(&[(OrgType::Family, "f")]);
        let held = |orgs: &OrgLists, role: &str| {
            let mut claims = fields! { "adminUid" => "u", "role" => role, "roarUid" => "r" };
            claims.extend(AdminOrgs::of(orgs, &tree).to_fields());
            claims
        };
        // The claims; the action and its orgs; the expected orgs and role afterwards, or `None` when nothing changes.
        for (claims, action, orgs, expected) in [
            (None, Action::Append, &one, Some((&one, "admin"))),
            (None, Action::Append, &family, Some((&family, "launch_admin"))),
            (Some(held(&one, "admin")), Action::Append, &one, None),
            (Some(held(&one, "guest")), Action::Append, &two, Some((&both, "admin"))),
            (Some(held(&one, "platform_admin")), Action::Append, &two, Some((&both, "platform_admin"))),
            (Some(held(&both, "admin")), Action::Remove, &two, Some((&one, "admin"))),
            (Some(held(&one, "admin")), Action::Remove, &two, None),
        ] {
            let document = claims.clone().map(|claims| document(fields! { "claims" => claims }));
            let change_of = Change { function: "f", by: "by", target: "u", orgs, action };
            let target = Target::new("f", "by", "u");
            let decision = change_of.decide(&target, &state(document.as_ref(), &tree), &Map::new()).unwrap();
            let Some((wanted, role)) = expected else {
                assert_eq!(decision, Decision::Keep(claims.unwrap()));
                continue;
            };
            let (change, answer) = change(decision);
            assert_eq!(answer.get("role").and_then(Value::as_str), Some(role));
            assert!(super::super::lists::stored(Some(&answer)).same(&AdminOrgs::of(wanted, &tree)));
            let record = change.record.expect("a record");
            assert_eq!((record.action, record.orgs.as_ref()), (action, Some(orgs)));
            assert!(record.minimal.is_some_and(|(_, after)| after.same_orgs(wanted)));
        }
        let nobody = Change { function: "f", by: "by", target: "u", orgs: &one, action: Action::Remove };
        let refused = nobody.decide(&Target::new("f", "by", "u"), &state(None, &tree), &Map::new()).unwrap_err();
        assert!(matches!(refused, ChangeError::NoClaims));
    }
}

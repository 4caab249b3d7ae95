//! The callable `createLevanteGroup`: a group, and its maker's rights over it
//! (docs/domain/rights.md#who-may-give-what).

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use thiserror::Error;

use super::LARGE;
use super::audit::{Action, Record};
use super::custom::custom_claims;
use super::edit::{Changes, Decision, EditError, Publication, State, Target, edit};
use super::lists::{AdminOrgs, NoRoom, granted};
use super::publish::ClaimsError;
use crate::accounts::{AccountError, check_claims};
use crate::app::App;
use crate::documents::org::{self, is_archived};
use crate::documents::user_claims::claims_map;
use crate::fields;
use crate::orgs::payload::SentOrgType;
use crate::orgs::{OrgKey, OrgLists, OrgType};
use crate::payload::refusals::GONE;
use crate::payload::{Checked, Filled, Id, Text, check_key, kinds, shown, value};
use crate::rights::{Claims, Payload, Permit, Requester, Rule, check_not_suspended, denied};
use crate::runtime::edge::{Open, Wrong};
use crate::runtime::{Caller, FunctionError, Status};
use crate::store::{DocPath, Document, FieldPath, Fields, Precondition, StoreError, Transform, Value, Write};

/// Fields that the service keeps itself, and what makes others part of a group.
const OWN_FIELDS: [&str; 16] = [
    "id",
    "collection",
    org::field::ARCHIVED,
    org::field::CREATED_BY,
    org::field::CREATED_AT,
    org::field::SUB_GROUPS,
    org::field::ARCHIVED_SUB_GROUPS,
    org::field::SCHOOLS,
    org::field::ARCHIVED_SCHOOLS,
    org::field::CLASSES,
    org::field::ARCHIVED_CLASSES,
    org::field::DISTRICT_ID,
    org::field::SCHOOL_ID,
    "currentActivationCode",
    "validActivationCodes",
    org::field::LAST_UPDATED,
];
/// A group to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRequest {
    /// Its fields, as they're stored.
    fields: Fields,
    /// The org that it's part of, and the family.
    parents: Vec<OrgKey>,
}

/// Any other field that Firestore can store is kept with the group, but for those that the service keeps itself: id,
/// archived, createdBy, subGroups, schools, classes, … The maker administers it.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct CreateGroup {
    /// The group.
    group_data: Open<GroupData>,
}

/// The fields of a group that the service knows. All others are stored as they were sent.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", expecting = "an object with the group's fields")]
#[schemars(inline)]
#[allow(dead_code, reason = "what is read is stored with the other fields")]
struct GroupData {
    /// Its name.
    name: Filled,
    /// Its name for short.
    #[schemars(with = "Option<String>")]
    abbreviation: Option<Text>,
    /// Labels.
    #[schemars(with = "Option<Vec<String>>")]
    tags: Option<Json>,
    /// The type of the org that it's part of.
    #[schemars(with = "Option<SentOrgType>")]
    parent_org_type: Option<Text>,
    /// That org; goes with parentOrgType.
    parent_org_id: Option<Id<kinds::Org>>,
    /// The family that it's for.
    family_id: Option<Id<kinds::Family>>,
}

/// What is answered.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct MadeGroup {
    /// The group.
    pub group_id: Id,
}

impl Payload for GroupRequest {
    type Sent = CreateGroup;
    type Answer = MadeGroup;
    const REFUSALS: &'static [(Status, &'static str)] = &[GONE, LARGE];

    fn check(sent: CreateGroup) -> Checked<Self> {
        let Open { known, all } = sent.group_data;
        let parents = parents(known)?;
        let wrong = |wrong: Wrong| wrong.of("groupData");
        let mut fields = Fields::new();
        for (name, sent) in all.iter().filter(|(_, sent)| !sent.is_null()) {
            check_key(name).map_err(wrong)?;
            if OWN_FIELDS.contains(&name.as_str()) {
                return Err(wrong(Wrong::new("is the service's to set").below(name)));
            }
            fields.insert(name.clone(), value(sent).map_err(|wrong| wrong.below(name)).map_err(wrong)?);
        }
        // Of the two forms of the name, the one that others read.
        if let Some(parent_type) =
            fields.get(org::field::PARENT_ORG_TYPE).and_then(Value::as_str).and_then(OrgType::parse)
        {
            fields.insert(org::field::PARENT_ORG_TYPE.to_owned(), Value::from(parent_type.singular()));
        }
        Ok(GroupRequest { fields, parents })
    }

    fn example() -> (Json, MadeGroup) {
        let sent = json!({ "groupData": { "name": "Pilot readers", "abbreviation": "PILOT", "tags": ["pilot"] } });
        (sent, MadeGroup { group_id: "8dQb2TnKxUw0VjXy9aRf".into() })
    }
}

fn parents(group: GroupData) -> Checked<Vec<OrgKey>> {
    let parent_type = match Text::filled(group.parent_org_type) {
        Some(name) => Some(SentOrgType::named(&name).map_err(|wrong| wrong.of("groupData.parentOrgType"))?.0),
        None => None,
    };
    let parent = match (parent_type, group.parent_org_id) {
        (Some(org_type), Some(id)) => Some(OrgKey::new(org_type, id.into_string())),
        (None, None) => None,
        _ => return Err(FunctionError::invalid("groupData.parentOrgType and parentOrgId go together.")),
    };
    let family = group.family_id.map(|id| OrgKey::new(OrgType::Family, id.into_string()));
    Ok(parent.into_iter().chain(family).collect())
}

/// Leave to make groups, in orgs that one administers.
#[derive(Clone, Debug)]
pub struct GroupMaker {
    requester: Requester,
}

#[async_trait]
impl Permit<GroupRequest> for GroupMaker {
    const RULE: Rule = Rule::AdminClaim;

    /// Whoever is made a member of a group in an org is given that org's administrations; so the claim alone
    /// isn't enough there.
    async fn grant(app: &App, caller: &Caller, request: &GroupRequest) -> Result<Self, FunctionError> {
        let requester = Requester::of(app, caller).await?;
        check_maker(&requester.claims, request)?;
        Ok(GroupMaker { requester })
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

/// Fails unless somebody with these claims may make the group.
fn check_maker(claims: &Claims, request: &GroupRequest) -> Result<(), FunctionError> {
    check_not_suspended(claims)?;
    if !claims.super_admin && !claims.admin {
        return Err(denied("Only admins may make groups."));
    }
    let parents: OrgLists = request.parents.iter().map(|key| (key.org_type, key.id.as_str())).collect();
    match claims.administers_all(&parents) {
        true => Ok(()),
        false => Err(denied("You don't administer the org that the group is to be part of.")),
    }
}

/// Makes a group, links it with its parents, and gives its maker the rights over it: all at once, or not at
/// all. Each call makes another group.
pub async fn create_group(app: App, permit: GroupMaker, request: GroupRequest) -> Result<MadeGroup, FunctionError> {
    let id = app.context.document_id();
    let uid = &permit.requester.uid;
    let account = app.accounts.admin.get(uid).await?;
    let parents = request.parents.iter().map(|parent| DocPath::in_collection(parent.org_type.plural(), &parent.id));
    let parents = parents.collect::<Result<Vec<_>, _>>()?;
    let custom = account.as_ref().map(|account| &account.custom_claims);
    let work = GroupCreation { uid, id: &id, request: &request, custom, parents: &parents };
    let covers = |document: Option<&Document>| granted(claims_map(document));
    let target = Target {
        beside: &parents,
        covers: Some(&covers),
        // The group is made; the document's event publishes what can't be published now.
        publication: Publication::Tried,
        ..Target::new("createLevanteGroup", uid, uid)
    };
    edit(&app, &target, |state| work.decide(&target, state)).await.map_err(GroupError::from)?;
    Ok(MadeGroup { group_id: id.into() })
}

/// Why a group isn't made.
#[derive(Debug, Error)]
enum GroupError {
    /// The text is for callers.
    #[error("The {} {} doesn't exist or is archived.", .0.org_type.singular(), shown(&.0.id))]
    NoParent(OrgKey),
    /// The maker has no right to make the group any more.
    #[error("the maker may not make the group: {0}")]
    Refused(FunctionError),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The rights over the group don't fit into the account's custom claims.
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<EditError<GroupError>> for GroupError {
    fn from(error: EditError<GroupError>) -> Self {
        match error {
            EditError::Claims(ClaimsError::Store(error)) => error.into(),
            EditError::Claims(ClaimsError::Account(error)) => error.into(),
            EditError::Claims(ClaimsError::NoRoom(error)) => error.into(),
            EditError::Refused(refusal) => refusal,
        }
    }
}

impl From<GroupError> for FunctionError {
    fn from(error: GroupError) -> Self {
        match error {
            GroupError::Refused(refusal) => refusal,
            GroupError::NoParent(_) => FunctionError::new(Status::NotFound, error.to_string()),
            GroupError::NoRoom(error) => error.into(),
            GroupError::Account(error) => error.into(),
            GroupError::Store(StoreError::InvalidArgument(_)) => {
                FunctionError::invalid("groupData is too large to be stored.")
            }
            GroupError::Store(error) => error.into(),
        }
    }
}

/// A group that is made with its maker's rights over it.
struct GroupCreation<'a> {
    uid: &'a str,
    id: &'a str,
    request: &'a GroupRequest,
    custom: Option<&'a Map<String, Json>>,
    /// Where the orgs are that the group is part of.
    parents: &'a [DocPath],
}

impl GroupCreation<'_> {
    /// The group, with the claims of its maker, who still has to be allowed to make it.
    fn decide<'t>(&self, target: &Target<'t>, state: &State<'_>) -> Result<Decision<'t, ()>, GroupError> {
        for (parent, found) in self.request.parents.iter().zip(state.beside) {
            if found.as_ref().is_none_or(|org| is_archived(&org.fields)) {
                return Err(GroupError::NoParent(parent.clone()));
            }
        }
        let maker = Claims::read(self.uid, state.document);
        check_maker(&maker, self.request).map_err(GroupError::Refused)?;
        let before = state.orgs();
        let group = [(OrgType::Group, self.id)];
        // The group isn't there yet.
        let mut tree = state.tree.clone();
        tree.insert(
            OrgKey::new(OrgType::Group, self.id),
            crate::orgs::Org::from_fields(OrgType::Group, &self.request.fields),
        );
        let orgs = AdminOrgs::of(&state.granted().iter().chain(group).collect(), &tree);
        orgs.check_room()?;
        let mut all = state.claims().cloned().unwrap_or_default();
        all.extend(orgs.to_fields());
        if let Some(custom) = self.custom {
            check_claims(&custom_claims(custom, &all, &[]))?;
        }
        let mut fields = self.request.fields.clone();
        fields.extend(fields! { org::field::ARCHIVED => false, org::field::CREATED_BY => maker.roar_uid });
        let path = DocPath::in_collection(OrgType::Group.plural(), self.id)?;
        let created = FieldPath::top(org::field::CREATED_AT);
        let mut change = Changes::of_claims(orgs.to_fields());
        change = change.beside(Write::create(path, fields).with(created, Transform::ServerTime));
        for parent in self.parents {
            let listed = Transform::Union(vec![Value::from(self.id)]);
            let write = Write::transform(parent.clone(), Vec::new()).when(Precondition::Exists);
            change = change.beside(write.with(FieldPath::top(org::field::SUB_GROUPS), listed));
        }
        let record = Record {
            orgs: Some(group.into_iter().collect()),
            minimal: Some((before.minimal, orgs.minimal)),
            ..target.record(Action::Append)
        };
        Ok(Decision::Write(change.recorded(record).into(), ()))
    }
}

//! The callable `createLevanteGroup`: a group, and its maker's rights over it
//! (docs/domain/rights.md#who-may-give-what).

use async_trait::async_trait;
use serde_json::{Map, Value as Json, json};

use super::audit::{Action, Record};
use super::custom::custom_claims;
use super::edit::{Changes, Decision, Publication, State, Target, edit};
use super::lists::{AdminOrgs, granted};
use crate::accounts::check_claims;
use crate::app::App;
use crate::documents::org::{self, is_archived};
use crate::documents::user_claims::claims_map;
use crate::fields;
use crate::orgs::{OrgKey, OrgLists, OrgType};
use crate::payload::{Checked, check_key, object, optional_id, optional_text, present, required_text, shown, value};
use crate::rights::{Claims, Payload, Permit, Requester, Rule, check_not_suspended, denied};
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
pub struct Request {
    /// Its fields, as they're stored.
    fields: Fields,
    /// The org that it's part of, and the family.
    parents: Vec<OrgKey>,
}

impl Payload for Request {
    fn read(data: &Json) -> Result<Self, FunctionError> {
        let data = object(data)?;
        let Some(Json::Object(group)) = present(data, "groupData") else {
            return Err(FunctionError::invalid("groupData must be an object with the group's fields."));
        };
        let at = |error: FunctionError| FunctionError::invalid(format!("groupData.{}", error.message));
        required_text(group, "name").map_err(at)?;
        optional_text(group, "abbreviation").map_err(at)?;
        let parents = parents(group).map_err(at)?;
        let mut fields = Fields::new();
        for (name, sent) in group.iter().filter(|(_, sent)| !sent.is_null()) {
            check_key(name, "groupData")?;
            if OWN_FIELDS.contains(&name.as_str()) {
                return Err(FunctionError::invalid(format!("groupData.{name} is the service's to set.")));
            }
            fields.insert(name.clone(), value(sent, &format!("groupData.{}", shown(name)))?);
        }
        // Of the two forms of the name, the one that others read.
        if let Some(parent_type) =
            fields.get(org::field::PARENT_ORG_TYPE).and_then(Value::as_str).and_then(OrgType::parse)
        {
            fields.insert(org::field::PARENT_ORG_TYPE.to_owned(), Value::from(parent_type.singular()));
        }
        Ok(Request { fields, parents })
    }
}

fn parents(group: &Map<String, Json>) -> Checked<Vec<OrgKey>> {
    let parent_type = match optional_text(group, "parentOrgType")? {
        Some(name) => Some(OrgType::parse(&name).ok_or_else(|| {
            FunctionError::invalid("parentOrgType must be district, school, class, group or family.")
        })?),
        None => None,
    };
    let parent = match (parent_type, optional_id(group, "parentOrgId", "an org")?) {
        (Some(org_type), Some(id)) => Some(OrgKey::new(org_type, id)),
        (None, None) => None,
        _ => return Err(FunctionError::invalid("parentOrgType and parentOrgId go together.")),
    };
    let family = optional_id(group, "familyId", "a family")?.map(|id| OrgKey::new(OrgType::Family, id));
    Ok(parent.into_iter().chain(family).collect())
}

/// Leave to make groups, in orgs that one administers.
#[derive(Clone, Debug)]
pub struct GroupMaker {
    requester: Requester,
}

#[async_trait]
impl Permit<Request> for GroupMaker {
    const RULE: Rule = Rule::AdminClaim;

    /// Whoever is made a member of a group in an org is given that org's administrations; so the claim alone
    /// isn't enough there.
    async fn grant(app: &App, caller: &Caller, request: &Request) -> Result<Self, FunctionError> {
        let requester = Requester::of(app, caller).await?;
        check_maker(&requester.claims, request)?;
        Ok(GroupMaker { requester })
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

/// Fails unless somebody with these claims may make the group.
fn check_maker(claims: &Claims, request: &Request) -> Result<(), FunctionError> {
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
pub async fn create_group(app: App, permit: GroupMaker, request: Request) -> Result<Json, FunctionError> {
    let id = app.context.document_id();
    let uid = &permit.requester.uid;
    let account = app.accounts.admin.get(uid).await?;
    let parents = request.parents.iter().map(|parent| DocPath::in_collection(parent.org_type.plural(), &parent.id));
    let parents = parents.collect::<Result<Vec<_>, _>>()?;
    let custom = account.as_ref().map(|account| &account.custom_claims);
    let work = Work { uid, id: &id, request: &request, custom, parents: &parents };
    let covers = |document: Option<&Document>| granted(claims_map(document));
    let target = Target {
        beside: &parents,
        covers: Some(&covers),
        // The group is made; the document's event publishes what can't be published now.
        publication: Publication::Tried,
        ..Target::new("createLevanteGroup", uid, uid)
    };
    let made = edit(&app, &target, |state| work.decide(&target, state)).await;
    made.map_err(|error| too_large(error.into()))?;
    Ok(json!({ "status": "ok", "groupId": id }))
}

fn too_large(error: FunctionError) -> FunctionError {
    match error.cause.as_ref().and_then(|cause| cause.downcast_ref()) {
        Some(StoreError::InvalidArgument(_)) => FunctionError::invalid("groupData is too large to be stored."),
        _ => error,
    }
}

/// A group that is made with its maker's rights over it.
struct Work<'a> {
    uid: &'a str,
    id: &'a str,
    request: &'a Request,
    custom: Option<&'a Map<String, Json>>,
    /// Where the orgs are that the group is part of.
    parents: &'a [DocPath],
}

impl Work<'_> {
    /// The group, with the claims of its maker, who still has to be allowed to make it.
    fn decide<'t>(&self, target: &Target<'t>, state: &State<'_>) -> Result<Decision<'t, ()>, FunctionError> {
        for (parent, found) in self.request.parents.iter().zip(state.beside) {
            if found.as_ref().is_none_or(|org| is_archived(&org.fields)) {
                let (kind, id) = (parent.org_type.singular(), shown(&parent.id));
                let message = format!("The {kind} {id} doesn't exist or is archived.");
                return Err(FunctionError::new(Status::NotFound, message));
            }
        }
        let maker = Claims::read(self.uid, state.document);
        check_maker(&maker, self.request)?;
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

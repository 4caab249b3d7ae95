//! The callable `createLevanteGroup`: creates a group and gives its creator rights over it
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

/// Fields that only the service writes, and the fields that make other orgs part of a group. Callers may not send
/// these.
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
/// A checked request to create a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRequest {
    /// The fields of the group, as they are stored.
    fields: Fields,
    /// The org that the group is part of, and its family.
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
        // Of the two stored forms of the name, this is the one that other functions read.
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

/// Permit to create a group in orgs that the caller administers.
#[derive(Clone, Debug)]
pub struct GroupMaker {
    requester: Requester,
}

#[async_trait]
impl Permit<GroupRequest> for GroupMaker {
    const RULE: Rule = Rule::AdminClaim;

    /// Members of a group in an org are assigned that org's administrations. So the claim that lets callers create
    /// groups isn't enough to create one within an org.
    async fn grant(app: &App, caller: &Caller, request: &GroupRequest) -> Result<Self, FunctionError> {
        let requester = Requester::of(app, caller).await?;
        check_maker(&requester.claims, request)?;
        Ok(GroupMaker { requester })
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

/// Fails unless a caller with these claims may create the group.
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

/// Creates a group, links it with its parents, and gives its creator the rights over it, all in one commit. Each call
/// creates another group.
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
        // The group exists by now; if publishing the claims fails, the document's event publishes them.
        publication: Publication::Tried,
        ..Target::new("createLevanteGroup", uid, uid)
    };
    edit(&app, &target, |state| work.decide(&target, state)).await.map_err(GroupError::from)?;
    Ok(MadeGroup { group_id: id.into() })
}

/// Why a group isn't created.
#[derive(Debug, Error)]
enum GroupError {
    /// The text is for callers.
    #[error("The {} {} doesn't exist or is archived.", .0.org_type.singular(), shown(&.0.id))]
    NoParent(OrgKey),
    /// The creator no longer has the right to create the group.
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

/// The creation of a group, with its creator's rights over it.
struct GroupCreation<'a> {
    uid: &'a str,
    id: &'a str,
    request: &'a GroupRequest,
    custom: Option<&'a Map<String, Json>>,
    /// The documents of the orgs that the group is part of.
    parents: &'a [DocPath],
}

impl GroupCreation<'_> {
    /// Decides on the group with the current claims of its creator, which must still allow the creation.
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
        // The group doesn't exist yet, so the snapshot can't contain it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::edit::tests::{change, document, state};
    use crate::orgs::{Org, OrgTree};
    use crate::store::WriteKind;

    fn tree() -> OrgTree {
        OrgTree::new([(OrgKey::new(OrgType::School, "s1"), Org::from_fields(OrgType::School, &Fields::new()))])
    }

    /// The claims of an admin of the school s1, with further claims.
    fn maker(more: Fields) -> Document {
        let school = [(OrgType::School, "s1")].into_iter().collect();
        let mut claims = AdminOrgs::of(&school, &tree()).to_fields();
        claims.extend(fields! { "roarUid" => "r1", "admin" => true });
        claims.extend(more);
        document(fields! { "claims" => claims })
    }

    fn request(parents: &[(OrgType, &str)]) -> GroupRequest {
        let parents = parents.iter().map(|(org_type, id)| OrgKey::new(*org_type, *id)).collect();
        GroupRequest { fields: fields! { "name" => "Pilots" }, parents }
    }

    /// The decision when the account u, with these custom claims, creates the group g1.
    fn decide(
        request: &GroupRequest,
        custom: Option<&Map<String, Json>>,
        claims: Option<&Document>,
        found: &[Option<Document>],
    ) -> Result<Decision<'static, ()>, GroupError> {
        let parents = request.parents.iter().map(|org| DocPath::in_collection(org.org_type.plural(), &org.id).unwrap());
        let parents: Vec<DocPath> = parents.collect();
        let work = GroupCreation { uid: "u", id: "g1", request, custom, parents: &parents };
        work.decide(&Target::new("f", "u", "u"), &State { beside: found, ..state(claims, &tree()) })
    }

    #[test]
    fn a_group_comes_with_its_links_and_its_makers_rights() {
        let school = || Some(Document { path: DocPath::new("schools/s1").unwrap(), ..document(Fields::new()) });
        for (parents, found) in [(vec![], vec![]), (vec![(OrgType::School, "s1")], vec![school()])] {
            let request = request(&parents);
            let (change, ()) = change(decide(&request, None, Some(&maker(Fields::new())), &found).unwrap());
            // The write of the group's document.
            let (made, links) = change.beside.split_first().unwrap();
            assert_eq!((made.path.as_str(), made.precondition), ("groups/g1", Precondition::Missing));
            let WriteKind::Set { fields, mask: None, transforms } = &made.kind else { panic!("it's created") };
            assert_eq!(*fields, fields! { "name" => "Pilots", "archived" => false, "createdBy" => "r1" });
            assert_eq!(transforms.len(), 1);
            assert_eq!(
                (&transforms[0].path, &transforms[0].transform),
                (&FieldPath::top("createdAt"), &Transform::ServerTime)
            );
            // The writes to the group's parents.
            let linked: Vec<_> = links.iter().map(|link| (link.path.as_str(), link.precondition)).collect();
            let expected: Vec<_> = parents.iter().map(|_| ("schools/s1", Precondition::Exists)).collect();
            assert_eq!(linked, expected);
            for link in links {
                let WriteKind::Set { transforms, .. } = &link.kind else { panic!("it's updated") };
                let listed = Transform::Union(vec![Value::from("g1")]);
                assert_eq!((&transforms[0].path, &transforms[0].transform), (&FieldPath::top("subGroups"), &listed));
            }
            // The creator's rights over the group.
            let both = [(OrgType::School, "s1"), (OrgType::Group, "g1")].into_iter().collect::<OrgLists>();
            let claims = change.fields.get("claims").and_then(Value::as_map);
            assert!(granted(claims).same_orgs(&both));
            assert_eq!(claims.unwrap().len(), 2, "nothing else of the claims is written");
            let record = change.record.unwrap();
            assert_eq!(
                (record.action, record.orgs),
                (Action::Append, Some([(OrgType::Group, "g1")].into_iter().collect()))
            );
            assert!(
                record
                    .minimal
                    .is_some_and(|(before, after)| before.of(OrgType::Group).is_empty() && after.same_orgs(&both))
            );
        }
    }

    #[test]
    fn a_group_is_not_made_where_it_would_have_no_place_or_no_maker() {
        let org = |fields: Fields| Some(document(fields));
        let school = [(OrgType::School, "s1")];
        let other = [(OrgType::School, "s2")];
        let admin = maker(Fields::new());
        let no_admin = maker(fields! { "admin" => false });
        let mut suspended = maker(Fields::new());
        suspended.fields.insert("suspended".to_owned(), Value::from(true));
        // The requested parent, the document found for it, the creator's claims; the expected status.
        for (parents, found, claims, status) in [
            (&school, None, Some(&admin), Status::NotFound),
            (&school, org(fields! { "archived" => true }), Some(&admin), Status::NotFound),
            (&other, org(Fields::new()), Some(&admin), Status::PermissionDenied),
            (&school, org(Fields::new()), Some(&no_admin), Status::PermissionDenied),
            (&school, org(Fields::new()), Some(&suspended), Status::PermissionDenied),
            (&school, org(Fields::new()), None, Status::PermissionDenied),
        ] {
            let refused = decide(&request(parents), None, claims, std::slice::from_ref(&found)).unwrap_err();
            assert_eq!(FunctionError::from(refused).status, status, "{parents:?}, {found:?}, {claims:?}");
        }
    }

    #[test]
    fn a_maker_whose_token_is_full_makes_no_group() {
        // The length of the custom claims; whether the group is created.
        for (length, is_made) in [(10, true), (1_000, false)] {
            let custom = Map::from_iter([("else".to_owned(), Json::from("x".repeat(length)))]);
            let decided = decide(&request(&[]), Some(&custom), Some(&maker(Fields::new())), &[]);
            let status = decided.map(|_| ()).map_err(|error| FunctionError::from(error).status);
            assert_eq!(status, if is_made { Ok(()) } else { Err(Status::ResourceExhausted) });
        }
    }
}

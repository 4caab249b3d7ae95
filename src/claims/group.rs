//! The callable `createLevanteGroup`: a group, and its maker's rights over it
//! (docs/domain/rights.md#who-may-give-what).

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use thiserror::Error;

use super::audit::{Action, Record};
use super::custom::custom_claims;
use super::lists::{AdminOrgs, NoRoom, granted, snapshot, stored};
use super::{LARGE, Rounds, next_update, publish};
use crate::accounts::{AccountError, check_claims};
use crate::app::App;
use crate::documents::user_claims::claims_map;
use crate::fields;
use crate::orgs::payload::SentOrgType;
use crate::orgs::{OrgKey, OrgLists, OrgTree, OrgType};
use crate::payload::refusals::GONE;
use crate::payload::{Checked, Filled, Id, Text, check_key, kinds, shown, value};
use crate::rights::{Claims, Payload, Permit, Requester, Rule, denied};
use crate::runtime::edge::{Open, Wrong};
use crate::runtime::{Caller, FunctionError, Status};
use crate::store::{DocPath, FieldPath, Fields, Precondition, StoreError, Transaction, Transform, Value, Write};

/// Fields that the service keeps itself, and what makes others part of a group.
const OWN_FIELDS: [&str; 16] = [
    "id",
    "collection",
    "archived",
    "createdBy",
    "createdAt",
    "subGroups",
    "archivedSubGroups",
    "schools",
    "archivedSchools",
    "classes",
    "archivedClasses",
    "districtId",
    "schoolId",
    "currentActivationCode",
    "validActivationCodes",
    "lastUpdated",
];
/// A group to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
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

impl Payload for Request {
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
        if let Some(parent_type) = fields.get("parentOrgType").and_then(Value::as_str).and_then(OrgType::parse) {
            fields.insert("parentOrgType".to_owned(), Value::from(parent_type.singular()));
        }
        Ok(Request { fields, parents })
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
impl Permit<Request> for GroupMaker {
    const RULE: Rule = Rule::AdminClaim;

    /// Whoever is made a member of a group in an org is given that org's administrations; so the claim alone
    /// isn't enough there.
    async fn grant(app: &App, caller: &Caller, request: &Request) -> Result<Self, FunctionError> {
        let requester = Requester::of(app, caller).await?;
        let claims = &requester.claims;
        if !claims.super_admin && !claims.admin {
            return Err(denied("Only admins may make groups."));
        }
        let parents: OrgLists = request.parents.iter().map(|key| (key.org_type, key.id.as_str())).collect();
        match claims.administers_all(&parents) {
            true => Ok(GroupMaker { requester }),
            false => Err(denied("You don't administer the org that the group is to be part of.")),
        }
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

/// Makes a group, links it with its parents, and gives its maker the rights over it: all at once, or not at
/// all. Each call makes another group.
pub async fn create_group(app: App, permit: GroupMaker, request: Request) -> Result<MadeGroup, FunctionError> {
    let id = app.context.document_id();
    let uid = &permit.requester.uid;
    let account = app.accounts.admin.get(uid).await?;
    let path = Claims::path(uid)?;
    let mut rounds = Rounds::new(&app.context);
    while rounds.next().await {
        let document = app.stores.admin.get(&path).await?;
        let known = granted(claims_map(document.as_ref()));
        let mut tree = snapshot(&app.stores.admin, &known).await?;
        // The group isn't there yet.
        tree.insert(OrgKey::new(OrgType::Group, &id), crate::orgs::Org::from_fields(OrgType::Group, &request.fields));
        let custom = account.as_ref().map(|account| &account.custom_claims);
        let work = Work { app: &app, uid, id: &id, request: &request, custom, tree: &tree, known: &known };
        let made = app.stores.admin.transaction(|tx| work.run(tx)).await;
        match made {
            Ok((true, _)) => {
                // It's made; the document's event publishes what can't be published now.
                if let Err(error) = publish(&app, uid, &[]).await {
                    tracing::warn!(uid, %error, "the rights over a new group aren't published yet");
                }
                return Ok(MadeGroup { group_id: id.into() });
            }
            Ok((false, _)) => continue,
            Err(GroupError::Store(StoreError::Contention)) => continue,
            Err(error) => return Err(error.into()),
        }
    }
    Err(FunctionError::new(Status::Aborted, "Too many changes at once. Please try again."))
}

/// Why a group isn't made.
#[derive(Debug, Error)]
enum GroupError {
    /// The text is for callers.
    #[error("The {} {} doesn't exist or is archived.", .0.org_type.singular(), shown(&.0.id))]
    NoParent(OrgKey),
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// The rights over the group don't fit into the account's custom claims.
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<GroupError> for FunctionError {
    fn from(error: GroupError) -> Self {
        match error {
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

struct Work<'a> {
    app: &'a App,
    uid: &'a str,
    id: &'a str,
    request: &'a Request,
    custom: Option<&'a Map<String, Json>>,
    /// The orgs that the maker was granted, with the new group, and all below them.
    tree: &'a OrgTree,
    known: &'a OrgLists,
}

impl Work<'_> {
    /// False when the maker's claims are others than those that the snapshot was made for.
    async fn run(&self, tx: Transaction) -> Result<bool, GroupError> {
        let path = Claims::path(self.uid)?;
        let parents: Result<Vec<DocPath>, StoreError> = self
            .request
            .parents
            .iter()
            .map(|parent| DocPath::in_collection(parent.org_type.plural(), &parent.id))
            .collect();
        let parents = parents?;
        let found = tx.get_all(&parents).await?;
        for (parent, found) in self.request.parents.iter().zip(&found) {
            let archived = |name: &str| found.as_ref().and_then(|org| org.fields.get(name)).and_then(Value::as_bool);
            if found.is_none() || archived("archived") == Some(true) {
                return Err(GroupError::NoParent(parent.clone()));
            }
        }
        let document = tx.get(&path).await?;
        let claims = claims_map(document.as_ref());
        if !granted(claims).same_orgs(self.known) {
            return Ok(false);
        }
        let before = stored(claims);
        let group = [(OrgType::Group, self.id)];
        let orgs = AdminOrgs::of(&self.known.iter().chain(group).collect(), self.tree);
        orgs.check_room()?;
        let mut all = claims.cloned().unwrap_or_default();
        all.extend(orgs.to_fields());
        if let Some(custom) = self.custom {
            check_claims(&custom_claims(custom, &all, &[]))?;
        }
        let created_by = Claims::read(self.uid, document.as_ref()).roar_uid;
        let mut fields = self.request.fields.clone();
        fields.extend(fields! { "archived" => false, "createdBy" => created_by });
        let path_of_group = DocPath::in_collection(OrgType::Group.plural(), self.id)?;
        tx.write(Write::create(path_of_group, fields).with(FieldPath::top("createdAt"), Transform::ServerTime)).await;
        for parent in parents {
            let listed = Transform::Union(vec![Value::from(self.id)]);
            let write = Write::transform(parent, Vec::new()).when(Precondition::Exists);
            tx.write(write.with(FieldPath::top("subGroups"), listed)).await;
        }
        let updated = next_update(document.as_ref(), self.app.now());
        let mask = AdminOrgs::mask().into_iter().chain([FieldPath::top("lastUpdated")]).collect();
        let written = fields! { "claims" => orgs.to_fields(), "lastUpdated" => updated };
        tx.write(Write::merge(path, written, mask)).await;
        let given = group.into_iter().collect();
        let record = Record {
            function: "createLevanteGroup",
            action: Action::Append,
            by: self.uid,
            target: self.uid,
            orgs: Some(&given),
            minimal: Some((&before.minimal, &orgs.minimal)),
            details: Fields::new(),
        };
        tx.write(record.write(self.app)?).await;
        Ok(true)
    }
}

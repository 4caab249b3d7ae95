//! The callable `createAdministratorAccount`: accounts in both projects, rights, and the users documents
//! (functions §2.4; dashboard-contract §2.8).

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Value as Json, json};

use super::person::Name;
use super::record::is_email;
use crate::accounts::{Account, AccountError, AccountUpdate, Accounts, NewAccount, Provider};
use crate::app::App;
use crate::claims::admin_orgs::Change;
use crate::claims::audit::Action;
use crate::claims::binding::{Binding, bind, identity::admin_provider};
use crate::fields;
use crate::orgs::{OrgLists, OrgType, Reach, load_tree};
use crate::payload::{flag, object, optional_orgs, required_text, shown};
use crate::rights::{AboveOrgs, Claims, NamesOrgs, Payload, Permit, Requester, Rule, denied};
use crate::runtime::{Caller, FunctionError, Status};
use crate::store::{DocPath, Document, FieldPath, Fields, StoreError, Timestamp, Transaction, Value, Write};

/// An administrator to be.
#[derive(Clone, PartialEq)]
pub struct Request {
    email: String,
    name: Name,
    /// The orgs that they are in.
    member_of: OrgLists,
    /// The orgs that they administer.
    admin_orgs: OrgLists,
    is_test_data: bool,
}

impl Payload for Request {
    fn read(data: &Json) -> Result<Self, FunctionError> {
        let data = object(data)?;
        let email = required_text(data, "email")?.trim().to_lowercase();
        if !is_email(&email) {
            return Err(FunctionError::invalid("email must be an e-mail address."));
        }
        Ok(Request {
            email,
            name: Name::read(data, "name")?,
            member_of: optional_orgs(data, "orgs")?,
            admin_orgs: optional_orgs(data, "adminOrgs")?,
            is_test_data: flag(data, "isTestData")?.unwrap_or(false),
        })
    }
}

impl NamesOrgs for Request {
    fn orgs(&self) -> &OrgLists {
        &self.admin_orgs
    }
}

/// Leave to make an administrator of the orgs that the request names.
pub struct Appoint {
    requester: Requester,
}

#[async_trait]
impl Permit<Request> for Appoint {
    const RULE: Rule = Rule::AboveOrgs;

    /// By the matrix for what they administer; what they are members of must be that, or above it.
    async fn grant(app: &App, caller: &Caller, request: &Request) -> Result<Self, FunctionError> {
        let AboveOrgs { requester } = <AboveOrgs as Permit<Request>>::grant(app, caller, request).await?;
        let all = request.member_of.iter().chain(request.admin_orgs.iter()).collect();
        let tree = load_tree(&app.stores.admin, &all, Reach::Up).await?;
        if let Some((org_type, id)) = request.member_of.iter().find(|(org_type, id)| tree.get(*org_type, id).is_none())
        {
            let message = format!("The {} {} doesn't exist.", org_type.singular(), shown(id));
            return Err(FunctionError::new(Status::NotFound, message));
        }
        let covered = tree.read_orgs(&request.admin_orgs).to_set();
        if !requester.claims.super_admin && !request.member_of.difference(&covered).is_empty() {
            return Err(denied("orgs may only name the orgs of adminOrgs and those above them."));
        }
        Ok(Appoint { requester })
    }
}

/// Makes an administrator, or makes somebody one who has an account already. Repeated, it converges. When a
/// step fails, accounts that this call made are deleted again.
pub async fn create_administrator_account(app: App, permit: Appoint, request: Request) -> Result<Json, FunctionError> {
    let mut made = Made::default();
    match appoint(&app, &permit.requester, &request, &mut made).await {
        Ok(answer) => Ok(answer),
        Err(error) => {
            made.undo(&app).await;
            Err(error)
        }
    }
}

/// What this call has made so far.
#[derive(Default)]
struct Made {
    admin: Option<String>,
    assessment: Option<String>,
}

impl Made {
    /// Deletes it, as far as that goes: claims that nobody can sign in with give no rights.
    async fn undo(&self, app: &App) {
        let sides = [
            (&self.admin, &app.accounts.admin, &app.stores.admin),
            (&self.assessment, &app.accounts.assessment, &app.stores.assessment),
        ];
        for (uid, accounts, database) in sides {
            let Some(uid) = uid else { continue };
            if let Err(error) = accounts.delete(uid).await {
                tracing::error!(uid, project = accounts.project(), %error, "an account that wasn't needed stays");
            }
            let claims = Claims::path(uid).map(Write::delete);
            let deleted = match claims {
                Ok(delete) => database.commit(vec![delete]).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = deleted {
                tracing::error!(uid, %error, "claims that weren't needed stay");
            }
        }
    }
}

async fn appoint(app: &App, requester: &Requester, request: &Request, made: &mut Made) -> Result<Json, FunctionError> {
    let by = requester.uid.as_str();
    let found = app.accounts.admin.find(&request.email).await?;
    let document = match &found {
        Some(account) => app.stores.admin.get(&Claims::path(&account.uid)?).await?,
        None => None,
    };
    let known = found.as_ref().map(|account| Claims::read(&account.uid, document.as_ref()));
    // Whoever has rights that the caller hasn't is given these too, but otherwise left alone.
    let in_charge = known.as_ref().is_none_or(|known| requester.claims.include(known));
    let admin_uid = match found {
        Some(account) => {
            if in_charge {
                revive(&app.accounts.admin, &account, &request.name).await?;
            }
            account.uid
        }
        None => match create(app, &app.accounts.admin, request).await? {
            Created::Now(uid) => {
                made.admin = Some(uid.clone());
                uid
            }
            Created::Meanwhile(account) => account.uid,
        },
    };
    let bound = known.as_ref().and_then(|known| known.assessment_uid.as_deref());
    let assessment_uid = assessment_account(app, &admin_uid, bound, request, made).await?;
    let binding = Binding {
        function: "createAdministratorAccount",
        by,
        admin_uid: &admin_uid,
        assessment_uid: &assessment_uid,
        roar_uid: None,
        identity: None,
        is_trusted: true,
    };
    let roar_uid = bind(app, &binding).await?.roar_uid;
    let change = Change {
        function: "createAdministratorAccount",
        by,
        target: &admin_uid,
        orgs: &request.admin_orgs,
        action: Action::Append,
    };
    change.apply(app).await?;
    let user = User { app, request, assessment_uid: &assessment_uid, in_charge };
    let path = &DocPath::in_collection("users", &roar_uid)?;
    app.stores.admin.transaction(|tx| user.write(tx, path, true)).await?;
    app.stores.assessment.transaction(|tx| user.write(tx, path, false)).await?;
    Ok(json!({ "status": "ok", "adminUid": admin_uid, "assessmentUid": assessment_uid, "roarUid": roar_uid }))
}

/// Lets an account sign in again, and gives it a name if it has none.
async fn revive(accounts: &Accounts, account: &Account, name: &Name) -> Result<(), FunctionError> {
    let update = AccountUpdate {
        disabled: account.disabled.then_some(false),
        display_name: account.display_name.is_none().then(|| name.display()),
        ..AccountUpdate::default()
    };
    if update.disabled.is_some() || update.display_name.is_some() {
        accounts.update(&account.uid, &update).await?;
    }
    Ok(())
}

/// An account that its user sets a password for: the one that it's made with nobody learns.
async fn create(app: &App, accounts: &Accounts, request: &Request) -> Result<Created, FunctionError> {
    // As long as Firebase makes them.
    let uid: String = [app.context.document_id(), app.context.document_id()].concat().chars().take(28).collect();
    let is_personal = accounts.project() == app.accounts.admin.project();
    let new = NewAccount {
        email: Some(request.email.clone()),
        display_name: is_personal.then(|| request.name.display()),
        password: Some(SecretString::from([app.context.document_id(), app.context.document_id()].concat())),
        ..NewAccount::default()
    };
    match accounts.create(&uid, &new).await {
        Ok(()) => Ok(Created::Now(uid)),
        Err(AccountError::EmailExists) => match accounts.find(&request.email).await? {
            Some(account) => Ok(Created::Meanwhile(account)),
            None => Err(AccountError::EmailExists.into()),
        },
        Err(error) => Err(error.into()),
    }
}

/// An account with the address.
enum Created {
    /// Made by this call.
    Now(String),
    /// Made by another one since this one looked.
    Meanwhile(Account),
}

/// The account in the assessment project: the one that's bound already, the one with the address, or a new
/// one; linked, so that signing in to the admin project signs in to it.
async fn assessment_account(
    app: &App,
    admin_uid: &str,
    bound: Option<&str>,
    request: &Request,
    made: &mut Made,
) -> Result<String, FunctionError> {
    let accounts = &app.accounts.assessment;
    if accounts.project() == app.accounts.admin.project() {
        return Ok(admin_uid.to_owned());
    }
    if let Some(bound) = bound
        && accounts.get(bound).await?.is_some()
    {
        return Ok(bound.to_owned());
    }
    let provider = admin_provider(app.accounts.admin.project());
    let mut found = accounts.find(&request.email).await?;
    let uid = match &found {
        Some(account) => account.uid.clone(),
        None => match create(app, accounts, request).await? {
            Created::Now(uid) => {
                made.assessment = Some(uid.clone());
                uid
            }
            Created::Meanwhile(account) => found.insert(account).uid.clone(),
        },
    };
    let linked = found.iter().flat_map(|account| &account.providers).find(|linked| linked.provider_id == provider);
    if linked.is_some_and(|linked| linked.raw_id != admin_uid) {
        let message = "The assessment account with this e-mail address belongs to another user.";
        return Err(FunctionError::new(Status::AlreadyExists, message));
    }
    if linked.is_none() {
        let link = Provider { provider_id: provider, raw_id: admin_uid.to_owned() };
        accounts.update(&uid, &AccountUpdate { link: Some(link), ..AccountUpdate::default() }).await?;
    }
    Ok(uid)
}

/// The administrator's users documents.
struct User<'a> {
    app: &'a App,
    request: &'a Request,
    assessment_uid: &'a str,
    /// The caller may say who somebody is who exists already.
    in_charge: bool,
}

impl User<'_> {
    async fn write(&self, tx: Transaction, path: &DocPath, is_personal: bool) -> Result<(), StoreError> {
        let document = tx.get(path).await?;
        if let Some(write) = self.merged(path, document.as_ref(), is_personal) {
            tx.write(write).await;
        }
        Ok(())
    }

    /// `None` when nothing would change. Names and addresses are for the admin database only.
    fn merged(&self, path: &DocPath, document: Option<&Document>, is_personal: bool) -> Option<Write> {
        let now = self.app.now();
        let mut fields = fields! { "userType" => "admin", "assessmentUid" => self.assessment_uid };
        if document.is_none() || self.in_charge {
            fields.extend(fields! { "archived" => false, "testData" => self.request.is_test_data });
            if is_personal {
                fields
                    .extend(fields! { "email" => self.request.email.as_str(), "name" => self.request.name.to_value() });
            }
        }
        for org_type in OrgType::ALL {
            let held = document.and_then(|document| document.fields.get(org_type.plural()));
            let map = with_orgs(held.and_then(Value::as_map), self.request.member_of.of(org_type), now);
            fields.insert(org_type.plural().to_owned(), Value::Map(map));
        }
        let Some(document) = document else {
            fields.extend(fields! { "createdAt" => now, "lastUpdated" => now });
            return Some(Write::create(path.clone(), fields));
        };
        fields.retain(|name, value| document.fields.get(name) != Some(value));
        if fields.is_empty() {
            return None;
        }
        fields.insert("lastUpdated".to_owned(), Value::from(now));
        let mask = fields.keys().map(FieldPath::top).collect();
        Some(Write::merge(path.clone(), fields, mask))
    }
}

/// A user's orgs of one type with further ones: dates of those that are there stay (data-model §1).
fn with_orgs(held: Option<&Fields>, added: &[String], now: Timestamp) -> Fields {
    let list = |name: &str| held.and_then(|held| held.get(name)).and_then(Value::as_string_list).unwrap_or_default();
    let dates = held.and_then(|held| held.get("dates")).and_then(Value::as_map);
    let (mut current, mut all, mut dates) = (list("current"), list("all"), dates.cloned().unwrap_or_default());
    for id in added {
        if !current.contains(id) {
            current.push(id.clone());
            dates.insert(id.clone(), Value::Map(fields! { "from" => now, "to" => Value::Null }));
        }
        if !all.contains(id) {
            all.push(id.clone());
        }
    }
    let mut map = held.cloned().unwrap_or_default();
    map.extend(fields! { "current" => Value::strings(current), "all" => Value::strings(all), "dates" => dates });
    map
}

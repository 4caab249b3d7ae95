//! The callable `createAdministratorAccount`: creates accounts in both projects, rights, and the users documents
//! (docs/domain/dashboard.md#createadministratoraccount).

mod decide;

use async_trait::async_trait;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use self::decide::{AppointedUser, is_same_person};
use super::person::Name;
use super::record::{Email, is_email};
use crate::accounts::{Account, AccountError, AccountUpdate, Accounts, NewAccount, Provider};
use crate::app::App;
use crate::claims::admin_orgs::Change;
use crate::claims::audit::{Action, Record};
use crate::claims::binding::identity::admin_provider;
use crate::claims::binding::{Binding, bind};
use crate::claims::edit::{Changes, Decision, Publication, State, Target, edit};
use crate::claims::{ClaimsError, LARGE};
use crate::documents::user::same::fold_address;
use crate::documents::user::user_path;
use crate::documents::user_claims::claims_path;
use crate::fields;
use crate::orgs::payload::{SentOrgs, few_orgs};
use crate::orgs::{OrgLists, OrgType, Reach, load_tree};
use crate::payload::refusals::GONE;
use crate::payload::{Checked, Filled, Id, shown};
use crate::rights::{AboveOrgs, Claims, NamesOrgs, Payload, Permit, Requester, Rule, denied, looks_after};
use crate::runtime::{Caller, FunctionError, Status};
use crate::store::{DocPath, StoreError, Transaction, Value, Write};

/// The function's name in audit records.
const FUNCTION: &str = "createAdministratorAccount";

/// A checked request of `createAdministratorAccount`.
#[derive(Clone, PartialEq)]
pub struct AdministratorRequest {
    email: String,
    name: Name,
    /// The orgs that the administrator is a member of.
    member_of: OrgLists,
    /// The orgs that the administrator gets rights over.
    admin_orgs: OrgLists,
    is_test_data: bool,
}

/// Accounts in both projects, the user's documents, and rights over adminOrgs. Where there's an account for the address,
/// it's taken if the caller may. Repeated, it converges.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct CreateAdministratorAccount {
    /// The address to sign in with.
    #[schemars(with = "Email")]
    email: Filled,
    /// In parts, or as one text.
    name: Name,
    /// The orgs that they're members of.
    orgs: Option<SentOrgs>,
    /// The orgs that they administer.
    admin_orgs: Option<SentOrgs>,
    /// A test user.
    is_test_data: Option<bool>,
}

/// Whom the call made an administrator.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct Appointed {
    /// The account in the admin project.
    pub admin_uid: Id,
    /// The account in the assessment project.
    pub assessment_uid: Id,
    /// The user.
    pub roar_uid: Id,
}

impl Payload for AdministratorRequest {
    type Sent = CreateAdministratorAccount;
    type Answer = Appointed;
    const REFUSALS: &'static [(Status, &'static str)] = &[
        GONE,
        (
            Status::AlreadyExists,
            "Somebody has an account with the address whom the caller doesn't administer; or an account or a user belongs \
             to somebody else.",
        ),
        LARGE,
        (Status::FailedPrecondition, "The account with the address is suspended."),
    ];

    fn check(sent: CreateAdministratorAccount) -> Checked<Self> {
        let email = fold_address(&sent.email.0);
        if !is_email(&email) {
            return Err(FunctionError::invalid("email must be an e-mail address."));
        }
        sent.name.check("name")?;
        Ok(AdministratorRequest {
            email,
            name: sent.name,
            member_of: few_orgs(SentOrgs::lists(sent.orgs), "orgs")?,
            admin_orgs: few_orgs(SentOrgs::lists(sent.admin_orgs), "adminOrgs")?,
            is_test_data: sent.is_test_data.unwrap_or(false),
        })
    }

    fn example() -> (Json, Appointed) {
        let sent = json!({
            "email": "principal@school.example", "name": { "first": "Pat", "last": "Principal" },
            "orgs": { "schools": ["school-1"] }, "adminOrgs": { "schools": ["school-1"] },
        });
        let appointed = Appointed {
            admin_uid: "WbWnqhx3fHV1u9mkkvcqMA0dRj12".into(),
            assessment_uid: "3k0KfWsoYyTUZC8xwNqJx4y5Zsk1".into(),
            roar_uid: "3k0KfWsoYyTUZC8xwNqJx4y5Zsk1".into(),
        };
        (sent, appointed)
    }
}

impl NamesOrgs for AdministratorRequest {
    fn orgs(&self) -> &OrgLists {
        &self.admin_orgs
    }
}

/// Permit to appoint an administrator of the orgs that the request names.
pub struct Appoint {
    requester: Requester,
}

#[async_trait]
impl Permit<AdministratorRequest> for Appoint {
    const RULE: Rule = Rule::AboveOrgs;

    /// Checks the administered orgs by the matrix of rights; orgs that the administrator is a member of must be among
    /// these, or above them.
    async fn grant(app: &App, caller: &Caller, request: &AdministratorRequest) -> Result<Self, FunctionError> {
        let AboveOrgs { requester } = <AboveOrgs as Permit<AdministratorRequest>>::grant(app, caller, request).await?;
        if !requester.claims.super_admin && !request.admin_orgs.of(OrgType::Family).is_empty() {
            return Err(denied("Only super admins may make administrators of families."));
        }
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

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

/// Creates an administrator, or makes the owner of an existing account one. Idempotent: a repetition completes an
/// interrupted call. When a step fails, accounts that this call created are deleted again.
pub async fn create_administrator_account(
    app: App,
    permit: Appoint,
    request: AdministratorRequest,
) -> Result<Appointed, FunctionError> {
    let mut made = Made::default();
    match appoint(&app, &permit.requester, &request, &mut made).await {
        Ok(answer) => Ok(answer),
        Err(error) => {
            made.undo(&app).await;
            Err(error)
        }
    }
}

/// The accounts that this call has created so far.
#[derive(Default)]
struct Made {
    admin: Option<String>,
    assessment: Option<String>,
}

impl Made {
    /// Deletes the created accounts where possible, unless they have rights by now, from this call or from another one
    /// that found the account. In that case, repeating the call completes the work.
    async fn undo(&self, app: &App) {
        if let Err(error) = self.try_to_undo(app).await {
            // The accounts have no rights, and a repetition of the call uses them.
            tracing::warn!(error = %error, "accounts that aren't needed stay");
        }
    }

    async fn try_to_undo(&self, app: &App) -> Result<(), ClaimsError> {
        if let Some(uid) = &self.admin {
            let target = Target { as_read: true, publication: Publication::Later, ..Target::new(FUNCTION, uid, uid) };
            if !edit(app, &target, |state| Ok::<_, ClaimsError>(undo(state))).await? {
                return Ok(());
            }
        }
        for (uid, accounts) in [(&self.admin, &app.accounts.admin), (&self.assessment, &app.accounts.assessment)] {
            let Some(uid) = uid else { continue };
            match accounts.delete(uid).await {
                Ok(()) | Err(AccountError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(uid) = &self.assessment {
            app.stores.assessment.commit(vec![Write::delete(claims_path(uid)?)]).await?;
        }
        Ok(())
    }
}

/// Removes the claims of an account that isn't needed. False, without a write, when the account was granted orgs.
fn undo(state: &State<'_>) -> Decision<'static, bool> {
    if !state.granted().is_empty() {
        return Decision::Keep(false);
    }
    match state.document {
        Some(_) => Decision::Write(Changes::deletion(), true),
        None => Decision::Keep(true),
    }
}

async fn appoint(
    app: &App,
    requester: &Requester,
    request: &AdministratorRequest,
    made: &mut Made,
) -> Result<Appointed, FunctionError> {
    let by = requester.uid.as_str();
    let found = app.accounts.admin.find(&request.email).await?;
    let admin = match found {
        Some(account) => {
            check_existing(app, requester, &account, request).await?;
            revive(app, by, &account, &request.name).await?;
            account
        }
        None => match create(app, &app.accounts.admin, request, true, &mut made.admin).await? {
            Created::Now(account) => account,
            Created::Meanwhile(account) => {
                check_existing(app, requester, &account, request).await?;
                account
            }
        },
    };
    let admin_uid = admin.uid.clone();
    let (assessment, roar_uid) = match bind_accounts(app, by, &admin, request, made).await {
        // A concurrent call created the assessment account first; use that account.
        Err(error) if error.status == Status::AlreadyExists && made.assessment.is_some() => {
            if let Some(uid) = made.assessment.take() {
                app.accounts.assessment.delete(&uid).await?;
                app.stores.assessment.commit(vec![Write::delete(claims_path(&uid)?)]).await?;
            }
            bind_accounts(app, by, &admin, request, made).await?
        }
        bound => bound?,
    };
    let assessment_uid = assessment.uid.clone();
    link(app, &assessment, &admin_uid).await?;
    let change =
        Change { function: FUNCTION, by, target: &admin_uid, orgs: &request.admin_orgs, action: Action::Append };
    change.apply(app).await?;
    let appointed = AppointedUser {
        email: &request.email,
        name: &request.name,
        member_of: &request.member_of,
        admin_orgs: &request.admin_orgs,
        is_test_data: request.is_test_data,
        assessment_uid: &assessment_uid,
        now: app.now(),
    };
    let path = &user_path(&roar_uid)?;
    app.stores.admin.transaction(|tx| write_user(tx, path, appointed, true)).await?;
    app.stores.assessment.transaction(|tx| write_user(tx, path, appointed, false)).await?;
    Ok(Appointed { admin_uid: admin_uid.into(), assessment_uid: assessment_uid.into(), roar_uid: roar_uid.into() })
}

/// Finds or creates the assessment account and binds it; returns it with the ID of the user's documents.
async fn bind_accounts(
    app: &App,
    by: &str,
    admin: &Account,
    request: &AdministratorRequest,
    made: &mut Made,
) -> Result<(Account, String), FunctionError> {
    let document = app.stores.admin.get(&claims_path(&admin.uid)?).await?;
    let bound = Claims::read(&admin.uid, document.as_ref()).assessment_uid;
    let assessment = assessment_account(app, admin, bound.as_deref(), request, made).await?;
    let binding = Binding {
        function: FUNCTION,
        by,
        admin_uid: &admin.uid,
        assessment_uid: &assessment.uid,
        roar_uid: None,
        identity: None,
        is_trusted: true,
    };
    let roar_uid = bind(app, &binding).await?.roar_uid;
    Ok((assessment, roar_uid))
}

/// An existing account may be made an administrator's only by super admins and by callers who administer its user:
/// otherwise any caller could take over any account. And an unverified address doesn't prove who owns the account, so
/// rights meant for the owner of the address aren't given to it.
async fn check_existing(
    app: &App,
    requester: &Requester,
    account: &Account,
    request: &AdministratorRequest,
) -> Result<(), FunctionError> {
    let document = app.stores.admin.get(&claims_path(&account.uid)?).await?;
    let known = Claims::read(&account.uid, document.as_ref());
    let is_known = account.email_verified || known.administers_all(&request.admin_orgs);
    if requester.claims.super_admin || (is_known && looks_after(app, requester, &account.uid).await?) {
        // A suspended user stays suspended, so their account must not be made usable here.
        return match known.suspended {
            true => {
                let message = "The account with this e-mail address is suspended. Lift that first (updateUserRecord with disabled: false).";
                Err(FunctionError::new(Status::FailedPrecondition, message))
            }
            false => Ok(()),
        };
    }
    let message = "Somebody has an account with this e-mail address already. A super admin can give them these rights.";
    Err(FunctionError::new(Status::AlreadyExists, message))
}

/// Enables an account again, and gives it a name if it has none.
async fn revive(app: &App, by: &str, account: &Account, name: &Name) -> Result<(), FunctionError> {
    let update = AccountUpdate {
        disabled: account.disabled.then_some(false),
        display_name: account.display_name.is_none().then(|| name.display()),
        ..AccountUpdate::default()
    };
    let changed = [("disabled", update.disabled.is_some()), ("displayName", update.display_name.is_some())];
    if changed.iter().all(|(_, changed)| !changed) {
        return Ok(());
    }
    let fields = Value::strings(changed.iter().filter(|(_, changed)| *changed).map(|(name, _)| *name));
    let record =
        Record { details: fields! { "fields" => fields }, ..Record::new(FUNCTION, Action::Account, by, &account.uid) };
    app.accounts.admin.update(&account.uid, &update).await?;
    app.stores.admin.commit(vec![record.write(app)?]).await?;
    Ok(())
}

/// Links the assessment account with the account of the admin project, so that signing in to the latter also signs in
/// to the former.
async fn link(app: &App, assessment: &Account, admin_uid: &str) -> Result<(), FunctionError> {
    let provider = admin_provider(app.accounts.admin.project());
    let one_project = app.accounts.assessment.project() == app.accounts.admin.project();
    if one_project || assessment.is_linked(&provider, admin_uid) {
        return Ok(());
    }
    let link = Provider { provider_id: provider, raw_id: admin_uid.to_owned() };
    let update = AccountUpdate { link: Some(link), ..AccountUpdate::default() };
    app.accounts.assessment.update(&assessment.uid, &update).await?;
    Ok(())
}

/// Creates an account with a random password that nobody learns; the user sets a password of their own.
async fn create(
    app: &App,
    accounts: &Accounts,
    request: &AdministratorRequest,
    has_address: bool,
    made: &mut Option<String>,
) -> Result<Created, FunctionError> {
    // As long as the UIDs that Firebase creates.
    let uid: String = [app.context.document_id(), app.context.document_id()].concat().chars().take(28).collect();
    let is_personal = accounts.project() == app.accounts.admin.project();
    let new = NewAccount {
        email: has_address.then(|| request.email.clone()),
        display_name: is_personal.then(|| request.name.display()),
        // Without an address, nobody can sign in with a password.
        password: has_address
            .then(|| SecretString::from([app.context.document_id(), app.context.document_id()].concat())),
        ..NewAccount::default()
    };
    // Noted before the call, in case the account is created and the answer is lost.
    *made = Some(uid.clone());
    match accounts.create(&uid, &new).await {
        Ok(()) => Ok(Created::Now(Account { uid, email: new.email, ..Account::default() })),
        Err(AccountError::EmailExists) => {
            *made = None;
            let account = accounts.find(&request.email).await?;
            account.map(Created::Meanwhile).ok_or_else(|| AccountError::EmailExists.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// An account with the address.
enum Created {
    /// The account was created by this call.
    Now(Account),
    /// The account was created by a concurrent call since this call looked for it.
    Meanwhile(Account),
}

/// The account in the assessment project: the account that is bound already, an account that is proven to belong to the
/// same person, or a new one. Anybody can register with any address in that project. So an account that has the address
/// without having verified it counts as another person's, and the new account is created without an address.
async fn assessment_account(
    app: &App,
    admin: &Account,
    bound: Option<&str>,
    request: &AdministratorRequest,
    made: &mut Made,
) -> Result<Account, FunctionError> {
    let accounts = &app.accounts.assessment;
    if accounts.project() == app.accounts.admin.project() {
        return Ok(admin.clone());
    }
    if let Some(bound) = bound
        && let Some(account) = accounts.get(bound).await?
    {
        return Ok(account);
    }
    let provider = admin_provider(app.accounts.admin.project());
    let is_theirs = |account: &Account| is_same_person(account, admin, &provider);
    let found = accounts.find(&request.email).await?;
    if let Some(account) = found.as_ref().filter(|account| is_theirs(account)) {
        return Ok(account.clone());
    }
    let mut created = create(app, accounts, request, found.is_none(), &mut made.assessment).await?;
    if let Created::Meanwhile(account) = created {
        if is_theirs(&account) {
            return Ok(account);
        }
        created = create(app, accounts, request, false, &mut made.assessment).await?;
    }
    let (Created::Now(mut account) | Created::Meanwhile(mut account)) = created;
    // Linked at once, so that a concurrent call that finds the address also finds the owner of the account.
    link(app, &account, &admin.uid).await?;
    account.providers.push(Provider { provider_id: provider, raw_id: admin.uid.clone() });
    Ok(account)
}

/// Brings the user's document of one database in line with the appointment.
async fn write_user(
    tx: Transaction,
    path: &DocPath,
    appointed: AppointedUser<'_>,
    is_personal: bool,
) -> Result<(), StoreError> {
    let document = tx.get(path).await?;
    tx.write_all(appointed.write(path, document.as_ref(), is_personal)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::edit::tests::{document, state};
    use crate::orgs::OrgTree;

    #[test]
    fn an_account_that_was_granted_orgs_is_left_alone() {
        let tree = OrgTree::default();
        let orgs: OrgLists = [(OrgType::School, "s")].into_iter().collect();
        let claims = [fields! { "roarUid" => "r" }, fields! { "adminOrgs" => orgs.to_value() }];
        let [bare, granted] = claims.map(|claims| document(fields! { "claims" => claims }));
        for (held, expected) in [
            (None, Decision::Keep(true)),
            (Some(&bare), Decision::Write(Changes::deletion(), true)),
            (Some(&granted), Decision::Keep(false)),
        ] {
            assert_eq!(undo(&state(held, &tree)), expected);
        }
    }
}

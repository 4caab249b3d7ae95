//! Who may change whose account.

use async_trait::async_trait;

use super::{Claims, NamesUser, Payload, Permit, Requester, Rule, denied};
use crate::app::App;
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::{self, user_path};
use crate::documents::user_claims;
use crate::orgs::OrgLists;
use crate::runtime::{Caller, FunctionError, Status};
use crate::store::{Document, Fields};

/// Whose account it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Their Auth UID in the admin project.
    pub admin_uid: String,
    /// Their Auth UID in the assessment project, once it's known.
    pub assessment_uid: Option<String>,
    /// It's the caller's own.
    pub is_caller: bool,
}

/// Leave to change the account of the user that the request names, by Auth UID or by the ID of the users
/// document.
#[derive(Clone, Debug)]
pub struct UserAdmin {
    /// Who.
    pub requester: Requester,
    /// Whose.
    pub target: Target,
}

#[async_trait]
impl<R: Payload + NamesUser> Permit<R> for UserAdmin {
    const RULE: Rule = Rule::UserAdmin;

    /// Reads the caller's rights and the user's document and rights: at most four documents, and one query
    /// when the user is named by their document.
    async fn grant(app: &App, caller: &Caller, request: &R) -> Result<Self, FunctionError> {
        let requester = Requester::of(app, caller).await?;
        let own = || SignedInTarget { admin_uid: requester.uid.clone(), ..SignedInTarget::default() };
        let found = match SignedInTarget::of(app, request.user()).await? {
            // Whose account it is, nothing on record says, or too much does: for super admins to find out.
            Some(found) if found.is_doubtful && !requester.claims.super_admin && requester.uid != found.admin_uid => {
                return Err(denied(DENIED));
            }
            Some(found) if found.is_double => {
                let message = "Several accounts belong to this user; name the account itself.";
                return Err(FunctionError::new(Status::FailedPrecondition, message));
            }
            found => found,
        };
        let Some(found) = found.or_else(|| (requester.uid == request.user()).then(own)) else {
            // To others, who is there is none of their business.
            return Err(match requester.claims.super_admin {
                true => FunctionError::new(Status::NotFound, "There is no such user."),
                false => denied(DENIED),
            });
        };
        let is_caller = requester.uid == found.admin_uid;
        if !is_caller && !administers(&requester.claims, &found.claims, found.user.as_ref()) {
            return Err(denied(DENIED));
        }
        let assessment_uid = found.claims.assessment_uid;
        Ok(UserAdmin { requester, target: Target { admin_uid: found.admin_uid, assessment_uid, is_caller } })
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

const DENIED: &str = "You don't administer this user.";

/// True when the caller may say who the owner of an account is: a super admin, or somebody who administers them.
/// Reads the user's rights and document.
pub async fn looks_after(app: &App, requester: &Requester, admin_uid: &str) -> Result<bool, FunctionError> {
    if requester.claims.super_admin {
        return Ok(true);
    }
    let found = SignedInTarget::of(app, admin_uid).await?;
    Ok(found
        .is_some_and(|found| !found.is_doubtful && administers(&requester.claims, &found.claims, found.user.as_ref())))
}

/// Fails unless the caller may give the owner of an account rights: students are for those who administer them,
/// because whoever becomes an admin is no student any more, and loses their assignments.
pub async fn check_appointable(app: &App, requester: &Requester, admin_uid: &str) -> Result<(), FunctionError> {
    if requester.claims.super_admin {
        return Ok(());
    }
    let Some(found) = SignedInTarget::of(app, admin_uid).await? else { return Ok(()) };
    let is_student = found.user.as_ref().is_some_and(user::is_student);
    match is_student && !administers(&requester.claims, &found.claims, found.user.as_ref()) {
        true => Err(denied("This is a student whom you don't administer.")),
        false => Ok(()),
    }
}

/// Super admins administer everybody; others the users in an org of theirs, unless these have rights that
/// they haven't: a teacher's password is not for the admins of another class.
fn administers(claims: &Claims, target: &Claims, user: Option<&Fields>) -> bool {
    if claims.super_admin {
        return true;
    }
    let current: OrgLists = user.map(current_orgs).unwrap_or_default();
    let shared = current.intersection(&claims.admin_orgs.to_set());
    !shared.is_empty() && claims.include(target)
}

#[derive(Default)]
struct SignedInTarget {
    admin_uid: String,
    claims: Claims,
    user: Option<Fields>,
    /// No claims say that the account is the user's: anybody who may make users documents could say so.
    is_doubtful: bool,
    /// The claims of several accounts say so.
    is_double: bool,
}

impl SignedInTarget {
    async fn of(app: &App, uid: &str) -> Result<Option<SignedInTarget>, FunctionError> {
        let admin = &app.stores.admin;
        let user = user_path(uid)?;
        let found = admin.get_all(&[Claims::path(uid)?, user]).await?;
        let [claims, user] = <[Option<Document>; 2]>::try_from(found).unwrap_or_default();
        if let Some(document) = claims {
            let claims = Claims::read(uid, Some(&document));
            let user = match claims.roar_uid == uid {
                true => user,
                false => admin.get(&user_path(&claims.roar_uid)?).await?,
            };
            let user = user.map(|user| user.fields);
            return Ok(Some(SignedInTarget { admin_uid: uid.to_owned(), claims, user, ..SignedInTarget::default() }));
        }
        let Some(user) = user else { return Ok(None) };
        let holders = admin.query(user_claims::of_user(uid).limit(2)).await?;
        let (admin_uid, document) = match holders.as_slice() {
            // Nobody signed in yet: the account, if there is one, has the document's ID
            // (docs/domain/rights.md#who-somebody-is).
            [] => (uid.to_owned(), None),
            [holder] => (holder.id().to_owned(), Some(holder)),
            _ => (uid.to_owned(), None),
        };
        let claims = Claims::read(&admin_uid, document);
        let (is_doubtful, is_double) = (document.is_none(), holders.len() > 1);
        Ok(Some(SignedInTarget { admin_uid, claims, user: Some(user.fields), is_doubtful, is_double }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::orgs::OrgType;
    use crate::store::Value;

    #[test]
    fn who_administers_whom() {
        let rights = |orgs: &[(OrgType, &'static str)]| Claims {
            admin_orgs: orgs.iter().copied().collect(),
            ..Claims::default()
        };
        use OrgType::{Class, District, School};
        let everything = Claims { super_admin: true, ..Claims::default() };
        let district = rights(&[(District, "d1"), (School, "s1"), (Class, "c1")]);
        let class = rights(&[(Class, "c1")]);
        let other = rights(&[(Class, "c2")]);
        let none = Claims::default();
        let user = fields! {
            "districts" => fields! { "current" => Value::strings(["d1"]) },
            "classes" => fields! { "current" => Value::strings(["c1"]), "all" => Value::strings(["c1", "c2"]) },
        };
        // The caller; the rights of the user; what is said.
        for (caller, target, expected) in [
            (&everything, &everything, true),
            (&district, &none, true),
            (&district, &class, true),
            (&class, &none, true),
            (&class, &class, true),
            (&class, &district, false),
            (&district, &everything, false),
            (&district, &other, false),
            (&other, &none, false),
            (&none, &none, false),
        ] {
            assert_eq!(administers(caller, target, Some(&user)), expected, "{caller:?} {target:?}");
        }
        assert!(!administers(&district, &none, None));
        assert!(administers(&everything, &none, None));
    }
}

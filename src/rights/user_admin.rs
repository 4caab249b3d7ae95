//! The permit to change a user's account, and the decision who may change whose.

use async_trait::async_trait;

use super::{Claims, NamesUser, Payload, Permit, Requester, Rule, denied};
use crate::app::App;
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::{self, user_path};
use crate::documents::user_claims;
use crate::orgs::OrgLists;
use crate::runtime::{Caller, FunctionError, Status};
use crate::store::{Document, Fields};

/// The owner of the account that a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The owner's Auth UID in the admin project.
    pub admin_uid: String,
    /// The owner's Auth UID in the assessment project, where that's known.
    pub assessment_uid: Option<String>,
    /// True when the account is the caller's own.
    pub is_caller: bool,
}

/// Permit to change the account of the user whom the request names, by Auth UID or by the ID of the users
/// document.
#[derive(Clone, Debug)]
pub struct UserAdmin {
    /// Who.
    pub requester: Requester,
    /// The owner of the account.
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
            // No claims document links an account to the user, or those of several accounts do: only super admins may
            // decide.
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
            // Callers other than super admins must not find out which users exist.
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

/// True when the caller may decide who the owner of an account is: a super admin, or an administrator of the account's
/// user. Reads the user's rights and document.
pub async fn looks_after(app: &App, requester: &Requester, admin_uid: &str) -> Result<bool, FunctionError> {
    if requester.claims.super_admin {
        return Ok(true);
    }
    let found = SignedInTarget::of(app, admin_uid).await?;
    Ok(found
        .is_some_and(|found| !found.is_doubtful && administers(&requester.claims, &found.claims, found.user.as_ref())))
}

/// Fails unless the caller may give rights to the owner of an account. Only callers who administer a student may do so,
/// because a student who becomes an admin stops being a student and loses their assignments.
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

/// Super admins administer everybody. Other callers administer the users in an org of theirs, except users with rights
/// that the caller doesn't have: the admins of a class must not change the password of a teacher with another class.
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
    /// No claims document links the account to the user. Their users document alone proves nothing, because everybody
    /// who may create users documents could have written the link.
    is_doubtful: bool,
    /// The claims documents of several accounts link them to the user.
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
            // The user has never signed in: the UID of their account, if there is one, is the document's ID
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
        // Each case: the caller, the rights of the user, and the expected decision.
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

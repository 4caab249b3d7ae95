//! Permits: the values that handlers get instead of a caller, as a proof that the call's rule was checked.

use async_trait::async_trait;

use super::{Claims, From, Payload, Permit, Rule};
use crate::app::App;
use crate::orgs::OrgLists;
use crate::runtime::sign_in::SignIn;
use crate::runtime::{Caller, FunctionError, Status};
use crate::store::Document;

/// The caller, with their rights.
#[derive(Clone, Debug)]
pub struct Requester {
    /// The Auth UID in the admin project.
    pub uid: String,
    /// The caller's rights, from their `userClaims` document.
    pub claims: Claims,
    /// The `userClaims` document, if there is one.
    pub document: Option<Document>,
    /// Whether the caller's sign-in is strong enough for changing rights or passwords.
    pub sign_in: SignIn,
}

impl Requester {
    /// Reads the caller's rights, which costs one read. Fails with PERMISSION_DENIED for every call of a suspended
    /// user.
    pub async fn of(app: &App, caller: &Caller) -> Result<Requester, FunctionError> {
        let document = app.stores.admin.get(&Claims::path(&caller.uid)?).await?;
        let claims = Claims::read(&caller.uid, document.as_ref());
        check_not_suspended(&claims)?;
        Ok(Requester { uid: caller.uid.clone(), claims, document, sign_in: caller.sign_in.clone() })
    }
}

/// Fails with PERMISSION_DENIED for the claims of a suspended user.
pub fn check_not_suspended(claims: &Claims) -> Result<(), FunctionError> {
    match claims.suspended {
        true => Err(denied("This account is suspended. Please ask your administrator.")),
        false => Ok(()),
    }
}

/// An error with the status PERMISSION_DENIED and this message.
pub fn denied(message: &str) -> FunctionError {
    FunctionError::new(Status::PermissionDenied, message)
}

/// Permit for any signed-in caller to act on their own account. Granting reads no document, so a handler that changes
/// or reveals anything must call [`check_not_suspended`] once it has read the claims.
#[derive(Clone, Debug)]
pub struct Itself {
    /// Who.
    pub caller: Caller,
}

#[async_trait]
impl<R: Payload> Permit<R> for Itself {
    const RULE: Rule = Rule::Itself;
    const FROM: From = From::Either;

    async fn grant(_: &App, caller: &Caller, _: &R) -> Result<Self, FunctionError> {
        Ok(Itself { caller: caller.clone() })
    }

    fn requester(&self) -> Option<&Requester> {
        None
    }
}

/// Permit for a caller whose accounts are bound to a user (`setUidClaims`) to act on that user.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Who.
    pub requester: Requester,
}

#[async_trait]
impl<R: Payload> Permit<R> for Bound {
    const RULE: Rule = Rule::Bound;

    async fn grant(app: &App, caller: &Caller, _: &R) -> Result<Self, FunctionError> {
        let requester = Requester::of(app, caller).await?;
        match requester.document {
            Some(_) => Ok(Bound { requester }),
            None => Err(denied("Your account isn't anybody's yet. Please sign in again.")),
        }
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

/// Permit for super admins.
#[derive(Clone, Debug)]
pub struct SuperAdmin {
    /// Who.
    pub requester: Requester,
}

#[async_trait]
impl<R: Payload> Permit<R> for SuperAdmin {
    const RULE: Rule = Rule::SuperAdmin;

    async fn grant(app: &App, caller: &Caller, _: &R) -> Result<Self, FunctionError> {
        let requester = Requester::of(app, caller).await?;
        match requester.claims.super_admin {
            true => Ok(SuperAdmin { requester }),
            false => Err(denied("Only super admins may do this.")),
        }
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

/// A request about one user.
pub trait NamesUser {
    /// The user's Auth UID in the admin project.
    fn user(&self) -> &str;
}

/// Permit for callers to act on their own account, and for super admins to act on anybody's.
#[derive(Clone, Debug)]
pub struct ItselfOrSuperAdmin {
    /// Who.
    pub requester: Requester,
}

#[async_trait]
impl<R: Payload + NamesUser> Permit<R> for ItselfOrSuperAdmin {
    const RULE: Rule = Rule::ItselfOrSuperAdmin;

    async fn grant(app: &App, caller: &Caller, request: &R) -> Result<Self, FunctionError> {
        let requester = Requester::of(app, caller).await?;
        match requester.uid == request.user() || requester.claims.super_admin {
            true => Ok(ItselfOrSuperAdmin { requester }),
            false => Err(denied("Only super admins may do this for somebody else.")),
        }
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

/// A request that names orgs.
pub trait NamesOrgs {
    /// The orgs.
    fn orgs(&self) -> &OrgLists;

    /// True when a super admin may name orgs that don't exist, in order to remove what is left of them.
    fn may_be_missing(&self) -> bool {
        false
    }
}

/// Permit for callers who administer every org that the request names.
#[derive(Clone, Debug)]
pub struct OrgAdmin {
    /// Who.
    pub requester: Requester,
}

#[async_trait]
impl<R: Payload + NamesOrgs> Permit<R> for OrgAdmin {
    const RULE: Rule = Rule::EveryOrg;

    async fn grant(app: &App, caller: &Caller, request: &R) -> Result<Self, FunctionError> {
        let requester = Requester::of(app, caller).await?;
        match requester.claims.administers_all(request.orgs()) {
            true => Ok(OrgAdmin { requester }),
            false => Err(denied("You don't administer all of the orgs that this is about.")),
        }
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

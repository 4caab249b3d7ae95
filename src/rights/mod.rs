//! Rights: who may call which function. All such decisions are made here.
//!
//! A callable is registered with [`callable`], which gives the handler a *permit* instead of the caller. Only this
//! module creates permits, after checking the permit's rule, so a handler can't forget the check. The index of
//! functions lists each function's rule ([`Rule`]); the documentation's table and its test are generated from the
//! index.
//!
//! Rights come from the caller's `userClaims` document in the admin database, never from the token or the
//! payload (docs/domain/rights.md#custom-claims-and-their-limits). The token only says who calls, and in which of the
//! two projects.

mod above;
mod claims;
mod permits;
mod readers;
mod rule;
mod user_admin;

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

pub use above::AboveOrgs;
pub use claims::Claims;
pub use permits::{
    Bound, Itself, ItselfOrSuperAdmin, NamesOrgs, NamesUser, OrgAdmin, Requester, SuperAdmin, check_not_suspended,
    denied,
};
pub use readers::{AdministrationReader, Claimed, NamesAdministration, READERSHIP_FIELDS, Readable, Readership};
pub use rule::{Expected, Role, Rule, table};
pub use user_admin::{Target, UserAdmin, check_appointable, looks_after};

use crate::app::App;
use crate::payload;
pub use crate::payload::Payload;
use crate::runtime::{Call, Caller, Chunks, Function, FunctionError};

/// The projects from which a function accepts callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The admin project.
    Admin,
    /// The assessment project.
    Assessment,
    /// Either project, because both have a function with this name (docs/domain/rights.md#sign-in).
    Either,
}

/// A permit for what a request asks for. Only [`Permit::grant`] creates one.
#[async_trait]
pub trait Permit<R: Payload>: Sized + Send + 'static {
    /// The rule that is checked.
    const RULE: Rule;
    /// The project whose tokens are accepted.
    const FROM: From = From::Admin;

    /// Checks the rule. Fails with PERMISSION_DENIED when the rule refuses the call.
    async fn grant(app: &App, caller: &Caller, request: &R) -> Result<Self, FunctionError>;

    /// The caller with their rights, where these were read.
    fn requester(&self) -> Option<&Requester>;
}

/// A callable function for the function table. Before `handler` runs, the caller must be signed in, then the payload
/// must be valid, and then the permit's rule must allow the call.
pub fn callable<R, P, H, F>(name: &'static str, summary: &'static str, handler: H) -> Function<App>
where
    R: Payload,
    P: Permit<R>,
    H: Fn(App, P, R) -> F + Send + Sync + 'static,
    F: Future<Output = Result<R::Answer, FunctionError>> + Send + 'static,
{
    streaming_callable(name, summary, move |app, permit, request, _| handler(app, permit, request))
}

/// A streaming callable: its handler may send chunks before the answer. Otherwise as [`callable`].
pub fn streaming_callable<R, P, H, F>(name: &'static str, summary: &'static str, handler: H) -> Function<App>
where
    R: Payload,
    P: Permit<R>,
    H: Fn(App, P, R, Chunks) -> F + Send + Sync + 'static,
    F: Future<Output = Result<R::Answer, FunctionError>> + Send + 'static,
{
    let handler = Arc::new(handler);
    let checked = move |app: App, call: Call| {
        let handler = handler.clone();
        async move {
            let caller = call.signed_in()?;
            check_project(&app, caller, P::FROM)?;
            let request = R::read(&call.data)?;
            let permit = P::grant(&app, caller, &request).await?;
            if let Some(requester) = permit.requester() {
                call.allowance.set(requester.claims.is_administrator());
            }
            payload::done(handler(app, permit, request, call.chunks).await?)
        }
    };
    let described = Function::callable(name, summary, checked).with_signature(payload::signature::<R>());
    described.with_access(P::RULE.text())
}

/// Refuses tokens of the wrong project: UIDs of the two projects are unrelated, so such a token would name somebody
/// else.
fn check_project(app: &App, caller: &Caller, from: From) -> Result<(), FunctionError> {
    let (admin, assessment) = (app.accounts.admin.project(), app.accounts.assessment.project());
    let fits = match from {
        From::Admin => caller.project == admin,
        From::Assessment => caller.project == assessment,
        From::Either => caller.project == admin || caller.project == assessment,
    };
    if fits { Ok(()) } else { Err(FunctionError::unauthenticated()) }
}

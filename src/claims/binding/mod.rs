//! The callables that make two accounts one user's: `setUidClaims` at every sign-in, its namesake of the
//! assessment project, and `associateAssessmentUid` (docs/domain/rights.md#sign-in).

mod bind;
pub mod identity;
mod shown;

use serde_json::{Value as Json, json};

pub use bind::{Binding, bind};

use crate::app::App;
use crate::payload::{Checked, ID_LIMIT, object, optional_id, optional_text, required_id};
use crate::rights::{Claims, Itself, ItselfOrSuperAdmin, NamesUser, Payload, Requester, check_not_suspended, denied};
use crate::runtime::{FunctionError, Status};

/// What a sign-in tells. Which of it must be there depends on the project that the caller signed in to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignIn {
    assessment_uid: Option<String>,
    admin_uid: Option<String>,
    roar_uid: Option<String>,
    identity: Option<(String, Option<String>)>,
}

fn uid(data: &serde_json::Map<String, Json>, name: &str, what: &str) -> Checked<Option<String>> {
    let uid = optional_id(data, name, what)?;
    match uid.as_ref().is_some_and(|uid| uid.chars().count() > ID_LIMIT) {
        true => Err(FunctionError::invalid(format!("{name} must have {ID_LIMIT} characters at most."))),
        false => Ok(uid),
    }
}

impl Payload for SignIn {
    fn read(data: &Json) -> Result<Self, FunctionError> {
        let data = object(data)?;
        let provider_type = optional_text(data, "identityProviderType")?;
        let provider_id = optional_text(data, "identityProviderId")?;
        // Only rosters know people by their ID at a provider; for others it's passed over.
        let identity = provider_type
            .filter(|provider_type| identity::is_roster_provider(provider_type))
            .map(|provider_type| (provider_type, provider_id));
        Ok(SignIn {
            assessment_uid: uid(data, "assessmentUid", "an account of the assessment project")?,
            admin_uid: uid(data, "adminUid", "an account of the admin project")?,
            roar_uid: uid(data, "roarUid", "a user")?,
            identity,
        })
    }
}

/// `setUidClaims`: called at every sign-in of everybody, so it's quick when nothing is new: three to five reads, two
/// look-ups, no write.
pub async fn set_uid_claims(app: App, permit: Itself, request: SignIn) -> Result<Json, FunctionError> {
    let (admin, assessment) = (app.accounts.admin.project(), app.accounts.assessment.project());
    let one_project = admin == assessment;
    let is_assessment =
        if one_project { request.assessment_uid.is_none() } else { permit.caller.project == assessment };
    if is_assessment {
        return set_assessment_claims(&app, &permit.caller.uid, &request).await;
    }
    let caller = &permit.caller;
    let assessment_uid = request.assessment_uid.as_deref().ok_or_else(|| {
        FunctionError::invalid("assessmentUid must be the ID of an account of the assessment project.")
    })?;
    let named = request.admin_uid.as_deref().unwrap_or(&caller.uid);
    // Whoever names users, be it themselves, must be trusted to.
    let is_trusted = if named != caller.uid || request.roar_uid.is_some() {
        let requester = Requester::of(&app, caller).await?;
        let own = named == caller.uid && request.roar_uid.as_deref() == Some(&requester.claims.roar_uid);
        if !own {
            if !requester.claims.super_admin {
                return Err(denied("Only super admins may say who somebody is."));
            }
            caller.sign_in.check()?;
        }
        is_trusted(&requester)
    } else {
        false
    };
    let binding = Binding {
        function: "setUidClaims",
        by: &caller.uid,
        admin_uid: named,
        assessment_uid,
        roar_uid: request.roar_uid.as_deref().filter(|_| is_trusted),
        identity: request.identity.as_ref().map(|(kind, id)| (kind.as_str(), id.as_deref())),
        is_trusted,
    };
    let bound = bind(&app, &binding).await?;
    Ok(json!({ "status": "ok", "userClaims": bound.custom_claims }))
}

/// `setuidclaims` of the assessment project: the caller's account there takes over what the admin project
/// says of it. What that doesn't say, nobody may claim.
async fn set_assessment_claims(app: &App, assessment_uid: &str, request: &SignIn) -> Result<Json, FunctionError> {
    let named = |uid: &Option<String>, name: &str, what: &str| {
        uid.clone().ok_or_else(|| FunctionError::invalid(format!("{name} must be the ID of {what}.")))
    };
    let roar_uid = named(&request.roar_uid, "roarUid", "a user")?;
    let admin_uid = named(&request.admin_uid, "adminUid", "an account of the admin project")?;
    let document = app.stores.admin.get(&Claims::path(&admin_uid)?).await?;
    let claims = Claims::read(&admin_uid, document.as_ref());
    if document.is_none() || claims.roar_uid != roar_uid {
        return Err(denied("These are another user's."));
    }
    if claims.assessment_uid.as_deref().is_some_and(|bound| bound != assessment_uid) {
        return Err(denied("These are another user's."));
    }
    let binding = Binding {
        function: "setUidClaims",
        by: &admin_uid,
        admin_uid: &admin_uid,
        assessment_uid,
        roar_uid: None,
        identity: None,
        is_trusted: false,
    };
    check_not_suspended(&claims)?;
    let bound = bind(app, &binding).await.map_err(|error| match error.status {
        // To strangers, who is bound to whom is none of their business.
        Status::AlreadyExists | Status::NotFound => denied("These are another user's."),
        _ => error,
    })?;
    Ok(json!({ "status": "ok", "userClaims": bound.custom_claims }))
}

/// Which two accounts.
#[derive(Clone, Debug, PartialEq)]
pub struct Association {
    admin_uid: String,
    assessment_uid: String,
}

impl Payload for Association {
    fn read(data: &Json) -> Result<Self, FunctionError> {
        let data = object(data)?;
        let checked = |name: &str, what: &str| match uid(data, name, what)? {
            Some(uid) => Ok(uid),
            None => required_id(data, name, what),
        };
        Ok(Association {
            admin_uid: checked("adminUid", "an account of the admin project")?,
            assessment_uid: checked("assessmentUid", "an account of the assessment project")?,
        })
    }
}

impl NamesUser for Association {
    fn user(&self) -> &str {
        &self.admin_uid
    }
}

/// `associateAssessmentUid`: one's own two accounts, or, for super admins, anybody's.
pub async fn associate_assessment_uid(
    app: App,
    permit: ItselfOrSuperAdmin,
    request: Association,
) -> Result<Json, FunctionError> {
    let requester = &permit.requester;
    if request.admin_uid != requester.uid {
        requester.sign_in.check()?;
    }
    let binding = Binding {
        function: "associateAssessmentUid",
        by: &requester.uid,
        admin_uid: &request.admin_uid,
        assessment_uid: &request.assessment_uid,
        roar_uid: None,
        identity: None,
        is_trusted: is_trusted(requester),
    };
    bind(&app, &binding).await?;
    Ok(json!({ "status": "ok" }))
}

/// Super admins are believed whose accounts are whose. On an old sign-in they have to show it of their own, like anybody:
/// whoever found their device would keep their rights otherwise, in an account of the assessment project.
fn is_trusted(requester: &Requester) -> bool {
    requester.claims.super_admin && requester.sign_in.is_good()
}

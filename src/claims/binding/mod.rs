//! The callables that bind two accounts to one user: `setUidClaims`, called at every sign-in; the callable of the same
//! name in the assessment project; and `associateAssessmentUid` (docs/domain/rights.md#sign-in).

mod bind;
pub mod identity;
mod shown;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

pub use bind::{Binding, bind};

use crate::app::App;
use crate::claims::UserClaims;
use crate::payload::refusals::{GONE, TAKEN};
use crate::payload::{Checked, Nothing, Text, Uid, kinds};
use crate::rights::{Claims, Itself, ItselfOrSuperAdmin, NamesUser, Payload, Requester, check_not_suspended, denied};
use crate::runtime::{FunctionError, Status};

/// The data of a sign-in. Which fields are required depends on the project that the caller signed in to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignIn {
    assessment_uid: Option<String>,
    admin_uid: Option<String>,
    roar_uid: Option<String>,
    identity: Option<(String, Option<String>)>,
}

/// With a token of the admin project: assessmentUid is needed. With one of the assessment project: roarUid and adminUid are.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SetUidClaims {
    /// clever, classlink, …
    identity_provider_type: Option<Text>,
    /// Who it is there.
    identity_provider_id: Option<Text>,
    /// The account in the assessment project.
    assessment_uid: Option<Uid<kinds::AssessmentAccount>>,
    /// The account in the admin project; the caller's without.
    admin_uid: Option<Uid<kinds::AdminAccount>>,
    /// The user, where the caller may say so.
    roar_uid: Option<Uid<kinds::User>>,
}

/// The refusal of an account whose custom claims have no room for the user's identity.
const NO_ROOM: (Status, &str) =
    (Status::ResourceExhausted, "The account's custom claims would be larger than 1,000 bytes.");

impl Payload for SignIn {
    type Sent = SetUidClaims;
    type Answer = UserClaims;
    const REFUSALS: &'static [(Status, &'static str)] = &[
        GONE,
        TAKEN,
        NO_ROOM,
        (Status::FailedPrecondition, "The account belongs to another user already; the two have to be merged."),
        (
            Status::PermissionDenied,
            "An account, or the ID at the provider, isn't shown to be the caller's; or the caller says who somebody is, \
             which super admins may.",
        ),
    ];

    fn check(sent: SetUidClaims) -> Checked<Self> {
        let provider_id = Text::filled(sent.identity_provider_id);
        // Only roster providers know people by an ID; the IDs of other providers are ignored.
        let identity = Text::filled(sent.identity_provider_type)
            .filter(|provider_type| identity::is_roster_provider(provider_type))
            .map(|provider_type| (provider_type, provider_id));
        Ok(SignIn {
            assessment_uid: sent.assessment_uid.map(Uid::into_string),
            admin_uid: sent.admin_uid.map(Uid::into_string),
            roar_uid: sent.roar_uid.map(Uid::into_string),
            identity,
        })
    }

    fn example() -> (Json, UserClaims) {
        let claims = json!({ "roarUid": "roar-super", "assessmentUid": "assessment-super" });
        (json!({ "assessmentUid": "assessment-super" }), UserClaims::of(claims))
    }
}

/// `setUidClaims`: called at every sign-in of every user, so it's cheap when nothing is new: three to five reads, two
/// look-ups, no write.
pub async fn set_uid_claims(app: App, permit: Itself, request: SignIn) -> Result<UserClaims, FunctionError> {
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
    // A caller who names a user, even their own, must be trusted to do so.
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
    Ok(UserClaims { user_claims: bound.custom_claims })
}

/// `setuidclaims` of the assessment project: the caller's account in that project takes over the identity that the
/// admin project has recorded. Nobody may claim an identity that isn't recorded there.
async fn set_assessment_claims(app: &App, assessment_uid: &str, request: &SignIn) -> Result<UserClaims, FunctionError> {
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
        // Callers must not learn which accounts are bound to which users.
        Status::AlreadyExists | Status::NotFound => denied("These are another user's."),
        _ => error,
    })?;
    Ok(UserClaims { user_claims: bound.custom_claims })
}

/// The two accounts to bind.
#[derive(Clone, Debug, PartialEq)]
pub struct Association {
    admin_uid: String,
    assessment_uid: String,
}

/// As setUidClaims, without an answer of claims.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct AssociateAssessmentUid {
    /// The account in the admin project.
    admin_uid: Uid<kinds::AdminAccount>,
    /// The account in the assessment project.
    assessment_uid: Uid<kinds::AssessmentAccount>,
}

impl Payload for Association {
    type Sent = AssociateAssessmentUid;
    type Answer = Nothing;
    const REFUSALS: &'static [(Status, &'static str)] = &[
        GONE,
        TAKEN,
        NO_ROOM,
        (Status::PermissionDenied, "The assessment account isn't shown to be the same person's."),
    ];

    fn check(sent: AssociateAssessmentUid) -> Checked<Self> {
        Ok(Association { admin_uid: sent.admin_uid.into_string(), assessment_uid: sent.assessment_uid.into_string() })
    }

    fn example() -> (Json, Nothing) {
        (json!({ "adminUid": "uid-super", "assessmentUid": "assessment-super" }), Nothing {})
    }
}

impl NamesUser for Association {
    fn user(&self) -> &str {
        &self.admin_uid
    }
}

/// `associateAssessmentUid`: binds the caller's own two accounts or, for super admins, any two accounts.
pub async fn associate_assessment_uid(
    app: App,
    permit: ItselfOrSuperAdmin,
    request: Association,
) -> Result<Nothing, FunctionError> {
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
    Ok(Nothing {})
}

/// Super admins are trusted to say which accounts belong together. With an old sign-in, they have to prove it for their
/// own accounts, like everybody else: otherwise a person who finds their device could keep their rights in another
/// assessment account.
fn is_trusted(requester: &Requester) -> bool {
    requester.claims.super_admin && requester.sign_in.is_good()
}

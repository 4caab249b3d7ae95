//! Decides whether two accounts, and a roster entry, may be bound to one user. Pure (docs/domain/rights.md#sign-in).

use crate::accounts::Account;
use crate::documents::roster_entry;
use crate::documents::user::same::fold_address;
use crate::documents::user_claims;
use crate::orgs::OrgLists;
use crate::runtime::{FunctionError, Status};
use crate::store::{DocPath, Document, Fields, Value};

/// The providers whose users are in rosters before they have an account. IDs at other providers identify nobody.
const ROSTER_PROVIDERS: [&str; 3] = ["clever", "classlink", "nycps"];

/// True for a roster provider.
pub fn is_roster_provider(provider_type: &str) -> bool {
    ROSTER_PROVIDERS.contains(&provider_type)
}

/// The name of a roster provider in accounts: `oidc.clever`.
pub fn account_provider(provider_type: &str) -> String {
    format!("oidc.{provider_type}")
}

/// The provider under which accounts of the admin project sign in to the assessment project.
pub fn admin_provider(admin_project: &str) -> String {
    format!("oidc.{admin_project}")
}

/// The field of a roster entry that lists the rights already given to its user.
pub const COPIED: &str = roster_entry::field::COPIED_ADMIN_ORGS;

/// A roster entry whose user hasn't signed in yet, or that is linked to an account already
/// (docs/domain/rosters.md#identity-entries).
#[derive(Clone, Debug, PartialEq)]
pub struct RosterEntry {
    /// The path of the entry's document.
    pub path: DocPath,
    /// The ID of the users document that was made for the entry.
    pub roar_uid: String,
    /// The account that the entry is bound to.
    pub admin_uid: Option<String>,
    /// The user's ID at the provider, as the entry has it.
    pub provider_id: String,
    /// The rights that the roster gives.
    pub admin_orgs: OrgLists,
    /// The rights of `admin_orgs` that were given already.
    pub copied: OrgLists,
    /// The user's role in the roster.
    pub role: Option<String>,
    /// Whether the entry was linked to an account before.
    pub activated: bool,
    /// The district of the entry's roster, where the entry names it.
    pub district: Option<String>,
}

impl RosterEntry {
    /// Reads a document; `None` for an entry that names no user.
    pub fn of(document: &Document) -> Option<RosterEntry> {
        let text = |name: &str| {
            let text = document.fields.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let activated = document.fields.get(roster_entry::field::ACTIVATED).and_then(Value::as_bool).unwrap_or(false);
        let admin_orgs = OrgLists::from_value(document.fields.get(roster_entry::field::ADMIN_ORGS));
        let copied = match document.fields.get(COPIED) {
            // The entry was linked before the service recorded which rights had been given.
            None if activated => admin_orgs.clone(),
            copied => OrgLists::from_value(copied),
        };
        Some(RosterEntry {
            path: document.path.clone(),
            roar_uid: text(roster_entry::field::ROAR_UID)?,
            admin_uid: text(roster_entry::field::ADMIN_UID),
            provider_id: text(roster_entry::field::PROVIDER_ID).unwrap_or_default(),
            admin_orgs,
            copied,
            role: text(roster_entry::field::ROLE),
            activated,
            district: text(roster_entry::field::DISTRICT),
        })
    }

    /// The rights of the entry that have never been given. Rights that were given once and removed since stay removed.
    pub fn due_orgs(&self) -> OrgLists {
        self.admin_orgs.difference(&self.copied.to_set())
    }
}

/// Everything that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The Auth UID in the admin project.
    pub admin_uid: &'a str,
    /// The Auth UID in the assessment project.
    pub assessment_uid: &'a str,
    /// The claims of the admin account, as the admin database has them.
    pub admin_claims: Option<&'a Fields>,
    /// The user that the admin account's custom claims name: for accounts without a claims document.
    pub custom_roar_uid: Option<&'a str>,
    /// The claims of the assessment account, as the assessment database has them.
    pub assessment_claims: Option<&'a Fields>,
    /// The roster entry in which the user was found.
    pub entry: Option<&'a RosterEntry>,
    /// The ID of the users document that a super admin names.
    pub roar_uid: Option<&'a str>,
    /// True when the claims name another assessment account, and that account still exists.
    pub other_account_lives: bool,
    /// The user whom the claims name, if the roster provider's proof allows the account to leave that user for another.
    pub leaves: Option<&'a str>,
}

/// The ID of the user's documents, if all parts agree. An account that is bound to another user stays with that user.
pub fn user_of(question: &Question) -> Result<String, FunctionError> {
    let text = |claims: Option<&Fields>, name: &str| -> Option<String> {
        let text = claims?.get(name)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    let refuse = |status, message: &str| Err(FunctionError::new(status, message));
    let custom = question.custom_roar_uid.filter(|uid| question.admin_claims.is_none() && !uid.is_empty());
    let known = text(question.admin_claims, user_claims::field::ROAR_UID).or(custom.map(str::to_owned));
    let leaves = |uid: &str| question.leaves == Some(uid);
    if let Some(entry) = question.entry
        && entry.admin_uid.as_deref().is_some_and(|bound| bound != question.admin_uid)
    {
        return refuse(Status::AlreadyExists, "This identity belongs to another account.");
    }
    let wanted = question.entry.map(|entry| entry.roar_uid.as_str()).or(question.roar_uid);
    let roar_uid = match (wanted, &known) {
        (Some(wanted), Some(known)) if wanted != known && !leaves(known) => {
            return refuse(
                Status::FailedPrecondition,
                "This account belongs to another user already; the two have to be merged by hand.",
            );
        }
        (Some(wanted), _) => wanted.to_owned(),
        (None, Some(known)) => known.clone(),
        (None, None) => question.admin_uid.to_owned(),
    };
    let bound = (
        text(question.assessment_claims, user_claims::field::ROAR_UID),
        text(question.assessment_claims, user_claims::field::ADMIN_UID),
    );
    if bound.0.is_some_and(|bound| bound != roar_uid && !leaves(&bound))
        || bound.1.is_some_and(|bound| bound != question.admin_uid)
    {
        return refuse(Status::AlreadyExists, "The assessment account belongs to another user.");
    }
    let other = text(question.admin_claims, user_claims::field::ASSESSMENT_UID)
        .is_some_and(|uid| uid != question.assessment_uid);
    if other && question.other_account_lives {
        return refuse(Status::AlreadyExists, "This account has another assessment account.");
    }
    Ok(roar_uid)
}

/// True when there is proof that the assessment account belongs to the admin account's user: they are bound already,
/// one signs in to the other, or both have verified the same e-mail address (docs/domain/decisions.md#a-4).
pub fn is_owner(
    admin: &Account,
    admin_project: &str,
    assessment: &Account,
    assessment_project: &str,
    assessment_claims: Option<&Fields>,
) -> bool {
    let bound = assessment_claims.and_then(|claims| claims.get(user_claims::field::ADMIN_UID)).and_then(Value::as_str);
    let address = |account: &Account| account.email.as_deref().map(fold_address);
    let same_address = admin.email_verified && assessment.email_verified && address(admin) == address(assessment);
    bound == Some(&admin.uid)
        || (admin_project == assessment_project && admin.uid == assessment.uid)
        || assessment.is_linked(&admin_provider(admin_project), &admin.uid)
        || (same_address && admin.email.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Provider;
    use crate::fields;

    fn claims(roar_uid: &str, admin_uid: &str, assessment_uid: &str) -> Fields {
        let mut claims = Fields::new();
        for (name, uid) in [("roarUid", roar_uid), ("adminUid", admin_uid), ("assessmentUid", assessment_uid)] {
            if !uid.is_empty() {
                claims.insert(name.to_owned(), Value::from(uid));
            }
        }
        claims
    }

    fn entry(roar_uid: &str, admin_uid: Option<&str>) -> RosterEntry {
        RosterEntry {
            path: DocPath::new("identityProviderIds/i1").unwrap(),
            roar_uid: roar_uid.to_owned(),
            admin_uid: admin_uid.map(str::to_owned),
            provider_id: "p1".to_owned(),
            admin_orgs: OrgLists::new(),
            copied: OrgLists::new(),
            role: None,
            activated: admin_uid.is_some(),
            district: None,
        }
    }

    #[test]
    fn who_is_who() {
        let none = || None::<Fields>;
        // Admin claims, assessment claims, roster entry, named user, whether another assessment account exists; the
        // expected user or error.
        let table = [
            (none(), none(), None, None, false, Ok("a1")),
            (Some(claims("r1", "a1", "")), none(), None, None, false, Ok("r1")),
            (Some(claims("r1", "a1", "s1")), Some(claims("r1", "a1", "s1")), None, None, false, Ok("r1")),
            (Some(claims("", "", "")), none(), None, None, false, Ok("a1")),
            // Rosters.
            (none(), none(), Some(entry("r2", None)), None, false, Ok("r2")),
            (none(), none(), Some(entry("r2", Some("a1"))), None, false, Ok("r2")),
            (none(), none(), Some(entry("r2", Some("a9"))), None, false, Err(Status::AlreadyExists)),
            (
                Some(claims("r1", "a1", "")),
                none(),
                Some(entry("r2", None)),
                None,
                false,
                Err(Status::FailedPrecondition),
            ),
            (Some(claims("r2", "a1", "")), none(), Some(entry("r2", None)), None, false, Ok("r2")),
            // An assessment account that is another user's.
            (none(), Some(claims("r9", "", "s1")), None, None, false, Err(Status::AlreadyExists)),
            (none(), Some(claims("", "a9", "s1")), None, None, false, Err(Status::AlreadyExists)),
            (
                Some(claims("r1", "a1", "")),
                Some(claims("r1", "a9", "s1")),
                None,
                None,
                false,
                Err(Status::AlreadyExists),
            ),
            // A second assessment account of the same user.
            (Some(claims("r1", "a1", "s9")), none(), None, None, true, Err(Status::AlreadyExists)),
            (Some(claims("r1", "a1", "s9")), none(), None, None, false, Ok("r1")),
            // A super admin names the user.
            (none(), none(), None, Some("r5"), false, Ok("r5")),
            (Some(claims("r1", "a1", "")), none(), None, Some("r5"), false, Err(Status::FailedPrecondition)),
        ];
        for (admin_claims, assessment_claims, entry, roar_uid, other_account_lives, expected) in table {
            let question = Question {
                admin_uid: "a1",
                assessment_uid: "s1",
                admin_claims: admin_claims.as_ref(),
                custom_roar_uid: None,
                assessment_claims: assessment_claims.as_ref(),
                entry: entry.as_ref(),
                roar_uid,
                other_account_lives,
                leaves: None,
            };
            let decided = user_of(&question).map_err(|error| error.status);
            assert_eq!(decided, expected.map(str::to_owned), "{question:?}");
        }
    }

    #[test]
    fn who_may_leave_a_user_becomes_the_rosters() {
        let (admin, assessment) = (claims("a1", "a1", "s1"), claims("a1", "a1", "s1"));
        let others = claims("r9", "a1", "s1");
        // Admin claims, assessment claims, the user that the account may leave; the expected user or error.
        for (admin_claims, assessment_claims, leaves, expected) in [
            (&admin, Some(&assessment), Some("a1"), Ok("r2")),
            (&admin, None, Some("a1"), Ok("r2")),
            (&others, Some(&others), Some("r9"), Ok("r2")),
            (&admin, Some(&assessment), None, Err(Status::FailedPrecondition)),
            (&admin, Some(&others), Some("a1"), Err(Status::AlreadyExists)),
            (&others, Some(&assessment), Some("a1"), Err(Status::FailedPrecondition)),
        ] {
            let question = Question {
                admin_uid: "a1",
                assessment_uid: "s1",
                admin_claims: Some(admin_claims),
                custom_roar_uid: None,
                assessment_claims,
                entry: Some(&entry("r2", None)),
                roar_uid: None,
                other_account_lives: false,
                leaves,
            };
            let decided = user_of(&question).map_err(|error| error.status);
            assert_eq!(decided, expected.map(str::to_owned), "{question:?}");
        }
    }

    #[test]
    fn what_shows_that_an_account_is_ones_own() {
        let account = |uid: &str, email: Option<&str>, email_verified| Account {
            uid: uid.to_owned(),
            email: email.map(str::to_owned),
            email_verified,
            ..Account::default()
        };
        let linked = |provider: &str, raw: &str| Account {
            providers: vec![Provider { provider_id: provider.to_owned(), raw_id: raw.to_owned() }],
            ..account("s1", None, false)
        };
        let admin = account("a1", Some("a@b.org"), true);
        let bound = fields! { "adminUid" => "a1" };
        let foreign = fields! { "adminUid" => "a9" };
        for (admin, assessment, claims, expected) in [
            (&admin, account("s1", Some("a@b.org"), true), None, true),
            (&admin, account("s1", Some("a@b.org"), false), None, false),
            (&admin, account("s1", Some("x@b.org"), true), None, false),
            (&account("a1", Some("a@b.org"), false), account("s1", Some("a@b.org"), true), None, false),
            (&account("a1", None, true), account("s1", None, true), None, false),
            (&admin, linked("oidc.roar-admin", "a1"), None, true),
            (&admin, linked("oidc.roar-admin", "a9"), None, false),
            (&admin, linked("oidc.clever", "a1"), None, false),
            (&admin, account("s1", None, false), Some(&bound), true),
            (&admin, account("s1", None, false), Some(&foreign), false),
            (&admin, account("a1", None, false), None, false),
        ] {
            let owner = is_owner(admin, "roar-admin", &assessment, "roar-assessment", claims);
            assert_eq!(owner, expected, "{assessment:?}");
        }
        assert!(is_owner(&admin, "one", &account("a1", None, false), "one", None));
    }
}

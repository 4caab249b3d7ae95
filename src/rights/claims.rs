//! The rights in a `userClaims` document. The ID token and the payload can't add any
//! (docs/domain/rights.md#custom-claims-and-their-limits).

use std::borrow::Cow;

use crate::documents::user_claims::{self, claims_map, claims_path, is_suspended};
use crate::orgs::{OrgLists, OrgType};
use crate::store::{DocPath, Document, Fields, Result, Value};

/// A caller's rights and identity across the two projects (docs/domain/rights.md#claims-documents).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// ID of the caller's `users` document.
    pub roar_uid: String,
    /// The caller's Auth UID in the assessment project, where that's known.
    pub assessment_uid: Option<String>,
    /// The role that decides what the dashboard shows the caller: `admin`, `student`, …
    pub role: Option<String>,
    /// True for super admins, who may do everything.
    pub super_admin: bool,
    /// The `admin` claim: the caller may create groups, where admins may do so.
    pub admin: bool,
    /// All orgs that the caller administers, not only the top-most ones.
    pub admin_orgs: OrgLists,
    /// Whether the user is suspended: every call is refused, whatever else the claims say.
    pub suspended: bool,
    /// The top-most of the caller's orgs, as stored. Not every writer maintains this list; use [`Claims::topmost`].
    pub minimal_admin_orgs: OrgLists,
}

impl Claims {
    /// The path of the claims document of an Auth user of the admin project.
    pub fn path(admin_uid: &str) -> Result<DocPath> {
        claims_path(admin_uid)
    }

    /// Reads the claims document of `admin_uid`. Without a document, the user has no rights, and the ID of their users
    /// document is assumed to be the Auth UID.
    pub fn read(admin_uid: &str, document: Option<&Document>) -> Claims {
        let none = Fields::new();
        let claims = claims_map(document).unwrap_or(&none);
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let flag = |name: &str| claims.get(name).and_then(Value::as_bool).unwrap_or(false);
        Claims {
            roar_uid: text(user_claims::field::ROAR_UID).unwrap_or(admin_uid).to_owned(),
            assessment_uid: text(user_claims::field::ASSESSMENT_UID).map(str::to_owned),
            role: text(user_claims::field::ROLE).map(str::to_owned),
            super_admin: flag(user_claims::field::SUPER_ADMIN),
            admin: flag(user_claims::field::ADMIN),
            suspended: document.is_some_and(is_suspended),
            admin_orgs: OrgLists::from_value(claims.get(user_claims::field::ADMIN_ORGS)),
            minimal_admin_orgs: OrgLists::from_value(claims.get(user_claims::field::MINIMAL_ADMIN_ORGS)),
        }
    }

    /// These claims with the rights in an account's custom claims added.
    pub fn with_token(mut self, custom: &serde_json::Map<String, serde_json::Value>) -> Claims {
        let flag = |name: &str| custom.get(name).and_then(serde_json::Value::as_bool).unwrap_or(false);
        self.super_admin |= flag(user_claims::field::SUPER_ADMIN);
        self.admin |= flag(user_claims::field::ADMIN);
        let role = custom.get(user_claims::field::ROLE).and_then(serde_json::Value::as_str);
        self.role = self.role.or(role.map(str::to_owned));
        self
    }

    /// True when these rights include all of `other`'s, so that the user with these rights may administer the other
    /// user.
    pub fn include(&self, other: &Claims) -> bool {
        let has_more = other.super_admin || (other.admin && !self.admin) || other.rank() > self.rank();
        self.super_admin || (!has_more && self.administers_all(&other.admin_orgs))
    }

    /// True for super admins and administrators of orgs. Rights over families alone don't make a user an administrator
    /// (docs/domain/decisions.md#a-32).
    pub fn is_administrator(&self) -> bool {
        self.super_admin || self.admin_orgs.iter().any(|(org_type, _)| org_type != OrgType::Family)
    }

    /// The rank of the role in the dashboard, which treats everybody who administers an org as an admin, whatever their
    /// role's name (docs/domain/dashboard.md#claims-and-tokens).
    fn rank(&self) -> u8 {
        match self.role.as_deref() {
            Some(user_claims::role::SUPER_ADMIN) => 3,
            Some(user_claims::role::PLATFORM_ADMIN) => 2,
            Some(user_claims::role::ADMIN | user_claims::role::LAUNCH_ADMIN) => 1,
            _ => u8::from(!self.admin_orgs.is_empty()),
        }
    }

    /// The top-most orgs that the caller administers, or all orgs where the claims don't list the top-most ones.
    /// An org that isn't in the exhaustive list gives no right and is left out.
    pub fn topmost(&self) -> Cow<'_, OrgLists> {
        let minimal = self.minimal_admin_orgs.intersection(&self.admin_orgs.to_set());
        if minimal.is_empty() { Cow::Borrowed(&self.admin_orgs) } else { Cow::Owned(minimal) }
    }

    /// True for super admins, and for callers who administer every one of `orgs`.
    pub fn administers_all(&self, orgs: &OrgLists) -> bool {
        self.super_admin || orgs.difference(&self.admin_orgs.to_set()).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::Timestamp;

    fn claims(fields: Fields) -> Claims {
        let document = Document {
            path: Claims::path("a1").unwrap(),
            fields,
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
        };
        Claims::read("a1", Some(&document))
    }

    #[test]
    fn who_may_act_for_which_orgs() {
        let lists = |ids: &[(OrgType, &'static str)]| ids.iter().copied().collect::<OrgLists>();
        let d1 = lists(&[(OrgType::District, "d1")]);
        let s1 = lists(&[(OrgType::School, "s1")]);
        let both = lists(&[(OrgType::District, "d1"), (OrgType::School, "s1")]);
        let nobody = Claims::read("a1", None);
        let admin = claims(fields! { "claims" => fields! { "adminOrgs" => s1.to_value(), "roarUid" => "r1" } });
        let super_admin = claims(fields! { "claims" => fields! { "super_admin" => true } });
        let pretender = claims(fields! { "super_admin" => true, "adminOrgs" => d1.to_value() });
        let text = claims(fields! { "claims" => fields! { "super_admin" => "true" } });
        // Each case: the claims; whether they administer d1, s1, and both.
        let table = [
            (&nobody, [false, false, false]),
            (&admin, [false, true, false]),
            (&super_admin, [true, true, true]),
            (&pretender, [false, false, false]),
            (&text, [false, false, false]),
        ];
        for (who, expected) in table {
            assert_eq!([&d1, &s1, &both].map(|orgs| who.administers_all(orgs)), expected, "{who:?}");
        }
        let platform = Claims { role: Some("platform_admin".to_owned()), ..admin.clone() };
        let named = Claims { role: Some("admin".to_owned()), ..admin.clone() };
        for (one, other, expected) in [
            (&super_admin, &super_admin, true),
            (&super_admin, &admin, true),
            (&admin, &super_admin, false),
            (&admin, &admin, true),
            (&admin, &nobody, true),
            (&nobody, &admin, false),
            (&admin, &named, true),
            (&admin, &platform, false),
            (&platform, &admin, true),
        ] {
            assert_eq!(one.include(other), expected, "{one:?} {other:?}");
        }
        assert_eq!(admin.roar_uid, "r1");
        assert_eq!(nobody.roar_uid, "a1");
    }

    #[test]
    fn the_topmost_orgs_are_those_that_count() {
        let lists = |ids: &[(OrgType, &'static str)]| ids.iter().copied().collect::<OrgLists>();
        let d1 = lists(&[(OrgType::District, "d1")]);
        let s1 = lists(&[(OrgType::School, "s1")]);
        let both = lists(&[(OrgType::District, "d1"), (OrgType::School, "s1")]);
        // Each case: the exhaustive list, the stored minimal list, and the top-most orgs.
        let table = [
            (&both, &d1, &d1),
            (&both, &OrgLists::new(), &both),
            (&s1, &both, &s1),
            (&OrgLists::new(), &d1, &OrgLists::new()),
        ];
        for (all, minimal, expected) in table {
            let orgs = fields! { "adminOrgs" => all.to_value(), "minimalAdminOrgs" => minimal.to_value() };
            assert_eq!(claims(fields! { "claims" => orgs }).topmost().as_ref(), expected, "{all:?} {minimal:?}");
        }
    }
}

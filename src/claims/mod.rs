//! Rights: what the `userClaims` documents let a caller do. The ID token and the payload have no say
//! (design: rights come from the document).

use std::borrow::Cow;

use crate::orgs::OrgLists;
use crate::store::{DocPath, Document, Result, Value};

/// A caller's rights and identity across the two projects (data-model §2.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// ID of the caller's `users` document.
    pub roar_uid: String,
    /// May do everything.
    pub super_admin: bool,
    /// Orgs that the caller administers, exhaustive.
    pub admin_orgs: OrgLists,
    /// The top-most of these, as stored: not every writer keeps the list. Ask [`Claims::topmost`].
    pub minimal_admin_orgs: OrgLists,
}

impl Claims {
    /// Where the claims of an Auth user of the admin project are.
    pub fn path(admin_uid: &str) -> Result<DocPath> {
        DocPath::in_collection("userClaims", admin_uid)
    }

    /// Reads the document of `admin_uid`. Without one there are no rights, and the users document is
    /// taken to bear the Auth UID.
    pub fn read(admin_uid: &str, document: Option<&Document>) -> Claims {
        let claims = document.and_then(|document| document.fields.get("claims")).and_then(Value::as_map);
        let field = |name: &str| claims.and_then(|claims| claims.get(name));
        let roar_uid = field("roarUid").and_then(Value::as_str).filter(|uid| !uid.is_empty());
        Claims {
            roar_uid: roar_uid.unwrap_or(admin_uid).to_owned(),
            super_admin: field("super_admin").and_then(Value::as_bool).unwrap_or(false),
            admin_orgs: OrgLists::from_value(field("adminOrgs")),
            minimal_admin_orgs: OrgLists::from_value(field("minimalAdminOrgs")),
        }
    }

    /// The top-most orgs that the caller administers; all of them where the claims don't say which are.
    /// An org that the exhaustive list lacks gives no right, so it's left out.
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
    use crate::orgs::OrgType;
    use crate::store::{Fields, Timestamp};

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
        // Who; d1, s1, both.
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
        assert_eq!(admin.roar_uid, "r1");
        assert_eq!(nobody.roar_uid, "a1");
    }

    #[test]
    fn the_topmost_orgs_are_those_that_count() {
        let lists = |ids: &[(OrgType, &'static str)]| ids.iter().copied().collect::<OrgLists>();
        let d1 = lists(&[(OrgType::District, "d1")]);
        let s1 = lists(&[(OrgType::School, "s1")]);
        let both = lists(&[(OrgType::District, "d1"), (OrgType::School, "s1")]);
        // Exhaustive, minimal as stored, top-most.
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

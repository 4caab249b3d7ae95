//! What an appointment decides: which account of the assessment project is the administrator's, and what changes in the
//! documents of the user. Pure.

use crate::accounts::Account;
use crate::documents::user::orgs::{CURRENT, listed, with_current};
use crate::documents::user::{field, user_type};
use crate::fields;
use crate::orgs::{OrgLists, OrgType};
use crate::store::{DocPath, Document, FieldPath, Fields, Timestamp, Value, Write};
use crate::users::person::Name;

/// True when an account of the assessment project belongs to the person of an account of the admin project. Anybody can
/// register with any address, so an address counts only where both accounts have it verified; a link to an account of the
/// admin project, by the provider of that name, says more than any address.
pub fn is_same_person(account: &Account, admin: &Account, provider: &str) -> bool {
    match account.providers.iter().find(|linked| linked.provider_id == provider) {
        Some(linked) => linked.raw_id == admin.uid,
        None => account.email_verified && admin.email_verified,
    }
}

/// What an appointment says of a user.
#[derive(Clone, Copy)]
pub struct AppointedUser<'a> {
    /// The address.
    pub email: &'a str,
    /// The name.
    pub name: &'a Name,
    /// The orgs that the user joins.
    pub member_of: &'a OrgLists,
    /// The orgs that the user administers.
    pub admin_orgs: &'a OrgLists,
    /// For test users only.
    pub is_test_data: bool,
    /// The account in the assessment project.
    pub assessment_uid: &'a str,
    /// The time of the appointment.
    pub now: Timestamp,
}

impl AppointedUser<'_> {
    /// The write that brings the user's document, if there is one, in line with the appointment; `None` when nothing would
    /// change. With `is_personal`, name and address are written: these are for the admin database only.
    pub fn write(&self, path: &DocPath, document: Option<&Document>, is_personal: bool) -> Option<Write> {
        let mut fields = fields! {
            field::ASSESSMENT_UID => self.assessment_uid,
            field::ARCHIVED => false,
            field::TEST_DATA => self.is_test_data,
        };
        if let Some(user_type) = self.user_type(document.is_some()) {
            fields.insert(field::USER_TYPE.to_owned(), Value::from(user_type));
        }
        if is_personal {
            fields.extend(fields! { field::EMAIL => self.email, field::NAME => self.name.to_value() });
        }
        fields.extend(self.orgs(document));
        let Some(document) = document else {
            fields.extend(fields! { field::CREATED_AT => self.now, field::LAST_UPDATED => self.now });
            return Some(Write::create(path.clone(), fields));
        };
        fields.retain(|name, value| document.fields.get(name) != Some(value));
        if fields.is_empty() {
            return None;
        }
        fields.insert(field::LAST_UPDATED.to_owned(), Value::from(self.now));
        let mask = fields.keys().map(FieldPath::top).collect();
        Some(Write::merge(path.clone(), fields, mask))
    }

    /// The type that the user gets. Rights over families alone make nobody an administrator
    /// (docs/domain/decisions.md#a-32): a user who exists keeps the type then.
    fn user_type(&self, exists: bool) -> Option<&'static str> {
        let orgs = self.admin_orgs;
        let is_family = !orgs.is_empty() && orgs.iter().all(|(org_type, _)| org_type == OrgType::Family);
        match (is_family, exists) {
            (false, _) => Some(user_type::ADMIN),
            (true, false) => Some(user_type::CAREGIVER),
            (true, true) => None,
        }
    }

    /// The five maps of orgs, with those that the user joins; an appointment takes nobody out of an org.
    fn orgs(&self, document: Option<&Document>) -> Fields {
        let maps = OrgType::ALL.into_iter().map(|org_type| {
            let held = document.and_then(|document| document.fields.get(org_type.plural())).and_then(Value::as_map);
            let mut current = listed(held, CURRENT);
            for id in self.member_of.of(org_type) {
                if !current.contains(id) {
                    current.push(id.clone());
                }
            }
            (org_type.plural().to_owned(), Value::Map(with_current(held, current, self.now, self.now)))
        });
        maps.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Provider;
    use crate::documents::user::user_path;
    use crate::store::WriteKind;

    fn account(uid: &str, verified: bool, linked: Option<&str>) -> Account {
        let provider = |uid: &str| Provider { provider_id: "oidc.admin".to_owned(), raw_id: uid.to_owned() };
        let providers = linked.map(provider).into_iter().collect();
        Account { uid: uid.to_owned(), email_verified: verified, providers, ..Account::default() }
    }

    #[test]
    fn a_link_or_two_verified_addresses_show_whose_an_account_is() {
        for (admin_verified, verified, linked, expected) in [
            (true, true, None, true),
            (true, false, None, false),
            (false, true, None, false),
            (false, false, Some("admin-1"), true),
            // Linked to somebody else, whatever the addresses say.
            (true, true, Some("admin-2"), false),
        ] {
            let admin = account("admin-1", admin_verified, None);
            let found = is_same_person(&account("a", verified, linked), &admin, "oidc.admin");
            assert_eq!(found, expected, "{admin_verified} {verified} {linked:?}");
        }
    }

    fn appointed<T>(orgs: &OrgLists, with: impl FnOnce(AppointedUser<'_>) -> T) -> T {
        let name = Name { first: "Ada".to_owned(), middle: None, last: "Byron".to_owned() };
        let now = Timestamp::from_second(7).unwrap();
        with(AppointedUser {
            email: "ada@example.org",
            name: &name,
            member_of: orgs,
            admin_orgs: orgs,
            is_test_data: false,
            assessment_uid: "assessment-1",
            now,
        })
    }

    fn written(write: Option<Write>) -> Fields {
        match write.expect("something is written").kind {
            WriteKind::Set { fields, .. } => fields,
            other => panic!("not a document: {other:?}"),
        }
    }

    #[test]
    fn a_new_user_is_whole_and_only_the_admin_database_has_the_name() {
        let school = OrgLists::from_iter([(OrgType::School, "s")]);
        appointed(&school, |user| {
            let path = user_path("r").unwrap();
            let (admin, assessment) = (written(user.write(&path, None, true)), written(user.write(&path, None, false)));
            assert_eq!(admin["userType"], Value::from("admin"));
            assert_eq!(admin["email"], Value::from("ada@example.org"));
            assert!(
                ["districts", "schools", "classes", "groups", "families"].iter().all(|map| admin.contains_key(*map))
            );
            assert!(!assessment.contains_key("email") && !assessment.contains_key("name"));
            // Written again, nothing changes.
            let (create_time, update_time) = (user.now, user.now);
            let document = Document { path: path.clone(), fields: admin, create_time, update_time };
            assert_eq!(user.write(&path, Some(&document), true), None);
        });
    }

    #[test]
    fn the_type_follows_the_rights_and_a_familys_rights_change_none() {
        let family = OrgLists::from_iter([(OrgType::Family, "f")]);
        let school = OrgLists::from_iter([(OrgType::School, "s")]);
        let both: OrgLists = family.iter().chain(school.iter()).collect();
        for (orgs, exists, expected) in [
            (&school, false, Some("admin")),
            (&school, true, Some("admin")),
            (&both, true, Some("admin")),
            (&family, false, Some("caregiver")),
            (&family, true, None),
            (&OrgLists::new(), false, Some("admin")),
        ] {
            assert_eq!(appointed(orgs, |user| user.user_type(exists)), expected, "{orgs:?} {exists}");
        }
    }

    #[test]
    fn orgs_are_joined_and_none_is_left() {
        let school = OrgLists::from_iter([(OrgType::School, "s")]);
        appointed(&school, |user| {
            let path = user_path("r").unwrap();
            let schools = fields! { "current" => Value::strings(["t"]), "all" => Value::strings(["t"]) };
            let (create_time, update_time) = (user.now, user.now);
            let fields = fields! { "userType" => "educator", "schools" => schools, "note" => "kept" };
            let document = Document { path: path.clone(), fields, create_time, update_time };
            let fields = written(user.write(&path, Some(&document), true));
            let schools = fields["schools"].as_map().expect("a map");
            assert_eq!(schools["current"], Value::strings(["t", "s"]));
            assert!(!fields.contains_key("note"), "what isn't the appointment's stays as it is");
        });
    }
}

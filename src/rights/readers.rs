//! Permits to read administrations, and the decision who may read which.

use async_trait::async_trait;

use super::permits::{Requester, denied};
use super::{Claims, Payload, Permit, Rule};
use crate::app::App;
use crate::documents::administration::{self, administration_path};
use crate::documents::org_lists::OrgSet;
use crate::orgs::OrgLists;
use crate::runtime::{Caller, FunctionError, Status};
use crate::store::{Document, FieldPath, Fields, Value};

/// The fields of an administration that [`Readership::may_read`] needs.
pub const READERSHIP_FIELDS: [&str; 3] =
    [administration::field::CREATED_BY, administration::field::MINIMAL_ORGS, administration::field::READ_ORGS];

/// Which administrations a user may read (docs/domain/rights.md#who-may-give-what). The security rules decide in the
/// same way, so that a page may get the documents that a function lists.
#[derive(Clone, Debug)]
pub struct Readership {
    roar_uid: String,
    super_admin: bool,
    orgs: OrgSet,
}

impl Readership {
    /// The readership that these claims give.
    pub fn of(claims: &Claims) -> Readership {
        Readership {
            roar_uid: claims.roar_uid.clone(),
            super_admin: claims.super_admin,
            orgs: claims.admin_orgs.to_set(),
        }
    }

    /// True for super admins, who may read all administrations.
    pub fn is_super_admin(&self) -> bool {
        self.super_admin
    }

    /// True for a user who administers one of the orgs that may read the administration. Until the administration's
    /// trigger has written these orgs, the administration's creator may read it, because the dashboard shows the
    /// creator the list of administrations at once (docs/domain/dashboard.md#getadministrations). A creator who has
    /// lost the rights over the orgs for which the administration was created may not.
    pub fn may_read(&self, administration: &Fields) -> bool {
        let some = |value: Option<&Value>| {
            let orgs = OrgLists::from_value(value);
            orgs.iter().any(|(org_type, id)| self.orgs.contains(org_type, id))
        };
        if self.super_admin {
            return true;
        }
        match administration.get(administration::field::READ_ORGS).filter(|orgs| !orgs.is_null()) {
            Some(orgs) => some(Some(orgs)),
            None => {
                let creator = administration.get(administration::field::CREATED_BY).and_then(Value::as_str);
                creator == Some(self.roar_uid.as_str()) && some(administration.get(administration::field::MINIMAL_ORGS))
            }
        }
    }
}

/// Permit for callers who have a claims document. The handler has to ask [`Readership`] what the caller may read.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Who.
    pub requester: Requester,
}

#[async_trait]
impl<R: Payload> Permit<R> for Claimed {
    const RULE: Rule = Rule::Claimed;

    async fn grant(app: &App, caller: &Caller, _: &R) -> Result<Self, FunctionError> {
        let requester = Requester::of(app, caller).await?;
        match requester.document {
            Some(_) => Ok(Claimed { requester }),
            None => Err(denied("Your account has no rights on record yet. Please sign in again.")),
        }
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

/// Permit for any signed-in caller. The handler has to ask [`Readership`] what the caller may read.
#[derive(Clone, Debug)]
pub struct Readable {
    /// Who.
    pub requester: Requester,
}

#[async_trait]
impl<R: Payload> Permit<R> for Readable {
    const RULE: Rule = Rule::Readable;

    async fn grant(app: &App, caller: &Caller, _: &R) -> Result<Self, FunctionError> {
        Ok(Readable { requester: Requester::of(app, caller).await? })
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

/// A request about one administration.
pub trait NamesAdministration {
    /// The administration's ID.
    fn administration(&self) -> &str;
}

/// Permit for callers who may read the administration that the request names.
#[derive(Clone, Debug)]
pub struct AdministrationReader {
    /// Who.
    pub requester: Requester,
    /// The administration, with [`READERSHIP_FIELDS`] only.
    pub administration: Document,
}

#[async_trait]
impl<R: Payload + NamesAdministration> Permit<R> for AdministrationReader {
    const RULE: Rule = Rule::AdministrationReader;

    /// Also fails with NOT_FOUND. Callers without any rights get PERMISSION_DENIED in any case, so that they can't find
    /// out which administrations exist.
    async fn grant(app: &App, caller: &Caller, request: &R) -> Result<Self, FunctionError> {
        let refused = || denied("You don't administer any org of this administration.");
        let requester = Requester::of(app, caller).await?;
        if !requester.claims.super_admin && requester.claims.admin_orgs.is_empty() {
            return Err(refused());
        }
        let path = administration_path(request.administration())?;
        let mask = READERSHIP_FIELDS.map(FieldPath::top);
        let found = app.stores.admin.get_fields(&[path], Some(&mask)).await?.pop().flatten();
        let Some(administration) = found else {
            return Err(FunctionError::new(Status::NotFound, "There is no such administration."));
        };
        match Readership::of(&requester.claims).may_read(&administration.fields) {
            true => Ok(AdministrationReader { requester, administration }),
            false => Err(refused()),
        }
    }

    fn requester(&self) -> Option<&Requester> {
        Some(&self.requester)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::orgs::OrgType;

    #[test]
    fn who_reads_an_administration() {
        let lists = |ids: &[(OrgType, &'static str)]| ids.iter().copied().collect::<OrgLists>();
        let s1 = lists(&[(OrgType::School, "s1")]);
        let reader = |orgs: &OrgLists, super_admin: bool| {
            let roar_uid = "creator".to_owned();
            Readership::of(&Claims { roar_uid, super_admin, admin_orgs: orgs.clone(), ..Claims::default() })
        };
        let (mine, nobody, all) = (reader(&s1, false), reader(&OrgLists::new(), false), reader(&s1, true));
        let with = |created_by: &str, minimal: &str, read: Option<&str>| {
            let orgs = |id: &str| fields! { "schools" => Value::strings([id]) };
            let mut fields = fields! { "createdBy" => created_by, "minimalOrgs" => orgs(minimal) };
            fields.extend(read.map(|id| ("readOrgs".to_owned(), Value::Map(orgs(id)))));
            fields
        };
        // Each case: the administration; whether the admin of s1, who is its creator in some cases, may read it.
        let table = [
            (with("somebody", "s1", Some("s1")), true),
            (with("somebody", "s1", None), false),
            (with("somebody", "s1", Some("s2")), false),
            (with("creator", "s1", None), true),
            (with("creator", "s2", None), false),
            (with("creator", "s1", Some("s2")), false),
        ];
        for (administration, expected) in table {
            assert_eq!(mine.may_read(&administration), expected, "{administration:?}");
            assert!(!nobody.may_read(&administration));
            assert!(all.may_read(&administration));
        }
        // An org of another type with the same ID is another org.
        assert!(!reader(&lists(&[(OrgType::Class, "s1")]), false).may_read(&with("somebody", "s1", Some("s1"))));
    }
}

//! The audit log: records of who changed whose rights, and when. Records are append-only, are written in the commit of
//! the change, and hold UIDs and org IDs, but no names and no addresses.

use crate::app::App;
use crate::documents::claims_audit::{field, record_path};
use crate::fields;
use crate::orgs::OrgLists;
use crate::store::{Fields, StoreError, Value, Write};

/// The action that a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Rights over orgs were given.
    Append,
    /// Rights over orgs were taken away.
    Remove,
    /// Accounts of the two projects, or of a roster, were bound to one user.
    Bind,
    /// Rights were updated from a roster.
    Roster,
    /// An account was changed by somebody other than its user, or anyone changed how its user signs in.
    Account,
    /// A user was suspended.
    Suspend,
    /// A suspension was lifted.
    Lift,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Action::Append => "append",
            Action::Remove => "remove",
            Action::Bind => "bind",
            Action::Roster => "roster",
            Action::Account => "account",
            Action::Suspend => "suspend",
            Action::Lift => "lift",
        }
    }
}

/// An audit record, to be written in the commit of the change.
#[derive(Debug, PartialEq)]
pub struct Record<'a> {
    /// The function that made the change.
    pub function: &'static str,
    /// The action.
    pub action: Action,
    /// The Auth UID of the caller who made the change.
    pub by: &'a str,
    /// The Auth UID of the account whose rights changed.
    pub target: &'a str,
    /// The orgs that were given or taken away.
    pub orgs: Option<OrgLists>,
    /// The granted orgs before and after.
    pub minimal: Option<(OrgLists, OrgLists)>,
    /// Further details, without personal data.
    pub details: Fields,
}

impl<'a> Record<'a> {
    /// A record that says only who did what to whom.
    pub fn new(function: &'static str, action: Action, by: &'a str, target: &'a str) -> Record<'a> {
        Record { function, action, by, target, orgs: None, minimal: None, details: Fields::new() }
    }

    /// The write that adds the record.
    pub fn write(&self, app: &App) -> Result<Write, StoreError> {
        let path = record_path(&app.context.document_id())?;
        let mut fields = fields! {
            field::AT => app.now(), field::FUNCTION => self.function, field::ACTION => self.action.name(),
            field::BY => self.by, field::TARGET => self.target,
        };
        if let Some(orgs) = &self.orgs {
            fields.insert(field::ORGS.to_owned(), orgs.to_value());
        }
        if let Some((before, after)) = &self.minimal {
            fields.insert(field::MINIMAL_BEFORE.to_owned(), before.to_value());
            fields.insert(field::MINIMAL_AFTER.to_owned(), after.to_value());
        }
        if !self.details.is_empty() {
            fields.insert(field::DETAILS.to_owned(), Value::Map(self.details.clone()));
        }
        Ok(Write::create(path, fields))
    }
}

//! What a sync knows of a district's orgs.

use std::collections::{HashMap, HashSet};

use super::super::map::Enrolments;
use crate::documents::org::{field, listed};
use crate::documents::org_lists::OrgSet;
use crate::orgs::{OrgKey, OrgLists, OrgType};
use crate::rostering::org::{self, RosterOrg};
use crate::rostering::person::Person;
use crate::store::{Document, Write};
use crate::users::pid::assessment_pid;

/// Orgs written in one commit.
pub(super) const BATCH: usize = 200;

/// What is known of the orgs once they are synced.
pub(super) struct Known {
    /// Who is in which sections.
    pub enrolments: Enrolments,
    /// All orgs of the district that Clever has.
    pub living: OrgSet,
    /// The orgs that the roster puts people into and takes them out of.
    pub owned: OrgSet,
    /// Orgs that are there, or may be, without being told of: nobody leaves them, and rights over them stay.
    pub untold: OrgSet,
    /// The others of the roster: whoever is in one, stays, and is compared again at the next sync.
    pub kept: OrgSet,
    /// All orgs of the district, also those that somebody made by hand: who leaves the district leaves them.
    pub below: OrgSet,
    /// What isn't there any more.
    pub gone: Gone,
    /// What has to follow those that came or moved.
    pub following: Following,
    /// The district was there before this sync; so some of its people may be known from elsewhere.
    pub was_known: bool,
    /// How orgs are called for short, by their IDs, where they have been given such names.
    pub abbreviations: HashMap<String, String>,
}

impl Known {
    /// What is to stand for somebody where no name may; `None` for who has no address.
    pub fn pid_of(&self, person: &Person) -> Option<String> {
        let short = |org_type| person.orgs.of(org_type).iter().find_map(|id| self.abbreviations.get(id));
        let of_orgs = [short(OrgType::District), short(OrgType::School)];
        let of_orgs: Vec<&str> = of_orgs.into_iter().flatten().map(String::as_str).collect();
        person.email.as_deref().map(|email| assessment_pid(&of_orgs, email))
    }
}

/// What Clever has of a district's orgs.
pub(super) struct Fetched {
    pub wanted: Vec<RosterOrg>,
    pub enrolments: Enrolments,
    /// IDs of records that are there, but can't be read or have no place.
    pub unreadable: HashSet<String>,
}

/// A write of an org.
pub(super) struct OrgWrite {
    pub key: OrgKey,
    pub write: Write,
    pub done: Done,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Created,
    Updated,
    /// Archived.
    Removed,
    /// A living org whose lists of children have lost one.
    Listed,
}

impl Done {
    pub fn name(self) -> &'static str {
        match self {
            Done::Created => "created",
            Done::Updated | Done::Listed => "updated",
            Done::Removed => "removed",
        }
    }
}

/// The roster's orgs that aren't there any more.
#[derive(Default)]
pub(super) struct Gone {
    /// Those that aren't archived yet.
    pub living: Vec<OrgKey>,
    /// All of them.
    pub all: HashSet<OrgKey>,
    /// Orgs that still have one of them among their living children.
    pub listed_in: Vec<OrgKey>,
}

impl Gone {
    /// Of those that are missing.
    pub fn of(missing: Vec<OrgKey>, stored: &HashMap<OrgKey, Document>) -> Gone {
        let all: HashSet<OrgKey> = missing.iter().cloned().collect();
        let lists = [(field::SCHOOLS, OrgType::School), (field::CLASSES, OrgType::Class)];
        let lists_one = |org: &Document| {
            lists.iter().any(|(list, of)| listed(&org.fields, list).any(|id| all.contains(&OrgKey::new(*of, id))))
        };
        let mut listed_in: Vec<OrgKey> =
            stored.iter().filter(|(_, org)| lists_one(org)).map(|(key, _)| key.clone()).collect();
        listed_in.sort();
        let is_living = |key: &OrgKey| stored.get(key).is_some_and(|document| !org::is_archived(&document.fields));
        Gone { living: missing.into_iter().filter(is_living).collect(), all, listed_in }
    }
}

/// What has to follow orgs that came or moved.
#[derive(Debug, Default)]
pub(super) struct Following {
    /// The orgs that they are below, or were.
    pub above: OrgLists,
    /// Orgs that were there before and moved, or are back; after an interrupted sync, all classes.
    pub moved: Vec<OrgKey>,
    /// Claims couldn't all be written.
    pub lags: bool,
    /// Administrations have followed before.
    pub claims_only: bool,
}

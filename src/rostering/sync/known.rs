//! What a sync knows of a district's orgs.

use std::collections::{HashMap, HashSet};

use crate::documents::org::{abbreviation, field, is_archived, listed};
use crate::documents::org_lists::OrgSet;
use crate::documents::roster_mark::is_rostered;
use crate::orgs::{OrgKey, OrgLists, OrgType};
use crate::rostering::model::{Enrolments, Person, RosterOrg};
use crate::store::{Document, Write};
use crate::users::pid::assessment_pid;

/// Orgs written in one commit.
pub(super) const BATCH: usize = 200;

/// What is known of the orgs once they are synced.
pub(super) struct Known {
    /// Who is in which sections.
    pub enrolments: Enrolments,
    /// All orgs of the district that the roster has.
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
    /// What is known of the orgs that were fetched and of those that were stored before, some of which are missing from
    /// the roster. Nobody can be in the `unwritten`. Of incomplete data, nobody leaves anything.
    pub fn of(
        district: &str,
        fetched: Fetched,
        stored: HashMap<OrgKey, Document>,
        missing: Vec<OrgKey>,
        unwritten: &HashSet<OrgKey>,
        is_incomplete: bool,
    ) -> Known {
        let key = |key: &OrgKey| (key.org_type, key.id.clone());
        let set = |keys: Vec<(OrgType, String)>| {
            OrgLists::from_iter(keys.iter().map(|(org_type, id)| (*org_type, id.as_str()))).to_set()
        };
        let is_here = |org: &&RosterOrg| !unwritten.contains(&org.key);
        let wanted: Vec<_> = fetched.wanted.iter().filter(is_here).map(|org| key(&org.key)).collect();
        let is_there = set(wanted.clone());
        let rostered = || stored.iter().filter(|(_, org)| is_rostered(&org.fields)).map(|(of, _)| of);
        let is_untold = |of: &&OrgKey| {
            fetched.unreadable.contains(&of.id) || (is_incomplete && !is_there.contains(of.org_type, &of.id))
        };
        let untold = set(rostered().filter(is_untold).map(key).collect());
        let all: Vec<_> = rostered().map(key).chain(wanted.clone()).collect();
        let is_owned = |(org_type, id): &(OrgType, String)| !is_incomplete && !untold.contains(*org_type, id);
        let (owned, kept) = all.into_iter().partition(is_owned);
        let abbreviation =
            |(key, org): (&OrgKey, &Document)| Some((key.id.clone(), abbreviation(&org.fields)?.to_owned()));
        Known {
            abbreviations: stored.iter().filter_map(abbreviation).collect(),
            untold,
            was_known: stored.contains_key(&OrgKey::new(OrgType::District, district)),
            below: set(stored.keys().map(key).chain(wanted.clone()).collect()),
            gone: Gone::of(missing, &stored),
            following: Following::default(),
            living: set(wanted),
            owned: set(owned),
            kept: set(kept),
            enrolments: fetched.enrolments,
        }
    }

    /// What is to stand for somebody where no name may; `None` for who has no address.
    pub fn pid_of(&self, person: &Person) -> Option<String> {
        let short = |org_type| person.orgs.of(org_type).iter().find_map(|id| self.abbreviations.get(id));
        let of_orgs = [short(OrgType::District), short(OrgType::School)];
        let of_orgs: Vec<&str> = of_orgs.into_iter().flatten().map(String::as_str).collect();
        person.email.as_deref().map(|email| assessment_pid(&of_orgs, email))
    }
}

/// What the provider has of a district's orgs.
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
        let is_living = |key: &OrgKey| stored.get(key).is_some_and(|document| !is_archived(&document.fields));
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

#[cfg(test)]
mod tests {
    use super::super::fixtures::{archived, class, district, fetched, school, stored};
    use super::*;

    fn known(there: Fetched, missing: &[OrgKey], is_incomplete: bool) -> Known {
        let here = stored(&[district("d1"), school("s1"), school("s2"), class("c1", "s1"), class("c2", "s2")]);
        Known::of("d1", there, here, missing.to_vec(), &HashSet::new(), is_incomplete)
    }

    /// Which of the classes and schools a set has.
    fn listed(set: &OrgSet) -> String {
        let orgs = [(OrgType::School, "s1"), (OrgType::School, "s2"), (OrgType::Class, "c1"), (OrgType::Class, "c2")];
        let held = orgs.into_iter().filter(|(org_type, id)| set.contains(*org_type, id)).map(|(_, id)| id);
        held.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn who_may_be_taken_out_of_what() {
        let all = || fetched(&[district("d1"), school("s1"), school("s2"), class("c1", "s1"), class("c2", "s2")]);
        let some = || fetched(&[district("d1"), school("s1"), class("c1", "s1")]);
        let unreadable = || Fetched { unreadable: HashSet::from(["c2".to_owned()]), ..some() };
        // What came, incomplete data; living, owned, untold, kept.
        for (what, there, is_incomplete, expected) in [
            ("all came", all(), false, ["s1 s2 c1 c2", "s1 s2 c1 c2", "", ""]),
            ("some are missing", some(), false, ["s1 c1", "s1 s2 c1 c2", "", ""]),
            ("one can't be read", unreadable(), false, ["s1 c1", "s1 s2 c1", "c2", "c2"]),
            ("data are incomplete", some(), true, ["s1 c1", "", "s2 c2", "s1 s2 c1 c2"]),
        ] {
            let known = known(there, &[], is_incomplete);
            let sets = [&known.living, &known.owned, &known.untold, &known.kept].map(listed);
            assert_eq!(sets, expected, "{what}");
            assert_eq!(listed(&known.below), "s1 s2 c1 c2", "{what}");
        }
    }

    #[test]
    fn nobody_can_be_in_an_org_that_could_not_be_written() {
        let unwritten = HashSet::from([OrgKey::new(OrgType::School, "s2")]);
        let there = fetched(&[district("d1"), school("s1"), school("s2")]);
        let known = Known::of("d1", there, HashMap::new(), Vec::new(), &unwritten, false);
        assert_eq!((listed(&known.living).as_str(), known.was_known), ("s1", false));
    }

    #[test]
    fn what_is_gone_is_archived_once_and_leaves_the_lists_that_have_it() {
        let (s2, c2) = (OrgKey::new(OrgType::School, "s2"), OrgKey::new(OrgType::Class, "c2"));
        let here = || stored(&[district("d1"), school("s1"), school("s2"), class("c1", "s1"), class("c2", "s2")]);
        let gone = Gone::of(vec![s2.clone(), c2.clone()], &here());
        assert_eq!((gone.living, gone.all.len()), (vec![s2.clone(), c2.clone()], 2));
        assert_eq!(gone.listed_in, [OrgKey::new(OrgType::District, "d1"), s2.clone()]);
        let gone = Gone::of(vec![s2.clone(), c2.clone()], &archived(here(), &["s2"]));
        assert_eq!(gone.living, [c2], "it was archived before");
        let gone = Gone::of(Vec::new(), &here());
        assert!(gone.living.is_empty() && gone.listed_in.is_empty());
    }
}

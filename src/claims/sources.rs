//! The source of each org in an admin's claims: given by hand, or by a roster
//! (docs/domain/rosters.md#rights-that-come-with-a-roster). Pure.

use std::collections::BTreeMap;

use super::lists::{granted, stored};
use crate::documents::org_lists::OrgSet;
use crate::documents::user_claims::{claims_map, field};
use crate::orgs::OrgLists;
use crate::store::{Document, Fields, Value};

/// The source of orgs that people gave.
const BY_HAND: &str = "manual";

/// The sources of the orgs in an admin's claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    by_hand: OrgLists,
    by_roster: BTreeMap<String, OrgLists>,
    /// True when the document stores sources; otherwise all orgs count as given by hand.
    is_stored: bool,
}

impl Sources {
    /// Reads a claims document. Orgs that the claims don't hold (any longer) have no source; orgs without a recorded
    /// source count as given by hand.
    pub fn read(document: Option<&Document>) -> Sources {
        let claims = claims_map(document);
        let noted = document.and_then(|document| document.fields.get(field::ADMIN_ORG_SOURCES)).and_then(Value::as_map);
        let granted = granted(claims);
        let held = held(claims);
        let noted_as = |lists: &Value| OrgLists::from_value(Some(lists)).intersection(&held);
        let mut by_roster = BTreeMap::new();
        let mut explained = OrgLists::new();
        let mut by_hand = OrgLists::new();
        for (source, lists) in noted.into_iter().flatten() {
            match source == BY_HAND {
                true => by_hand = noted_as(lists),
                false => {
                    explained.extend(&noted_as(lists));
                    by_roster.insert(source.clone(), noted_as(lists));
                }
            }
        }
        by_hand.extend(&granted.difference(&explained.to_set()));
        Sources { by_hand, by_roster, is_stored: noted.is_some() }
    }

    /// All granted orgs of any source, including those below another granted org.
    pub fn granted(&self) -> OrgLists {
        let mut all = self.by_hand.clone();
        self.by_roster.values().for_each(|lists| all.extend(lists));
        all
    }

    /// The orgs that a roster gave.
    pub fn of_roster(&self, provider: &str) -> OrgLists {
        self.by_roster.get(provider).cloned().unwrap_or_default()
    }

    /// Adds the orgs that a roster gave before sources were recorded. These were copied from the roster entry at that
    /// time; without this they would count as given by hand.
    #[must_use]
    pub fn adopting(mut self, provider: &str, copied: &OrgLists, document: Option<&Document>) -> Sources {
        if !self.by_roster.contains_key(provider) && !copied.is_empty() {
            // Includes orgs held as part of an org above them: that org may be removed while these stay.
            let given = copied.intersection(&held(claims_map(document)));
            self.by_roster.insert(provider.to_owned(), given);
            self.by_hand = self.by_hand.difference(&copied.to_set());
        }
        self
    }

    /// Replaces the orgs of a roster.
    #[must_use]
    pub fn with_roster(mut self, provider: &str, orgs: OrgLists) -> Sources {
        self.by_roster.insert(provider.to_owned(), orgs);
        self.is_stored = true;
        self
    }

    /// Adds orgs that were given by hand.
    #[must_use]
    pub fn given(mut self, orgs: &OrgLists) -> Sources {
        self.by_hand.extend(orgs);
        self
    }

    /// Removes orgs that were taken away by hand, whatever their source.
    #[must_use]
    pub fn taken(mut self, orgs: &OrgLists) -> Sources {
        let gone = orgs.to_set();
        self.by_hand = self.by_hand.difference(&gone);
        self.by_roster.values_mut().for_each(|lists| *lists = lists.difference(&gone));
        self
    }

    /// The sources as the document stores them; `None` where they needn't be stored.
    pub fn to_value(&self) -> Option<Value> {
        let rosters = self.by_roster.iter().map(|(provider, lists)| (provider.clone(), lists.to_value()));
        let all = rosters.chain([(BY_HAND.to_owned(), self.by_hand.to_value())]);
        self.is_stored.then(|| Value::Map(all.collect()))
    }
}

/// All orgs that claims give rights over.
fn held(claims: Option<&Fields>) -> OrgSet {
    stored(claims).exhaustive.iter().chain(granted(claims).iter()).collect::<OrgLists>().to_set()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::claims::lists::AdminOrgs;
    use crate::documents::user_claims::claims_path;
    use crate::fields;
    use crate::orgs::{Org, OrgKey, OrgTree, OrgType};
    use crate::store::Timestamp;
    use OrgType::{Class, District, Group, School};

    const ALL: [(OrgType, &str); 6] =
        [(District, "d1"), (School, "s1"), (School, "s2"), (Class, "c1"), (Class, "c2"), (Group, "g1")];

    fn tree() -> OrgTree {
        let org = |org_type, id: &str, fields: Fields| (OrgKey::new(org_type, id), Org::from_fields(org_type, &fields));
        OrgTree::new([
            org(District, "d1", Fields::new()),
            org(School, "s1", fields! { "districtId" => "d1" }),
            org(School, "s2", fields! { "districtId" => "d1" }),
            org(Class, "c1", fields! { "schoolId" => "s1", "districtId" => "d1" }),
            org(Class, "c2", fields! { "schoolId" => "s2", "districtId" => "d1" }),
            org(Group, "g1", Fields::new()),
        ])
    }

    /// The document after all orgs of the sources were granted.
    fn document(sources: &Sources) -> Document {
        let mut fields = fields! { "claims" => AdminOrgs::of(&sources.granted(), &tree()).to_fields() };
        fields.extend(sources.to_value().map(|value| (field::ADMIN_ORG_SOURCES.to_owned(), value)));
        let (create_time, update_time) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        Document { path: claims_path("a1").unwrap(), fields, create_time, update_time }
    }

    #[derive(Clone, Debug)]
    enum Event {
        Roster([bool; 6]),
        Given([bool; 6]),
    }

    fn pick(chosen: [bool; 6]) -> OrgLists {
        ALL.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(org, _)| org).collect()
    }

    #[test]
    fn what_is_not_noted_is_by_hand() {
        let lists = |orgs: &[(OrgType, &'static str)]| orgs.iter().copied().collect::<OrgLists>();
        let mut found = document(&Sources::default().given(&lists(&[(School, "s1")])));
        assert_eq!(found.fields.get(field::ADMIN_ORG_SOURCES), None, "nothing is noted where no roster is");
        let sources = Sources::read(Some(&found)).with_roster("clever", lists(&[(School, "s2")]));
        found = document(&sources);
        assert_eq!(Sources::read(Some(&found)), sources);
        // An org of the roster is taken away by other means: it loses its source, and has none when it is given again.
        let left = AdminOrgs::of(&lists(&[(School, "s1")]), &tree());
        found.fields.insert("claims".to_owned(), Value::Map(left.to_fields()));
        assert!(Sources::read(Some(&found)).of_roster("clever").is_empty());
        let taken = Sources::read(Some(&document(&sources))).taken(&lists(&[(School, "s2")]));
        let again = document(&taken.given(&lists(&[(School, "s2")])));
        assert!(Sources::read(Some(&again)).of_roster("clever").is_empty());
        assert_eq!(Sources::read(None), Sources::default());
    }

    proptest! {
        /// After any sequence of grants by the roster and by people, a user holds exactly the union of both.
        #[test]
        fn rights_are_those_of_all_sources(events in proptest::collection::vec(
            prop_oneof![any::<[bool; 6]>().prop_map(Event::Roster), any::<[bool; 6]>().prop_map(Event::Given)], 1..8,
        )) {
            let (mut roster, mut by_hand) = (OrgLists::new(), OrgLists::new());
            let mut found = document(&Sources::default());
            for event in events {
                let sources = Sources::read(Some(&found));
                let next = match event {
                    Event::Roster(chosen) => {
                        roster = pick(chosen);
                        sources.with_roster("clever", roster.clone())
                    }
                    Event::Given(chosen) => {
                        by_hand.extend(&pick(chosen));
                        sources.given(&pick(chosen))
                    }
                };
                found = document(&next);
                let all = roster.iter().chain(by_hand.iter()).collect();
                let expected = AdminOrgs::of(&all, &tree());
                prop_assert!(stored(claims_map(&found)).same(&expected));
                prop_assert!(Sources::read(Some(&found)).of_roster("clever").same_orgs(&roster));
            }
        }
    }
}

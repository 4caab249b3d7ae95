//! Which org of a fan-out owns each student, so that each student is processed once. Pure.
//!
//! Orgs are processed by type, smallest first, so that the students of a chunk share their orgs and a commit changes
//! few counts.

use std::collections::{BTreeSet, HashMap};

use crate::documents::user::orgs::current_orgs;
use crate::orgs::{OrgLists, OrgTree, OrgType};
use crate::store::Fields;

/// The order of the phases.
pub const PHASE_TYPES: [OrgType; 5] =
    [OrgType::Class, OrgType::School, OrgType::District, OrgType::Group, OrgType::Family];

/// What a phase does to assignments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Removes lost orgs from assignments.
    Remove,
    /// Creates and updates assignments.
    Assign,
}

impl Flow {
    /// The name in task payloads and progress keys.
    pub fn name(self) -> &'static str {
        match self {
            Flow::Remove => "remove",
            Flow::Assign => "assign",
        }
    }
}

/// A phase: a flow through the orgs of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// What the phase does.
    pub flow: Flow,
    /// The type of the orgs whose members the phase processes.
    pub org_type: OrgType,
}

/// The phases in order: all removals before all assignments.
pub fn phases() -> Vec<Phase> {
    [Flow::Remove, Flow::Assign]
        .into_iter()
        .flat_map(|flow| PHASE_TYPES.into_iter().map(move |org_type| Phase { flow, org_type }))
        .collect()
}

/// The progress key that counts the members of an org who were processed in a phase before the org's own.
pub fn seen_key(flow: Flow, org_type: OrgType, id: &str) -> String {
    format!("{}:{}:{id}", flow.name(), org_type.plural())
}

/// The progress key that counts the members of consecutive orgs, each member once: group `number` when the orgs are cut
/// into groups of `size`. The size is part of the key, because it follows from a setting.
pub fn run_key(flow: Flow, org_type: OrgType, size: usize, number: usize) -> String {
    format!("{}:{}/{size}:{number}", flow.name(), org_type.plural())
}

/// The orgs in the order in which chunks process them: orgs of one parent together. A version keeps the order of its
/// plan, so that all its chunks agree on the owner of each student.
pub fn in_chunk_order(orgs: &OrgLists, tree: &OrgTree) -> OrgLists {
    let parents = |org_type: OrgType, id: &str| {
        let org = tree.get(org_type, id);
        org.map(|org| org.parents.iter().rev().map(|parent| parent.id.clone()).collect::<Vec<_>>()).unwrap_or_default()
    };
    let mut all: Vec<(OrgType, &str)> = orgs.iter().collect();
    all.sort_by_cached_key(|(org_type, id)| (parents(*org_type, id), (*id).to_owned()));
    all.into_iter().collect()
}

/// Which org owns each user among the orgs of a flow; keeps each type's order.
pub struct Ownership {
    orders: [Vec<String>; 5],
    places: [HashMap<String, usize>; 5],
}

impl Ownership {
    /// Ownership among the orgs of a flow, in the order of the lists.
    pub fn new(orgs: &OrgLists) -> Ownership {
        let orders = PHASE_TYPES.map(|org_type| orgs.of(org_type).to_vec());
        let places = orders
            .each_ref()
            .map(|order: &Vec<String>| order.iter().enumerate().map(|(place, id)| (id.clone(), place)).collect());
        Ownership { orders, places }
    }

    /// A type's orgs in order.
    pub fn ordered(&self, org_type: OrgType) -> &[String] {
        PHASE_TYPES.iter().position(|of| *of == org_type).map(|phase| self.orders[phase].as_slice()).unwrap_or_default()
    }

    /// The org that owns the user: the first one in phase order that the user is in.
    pub fn owner(&self, user: &Fields) -> Option<(OrgType, String)> {
        let current = current_orgs(user);
        PHASE_TYPES.into_iter().zip(&self.places).find_map(|(org_type, places)| {
            let first = current.of(org_type).iter().filter_map(|id| Some((places.get(id)?, id))).min()?;
            Some((org_type, first.1.clone()))
        })
    }

    /// The keys that count a user as seen for phases after the one of their owner: one for each of the user's orgs
    /// ([`seen_key`]), and one for each group of `run_size` orgs that contains any of these ([`run_key`]).
    pub fn seen_keys(&self, flow: Flow, user: &Fields, owner_type: OrgType, run_size: usize) -> Vec<String> {
        let current = current_orgs(user);
        let mut keys = Vec::new();
        let later = PHASE_TYPES.into_iter().zip(&self.places).skip_while(|(of, _)| *of != owner_type).skip(1);
        for (org_type, places) in later {
            let mut runs = BTreeSet::new();
            for (id, place) in current.of(org_type).iter().filter_map(|id| Some((id, places.get(id)?))) {
                keys.push(seen_key(flow, org_type, id));
                runs.insert(place / run_size);
            }
            keys.extend(runs.into_iter().map(|run| run_key(flow, org_type, run_size, run)));
        }
        keys
    }
}

/// Packs orgs, each given with the number of members left to process, into chunks of about `target` members and at most
/// `limit` orgs. Orgs without members are left out; an org with more than `target` members is a chunk of its own.
/// Returns how many orgs were consumed, for the next call, and at most `max_chunks` chunks.
pub fn pack(orgs: &[(String, u64)], target: u64, limit: usize, max_chunks: usize) -> (usize, Vec<Vec<String>>) {
    let mut chunks: Vec<Vec<String>> = Vec::new();
    let mut members = 0;
    for (index, (id, count)) in orgs.iter().enumerate() {
        if *count == 0 {
            continue;
        }
        let fits = chunks.last().is_some_and(|chunk| members + count <= target && chunk.len() < limit);
        if !fits {
            if chunks.len() == max_chunks {
                return (index, chunks);
            }
            chunks.push(Vec::new());
            members = 0;
        }
        members += count;
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(id.clone());
        }
    }
    (orgs.len(), chunks)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fields;
    use crate::store::Value;

    fn member(orgs: &[(OrgType, &str)]) -> Fields {
        let mut user = Fields::new();
        for org_type in OrgType::ALL {
            let ids = orgs.iter().filter(|(of, _)| *of == org_type).map(|(_, id)| *id);
            user.insert(org_type.plural().to_owned(), Value::Map(fields! { "current" => Value::strings(ids) }));
        }
        user
    }

    #[test]
    fn the_first_org_in_phase_order_owns_a_user() {
        use OrgType::{Class, District, School};
        let orgs: OrgLists =
            [(District, "d"), (School, "s1"), (School, "s2"), (Class, "c1"), (Class, "c2")].into_iter().collect();
        let ownership = Ownership::new(&orgs);
        let owner = |orgs: &[(OrgType, &str)]| ownership.owner(&member(orgs)).map(|(_, id)| id);
        assert_eq!(owner(&[(District, "d"), (School, "s1"), (Class, "c2"), (Class, "c1")]).as_deref(), Some("c1"));
        assert_eq!(owner(&[(District, "d"), (School, "s2"), (School, "s1")]).as_deref(), Some("s1"));
        assert_eq!(owner(&[(District, "d"), (Class, "elsewhere")]).as_deref(), Some("d"));
        assert_eq!(owner(&[(Class, "elsewhere")]), None);
        let orgs = [(District, "d"), (School, "s2"), (School, "s1"), (School, "x"), (Class, "c1")];
        let keys = ownership.seen_keys(Flow::Assign, &member(&orgs), Class, 30);
        let schools = ["assign:schools:s2", "assign:schools:s1", "assign:schools/30:0"];
        assert_eq!(keys, [schools.as_slice(), &["assign:districts:d", "assign:districts/30:0"]].concat());
        let alone = ownership.seen_keys(Flow::Remove, &member(&orgs), School, 1);
        assert_eq!(alone, ["remove:districts:d", "remove:districts/1:0"]);
    }

    proptest! {
        /// However packing is interrupted by `max_chunks`, every org with members is in exactly one chunk.
        #[test]
        fn packing_covers_every_org_once(
            counts in prop::collection::vec(0_u64..250, 0..60),
            limit in 1_usize..12,
            max_chunks in 1_usize..6,
        ) {
            let orgs: Vec<_> = counts.iter().enumerate().map(|(n, count)| (format!("o{n}"), *count)).collect();
            let mut next = 0;
            let mut packed = Vec::new();
            while next < orgs.len() {
                let (done, chunks) = pack(&orgs[next..], 100, limit, max_chunks);
                prop_assert!(done > 0);
                prop_assert!(chunks.len() <= max_chunks);
                for chunk in chunks {
                    let members: u64 = chunk.iter().map(|id| counts[id[1..].parse::<usize>().unwrap()]).sum();
                    prop_assert!(chunk.len() <= limit && (members <= 100 || chunk.len() == 1));
                    packed.extend(chunk);
                }
                next += done;
            }
            let expected: Vec<_> = orgs.iter().filter(|(_, count)| *count > 0).map(|(id, _)| id.clone()).collect();
            prop_assert_eq!(packed, expected);
        }
    }
}

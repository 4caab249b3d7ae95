//! People who are new in the roster, but known already: noted by other functions before, or enrolled by hand or from
//! a file.
//!
//! Nobody has checked the e-mail addresses in a roster. So an address links only within the district, whose data both
//! are; only with somebody of the same kind; and only where it's one person's on both sides.

use std::collections::{HashMap, HashSet};

use super::entries::{Changed, ENTRIES, Entries, Entry};
use super::{PROVIDER, Work};
use crate::rostering::org;
use crate::store::{Document, Query, StoreError, Value, lookup};

impl Work<'_> {
    /// Finds those of a batch whom nobody has noted for this district, and notes them in `entries`. Reads one document
    /// for thirty people, and who is found. Those found by their address are given back: they have no note yet.
    pub(super) async fn link(
        &self,
        batch: &[Changed],
        entries: &mut Entries,
        with_addresses: bool,
    ) -> Result<HashMap<String, String>, StoreError> {
        let ids: Vec<String> =
            batch.iter().filter(|one| !entries.contains_key(one.id.as_str())).map(|one| one.id.clone()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let noted = Query::collection(ENTRIES).equal("providerType", PROVIDER);
        let noted = noted.select(&["providerId", "roarUid", "gone", org::ROSTER]);
        let noted: Vec<Query> = noted.each_of("providerId", &ids).map(|(query, _)| query).collect();
        let mut found: HashMap<Box<str>, Vec<Entry>> = HashMap::new();
        for (id, entry) in self.database.query_each(noted).await?.iter().filter_map(Entry::read) {
            found.entry(id).or_default().push(entry);
        }
        for (id, mut noted) in found {
            // Noted twice, nobody knows which is right; the usual note is.
            noted.sort_by_key(|entry| entry.elsewhere.is_some());
            let entry = noted.into_iter().next().map(|entry| Entry { fingerprint: None, ..entry });
            entries.extend(entry.map(|entry| (id, entry)));
        }
        if !with_addresses {
            return Ok(HashMap::new());
        }
        let mut by_address: HashMap<&str, Vec<&Changed>> = HashMap::new();
        for one in batch.iter().filter(|one| !entries.contains_key(one.id.as_str())) {
            if let Some(address) = one.person.email.as_deref().filter(|address| address.contains('@')) {
                by_address.entry(address).or_default().push(one);
            }
        }
        let addresses: Vec<String> = by_address.keys().map(|address| (*address).to_owned()).collect();
        let users = Query::collection("users").select(&["email", "userType", "districts", "archived"]);
        let users: Vec<Query> = users.each_of("email", &addresses).map(|(query, _)| query).collect();
        let mut candidates: HashMap<String, Vec<Document>> = HashMap::new();
        for user in self.database.query_each(users).await? {
            if let Some(address) = user.fields.get("email").and_then(Value::as_str) {
                candidates.entry(address.to_owned()).or_default().push(user);
            }
        }
        if candidates.is_empty() {
            return Ok(HashMap::new());
        }
        let taken: HashSet<&str> = entries.values().map(|entry| &*entry.roar_uid).collect();
        let mut linked = HashMap::new();
        for (address, people) in by_address {
            let ([person], Some([user])) = (people.as_slice(), candidates.get(address).map(Vec::as_slice)) else {
                continue;
            };
            if !taken.contains(user.id()) && self.is_same(person, user) {
                linked.insert(person.id.clone(), user.id().to_owned());
            }
        }
        Ok(linked)
    }

    fn is_same(&self, person: &Changed, user: &Document) -> bool {
        let current = lookup(&user.fields, "districts.current").and_then(Value::as_array).unwrap_or_default();
        let held = user.fields.get("userType").and_then(Value::as_str);
        let wanted = person.person.user_type;
        let is_of_kind = held == Some(wanted) || (held == Some("admin") && wanted == "educator");
        is_of_kind && current.iter().any(|district| district.as_str() == Some(&self.id))
    }
}

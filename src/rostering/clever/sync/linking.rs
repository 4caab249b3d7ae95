//! People who are new in the roster, but known already: noted by other functions before, or enrolled by hand or from
//! a file.
//!
//! Nobody has checked the e-mail addresses in a roster, and families share them. So an address links only within the
//! district, whose data both are; only where it's one person's on both sides, of the same kind, with the same name and,
//! as far as both are known, date of birth; and only with somebody whom no roster knows as somebody else.

use std::collections::{HashMap, HashSet};

use super::entries::{Changed, ENTRIES, Entries, Entry, LOOKED_AT};
use super::{PROVIDER, Work};
use crate::digest::fingerprint;
use crate::rostering::person::Person;
use crate::rostering::report::{Kind, Problem};
use crate::store::{Document, Query, StoreError, Value, lookup};
use crate::users::age::day;
use crate::users::same::{ADDRESS_KEY, fold_address, fold_name, same_birth};

/// The most users that are found for the addresses of one query.
const MOST: u32 = 100;

/// What was found of the people of a batch.
#[derive(Default)]
pub(super) struct Linked {
    /// The users of those who were found by their address, by their ID at Clever. They have no note yet.
    pub users: HashMap<String, String>,
    /// Those whom another district's roster has still. They are left to it.
    pub elsewhere: HashSet<String>,
}

impl Work<'_> {
    /// Finds those of a batch whom nobody has noted for this district, and adds notes that there are to `entries`.
    /// Reads one document for thirty people, and who is found.
    pub(super) async fn link(
        &mut self,
        batch: &[Changed],
        entries: &mut Entries,
        with_addresses: bool,
    ) -> Result<Linked, StoreError> {
        let mut linked = Linked::default();
        let new = |one: &&Changed| !entries.contains_key(one.id.as_str());
        let ids: Vec<String> = batch.iter().filter(new).map(|one| one.id.clone()).collect();
        if ids.is_empty() {
            return Ok(linked);
        }
        let noted = Query::collection(ENTRIES).equal("providerType", PROVIDER).select(&LOOKED_AT);
        let noted: Vec<Query> = noted.each_of("providerId", &ids).map(|(query, _)| query).collect();
        let mut found: HashMap<Box<str>, Vec<(Entry, bool)>> = HashMap::new();
        for document in self.database.query_each(noted).await? {
            let is_elsewhere = self.is_elsewhere(&document);
            if let Some((id, entry)) = Entry::read(&document) {
                found.entry(id).or_default().push((entry, is_elsewhere));
            }
        }
        for (id, mut noted) in found {
            // Noted twice, nobody knows which is right; the usual note is.
            noted.sort_by_key(|(entry, _)| entry.elsewhere.is_some());
            match noted.into_iter().next() {
                Some((_, true)) => {
                    let why = "another district's roster has them".to_owned();
                    self.report.note(Problem::skipped(Kind::Users, Some(id.to_string()), why));
                    linked.elsewhere.insert(id.into());
                }
                Some((entry, false)) => drop(entries.insert(id, Entry { fingerprint: None, is_seen: true, ..entry })),
                None => {}
            }
        }
        if with_addresses {
            let new = |one: &&Changed| !entries.contains_key(one.id.as_str()) && !linked.elsewhere.contains(&one.id);
            let people: Vec<&Changed> = batch.iter().filter(new).collect();
            linked.users = self.link_by_address(&people).await?;
        }
        Ok(linked)
    }

    /// Who has one of these addresses, as they're compared: by the address itself, and by the key of one that's spelt
    /// otherwise. Of who shares one, two at least.
    async fn with_addresses(&self, addresses: &[String]) -> Result<Vec<Document>, StoreError> {
        let users = Query::collection("users");
        let users = users.select(&["email", ADDRESS_KEY, "userType", "districts", "name", "studentData.dob"]);
        let asked = ["email", ADDRESS_KEY].into_iter().flat_map(|field| {
            let asked = users.clone().each_of(field, addresses);
            asked.map(move |(query, chunk)| (field, query, chunk)).collect::<Vec<_>>()
        });
        let asked = asked.map(|(field, query, chunk)| async move {
            let found = self.database.query(query.limit(MOST)).await?;
            Ok::<_, StoreError>((field, found, chunk))
        });
        let mut all = HashMap::new();
        for (field, found, chunk) in futures::future::try_join_all(asked).await? {
            let found = match found.len() < MOST as usize {
                true => found,
                // Some share theirs with many, and the others may have been left out.
                false => {
                    let each = chunk.iter().map(|address| users.clone().equal(field, address.as_str()).limit(2));
                    self.database.query_each(each.collect::<Vec<_>>()).await?
                }
            };
            all.extend(found.into_iter().map(|user| (user.path.clone(), user)));
        }
        Ok(all.into_values().collect())
    }

    async fn link_by_address(&mut self, people: &[&Changed]) -> Result<HashMap<String, String>, StoreError> {
        let mut by_address: HashMap<&str, Vec<&Changed>> = HashMap::new();
        for one in people {
            if let Some(address) = one.person.email.as_deref().filter(|address| address.contains('@')) {
                by_address.entry(address).or_default().push(one);
            }
        }
        // What two people share links nobody, and whole schools may share one. A batch may be planned again, though.
        by_address.retain(|address, people| {
            let first = &people[0].id;
            self.addresses.entry(fingerprint(address)).or_insert_with(|| first.clone()) == first && people.len() == 1
        });
        let addresses: Vec<String> = by_address.keys().map(|address| (*address).to_owned()).collect();
        let mut candidates: HashMap<String, Vec<Document>> = HashMap::new();
        for user in self.with_addresses(&addresses).await? {
            if let Some(address) = user.fields.get("email").and_then(Value::as_str) {
                candidates.entry(fold_address(address)).or_default().push(user);
            }
        }
        let mut linked = HashMap::new();
        for (address, people) in by_address {
            if let ([person], Some([user])) = (people.as_slice(), candidates.get(address).map(Vec::as_slice))
                && self.is_here(user)
                && is_same(&person.person, user)
            {
                linked.insert(person.id.clone(), user.id().to_owned());
            }
        }
        // Whoever is in a roster is who that says.
        let found: Vec<String> = linked.values().cloned().collect();
        let noted = Query::collection(ENTRIES).select(&["roarUid"]);
        let noted: Vec<Query> = noted.each_of("roarUid", &found).map(|(query, _)| query).collect();
        for note in self.database.query_each(noted).await? {
            let taken = note.fields.get("roarUid").and_then(Value::as_str);
            linked.retain(|_, roar_uid| Some(roar_uid.as_str()) != taken);
        }
        Ok(linked)
    }

    fn is_here(&self, user: &Document) -> bool {
        let current = lookup(&user.fields, "districts.current").and_then(Value::as_array).unwrap_or_default();
        current.iter().any(|district| district.as_str() == Some(&self.id))
    }
}

/// True for the same kind of person with the same name, and no other date of birth.
fn is_same(person: &Person, user: &Document) -> bool {
    let held = user.fields.get("userType").and_then(Value::as_str);
    let is_of_kind = held == Some(person.user_type) || (held == Some("admin") && person.user_type == "educator");
    let same = |part: &Option<String>, name: &str| {
        let held = lookup(&user.fields, &format!("name.{name}")).and_then(Value::as_str).unwrap_or_default();
        let folded = fold_name(part.as_deref().unwrap_or_default());
        !folded.is_empty() && folded == fold_name(held)
    };
    let held = lookup(&user.fields, "studentData.dob").and_then(Value::as_timestamp);
    let born = person.student.get("dob").and_then(Value::as_timestamp).map(day);
    let is_as_old = held.zip(born).is_none_or(|(held, born)| same_birth(held, born));
    is_of_kind && same(&person.name[0], "first") && same(&person.name[2], "last") && is_as_old
}

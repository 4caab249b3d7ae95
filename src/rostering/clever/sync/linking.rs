//! People who are new in the roster, but known already: noted by other functions before, or enrolled by hand or from
//! a file.
//!
//! Nobody has checked the e-mail addresses in a roster, and families share them. So an address says something only within
//! the district, whose data both are; only where it's one person's in the roster; of the same kind of person, with the
//! same name and, as far as both are known, date of birth; and only of somebody whom the roster doesn't know as somebody
//! else.
//!
//! And people edit what users documents show. So all that links a user only where no client could have made it so: their
//! account has shown that it has the address ([`Proof::Verified`]), or the service itself imported them as that person
//! ([`Proof::Imported`]). Without, the person gets a user of their own, and the two wait for somebody's yes
//! ([`crate::rostering::doubles`]).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::entries::{Changed, Entries, Entry};
use super::{PROVIDER, SyncError, Work};
use crate::digest::fingerprint;
use crate::documents::doubles::agrees;
use crate::documents::org_lists::OrgType;
use crate::documents::roster_entry::{self as entry, ENTRIES, LOOKED_AT, is_elsewhere, is_gone, of_provider};
use crate::documents::user::age::day;
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::same::{fold_address, fold_name, same_birth};
use crate::documents::user::{field, user_path};
use crate::rights::Claims;
use crate::rostering::person::Person;
use crate::rostering::report::{Kind, Problem};
use crate::store::{DocPath, Document, FieldPath, Fields, Query, StoreError, Timestamp, Value};
use crate::users::imported::Imported;

/// The most users that are found for the addresses of one query.
const MOST: u32 = 100;
/// The most that are looked at of those who share one address with many.
const FEW: u32 = 5;
/// What is looked at of users.
fn seen() -> [FieldPath; 9] {
    [
        FieldPath::top(field::EMAIL),
        FieldPath::top(field::EMAIL_KEY),
        FieldPath::top(field::USER_TYPE),
        FieldPath::top(OrgType::District.plural()),
        FieldPath::top(field::NAME),
        FieldPath::of([field::STUDENT_DATA, field::DOB]),
        FieldPath::top(field::IMPORTED_IDENTITY),
        FieldPath::top(field::MERGED_INTO),
        FieldPath::top(field::MERGING_INTO),
    ]
}

/// Why a user is known to be somebody, though people can edit what their document shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    /// Their account has shown that it has the address.
    Verified,
    /// The service imported them as that person.
    Imported,
}

/// Somebody who is known and may be a new person of the roster.
struct Candidate<'a> {
    user: &'a Document,
    proof: Option<Proof>,
    /// The fields that agree.
    agrees: Vec<&'static str>,
}

/// What a new person of the roster is to somebody who is known.
#[derive(Debug, PartialEq, Eq)]
enum Relation<'a> {
    /// They are this user.
    Is(&'a str),
    /// They may be one of these users.
    MayBe(Vec<(&'a str, Vec<&'static str>)>),
}

/// How rosters know a user.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// One of them does, or did.
    by_any: bool,
    /// This provider's does.
    by_this: bool,
}

/// What was found of the people of a batch.
#[derive(Default)]
pub(super) struct Linked {
    /// The users of those who were found by their address, by their ID at Clever. They have no note yet.
    pub users: HashMap<String, String>,
    /// The users whom others may be, and what agrees, by the ID at Clever of these.
    pub doubles: HashMap<String, Vec<(String, Vec<&'static str>)>>,
    /// Those whom another district's roster has still. They are left to it.
    pub elsewhere: HashSet<String>,
}

impl Work<'_> {
    /// Finds those of a batch whom nobody has noted for this district, and adds notes that there are to `entries`.
    /// Reads one document for thirty people, and who is found; asks for the accounts of a hundred addresses at once.
    pub(super) async fn link(
        &mut self,
        batch: &[Changed],
        entries: &mut Entries,
        with_addresses: bool,
    ) -> Result<Linked, SyncError> {
        let mut linked = Linked::default();
        let new = |one: &&Changed| !entries.contains_key(one.id.as_str());
        let ids: Vec<String> = batch.iter().filter(new).map(|one| one.id.clone()).collect();
        if ids.is_empty() {
            return Ok(linked);
        }
        let noted = of_provider(PROVIDER).select(&LOOKED_AT);
        let noted: Vec<Query> = noted.each_of(entry::field::PROVIDER_ID, &ids).map(|(query, _)| query).collect();
        let mut found: HashMap<Box<str>, Vec<(Entry, bool)>> = HashMap::new();
        for document in self.database.query_each(noted).await? {
            let is_elsewhere = is_elsewhere(&document.fields, &self.id);
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
            self.link_by_address(&people, &mut linked).await?;
        }
        Ok(linked)
    }

    /// Who shows one of these addresses, as they're compared: by the address itself, and by the key of one that's spelt
    /// otherwise. Of who shares one with many, some.
    async fn with_addresses(&self, addresses: &[String]) -> Result<Vec<Document>, StoreError> {
        let users = Query { select: Some(seen().to_vec()), ..Query::collection("users") };
        let asked = [field::EMAIL, field::EMAIL_KEY].into_iter().flat_map(|field| {
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
                    let each = chunk.iter().map(|address| users.clone().equal(field, address.as_str()).limit(FEW));
                    self.database.query_each(each.collect::<Vec<_>>()).await?
                }
            };
            all.extend(found.into_iter().map(|user| (user.path.clone(), user)));
        }
        Ok(all.into_values().collect())
    }

    /// The users of accounts that have shown to have one of these addresses, by address.
    async fn with_verified(&self, addresses: &[String]) -> Result<HashMap<String, Document>, SyncError> {
        let asked: Vec<&str> = addresses.iter().map(String::as_str).collect();
        let accounts = self.app.accounts.admin.find_all(&asked).await?;
        let verified: Vec<(String, String)> = accounts
            .into_iter()
            .filter(|(_, account)| account.email_verified)
            .map(|(address, account)| (address, account.uid))
            .collect();
        let paths: Vec<DocPath> = verified.iter().map(|(_, uid)| Claims::path(uid)).collect::<Result<_, _>>()?;
        let claims = self.database.get_all(&paths).await?;
        let bound = verified.into_iter().zip(claims).filter_map(|((address, uid), claims)| {
            let claims = claims?;
            Some((address, Claims::read(&uid, Some(&claims)).roar_uid))
        });
        let bound: Vec<(String, String)> = bound.collect();
        let paths: Vec<DocPath> = bound.iter().map(|(_, id)| user_path(id)).collect::<Result<_, _>>()?;
        let mask = seen();
        let users = self.database.get_fields(&paths, Some(&mask)).await?;
        Ok(bound.into_iter().zip(users).filter_map(|((address, _), user)| Some((address, user?))).collect())
    }

    async fn link_by_address(&mut self, people: &[&Changed], linked: &mut Linked) -> Result<(), SyncError> {
        let mut by_address: BTreeMap<&str, Vec<&Changed>> = BTreeMap::new();
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
        let mut shown: HashMap<String, Vec<Document>> = HashMap::new();
        for user in self.with_addresses(&addresses).await? {
            if let Some(address) = user.fields.get(field::EMAIL).and_then(Value::as_str) {
                shown.entry(fold_address(address)).or_default().push(user);
            }
        }
        let verified = self.with_verified(&addresses).await?;
        let mut candidates: Vec<(&Changed, Vec<Candidate<'_>>)> = Vec::new();
        for (address, people) in &by_address {
            let [one] = people.as_slice() else { continue };
            let shown = shown.get(*address).map(Vec::as_slice).unwrap_or_default();
            let verified = verified.get(*address);
            let others = shown.iter().filter(|user| verified.is_none_or(|verified| verified.path != user.path));
            let all = verified.into_iter().map(|user| (user, true)).chain(others.map(|user| (user, false)));
            let all = all.filter(|(user, _)| self.is_here(user));
            let all = all.filter_map(|(user, is_verified)| candidate(&one.person, user, is_verified));
            candidates.push((one, all.collect()));
        }
        let found = candidates.iter().flat_map(|(_, all)| all.iter().map(|one| one.user.id().to_owned()));
        let known = self.known_to_rosters(&found.collect::<Vec<_>>()).await?;
        for (one, candidates) in candidates {
            match relation(&candidates, |id| known.get(id).copied().unwrap_or_default()) {
                Some(Relation::Is(user)) => {
                    linked.users.insert(one.id.clone(), user.to_owned());
                }
                Some(Relation::MayBe(users)) => {
                    let users = users.into_iter().map(|(user, agrees)| (user.to_owned(), agrees));
                    linked.doubles.insert(one.id.clone(), users.collect());
                }
                None => {}
            }
        }
        Ok(())
    }

    /// How rosters know these users, for those whom they do.
    async fn known_to_rosters(&self, users: &[String]) -> Result<HashMap<String, Known>, StoreError> {
        use entry::field::{GONE, PROVIDER_TYPE, ROAR_UID};
        let notes = Query::collection(ENTRIES).select(&[ROAR_UID, PROVIDER_TYPE, GONE]);
        let notes: Vec<Query> = notes.each_of(ROAR_UID, users).map(|(query, _)| query).collect();
        let mut known: HashMap<String, Known> = HashMap::new();
        for note in self.database.query_each(notes).await? {
            let Some(user) = entry::text(&note.fields, ROAR_UID) else { continue };
            let known = known.entry(user.to_owned()).or_default();
            known.by_any = true;
            known.by_this |= entry::text(&note.fields, PROVIDER_TYPE) == Some(PROVIDER) && !is_gone(&note.fields);
        }
        Ok(known)
    }

    fn is_here(&self, user: &Document) -> bool {
        current_orgs(&user.fields).contains(OrgType::District, &self.id)
    }
}

/// A user who may be the person, if they may: of the same kind, with the same name and no other date of birth; or
/// imported as that, whatever they show by now.
fn candidate<'a>(person: &Person, user: &'a Document, is_verified: bool) -> Option<Candidate<'a>> {
    let goes = |name: &str| user.fields.contains_key(name);
    if !is_of_kind(person, &user.fields) || goes(field::MERGED_INTO) || goes(field::MERGING_INTO) {
        return None;
    }
    let imported = Imported::read(&user.fields).is_of(&person.imported(&Imported::default()));
    let is_same = is_same(person, &user.fields);
    let proof = match (is_verified && is_same, imported) {
        (_, true) => Some(Proof::Imported),
        (true, false) => Some(Proof::Verified),
        (false, false) => None,
    };
    let has_births = held_birth(&user.fields).is_some() && born(person).is_some();
    let agrees = [agrees::EMAIL, agrees::NAME].into_iter().chain(has_births.then_some(agrees::DOB));
    (is_same || imported).then(|| Candidate { user, proof, agrees: agrees.collect() })
}

/// Of several, one that's proved. Whoever is in a roster is who that says; what's proved may be in another one as well.
fn relation<'a>(candidates: &[Candidate<'a>], known: impl Fn(&str) -> Known) -> Option<Relation<'a>> {
    let is_free = |one: &&Candidate| match one.proof {
        Some(_) => !known(one.user.id()).by_this,
        None => !known(one.user.id()).by_any,
    };
    let free: Vec<&Candidate> = candidates.iter().filter(is_free).collect();
    let proved: Vec<&&Candidate> = free.iter().filter(|one| one.proof.is_some()).collect();
    match (proved.as_slice(), free.as_slice()) {
        ([one], _) => Some(Relation::Is(one.user.id())),
        (_, []) => None,
        (_, several) => {
            let several = several.iter().take(FEW as usize);
            Some(Relation::MayBe(several.map(|one| (one.user.id(), one.agrees.clone())).collect()))
        }
    }
}

fn is_of_kind(person: &Person, user: &Fields) -> bool {
    let held = user.get(field::USER_TYPE).and_then(Value::as_str);
    held == Some(person.user_type) || (held == Some("admin") && person.user_type == "educator")
}

fn born(person: &Person) -> Option<jiff::civil::Date> {
    person.student.get(field::DOB).and_then(Value::as_timestamp).map(day)
}

/// True for the same name, and no other date of birth.
fn is_same(person: &Person, user: &Fields) -> bool {
    let held = |part: &str| user.get(field::NAME)?.as_map()?.get(part)?.as_str();
    let same = |part: &Option<String>, name: &str| {
        let folded = fold_name(part.as_deref().unwrap_or_default());
        !folded.is_empty() && folded == fold_name(held(name).unwrap_or_default())
    };
    let is_as_old = held_birth(user).zip(born(person)).is_none_or(|(held, born)| same_birth(held, born));
    same(&person.name[0], field::FIRST) && same(&person.name[2], field::LAST) && is_as_old
}

/// The birth of a user, as their document has it.
fn held_birth(user: &Fields) -> Option<Timestamp> {
    user.get(field::STUDENT_DATA)?.as_map()?.get(field::DOB)?.as_timestamp()
}

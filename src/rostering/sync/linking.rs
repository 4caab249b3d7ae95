//! People who are new in the roster, but known already: older functions made an entry of them, or they were enrolled by
//! hand or from a file.
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

use super::entries::Entries;
use super::entry::{Changed, Entry};
use super::{SyncError, Work};
use crate::digest::fingerprint;
use crate::documents::doubles::agrees;
use crate::documents::org_lists::OrgType;
use crate::documents::roster_entry::{self as entry, ENTRIES, LOOKED_AT, is_elsewhere, is_gone, of_provider};
use crate::documents::user::age::day;
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::same::{fold_address, fold_name, same_birth};
use crate::documents::user::{self, field, user_path};
use crate::rights::Claims;
use crate::rostering::model::Person;
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
    /// The users of those who were found by their address, by their ID at the provider. They have no entry yet.
    pub users: HashMap<String, String>,
    /// The users whom others may be, and what agrees, by the ID at the provider of these.
    pub doubles: HashMap<String, Vec<(String, Vec<&'static str>)>>,
    /// Those whom another district's roster has still. They are left to it.
    pub elsewhere: HashSet<String>,
}

impl Work<'_> {
    /// Finds those of a batch who have no entry of this district, and adds entries that there are to `entries`.
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
        let noted = of_provider(self.provider).select(&LOOKED_AT);
        let noted: Vec<Query> = noted.each_of(entry::field::PROVIDER_ID, &ids).map(|(query, _)| query).collect();
        let mut found: HashMap<Box<str>, Vec<(Entry, bool)>> = HashMap::new();
        for document in self.database.query_each(noted).await? {
            let is_elsewhere = is_elsewhere(&document.fields, &self.id);
            if let Some((id, entry)) = Entry::read(self.provider, &document) {
                found.entry(id).or_default().push((entry, is_elsewhere));
            }
        }
        for (id, mut noted) in found {
            // Of two entries, nobody knows which is right; the usual one is taken.
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
        let users = Query { select: Some(seen().to_vec()), ..Query::collection(user::COLLECTION) };
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
            known.by_this |= entry::text(&note.fields, PROVIDER_TYPE) == Some(self.provider) && !is_gone(&note.fields);
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

#[cfg(test)]
mod tests {
    use super::super::fixtures::{NOW, student};
    use super::*;
    use crate::fields;

    fn user(id: &str, fields: Fields) -> Document {
        Document { path: user_path(id).expect("a path"), fields, create_time: NOW, update_time: NOW }
    }

    fn named(user_type: &str, first: &str) -> Fields {
        fields! { "userType" => user_type, "name" => fields! { "first" => first, "last" => "LOVELACE" } }
    }

    #[test]
    fn who_may_be_a_person_and_what_proves_it() {
        let mut ada = student("Ada", Some("ada@b.org"));
        let born = |day: &str| -> Timestamp { day.parse().expect("an instant") };
        ada.student.insert("dob".to_owned(), Value::from(born("2016-02-09T00:00:00Z")));
        let with = |mut user: Fields, more: Fields| {
            user.extend(more);
            user
        };
        let imported = || {
            let digests = ada.imported(&Imported::default()).to_value().expect("digests");
            fields! { "importedIdentity" => digests }
        };
        let birth = |day: &str| fields! { "studentData" => fields! { "dob" => born(day) } };
        // The user, their address is verified; the proof and what agrees, if they may be the person.
        let table = [
            ("the same name", named("student", "ADA"), false, Some((None, vec!["email", "name"]))),
            (
                "and a verified address",
                named("student", "Ada"),
                true,
                Some((Some(Proof::Verified), vec!["email", "name"])),
            ),
            ("another name", named("student", "Ida"), true, None),
            ("another kind of person", named("educator", "Ada"), true, None),
            (
                "the same birth",
                with(named("student", "Ada"), birth("2016-02-09T00:00:00Z")),
                false,
                Some((None, vec!["email", "name", "dob"])),
            ),
            ("another birth", with(named("student", "Ada"), birth("2016-02-11T00:00:00Z")), true, None),
            (
                "imported as that, whatever they show",
                with(named("student", "Ida"), imported()),
                false,
                Some((Some(Proof::Imported), vec!["email", "name"])),
            ),
            ("merged into somebody", with(named("student", "Ada"), fields! { "mergedInto" => "x" }), true, None),
            ("being merged", with(named("student", "Ada"), fields! { "mergingInto" => "x" }), true, None),
        ];
        for (what, fields, is_verified, expected) in table {
            let user = user("u1", fields);
            let found = candidate(&ada, &user, is_verified).map(|one| (one.proof, one.agrees));
            assert_eq!(found, expected, "{what}");
        }
        let teacher = Person { user_type: "educator", ..student("Ada", None) };
        let admin = user("u1", named("admin", "Ada"));
        assert!(candidate(&teacher, &admin, true).is_some(), "teachers are made admins by hand");
    }

    #[test]
    fn one_who_is_proved_is_linked_and_others_wait() {
        let users: Vec<Document> = (0..7).map(|n| user(&format!("u{n}"), Fields::new())).collect();
        let one = |n: usize, proof| Candidate { user: &users[n], proof, agrees: vec!["email", "name"] };
        let proved = |n| one(n, Some(Proof::Verified));
        let shown = |n| one(n, None);
        let nobody = |_: &str| Known::default();
        let other_roster = |_: &str| Known { by_any: true, by_this: false };
        let this_roster = |_: &str| Known { by_any: true, by_this: true };
        let told = |candidates: &[Candidate<'_>], known: &dyn Fn(&str) -> Known| match relation(candidates, known) {
            None => "nobody".to_owned(),
            Some(Relation::Is(user)) => format!("is {user}"),
            Some(Relation::MayBe(users)) => {
                let users: Vec<&str> = users.iter().map(|(user, _)| *user).collect();
                format!("may be {}", users.join(" "))
            }
        };
        assert_eq!(told(&[], &nobody), "nobody");
        assert_eq!(told(&[shown(0)], &nobody), "may be u0");
        assert_eq!(told(&[proved(0), shown(1)], &nobody), "is u0");
        assert_eq!(told(&[proved(0), proved(1)], &nobody), "may be u0 u1", "of two who are proved, nobody knows which");
        assert_eq!(told(&[proved(0)], &other_roster), "is u0");
        assert_eq!(told(&[shown(0)], &other_roster), "nobody");
        assert_eq!(told(&[proved(0), shown(1)], &this_roster), "nobody");
        let all: Vec<Candidate<'_>> = (0..7).map(shown).collect();
        assert_eq!(told(&all, &nobody), "may be u0 u1 u2 u3 u4", "a few of those who share an address with many");
    }
}

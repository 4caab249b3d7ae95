//! Rights that come with rosters, beside those that people gave
//! (docs/domain/rosters.md#rights-that-come-with-a-roster).
//!
//! A roster's entry says which orgs its user has rights over. Once the user has signed in, their claims follow it: what
//! the roster adds is given, what it drops is taken away. What somebody gave by hand stays; what somebody took away by
//! hand isn't given again. So that the two can be told apart, claims note where each org came from.

use std::collections::BTreeMap;

use super::audit::{Action, Record};
use super::binding::identity::{COPIED, RosterEntry};
use super::custom::is_open;
use super::lists::{AdminOrgs, granted, snapshot, stored};
use super::publish::{ClaimsError, publish};
use super::{Rounds, next_update};
use crate::app::App;
use crate::documents::org_lists::OrgSet;
use crate::documents::user::user_path;
use crate::documents::user_claims::claims_map;
use crate::fields;
use crate::orgs::OrgLists;
use crate::rights::Claims;
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{
    Database, DocPath, Document, FieldPath, Fields, Precondition, Query, StoreError, Transaction, Value, Write,
};

/// The field of a `userClaims` document that says where its orgs came from.
pub const SOURCES: &str = "adminOrgSources";
/// The source of what people gave.
const BY_HAND: &str = "manual";
/// Where the orgs of somebody's claims came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    by_hand: OrgLists,
    by_roster: BTreeMap<String, OrgLists>,
    /// The document says so; else everything is by hand.
    is_stored: bool,
}

impl Sources {
    /// Reads a claims document. What the claims don't hold (any more) has no source, and what none of the noted ones
    /// explains was given by hand.
    pub fn read(document: Option<&Document>) -> Sources {
        let claims = claims_map(document);
        let noted = document.and_then(|document| document.fields.get(SOURCES)).and_then(Value::as_map);
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

    /// All that was granted, by whomever; also what is below something else of it.
    pub fn granted(&self) -> OrgLists {
        let mut all = self.by_hand.clone();
        self.by_roster.values().for_each(|lists| all.extend(lists));
        all
    }

    /// What a roster gave.
    pub fn of_roster(&self, provider: &str) -> OrgLists {
        self.by_roster.get(provider).cloned().unwrap_or_default()
    }

    /// With what a roster gave before sources were noted, which counts as given by hand else: it was copied from its
    /// entry then.
    #[must_use]
    pub fn adopting(mut self, provider: &str, copied: &OrgLists, document: Option<&Document>) -> Sources {
        if !self.by_roster.contains_key(provider) && !copied.is_empty() {
            // Also what is held as part of something above it: that may go, and this stay.
            let given = copied.intersection(&held(claims_map(document)));
            self.by_roster.insert(provider.to_owned(), given);
            self.by_hand = self.by_hand.difference(&copied.to_set());
        }
        self
    }

    /// With that of a roster instead.
    #[must_use]
    pub fn with_roster(mut self, provider: &str, orgs: OrgLists) -> Sources {
        self.by_roster.insert(provider.to_owned(), orgs);
        self.is_stored = true;
        self
    }

    /// With these given by hand, too.
    #[must_use]
    pub fn given(mut self, orgs: &OrgLists) -> Sources {
        self.by_hand.extend(orgs);
        self
    }

    /// With these taken away by hand, whoever gave them.
    #[must_use]
    pub fn taken(mut self, orgs: &OrgLists) -> Sources {
        let gone = orgs.to_set();
        self.by_hand = self.by_hand.difference(&gone);
        self.by_roster.values_mut().for_each(|lists| *lists = lists.difference(&gone));
        self
    }

    /// As the document has them; `None` where there's no need to say.
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

/// The event of `identityProviderIds/{entryId}`: the claims of who has signed in follow the roster.
pub async fn entry_updated(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let (Some(before), Some(after)) = (&event.change.before, &event.change.after) else { return Ok(()) };
    let (Some(before), Some(after)) = (RosterEntry::of(before), RosterEntry::of(after)) else { return Ok(()) };
    let is_changed = !before.admin_orgs.same_orgs(&after.admin_orgs) || before.role != after.role;
    let is_due = !after.due_orgs().is_empty() || is_changed;
    if after.activated && after.admin_uid.is_some() && is_due {
        follow_entry(&app, &after.path).await?;
    }
    Ok(())
}

/// Brings the claims of an entry's user in line with it, as both are now. Who hasn't signed in yet has none. Nothing to
/// do costs two reads.
pub async fn follow_entry(app: &App, entry: &DocPath) -> Result<(), ClaimsError> {
    let mut rounds = Rounds::new(&app.context);
    while rounds.next().await {
        let Some(document) = app.stores.admin.get(entry).await? else { return Ok(()) };
        let kind = document.fields.get("providerType").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(entry) = RosterEntry::of(&document).filter(|entry| entry.activated) else { return Ok(()) };
        let Some(admin_uid) = &entry.admin_uid else { return Ok(()) };
        let path = Claims::path(admin_uid)?;
        let claims = app.stores.admin.get(&path).await?;
        let is_theirs = Claims::read(admin_uid, claims.as_ref()).roar_uid == entry.roar_uid;
        let Some(claims) = claims.filter(|_| is_theirs) else { return Ok(()) };
        let sources = Sources::read(Some(&claims));
        let adopted = sources.clone().adopting(&kind, &entry.copied, Some(&claims));
        let given = adopted.of_roster(&kind);
        let mut told = entry.admin_orgs.clone();
        if !given.difference(&told.to_set()).is_empty() {
            // Somebody may be in a roster twice, under an ID that its provider has given up, and the one they have now.
            told.extend(&told_elsewhere(app, &entry, &kind).await?);
        }
        let kept = given.intersection(&told.to_set());
        let next = kept.iter().chain(entry.due_orgs().iter()).collect::<OrgLists>();
        let is_same = next.same_orgs(&given);
        let next = adopted.with_roster(&kind, next);
        let held = claims_map(&claims).and_then(|claims| claims.get("role"));
        let role = match is_pupil(&entry, &claims, &next) {
            true => Some("student").filter(|role| held.and_then(Value::as_str) != Some(role)),
            false => role_over(&entry, held),
        };
        if is_same && role.is_none() {
            return Ok(());
        }
        if role == Some("student") {
            // Before the claims say so: if this ends here, they tell that it's still to be done.
            no_admins(app, &entry.roar_uid).await?;
        }
        let tree = snapshot(&app.stores.admin, &next.granted()).await?;
        let step = Step { app, path: &path, entry: &entry, sources: &sources, next: &next, role };
        let orgs = AdminOrgs::of(&next.granted(), &tree);
        orgs.check_room()?;
        let (step, orgs) = (&step, &orgs);
        let (is_written, _) = app.stores.admin.transaction(|tx| async move { step.write(&tx, orgs).await }).await?;
        if is_written {
            publish(app, admin_uid, &[]).await?;
            if role == Some("student") {
                // Somebody else may just have published the claims that were there before.
                no_admins(app, &entry.roar_uid).await?;
            }
            return Ok(());
        }
    }
    Err(StoreError::Contention.into())
}

/// The rights of other entries of the same roster that belong to the same account.
async fn told_elsewhere(app: &App, entry: &RosterEntry, kind: &str) -> Result<OrgLists, StoreError> {
    let of_account = Query::collection("identityProviderIds").equal("providerType", kind);
    let of_account = of_account.equal("adminUid", entry.admin_uid.as_deref().unwrap_or_default());
    let found = app.stores.admin.query(of_account.select(&["roarUid", "adminUid", "activated", "adminOrgs"])).await?;
    let others = found.iter().filter(|other| other.path != entry.path).filter_map(RosterEntry::of);
    let others = others.filter(|other| other.activated && other.roar_uid == entry.roar_uid);
    let mut told = OrgLists::new();
    others.for_each(|other| told.extend(&other.admin_orgs));
    Ok(told)
}

/// True for a student who has no rights any more: whom a roster took for a teacher once, say.
fn is_pupil(entry: &RosterEntry, claims: &Document, next: &Sources) -> bool {
    let claims = Claims::read(entry.admin_uid.as_deref().unwrap_or_default(), Some(claims));
    entry.role.as_deref() == Some("student")
        && entry.admin_orgs.is_empty()
        && next.granted().is_empty()
        && !claims.super_admin
}

/// Who was taken for an administrator is a student again, in both databases.
async fn no_admins(app: &App, roar_uid: &str) -> Result<(), StoreError> {
    for database in [&app.stores.admin, &app.stores.assessment] {
        no_admin(database, roar_uid).await?;
    }
    Ok(())
}

async fn no_admin(database: &Database, roar_uid: &str) -> Result<(), StoreError> {
    let path = user_path(roar_uid)?;
    let Some(user) = database.get(&path).await? else { return Ok(()) };
    if user.fields.get("userType").and_then(Value::as_str) != Some("admin") {
        return Ok(());
    }
    let write = Write::update(path, fields! { "userType" => "student" });
    match database.commit(vec![write.when(Precondition::UpdatedAt(user.update_time))]).await {
        Ok(_) => Ok(()),
        // It's done again with all that belongs to it.
        Err(StoreError::Conflict(_)) => Err(StoreError::Contention),
        Err(error) => Err(error),
    }
}

/// The role that an entry gives to somebody who holds that one; `None` to leave it. A student whom the roster gives
/// rights isn't one any more.
pub fn role_over(entry: &RosterEntry, held: Option<&Value>) -> Option<&'static str> {
    let was_student = held.and_then(Value::as_str) == Some("student");
    role_of(entry).filter(|role| is_open(held) || (was_student && *role == "admin"))
}

/// What somebody is by their entry; rosters make nobody a super admin.
fn role_of(entry: &RosterEntry) -> Option<&'static str> {
    match (entry.role.as_deref(), entry.admin_orgs.is_empty()) {
        (_, false) => Some("admin"),
        (Some("student"), true) => Some("student"),
        _ => None,
    }
}

struct Step<'a> {
    app: &'a App,
    path: &'a DocPath,
    entry: &'a RosterEntry,
    sources: &'a Sources,
    next: &'a Sources,
    role: Option<&'static str>,
}

impl Step<'_> {
    /// False when the claims, or the entry, are others than those that were looked at.
    async fn write(&self, tx: &Transaction, orgs: &AdminOrgs) -> Result<bool, StoreError> {
        let found = tx.get_all(&[self.path.clone(), self.entry.path.clone()]).await?;
        let [Some(claims), Some(entry)] = found.as_slice() else { return Ok(false) };
        let is_same = RosterEntry::of(entry).as_ref() == Some(self.entry);
        if !is_same || Sources::read(Some(claims)) != *self.sources {
            return Ok(false);
        }
        let before = stored(claims_map(claims));
        let mut lists = orgs.to_fields();
        let mut mask: Vec<FieldPath> = AdminOrgs::mask().into();
        if let Some(role) = self.role {
            lists.insert("role".to_owned(), Value::from(role));
            mask.push(FieldPath::of(["claims", "role"]));
        }
        let mut fields = fields! { "claims" => lists, "lastUpdated" => next_update(Some(claims), self.app.now()) };
        fields.extend(self.next.to_value().map(|sources| (SOURCES.to_owned(), sources)));
        mask.extend([FieldPath::top("lastUpdated"), FieldPath::top(SOURCES)]);
        tx.write(Write::merge(self.path.clone(), fields, mask)).await;
        let copied = fields! { COPIED => self.entry.admin_orgs.to_value() };
        tx.write(Write::update(self.entry.path.clone(), copied)).await;
        let uid = self.path.id();
        let record = Record {
            function: "syncClaimsOnRosterUpdate",
            action: Action::Roster,
            by: uid,
            target: uid,
            orgs: None,
            minimal: Some((&before.minimal, &orgs.minimal)),
            details: Fields::from([("roarUid".to_owned(), Value::from(self.entry.roar_uid.as_str()))]),
        };
        tx.write(record.write(self.app)?).await;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
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

    /// The document after granting all that the sources say.
    fn document(sources: &Sources) -> Document {
        let mut fields = fields! { "claims" => AdminOrgs::of(&sources.granted(), &tree()).to_fields() };
        fields.extend(sources.to_value().map(|value| (SOURCES.to_owned(), value)));
        let (create_time, update_time) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        Document { path: Claims::path("a1").unwrap(), fields, create_time, update_time }
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
        assert_eq!(found.fields.get(SOURCES), None, "nothing is noted where no roster is");
        let sources = Sources::read(Some(&found)).with_roster("clever", lists(&[(School, "s2")]));
        found = document(&sources);
        assert_eq!(Sources::read(Some(&found)), sources);
        // Somebody takes the roster's away by other means: it has no source any more, also when it comes back.
        let left = AdminOrgs::of(&lists(&[(School, "s1")]), &tree());
        found.fields.insert("claims".to_owned(), Value::Map(left.to_fields()));
        assert!(Sources::read(Some(&found)).of_roster("clever").is_empty());
        let taken = Sources::read(Some(&document(&sources))).taken(&lists(&[(School, "s2")]));
        let again = document(&taken.given(&lists(&[(School, "s2")])));
        assert!(Sources::read(Some(&again)).of_roster("clever").is_empty());
        assert_eq!(Sources::read(None), Sources::default());
    }

    proptest! {
        /// Whatever the roster and people give, one after the other, somebody has what either gives, and no more.
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

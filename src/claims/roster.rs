//! Rights that come with rosters, beside rights that people gave
//! (docs/domain/rosters.md#rights-that-come-with-a-roster).
//!
//! A roster entry says which orgs its user has rights over. Once the user has signed in, their claims follow the entry:
//! rights that the roster adds are given, rights that the roster drops are taken away. Rights that were given by hand
//! stay; rights that were taken away by hand aren't given again. To tell the two apart, claims record the source of
//! each org.

use super::Rounds;
use super::audit::{Action, Record};
use super::binding::identity::{COPIED, RosterEntry};
use super::custom::is_open;
use super::edit::{Changes, Decision, State, Target, attempt};
use super::lists::{AdminOrgs, snapshot};
use super::publish::ClaimsError;
use super::sources::Sources;
use crate::app::App;
use crate::documents::roster_entry;
use crate::documents::user::{self, user_path};
use crate::documents::user_claims::{self, claims_map, claims_path, field, role};
use crate::fields;
use crate::orgs::OrgLists;
use crate::rights::Claims;
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{Database, DocPath, Document, Precondition, StoreError, Value, Write};

/// The event of `identityProviderIds/{entryId}`: updates the claims of a user who has signed in before.
pub async fn entry_updated(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let (Some(before), Some(after)) = (&event.change.before, &event.change.after) else { return Ok(()) };
    let (Some(before), Some(after)) = (RosterEntry::of(before), RosterEntry::of(after)) else { return Ok(()) };
    if is_to_follow(&before, &after) {
        follow_entry(&app, &after.path).await?;
    }
    Ok(())
}

/// True for a change of an entry after which its user's claims may have to change.
fn is_to_follow(before: &RosterEntry, after: &RosterEntry) -> bool {
    let is_changed = !before.admin_orgs.same_orgs(&after.admin_orgs) || before.role != after.role;
    let is_due = !after.due_orgs().is_empty() || is_changed;
    after.activated && after.admin_uid.is_some() && is_due
}

/// Updates the claims of an entry's user from the entry, by the current state of both. A user who hasn't signed in yet
/// has no claims. Costs two reads when nothing changes.
pub async fn follow_entry(app: &App, entry: &DocPath) -> Result<(), ClaimsError> {
    let mut rounds = Rounds::new(&app.context);
    while rounds.next().await {
        let Some(document) = app.stores.admin.get(entry).await? else { return Ok(()) };
        let kind = document
            .fields
            .get(roster_entry::field::PROVIDER_TYPE)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let Some(entry) = RosterEntry::of(&document).filter(|entry| entry.activated) else { return Ok(()) };
        let Some(admin_uid) = &entry.admin_uid else { return Ok(()) };
        let path = claims_path(admin_uid)?;
        let claims = app.stores.admin.get(&path).await?;
        let is_theirs = Claims::read(admin_uid, claims.as_ref()).roar_uid == entry.roar_uid;
        let Some(claims) = claims.filter(|_| is_theirs) else { return Ok(()) };
        let sources = Sources::read(Some(&claims));
        let adopted = sources.clone().adopting(&kind, &entry.copied, Some(&claims));
        let given = adopted.of_roster(&kind);
        let mut told = entry.admin_orgs.clone();
        if !given.difference(&told.to_set()).is_empty() {
            // A person may have two entries in a roster: one under an ID that the provider has replaced, and one under
            // the current ID.
            told.extend(&told_elsewhere(app, &entry, &kind).await?);
        }
        let Some((next, role)) = wanted(&entry, &kind, &claims, adopted, &told) else { return Ok(()) };
        if role == Some(role::STUDENT) {
            // Before the claims are written: if this process stops here, the claims still differ from the entry, so the
            // next run repeats this step.
            no_admins(app, &entry.roar_uid).await?;
        }
        let tree = snapshot(&app.stores.admin, &next.granted()).await?;
        let orgs = AdminOrgs::of(&next.granted(), &tree);
        orgs.check_room()?;
        let step = Step { entry: &entry, sources: &sources, next: &next, role, orgs: &orgs };
        let beside = [entry.path.clone()];
        let target = Target { beside: &beside, ..Target::new("syncClaimsOnRosterUpdate", admin_uid, admin_uid) };
        let decide = |state: &State<'_>| Ok::<_, ClaimsError>(step.decide(&target, state));
        if attempt(app, &target, &tree, &decide).await?.is_some() {
            if role == Some(role::STUDENT) {
                // A concurrent publication may just have published the previous claims.
                no_admins(app, &entry.roar_uid).await?;
            }
            return Ok(());
        }
    }
    Err(StoreError::Contention.into())
}

/// The sources and the role that an entry's user should have, given all rights that the roster names (`told`); `None`
/// when the claims follow the entry already.
fn wanted(
    entry: &RosterEntry,
    kind: &str,
    claims: &Document,
    adopted: Sources,
    told: &OrgLists,
) -> Option<(Sources, Option<&'static str>)> {
    let given = adopted.of_roster(kind);
    let kept = given.intersection(&told.to_set());
    let next = kept.iter().chain(entry.due_orgs().iter()).collect::<OrgLists>();
    let is_same = next.same_orgs(&given);
    let next = adopted.with_roster(kind, next);
    let held = claims_map(claims).and_then(|claims| claims.get(user_claims::field::ROLE));
    let role = match is_pupil(entry, claims, &next) {
        true => Some(role::STUDENT).filter(|role| held.and_then(Value::as_str) != Some(role)),
        false => role_over(entry, held),
    };
    (!is_same || role.is_some()).then_some((next, role))
}

/// The rights in other entries of the same roster that belong to the same account.
async fn told_elsewhere(app: &App, entry: &RosterEntry, kind: &str) -> Result<OrgLists, StoreError> {
    let of_account = roster_entry::of_provider(kind);
    let of_account = of_account.equal(roster_entry::field::ADMIN_UID, entry.admin_uid.as_deref().unwrap_or_default());
    let found = app
        .stores
        .admin
        .query(of_account.select(&[
            roster_entry::field::ROAR_UID,
            roster_entry::field::ADMIN_UID,
            roster_entry::field::ACTIVATED,
            roster_entry::field::ADMIN_ORGS,
        ]))
        .await?;
    let others = found.iter().filter(|other| other.path != entry.path).filter_map(RosterEntry::of);
    let others = others.filter(|other| other.activated && other.roar_uid == entry.roar_uid);
    let mut told = OrgLists::new();
    others.for_each(|other| told.extend(&other.admin_orgs));
    Ok(told)
}

/// True for a student who has no rights left: for example, one whom a roster listed as a teacher by mistake.
fn is_pupil(entry: &RosterEntry, claims: &Document, next: &Sources) -> bool {
    let claims = Claims::read(entry.admin_uid.as_deref().unwrap_or_default(), Some(claims));
    entry.role.as_deref() == Some(role::STUDENT)
        && entry.admin_orgs.is_empty()
        && next.granted().is_empty()
        && !claims.super_admin
}

/// Sets the type of a user who was listed as an administrator back to student, in both databases.
async fn no_admins(app: &App, roar_uid: &str) -> Result<(), StoreError> {
    for database in [&app.stores.admin, &app.stores.assessment] {
        no_admin(database, roar_uid).await?;
    }
    Ok(())
}

async fn no_admin(database: &Database, roar_uid: &str) -> Result<(), StoreError> {
    let path = user_path(roar_uid)?;
    let Some(user) = database.get(&path).await? else { return Ok(()) };
    if !user::is_admin(&user.fields) {
        return Ok(());
    }
    let write = Write::update(path, fields! { user::field::USER_TYPE => user::user_type::STUDENT });
    match database.commit(vec![write.when(Precondition::UpdatedAt(user.update_time))]).await {
        Ok(_) => Ok(()),
        // A retry repeats the whole change.
        Err(StoreError::Conflict(_)) => Err(StoreError::Contention),
        Err(error) => Err(error),
    }
}

/// The role that an entry gives to a user who holds the role `held`; `None` to leave the role. A student to whom the
/// roster gives rights is no longer a student.
pub fn role_over(entry: &RosterEntry, held: Option<&Value>) -> Option<&'static str> {
    let was_student = held.and_then(Value::as_str) == Some(role::STUDENT);
    role_of(entry).filter(|role| is_open(held) || (was_student && *role == role::ADMIN))
}

/// The role of a person according to their entry; rosters make nobody a super admin.
fn role_of(entry: &RosterEntry) -> Option<&'static str> {
    match (entry.role.as_deref(), entry.admin_orgs.is_empty()) {
        (_, false) => Some(role::ADMIN),
        (Some(role::STUDENT), true) => Some(role::STUDENT),
        _ => None,
    }
}

/// The change of a user's claims that an entry requires, given both as they were read.
struct Step<'a> {
    entry: &'a RosterEntry,
    sources: &'a Sources,
    next: &'a Sources,
    role: Option<&'static str>,
    /// The two org lists that result from `next`.
    orgs: &'a AdminOrgs,
}

impl Step<'_> {
    /// Outdated when the claims or the entry have changed since they were read.
    fn decide<'t>(&self, target: &Target<'t>, state: &State<'_>) -> Decision<'t, ()> {
        let (Some(_), [Some(entry)]) = (state.document, state.beside) else { return Decision::Outdated };
        let is_same = RosterEntry::of(entry).as_ref() == Some(self.entry);
        if !is_same || Sources::read(state.document) != *self.sources {
            return Decision::Outdated;
        }
        let mut claims = self.orgs.to_fields();
        claims.extend(self.role.map(|role| (field::ROLE.to_owned(), Value::from(role))));
        let copied = fields! { COPIED => self.entry.admin_orgs.to_value() };
        let record = Record {
            minimal: Some((state.orgs().minimal, self.orgs.minimal.clone())),
            details: fields! { field::ROAR_UID => self.entry.roar_uid.as_str() },
            ..target.record(Action::Roster)
        };
        let change = Changes::of_claims(claims).noting(self.next.to_value());
        let change = change.beside(Write::update(self.entry.path.clone(), copied));
        Decision::Write(change.recorded(record).into(), ())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::claims::edit::tests::{change, document, state};
    use crate::orgs::{Org, OrgKey, OrgTree, OrgType};
    use crate::store::Fields;

    const SCHOOLS: [&str; 4] = ["s1", "s2", "s3", "s4"];

    fn tree() -> OrgTree {
        let school = |id| (OrgKey::new(OrgType::School, id), Org::from_fields(OrgType::School, &Fields::new()));
        OrgTree::new(SCHOOLS.map(school))
    }

    fn schools(ids: &[&'static str]) -> OrgLists {
        ids.iter().map(|id| (OrgType::School, *id)).collect()
    }

    /// The document of an entry with rights over the schools `told`, of which `copied` were given already.
    fn entry_document(role: &str, told: &[&'static str], copied: &[&'static str]) -> Document {
        let fields = fields! {
            "roarUid" => "r1", "adminUid" => "a1", "activated" => true, "role" => role,
            "adminOrgs" => schools(told).to_value(), "copiedAdminOrgs" => schools(copied).to_value(),
        };
        Document { path: DocPath::new("identityProviderIds/i1").unwrap(), ..document(fields) }
    }

    fn entry(role: &str, told: &[&'static str], copied: &[&'static str]) -> RosterEntry {
        RosterEntry::of(&entry_document(role, told, copied)).unwrap()
    }

    /// Claims with schools from Clever's roster and schools that were given by hand.
    fn claims(role: &str, by_roster: &[&'static str], by_hand: &[&'static str]) -> Document {
        let all: OrgLists = schools(by_roster).iter().chain(schools(by_hand).iter()).collect();
        let mut claims = AdminOrgs::of(&all, &tree()).to_fields();
        claims.extend(fields! { "roarUid" => "r1", "role" => role });
        let sources = fields! { "clever" => schools(by_roster).to_value(), "manual" => schools(by_hand).to_value() };
        document(fields! { "claims" => claims, "adminOrgSources" => sources })
    }

    #[test]
    fn claims_follow_what_changes_rights() {
        let teacher = |told: &[&'static str], copied: &[&'static str]| entry("teacher", told, copied);
        let given = || teacher(&["s1"], &["s1"]);
        // The entry before and after; whether claims may have to change.
        for (before, after, expected) in [
            (given(), given(), false),
            (given(), teacher(&["s1", "s2"], &["s1"]), true),
            (given(), teacher(&[], &["s1"]), true),
            (given(), entry("student", &["s1"], &["s1"]), true),
            // Rights of the entry are still to be given, whatever changed.
            (teacher(&["s1"], &[]), teacher(&["s1"], &[]), true),
            // The user hasn't signed in.
            (given(), RosterEntry { activated: false, ..teacher(&["s2"], &[]) }, false),
            (given(), RosterEntry { admin_uid: None, ..teacher(&["s2"], &[]) }, false),
        ] {
            assert_eq!(is_to_follow(&before, &after), expected, "{before:?}, {after:?}");
        }
    }

    #[test]
    fn the_roster_gives_and_takes_what_is_its_own() {
        type Ids = &'static [&'static str];
        // The claims: role, schools by roster, schools by hand. The entry: role, schools, schools already given. The
        // expected schools by roster and new role, or `None` when nothing changes.
        type Row = ((&'static str, Ids, Ids), (&'static str, Ids, Ids), Option<(Ids, Option<&'static str>)>);
        let table: [Row; 11] = [
            (("admin", &["s1"], &["s2"]), ("teacher", &["s1"], &["s1"]), None),
            (("admin", &["s1"], &["s2"]), ("teacher", &["s1", "s3"], &["s1"]), Some((&["s1", "s3"], None))),
            (("admin", &["s1", "s3"], &["s2"]), ("teacher", &["s1"], &["s1", "s3"]), Some((&["s1"], None))),
            (("admin", &["s1"], &["s2"]), ("teacher", &[], &["s1"]), Some((&[], None))),
            // The school s2 was taken away by hand since.
            (("admin", &["s1"], &[]), ("teacher", &["s1", "s2"], &["s1", "s2"]), None),
            (("guest", &["s1"], &[]), ("teacher", &["s1"], &["s1"]), Some((&["s1"], Some("admin")))),
            (("student", &[], &[]), ("teacher", &["s1"], &[]), Some((&["s1"], Some("admin")))),
            // The roster listed the student as a teacher before.
            (("admin", &["s1"], &[]), ("student", &[], &["s1"]), Some((&[], Some("student")))),
            (("admin", &["s1"], &["s2"]), ("student", &[], &["s1"]), Some((&[], None))),
            (("student", &[], &[]), ("student", &[], &[]), None),
            (("platform_admin", &[], &[]), ("teacher", &["s1"], &[]), Some((&["s1"], None))),
        ];
        for ((held, by_roster, by_hand), (role, told, copied), expected) in table {
            let (claims, entry) = (claims(held, by_roster, by_hand), entry(role, told, copied));
            let sources = Sources::read(Some(&claims));
            let decided = wanted(&entry, "clever", &claims, sources.clone(), &entry.admin_orgs);
            let expected = expected.map(|(orgs, role)| (sources.with_roster("clever", schools(orgs)), role));
            assert_eq!(decided, expected, "{held} {by_roster:?} {by_hand:?}, {role} {told:?} {copied:?}");
        }
        // A super admin's role stays, even when a roster lists them as a student.
        let mut above = claims("super_admin", &["s1"], &[]);
        let Some(Value::Map(inner)) = above.fields.get_mut("claims") else { panic!("there are claims") };
        inner.insert("super_admin".to_owned(), Value::from(true));
        let (entry, sources) = (entry("student", &[], &["s1"]), Sources::read(Some(&above)));
        let decided = wanted(&entry, "clever", &above, sources, &entry.admin_orgs);
        assert_eq!(decided.map(|(_, role)| role), Some(None));
    }

    proptest! {
        /// Whatever the roster says: rights that were given by hand stay, the only other rights are those of the
        /// roster, and following an entry a second time changes nothing.
        #[test]
        fn what_was_given_by_hand_stays_and_following_ends(
            by_hand: [bool; 4],
            by_roster: [bool; 4],
            told: [bool; 4],
            copied: [bool; 4],
        ) {
            let pick = |chosen: [bool; 4]| -> Vec<&'static str> {
                SCHOOLS.into_iter().zip(chosen).filter_map(|(id, chosen)| chosen.then_some(id)).collect()
            };
            let (by_hand, by_roster, told, copied) = (pick(by_hand), pick(by_roster), pick(told), pick(copied));
            let (before, entry) = (claims("admin", &by_roster, &by_hand), entry("teacher", &told, &copied));
            let sources = Sources::read(Some(&before));
            let next = wanted(&entry, "clever", &before, sources.clone(), &entry.admin_orgs);
            let next = next.map_or(sources, |(next, _)| next);
            let all = next.granted().to_set();
            prop_assert!(schools(&by_hand).difference(&all).is_empty());
            let explained = schools(&by_hand).iter().chain(entry.admin_orgs.iter()).collect::<OrgLists>().to_set();
            prop_assert!(next.granted().difference(&explained).is_empty());
            prop_assert!(entry.due_orgs().difference(&all).is_empty());
            let done = RosterEntry { copied: entry.admin_orgs.clone(), ..entry };
            prop_assert_eq!(wanted(&done, "clever", &before, next, &done.admin_orgs), None);
        }
    }

    #[test]
    fn a_step_writes_what_it_was_prepared_for() {
        let (claims_before, stored_entry) =
            (claims("guest", &["s1"], &["s2"]), entry_document("teacher", &["s3"], &[]));
        let (entry, sources) = (RosterEntry::of(&stored_entry).unwrap(), Sources::read(Some(&claims_before)));
        let next = sources.clone().with_roster("clever", schools(&["s3"]));
        let orgs = AdminOrgs::of(&next.granted(), &tree());
        let step = Step { entry: &entry, sources: &sources, next: &next, role: Some("admin"), orgs: &orgs };
        let target = Target::new("f", "a1", "a1");
        let tree = tree();
        let decide = |claims: Option<&Document>, entry: Option<Document>| {
            step.decide(&target, &State { beside: &[entry], ..state(claims, &tree) })
        };
        let (change, ()) = change(decide(Some(&claims_before), Some(stored_entry.clone())));
        let mut expected = orgs.to_fields();
        expected.extend(fields! { "role" => "admin" });
        assert_eq!(change.fields.get("claims"), Some(&Value::Map(expected)));
        assert_eq!(change.fields.get("adminOrgSources"), next.to_value().as_ref());
        let copied = fields! { "copiedAdminOrgs" => schools(&["s3"]).to_value() };
        assert_eq!(change.beside, [Write::update(entry.path.clone(), copied)]);
        let record = change.record.unwrap();
        assert_eq!((record.action, &record.details), (Action::Roster, &fields! { "roarUid" => "r1" }));
        let (before, after) = record.minimal.unwrap();
        assert!(before.same_orgs(&schools(&["s1", "s2"])) && after.same_orgs(&schools(&["s2", "s3"])));
        // The claims or the entry were deleted, or differ from those that were read.
        for (claims, entry) in [
            (None, Some(stored_entry.clone())),
            (Some(&claims_before), None),
            (Some(&claims_before), Some(entry_document("teacher", &["s4"], &[]))),
            (Some(&claims_before), Some(entry_document("teacher", &["s3"], &["s3"]))),
            (Some(&claims("guest", &["s1"], &[])), Some(stored_entry)),
        ] {
            assert_eq!(decide(claims, entry.clone()), Decision::Outdated, "{claims:?}, {entry:?}");
        }
    }
}

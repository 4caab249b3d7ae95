//! What to write of one person: their user and their entry. Pure.

use super::entry::{Changed, Entry, Rights, Roster};
use super::known::Known;
use crate::documents::doubles::Found;
use crate::documents::roster_entry::{entry_at, entry_path};
use crate::documents::user::{field, user_path};
use crate::orgs::OrgLists;
use crate::rostering::model::Person;
use crate::rostering::person::{self, Before};
use crate::store::{DocPath, Document, FieldPath, Precondition, StoreError, Timestamp, Value, Write};
use crate::users::imported::{IMPORTED, Imported, imported_fields};

/// The rights that somebody has had so far.
pub(super) struct Kept {
    pub all: OrgLists,
    /// Those over orgs that aren't told of.
    pub untold: OrgLists,
}

/// All that a plan of one person looks at.
pub(super) struct Subject<'a> {
    pub of: Roster<'a>,
    /// The record.
    pub changed: &'a Changed,
    /// Their entry, if they have one.
    pub entry: Option<&'a Entry>,
    /// Their user as it's stored, if there's one.
    pub user: Option<&'a Document>,
    /// Users who may be the person, and what agrees of each.
    pub doubles: &'a [(String, Vec<&'static str>)],
    /// Their rights so far, where nobody leaves some of the orgs.
    pub kept: Option<&'a Kept>,
    /// The orgs.
    pub known: &'a Known,
    /// Makes IDs of new documents.
    pub new_id: &'a dyn Fn() -> String,
    /// The usual entry of this person is somebody else's.
    pub is_occupied: bool,
}

/// What is written of one person.
pub(super) enum PersonPlan {
    /// The record is what it was, and only the digests of who was imported are missing: the user, the entry.
    Mark(Option<Write>, Write),
    /// Nothing, though not all about them is told.
    Settled,
    /// Their user, if anything changes about it, and their entry.
    Write(PersonWrites),
}

/// The writes of one person.
pub(super) struct PersonWrites {
    /// Of their user, if anything changes.
    pub user: Option<Write>,
    /// Of pairs with users who may be the person.
    pub pairs: Vec<Write>,
    /// Of their entry.
    pub entry: Write,
    /// The user's ID.
    pub roar_uid: String,
    /// Not all about them is told: the next sync compares them again.
    pub is_unsure: bool,
}

impl Subject<'_> {
    /// Plans what to write. Every write that isn't of something new has the version that was read as its precondition.
    pub fn plan(&self, now: Timestamp) -> Result<PersonPlan, StoreError> {
        let Subject { of, changed, entry, known, .. } = *self;
        if let Some(entry) = entry.filter(|entry| changed.is_unmarked(entry)) {
            let user = self.user.and_then(|user| mark_imported(user, &changed.person));
            return Ok(PersonPlan::Mark(user, changed.mark(of.provider, entry)?));
        }
        let (roar_uid, write, pairs) = match self.user {
            Some(user) => (user.id().to_owned(), self.change(user, now), Vec::new()),
            None => {
                let (id, write, pairs) = self.new_user(now)?;
                (id, Some(write), pairs)
            }
        };
        let kept_rights = self.kept.iter().flat_map(|kept| kept.untold.iter());
        let orgs: OrgLists = changed.rights.iter().chain(kept_rights).collect();
        let stays = self.user.is_some_and(|user| person::stays_in(&user.fields, &changed.person, &known.kept));
        let is_unsure = stays || self.kept.is_some_and(|kept| !kept.untold.is_empty());
        let is_settled = self.kept.is_some_and(|kept| kept.all.same_orgs(&orgs));
        if is_unsure && write.is_none() && is_settled && entry.is_some_and(|entry| !entry.is_gone) {
            return Ok(PersonPlan::Settled);
        }
        let rights = Rights { orgs, is_unsure };
        let entry = changed.entry(self.entry_path()?, of, &roar_uid, &rights, entry, now)?;
        Ok(PersonPlan::Write(PersonWrites { user: write, pairs, entry, roar_uid, is_unsure }))
    }

    /// What changes about a user who is there.
    fn change(&self, user: &Document, now: Timestamp) -> Option<Write> {
        let entry = self.entry;
        let before = Before {
            owned: &self.known.owned,
            said: entry.map(|entry| entry.said).unwrap_or_default(),
            email: entry.and_then(|entry| entry.email.as_deref()),
            was_admin: entry.is_some_and(|entry| entry.was_admin),
            is_back: entry.is_none_or(|entry| entry.is_gone || !entry.is_rostered),
        };
        let (mut fields, mut mask) =
            person::change(&user.fields, &self.changed.person, &before, now).unwrap_or_default();
        if user.fields.get(field::SSO_TYPE).is_none_or(Value::is_null) {
            fields.insert(field::SSO_TYPE.to_owned(), Value::from(self.of.provider));
            mask.push(FieldPath::top(field::SSO_TYPE));
        }
        let write = Write::merge(user.path.clone(), fields, mask.clone());
        (!mask.is_empty()).then(|| write.when(Precondition::UpdatedAt(user.update_time)))
    }

    /// A new user, and the pairs with users who may be the same person. Somebody whose user was deleted keeps their ID.
    fn new_user(&self, now: Timestamp) -> Result<(String, Write, Vec<Write>), StoreError> {
        let id = self.entry.map_or_else(|| (self.new_id)(), |entry| entry.roar_uid.to_string());
        let pid = self.known.pid_of(&self.changed.person);
        let user = person::new_user(&self.changed.person, self.of.provider, pid, now);
        let write = Write::create(user_path(&id)?, user);
        let pair = |(known, agrees): &(String, Vec<&'static str>)| {
            let found = Found {
                district: self.of.district,
                provider: self.of.provider,
                provider_id: &self.changed.id,
                rostered: &id,
                known,
                agrees,
                is_one_of_several: self.doubles.len() > 1,
            };
            found.write(now)
        };
        let pairs = self.doubles.iter().map(pair).collect::<Result<_, _>>()?;
        Ok((id, write, pairs))
    }

    fn entry_path(&self) -> Result<DocPath, StoreError> {
        match self.entry {
            Some(entry) => entry.path(self.of.provider, &self.changed.id),
            None if self.is_occupied => entry_at(&(self.new_id)()),
            None => entry_path(self.of.provider, &self.changed.id),
        }
    }
}

/// The write that gives a user the digests of who was imported, and nothing more.
fn mark_imported(user: &Document, person: &Person) -> Option<Write> {
    let imported = person.imported(&Imported::read(&user.fields));
    let fields = imported_fields(&imported, &user.fields);
    let write = Write::merge(user.path.clone(), fields.clone(), vec![FieldPath::top(IMPORTED)]);
    (!fields.is_empty()).then(|| write.when(Precondition::UpdatedAt(user.update_time)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::entry::bytes;
    use super::super::fixtures::{NOW, district, fetched, school, stored, student};
    use super::*;
    use crate::orgs::OrgType;
    use crate::store::{Fields, WriteKind};

    const OF: Roster<'static> = Roster { provider: "clever", district: "d1" };

    fn known(is_incomplete: bool) -> Known {
        let orgs = [district("d1"), school("s1"), school("s2")];
        let (there, here) = (fetched(&orgs[..2]), stored(&orgs));
        Known::of("d1", there, here, Vec::new(), &HashSet::new(), is_incomplete)
    }

    fn changed(person: Person) -> Changed {
        let rights = OrgLists::new();
        let (fingerprint, former_fingerprint) = (person.fingerprint(&rights), person.former_fingerprint(&rights));
        Changed { id: "p1".to_owned(), person, rights, fingerprint, former_fingerprint }
    }

    fn entry_of(changed: &Changed) -> Entry {
        changed.after(OF, None, "u1", &entry_path("clever", "p1").unwrap(), false)
    }

    fn user(fields: Fields) -> Document {
        Document { path: user_path("u1").unwrap(), fields, create_time: NOW, update_time: NOW }
    }

    /// The user of that person, as a sync has written it.
    fn written(person: &Person) -> Document {
        user(person::new_user(person, "clever", None, NOW))
    }

    struct Case {
        changed: Changed,
        entry: Option<Entry>,
        user: Option<Document>,
        doubles: Vec<(String, Vec<&'static str>)>,
        kept: Option<Kept>,
        is_incomplete: bool,
        is_occupied: bool,
    }

    fn case(person: Person) -> Case {
        let (doubles, kept) = (Vec::new(), None);
        let changed = changed(person);
        Case { changed, entry: None, user: None, doubles, kept, is_incomplete: false, is_occupied: false }
    }

    impl Case {
        fn plan(&self) -> PersonPlan {
            let known = known(self.is_incomplete);
            let subject = Subject {
                of: OF,
                changed: &self.changed,
                entry: self.entry.as_ref(),
                user: self.user.as_ref(),
                doubles: &self.doubles,
                kept: self.kept.as_ref(),
                known: &known,
                new_id: &|| "new".to_owned(),
                is_occupied: self.is_occupied,
            };
            subject.plan(NOW).expect("paths")
        }

        fn writes(&self) -> PersonWrites {
            match self.plan() {
                PersonPlan::Write(writes) => writes,
                _ => panic!("they are written"),
            }
        }
    }

    fn fields(write: &Write) -> &Fields {
        let WriteKind::Set { fields, .. } = &write.kind else { panic!("it's set") };
        fields
    }

    #[test]
    fn somebody_new_gets_a_user_and_an_entry_and_waits_with_who_may_be_the_same() {
        let doubles = ["old", "older"].map(|id| (id.to_owned(), vec!["email", "name"]));
        for number in 0..=2 {
            let writes = Case { doubles: doubles[..number].to_vec(), ..case(student("Ada", None)) }.writes();
            assert_eq!(writes.pairs.len(), number);
            let several = Value::Boolean(number > 1);
            assert!(writes.pairs.iter().all(|pair| fields(pair)["isOneOfSeveral"] == several));
        }
        let writes = case(student("Ada", None)).writes();
        assert_eq!((writes.roar_uid.as_str(), writes.is_unsure), ("new", false));
        let user = writes.user.expect("a new user");
        assert_eq!((user.path.as_str(), user.precondition), ("users/new", Precondition::Missing));
        assert_eq!((writes.entry.path.id(), writes.entry.precondition), ("clever-p1", Precondition::Missing));
    }

    #[test]
    fn an_entry_that_is_somebody_elses_is_not_written_over() {
        let writes = Case { is_occupied: true, ..case(student("Ada", None)) }.writes();
        assert_eq!(writes.entry.path.as_str(), "identityProviderIds/new");
    }

    #[test]
    fn who_was_deleted_comes_back_under_their_id() {
        let ada = case(student("Ada", None));
        let writes = Case { entry: Some(entry_of(&ada.changed)), ..ada }.writes();
        assert_eq!(writes.roar_uid, "u1");
        assert_eq!(writes.user.expect("a new user").path.as_str(), "users/u1");
    }

    #[test]
    fn of_somebody_known_only_what_differs_is_written_and_the_entry_always() {
        let (ada, ida) = (student("Ada", None), student("Ida", None));
        let entry = Some(entry_of(&changed(ada.clone())));
        let same = Case { entry: entry.clone(), user: Some(written(&ada)), ..case(ada.clone()) }.writes();
        assert!(same.user.is_none());
        assert_eq!(same.entry.precondition, Precondition::UpdatedAt(Timestamp::UNIX_EPOCH));
        let renamed = Case { entry, user: Some(written(&ada)), ..case(ida) }.writes();
        let change = renamed.user.expect("a change");
        assert_eq!(change.precondition, Precondition::UpdatedAt(NOW));
        let names: Vec<&String> = fields(&change).keys().collect();
        assert_eq!(names, ["importedIdentity", "lastUpdated", "name"]);
    }

    #[test]
    fn a_user_made_by_hand_learns_which_roster_has_them() {
        let mut by_hand = written(&student("Ada", None));
        by_hand.fields.remove("ssoType");
        let writes = Case { user: Some(by_hand), ..case(student("Ada", None)) }.writes();
        assert_eq!(fields(&writes.user.expect("a change"))["ssoType"], Value::from("clever"));
    }

    #[test]
    fn digests_alone_are_marked() {
        let ada = case(student("Ada", None));
        let former = Entry { fingerprint: bytes(&ada.changed.former_fingerprint), ..entry_of(&ada.changed) };
        let mut without = written(&ada.changed.person);
        without.fields.remove(IMPORTED);
        let marked = Case { entry: Some(former), user: Some(without), ..ada };
        let PersonPlan::Mark(Some(user), entry) = marked.plan() else { panic!("they are marked") };
        assert_eq!(fields(&user).keys().collect::<Vec<_>>(), [IMPORTED]);
        assert_eq!(fields(&entry).keys().collect::<Vec<_>>(), ["roster"]);
    }

    #[test]
    fn rights_over_what_is_not_told_of_stay_and_whoever_has_them_is_compared_again() {
        let school: OrgLists = [(OrgType::School, "s2")].into_iter().collect();
        let ada = student("Ada", None);
        let kept = |all: &OrgLists| Some(Kept { all: all.clone(), untold: school.clone() });
        let both: OrgLists = [(OrgType::School, "s2"), (OrgType::School, "s3")].into_iter().collect();
        let entry = Some(entry_of(&changed(ada.clone())));
        let of = |kept| Case {
            entry: entry.clone(),
            user: Some(written(&ada)),
            kept,
            is_incomplete: true,
            ..case(ada.clone())
        };
        assert!(matches!(of(kept(&school)).plan(), PersonPlan::Settled), "nothing is written again and again");
        let writes = of(kept(&both)).writes();
        assert_eq!(OrgLists::from_value(fields(&writes.entry).get("adminOrgs")), school, "others go");
        let mark = fields(&writes.entry)["roster"].as_map().expect("a mark");
        assert!(writes.is_unsure && !mark.contains_key("fingerprint"));
    }

    #[test]
    fn nobody_leaves_an_org_while_data_are_incomplete() {
        let mut in_s2 = student("Ada", None);
        in_s2.orgs = [(OrgType::District, "d1"), (OrgType::School, "s2")].into_iter().collect();
        let entry = Some(entry_of(&changed(in_s2.clone())));
        // Incomplete; the schools afterwards.
        for (is_incomplete, expected) in [(false, vec!["s1"]), (true, vec!["s2", "s1"])] {
            let moved =
                Case { entry: entry.clone(), user: Some(written(&in_s2)), is_incomplete, ..case(student("Ada", None)) };
            let writes = moved.writes();
            let change = writes.user.expect("a change");
            let schools = fields(&change)["schools"].as_map().expect("a map").get("current").cloned();
            assert_eq!(schools, Some(Value::strings(expected)));
            assert_eq!(writes.is_unsure, is_incomplete);
        }
    }
}

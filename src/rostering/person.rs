//! What a roster's record of a person changes about their users document (docs/domain/rosters.md#whose-a-field-is).
//! Pure. The document's event does the rest: assignments, runs, the de-identified copy.

use crate::digest::fingerprint;
use crate::documents::org_lists::OrgSet;
use crate::documents::roster_entry::said;
use crate::documents::user::field;
use crate::documents::user::grade::level_of;
use crate::documents::user::orgs::{CURRENT, listed, since, with_current};
use crate::documents::user::same::fold_address;
use crate::fields;
use crate::orgs::{OrgLists, OrgType};
use crate::store::{FieldPath, Fields, Timestamp, Value};
use crate::users::imported::{IMPORTED, Imported};

/// The fields of `studentData` that rosters own; others, which people keep by hand, stay as they are.
pub const STUDENT_FIELDS: [&str; 13] = [
    field::DOB,
    field::ELL_STATUS,
    field::FRL_STATUS,
    field::GENDER,
    field::GRADE,
    field::HISPANIC_ETHNICITY,
    field::HOME_LANGUAGE,
    field::IEP_STATUS,
    field::RACE,
    field::SCHOOL_LEVEL,
    field::SIS_ID,
    field::STATE_ID,
    field::STUDENT_NUMBER,
];

/// Parts of a name, as documents have them.
const NAME: [&str; 3] = [field::FIRST, field::MIDDLE, field::LAST];

/// What rosters say of people beside [`STUDENT_FIELDS`].
const OF_ALL: [&str; 5] = [said::FIRST_NAME, said::MIDDLE_NAME, said::LAST_NAME, said::USERNAME, said::EMAIL];

/// A person as a roster has them.
#[derive(Clone, PartialEq)]
pub struct Person {
    /// `student`, `educator`, `admin` or `caregiver`.
    pub user_type: &'static str,
    /// Given name, what's between, family name.
    pub name: [Option<String>; 3],
    /// E-mail address, in lower case.
    pub email: Option<String>,
    /// What they sign in as at school.
    pub username: Option<String>,
    /// Of [`STUDENT_FIELDS`], those that the roster knows; for students.
    pub student: Fields,
    /// Their orgs, with all that are above them.
    pub orgs: OrgLists,
    /// Fields, as [`Said`] names them, of which the roster says what nobody can read: they stay as they are.
    pub unread: Vec<&'static str>,
}

impl Person {
    /// 32 hexadecimal digits that change when anything of the person does, or the orgs that they have rights over.
    pub fn fingerprint(&self, rights: &OrgLists) -> String {
        fingerprint(format!("{}{IMPORTED}", self.text(rights)))
    }

    /// The same as it was made before users documents kept digests of who was imported ([`Imported`]).
    pub fn former_fingerprint(&self, rights: &OrgLists) -> String {
        fingerprint(self.text(rights))
    }

    fn text(&self, rights: &OrgLists) -> String {
        // Maps are sorted, so the text is the same for the same fields.
        let parts = (self.user_type, &self.name, &self.email, &self.username, &self.student, &self.orgs, rights);
        match self.unread.is_empty() {
            true => format!("{parts:?}"),
            false => format!("{parts:?}{:?}", self.unread),
        }
    }

    /// Who they are, as digests. Of what can't be read, those of `before` stay.
    pub fn imported(&self, before: &Imported) -> Imported {
        let [first, _, last] = &self.name;
        let born = self.student.get(field::DOB).and_then(Value::as_timestamp);
        let mut imported = Imported::of(self.email.as_deref(), first.as_deref(), last.as_deref(), born);
        if self.is_unread(said::EMAIL) {
            imported.email.clone_from(&before.email);
        }
        if self.is_unread(said::FIRST_NAME) || self.is_unread(said::LAST_NAME) {
            imported.name.clone_from(&before.name);
        }
        if self.is_unread(field::DOB) {
            imported.dob.clone_from(&before.dob);
        }
        imported
    }

    fn is_unread(&self, field: &str) -> bool {
        self.unread.contains(&field)
    }
}

/// People aren't for logs.
impl std::fmt::Debug for Person {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Person({}, {} orgs)", self.user_type, self.orgs.iter().count())
    }
}

/// A change of a users document: top-level fields, and the mask to write them with.
pub type Change = (Fields, Vec<FieldPath>);

/// Applies a change of a users document: top-level fields, and fields of maps.
pub fn apply(user: &mut Fields, (fields, mask): &Change) {
    for path in mask {
        match path.segments() {
            [top] => match fields.get(top) {
                Some(value) => drop(user.insert(top.clone(), value.clone())),
                None => drop(user.remove(top)),
            },
            [top, field] => {
                let sent = fields.get(top).and_then(Value::as_map).and_then(|sent| sent.get(field)).cloned();
                let held = user.entry(top.clone()).or_insert_with(Value::empty_map);
                if let Value::Map(held) = held {
                    match sent {
                        Some(value) => drop(held.insert(field.clone(), value)),
                        None => drop(held.remove(field)),
                    }
                }
            }
            _ => {}
        }
    }
}

/// The users document of somebody who is in a roster for the first time; `pid` is their `assessmentPid`, for students.
pub fn new_user(person: &Person, provider: &str, pid: Option<String>, now: Timestamp) -> Fields {
    let mut user = fields! {
        field::USER_TYPE => person.user_type, field::ARCHIVED => false, field::CREATED_AT => now,
        field::LAST_UPDATED => now, field::NAME => name(person), field::SSO_TYPE => provider,
    };
    if let Some(email) = &person.email {
        user.insert(field::EMAIL.to_owned(), Value::from(email.as_str()));
    }
    if let Some(username) = &person.username {
        user.insert(field::USERNAME.to_owned(), Value::from(username.as_str()));
    }
    user.extend(person.imported(&Imported::default()).to_value().map(|value| (IMPORTED.to_owned(), value)));
    if person.user_type == "student" {
        user.insert(field::STUDENT_DATA.to_owned(), Value::Map(student_data(person)));
        user.extend(pid.map(|pid| (field::ASSESSMENT_PID.to_owned(), Value::from(pid))));
    }
    for org_type in OrgType::ALL {
        let map = with_current(None, person.orgs.of(org_type).to_vec(), now, now);
        user.insert(org_type.plural().to_owned(), Value::Map(map));
    }
    user
}

/// What a roster's record says something of: [`STUDENT_FIELDS`], names. Small, for there may be a hundred thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said(u32);

impl Said {
    fn known() -> impl Iterator<Item = &'static str> {
        STUDENT_FIELDS.into_iter().chain(OF_ALL)
    }

    /// All of it.
    pub fn all() -> Said {
        Said::of(Said::known())
    }

    /// Those with these names; others are passed over.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Said {
        let places = names.into_iter().filter_map(|name| Said::known().position(|field| field == name));
        Said(places.fold(0, |said, place| said | 1 << place))
    }

    /// What is said of a person.
    pub fn by(person: &Person) -> Said {
        let [first, middle, last] = &person.name;
        let of_all = OF_ALL.into_iter().zip([first, middle, last, &person.username, &person.email]);
        let of_all = of_all.filter(|(_, said)| said.is_some()).map(|(name, _)| name);
        Said::of(student_data(person).keys().map(String::as_str).chain(of_all))
    }

    /// What is known to be a person's from their roster once this record of them is written: what it says, and what it
    /// said before of that which can't be read now.
    pub fn after(self, person: &Person) -> Said {
        // The level of school comes with the grade.
        let level = person.is_unread(field::GRADE).then_some(field::SCHOOL_LEVEL);
        Said(Said::by(person).0 | (self.0 & Said::of(person.unread.iter().copied().chain(level)).0))
    }

    /// What either says.
    pub fn or(self, other: Said) -> Said {
        Said(self.0 | other.0)
    }

    fn is_of_student(self) -> bool {
        self.0 & Said::of(STUDENT_FIELDS).0 != 0
    }

    /// The names, as documents keep them.
    pub fn names(self) -> Vec<&'static str> {
        let fields = Said::known().enumerate();
        fields.filter(|(place, _)| self.0 >> place & 1 == 1).map(|(_, field)| field).collect()
    }

    fn has(self, field: &str) -> bool {
        self.names().contains(&field)
    }
}

/// What is known of somebody when a roster's record of them comes.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// The orgs that the roster may take them out of: membership of others is none of its business.
    pub owned: &'a OrgSet,
    /// What the roster said before. What it says no more of that goes; what others said stays.
    pub said: Said,
    /// The address that it gave last: another that's there since is somebody's own doing.
    pub email: Option<&'a str>,
    /// The roster called them an administrator.
    pub was_admin: bool,
    /// They are new in it, or had left: whoever was archived isn't any more. Else, somebody archived them by hand.
    pub is_back: bool,
}

/// What the roster changes about somebody who is known; `None` when nothing does.
pub fn change(user: &Fields, person: &Person, before: &Before<'_>, now: Timestamp) -> Option<Change> {
    let mut wanted = Fields::new();
    if before.is_back || !user.contains_key(field::ARCHIVED) {
        wanted.insert(field::ARCHIVED.to_owned(), Value::Boolean(false));
    }
    if let Some(email) = &person.email {
        wanted.insert(field::EMAIL.to_owned(), Value::from(email.as_str()));
    }
    // An admin by rights that were given by hand stays one, whatever the roster calls them. One by the roster doesn't.
    let held = user.get(field::USER_TYPE).and_then(Value::as_str);
    if held != Some("admin") || before.was_admin {
        wanted.insert(field::USER_TYPE.to_owned(), Value::from(person.user_type));
    }
    for org_type in OrgType::ALL {
        let stored = user.get(org_type.plural()).and_then(Value::as_map);
        let current = current(stored, org_type, &person.orgs, before.owned);
        let map = with_current(stored, current, since(user, now), now);
        wanted.insert(org_type.plural().to_owned(), Value::Map(map));
    }
    // Another name to sign in with, which somebody was given here, isn't the school's.
    let held = user.get(field::USERNAME).filter(|held| !held.is_null());
    if let Some(username) = person.username.as_deref().filter(|_| held.is_none() || before.said.has(said::USERNAME)) {
        wanted.insert(field::USERNAME.to_owned(), Value::from(username));
    }
    wanted.extend(person.imported(&Imported::read(user)).to_value().map(|value| (IMPORTED.to_owned(), value)));
    wanted.retain(|field, value| user.get(field) != Some(value));
    let mut mask: Vec<FieldPath> = wanted.keys().map(FieldPath::top).collect();
    let goes = |field: &str| before.said.has(field) && !person.is_unread(field);
    if person.username.is_none() && held.is_some() && goes(said::USERNAME) {
        mask.push(FieldPath::top(field::USERNAME));
    }
    // An address that the roster takes back may be somebody else's by tomorrow.
    let address = user.get(field::EMAIL).and_then(Value::as_str).map(fold_address);
    let is_given = address.is_some() && address.as_deref() == before.email.map(fold_address).as_deref();
    if person.email.is_none() && is_given && !person.is_unread(said::EMAIL) {
        mask.push(FieldPath::top(field::EMAIL));
    }
    let (name, paths) = name_change(user.get(field::NAME).and_then(Value::as_map), person, before.said);
    if !paths.is_empty() {
        wanted.insert(field::NAME.to_owned(), Value::Map(name));
        mask.extend(paths);
    }
    // Who is no student any more has no data of one from the roster.
    if person.user_type == "student" || before.said.is_of_student() {
        let (data, paths) = student_change(user.get(field::STUDENT_DATA).and_then(Value::as_map), person, before.said);
        if !paths.is_empty() {
            wanted.insert(field::STUDENT_DATA.to_owned(), Value::Map(data));
            mask.extend(paths);
        }
    }
    finish(wanted, mask, now)
}

/// What it changes that somebody is no longer in the roster: they leave its orgs, and are archived when no other
/// is left. `None` when they left before.
pub fn unenrolment(user: &Fields, owned: &OrgSet, now: Timestamp) -> Option<Change> {
    let mut wanted = Fields::new();
    let mut is_left = true;
    for org_type in OrgType::ALL {
        let Some(stored) = user.get(org_type.plural()).and_then(Value::as_map) else { continue };
        let current = current(Some(stored), org_type, &OrgLists::new(), owned);
        is_left &= current.is_empty();
        let map = with_current(Some(stored), current, since(user, now), now);
        wanted.insert(org_type.plural().to_owned(), Value::Map(map));
    }
    if is_left {
        wanted.insert(field::ARCHIVED.to_owned(), Value::Boolean(true));
    }
    wanted.retain(|field, value| user.get(field) != Some(value));
    let mask = wanted.keys().map(FieldPath::top).collect();
    finish(wanted, mask, now)
}

fn finish(mut wanted: Fields, mut mask: Vec<FieldPath>, now: Timestamp) -> Option<Change> {
    if mask.is_empty() {
        return None;
    }
    wanted.insert(field::LAST_UPDATED.to_owned(), Value::from(now));
    mask.push(FieldPath::top(field::LAST_UPDATED));
    Some((wanted, mask))
}

fn name(person: &Person) -> Value {
    let part = |part: &Option<String>| part.as_deref().map_or(Value::Null, Value::from);
    Value::Map(NAME.iter().zip(&person.name).map(|(name, said)| ((*name).to_owned(), part(said))).collect())
}

/// The parts of a name that differ. What the roster never said is somebody else's.
fn name_change(stored: Option<&Fields>, person: &Person, said: Said) -> (Fields, Vec<FieldPath>) {
    let mut changed = Fields::new();
    let mut mask = Vec::new();
    for ((part, field), wanted) in NAME.into_iter().zip(OF_ALL).zip(&person.name) {
        let held = stored.and_then(|stored| stored.get(part)).filter(|held| !held.is_null());
        let wanted = wanted.as_deref().map(Value::from);
        if held == wanted.as_ref() || (wanted.is_none() && (!said.has(field) || person.is_unread(field))) {
            continue;
        }
        changed.insert(part.to_owned(), wanted.unwrap_or(Value::Null));
        mask.push(FieldPath::of([field::NAME, part]));
    }
    (changed, mask)
}

/// What the roster knows of a student, with the level of school that their grade belongs to.
fn student_data(person: &Person) -> Fields {
    if person.user_type != "student" {
        return Fields::new();
    }
    let mut data = person.student.clone();
    data.retain(|field, _| STUDENT_FIELDS.contains(&field.as_str()));
    let level = data.get(field::GRADE).and_then(level_of).flatten();
    if let Some(level) = level {
        data.insert(field::SCHOOL_LEVEL.to_owned(), Value::from(level));
    }
    data
}

/// The fields of `studentData` that differ. What the roster said and says no more goes; what it says and nobody can read
/// stays as it is. A level of school goes with its grade.
fn student_change(stored: Option<&Fields>, person: &Person, said: Said) -> (Fields, Vec<FieldPath>) {
    let wanted = student_data(person);
    let mut changed = Fields::new();
    let mut mask = Vec::new();
    for name in STUDENT_FIELDS {
        let held = stored.and_then(|stored| stored.get(name)).filter(|held| !held.is_null());
        match (held, wanted.get(name)) {
            (held, Some(value)) if held != Some(value) => {
                changed.insert(name.to_owned(), value.clone());
            }
            (Some(_), None) if name == field::SCHOOL_LEVEL => {
                // Of another grade, or of one that's gone.
                let is_graded = wanted.contains_key(field::GRADE);
                if !is_graded && (!said.has(field::GRADE) || person.is_unread(field::GRADE)) {
                    continue;
                }
            }
            (Some(_), None) if said.has(name) && !person.is_unread(name) => {}
            _ => continue,
        }
        mask.push(FieldPath::of([field::STUDENT_DATA, name]));
    }
    (changed, mask)
}

/// True for a user who is in one of these orgs still, which isn't one of the person's any more.
pub fn stays_in(user: &Fields, person: &Person, orgs: &OrgSet) -> bool {
    OrgType::ALL.into_iter().any(|org_type| {
        let current = listed(user.get(org_type.plural()).and_then(Value::as_map), CURRENT);
        current.iter().any(|id| orgs.contains(org_type, id) && !person.orgs.contains(org_type, id))
    })
}

/// The current orgs of one type, when those that are `owned` are to be `wanted`.
fn current(stored: Option<&Fields>, org_type: OrgType, wanted: &OrgLists, owned: &OrgSet) -> Vec<String> {
    let stays = |id: &String| !owned.contains(org_type, id) || wanted.contains(org_type, id);
    let mut current = listed(stored, CURRENT);
    current.retain(stays);
    for id in wanted.of(org_type) {
        if !current.contains(id) {
            current.push(id.clone());
        }
    }
    current
}

#[cfg(test)]
mod tests;

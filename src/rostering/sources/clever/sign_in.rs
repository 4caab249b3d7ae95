//! `syncCleverUser`: somebody signed in with Clever, and what Clever says of them is taken over
//! (docs/domain/rosters.md#when-somebody-signs-in).
//!
//! A person's own token opens their own record only: no lists. So it tells their schools, but not their sections. Where
//! the district's people are synced, a sign-in adds, and takes nobody out of anything; the next sync knows better.

use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use serde_json::{Value as Json, json};

use super::callable::not_set_up;
use super::records::{Unread, User};
use super::{Clever, CleverError, PROVIDER, map};
use crate::app::App;
use crate::claims::binding::identity::{RosterEntry, account_provider};
use crate::claims::roster::follow_entry;
use crate::documents::org::{self, abbreviation, is_archived};
use crate::documents::org_lists::OrgSet;
use crate::documents::roster_entry::{self, entry_at, entry_path, field, is_admin, is_gone, said, said_of};
use crate::documents::roster_mark::{fingerprint_path, is_rostered};
use crate::documents::user;
use crate::documents::user::copy::{CopiedParts, copy_changes, new_copy};
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::user_path;
use crate::fields;
use crate::orgs::{OrgLists, OrgType};
use crate::payload::refusals::TAKEN;
use crate::payload::{Checked, Id, Nothing, kinds, value};
use crate::rights::{Bound, Payload, denied};
use crate::rostering::Rosters;
use crate::rostering::person::{self, Before, Person, Said};
use crate::runtime::edge::{Wrong, by_value, inline_schemas};
use crate::runtime::{FunctionError, Status};
use crate::store::{DocPath, Document, FieldPath, Fields, Transaction, Value, Write};
use crate::users::pid::assessment_pid;

/// How long Clever may take to say who somebody is: less than the function may take.
const PATIENCE: Duration = Duration::from_secs(45);
/// Below a user: what a provider said of them, as it came.
const EXTERNAL_DATA: &str = "externalData";
/// The longest token.
const TOKEN_LIMIT: usize = 4096;

/// Whose token.
pub struct Request {
    assessment_uid: String,
    access_token: SecretString,
}

/// To be called after a sign-in with Clever.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(inline)]
pub struct SyncCleverUser {
    access_token: Token,
    /// The caller's account in the assessment project.
    assessment_uid: Id<kinds::AssessmentAccount>,
}

/// A token of Clever's.
struct Token(SecretString);

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        by_value(deserializer, |sent| {
            let token = sent.as_str().filter(|token| !token.trim().is_empty());
            let token = token.ok_or_else(|| Wrong::new("must be text that isn't empty"))?;
            match token.len() <= TOKEN_LIMIT && token.bytes().all(|byte| byte.is_ascii_graphic()) {
                true => Ok(Token(token.into())),
                false => Err(Wrong::new("must be a token of Clever's")),
            }
        })
    }
}

inline_schemas! {
    Token: { "type": "string", "minLength": 1, "maxLength": TOKEN_LIMIT, "pattern": "^[!-~]+$" },
}

impl Payload for Request {
    type Sent = SyncCleverUser;
    type Answer = Nothing;
    const REFUSALS: &'static [(Status, &'static str)] = &[
        (
            Status::FailedPrecondition,
            "Clever isn't set up; it doesn't say the caller's district or role; or the person at Clever is another user here.",
        ),
        (
            Status::PermissionDenied,
            "Clever doesn't take accessToken, or it's somebody else's; or assessmentUid isn't the caller's.",
        ),
        TAKEN,
        (Status::ResourceExhausted, "The caller's rights come to more orgs than one account can hold."),
    ];

    fn check(sent: SyncCleverUser) -> Checked<Self> {
        Ok(Request { assessment_uid: sent.assessment_uid.into_string(), access_token: sent.access_token.0 })
    }

    fn example() -> (Json, Nothing) {
        (json!({ "assessmentUid": "assessment-super", "accessToken": "il0f2b7" }), Nothing {})
    }
}

/// Handles a call. Repeated, it writes the time only.
pub async fn sync_clever_user(app: App, permit: Bound, request: Request) -> Result<Nothing, FunctionError> {
    let clever = Rosters::of(&app).clever.clone().ok_or_else(not_set_up)?;
    let claims = &permit.requester.claims;
    if claims.assessment_uid.as_deref() != Some(&request.assessment_uid) {
        return Err(denied("assessmentUid isn't yours."));
    }
    let (user, unread, raw) = me(&clever, &request.access_token).await?;
    // The token says that somebody is that person at Clever; the account must say that it's the caller.
    let account = app.accounts.admin.get(&permit.requester.uid).await?;
    if !account.is_some_and(|account| account.is_linked(&account_provider(PROVIDER), &user.id)) {
        return Err(denied("accessToken is of somebody else than who signed in."));
    }
    let Some(district) = user.district.clone() else {
        return Err(FunctionError::new(Status::FailedPrecondition, "Clever doesn't say which district you are in."));
    };
    let work = Work {
        app: &app,
        admin_uid: &permit.requester.uid,
        assessment_uid: &request.assessment_uid,
        roar_uid: &claims.roar_uid,
        district: &district,
        raw: value(&raw)
            .or_else(|_| value(&super::records::Record::to_json(&user)))
            .map_err(|wrong| wrong.of("the record"))?,
        user: &user,
        unread: map::unread_of_person(&unread),
    };
    let note = work.note().await?;
    let (mut after, _) = app.stores.admin.transaction(|tx| work.write(tx, &note)).await?;
    // Nothing spans two databases: the user may have moved on while the copy was made.
    while work.write_copy(&after).await? {
        let Some(user) = app.stores.admin.get(&user_path(work.roar_uid)?).await? else { break };
        after = user.fields;
    }
    follow_entry(&app, &note).await?;
    Ok(Nothing {})
}

async fn me(clever: &Clever, token: &SecretString) -> Result<(User, Vec<Unread>, Json), FunctionError> {
    // Somebody waits: an answer that takes longer is none.
    let asked = tokio::time::timeout(PATIENCE, clever.me(token)).await;
    asked.unwrap_or(Err(CleverError::Unavailable("it takes too long"))).map_err(|error| match error {
        CleverError::Unauthorized | CleverError::NotFound | CleverError::Refused(..500) => {
            denied("Clever doesn't take accessToken.")
        }
        error => FunctionError::new(Status::Unavailable, format!("Clever doesn't say who you are: {error}.")),
    })
}

struct Work<'a> {
    app: &'a App,
    admin_uid: &'a str,
    assessment_uid: &'a str,
    roar_uid: &'a str,
    district: &'a str,
    user: &'a User,
    /// Fields of which Clever says what nobody can read.
    unread: Vec<&'static str>,
    raw: Value,
}

impl Work<'_> {
    /// Where it's noted who the person is, or is to be. Refuses one who is noted as another user.
    async fn note(&self) -> Result<DocPath, FunctionError> {
        let usual = entry_path(PROVIDER, &self.user.id)?;
        let database = &self.app.stores.admin;
        let is_theirs = |note: &Document| text(note, field::PROVIDER_ID) == Some(&self.user.id);
        let held = database.get(&usual).await?;
        // Under the usual ID, somebody else may be noted, who has got another ID at Clever since.
        let free = if held.is_none() { usual } else { entry_at(&self.app.context.document_id())? };
        let mut found = held.filter(is_theirs);
        if found.is_none() {
            let noted = roster_entry::of_provider(PROVIDER).equal(field::PROVIDER_ID, self.user.id.as_str());
            found = database.query(noted.limit(1)).await?.pop();
        }
        let Some(found) = found else { return Ok(free) };
        self.check(&found)?;
        Ok(found.path)
    }

    fn check(&self, note: &Document) -> Result<(), FunctionError> {
        let Some(entry) = RosterEntry::of(note) else { return Ok(()) };
        if entry.admin_uid.is_some_and(|uid| uid != self.admin_uid) {
            return Err(FunctionError::new(Status::AlreadyExists, "This identity belongs to another account."));
        }
        if entry.roar_uid != self.roar_uid {
            let message = "This account belongs to another user already; the two have to be merged by hand.";
            return Err(FunctionError::new(Status::FailedPrecondition, message));
        }
        Ok(())
    }

    /// Writes the user, what Clever said, and the note. Gives the user as they are then.
    async fn write(&self, tx: Transaction, note: &DocPath) -> Result<Fields, FunctionError> {
        let now = self.app.now();
        let path = user_path(self.roar_uid)?;
        let raw_path = path.child(EXTERNAL_DATA, PROVIDER)?;
        let found = tx.get_all(&[path.clone(), raw_path.clone(), note.clone()]).await?;
        let [before, raw, noted] = <[Option<Document>; 3]>::try_from(found).unwrap_or_default();
        noted.as_ref().map_or(Ok(()), |noted| self.check(noted))?;
        let (person, rights, owned, short) = self.person(&tx, before.as_ref(), noted.as_ref()).await?;
        let was_admin = noted.as_ref().is_some_and(|noted| is_admin(&noted.fields));
        // What the roster says no more is taken away by the district's sync of people. Where there's none, a sign-in
        // does that.
        let is_synced = noted.as_ref().is_some_and(|noted| is_rostered(&noted.fields));
        let told = noted.as_ref().map(|noted| Said::of(said_of(&noted.fields))).unwrap_or_default();
        let address = noted.as_ref().and_then(|noted| text(noted, field::EMAIL)).filter(|_| !is_synced);
        let is_gone = |noted: &Document| is_gone(&noted.fields);
        let is_back = noted.as_ref().is_none_or(is_gone);
        let may_go = if is_synced { Said::default() } else { told };
        let known = Before { owned: &owned, said: may_go, email: address, was_admin, is_back };
        let mut after = before.as_ref().map(|before| before.fields.clone()).unwrap_or_default();
        let mut is_changed = true;
        match &before {
            None => {
                let short: Vec<&str> = short.iter().map(String::as_str).collect();
                let pid = person.email.as_deref().map(|email| assessment_pid(&short, email));
                after = person::new_user(&person, PROVIDER, pid, now);
                after.insert(user::field::ASSESSMENT_UID.to_owned(), Value::from(self.assessment_uid));
                tx.write(Write::create(path, after.clone())).await;
            }
            Some(before) => match person::change(&before.fields, &person, &known, now) {
                Some(change) => {
                    person::apply(&mut after, &change);
                    let (fields, mask) = change;
                    tx.write(Write::merge(path, fields, mask)).await;
                }
                None => is_changed = false,
            },
        }
        let data = self.raw.as_map().cloned().unwrap_or_default();
        if raw.is_none_or(|raw| raw.fields != data) {
            tx.write(Write::set(raw_path, data)).await;
        }
        let mut entry = fields! {
            field::PROVIDER_TYPE => PROVIDER, field::PROVIDER_ID => self.user.id.as_str(),
            field::ROAR_UID => self.roar_uid, field::ROLE => person.user_type, field::LAST_SYNC => now,
            field::ADMIN_ORGS => rights.to_value(), field::ADMIN_UID => self.admin_uid, field::ACTIVATED => true,
        };
        // What was given so far; once somebody is bound, a note that doesn't say means that all was.
        if noted.as_ref().is_none_or(|noted| !noted.fields.contains_key(field::COPIED_ADMIN_ORGS)) {
            let copied = noted.as_ref().and_then(RosterEntry::of).map(|entry| entry.copied).unwrap_or_default();
            entry.insert(field::COPIED_ADMIN_ORGS.to_owned(), copied.to_value());
        }
        // Whom another district's roster has is left to it.
        let elsewhere =
            noted.as_ref().and_then(|noted| text(noted, field::DISTRICT)).filter(|held| *held != self.district);
        if elsewhere.is_none() || noted.as_ref().is_some_and(is_gone) {
            entry.extend(fields! { field::DISTRICT => self.district, field::GONE => false });
        }
        entry.extend(person.email.as_ref().map(|email| (field::EMAIL.to_owned(), Value::from(email.as_str()))));
        // What this gives is the roster's, too, when a sync takes it back.
        let said = if is_synced { told.or(Said::by(&person)) } else { told.after(&person) };
        if said != told {
            entry.insert(field::SAID_AT_SIGN_IN.to_owned(), Value::strings(said.names()));
        }
        let mut mask: Vec<FieldPath> = entry.keys().map(FieldPath::top).collect();
        if !is_synced && noted.as_ref().is_some_and(|noted| noted.fields.contains_key(field::LEFT)) {
            // What it said of somebody who left is told by what it says now.
            mask.push(FieldPath::top(field::LEFT));
        }
        if person.email.is_none() && !is_synced && !person.unread.contains(&said::EMAIL) {
            mask.push(FieldPath::top(field::EMAIL));
        }
        if is_changed {
            // What the district's sync wrote last isn't what's there now, so it has to look again.
            mask.push(fingerprint_path());
        }
        tx.write(Write::merge(note.clone(), entry, mask)).await;
        Ok(after)
    }

    /// The person, in the orgs that are here, and the orgs that they have rights over; the orgs that they may leave:
    /// schools of their district and what is below these, unless its syncs say who is where; and what their orgs are
    /// called for short.
    async fn person(
        &self,
        tx: &Transaction,
        before: Option<&Document>,
        noted: Option<&Document>,
    ) -> Result<(Person, OrgLists, OrgSet, Vec<String>), FunctionError> {
        let none = || FunctionError::new(Status::FailedPrecondition, "Clever doesn't say what your role is.");
        let wanted = map::person(self.user, self.district, &[]).ok_or_else(none)?;
        let current = before.map(|before| current_orgs(&before.fields)).unwrap_or_default();
        let mut keys: Vec<(OrgType, String)> = wanted.orgs.iter().map(|(of, id)| (of, id.to_owned())).collect();
        for org_type in [OrgType::School, OrgType::Class] {
            keys.extend(current.of(org_type).iter().map(|id| (org_type, id.clone())));
        }
        keys.sort();
        keys.dedup();
        let paths: Vec<DocPath> =
            keys.iter().map(|(of, id)| DocPath::in_collection(of.plural(), id)).collect::<Result<_, _>>()?;
        let found = tx.get_all(&paths).await?;
        let mut living = OrgSet::default();
        let mut owned = OrgSet::default();
        let mut classes = Vec::new();
        for ((of, id), org) in keys.iter().zip(&found) {
            let Some(org) = org else { continue };
            let is_here = *of == OrgType::District || text(org, org::field::DISTRICT_ID) == Some(self.district);
            if !is_here || !is_rostered(&org.fields) {
                continue;
            }
            owned.insert(*of, id);
            if !is_archived(&org.fields) {
                living.insert(*of, id);
                let school = text(org, org::field::SCHOOL_ID).filter(|_| *of == OrgType::Class);
                classes.extend(school.map(|school| (id.as_str(), school.to_owned())));
            }
        }
        let is_synced = noted.is_some_and(|noted| is_rostered(&noted.fields));
        if is_synced {
            owned = OrgSet::default();
        } else {
            // Of the sections that they were in, those of schools that they are in still.
            classes.retain(|(_, school)| wanted.orgs.contains(OrgType::School, school));
        }
        let sections: Vec<(&str, &str)> = classes.iter().map(|(class, school)| (*class, school.as_str())).collect();
        let mut person = map::person(self.user, self.district, &sections).ok_or_else(none)?;
        person.unread.clone_from(&self.unread);
        person.orgs = person.orgs.intersection(&living);
        // Only the district's sync knows who teaches what: being in a class may be somebody's own doing.
        let noted = noted.map(|noted| roster_entry::admin_orgs(&noted.fields)).unwrap_or_default();
        let taught: Vec<&str> = noted.of(OrgType::Class).iter().map(String::as_str).collect();
        for class in &taught {
            if let Some(class) = tx.get(&DocPath::in_collection(OrgType::Class.plural(), class)?).await?
                && text(&class, org::field::DISTRICT_ID) == Some(self.district)
                && !is_archived(&class.fields)
            {
                living.insert(OrgType::Class, class.id());
            }
        }
        let rights = map::admin_orgs(self.user, self.district, &taught).intersection(&living);
        // How the district and the first school that has such a name are called for short.
        let short = |org_type: OrgType| {
            let of_type = keys.iter().zip(&found).filter(|((of, id), _)| *of == org_type && living.contains(*of, id));
            of_type.filter_map(|(_, org)| abbreviation(&org.as_ref()?.fields)).next()
        };
        let short = [OrgType::District, OrgType::School].into_iter().filter_map(short).map(str::to_owned).collect();
        Ok((person, rights, owned, short))
    }

    /// The de-identified copy in the assessment database. True when it wasn't right.
    async fn write_copy(&self, user: &Fields) -> Result<bool, FunctionError> {
        let (path, now) = (&user_path(self.roar_uid)?, self.app.now());
        let work = |tx: Transaction| async move {
            match tx.get(path).await? {
                None => tx.write(Write::create(path.clone(), new_copy(user, self.assessment_uid, now))).await,
                Some(copy) => {
                    let Some((fields, mask)) = copy_changes(&copy.fields, user, CopiedParts::ALL, now) else {
                        return Ok(false);
                    };
                    tx.write(Write::merge(path.clone(), fields, mask)).await;
                }
            }
            Ok::<_, FunctionError>(true)
        };
        Ok(self.app.stores.assessment.transaction(work).await?.0)
    }
}

fn text<'a>(document: &'a Document, name: &str) -> Option<&'a str> {
    document.fields.get(name).and_then(Value::as_str)
}

//! The one way to change the claims of a user: read the claims with a snapshot of the orgs concerned, decide, write the
//! claims in one commit with an audit record, and publish the result.
//!
//! A decision is a pure function from a [`State`] to a [`Decision`]. Everything that the decision depends on is read
//! again in the commit that writes: the claims, the documents beside them, and whether the snapshot still covers the
//! orgs. When callers change their own claims, the state also contains the rights that the decision checks.

use super::audit::{Action, Record};
use super::lists::{AdminOrgs, granted, snapshot, stored};
use super::publish::{ClaimsError, publish};
use super::{Rounds, next_update};
use crate::app::App;
use crate::documents::user_claims::{claims_map, claims_path, field};
use crate::orgs::{OrgLists, OrgTree};
use crate::runtime::{FunctionError, HandlerError};
use crate::store::{
    DocPath, Document, FieldPath, Fields, Precondition, StoreError, Timestamp, Transaction, Value, Write,
};

/// When the changed claims are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// The claims are published before the caller gets an answer, even when nothing was to be written: this completes a
    /// publication that a crash interrupted. A failure is returned to the caller.
    Now,
    /// As [`Publication::Now`], but a failure is only logged: the document's event publishes again.
    Tried,
    /// The document's event publishes the claims, or the caller does after further steps.
    Later,
}

/// The orgs whose hierarchy a decision needs, given the claims document.
pub type Covers<'a> = &'a (dyn Fn(Option<&Document>) -> OrgLists + Sync);

/// The claims to change, the caller who changes them, and the further documents that the decision needs.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The function that makes the change.
    pub function: &'static str,
    /// The Auth UID of the caller who makes the change.
    pub by: &'a str,
    /// The Auth UID, in the admin project, of the account whose claims change.
    pub uid: &'a str,
    /// Documents that are read with the claims, in the transaction that writes.
    pub beside: &'a [DocPath],
    /// The orgs of which a snapshot is taken before the transaction. `None` takes none.
    pub covers: Option<Covers<'a>>,
    /// Decide on the claims as they were read before the commit, which fails when they have changed since, instead of
    /// reading them in a transaction. This saves a read where other writers are rare.
    pub as_read: bool,
    /// The claims document as read before, for the first attempt of a change `as_read`.
    pub known: Option<&'a Document>,
    /// How the claims are published.
    pub publication: Publication,
}

impl<'a> Target<'a> {
    /// A change that reads nothing but the claims, in a transaction, and publishes them at once.
    pub fn new(function: &'static str, by: &'a str, uid: &'a str) -> Target<'a> {
        let publication = Publication::Now;
        Target { function, by, uid, beside: &[], covers: None, as_read: false, known: None, publication }
    }

    /// An audit record that says only who did what to whom.
    pub fn record(&self, action: Action) -> Record<'a> {
        Record::new(self.function, action, self.by, self.uid)
    }
}

/// What a decision is made on.
#[derive(Clone, Copy, Debug)]
pub struct State<'a> {
    /// The claims document, if there is one.
    pub document: Option<&'a Document>,
    /// The documents of [`Target::beside`], in their order.
    pub beside: &'a [Option<Document>],
    /// The orgs of [`Target::covers`] with everything below them.
    pub tree: &'a OrgTree,
    /// The time of the change.
    pub now: Timestamp,
}

impl<'a> State<'a> {
    /// The claims.
    pub fn claims(&self) -> Option<&'a Fields> {
        claims_map(self.document)
    }

    /// Both lists of orgs, as the claims have them.
    pub fn orgs(&self) -> AdminOrgs {
        stored(self.claims())
    }

    /// The orgs that were granted.
    pub fn granted(&self) -> OrgLists {
        granted(self.claims())
    }
}

/// The outcome of a decision about the claims.
#[derive(Debug, PartialEq)]
pub enum Decision<'a, A> {
    /// The state differs from the one that the change was prepared for: read everything again.
    Outdated,
    /// Nothing is to be written.
    Keep(A),
    /// These changes are to be written.
    Write(Box<Changes<'a>>, A),
}

/// Changes of a claims document, with further writes of the same commit. With an empty mask, the claims stay as they
/// are.
#[derive(Debug, Default, PartialEq)]
pub struct Changes<'a> {
    /// Fields of the document; those of `claims` in a map of that name.
    pub fields: Fields,
    /// Which fields are written. A field of the mask that isn't among `fields` is removed.
    pub mask: Vec<FieldPath>,
    /// True to delete the document instead.
    pub deletes: bool,
    /// Writes of other documents in the same commit.
    pub beside: Vec<Write>,
    /// The audit record, where the change affects rights or identity.
    pub record: Option<Record<'a>>,
}

impl<'a> Changes<'a> {
    /// Sets these claims; the others stay.
    pub fn of_claims(claims: Fields) -> Changes<'a> {
        let mask = claims.keys().map(|name| FieldPath::of([field::CLAIMS, name])).collect();
        let fields = Fields::from([(field::CLAIMS.to_owned(), Value::Map(claims))]);
        Changes { fields, mask, ..Changes::default() }
    }

    /// Removes the document.
    pub fn deletion() -> Box<Changes<'a>> {
        Box::new(Changes { deletes: true, ..Changes::default() })
    }

    /// Also sets a field of the document outside of `claims`.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Changes<'a> {
        self.fields.insert(name.to_owned(), value.into());
        self.mask.push(FieldPath::top(name));
        self
    }

    /// Notes where the orgs came from, where the sources need to be stored.
    #[must_use]
    pub fn noting(self, sources: Option<Value>) -> Changes<'a> {
        match sources {
            Some(sources) => self.with(field::ADMIN_ORG_SOURCES, sources),
            None => self,
        }
    }

    /// Writes another document in the same commit.
    #[must_use]
    pub fn beside(mut self, write: Write) -> Changes<'a> {
        self.beside.push(write);
        self
    }

    /// Adds an audit record of the change.
    #[must_use]
    pub fn recorded(mut self, record: Record<'a>) -> Changes<'a> {
        self.record = Some(record);
        self
    }

    /// The write of the claims themselves, for a document that was read as `before`; `None` when they stay as they are.
    /// `lastUpdated` moves with every change, so that clients renew their tokens.
    fn write(&self, path: DocPath, before: Option<&Document>, now: Timestamp) -> Option<Write> {
        if self.deletes {
            return Some(Write::delete(path));
        }
        let (mut fields, mut mask) = (self.fields.clone(), self.mask.clone());
        if mask.is_empty() {
            return None;
        }
        fields.insert(field::LAST_UPDATED.to_owned(), Value::from(next_update(before, now)));
        mask.push(FieldPath::top(field::LAST_UPDATED));
        Some(Write::merge(path, fields, mask))
    }

    /// All writes of the commit. The claims are written with the precondition `expected`.
    fn writes(self, app: &App, uid: &str, state: &State<'_>, expected: Precondition) -> Result<Vec<Write>, StoreError> {
        let write = self.write(claims_path(uid)?, state.document, state.now).map(|write| write.when(expected));
        let record = self.record.map(|record| record.write(app)).transpose()?;
        Ok(write.into_iter().chain(self.beside).chain(record).collect())
    }
}

/// Why claims weren't changed.
#[derive(Debug)]
pub enum EditError<R> {
    /// The stores or the accounts failed, or concurrent changes of the same claims exhausted the retries.
    Claims(ClaimsError),
    /// The decision refused the change.
    Refused(R),
}

impl<R> From<StoreError> for EditError<R> {
    fn from(error: StoreError) -> Self {
        EditError::Claims(error.into())
    }
}

impl<R> From<ClaimsError> for EditError<R> {
    fn from(error: ClaimsError) -> Self {
        EditError::Claims(error)
    }
}

impl From<EditError<FunctionError>> for FunctionError {
    fn from(error: EditError<FunctionError>) -> Self {
        match error {
            EditError::Claims(error) => error.into(),
            EditError::Refused(refusal) => refusal,
        }
    }
}

impl<R: Into<ClaimsError>> From<EditError<R>> for ClaimsError {
    fn from(error: EditError<R>) -> Self {
        match error {
            EditError::Claims(error) => error,
            EditError::Refused(refusal) => refusal.into(),
        }
    }
}

impl<R: Into<ClaimsError>> From<EditError<R>> for HandlerError {
    fn from(error: EditError<R>) -> Self {
        ClaimsError::from(error).into()
    }
}

/// Changes the claims of a user as `decide` says, and publishes them; returns the answer of the decision.
///
/// Retries while others change the same claims, and fails with [`StoreError::Contention`] when the retries are
/// exhausted. Reads the claims (twice where the decision needs a snapshot), the snapshot and the documents beside the
/// claims; writes the claims, the further writes of the decision, and the audit record.
pub async fn edit<'a, A, R>(
    app: &App,
    target: &Target<'a>,
    decide: impl Fn(&State<'_>) -> Result<Decision<'a, A>, R>,
) -> Result<A, EditError<R>> {
    let path = claims_path(target.uid)?;
    let mut known = target.known.cloned();
    let mut rounds = Rounds::new(&app.context);
    while rounds.next().await {
        let document = match known.take() {
            Some(document) => Some(document),
            None if target.as_read || target.covers.is_some() => app.stores.admin.get(&path).await?,
            None => None,
        };
        let covered = target.covers.map(|covers| covers(document.as_ref()));
        let tree = match &covered {
            Some(orgs) => snapshot(&app.stores.admin, orgs).await?,
            None => OrgTree::default(),
        };
        let answer = if target.as_read {
            as_read(app, target, document.as_ref(), &tree, &decide).await?
        } else {
            let is_covered = |document: Option<&Document>| match (target.covers, &covered) {
                (Some(covers), Some(before)) => covers(document).same_orgs(before),
                _ => true,
            };
            // A concurrent change granted other orgs, which the snapshot doesn't cover.
            let decide = |state: &State<'_>| match is_covered(state.document) {
                true => decide(state),
                false => Ok(Decision::Outdated),
            };
            attempt(app, target, &tree, &decide).await?
        };
        if let Some(answer) = answer {
            return Ok(answer);
        }
    }
    Err(StoreError::Contention.into())
}

/// One attempt at a change, with a snapshot from a caller that has more to read first. `None` when the decision was
/// [`Decision::Outdated`], or others changed the same documents: the caller then reads everything again.
pub async fn attempt<'a, A, R>(
    app: &App,
    target: &Target<'a>,
    tree: &OrgTree,
    decide: &impl Fn(&State<'_>) -> Result<Decision<'a, A>, R>,
) -> Result<Option<A>, EditError<R>> {
    let paths = [&[claims_path(target.uid)?], target.beside].concat();
    let paths = &paths;
    let work = async |tx: Transaction| {
        let found = tx.get_all(paths).await?;
        let (document, beside) = found.split_first().map_or((None, &[][..]), |(first, rest)| (first.as_ref(), rest));
        let state = State { document, beside, tree, now: app.now() };
        match decide(&state).map_err(EditError::Refused)? {
            Decision::Outdated => Ok(None),
            Decision::Keep(answer) => Ok(Some(answer)),
            Decision::Write(change, answer) => {
                tx.write_all(change.writes(app, target.uid, &state, Precondition::None)?).await;
                Ok(Some(answer))
            }
        }
    };
    let answer = match app.stores.admin.transaction(work).await {
        Ok((answer, _)) => answer,
        Err(EditError::Claims(ClaimsError::Store(StoreError::Contention))) => None,
        Err(error) => return Err(error),
    };
    published(app, target, answer).await
}

/// One attempt at a change of the claims as they were read before the commit. Returns `None` as [`attempt`] does.
async fn as_read<'a, A, R>(
    app: &App,
    target: &Target<'a>,
    document: Option<&Document>,
    tree: &OrgTree,
    decide: &impl Fn(&State<'_>) -> Result<Decision<'a, A>, R>,
) -> Result<Option<A>, EditError<R>> {
    let state = State { document, beside: &[], tree, now: app.now() };
    let (change, answer) = match decide(&state).map_err(EditError::Refused)? {
        Decision::Outdated => return Ok(None),
        Decision::Keep(answer) => return published(app, target, Some(answer)).await,
        Decision::Write(change, answer) => (change, answer),
    };
    let expected = document.map_or(Precondition::Missing, |document| Precondition::UpdatedAt(document.update_time));
    match app.stores.admin.commit(change.writes(app, target.uid, &state, expected)?).await {
        Ok(_) => published(app, target, Some(answer)).await,
        Err(StoreError::Conflict(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn published<A, R>(app: &App, target: &Target<'_>, answer: Option<A>) -> Result<Option<A>, EditError<R>> {
    if answer.is_none() || target.publication == Publication::Later {
        return Ok(answer);
    }
    match publish(app, target.uid, &[]).await {
        Err(error) if target.publication == Publication::Tried => {
            tracing::warn!(uid = target.uid, %error, "changed claims aren't published yet");
        }
        published => published?,
    }
    Ok(answer)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::fields;

    /// The claims document of a user, with these fields.
    pub(crate) fn document(fields: Fields) -> Document {
        let (create_time, update_time) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        Document { path: claims_path("u").unwrap(), fields, create_time, update_time }
    }

    /// The input of a decision, at 7 ms, with no documents beside the claims.
    pub(crate) fn state<'a>(document: Option<&'a Document>, tree: &'a OrgTree) -> State<'a> {
        State { document, beside: &[], tree, now: Timestamp::from_millisecond(7).unwrap() }
    }

    /// The changes that a decision wants to write, with its answer.
    pub(crate) fn change<A>(decision: Decision<'_, A>) -> (Changes<'_>, A) {
        match decision {
            Decision::Write(change, answer) => (*change, answer),
            Decision::Keep(_) | Decision::Outdated => panic!("something is written"),
        }
    }

    #[test]
    fn a_change_of_claims_leaves_the_others_and_moves_the_time() {
        let (path, now) = (claims_path("u").unwrap(), Timestamp::from_millisecond(7).unwrap());
        let held = document(fields! { "lastUpdated" => 10, "claims" => fields! { "roarUid" => "r" } });
        // The document before; the expected time of the change, which is later than the previous one.
        for (before, updated) in [(None, 7), (Some(&held), 11)] {
            let change = Changes::of_claims(fields! { "role" => "admin" }).noting(Some(Value::from("x"))).noting(None);
            let fields = fields! {
                "claims" => fields! { "role" => "admin" }, "adminOrgSources" => "x", "lastUpdated" => updated,
            };
            let sources = FieldPath::top("adminOrgSources");
            let mask = vec![FieldPath::of(["claims", "role"]), sources, FieldPath::top("lastUpdated")];
            assert_eq!(change.write(path.clone(), before, now), Some(Write::merge(path.clone(), fields, mask)));
        }
        assert_eq!(Changes::deletion().write(path.clone(), Some(&held), now), Some(Write::delete(path.clone())));
        let beside = Changes::default().beside(Write::delete(path.clone()));
        assert_eq!(beside.write(path, Some(&held), now), None);
    }
}

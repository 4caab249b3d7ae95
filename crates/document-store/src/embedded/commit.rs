//! What a commit does: first decided from what is stored, then written, in one SQLite transaction.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::Shared;
use super::apply;
use super::prepare::{Change, PreparedWrite, Rendered};
use super::read::{self, Stored};
use super::record::{check_depth_of, decode_fields, instant};
use super::schema::{Entry, sql};
use crate::{ChangeKind, Committed, DocPath, Fields, Precondition, Result, StoreError, Value, WriteResult};

/// A document during a commit.
struct Slot<'a> {
    path: &'a DocPath,
    key: &'a [u8],
    stored: Option<Stored>,
    state: State<'a>,
    /// The stored document's index entries, once they were needed.
    entries: Option<Vec<Entry>>,
    /// Something in this commit may have touched an indexed field.
    indexed: bool,
    /// The stored document was deleted earlier in this commit, so what comes is a new one.
    anew: bool,
    /// An earlier write of this commit required the stored document's update time, and it was that.
    held: bool,
}

enum State<'a> {
    /// As stored (if it is).
    Stored,
    Missing,
    Fields(Fields),
    Rendered(&'a Rendered),
}

enum Body<'a> {
    Owned(Rendered),
    Shared(&'a Rendered),
}

/// A commit that was decided on and has still to be written.
pub(super) struct Decided<'a> {
    pub(super) answer: Committed,
    time: i64,
    effects: Vec<Effect<'a>>,
}

struct Effect<'a> {
    path: &'a DocPath,
    key: &'a [u8],
    stored: Option<Stored>,
    old_entries: Vec<Entry>,
    created: i64,
    after: Option<Body<'a>>,
}

/// Decides what the writes do, at `time` in microseconds. Writes nothing.
pub(super) fn decide<'a>(
    connection: &Connection,
    shared: &Shared,
    writes: &'a [PreparedWrite],
    time: i64,
) -> Result<Decided<'a>> {
    let mut slots: Vec<Slot<'a>> = Vec::with_capacity(writes.len());
    let mut found: HashMap<&[u8], usize> = HashMap::with_capacity(writes.len());
    let mut places = Vec::with_capacity(writes.len());
    let mut transformed = Vec::with_capacity(writes.len());
    for write in writes {
        let at = match found.get(write.key.as_slice()) {
            Some(at) => *at,
            None => {
                found.insert(&write.key, slots.len());
                slots.push(Slot::load(connection, write)?);
                slots.len() - 1
            }
        };
        slots[at].check(write.precondition, time)?;
        transformed.push(slots[at].apply(shared, &write.change, time)?);
        places.push(at);
    }
    let mut effects = Vec::with_capacity(slots.len());
    let mut times = Vec::with_capacity(slots.len());
    for slot in slots {
        let (updated, effect) = slot.finish(shared, time)?;
        times.push(updated);
        effects.extend(effect);
    }
    let mut results = Vec::with_capacity(writes.len());
    for (at, transformed) in places.into_iter().zip(transformed) {
        // Of a document written more than once, every result tells how the commit leaves it, as in Firestore.
        results.push(WriteResult { update_time: times[at].map(instant).transpose()?, transformed });
    }
    Ok(Decided { answer: Committed { time: instant(time)?, results }, time, effects })
}

impl<'a> Slot<'a> {
    fn load(connection: &Connection, write: &'a PreparedWrite) -> Result<Slot<'a>> {
        let stored = read::stored(connection, &write.key)?;
        let state = if stored.is_some() { State::Stored } else { State::Missing };
        Ok(Slot {
            path: &write.path,
            key: &write.key,
            stored,
            state,
            entries: None,
            indexed: false,
            anew: false,
            held: false,
        })
    }

    fn check(&mut self, precondition: Precondition, now: i64) -> Result<()> {
        let exists = !matches!(self.state, State::Missing);
        let updated = match (&self.state, &self.stored) {
            (State::Stored, Some(stored)) => stored.updated,
            // Writes that all require one update time mean that before the commit, as in Firestore.
            (_, Some(stored)) if self.held => stored.updated,
            _ => now,
        };
        let why = match precondition {
            Precondition::Exists if !exists => "does not exist",
            Precondition::Missing if exists => "exists already",
            Precondition::UpdatedAt(_) if !exists => "does not exist",
            // The document never had that time, so nothing overtook the writer: a mistake and no conflict, as in
            // Firestore's emulator.
            Precondition::UpdatedAt(time) if time.as_microsecond() > updated => {
                return Err(StoreError::InvalidArgument(format!("{} is older than the update time given", self.path)));
            }
            Precondition::UpdatedAt(time) if time.as_microsecond() != updated => "has changed",
            _ => {
                self.held = matches!(precondition, Precondition::UpdatedAt(_));
                return Ok(());
            }
        };
        Err(StoreError::Conflict(format!("{} {why}", self.path)))
    }

    fn apply(&mut self, shared: &Shared, change: &'a Change, time: i64) -> Result<Vec<Value>> {
        match change {
            Change::Delete => {
                self.anew |= self.stored.is_some();
                self.indexed = true;
                self.state = State::Missing;
                Ok(Vec::new())
            }
            Change::Replace(rendered) => {
                self.indexed = true;
                self.state = State::Rendered(rendered);
                Ok(Vec::new())
            }
            Change::Patch { fields: given, mask, transforms, indexed } => {
                self.indexed |= *indexed || self.stored.is_none();
                let mut fields = match mask {
                    None => given.clone(),
                    Some(mask) => {
                        let mut fields = self.take_fields(shared)?;
                        apply::merge(&mut fields, given, mask);
                        fields
                    }
                };
                let time = instant(time)?;
                let answers = transforms
                    .iter()
                    .map(|wanted| apply::transform(&mut fields, &wanted.path, &wanted.transform, time))
                    .collect();
                self.state = State::Fields(fields);
                answers
            }
        }
    }

    fn take_fields(&mut self, shared: &Shared) -> Result<Fields> {
        match (std::mem::replace(&mut self.state, State::Missing), &self.stored) {
            (State::Stored, Some(stored)) => {
                let fields = decode_fields(&stored.data)?;
                if self.indexed {
                    self.entries = Some(shared.catalog.entries(self.path, &fields));
                }
                Ok(fields)
            }
            (State::Fields(fields), _) => Ok(fields),
            (State::Rendered(rendered), _) => decode_fields(&rendered.data),
            (State::Stored | State::Missing, _) => Ok(Fields::new()),
        }
    }

    /// The document's update time after the commit (`None` when it's missing then), and what has to
    /// be written.
    fn finish(self, shared: &Shared, time: i64) -> Result<(Option<i64>, Option<Effect<'a>>)> {
        let Slot { path, key, stored, state, entries, indexed, anew, .. } = self;
        let body = match state {
            State::Stored => return Ok((stored.map(|stored| stored.updated), None)),
            State::Missing if stored.is_none() => return Ok((None, None)),
            State::Missing => None,
            State::Rendered(rendered) => Some(Body::Shared(rendered)),
            State::Fields(fields) => {
                check_depth_of(&fields)?;
                Some(Body::Owned(if indexed {
                    Rendered::new(&shared.catalog, path, &fields)?
                } else {
                    Rendered::unindexed(path, &fields)?
                }))
            }
        };
        // What changes nothing leaves the update time alone and is no event, as in Firestore.
        if let (Some(stored), Some(body)) = (&stored, &body)
            && !anew
            && stored.data == body.get().data
        {
            return Ok((Some(stored.updated), None));
        }
        let old_entries = match (entries, &stored) {
            (Some(entries), _) => entries,
            (None, Some(stored)) if indexed && !shared.catalog.of(path.collection_id()).is_empty() => {
                shared.catalog.entries(path, &decode_fields(&stored.data)?)
            }
            _ => Vec::new(),
        };
        let created = stored.as_ref().filter(|_| !anew).map_or(time, |stored| stored.created);
        let updated = body.as_ref().map(|_| time);
        Ok((updated, Some(Effect { path, key, stored, old_entries, created, after: body })))
    }
}

impl Body<'_> {
    fn get(&self) -> &Rendered {
        match self {
            Body::Owned(rendered) => rendered,
            Body::Shared(rendered) => rendered,
        }
    }
}

impl Decided<'_> {
    /// True when there's something to write.
    pub(super) fn changes(&self) -> bool {
        !self.effects.is_empty()
    }

    /// Writes it, and the events to the outbox from row `next_event` on. Returns how many those are.
    pub(super) fn write(&self, connection: &Connection, shared: &Shared, next_event: i64) -> Result<i64> {
        let mut events = 0;
        for effect in &self.effects {
            shared.note_change(effect.path.collection_id(), self.time);
            effect.write(connection, self.time).map_err(sql)?;
            effect.write_events(connection, shared, self.time, next_event, &mut events).map_err(sql)?;
        }
        Ok(events)
    }
}

impl Effect<'_> {
    fn write(&self, connection: &Connection, time: i64) -> rusqlite::Result<()> {
        let after = self.after.as_ref().map(Body::get);
        let id = match (&self.stored, after) {
            (None, None) => return Ok(()),
            (None, Some(after)) => {
                connection
                    .prepare_cached("INSERT INTO documents (name, create_time, update_time, data) VALUES (?, ?, ?, ?)")?
                    .execute(params![self.key, self.created, time, after.data])?;
                connection.last_insert_rowid()
            }
            (Some(stored), Some(after)) => {
                connection
                    .prepare_cached("UPDATE documents SET create_time = ?, update_time = ?, data = ? WHERE id = ?")?
                    .execute(params![self.created, time, after.data, stored.id])?;
                stored.id
            }
            (Some(stored), None) => {
                connection.prepare_cached("DELETE FROM documents WHERE id = ?")?.execute([stored.id])?;
                stored.id
            }
        };
        let new_entries = match after {
            Some(Rendered { entries: None, .. }) => return Ok(()),
            Some(Rendered { entries: Some(entries), .. }) => entries.as_slice(),
            None => &[],
        };
        // Both are sorted. Most writes touch no indexed field, so most entries are in both.
        for (index, key) in self.old_entries.iter().filter(|entry| new_entries.binary_search(entry).is_err()) {
            connection.prepare_cached("DELETE FROM entries WHERE idx = ? AND key = ?")?.execute(params![index, key])?;
        }
        for (index, key) in new_entries.iter().filter(|entry| self.old_entries.binary_search(entry).is_err()) {
            connection
                .prepare_cached("INSERT INTO entries (idx, key, doc) VALUES (?, ?, ?)")?
                .execute(params![index, key, id])?;
        }
        Ok(())
    }

    fn write_events(
        &self,
        connection: &Connection,
        shared: &Shared,
        time: i64,
        next_event: i64,
        events: &mut i64,
    ) -> rusqlite::Result<()> {
        let kind = match (&self.stored, &self.after) {
            (None, Some(_)) => ChangeKind::Created,
            (Some(_), Some(_)) => ChangeKind::Updated,
            (Some(_), None) => ChangeKind::Deleted,
            (None, None) => return Ok(()),
        };
        for trigger in shared.triggers.matching(self.path, kind) {
            let before = self.stored.as_ref();
            let after = self.after.as_ref().map(Body::get);
            connection.prepare_cached("INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?.execute(
                params![
                    next_event + *events,
                    trigger,
                    time,
                    *events,
                    self.key,
                    before.map(|stored| stored.created),
                    before.map(|stored| stored.updated),
                    before.map(|stored| &stored.data),
                    after.map(|_| self.created),
                    after.map(|_| time),
                    after.map(|after| &after.data),
                ],
            )?;
            *events += 1;
        }
        Ok(())
    }
}

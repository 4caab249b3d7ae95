//! The outbox in SQLite: one row for each trigger that a change matched.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};

use super::Inner;
use super::record::{document, instant, path_of};
use super::schema::sql;
use super::writer::Job;
use crate::outbox::{Outbox, OutboxRow};
use crate::{DocumentChange, Result};

#[async_trait]
impl Outbox for Inner {
    async fn rows(&self, rows: &[i64]) -> Result<Vec<OutboxRow>> {
        let wanted = rows.to_vec();
        self.shared.readers.with(move |connection| self::rows(connection, &wanted)).await
    }

    async fn after(&self, row: i64, limit: usize) -> Result<Vec<OutboxRow>> {
        self.shared.readers.with(move |connection| after(connection, row, limit)).await
    }

    async fn remove(&self, rows: Vec<i64>) -> Result<()> {
        self.ask(|reply| Job::Acknowledge { rows, reply }).await
    }

    async fn written(&self) {
        self.shared.wake.notified().await;
    }
}

/// The first free row and how many rows wait.
pub(super) fn state(connection: &Connection) -> Result<(i64, u64)> {
    connection
        .query_row("SELECT COALESCE(MAX(id), 0) + 1, COUNT(*) FROM outbox", [], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })
        .map_err(sql)
}

/// At most `limit` rows after row `after`, the oldest first.
pub(super) fn after(connection: &Connection, after: i64, limit: usize) -> Result<Vec<OutboxRow>> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM outbox WHERE id > ? ORDER BY id LIMIT ?").map_err(sql)?;
    let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)]).map_err(sql)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(sql)? {
        found.push(waiting(row)?);
    }
    Ok(found)
}

/// These rows, as far as they are there.
pub(super) fn rows(connection: &Connection, ids: &[i64]) -> Result<Vec<OutboxRow>> {
    let mut statement = connection.prepare_cached("SELECT * FROM outbox WHERE id = ?").map_err(sql)?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let mut rows = statement.query([id]).map_err(sql)?;
        if let Some(row) = rows.next().map_err(sql)? {
            found.push(waiting(row)?);
        }
    }
    Ok(found)
}

fn waiting(row: &Row<'_>) -> Result<OutboxRow> {
    let (id, trigger) = row.get(0).and_then(|id| Ok((id, row.get(1)?))).map_err(sql)?;
    Ok(OutboxRow { row: id, trigger, change: change(row) })
}

fn change(row: &Row<'_>) -> Result<DocumentChange> {
    let (time, seq): (i64, i64) = row.get(2).and_then(|time| Ok((time, row.get(3)?))).map_err(sql)?;
    let path = path_of(row.get_ref(4).and_then(|name| Ok(name.as_blob()?)).map_err(sql)?)?;
    let side = |first: usize| {
        let data = row.get_ref(first + 2).and_then(|data| Ok(data.as_blob_or_null()?)).map_err(sql)?;
        let Some(data) = data else { return Ok(None) };
        let times = row.get(first).and_then(|created| Ok((created, row.get(first + 1)?)));
        let (created, updated) = times.map_err(sql)?;
        document(path.clone(), created, updated, data).map(Some)
    };
    // The commit's time is in no other commit of the database, so this is in no other event of it.
    let id = format!("{time:x}-{seq:x}");
    let (before, after) = (side(5)?, side(8)?);
    Ok(DocumentChange { id, path: path.clone(), before, after, time: instant(time)? })
}

/// Removes rows; returns how many there were.
pub(super) fn remove(connection: &Connection, ids: &[i64]) -> Result<u64> {
    let mut statement = connection.prepare_cached("DELETE FROM outbox WHERE id = ?").map_err(sql)?;
    let mut removed = 0;
    for id in ids {
        removed += statement.execute([id]).map_err(sql)? as u64;
    }
    Ok(removed)
}

/// Removes all rows and returns their events and their number.
pub(super) fn take(connection: &Connection) -> Result<(Vec<(String, DocumentChange)>, u64)> {
    let taken = after(connection, 0, usize::MAX)?
        .into_iter()
        .map(|waiting| Ok((waiting.trigger, waiting.change?)))
        .collect::<Result<Vec<_>>>()?;
    connection.execute("DELETE FROM outbox", []).map_err(sql)?;
    let count = taken.len() as u64;
    Ok((taken, count))
}

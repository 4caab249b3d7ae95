//! Reading from a connection: documents by name, queries by their plan, counts.

use std::collections::HashSet;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Rows, params};

use super::plan::{Plan, Range, Source};
use super::record::{self, document_key, is_nested, path_of};
use super::schema::sql;
use crate::order::Evaluation;
use crate::{DocPath, Document, Result, Scope};

/// A document as it lies on disk.
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) created: i64,
    pub(super) updated: i64,
    pub(super) data: Vec<u8>,
}

/// The stored document of that key.
pub(super) fn stored(connection: &Connection, key: &[u8]) -> Result<Option<Stored>> {
    let mut statement = connection
        .prepare_cached("SELECT id, create_time, update_time, data FROM documents WHERE name = ?")
        .map_err(sql)?;
    statement
        .query_row([key], |row| {
            Ok(Stored { id: row.get(0)?, created: row.get(1)?, updated: row.get(2)?, data: row.get(3)? })
        })
        .optional()
        .map_err(sql)
}

/// The update time of the document of that key, in microseconds.
pub(super) fn update_time(connection: &Connection, key: &[u8]) -> Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT update_time FROM documents WHERE name = ?").map_err(sql)?;
    statement.query_row([key], |row| row.get(0)).optional().map_err(sql)
}

/// The document at `path`.
pub(super) fn get(connection: &Connection, path: &DocPath) -> Result<Option<Document>> {
    let mut statement = connection
        .prepare_cached("SELECT create_time, update_time, data FROM documents WHERE name = ?")
        .map_err(sql)?;
    let mut rows = statement.query([document_key(path)]).map_err(sql)?;
    let Some(row) = rows.next().map_err(sql)? else { return Ok(None) };
    let (created, updated) = row.get(0).and_then(|created| Ok((created, row.get(1)?))).map_err(sql)?;
    let data = row.get_ref(2).and_then(|data| Ok(data.as_blob()?)).map_err(sql)?;
    record::document(path.clone(), created, updated, data).map(Some)
}

/// When the last commit was that this connection sees, in microseconds.
pub(super) fn last_commit(connection: &Connection) -> Result<i64> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = 'last_commit'").map_err(sql)?;
    statement.query_row([], |row| row.get(0)).map_err(sql)
}

/// What to do after a result: go on or stop.
pub(super) type GoOn = bool;

/// Passes the query's results to `each` until that says stop.
pub(super) fn run(
    connection: &Connection,
    evaluation: &Evaluation,
    plan: &Plan,
    each: &mut dyn FnMut(Document) -> GoOn,
) -> Result<()> {
    let query = evaluation.query();
    let mut skip = query.offset as usize;
    let mut left = query.limit.map_or(usize::MAX, |limit| limit as usize);
    if left == 0 {
        return Ok(());
    }
    let mut emit = |document: Document| {
        if skip > 0 {
            skip -= 1;
            return true;
        }
        left -= 1;
        each(evaluation.project(document)) && left > 0
    };
    if plan.ordered {
        return candidates(connection, evaluation, plan, &mut |document| {
            !evaluation.admits(&document) || emit(document)
        });
    }
    let wanted = (query.offset as usize).saturating_add(left_of(query.limit));
    let mut found = Vec::new();
    candidates(connection, evaluation, plan, &mut |document| {
        if evaluation.admits(&document) {
            found.push(document);
            // Only the first ones will be wanted, so no more need be held than twice as many.
            if found.len() / 2 > wanted.max(500) {
                found.sort_by(|left, right| evaluation.compare(left, right));
                found.truncate(wanted);
            }
        }
        true
    })?;
    found.sort_by(|left, right| evaluation.compare(left, right));
    for document in found {
        if !emit(document) {
            break;
        }
    }
    Ok(())
}

fn left_of(limit: Option<u32>) -> usize {
    limit.map_or(usize::MAX, |limit| limit as usize)
}

/// Passes on what the plan's source yields, each document once.
fn candidates(
    connection: &Connection,
    evaluation: &Evaluation,
    plan: &Plan,
    each: &mut dyn FnMut(Document) -> GoOn,
) -> Result<()> {
    match &plan.source {
        Source::Names(paths) => {
            for path in paths {
                if let Some(document) = get(connection, path)?
                    && !each(document)
                {
                    break;
                }
            }
            Ok(())
        }
        Source::Entries { id, ranges, backward, .. } => {
            let mut fetch = connection
                .prepare_cached("SELECT name, create_time, update_time, data FROM documents WHERE id = ?")
                .map_err(sql)?;
            let mut document = |id: i64| -> Result<Option<Document>> {
                let mut rows = fetch.query([id]).map_err(sql)?;
                rows.next().map_err(sql)?.map(decode_row).transpose()
            };
            walk(connection, *id, ranges, plan.ordered, *backward, &mut |id| Ok(document(id)?.is_none_or(&mut *each)))
        }
        Source::Scan { range, backward } => {
            let order = if *backward { "DESC" } else { "ASC" };
            let mut statement = connection
                .prepare_cached(&format!(
                    "SELECT name, create_time, update_time, data FROM documents \
                     WHERE name >= ? AND name < ? ORDER BY name {order}"
                ))
                .map_err(sql)?;
            let flat = matches!(evaluation.query().from, Scope::Collection(_));
            let mut rows = statement.query(params![range.from, range.to]).map_err(sql)?;
            while let Some(row) = rows.next().map_err(sql)? {
                let name = row.get_ref(0).and_then(|name| Ok(name.as_blob()?)).map_err(sql)?;
                if flat && is_nested(name.get(range.prefix.len()..).unwrap_or_default()) {
                    continue;
                }
                if !each(decode_row(row)?) {
                    break;
                }
            }
            Ok(())
        }
    }
}

/// A row of name, create time, update time and data.
fn decode_row(row: &rusqlite::Row<'_>) -> Result<Document> {
    let path = path_of(row.get_ref(0).and_then(|name| Ok(name.as_blob()?)).map_err(sql)?)?;
    let (created, updated) = row.get(1).and_then(|created| Ok((created, row.get(2)?))).map_err(sql)?;
    let data = row.get_ref(3).and_then(|data| Ok(data.as_blob()?)).map_err(sql)?;
    record::document(path, created, updated, data)
}

/// Passes on the document IDs of an index's ranges, each once: in the order of the keys after their
/// prefixes when `merged`, else one range after another.
fn walk(
    connection: &Connection,
    index: i64,
    ranges: &[Range],
    merged: bool,
    backward: bool,
    each: &mut dyn FnMut(i64) -> Result<GoOn>,
) -> Result<()> {
    let order = if backward { "DESC" } else { "ASC" };
    let text = format!("SELECT key, doc FROM entries WHERE idx = ? AND key >= ? AND key < ? ORDER BY key {order}");
    if !merged || ranges.len() == 1 {
        let mut seen = (ranges.len() > 1).then(HashSet::new);
        let mut statement = connection.prepare_cached(&text).map_err(sql)?;
        for range in ranges {
            let mut rows = statement.query(params![index, range.from, range.to]).map_err(sql)?;
            while let Some(row) = rows.next().map_err(sql)? {
                let id = row.get(1).map_err(sql)?;
                if seen.as_mut().is_none_or(|seen| seen.insert(id)) && !each(id)? {
                    return Ok(());
                }
            }
        }
        return Ok(());
    }
    let mut statements: Vec<CachedStatement<'_>> =
        ranges.iter().map(|_| connection.prepare_cached(&text).map_err(sql)).collect::<Result<_>>()?;
    let mut streams = Vec::with_capacity(ranges.len());
    for (statement, range) in statements.iter_mut().zip(ranges) {
        let mut rows = statement.query(params![index, range.from, range.to]).map_err(sql)?;
        let head = next_entry(&mut rows, range.prefix.len())?;
        streams.push((rows, range.prefix.len(), head));
    }
    let mut last = None;
    loop {
        let heads = streams.iter().enumerate().filter_map(|(at, (_, _, head))| Some((head.as_ref()?, at)));
        let next = if backward { heads.max() } else { heads.min() };
        let Some((_, at)) = next else { return Ok(()) };
        let (rows, prefix, head) = &mut streams[at];
        let Some((_, id)) = std::mem::replace(head, next_entry(rows, *prefix)?) else { continue };
        // A document in several ranges has the same rest of the key in each, so it comes in a row.
        if last.replace(id) != Some(id) && !each(id)? {
            return Ok(());
        }
    }
}

fn next_entry(rows: &mut Rows<'_>, prefix: usize) -> Result<Option<(Vec<u8>, i64)>> {
    let Some(row) = rows.next().map_err(sql)? else { return Ok(None) };
    let key = row.get_ref(0).and_then(|key| Ok(key.as_blob()?)).map_err(sql)?;
    Ok(Some((key.get(prefix..).unwrap_or_default().to_vec(), row.get(1).map_err(sql)?)))
}

/// How many documents the query returns; without looking at them when the plan covers it.
pub(super) fn count(connection: &Connection, evaluation: &Evaluation, plan: &Plan) -> Result<u64> {
    let query = evaluation.query();
    let mut found = 0_u64;
    if !plan.covered {
        run(connection, evaluation, plan, &mut |_| {
            found += 1;
            true
        })?;
        return Ok(found);
    }
    match &plan.source {
        Source::Names(_) => {}
        Source::Entries { id, ranges, .. } if ranges.len() == 1 => {
            let mut statement = connection
                .prepare_cached("SELECT COUNT(*) FROM entries WHERE idx = ? AND key >= ? AND key < ?")
                .map_err(sql)?;
            let range = &ranges[0];
            let counted: i64 = statement.query_row(params![id, range.from, range.to], |row| row.get(0)).map_err(sql)?;
            found = counted.unsigned_abs();
        }
        Source::Entries { id, ranges, .. } => walk(connection, *id, ranges, false, false, &mut |_| {
            found += 1;
            Ok(true)
        })?,
        Source::Scan { range, .. } => {
            let flat = matches!(query.from, Scope::Collection(_));
            let mut statement =
                connection.prepare_cached("SELECT name FROM documents WHERE name >= ? AND name < ?").map_err(sql)?;
            let mut rows = statement.query(params![range.from, range.to]).map_err(sql)?;
            while let Some(row) = rows.next().map_err(sql)? {
                let name = row.get_ref(0).and_then(|name| Ok(name.as_blob()?)).map_err(sql)?;
                found += u64::from(!flat || !is_nested(name.get(range.prefix.len()..).unwrap_or_default()));
            }
        }
    }
    let limit = query.limit.map_or(u64::MAX, u64::from);
    Ok(found.saturating_sub(u64::from(query.offset)).min(limit))
}

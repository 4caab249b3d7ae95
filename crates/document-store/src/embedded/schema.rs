//! The database file: its tables, its format version, its indexes.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};

use super::index::{Index, IndexSet};
use super::record::{decode_fields, group_key, path_of};
use crate::order::prefix_end;
use crate::{DocPath, FieldPath, Fields, Result, StoreError};

/// The format that this code reads and writes.
const FORMAT: i64 = 1;

/// After how many pages of 4 KiB the log is written back into the file. A page that changes often is
/// written back once for all of its changes in between, so this trades disk space for writes.
const CHECKPOINT_PAGES: i64 = 32_768;

const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('last_commit', 0);
    CREATE TABLE documents (
        id INTEGER PRIMARY KEY,
        name BLOB NOT NULL UNIQUE,
        create_time INTEGER NOT NULL,
        update_time INTEGER NOT NULL,
        data BLOB NOT NULL
    );
    CREATE TABLE indexes (id INTEGER PRIMARY KEY, definition TEXT NOT NULL UNIQUE);
    CREATE TABLE entries (
        idx INTEGER NOT NULL,
        key BLOB NOT NULL,
        doc INTEGER NOT NULL,
        PRIMARY KEY (idx, key)
    ) WITHOUT ROWID;
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY,
        trigger TEXT NOT NULL,
        time INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        name BLOB NOT NULL,
        before_created INTEGER,
        before_updated INTEGER,
        before_data BLOB,
        after_created INTEGER,
        after_updated INTEGER,
        after_data BLOB
    );
";

/// Maps an error of SQLite; its text names tables and columns, never what is in them.
pub(super) fn sql(error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, SystemIoFailure};
    let text = format!("the embedded database: {error}");
    match error.sqlite_error_code() {
        Some(CannotOpen | DatabaseBusy | DatabaseLocked | DiskFull | SystemIoFailure) => StoreError::Unavailable(text),
        _ => StoreError::Internal(text),
    }
}

/// The writer's connection, with the tables made when the file is new. Fails with
/// [`StoreError::Internal`] on a file of another format.
pub(super) fn open_writer(file: &Path) -> Result<Connection> {
    let mut connection = Connection::open(file).map_err(sql)?;
    let set = |name: &str, value: &dyn rusqlite::ToSql| connection.pragma_update(None, name, value).map_err(sql);
    set("journal_mode", &"WAL")?;
    set("synchronous", &"FULL")?;
    set("wal_autocheckpoint", &CHECKPOINT_PAGES)?;
    set("journal_size_limit", &(CHECKPOINT_PAGES * 4096))?;
    set("cache_size", &-16_384)?;
    set("temp_store", &"MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sql)?;
    match format {
        0 => {
            let transaction = connection.transaction().map_err(sql)?;
            transaction.execute_batch(TABLES).map_err(sql)?;
            transaction.pragma_update(None, "user_version", FORMAT).map_err(sql)?;
            transaction.commit().map_err(sql)?;
        }
        FORMAT => {}
        other => {
            return Err(StoreError::Internal(format!(
                "{} has format {other}; this version reads format {FORMAT}",
                file.display()
            )));
        }
    }
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn open_reader(file: &Path) -> Result<Connection> {
    let connection =
        Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(sql)?;
    for (name, value) in [("cache_size", -2_048), ("mmap_size", 0)] {
        connection.pragma_update(None, name, value).map_err(sql)?;
    }
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(sql)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// An index entry: the index's ID and the key.
pub(super) type Entry = (i64, Vec<u8>);

/// The indexes of an open store, by collection ID.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    indexes: HashMap<String, Vec<(i64, Index)>>,
}

impl Catalog {
    /// The indexes over collections of that ID.
    pub(super) fn of(&self, collection_id: &str) -> &[(i64, Index)] {
        self.indexes.get(collection_id).map(Vec::as_slice).unwrap_or_default()
    }

    /// True when one of the paths is, or lies within, or holds, a field of an index over those
    /// collections.
    pub(super) fn touches<'a>(&self, collection_id: &str, mut paths: impl Iterator<Item = &'a FieldPath>) -> bool {
        let indexes = self.of(collection_id);
        !indexes.is_empty()
            && paths.any(|path| {
                let held = indexes.iter().flat_map(|(_, index)| &index.fields);
                held.map(|field| field.path.segments())
                    .any(|held| held.starts_with(path.segments()) || path.segments().starts_with(held))
            })
    }

    /// The document's entries in all indexes, sorted.
    pub(super) fn entries(&self, path: &DocPath, fields: &Fields) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut keys = Vec::new();
        for (id, index) in self.of(path.collection_id()) {
            index.keys(path, fields, &mut keys);
            entries.extend(keys.drain(..).map(|key| (*id, key)));
        }
        entries.sort_unstable();
        entries
    }
}

/// Makes the file's indexes those of `set`: drops what isn't in it, builds what is new.
pub(super) fn sync_indexes(connection: &mut Connection, set: &IndexSet) -> Result<Catalog> {
    let transaction = connection.transaction().map_err(sql)?;
    let built: HashMap<String, i64> = transaction
        .prepare("SELECT definition, id FROM indexes")
        .and_then(|mut statement| statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .map_err(sql)?;
    let wanted: HashSet<_> = set.iter().map(Index::to_string).collect();
    for (definition, id) in &built {
        if !wanted.contains(definition) {
            transaction.execute("DELETE FROM entries WHERE idx = ?", [id]).map_err(sql)?;
            transaction.execute("DELETE FROM indexes WHERE id = ?", [id]).map_err(sql)?;
        }
    }
    let mut catalog = Catalog::default();
    let mut fresh = Catalog::default();
    for index in set.iter() {
        let definition = index.to_string();
        let id = match built.get(&definition) {
            Some(id) => *id,
            None => {
                transaction.execute("INSERT INTO indexes (definition) VALUES (?)", [&definition]).map_err(sql)?;
                let id = transaction.last_insert_rowid();
                fresh.indexes.entry(index.collection_id.clone()).or_default().push((id, index.clone()));
                id
            }
        };
        catalog.indexes.entry(index.collection_id.clone()).or_default().push((id, index.clone()));
    }
    for collection_id in fresh.indexes.keys() {
        build(&transaction, collection_id, &fresh)?;
    }
    transaction.commit().map_err(sql)?;
    Ok(catalog)
}

fn build(connection: &Connection, collection_id: &str, fresh: &Catalog) -> Result<()> {
    let from = group_key(collection_id);
    let to = prefix_end(&from).unwrap_or_else(|| vec![0xff]);
    let mut documents = connection
        .prepare("SELECT id, name, data FROM documents WHERE name >= ? AND name < ? ORDER BY name")
        .map_err(sql)?;
    let mut insert = connection.prepare("INSERT INTO entries (idx, key, doc) VALUES (?, ?, ?)").map_err(sql)?;
    let mut rows = documents.query(params![from, to]).map_err(sql)?;
    while let Some(row) = rows.next().map_err(sql)? {
        let id: i64 = row.get(0).map_err(sql)?;
        let path = path_of(row.get_ref(1).and_then(|name| Ok(name.as_blob()?)).map_err(sql)?)?;
        let fields = decode_fields(row.get_ref(2).and_then(|data| Ok(data.as_blob()?)).map_err(sql)?)?;
        for (index, key) in fresh.entries(&path, &fields) {
            insert.execute(params![index, key, id]).map_err(sql)?;
        }
    }
    Ok(())
}

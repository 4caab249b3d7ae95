//! A store in memory: as much of one as the task queue needs, and able to fail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use document_store::{
    Backend, BackendTransaction, Committed, Database, DocPath, Document, FieldOp, FieldPath, Fields, Filter,
    Precondition, Query, Result, Scope, StoreError, Timestamp, Value, Write, WriteKind, WriteResult,
};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use parking_lot::Mutex;

const ROOT: &str = "projects/test/databases/(default)/documents";

/// The documents. Clones are the same store.
#[derive(Clone, Default)]
pub struct Memory {
    documents: Arc<Mutex<BTreeMap<DocPath, Stored>>>,
    /// How many commits there were. Each takes a second of the store's time.
    commits: Arc<AtomicI64>,
    down: Arc<AtomicBool>,
}

/// A document: its fields, and when it changed last.
type Stored = (Fields, Timestamp);

impl Memory {
    pub fn database(&self) -> Database {
        Database::new(Arc::new(self.clone()))
    }

    /// Makes every request fail, or work again.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub fn ids(&self) -> Vec<String> {
        self.documents.lock().keys().map(|path| path.id().to_owned()).collect()
    }

    fn check(&self) -> Result<()> {
        if self.down.load(Ordering::SeqCst) { Err(StoreError::Unavailable("down".to_owned())) } else { Ok(()) }
    }
}

fn document(path: &DocPath, (fields, time): &Stored) -> Document {
    Document { path: path.clone(), fields: fields.clone(), create_time: Timestamp::UNIX_EPOCH, update_time: *time }
}

/// Of filters, one field before a time.
fn matches(filter: Option<&Filter>, fields: &Fields) -> bool {
    match filter {
        None => true,
        Some(Filter::Field { path, op: FieldOp::LessThan, value }) => {
            let held = take(fields, path.segments());
            held.as_ref().and_then(Value::as_timestamp).is_some_and(|held| Some(held) < value.as_timestamp())
        }
        Some(other) => panic!("only times: {other:?}"),
    }
}

fn put(fields: &mut Fields, path: &[String], value: Option<Value>) {
    match path {
        [] => {}
        [last] => match value {
            Some(value) => drop(fields.insert(last.clone(), value)),
            None => drop(fields.remove(last)),
        },
        [first, rest @ ..] => {
            let inner = fields.entry(first.clone()).or_insert_with(Value::empty_map);
            if let Value::Map(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn take(fields: &Fields, path: &[String]) -> Option<Value> {
    let mut value = fields.get(path.first()?)?;
    for segment in &path[1..] {
        value = value.as_map()?.get(segment)?;
    }
    Some(value.clone())
}

#[async_trait]
impl Backend for Memory {
    fn root(&self) -> &str {
        ROOT
    }

    async fn get_all(&self, paths: &[DocPath], _: Option<&[FieldPath]>) -> Result<Vec<Option<Document>>> {
        self.check()?;
        let documents = self.documents.lock();
        Ok(paths.iter().map(|path| documents.get(path).map(|fields| document(path, fields))).collect())
    }

    /// One collection by name, from a cursor, up to a limit.
    fn query(&self, query: Query) -> BoxStream<'static, Result<Document>> {
        if let Err(error) = self.check() {
            return stream::iter([Err(error)]).boxed();
        }
        let Scope::Collection(collection) = &query.from else { panic!("only collections") };
        let after = query.start.as_ref().map(|cursor| match &cursor.values[..] {
            [Value::Reference(name)] => DocPath::new(name.strip_prefix(ROOT).unwrap().trim_start_matches('/')).unwrap(),
            other => panic!("only names: {other:?}"),
        });
        let documents = self.documents.lock();
        let found = documents
            .iter()
            .filter(|(_, (fields, _))| matches(query.filter.as_ref(), fields))
            .filter(|(path, _)| path.collection() == collection && after.as_ref().is_none_or(|after| *path > after))
            .take(query.limit.unwrap_or(u32::MAX) as usize)
            .map(|(path, fields)| Ok(document(path, fields)))
            .collect::<Vec<_>>();
        stream::iter(found).boxed()
    }

    async fn count(&self, _: Query) -> Result<u64> {
        unimplemented!("no test counts")
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Committed> {
        self.check()?;
        let mut documents = self.documents.lock();
        for write in &writes {
            let held = documents.get(&write.path).map(|(_, time)| *time);
            let exists = held.is_some();
            let holds = match write.precondition {
                Precondition::None => true,
                Precondition::Exists => exists,
                Precondition::Missing => !exists,
                Precondition::UpdatedAt(expected) => held == Some(expected),
            };
            if !holds {
                return Err(StoreError::Conflict(write.path.to_string()));
            }
        }
        let time = Timestamp::from_second(self.commits.fetch_add(1, Ordering::SeqCst) + 1).unwrap();
        let mut results = Vec::new();
        for Write { path, kind, .. } in writes {
            match kind {
                WriteKind::Delete => drop(documents.remove(&path)),
                WriteKind::Set { fields, mask: None, .. } => drop(documents.insert(path, (fields, time))),
                WriteKind::Set { fields, mask: Some(mask), .. } => {
                    let (document, changed) = documents.entry(path).or_default();
                    *changed = time;
                    for path in mask {
                        put(document, path.segments(), take(&fields, path.segments()));
                    }
                }
            }
            results.push(WriteResult { update_time: Some(time), transformed: Vec::new() });
        }
        Ok(Committed { time, results })
    }

    fn begin(&self, _: Option<Vec<u8>>) -> Box<dyn BackendTransaction> {
        unimplemented!("no test needs transactions")
    }

    async fn ping(&self) -> Result<()> {
        self.check()
    }
}

//! Property tests: the embedded store answers as the emulator does.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};

use document_store::{
    Committed, Database, DocPath, Document, Fields, Precondition, Query, StoreError, Timestamp, Transform, Value,
    Write, WriteKind,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestCaseResult, TestRunner};

use crate::backends::{self, TestStore};
use crate::model::{self, Placed};

/// Chooses other random cases; the same seed makes the same ones.
const SEED: &str = "TEST_SEED";

/// Runs a property on pairs of the emulator and an embedded store.
fn agree<S: Strategy>(cases: u32, strategy: S, property: impl AsyncFn(&Pair, &str, S::Value) -> TestCaseResult) {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_250_310);
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(cases);
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pair = runtime.block_on(Pair::open());
    let count = AtomicU32::new(0);
    let outcome = TestRunner::new(config).run(&strategy, |input| {
        let collection = format!("c{}", count.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(property(&pair, &collection, input))
    });
    if let Err(error) = outcome {
        panic!("{error}\n(of {SEED}={seed})");
    }
}

struct Pair {
    emulator: TestStore,
    embedded: TestStore,
}

impl Pair {
    async fn open() -> Pair {
        Pair { emulator: backends::firestore_once().await, embedded: backends::embedded().await }
    }

    fn databases(&self) -> [Database; 2] {
        [self.emulator.database(), self.embedded.database()]
    }
}

/// Debug text tells NaN, -0 and the kinds of numbers apart. The root, which differs, is cut out.
fn text(database: &Database, what: &impl std::fmt::Debug) -> String {
    let Value::Reference(name) = database.reference(&crate::path("r/r")) else { unreachable!() };
    format!("{what:?}").replace(name.trim_end_matches("r/r"), "@/")
}

fn kind<T>(outcome: &Result<T, StoreError>) -> &'static str {
    match outcome {
        Ok(_) => "done",
        Err(StoreError::Conflict(_)) => "conflict",
        Err(StoreError::InvalidArgument(_)) => "invalid",
        Err(_) => "failed",
    }
}

async fn run(database: &Database, query: Query) -> Result<Vec<(DocPath, Fields)>, StoreError> {
    let found = database.query(query).await?;
    Ok(found.into_iter().map(|Document { path, fields, .. }| (path, fields)).collect())
}

#[test]
fn queries_agree() {
    let documents = vec((model::doc_path(), model::fields()), 1..24);
    let asked = AtomicU32::new(0);
    let answered = AtomicU32::new(0);
    agree(60, (documents, vec(model::query(), 1..30)), async |pair, collection, (documents, queries)| {
        let documents: BTreeMap<_, _> = documents.into_iter().collect();
        for database in pair.databases() {
            let placed = Placed { database: &database, collection };
            let writes = documents.iter().map(|(path, fields)| Write::set(placed.path(path), placed.fields(fields)));
            database.commit(writes.collect()).await.unwrap();
        }
        let [emulator, embedded] = pair.databases();
        for query in &queries {
            asked.fetch_add(1, Ordering::Relaxed);
            let there = Placed { database: &emulator, collection }.query(query);
            let here = Placed { database: &embedded, collection }.query(query);
            let Ok(expected) = run(&emulator, there.clone()).await else {
                // It refuses some that no handler makes; what the embedded store says is its own.
                continue;
            };
            answered.fetch_add(1, Ordering::Relaxed);
            let found = run(&embedded, here.clone()).await;
            let found = found.map_err(|error| TestCaseError::fail(format!("{error}: {here:?}")))?;
            prop_assert_eq!(text(&embedded, &found), text(&emulator, &expected), "{:?}", here);
            let counts = (embedded.count(here).await, emulator.count(there.clone()).await);
            prop_assert_eq!(&counts.0, &counts.1, "{:?}", there);
        }
        Ok(())
    });
    let (asked, answered) = (asked.into_inner(), answered.into_inner());
    assert!(answered * 2 > asked, "only {answered} of {asked} queries were answered");
}

/// What can be compared of a commit's answer: its times as numbers of commits, server times cut out.
fn answer(database: &Database, writes: &[Write], committed: &Committed, times: &[Timestamp]) -> String {
    let results = committed.results.iter().zip(writes).map(|(result, write)| {
        let transforms = match &write.kind {
            WriteKind::Set { transforms, .. } => &transforms[..],
            WriteKind::Delete => &[],
        };
        let transformed = result.transformed.iter().zip(transforms).map(|(value, field)| match field.transform {
            Transform::ServerTime => Value::from("server time"),
            _ => value.clone(),
        });
        (result.update_time.map(|time| number(time, times)), transformed.collect::<Vec<_>>())
    });
    text(database, &results.collect::<Vec<_>>())
}

fn number(time: Timestamp, times: &[Timestamp]) -> Option<usize> {
    times.iter().position(|known| *known == time)
}

/// A document without the server's times, which differ.
fn state(document: Option<Document>, times: &[Timestamp]) -> Option<(Fields, Option<usize>, Option<usize>)> {
    let mut document = document?;
    blank_server_times(&mut document.fields);
    Some((document.fields, number(document.create_time, times), number(document.update_time, times)))
}

/// Server times are of this day; those of the model are not.
fn blank_server_times(fields: &mut Fields) {
    for value in fields.values_mut() {
        match value {
            Value::Timestamp(time) if time.as_second() > 1_760_000_000 => *value = Value::from("server time"),
            Value::Map(inner) => blank_server_times(inner),
            _ => {}
        }
    }
}

/// True when a write transforms a field inside a map.
fn transforms_within(writes: &[Write]) -> bool {
    writes.iter().any(|write| match &write.kind {
        WriteKind::Set { transforms, .. } => transforms.iter().any(|field| field.path.segments().len() > 1),
        WriteKind::Delete => false,
    })
}

#[test]
fn commits_agree() {
    let commits = vec(vec(model::write(), 1..4), 1..12);
    agree(80, commits, async |pair, collection, commits| {
        let mut times = [Vec::new(), Vec::new()];
        // Which document was missing after the commit of which time.
        let mut missing = HashSet::new();
        let mut transformed_within = false;
        'commits: for writes in commits {
            let mut answers = Vec::new();
            let mut contents = Vec::new();
            for (database, times) in pair.databases().iter().zip(&mut times) {
                let placed = Placed { database, collection };
                let writes: Vec<_> = writes.iter().map(|write| placed.write(write, times)).collect();
                // The emulator takes a deletion's time for the update time of the missing document. Firestore
                // wants a document that exists, and no handler was ever told that time as a document's.
                if writes.iter().any(|write| match write.precondition {
                    Precondition::UpdatedAt(time) => missing.contains(&(write.path.clone(), time)),
                    _ => false,
                }) {
                    continue 'commits;
                }
                let outcome = database.commit(writes.clone()).await.map(Option::unwrap);
                if let Ok(committed) = &outcome {
                    times.push(committed.time);
                }
                let told = outcome.as_ref().ok().map(|committed| answer(database, &writes, committed, times));
                let mut paths: Vec<_> = writes.iter().map(|write| write.path.clone()).collect();
                paths.sort();
                let found = database.get_all(&paths).await.unwrap();
                if let Ok(committed) = &outcome {
                    let gone = paths.iter().zip(&found).filter(|(_, document)| document.is_none());
                    missing.extend(gone.map(|(path, _)| (path.clone(), committed.time)));
                }
                let fields = |document: Document| {
                    let mut fields = document.fields;
                    blank_server_times(&mut fields);
                    fields
                };
                let stored: Vec<_> = found.iter().cloned().map(|document| document.map(fields)).collect();
                contents.push((outcome.is_ok(), text(database, &stored)));
                let states: Vec<_> = found.into_iter().map(|document| state(document, times)).collect();
                // Of a commit that writes a document twice and contradicts itself, the emulator says now
                // that it's invalid, now that it conflicts; either way nothing is written.
                let is_twice = paths.windows(2).any(|pair| pair[0] == pair[1]);
                let kind = match kind(&outcome) {
                    "conflict" | "invalid" if is_twice => "refused",
                    kind => kind,
                };
                answers.push((kind, told, text(database, &states)));
            }
            // To the emulator, a map that a transform made differs from the same map when written, so what then
            // changes nothing moves the update time all the same. The contents have to agree even so; from there
            // on, the times can't be compared.
            transformed_within |= transforms_within(&writes);
            if answers[0] != answers[1] && transformed_within && contents[0].0 && contents[0] == contents[1] {
                return Ok(());
            }
            prop_assert_eq!(&answers[1], &answers[0], "{:?}", writes);
        }
        Ok(())
    });
}

//! The file: locks, formats, restarts, index changes.

use rusqlite::Connection;

use super::*;
use crate::fields;

const BY_K: &str = r#"{"indexes":[{"collectionGroup":"a","queryScope":"COLLECTION","fields":[
    {"fieldPath":"k","order":"ASCENDING"}]}]}"#;
const BY_J: &str = r#"{"indexes":[{"collectionGroup":"a","queryScope":"COLLECTION_GROUP","fields":[
    {"fieldPath":"j","arrayConfig":"CONTAINS"}]}]}"#;

#[tokio::test]
async fn a_file_is_open_once() {
    let store = fixture("{}", &[]);
    match open(store.dir.path(), &store.clock, "{}", &[]) {
        Err(StoreError::Unavailable(text)) => assert!(text.contains("is open already"), "{text}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it opened twice"),
    }
    let store = store.reopened("{}", &[]);
    assert!(store.ping().await.is_ok());
}

/// Names and results of children are in there.
#[tokio::test]
async fn nobody_else_may_read_the_files_whether_they_are_new_or_not() {
    use std::os::unix::fs::PermissionsExt as _;

    let modes = |dir: &Path| -> Vec<(String, u32)> {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let mut modes: Vec<_> =
            entries.map(|entry| (entry.file_name().into_string().unwrap(), mode(&entry.path()))).collect();
        modes.sort();
        modes.insert(0, (".".to_owned(), mode(dir)));
        modes
    };
    let store = fixture("{}", &[]);
    store.write(Write::set(doc("a/n"), fields! { "k" => 1 })).await;
    let closed = [(".", 0o700), ("test.lock", 0o600), ("test.sqlite", 0o600), ("test.sqlite-shm", 0o600)];
    let closed = closed.into_iter().chain([("test.sqlite-wal", 0o600)]);
    let closed: Vec<_> = closed.map(|(name, mode)| (name.to_owned(), mode)).collect();
    assert_eq!(modes(store.dir.path()), closed);

    // As older versions made them. A log that a crash left behind is there with the file.
    let Fixture { store, clock, dir } = store;
    drop(store);
    for name in ["test.sqlite-wal", "test.sqlite-shm"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    for (name, mode) in modes(dir.path()) {
        std::fs::set_permissions(dir.path().join(&name), std::fs::Permissions::from_mode(mode | 0o055)).unwrap();
    }
    let store = open(dir.path(), &clock, "{}", &[]).unwrap();
    store.commit(vec![Write::set(doc("a/m"), fields! { "k" => 1 })]).await.unwrap();
    assert_eq!(modes(dir.path()), closed);
}

#[tokio::test]
async fn another_format_is_refused() {
    let store = fixture("{}", &[]);
    let Fixture { store, clock, dir } = store;
    drop(store);
    let connection = Connection::open(dir.path().join("test.sqlite")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    match open(dir.path(), &clock, "{}", &[]) {
        Err(StoreError::Internal(text)) => assert!(text.contains("format 99"), "{text}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it opened"),
    }
}

#[test]
fn a_file_name_is_no_path() {
    let dir = tempfile::tempdir().unwrap();
    for bad in ["", "../x", "a.b", "a/b"] {
        assert!(matches!(lock(dir.path(), bad), Err(StoreError::InvalidArgument(_))), "{bad}");
    }
}

#[tokio::test]
async fn indexes_follow_their_definitions() {
    let store = fixture("{}", &[]);
    for n in 0..20_i64 {
        let fields = fields! { "k" => n % 4, "j" => vec![(n % 5).into(), (n % 3).into()] };
        store.write(Write::set(doc(&format!("a/{n:02}")), fields)).await;
    }
    let by_k = || Query::collection("a").equal("k", 1);
    let by_j = || Query::group("a").filter("j", crate::FieldOp::ArrayContains, 4);
    let (k, j) = (store.ids(by_k()).await, store.ids(by_j()).await);
    assert_eq!((k.len(), j.len()), (5, 4));
    assert_eq!(store.scans().len(), 2);
    let entries = |store: &Fixture| -> i64 {
        let connection = Connection::open(store.dir.path().join("test.sqlite")).unwrap();
        connection.query_row("SELECT COUNT(*) FROM entries", [], |row| row.get(0)).unwrap()
    };

    let store = store.reopened(BY_K, &[]);
    assert_eq!((store.ids(by_k()).await, store.ids(by_j()).await), (k.clone(), j.clone()));
    assert_eq!(store.scans(), ["**/a where j ArrayContains"]);
    assert_eq!(entries(&store), 20);

    let store = store.reopened(BY_J, &[]);
    assert_eq!((store.ids(by_k()).await, store.ids(by_j()).await), (k.clone(), j.clone()));
    assert_eq!(store.scans(), ["a where k Equal"]);
    // n % 5 and n % 3 are the same for 0, 1, 2, 15, 16 and 17.
    assert_eq!(entries(&store), 40 - 6);

    let store = store.reopened(BY_J, &[]);
    assert_eq!(entries(&store), 40 - 6, "what is built is not built again");
    assert_eq!((store.ids(by_k()).await, store.ids(by_j()).await), (k, j));
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let store = fixture("{}", &[("t", ChangeFilter::Created, "a/{id}")]);
    let committed = store.write(Write::set(doc("a/n"), fields! { "k" => 1 })).await;
    let store = store.reopened("{}", &[]);
    let found = store.one("a/n").await.unwrap();
    assert_eq!((found.fields, found.update_time), (fields! { "k" => 1 }, committed.time));
    assert_eq!(store.pending_events(), 1, "the outbox is kept too");
}

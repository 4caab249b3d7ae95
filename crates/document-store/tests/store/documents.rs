//! Reading and writing whole documents and parts of them.

use document_store::fields;
use document_store::{Database, Document, FieldPath, Fields, StoreError, Value, Write};

use crate::{field, int, path};

async fn put(db: &Database, at: &str, fields: Fields) {
    db.commit(vec![Write::set(path(at), fields)]).await.unwrap();
}

async fn get(db: &Database, at: &str) -> Document {
    db.get(&path(at)).await.unwrap().unwrap()
}

pub async fn get_all_keeps_order_and_says_what_is_missing(db: Database) {
    put(&db, "users/b", fields! {"n" => 2}).await;
    put(&db, "users/a", fields! {"n" => 1}).await;
    put(&db, "users/a/runs/r", fields! {"n" => 3}).await;
    let paths = ["users/b", "users/none", "users/a/runs/r", "other/none", "users/a", "users/b"].map(path);
    let found = db.get_all(&paths).await.unwrap();
    let numbers: Vec<_> = found.iter().map(|d| d.as_ref().map(|d| d.fields["n"].as_i64().unwrap())).collect();
    assert_eq!(numbers, [Some(2), None, Some(3), None, Some(1), Some(2)]);
    for (document, path) in found.iter().zip(&paths) {
        assert!(document.as_ref().is_none_or(|document| document.path == *path));
    }
}

pub async fn a_mask_reads_only_its_fields(db: Database) {
    put(&db, "users/a", fields! {"x" => 1, "y" => 2, "m" => fields! {"p q" => 3, "r" => 4}}).await;
    let paths = [path("users/a"), path("users/none")];
    let mask = [field("x"), FieldPath::of(["m", "p q"]), field("absent"), field("x.deeper")];
    let found = db.get_fields(&paths, Some(&mask)).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap().fields, fields! {"x" => 1, "m" => fields! {"p q" => 3}});
    assert_eq!(found[1], None);
    let nothing = db.get_fields(&paths, Some(&[])).await.unwrap();
    assert_eq!(nothing[0].as_ref().unwrap().fields, fields! {});
    assert_eq!(nothing[0].as_ref().unwrap().update_time, get(&db, "users/a").await.update_time);
}

pub async fn set_replaces_the_whole_document(db: Database) {
    put(&db, "users/a", fields! {"x" => 1, "y" => 2}).await;
    put(&db, "users/a", fields! {"y" => 3}).await;
    assert_eq!(get(&db, "users/a").await.fields, fields! {"y" => 3});
    put(&db, "users/a", fields! {}).await;
    assert_eq!(get(&db, "users/a").await.fields, fields! {});
}

pub async fn merge_touches_only_its_mask(db: Database) {
    put(&db, "users/a", fields! {"x" => 1, "m" => fields! {"p" => 1, "q" => 2}}).await;
    let changes = fields! {"m" => fields! {"p" => 5, "r" => 6}, "outside" => 7, "n" => fields! {"deep" => 8}};
    let merge = Write::merge(path("users/a"), changes, vec![field("m.p"), field("n.deep")]);
    db.commit(vec![merge]).await.unwrap();
    let expected = fields! {"x" => 1, "m" => fields! {"p" => 5, "q" => 2}, "n" => fields! {"deep" => 8}};
    assert_eq!(get(&db, "users/a").await.fields, expected);
    // A path and one inside it: the outer one takes the whole value.
    let changes = fields! {"m" => fields! {"p" => 9, "r" => 6}};
    db.commit(vec![Write::merge(path("users/a"), changes, vec![field("m.p"), field("m")])]).await.unwrap();
    assert_eq!(get(&db, "users/a").await.fields["m"], Value::Map(fields! {"p" => 9, "r" => 6}));
}

pub async fn merge_removes_what_the_mask_names_and_the_fields_lack(db: Database) {
    put(
        &db,
        "users/a",
        fields! {"x" => 1, "y" => 2, "m" => fields! {"p" => 1, "q" => 2}, "e" => fields! {"only" => 1}},
    )
    .await;
    let mask = ["x", "m.p", "e.only", "absent", "m.absent.deeper", "y.deeper"].map(field).to_vec();
    db.commit(vec![Write::merge(path("users/a"), fields! {}, mask)]).await.unwrap();
    // An emptied map stays, and nothing is made on the way to what was never there.
    let expected = fields! {"y" => 2, "m" => fields! {"q" => 2}, "e" => fields! {}};
    assert_eq!(get(&db, "users/a").await.fields, expected);
}

pub async fn merge_goes_through_what_is_no_map(db: Database) {
    put(&db, "users/a", fields! {"x" => "text", "y" => 1}).await;
    let changes = fields! {"x" => fields! {"deep" => fields! {"er" => 1}}};
    db.commit(vec![Write::merge(path("users/a"), changes, vec![field("x.deep.er")])]).await.unwrap();
    let expected = fields! {"x" => fields! {"deep" => fields! {"er" => 1}}, "y" => 1};
    assert_eq!(get(&db, "users/a").await.fields, expected);
}

pub async fn merge_creates_a_missing_document(db: Database) {
    let changes = fields! {"x" => 1, "m" => fields! {"p" => 1}};
    db.commit(vec![Write::merge(path("users/a"), changes, vec![field("m.p"), field("gone")])]).await.unwrap();
    assert_eq!(get(&db, "users/a").await.fields, fields! {"m" => fields! {"p" => 1}});
    db.commit(vec![Write::merge(path("users/b"), fields! {"x" => 1}, vec![])]).await.unwrap();
    assert_eq!(get(&db, "users/b").await.fields, fields! {});
}

pub async fn field_names_may_hold_anything(db: Database) {
    let names = ["a.b", "p q", "1x", "`", "\\", "\"", "é", "a/b", "__x", "[]", "日本"];
    let all: Fields = names.iter().map(|name| (name.to_string(), int(1))).collect();
    put(&db, "users/a", fields! {"top" => 1, "m" => all.clone()}).await;
    assert_eq!(get(&db, "users/a").await.fields["m"], Value::Map(all));
    for name in names {
        let at = FieldPath::of(["m", name]);
        let changes = fields! {"m" => fields! {name => 2}};
        db.commit(vec![Write::merge(path("users/a"), changes, vec![at.clone()])]).await.unwrap();
        let read = db.get_fields(&[path("users/a")], Some(std::slice::from_ref(&at))).await.unwrap();
        assert_eq!(read[0].as_ref().unwrap().fields, fields! {"m" => fields! {name => 2}}, "{name:?}");
        db.commit(vec![Write::merge(path("users/a"), fields! {}, vec![at])]).await.unwrap();
    }
    assert_eq!(get(&db, "users/a").await.fields, fields! {"top" => 1, "m" => fields! {}});
}

pub async fn deleting_leaves_subcollections_alone(db: Database) {
    put(&db, "users/a", fields! {"x" => 1}).await;
    put(&db, "users/a/runs/r", fields! {"x" => 1}).await;
    db.commit(vec![Write::delete(path("users/a"))]).await.unwrap();
    assert_eq!(db.get(&path("users/a")).await.unwrap(), None);
    assert_eq!(get(&db, "users/a/runs/r").await.fields, fields! {"x" => 1});
    db.commit(vec![Write::delete(path("users/a"))]).await.unwrap();
}

pub async fn times_tell_creation_and_last_change(db: Database) {
    let created = db.commit(vec![Write::set(path("users/a"), fields! {"x" => 1})]).await.unwrap().unwrap();
    let first = get(&db, "users/a").await;
    assert_eq!((first.create_time, first.update_time), (created.time, created.time));
    let updated = db.commit(vec![Write::update(path("users/a"), fields! {"x" => 2})]).await.unwrap().unwrap();
    let second = get(&db, "users/a").await;
    assert!(updated.time > created.time);
    assert_eq!((second.create_time, second.update_time), (created.time, updated.time));
    put(&db, "users/b", fields! {}).await;
    assert_eq!(get(&db, "users/a").await, second, "another document's commit changes nothing here");
    db.commit(vec![Write::delete(path("users/a"))]).await.unwrap();
    let again = db.commit(vec![Write::set(path("users/a"), fields! {"x" => 2})]).await.unwrap().unwrap();
    assert_eq!(get(&db, "users/a").await.create_time, again.time, "a deleted document's past is forgotten");
}

pub async fn a_read_only_handle_writes_nothing(db: Database) {
    put(&db, "users/a", fields! {"x" => 1}).await;
    let watched = db.read_only();
    assert_eq!(get(&watched, "users/a").await.fields, fields! {"x" => 1});
    let write = Write::set(path("users/a"), fields! {"x" => 2});
    let refused = watched.commit(vec![write.clone()]).await;
    assert!(matches!(refused, Err(StoreError::PermissionDenied(_))), "{refused:?}");
    let work = |tx: document_store::Transaction| {
        let write = write.clone();
        async move {
            tx.get(&path("users/a")).await?;
            tx.write(write).await;
            Ok::<_, StoreError>(())
        }
    };
    let refused = watched.transaction(work).await;
    assert!(matches!(refused, Err(StoreError::PermissionDenied(_))), "{refused:?}");
    assert_eq!(get(&db, "users/a").await.fields, fields! {"x" => 1});
    // Nobody is kept waiting by what was given up.
    db.commit(vec![write]).await.unwrap();
}

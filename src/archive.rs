//! Archives of deleted documents (functions §3.4, §4.2): the last state of each, in the same database,
//! under the path whose every collection has `deleted-` before its name.

use crate::app::App;
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{
    Database, DocPath, Document, DocumentChange, Fields, Precondition, StoreError, Timestamp, Value, Write,
};

/// The archive's own field: when its document was deleted.
const DELETED_AT: &str = "deletedAt";

/// Clients have been seen to write it into users' documents, where it's removed at once (functions §5);
/// it mustn't outlive them here.
const PASSWORD: &str = "password";

/// Where a document goes: `users/u/runs/r` to `deleted-users/u/deleted-runs/r` (data-model §1). Fails when
/// the name of a collection gets too long.
pub fn archive_path(path: &DocPath) -> Result<DocPath, StoreError> {
    let segments: Vec<String> = path
        .segments()
        .enumerate()
        .map(|(index, segment)| if index % 2 == 0 { format!("deleted-{segment}") } else { segment.to_owned() })
        .collect();
    DocPath::new(segments.join("/"))
}

/// What's kept of a document that was deleted: its last state and when it went.
fn archived(document: &Document, deleted_at: Timestamp) -> Fields {
    let mut fields = document.fields.clone();
    fields.remove(PASSWORD);
    fields.insert(DELETED_AT.to_owned(), Value::Timestamp(deleted_at));
    fields
}

/// When the document was deleted, for comparison with other deletions of the same path.
///
/// The emulator tells the time of a change in whole seconds, so that a deletion could seem older than the
/// state that it deleted. No later one has a state as old as that.
fn deleted_at(change: &DocumentChange, before: &Document) -> Timestamp {
    change.time.max(before.update_time)
}

/// True when an archive's state is that of this deletion or a later one. An archive that doesn't say is of
/// an older backend.
fn is_as_late(archive: &Document, deleted_at: Timestamp) -> bool {
    archive.fields.get(DELETED_AT).and_then(Value::as_timestamp).is_some_and(|kept| kept >= deleted_at)
}

/// `softDeleteUser` and its like in the admin database: archives what was deleted.
pub async fn deleted_in_admin(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    archive(&app.stores.admin, &event.change).await
}

/// `softDeleteUserRun` and its like in the assessment database: archives what was deleted.
pub async fn deleted_in_assessment(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    archive(&app.stores.assessment, &event.change).await
}

/// Puts a deleted document's last state into its archive. Of several deletions of one path, the last has
/// the last word, whichever comes first.
///
/// 1 write, for a first deletion. Where there is an archive, 1 read, and 1 write if it's older.
async fn archive(database: &Database, change: &DocumentChange) -> Result<(), HandlerError> {
    let Some(before) = &change.before else { return Ok(()) };
    let path = archive_path(&change.path)?;
    let deleted_at = deleted_at(change, before);
    let mut condition = Precondition::Missing;
    loop {
        let write = Write::set(path.clone(), archived(before, deleted_at)).when(condition);
        match database.commit(vec![write]).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
        condition = match database.get(&path).await? {
            Some(archive) if is_as_late(&archive, deleted_at) => return Ok(()),
            Some(archive) => Precondition::UpdatedAt(archive.update_time),
            None => Precondition::Missing,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn document(path: &str, fields: Fields, updated: &str) -> Document {
        Document { path: DocPath::new(path).unwrap(), fields, create_time: at(updated), update_time: at(updated) }
    }

    #[test]
    fn every_collection_of_the_path_is_a_deleted_one() {
        let table = [
            ("users/u", "deleted-users/u"),
            ("users/users", "deleted-users/users"),
            ("users/u/assignments/a", "deleted-users/u/deleted-assignments/a"),
            ("users/u/externalData/clever", "deleted-users/u/deleted-externalData/clever"),
            ("guests/g/runs/r/trials/t", "deleted-guests/g/deleted-runs/r/deleted-trials/t"),
        ];
        for (path, expected) in table {
            assert_eq!(archive_path(&DocPath::new(path).unwrap()).unwrap().as_str(), expected);
        }
        let long = DocPath::new(format!("{}/x", "c".repeat(1500))).unwrap();
        assert!(archive_path(&long).is_err());
    }

    #[test]
    fn an_archive_has_the_last_state_but_no_password() {
        let went = at("2026-01-02T00:00:00Z");
        let user = document(
            "users/u",
            fields! { "a" => 1, "password" => "secret", "deletedAt" => "never" },
            "2026-01-01T00:00:00Z",
        );
        assert_eq!(archived(&user, went), fields! { "a" => 1, "deletedAt" => went });
        let empty = document("users/u", Fields::new(), "2026-01-01T00:00:00Z");
        assert_eq!(archived(&empty, went), fields! { "deletedAt" => went });
    }

    #[test]
    fn a_deletion_is_no_older_than_what_it_deleted() {
        let before = document("users/u", Fields::new(), "2026-01-01T00:00:00.7Z");
        for (told, expected) in [
            // As the emulator tells it, and as production does.
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.7Z"),
            ("2026-01-01T00:00:00.9Z", "2026-01-01T00:00:00.9Z"),
        ] {
            let change = DocumentChange {
                id: "e".to_owned(),
                path: before.path.clone(),
                before: Some(before.clone()),
                after: None,
                time: at(told),
            };
            assert_eq!(deleted_at(&change, &before), at(expected));
        }
    }

    #[test]
    fn a_later_deletion_wins() {
        let went = at("2026-01-02T00:00:00Z");
        for (kept, expected) in [
            (fields! { "deletedAt" => at("2026-01-01T00:00:00Z") }, false),
            (fields! { "deletedAt" => went }, true),
            (fields! { "deletedAt" => at("2026-01-03T00:00:00Z") }, true),
            (fields! { "deletedAt" => "yesterday" }, false),
            (Fields::new(), false),
        ] {
            let archive = document("deleted-users/u", kept.clone(), "2026-02-01T00:00:00Z");
            assert_eq!(is_as_late(&archive, went), expected, "{kept:?}");
        }
    }
}

//! Archives of deleted documents (docs/domain/documents.md#archives): the last state of each, in the same database,
//! under the path whose every collection has `deleted-` before its name.

use crate::app::App;
use crate::documents::archive::{DELETED_AT, archive_path, archived, kept};
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::{Database, Document, DocumentChange, Precondition, StoreError, Timestamp, Value, Write};

/// When the document was deleted, for comparison with other deletions of the same path.
///
/// The emulator reports the time of a change in whole seconds, so a deletion could seem older than the state that it
/// deleted. The time of that state is a lower bound which no later deletion shares.
fn deleted_at(change: &DocumentChange, before: &Document) -> Timestamp {
    change.time.max(before.update_time)
}

/// True when the archive already has the state of this deletion or of a later one. An archive without a time was made
/// by an older backend. An archive that this service made in the deletion's own commit has the same state, and a time
/// of this service's clock.
fn is_as_late(archive: &Document, before: &Document, deleted_at: Timestamp) -> bool {
    let when = archive.fields.get(DELETED_AT).and_then(Value::as_timestamp);
    when.is_some_and(|when| when >= deleted_at || kept(&archive.fields) == kept(&before.fields))
}

/// Archives a document that was deleted in the admin database: `softDeleteUser` and similar functions.
pub async fn deleted_in_admin(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    archive(&app.stores.admin, &event.change).await
}

/// Archives a document that was deleted in the assessment database: `softDeleteUserRun` and similar functions.
pub async fn deleted_in_assessment(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    archive(&app.stores.assessment, &event.change).await
}

/// Puts a deleted document's last state into its archive. Of several deletions of one path, the latest wins, in
/// whichever order their events arrive.
///
/// Costs 1 write for a first deletion. Where there is an archive: 1 read, and 1 write if the archive is older and
/// differs.
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
            Some(archive) if is_as_late(&archive, before, deleted_at) => return Ok(()),
            Some(archive) => Precondition::UpdatedAt(archive.update_time),
            None => Precondition::Missing,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::{DocPath, Fields};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn document(path: &str, fields: Fields, updated: &str) -> Document {
        Document { path: DocPath::new(path).unwrap(), fields, create_time: at(updated), update_time: at(updated) }
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
        let before = document("users/u", fields! { "a" => 1 }, "2026-01-01T00:00:00Z");
        for (kept, expected) in [
            (fields! { "deletedAt" => at("2026-01-01T00:00:00Z"), "a" => 2 }, false),
            (fields! { "deletedAt" => at("2026-01-01T00:00:00Z"), "a" => 1 }, true),
            (fields! { "deletedAt" => went }, true),
            (fields! { "deletedAt" => at("2026-01-03T00:00:00Z") }, true),
            (fields! { "deletedAt" => "yesterday", "a" => 1 }, false),
            (fields! { "a" => 1 }, false),
        ] {
            let archive = document("deleted-users/u", kept.clone(), "2026-02-01T00:00:00Z");
            assert_eq!(is_as_late(&archive, &before, went), expected, "{kept:?}");
        }
    }
}

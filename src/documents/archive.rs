//! The archive of a deleted document (docs/domain/documents.md#archives): its path and its content. Pure.
//!
//! When this service deletes a document, the same commit archives it ([`archiving`]), so that the document can be
//! restored at once. Documents that others delete are archived when the event of the deletion arrives.

use crate::store::size::document_size;
use crate::store::{DocPath, Document, Fields, Result, Timestamp, Value, Write};

/// A field that only archives have: when the document was deleted.
pub const DELETED_AT: &str = "deletedAt";

/// The password, which clients have been seen to write into users' documents, where it's removed at once
/// (docs/domain/dashboard.md#users); an archive must not keep it.
const PASSWORD: &str = "password";

/// The size limit in bytes for archiving a document in the commit that deletes it. Firestore accepts documents up to
/// 1 MiB; the margin is for the archive's longer path and [`DELETED_AT`].
const MOST_BYTES: usize = (1 << 20) - 4096;

/// The path of a document's archive: `deleted-users/u/deleted-runs/r` for `users/u/runs/r`
/// (docs/domain/documents.md#archives).
/// Fails when the name of a collection gets too long.
pub fn archive_path(path: &DocPath) -> Result<DocPath> {
    let segments: Vec<String> = path
        .segments()
        .enumerate()
        .map(|(index, segment)| if index % 2 == 0 { format!("deleted-{segment}") } else { segment.to_owned() })
        .collect();
    DocPath::new(segments.join("/"))
}

/// The fields that are kept of a deleted document: its last state, without [`DELETED_AT`].
pub fn kept(fields: &Fields) -> Fields {
    let mut fields = fields.clone();
    fields.remove(PASSWORD);
    fields.remove(DELETED_AT);
    fields
}

/// The fields of a deleted document's archive: its last state, and [`DELETED_AT`].
pub fn archived(document: &Document, deleted_at: Timestamp) -> Fields {
    let mut fields = kept(&document.fields);
    fields.insert(DELETED_AT.to_owned(), Value::Timestamp(deleted_at));
    fields
}

/// The write that archives a document, for the commit that deletes it, at about `now`. A document that's too large to
/// be archived can still be deleted: then the write deletes an older archive, which isn't the document's last state.
pub fn archiving(document: &Document, now: Timestamp) -> Result<Write> {
    let path = archive_path(&document.path)?;
    if document_size(&document.path, &document.fields) > MOST_BYTES {
        return Ok(Write::delete(path));
    }
    // The clock may lag behind the database's: a deletion is never dated before the document's last update.
    let kept = archived(document, now.max(document.update_time));
    Ok(Write::set(path, kept))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    fn document(fields: Fields) -> Document {
        let (create_time, update_time) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        Document { path: DocPath::new("users/u").unwrap(), fields, create_time, update_time }
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
        let went: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let user = document(fields! { "a" => 1, "password" => "secret", "deletedAt" => "never" });
        assert_eq!(archived(&user, went), fields! { "a" => 1, "deletedAt" => went });
        assert_eq!(kept(&user.fields), fields! { "a" => 1 });
        assert_eq!(archived(&document(Fields::new()), went), fields! { "deletedAt" => went });
    }

    #[test]
    fn what_is_too_large_to_be_archived_can_be_deleted_all_the_same() {
        let archiving =
            |bytes| archiving(&document(fields! { "a" => "x".repeat(bytes) }), Timestamp::UNIX_EPOCH).unwrap();
        assert!(!archiving(1000).is_delete());
        assert!(archiving(1 << 20).is_delete());
    }
}

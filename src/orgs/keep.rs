//! Maintains the lists of children in parents' documents.

use super::child_lists::mending;
use super::{Org, OrgKey};
use crate::store::{Database, DocPath, Document, Result, StoreError};

/// The path of an org's document.
pub fn org_path(org: &OrgKey) -> Result<DocPath> {
    DocPath::in_collection(org.org_type.plural(), &org.id)
}

/// Updates the lists of `parents` for one child, according to the child's own links as they are now. When two callers
/// do so concurrently, the later state of the child wins. Reads the child and the parents; writes only differences.
///
/// True when every list is right. A parent whose document is full is left as it is: the child belongs to it
/// nevertheless, and pages find the child by its own link.
pub async fn keep_lists(database: &Database, child: &OrgKey, parents: &[OrgKey]) -> Result<bool> {
    let paths = &std::iter::once(child).chain(parents).map(org_path).collect::<Result<Vec<_>>>()?;
    let kept = database.transaction(|tx| async move {
        let mut found = tx.get_all(paths).await?.into_iter();
        let own: Option<Document> = found.next().flatten();
        let own = own.map(|own| Org::from_fields(child.org_type, &own.fields));
        for (parent, document) in parents.iter().zip(found) {
            // A missing parent lists no children.
            let Some(document) = document else { continue };
            tx.write_all(mending(parent, &document.fields, child, own.as_ref())?).await;
        }
        Ok::<_, StoreError>(())
    });
    match kept.await {
        Err(StoreError::InvalidArgument(_)) => {
            tracing::error!(org = child.id, "the list of children of an org takes nothing more");
            Ok(false)
        }
        other => other.map(|_| true),
    }
}

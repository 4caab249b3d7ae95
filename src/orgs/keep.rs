//! Keeping the lists of children in parents' documents.

use super::child_lists::mending;
use super::{Org, OrgKey};
use crate::store::{Database, DocPath, Document, Result, StoreError};

/// Where an org's document is.
pub fn org_path(org: &OrgKey) -> Result<DocPath> {
    DocPath::in_collection(org.org_type.plural(), &org.id)
}

/// Makes the lists of `parents` say of a child what the child says itself now. Of two who do so at once, the later state
/// of the child wins. Reads the child and the parents; writes what differs.
///
/// True when each list says so. A list that takes nothing more is left: the child is where it is all the same, and pages
/// find it by its own link.
pub async fn keep_lists(database: &Database, child: &OrgKey, parents: &[OrgKey]) -> Result<bool> {
    let paths = &std::iter::once(child).chain(parents).map(org_path).collect::<Result<Vec<_>>>()?;
    let kept = database.transaction(|tx| async move {
        let mut found = tx.get_all(paths).await?.into_iter();
        let own: Option<Document> = found.next().flatten();
        let own = own.map(|own| Org::from_fields(child.org_type, &own.fields));
        for (parent, document) in parents.iter().zip(found) {
            // What isn't there lists nobody.
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

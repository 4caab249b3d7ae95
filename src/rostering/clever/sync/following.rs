//! What follows from the orgs that a sync makes or moves: rights over a school include its new classes, and so does what is
//! assigned to it.

use std::collections::HashMap;

use super::known::{Done, Fetched, Following, OrgWrite};
use super::{SyncError, Work};
use crate::claims::{ClaimsError, follow_hierarchy};
use crate::documents::org::{Due, LINKS, org_path, text};
use crate::orgs::{OrgKey, OrgLists, OrgType};
use crate::rostering::org;
use crate::store::{Document, Precondition, StoreError, Timestamp, Write, WriteKind};

impl Work<'_> {
    /// Notes that claims have to be worked out anew, before it's so: if the sync is cut short, the next one does it.
    /// Gives the district's update time since.
    pub(super) async fn note_claims_due(
        &self,
        district: Option<&Document>,
        following: &Following,
    ) -> Result<Option<Timestamp>, SyncError> {
        let Some(district) = district.filter(|_| !following.above.is_empty()) else { return Ok(None) };
        let noted = Due::read(&district.fields);
        if noted == Some(Due::All) || (noted.is_some() && following.claims_only) {
            return Ok(None);
        }
        let expected = Precondition::UpdatedAt(district.update_time);
        self.write_due(Some(Due::All), expected).await
    }

    async fn write_due(&self, due: Option<Due>, when: Precondition) -> Result<Option<Timestamp>, SyncError> {
        let path = org_path(OrgType::District, &self.id)?;
        let (fields, mask) = Due::edit(due);
        let write = Write::merge(path, fields, mask).when(when);
        let committed = self.commit(vec![write]).await?;
        Ok(committed.and_then(|committed| committed.results.first()?.update_time))
    }

    /// Lets claims follow. Those that can't be written hold up nobody else; the next sync tries them again.
    pub(super) async fn follow_claims(&self, following: &mut Following) -> Result<(), SyncError> {
        if following.above.is_empty() || self.options.dry_run {
            return Ok(());
        }
        let is_done = follow_hierarchy(self.app, &following.above).await.map_err(|error| match error {
            ClaimsError::Store(error) => error,
            error => StoreError::Unavailable(error.to_string()),
        })?;
        following.lags = !is_done;
        Ok(())
    }

    /// Lets administrations follow, once the people are in their orgs: else all would be looked at twice.
    pub(super) async fn follow_administrations(&self, following: &Following) -> Result<(), SyncError> {
        if following.above.is_empty() || self.options.dry_run {
            return Ok(());
        }
        if !following.claims_only {
            let above = following.above.iter().map(|(org_type, id)| OrgKey::new(org_type, id));
            let orgs: Vec<OrgKey> = above.chain(following.moved.iter().cloned()).collect();
            crate::administrations::follow_orgs(self.app, &orgs).await?;
        }
        let left = match (following.lags, following.claims_only) {
            (true, true) => return Ok(()),
            (true, false) => Some(Due::Claims),
            (false, _) => None,
        };
        self.write_due(left, Precondition::Exists).await.map(|_| ())
    }
}

/// What has to follow the orgs that come or move. All that's there, when a sync before was cut short; nothing, when the
/// district itself is new, for then nobody has rights over it, and nothing is assigned to it.
pub(super) fn following(planned: &[OrgWrite], fetched: &Fetched, stored: &HashMap<OrgKey, Document>) -> Following {
    let Some(district) = stored.iter().find(|(key, _)| key.org_type == OrgType::District) else {
        return Following::default();
    };
    let noted = Due::read(&district.1.fields);
    // Also those that are gone by now: something may have been below them.
    let (classes, upper): (Vec<&OrgKey>, Vec<&OrgKey>) =
        fetched.wanted.iter().map(|org| &org.key).chain(stored.keys()).partition(|key| key.org_type == OrgType::Class);
    let all_above = || upper.iter().map(|key| (key.org_type, key.id.as_str())).collect::<OrgLists>();
    if noted == Some(Due::All) {
        let moved = classes.into_iter().cloned().collect();
        return Following { above: all_above(), moved, ..Following::default() };
    }
    let parents: HashMap<&OrgKey, &Vec<OrgKey>> = fetched.wanted.iter().map(|org| (&org.key, &org.parents)).collect();
    let (mut above, mut moved) = (OrgLists::new(), Vec::new());
    let was_archived = |key: &OrgKey| stored.get(key).is_some_and(|org| org::is_archived(&org.fields));
    for write in planned {
        let WriteKind::Set { fields, .. } = &write.write.kind else { continue };
        let is_moved = write.done == Done::Updated && LINKS.iter().any(|(link, _)| fields.contains_key(*link));
        let is_back = write.done == Done::Updated && was_archived(&write.key);
        if write.done != Done::Created && !is_moved && !is_back {
            continue;
        }
        if write.done != Done::Created {
            moved.push(write.key.clone());
        }
        for parent in parents.get(&write.key).into_iter().copied().flatten() {
            above.add(parent.org_type, &parent.id);
        }
        for (link, org_type) in LINKS {
            let before = stored.get(&write.key).and_then(|org| text(&org.fields, link));
            if let Some(before) = before {
                above.add(org_type, before);
            }
        }
    }
    match noted {
        Some(_) => Following { claims_only: above.is_empty(), above: all_above(), moved, lags: false },
        None => Following { above, moved, ..Following::default() },
    }
}

//! Orgs that aren't in the roster any more, and what is below them (docs/domain/rosters.md#who-has-left).

use std::collections::HashSet;

use super::known::{BATCH, Done, Known, OrgWrite};
use super::{CONFLICTS, SyncError, Work};
use crate::documents::org::{field, org_path, parent_of_group};
use crate::orgs::{OrgKey, OrgType};
use crate::rostering::org;
use crate::rostering::report::Phase;
use crate::store::{Document, Precondition, Query, StoreError, Write};

impl Work<'_> {
    /// Archives what is gone, with all that's below it, once everything was fetched and judged. From below upwards, so
    /// that a sync that's cut short leaves nothing that the next one wouldn't find.
    pub(super) async fn archive_orgs(&mut self, known: &Known) -> Result<(), SyncError> {
        let gone = &known.gone;
        if gone.living.is_empty() && gone.listed_in.is_empty() {
            return Ok(());
        }
        self.phase(Phase::Unenrolling);
        let mut leaving = self.living_below(known).await?;
        leaving.reverse();
        if !leaving.is_empty() && !self.options.dry_run {
            crate::administrations::leave_orgs(self.app, &leaving).await?;
        }
        let above = gone.listed_in.iter().filter(|key| !leaving.contains(key)).cloned();
        let orgs: Vec<OrgKey> = leaving.iter().cloned().chain(above).collect();
        let leaving: HashSet<&OrgKey> = leaving.iter().collect();
        for batch in orgs.chunks(BATCH) {
            for attempt in 1.. {
                self.blames_one = attempt >= CONFLICTS;
                let writes = self.archival(batch, &leaving, known).await?;
                match self.write_batch(&writes).await {
                    Err(SyncError::Store(StoreError::Conflict(_))) if attempt < CONFLICTS => {}
                    outcome => {
                        outcome?;
                        break;
                    }
                }
            }
        }
        self.tell();
        Ok(())
    }

    async fn archival(
        &self,
        orgs: &[OrgKey],
        leaving: &HashSet<&OrgKey>,
        known: &Known,
    ) -> Result<Vec<OrgWrite>, StoreError> {
        let now = self.app.now();
        let paths = orgs.iter().map(|key| org_path(key.org_type, &key.id)).collect::<Result<Vec<_>, _>>()?;
        let mut writes = Vec::new();
        for (key, document) in orgs.iter().zip(self.database.get_all(&paths).await?) {
            let Some(document) = document else { continue };
            let child = if key.org_type == OrgType::District { OrgType::School } else { OrgType::Class };
            let elsewhere = |id: &str| known.living.contains(child, id);
            let stays = |id: &str| known.untold.contains(child, id);
            let is_gone = |id: &str| known.gone.all.contains(&OrgKey::new(child, id));
            let (change, done) = match leaving.contains(key) {
                true => (org::archive(&document.fields, stays, elsewhere, now), Done::Removed),
                false => (org::children_archived(&document.fields, is_gone, |_| false, now), Done::Listed),
            };
            let Some((fields, mask)) = change else { continue };
            let write = Write::merge(document.path, fields, mask).when(Precondition::UpdatedAt(document.update_time));
            writes.push(OrgWrite { key: key.clone(), write, done });
        }
        Ok(writes)
    }

    /// What is gone and still lives, and what lives below it: from above downwards. Classes that the roster has
    /// elsewhere, or may have, stay.
    async fn living_below(&self, known: &Known) -> Result<Vec<OrgKey>, StoreError> {
        let mut found = known.gone.living.clone();
        found.sort();
        let mut is_found: HashSet<OrgKey> = found.iter().cloned().collect();
        let schools: Vec<String> = found.iter().filter(|key| key.org_type == OrgType::School).map(id).collect();
        let classes = Query::collection(OrgType::Class.plural()).equal(field::ARCHIVED, false);
        let classes = classes.select(&[field::SCHOOL_ID]).each_of(field::SCHOOL_ID, &schools).map(|(query, _)| query);
        for class in self.database.query_each(classes).await? {
            let stays = [&known.living, &known.untold].iter().any(|set| set.contains(OrgType::Class, class.id()));
            let key = OrgKey::new(OrgType::Class, class.id());
            if !stays && is_found.insert(key.clone()) {
                found.push(key);
            }
        }
        let mut parents: HashSet<OrgKey> = is_found.clone();
        while !parents.is_empty() {
            let ids: Vec<String> = parents.iter().map(id).collect();
            let below = Query::collection(OrgType::Group.plural()).equal(field::ARCHIVED, false);
            let below = below.select(&[field::PARENT_ORG_TYPE, field::PARENT_ORG_ID]);
            let below = below.each_of(field::PARENT_ORG_ID, &ids).map(|(query, _)| query);
            let below = self.database.query_each(below).await?;
            let is_below =
                |group: &&Document| parent_of_group(&group.fields).is_some_and(|above| parents.contains(&above));
            let groups = below.iter().filter(is_below).map(|group| OrgKey::new(OrgType::Group, group.id()));
            parents = groups.filter(|key| is_found.insert(key.clone())).collect();
            found.extend(parents.iter().cloned());
        }
        Ok(found)
    }
}

fn id(key: &OrgKey) -> String {
    key.id.clone()
}

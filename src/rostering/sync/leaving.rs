//! Who isn't in the roster any more.

use std::collections::{HashMap, HashSet};

use super::entries::Entries;
use super::entry::Entry;
use super::known::Known;
use super::safety::too_many_people;
use super::{CONFLICTS, SyncError, Work};
use crate::documents::org::parent_of_group;
use crate::documents::org_lists::OrgSet;
use crate::documents::roster_entry::leaves;
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::user_path;
use crate::orgs::{OrgKey, OrgType};
use crate::rostering::person;
use crate::rostering::report::{Difference, Kind, Phase};
use crate::store::{DocPath, Document, Precondition, StoreError, Write};

/// People who leave in one commit: two documents each, and an event of the run.
const BATCH: usize = 100;
/// Groups within groups.
const DEPTH: usize = 8;

impl Work<'_> {
    /// Unenrols those who have an entry and weren't seen, once everybody was fetched, unless that calls for a safety
    /// stop. `active` were there before, and `seen` records have come.
    pub(super) async fn unenrol(
        &mut self,
        entries: &mut Entries,
        active: u64,
        seen: u64,
        known: &Known,
    ) -> Result<(), SyncError> {
        let stale = entries.iter().filter(|(_, entry)| !entry.is_gone && !entry.is_seen);
        let mut stale: Vec<(Box<str>, Entry)> = stale.map(|(id, entry)| (id.clone(), entry.clone())).collect();
        if stale.is_empty() || self.report.incomplete.is_some() {
            return Ok(());
        }
        stale.sort_by(|one, other| one.0.cmp(&other.0));
        let missing = stale.len() as u64;
        self.report.safety_stop = too_many_people(&self.options, missing, active, seen);
        if self.is_stopped() {
            return Ok(());
        }
        self.phase(Phase::Unenrolling);
        // One user may have two entries: under an ID that the provider has given up, and under the one it has now.
        let there: HashSet<&str> =
            entries.values().filter(|entry| entry.is_seen).map(|entry| &*entry.roar_uid).collect();
        for batch in stale.chunks_mut(BATCH) {
            for attempt in 1.. {
                match self.unenrol_batch(batch, &there, known).await {
                    Err(SyncError::Store(StoreError::Conflict(_))) if attempt < CONFLICTS => {
                        self.look_again(batch).await?;
                    }
                    outcome => {
                        self.report.of(Kind::Users).removed += outcome?;
                        break;
                    }
                }
            }
            self.tell();
        }
        Ok(())
    }

    /// Leaves to the next sync whose entry has changed since, by a sign-in, say.
    async fn look_again(&self, batch: &mut [(Box<str>, Entry)]) -> Result<(), StoreError> {
        let paths: Vec<DocPath> =
            batch.iter().map(|(id, entry)| entry.path(self.provider, id)).collect::<Result<_, _>>()?;
        let found = self.database.get_all(&paths).await?;
        for ((_, entry), note) in batch.iter_mut().zip(found) {
            entry.is_seen |= note.is_none_or(|note| note.update_time != entry.update_time);
        }
        Ok(())
    }

    /// Gives how many have left.
    async fn unenrol_batch(
        &mut self,
        batch: &[(Box<str>, Entry)],
        there: &HashSet<&str>,
        known: &Known,
    ) -> Result<u64, SyncError> {
        let now = self.app.now();
        let leaving: Vec<_> = batch.iter().filter(|(_, entry)| !entry.is_seen).collect();
        let paths: Vec<DocPath> =
            leaving.iter().map(|(_, entry)| user_path(&entry.roar_uid)).collect::<Result<_, _>>()?;
        let found = self.database.get_all(&paths).await?;
        let owned = self.with_groups(known, found.iter().flatten()).await?;
        let mut writes = Vec::new();
        for ((id, entry), document) in leaving.iter().zip(found) {
            if let Some(document) = document.filter(|_| !there.contains(&*entry.roar_uid))
                && let Some((fields, mask)) = person::unenrolment(&document.fields, &owned, now)
            {
                let write = Write::merge(document.path, fields, mask);
                writes.push(write.when(Precondition::UpdatedAt(document.update_time)));
            }
            let gone = leaves(&entry.said.names(), entry.email.as_deref(), entry.given.as_deref(), now);
            writes.push(entry.write(self.provider, id, gone)?);
            if let Some(run) = self.monitor.run {
                writes.push(run.unenrolled(&entry.roar_uid, id)?);
            }
        }
        self.commit(writes).await?;
        if self.options.dry_run {
            for (id, _) in &leaving {
                let difference =
                    Difference { kind: Kind::Users, id: id.to_string(), action: "removed", fields: Vec::new() };
                self.report.differ(difference);
            }
        }
        Ok(leaving.len() as u64)
    }

    /// The district's orgs, and those groups of these users that are below them: they belong to it, too.
    async fn with_groups(&self, known: &Known, users: impl Iterator<Item = &Document>) -> Result<OrgSet, StoreError> {
        let mut owned = known.below.clone();
        let of_user = |user: &Document| current_orgs(&user.fields).of(OrgType::Group).to_vec();
        let mut unknown: HashSet<String> = users.flat_map(of_user).collect();
        let mut above: HashMap<String, OrgKey> = HashMap::new();
        for _ in 0..DEPTH {
            let paths: Vec<DocPath> = unknown
                .drain()
                .map(|id| DocPath::in_collection(OrgType::Group.plural(), &id))
                .collect::<Result<_, _>>()?;
            for group in self.database.get_all(&paths).await?.iter().flatten() {
                let Some(parent) = parent_of_group(&group.fields) else { continue };
                if parent.org_type == OrgType::Group && parent.id != group.id() && !above.contains_key(&parent.id) {
                    unknown.insert(parent.id.clone());
                }
                above.insert(group.id().to_owned(), parent);
            }
            if unknown.is_empty() {
                break;
            }
        }
        add_groups(&mut owned, &above);
        Ok(owned)
    }
}

/// Adds the groups that are below an org of the set, or below a group of it. `above` has the parents of groups.
fn add_groups(owned: &mut OrgSet, above: &HashMap<String, OrgKey>) {
    for _ in 0..DEPTH {
        for (group, parent) in above {
            if owned.contains(parent.org_type, &parent.id) {
                owned.insert(OrgType::Group, group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_belong_to_what_they_are_below() {
        let above: HashMap<String, OrgKey> = [
            ("of-school", OrgKey::new(OrgType::School, "s1")),
            ("within", OrgKey::new(OrgType::Group, "of-school")),
            ("deeper", OrgKey::new(OrgType::Group, "within")),
            ("of-another", OrgKey::new(OrgType::School, "s9")),
            ("round", OrgKey::new(OrgType::Group, "about")),
            ("about", OrgKey::new(OrgType::Group, "round")),
        ]
        .into_iter()
        .map(|(group, parent)| (group.to_owned(), parent))
        .collect();
        let mut owned = OrgSet::default();
        owned.insert(OrgType::School, "s1");
        add_groups(&mut owned, &above);
        let mut groups: Vec<&String> = above.keys().filter(|group| owned.contains(OrgType::Group, group)).collect();
        groups.sort();
        assert_eq!(groups, ["deeper", "of-school", "within"]);
    }
}

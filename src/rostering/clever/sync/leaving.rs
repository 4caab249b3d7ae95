//! Who isn't in the roster any more.

use std::collections::{HashMap, HashSet};

use super::entries::{Entries, Entry};
use super::known::Known;
use super::{CONFLICTS, SyncError, Work};
use crate::documents::org::parent_of_group;
use crate::documents::org_lists::OrgSet;
use crate::documents::roster_entry::leaves;
use crate::documents::user::orgs::current_orgs;
use crate::documents::user::user_path;
use crate::orgs::{OrgKey, OrgType};
use crate::rostering::person;
use crate::rostering::report::{Difference, Doubt, HeldBack, Kind, Phase, are_too_many};
use crate::store::{DocPath, Document, Precondition, StoreError, Write};

/// People who leave in one commit: two documents each, and an event of the run.
const BATCH: usize = 100;
/// Groups within groups.
const DEPTH: usize = 8;

impl Work<'_> {
    /// Unenrols who is noted and wasn't seen, once everybody was fetched. `active` were there before; of `seen` records,
    /// there must be some: an empty list is believed in no case.
    pub(super) async fn unenrol(
        &mut self,
        entries: &mut Entries,
        active: u64,
        seen: u64,
        known: &Known,
    ) -> Result<(), SyncError> {
        let stale = entries.iter().filter(|(_, entry)| !entry.is_gone && !entry.is_seen);
        let mut stale: Vec<(Box<str>, Entry)> = stale.map(|(id, entry)| (id.clone(), entry.clone())).collect();
        if stale.is_empty() || self.report.keeps_missing.is_some() {
            return Ok(());
        }
        stale.sort_by(|one, other| one.0.cmp(&other.0));
        let missing = stale.len() as u64;
        let are_many = are_too_many(missing, active, self.options.missing_share) && !self.options.confirm_unenroll;
        if are_many || seen == 0 {
            let reason = if seen == 0 { Doubt::Empty } else { Doubt::Missing };
            self.report.held_back = Some(HeldBack { reason, kind: Kind::Users, missing, of: active });
            return Ok(());
        }
        if self.holds_back() {
            return Ok(());
        }
        self.phase(Phase::Unenrolling);
        // One user may be noted twice: under an ID that Clever has given up, and the one it has now.
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

    /// Whose note has changed since, by a sign-in say, is left to the next sync.
    async fn look_again(&self, batch: &mut [(Box<str>, Entry)]) -> Result<(), StoreError> {
        let paths: Vec<DocPath> = batch.iter().map(|(id, entry)| entry.path(id)).collect::<Result<_, _>>()?;
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
            writes.push(entry.write(id, gone)?);
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
        for _ in 0..DEPTH {
            for (group, parent) in &above {
                if owned.contains(parent.org_type, &parent.id) {
                    owned.insert(OrgType::Group, group);
                }
            }
        }
        Ok(owned)
    }
}

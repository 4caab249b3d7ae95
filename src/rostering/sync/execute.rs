//! Writing what was planned: commits with retries, and batches that are bisected where one write keeps failing.

use std::time::Duration;

use super::known::{Done, OrgWrite};
use super::safety::kind_of;
use super::{ATTEMPTS, SyncError, Work};
use crate::documents::user::field::LAST_UPDATED;
use crate::orgs::OrgType;
use crate::rostering::report::{Difference, Phase, Problem};
use crate::store::{Committed, FieldPath, StoreError, Write, WriteKind};

impl Work<'_> {
    /// Commits, unless it's a dry run. Transient failures are retried after a pause; a conflict is the caller's.
    pub(super) async fn commit(&self, writes: Vec<Write>) -> Result<Option<Committed>, SyncError> {
        if self.options.dry_run || writes.is_empty() {
            return Ok(None);
        }
        for attempt in 1.. {
            if let Some(run) = self.monitor.run {
                let progress = self.monitor.progress.borrow().clone();
                run.check(&progress).await?;
            }
            match self.database.commit(writes.clone()).await {
                Err(error) if error.is_transient() && attempt < ATTEMPTS => self.wait(attempt).await,
                outcome => return outcome.map_err(SyncError::from),
            }
        }
        Ok(None)
    }

    async fn wait(&self, attempt: u32) {
        let phase = self.monitor.progress.borrow().phase;
        let pause: Duration = crate::rostering::BACKOFF.pause(attempt, &*self.app.context.random);
        tracing::warn!(district = self.id, attempt, ?pause, "the store failed; the batch is tried again");
        self.phase(Phase::Retrying);
        tokio::time::sleep(pause).await;
        self.phase(phase);
    }

    /// Writes a batch of orgs. Where the store refuses it for good, bisects it to find the failing write, which is
    /// reported; the others are written.
    pub(super) async fn write_batch(&mut self, batch: &[OrgWrite]) -> Result<(), SyncError> {
        let is_for_good = |error: &StoreError| match error {
            StoreError::InvalidArgument(_) => true,
            StoreError::Conflict(_) => self.bisects,
            _ => false,
        };
        match self.commit(batch.iter().map(|one| one.write.clone()).collect()).await {
            Err(SyncError::Store(error)) if is_for_good(&error) => {
                let [only] = batch else {
                    let (one, other) = batch.split_at(batch.len() / 2);
                    Box::pin(self.write_batch(one)).await?;
                    return Box::pin(self.write_batch(other)).await;
                };
                if only.done == Done::Created {
                    self.unwritten.insert(only.key.clone());
                }
                let (kind, id) = (kind_of(only.key.org_type), Some(only.key.id.clone()));
                self.report.note(Problem::failed(kind, id, "it can't be stored", 1));
                return Ok(());
            }
            outcome => drop(outcome?),
        }
        for one in batch {
            let kind = kind_of(one.key.org_type);
            let is_first = self.written.insert(one.key.clone());
            // Nobody counts groups.
            if one.key.org_type == OrgType::Group {
                continue;
            }
            let counts = self.report.of(kind);
            match one.done {
                Done::Created => counts.created += 1,
                Done::Updated => counts.updated += 1,
                Done::Removed => counts.removed += 1,
                // It was counted when it was compared.
                Done::Listed if is_first && counts.unchanged > 0 => {
                    counts.unchanged -= 1;
                    counts.updated += 1;
                }
                Done::Listed => {}
            }
            if self.options.dry_run {
                let (action, fields) = (one.done.name(), fields_of(&one.write));
                self.report.differ(Difference { kind, id: one.key.id.clone(), action, fields });
            }
        }
        Ok(())
    }
}

/// The fields that a write touches, for people: nothing of what's in them.
pub(super) fn fields_of(write: &Write) -> Vec<String> {
    let WriteKind::Set { mask: Some(mask), .. } = &write.kind else { return Vec::new() };
    mask.iter().map(FieldPath::to_string).filter(|field| field != LAST_UPDATED).collect()
}

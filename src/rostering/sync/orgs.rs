//! A district's orgs: the district itself, its schools, its classes. The way through.

use std::collections::HashMap;

use super::following::following;
use super::known::{BATCH, Fetched, Following, Known};
use super::plan::{OrgPlan, missing, plan_orgs};
use super::safety::{kind_of, too_many_orgs};
use super::{CONFLICTS, SyncError, Work};
use crate::orgs::{OrgKey, OrgType};
use crate::rostering::report::{Kind, Phase};
use crate::rostering::source::Source;
use crate::store::{Document, Precondition, StoreError};

impl Work<'_> {
    /// Districts, schools and classes: reads all of them, on both sides, then writes what is new or differs. What is
    /// missing stays until the people are known, too. `None` after a safety stop; then nothing is written.
    pub(super) async fn orgs(&mut self, source: &dyn Source) -> Result<Option<Known>, SyncError> {
        self.phase(Phase::Fetching);
        let fetched = self.fetch(source).await?;
        for attempt in 1.. {
            let stored = self.stored_orgs(&fetched.wanted, attempt > 1).await?;
            let missing = match self.report.incomplete {
                Some(_) => Vec::new(),
                None => missing(&fetched, &stored),
            };
            self.report.safety_stop = too_many_orgs(&self.options, &missing, &stored, &fetched);
            if self.report.safety_stop.is_none() {
                self.report.safety_stop = self.too_few_enrolled(source).await?;
            }
            if self.report.safety_stop.is_some() {
                return Ok(None);
            }
            // Documents change all the time, or contradict one another. With retries exhausted, bisect the batches to
            // find the failing write.
            self.bisects = attempt >= CONFLICTS;
            match self.write_orgs(&fetched, &stored).await {
                // Some of it may be written; the rest is planned anew.
                Err(SyncError::Store(StoreError::Conflict(_))) if attempt < CONFLICTS => {}
                Err(error) => return Err(error),
                Ok(following) => {
                    let is_incomplete = self.report.incomplete.is_some();
                    let known = Known::of(&self.id, fetched, stored, missing, &self.unwritten, is_incomplete);
                    return Ok(Some(Known { following, ..known }));
                }
            }
        }
        Ok(None)
    }

    async fn write_orgs(
        &mut self,
        fetched: &Fetched,
        stored: &HashMap<OrgKey, Document>,
    ) -> Result<Following, SyncError> {
        for kind in [Kind::Districts, Kind::Schools, Kind::Classes] {
            self.report.of(kind).unchanged = 0;
        }
        let OrgPlan { mut writes, unchanged } = plan_orgs(fetched, stored, self.provider, self.app.now())?;
        // What an earlier attempt wrote is counted already.
        for key in unchanged.iter().filter(|key| !self.written.contains(key)) {
            self.report.of(kind_of(key.org_type)).unchanged += 1;
        }
        let mut following = following(&writes, fetched, stored);
        let district = stored.get(&OrgKey::new(OrgType::District, &self.id));
        if let Some(noted_at) = self.note_claims_due(district, &following).await? {
            let of_district = writes.iter_mut().filter(|one| one.key.org_type == OrgType::District);
            of_district.for_each(|one| one.write.precondition = Precondition::UpdatedAt(noted_at));
        }
        let (orgs, classes): (Vec<_>, Vec<_>) =
            writes.into_iter().partition(|write| write.key.org_type != OrgType::Class);
        for (phase, writes) in [(Phase::SyncingOrgs, orgs), (Phase::SyncingClasses, classes)] {
            self.phase(phase);
            for batch in writes.chunks(BATCH) {
                self.write_batch(batch).await?;
            }
            self.tell();
        }
        self.follow_claims(&mut following).await?;
        Ok(following)
    }
}

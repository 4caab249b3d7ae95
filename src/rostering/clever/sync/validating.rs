//! What is here at the end of a sync, held against what Clever has (docs/domain/rosters.md#what-a-run-reports). It
//! repairs nothing.

use super::{PROVIDER, Work};
use crate::documents::org::field;
use crate::orgs::OrgType;
use crate::rostering::report::Kind;
use crate::store::{Query, StoreError};

/// The people who are counted, by type, as their notes have it: a users document may say something else by hand.
const COUNTED: [&str; 4] = ["student", "educator", "admin", "caregiver"];

impl Work<'_> {
    /// Counts the living orgs, and the people by type, that came from Clever. A thousand documents are one read.
    pub(super) async fn validate(&mut self) {
        // Of data that aren't whole, the numbers say nothing.
        if self.options.dry_run || self.report.keeps_missing.is_some() {
            return;
        }
        // Everything else is done by then.
        if let Err(error) = self.compare_numbers().await {
            tracing::warn!(district = self.id, %error, "the numbers at the end can't be compared");
        }
        for mismatch in &self.report.mismatches {
            let (kind, theirs, ours) = (mismatch.kind.plural(), mismatch.provider, mismatch.here);
            let user_type = mismatch.user_type;
            tracing::warn!(district = self.id, kind, user_type, theirs, ours, "Clever's number differs from ours");
        }
    }

    async fn compare_numbers(&mut self) -> Result<(), StoreError> {
        for (kind, org_type) in [(Kind::Schools, OrgType::School), (Kind::Classes, OrgType::Class)] {
            let there = self.living.get(&kind).copied().unwrap_or_default();
            let living = Query::collection(org_type.plural()).equal(field::DISTRICT_ID, self.id.as_str());
            let here = self.database.count(living.equal(PROVIDER, true).equal(field::ARCHIVED, false)).await?;
            self.report.compare(kind, None, there, here);
        }
        for user_type in COUNTED.into_iter().filter(|_| !self.options.shallow) {
            let there = self.by_type.get(user_type).copied().unwrap_or_default();
            let here = self.count_noted(user_type).await?;
            self.report.compare(Kind::Users, Some(user_type), there, here);
        }
        Ok(())
    }
}

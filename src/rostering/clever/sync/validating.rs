//! What is here at the end of a sync, held against what Clever has (rostering §7). It repairs nothing.

use super::{PROVIDER, SyncError, Work};
use crate::orgs::OrgType;
use crate::rostering::report::{Keeps, Kind};
use crate::store::{FieldOp, Query};

/// The people who are counted: those whom a roster puts into the district. Educators may have been made admins by hand.
const COUNTED: [&[&str]; 2] = [&["student"], &["educator", "admin"]];

impl Work<'_> {
    /// Counts the living orgs, and the people by type, that came from Clever. A thousand documents are one read.
    pub(super) async fn validate(&mut self) -> Result<(), SyncError> {
        // Of data that aren't whole, the numbers say nothing.
        if self.options.dry_run || self.report.keeps_missing == Some(Keeps::Paused) {
            return Ok(());
        }
        for (kind, org_type) in [(Kind::Schools, OrgType::School), (Kind::Classes, OrgType::Class)] {
            let there = self.living.get(&kind).copied().unwrap_or_default();
            let living = Query::collection(org_type.plural()).equal("districtId", self.id.as_str());
            let here = self.database.count(living.equal(PROVIDER, true).equal("archived", false)).await?;
            self.report.compare(kind, None, there, here);
        }
        for user_types in COUNTED.into_iter().filter(|_| !self.options.shallow) {
            let there = user_types.iter().filter_map(|user_type| self.by_type.get(user_type)).sum();
            let mut here = 0;
            for user_type in user_types {
                let people =
                    Query::collection("users").filter("districts.current", FieldOp::ArrayContains, self.id.as_str());
                let people = people.equal("ssoType", PROVIDER).equal("userType", *user_type).equal("archived", false);
                here += self.database.count(people).await?;
            }
            self.report.compare(Kind::Users, user_types.first().copied(), there, here);
        }
        for mismatch in &self.report.mismatches {
            let (kind, theirs, ours) = (mismatch.kind.plural(), mismatch.provider, mismatch.here);
            let user_type = mismatch.user_type;
            tracing::warn!(district = self.id, kind, user_type, theirs, ours, "Clever's number differs from ours");
        }
        Ok(())
    }
}

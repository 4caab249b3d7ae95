//! What ROAR has of a district's orgs.

use std::collections::{HashMap, HashSet};

use futures::TryStreamExt as _;

use super::Work;
use super::known::BATCH;
use crate::documents::org::{field, listed, org_path};
use crate::documents::roster_mark::ROSTER;
use crate::orgs::{OrgKey, OrgType};
use crate::rostering::org::{self, RosterOrg};
use crate::store::{DocPath, Document, Query, StoreError};

/// The fields of an org that tell whether anything has to be written.
const TELLING: [&str; 7] = [
    ROSTER,
    field::ARCHIVED,
    field::SCHOOLS,
    field::ARCHIVED_SCHOOLS,
    field::CLASSES,
    field::ARCHIVED_CLASSES,
    field::ABBREVIATION,
];

impl Work<'_> {
    /// The IDs of the schools that the district's document lists, also of those that are gone: one read.
    pub(super) async fn known_schools(&self) -> Result<HashSet<String>, StoreError> {
        let district = self.database.get(&org_path(OrgType::District, &self.id)?).await?;
        let lists = [field::SCHOOLS, field::ARCHIVED_SCHOOLS].into_iter();
        let of_district = |district: &Document| -> HashSet<String> {
            lists.flat_map(|list| listed(&district.fields, list)).map(str::to_owned).collect()
        };
        Ok(district.as_ref().map(of_district).unwrap_or_default())
    }

    /// The district's orgs as ROAR has them: one read each, and another one where the roster's record differs. Of the
    /// others, only what tells that is kept: a large district has thousands.
    ///
    /// After a conflict, `by_id` finds those, too, that say to belong to another district, or to none.
    pub(super) async fn stored_orgs(
        &self,
        wanted: &[RosterOrg],
        by_id: bool,
    ) -> Result<HashMap<OrgKey, Document>, StoreError> {
        let mut stored = HashMap::new();
        if let Some(district) = self.database.get(&org_path(OrgType::District, &self.id)?).await? {
            stored.insert(OrgKey::new(OrgType::District, &self.id), district);
        }
        for org_type in [OrgType::School, OrgType::Class] {
            let query = Query::collection(org_type.plural()).equal(field::DISTRICT_ID, self.id.as_str());
            let query = query.select(&TELLING);
            let mut documents = self.database.stream(query);
            while let Some(document) = documents.try_next().await? {
                stored.insert(OrgKey::new(org_type, document.id()), document);
            }
        }
        let differs = |org: &&RosterOrg| match stored.get(&org.key) {
            Some(held) => org::differs(&held.fields, org),
            None => by_id,
        };
        let paths = wanted.iter().filter(differs).map(|org| org_path(org.key.org_type, &org.key.id));
        let paths: Vec<DocPath> = paths.collect::<Result<_, _>>()?;
        for batch in paths.chunks(BATCH) {
            for document in self.database.get_all(batch).await?.into_iter().flatten() {
                let org_type = OrgType::parse(document.path.collection_id()).unwrap_or(OrgType::Class);
                stored.insert(OrgKey::new(org_type, document.id()), document);
            }
        }
        Ok(stored)
    }
}

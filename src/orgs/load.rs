//! Reads the part of the org hierarchy that a caller needs.

use futures::{StreamExt, TryStreamExt};

use super::tree::HIERARCHY_FIELDS;
use super::{OrgKey, OrgLists, OrgTree, OrgType};
use crate::documents::org;
use crate::store::{Database, DocPath, Document, FieldPath, Query, Result};

/// Concurrent queries.
const PARALLEL: usize = 8;

/// How far a snapshot extends from the requested orgs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The orgs and their ancestors.
    Up,
    /// The orgs and their descendants.
    Down {
        /// Whether to load archived descendants.
        include_archived: bool,
    },
    /// The orgs, their descendants that aren't archived, and the ancestors of all of these.
    DownAndUp,
}

/// Reads a snapshot around `lists`.
///
/// Cost: one read for each org returned and one for each query that finds nothing new. Queries: for each level of the
/// hierarchy (districts, schools, classes, then one for each depth of groups) one batch get and, for every 30 orgs of
/// the level, one query for each kind of child. A district's classes are queried by district, so the number of queries
/// doesn't grow with the number of schools. Schools of these classes that the district query didn't return (archived
/// ones, or schools of another district by now) cost a read each.
pub async fn load_tree(database: &Database, lists: &OrgLists, reach: Reach) -> Result<OrgTree> {
    let mut loader = Loader { database, tree: OrgTree::default() };
    let listed: Vec<OrgKey> = lists.iter().map(|(org_type, id)| OrgKey::new(org_type, id)).collect();
    loader.get(listed).await?;
    if let Reach::Down { include_archived } = reach {
        loader.down(lists, include_archived).await?;
    }
    if reach == Reach::DownAndUp {
        loader.down(lists, false).await?;
    }
    if matches!(reach, Reach::Up | Reach::DownAndUp) {
        loader.up().await?;
    }
    Ok(loader.tree)
}

struct Loader<'a> {
    database: &'a Database,
    tree: OrgTree,
}

impl Loader<'_> {
    /// Gets those orgs that the snapshot lacks, by ID. IDs that can't be document IDs are skipped: no such org exists.
    async fn get(&mut self, keys: Vec<OrgKey>) -> Result<()> {
        let mask: Vec<FieldPath> = HIERARCHY_FIELDS.iter().map(|name| FieldPath::top(*name)).collect();
        let mut paths: Vec<DocPath> = keys
            .iter()
            .filter(|key| !self.tree.has(key))
            .filter_map(|key| DocPath::in_collection(key.org_type.plural(), &key.id).ok())
            .collect();
        paths.sort();
        paths.dedup();
        for document in self.database.get_fields(&paths, Some(&mask)).await?.into_iter().flatten() {
            self.tree.insert_document(&document);
        }
        Ok(())
    }

    /// Finds the orgs of `child_type` whose `link` is one of `parents`. Where the snapshot has some of them already, a
    /// count comes first, and the orgs are only read when there are more.
    async fn find(
        &mut self,
        child_type: OrgType,
        link: &str,
        parents: &[String],
        include_archived: bool,
    ) -> Result<()> {
        let mut asked = Vec::new();
        let children = Query::collection(child_type.plural()).select(&HIERARCHY_FIELDS);
        for (query, parents) in children.each_of(link, parents) {
            let query = if include_archived { query } else { query.equal(org::field::ARCHIVED, false) };
            asked.push((query, self.tree.count_children(child_type, parents, include_archived)));
        }
        let database = self.database.clone();
        let found: Vec<Vec<Document>> = futures::stream::iter(asked)
            .map(move |(query, known)| {
                let database = database.clone();
                async move {
                    if known > 0 && database.count(query.clone()).await? == known {
                        return Ok(Vec::new());
                    }
                    database.query(query).await
                }
            })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await?;
        let mut documents: Vec<Document> = found.into_iter().flatten().collect();
        // Sort, because the order must not depend on which query finished first.
        documents.sort_by(|one, other| one.path.cmp(&other.path));
        for document in &documents {
            self.tree.insert_document(document);
        }
        Ok(())
    }

    fn ids(&self, lists: &OrgLists, include_archived: bool, org_type: OrgType) -> Vec<String> {
        self.tree.exhaustive(lists, include_archived).of(org_type).to_vec()
    }

    /// Gets the schools of classes that were queried by district: the school determines a class's district.
    async fn get_schools_of_classes(&mut self) -> Result<()> {
        let classes = self.tree.orgs().filter(|(key, _)| key.org_type == OrgType::Class);
        let schools = classes.filter_map(|(_, class)| class.parent(OrgType::School).cloned()).collect();
        self.get(schools).await
    }

    async fn down(&mut self, lists: &OrgLists, include_archived: bool) -> Result<()> {
        let districts = self.ids(lists, include_archived, OrgType::District);
        self.find(OrgType::School, org::field::DISTRICT_ID, &districts, include_archived).await?;
        self.find(OrgType::Class, org::field::DISTRICT_ID, &districts, include_archived).await?;
        self.get_schools_of_classes().await?;
        let schools = self.ids(lists, include_archived, OrgType::School);
        self.find(OrgType::Class, org::field::SCHOOL_ID, &schools, include_archived).await?;
        // Groups may be below any org but families, and below other groups to any depth.
        let mut asked = std::collections::HashSet::new();
        loop {
            let reached = self.tree.exhaustive(lists, include_archived);
            let parents: Vec<String> = reached
                .iter()
                .filter(|(org_type, _)| *org_type != OrgType::Family)
                .map(|(_, id)| id.to_owned())
                .filter(|id| asked.insert(id.clone()))
                .collect();
            if parents.is_empty() {
                return Ok(());
            }
            self.find(OrgType::Group, org::field::PARENT_ORG_ID, &parents, include_archived).await?;
        }
    }

    async fn up(&mut self) -> Result<()> {
        // Climbs from class to school to district, or along a chain of groups, which may end at a class.
        loop {
            let missing: Vec<OrgKey> = self
                .tree
                .orgs()
                .flat_map(|(_, org)| org.parents.iter())
                .filter(|parent| !self.tree.has(parent))
                .cloned()
                .collect();
            let known = self.tree.orgs().count();
            self.get(missing).await?;
            if self.tree.orgs().count() == known {
                return Ok(());
            }
        }
    }
}

//! `getAdministrationOrgsAndStats`: an administration's orgs with their counts, one level of the tree at a
//! time (docs/domain/dashboard.md#getadministrationorgsandstats).

use std::collections::{BTreeMap, HashSet};

use super::counts::LEGACY;
use super::net;
use super::payload::{Level, OrgsAndStats};
use super::rows::{ROW_FIELDS, Row, View};
use crate::app::App;
use crate::documents::org;
use crate::documents::stats::field::ASSIGNMENT;
use crate::documents::stats::{Counters, stats_path};
use crate::orgs::{OrgKey, OrgType, Reach, load_tree};
use crate::rights::AdministrationReader;
use crate::runtime::FunctionError;
use crate::store::{Database, DocPath, Document, FieldOp, FieldPath, Fields, Query, Result};

/// Handles a call.
///
/// Cost: two reads for each row, its org and its counts. Added to these are the caller's claims and the
/// administration; for children, the parent and, for a district, two counts of its classes; a query for each 30
/// districts or schools that list no child; and a read of the legacy counts when some row has none.
/// For admins of orgs below those of the administration: reads of these orgs and their ancestors.
pub async fn get_administration_orgs_and_stats(
    app: App,
    permit: AdministrationReader,
    request: Level,
) -> std::result::Result<OrgsAndStats, FunctionError> {
    let view = View::new(&permit.administration.fields, &permit.requester.claims);
    let tree = Tree { database: &app.stores.admin, administration: &request.administration, view };
    let rows = match &request.parent {
        None => tree.roots().await?,
        Some(parent) => tree.children(parent).await?,
    };
    let (counts, parents) = futures::try_join!(tree.counts(&rows), tree.parents(&rows))?;
    let shown = |row: &Row| row.shown(parents.contains(&row.key), counts.get(&row.key).copied());
    Ok(OrgsAndStats { data: rows.iter().map(shown).collect() })
}

struct Tree<'a> {
    database: &'a Database,
    administration: &'a str,
    view: View,
}

/// Rows by org, so that each org occurs once and the order is deterministic.
type Rows = BTreeMap<OrgKey, Row>;

impl Tree<'_> {
    /// The top-most orgs: those of the administration, and where the caller administers only a part of one, that part.
    async fn roots(&self) -> Result<Vec<Row>> {
        let mut roots = self.view.roots().clone();
        let candidates = self.view.candidates();
        if !candidates.is_empty() {
            let tree = load_tree(self.database, candidates, Reach::Up).await?;
            roots.extend(&self.view.roots_below(&tree));
        }
        let rows = self.rows(roots.iter().map(|(org_type, id)| OrgKey::new(org_type, id))).await?;
        Ok(sorted(rows))
    }

    /// The children of an org: a district's schools and its classes without a school, or a school's classes. Pages
    /// expand no other types of orgs.
    async fn children(&self, parent: &OrgKey) -> Result<Vec<Row>> {
        // The administration's list has the ancestors of all assigned orgs, so nothing below an unlisted org is
        // assigned.
        if !self.view.sees(parent) {
            return Ok(Vec::new());
        }
        let rows = match parent.org_type {
            OrgType::District => {
                let (mut schools, classes) = futures::try_join!(
                    self.linked(parent, OrgType::School, org::field::DISTRICT_ID),
                    self.classes_without_school(&parent.id)
                )?;
                schools.extend(classes);
                schools
            }
            OrgType::School => self.linked(parent, OrgType::Class, org::field::SCHOOL_ID).await?,
            OrgType::Class | OrgType::Group | OrgType::Family => Rows::new(),
        };
        Ok(sorted(rows))
    }

    /// The children of the given type that the caller sees, found by the children's links to the parent. Archived
    /// children are included as long as an org below them is assigned.
    async fn linked(&self, parent: &OrgKey, child_type: OrgType, link: &str) -> Result<Rows> {
        if !self.view.sees_any(child_type) {
            return Ok(Rows::new());
        }
        let query = Query::collection(child_type.plural()).equal(link, parent.id.as_str()).select(&ROW_FIELDS);
        Ok(self.seen(&self.database.query(query).await?))
    }

    /// The classes that belong to a district directly, without a school. A query can't find documents without a field,
    /// so counts tell first whether there are any such classes; nearly all districts have none.
    async fn classes_without_school(&self, district: &str) -> Result<Rows> {
        if !self.view.sees_any(OrgType::Class) {
            return Ok(Rows::new());
        }
        let classes = Query::collection(org::field::CLASSES)
            .equal(org::field::DISTRICT_ID, district)
            .equal(org::field::ARCHIVED, false);
        let in_schools = classes.clone().filter(org::field::SCHOOL_ID, FieldOp::GreaterThan, "");
        let (all, in_schools) =
            futures::try_join!(self.database.count(classes.clone()), self.database.count(in_schools))?;
        if all == in_schools {
            return Ok(Rows::new());
        }
        let mut rows = self.seen(&self.database.query(classes.select(&ROW_FIELDS)).await?);
        rows.retain(|_, row| row.school.is_none());
        Ok(rows)
    }

    /// The rows of orgs by their names; those that don't exist are left out.
    async fn rows(&self, keys: impl IntoIterator<Item = OrgKey>) -> Result<Rows> {
        let paths = keys
            .into_iter()
            .filter_map(|key| DocPath::in_collection(key.org_type.plural(), &key.id).ok())
            .collect::<Vec<_>>();
        let mask = ROW_FIELDS.map(FieldPath::top);
        let documents = self.database.get_fields(&paths, Some(&mask)).await?;
        let rows = documents.iter().flatten().filter_map(Row::read);
        Ok(rows.map(|row| (row.key.clone(), row)).collect())
    }

    fn seen(&self, documents: &[Document]) -> Rows {
        let rows = documents.iter().filter_map(Row::read).filter(|row| self.view.sees(&row.key));
        rows.map(|row| (row.key.clone(), row)).collect()
    }

    /// The counts of the given rows, without those that have no counts.
    async fn counts(&self, rows: &[Row]) -> Result<BTreeMap<OrgKey, Counters>> {
        let path = |row: &Row| stats_path(self.administration, &row.key.id);
        let paths = rows.iter().map(path).collect::<Result<Vec<_>>>()?;
        let documents = self.database.get_fields(&paths, Some(&[FieldPath::top(ASSIGNMENT)])).await?;
        let legacy = match documents.iter().any(Option::is_none) {
            true => self.database.get(&stats_path(self.administration, LEGACY)?).await?,
            false => None,
        };
        let counts_of = |row: &Row, document: Option<Document>| {
            let kept_once = || net::legacy(&legacy.as_ref()?.fields, &row.key.id);
            let counts: Option<&Fields> = document.as_ref().map(|document| &document.fields).or_else(kept_once);
            counts.map(net::of_assignments)
        };
        let counts = rows.iter().zip(documents);
        Ok(counts.filter_map(|(row, document)| Some((row.key.clone(), counts_of(row, document)?))).collect())
    }

    /// The districts and schools of `rows` below which the caller sees an org. The parents' own lists show most
    /// children; children that only link to their parent are found by a query.
    async fn parents(&self, rows: &[Row]) -> Result<HashSet<OrgKey>> {
        let of_type = |org_type| rows.iter().filter(move |row: &&Row| row.key.org_type == org_type);
        let mut parents = HashSet::new();
        let unknown = |parents: &mut HashSet<OrgKey>, org_type, child_type| {
            let (known, unknown): (Vec<&Row>, Vec<&Row>) = of_type(org_type).partition(|row| {
                row.children.iter().any(|child| child.org_type == child_type && self.view.sees(child))
            });
            parents.extend(known.into_iter().map(|row| row.key.clone()));
            unknown.into_iter().map(|row| row.key.id.clone()).collect::<Vec<String>>()
        };
        let districts = unknown(&mut parents, OrgType::District, OrgType::School);
        let schools = unknown(&mut parents, OrgType::School, OrgType::Class);
        let (of_districts, of_schools) = futures::try_join!(
            self.having(&districts, OrgType::School, org::field::DISTRICT_ID, |_| true),
            self.having(&schools, OrgType::Class, org::field::SCHOOL_ID, |_| true)
        )?;
        let districts: Vec<String> = districts.into_iter().filter(|id| !of_districts.contains(id)).collect();
        let direct = |row: &Row| row.school.is_none();
        let of_classes = self.having(&districts, OrgType::Class, org::field::DISTRICT_ID, direct).await?;
        let found = of_districts.into_iter().chain(of_classes).map(|id| OrgKey::new(OrgType::District, id));
        parents.extend(found);
        parents.extend(of_schools.into_iter().map(|id| OrgKey::new(OrgType::School, id)));
        Ok(parents)
    }

    /// Those of `parents` to which a child of the given type links that the caller sees and for which `counts` is true.
    async fn having(
        &self,
        parents: &[String],
        child_type: OrgType,
        link: &str,
        counts: impl Fn(&Row) -> bool,
    ) -> Result<HashSet<String>> {
        if !self.view.sees_any(child_type) {
            return Ok(HashSet::new());
        }
        let children = Query::collection(child_type.plural()).select(&[org::field::DISTRICT_ID, org::field::SCHOOL_ID]);
        let found = self.database.query_each(children.each_of(link, parents).map(|(query, _)| query)).await?;
        let rows = self.seen(&found).into_values();
        let parent = |row: Row| if link == org::field::SCHOOL_ID { row.school } else { row.district };
        Ok(rows.filter(|row| counts(row)).filter_map(parent).collect())
    }
}

/// The rows in order, by type and then by name.
fn sorted(rows: Rows) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_by(|one, other| (one.key.org_type, &one.name).cmp(&(other.key.org_type, &other.name)));
    rows
}

//! `getAssignmentStats`: how far an administration's students are (docs/domain/dashboard.md#getassignmentstats).

use std::collections::{BTreeMap, HashMap};

use super::net::{self, Stats};
use super::payload::{AssignmentStats, Counting, Tasks};
use crate::app::App;
use crate::documents::administration::{self, Administration, administration_path};
use crate::documents::stats::field::ASSIGNMENT;
use crate::documents::stats::{COMPLETION, TOTAL, stats_path};
use crate::orgs::{OrgLists, OrgType};
use crate::rights::{Claims, READERSHIP_FIELDS, Readable, Readership};
use crate::runtime::FunctionError;
use crate::store::{Database, DocPath, Document, FieldPath, Fields, Result};

/// How many administrations are processed at once; with all of their assessments, they may take much memory.
const BATCH: usize = 200;
/// The legacy document that held all counts of an administration.
pub(super) const LEGACY: &str = COMPLETION;

/// Handles a call. Administrations that the caller may not read or that don't exist are left out of the answer.
///
/// A caller gets an org's counts if they administer the org, and the counts of all students if they administer all orgs
/// to which the administration is assigned. The right to read an administration is not enough: a class may have one
/// child, and a school's admin may read administrations that are assigned to the whole district.
///
/// Cost: one read for each administration; another for its document, except for super admins who don't ask for
/// all tasks; and where there are no counts yet, one for the legacy document and one to check that the administration
/// exists. (An administration that is being deleted may be in the answer as long as its counts exist.)
pub async fn get_assignment_stats(
    app: App,
    permit: Readable,
    request: Counting,
) -> std::result::Result<AssignmentStats, FunctionError> {
    let claims = &permit.requester.claims;
    let mut data = BTreeMap::new();
    // When the caller has rights over nothing that the request names, nothing is read.
    let may_be_told = match &request.org {
        // The ID alone identifies an org, whatever the org's type.
        Some(org) => OrgType::ALL.into_iter().any(|org_type| claims.admin_orgs.contains(org_type, org)),
        None => !claims.admin_orgs.is_empty(),
    };
    if claims.super_admin || may_be_told {
        let question = Question {
            database: &app.stores.admin,
            readership: Readership::of(claims),
            claims,
            key: request.org.as_deref().unwrap_or(TOTAL),
            tasks: &request.tasks,
        };
        for batch in request.administrations.chunks(BATCH) {
            data.extend(question.answer(batch).await?);
        }
    }
    Ok(AssignmentStats { data })
}

struct Question<'a> {
    database: &'a Database,
    readership: Readership,
    claims: &'a Claims,
    /// An org's ID, or `total`.
    key: &'a str,
    tasks: &'a Tasks,
}

impl Question<'_> {
    async fn answer(&self, ids: &[String]) -> Result<BTreeMap<String, Stats>> {
        let known = self.administrations(ids).await?;
        let readable: Vec<&str> = match &known {
            Some(known) => ids.iter().map(String::as_str).filter(|id| known.contains_key(*id)).collect(),
            None => ids.iter().map(String::as_str).collect(),
        };
        let mut counts = self.counts(&readable).await?;
        let without: Vec<&str> = readable.iter().copied().filter(|id| !counts.contains_key(*id)).collect();
        let (legacy, existing) = futures::try_join!(self.legacy(&without), self.existing(&without, known.is_some()))?;
        counts.extend(existing.into_iter().map(|id| (id, Fields::new())));
        // The legacy counts are added last: they replace the empty fields of administrations without counts of their
        // own.
        counts.extend(legacy);
        let shown = |(id, counts): (String, Fields)| {
            let answer = match self.tasks {
                Tasks::None => net::flat(&counts, None),
                Tasks::Named(tasks) => net::flat(&counts, Some(tasks)),
                Tasks::All => net::flat(&counts, Some(known.as_ref()?.get(&id)?)),
            };
            Some((id, answer))
        };
        Ok(counts.into_iter().filter_map(shown).collect())
    }

    /// The administrations that exist and that the caller may read, each with its tasks. `None` when neither the right
    /// nor the tasks have to be known.
    async fn administrations(&self, ids: &[String]) -> Result<Option<HashMap<String, Vec<String>>>> {
        let mut mask = Vec::new();
        if !self.readership.is_super_admin() {
            mask.extend(READERSHIP_FIELDS);
        }
        if *self.tasks == Tasks::All {
            mask.push(administration::field::ASSESSMENTS);
        }
        if mask.is_empty() {
            return Ok(None);
        }
        let mask: Vec<FieldPath> = mask.into_iter().map(FieldPath::top).collect();
        let paths = ids.iter().map(|id| administration_path(id)).collect::<Result<Vec<_>>>()?;
        let found = self.database.get_fields(&paths, Some(&mask)).await?.into_iter().flatten();
        let readable = found.filter(|document| {
            self.readership.may_read(&document.fields)
                && if self.key == TOTAL { self.has_all(&document.fields) } else { self.has_org(&document.fields) }
        });
        let tasks_of = |document: Document| {
            let administration = Administration::from_document(&document);
            let tasks = administration.assessments.into_iter().map(|assessment| assessment.task_id).collect();
            (administration.id, tasks)
        };
        Ok(Some(readable.map(tasks_of).collect()))
    }

    /// True when the caller administers all that the administration is assigned to.
    fn has_all(&self, administration: &Fields) -> bool {
        // Without minimal orgs, the caller must administer all orgs that may read the administration.
        let orgs = [
            lists(administration, administration::field::MINIMAL_ORGS),
            lists(administration, administration::field::READ_ORGS),
        ];
        let orgs = orgs.into_iter().find(|orgs| !orgs.is_empty()).unwrap_or_default();
        self.claims.super_admin || (!orgs.is_empty() && self.claims.administers_all(&orgs))
    }

    /// True when the caller administers the administration's org with the requested ID, whatever its type. If orgs of
    /// two types had this ID, the caller must administer both, because counts are stored under the ID alone.
    fn has_org(&self, administration: &Fields) -> bool {
        let orgs = lists(administration, administration::field::READ_ORGS);
        let is_anothers = |of| orgs.contains(of, self.key) && !self.claims.admin_orgs.contains(of, self.key);
        self.claims.super_admin || !OrgType::ALL.into_iter().any(is_anothers)
    }

    /// The counts of the given administrations, without those that have no counts.
    async fn counts(&self, ids: &[&str]) -> Result<HashMap<String, Fields>> {
        let mask: Option<Vec<FieldPath>> = match self.tasks {
            Tasks::None => Some(vec![FieldPath::top(ASSIGNMENT)]),
            Tasks::Named(tasks) => {
                let others = tasks.iter().filter(|task| *task != ASSIGNMENT).cloned();
                Some(others.chain([ASSIGNMENT.to_owned()]).map(FieldPath::top).collect())
            }
            Tasks::All => None,
        };
        let documents = self.get(ids, |id| stats_path(id, self.key), mask.as_deref()).await?;
        Ok(documents.into_iter().map(|(id, document)| (id, document.fields)).collect())
    }

    /// The counts from the legacy documents.
    async fn legacy(&self, ids: &[&str]) -> Result<Vec<(String, Fields)>> {
        let mask = [FieldPath::top(self.key)];
        let documents = self.get(ids, |id| stats_path(id, LEGACY), Some(&mask)).await?;
        let counts = |(id, document): (String, Document)| Some((id, net::legacy(&document.fields, self.key)?.clone()));
        Ok(documents.into_iter().filter_map(counts).collect())
    }

    /// The administrations that exist, of those that have no counts.
    async fn existing(&self, ids: &[&str], known: bool) -> Result<Vec<String>> {
        if known {
            return Ok(ids.iter().map(|id| (*id).to_owned()).collect());
        }
        let documents =
            self.get(ids, administration_path, Some(&[FieldPath::top(administration::field::CREATED_BY)])).await?;
        Ok(documents.into_iter().map(|(id, _)| id).collect())
    }

    async fn get(
        &self,
        ids: &[&str],
        path: impl Fn(&str) -> Result<DocPath>,
        mask: Option<&[FieldPath]>,
    ) -> Result<Vec<(String, Document)>> {
        let paths = ids.iter().map(|id| path(id)).collect::<Result<Vec<_>>>()?;
        let documents = self.database.get_fields(&paths, mask).await?;
        let found = ids.iter().zip(documents).filter_map(|(id, document)| Some(((*id).to_owned(), document?)));
        Ok(found.collect())
    }
}

fn lists(administration: &Fields, name: &str) -> OrgLists {
    OrgLists::from_value(administration.get(name))
}

//! Reconciling: checks whether everything that is derived from assignments agrees with them, and whether assignments
//! agree with their administrations, students and orgs (docs/domain/documents.md#what-must-always-hold); and repairs
//! differences while the service handles traffic.
//!
//! Pure: [`examine`] (one student), [`ledger`] (the counts), [`members`] (which users were examined), [`report`].
//! With reads and writes: [`standing`] (whether an administration can be examined now), `walk` (examines one
//! administration), `repair` (repairs students, in transactions), `measure` (measures and repairs counts). Memory use
//! is proportional to the number of orgs, plus one page of students.
//!
//! Cost of n assignments that agree: about 2n reads (each assignment and its student), one or two reads for each org
//! and its counts, and no write.

pub(crate) mod callable;
pub mod examine;
pub mod hierarchy;
pub mod ledger;
mod measure;
pub mod members;
mod options;
mod pages;
mod repair;
pub mod report;
mod runs_aside;
pub mod standing;
mod traces;
mod walk;

use std::collections::BTreeSet;

use self::pages::PAGE;
use futures::TryStreamExt as _;

pub use callable::reconcile_administration;
pub use options::{Options, Step, Watch};
pub use report::Report;

use crate::administrations::{Origin, bring_about};
use crate::app::App;
use crate::documents::administration::{self, administration_path};
use crate::documents::administration_sync::Control;
use crate::documents::assignment;
use crate::store::{Database, Direction, FieldOp, Query, Result, Value};

/// Reconciles one administration; `None` when neither the administration nor any document about it exists.
pub async fn reconcile_one(app: &App, id: &str, options: &Options, watch: Watch<'_>) -> Result<Option<Report>> {
    administration_path(id)?;
    watch(Step::Found(1));
    let (report, _) = walk::administration(app, id, options, watch).await?;
    let is_nothing = report.state == report::State::Gone && report.assignments == 0 && report.kinds.is_empty();
    Ok((!is_nothing).then(|| Report::new(options.fix, vec![report])))
}

/// Reconciles all administrations: those that exist, and those that only assignments or students' lists still name.
pub async fn reconcile_all(app: &App, options: &Options, watch: Watch<'_>) -> Result<Report> {
    let ids = administrations(&app.stores.admin).await?;
    watch(Step::Found(ids.len()));
    let mut reports = Vec::with_capacity(ids.len());
    let mut strangers = BTreeSet::new();
    for id in &ids {
        let (report, listed) = walk::administration(app, id, options, watch).await?;
        reports.push(report);
        strangers.extend(listed);
        strangers.retain(|stranger| !ids.contains(stranger));
        while strangers.len() > walk::MOST_STRANGERS {
            strangers.pop_last();
        }
    }
    watch(Step::Found(ids.len() + strangers.len()));
    for id in &strangers {
        let (report, _) = walk::administration(app, id, options, watch).await?;
        if !(report.state == report::State::Gone && report.kinds.is_empty()) {
            reports.push(report);
        }
    }
    Ok(Report::new(options.fix, reports))
}

/// Begins a sync of every administration that this service has never synced, such as those of older functions. Only a
/// sync writes the lists of orgs by which administrations are found, and the state that the next change is compared
/// with. Returns the IDs of these administrations. Call this only after the older functions were switched off: a sync
/// writes assignments. (For closed administrations, it only updates details of existing assignments.)
///
/// Cost: two reads for each administration, and the reads and writes of the syncs.
pub async fn adopt(app: &App, only: Option<&str>) -> Result<Vec<String>> {
    let database = &app.stores.admin;
    let ids = match only {
        Some(id) => vec![id.to_owned()],
        None => {
            let existing = database.query(Query::collection(administration::COLLECTION).select(&[])).await?;
            existing.iter().map(|document| document.id().to_owned()).collect()
        }
    };
    let mut adopted = Vec::new();
    for batch in ids.chunks(PAGE as usize) {
        let paths = batch.iter().map(|id| Control::path(id)).collect::<Result<Vec<_>>>()?;
        let known = database.get_fields(&paths, Some(&[])).await?;
        for (id, _) in batch.iter().zip(known).filter(|(_, known)| known.is_none()) {
            if bring_about(app, id, Origin::Older).await? {
                adopted.push(id.clone());
            }
        }
    }
    Ok(adopted)
}

/// The IDs of all administrations, and of those that assignments name. Each query for assignments skips to the next ID.
async fn administrations(database: &Database) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    let mut existing = database.stream(Query::collection(administration::COLLECTION).select(&[]));
    while let Some(document) = existing.try_next().await? {
        ids.insert(document.id().to_owned());
    }
    let mut last = Value::from("");
    loop {
        let next = assignment::all()
            .filter(assignment::field::ID, FieldOp::GreaterThan, last)
            .order_by(assignment::field::ID, Direction::Ascending)
            .limit(1);
        let found = database.query(next).await?;
        let Some(id) = found.first().and_then(|found| found.fields.get(assignment::field::ID)).and_then(Value::as_str)
        else {
            break;
        };
        last = Value::from(id);
        if administration_path(id).is_ok() {
            ids.insert(id.to_owned());
        }
    }
    Ok(ids)
}

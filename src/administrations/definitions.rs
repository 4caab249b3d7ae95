//! A cache of the administrations that are being fanned out, so that all chunks of a fan-out share one read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::fanout::ownership::Ownership;
use crate::app::App;
use crate::assignments::build::Definition;
use crate::documents::administration::{Administration, administration_path};
use crate::documents::administration_sync::Control;
use crate::documents::org_lists::OrgSet;
use crate::orgs::{OrgTree, Reach, load_tree};
use crate::store::{Database, StoreError};

/// How many fan-outs are cached at once. Beyond that, definitions are read again.
const CAPACITY: usize = 32;

/// A [`Definition`] with everything else that the chunks of one version need.
pub struct Prepared {
    /// Which students get which assessments.
    pub definition: Definition,
    /// The org that owns each student in the assign phases.
    pub assigned_owners: Ownership,
    /// Orgs that this version removes from assignments.
    pub removing: OrgSet,
    /// The org that owns each student in the remove phases.
    pub removing_owners: Ownership,
    /// Only details reach assignments, because the administration is closed
    /// (docs/domain/administrations.md#closing-and-reopening).
    pub details_only: bool,
}

impl Prepared {
    /// Prepares an administration for the sync version in `control`, from a snapshot of its orgs and their ancestors.
    pub fn new(administration: Administration, tree: OrgTree, control: &Control) -> Prepared {
        // The assignments of a closed administration keep orgs that it has lost, so its details must reach those too.
        let reached = if control.details_only { control.applied.as_ref() } else { control.only.as_ref() };
        Prepared {
            assigned_owners: Ownership::new(reached.unwrap_or(&control.assigned)),
            removing: control.removing.to_set(),
            removing_owners: Ownership::new(&control.removing),
            details_only: control.details_only,
            definition: Definition { administration, assigned: control.assigned.to_set(), tree: Arc::new(tree) },
        }
    }
}

type Slot = Arc<OnceCell<Arc<Prepared>>>;

/// A small cache, keyed by administration and sync version.
#[derive(Default)]
pub struct Definitions {
    slots: Mutex<VecDeque<((String, i64), Slot)>>,
    refused: AtomicU64,
}

impl Definitions {
    /// The cache of this process.
    pub fn of(app: &App) -> Arc<Definitions> {
        app.extension()
    }

    /// Caches what a plan has just read.
    pub fn put(&self, administration: &str, version: i64, prepared: Prepared) {
        let slot = Slot::default();
        // The slot is new, so it takes the value.
        let _ = slot.set(Arc::new(prepared));
        let mut slots = self.slots.lock();
        slots.retain(|(key, _)| key.0 != administration);
        slots.push_back(((administration.to_owned(), version), slot));
        if slots.len() > CAPACITY {
            slots.pop_front();
        }
    }

    /// Counts a student whom a fan-out of this process skipped, because the store refused the student's documents.
    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many students the fan-outs of this process have skipped.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Removes an administration whose version numbers start again.
    pub fn forget(&self, administration: &str) {
        self.slots.lock().retain(|(key, _)| key.0 != administration);
    }

    /// The definition: the administration and the orgs around it. A definition that isn't cached (after a restart, or
    /// on another instance) is read again. `None` when the administration is gone or the version is superseded.
    pub async fn get(
        &self,
        database: &Database,
        administration: &str,
        version: i64,
    ) -> Result<Option<Arc<Prepared>>, StoreError> {
        let slot = {
            let mut slots = self.slots.lock();
            let key = (administration.to_owned(), version);
            match slots.iter().find(|(known, _)| *known == key) {
                Some((_, slot)) => slot.clone(),
                None => {
                    let slot = Slot::default();
                    slots.push_back((key, slot.clone()));
                    if slots.len() > CAPACITY {
                        slots.pop_front();
                    }
                    slot
                }
            }
        };
        let loaded = slot
            .get_or_try_init(|| async {
                match load(database, administration, version).await {
                    Ok(Some(prepared)) => Ok(Arc::new(prepared)),
                    Ok(None) => Err(None),
                    Err(error) => Err(Some(error)),
                }
            })
            .await;
        match loaded {
            Ok(prepared) => Ok(Some(prepared.clone())),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }
}

async fn load(database: &Database, id: &str, version: i64) -> Result<Option<Prepared>, StoreError> {
    let found = database.get_all(&[administration_path(id)?, Control::path(id)?]).await?;
    let [Some(document), Some(control)] = found.as_slice() else { return Ok(None) };
    let control = Control::read(control);
    if !Control::is_at(Some(&control), version) {
        return Ok(None);
    }
    let tree = load_tree(database, &control.assigned, Reach::Up).await?;
    Ok(Some(Prepared::new(Administration::from_document(document), tree, &control)))
}

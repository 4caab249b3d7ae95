//! Administrations whose fan-out is under way, read once for all of its chunks.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::model::Administration;
use super::normalise::NormalOrgs;
use crate::assignments::build::Definition;
use crate::orgs::{OrgLists, Reach, load_tree};
use crate::store::{Database, DocPath, StoreError};

/// How many fan-outs are remembered at once; more only cost reads.
const CAPACITY: usize = 32;

/// A [`Definition`] with the lists that its fan-out goes through.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Who gets what.
    pub definition: Definition,
    /// The exhaustive orgs, in order.
    pub assigned: OrgLists,
}

impl Prepared {
    /// Prepares an administration over a snapshot that reaches down and up from its orgs.
    pub fn new(administration: Administration, orgs: &NormalOrgs, tree: crate::orgs::OrgTree) -> Prepared {
        let assigned = orgs.assigned.clone();
        Prepared { definition: Definition { administration, assigned: assigned.to_set(), tree }, assigned }
    }
}

type Slot = Arc<OnceCell<Arc<Prepared>>>;

/// A small cache by administration and version of its sync.
#[derive(Default)]
pub struct Definitions {
    slots: Mutex<VecDeque<((String, i64), Slot)>>,
}

impl Definitions {
    /// Remembers what a plan has just read.
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

    /// The definition, read again when it isn't remembered (after a restart, or on another machine):
    /// the administration and the orgs around it. `None` when the administration is gone.
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
                match load(database, administration).await {
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

async fn load(database: &Database, id: &str) -> Result<Option<Prepared>, StoreError> {
    let Some(document) = database.get(&DocPath::in_collection("administrations", id)?).await? else { return Ok(None) };
    let administration = Administration::from_document(&document);
    let input = administration.input_orgs();
    let tree = load_tree(database, &input, Reach::DownAndUp).await?;
    let orgs = NormalOrgs::compute(&tree, &input);
    Ok(Some(Prepared::new(administration, &orgs, tree)))
}

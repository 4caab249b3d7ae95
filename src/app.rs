//! What every handler gets: the two databases, the clock and IDs, the task queue, and the settings
//! that rules depend on. It knows no room; what rooms keep while the process lives, it holds by type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::accounts::Accounts;
use crate::context::Context;
use crate::runtime::TaskQueue;
use crate::store::{Database, Timestamp};

/// The two databases of a ROAR deployment (docs/domain/documents.md#the-two-databases).
#[derive(Clone)]
pub struct Stores {
    /// Personal data: names, e-mails, dates of birth, orgs, administrations, assignments.
    pub admin: Database,
    /// De-identified data: runs, trials, tasks, guests, mirrored orgs.
    pub assessment: Database,
}

/// Label of the admin database in the table of functions.
pub const ADMIN: &str = "admin";
/// Label of the assessment database in the table of functions.
pub const ASSESSMENT: &str = "assessment";

/// Settings that rules depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Types of users that get assignments; ROAR assigns to students only (docs/domain/assignments.md#user-types).
    pub assigned_user_types: Vec<String>,
    /// What the `createAdministration` callable may change about a running administration.
    pub edit_in_progress: EditInProgress,
    /// A promotion also brings the assessments that apply from then on, instead of the next change of
    /// their administration (docs/domain/assignments.md#corrections-and-promotions).
    pub assign_on_promotion: bool,
    /// Fields of orgs that their mirrors leave out (docs/domain/orgs.md#mirrors-in-the-assessment-database).
    pub mirror_omit: Vec<String>,
    /// The largest share of a roster that may be missing before a sync stops and somebody has to look: 0.2 is a
    /// fifth (docs/domain/rosters.md#safety-stops).
    pub roster_missing_share: f64,
}

impl Settings {
    /// Fields of orgs that their mirrors leave out unless the settings name others (docs/domain/decisions.md#a-18).
    pub const MIRROR_OMIT: [&str; 4] = ["districtContact", "principal", "phone", "createdBy"];
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            assigned_user_types: vec!["student".to_owned()],
            edit_in_progress: EditInProgress::Deny,
            assign_on_promotion: false,
            mirror_omit: Settings::MIRROR_OMIT.map(str::to_owned).to_vec(),
            roster_missing_share: 0.2,
        }
    }
}

/// What may change about an administration between its opening and its closing
/// (docs/domain/administrations.md#changing-while-in-progress).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditInProgress {
    /// Nothing.
    Deny,
    /// Its names, tags and legal texts; more orgs; a later closing date.
    Extend,
    /// Everything.
    Allow,
}

/// The accounts of the two projects (docs/domain/rights.md#who-somebody-is).
#[derive(Clone)]
pub struct Projects {
    /// Where people sign in.
    pub admin: Accounts,
    /// Where de-identified users are.
    pub assessment: Accounts,
}

/// The application. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The databases.
    pub stores: Stores,
    /// The accounts of the two projects.
    pub accounts: Projects,
    /// The clock and IDs.
    pub context: Context,
    /// Where tasks are handed in.
    pub tasks: Arc<dyn TaskQueue>,
    /// Settings of rules.
    pub settings: Arc<Settings>,
    extensions: Extensions,
}

/// What rooms keep, one value of a type. Clones share it.
#[derive(Clone, Default)]
struct Extensions(Arc<Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>>);

impl App {
    /// An application over the given parts.
    pub fn new(
        stores: Stores,
        accounts: Projects,
        context: Context,
        tasks: Arc<dyn TaskQueue>,
        settings: Settings,
    ) -> Self {
        let settings = Arc::new(settings);
        App { stores, accounts, context, tasks, settings, extensions: Extensions::default() }
    }

    /// The same application, with a room's value in place of the one that [`App::extension`] would make.
    pub fn with_extension<T: Send + Sync + 'static>(mut self, value: T) -> App {
        let mut held = self.extensions.0.lock().clone();
        held.insert(TypeId::of::<T>(), Arc::new(value));
        self.extensions = Extensions(Arc::new(Mutex::new(held)));
        self
    }

    /// What a room keeps while the process lives, the same for all clones of this application; made when it's first
    /// asked for, unless it was given.
    pub fn extension<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut held = self.extensions.0.lock();
        let known = held.get(&TypeId::of::<T>()).cloned().and_then(|value| value.downcast().ok());
        known.unwrap_or_else(|| {
            let made = Arc::new(T::default());
            held.insert(TypeId::of::<T>(), made.clone());
            made
        })
    }

    /// The same application, which can't write a document: for saying what would be done.
    pub fn read_only(&self) -> App {
        let Stores { admin, assessment } = &self.stores;
        App { stores: Stores { admin: admin.read_only(), assessment: assessment.read_only() }, ..self.clone() }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.context.now()
    }
}

//! What every handler gets: the two databases, the accounts, the clock and IDs, the task queue, and the settings that
//! rules depend on. `App` depends on no room of the service: values that a room keeps while the process lives are held
//! by their type.

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
    /// Whether a promotion also assigns the assessments that apply from then on at once, rather than with the next
    /// change of their administration (docs/domain/assignments.md#corrections-and-promotions).
    pub assign_on_promotion: bool,
    /// Fields of orgs that their mirrors leave out (docs/domain/orgs.md#mirrors-in-the-assessment-database).
    pub mirror_omit: Vec<String>,
    /// The share of a roster that may be missing before a safety stop: 0.2 is a fifth
    /// (docs/domain/rosters.md#safety-stops).
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

/// The application state that handlers share. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The databases.
    pub stores: Stores,
    /// The accounts of the two projects.
    pub accounts: Projects,
    /// The clock and IDs.
    pub context: Context,
    /// The queue that takes tasks.
    pub tasks: Arc<dyn TaskQueue>,
    /// Settings of rules.
    pub settings: Arc<Settings>,
    extensions: Extensions,
}

/// Values that rooms keep, one for each type. Clones share them.
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

    /// The same application, with a room's value set beforehand instead of the default that [`App::extension`] would
    /// create.
    pub fn with_extension<T: Send + Sync + 'static>(mut self, value: T) -> App {
        let mut held = self.extensions.0.lock().clone();
        held.insert(TypeId::of::<T>(), Arc::new(value));
        self.extensions = Extensions(Arc::new(Mutex::new(held)));
        self
    }

    /// The value of a type that a room keeps while the process lives, shared by all clones of this application. It's
    /// created by default on first use, unless [`App::with_extension`] has set it.
    pub fn extension<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut held = self.extensions.0.lock();
        let known = held.get(&TypeId::of::<T>()).cloned().and_then(|value| value.downcast().ok());
        known.unwrap_or_else(|| {
            let made = Arc::new(T::default());
            held.insert(TypeId::of::<T>(), made.clone());
            made
        })
    }

    /// The same application with read-only databases: for dry runs.
    pub fn read_only(&self) -> App {
        let Stores { admin, assessment } = &self.stores;
        App { stores: Stores { admin: admin.read_only(), assessment: assessment.read_only() }, ..self.clone() }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.context.now()
    }
}

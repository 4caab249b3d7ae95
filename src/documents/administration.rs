//! An administration's document: its path, its field names, and how the rest of the crate reads them.

use std::collections::BTreeSet;

use super::assignment::{may_be_key, progress_key};
use super::conditions::Condition;
use super::dates::{self, Edge};
use crate::documents::org_lists::{OrgLists, OrgType};
use crate::store::{DocPath, Document, Fields, Result, Timestamp, Value};

/// Names of the fields of administrations, with those of their assessments; what they mean: docs/domain/documents.md#administrations.
#[allow(missing_docs, reason = "the page says what each field means")]
pub mod field {
    pub const NAME: &str = "name";
    pub const PUBLIC_NAME: &str = "publicName";
    pub const CREATED_BY: &str = "createdBy";
    pub const DATE_CREATED: &str = "dateCreated";
    pub const DATE_OPENED: &str = "dateOpened";
    pub const DATE_CLOSED: &str = "dateClosed";
    pub const SEQUENTIAL: &str = "sequential";
    pub const ASSESSMENTS: &str = "assessments";
    pub const TAGS: &str = "tags";
    pub const LEGAL: &str = "legal";
    pub const TEST_DATA: &str = "testData";
    pub const DEMO_DATA: &str = "demoData";
    pub const FORMAT_VERSION: &str = "formatVersion";
    pub const MINIMAL_ORGS: &str = "minimalOrgs";
    pub const READ_ORGS: &str = "readOrgs";
    pub const SYNC_STATUS: &str = "syncStatus";
    pub const SYNC_CHUNKS_TOTAL: &str = "syncChunksTotal";
    pub const SYNC_CHUNKS_COMPLETED: &str = "syncChunksCompleted";
    pub const SYNC_ERROR_MESSAGE: &str = "syncErrorMessage";
    pub const SYNC_PROBLEMS: &str = "syncProblems";
    pub const TASK_ID: &str = "taskId";
    pub const VARIANT_ID: &str = "variantId";
    pub const VARIANT_NAME: &str = "variantName";
    pub const PARAMS: &str = "params";
    pub const CONDITIONS: &str = "conditions";
    pub const ASSIGNED: &str = "assigned";
    pub const OPTIONAL: &str = "optional";
}

/// The collection, in the admin database.
pub const COLLECTION: &str = "administrations";

/// The path of an administration's document.
pub fn administration_path(id: &str) -> Result<DocPath> {
    DocPath::in_collection(COLLECTION, id)
}

/// An administration. Unknown fields stay in `fields`.
#[derive(Clone, Debug, PartialEq)]
pub struct Administration {
    /// Its document's ID.
    pub id: String,
    /// The document.
    pub fields: Fields,
    /// Its assessments, in order; entries without a task ID, or with one that can't be stored as a key, are left out.
    pub assessments: Vec<Assessment>,
    /// The fields of users on which the administration's conditions depend.
    pub condition_fields: BTreeSet<String>,
    /// Dates that the stored document has in another form than as timestamps, converted; `fields` has them converted,
    /// too.
    pub mended: Fields,
    /// What is wrong with the document, so that nobody can be assigned: a text for people, which names the field.
    pub fault: Option<String>,
}

/// The date fields of an administration. Where a stored date has no time, [`Edge`] tells whether the day's first or
/// last instant is meant.
const DATES: [(&str, Edge); 3] =
    [("dateOpened", Edge::Begins), ("dateClosed", Edge::Ends), ("dateCreated", Edge::Begins)];

/// One task of an administration.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// The task.
    pub task_id: String,
    /// The variant's ID, as stored.
    pub variant_id: Option<Value>,
    /// The variant's name, as stored.
    pub variant_name: Option<Value>,
    /// Parameters for the task.
    pub params: Fields,
    /// The condition for getting the assessment; everybody gets it when there's no condition.
    assigned: Option<Condition>,
    /// The condition under which the assessment is optional; it's optional for nobody when there's no condition.
    optional: Option<Condition>,
}

impl Assessment {
    fn read(value: &Value) -> Option<Assessment> {
        let fields = value.as_map()?;
        let task_id = fields.get("taskId").and_then(Value::as_str).filter(|id| may_be_key(id))?;
        let conditions = fields.get("conditions").and_then(Value::as_map);
        // The client writes null for what isn't there.
        let present = |fields: Option<&Fields>, name: &str| {
            fields.and_then(|fields| fields.get(name)).filter(|value| !value.is_null()).cloned()
        };
        let condition = |name: &str| present(conditions, name).map(|value| Condition::from_value(&value));
        Some(Assessment {
            task_id: task_id.to_owned(),
            variant_id: present(Some(fields), "variantId"),
            variant_name: present(Some(fields), "variantName"),
            params: fields.get("params").and_then(Value::as_map).cloned().unwrap_or_default(),
            assigned: condition("assigned"),
            optional: condition("optional"),
        })
    }

    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.assigned.iter().chain(&self.optional)
    }

    /// Whether the user gets this assessment.
    pub fn is_assigned_to(&self, user: &Fields, now: Timestamp) -> bool {
        self.assigned.as_ref().is_none_or(|condition| condition.is_true_of(user, now))
    }

    /// Whether the assessment is optional for the user.
    pub fn is_optional_for(&self, user: &Fields, now: Timestamp) -> bool {
        self.optional.as_ref().is_some_and(|condition| condition.is_true_of(user, now))
    }
}

impl Administration {
    /// Reads a document.
    pub fn from_document(document: &Document) -> Administration {
        Administration::from_fields(document.id(), document.fields.clone())
    }

    /// Reads a document's fields. Clients write these, so they may be invalid: then `fault` says how.
    pub fn from_fields(id: &str, mut fields: Fields) -> Administration {
        let (mut mended, mut fault) = (Fields::new(), None);
        for (name, edge) in DATES {
            let Some(stored) = fields.get(name).filter(|stored| !stored.is_null()) else { continue };
            match dates::read(stored, edge) {
                Some(_) if stored.as_timestamp().is_some() => {}
                Some(instant) => drop(mended.insert(name.to_owned(), Value::Timestamp(instant))),
                // An unreadable creation date is no fault: assigning doesn't depend on it.
                None if name == "dateCreated" => {}
                None => drop(fault.get_or_insert_with(|| format!("{name} is no date that can be read."))),
            }
        }
        fields.extend(mended.clone());
        let assessments = fields.get("assessments").and_then(Value::as_array).unwrap_or_default();
        let assessments: Vec<Assessment> = assessments.iter().filter_map(Assessment::read).collect();
        let names = fields.get("assessments").and_then(Value::as_array).unwrap_or_default();
        let mut names = names.iter().filter_map(Value::as_map).filter_map(|entry| entry.get("taskId")?.as_str());
        if names.any(|task| !task.is_empty() && !may_be_key(task)) {
            fault.get_or_insert_with(|| "assessments has a task whose ID can't be stored.".to_owned());
        }
        let mut tasks = BTreeSet::new();
        if let Some(twice) = assessments.iter().find(|assessment| !tasks.insert(progress_key(&assessment.task_id))) {
            fault.get_or_insert_with(|| format!("assessments has the task {} twice.", twice.task_id));
        }
        let mut condition_fields = BTreeSet::new();
        let conditions = assessments.iter().flat_map(Assessment::conditions);
        conditions.for_each(|condition| condition.collect_fields(&mut condition_fields));
        if fields.get("dateClosed").is_none_or(Value::is_null) {
            fault.get_or_insert_with(|| "dateClosed is missing.".to_owned());
        }
        Administration { id: id.to_owned(), fields, assessments, condition_fields, mended, fault }
    }

    /// A text field, empty when absent.
    pub fn text(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A boolean field, false when absent.
    pub fn flag(&self, name: &str) -> bool {
        self.fields.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The name that students see: `publicName`, or else the name.
    pub fn public_name(&self) -> &str {
        let public = self.text("publicName");
        if public.is_empty() { self.text("name") } else { public }
    }

    /// A date field as an instant.
    pub fn date(&self, name: &str) -> Option<Timestamp> {
        self.fields.get(name).and_then(Value::as_timestamp)
    }

    /// Whether the administration is closed at `now`. One without a closing date never closes.
    pub fn is_closed(&self, now: Timestamp) -> bool {
        self.date("dateClosed").is_some_and(|closed| closed <= now)
    }

    /// Whether the administration is running at `now`: opened and not closed.
    pub fn is_in_progress(&self, now: Timestamp) -> bool {
        self.date("dateOpened").is_some_and(|opened| opened <= now) && !self.is_closed(now)
    }

    /// Format 2 keeps its orgs in `minimalOrgs`; older ones in arrays on the document.
    pub fn is_format_2(&self) -> bool {
        self.fields.get("formatVersion").and_then(Value::as_i64) == Some(2)
    }

    /// The orgs in the arrays on the document.
    pub fn org_arrays(&self) -> OrgLists {
        OrgLists::from_fields(&self.fields)
    }

    /// True when the document has any of the arrays of orgs, even an empty one.
    pub fn has_org_arrays(&self) -> bool {
        OrgType::ALL.into_iter().any(|org_type| self.fields.contains_key(org_type.plural()))
    }

    /// The top-most orgs, from `minimalOrgs`.
    pub fn minimal_orgs(&self) -> OrgLists {
        OrgLists::from_value(self.fields.get("minimalOrgs"))
    }

    /// The orgs that people entered, before anything is computed from them. In format 2, arrays on the document are
    /// additions that a client made and that are not yet merged into `minimalOrgs`
    /// (docs/domain/administrations.md#formats-1-and-2).
    pub fn input_orgs(&self) -> OrgLists {
        if !self.is_format_2() && self.has_org_arrays() {
            return self.org_arrays();
        }
        let mut orgs = self.minimal_orgs();
        orgs.extend(&self.org_arrays());
        orgs
    }
}

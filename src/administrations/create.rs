//! The callable `createAdministration`: makes an administration, or changes one
//! (docs/domain/administrations.md#creating-an-administration). The assignments follow from the document's event.

use serde_json::json;
use thiserror::Error;

use super::payload::{AdministrationRequest, Created};
use crate::app::{App, EditInProgress};
use crate::documents::administration::{self, Administration, administration_path};
use crate::documents::request_id::{self, remembered, request_path};
use crate::documents::user::{self, user_path};
use crate::fields;
use crate::orgs::{OrgLists, OrgTree, OrgType, Reach, load_tree};
use crate::rights::{Claims, NamesOrgs, OrgAdmin, Requester};
use crate::runtime::{FunctionError, Status};
use crate::store::{
    DocPath, FieldPath, Fields, Precondition, StoreError, Timestamp, Transaction, Transform, Value, Write,
};

impl NamesOrgs for AdministrationRequest {
    fn orgs(&self) -> &OrgLists {
        &self.orgs
    }
}

/// Handles a call.
pub async fn create_administration(
    app: App,
    permit: OrgAdmin,
    request: AdministrationRequest,
) -> Result<Created, FunctionError> {
    let Requester { uid, claims, .. } = &permit.requester;
    let memory = match &request.request_id {
        Some(id) => Some(request_path(uid, id)?),
        None => None,
    };
    let tree = load_tree(&app.stores.admin, &request.orgs, Reach::Up).await?;
    let new_id = app.context.document_id();
    let mut work =
        AdministrationSave { app: &app, claims, request: &request, memory, tree: &tree, new_id: &new_id, lists: true };
    let mut done = app.stores.admin.transaction(|tx| work.run(tx)).await;
    if matches!(done, Err(SaveError::Store(StoreError::Conflict(_)))) {
        // The creator has no users document, which is no error.
        work.lists = false;
        done = app.stores.admin.transaction(|tx| work.run(tx)).await;
    }
    let (id, _) = done?;
    Ok(Created { administration_id: id.into() })
}

/// Why an administration isn't created or changed. The messages are for callers.
#[derive(Debug, Error)]
enum SaveError {
    #[error("orgs names orgs that don't exist or are archived; details.missing lists them.")]
    MissingOrgs(OrgLists),
    #[error("administrationId names no administration.")]
    NoAdministration,
    #[error("You don't administer all of the orgs of this administration.")]
    Forbidden,
    /// A change that isn't allowed while students are working; the text names it.
    #[error("This administration is in progress, so {0} can't be changed now.")]
    InProgress(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SaveError> for FunctionError {
    fn from(error: SaveError) -> Self {
        let status = match error {
            SaveError::MissingOrgs(missing) => {
                let by_type: serde_json::Map<String, serde_json::Value> = OrgType::ALL
                    .into_iter()
                    .filter(|org_type| !missing.of(*org_type).is_empty())
                    .map(|org_type| (org_type.plural().to_owned(), json!(missing.of(org_type))))
                    .collect();
                let details = json!({ "missing": by_type });
                return FunctionError::invalid(SaveError::MissingOrgs(missing).to_string()).with_details(details);
            }
            // Everything but the document's size is checked before, so the store's refusal means that the document is
            // too large.
            SaveError::Store(StoreError::InvalidArgument(_)) => {
                return FunctionError::invalid(
                    "The administration is too large: assessments, orgs and legal must stay below 1 MiB.",
                );
            }
            SaveError::Store(error) => return error.into(),
            SaveError::NoAdministration => Status::NotFound,
            SaveError::Forbidden => Status::PermissionDenied,
            SaveError::InProgress(_) => Status::FailedPrecondition,
        };
        FunctionError::new(status, error.to_string())
    }
}

struct AdministrationSave<'a> {
    app: &'a App,
    claims: &'a Claims,
    request: &'a AdministrationRequest,
    memory: Option<DocPath>,
    tree: &'a OrgTree,
    new_id: &'a str,
    /// Whether to add a new administration to its creator's lists. The creator's document isn't read first, because it
    /// changes often.
    lists: bool,
}

impl AdministrationSave<'_> {
    async fn run(&self, tx: Transaction) -> Result<String, SaveError> {
        let now = self.app.now();
        if let Some(path) = &self.memory
            && let Some(id) = tx.get(path).await?.and_then(|memory| remembered(&memory, now))
        {
            return Ok(id);
        }
        let id = match &self.request.administration_id {
            Some(id) => {
                self.update(&tx, id, now).await?;
                id.clone()
            }
            None => {
                self.check_orgs(&self.request.orgs)?;
                self.create(&tx).await?;
                self.new_id.to_owned()
            }
        };
        if let Some(path) = &self.memory {
            tx.write(Write::set(path.clone(), request_id::memory(&id, now))).await;
        }
        Ok(id)
    }

    /// Every org must exist and not be archived; the error lists all orgs that fail.
    fn check_orgs(&self, orgs: &OrgLists) -> Result<(), SaveError> {
        let is_missing = |(org_type, id): &(OrgType, &str)| self.tree.get(*org_type, id).is_none_or(|org| org.archived);
        let missing: OrgLists = orgs.iter().filter(is_missing).collect();
        if missing.is_empty() { Ok(()) } else { Err(SaveError::MissingOrgs(missing)) }
    }

    /// The fields that a caller may set, both on creation and on change.
    fn fields(&self) -> Fields {
        let request = self.request;
        let mut fields = fields! {
            administration::field::NAME => request.name.as_str(),
            administration::field::PUBLIC_NAME => request.public_name.as_str(),
            administration::field::ASSESSMENTS => request.assessments.clone(),
            administration::field::DATE_OPENED => request.date_opened,
            administration::field::DATE_CLOSED => request.date_closed,
            administration::field::SEQUENTIAL => request.sequential,
            administration::field::TAGS => Value::strings(&request.tags),
            administration::field::TEST_DATA => request.test_data,
            administration::field::FORMAT_VERSION => 2,
            administration::field::MINIMAL_ORGS => self.tree.minimal(&request.orgs).to_value(),
        };
        if let Some(legal) = &request.legal {
            fields.insert(administration::field::LEGAL.to_owned(), legal.clone());
        }
        fields
    }

    async fn create(&self, tx: &Transaction) -> Result<(), SaveError> {
        let creator = user_path(&self.claims.roar_uid)?;
        let mut fields = self.fields();
        fields.insert(administration::field::CREATED_BY.to_owned(), Value::from(self.claims.roar_uid.as_str()));
        let path = administration_path(self.new_id)?;
        tx.write(
            Write::create(path, fields)
                .with(FieldPath::top(administration::field::DATE_CREATED), Transform::ServerTime),
        )
        .await;
        if self.lists {
            let created = user::administrations_created();
            tx.write(
                Write::transform(creator, Vec::new())
                    .when(Precondition::Exists)
                    .with(created, Transform::Union(vec![Value::from(self.new_id)])),
            )
            .await;
        }
        Ok(())
    }

    async fn update(&self, tx: &Transaction, id: &str, now: Timestamp) -> Result<(), SaveError> {
        let path = administration_path(id)?;
        let Some(document) = tx.get(&path).await? else {
            return Err(SaveError::NoAdministration);
        };
        let existing = Administration::from_document(&document);
        let existing_orgs = existing.input_orgs();
        // An administration without orgs belongs to its creator.
        let is_owner =
            self.claims.super_admin || existing.text(administration::field::CREATED_BY) == self.claims.roar_uid;
        if !self.claims.administers_all(&existing_orgs) || (existing_orgs.is_empty() && !is_owner) {
            return Err(SaveError::Forbidden);
        }
        // Orgs that the administration has already may stay even if they're gone by now; added orgs must exist.
        self.check_orgs(&self.request.orgs.difference(&existing_orgs.to_set()))?;
        let fields = self.fields();
        if existing.is_in_progress(now) {
            self.check_edit_in_progress(&existing, &existing_orgs, &fields)?;
        }
        // Arrays left over from format 1 would be read as added orgs in format 2, so they're removed.
        let arrays = OrgType::ALL.map(OrgType::plural).into_iter().filter(|name| existing.fields.contains_key(*name));
        let mask = fields.keys().cloned().chain(arrays.map(str::to_owned)).map(FieldPath::top).collect();
        tx.write(Write::merge(path, fields, mask).when(Precondition::Exists)).await;
        Ok(())
    }

    /// Checks what may change while students are working (docs/domain/administrations.md#changing-while-in-progress).
    fn check_edit_in_progress(
        &self,
        existing: &Administration,
        existing_orgs: &OrgLists,
        fields: &Fields,
    ) -> Result<(), SaveError> {
        let refuse = |what| Err(SaveError::InProgress(what));
        match self.app.settings.edit_in_progress {
            EditInProgress::Allow => Ok(()),
            EditInProgress::Deny => refuse("it"),
            EditInProgress::Extend => {
                for (field, name) in [
                    (administration::field::ASSESSMENTS, administration::field::ASSESSMENTS),
                    (administration::field::DATE_OPENED, "dateOpen"),
                ] {
                    if existing.fields.get(field) != fields.get(field) {
                        return refuse(name);
                    }
                }
                for (field, name, wanted) in [
                    ("sequential", "sequential", self.request.sequential),
                    ("testData", "isTestData", self.request.test_data),
                ] {
                    if existing.flag(field) != wanted {
                        return refuse(name);
                    }
                }
                if existing
                    .date(administration::field::DATE_CLOSED)
                    .is_some_and(|closed| self.request.date_closed < closed)
                {
                    return refuse("dateClose to an earlier date");
                }
                if !existing_orgs.difference(&self.request.orgs.to_set()).is_empty() {
                    return refuse("orgs to fewer");
                }
                Ok(())
            }
        }
    }
}

//! `getAdministrations`: the administrations that the caller may read (docs/domain/dashboard.md#getadministrations).

use std::collections::{BTreeMap, BTreeSet};

use super::payload::{Administrations, Listed, Listing, Shown};
use crate::app::App;
use crate::documents::administration::{self, Administration, administration_path};
use crate::documents::administration_org::{OrgSubcollection, field::ORG_ID};
use crate::orgs::OrgType;
use crate::rights::{Claimed, Claims, Readership};
use crate::runtime::FunctionError;
use crate::store::{Database, Document, FieldOp, FieldPath, Fields, Query, Result, Timestamp, Value};

/// How many administrations are read at once.
const BATCH: usize = 300;

/// Handles a call. The page then reads the listed documents with the caller's own rights, and fails when one document
/// can't be read; so an administration is only listed after its document was checked.
///
/// Cost: for super admins, one read for each administration of the answer. For others, about two reads for each
/// administration of the answer, and one for each 30 of their top-most orgs without administrations; the admin of a
/// district has one top-most org, however many orgs the district has.
pub async fn get_administrations(
    app: App,
    permit: Claimed,
    request: Listing,
) -> std::result::Result<Administrations, FunctionError> {
    let claims = &permit.requester.claims;
    let search = Search { database: &app.stores.admin, claims, request: &request, now: app.now() };
    let found = if claims.super_admin {
        search.all().await?
    } else if claims.admin_orgs.is_empty() {
        Vec::new()
    } else {
        search.readable().await?
    };
    Ok(Administrations { data: found.iter().map(|document| shown(document, request.ids_only)).collect() })
}

struct Search<'a> {
    database: &'a Database,
    claims: &'a Claims,
    request: &'a Listing,
    now: Timestamp,
}

impl Search<'_> {
    /// Every administration that the request's filters admit.
    async fn all(&self) -> Result<Vec<Document>> {
        let fields = if self.request.ids_only { &[] as &[&str] } else { &SHOWN };
        self.database.query(self.filtered(Query::collection(administration::COLLECTION).select(fields))).await
    }

    /// The administrations that the caller may read, by name.
    ///
    /// A caller who administers an org in an administration's `readOrgs` also administers a top-most org in that list,
    /// because the list holds all ancestors of its orgs. So only the caller's top-most orgs are queried (`orgs::tree`
    /// tests this property). The subcollection may be older than the administration's document: the subcollection
    /// serves to find administrations, and the document decides whether the caller may read one.
    async fn readable(&self) -> Result<Vec<Document>> {
        let mask: Vec<FieldPath> = self.mask().iter().map(|path| FieldPath::dotted(path)).collect();
        let (listed, created) = futures::try_join!(self.listed(), self.created())?;
        let mut found: BTreeMap<String, Document> =
            created.into_iter().map(|document| (document.id().to_owned(), document)).collect();
        let missing: Vec<String> = listed.into_iter().filter(|id| !found.contains_key(id)).collect();
        for batch in missing.chunks(BATCH) {
            let paths = batch.iter().map(|id| administration_path(id)).collect::<Result<Vec<_>>>()?;
            let documents = self.database.get_fields(&paths, Some(&mask)).await?.into_iter().flatten();
            found.extend(documents.map(|document| (document.id().to_owned(), document)));
        }
        let readership = Readership::of(self.claims);
        found.retain(|_, document| readership.may_read(&document.fields) && self.admits(&document.fields));
        Ok(found.into_values().collect())
    }

    /// IDs of administrations whose subcollections list a top-most org of the caller.
    async fn listed(&self) -> Result<BTreeSet<String>> {
        let orgs = self.claims.topmost().flatten();
        let queries = OrgSubcollection::Read.of_all().select(&[]).each_of(ORG_ID, &orgs);
        let found = self.database.query_each(queries.map(|(query, _)| self.filtered(query))).await?;
        let parents = found.iter().filter_map(|document| document.path.parent());
        Ok(parents
            .filter(|path| path.collection() == administration::COLLECTION)
            .map(|path| path.id().to_owned())
            .collect())
    }

    /// The administrations that the caller created; the trigger may not have run yet for the newest ones.
    async fn created(&self) -> Result<Vec<Document>> {
        let query = Query::collection(administration::COLLECTION)
            .equal(administration::field::CREATED_BY, self.claims.roar_uid.as_str());
        self.database.query(query.select(&self.mask())).await
    }

    /// The mask of the fields that decide about reading and of those that are shown. Of `readOrgs`, which may hold
    /// thousands of orgs, the mask has only the types that matter.
    fn mask(&self) -> Vec<&'static str> {
        let topmost = self.claims.topmost();
        let read_orgs = [
            (OrgType::District, "readOrgs.districts"),
            (OrgType::School, "readOrgs.schools"),
            (OrgType::Class, "readOrgs.classes"),
            (OrgType::Group, "readOrgs.groups"),
            (OrgType::Family, "readOrgs.families"),
        ];
        let mut mask = vec![
            administration::field::CREATED_BY,
            administration::field::MINIMAL_ORGS,
            administration::field::TEST_DATA,
            administration::field::DATE_CLOSED,
        ];
        mask.extend(read_orgs.iter().filter(|(org_type, _)| !topmost.of(*org_type).is_empty()).map(|(_, path)| path));
        if !self.request.ids_only {
            mask.extend(SHOWN.iter().filter(|name| {
                !matches!(**name, administration::field::TEST_DATA | administration::field::DATE_CLOSED)
            }));
        }
        mask
    }

    /// Adds the request's filters to a query for administrations, or for documents that copy administrations' fields.
    fn filtered(&self, query: Query) -> Query {
        let query = match self.request.test_data {
            Some(wanted) => query.equal(administration::field::TEST_DATA, wanted),
            None => query,
        };
        if self.request.only_open {
            query.filter(administration::field::DATE_CLOSED, FieldOp::GreaterThan, self.now)
        } else {
            query
        }
    }

    /// Whether a document with these fields passes the request's filters.
    fn admits(&self, fields: &Fields) -> bool {
        let is_test = fields.get(administration::field::TEST_DATA).and_then(Value::as_bool).unwrap_or(false);
        let closes = fields.get(administration::field::DATE_CLOSED).and_then(Value::as_timestamp);
        self.request.test_data.is_none_or(|wanted| wanted == is_test)
            && (!self.request.only_open || closes.is_some_and(|closes| closes > self.now))
    }
}

/// The fields of an administration that are shown beside its ID.
const SHOWN: [&str; 6] = [
    administration::field::NAME,
    administration::field::PUBLIC_NAME,
    administration::field::DATE_CREATED,
    administration::field::DATE_OPENED,
    administration::field::DATE_CLOSED,
    administration::field::TEST_DATA,
];

fn shown(document: &Document, ids_only: bool) -> Listed {
    if ids_only {
        return Listed::Id(document.id().into());
    }
    let administration = Administration::from_document(document);
    Listed::Shown(Shown {
        name: Some(administration.text(administration::field::NAME).to_owned()),
        public_name: Some(administration.public_name().to_owned()),
        date_created: administration.date(administration::field::DATE_CREATED),
        date_opened: administration.date(administration::field::DATE_OPENED),
        date_closed: administration.date(administration::field::DATE_CLOSED),
        test_data: administration.flag(administration::field::TEST_DATA),
        id: administration.id.into(),
    })
}

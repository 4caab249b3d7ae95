//! Checks whether copies of the hierarchy agree with the orgs' own links, and repairs those that don't: the lists of
//! children in parents' documents, the district that a class copies from its school, the orgs above people's schools
//! and classes, and the rights over orgs.
//!
//! Pure: `examine` and [`report`]. Memory use is proportional to the number of orgs, plus a page of people or claims.
//!
//! Cost: a read for each org, and for each user or each holder of rights; where something differs, also the reads and
//! writes of the repair.

mod examine;
pub mod report;

use self::examine::Orgs;
use self::report::{Finding, HierarchyReport, Kind};
use futures::TryStreamExt;

use crate::app::App;
use crate::claims::complete_claims;
use crate::claims::lists::{AdminOrgs, granted, stored};
use crate::documents::org;
use crate::documents::user::orgs::current_path;
use crate::documents::user::{self, orgs::current_orgs};
use crate::documents::user_claims::{self, claim_path, claims_map};
use crate::orgs::keep::{keep_lists, org_path};
use crate::orgs::{OrgKey, OrgType};
use crate::store::{Document, Precondition, Query, Result, StoreError, Write};
use crate::users::placement::{changed_lists, misplaced};

/// Reads all orgs.
async fn load(app: &App) -> Result<Orgs> {
    let mut orgs = Orgs::default();
    for org_type in OrgType::ALL {
        let mut documents = app.stores.admin.stream(Query::collection(org_type.plural()).select(&examine::fields()));
        while let Some(document) = documents.try_next().await? {
            orgs.add(org_type, &document);
        }
    }
    Ok(orgs)
}

/// Compares, and with `fix` repairs, lists of children, districts of classes, and the orgs of people. `looked` is
/// called once for each document.
pub async fn reconcile_orgs(app: &App, fix: bool, looked: &(dyn Fn() + Send + Sync)) -> Result<HierarchyReport> {
    let database = &app.stores.admin;
    let orgs = load(app).await?;
    let mut report = HierarchyReport::new(fix);
    report.orgs = orgs.len() as u64;
    for (child, parents) in orgs.children_listed_wrongly() {
        looked();
        let mut finding = Finding::of_org(Kind::ListDiffers, &child).field(report::ids(&parents));
        if fix {
            finding.fixed = keep_lists(database, &child, &parents).await?;
        }
        report.add(finding);
    }
    for (class, district) in orgs.classes_of_other_districts() {
        let mut finding = Finding::of_org(Kind::DistrictDiffers, &class).field(district.clone());
        if fix {
            // The class may have moved since all orgs were read: then the event of that move updates its district.
            let fields = crate::fields! { org::field::DISTRICT_ID => district };
            let write = Write::update(org_path(&class)?, fields).when(Precondition::Exists);
            finding.fixed = committed(app, write).await?;
        }
        report.add(finding);
    }
    for (child, parent) in orgs.orphans() {
        report.add(Finding::of_org(Kind::ParentMissing, &child).field(parent));
    }
    let fields: Vec<String> = OrgType::ALL.map(current_path).into();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let mut users = database.stream(Query::collection(user::COLLECTION).select(&fields));
    while let Some(user) = users.try_next().await? {
        looked();
        report.users += 1;
        for finding in of_user(app, &orgs, &user, fix).await? {
            report.add(finding);
        }
    }
    Ok(report.settled())
}

/// Examines a user's orgs: orgs above their schools and classes that the user isn't in, and districts that the user is
/// in without a school or class there.
async fn of_user(app: &App, orgs: &Orgs, user: &Document, fix: bool) -> Result<Vec<Finding>> {
    let current = current_orgs(&user.fields);
    let Some(differing) = misplaced(&current, orgs.tree()) else { return Ok(Vec::new()) };
    let mut fixed = false;
    if let Some((fields, mask)) = changed_lists(&current, &differing.mended(&current)).filter(|_| fix) {
        let unchanged = Precondition::UpdatedAt(user.update_time);
        fixed = committed(app, Write::merge(user.path.clone(), fields, mask).when(unchanged)).await?;
    }
    let finding = |kind, org: &OrgKey| {
        let finding = Finding::of_user(kind, user.id()).field(org.id.clone());
        Finding { fixed, ..finding }
    };
    let missing = differing.missing.iter().map(|org| finding(Kind::MembershipMissing, org));
    Ok(missing.chain(differing.stray.iter().map(|org| finding(Kind::MembershipStray, org))).collect())
}

/// Compares, and with `fix` repairs, the orgs that each holder of rights has with the orgs that were granted.
pub async fn reconcile_claims(app: &App, fix: bool, looked: &(dyn Fn() + Send + Sync)) -> Result<HierarchyReport> {
    let orgs = load(app).await?;
    let mut report = HierarchyReport::new(fix);
    report.orgs = orgs.len() as u64;
    let lists = [user_claims::field::ADMIN_ORGS, user_claims::field::MINIMAL_ADMIN_ORGS].map(claim_path);
    let query = user_claims::all().select(&lists.each_ref().map(String::as_str));
    let mut holders = app.stores.admin.stream(query);
    while let Some(holder) = holders.try_next().await? {
        looked();
        report.claims += 1;
        let claims = claims_map(Some(&holder));
        let held = stored(claims);
        let wanted = AdminOrgs::of(&granted(claims), orgs.tree());
        if wanted.same(&held) {
            continue;
        }
        let more =
            |one: &AdminOrgs, other: &AdminOrgs| one.exhaustive.difference(&other.exhaustive.to_set()).flatten().len();
        let mut finding =
            Finding::of_holder(Kind::RightsDiffer, holder.id()).values(more(&held, &wanted), more(&wanted, &held));
        if fix {
            finding.fixed = complete_claims(app, &holder.path).await.is_ok();
        }
        report.add(finding);
    }
    Ok(report.settled())
}

/// Commits the write. False when the document was changed concurrently, or has no room for the write.
async fn committed(app: &App, write: Write) -> Result<bool> {
    match app.stores.admin.commit(vec![write]).await {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict(_) | StoreError::InvalidArgument(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

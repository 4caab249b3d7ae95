//! Moves the members of an org with the org: a student of a school that changes districts leaves the one district and
//! joins the other. Rights over the student follow, because they derive from the student's orgs. The school's classes
//! move, too.

use serde::{Deserialize, Serialize};

use super::change::OrgChange;
use super::follow::OrgOfJob;
use crate::app::App;
use crate::documents::org;
use crate::documents::user::orgs::{current_path, dates_of};
use crate::documents::user::user_path;
use crate::documents::user::{self, orgs::current_orgs};
use crate::fields;
use crate::orgs::keep::org_path;
use crate::orgs::{OrgKey, OrgLists, OrgTree, OrgType, Reach, load_tree};
use crate::runtime::{HandlerError, Job, NewTask, StoredTimestamp, Task, TaskOutcome};
use crate::store::path::NAME_FIELD;
use crate::store::{
    Direction, DocPath, Document, FieldOp, FieldPath, Fields, Precondition, Query, StoreError, Timestamp, Value, Write,
};
use crate::users::placement::{changed_lists, misplaced};

/// The job that moves the classes and people of an org that has moved.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct MoveMembersJob {
    #[serde(flatten)]
    org: OrgOfJob,
    /// The former parents of the org, with their ancestors.
    #[serde(default)]
    left: OrgLists,
    /// When the org moved.
    at: Option<StoredTimestamp>,
    #[serde(flatten)]
    progress: MoveProgress,
}

/// The progress of a move.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MoveProgress {
    /// The last user processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

impl Job for MoveMembersJob {
    const FUNCTION: &'static str = "moveOrgMembers";
    type Progress = MoveProgress;
}

/// Documents read and written in one commit.
const PAGE: u32 = 200;

/// The task for a school or class that has moved; `None` where none has. Members of a group aren't automatically
/// members of the group's ancestors.
///
/// The former ancestors are stored in the task, because those orgs may be deleted or moved themselves before the task
/// runs.
pub(super) async fn task(app: &App, change: &OrgChange, at: Timestamp) -> Result<Option<NewTask>, StoreError> {
    let key = &change.key;
    let (left, joined) = (change.left(), change.joined());
    let moves = matches!(key.org_type, OrgType::School | OrgType::Class) && !(left.is_empty() && joined.is_empty());
    // A class's own link to its district changes because its school has moved; the school's task handles that.
    let is_copy = key.org_type == OrgType::Class
        && change.after.as_ref().is_some_and(|class| class.parent(OrgType::School).is_some())
        && left.iter().chain(&joined).all(|parent| parent.org_type == OrgType::District);
    if !moves || is_copy {
        return Ok(None);
    }
    let mut left: OrgLists = left.iter().map(|org| (org.org_type, org.id.as_str())).collect();
    if !left.is_empty() {
        let tree = load_tree(&app.stores.admin, &left, Reach::Up).await?;
        left.extend(&tree.read_orgs(&left));
    }
    Ok(Some(move_task(key, left, at)))
}

fn move_task(key: &OrgKey, left: OrgLists, at: Timestamp) -> NewTask {
    let id = format!("move-{}-{}-{}", key.org_type.singular(), key.id, at.as_microsecond());
    let (org, at, progress) = (OrgOfJob::of(key), Some(StoredTimestamp(at)), MoveProgress::default());
    NewTask::new(id, &MoveMembersJob { org, left, at, progress })
}

/// Runs a [`MoveMembersJob`].
///
/// Costs a read for each class and each member, a write for those that change, and for each page the orgs of its
/// members with their ancestors.
pub async fn run(app: App, task: Task<MoveMembersJob>) -> Result<TaskOutcome, HandlerError> {
    let MoveMembersJob { org, left, at, progress } = &task.payload;
    let (moved, at) = (org.key(), at.map(|at| at.0));
    let database = &app.stores.admin;
    copy_district(&app, &moved).await?;
    let mut cursor = progress.cursor.clone();
    loop {
        let members = current_path(moved.org_type);
        let mut query = Query::collection(user::COLLECTION)
            .filter(&members, FieldOp::ArrayContains, moved.id.as_str())
            .order_by(NAME_FIELD, Direction::Ascending)
            .limit(PAGE);
        if let Some(cursor) = &cursor {
            query = query.start_after(vec![database.reference(&user_path(cursor)?)]);
        }
        let page = database.query(query).await?;
        let mut around = OrgLists::new();
        page.iter().for_each(|user| around.extend(&current_orgs(&user.fields)));
        around.extend(left);
        around.add(moved.org_type, &moved.id);
        let tree = load_tree(database, &around, Reach::Up).await?;
        let step = Move { moved: &moved, left, tree: &tree, at };
        let is_last = page.len() < PAGE as usize;
        match page.last().filter(|_| !is_last) {
            Some(last) => {
                step.commit(&app, &page, task.advance(&MoveProgress { cursor: Some(last.id().to_owned()) })).await?;
                cursor = Some(last.id().to_owned());
            }
            None => {
                step.commit(&app, &page, task.done()).await?;
                return Ok(TaskOutcome::Committed);
            }
        }
    }
}

/// Copies the school's district to the classes of a school, or to a class that has a new school.
async fn copy_district(app: &App, moved: &OrgKey) -> Result<(), HandlerError> {
    let database = &app.stores.admin;
    let Some(own) = database.get(&org_path(moved)?).await? else { return Ok(()) };
    let text = |document: &Document, name: &str| document.fields.get(name).and_then(Value::as_str).map(str::to_owned);
    if moved.org_type == OrgType::Class {
        let Some(school) = text(&own, org::field::SCHOOL_ID) else { return Ok(()) };
        let school = database.get(&org_path(&OrgKey::new(OrgType::School, school))?).await?;
        let district = school.and_then(|school| text(&school, org::field::DISTRICT_ID));
        return give_district(app, &[own], district.as_deref()).await;
    }
    let district = text(&own, org::field::DISTRICT_ID);
    let mut cursor: Option<DocPath> = None;
    loop {
        let mut query = Query::collection(OrgType::Class.plural())
            .equal(org::field::SCHOOL_ID, moved.id.as_str())
            .order_by(NAME_FIELD, Direction::Ascending)
            .select(&[org::field::DISTRICT_ID])
            .limit(PAGE);
        if let Some(cursor) = &cursor {
            query = query.start_after(vec![database.reference(cursor)]);
        }
        let classes = database.query(query).await?;
        give_district(app, &classes, district.as_deref()).await?;
        if classes.len() < PAGE as usize {
            return Ok(());
        }
        cursor = classes.last().map(|class| class.path.clone());
    }
}

async fn give_district(app: &App, classes: &[Document], district: Option<&str>) -> Result<(), HandlerError> {
    let Some(district) = district else { return Ok(()) };
    let differing = classes
        .iter()
        .filter(|class| class.fields.get(org::field::DISTRICT_ID).and_then(Value::as_str) != Some(district));
    for class in differing {
        let fields = fields! { org::field::DISTRICT_ID => district };
        let write = Write::update(class.path.clone(), fields).when(Precondition::Exists);
        match app.stores.admin.commit(vec![write]).await {
            // The class is gone. (A class that changes schools at this moment has its own event.)
            Err(StoreError::Conflict(_)) => {}
            // The class's school determines its district anyway, so nothing else needs to wait for this write.
            Err(StoreError::InvalidArgument(_)) => {
                tracing::error!(org = class.id(), "a class takes nothing more, and keeps the district that it had");
            }
            other => drop(other?),
        }
    }
    Ok(())
}

/// An org that has moved, from the perspective of its members.
struct Move<'a> {
    moved: &'a OrgKey,
    /// The former ancestors that are no longer ancestors.
    left: &'a OrgLists,
    /// The members' orgs with their ancestors.
    tree: &'a OrgTree,
    /// When the org moved.
    at: Option<Timestamp>,
}

impl Move<'_> {
    /// Commits the changes of a page of members with the progress. A member whose document is changing, full, or
    /// deleted at this moment doesn't block the others.
    async fn commit(&self, app: &App, members: &[Document], progress: Write) -> Result<(), HandlerError> {
        let database = &app.stores.admin;
        let writes = members.iter().filter_map(|member| self.write(member));
        match database.commit(writes.chain([progress.clone()]).collect()).await {
            Err(StoreError::Conflict(_) | StoreError::InvalidArgument(_)) => {}
            other => return other.map(|_| ()).map_err(HandlerError::from),
        }
        for member in members.iter().filter(|member| self.write(member).is_some()) {
            let path = &member.path;
            let alone = database.transaction(|tx| async move {
                if let Some(now) = tx.get(path).await? {
                    tx.write_all(self.write(&now)).await;
                }
                Ok::<_, StoreError>(())
            });
            match alone.await {
                Err(StoreError::InvalidArgument(_)) => {
                    tracing::error!(
                        roar_uid = path.id(),
                        "a user can't go with their org: their document takes nothing more"
                    );
                }
                other => drop(other?),
            }
        }
        match database.commit(vec![progress]).await {
            // Another run of the same task is ahead.
            Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn write(&self, member: &Document) -> Option<Write> {
        let since = |org_type: OrgType, id: &str| {
            let dates = dates_of(&member.fields, org_type);
            let from = dates.and_then(|dates| dates.get(id)?.as_map()?.get("from")?.as_timestamp());
            // A membership that began after the move has nothing to do with it: the event may be a repeated one.
            self.at.zip(from).is_some_and(|(at, from)| from > at)
        };
        let (fields, mask) = self.change(&current_orgs(&member.fields), since)?;
        Some(Write::merge(member.path.clone(), fields, mask).when(Precondition::UpdatedAt(member.update_time)))
    }

    /// The changes of a member's current orgs: the org's new ancestors are added, and former ancestors that the member
    /// was in only through this org are removed. The event of the member's document does the rest.
    fn change(
        &self,
        current: &OrgLists,
        is_given_since: impl Fn(OrgType, &str) -> bool,
    ) -> Option<(Fields, Vec<FieldPath>)> {
        if !current.contains(self.moved.org_type, &self.moved.id) {
            return None;
        }
        let above = |orgs: &OrgLists| self.tree.read_orgs(orgs);
        let now = above(&OrgLists::from_iter([(self.moved.org_type, self.moved.id.as_str())]));
        // A member stays in an org through other orgs below it, except those that only the moved org itself was in.
        let is_holding = |org_type, id: &str| {
            let is_left = self.left.contains(org_type, id) && !is_given_since(org_type, id);
            matches!(org_type, OrgType::School | OrgType::Class) && !is_left
        };
        let held = above(&current.iter().filter(|(org_type, id)| is_holding(*org_type, id)).collect());
        let mut gone = self.left.clone();
        gone.extend(&above(self.left));
        let stays = |org_type, id: &str| {
            !gone.contains(org_type, id)
                || is_given_since(org_type, id)
                || held.contains(org_type, id)
                || now.contains(org_type, id)
        };
        let mut after: OrgLists = current.iter().filter(|(org_type, id)| stays(*org_type, id)).collect();
        after.extend(&now);
        // The former parent may have moved since the member joined it. Then its current district is one that the member
        // has no reason to be in.
        if let Some(misplaced) = misplaced(&after, self.tree) {
            after = misplaced.mended(&after);
        }
        changed_lists(current, &after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orgs::Org;

    /// School s1 has moved from d1 to d2; class c3 from s3 of d1 to s2 of d1.
    fn tree() -> OrgTree {
        let org = |org_type, id: &str, fields: Fields| (OrgKey::new(org_type, id), Org::from_fields(org_type, &fields));
        OrgTree::new([
            org(OrgType::District, "d1", Fields::new()),
            org(OrgType::District, "d2", Fields::new()),
            org(OrgType::School, "s1", fields! { "districtId" => "d2" }),
            org(OrgType::School, "s2", fields! { "districtId" => "d1" }),
            org(OrgType::School, "s3", fields! { "districtId" => "d1" }),
            org(OrgType::Class, "c1", fields! { "schoolId" => "s1", "districtId" => "d1" }),
            org(OrgType::Class, "c2", fields! { "schoolId" => "s2", "districtId" => "d1" }),
            org(OrgType::Class, "c3", fields! { "schoolId" => "s2", "districtId" => "d1" }),
            org(OrgType::Class, "c4", fields! { "schoolId" => "s3", "districtId" => "d1" }),
        ])
    }

    fn lists(ids: &[&str]) -> OrgLists {
        let of = |id: &str| match &id[..1] {
            "d" => OrgType::District,
            "s" => OrgType::School,
            "c" => OrgType::Class,
            _ => OrgType::Group,
        };
        ids.iter().map(|id| (of(id), *id)).collect()
    }

    /// A payload as version 1 of the job is stored: a task of the program before an update.
    #[test]
    fn the_job_is_stored_as_before() {
        let key = OrgKey::new(OrgType::School, "s1");
        let at = Timestamp::from_microsecond(1_760_000_000_123_456).unwrap();
        let none = || Value::strings::<_, &str>([]);
        let left = fields! {
            "districts" => Value::strings(["d1"]), "schools" => none(), "classes" => none(), "groups" => none(),
            "families" => none(),
        };
        let mut payload = fields! { "orgType" => "schools", "orgId" => "s1", "left" => Value::Map(left), "at" => at };
        let task = move_task(&key, lists(&["d1"]), at);
        assert_eq!((task.function, task.version), ("moveOrgMembers", 1));
        assert_eq!(task.id, "move-school-s1-1760000000123456");
        assert_eq!(task.payload, payload);
        payload.extend(fields! { "cursor" => "u9" });
        let document = Document {
            path: DocPath::new("functionTasks/t").unwrap(),
            fields: fields! { "function" => "moveOrgMembers", "payload" => Value::Map(payload) },
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::UNIX_EPOCH,
        };
        let job = MoveMembersJob {
            org: OrgOfJob::of(&key),
            left: lists(&["d1"]),
            at: Some(StoredTimestamp(at)),
            progress: MoveProgress { cursor: Some("u9".to_owned()) },
        };
        assert_eq!(crate::runtime::stored_payload(&document), Ok(job));
    }

    #[test]
    fn members_go_with_their_org() {
        let school = (OrgKey::new(OrgType::School, "s1"), lists(&["d1"]));
        let class = (OrgKey::new(OrgType::Class, "c3"), lists(&["s3"]));
        let table: [(&str, &(OrgKey, OrgLists), &[&str], Option<&[&str]>); 8] = [
            ("of the school alone", &school, &["d1", "s1", "c1"], Some(&["d2", "s1", "c1"])),
            (
                "of another school of the old district, too",
                &school,
                &["d1", "s1", "s2"],
                Some(&["d1", "s1", "s2", "d2"]),
            ),
            ("of another class there", &school, &["d1", "s1", "c2"], Some(&["d1", "s1", "s2", "c2", "d2"])),
            ("there already", &school, &["d2", "s1"], None),
            ("with a group of their own", &school, &["d1", "s1", "g1"], Some(&["d2", "s1", "g1"])),
            ("gone meanwhile", &school, &["d1", "s2"], None),
            ("of the class alone", &class, &["d1", "s3", "c3"], Some(&["d1", "s2", "c3"])),
            (
                "of another class of the old school",
                &class,
                &["d1", "s3", "c3", "c4"],
                Some(&["d1", "s3", "s2", "c3", "c4"]),
            ),
        ];
        let tree = tree();
        for (what, (moved, left), before, expected) in table {
            let before = lists(before);
            let change = Move { moved, left, tree: &tree, at: None }.change(&before, |_, _| false);
            let after = change.map(|(fields, _)| {
                let mut after = OrgLists::new();
                for org_type in OrgType::ALL {
                    let changed = fields.get(org_type.plural()).and_then(Value::as_map);
                    let ids = changed.and_then(|map| map["current"].as_string_list());
                    let ids = ids.unwrap_or_else(|| before.of(org_type).to_vec());
                    for id in &ids {
                        after.add(org_type, id);
                    }
                }
                after
            });
            let agrees = match (&after, expected) {
                (Some(after), Some(expected)) => after.same_orgs(&lists(expected)),
                (None, None) => true,
                _ => false,
            };
            assert!(agrees, "{what}: {after:?}");
        }
    }
}

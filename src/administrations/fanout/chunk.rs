//! A chunk of a sync: the students of a few orgs, page by page, each page one atomic commit.

use std::collections::BTreeMap;

use super::control::{Control, administration_path, progress_write};
use super::ownership::{Flow, Ownership, Phase, phases, seen_key};
use crate::administrations::definitions::Prepared;
use crate::app::App;
use crate::assignments::build::Decision;
use crate::assignments::counts::{Contribution, CountsDelta};
use crate::assignments::side_effects::{lists_assignment, user_write};
use crate::fields;
use crate::orgs::lists::OrgSet;
use crate::runtime::{HandlerError, Task, TaskOutcome};
use crate::store::{
    Committed, Direction, DocPath, Document, FieldOp, FieldPath, Fields, Precondition, Query, StoreError, Timestamp,
    Transform, Value, Write,
};

/// Students of one commit at most: more than a chunk is packed for, so that a chunk is one page as a
/// rule, and few enough that their documents and the counts around them stay below 500 writes.
const PAGE: u32 = 125;
/// Attempts that wait for the event of a deletion that somebody else made, before it's taken as lost.
const WAIT_FOR_DELETION: u32 = 8;

/// The users that a phase is about who are in one of `orgs`.
pub fn members_query(app: &App, phase: Phase, orgs: &[String]) -> Query {
    let current = format!("{}.current", phase.org_type.plural());
    let query = match orgs {
        [one] => Query::collection("users").filter(&current, FieldOp::ArrayContains, one.as_str()),
        several => Query::collection("users").filter(&current, FieldOp::ArrayContainsAny, Value::strings(several)),
    };
    let query = match app.settings.assigned_user_types.as_slice() {
        [one] => query.equal("userType", one.as_str()),
        several => query.filter("userType", FieldOp::In, Value::strings(several)),
    };
    match phase.flow {
        // Who was archived has assignments still.
        Flow::Remove => query,
        Flow::Assign => query.equal("archived", false),
    }
}

/// Runs a chunk task to its end.
pub async fn run(app: App, task: Task) -> Result<TaskOutcome, HandlerError> {
    let Some(chunk) = Chunk::read(&app, &task) else {
        return Err(HandlerError::Permanent("a chunk without its administration, version, phase or orgs".to_owned()));
    };
    let Some(prepared) = app.definitions.get(&app.stores.admin, &chunk.administration, chunk.version).await? else {
        return Ok(TaskOutcome::Finished);
    };
    chunk.run(&task, &prepared).await
}

struct Chunk<'a> {
    app: &'a App,
    administration: String,
    version: i64,
    phase: Phase,
    orgs: Vec<String>,
    plan: String,
}

/// How much a page takes for granted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    /// The user's lists tell which assignments exist, and the task and the administration are there.
    Usual,
    /// The commit met a conflict: look at everything.
    Looked,
}

/// What a page came to.
enum Page {
    /// The version is superseded, the administration gone, or the task done before.
    Void,
    /// There may be more students after this one.
    More(String),
    /// All students are dealt with.
    Last,
}

impl<'a> Chunk<'a> {
    fn read(app: &'a App, task: &Task) -> Option<Chunk<'a>> {
        let text = |name: &str| Some(task.payload.get(name)?.as_str()?.to_owned());
        let phase = usize::try_from(task.payload.get("phase")?.as_i64()?).ok()?;
        Some(Chunk {
            app,
            administration: text("administrationId")?,
            version: task.payload.get("version")?.as_i64()?,
            phase: *phases().get(phase)?,
            orgs: task.payload.get("orgs")?.as_string_list()?,
            plan: text("plan")?,
        })
    }

    async fn run(&self, task: &Task, prepared: &Prepared) -> Result<TaskOutcome, HandlerError> {
        let mut cursor = task.payload.get("cursor").and_then(Value::as_str).map(str::to_owned);
        loop {
            let (page, committed) = match self.page(task, prepared, cursor.as_deref(), Care::Usual).await {
                Err(PageError::Store(StoreError::Conflict(_))) => {
                    self.page(task, prepared, cursor.as_deref(), Care::Looked).await
                }
                other => other,
            }
            .map_err(HandlerError::from)?;
            match page {
                Page::Void => return Ok(TaskOutcome::Finished),
                Page::More(last) => cursor = Some(last),
                Page::Last => {
                    if open_chunks(committed.as_ref()) == Some(0) {
                        self.app.tasks.wake(&self.plan);
                    }
                    return Ok(TaskOutcome::Committed);
                }
            }
        }
    }

    async fn page(
        &self,
        task: &Task,
        prepared: &Prepared,
        cursor: Option<&str>,
        care: Care,
    ) -> Result<(Page, Option<Committed>), PageError> {
        let database = &self.app.stores.admin;
        let mut query = members_query(self.app, self.phase, &self.orgs)
            .order_by(crate::store::path::NAME_FIELD, Direction::Ascending)
            .limit(PAGE);
        if let Some(cursor) = cursor {
            query = query.start_after(vec![database.reference(&DocPath::in_collection("users", cursor)?)]);
        }
        let query = &query;
        database
            .transaction(|tx| async move {
                let control = tx.get(&Control::path(&self.administration)?).await?.as_ref().map(Control::read);
                let Some(control) = control.filter(|control| Control::is_at(Some(control), self.version)) else {
                    return Ok(Page::Void);
                };
                if care == Care::Looked {
                    let found = tx.get_all(&[administration_path(&self.administration)?, task.path().clone()]).await?;
                    if found.iter().any(Option::is_none) {
                        return Ok(Page::Void);
                    }
                }
                let users = tx.query(query.clone()).await?;
                let orgs = match self.phase.flow {
                    Flow::Remove => &control.removing,
                    Flow::Assign => &prepared.assigned,
                };
                let ownership = Ownership::new(orgs, &prepared.definition.tree);
                let mine = self.mine(&users, &ownership);
                let asked: Vec<&Document> = mine
                    .iter()
                    .map(|(user, _)| *user)
                    .filter(|user| care == Care::Looked || lists_assignment(&user.fields, &self.administration))
                    .collect();
                let paths: Vec<DocPath> =
                    asked.iter().map(|user| self.assignment(&user.path)).collect::<Result<_, _>>()?;
                let found = tx.get_all(&paths).await?;
                let existing: BTreeMap<&DocPath, Document> =
                    asked.iter().zip(found).filter_map(|(user, assignment)| Some((&user.path, assignment?))).collect();
                let lost = asked
                    .iter()
                    .filter(|user| lists_assignment(&user.fields, &self.administration))
                    .filter(|user| !existing.contains_key(&user.path))
                    .count();
                if lost > 0 && task.attempt < WAIT_FOR_DELETION {
                    // Somebody deleted assignments, and the event that takes them from the counts is
                    // still to come. Made anew now, they could not be told from the old ones.
                    return Err(PageError::DeletionPending(lost));
                }
                let removed = control.removing.to_set();
                let plan = self.decide(prepared, &control, &removed, &mine, &existing)?;
                let page = match users.last() {
                    Some(last) if users.len() == PAGE as usize => Page::More(last.id().to_owned()),
                    _ => Page::Last,
                };
                // First, so that the commit's first result is the number of open chunks.
                let open = if matches!(page, Page::Last) { -1 } else { 0 };
                if open != 0 || !plan.seen.is_empty() {
                    tx.write(progress_write(&self.administration, self.version, open, &plan.seen)?).await;
                }
                tx.write_all(plan.writes).await;
                match &page {
                    Page::More(last) => tx.write(task.advance(fields! { "cursor" => last.as_str() })).await,
                    _ => {
                        tx.write(self.completed_write()?).await;
                        tx.write(task.done()).await;
                    }
                }
                Ok(page)
            })
            .await
    }

    /// The users of the page that this chunk deals with, each with the orgs of later phases to be
    /// counted for.
    fn mine<'u>(&self, users: &'u [Document], ownership: &Ownership) -> Vec<(&'u Document, Vec<String>)> {
        users
            .iter()
            .filter(|user| {
                ownership
                    .owner(&user.fields)
                    .is_some_and(|(org_type, id)| org_type == self.phase.org_type && self.orgs.contains(&id))
            })
            .map(|user| {
                let later = ownership.later(&user.fields, self.phase.org_type);
                let keys = later.iter().map(|(org_type, id)| seen_key(self.phase.flow, *org_type, id)).collect();
                (user, keys)
            })
            .collect()
    }

    /// What becomes of the page's users: pure, but for the clock.
    fn decide(
        &self,
        prepared: &Prepared,
        control: &Control,
        removed: &OrgSet,
        users: &[(&Document, Vec<String>)],
        existing: &BTreeMap<&DocPath, Document>,
    ) -> Result<PagePlan, StoreError> {
        let now = self.app.now();
        let mut delta = CountsDelta::default();
        let mut plan = PagePlan::default();
        for (user, later) in users {
            for key in later {
                *plan.seen.entry(key.clone()).or_default() += 1;
            }
            let assignment = existing.get(&user.path);
            let fields = assignment.map(|assignment| &assignment.fields);
            let definition = &prepared.definition;
            let decision = match (self.phase.flow, fields) {
                (Flow::Remove, None) => Decision::Nothing,
                (Flow::Remove, Some(fields)) => definition.subtract(fields, removed, now),
                (Flow::Assign, None) if control.details_only => Decision::Nothing,
                (Flow::Assign, Some(fields)) if control.details_only => definition.update_details(fields, now),
                (Flow::Assign, fields) => definition.decide(&user.fields, fields, now),
            };
            self.write(&mut plan, &mut delta, user, fields, decision, now)?;
        }
        plan.writes.extend(delta.writes(&self.administration, Precondition::None)?);
        Ok(plan)
    }

    fn write(
        &self,
        plan: &mut PagePlan,
        delta: &mut CountsDelta,
        user: &Document,
        existing: Option<&Fields>,
        decision: Decision,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let path = self.assignment(&user.path)?;
        let before = existing.and_then(Contribution::recorded);
        let (write, after) = match decision {
            Decision::Nothing => return Ok(()),
            Decision::Create(fields) => {
                let after = (Contribution::of(&fields), now);
                (Write::create(path, fields), Some(after))
            }
            Decision::Update(fields) => {
                let assigned = fields.get("dateAssigned").and_then(Value::as_timestamp).unwrap_or(now);
                let after = (Contribution::of(&fields), assigned);
                (Write::set(path, fields), Some(after))
            }
            Decision::Delete => (Write::delete(path), None),
        };
        let after = after.as_ref().map(|(contribution, assigned)| (contribution, *assigned));
        delta.step(before.as_ref(), after.map(|(contribution, _)| contribution));
        plan.writes.push(write);
        plan.writes.extend(user_write(&user.path, &self.administration, before.as_ref(), after, now));
        Ok(())
    }

    fn assignment(&self, user: &DocPath) -> Result<DocPath, StoreError> {
        user.child("assignments", &self.administration)
    }

    fn completed_write(&self) -> Result<Write, StoreError> {
        let path = administration_path(&self.administration)?;
        Ok(Write::transform(path, Vec::new())
            .when(Precondition::Exists)
            .with(FieldPath::top("syncChunksCompleted"), Transform::Increment(Value::Integer(1))))
    }
}

/// What a page writes, and whom it has seen for later phases.
#[derive(Default)]
struct PagePlan {
    writes: Vec<Write>,
    seen: BTreeMap<String, i64>,
}

/// How many chunks are open after a commit that moved their number with its first write.
fn open_chunks(committed: Option<&Committed>) -> Option<i64> {
    committed?.results.first()?.transformed.first()?.as_i64()
}

enum PageError {
    Store(StoreError),
    DeletionPending(usize),
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        PageError::Store(error)
    }
}

impl From<PageError> for HandlerError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Store(error) => error.into(),
            PageError::DeletionPending(count) => HandlerError::Transient(format!(
                "{count} assignments were deleted, and their deletion is still to be counted"
            )),
        }
    }
}

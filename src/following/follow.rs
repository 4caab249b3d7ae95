//! Brings everything that depends on a user in line with a change of theirs: the de-identified copy, the assignments,
//! the runs.

use std::collections::{BTreeMap, BTreeSet};

use super::pass::{self, Followed, Pass};
use crate::app::App;
use crate::documents::assignment::assignment_path;
use crate::documents::user::age::date_of_birth;
use crate::documents::user::copy::copy_changes;
use crate::documents::user::orgs::{current_orgs, history_changes, with_history};
use crate::orgs::{OrgLists, OrgType};
use crate::runs::load::{MOST_OF_STUDENT, Pages};
use crate::runs::student::{Changes, SHOWN, assignment_of, birth_changes, org_changes};
use crate::runtime::HandlerError;
use crate::store::path::NAME_FIELD;
use crate::store::{Direction, DocPath, Document, Fields, Precondition, Query, StoreError, Timestamp, Write};
use crate::users::change::{UserChange, changes};

/// How often the work is repeated because the user changed in the meantime; each change has its own event, too.
const ROUNDS: usize = 5;

/// Re-evaluates a user as after a change of their orgs: for code that changes the record of former assignments in the
/// user's document.
pub async fn look_again(app: &App, user: &DocPath) -> Result<(), HandlerError> {
    let Some(user) = app.stores.admin.get(user).await? else { return Ok(()) };
    follow(app, user, &UserChange { orgs: true, ..UserChange::default() }, app.now()).await
}

/// Updates everything that depends on a user. `seen` is the user's document as read; `at` is the time of the change.
pub async fn follow(app: &App, mut seen: Document, change: &UserChange, at: Timestamp) -> Result<(), HandlerError> {
    for _ in 0..ROUNDS {
        let copied = copy(app, &seen, change, at).await?;
        let followed = match pass::run(app, &seen.path, change, at).await? {
            Pass::Gone => return Ok(()),
            Pass::Done(followed) => followed,
        };
        let latest = &followed.user;
        if latest.update_time != seen.update_time
            && (differs(app, &seen, latest) || !same_membership(&copied, &latest.fields))
        {
            seen = followed.user;
            continue;
        }
        if !change.orgs || change.new || !runs_follow(app, &followed).await? {
            return Ok(());
        }
        // The user may have changed while the runs were written.
        match app.stores.admin.get(&seen.path).await? {
            Some(latest) if differs(app, &followed.user, &latest) => seen = latest,
            _ => return Ok(()),
        }
    }
    Err(StoreError::Contention.into())
}

/// True when the orgs and their history are the same.
fn same_membership(one: &Fields, other: &Fields) -> bool {
    OrgType::ALL.into_iter().map(OrgType::plural).all(|of| one.get(of) == other.get(of))
}

fn differs(app: &App, one: &Document, other: &Document) -> bool {
    changes(Some(&one.fields), &other.fields, &app.settings.assigned_user_types, app.now()).matters()
}

/// Updates the de-identified copy and, after a correction of the date of birth, the ages in runs. Returns the user as
/// copied, including the history of orgs, which a later step adds to the user's own document.
async fn copy(app: &App, user: &Document, change: &UserChange, at: Timestamp) -> Result<Fields, StoreError> {
    let database = &app.stores.assessment;
    let history = history_changes(&user.fields, &change.left, at).filter(|_| change.orgs);
    let copied = with_history(&user.fields, &history.unwrap_or_default().0);
    if change.birth || change.grade || change.orgs {
        let path = user.path.clone();
        if let Some(copy) = database.get(&path).await?
            && let Some((fields, mask)) = copy_changes(&copy.fields, &copied, change.of_copy(), app.now())
        {
            match database.commit(vec![Write::merge(path, fields, mask).when(Precondition::Exists)]).await {
                Ok(_) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    if let Some(born) = date_of_birth(&user.fields).filter(|_| change.birth && !change.new) {
        // Scores that depend on age aren't recomputed; the log tells those who maintain the norms.
        tracing::info!(roar_uid = user.id(), "a date of birth was corrected; ages in runs follow");
        let mut pages = runs_of(app, &user.path);
        while let Some(runs) = pages.next().await? {
            change_runs(app, &runs, |run| birth_changes(run, born)).await?;
        }
    }
    Ok(copied)
}

/// Updates the orgs in runs from those of their open assignments. True when any run was written.
async fn runs_follow(app: &App, followed: &Followed) -> Result<bool, HandlerError> {
    let user = &followed.user.path;
    let current = current_orgs(&followed.user.fields).to_set();
    let mut lists: BTreeMap<String, Option<(OrgLists, OrgLists)>> = followed.lists.clone();
    // The assignment is new to the user but has runs: the user had the assignment before this service recorded former
    // assignments. (The event of an assignment that was restored from its archive checks it against its runs.)
    let mut joined: BTreeSet<&String> = followed.joined.iter().collect();
    let mut known: BTreeSet<String> = lists.keys().cloned().collect();
    let mut any = false;
    let mut pages = runs_of(app, user);
    while let Some(runs) = pages.next().await? {
        let named: BTreeSet<&str> = runs.iter().filter_map(|run| assignment_of(&run.fields)).collect();
        for id in joined.clone() {
            if named.contains(id.as_str()) {
                crate::runs::hold_assignment(app, &assignment_path(user, id)?).await?;
                joined.remove(id);
            }
        }
        // These assignments were deleted in an earlier attempt, or they are closed.
        let unknown: Vec<String> = named.into_iter().map(str::to_owned).filter(|id| known.insert(id.clone())).collect();
        for id in pass::lost_while_open(app, user, &unknown).await? {
            lists.insert(id, None);
        }
        any |= change_runs(app, &runs, |run| {
            // As the client does when it starts a run: the assignment's orgs that the student is in
            // (docs/domain/runs.md#what-a-run-shows-of-its-student).
            let (assigning, read) = lists.get(assignment_of(run)?)?.clone().unwrap_or_default();
            org_changes(run, &assigning.intersection(&current), &read.intersection(&current))
        })
        .await?;
    }
    Ok(any)
}

/// Applies changes to a page of runs. True when any run was written.
async fn change_runs(
    app: &App,
    runs: &[Document],
    change: impl Fn(&Fields) -> Option<Changes>,
) -> Result<bool, StoreError> {
    let writes: Vec<Write> = runs
        .iter()
        .filter_map(|run| {
            let (fields, mask) = change(&run.fields)?;
            Some(Write::merge(run.path.clone(), fields, mask).when(Precondition::Exists))
        })
        .collect();
    let database = &app.stores.assessment;
    match database.commit(writes.clone()).await {
        Err(StoreError::Conflict(_) | StoreError::InvalidArgument(_)) => {
            // One of the runs was deleted or is full; write the others one by one.
            for write in &writes {
                match database.commit(vec![write.clone()]).await {
                    Ok(_) | Err(StoreError::Conflict(_) | StoreError::InvalidArgument(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        committed => drop(committed?),
    }
    Ok(!writes.is_empty())
}

/// The runs of a user, with the fields that depend on the user.
fn runs_of<'a>(app: &'a App, user: &DocPath) -> Pages<'a> {
    let query = Query::collection(format!("{user}/runs")).order_by(NAME_FIELD, Direction::Ascending).select(&SHOWN);
    Pages::new(&app.stores.assessment, query, MOST_OF_STUDENT)
}

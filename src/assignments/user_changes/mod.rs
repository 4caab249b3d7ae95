//! `syncAssignmentsOnUserUpdate`: a user was created, changed or deleted
//! (docs/domain/assignments.md#when-a-student-changes).
//!
//! The event tells what kind of change there was; what follows from it is decided on the documents as
//! they are now. First the de-identified copy and the runs take over what doesn't depend on
//! assignments, then one transaction brings the assignments in line, and with it checks that the user
//! was still the one just copied; at the end runs take the orgs of their assignments.

mod again;
mod pass;

use std::collections::{BTreeMap, BTreeSet};

pub use again::{FOLLOW_AGAIN, run as run_follow_again, task_for_waiting, waiting_collection};
use pass::{Followed, Pass};

use crate::app::App;
use crate::assignments::build::current_orgs;
use crate::assignments::settlement::assignment_path;
use crate::documents::archive::archiving;
use crate::orgs::{OrgLists, OrgType};
use crate::runs::load::{MOST_OF_STUDENT, Pages};
use crate::runs::student::{Changes, SHOWN, assignment_of, birth_changes, org_changes};
use crate::runtime::{DocumentEvent, HandlerError};
use crate::store::path::NAME_FIELD;
use crate::store::{
    Direction, DocPath, Document, FieldPath, Fields, Precondition, Query, StoreError, Timestamp, Write,
};
use crate::users::age::date_of_birth;
use crate::users::change::{UserChange, changes};
use crate::users::copy::copy_changes;
use crate::users::membership::{history_changes, with_history};
use crate::users::same::{has_right_key, key_write};

/// How often the work is done anew because the user changed meanwhile; each change has an event of its own.
const ROUNDS: usize = 5;

/// The event of `users/{roarUid}`.
pub async fn user_written(app: App, event: DocumentEvent) -> Result<(), HandlerError> {
    let Some(after) = event.change.after else {
        return Ok(user_deleted(&app, &event.change.path).await?);
    };
    if after.fields.contains_key("password") {
        forget_password(&app, &after.path).await?;
    }
    if !has_right_key(&after.fields) {
        key_address(&app, &after).await?;
    }
    let before = event.change.before.as_ref().map(|before| &before.fields);
    let change = changes(before, &after.fields, &app.settings.assigned_user_types, app.now());
    if change.matters() {
        let at = after.update_time;
        again::leave_with_syncs(&app, after.id(), &after.fields, &change, at).await?;
        follow(&app, after, &change, at).await?;
    }
    Ok(())
}

/// A password has no place in a document (docs/domain/dashboard.md#users).
async fn forget_password(app: &App, user: &DocPath) -> Result<(), StoreError> {
    let write = Write::merge(user.clone(), Fields::new(), vec![FieldPath::top("password")]);
    match app.stores.admin.commit(vec![write.when(Precondition::Exists)]).await {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Notes how an address that somebody typed in is compared, so that whoever looks for its owner finds them. A user who
/// has changed since has an event of their own.
async fn key_address(app: &App, user: &Document) -> Result<(), StoreError> {
    match app.stores.admin.commit(vec![key_write(user)]).await {
        Ok(_) | Err(StoreError::Conflict(_)) => Ok(()),
        // A time that's later than the document's own, as the emulator may tell it.
        Err(StoreError::InvalidArgument(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The assignments of a user who is gone go too (docs/domain/assignments.md#archived-and-deleted-users), archived, for
/// the user may be made again; their own events take them from the counts.
async fn user_deleted(app: &App, user: &DocPath) -> Result<(), StoreError> {
    let database = &app.stores.admin;
    if database.get(user).await?.is_some() {
        // There again; that has an event of its own.
        return Ok(());
    }
    for mut assignment in database.query(Query::collection(format!("{user}/assignments"))).await? {
        for _ in 0..ROUNDS {
            let unchanged = Precondition::UpdatedAt(assignment.update_time);
            let delete = Write::delete(assignment.path.clone()).when(unchanged);
            match database.commit(vec![delete, archiving(&assignment, app.now())?]).await {
                Err(StoreError::Conflict(_)) => {}
                committed => {
                    committed?;
                    break;
                }
            }
            // The student's last work is archived, too; and what somebody has been given anew isn't taken away.
            let found = database.get_all(&[user.clone(), assignment.path.clone()]).await?;
            match <[Option<Document>; 2]>::try_from(found) {
                Ok([None, Some(latest)]) => assignment = latest,
                Ok([Some(_), _]) => return Ok(()),
                _ => break,
            }
        }
    }
    Ok(())
}

/// Looks again at what a user is to have, as after a change of their orgs: for who changes what's remembered of them.
pub async fn look_again(app: &App, user: &DocPath) -> Result<(), HandlerError> {
    let Some(user) = app.stores.admin.get(user).await? else { return Ok(()) };
    follow(app, user, &UserChange { orgs: true, ..UserChange::default() }, app.now()).await
}

/// Brings everything in line with a change of a user, known as `seen`, that happened at `at`.
async fn follow(app: &App, mut seen: Document, change: &UserChange, at: Timestamp) -> Result<(), HandlerError> {
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
        // Somebody may have moved the user on while the runs were written.
        match app.stores.admin.get(&seen.path).await? {
            Some(latest) if differs(app, &followed.user, &latest) => seen = latest,
            _ => return Ok(()),
        }
    }
    Err(StoreError::Contention.into())
}

/// Orgs, with their history, are the same.
fn same_membership(one: &Fields, other: &Fields) -> bool {
    OrgType::ALL.into_iter().map(OrgType::plural).all(|of| one.get(of) == other.get(of))
}

fn differs(app: &App, one: &Document, other: &Document) -> bool {
    changes(Some(&one.fields), &other.fields, &app.settings.assigned_user_types, app.now()).matters()
}

/// Brings the de-identified copy in line, and, after a correction of the date of birth, the ages in runs.
/// Gives the user as copied: with the history of orgs that their own document is about to get.
async fn copy(app: &App, user: &Document, change: &UserChange, at: Timestamp) -> Result<Fields, StoreError> {
    let database = &app.stores.assessment;
    let history = history_changes(&user.fields, &change.left, at).filter(|_| change.orgs);
    let copied = with_history(&user.fields, &history.unwrap_or_default().0);
    if change.birth || change.grade || change.orgs {
        let path = user.path.clone();
        if let Some(copy) = database.get(&path).await?
            && let Some((fields, mask)) = copy_changes(&copy.fields, &copied, change, app.now())
        {
            match database.commit(vec![Write::merge(path, fields, mask).when(Precondition::Exists)]).await {
                Ok(_) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    if let Some(born) = date_of_birth(&user.fields).filter(|_| change.birth && !change.new) {
        // Scores that depend on age are not computed anew; whoever keeps norms may want to know.
        tracing::info!(roar_uid = user.id(), "a date of birth was corrected; ages in runs follow");
        let mut pages = runs_of(app, &user.path);
        while let Some(runs) = pages.next().await? {
            change_runs(app, &runs, |run| birth_changes(run, born)).await?;
        }
    }
    Ok(copied)
}

/// Gives runs the orgs of their assignments, as far as these are open. True when any was written.
async fn runs_follow(app: &App, followed: &Followed) -> Result<bool, HandlerError> {
    let user = &followed.user.path;
    let current = current_orgs(&followed.user.fields).to_set();
    let mut lists: BTreeMap<String, Option<(OrgLists, OrgLists)>> = followed.lists.clone();
    // New to the user, and yet there are runs of it: they had it before anything of it was remembered. (One that came
    // again with its archive is held against its runs by its own event.)
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
        // An assignment that went in an attempt before this one, or one that's closed.
        let unknown: Vec<String> = named.into_iter().map(str::to_owned).filter(|id| known.insert(id.clone())).collect();
        for id in pass::lost_while_open(app, user, &unknown).await? {
            lists.insert(id, None);
        }
        any |= change_runs(app, &runs, |run| {
            // As the client starts a run: the assignment's orgs that the student is in
            // (docs/domain/runs.md#what-a-run-shows-of-its-student).
            let (assigning, read) = lists.get(assignment_of(run)?)?.clone().unwrap_or_default();
            org_changes(run, &assigning.intersection(&current), &read.intersection(&current))
        })
        .await?;
    }
    Ok(any)
}

/// Makes changes to a page of runs. True when any was written.
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
            // One of them is deleted, or takes nothing more; the others still want it.
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

/// The runs of a user, as far as they show something of the user.
fn runs_of<'a>(app: &'a App, user: &DocPath) -> Pages<'a> {
    let query = Query::collection(format!("{user}/runs")).order_by(NAME_FIELD, Direction::Ascending).select(&SHOWN);
    Pages::new(&app.stores.assessment, query, MOST_OF_STUDENT)
}

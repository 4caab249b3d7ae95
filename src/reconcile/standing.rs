//! The state of an administration, and the data that an examination of it needs.

use super::report::State;
use crate::administrations::material::fingerprint;
use crate::administrations::normalise::NormalOrgs;
use crate::assignments::build::Definition;
use crate::assignments::tasks::Tasks;
use crate::documents::administration::{Administration, administration_path};
use crate::documents::administration_sync::{self, Control};
use crate::orgs::{OrgLists, Reach, load_tree};
use crate::store::{Database, DocPath, Document, Result, Timestamp};

/// A state of an administration and its sync. While the state is equal, the data that was read from the two documents
/// is current.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The administration's state, as reports name it.
    pub state: State,
    fingerprint: Option<String>,
    version: Option<i64>,
}

/// The paths of the two documents that a mark is made of.
pub fn mark_paths(administration: &str) -> Result<[DocPath; 2]> {
    Ok([administration_path(administration)?, Control::path(administration)?])
}

impl Mark {
    /// The mark of the administration's and its sync's documents, as [`mark_paths`] orders them.
    pub fn of(administration: Option<&Document>, control: Option<&Document>, now: Timestamp) -> Mark {
        let administration = administration.map(Administration::from_document);
        let control = control.map(Control::read);
        let print = administration.as_ref().map(fingerprint);
        let synced = control.as_ref().map(|control| (control.state, print.as_ref() == Some(&control.fingerprint)));
        let state = match (&administration, synced) {
            (_, Some((administration_sync::State::Deleting, _))) => State::Deleting,
            (None, _) => State::Gone,
            (Some(_), Some((administration_sync::State::Failed, _))) => State::Failed,
            // The administration was never synced, or its event is pending; either way its document is invalid, so that
            // nobody can be assigned.
            (Some(administration), _) if administration.fault.is_some() => State::Failed,
            (Some(_), Some((administration_sync::State::Pending, _) | (_, false))) => State::Pending,
            (Some(administration), _) if administration.is_closed(now) => State::Closed,
            (Some(_), _) => State::Open,
        };
        Mark { state, fingerprint: print, version: control.map(|control| control.version) }
    }
}

/// The rules that assignments are compared with.
pub enum Scope {
    /// An open administration, with its definition and its assigned orgs.
    Open(Box<Definition>, OrgLists),
    /// A closed administration: its assignments keep their orgs.
    Closed,
    /// The administration doesn't exist: no document about it should exist either.
    Gone,
}

/// An administration that can be examined.
pub struct Standing {
    /// The state when the documents were read.
    pub mark: Mark,
    /// The rules for its assignments.
    pub scope: Scope,
    /// When the administration's last sync was planned.
    pub planned: Option<Timestamp>,
    /// The tasks that count; `None` where the record of each assignment names them: assignments of a closed
    /// administration keep the tasks that they count, because a removed task isn't followed in all of them.
    pub tasks: Option<Tasks>,
    /// How many students the last sync couldn't store an assignment for.
    pub problems: i64,
}

/// Reads the state of an administration; the scope is [`Scope::Closed`] for one that isn't examined.
///
/// The assigned orgs are those that the last sync applied. For an administration that only older functions may have
/// synced, none are on record; they are computed from the administration's own lists of orgs.
pub async fn load(database: &Database, id: &str, now: Timestamp) -> Result<Standing> {
    let found = database.get_all(&mark_paths(id)?).await?;
    let [administration, control] = <[Option<Document>; 2]>::try_from(found).unwrap_or_default();
    let mark = Mark::of(administration.as_ref(), control.as_ref(), now);
    let (planned, problems) = control.as_ref().map(Control::read).map_or((None, 0), |it| (it.planned, it.problems));
    let scope = match (mark.state, &administration) {
        (State::Gone, _) => Scope::Gone,
        (State::Open, Some(document)) => {
            let administration = Administration::from_document(document);
            let (tree, assigned) = match control.as_ref().map(Control::read) {
                Some(control) => (load_tree(database, &control.assigned, Reach::Up).await?, control.assigned),
                None => {
                    let input = administration.input_orgs();
                    let tree = load_tree(database, &input, Reach::DownAndUp).await?;
                    let orgs = NormalOrgs::compute(&tree, &input);
                    (tree, orgs.assigned)
                }
            };
            let definition = Definition { administration, assigned: assigned.to_set(), tree: tree.into() };
            Scope::Open(Box::new(definition), assigned)
        }
        _ => Scope::Closed,
    };
    let tasks = match &scope {
        Scope::Open(definition, _) => Some(Tasks::of(&definition.administration)),
        Scope::Closed | Scope::Gone => None,
    };
    Ok(Standing { mark, scope, planned, tasks, problems })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;
    use crate::store::Fields;

    fn document(path: &str, fields: Fields) -> Document {
        let (create_time, update_time) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        Document { path: DocPath::new(path).unwrap(), fields, create_time, update_time }
    }

    #[test]
    fn what_is_examined() {
        let now = Timestamp::from_second(1000).unwrap();
        let date = |second| Timestamp::from_second(second).unwrap();
        let open = document("administrations/a", fields! { "name" => "A", "dateClosed" => date(1001) });
        let closed = document("administrations/a", fields! { "name" => "A", "dateClosed" => date(1000) });
        let control = |of: &Document, state| {
            let fingerprint = fingerprint(&Administration::from_document(of));
            let control = Control { version: 1, fingerprint, state, ..Control::default() };
            document("administrationSyncs/a", control.to_fields())
        };
        let complete = control(&open, administration_sync::State::Complete);
        let table = [
            ("synced", Some(&open), Some(complete.clone()), State::Open),
            (
                "synced, closed",
                Some(&closed),
                Some(control(&closed, administration_sync::State::Complete)),
                State::Closed,
            ),
            ("never synced here", Some(&open), None, State::Open),
            ("never synced here, closed", Some(&closed), None, State::Closed),
            ("edited, and its event is to come", Some(&closed), Some(complete.clone()), State::Pending),
            ("under way", Some(&open), Some(control(&open, administration_sync::State::Pending)), State::Pending),
            ("failed", Some(&open), Some(control(&open, administration_sync::State::Failed)), State::Failed),
            ("being deleted", None, Some(control(&open, administration_sync::State::Deleting)), State::Deleting),
            (
                "back, being deleted",
                Some(&open),
                Some(control(&open, administration_sync::State::Deleting)),
                State::Deleting,
            ),
            ("deleted, unnoticed", None, Some(complete.clone()), State::Gone),
            ("nothing", None, None, State::Gone),
        ];
        for (what, administration, control, expected) in table {
            assert_eq!(Mark::of(administration, control.as_ref(), now).state, expected, "{what}");
        }
        let before = Mark::of(Some(&open), Some(&complete), now);
        assert_eq!(before, Mark::of(Some(&open), Some(&complete), now));
        assert_ne!(before, Mark::of(Some(&open), Some(&complete), date(1001)), "it has closed meanwhile");
    }
}

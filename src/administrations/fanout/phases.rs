//! What a plan decides: which orgs a version of a sync goes through, in which chunks, and what its end leaves behind. Pure.

use super::jobs::PlanProgress;
use super::ownership::{Flow, in_chunk_order, pack};
use crate::administrations::definitions::Prepared;
use crate::documents::administration::{self, Administration};
use crate::documents::administration_sync::{Control, State};
use crate::orgs::{OrgLists, OrgTree, OrgType};
use crate::store::{Document, Timestamp, Value};

/// Students that a chunk should have: as many as fit into one commit as a rule.
const CHUNK_TARGET: u64 = 225;
/// Chunks enlisted in one commit.
const CHUNKS_A_COMMIT: usize = 400;

/// The orgs that an administration asks for. Arrays that an administration brings along from format 1 are not additions
/// to format 2.
pub(super) fn asked_for(control: &Control, administration: &Administration) -> OrgLists {
    match control.applied.is_some() && !control.format_2 && administration.is_format_2() {
        true => administration.minimal_orgs(),
        false => administration.input_orgs(),
    }
}

/// The orgs that documents of a subcollection name.
pub(super) fn listed_orgs(listed: &[Document]) -> OrgLists {
    let text = |org: &Document, name: &str| org.fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let pairs: Vec<(OrgType, String)> =
        listed.iter().filter_map(|org| Some((OrgType::parse(&text(org, "orgType")?)?, text(org, "orgId")?))).collect();
    pairs.iter().map(|(org_type, id)| (*org_type, id.as_str())).collect()
}

/// Orgs that leave assignments with everything below them, by a snapshot of that; none that is assigned now.
pub(super) fn with_lost_below(lost: &OrgLists, assigned: &OrgLists, tree: &OrgTree) -> OrgLists {
    // An org that's deleted altogether isn't in the tree, but students may still have it.
    let mut all = lost.clone();
    all.extend(&tree.exhaustive(lost, true));
    in_chunk_order(&all.difference(&assigned.to_set()), tree)
}

/// What a version is planned with.
pub(super) struct Stage<'a> {
    /// The administration as it's planned, and the fingerprint of what was read of it.
    pub administration: &'a Administration,
    pub read_fingerprint: &'a str,
    /// The fingerprint of the administration as it's planned.
    pub fingerprint: String,
    /// The assigned orgs and what is above them.
    pub tree: &'a OrgTree,
    /// The orgs through which assignments may exist from now on, in the order of chunks.
    pub reached: &'a OrgLists,
    /// The assigned orgs, in that order.
    pub assigned: &'a OrgLists,
    /// The orgs that leave assignments.
    pub removing: &'a OrgLists,
    /// Only details reach assignments.
    pub details_only: bool,
    pub now: Timestamp,
}

impl Stage<'_> {
    /// The control document with the plan; true where a sweep looks at every assignment.
    pub fn set(&self, control: Control) -> (Control, bool) {
        let closed_since = control.closes.is_some_and(|closes| closes <= self.now);
        let sweep = control.sweep || closed_since;
        let sweeps = sweep && !self.details_only;
        // An edit that came since the sync began reaches everybody.
        let everybody = sweep || self.details_only || control.fingerprint != self.read_fingerprint;
        let control = Control {
            only: control.only.filter(|_| !everybody).map(|only| with_what_is_below(self.tree, &only, self.assigned)),
            closes: self.administration.date(administration::field::DATE_CLOSED),
            sweep,
            fingerprint: self.fingerprint.clone(),
            applied: Some(self.reached.clone()),
            assigned: self.assigned.clone(),
            format_2: self.administration.is_format_2(),
            removing: self.removing.clone(),
            details_only: self.details_only,
            ..control
        };
        (control, sweeps)
    }
}

/// Those of the assigned orgs that are `only` or below.
fn with_what_is_below(tree: &OrgTree, only: &OrgLists, assigned: &OrgLists) -> OrgLists {
    assigned.intersection(&tree.exhaustive(only, false).to_set())
}

/// The orgs that a phase goes through, in order.
pub(super) fn orgs_of(prepared: &Prepared, flow: Flow, org_type: OrgType) -> &[String] {
    let owners = match flow {
        Flow::Remove => &prepared.removing_owners,
        Flow::Assign => &prepared.assigned_owners,
    };
    owners.ordered(org_type)
}

/// Chunks that one commit enlists.
#[derive(Debug, PartialEq)]
pub(super) struct Enlisting {
    /// The place, among the orgs of the phase, that the plan stands at before.
    pub first: usize,
    /// The orgs of each chunk.
    pub chunks: Vec<Vec<String>>,
    /// Where the plan stands afterwards.
    pub position: PlanProgress,
}

/// The commits that enlist a phase, whose orgs from `next_org` on have so many members left, with at most `limit` orgs a
/// chunk. None where nobody is left.
pub(super) fn enlistings(
    counted: &[(String, u64)],
    phase: usize,
    next_org: usize,
    limit: usize,
) -> impl Iterator<Item = Enlisting> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (done, chunks) = pack(&counted[at..], CHUNK_TARGET, limit, CHUNKS_A_COMMIT);
        let first = next_org + at;
        at += done;
        let position = match at >= counted.len() {
            true => PlanProgress::at(phase + 1, 0),
            false => PlanProgress::at(phase, next_org + at),
        };
        (!chunks.is_empty()).then_some(Enlisting { first, chunks, position })
    })
}

/// True when a plan that stands at `own` by its document isn't the one that would go on from `from` (a phase, and a place
/// among its orgs): another run of the task is ahead. Phases without members are passed over without a commit, so the
/// document may be behind.
pub(super) fn is_ahead(own: &PlanProgress, from: (usize, usize)) -> bool {
    let at = (own.phase.unwrap_or(0), own.next_org.unwrap_or(0));
    at.0 > from.0 || (at.0 == from.0 && at.1 != from.1)
}

/// A version that went to its end, or the next one, which is to be planned: then true. `staged`: when the stage was set,
/// by the store's clock; `problems`: for how many students nothing could be stored, where that's known anew.
pub(super) fn ended(control: Control, staged: Option<Timestamp>, problems: Option<i64>) -> (Control, bool) {
    // A closed administration's lost orgs are still in its assignments.
    let applied = match control.details_only {
        true => control.applied.clone(),
        false => Some(control.assigned.clone()),
    };
    let control = Control {
        state: State::Complete,
        planned: if control.details_only || control.only.is_some() {
            control.planned
        } else {
            staged.or(control.planned)
        },
        applied,
        removing: OrgLists::new(),
        assigned_once: true,
        sweep: control.sweep && control.details_only,
        problems: problems.unwrap_or(control.problems),
        only: None,
        ..control
    };
    // Orgs that came or moved while this version was under way.
    control.and_next()
}

#[cfg(test)]
mod tests;

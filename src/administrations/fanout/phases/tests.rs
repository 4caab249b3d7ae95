use proptest::prelude::*;

use super::*;
use crate::administrations::fanout::ownership::phases;
use crate::documents::administration_sync::Control;
use crate::fields;
use crate::orgs::{Org, OrgKey};
use crate::store::{DocPath, Fields};
use OrgType::{Class, District, School};

fn tree() -> OrgTree {
    let org = |org_type, id: &str, fields: Fields| (OrgKey::new(org_type, id), Org::from_fields(org_type, &fields));
    OrgTree::new([
        org(District, "d1", Fields::new()),
        org(School, "s1", fields! { "districtId" => "d1" }),
        org(School, "s2", fields! { "districtId" => "d1", "archived" => true }),
        org(Class, "c1", fields! { "schoolId" => "s1", "districtId" => "d1" }),
        org(Class, "c2", fields! { "schoolId" => "s2", "districtId" => "d1" }),
    ])
}

fn lists(orgs: &[(OrgType, &'static str)]) -> OrgLists {
    orgs.iter().copied().collect()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

#[test]
fn arrays_from_before_format_2_are_no_additions() {
    let in_format = |version: i64| {
        let mut fields = fields! { "formatVersion" => version, "minimalOrgs" => lists(&[(School, "s1")]).to_value() };
        fields.extend(fields! { "classes" => Value::strings(["c1"]) });
        Administration::from_fields("a", fields)
    };
    let (minimal, both) = (lists(&[(School, "s1")]), lists(&[(School, "s1"), (Class, "c1")]));
    // Planned before; in format 2 then; the format now; the orgs.
    for (planned, was_format_2, format, expected) in [
        (true, false, 2, &minimal),
        (true, true, 2, &both),
        (false, false, 2, &both),
        (true, false, 1, &lists(&[(Class, "c1")])),
    ] {
        let control = Control { applied: planned.then(OrgLists::new), format_2: was_format_2, ..Control::default() };
        let asked = asked_for(&control, &in_format(format));
        assert!(asked.same_orgs(expected), "{planned} {was_format_2} {format}: {asked:?}");
    }
}

#[test]
fn orgs_are_listed_as_far_as_they_are_named() {
    let listed = |fields: Fields| Document {
        path: DocPath::new("administrations/a/assignedOrgs/x").unwrap(),
        fields,
        create_time: at(0),
        update_time: at(0),
    };
    let documents = [
        listed(fields! { "orgType" => "school", "orgId" => "s1" }),
        listed(fields! { "orgType" => "classes", "orgId" => "c1" }),
        listed(fields! { "orgType" => "planet", "orgId" => "p1" }),
        listed(fields! { "orgType" => "school" }),
        listed(fields! { "orgId" => "s2" }),
    ];
    assert!(listed_orgs(&documents).same_orgs(&lists(&[(School, "s1"), (Class, "c1")])));
}

#[test]
fn what_is_lost_goes_with_all_below_but_for_what_is_assigned() {
    // Lost, assigned; what leaves assignments.
    type Orgs = &'static [(OrgType, &'static str)];
    let table: [(Orgs, Orgs, Orgs); 4] = [
        (&[(School, "s1")], &[], &[(School, "s1"), (Class, "c1")]),
        // Archived orgs, too: their members may have been assigned before.
        (&[(District, "d1")], &[], &[(District, "d1"), (School, "s1"), (School, "s2"), (Class, "c1"), (Class, "c2")]),
        (&[(District, "d1")], &[(School, "s1"), (Class, "c1")], &[(District, "d1"), (School, "s2"), (Class, "c2")]),
        // Deleted altogether.
        (&[(School, "gone")], &[(School, "s1")], &[(School, "gone")]),
    ];
    for (lost, assigned, expected) in table {
        let leaving = with_lost_below(&lists(lost), &lists(assigned), &tree());
        assert!(leaving.same_orgs(&lists(expected)), "{lost:?}, {assigned:?}: {leaving:?}");
    }
}

/// What comes of a control document, planned at 10 ms for the class and the school, with the last fingerprint `f`.
fn staged(control: Control, details_only: bool) -> (Control, bool) {
    let administration = Administration::from_fields("a", fields! { "formatVersion" => 2, "dateClosed" => at(20) });
    let (reached, assigned) =
        (lists(&[(Class, "c1"), (School, "s1"), (District, "d1")]), lists(&[(Class, "c1"), (School, "s1")]));
    let stage = Stage {
        administration: &administration,
        read_fingerprint: "f",
        fingerprint: "planned".to_owned(),
        tree: &tree(),
        reached: &reached,
        assigned: &assigned,
        removing: &lists(&[(District, "d1")]),
        details_only,
        now: at(10),
    };
    stage.set(Control { fingerprint: "f".to_owned(), version: 3, ..control })
}

#[test]
fn the_stage_is_what_chunks_go_by() {
    let (control, sweeps) = staged(Control { problems: 4, ..Control::default() }, false);
    let expected = Control {
        version: 3,
        fingerprint: "planned".to_owned(),
        closes: Some(at(20)),
        applied: Some(lists(&[(Class, "c1"), (School, "s1"), (District, "d1")])),
        assigned: lists(&[(Class, "c1"), (School, "s1")]),
        format_2: true,
        removing: lists(&[(District, "d1")]),
        problems: 4,
        ..Control::default()
    };
    assert_eq!((control, sweeps), (expected, false));
}

#[test]
fn a_sweep_comes_after_a_time_closed_and_everybody_is_looked_at_then() {
    let only = || Some(lists(&[(School, "s1")]));
    let below = Some(lists(&[(School, "s1"), (Class, "c1")]));
    // The sweep and the closing date that are noted; only details reach assignments. Whether a sweep is noted, whether
    // one comes now, and the orgs that the version is narrowed to.
    for (sweep, closes, details_only, noted, sweeps, narrowed) in [
        (false, None, false, false, false, &below),
        (false, Some(11), false, false, false, &below),
        (false, Some(10), false, true, true, &None),
        (true, None, false, true, true, &None),
        // It waits until the administration is open again.
        (true, None, true, true, false, &None),
        (false, Some(10), true, true, false, &None),
        (false, None, true, false, false, &None),
    ] {
        let control = Control { sweep, closes: closes.map(at), only: only(), ..Control::default() };
        let (control, comes) = staged(control, details_only);
        assert_eq!((control.sweep, comes), (noted, sweeps), "{sweep} {closes:?} {details_only}");
        let is_same = match (&control.only, narrowed) {
            (Some(only), Some(narrowed)) => only.same_orgs(narrowed),
            (only, narrowed) => only.is_none() && narrowed.is_none(),
        };
        assert!(is_same, "{sweep} {closes:?} {details_only}: {:?}", control.only);
    }
}

#[test]
fn an_edit_since_the_sync_began_reaches_everybody() {
    let administration = Administration::from_fields("a", Fields::new());
    let (orgs, tree) = (lists(&[(School, "s1")]), tree());
    for (read_fingerprint, is_narrow) in [("f", true), ("edited", false)] {
        let stage = Stage {
            administration: &administration,
            read_fingerprint,
            fingerprint: String::new(),
            tree: &tree,
            reached: &orgs,
            assigned: &orgs,
            removing: &OrgLists::new(),
            details_only: false,
            now: at(10),
        };
        let control = Control { fingerprint: "f".to_owned(), only: Some(orgs.clone()), ..Control::default() };
        assert_eq!(stage.set(control).0.only.is_some(), is_narrow, "{read_fingerprint}");
    }
}

#[test]
fn phases_go_through_the_orgs_of_their_flow() {
    let control = Control {
        applied: Some(lists(&[(Class, "applied")])),
        assigned: lists(&[(Class, "c1"), (Class, "c2"), (School, "s1")]),
        removing: lists(&[(Class, "c9"), (District, "d9")]),
        ..Control::default()
    };
    let narrow = Control { only: Some(lists(&[(Class, "c2")])), ..control.clone() };
    let closed = Control { details_only: true, only: narrow.only.clone(), ..control.clone() };
    // The control document; the phases that have orgs, with these.
    let removed = [(Flow::Remove, Class, "c9"), (Flow::Remove, District, "d9")];
    for (control, assigned) in [
        (control, vec![(Flow::Assign, Class, "c1 c2"), (Flow::Assign, School, "s1")]),
        (narrow, vec![(Flow::Assign, Class, "c2")]),
        (closed, vec![(Flow::Assign, Class, "applied")]),
    ] {
        let prepared = Prepared::new(Administration::from_fields("a", Fields::new()), tree(), &control);
        let phases = phases();
        let orgs =
            phases.iter().map(|phase| (phase.flow, phase.org_type, orgs_of(&prepared, phase.flow, phase.org_type)));
        let gone_through: Vec<_> = orgs.filter(|(.., ids)| !ids.is_empty()).collect();
        let gone_through: Vec<_> = gone_through.iter().map(|(flow, of, ids)| (*flow, *of, ids.join(" "))).collect();
        let expected = removed.into_iter().chain(assigned).map(|(flow, of, ids)| (flow, of, ids.to_owned()));
        assert_eq!(gone_through, expected.collect::<Vec<_>>(), "{control:?}");
    }
}

fn counted(members: &[u64]) -> Vec<(String, u64)> {
    members.iter().enumerate().map(|(at, members)| (format!("o{at}"), *members)).collect()
}

#[test]
fn chunks_are_enlisted_until_nobody_is_left() {
    // The members that are left in each org from the fifth on; the chunks.
    let table: [(&[u64], &[&str]); 6] = [
        (&[], &[]),
        (&[0, 0], &[]),
        (&[25, 25, 25], &["o0 o1 o2"]),
        (&[200, 0, 25, 1], &["o0 o2", "o3"]),
        (&[1_000, 1], &["o0", "o1"]),
        (&[1; 7], &["o0 o1 o2", "o3 o4 o5", "o6"]),
    ];
    for (members, expected) in table {
        let enlisted: Vec<Enlisting> = enlistings(&counted(members), 2, 5, 3).collect();
        let chunks: Vec<String> = enlisted.iter().flat_map(|one| &one.chunks).map(|orgs| orgs.join(" ")).collect();
        assert_eq!(chunks, expected, "{members:?}");
        // One commit is enough, and the next phase comes after it.
        let places: Vec<_> = enlisted.into_iter().map(|one| (one.first, one.position)).collect();
        let whole = [(5, PlanProgress::at(3, 0))];
        assert_eq!(places, whole[..usize::from(!expected.is_empty())], "{members:?}");
    }
}

proptest! {
    /// Each commit goes on where the one before has ended, and all of them together have every org with members once.
    #[test]
    fn commits_follow_one_another(members in prop::collection::vec(0_u64..250, 0..1200), next_org in 0_usize..50) {
        let counted = counted(&members);
        let mut at = next_org;
        let mut orgs = Vec::new();
        for one in enlistings(&counted, 4, next_org, 15) {
            prop_assert_eq!(one.first, at);
            prop_assert!(one.chunks.len() <= CHUNKS_A_COMMIT && !one.chunks.is_empty());
            // The next chunk would be told from these by the place that its commit begins at.
            at = match (one.position.phase, one.position.next_org) {
                (Some(4), Some(next)) => next,
                position => {
                    prop_assert_eq!(position, (Some(5), Some(0)));
                    usize::MAX
                }
            };
            orgs.extend(one.chunks.into_iter().flatten());
        }
        let expected: Vec<String> = counted.into_iter().filter(|(_, left)| *left > 0).map(|(id, _)| id).collect();
        prop_assert_eq!(orgs, expected);
    }
}

#[test]
fn who_is_behind_another_run_gives_way() {
    // Where the document says that the plan stands; where this run would go on; whether another one is ahead.
    for (own, from, expected) in [
        (PlanProgress::at(2, 0), (2, 0), false),
        (PlanProgress::at(2, 7), (2, 7), false),
        // Phases were passed over.
        (PlanProgress::at(2, 0), (4, 0), false),
        (PlanProgress::at(2, 7), (4, 0), false),
        (PlanProgress::at(3, 0), (2, 7), true),
        (PlanProgress::at(2, 7), (2, 0), true),
        (PlanProgress::at(2, 0), (2, 7), true),
        (PlanProgress::default(), (0, 0), false),
        (PlanProgress::default(), (0, 3), true),
    ] {
        assert_eq!(is_ahead(&own, from), expected, "{own:?}, {from:?}");
    }
}

#[test]
fn a_version_leaves_what_the_next_one_has_to_know() {
    let control = || Control {
        version: 3,
        applied: Some(lists(&[(School, "s1"), (District, "d1")])),
        assigned: lists(&[(School, "s1")]),
        removing: lists(&[(District, "d1")]),
        planned: Some(at(1)),
        sweep: true,
        problems: 2,
        ..Control::default()
    };
    let done = |control: Control| Control {
        state: State::Complete,
        removing: OrgLists::new(),
        assigned_once: true,
        only: None,
        ..control
    };
    let assigned = || Some(lists(&[(School, "s1")]));
    let narrow = || Some(lists(&[(School, "s1")]));
    // The version, when its stage was set, the problems that are known anew; what it leaves.
    for (version, staged, problems, expected) in [
        (
            control(),
            Some(at(9)),
            Some(0),
            Control { applied: assigned(), planned: Some(at(9)), sweep: false, problems: 0, ..done(control()) },
        ),
        (control(), None, None, Control { applied: assigned(), sweep: false, ..done(control()) }),
        // Some students only were looked at.
        (
            Control { only: narrow(), ..control() },
            Some(at(9)),
            Some(5),
            Control { applied: assigned(), sweep: false, problems: 5, ..done(control()) },
        ),
        // Closed: what was lost is still in assignments, and the sweep comes when it's open again.
        (
            Control { details_only: true, ..control() },
            Some(at(9)),
            None,
            Control { details_only: true, ..done(control()) },
        ),
    ] {
        assert_eq!(ended(version.clone(), staged, problems), (expected, false), "{version:?}");
    }
    let waiting = Control { next: lists(&[(Class, "c1")]), ..control() };
    let (next, is_next) = ended(waiting, Some(at(9)), None);
    let expected = Control {
        version: 4,
        state: State::Pending,
        only: Some(lists(&[(Class, "c1")])),
        applied: assigned(),
        planned: Some(at(9)),
        sweep: false,
        ..done(control())
    };
    assert_eq!((next.state, next.only.clone()), (State::Pending, expected.only.clone()));
    assert_eq!((next, is_next), (expected, true));
}

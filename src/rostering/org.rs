//! What a roster's record of an org changes about its document, and about the lists of its parent
//! (docs/domain/rosters.md#fields-of-orgs). Pure.

use std::collections::BTreeSet;

use crate::digest;
use crate::documents::org::{field, link_field, listed};
use crate::documents::roster_mark::{self, Mark};
use crate::fields;
use crate::orgs::child_lists::ChildLists;
use crate::orgs::{OrgKey, OrgType};
use crate::store::{FieldPath, Fields, Timestamp, Value};

pub use crate::documents::org::is_archived;
pub use crate::documents::roster_mark::{ROSTER, fingerprint};

use super::person::Change;

/// An org as a roster has it. Its document has the provider's ID: so nothing has to be looked up, and a
/// repetition finds it.
#[derive(Clone, Debug, PartialEq)]
pub struct RosterOrg {
    /// Its type and ID.
    pub key: OrgKey,
    /// What's above it: a school's district; a class's school and district.
    pub parents: Vec<OrgKey>,
    /// The fields that the roster knows.
    pub fields: Fields,
    /// The fields that it owns, known or not: others stay as they are.
    pub owned: &'static [&'static str],
    /// Of these, those of which the roster says what nobody can read: they stay as they are.
    pub unread: Vec<&'static str>,
    /// Changes when anything of it does.
    pub fingerprint: String,
}

impl RosterOrg {
    /// An org of those fields; its fingerprint is made of all of them.
    pub fn new(key: OrgKey, parents: Vec<OrgKey>, fields: Fields, owned: &'static [&'static str]) -> RosterOrg {
        // Maps are sorted, so the text is the same for the same fields.
        let text = format!("{parents:?}\n{fields:?}");
        let fingerprint = digest::fingerprint(text);
        RosterOrg { key, parents, fields, owned, unread: Vec::new(), fingerprint }
    }

    /// The same, of which these fields can't be read.
    pub fn with_unread(mut self, unread: Vec<&'static str>) -> RosterOrg {
        if !unread.is_empty() {
            self.fingerprint = digest::fingerprint(format!("{}{unread:?}", self.fingerprint));
            self.unread = unread;
        }
        self
    }
}

/// Of what the record said before, what can't be read now is still the roster's.
fn mark(org: &RosterOrg, provider: &str, before: &[String]) -> Value {
    let unread = before.iter().filter(|field| org.unread.contains(&field.as_str()));
    let said: BTreeSet<&str> = org.fields.keys().chain(unread).map(String::as_str).collect();
    let said: Vec<&str> = said.into_iter().collect();
    Mark { provider, fingerprint: Some(&org.fingerprint), said: &said }.to_value()
}

fn links(org: &RosterOrg) -> impl Iterator<Item = (String, Value)> {
    let link = |parent: &OrgKey| Some((link_field(parent.org_type)?.to_owned(), Value::from(parent.id.as_str())));
    org.parents.iter().filter_map(link)
}

/// The document of an org that's new. Its lists are written with its children.
pub fn new_org(org: &RosterOrg, provider: &str, now: Timestamp) -> Fields {
    let mut document = org.fields.clone();
    document.extend(links(org));
    document.extend(fields! {
        field::ARCHIVED => false, field::CREATED_AT => now, field::LAST_UPDATED => now, provider => true,
        ROSTER => mark(org, provider, &[]),
    });
    document
}

/// True when an org that's there has to be looked at: its record is another one than it was written of, or it was
/// archived.
pub fn differs(stored: &Fields, org: &RosterOrg) -> bool {
    fingerprint(stored) != Some(org.fingerprint.as_str()) || is_archived(stored)
}

/// What the roster changes about an org that's there; `None` when nothing does. One that was archived is back.
pub fn change(stored: &Fields, org: &RosterOrg, provider: &str, now: Timestamp) -> Option<Change> {
    if !differs(stored, org) {
        return None;
    }
    let said = roster_mark::said(stored);
    let mut wanted = org.fields.clone();
    wanted.extend(links(org));
    wanted.extend(fields! { field::ARCHIVED => false, provider => true, ROSTER => mark(org, provider, &said) });
    wanted.retain(|field, value| stored.get(field) != Some(value));
    // What it said before, and says no more. What people wrote where it said nothing stays.
    // No org is without a name, and what can't be read isn't gone.
    let is_gone = |field: &&&str| {
        said.iter().any(|said| said == **field)
            && stored.contains_key(**field)
            && !org.fields.contains_key(**field)
            && !org.unread.contains(*field)
            && **field != field::NAME
    };
    let gone = org.owned.iter().filter(is_gone);
    let mut mask: Vec<FieldPath> =
        wanted.keys().map(FieldPath::top).chain(gone.map(|field| FieldPath::top(*field))).collect();
    wanted.insert(field::LAST_UPDATED.to_owned(), Value::from(now));
    mask.push(FieldPath::top(field::LAST_UPDATED));
    Some((wanted, mask))
}

/// The types of parents and children whose lists rosters keep: groups may be below either parent.
const LISTED: [(OrgType, OrgType); 3] =
    [(OrgType::District, OrgType::School), (OrgType::School, OrgType::Class), (OrgType::School, OrgType::Group)];

/// The names of the lists in which a parent has its children of that type: the living, the archived.
pub fn lists_of(parent: OrgType, child: OrgType) -> Option<[&'static str; 2]> {
    ChildLists::of(parent, child).map(|lists| [lists.living, lists.archived])
}

/// What it changes that an org is no longer in the roster: it's archived, and so are its children, but for those that
/// stay. Those that are `elsewhere` by now are in none of its lists. `None` when it's so already.
pub fn archive(
    stored: &Fields,
    stays: impl Fn(&str) -> bool,
    elsewhere: impl Fn(&str) -> bool,
    now: Timestamp,
) -> Option<Change> {
    let is_archived = is_archived(stored);
    let leaves = |id: &str| !elsewhere(id) && !stays(id);
    let mut wanted = children_archived(stored, leaves, &elsewhere, now).unwrap_or_default().0;
    if is_archived && wanted.is_empty() {
        return None;
    }
    wanted.insert(field::ARCHIVED.to_owned(), Value::Boolean(true));
    wanted.insert(field::LAST_UPDATED.to_owned(), Value::from(now));
    let mask = wanted.keys().map(FieldPath::top).collect();
    Some((wanted, mask))
}

/// What it changes about an org's lists that some of its children are archived, and some are elsewhere; `None` when
/// nothing does.
pub fn children_archived(
    stored: &Fields,
    archived: impl Fn(&str) -> bool,
    elsewhere: impl Fn(&str) -> bool,
    now: Timestamp,
) -> Option<Change> {
    let mut wanted = Fields::new();
    for lists in LISTED.into_iter().filter_map(|(parent, child)| lists_of(parent, child)) {
        let those = |is: &dyn Fn(&str) -> bool| -> Vec<&str> { listed(stored, lists[0]).filter(|id| is(id)).collect() };
        let (archived, elsewhere) = (those(&archived), those(&elsewhere));
        if archived.is_empty() && elsewhere.is_empty() {
            continue;
        }
        let change = children_change(stored, lists, &[], &archived, &elsewhere, now);
        wanted.extend(change.into_iter().flat_map(|(fields, _)| fields));
    }
    let mask: Vec<FieldPath> = wanted.keys().map(FieldPath::top).collect();
    (!mask.is_empty()).then_some((wanted, mask))
}

/// What has to change in a parent's two lists of children, `schools` and `archivedSchools`, so that the living
/// and the archived are where they belong; `None` when they are. Those that have another parent now are in
/// neither; children that the roster doesn't know stay.
pub fn children_change(
    parent: &Fields,
    [list, archived_list]: [&str; 2],
    living: &[&str],
    archived: &[&str],
    elsewhere: &[&str],
    now: Timestamp,
) -> Option<Change> {
    let held = |name: &str| parent.get(name).and_then(Value::as_string_list).unwrap_or_default();
    let moved = |mut ids: Vec<String>, out: &[&str], into: &[&str]| {
        ids.retain(|id| !out.contains(&id.as_str()) && !elsewhere.contains(&id.as_str()));
        for id in into {
            if !ids.iter().any(|known| known == id) {
                ids.push((*id).to_owned());
            }
        }
        ids
    };
    let mut wanted = Fields::new();
    for (name, ids, is_needed) in [
        (list, moved(held(list), archived, living), true),
        (archived_list, moved(held(archived_list), living, archived), !archived.is_empty()),
    ] {
        let is_there = parent.contains_key(name);
        if (ids != held(name)) || (!is_there && is_needed) {
            wanted.insert(name.to_owned(), Value::strings(ids));
        }
    }
    if wanted.is_empty() {
        return None;
    }
    wanted.insert(field::LAST_UPDATED.to_owned(), Value::from(now));
    let mask = wanted.keys().map(FieldPath::top).collect();
    Some((wanted, mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn school(name: &str, fingerprint: &str) -> RosterOrg {
        RosterOrg {
            key: OrgKey::new(OrgType::School, "s1"),
            parents: vec![OrgKey::new(OrgType::District, "d1")],
            fields: fields! { "name" => name, "lowGrade" => "1" },
            owned: &["name", "lowGrade", "ncesId"],
            unread: Vec::new(),
            fingerprint: fingerprint.to_owned(),
        }
    }

    fn apply(document: &Fields, change: Option<Change>) -> Fields {
        let mut document = document.clone();
        for path in change.iter().flat_map(|(_, mask)| mask) {
            let field = path.to_string();
            match change.as_ref().and_then(|(fields, _)| fields.get(&field)) {
                Some(value) => drop(document.insert(field, value.clone())),
                None => drop(document.remove(&field)),
            }
        }
        document
    }

    #[test]
    fn orgs_follow_the_roster_and_keep_what_people_wrote() {
        let mut document = new_org(&school("Oak", "f1"), "clever", NOW);
        assert_eq!(document.get("districtId"), Some(&Value::from("d1")));
        assert_eq!(document.get("clever"), Some(&Value::Boolean(true)));
        assert_eq!(document.get("id"), None, "pages take it for the document's");
        assert_eq!(change(&document, &school("Oak", "f1"), "clever", NOW), None);
        document
            .extend(fields! { "tags" => Value::strings(["x"]), "ncesId" => "7", "classes" => Value::strings(["c1"]) });
        // By hand; the roster's record is the same, so it stays.
        document.insert("name".to_owned(), Value::from("Oak Elementary"));
        assert_eq!(change(&document, &school("Oak", "f1"), "clever", NOW), None);
        let mut elm = school("Elm", "f2");
        elm.fields.remove("lowGrade");
        let after = apply(&document, change(&document, &elm, "clever", NOW));
        assert_eq!((after.get("name"), after.get("lowGrade")), (Some(&Value::from("Elm")), None));
        assert_eq!(after.get("ncesId"), Some(&Value::from("7")), "the roster never said it");
        assert_eq!(after.get("tags"), document.get("tags"));
        assert_eq!(after.get("classes"), document.get("classes"));
        let nowhere = |_: &str| false;
        let gone = apply(&after, archive(&after, nowhere, nowhere, NOW));
        assert_eq!((gone.get("archived"), archive(&gone, nowhere, nowhere, NOW)), (Some(&true.into()), None));
        assert_eq!(gone.get("archivedClasses"), after.get("classes"), "its classes go with it");
        let back = apply(&gone, change(&gone, &elm, "clever", NOW));
        assert_eq!(back.get("archived"), Some(&false.into()));
        assert_eq!(change(&back, &elm, "clever", NOW), None);
    }

    #[test]
    fn children_are_in_one_list() {
        let names = ["schools", "archivedSchools"];
        let lists = |parent: &Fields| names.map(|name| parent.get(name).and_then(Value::as_string_list));
        let ids = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        let mut parent = Fields::new();
        // Living, archived; both lists afterwards.
        for (living, archived, expected) in [
            (vec!["a", "b"], vec![], [ids(&["a", "b"]), None]),
            (vec!["b", "c"], vec!["a"], [ids(&["b", "c"]), ids(&["a"])]),
            (vec!["a", "b", "c"], vec![], [ids(&["b", "c", "a"]), ids(&[])]),
        ] {
            parent = apply(&parent, children_change(&parent, names, &living, &archived, &[], NOW));
            assert_eq!(lists(&parent), expected);
            assert_eq!(children_change(&parent, names, &living, &archived, &[], NOW), None);
        }
        let by_hand = fields! { "schools" => Value::strings(["mine", "b"]) };
        let after = apply(&by_hand, children_change(&by_hand, names, &["a"], &[], &["b"], NOW));
        assert_eq!(lists(&after), [ids(&["mine", "a"]), None]);
        assert_eq!(children_change(&Fields::new(), names, &[], &[], &[], NOW).map(|(fields, _)| fields.len()), Some(2));
    }
}

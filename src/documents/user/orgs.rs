//! The history of a user's orgs: for each type of org, `current`, `all` that ever were, and the `dates`
//! from and to (docs/domain/documents.md#history-of-a-users-orgs). Pure.

use super::field;
use crate::documents::org_lists::{OrgLists, OrgType};
use crate::fields;
use crate::store::{DocPath, FieldPath, Fields, Timestamp, Value};

/// In the map of a type of org: the orgs that the user is in now.
pub const CURRENT: &str = "current";

/// In the map of a type of org: all that the user ever was in.
pub const ALL: &str = "all";
/// In the map of a type of org: since when, and until when, the user was in each.
pub const DATES: &str = "dates";
const FROM: &str = "from";
const TO: &str = "to";

/// The path, for queries, of the field with the IDs of the orgs of a type that a user is in now.
pub fn current_path(org_type: OrgType) -> String {
    format!("{}.{CURRENT}", org_type.plural())
}

/// The dates of the orgs of a type.
pub fn dates_of(user: &Fields, org_type: OrgType) -> Option<&Fields> {
    user.get(org_type.plural()).and_then(Value::as_map)?.get(DATES)?.as_map()
}

/// The orgs that a user is in now, by type.
pub fn current_orgs(user: &Fields) -> OrgLists {
    OrgType::ALL
        .into_iter()
        .flat_map(|org_type| {
            let current = user
                .get(org_type.plural())
                .and_then(Value::as_map)
                .and_then(|map| map.get(CURRENT))
                .and_then(Value::as_array)
                .unwrap_or_default();
            current.iter().filter_map(Value::as_str).map(move |id| (org_type, id))
        })
        .collect()
}

/// The IDs of one type of org that the list `name` of a user's document has.
pub(crate) fn org_ids<'a>(user: &'a Fields, org_type: OrgType, name: &str) -> impl Iterator<Item = &'a str> {
    let map = user.get(org_type.plural()).and_then(Value::as_map);
    let ids = map.and_then(|map| map.get(name)).and_then(Value::as_array).unwrap_or_default();
    ids.iter().filter_map(Value::as_str).filter(|id| is_org_id(id))
}

/// Whether the ID is valid for an org: both as a document's ID and as a field's name.
pub(crate) fn is_org_id(id: &str) -> bool {
    let reserved = id.starts_with("__") && id.ends_with("__");
    !reserved && DocPath::in_collection("orgs", id).is_ok()
}

/// The IDs in the list `name` of a user's map for one type of org.
pub fn listed(of_type: Option<&Fields>, name: &str) -> Vec<String> {
    of_type.and_then(|of_type| of_type.get(name)).and_then(Value::as_string_list).unwrap_or_default()
}

/// The date to assume for a user's joining of orgs whose date is unknown.
pub fn since(user: &Fields, at: Timestamp) -> Timestamp {
    user.get(field::CREATED_AT).and_then(Value::as_timestamp).unwrap_or(at)
}

/// A user's map of orgs of one type with `current` as the new current ones. Orgs that the user joins begin at `at`, and
/// orgs that the user leaves end at `at`; where the beginning is unknown, it's `since`. Former orgs are kept
/// (docs/domain/documents.md#maps-of-a-users-orgs).
pub fn with_current(stored: Option<&Fields>, current: Vec<String>, since: Timestamp, at: Timestamp) -> Fields {
    let (before, mut all) = (listed(stored, CURRENT), listed(stored, ALL));
    for id in before.iter().chain(&current) {
        if !all.contains(id) {
            all.push(id.clone());
        }
    }
    let dates = stored.and_then(|stored| stored.get(DATES)).and_then(Value::as_map);
    let mut dates = dates.cloned().unwrap_or_default();
    for id in current.iter().filter(|id| !before.contains(id)) {
        dates.insert(id.clone(), Value::Map(fields! { FROM => at, TO => Value::Null }));
    }
    for id in before.iter().filter(|id| !current.contains(id)) {
        let from = dates.get(id).and_then(Value::as_map).and_then(|dates| dates.get(FROM));
        let from = from.filter(|from| !from.is_null()).cloned().unwrap_or(since.into());
        dates.insert(id.clone(), Value::Map(fields! { FROM => from, TO => at }));
    }
    let mut map = stored.cloned().unwrap_or_default();
    map.extend(fields! { CURRENT => Value::strings(current), ALL => Value::strings(all), DATES => dates });
    map
}

/// The orgs of two users who are merged, with their history. An org that both have begins at the earlier of both dates.
pub fn joined_orgs(into: &Fields, from: &Fields, org_type: OrgType, now: Timestamp) -> Option<Value> {
    let plural = org_type.plural();
    let theirs = from.get(plural).and_then(Value::as_map)?;
    let own = into.get(plural).and_then(Value::as_map);
    let join = |name: &str| {
        let mut all = listed(own, name);
        for id in listed(Some(theirs), name) {
            if !all.contains(&id) {
                all.push(id);
            }
        }
        all
    };
    let (current, mut all) = (join(CURRENT), join(ALL));
    all.extend(current.iter().filter(|id| !all.contains(id)).cloned().collect::<Vec<_>>());
    let mut map = own.cloned().unwrap_or_default();
    let mut dates = map.get(DATES).and_then(Value::as_map).cloned().unwrap_or_default();
    let their_dates = theirs.get(DATES).and_then(Value::as_map).cloned().unwrap_or_default();
    for id in &all {
        let since = |dates: &Fields| dates.get(id)?.as_map()?.get(FROM)?.as_timestamp();
        let earliest = [since(&dates), since(&their_dates)].into_iter().flatten().min();
        if current.contains(id) {
            dates.insert(id.clone(), Value::Map(fields! { FROM => earliest.unwrap_or(now) }));
        } else if let (None, Some(known)) = (dates.get(id), their_dates.get(id)) {
            dates.insert(id.clone(), known.clone());
        }
    }
    map.extend(fields! { CURRENT => Value::strings(current), ALL => Value::strings(all), DATES => dates });
    Some(Value::Map(map))
}

/// The edit that makes the history in a user's document agree with its current orgs: the fields, and the mask to write
/// them with; `None` when they agree already.
///
/// `left` are orgs that the user left at `at`, by the event that is handled; all other differences get the date `at`,
/// too. For a user who joins an org again, the org begins at `at`, and the dates of the former stay are dropped.
pub fn history_changes(user: &Fields, left: &OrgLists, at: Timestamp) -> Option<(Fields, Vec<FieldPath>)> {
    let mut changes = Fields::new();
    let mut mask = Vec::new();
    let since = since(user, at);
    for org_type in OrgType::ALL {
        let current: Vec<&str> = org_ids(user, org_type, CURRENT).collect();
        let former: Vec<&str> = org_ids(user, org_type, ALL).collect();
        let stored = user.get(org_type.plural()).and_then(Value::as_map);
        let mut dates = stored.and_then(|map| map.get(DATES)).and_then(Value::as_map).cloned().unwrap_or_default();
        let mut all: Vec<&str> = former.clone();
        for id in current.iter().copied().chain(left.of(org_type).iter().map(String::as_str)) {
            if !all.contains(&id) {
                all.push(id);
            }
        }
        let mut moved = false;
        for id in &all {
            let entry = dates.get(*id).and_then(Value::as_map);
            let date = |name: &str| entry.and_then(|entry| entry.get(name)).filter(|date| !date.is_null());
            let entry = match (current.contains(id), date(FROM), date(TO)) {
                (true, Some(_), None) | (false, Some(_), Some(_)) => continue,
                (true, _, Some(_)) => fields! { FROM => at },
                (true, None, None) => fields! { FROM => if former.contains(id) { since } else { at } },
                (false, from, to) => {
                    let (from, to) = (from.cloned(), to.cloned());
                    fields! { FROM => from.unwrap_or(since.into()), TO => to.unwrap_or(at.into()) }
                }
            };
            dates.insert((*id).to_owned(), Value::Map(entry));
            moved = true;
        }
        let mut map = Fields::new();
        if all != former {
            mask.push(FieldPath::of([org_type.plural(), ALL]));
            map.insert(ALL.to_owned(), Value::strings(all));
        }
        if moved {
            mask.push(FieldPath::of([org_type.plural(), DATES]));
            map.insert(DATES.to_owned(), Value::Map(dates));
        }
        // Pages read `current` unguarded wherever there's a map (docs/domain/dashboard.md#users).
        if !map.is_empty() && !stored.is_some_and(|map| matches!(map.get(CURRENT), Some(Value::Array(_)))) {
            mask.push(FieldPath::of([org_type.plural(), CURRENT]));
            map.insert(CURRENT.to_owned(), Value::Array(Vec::new()));
        }
        if !map.is_empty() {
            changes.insert(org_type.plural().to_owned(), Value::Map(map));
        }
    }
    (!mask.is_empty()).then_some((changes, mask))
}

/// The user's document with the changes of [`history_changes`].
pub fn with_history(user: &Fields, changes: &Fields) -> Fields {
    let mut user = user.clone();
    for (org_type, map) in changes {
        let stored = user.entry(org_type.clone()).or_insert_with(Value::empty_map);
        if let (Value::Map(stored), Value::Map(map)) = (stored, map) {
            stored.extend(map.clone());
        }
    }
    user
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn schools(current: &[&str], all: &[&str], dates: &[(&str, i64, Option<i64>)]) -> Fields {
        let dates: Fields = dates
            .iter()
            .map(|(id, from, to)| {
                let mut entry = fields! { "from" => at(*from) };
                entry.extend(to.map(|to| ("to".to_owned(), Value::Timestamp(at(to)))));
                ((*id).to_owned(), Value::Map(entry))
            })
            .collect();
        fields! {
            "createdAt" => at(5),
            "schools" => fields! { "current" => Value::strings(current.to_vec()), "all" => Value::strings(all.to_vec()), "dates" => dates },
        }
    }

    fn left(ids: &[&str]) -> OrgLists {
        ids.iter().map(|id| (OrgType::School, *id)).collect()
    }

    fn mended(user: &Fields, gone: &[&str]) -> Fields {
        let changes = history_changes(user, &left(gone), at(100)).map(|(changes, _)| changes).unwrap_or_default();
        with_history(user, &changes)
    }

    #[test]
    fn histories_follow_moves() {
        // A move: the org that the user left gets its end, and the org that the user joined gets its beginning.
        let moved = schools(&["s2"], &["s1"], &[("s1", 10, None)]);
        assert_eq!(
            mended(&moved, &["s1"]),
            schools(&["s2"], &["s1", "s2"], &[("s1", 10, Some(100)), ("s2", 100, None)])
        );
        // An importer wrote no history: the history begins with the data of the event.
        let bare = schools(&["s2"], &[], &[]);
        assert_eq!(mended(&bare, &["s1"]), schools(&["s2"], &["s2", "s1"], &[("s1", 5, Some(100)), ("s2", 100, None)]));
        // The user joins an org again.
        let back = schools(&["s1"], &["s1"], &[("s1", 10, Some(50))]);
        assert_eq!(mended(&back, &[]), schools(&["s1"], &["s1"], &[("s1", 100, None)]));
        // A late event says that the user left the org, but the user has joined it again since.
        let stays = schools(&["s1"], &["s1"], &[("s1", 10, None)]);
        assert_eq!(history_changes(&stays, &left(&["s1"]), at(100)), None);
        // An end that is null counts as absent.
        let mut open = stays.clone();
        if let Some(Value::Map(map)) = open.get_mut("schools") {
            map.insert(
                "dates".to_owned(),
                Value::Map(fields! { "s1" => fields! { "from" => at(10), "to" => Value::Null } }),
            );
        }
        assert_eq!(history_changes(&open, &left(&[]), at(100)), None);
    }

    #[test]
    fn what_is_written_has_current_orgs_and_names_that_can_be_stored() {
        let bare = fields! { "createdAt" => at(5) };
        let (changes, mask) = history_changes(&bare, &left(&["s1"]), at(100)).unwrap();
        assert_eq!(mask.len(), 3);
        assert_eq!(with_history(&bare, &changes), schools(&[], &["s1"], &[("s1", 5, Some(100))]));
        let odd = schools(&["", "__x__", "a/b"], &[], &[]);
        assert_eq!(history_changes(&odd, &left(&[]), at(100)), None);
    }

    proptest! {
        /// Whatever a document contains, the changed document has the invariants, and changing it is idempotent.
        #[test]
        fn histories_are_mended_once(
            current in prop::collection::btree_set(0..5_u8, 0..5),
            all in prop::collection::btree_set(0..5_u8, 0..5),
            dates in prop::collection::btree_map(0..5_u8, (1..50_i64, prop::option::of(50..90_i64)), 0..5),
            gone in prop::collection::btree_set(0..5_u8, 0..5),
        ) {
            let name = |id: &u8| format!("s{id}");
            let (current, all): (Vec<_>, Vec<_>) = (current.iter().map(name).collect(), all.iter().map(name).collect());
            let dates: Vec<_> = dates.iter().map(|(id, (from, to))| (name(id), *from, *to)).collect();
            let dates: Vec<_> = dates.iter().map(|(id, from, to)| (id.as_str(), *from, *to)).collect();
            let texts = |ids: &[String]| ids.to_vec();
            let user = schools(
                &texts(&current).iter().map(String::as_str).collect::<Vec<_>>(),
                &texts(&all).iter().map(String::as_str).collect::<Vec<_>>(),
                &dates,
            );
            let gone: Vec<String> = gone.iter().map(name).collect();
            let after = mended(&user, &gone.iter().map(String::as_str).collect::<Vec<_>>());
            let all_after: Vec<&str> = org_ids(&after, OrgType::School, "all").collect();
            for id in org_ids(&after, OrgType::School, "current") {
                prop_assert!(all_after.contains(&id));
            }
            for id in &all_after {
                let date = |name: &str| crate::store::lookup(&after, &format!("schools.dates.{id}.{name}"));
                prop_assert!(date("from").is_some());
                prop_assert_eq!(date("to").is_none(), current.iter().any(|of| of == id));
            }
            prop_assert_eq!(history_changes(&after, &left(&gone.iter().map(String::as_str).collect::<Vec<_>>()), at(200)), None);
        }
    }
}

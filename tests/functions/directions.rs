//! Imports inside `src/` have one direction: each room uses only rooms below it, and no file is part of a circle. This
//! test reads the imports from the code.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use self::source::{Import, Sources};
use crate::repository::root;

/// What stands between the crates, whose direction the compiler watches, and the rooms: each may use those before it,
/// none after it.
const BELOW: [&str; 2] = ["payload", "app"];

/// The rooms, on top of these: each may use those before it, none after it. Within and across them, no file is part of a
/// circle of files that import one another.
const ROOMS: [&str; 24] = [
    "documents",
    "orgs",
    "rights",
    "claims",
    "users",
    "assignments",
    "runs",
    "following",
    "merging",
    "administrations",
    "reports",
    "reconcile",
    "rostering",
    "mirror",
    "archive",
    "reactions",
    "functions",
    "openapi",
    "service",
    "config",
    "demo",
    "cli",
    "fuzzing",
    "main",
];

/// The room's place, from the lowest.
fn place(room: &str) -> Option<usize> {
    BELOW.iter().chain(&ROOMS).position(|known| *known == room)
}

fn sources() -> Sources {
    Sources::read(&root().join("src"))
}

/// Arrows, a line each.
fn listed<'a>(sources: &Sources, arrows: impl IntoIterator<Item = &'a Import>) -> String {
    arrows.into_iter().fold(String::new(), |mut text, import| {
        let file = &sources.files[import.from].path;
        let to = import.to.map(|to| format!(" in src/{}", sources.files[to].path)).unwrap_or_default();
        let _ = writeln!(text, "  src/{file}:{}  {}{to}", import.line, import.text);
        text
    })
}

#[test]
fn every_room_has_its_place() {
    let sources = sources();
    let rooms: BTreeSet<&str> = sources.files.iter().map(|file| file.room()).filter(|room| *room != "lib").collect();
    let unknown: Vec<&&str> = rooms.iter().filter(|room| place(room).is_none()).collect();
    assert!(unknown.is_empty(), "say in this test where these rooms stand: {unknown:?}");
    assert!(sources.imports.len() > 1000, "imports are found");
}

#[test]
fn arrows_point_down() {
    let sources = sources();
    let goes_up = |import: &&Import| {
        let (from, to) = (place(sources.files[import.from].room()), place(&import.room));
        matches!((from, to), (Some(from), Some(to)) if to > from)
    };
    let up: Vec<&Import> = sources.imports.iter().filter(goes_up).collect();
    assert!(up.is_empty(), "these use what stands above them:\n{}", listed(&sources, up));
}

/// What each of these reaches, in any number of steps.
fn reached<T: Ord + Copy>(arrows: &BTreeMap<T, BTreeSet<T>>) -> BTreeMap<T, BTreeSet<T>> {
    let from = |start: T| {
        let (mut found, mut left) = (BTreeSet::new(), vec![start]);
        while let Some(at) = left.pop() {
            left.extend(arrows.get(&at).into_iter().flatten().filter(|next| found.insert(**next)));
        }
        found
    };
    arrows.keys().map(|start| (*start, from(*start))).collect()
}

#[test]
fn rooms_make_no_circle() {
    let sources = sources();
    let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in &sources.imports {
        let from = sources.files[import.from].room();
        if from != import.room && place(&import.room).is_some() {
            arrows.entry(from).or_default().insert(&import.room);
        }
    }
    let reached = reached(&arrows);
    let circles: Vec<&&str> =
        reached.iter().filter(|(room, found)| found.contains(*room)).map(|(room, _)| room).collect();
    assert!(circles.is_empty(), "rooms that come back to themselves: {circles:?}");
}

#[test]
fn files_make_no_circle() {
    let sources = sources();
    let in_rooms: Vec<&Import> = sources
        .imports
        .iter()
        .filter(|import| {
            ROOMS.contains(&sources.files[import.from].room()) && import.to.is_some_and(|to| to != import.from)
        })
        .collect();
    let mut arrows: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    in_rooms.iter().for_each(|import| arrows.entry(import.from).or_default().extend(import.to));
    let reached = reached(&arrows);
    let reaches = |from: usize, to: usize| reached.get(&from).is_some_and(|found| found.contains(&to));
    // One import for each pair of files, by the first file of their circle.
    let mut circles: BTreeMap<usize, BTreeMap<(usize, usize), &Import>> = BTreeMap::new();
    for import in in_rooms {
        let Some(to) = import.to.filter(|to| reaches(*to, import.from)) else { continue };
        let first = reached[&to].iter().find(|other| reaches(**other, to)).unwrap_or(&to);
        circles.entry(*first).or_default().entry((import.from, to)).or_insert(import);
    }
    let text: Vec<String> = circles.values().map(|circle| listed(&sources, circle.values().copied())).collect();
    assert!(circles.is_empty(), "these files use one another in circles:\n{}", text.join("\n"));
}

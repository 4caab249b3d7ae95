//! Citations in comments and documents must have a target: files of `docs` and headings in them. Texts outside of the
//! repository may not be cited.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::repository::{files, root};

/// Where there is code with comments.
const CODE: [&str; 6] = ["src", "crates", "tests", "benches", "fuzz/fuzz_targets", "fuzz/src"];
/// Where what documents name as code lies.
const SOURCES: [&str; 7] = ["src/", "crates/", "tests/", "benches/", "fuzz/", "scripts/", "deploy/"];
/// This file, which names what nobody may cite.
const OWN: &str = "tests/functions/citations.rs";

/// Names of texts that aren't in the repository, as comments have cited them.
const ELSEWHERE: [&str; 20] = [
    "§",
    "ambiguities A-",
    "dashboard-contract",
    "dashboard-seen",
    "data-model",
    "org-hierarchy",
    "callable-protocol.md",
    "blocking-and-storage",
    "support-levels.md",
    "oneroster-provider-checks",
    "wire/auth",
    "wire/callable",
    "wire/clever",
    "wire/events",
    "wire/oneroster",
    "spec/functions",
    "spec/rostering",
    "spec/next",
    "spec/wire",
    "spec/ambiguities",
];
/// Beginnings of citations that go on with the number of a chapter.
const CHAPTERS: [&str; 6] = ["(functions ", "(rostering ", "(design ", "(auth ", "(events ", "(callable protocol "];

/// The anchor that GitHub gives to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().trim_end_matches('#').trim().chars().filter_map(|character| match character {
        ' ' => Some('-'),
        '-' | '_' => Some(character),
        _ => character.is_alphanumeric().then_some(character),
    });
    kept.flat_map(char::to_lowercase).collect()
}

/// The lines of a document with their numbers, without blocks of code.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut is_code = false;
    let numbered = text.lines().enumerate().filter(|(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_fence && !is_code
    });
    numbered.map(|(index, line)| (index + 1, line)).collect()
}

/// The anchors of a document's headings; of those that are the same, the second has `-1` behind it, and so on.
fn anchors(text: &str) -> HashSet<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = prose(text).into_iter().filter_map(|(_, line)| {
        let level = line.len() - line.trim_start_matches('#').len();
        (1..=6).contains(&level).then(|| line[level..].strip_prefix(' '))?
    });
    let numbered = headings.map(|heading| {
        let anchor = anchor(heading);
        let before = seen.entry(anchor.clone()).or_default();
        *before += 1;
        if *before == 1 { anchor } else { format!("{anchor}-{}", *before - 1) }
    });
    numbered.collect()
}

/// What a line says of files in `docs`: each path from the repository's root, and the anchor behind it.
fn mentions(line: &str) -> Vec<(String, Option<String>)> {
    let is_of_path = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
    let is_of_anchor = |character: char| character.is_alphanumeric() || "-_".contains(character);
    let mut found = Vec::new();
    for (at, _) in line.match_indices("docs/") {
        // Part of a longer path, or of an address.
        if line[..at].ends_with(|before: char| is_of_path(before) || before == ':') {
            continue;
        }
        let path: String = line[at..].chars().take_while(|character| is_of_path(*character)).collect();
        let Some(end) = path.find(".md") else { continue };
        let path = &path[..end + 3];
        let behind = line[at + path.len()..].strip_prefix('#');
        let anchor = behind.map(|behind| behind.chars().take_while(|character| is_of_anchor(*character)).collect());
        found.push((path.to_owned(), anchor));
    }
    found
}

/// Paths in the repository that a document names as code, `like/this.rs`; of what has no path of its own, as
/// `src/rights::callable` and `crates/*`, nothing.
fn sources(line: &str) -> Vec<&str> {
    let is_of_path = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
    let quoted = line.split('`').skip(1).step_by(2);
    let paths =
        quoted.filter(|text| SOURCES.iter().any(|below| text.starts_with(below)) && text.chars().all(is_of_path));
    paths.collect()
}

/// The targets of a line's links that lead to this repository.
fn links(line: &str) -> Vec<&str> {
    let targets = line.split("](").skip(1).filter_map(|behind| behind.split_once(')')).map(|(target, _)| target);
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

/// What of a line cites a text that nobody has who has the repository.
fn cited_elsewhere(line: &str, is_code: bool) -> Option<String> {
    if let Some(name) = ELSEWHERE.iter().find(|name| line.contains(**name)) {
        return Some((*name).to_owned());
    }
    for chapter in CHAPTERS {
        let is_numbered = |(at, _)| line[at + chapter.len()..].starts_with(|first: char| first.is_ascii_digit());
        if line.match_indices(chapter).any(is_numbered) {
            return Some(format!("{chapter}…"));
        }
    }
    // Decisions have these numbers; code links to their headings.
    let is_decision = |(at, _): &(usize, &str)| {
        let before = line[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '-');
        let digits: String = line[at + 2..].chars().take_while(char::is_ascii_alphanumeric).collect();
        !before && matches!(digits.len(), 1 | 2) && digits.bytes().all(|digit| digit.is_ascii_digit())
    };
    let decision = line.match_indices("A-").find(is_decision).filter(|_| is_code);
    decision.map(|(at, _)| line[at..].chars().take(4).collect())
}

/// The path of a line that leads out of the repository from a file in a directory of that depth: upwards, or from the
/// root of somebody's disk to a document.
fn leads_out(line: &str, depth: usize) -> Option<&str> {
    let is_of_path = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
    let words = line.split(|character: char| !is_of_path(character) && character != ':');
    let mut paths = words.map(|word| word.trim_end_matches(['.', ':']));
    paths.find(|path| {
        let ups = path.split('/').take_while(|part| *part == "..").count();
        ups > depth || (path.starts_with('/') && !path.starts_with("//") && path.ends_with(".md"))
    })
}

struct Repository {
    root: PathBuf,
    /// The anchors of documents, by path from the root.
    anchors: HashMap<PathBuf, Option<HashSet<String>>>,
}

impl Repository {
    /// What is wrong with a mention of a file, if anything.
    fn wrong(&mut self, path: &Path, anchor: Option<&str>) -> Option<String> {
        let shown = path.display();
        if !self.root.join(path).exists() {
            return Some(format!("there is no {shown}"));
        }
        let anchor = anchor.filter(|_| path.extension().is_some_and(|ending| ending == "md"))?;
        let read = || Some(anchors(&std::fs::read_to_string(self.root.join(path)).ok()?));
        let known = self.anchors.entry(path.to_owned()).or_insert_with(read).as_ref();
        let has = known.is_some_and(|known| known.contains(anchor));
        (!has).then(|| format!("{shown} has no heading #{anchor}"))
    }
}

/// `up/../down` as `down`.
fn normal(path: &Path) -> PathBuf {
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    for part in path.iter().filter(|part| *part != ".") {
        match part.to_str() {
            Some("..") => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.iter().collect()
}

/// All that is cited and isn't there, with where it is cited; and how many citations of `docs` there are.
fn offenders(root: &Path) -> (Vec<String>, usize) {
    let mut repository = Repository { root: root.to_owned(), anchors: HashMap::new() };
    let mut found = Vec::new();
    found.extend(CODE.iter().flat_map(|below| files(&root.join(below), ".rs")));
    found.extend(files(&root.join("tests/clients"), ".mjs"));
    found.extend(files(&root.join("docs"), ".md"));
    let top = std::fs::read_dir(root).expect("the repository").map(|entry| entry.expect("an entry").path());
    found.extend(top.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    found.sort();
    let (mut wrong, mut cited) = (Vec::new(), 0);
    for file in found {
        let here = file.strip_prefix(root).expect("a file of the repository").to_owned();
        if here == Path::new(OWN) {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("readable");
        let is_code = here.extension().is_some_and(|ending| ending != "md");
        let depth = here.iter().count() - 1;
        let mut say = |line: usize, what: String| wrong.push(format!("{}:{line}: {what}", here.display()));
        for (index, line) in text.lines().enumerate() {
            if let Some(name) = cited_elsewhere(line, is_code) {
                say(index + 1, format!("{name:?} cites what isn't in the repository"));
            }
            if let Some(path) = leads_out(line, depth) {
                say(index + 1, format!("{path} leads out of the repository"));
            }
            for (path, anchor) in mentions(line) {
                cited += 1;
                if let Some(what) = repository.wrong(Path::new(&path), anchor.as_deref()) {
                    say(index + 1, what);
                }
            }
        }
        if is_code {
            continue;
        }
        // What was changed in the past may be gone since.
        let is_history = here == Path::new("CHANGELOG.md");
        for (number, line) in prose(&text) {
            for path in sources(line).into_iter().filter(|path| !is_history && !root.join(path).exists()) {
                say(number, format!("there is no {path}"));
            }
            for target in links(line) {
                let (path, anchor) = match target.split_once('#') {
                    Some((path, anchor)) => (path, Some(anchor)),
                    None => (target, None),
                };
                let beside = here.parent().unwrap_or(Path::new(""));
                let path = if path.is_empty() { here.clone() } else { normal(&beside.join(path)) };
                // Where it's a mention as well, it's told of once.
                let is_told = mentions(target).iter().any(|(mentioned, _)| Path::new(mentioned) == path);
                if let Some(what) = repository.wrong(&path, anchor).filter(|_| !is_told) {
                    say(number, what);
                }
            }
        }
    }
    (wrong, cited)
}

#[test]
fn what_is_cited_is_there() {
    let (wrong, cited) = offenders(root());
    assert!(cited > 100, "{cited} citations");
    assert!(wrong.is_empty(), "{} citations are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn headings_have_the_anchors_that_github_gives_them() {
    let text = "# What isn't there\n## `users/{uid}` (admin), by all\n```sh\n# no heading\n```\n## A_b – c\n## Twice\n## Twice\n#none";
    let expected = ["what-isnt-there", "usersuid-admin-by-all", "a_b--c", "twice", "twice-1"];
    assert_eq!(anchors(text), expected.map(str::to_owned).into());
}

#[test]
fn citations_are_told_from_other_text() {
    let line = "See (docs/domain/a.md#b-c), `docs/d.md`. Not https://x.org/docs/e.md, ../docs/f.md or docs/g.txt.";
    let told = |path: &str, anchor: Option<&str>| (path.to_owned(), anchor.map(str::to_owned));
    assert_eq!(mentions(line), [told("docs/domain/a.md", Some("b-c")), told("docs/d.md", None)]);
    assert_eq!(sources("`src/a.rs`, `src/b/`, `src/c::d`, src/e and `f`"), ["src/a.rs", "src/b/"]);
    assert_eq!(links("[a](b.md#c) and [d](https://e.org) and [f](#g)"), ["b.md#c", "#g"]);
    for (line, is_cited) in [
        ("(functions §2)", true),
        ("(functions 2.10)", true),
        ("(functions of two)", false),
        ("(A-32)", true),
        ("/// A-55).", true),
        ("decisions.md#a-32", false),
        ("SHA-256, AAA-12, A-1b and A-123", false),
        ("the data model", false),
    ] {
        assert_eq!(cited_elsewhere(line, true).is_some(), is_cited, "{line}");
    }
    assert_eq!(cited_elsewhere("### A-3", false), None);
    for (line, expected) in [
        ("see ../../beside/rules.md", Some("../../beside/rules.md")),
        ("(/home/somebody/rules.md)", Some("/home/somebody/rules.md")),
        ("include_str!(\"../docs/rights.md\")", None),
        ("https://x.org/rules.md, docs/rules.md and a/../b", None),
    ] {
        assert_eq!(leads_out(line, 1), expected, "{line}");
    }
}

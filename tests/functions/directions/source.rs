//! The imports of a crate's files: `use` declarations and paths in code, without what is for tests alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A file of the crate.
pub struct File {
    /// Below `src/`.
    pub path: String,
    /// Its module.
    module: Vec<String>,
    /// What it declares with `use`.
    uses: Vec<Use>,
    /// Paths that its code names besides, by lines.
    paths: Vec<(usize, Vec<String>)>,
}

impl File {
    /// The directory, or the file, right below `src/`.
    pub fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }
}

/// One name of a `use` declaration.
struct Use {
    line: usize,
    path: Vec<String>,
    name: String,
    is_public: bool,
}

/// A file names something of the crate.
pub struct Import {
    /// Which.
    pub from: usize,
    /// In which line.
    pub line: usize,
    /// As it's written.
    pub text: String,
    /// The room that is named.
    pub room: String,
    /// The file that has what is named. None for a module, which is named for the sake of what is in it, and for a name
    /// that is passed on from elsewhere: a door is no use.
    pub to: Option<usize>,
}

/// All files of a crate, with their imports.
pub struct Sources {
    pub files: Vec<File>,
    pub imports: Vec<Import>,
}

impl Sources {
    pub fn read(root: &Path) -> Sources {
        let mut texts = BTreeMap::new();
        collect(root, root, &mut texts);
        let mut for_tests = BTreeSet::new();
        let mut files = Vec::new();
        for (path, text) in &texts {
            let module = module_of(path);
            let (code, test_modules) = without_tests(&bare(text));
            for_tests.extend(test_modules.into_iter().map(|name| [module.clone(), vec![name]].concat()));
            let (uses, rest) = declarations(&code);
            files.push(File { path: path.clone(), module, uses, paths: paths(&rest) });
        }
        files.retain(|file| !for_tests.iter().any(|module| file.module.starts_with(module)));
        let mut sources = Sources { files, imports: Vec::new() };
        sources.imports = (0..sources.files.len()).flat_map(|file| sources.imports_of(file)).collect();
        sources
    }

    fn imports_of(&self, from: usize) -> Vec<Import> {
        let file = &self.files[from];
        let uses = file.uses.iter().map(|of| (of.line, &of.path, of.is_public));
        let named = uses.chain(file.paths.iter().map(|(line, path)| (*line, path, false)));
        let imports = named.filter_map(|(line, path, is_public)| {
            let absolute = self.absolute(from, path)?;
            let to = self.home(&absolute).filter(|_| !is_public);
            Some(Import { from, line, text: path.join("::"), room: absolute.first()?.clone(), to })
        });
        imports.collect()
    }

    /// The path from the crate's root; `None` where it leads out of the crate.
    fn absolute(&self, from: usize, path: &[String]) -> Option<Vec<String>> {
        let file = &self.files[from];
        let (first, rest) = path.split_first()?;
        let start = match first.as_str() {
            "crate" => Vec::new(),
            "self" => file.module.clone(),
            "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                let above = file.module.len().checked_sub(ups)?;
                return Some([&file.module[..above], &path[ups..]].concat());
            }
            first => {
                let child = [file.module.clone(), vec![first.to_owned()]].concat();
                match file.uses.iter().find(|of| of.name == first && of.path[..] != path[..]) {
                    _ if self.module(&child).is_some() => child,
                    Some(declared) => self.absolute(from, &declared.path)?,
                    None => return None,
                }
            }
        };
        Some([&start, rest].concat())
    }

    fn module(&self, path: &[String]) -> Option<usize> {
        self.files.iter().position(|file| file.module == path)
    }

    /// The file that has what a path leads to, beyond all doors on the way.
    fn home(&self, path: &[String]) -> Option<usize> {
        let known = (1..=path.len()).rev().find_map(|length| Some((length, self.module(&path[..length])?)));
        let (length, file) = known?;
        let (name, rest) = path[length..].split_first()?;
        let door = self.files[file].uses.iter().find(|of| of.name == *name);
        match door.and_then(|door| self.absolute(file, &door.path)) {
            Some(beyond) if beyond != path => self.home(&[beyond, rest.to_vec()].concat()).or(Some(file)),
            _ => Some(file),
        }
    }
}

fn collect(root: &Path, directory: &Path, texts: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            texts.insert(name, std::fs::read_to_string(&path).expect("text"));
        }
    }
}

fn module_of(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") || parts == ["lib"] {
        parts.pop();
    }
    parts
}

/// The text with blanks in place of comments and of what is quoted.
fn bare(text: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        let length = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => block_comment(rest),
            ['r', '"' | '#', ..] if at == 0 || !is_word(characters[at - 1]) => raw_string(rest),
            ['"', ..] => string(rest),
            ['\'', '\\', ..] => 3 + rest[3..].iter().position(|c| *c == '\'').unwrap_or(0),
            ['\'', _, '\'', ..] => 2,
            _ => 0,
        };
        let end = (at + length + usize::from(length > 0 && rest[0] == '\'')).min(characters.len());
        characters[at..end].iter_mut().filter(|c| **c != '\n').for_each(|c| *c = ' ');
        at = end.max(at + 1);
    }
    characters.into_iter().collect()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn block_comment(text: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        match &text[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string; nothing for what merely begins like one with an `r`.
fn raw_string(text: &[char]) -> usize {
    let hashes = text[1..].iter().take_while(|c| **c == '#').count();
    if text.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let inside = &text[2 + hashes..];
    let length = inside.windows(end.len()).position(|window| *window == end[..]).unwrap_or(inside.len());
    2 + hashes + length + end.len()
}

fn string(text: &[char]) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The code without what `#[cfg(test)]` is on, and the names of the modules that are files of their own.
fn without_tests(code: &str) -> (String, Vec<String>) {
    const MARK: &str = "#[cfg(test)]";
    let (mut left, mut modules) = (code.to_owned(), Vec::new());
    while let Some(start) = left.find(MARK) {
        let item = &left[start + MARK.len()..];
        let mut depth = 0;
        let end = item.char_indices().find_map(|(at, character)| {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0 && matches!(character, '}' | ';')).then_some(at + 1)
        });
        let end = end.unwrap_or(item.len());
        if let Some(name) = item[..end].trim().strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';')) {
            modules.push(name.trim().to_owned());
        }
        let blank: String =
            left[start..start + MARK.len() + end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        left.replace_range(start..start + MARK.len() + end, &blank);
    }
    (left, modules)
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The `use` declarations, and the code without them.
fn declarations(code: &str) -> (Vec<Use>, String) {
    let (mut uses, mut rest) = (Vec::new(), code.to_owned());
    let starts = code.match_indices("use ").map(|(at, _)| at).filter(|at| !code[..*at].ends_with(is_word));
    for start in starts {
        let before = code[..start].trim_end_matches([' ', '\t']);
        let line = &code[code[..start].rfind('\n').map_or(0, |end| end + 1)..start];
        let is_public = line.trim_start().starts_with("pub");
        // Not in the middle of something else: `+ use<'_>`.
        if !(before.ends_with(['\n', ';', '{', '}']) || before.is_empty() || is_public) {
            continue;
        }
        let Some(length) = code[start..].find(';') else { continue };
        let declared = &code[start + 4..start + length];
        for (path, name) in expanded(declared) {
            uses.push(Use { line: line_of(code, start), path, name, is_public });
        }
        let blank: String = code[start..start + length].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        rest.replace_range(start..start + length, &blank);
    }
    (uses, rest)
}

/// The paths of a tree of them, each with the name that it gets here.
fn expanded(tree: &str) -> Vec<(Vec<String>, String)> {
    let Some((before, inside)) = tree.split_once('{') else {
        let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias.trim())));
        let mut path: Vec<String> = path.split("::").map(|part| part.trim().to_owned()).collect();
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = alias.or(path.last().map(String::as_str)).unwrap_or_default().to_owned();
        return vec![(path, name)];
    };
    let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for character in inside.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match (character, parts.last_mut()) {
            (',', _) if depth == 0 => parts.push(String::new()),
            (_, Some(part)) => part.push(character),
            _ => {}
        }
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.flat_map(|part| expanded(&format!("{}{part}", before.trim()))).collect()
}

/// The paths of more than one part that code names, with their lines.
fn paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(offset) = code[at..].find(|c: char| c.is_alphabetic() || c == '_') {
        let start = at + offset;
        let follows = code[..start].ends_with(['.', '$', '\'']) || code[..start].ends_with("::");
        let (mut parts, mut end) = (Vec::new(), start);
        loop {
            let length = code[end..].find(|c| !is_word(c)).unwrap_or(code.len() - end);
            parts.push(code[end..end + length].to_owned());
            end += length;
            match code[end..].strip_prefix("::").filter(|next| next.starts_with(is_word)) {
                Some(_) => end += 2,
                None => break,
            }
        }
        if parts.len() > 1 && !follows {
            found.push((line_of(code, start), parts));
        }
        at = end;
    }
    found
}

#[test]
fn imports_are_read() {
    let code =
        bare("use a::{b, c::{self, D as E}};\n// use x;\nlet s = \"use y;\"; let c = '\"'; f::<'a>(); g::h();\n");
    let (uses, rest) = declarations(&code);
    let read: Vec<String> = uses.iter().map(|of| format!("{} {}", of.path.join("::"), of.name)).collect();
    assert_eq!(read, ["a::b b", "a::c c", "a::c::D E"]);
    assert_eq!(paths(&rest), [(3, vec!["g".to_owned(), "h".to_owned()])]);
    let (left, modules) = without_tests("a;\n#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod more {\n{}\n}\nb;");
    assert_eq!((left.split_whitespace().collect::<Vec<_>>(), modules), (vec!["a;", "b;"], vec!["tests".to_owned()]));
}

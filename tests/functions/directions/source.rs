//! The imports of a crate's files: `use` declarations and paths in code, without what is for tests alone.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemUse, Macro, UseTree, Visibility};

use crate::repository::{is_for_tests, sources};

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
        let mut for_tests = BTreeSet::new();
        let mut files = Vec::new();
        for (path, text) in sources(root) {
            let module = module_of(&path);
            let Reader { uses, paths, test_modules } = Reader::read(&text);
            for_tests.extend(test_modules.into_iter().map(|name| [module.clone(), vec![name]].concat()));
            files.push(File { path, module, uses, paths });
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

fn module_of(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") || parts == ["lib"] {
        parts.pop();
    }
    parts
}

/// What a file's syntax tree says of imports.
#[derive(Default)]
struct Reader {
    uses: Vec<Use>,
    paths: Vec<(usize, Vec<String>)>,
    /// Modules for tests that are files of their own.
    test_modules: Vec<String>,
}

impl Reader {
    fn read(text: &str) -> Reader {
        let mut reader = Reader::default();
        reader.visit_file(&syn::parse_file(text).expect("Rust that compiles"));
        reader
    }

    /// Notes each name of a `use` declaration, below what stands before it.
    fn declare(&mut self, tree: &UseTree, above: &[String], is_public: bool) {
        let below = |part: &Ident| [above, &[part.to_string()]].concat();
        let (name, path) = match tree {
            UseTree::Path(path) => return self.declare(&path.tree, &below(&path.ident), is_public),
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.declare(tree, above, is_public)),
            UseTree::Name(name) if name.ident == "self" => (above.last().cloned().unwrap_or_default(), above.to_vec()),
            UseTree::Name(name) => (name.ident.to_string(), below(&name.ident)),
            UseTree::Rename(rename) if rename.ident == "self" => (rename.rename.to_string(), above.to_vec()),
            UseTree::Rename(rename) => (rename.rename.to_string(), below(&rename.ident)),
            UseTree::Glob(_) => ("*".to_owned(), [above, &["*".to_owned()]].concat()),
        };
        self.uses.push(Use { line: tree.span().start().line, path, name, is_public });
    }

    /// Notes the paths in what a macro is given, which has no tree.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<Ident> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Ident(part) if colons == 2 && !path.is_empty() => (colons, _) = (0, path.push(part)),
                other => {
                    self.path(std::mem::take(&mut path).iter());
                    colons = 0;
                    match other {
                        TokenTree::Ident(first) => path.push(first),
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        _ => {}
                    }
                }
            }
        }
        self.path(path.iter());
    }

    /// Notes a path of more than one part.
    fn path<'a>(&mut self, mut parts: impl Iterator<Item = &'a Ident>) {
        if let Some(first) = parts.next() {
            let path: Vec<String> = std::iter::once(first).chain(parts).map(Ident::to_string).collect();
            if path.len() > 1 {
                self.paths.push((first.span().start().line, path));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Const(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Macro(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Trait(item) => &item.attrs,
            Item::Type(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        match item {
            Item::Mod(module) if is_for_tests(attributes) && module.content.is_none() => {
                self.test_modules.push(module.ident.to_string());
            }
            _ if is_for_tests(attributes) => {}
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let is_for_tests = matches!(item, ImplItem::Fn(method) if is_for_tests(&method.attrs));
        if !is_for_tests {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.declare(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.path(path.segments.iter().map(|segment| &segment.ident));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, of: &'ast Macro) {
        self.tokens(of.tokens.clone());
        visit::visit_macro(self, of);
    }

    /// What stands in attributes is no import.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    /// Who may see an item is no import.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

#[test]
fn imports_are_read() {
    let reader = Reader::read(
        "use a::{b, c::{self, D as E}};\n// use x;\nfn h() { let s = \"i::j\"; f::<'a>(); g::h(); m!(\"{}\", k::l(1)) }\n\
         #[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod more {\nuse n::o;\n}\npub(crate) use p::q;\n",
    );
    let read: Vec<String> = reader.uses.iter().map(|of| format!("{} {}", of.path.join("::"), of.name)).collect();
    assert_eq!(read, ["a::b b", "a::c c", "a::c::D E", "p::q q"]);
    assert_eq!(reader.uses.iter().map(|of| of.is_public).collect::<Vec<_>>(), [false, false, false, true]);
    let path = |first: &str, second: &str| (3, vec![first.to_owned(), second.to_owned()]);
    assert_eq!(reader.paths, [path("g", "h"), path("k", "l")]);
    assert_eq!(reader.test_modules, ["tests"]);
}

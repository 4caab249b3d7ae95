//! Names of document fields and collections are written only in the files of their kinds, in `src/documents/`: a name
//! that is written once can be found, changed and explained in one place. This test reads the code and fails where a
//! string literal elsewhere is such a name.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::repository::{is_for_tests, root, sources};

/// Where such names may stand otherwise: what begins a path below `src/`; the names, or none for all; and the reason.
const ALLOWED: &[(&str, &[&str], &str)] = &[
    ("documents/", &[], "the kinds' own files"),
    ("openapi/", &[], "requests and answers, which people read in a document of their own"),
    ("cli/", &[], "what commands print"),
    ("demo/", &[], "a demonstration writes as clients and providers do"),
    ("rostering/sources/", &[], "the wire of a provider"),
    ("rostering/report.rs", &[], "names of kinds, phases and reasons, as answers and log lines have them"),
    ("rostering/sync/fixtures.rs", &[], "what unit tests sync"),
    ("rostering/person.rs", &["admin"], "a role, not a field"),
    ("rostering/sync/", &["admin"], "a role, not a field"),
    (
        "app.rs",
        &["admin", "districtContact", "principal", "phone", "createdBy"],
        "defaults of settings, below the documents",
    ),
    ("administrations/payload", &[], "the request"),
    ("administrations/create.rs", &["sequential", "testData"], "names of the request, in a refusal"),
    ("administrations/sync.rs", &["administrationId"], "a task's payload, and a parameter of a path"),
    ("administrations/fanout/", &["orgId", "orgType", "function"], "payloads of tasks"),
    ("reconcile/callable.rs", &["total"], "the request, and a block of counts"),
    ("claims/binding/mod.rs", &["adminUid", "roarUid"], "the requests"),
    ("claims/binding/bind.rs", &["provider", "email", "id"], "details of a record, for people"),
    ("claims/binding/shown.rs", &["password"], "a provider of accounts"),
    ("claims/group.rs", &["id"], "the request"),
    ("claims/audit.rs", &["roster"], "an action, not a field"),
    ("claims/binding/identity.rs", &["clever"], "a provider, not a field"),
    ("users/record.rs", &[], "the request, whose fields are those of an account"),
    (
        "users/administrator.rs",
        &["name", "orgs", "adminOrgs", "displayName"],
        "the request, and what a record says of an account",
    ),
    ("service.rs", &["provider"], "a label of metrics"),
];

/// Strings of `file`, outside of tests, of `json!` (which makes answers) and of attributes, each with its line.
#[derive(Default)]
struct Strings {
    found: Vec<(usize, String)>,
}

impl Strings {
    fn tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Literal(literal) => {
                    let line = literal.span().start().line;
                    if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                        self.found.push((line, text.value()));
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Strings {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.found.push((literal.span().start().line, literal.value()));
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if !call.path.is_ident("json") {
            self.tokens(call.tokens.clone());
        }
    }

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }
}

fn strings_of(code: &str) -> Vec<(usize, String)> {
    let mut strings = Strings::default();
    strings.visit_file(&syn::parse_file(code).expect("code"));
    strings.found
}

/// The constants of a kind's file that name something: those of its modules `field`, and its collections.
fn names_of(code: &str, file: &str, names: &mut BTreeMap<String, String>) {
    fn read(items: &[syn::Item], are_fields: bool, file: &str, names: &mut BTreeMap<String, String>) {
        for item in items {
            match item {
                syn::Item::Mod(module) if module.ident == "field" => {
                    let items = module.content.as_ref().map(|(_, items)| items.as_slice());
                    read(items.unwrap_or_default(), true, file, names);
                }
                syn::Item::Const(constant)
                    if are_fields || constant.ident == "COLLECTION" || constant.ident == "ENTRIES" =>
                {
                    if let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }) = constant.expr.as_ref() {
                        names.insert(name.value(), format!("{} of {file}", constant.ident));
                    }
                }
                _ => {}
            }
        }
    }
    read(&syn::parse_file(code).expect("code").items, false, file, names);
}

/// The places that allow the name in the file, each with the name that it lists, if it lists any.
fn allowed_by<'a>(file: &str, name: &str) -> Vec<(&'a str, &'a str)> {
    let places = ALLOWED.iter().filter(|(start, _, _)| file.starts_with(start));
    let allowing = places.filter_map(|(start, names, _)| match names.iter().find(|listed| **listed == name) {
        Some(listed) => Some((*start, *listed)),
        None => names.is_empty().then_some((*start, "")),
    });
    allowing.collect()
}

#[test]
fn fields_are_named_by_the_files_of_their_kinds_alone() {
    let mut files = sources(&root().join("src"));
    files.retain(|(file, _)| !file.trim_end_matches(".rs").split('/').any(|part| part == "tests"));
    let mut names = BTreeMap::new();
    for (file, code) in files.iter().filter(|(file, _)| file.starts_with("documents/")) {
        names_of(code, file, &mut names);
    }
    assert!(names.len() > 150, "the kinds' files name few fields: {}", names.len());
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for (file, code) in &files {
        for (line, text) in strings_of(code) {
            let Some(name) = names.get(&text) else { continue };
            let allowed = allowed_by(file, &text);
            if allowed.is_empty() {
                wrong.push(format!("src/{file}:{line}: \"{text}\" is {name}"));
            }
            used.extend(allowed);
        }
    }
    assert!(wrong.is_empty(), "{} names of fields stand outside of src/documents:\n{}", wrong.len(), wrong.join("\n"));
    let listed = ALLOWED.iter().flat_map(|(start, names, _)| {
        let names = if names.is_empty() { &[""][..] } else { names };
        names.iter().map(|name| (*start, *name))
    });
    let idle: Vec<_> = listed.filter(|place| !used.contains(place)).collect();
    assert!(idle.is_empty(), "nothing needs to be allowed there any more: {idle:?}");
}

#[test]
fn names_are_found_in_code_and_in_macros_but_not_in_tests_answers_and_comments() {
    let code = r#"
        //! "comment"
        fn work(user: &Fields) {
            user.get("called");
            match name { "matched" => {} _ => {} }
            let fields = fields! { "keyed" => fields! { "inner" => 1 } };
            json!({ "answered": 1 });
        }
        #[cfg(test)]
        mod tests { const NAME: &str = "tested"; }
    "#;
    let found: Vec<(usize, String)> = strings_of(code);
    let found: Vec<(usize, &str)> = found.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(found, [(4, "called"), (5, "matched"), (6, "keyed"), (6, "inner")]);
    let kind = r#"
        pub mod field { pub const NAME: &str = "name"; }
        pub mod mark { pub const DONE: &str = "done"; }
        pub const COLLECTION: &str = "things";
    "#;
    let mut names = BTreeMap::new();
    names_of(kind, "documents/thing.rs", &mut names);
    assert_eq!(names.keys().collect::<Vec<_>>(), ["name", "things"]);
}

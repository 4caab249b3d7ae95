//! The repository's own files, for tests that read them.

use std::path::{Path, PathBuf};

use syn::{Attribute, Ident};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a directory whose names end so, in order; none where there is no such directory. What is installed or
/// built is left out.
pub fn files(below: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(below, ending, &mut found);
    found.sort();
    found
}

fn collect(below: &Path, ending: &str, into: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(below) else { return };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("node_modules") && !path.ends_with("target") {
                collect(&path, ending, into);
            }
        } else if path.to_str().is_some_and(|name| name.ends_with(ending)) {
            into.push(path);
        }
    }
}

/// The Rust files below a directory, each with its path from there, with slashes, and its text.
pub fn sources(below: &Path) -> Vec<(String, String)> {
    let named = files(below, ".rs").into_iter().map(|file| {
        let name = file.strip_prefix(below).expect("a file below").to_string_lossy().replace('\\', "/");
        (name, std::fs::read_to_string(&file).expect("text"))
    });
    named.collect()
}

/// Only tests have the item with these attributes.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| attribute.parse_args::<Ident>().is_ok_and(|of| of == "test");
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("test") || (attribute.path().is_ident("cfg") && is_test(attribute)))
}

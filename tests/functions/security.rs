//! The threat model (`docs/security.md`) names tests; each named test must exist.

use std::path::{Path, PathBuf};

use crate::repository::{files, root};

/// The third column of every row, split into what stands in backticks.
fn proofs(text: &str) -> Vec<(String, Vec<String>)> {
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.matches('|').count() >= 4);
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [who, _, proof] = cells.as_slice() else { return None };
        let named = proof.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (*proof != "Proof").then(|| ((*who).to_owned(), named))
    })
    .collect()
}

#[test]
fn every_row_of_the_threat_model_names_tests_that_are_there() {
    let root = root();
    let text = std::fs::read_to_string(root.join("docs/security.md")).expect("the threat model");
    let sources: Vec<PathBuf> =
        ["crates", "src", "tests"].iter().flat_map(|below| files(&root.join(below), ".rs")).collect();
    let read = |path: &PathBuf| (path.clone(), std::fs::read_to_string(path).expect("readable"));
    let sources: Vec<(PathBuf, String)> = sources.iter().map(read).collect();
    let rows = proofs(&text);
    assert!(rows.len() > 25, "{} rows", rows.len());
    for (who, named) in rows {
        assert!(!named.is_empty(), "no test is named: {who}");
        for name in named {
            if let Some((file, title)) =
                name.split_once(".mjs").map(|(file, title)| (file, title.trim_start_matches(": ")))
            {
                let script = root.join(format!("tests/clients/{file}.mjs"));
                let script =
                    std::fs::read_to_string(&script).unwrap_or_else(|_| panic!("{who}: there's no {file}.mjs"));
                let is_there = title.is_empty()
                    || script.contains(&format!("'{title}'"))
                    || script.contains(&format!("\"{title}\""));
                assert!(is_there, "{who}: {file}.mjs has no test {title:?}");
                continue;
            }
            let (module, test) = name.rsplit_once("::").unwrap_or(("", &name));
            let module = module.rsplit("::").next().unwrap_or_default();
            let in_module = |path: &Path| {
                path.components().any(|part| Path::new(part.as_os_str()).file_stem().is_some_and(|stem| stem == module))
            };
            let is_test = |(path, text): &(PathBuf, String)| {
                let has = if test.is_empty() {
                    text.contains("#[test]") || text.contains("#[tokio::test")
                } else {
                    text.contains(&format!("fn {test}("))
                };
                in_module(path) && has
            };
            assert!(sources.iter().any(is_test), "{who}: there's no test {name}");
        }
    }
}

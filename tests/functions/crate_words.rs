//! The crates contain nothing specific to ROAR, so that other backends can be built on them: neither its name, nor its
//! settings (`ROAR_…`), nor its fields. `src/` passes everything specific to ROAR to the crates.

use std::path::PathBuf;

use crate::repository::{files, root};

/// True for a line, or a path, that speaks of ROAR.
fn speaks(text: &str) -> bool {
    text.to_ascii_lowercase().contains("roar")
}

#[test]
fn crates_know_no_word_of_roar() {
    assert!(speaks("set ROAR_DATA_DIR") && speaks("users/{roarUid}") && !speaks("a record"));
    let crates = root().join("crates");
    let read = |path: PathBuf| {
        let text = std::fs::read(&path).expect("a file");
        (path.display().to_string(), String::from_utf8_lossy(&text).into_owned())
    };
    let files: Vec<(String, String)> = files(&crates, "").into_iter().map(read).collect();
    assert!(files.len() > 100, "the crates' files are found");
    let mut found = Vec::new();
    for (path, text) in &files {
        let path = path.strip_prefix(&crates.display().to_string()).unwrap_or(path);
        let is_manifest = path.ends_with("Cargo.toml");
        // Where the repository is, only its address says.
        let lines = text.lines().enumerate().filter(|(_, line)| !(is_manifest && line.starts_with("repository")));
        let lines = lines.filter(|(_, line)| speaks(line));
        found.extend(lines.map(|(number, line)| format!("  crates{path}:{}  {}", number + 1, line.trim())));
        if speaks(path) {
            found.push(format!("  crates{path}"));
        }
    }
    assert!(found.is_empty(), "these speak of ROAR: say it in src/, and pass it as a setting:\n{}", found.join("\n"));
}

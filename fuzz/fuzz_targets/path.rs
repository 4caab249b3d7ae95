//! Paths of documents and fields, patterns of triggers, and keys on disk: one in a line.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use roar_functions::fuzzing::{document_key, is_nested, key_in_collection, path_of};
use roar_functions::payload::is_id;
use roar_functions::store::order::encode_name;
use roar_functions::store::{DocPath, FieldPath, PathPattern};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split('\n').take(4).collect();
    let paths: Vec<DocPath> = lines.iter().filter_map(|line| DocPath::new(*line).ok()).collect();
    for path in &paths {
        parts(path);
        lines.iter().filter_map(|line| PathPattern::new(line).ok()).for_each(|pattern| matched(&pattern, path));
        for other in &paths {
            let name = |path: &DocPath| {
                let mut key = Vec::new();
                encode_name(path.as_str(), &mut key);
                key
            };
            assert_eq!(path.cmp(other), name(path).cmp(&name(other)), "{path} {other}");
            if path.collection_id() == other.collection_id() {
                assert_eq!(path.cmp(other), document_key(path).cmp(&document_key(other)), "{path} {other}");
            }
        }
    }
    for line in lines {
        if let Ok(path) = FieldPath::parse(line) {
            assert_eq!(FieldPath::parse(&path.to_string()), Ok(path));
        }
        let dotted = FieldPath::dotted(line);
        if dotted.segments().iter().all(|segment| !segment.is_empty()) {
            assert_eq!(FieldPath::parse(&dotted.to_string()), Ok(dotted));
        }
        assert_eq!(is_id(line), !line.contains('/') && DocPath::new(format!("c/{line}")).is_ok());
    }
});

fn parts(path: &DocPath) {
    assert_eq!(DocPath::new(path.as_str()).as_ref(), Ok(path));
    assert_eq!(DocPath::in_collection(path.collection(), path.id()).as_ref(), Ok(path));
    assert_eq!(path.segments().collect::<Vec<_>>().join("/"), path.as_str());
    let child = path.child(path.collection_id(), path.id()).expect("segments that were good");
    assert_eq!(child.parent().as_ref(), Some(path));
    assert!(child > *path);
    assert_eq!(path_of(&document_key(path)).as_ref(), Ok(path));
    let rest = key_in_collection(path).expect("a key begins with its collection's");
    assert!(!is_nested(&rest), "{path}");
    // A collection of the same ID below the document is in the range of keys of the one above.
    let above = document_key(path).len() - rest.len();
    assert!(document_key(&child).starts_with(&document_key(path)[..above]));
    assert!(is_nested(&document_key(&child)[above..]), "{child}");
}

/// What a pattern captured, put into it again, makes the path.
fn matched(pattern: &PathPattern, path: &DocPath) {
    let Some(params) = pattern.matches(path) else { return };
    let name = |segment: &str| Some(segment.strip_prefix('{')?.strip_suffix('}')?.to_owned());
    let names: Vec<String> = pattern.as_str().split('/').filter_map(name).collect();
    assert_eq!(names.iter().cloned().collect::<BTreeSet<_>>(), params.keys().cloned().collect());
    if names.len() == params.len() {
        let filled = pattern.as_str().split('/').map(|segment| match name(segment) {
            Some(name) => params[&name].clone(),
            None => segment.to_owned(),
        });
        assert_eq!(filled.collect::<Vec<_>>().join("/"), path.as_str());
    }
}

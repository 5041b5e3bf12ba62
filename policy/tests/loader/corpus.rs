//! The same entry as the fuzz target's, over every rule file that there is: examples, mistakes, shipped ones.

use std::path::{Path, PathBuf};

use crate::entry::read;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(path);
        }
    }
}

#[test]
fn every_rule_file_and_every_beginning_of_one_is_answered() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["tests/rules", "tests/diagnostics", "../rules"] {
        files(&root.join(folder), &mut found);
    }
    assert!(found.len() > 60, "{} files", found.len());
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let _ = read(&text);
        // Cut off where a write may have been: at every so many bytes.
        let step = (text.len() / 40).max(7);
        for end in (0..text.len()).step_by(step) {
            let _ = read(&text[..text.floor_char_boundary(end)]);
        }
    }
}

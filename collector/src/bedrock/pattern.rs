//! Which files are logs: a folder, one file, or a glob (`*`, `?`, and `**` for any number of folders).
//!
//! In a folder `.json` and `.jsonl` and their `.gz` forms are logs; a glob may name any. Left out always: what
//! is under a folder `data` (Bedrock keeps large bodies there) and what begins with a dot (files that are
//! still being copied, and the links that a mounted ConfigMap is made of).

use std::io;
use std::path::{Component, Path, PathBuf};

/// Where logs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// What is listed.
    root: PathBuf,
    /// Segments below it; none means every log.
    segments: Vec<String>,
}

impl Pattern {
    pub(super) fn new(path: &Path) -> Self {
        let (mut root, mut segments) = (PathBuf::new(), Vec::new());
        for component in path.components() {
            let text = component.as_os_str().to_string_lossy();
            if segments.is_empty() && !text.contains(['*', '?']) {
                root.push(component);
            } else if let Component::Normal(_) = component {
                segments.push(text.into_owned());
            }
        }
        if root.as_os_str().is_empty() {
            root.push(".");
        }
        Self { root, segments }
    }

    /// The path of a file as it is kept in positions: below the root, with `/`.
    pub(super) fn name_of(&self, file: &Path) -> String {
        let below = file.strip_prefix(&self.root).ok().filter(|below| !below.as_os_str().is_empty());
        let below = below.or_else(|| file.file_name().map(Path::new)).unwrap_or(file);
        let segments: Vec<_> = below.components().map(|c| c.as_os_str().to_string_lossy()).collect();
        segments.join("/")
    }

    /// The file that is kept under that path.
    pub(super) fn file_of(&self, name: &str) -> PathBuf {
        if self.root.is_file() { self.root.clone() } else { self.root.join(name) }
    }

    /// The files, sorted: in the layout that S3 delivery makes, that is the order of time. A folder that goes
    /// away while it is listed has no files.
    pub(super) fn list(&self) -> io::Result<Vec<PathBuf>> {
        if self.segments.is_empty() && self.root.is_file() {
            return Ok(vec![self.root.clone()]);
        }
        let (mut files, mut folders) = (Vec::new(), vec![self.root.clone()]);
        while let Some(folder) = folders.pop() {
            let entries = match std::fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && folder != self.root => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if name.starts_with('.') {
                    continue;
                }
                // Links to files are followed, links to folders are not: they may go round.
                if entry.file_type()?.is_dir() {
                    if name != "data" {
                        folders.push(entry.path());
                    }
                } else if self.takes(&entry.path(), &name) && entry.path().is_file() {
                    files.push(entry.path());
                }
            }
        }
        files.sort();
        Ok(files)
    }

    fn takes(&self, path: &Path, name: &str) -> bool {
        if self.segments.is_empty() {
            let plain = name.strip_suffix(".gz").unwrap_or(name);
            return plain.ends_with(".json") || plain.ends_with(".jsonl");
        }
        let below = self.name_of(path);
        let below: Vec<&str> = below.split('/').collect();
        matches(&self.segments, &below)
    }
}

fn matches(pattern: &[String], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((first, rest)) if first == "**" => (0..=path.len()).any(|skip| matches(rest, &path[skip..])),
        Some((first, rest)) => path.split_first().is_some_and(|(name, below)| {
            segment_matches(first.as_bytes(), name.as_bytes()) && matches(rest, below)
        }),
    }
}

fn segment_matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skip| segment_matches(rest, &name[skip..])),
        Some((b'?', rest)) => !name.is_empty() && segment_matches(rest, &name[1..]),
        Some((byte, rest)) => name.first() == Some(byte) && segment_matches(rest, &name[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(root: &Path, below: &str) -> Vec<String> {
        let pattern = Pattern::new(&root.join(below));
        pattern.list().unwrap().iter().map(|file| pattern.name_of(file)).collect()
    }

    #[test]
    fn a_folder_gives_its_logs_and_a_glob_what_it_names() {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "2026/11/20/a.json.gz",
            "2026/11/20/data/a_output.json.gz",
            "2026/11/21/b.jsonl",
            "2026/11/21/.b.jsonl.part",
            "c.json",
            "c.txt",
            "..hidden/d.json",
        ] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let logs = ["2026/11/20/a.json.gz", "2026/11/21/b.jsonl", "c.json"];
        assert_eq!(listed(dir.path(), ""), logs);
        assert_eq!(listed(dir.path(), "**/*.json*"), logs);
        assert_eq!(listed(dir.path(), "*.txt"), ["c.txt"]);
        assert_eq!(listed(dir.path(), "2026/*/2?/*"), ["11/20/a.json.gz", "11/21/b.jsonl"]);
        assert_eq!(listed(dir.path(), "c.json"), ["c.json"]);
        assert!(listed(dir.path(), "*/x").is_empty());
        assert!(Pattern::new(&dir.path().join("gone")).list().is_err());
    }
}

//! What there is to read: files by what is in them, and a journal.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use collector::recorded::{Form, form_of};
use flate2::read::MultiGzDecoder;

/// Folders within folders.
const DEPTH: usize = 16;
/// Files that are read at most.
const MOST_FILES: usize = 1_000_000;
/// Bytes from which a file is known.
const HEAD: usize = 64 << 10;
/// The daemon's journal, in its data folder.
const JOURNAL: &str = "journal.db";

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Records as JSON.
    Records(Form),
    /// A bill as a table.
    Bill,
    /// A data folder of the daemon.
    Journal,
}

impl Kind {
    /// For people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Records(Form::Bedrock) => "Bedrock invocation log",
            Self::Records(Form::Events) => "usage.v1 events",
            Self::Bill => "bill",
            Self::Journal => "journal",
        }
    }
}

/// One thing to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Where it is.
    pub path: PathBuf,
    /// What it is; a file that is nothing known says why.
    pub kind: Result<Kind, String>,
    /// Bytes on disk, for the progress.
    pub bytes: u64,
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It is not there, or a part of it cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// More than one journal, or too many files.
    #[error("{0}")]
    Too(String),
}

/// Everything under these paths, in the order in which they were named and by name within a folder. Names that
/// begin with a dot are passed over.
///
/// # Errors
/// When a path that was named cannot be read.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Input>, InputError> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        walk(path, DEPTH, &mut seen, &mut found)?;
    }
    let journals = found.iter().filter(|input| input.kind == Ok(Kind::Journal)).count();
    if journals > 1 {
        let text = "more than one journal: each hashes ids under a secret of its own; read one at a time";
        return Err(InputError::Too(text.to_owned()));
    }
    Ok(found)
}

fn walk(
    path: &Path,
    depth: usize,
    seen: &mut BTreeSet<PathBuf>,
    found: &mut Vec<Input>,
) -> Result<(), InputError> {
    let unreadable = |source| InputError::Unreadable { path: path.to_owned(), source };
    let real = path.canonicalize().map_err(unreadable)?;
    if !seen.insert(real) {
        return Ok(());
    }
    let meta = path.metadata().map_err(unreadable)?;
    if meta.is_dir() {
        let journal = path.join(JOURNAL);
        if journal.is_file() {
            let bytes = journal.metadata().map_or(0, |meta| meta.len());
            found.push(Input { path: path.to_owned(), kind: Ok(Kind::Journal), bytes });
            return Ok(());
        }
        if depth == 0 {
            return Ok(());
        }
        let entries = path.read_dir().map_err(unreadable)?;
        let mut names: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        names.sort();
        for name in names {
            let hidden = name.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if !hidden {
                walk(&name, depth - 1, seen, found)?;
            }
        }
        return Ok(());
    }
    if found.len() >= MOST_FILES {
        return Err(InputError::Too(format!("more than {MOST_FILES} files; name a folder with fewer")));
    }
    let kind = kind_of(path).map_err(unreadable)?;
    found.push(Input { path: path.to_owned(), kind, bytes: meta.len() });
    Ok(())
}

/// What is in a file, by its name where that says it and by its beginning else.
fn kind_of(path: &Path) -> std::io::Result<Result<Kind, String>> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    if name == JOURNAL {
        return Ok(Err("a journal is read by the folder that it is in".to_owned()));
    }
    if name.ends_with(".csv") {
        return Ok(Ok(Kind::Bill));
    }
    let mut head = Vec::new();
    // A file that is cut off is told when it is read.
    let _ = open(path, &Passed::default())?.take(HEAD as u64).read_to_end(&mut head);
    Ok(form_of(&head).map(Kind::Records).ok_or_else(|| {
        "neither Bedrock invocation records nor `usage.v1` events nor a `.csv` table".to_owned()
    }))
}

/// Bytes of files that were read from disk so far.
#[derive(Clone, Debug, Default)]
pub struct Passed(Arc<AtomicU64>);

impl Passed {
    /// How many.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// So many more.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Counts what is read of a file.
struct Counting(File, Passed);

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.read(buffer)?;
        self.1.add(count as u64);
        Ok(count)
    }
}

/// The text of a file, uncompressed where it is gzip.
///
/// # Errors
/// When it cannot be opened.
pub fn open(path: &Path, passed: &Passed) -> std::io::Result<Box<dyn Read + Send>> {
    let mut magic = [0; 2];
    let is_gzip = File::open(path)?.read_exact(&mut magic).is_ok() && magic == [0x1F, 0x8B];
    let file = Counting(File::open(path)?, passed.clone());
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_what_is_in_them_and_hidden_ones_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        put("b.csv", "a,b\n");
        put("deep/a.jsonl", "{\"schemaType\":\"ModelInvocationLog\"}");
        put("c.txt", "{\"schema\":\"usage.v1\"}");
        put("d.txt", "hello");
        put(".hidden", "{\"schema\":\"usage.v1\"}");
        let found = find(&[folder.path().to_owned(), folder.path().join("b.csv")]).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|input| {
                (input.path.file_name().unwrap().to_string_lossy().into_owned(), input.kind.clone().ok())
            })
            .collect();
        let bedrock = Some(Kind::Records(Form::Bedrock));
        let events = Some(Kind::Records(Form::Events));
        let expected =
            [("b.csv", Some(Kind::Bill)), ("c.txt", events), ("d.txt", None), ("a.jsonl", bedrock)];
        assert_eq!(shown, expected.map(|(name, kind)| (name.to_owned(), kind)));
    }

    #[test]
    fn a_path_that_is_not_there_is_named() {
        let error = find(&["no/such/folder".into()]).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `no/such/folder`");
    }
}

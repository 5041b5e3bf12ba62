//! Reading the folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Bytes that one rule file has at most.
const FILE_BYTES: u64 = 1 << 20;
/// Files that a set has at most.
const MOST_FILES: usize = 2_000;
/// Folders within folders.
const DEPTH: usize = 16;

/// One file of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// Path under the rules folder, with `/`.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// Why the folder gives no set.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is not there, or a part of it cannot be read.
    #[error("cannot read `{}`: {source}; name the folder of rule files with `rulesDir` or `--rules-dir`", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no rule file in it.
    #[error("there is no rule file in `{}`: put at least one `.yaml` file there", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A file is not text.
    #[error("`{}` is not UTF-8 text (byte {at}): save it as UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// First wrong byte.
        at: usize,
    },
    /// A file, or the set, is too large.
    #[error("`{}` is too large: {what}", path.display())]
    TooLarge {
        /// The file or folder.
        path: PathBuf,
        /// The limit, for people.
        what: &'static str,
    },
}

/// All `.yaml` and `.yml` files under the folder, sorted by path. Symlinks are followed; names that begin
/// with a dot are passed over (`.git`, and the `..data` of a ConfigMap, whose files are linked beside it), and
/// so are `*.test.yaml`, which hold tests and not rules.
///
/// # Errors
/// When anything cannot be read: half a set is no set.
pub fn read_folder(folder: &Path) -> Result<Vec<RuleFile>, FolderError> {
    let files = read_all(folder, is_rule_file)?;
    if files.is_empty() {
        return Err(FolderError::Empty { path: folder.to_owned() });
    }
    Ok(files)
}

/// All `*.test.yaml` and `*.test.yml` files under the folder, in the same way; there may be none.
///
/// # Errors
/// When anything cannot be read.
pub fn read_trial_files(folder: &Path) -> Result<Vec<RuleFile>, FolderError> {
    read_all(folder, is_trial_file)
}

fn read_all(folder: &Path, is_wanted: fn(&str) -> bool) -> Result<Vec<RuleFile>, FolderError> {
    let mut paths = Vec::new();
    walk(folder, DEPTH, is_wanted, &mut BTreeSet::new(), &mut paths)?;
    if paths.len() > MOST_FILES {
        return Err(FolderError::TooLarge { path: folder.to_owned(), what: "a set has 2000 files at most" });
    }
    let mut files =
        paths.iter().map(|path| read_file(folder, path)).collect::<Result<Vec<RuleFile>, FolderError>>()?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// A hash over names and contents.
pub(super) fn content_hash(files: &[RuleFile]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for file in files {
        for part in [&file.path, &file.text] {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.finalize().into()
}

fn walk(
    folder: &Path,
    depth: usize,
    is_wanted: fn(&str) -> bool,
    seen: &mut BTreeSet<PathBuf>,
    found: &mut Vec<PathBuf>,
) -> Result<(), FolderError> {
    let unreadable = |source| FolderError::Unreadable { path: folder.to_owned(), source };
    let real = folder.canonicalize().map_err(unreadable)?;
    // A link back to a folder that is being read would never end.
    if depth == 0 || !seen.insert(real) {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        let path = entry.path();
        let kind =
            fs::metadata(&path).map_err(|source| FolderError::Unreadable { path: path.clone(), source })?;
        if kind.is_dir() {
            walk(&path, depth - 1, is_wanted, seen, found)?;
        } else if is_wanted(&name) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_rule_file(name: &str) -> bool {
    let yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    yaml && !is_trial_file(name)
}

fn is_trial_file(name: &str) -> bool {
    name.ends_with(".test.yaml") || name.ends_with(".test.yml")
}

/// One file, by its path from that folder.
///
/// # Errors
/// When it cannot be read, is no text, or is too large.
pub fn read_file(folder: &Path, path: &Path) -> Result<RuleFile, FolderError> {
    let unreadable = |source| FolderError::Unreadable { path: path.to_owned(), source };
    if fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES {
        let what = "a rule file has 1 MiB at most";
        return Err(FolderError::TooLarge { path: path.to_owned(), what });
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| FolderError::NotText {
        path: path.to_owned(),
        at: error.utf8_error().valid_up_to(),
    })?;
    let relative = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
    Ok(RuleFile { path: relative, text })
}

//! The commit of a checkout, read from its files: no `git` is run.
//!
//! A checkout may be a person's clone, a worktree, or the folder of git-sync, whose symlink leads to a worktree.
//! Whether the files are those of the commit is read from Git's index; where that cannot be read, they are not
//! called clean.

use std::fs;
use std::path::{Path, PathBuf};

use super::RuleFile;
use super::index::Index;

/// How far above the folder a repository may begin.
const ABOVE: usize = 8;

/// The commit that the folder is a checkout of, in hex, with `-dirty` where these files of it are not the commit's;
/// `None` where it is none.
#[must_use]
pub fn revision(folder: &Path, files: &[RuleFile]) -> Option<String> {
    let real = folder.canonicalize().ok()?;
    let (root, git) = real.ancestors().take(ABOVE).find_map(|at| Some((at, git_dir(at)?)))?;
    let commit = commit(&git)?;
    let prefix = real.strip_prefix(root).ok()?.to_str()?;
    let index = Index::read(&git.join("index"), commit.len() / 2);
    let files = files.iter().map(|file| (file.path.as_str(), file.text.as_str()));
    let clean = index.is_some_and(|index| index.is_clean(prefix, files));
    Some(if clean { commit } else { format!("{commit}-dirty") })
}

/// What `HEAD` leads to.
fn commit(git: &Path) -> Option<String> {
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    match head.trim().strip_prefix("ref: ") {
        None => hex(head.trim()),
        Some(name) => {
            // A worktree's branches are in the repository that it belongs to.
            let common = fs::read_to_string(git.join("commondir"))
                .map_or_else(|_| git.to_owned(), |common| git.join(common.trim()));
            let loose = fs::read_to_string(common.join(name)).ok().and_then(|text| hex(text.trim()));
            loose.or_else(|| packed(&common, name))
        }
    }
}

fn git_dir(folder: &Path) -> Option<PathBuf> {
    let git = folder.join(".git");
    if git.is_dir() {
        return Some(git);
    }
    let text = fs::read_to_string(&git).ok()?;
    Some(folder.join(text.trim().strip_prefix("gitdir: ")?))
}

fn packed(common: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(common.join("packed-refs")).ok()?;
    text.lines().find_map(|line| line.split_once(' ').filter(|(_, n)| *n == name).and_then(|(id, _)| hex(id)))
}

fn hex(text: &str) -> Option<String> {
    let long = text.len() == 40 || text.len() == 64;
    (long && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_owned())
}

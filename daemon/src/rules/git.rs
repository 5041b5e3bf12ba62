//! The commit of a checkout, read from its files: no `git` is run.
//!
//! Whether the tree differs from the commit is not told: that takes git's index. What the rules said is in
//! the set's own hash.

use std::fs;
use std::path::{Path, PathBuf};

/// How far above the folder a repository may begin.
const ABOVE: usize = 8;

/// The commit that the folder is a checkout of, in hex; `None` where it is none.
#[must_use]
pub fn revision(folder: &Path) -> Option<String> {
    let real = folder.canonicalize().ok()?;
    let git = real.ancestors().take(ABOVE).find_map(git_dir)?;
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    match head.trim().strip_prefix("ref: ") {
        None => hex(head.trim()),
        Some(name) => {
            // A worktree's branches are in the repository that it belongs to.
            let common = fs::read_to_string(git.join("commondir"))
                .map_or_else(|_| git.clone(), |common| git.join(common.trim()));
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

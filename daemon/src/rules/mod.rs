//! The rules folder: reading it, and noticing that it changed.
//!
//! A set is swapped only when all of it is valid (F: a parameter check that ran after the swap stopped
//! clusters elsewhere, A20). It is looked at by content, not by file events: a ConfigMap or git-sync swaps a
//! symlink above the files, which event watches miss. A change must look the same twice before it counts, so
//! a file that is still being written is never taken for a shorter set. An empty, vanished or invalid set
//! leaves the old one in force, with a metric and a loud line.

mod folder;
mod git;
mod index;
mod watch;

#[cfg(test)]
mod tests;

use policy::rule::RuleSet;

pub use folder::{FolderError, RuleFile, read_file, read_folder, read_trial_files};
pub use git::revision;
pub use watch::{News, Watcher};

/// A valid set with what people should know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The set.
    pub rules: RuleSet,
    /// Warnings, each a whole report; empty where there are none.
    pub warnings: String,
}

/// Turns files into a set, or into a report of all that is wrong.
pub type Compile = fn(&[RuleFile]) -> Result<Compiled, String>;

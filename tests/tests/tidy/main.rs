//! What a reader of the repository may rely on, held by tests: who may depend on whom, how often a
//! dependency is there, how long a file is, what no file names, and that the documents name tests
//! that exist.
//!
//! Reads files and asks cargo; builds nothing, starts nothing. An exception is an entry in a list with
//! its reason, and an entry that is no longer needed fails too.

mod arrows;
mod circles;
mod docs;
mod sizes;
mod source;
mod text;
mod tree;

use std::path::PathBuf;
use std::process::Command;

/// The repository.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the crate lies in the workspace").to_owned()
}

/// What cargo answers in the repository, with the versions that are locked.
fn cargo(arguments: &[&str]) -> String {
    let answer = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--locked")
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "cargo {}: {said}", arguments.join(" "));
    String::from_utf8(answer.stdout).expect("cargo prints UTF-8")
}

/// Fails with all that is wrong, one on a line.
#[track_caller]
fn none(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n  {}", wrong.join("\n  "));
}

//! Snapshots made by a process of their own, which is this program once more.
//!
//! While a second engine works, its memory is there twice. A thread would leave it with the daemon, as much of it
//! as the allocator does not give back; a process gives all of it back, and where memory runs out it is the one
//! that ends. The daemon goes on without that snapshot and tries again.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::maker::{Made, Maker};

/// The subcommand that is such a process.
pub const COMMAND: &str = "make-snapshot";

/// Makes a snapshot beside the daemon that runs on that data folder. The answer is a line for the daemon that waits for it.
///
/// # Errors
/// What failed, in words.
pub fn answer(folder: &Path, since: u64) -> Result<String, String> {
    // Linux: should memory run out, this is what may go. Elsewhere there is no such file.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let made = Maker::open(folder).and_then(|maker| maker.make(since)).map_err(|error| chain(&error))?;
    Ok(match made {
        Made::Nothing => "nothing 0".to_owned(),
        Made::UpTo(turn) => format!("made {turn}"),
        Made::Differs(turn) => format!("differs {turn}"),
    })
}

/// Has one made by a process, and waits for it.
pub(super) fn make(folder: &Path, since: u64) -> Result<Made, String> {
    let mut process = Command::new(program()?);
    process.arg(COMMAND).arg("--data-dir").arg(folder).arg("--since").arg(since.to_string());
    // No secrets: it needs none.
    let done = process.env_clear().stdin(Stdio::null()).output();
    let done = done.map_err(|error| format!("its process cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&done.stdout);
    match read(said.trim()) {
        Some(made) if done.status.success() => Ok(made),
        _ => Err(format!("its process: {}; {}", done.status, String::from_utf8_lossy(&done.stderr).trim())),
    }
}

fn read(line: &str) -> Option<Made> {
    let (word, turn) = line.split_once(' ')?;
    let turn = turn.parse().ok()?;
    match word {
        "nothing" => Some(Made::Nothing),
        "made" => Some(Made::UpTo(turn)),
        "differs" => Some(Made::Differs(turn)),
        _ => None,
    }
}

/// This program, even where its file was replaced since it was started.
fn program() -> Result<PathBuf, String> {
    let own = PathBuf::from("/proc/self/exe");
    if own.exists() {
        return Ok(own);
    }
    std::env::current_exe().map_err(|error| format!("this program's file is not known: {error}"))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_answers_are_believed() {
        assert_eq!(read("made 12"), Some(Made::UpTo(12)));
        assert_eq!(read("differs 7"), Some(Made::Differs(7)));
        assert_eq!(read("nothing 0"), Some(Made::Nothing));
        for half in ["", "made", "made ", "made x", "error 3"] {
            assert_eq!(read(half), None, "{half:?}");
        }
    }
}

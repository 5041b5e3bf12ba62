//! Noticing a change, and what to say of it.

use std::path::{Path, PathBuf};

use super::folder::{content_hash, read_folder};
use super::{Compile, Compiled, RuleFile, revision};

/// What a look at the folder brought.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Nothing new; also while a change has been seen only once.
    Same,
    /// A valid set that differs from the last one.
    Changed(Box<Compiled>),
    /// What is there now is no valid set; the old one stays. Told once for each state of the folder.
    Refused(String),
}

/// Looks at one folder.
#[derive(Debug)]
pub struct Watcher {
    folder: PathBuf,
    compile: Compile,
    /// Hash of what was last taken or refused.
    settled: Option<State>,
    /// Hash of what was seen last, to see it twice.
    seen: Option<State>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Hash of the contents, and the commit with its `-dirty`.
    Files([u8; 32], Option<String>),
    Broken(String),
}

impl Watcher {
    /// Watches that folder.
    #[must_use]
    pub fn new(folder: &Path, compile: Compile) -> Self {
        Self { folder: folder.to_owned(), compile, settled: None, seen: None }
    }

    /// Reads the folder at start: no second look is awaited.
    ///
    /// # Errors
    /// The report of all that is wrong.
    pub fn first(&mut self) -> Result<Compiled, String> {
        let (state, files) = self.look();
        self.settled = Some(state.clone());
        self.seen = Some(state.clone());
        self.judge(&state, &files)
    }

    /// Looks again.
    pub fn poll(&mut self) -> News {
        let (state, files) = self.look();
        let twice = self.seen.as_ref() == Some(&state);
        self.seen = Some(state.clone());
        if !twice || self.settled.as_ref() == Some(&state) {
            return News::Same;
        }
        self.settled = Some(state.clone());
        match self.judge(&state, &files) {
            Ok(compiled) => News::Changed(Box::new(compiled)),
            Err(report) => News::Refused(report),
        }
    }

    fn look(&self) -> (State, Vec<RuleFile>) {
        match read_folder(&self.folder) {
            Ok(files) => (State::Files(content_hash(&files), revision(&self.folder, &files)), files),
            Err(error) => (State::Broken(error.to_string()), Vec::new()),
        }
    }

    fn judge(&self, state: &State, files: &[RuleFile]) -> Result<Compiled, String> {
        let commit = match state {
            State::Broken(report) => return Err(report.clone()),
            State::Files(_, commit) => commit.as_deref(),
        };
        let mut compiled = (self.compile)(files).map_err(|report| match commit {
            Some(commit) => format!("commit {commit} is not taken\n{report}"),
            None => report,
        })?;
        compiled.rules.revision = compiled.rules.revision.or(commit.map(Into::into));
        Ok(compiled)
    }
}

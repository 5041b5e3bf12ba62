//! What can go wrong with a journal, in words for people.

use std::path::{Path, PathBuf};

/// Why the journal could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It was written by a newer version.
    #[error(
        "the journal `{}` has format {found}, and this breakerbox reads format {known}: a newer version wrote \
         it; run that version",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format that this version reads.
        known: i64,
    },
    /// It was written by an older version, whose rows mean something else.
    #[error(
        "the journal `{}` has format {found}, and this breakerbox reads format {known}: an older version wrote \
         it; run that version, or move the folder away and start anew (the sums begin at what the sources \
         still tell, and what is held stays held until a person decides)",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The format that this version reads.
        known: i64,
    },
    /// It is a database of something else.
    #[error("`{}` is not a breakerbox journal: name another `dataDir`, or move that file away", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// Another process has it.
    #[error(
        "the data folder `{}` is in use by another breakerbox: stop that one first, or name another `dataDir`",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A folder or file could not be made, read or written.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("the journal cannot {doing}")]
    Sqlite {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// A row does not read as what it should be: a damaged file.
    #[error("{what} {number} in the journal cannot be read: the file is damaged, or of a newer version")]
    Damaged {
        /// `turn`, `decision`, …
        what: &'static str,
        /// Its number.
        number: u64,
        /// Why not.
        #[source]
        source: postcard::Error,
    },
    /// Turns between the newest usable snapshot and the first kept turn are missing.
    #[error(
        "the journal begins at turn {first}, and its newest usable snapshot ends at turn {snapshot}: \
         what lies between is lost; restore the folder from a backup, or begin with an empty `dataDir`"
    )]
    Gap {
        /// First turn that is there.
        first: u64,
        /// Turn of the newest usable snapshot; 0 without one.
        snapshot: u64,
    },
}

impl JournalError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    pub(super) fn sql(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Sqlite { doing, source }
    }

    pub(super) fn damaged(what: &'static str, number: u64) -> impl FnOnce(postcard::Error) -> Self {
        move |source| Self::Damaged { what, number, source }
    }
}

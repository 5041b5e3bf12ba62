//! The journal: what is true after a crash.
//!
//! One SQLite file in WAL mode with `synchronous=FULL`. Each turn is one commit: its facts as one blob, the
//! decisions, orders and notices that came of them, and what was learnt about earlier orders. Acks and
//! orders follow the commit, never before; so nothing acked is ever lost, and no order exists that the
//! journal does not know.
//!
//! Facts are one blob for each turn and never one row for each fact: random-keyed rows cost ten times what
//! the rest of the path costs. Rollups are added up in memory and written at most once a second, in the
//! same commit as the turn that made them due; `rollups_seq` says up to which turn they are written, and the
//! replay at start adds up the rest again, so they too are exact after a crash.
//!
//! Snapshots are files beside the journal and not rows of it: SQLite has one writer, and a snapshot of tens
//! of megabytes in it would make a turn wait. See [`snapshot`].
//!
//! One process owns a data folder: a lock file says so, and a second daemon is refused.

mod checkpoint;
mod decode;
pub mod disk;
mod error;
mod open;
mod prune;
mod read;
mod record;
mod rollup;
pub mod snapshot;
mod write;

#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};

use policy::fact::Settings;
use rusqlite::Connection;

pub use checkpoint::Checkpointer;
pub use error::JournalError;
pub use open::{FORMAT, Opened};
pub use prune::Keep;
pub use read::{DecisionRecord, OrderRecord, Reader, RollupRow, Tail};
pub use record::{Committed, Delivery, StoredTurn, TurnRecord, decision_word, fingerprint, outcome_word};
pub use rollup::ROLLUP_EVERY_MS;

/// Its file, in the data folder.
const FILE: &str = "journal.db";

/// The one writer of a journal. Owned by the turn.
#[derive(Debug)]
pub struct Journal {
    conn: Connection,
    path: PathBuf,
    /// Hex of 128 random bits, made with the journal: tells one journal from another.
    id: String,
    settings: Settings,
    seq: u64,
    rollups: rollup::Rollups,
    /// Held for as long as the journal is open.
    _lock: File,
}

impl Journal {
    /// Number of the last committed turn; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Hex of 128 random bits, made with the journal.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What this journal fixed for its engine when it was made.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The data folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// A second, read-only connection, for questions.
    ///
    /// # Errors
    /// When the file cannot be opened again.
    pub fn reader(&self) -> Result<Reader, JournalError> {
        Reader::open(&self.path)
    }

    /// What folds the write-ahead log back, for the keeper's thread.
    ///
    /// # Errors
    /// When the file cannot be opened again.
    pub fn checkpointer(&self) -> Result<Checkpointer, JournalError> {
        Checkpointer::open(&self.path)
    }
}

//! Folding the write-ahead log back into the database, on a connection of its own.
//!
//! SQLite would do it inside whichever commit fills the log, and that turn would wait for it. A passive
//! checkpoint from another thread holds up neither writer nor readers.

use std::path::Path;

use rusqlite::Connection;

use super::JournalError;

/// Folds the log when asked.
#[derive(Debug)]
pub struct Checkpointer {
    conn: Connection,
}

impl Checkpointer {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let conn = Connection::open(path).map_err(JournalError::sql("open its checkpointer"))?;
        Ok(Self { conn })
    }

    /// Folds back what no reader still needs.
    ///
    /// # Errors
    /// When SQLite refuses; nothing is lost, the log only stays longer.
    pub fn fold(&self) -> Result<(), JournalError> {
        self.conn
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
            .map_err(JournalError::sql("fold its log"))
    }
}

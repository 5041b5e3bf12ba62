//! What is forgotten, and when. A little at a time, so that no turn waits long.

use policy::time::Timestamp;
use rusqlite::params;

use super::rollup::signed;
use super::{Journal, JournalError, snapshot};

/// Rows of each table that one call forgets at most.
const AT_ONCE: u32 = 200;

/// What is kept: everything that happened at or after these instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Turns: now less the longest window and the dedupe horizon.
    pub turns_from: Timestamp,
    /// Sums by minute.
    pub minutes_from: Timestamp,
    /// Sums by hour, and delivered messages.
    pub hours_from: Timestamp,
}

impl Journal {
    /// Forgets some of what is older than `keep` says, and answers whether there may be more. Turns go only
    /// where they are also behind the older kept snapshot. Decisions, orders and receipts stay: they are few,
    /// and people ask about them late.
    ///
    /// # Errors
    /// When SQLite refuses; nothing is half forgotten.
    pub fn prune(&mut self, keep: Keep) -> Result<bool, JournalError> {
        let fail = || JournalError::sql("forget old rows");
        let behind = snapshot::safe_to_prune(self.folder())?.unwrap_or(0);
        let tx = self.conn.transaction().map_err(fail())?;
        let mut gone = 0;
        for (sql, oldest) in [
            (
                "DELETE FROM rollups_minute WHERE (start, tenant, model) IN (SELECT start, tenant, model
              FROM rollups_minute WHERE start < ?1 ORDER BY start LIMIT ?2)",
                keep.minutes_from,
            ),
            (
                "DELETE FROM rollups_hour WHERE (start, tenant, model) IN (SELECT start, tenant, model
              FROM rollups_hour WHERE start < ?1 ORDER BY start LIMIT ?2)",
                keep.hours_from,
            ),
            (
                "DELETE FROM deliveries WHERE (key, receiver) IN (SELECT key, receiver
              FROM deliveries WHERE at < ?1 ORDER BY at LIMIT ?2)",
                keep.hours_from,
            ),
        ] {
            let removed = tx
                .prepare_cached(sql)
                .and_then(|mut s| s.execute(params![oldest.millis(), AT_ONCE]))
                .map_err(fail())?;
            gone = gone.max(removed);
        }
        let removed = tx
            .prepare_cached(
                "DELETE FROM turns WHERE seq IN
                 (SELECT seq FROM turns WHERE seq <= ?1 ORDER BY seq LIMIT ?2) AND wall < ?3",
            )
            .and_then(|mut s| s.execute(params![signed(behind), AT_ONCE, keep.turns_from.millis()]))
            .map_err(fail())?;
        tx.commit().map_err(fail())?;
        let most = AT_ONCE as usize;
        Ok(gone >= most || removed >= most)
    }
}

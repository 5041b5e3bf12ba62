//! Rows back into what they were.

use policy::fact::Settings;
use rusqlite::Connection;
use serde::de::DeserializeOwned;

use super::JournalError;
use super::record::{StoredTurn, Turn};

/// What postcard kept, or an error that names the row.
pub(super) fn decode<T: DeserializeOwned>(
    what: &'static str,
    number: u64,
    blob: &[u8],
) -> Result<T, JournalError> {
    postcard::from_bytes(blob).map_err(JournalError::damaged(what, number))
}

pub(super) fn turn(seq: i64, fingerprint: i64, blob: &[u8]) -> Result<StoredTurn, JournalError> {
    let seq = u64::try_from(seq).unwrap_or(0);
    let Turn { clock, facts } = decode("turn", seq, blob)?;
    Ok(StoredTurn { seq, clock, facts, fingerprint: u64::try_from(fingerprint).unwrap_or(0) })
}

/// Id and settings of the journal, and up to which turn its rollups are written.
pub(super) fn made_with(conn: &Connection) -> Result<(String, Settings, u64), JournalError> {
    let fail = || JournalError::sql("read what it was made with");
    let get = "SELECT value FROM meta WHERE key = ?1";
    let id: String = conn.query_row(get, ["id"], |row| row.get(0)).map_err(fail())?;
    let blob: Vec<u8> = conn.query_row(get, ["settings"], |row| row.get(0)).map_err(fail())?;
    let rolled: i64 = conn.query_row(get, ["rollups_seq"], |row| row.get(0)).map_err(fail())?;
    let settings = postcard::from_bytes(&blob).map_err(JournalError::damaged("settings", 0))?;
    Ok((id, settings, u64::try_from(rolled).unwrap_or(0)))
}

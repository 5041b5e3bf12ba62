//! Rows back into what they were.

use serde::de::DeserializeOwned;

use super::JournalError;
use super::read::StoredTurn;
use super::record::Turn;

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

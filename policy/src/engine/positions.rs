//! How far the files of each source were read: beyond the dedupe horizon, the proof that a row is new.
//!
//! What a source says is gone is forgotten, since logs come as a new file every few minutes. So that such a file
//! cannot count again if it comes back, nothing of that source that is as old as what was forgotten is new any
//! more: it is refused as too late, with its price. That also goes for files that are known, since one that has
//! come back is known from its first batch on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fact::{FilesGone, UsageBatch};
use crate::time::Timestamp;

/// How far a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRead {
    /// Byte offset in the (decompressed) file.
    pub end: u64,
    /// No row of it that was counted happened later.
    pub newest: Timestamp,
}

/// Of all sources.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Positions {
    /// By source and file.
    files: BTreeMap<(Box<str>, Box<str>), FileRead>,
    /// By source: nothing that was forgotten is newer.
    forgotten: BTreeMap<Box<str>, Timestamp>,
}

impl Positions {
    /// The files of a source.
    pub(super) fn of(&self, source: &str) -> BTreeMap<Box<str>, FileRead> {
        let own = self.files.iter().filter(|((from, _), _)| &**from == source);
        own.map(|((_, file), read)| (file.clone(), *read)).collect()
    }

    /// Files of all sources.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether a row that ends there was never read, for certain.
    pub(super) fn prove_new(&self, source: &str, file: &str, end: u64, occurred_at: Timestamp) -> bool {
        self.files.get(&(source.into(), file.into())).is_none_or(|read| end > read.end)
            && self.forgotten.get(source).is_none_or(|newest| occurred_at > *newest)
    }

    /// The furthest row of each file is where its source goes on after a restart. `latest` is the latest time at
    /// which a row that counts can have happened: what was refused for being later must not keep its file.
    pub(super) fn advance(&mut self, batch: &UsageBatch, latest: Timestamp) {
        let mut ends = vec![FileRead { end: 0, newest: Timestamp::MIN }; batch.files.len()];
        for row in &batch.rows {
            let Some(position) = row.position else { continue };
            if let Some(read) = ends.get_mut(position.file as usize) {
                read.end = position.end.max(read.end);
                read.newest = row.occurred_at.min(latest).max(read.newest);
            }
        }
        for (file, read) in batch.files.iter().zip(ends).filter(|(_, read)| read.end > 0) {
            let known = self.files.entry((batch.source.clone(), file.clone())).or_insert(read);
            known.end = read.end.max(known.end);
            known.newest = read.newest.max(known.newest);
        }
    }

    /// Forgets files that are gone.
    pub(super) fn forget(&mut self, gone: &FilesGone) {
        for file in &gone.files {
            if let Some(read) = self.files.remove(&(gone.source.clone(), file.clone())) {
                let newest = self.forgotten.entry(gone.source.clone()).or_insert(read.newest);
                *newest = read.newest.max(*newest);
            }
        }
    }
}

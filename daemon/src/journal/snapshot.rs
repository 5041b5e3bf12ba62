//! Snapshots of the engine: files beside the journal.
//!
//! `snapshots/<seq>.snap` holds the state after the turn `seq`. It is written under another name, synced and
//! renamed, so a crash leaves either the whole file or none; its head names the journal, the turn and a
//! SHA-256 of the rest, so a damaged or foreign file is passed over for the one before it. The two newest
//! are kept. A snapshot only shortens the replay: the journal's turns are the truth for as long as they are
//! kept, and turns are pruned only behind the older of the two.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::JournalError;

const FOLDER: &str = "snapshots";
const MAGIC: &[u8; 8] = b"bkbxsnp1";
const HEAD: usize = 8 + 32 + 8 + 32;

/// Snapshots kept: the newest, and the one before should the newest be damaged.
pub const KEPT: usize = 2;

/// A state of the engine.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The turn after which it was taken.
    pub seq: u64,
    /// The engine's own bytes.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot(turn {}, {} bytes)", self.seq, self.bytes.len())
    }
}

/// Writes a snapshot beside the journal called `journal`, and removes those beyond [`KEPT`].
///
/// # Errors
/// When it cannot be written; what was there before is left as it was.
pub fn put(folder: &Path, journal: &str, snapshot: &Snapshot) -> Result<(), JournalError> {
    let dir = folder.join(FOLDER);
    fs::create_dir_all(&dir).map_err(JournalError::io("make the folder", &dir))?;
    let name = dir.join(format!("{:020}.snap", snapshot.seq));
    let draft = dir.join(format!("{:020}.part", snapshot.seq));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&draft)?;
        file.write_all(&head(journal, snapshot))?;
        file.write_all(&snapshot.bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &name)?;
        File::open(&dir)?.sync_all()
    };
    write().map_err(JournalError::io("write the snapshot", &name))?;
    for (_, old) in listed(&dir)?.into_iter().skip(KEPT) {
        fs::remove_file(&old).map_err(JournalError::io("remove the old snapshot", &old))?;
    }
    Ok(())
}

/// The newest snapshot of that journal, up to the turn `last`, that reads well.
pub(crate) fn newest(folder: &Path, journal: &str, last: u64) -> Result<Option<Snapshot>, JournalError> {
    let dir = folder.join(FOLDER);
    if !dir.exists() {
        return Ok(None);
    }
    for (seq, path) in listed(&dir)? {
        match read(&path, journal) {
            Ok(Some(snapshot)) if snapshot.seq == seq && seq <= last => return Ok(Some(snapshot)),
            Ok(_) => {
                tracing::warn!(snapshot = %path.display(), "passed over: damaged, or not of this journal")
            }
            Err(error) => tracing::warn!(snapshot = %path.display(), %error, "passed over: cannot be read"),
        }
    }
    Ok(None)
}

/// The turn of the oldest kept snapshot, once there are [`KEPT`]: what is behind it is not needed to start.
pub(super) fn safe_to_prune(folder: &Path) -> Result<Option<u64>, JournalError> {
    let dir = folder.join(FOLDER);
    if !dir.exists() {
        return Ok(None);
    }
    Ok(listed(&dir)?.get(KEPT - 1).map(|(seq, _)| *seq))
}

fn head(journal: &str, snapshot: &Snapshot) -> Vec<u8> {
    let mut head = Vec::with_capacity(HEAD);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&Sha256::digest(journal.as_bytes()));
    head.extend_from_slice(&snapshot.seq.to_be_bytes());
    head.extend_from_slice(&Sha256::digest(&snapshot.bytes));
    head
}

fn read(path: &Path, journal: &str) -> std::io::Result<Option<Snapshot>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    if bytes.len() < HEAD {
        return Ok(None);
    }
    let body = bytes.split_off(HEAD);
    let seq = bytes[40..48].iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    let snapshot = Snapshot { seq, bytes: body };
    Ok((bytes == head(journal, &snapshot)).then_some(snapshot))
}

/// Whole snapshots by turn, newest first.
fn listed(dir: &Path) -> Result<Vec<(u64, PathBuf)>, JournalError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(JournalError::io("list the folder", dir))? {
        let path = entry.map_err(JournalError::io("list the folder", dir))?.path();
        let seq = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let (Some(seq), Some("snap")) = (seq, path.extension().and_then(|e| e.to_str())) {
            found.push((seq, path));
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

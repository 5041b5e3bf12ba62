//! From the journal back to an engine: the newest snapshot and the turns after it.
//!
//! Each replayed turn must come out as it did the first time; its fingerprint says. The snapshot thread
//! replays every turn once more while the daemon runs, so determinism is checked for ever, and a difference
//! is found at the turn where it began.

use policy::engine::{Engine, Letter, SnapshotError};
use policy::time::Timestamp;

use crate::journal::{Journal, JournalError, Opened, StoredTurn, fingerprint};

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The snapshot is of another version, and the turns before it are gone.
    #[error(
        "the snapshot after turn {seq} was written by another version, and the turns before it are gone: \
         run the version that wrote it"
    )]
    Snapshot {
        /// Its turn.
        seq: u64,
        /// What is wrong.
        #[source]
        source: SnapshotError,
    },
}

/// An engine as of the journal's last turn.
#[derive(Debug)]
pub struct Replayed {
    /// The engine.
    pub engine: Engine,
    /// The journal, its rollups added up again.
    pub journal: Journal,
    /// It was made just now.
    pub is_new: bool,
    /// Turns that were replayed.
    pub turns: u64,
    /// First turn that came out otherwise than it did the first time.
    pub diverged: Option<u64>,
    /// Turn of the snapshot that it began from; 0 without one.
    pub snapshot: u64,
    /// What the last turn refused: a process that died just after its commit kept no letter of it.
    pub letters: Vec<Letter>,
    /// Wall clock of the last turn, where there was one.
    pub last: Option<Timestamp>,
}

/// Steps an engine through one stored turn; whether it came out the same, and what came out.
pub fn step(engine: &mut Engine, turn: &StoredTurn) -> (bool, policy::engine::Outcome) {
    let outcome = engine.step(turn.clock, &turn.facts);
    (fingerprint(&outcome) == turn.fingerprint, outcome)
}

/// Restores the snapshot and replays the tail.
///
/// # Errors
/// When the journal cannot be read, or cannot be understood by this version.
pub fn replay(mut opened: Opened) -> Result<Replayed, ReplayError> {
    let mut engine = match &opened.snapshot {
        None => Engine::new(opened.journal.settings().clone()),
        Some(snapshot) => match Engine::restore(&snapshot.bytes) {
            Ok(engine) => engine,
            Err(source) if opened.journal.reader()?.first_turn()? == Some(1) => {
                tracing::warn!(%source, seq = snapshot.seq, "snapshot passed over; all turns are replayed");
                opened.snapshot = None;
                Engine::new(opened.journal.settings().clone())
            }
            Err(source) => return Err(ReplayError::Snapshot { seq: snapshot.seq, source }),
        },
    };
    let snapshot = opened.snapshot.as_ref().map_or(0, |s| s.seq);
    let (mut turns, mut diverged, mut last) = (0, None, None);
    let mut letters = Vec::new();
    let tail = opened.tail()?;
    for turn in tail {
        let turn = turn?;
        let (same, outcome) = step(&mut engine, &turn);
        if !same && diverged.is_none() {
            tracing::error!(turn = turn.seq, "the replay of this turn differs from what was done");
            diverged = Some(turn.seq);
        }
        opened.journal.replayed(turn.seq, &outcome.rollups);
        last = Some(turn.clock.wall);
        letters = outcome.letters;
        turns += 1;
    }
    let Opened { journal, is_new, .. } = opened;
    Ok(Replayed { engine, journal, is_new, turns, diverged, snapshot, letters, last })
}

//! Makes one snapshot, and checks determinism on the way.

use std::fs::File;
use std::path::{Path, PathBuf};

use policy::engine::Engine;
use policy::fact::Settings;

use crate::journal::snapshot::{self, Snapshot};
use crate::journal::{JournalError, Reader};
use crate::replay;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// The newest one is as new as one could be.
    Nothing,
    /// One, after that turn.
    UpTo(u64),
    /// None: the replay of that turn differs from what was done, and the journal's turns stay.
    Differs(u64),
}

/// Makes snapshots of the journal in one data folder.
#[derive(Debug)]
pub(super) struct Maker {
    folder: PathBuf,
    reader: Reader,
    journal: String,
    settings: Settings,
}

impl Maker {
    /// Opens the journal in that data folder, beside the daemon that writes it.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let reader = Reader::of(folder)?;
        let (journal, settings) = reader.made_with()?;
        Ok(Self { folder: folder.to_owned(), reader, journal, settings })
    }

    /// A snapshot of all turns whose rollups are written, where that is further than `since`.
    pub fn make(&self, since: u64) -> Result<Made, JournalError> {
        let until = self.reader.rollups_seq()?;
        let Some(_alone) = self.alone()?.filter(|_| until > since) else { return Ok(Made::Nothing) };
        let base = snapshot::newest(&self.folder, &self.journal, until)?;
        let from = base.as_ref().map_or(0, |s| s.seq);
        let restored = base.and_then(|s| Engine::restore(&s.bytes).ok());
        let (mut engine, mut seq) = match restored {
            Some(engine) => (engine, from),
            None => (Engine::new(self.settings.clone()), 0),
        };
        for turn in self.reader.again()?.turns_after(seq) {
            let turn = turn?;
            if turn.seq > until {
                break;
            }
            if turn.seq != seq + 1 {
                return Err(JournalError::Gap { first: turn.seq, snapshot: seq });
            }
            let (same, _) = replay::step(&mut engine, &turn);
            if !same {
                return Ok(Made::Differs(turn.seq));
            }
            seq = turn.seq;
        }
        let made = Snapshot { seq, bytes: engine.snapshot() };
        drop(engine);
        snapshot::put(&self.folder, &self.journal, &made)?;
        tracing::info!(turn = seq, bytes = made.bytes.len(), "snapshot made");
        Ok(Made::UpTo(seq))
    }

    /// The right to make one, as long as the file is held: a daemon that was killed may leave a maker behind,
    /// and two of them must not write the same file. `None` where another has it.
    fn alone(&self) -> Result<Option<File>, JournalError> {
        let path = self.folder.join("snapshot.lock");
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(JournalError::io("open", &path))?;
        Ok(file.try_lock().is_ok().then_some(file))
    }
}

//! The keeper: snapshots, the check of determinism, and the folding of the write-ahead log, on a thread of
//! its own.
//!
//! Snapshots are made by a second engine that is restored from the last one and replays the journal, so the
//! first engine never stops for one and ingest keeps its latency. The second engine lives only while it
//! works, and in a process of its own ([`apart`]): it costs the daemon no memory.

pub mod apart;
mod maker;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use policy::fact::{Fact, Trouble};
use policy::page::PageTopic;

use crate::journal::{Checkpointer, Journal, JournalError};
use crate::observe::Observed;
use crate::turn::Handle;

use maker::{Made, Maker};

/// When a snapshot is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every {
    /// After so many turns.
    pub turns: u64,
    /// How often to look, and to fold the log.
    pub look: Duration,
    /// Made by a process of its own, which is this program with [`apart::COMMAND`]; else on the keeper's thread.
    pub apart: bool,
}

impl Default for Every {
    /// 2,000 turns: a busy quarter of a minute, or half an hour of ticks. A start then replays at most
    /// about twice that.
    ///
    /// The log is folded ten times a second: a commit waits for the disk while it is, and a second's worth of
    /// a busy log makes an order wait 50 ms, a tenth of that about 5 ms.
    fn default() -> Self {
        Self { turns: 2_000, look: Duration::from_millis(100), apart: false }
    }
}

/// Does the work; `start` runs it on its thread.
#[derive(Debug)]
pub struct Keeper {
    checkpointer: Checkpointer,
    folder: PathBuf,
    /// Turn of the last snapshot.
    last_seq: u64,
    every: Every,
    observed: Arc<Observed>,
}

/// A running keeper.
#[derive(Debug)]
pub struct Running {
    stop: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Ends the thread after what it is at.
    pub fn stop(self) {
        // A full or closed channel means that it is ending already.
        let _ = self.stop.try_send(());
        if self.thread.join().is_err() {
            tracing::error!("the keeper's thread had panicked");
        }
    }
}

impl Keeper {
    /// A keeper of that journal, beginning at the snapshot that the daemon itself began at.
    ///
    /// # Errors
    /// When the journal cannot be opened again.
    pub fn new(
        journal: &Journal,
        since: u64,
        every: Every,
        observed: Arc<Observed>,
    ) -> Result<Self, JournalError> {
        Ok(Self {
            checkpointer: journal.checkpointer()?,
            folder: journal.folder().to_owned(),
            last_seq: since,
            every,
            observed,
        })
    }

    /// Runs until stopped.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(mut self, handle: Handle, runtime: tokio::runtime::Handle) -> std::io::Result<Running> {
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::Builder::new().name("keeper".to_owned()).spawn(move || {
            self.keep(&stopped, &handle, &runtime);
        })?;
        Ok(Running { stop, thread })
    }

    fn keep(&mut self, stopped: &Receiver<()>, handle: &Handle, runtime: &tokio::runtime::Handle) {
        let committed = handle.committed();
        let mut folded = 0;
        while stopped.recv_timeout(self.every.look) == Err(RecvTimeoutError::Timeout) {
            let last = *committed.borrow();
            if last != folded {
                match self.checkpointer.fold() {
                    Ok(()) => folded = last,
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "could not fold the log");
                    }
                }
            }
            if last < self.last_seq + self.every.turns {
                continue;
            }
            match self.snapshot() {
                Ok(None) => {}
                Ok(Some(turn)) => {
                    self.last_seq = last;
                    let detail = format!(
                        "the replay of turn {turn} differs from what was done: the engine is not \
                         deterministic, please report this with the journal's turn"
                    );
                    tracing::error!("{detail}");
                    let trouble = Fact::Trouble(Trouble { topic: PageTopic::Posture, detail });
                    // The turn may be ending; then the log has it.
                    let _ = runtime.block_on(handle.fact(trouble));
                }
                Err(error) => {
                    tracing::error!(%error, "no snapshot was made; the next try is after as many turns again");
                    self.last_seq = last;
                }
            }
        }
    }

    /// Makes a snapshot of all turns whose rollups are written. Answers the first turn that differed, where
    /// one did: then no snapshot is kept, and the journal's turns stay.
    ///
    /// # Errors
    /// When the journal cannot be read or the snapshot not be written.
    pub fn snapshot(&mut self) -> Result<Option<u64>, String> {
        let made = match self.every.apart {
            true => apart::make(&self.folder, self.last_seq)?,
            false => Maker::open(&self.folder)
                .and_then(|maker| maker.make(self.last_seq))
                .map_err(|error| error.to_string())?,
        };
        match made {
            Made::Nothing => Ok(None),
            Made::UpTo(turn) => {
                self.last_seq = turn;
                self.observed.snapshot_seq.store(turn, Ordering::Relaxed);
                Ok(None)
            }
            Made::Differs(turn) => {
                self.observed.diverged_at.store(turn, Ordering::Relaxed);
                Ok(Some(turn))
            }
        }
    }
}

//! The turn: the one task that owns the engine.
//!
//! It takes a batch of facts, reads the clocks once, steps the engine, commits, and only then acks,
//! dispatches and tells. No lock is taken on the way, and nobody else holds the engine: questions come in as
//! closures and are answered between two turns. It runs on a thread of its own, since a commit blocks; the
//! rest of the daemon never waits for a disk.
//!
//! Two ways lead in. Usage comes by `intake`, which is bounded: full means that sources wait. Receipts,
//! commands, rules and health come by `urgent`, which is taken first: a stop never queues behind a backlog.
//! A commit that fails ends the turn, and with it the process: nothing was acked, and the holds stay.

mod batch;
mod handle;
mod run;
mod survey;
mod told;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use collector::envelope::Envelope;
use policy::decision::{Notice, Order};
use policy::engine::{Engine, Letter, Outcome};
use policy::fact::{Command, Fact};
use policy::rule::{Mode, RuleSet};
use policy::time::{Span, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::journal::disk::Reserve;
use crate::journal::{Delivery, Journal, JournalError};
use crate::observe::Observed;

pub use handle::{Gone, Handle};
pub use survey::Surveyed;
pub use told::longest_window;

/// Rows of usage that one turn takes at most: with them a commit stays within some tens of milliseconds.
pub const MOST_ROWS: usize = 16_384;

/// Facts other than usage that one turn takes at most.
pub const MOST_FACTS: usize = 512;

/// What reaches the turn ahead of usage.
pub(crate) enum Request {
    /// A fact that must not wait.
    Fact(Envelope),
    /// A person's command; a turn of its own, so that what came of it can be told.
    Command(Command, oneshot::Sender<Box<Outcome>>),
    /// A message got there; durable with the next turn.
    Delivered(Delivery, oneshot::Sender<()>),
    /// A question.
    Look(Look),
    /// No more after this.
    Stop,
}

/// A question, answered between two turns.
pub(crate) type Look = Box<dyn FnOnce(&Engine, Timestamp) + Send>;

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fact(_) => "Fact",
            Self::Command(..) => "Command",
            Self::Delivered(..) => "Delivered",
            Self::Look(_) => "Look",
            Self::Stop => "Stop",
        })
    }
}

/// A notice on its way to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// The notice.
    pub notice: Notice,
    /// It may have been sent before a restart.
    pub repeat: bool,
}

/// What the daemon as a whole may do at this moment, for whatever writes. Set by the turn after each commit.
pub trait Levers: Send + Sync {
    /// The highest mode of any rule.
    fn ceiling(&self, mode: Mode);
    /// Why everything is frozen, or nothing.
    fn frozen(&self, reason: Option<&str>);
    /// Whether the clocks agree.
    fn clock_agrees(&self, agrees: bool);
    /// The rules (guardrail and routes) in force.
    fn rules(&self, rules: &Arc<RuleSet>);
}

/// Where refused usage is kept.
pub trait DeadLetters: Send {
    /// Keeps them; called after the commit and before the acks.
    fn put(&mut self, letters: &[Letter]);

    /// Keeps those of them that are not kept yet: at start, of the last turn. A process that died between the
    /// commit and [`Self::put`] kept none of them, and their source does not bring them again.
    fn put_missing(&mut self, letters: &[Letter]);
}

/// What a turn is made of.
pub struct Parts {
    /// The engine, as of the journal's last turn.
    pub engine: Engine,
    /// The journal.
    pub journal: Journal,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Usage.
    pub intake: mpsc::Receiver<Envelope>,
    /// Where orders go once they are durable.
    pub orders: mpsc::Sender<Order>,
    /// Where notices go once they are durable.
    pub notices: mpsc::Sender<Telling>,
    /// Where refused usage goes.
    pub letters: Box<dyn DeadLetters>,
    /// What may be done now.
    pub levers: Arc<dyn Levers>,
    /// What is counted.
    pub observed: Arc<Observed>,
    /// How long without a tick at most, of real time.
    pub tick: Duration,
    /// Free bytes below which intake stops.
    pub reserve: Reserve,
    /// How long facts are kept for budgets without an end.
    pub keep: Span,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("journal", &self.journal).finish_non_exhaustive()
    }
}

/// The task. See the module's head.
#[derive(Debug)]
pub struct Turn {
    parts: Parts,
    urgent: mpsc::Receiver<Request>,
    /// A command that waits for a turn of its own.
    command: Option<(Command, oneshot::Sender<Box<Outcome>>)>,
    deliveries: Vec<(Delivery, oneshot::Sender<()>)>,
    /// Orders and notices for which there was no room yet; they are in the journal.
    orders: VecDeque<Order>,
    notices: VecDeque<Telling>,
    next_tick: tokio::time::Instant,
    next_prune: Timestamp,
    /// Facts of the daemon's own that go into the next turn.
    own: Vec<Fact>,
    pressure: watch::Sender<bool>,
    /// People know that the disk is low.
    disk_told: bool,
    committed: watch::Sender<u64>,
    stopping: bool,
}

/// Why a turn ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// A commit failed: nothing of that turn was acked or done.
    #[error(
        "nothing of this turn was acked or carried out, and all holds stay: restart once the cause is gone"
    )]
    Commit(#[source] JournalError),
}

impl Turn {
    /// A turn, the way to it, and whether intake must wait.
    #[must_use]
    pub fn new(parts: Parts) -> (Self, Handle, watch::Receiver<bool>) {
        let (send, urgent) = mpsc::channel(1024);
        let (pressure, pressed) = watch::channel(false);
        let (committed, seq) = watch::channel(parts.journal.seq());
        let turn = Self {
            parts,
            urgent,
            command: None,
            deliveries: Vec::new(),
            orders: VecDeque::new(),
            notices: VecDeque::new(),
            next_tick: tokio::time::Instant::now(),
            next_prune: Timestamp::MIN,
            own: Vec::new(),
            pressure,
            disk_told: false,
            committed,
            stopping: false,
        };
        (turn, Handle::new(send, seq), pressed)
    }
}

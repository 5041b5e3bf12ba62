//! The whole daemon in one process: made from a configuration and its edges, started, and drained.
//!
//! `main` starts it with the real edges, tests with fakes, the demo with a clock of its own; nothing in here
//! knows which. The order of a start is fixed: the journal is opened and replayed, the listeners are bound
//! (so that a port in use is told before anything is written), the posture is settled, and only then facts
//! flow. What was given before a restart and not resolved is given again; what was not told is told again,
//! marked as a repeat.

mod drain;
mod messages;
mod posture;
mod reload;
mod start;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use collector::envelope::Intake;
use policy::fact::IdKey;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::edge::{Actuator, Messenger, Pressure, Source};
use crate::keeper;
use crate::observe::Counted;
use crate::replay::ReplayError;
use crate::rules::Compile;
use crate::turn::{DeadLetters, Gone, Handle, Levers, TurnError};

pub use posture::{Circumstances, Leading, posture_of};

/// What the ingest routes are made from.
#[derive(Debug)]
pub struct Ingest {
    /// Where usage goes. Full means 429.
    pub intake: Intake,
    /// The secret of ids.
    pub id_key: IdKey,
    /// While true, nothing is taken: 429.
    pub pressure: Pressure,
}

/// Makes the ingest routes; they are served beside the daemon's own.
pub type IngestRoutes = Box<dyn FnOnce(Ingest) -> Router + Send>;

/// The edges of a daemon.
pub struct Deps {
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// What brings facts.
    pub sources: Vec<Box<dyn Source>>,
    /// `POST /v1/usage`, where usage may be pushed.
    pub ingest: Option<IngestRoutes>,
    /// What carries out orders; none without a cluster.
    pub actuator: Option<Arc<dyn Actuator>>,
    /// What carries messages.
    pub messenger: Arc<dyn Messenger>,
    /// What follows the engine's posture, freeze and rules.
    pub levers: Arc<dyn Levers>,
    /// Where refused usage is kept.
    pub letters: Box<dyn DeadLetters>,
    /// What the edges count.
    pub counted: Counted,
    /// Whether we lead; none where there is nobody to share with.
    pub leading: Option<watch::Receiver<Leading>>,
    /// Reads rule files.
    pub compile: Compile,
    /// When snapshots are made.
    pub every: keeper::Every,
    /// A person has looked at the marked objects, and a lost journal no longer holds the daemon back.
    pub accept_lost_journal: bool,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").field("sources", &self.sources.len()).finish_non_exhaustive()
    }
}

/// A daemon that is not yet started.
#[derive(Debug)]
pub struct App {
    config: Config,
    deps: Deps,
}

/// A running daemon.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its operator socket.
    pub socket: PathBuf,
    /// The way to its turn.
    pub handle: Handle,
    /// The secret of ids, for sources that a test plays itself.
    pub id_key: IdKey,
    /// Usage may be put in here too; the demo and tests do.
    pub intake: Intake,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    ended: watch::Receiver<Option<Arc<Ended>>>,
    turn: Option<oneshot::Receiver<Result<(), TurnError>>>,
    actuator: Option<Arc<dyn Actuator>>,
    keeper: Option<keeper::Running>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({}, {})", self.addr, self.socket.display())
    }
}

/// Why a daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The journal.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// There are no valid rules, neither in the folder nor in the journal.
    #[error("no valid rules, and none in force from before\n{0}")]
    Rules(String),
    /// A listener could not be bound.
    #[error("cannot listen on `{0}`")]
    Listen(String, #[source] std::io::Error),
    /// A thread could not be made.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// The turn ended during the start.
    #[error("the daemon ended while it started: the log says why")]
    Ended(#[from] Gone),
}

/// Why a running daemon ended other than by being drained.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// A commit failed.
    #[error(transparent)]
    Turn(#[from] TurnError),
    /// The turn's thread panicked.
    #[error("the turn panicked; nothing of it was acked or carried out")]
    Panicked,
    /// The Lease was lost: another may be acting.
    #[error("the Lease was lost ({0}): this process ends so that two never act at once")]
    LeaseLost(String),
}

impl App {
    /// A daemon of that configuration and those edges.
    #[must_use]
    pub fn new(config: Config, deps: Deps) -> Self {
        Self { config, deps }
    }
}

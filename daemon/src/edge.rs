//! What the daemon asks of its edges, as traits: what brings facts, carries out orders and carries messages.
//!
//! `app` knows only these, so that tests and the demo run the whole daemon with edges of their own. What the turn
//! itself moves after a commit is in [`crate::turn`]; the real edges are in `wiring`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use collector::envelope::Intake;
use policy::decision::{Notice, Order};
use policy::engine::{FileRead, Letter};
use policy::fact::IdKey;
use policy::inventory::ObjectKey;
use policy::rule::{Mode, RuleSet};
use policy::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::journal::Delivery;
use crate::turn::{DeadLetters, Handle, Levers};

/// What a source is given to run with.
#[derive(Debug)]
pub struct SourceContext {
    /// Where facts go. Full means wait.
    pub intake: Intake,
    /// The way ahead of usage.
    pub handle: Handle,
    /// The secret of ids.
    pub id_key: IdKey,
    /// How far each file was read and made durable.
    pub positions: BTreeMap<Box<str>, FileRead>,
    /// Ends the source.
    pub stop: CancellationToken,
}

/// Something that brings facts.
#[async_trait]
pub trait Source: Send {
    /// Its name, as in positions and health.
    fn name(&self) -> String;

    /// Runs until told to stop. A source that ends by itself has failed, and says why.
    async fn run(self: Box<Self>, context: SourceContext) -> Result<(), String>;
}

/// What carries out orders.
#[async_trait]
pub trait Actuator: Send + Sync {
    /// Takes an order; receipts come back as facts through `handle`. Returns once it is queued.
    async fn dispatch(&self, order: Order, handle: &Handle);

    /// Waits, at most that long, for what is under way to come to a point where it may be cut off.
    async fn finish(&self, patience: Duration);

    /// What was newly stopped of late, from the journal: it counts for the blast radius.
    fn seed(&self, stopped: Vec<(ObjectKey, Timestamp)>);

    /// Writes the freeze marker, which is read before each write, here and by any other daemon of this
    /// install; answers whether it said frozen before.
    async fn mark_freeze(&self, frozen: bool, actor: &str, reason: &str) -> Result<bool, String>;

    /// The clock of the API server, in whole seconds. An error means that nobody knows.
    async fn server_clock(&self) -> Result<Timestamp, String>;

    /// What the freeze marker says, where it says frozen. An error means that nobody knows.
    async fn freeze_mark(&self) -> Result<Option<String>, String>;

    /// Gives back everything that carries our marks, on that person's word: it needs no Lease, no clock and no
    /// journal. Writes the freeze marker first. An error means that nothing was given back.
    async fn release_all(&self, actor: &str) -> Result<Vec<GivenBack>, String>;

    /// Objects that carry our marks now; asked at start. An error means that nobody knows.
    async fn marked(&self) -> Result<Vec<String>, String>;
}

/// What became of an object that carried our marks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenBack {
    /// `ScaledObject/checkout/api`.
    pub object: String,
    /// Why it is still held, where it is.
    pub held: Option<String>,
}

/// A receiver's answer.
pub type Sent = (String, Result<Option<String>, SendFailure>);

/// Why a message did not get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendFailure {
    /// For people, without secrets.
    pub text: String,
    /// Whether trying again later can help.
    pub retryable: bool,
}

/// What carries messages.
#[async_trait]
pub trait Messenger: Send + Sync {
    /// What was delivered before this process started, and the way to write down what is from now on.
    fn begin(&self, _known: &[Delivery], _handle: &Handle) {}

    /// Sends to every receiver of the notice's route that does not have it, and answers for each.
    /// `repeat` marks a message that may have been sent before a restart.
    async fn deliver(&self, notice: &Notice, repeat: bool) -> Vec<Sent>;
}

/// Whether intake must wait because the disk is nearly full.
pub type Pressure = watch::Receiver<bool>;

/// Does nothing: for a daemon without a cluster.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Levers for Nothing {
    fn ceiling(&self, _: Mode) {}
    fn frozen(&self, _: Option<&str>) {}
    fn clock_agrees(&self, _: bool) {}
    fn rules(&self, _: &Arc<RuleSet>) {}
}

#[async_trait]
impl Messenger for Nothing {
    async fn deliver(&self, _: &Notice, _: bool) -> Vec<Sent> {
        Vec::new()
    }
}

impl DeadLetters for Nothing {
    fn put(&mut self, letters: &[Letter]) {
        for letter in letters {
            let reason = letter.reason.word();
            tracing::warn!(source = %letter.source, key = %letter.key, reason, "refused");
        }
    }

    fn put_missing(&mut self, _: &[Letter]) {}
}

//! Facts: everything that may enter the engine.
//!
//! Usage comes in batches whose strings are interned once, because it is the only fact that comes by the
//! million; all else is rare and carries its own strings. Facts are what the journal keeps, so each type
//! here is part of its format: add at the end, never reorder.

mod command;
mod health;
mod receipt;
mod settings;
mod usage;

use serde::{Deserialize, Serialize};

pub use command::{Command, CommandKind};
pub use health::{SourceHealth, SourceState};
pub use receipt::{GuardAnswer, GuardCheck, Observation, PriorState, Receipt, ReceiptOutcome};
pub use settings::Settings;
pub use usage::{
    FactId, FilesGone, IdKey, InstanceUse, Origin, OriginRef, Position, Quantities, RefusedReason, Usage,
    UsageBatch, UsageBatchBuilder, UsageFlags, UsageOutcome, UsageRef,
};

pub(crate) use usage::words;

use crate::gpu::GpuBatch;
use crate::inventory::InventoryChange;
use crate::page::PageTopic;
use crate::rule::{Mode, RuleSet};
use crate::spot::{HostChange, SpotBatch};
use crate::time::Timestamp;

/// What both clocks said when a turn began. The wall clock dates things; the monotonic clock judges it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// Wall clock.
    pub wall: Timestamp,
    /// Milliseconds of the monotonic clock since the process started.
    pub mono: u64,
}

/// Anything that may enter the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// Time has passed and nothing else need have happened.
    Tick,
    /// The process started: monotonic time begins anew, and what the daemon may do is as stated.
    Started(Posture),
    /// What the daemon may do has changed (Lease won or lost, ceiling changed).
    Posture(Posture),
    /// Usage of money by somebody.
    Usage(UsageBatch),
    /// What exists to act on.
    Inventory(InventoryChange),
    /// What an actuator found or did.
    Receipt(Receipt),
    /// A person said so.
    Command(Command),
    /// A whole, valid rule set replaces the one before.
    Rules(Box<RuleSet>),
    /// How a source is doing.
    Health(SourceHealth),
    /// Something is wrong with the daemon itself; people are told, nothing else changes.
    Trouble(Trouble),
    /// The configuration says otherwise from now on. The id key stays what it was.
    Settings(Box<Settings>),
    /// How far those files were read may be forgotten.
    FilesGone(FilesGone),
    /// What GPUs do.
    Gpus(GpuBatch),
    /// AWS will take instances away, or has.
    Spot(SpotBatch),
    /// Which node an instance is.
    Hosts(HostChange),
}

/// Something is wrong with the daemon itself (a disk that fills, a replay that differs).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What it is about.
    pub topic: PageTopic,
    /// For people; told again at the earliest after an hour.
    pub detail: String,
}

/// What the daemon as a whole may do now. The lower of the rule's mode and this ceiling holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posture {
    /// Highest mode that any rule may have.
    pub ceiling: Mode,
    /// Why the ceiling is not what the configuration asked for ("no Lease", "journal lost"), for people.
    pub because: Option<String>,
}

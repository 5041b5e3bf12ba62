//! What can be said of a GPU or of a target, and why.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::gpu::Signal;
use crate::inventory::{ObjectKey, PodKey};
use crate::time::Span;

/// What is idle, or not: what somebody runs, or a node that nothing runs on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Target {
    /// All replicas of a Deployment or StatefulSet.
    Workload(ObjectKey),
    /// A pod that no workload of a kind we know brings back.
    Pod(PodKey),
    /// A node without a pod that asks for a GPU.
    Node(Box<str>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(key) => write!(f, "{key}"),
            Self::Pod(key) => write!(f, "Pod/{key}"),
            Self::Node(name) => write!(f, "Node/{name}"),
        }
    }
}

/// What its samples say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// Every signal was low, on all GPUs, for the whole time, and none is missing.
    Idle(Evidence),
    /// It works.
    Busy {
        /// The signal that says so; `None` where its framebuffer moved.
        signal: Option<Signal>,
        /// Its highest value in the window, in the signal's own unit.
        most: u32,
    },
    /// That cannot be said.
    Unknown(Reason),
    /// One signal says idle and another says busy. Nothing is done.
    Conflict {
        /// Low all the time.
        low: Signal,
        /// Not low.
        high: Signal,
        /// Its highest value.
        most: u32,
    },
    /// The driver reported an Xid error in the window.
    Unhealthy {
        /// The error.
        xid: u32,
    },
}

impl Verdict {
    /// The word in metrics and messages.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Idle(_) => "Idle",
            Self::Busy { .. } => "Busy",
            Self::Unknown(_) => "Unknown",
            Self::Conflict { .. } => "Conflict",
            Self::Unhealthy { .. } => "Unhealthy",
        }
    }

    /// Of several GPUs what says most about the whole comes first: one that works, one that is broken, signals
    /// that disagree, what is not known. Idle is only what is idle all over.
    pub(crate) const fn rank(&self) -> u8 {
        match self {
            Self::Busy { .. } => 0,
            Self::Unhealthy { .. } => 1,
            Self::Conflict { .. } => 2,
            Self::Unknown(_) => 3,
            Self::Idle(_) => 4,
        }
    }

    /// The verdict on two GPUs, or on two lots of them.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Idle(a), Self::Idle(b)) => Self::Idle(a.and(b)),
            (a, b) if b.rank() < a.rank() => b,
            (a, _) => a,
        }
    }
}

/// What an idle verdict rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    /// GPUs that were looked at.
    pub gpus: u32,
    /// Samples of the GPU that has the fewest.
    pub samples: u32,
    /// Samples that there should be of it.
    pub expected: u32,
}

impl Evidence {
    /// Of both together; the GPU with the larger share missing stands for all.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self.gpus == 0 || other.gpus == 0 {
            return if self.gpus == 0 { other } else { self };
        }
        let share = |e: &Self| u64::from(e.samples).saturating_mul(1_000_000).checked_div(e.expected.into());
        let worst = if share(&other) < share(&self) { other } else { self };
        Self { gpus: self.gpus.saturating_add(other.gpus), ..worst }
    }
}

/// Why it is not known whether something is idle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// No sample of that GPU ever came.
    NeverSampled,
    /// Fewer samples than the rule asks for: an exporter gap, or a GPU that is new.
    TooFewSamples {
        /// Those there are.
        samples: u32,
        /// Those there should be.
        expected: u32,
    },
    /// The newest sample is two intervals old or older.
    Stale {
        /// How old.
        age: Span,
    },
    /// The rule names a signal that the GPU does not have, or cannot be believed (`gpuUtil` under MIG).
    NoSignal(Signal),
    /// A signal is there in some samples only.
    SignalGap {
        /// The signal.
        signal: Signal,
        /// Samples that have it.
        samples: u32,
        /// Samples that should.
        expected: u32,
    },
    /// Only slices of the GPU were seen, and what is cut from a GPU proves nothing of the whole.
    MigSlice,
    /// Only signals that are known to be silently zero say idle; none of an independent kind does.
    Uncorroborated,
    /// Not all of its GPUs are known.
    GpusNotKnown {
        /// GPUs that are.
        known: u32,
        /// GPUs that it has.
        of: u32,
    },
    /// Not all of its replicas were seen.
    ReplicasNotSeen {
        /// Those that were.
        seen: u32,
        /// Those that there are.
        of: u32,
    },
    /// A replica waits for a node: somebody wants it.
    Waiting,
    /// A replica is on a node that the rule does not select.
    Elsewhere {
        /// The node.
        node: Box<str>,
    },
    /// A pod is not ready.
    NotReady,
    /// A pod is ready for too short a time.
    TooYoung {
        /// How long it is.
        ready: Span,
    },
    /// Somebody said that it may be idle: by the label, or for a while.
    MayBeIdle {
        /// Who or what says so.
        by: Box<str>,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverSampled => f.write_str("no sample of its GPU ever came"),
            Self::TooFewSamples { samples, expected } => {
                write!(f, "{samples} of {expected} samples are there: a gap is not idleness")
            }
            Self::Stale { age } => write!(f, "the newest sample is {age} old"),
            Self::NoSignal(signal) => {
                write!(f, "the rule names `{}`, and its GPU has none that can be believed", signal.word())
            }
            Self::SignalGap { signal, samples, expected } => {
                write!(f, "`{}` is in {samples} of {expected} samples only", signal.word())
            }
            Self::MigSlice => f.write_str("only slices of its GPU (MIG) were seen, not the whole"),
            Self::Uncorroborated => f.write_str(
                "only signals that are known to be silently zero say idle; `gpuUtil` or `powerDraw` of the whole GPU \
                 must say so too",
            ),
            Self::GpusNotKnown { known, of } => write!(f, "{known} of its {of} GPUs are known"),
            Self::ReplicasNotSeen { seen, of } => write!(f, "{seen} of its {of} replicas were seen"),
            Self::Waiting => f.write_str("a replica waits for a node"),
            Self::Elsewhere { node } => write!(f, "a replica is on {node}, which the rule does not select"),
            Self::NotReady => f.write_str("a pod of it is not ready"),
            Self::TooYoung { ready } => write!(f, "a pod of it is ready only for {ready}"),
            Self::MayBeIdle { by } => write!(f, "it may be idle: {by}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle(Evidence { gpus, samples, expected }) => {
                write!(f, "idle: {gpus} GPU(s), at least {samples} of {expected} samples, every signal low")
            }
            Self::Busy { signal: Some(signal), most } => {
                write!(f, "busy: `{}` was up to {}", signal.word(), signal.in_words(*most))
            }
            Self::Busy { signal: None, most } => write!(f, "busy: its framebuffer moved by {most} MiB"),
            Self::Unknown(reason) => write!(f, "not known: {reason}"),
            Self::Conflict { low, high, most } => write!(
                f,
                "signals disagree: `{}` says idle, `{}` was up to {}",
                low.word(),
                high.word(),
                high.in_words(*most)
            ),
            Self::Unhealthy { xid } => write!(f, "unhealthy: Xid {xid}"),
        }
    }
}

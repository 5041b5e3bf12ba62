//! `kind: IdlePolicy`, checked: when a GPU counts as idle, and how it is taken back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Mode, Place, glob_matches};
use crate::gpu::Signal;
use crate::inventory::Node;
use crate::money::{HourRate, Percent};
use crate::time::Span;

/// When a GPU counts as idle, and how to take it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdlePolicy {
    /// `metadata.name`, unique among its kind.
    pub name: Box<str>,
    /// For people.
    pub description: Box<str>,
    /// Where the document begins.
    pub place: Place,
    /// Nodes that it looks at.
    pub select: NodeSelector,
    /// When what runs on them is idle; `None` where it only packs.
    pub idle_when: Option<IdleWhen>,
    /// Nodes that are under-filled, where it packs.
    pub pack: Option<Pack>,
    /// What is worth less per hour is left alone; so is what has no price.
    pub worth_at_least: Option<HourRate>,
    /// What to do, in this order.
    pub then: Vec<IdleAct>,
    /// How far it may go.
    pub mode: Mode,
}

/// Which nodes: all of these conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSelector {
    /// `all: true` was written.
    pub all: bool,
    /// NodePools (globs); empty for any.
    pub nodepools: Vec<Box<str>>,
    /// Instance types (globs); empty for any.
    pub instance_types: Vec<Box<str>>,
    /// Labels that the node has, by exact value.
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

impl NodeSelector {
    /// Whether it selects the node. Without any condition it selects nothing.
    #[must_use]
    pub fn selects(&self, node: &Node) -> bool {
        let any = |globs: &[Box<str>], text: &str| {
            globs.is_empty() || globs.iter().any(|glob| !text.is_empty() && glob_matches(glob, text))
        };
        let stated = !self.nodepools.is_empty() || !self.instance_types.is_empty() || !self.labels.is_empty();
        (self.all || stated)
            && any(&self.nodepools, &node.nodepool)
            && any(&self.instance_types, &node.instance_type)
            && self.labels.iter().all(|(name, value)| node.labels.get(name) == Some(value))
    }
}

/// All of these, on every GPU, for the whole time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleWhen {
    /// Where it was written: the line that a decision cites.
    pub place: Place,
    /// Signals that must be there and stay below their ceiling.
    pub below: BTreeMap<Signal, Percent>,
    /// `inFlightRequests: none`: the serving counters must be there and stay at zero.
    pub no_requests: bool,
    /// For how long.
    pub window: Span,
    /// Share of the expected samples that must be there.
    pub samples: Percent,
}

impl IdleWhen {
    /// Whether the rule names the signal, so that it must be there.
    #[must_use]
    pub fn names(&self, signal: Signal) -> bool {
        match signal {
            Signal::InFlight => self.no_requests,
            _ => self.below.contains_key(&signal),
        }
    }

    /// Below what the signal counts as low, in its own unit (parts per million; requests). A signal that is
    /// there and that the rule does not name has a ceiling all the same.
    #[must_use]
    pub fn ceiling(&self, signal: Signal) -> u32 {
        let unnamed = match signal {
            Signal::GpuUtil | Signal::EngineActive => 50_000,
            Signal::SmActive | Signal::TensorActive | Signal::DramActive => 20_000,
            Signal::PowerDraw => 500_000,
            Signal::InFlight => 1,
        };
        self.below.get(&signal).map_or(unnamed, |percent| percent.ppm())
    }
}

/// Which nodes count as under-filled, and where their pods may go: onto nodes that exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    /// Where it was written.
    pub place: Place,
    /// Nodes of whose GPUs less than this share is requested.
    pub allocation_below: Percent,
}

/// Something to do about idle GPUs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdleAct {
    /// Tell a route.
    Notify {
        /// Name of a route that exists.
        route: Box<str>,
        /// For how long somebody's word that it may be idle holds.
        ack_for: Option<Span>,
        /// Where it was written.
        place: Place,
    },
    /// Pause the ScaledObjects whose workload is what is idle.
    PauseScaledObjects {
        /// Labels (of the object, its workload or its namespace) that exempt it.
        except: Vec<(Box<str>, Box<str>)>,
        /// Where it was written.
        place: Place,
    },
    /// Cordon the node once it is empty. Recorded, not done.
    Cordon {
        /// Where it was written.
        place: Place,
    },
    /// Delete the NodeClaim of the node. Recorded, not done.
    Reclaim {
        /// Where it was written.
        place: Place,
    },
}

impl IdleAct {
    /// The key in a rule.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Notify { .. } => "notify",
            Self::PauseScaledObjects { .. } => "pauseScaledObjects",
            Self::Cordon { .. } => "cordon",
            Self::Reclaim { .. } => "reclaim",
        }
    }
}

//! What no rule may do: the checked form of `kind: Guardrail`, all documents together.

use serde::{Deserialize, Serialize};

use super::{FreezeWindow, Mode};
use crate::inventory::ObjectKind;
use crate::money::Percent;
use crate::time::Span;

/// What no rule may do. Several documents add up: protections and freezes unite, the smallest caps hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guardrail {
    /// Namespaces that are never touched (globs).
    pub protected_namespaces: Vec<Box<str>>,
    /// Labels (of the object or its namespace) that protect.
    pub protected_labels: Vec<(Box<str>, Box<str>)>,
    /// Objects that are never touched.
    pub protected_objects: Vec<crate::inventory::ObjectKey>,
    /// Distinct newly stopped targets of one rule in the window, as a share of the eligible ones.
    pub per_rule: Percent,
    /// The same, at least this many.
    pub at_least: u32,
    /// Distinct newly stopped targets of all rules in the window.
    pub overall: u32,
    /// The window of the two caps.
    pub per: Span,
    /// Route of pages about ourselves and of rules that name none.
    pub page: Option<Box<str>>,
    /// A breaker waits this long for approval before the question lapses.
    pub approval_expires: Span,
    /// Kinds of object that are never touched, nor stopped by what scales them.
    pub protected_kinds: Vec<ProtectedKind>,
    /// Times in which nothing new is stopped.
    pub freeze: Vec<FreezeWindow>,
    /// A stop of more targets than this asks a person, also under `enforce`.
    pub targets_over: Option<u32>,
    /// Whose yes counts; anybody's who may speak to the daemon where no rule says.
    pub approvers: Option<Approvers>,
    /// What a budget new to the engine may do at first.
    pub first_days: Option<FirstDays>,
}

impl Default for Guardrail {
    /// 10% of eligible per 10 m, at least 5, overall 20 per 10 m; approvals expire in 15 m.
    fn default() -> Self {
        Self {
            protected_namespaces: PROTECTED_NAMESPACES.iter().map(|n| (*n).into()).collect(),
            protected_labels: vec![(crate::annotation::PROTECTED.into(), "true".into())],
            protected_objects: Vec::new(),
            per_rule: Percent::from_ppm(100_000),
            at_least: 5,
            overall: 20,
            per: Span::from_mins(10),
            page: None,
            approval_expires: Span::from_mins(15),
            protected_kinds: Vec::new(),
            freeze: Vec::new(),
            targets_over: None,
            approvers: None,
            first_days: None,
        }
    }
}

/// Always protected: the control plane, what scales, what buys nodes, what watches, and we ourselves.
pub const PROTECTED_NAMESPACES: [&str; 8] = [
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "keda",
    "karpenter",
    "monitoring",
    "breakerbox",
    "gpu-operator",
];

/// A kind of object that a rule can protect as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProtectedKind {
    /// ScaledObjects: then nothing is stopped at all.
    ScaledObject,
    /// Deployments, and what scales one.
    Deployment,
    /// StatefulSets, and what scales one.
    StatefulSet,
    /// Nodes.
    Node,
}

impl ProtectedKind {
    /// The Kubernetes kind.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ScaledObject => "ScaledObject",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::Node => "Node",
        }
    }

    /// Whether an object of that kind is meant.
    #[must_use]
    pub fn is(self, kind: ObjectKind) -> bool {
        self.word() == kind.word()
    }
}

/// Whose yes counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvers {
    /// Groups and actors as the rules name them, for people.
    pub named: Vec<Box<str>>,
    /// The actors behind those names, sorted: `uid:1000`, or the name of an operator token.
    pub actors: Vec<Box<str>>,
}

impl Approvers {
    /// Whether that actor's yes counts. The socket's actors carry their name behind their number, `uid:1000
    /// (alice)`; the number is what the kernel says and decides.
    #[must_use]
    pub fn include(&self, actor: &str) -> bool {
        let number =
            actor.strip_prefix("uid:").and_then(|_| actor.split_once(" (")).map(|(number, _)| number);
        self.actors.iter().any(|known| **known == *actor || Some(&**known) == number)
    }
}

/// What a budget new to the engine may do at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstDays {
    /// No more than this.
    pub mode: Mode,
    /// For so long after the engine first saw it.
    pub length: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_of_the_socket_counts_by_the_number_that_the_kernel_says() {
        let approvers =
            Approvers { named: vec!["finops-leads".into()], actors: vec!["ann".into(), "uid:1000".into()] };
        for actor in ["ann", "uid:1000", "uid:1000 (alice)"] {
            assert!(approvers.include(actor), "{actor}");
        }
        for actor in ["", "anna", "bob (uid:1000)", "uid:10001 (alice)", "uid:1 (uid:1000)", "ann (x)"] {
            assert!(!approvers.include(actor), "{actor}");
        }
    }
}

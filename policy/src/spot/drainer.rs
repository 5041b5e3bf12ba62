//! Who drains a node that is about to go, besides us. Two that drain one node fight, so we never do where
//! somebody else does (Karpenter's guide says as much of the node termination handler).

use super::Host;

/// Somebody who drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Drainer {
    /// Karpenter, or EKS Auto Mode, which is one.
    Karpenter,
    /// An EKS managed node group, which drains what it loses itself.
    NodeGroup,
    /// The AWS node termination handler.
    TerminationHandler,
}

impl Drainer {
    /// For people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Karpenter => "Karpenter",
            Self::NodeGroup => "the EKS node group",
            Self::TerminationHandler => "the node termination handler",
        }
    }
}

/// The handler's `app.kubernetes.io/name`, and what its taints begin with.
pub(super) const HANDLER: &str = "aws-node-termination-handler";

/// Labels that say who made a node, and so who looks after it.
const MADE_BY: [(&str, Drainer); 4] = [
    ("karpenter.sh/nodepool", Drainer::Karpenter),
    ("karpenter.sh/registered", Drainer::Karpenter),
    ("eks.amazonaws.com/compute-type", Drainer::Karpenter),
    ("eks.amazonaws.com/nodegroup", Drainer::NodeGroup),
];

/// Who drains that node, where somebody does. `queue_handler` is whether a node termination handler runs in
/// the cluster that reads a queue, and so sees every node.
#[must_use]
pub fn drainer(host: &Host, queue_handler: bool) -> Option<Drainer> {
    let made = MADE_BY.iter().find(|(label, _)| host.labels.contains_key(*label)).map(|(_, by)| *by);
    let is_handlers = |taint: &str| taint.split('/').next() == Some(HANDLER);
    let handled = queue_handler
        || host.daemons.iter().any(|name| **name == *HANDLER)
        || host.taints.iter().any(|taint| is_handlers(taint));
    made.or_else(|| handled.then_some(Drainer::TerminationHandler))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_made_or_marked_a_node_drains_it() {
        let host = |label: &str, taint: &str, daemon: &str| Host {
            labels: [(label.into(), "x".into())].into(),
            taints: vec![taint.into()],
            daemons: vec![daemon.into()],
            ..Host::default()
        };
        let who = |label, taint, daemon| drainer(&host(label, taint, daemon), false);
        assert_eq!(who("karpenter.sh/nodepool", "", ""), Some(Drainer::Karpenter));
        assert_eq!(who("eks.amazonaws.com/compute-type", "", ""), Some(Drainer::Karpenter));
        assert_eq!(who("eks.amazonaws.com/nodegroup", "", ""), Some(Drainer::NodeGroup));
        let taint = "aws-node-termination-handler/spot-itn";
        assert_eq!(who("zone", taint, ""), Some(Drainer::TerminationHandler));
        assert_eq!(who("zone", "", HANDLER), Some(Drainer::TerminationHandler));
        assert_eq!(who("zone", "nvidia.com/gpu", "dcgm-exporter"), None);
        assert_eq!(drainer(&host("zone", "", ""), true), Some(Drainer::TerminationHandler));
    }
}

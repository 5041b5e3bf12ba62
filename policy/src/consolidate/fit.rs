//! Whether a node takes a pod, by what Kubernetes' scheduler asks of the two alone.

use crate::inventory::{Node, Pod, TaintEffect};

/// Whether the node would take the pod, were there room: it is ready and not going away, the pod tolerates
/// its taints, and selector and required affinity are met. A pod with GPUs also wants the same kind of GPU
/// as where it is (`from`): a smaller one may not do.
#[must_use]
pub fn fits(pod: &Pod, from: &Node, to: &Node) -> bool {
    to.ready
        && !to.unschedulable
        && !to.deleting
        && tolerated(pod, to)
        && pod.node_selector.iter().all(|(name, value)| to.labels.get(name) == Some(value))
        && (pod.affinity.is_empty()
            || pod.affinity.iter().any(|term| {
                // Kubernetes: a term without a condition matches nothing.
                !term.is_empty() && term.iter().all(|requirement| requirement.is_met(&to.labels))
            }))
        && (pod.requests.gpus == 0 || product(from) == product(to))
}

/// A wish (`PreferNoSchedule`) keeps no pod away.
fn tolerated(pod: &Pod, node: &Node) -> bool {
    node.taints
        .iter()
        .filter(|taint| taint.effect != TaintEffect::PreferNoSchedule)
        .all(|taint| pod.tolerations.iter().any(|toleration| toleration.tolerates(taint)))
}

/// The kind of GPU of a node: NVIDIA's label, else the instance type.
pub(super) fn product(node: &Node) -> &str {
    node.labels.get("nvidia.com/gpu.product").map_or(&node.instance_type, |product| product)
}

//! Nodes, pods and GPUs of a trial as facts.

use crate::gpu::{GpuBatch, GpuSample};
use crate::inventory::{Node, Pod, PodKey, Resources};
use crate::rule::trial::{TrialFact, TrialGpus, TrialNode, TrialObject, TrialSpot};
use crate::spot::{Host, Loss, SpotBatch, SpotKind, SpotNotice};
use crate::time::{Span, Timestamp};

use super::cluster::workload_of;

/// Name of the source of samples.
const SOURCE: &str = "dcgm";
/// So much of a node that only its GPUs bound what fits: cores in thousandths, bytes, pods.
const ROOM: (u64, u64, u32) = (192_000, 1 << 41, 110);
/// How old nodes are, and for how long pods have been ready, when a trial begins.
const OLD: Span = Span::from_hours(24);

/// Name of a GPU of a node, by its number.
fn uuid(node: &str, number: u32) -> Box<str> {
    format!("GPU-{node}-{number}").into()
}

pub(super) fn node(node: &TrialNode, since: Timestamp) -> Node {
    Node {
        uid: format!("uid-{}", node.name).into(),
        nodepool: node.nodepool.clone(),
        instance_type: node.instance_type.clone(),
        capacity_type: node.capacity_type.clone(),
        region: node.region.clone(),
        gpus: node.gpus,
        allocatable: Resources { cpu_milli: ROOM.0, memory: ROOM.1, gpus: node.gpus },
        most_pods: ROOM.2,
        labels: node.labels.iter().cloned().collect(),
        ready: true,
        created_at: Some(since.minus(OLD)),
        ..Node::default()
    }
}

/// The instance of a node.
fn instance(node: &str) -> Box<str> {
    format!("i-{node}").into()
}

pub(super) fn host(node: &TrialNode) -> Host {
    Host {
        node: node.name.clone(),
        instance: instance(&node.name),
        pool: node.nodepool.clone(),
        labels: node.labels.iter().cloned().collect(),
        ..Host::default()
    }
}

/// What AWS says of a node, at the instant of the fact.
pub(super) fn notice(on: &str, kind: TrialSpot, fact: &TrialFact) -> SpotBatch {
    let kind = match kind {
        TrialSpot::Interruption => SpotKind::Interruption(Loss::Terminate),
        TrialSpot::Rebalance => SpotKind::Rebalance,
        TrialSpot::CapacityReservation => SpotKind::CapacityReservation(Loss::Terminate),
    };
    let notice = SpotNotice {
        event: format!("event-{}", fact.place.line).into(),
        kind,
        instance: instance(on),
        account: "111122223333".into(),
        region: "us-east-1".into(),
        at: fact.at,
    };
    SpotBatch { source: "spot".into(), notices: vec![notice] }
}

/// The pod of an object that has GPUs of a node, after those that are `taken` by others.
pub(super) fn pod(object: &TrialObject, on: &str, taken: u32, since: Timestamp) -> (PodKey, Pod) {
    let key = PodKey::new(&object.key.namespace, &format!("{}-0", object.key.name));
    let own = taken..taken.saturating_add(object.gpus);
    let pod = Pod {
        uid: format!("uid-{key}").into(),
        node: Some(on.into()),
        owner: Some(workload_of(&object.key)),
        requests: Resources { gpus: object.gpus, ..Resources::default() },
        gpus: own.map(|number| uuid(on, number)).collect(),
        ready_since: Some(since.minus(OLD)),
        labels: object.labels.iter().cloned().collect(),
        ..Pod::default()
    };
    (key, pod)
}

/// One sample of each GPU that the fact is about.
pub(super) fn batch(gpus: &TrialGpus, nodes: &[TrialNode], at: Timestamp) -> GpuBatch {
    let count = nodes.iter().find(|node| node.name == gpus.on).map_or(1, |node| node.gpus);
    let numbers = gpus.gpu.map_or(0..count, |one| one..one.saturating_add(1));
    let sample = |number| GpuSample {
        node: 0,
        gpu: uuid(&gpus.on, number),
        at,
        sharing: gpus.sharing,
        signals: gpus.signals,
    };
    GpuBatch {
        source: SOURCE.into(),
        interval: gpus.every,
        nodes: vec![gpus.on.clone()],
        samples: numbers.map(sample).collect(),
    }
}

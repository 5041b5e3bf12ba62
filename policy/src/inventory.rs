//! What exists to act on: namespaces, ScaledObjects and the workloads they scale, as facts.
//!
//! The engine expands selectors over this and nothing else, so a replay and an `explain` know what was
//! there. The collector watches and tells; the actuator reads the object again before it writes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

mod fleet;

pub use fleet::{
    DisruptionBudget, Node, Pod, PodKey, Requirement, RequirementOperator, Resources, Taint, TaintEffect,
    Toleration,
};

/// Kind of object that we know how to hold or to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ObjectKind {
    /// `keda.sh/v1alpha1` ScaledObject.
    ScaledObject,
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
}

impl ObjectKind {
    /// The Kubernetes kind.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ScaledObject => "ScaledObject",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
        }
    }
}

/// A namespaced object by name. Prints and reads as `ScaledObject/checkout/api`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// Kind.
    pub kind: ObjectKind,
    /// Namespace.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
}

impl ObjectKey {
    /// A ScaledObject by name.
    #[must_use]
    pub fn scaled_object(namespace: &str, name: &str) -> Self {
        Self { kind: ObjectKind::ScaledObject, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind.word(), self.namespace, self.name)
    }
}

/// A text that names no object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no object; write it like ScaledObject/checkout/api or checkout/api")]
pub struct ObjectKeyError(String);

impl FromStr for ObjectKey {
    type Err = ObjectKeyError;

    fn from_str(text: &str) -> Result<Self, ObjectKeyError> {
        let wrong = || ObjectKeyError(text.to_owned());
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|p| p.is_empty()) {
            return Err(wrong());
        }
        let (kind, rest) = match parts.as_slice() {
            [namespace, name] => (ObjectKind::ScaledObject, (*namespace, *name)),
            ["ScaledObject", namespace, name] => (ObjectKind::ScaledObject, (*namespace, *name)),
            ["Deployment", namespace, name] => (ObjectKind::Deployment, (*namespace, *name)),
            ["StatefulSet", namespace, name] => (ObjectKind::StatefulSet, (*namespace, *name)),
            _ => return Err(wrong()),
        };
        Ok(Self { kind, namespace: rest.0.into(), name: rest.1.into() })
    }
}

/// A namespace with its labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// `metadata.labels`.
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

/// A ScaledObject as far as a decision needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScaledObject {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.labels`.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// Annotations under `autoscaling.keda.sh/` and `breakerbox.dev/` only.
    pub annotations: BTreeMap<Box<str>, Box<str>>,
    /// What it scales; `None` where the target is of a kind we do not know (then it is never proven).
    pub workload: Option<ObjectKey>,
    /// `status.pausedReplicaCount`.
    pub paused_replica_count: Option<i32>,
    /// It is being deleted (`metadata.deletionTimestamp`).
    pub deleting: bool,
    /// `spec.advanced.restoreToOriginalReplicaCount`: deleting it while paused brings replicas back.
    pub restore_to_original: bool,
}

/// A Deployment or StatefulSet as far as a decision needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `spec.replicas`; absent means 1, as Kubernetes defaults it.
    pub replicas: u32,
    /// `status.replicas`; absent means 0.
    pub status_replicas: u32,
    /// `metadata.labels`: one of them may protect what scales it.
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

/// A change of what exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InventoryChange {
    /// A namespace is there, with these labels.
    Namespace(Box<str>, Namespace),
    /// A namespace is gone.
    NamespaceGone(Box<str>),
    /// A ScaledObject is there.
    ScaledObject(ObjectKey, ScaledObject),
    /// A workload is there.
    Workload(ObjectKey, Workload),
    /// A ScaledObject or workload is gone.
    Gone(ObjectKey),
    /// A fresh list: this is all there is of every kind.
    Snapshot(Inventory),
    /// A node is there.
    Node(Box<str>, Node),
    /// A node is gone.
    NodeGone(Box<str>),
    /// A pod is there.
    Pod(PodKey, Box<Pod>),
    /// A pod is gone, or over.
    PodGone(PodKey),
    /// A PodDisruptionBudget is there.
    DisruptionBudget(PodKey, DisruptionBudget),
    /// A PodDisruptionBudget is gone.
    DisruptionBudgetGone(PodKey),
}

impl InventoryChange {
    /// Whether a selector of targets may come to something else by it.
    #[must_use]
    pub const fn is_of_targets(&self) -> bool {
        matches!(
            self,
            Self::Namespace(..)
                | Self::NamespaceGone(_)
                | Self::ScaledObject(..)
                | Self::Gone(_)
                | Self::Snapshot(_)
        )
    }
}

/// All that exists to act on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// By name.
    pub namespaces: BTreeMap<Box<str>, Namespace>,
    /// By key, all of kind ScaledObject.
    pub scaled_objects: BTreeMap<ObjectKey, ScaledObject>,
    /// By key, Deployments and StatefulSets.
    pub workloads: BTreeMap<ObjectKey, Workload>,
    /// When the cluster was last heard (list, event or bookmark). Older than 120 s is stale, and nothing
    /// acts on it.
    pub heard_at: Option<Timestamp>,
    /// By name.
    pub nodes: BTreeMap<Box<str>, Node>,
    /// Pods that are not over, by name.
    pub pods: BTreeMap<PodKey, Pod>,
    /// By name.
    pub disruption_budgets: BTreeMap<PodKey, DisruptionBudget>,
}

impl Inventory {
    /// Takes a change in. Only a whole list proves that the cluster is heard: changes of one kind may go on
    /// coming while the watch of another is dead.
    pub fn apply(&mut self, change: InventoryChange, at: Timestamp) {
        match change {
            InventoryChange::Namespace(name, namespace) => {
                self.namespaces.insert(name, namespace);
            }
            InventoryChange::NamespaceGone(name) => {
                self.namespaces.remove(&name);
            }
            InventoryChange::ScaledObject(key, object) => {
                self.scaled_objects.insert(key, object);
            }
            InventoryChange::Workload(key, workload) => {
                self.workloads.insert(key, workload);
            }
            InventoryChange::Gone(key) => {
                self.scaled_objects.remove(&key);
                self.workloads.remove(&key);
            }
            InventoryChange::Snapshot(inventory) => {
                *self = Self { heard_at: Some(at), ..inventory };
            }
            InventoryChange::Node(name, node) => {
                self.nodes.insert(name, node);
            }
            InventoryChange::NodeGone(name) => {
                self.nodes.remove(&name);
            }
            InventoryChange::Pod(key, pod) => {
                self.pods.insert(key, *pod);
            }
            InventoryChange::PodGone(key) => {
                self.pods.remove(&key);
            }
            InventoryChange::DisruptionBudget(key, budget) => {
                self.disruption_budgets.insert(key, budget);
            }
            InventoryChange::DisruptionBudgetGone(key) => {
                self.disruption_budgets.remove(&key);
            }
        }
    }

    /// Labels of a namespace; none when it is unknown.
    #[must_use]
    pub fn labels_of(&self, namespace: &str) -> Option<&BTreeMap<Box<str>, Box<str>>> {
        self.namespaces.get(namespace).map(|n| &n.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_key_reads_with_and_without_its_kind() {
        let key: ObjectKey = "checkout/api".parse().unwrap();
        assert_eq!(key, "ScaledObject/checkout/api".parse().unwrap());
        assert_eq!(key.to_string(), "ScaledObject/checkout/api");
        for text in ["", "api", "/api", "Node/a/b", "a/b/c/d", "Deployment//x"] {
            assert!(text.parse::<ObjectKey>().is_err(), "{text}");
        }
    }
}

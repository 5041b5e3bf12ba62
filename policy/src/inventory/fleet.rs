//! Nodes, pods and disruption budgets, as far as idleness and consolidation need them.
//!
//! What the cluster says that is not here, but could keep a pod where it is (volumes of one node, affinity
//! between pods, spread), comes as [`Pod::pinned`]: what cannot be judged is never moved.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ObjectKey;
use crate::time::Timestamp;

type Labels = BTreeMap<Box<str>, Box<str>>;

/// A pod or a disruption budget by namespace and name. Prints as `checkout/api-0`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodKey {
    /// Namespace.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
}

impl PodKey {
    /// By namespace and name.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for PodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a pod asks for, or a node has to give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu_milli: u64,
    /// Bytes.
    pub memory: u64,
    /// Units of the GPU resource, `nvidia.com/gpu`; of a GPU that is shared there are several.
    pub gpus: u32,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// Karpenter's NodePool, or the node group; empty where it is not known.
    pub nodepool: Box<str>,
    /// EC2 instance type; empty where it is not known.
    pub instance_type: Box<str>,
    /// `on-demand` or `spot`; empty where it is not known.
    pub capacity_type: Box<str>,
    /// AWS region; empty where it is not known.
    pub region: Box<str>,
    /// Physical GPUs.
    pub gpus: u32,
    /// What pods may have of it.
    pub allocatable: Resources,
    /// Pods that may run on it.
    pub most_pods: u32,
    /// `spec.taints`.
    pub taints: Vec<Taint>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// It is ready.
    pub ready: bool,
    /// It is cordoned.
    pub unschedulable: bool,
    /// It is going away (`metadata.deletionTimestamp`).
    pub deleting: bool,
    /// It carries `karpenter.sh/do-not-disrupt`.
    pub do_not_disrupt: bool,
    /// `metadata.creationTimestamp`.
    pub created_at: Option<Timestamp>,
}

/// A taint of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taint {
    /// Key.
    pub key: Box<str>,
    /// Value; empty where there is none.
    pub value: Box<str>,
    /// What it does to pods that do not tolerate it.
    pub effect: TaintEffect,
}

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaintEffect {
    /// No new pod.
    NoSchedule,
    /// A wish.
    PreferNoSchedule,
    /// No pod at all.
    NoExecute,
}

/// A toleration of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toleration {
    /// Key; `None` is every key.
    pub key: Option<Box<str>>,
    /// The value that it must have; `None` (operator `Exists`) is every value.
    pub value: Option<Box<str>>,
    /// The effect; `None` is every effect.
    pub effect: Option<TaintEffect>,
}

impl Toleration {
    /// Whether it tolerates that taint.
    #[must_use]
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.key.as_ref().is_none_or(|key| *key == taint.key)
            && self.value.as_ref().is_none_or(|value| *value == taint.value)
            && self.effect.is_none_or(|effect| effect == taint.effect)
    }
}

/// A condition of a required node affinity on one label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The label.
    pub key: Box<str>,
    /// What it must be.
    pub operator: RequirementOperator,
    /// The values; of `Gt` and `Lt` one whole number.
    pub values: Vec<Box<str>>,
}

/// Kubernetes' operators on node labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RequirementOperator {
    /// One of the values.
    In,
    /// None of the values, or absent.
    NotIn,
    /// Present.
    Exists,
    /// Absent.
    DoesNotExist,
    /// A number above the value.
    Gt,
    /// A number below the value.
    Lt,
}

impl Requirement {
    /// Whether a node with these labels is what it asks for. A number that cannot be read is not.
    #[must_use]
    pub fn is_met(&self, labels: &Labels) -> bool {
        let has = labels.get(&self.key);
        let number = |text: &str| text.parse::<i64>().ok();
        let compared = |pass: fn(&i64, &i64) -> bool| match (has, self.values.as_slice()) {
            (Some(has), [value]) => {
                number(has).zip(number(value)).is_some_and(|(has, value)| pass(&has, &value))
            }
            _ => false,
        };
        match self.operator {
            RequirementOperator::In => has.is_some_and(|value| self.values.contains(value)),
            RequirementOperator::NotIn => has.is_none_or(|value| !self.values.contains(value)),
            RequirementOperator::Exists => has.is_some(),
            RequirementOperator::DoesNotExist => has.is_none(),
            RequirementOperator::Gt => compared(i64::gt),
            RequirementOperator::Lt => compared(i64::lt),
        }
    }
}

/// A pod that is not over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// The node that it is bound to; `None` while it waits for one.
    pub node: Option<Box<str>>,
    /// The Deployment or StatefulSet that brings it back; `None` for a pod of another kind, or a bare one.
    pub owner: Option<ObjectKey>,
    /// What it asks for.
    pub requests: Resources,
    /// UUIDs of the physical GPUs that it has, as far as known.
    pub gpus: Vec<Box<str>>,
    /// `spec.tolerations`.
    pub tolerations: Vec<Toleration>,
    /// `spec.nodeSelector`.
    pub node_selector: Labels,
    /// Required node affinity: one of these terms, of a term all conditions. Empty is none.
    pub affinity: Vec<Vec<Requirement>>,
    /// What else keeps it where it is and is not judged here, for people.
    pub pinned: Option<Box<str>>,
    /// Names of the disruption budgets of its namespace that select it.
    pub budgets: Vec<Box<str>>,
    /// It carries `karpenter.sh/do-not-disrupt`.
    pub do_not_disrupt: bool,
    /// Since when it is ready; `None` while it is not.
    pub ready_since: Option<Timestamp>,
    /// A DaemonSet's.
    pub daemon: bool,
    /// `metadata.labels`.
    pub labels: Labels,
    /// It is going away (`metadata.deletionTimestamp`).
    pub deleting: bool,
}

/// A PodDisruptionBudget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisruptionBudget {
    /// `status.disruptionsAllowed`.
    pub allowed: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(key: &str, value: &str) -> Taint {
        Taint { key: key.into(), value: value.into(), effect: TaintEffect::NoSchedule }
    }

    #[test]
    fn a_toleration_takes_what_kubernetes_says_that_it_takes() {
        let gpu = taint("nvidia.com/gpu", "present");
        let key = |value: Option<&str>| Toleration {
            key: Some("nvidia.com/gpu".into()),
            value: value.map(Into::into),
            effect: None,
        };
        assert!(Toleration::default().tolerates(&gpu), "an empty key with Exists is everything");
        assert!(key(None).tolerates(&gpu) && key(Some("present")).tolerates(&gpu));
        assert!(!key(Some("other")).tolerates(&gpu) && !key(None).tolerates(&taint("spot", "")));
        let other = Toleration { effect: Some(TaintEffect::NoExecute), ..key(None) };
        assert!(!other.tolerates(&gpu));
    }

    #[test]
    fn each_operator_of_a_required_affinity_is_kubernetes_own() {
        let labels: Labels = [("zone", "a"), ("memory", "80")].map(|(k, v)| (k.into(), v.into())).into();
        let met = |key: &str, operator, values: &[&str]| {
            let values = values.iter().map(|v| (*v).into()).collect();
            Requirement { key: key.into(), operator, values }.is_met(&labels)
        };
        use RequirementOperator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
        assert!(met("zone", In, &["a", "b"]) && !met("zone", In, &["b"]) && !met("x", In, &["a"]));
        assert!(met("zone", NotIn, &["b"]) && !met("zone", NotIn, &["a"]) && met("x", NotIn, &["a"]));
        assert!(met("zone", Exists, &[]) && !met("x", Exists, &[]));
        assert!(met("x", DoesNotExist, &[]) && !met("zone", DoesNotExist, &[]));
        assert!(met("memory", Gt, &["40"]) && !met("memory", Gt, &["80"]) && !met("zone", Gt, &["1"]));
        assert!(met("memory", Lt, &["81"]) && !met("memory", Lt, &["80"]) && !met("x", Lt, &["1"]));
    }
}

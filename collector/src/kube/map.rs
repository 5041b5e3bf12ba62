//! Kubernetes objects as the inventory knows them. Pure; only what a decision needs is kept.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind};
use policy::inventory::{
    Inventory, InventoryChange, Namespace, ObjectKey, ObjectKind, ScaledObject, Workload,
};
use serde_json::Value;

use super::WatchedKind;

/// Annotations that a decision looks at.
const KEPT_ANNOTATIONS: [&str; 2] = ["autoscaling.keda.sh/", "breakerbox.dev/"];

impl WatchedKind {
    /// How the API server names it.
    #[must_use]
    pub fn resource(self) -> ApiResource {
        let gvk = |group, version, kind| GroupVersionKind::gvk(group, version, kind);
        let (gvk, plural) = match self {
            Self::Namespace => (gvk("", "v1", "Namespace"), "namespaces"),
            Self::ScaledObject => (gvk("keda.sh", "v1alpha1", "ScaledObject"), "scaledobjects"),
            Self::Deployment => (gvk("apps", "v1", "Deployment"), "deployments"),
            Self::StatefulSet => (gvk("apps", "v1", "StatefulSet"), "statefulsets"),
        };
        ApiResource::from_gvk_with_plural(&gvk, plural)
    }

    const fn object_kind(self) -> Option<ObjectKind> {
        match self {
            Self::Namespace => None,
            Self::ScaledObject => Some(ObjectKind::ScaledObject),
            Self::Deployment => Some(ObjectKind::Deployment),
            Self::StatefulSet => Some(ObjectKind::StatefulSet),
        }
    }
}

/// The change that an object's being there is. `None` for an object without a name.
#[must_use]
pub fn present(kind: WatchedKind, object: &DynamicObject) -> Option<InventoryChange> {
    let name = object.metadata.name.as_deref()?;
    let Some(object_kind) = kind.object_kind() else {
        let labels = copied(object.metadata.labels.as_ref());
        return Some(InventoryChange::Namespace(name.into(), Namespace { labels }));
    };
    let namespace = object.metadata.namespace.as_deref()?;
    let key = ObjectKey { kind: object_kind, namespace: namespace.into(), name: name.into() };
    Some(match kind {
        WatchedKind::ScaledObject => InventoryChange::ScaledObject(key, scaled_object(namespace, object)),
        _ => InventoryChange::Workload(key, workload(object)),
    })
}

/// The change that an object's being gone is.
#[must_use]
pub fn gone(kind: WatchedKind, object: &DynamicObject) -> Option<InventoryChange> {
    let name = object.metadata.name.as_deref()?;
    let Some(object_kind) = kind.object_kind() else {
        return Some(InventoryChange::NamespaceGone(name.into()));
    };
    let namespace = object.metadata.namespace.as_deref()?;
    Some(InventoryChange::Gone(ObjectKey {
        kind: object_kind,
        namespace: namespace.into(),
        name: name.into(),
    }))
}

/// Takes all of one kind out of an inventory, before a fresh list of it goes in.
pub fn forget(kind: WatchedKind, inventory: &mut Inventory) {
    match kind.object_kind() {
        None => inventory.namespaces.clear(),
        Some(ObjectKind::ScaledObject) => inventory.scaled_objects.clear(),
        Some(workload) => inventory.workloads.retain(|key, _| key.kind != workload),
    }
}

fn copied(map: Option<&BTreeMap<String, String>>) -> BTreeMap<Box<str>, Box<str>> {
    map.into_iter().flatten().map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect()
}

fn uid(object: &DynamicObject) -> Box<str> {
    object.metadata.uid.as_deref().unwrap_or("").into()
}

fn scaled_object(namespace: &str, object: &DynamicObject) -> ScaledObject {
    let at = |pointer: &str| object.data.pointer(pointer);
    let paused = at("/status/pausedReplicaCount").and_then(Value::as_i64);
    let mut annotations = copied(object.metadata.annotations.as_ref());
    annotations.retain(|key, _| KEPT_ANNOTATIONS.iter().any(|prefix| key.starts_with(prefix)));
    ScaledObject {
        uid: uid(object),
        labels: copied(object.metadata.labels.as_ref()),
        annotations,
        workload: at("/spec/scaleTargetRef").and_then(|target| scale_target(namespace, target)),
        paused_replica_count: paused.and_then(|n| i32::try_from(n).ok()),
        deleting: object.metadata.deletion_timestamp.is_some(),
        restore_to_original: at("/spec/advanced/restoreToOriginalReplicaCount") == Some(&Value::Bool(true)),
    }
}

/// What a ScaledObject scales; KEDA's default is a Deployment of apps/v1.
fn scale_target(namespace: &str, target: &Value) -> Option<ObjectKey> {
    let text = |key: &str| target.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    if !text("apiVersion").unwrap_or("apps/v1").starts_with("apps/") {
        return None;
    }
    let kind = match text("kind").unwrap_or("Deployment") {
        "Deployment" => ObjectKind::Deployment,
        "StatefulSet" => ObjectKind::StatefulSet,
        _ => return None,
    };
    Some(ObjectKey { kind, namespace: namespace.into(), name: text("name")?.into() })
}

fn workload(object: &DynamicObject) -> Workload {
    let count = |pointer: &str, absent: u32| {
        object
            .data
            .pointer(pointer)
            .map_or(absent, |n| n.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(absent))
    };
    Workload {
        uid: uid(object),
        replicas: count("/spec/replicas", 1),
        status_replicas: count("/status/replicas", 0),
        labels: copied(object.metadata.labels.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: Value) -> DynamicObject {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_scaled_object_keeps_what_a_decision_needs_and_nothing_else() {
        let there = object(serde_json::json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": "api", "namespace": "acme", "uid": "u1", "labels": {"tier": "web"},
                "annotations": {"autoscaling.keda.sh/paused-replicas": "0", "kubectl.kubernetes.io/last-applied-configuration": "{}"}},
            "spec": {"scaleTargetRef": {"name": "api"}, "advanced": {"restoreToOriginalReplicaCount": true}},
            "status": {"pausedReplicaCount": 0}
        }));
        let Some(InventoryChange::ScaledObject(key, so)) = present(WatchedKind::ScaledObject, &there) else {
            panic!("a ScaledObject")
        };
        assert_eq!(key.to_string(), "ScaledObject/acme/api");
        assert_eq!(so.workload.unwrap().to_string(), "Deployment/acme/api");
        assert_eq!(so.annotations.len(), 1);
        assert_eq!((so.paused_replica_count, so.restore_to_original, so.deleting), (Some(0), true, false));
    }

    #[test]
    fn a_scale_target_of_a_kind_we_do_not_know_is_no_workload() {
        for target in [
            serde_json::json!({"name": "x", "kind": "Rollout", "apiVersion": "argoproj.io/v1alpha1"}),
            serde_json::json!({"name": "x", "kind": "Rollout"}),
            serde_json::json!({"kind": "Deployment"}),
        ] {
            assert_eq!(scale_target("acme", &target), None, "{target}");
        }
    }

    #[test]
    fn absent_replicas_are_one_in_the_spec_and_zero_in_the_status() {
        let there = object(serde_json::json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "spec": {},
            "metadata": {"name": "api", "namespace": "acme", "labels": {"tier": "critical"}}
        }));
        let Some(InventoryChange::Workload(_, workload)) = present(WatchedKind::Deployment, &there) else {
            panic!("a workload")
        };
        assert_eq!((workload.replicas, workload.status_replicas), (1, 0));
        assert_eq!(workload.labels.get("tier").map(|tier| &**tier), Some("critical"), "it may protect");
    }
}

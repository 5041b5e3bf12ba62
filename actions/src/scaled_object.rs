//! A ScaledObject as it was just read: what the guard judges and what the proof looks at.

use std::collections::BTreeMap;

use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use policy::inventory::{ObjectKey, ObjectKind};
use serde_json::Value;

use crate::undo::{Marks, PAUSED, PAUSED_REPLICAS};

/// The API of ScaledObjects.
pub(crate) fn resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject"))
}

/// KEDA's annotation by which a ScaledObject takes over an HPA that is the user's own.
const TRANSFER_HPA: &str = "scaledobject.keda.sh/transfer-hpa-ownership";

/// One ScaledObject, just read.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its name.
    pub key: ObjectKey,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// It is being deleted.
    pub deleting: bool,
    /// What it scales, or why we do not know how to look at that.
    pub workload: Result<ObjectKey, String>,
    /// `spec` and `status`.
    data: Value,
    owners: Vec<(String, Value)>,
}

impl Seen {
    /// Reads an object of the API server.
    pub(crate) fn read(key: &ObjectKey, object: DynamicObject) -> Self {
        let meta = object.metadata;
        let fields = |entry: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry| {
            Some((entry.manager.clone()?, entry.fields_v1.as_ref()?.0.clone()))
        };
        Self {
            key: key.clone(),
            uid: meta.uid.unwrap_or_default(),
            resource_version: meta.resource_version.unwrap_or_default(),
            labels: meta.labels.unwrap_or_default(),
            annotations: meta.annotations.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            workload: workload(&key.namespace, &object.data["spec"]["scaleTargetRef"]),
            owners: meta.managed_fields.unwrap_or_default().iter().filter_map(fields).collect(),
            data: object.data,
        }
    }

    /// Our marks, whichever installation's they are.
    #[must_use]
    pub fn marks(&self) -> Option<Marks> {
        Marks::read(&self.annotations)
    }

    /// Value of `autoscaling.keda.sh/paused-replicas`.
    #[must_use]
    pub fn paused_replicas(&self) -> Option<&str> {
        self.annotations.get(PAUSED_REPLICAS).map(String::as_str)
    }

    /// Value of `autoscaling.keda.sh/paused`.
    #[must_use]
    pub fn paused(&self) -> Option<&str> {
        self.annotations.get(PAUSED).map(String::as_str)
    }

    /// The value of a pause that is on it; `paused: "false"` is none.
    pub(crate) fn pause(&self) -> Option<&str> {
        self.paused_replicas().or_else(|| self.paused().filter(|value| !is_false(value)))
    }

    /// Whether KEDA handles an HPA that is the user's own: a pause would delete it (A6).
    pub(crate) fn owns_the_users_hpa(&self) -> bool {
        self.annotations.get(TRANSFER_HPA).is_some_and(|value| !is_false(value))
    }

    /// `spec.advanced.restoreToOriginalReplicaCount`.
    pub(crate) fn restores_on_deletion(&self) -> bool {
        self.data["spec"]["advanced"]["restoreToOriginalReplicaCount"].as_bool().unwrap_or(false)
    }

    /// `status.pausedReplicaCount`.
    #[must_use]
    pub fn paused_replica_count(&self) -> Option<i64> {
        self.data["status"]["pausedReplicaCount"].as_i64()
    }

    /// Name of its HPA: as KEDA wrote it down, else as configured, else KEDA's default.
    #[must_use]
    pub fn hpa(&self) -> String {
        let configured = &self.data["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"];
        [&self.data["status"]["hpaName"], configured]
            .into_iter()
            .find_map(|name| name.as_str().filter(|n| !n.is_empty()).map(str::to_owned))
            .unwrap_or_else(|| format!("keda-hpa-{}", self.key.name))
    }

    /// Replicas below which KEDA does not let an idle workload fall: `idleReplicaCount`, else
    /// `minReplicaCount`, else 0.
    pub(crate) fn floor(&self) -> i64 {
        let spec = &self.data["spec"];
        spec["idleReplicaCount"].as_i64().or_else(|| spec["minReplicaCount"].as_i64()).unwrap_or(0)
    }

    /// Status of a condition (`True`, `False`, `Unknown`), where KEDA has written one.
    pub(crate) fn condition(&self, kind: &str) -> Option<&str> {
        let all = self.data["status"]["conditions"].as_array()?;
        all.iter().find(|c| c["type"] == kind)?["status"].as_str()
    }

    fn managers_of(&self, annotation: &str) -> impl Iterator<Item = &str> {
        let field = format!("f:{annotation}");
        let owns = move |fields: &Value| fields["f:metadata"]["f:annotations"].get(&field).is_some();
        self.owners.iter().filter(move |(_, fields)| owns(fields)).map(|(name, _)| &**name)
    }

    /// Whether that field manager owns an annotation, alone or with others.
    pub(crate) fn is_owned_by(&self, annotation: &str, manager: &str) -> bool {
        self.managers_of(annotation).any(|owner| owner == manager)
    }

    /// Who owns an annotation, for people: the field managers, or `somebody`.
    #[must_use]
    pub fn owners_of(&self, annotation: &str) -> String {
        let names: Vec<&str> = self.managers_of(annotation).collect();
        if names.is_empty() { "somebody".to_owned() } else { names.join(", ") }
    }
}

/// Whether Go's `strconv.ParseBool`, with which KEDA reads its annotations, takes it for false.
pub(crate) fn is_false(value: &str) -> bool {
    matches!(value, "0" | "f" | "F" | "false" | "FALSE" | "False")
}

/// What `spec.scaleTargetRef` names; KEDA's default is a Deployment.
fn workload(namespace: &str, target: &Value) -> Result<ObjectKey, String> {
    let text = |field: &str| target[field].as_str().unwrap_or_default();
    let version = text("apiVersion");
    let kind = match (text("kind"), version) {
        ("" | "Deployment", "" | "apps/v1") => ObjectKind::Deployment,
        ("StatefulSet", "" | "apps/v1") => ObjectKind::StatefulSet,
        (kind, _) => return Err(format!("it scales `{version} {kind}`, of which no proof can be had")),
    };
    match text("name") {
        "" => Err("it names nothing to scale".to_owned()),
        name => Ok(ObjectKey { kind, namespace: namespace.into(), name: name.into() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(json: Value) -> Seen {
        let object: DynamicObject = serde_json::from_value(json).unwrap();
        Seen::read(&ObjectKey::scaled_object("shop", "api"), object)
    }

    #[test]
    fn the_workload_is_a_deployment_unless_said_and_unknown_kinds_are_named() {
        let of = |target: Value| seen(json!({"metadata": {}, "spec": {"scaleTargetRef": target}})).workload;
        assert_eq!(of(json!({"name": "web"})), Ok("Deployment/shop/web".parse().unwrap()));
        let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db"});
        assert_eq!(of(set), Ok("StatefulSet/shop/db".parse().unwrap()));
        let rollout = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web"});
        assert!(of(rollout).unwrap_err().contains("argoproj.io/v1alpha1 Rollout"));
        assert!(of(json!({})).is_err());
    }

    #[test]
    fn the_hpa_is_named_by_status_then_by_spec_then_by_default() {
        let config = json!({"horizontalPodAutoscalerConfig": {"name": "mine"}});
        let with = |status: Value, advanced: Value| {
            seen(json!({"metadata": {}, "spec": {"advanced": advanced}, "status": status})).hpa()
        };
        assert_eq!(with(json!({"hpaName": "seen"}), config.clone()), "seen");
        assert_eq!(with(json!({}), config), "mine");
        assert_eq!(with(json!({}), json!({})), "keda-hpa-api");
    }

    #[test]
    fn who_set_an_annotation_comes_from_the_managed_fields() {
        let fields = json!({"f:metadata": {"f:annotations": {"f:autoscaling.keda.sh/paused-replicas": {}}}});
        let object = seen(json!({"metadata": {"managedFields": [
            {"manager": "argo", "fieldsV1": fields}, {"manager": "keda", "fieldsV1": {"f:status": {}}},
        ]}}));
        assert_eq!(object.owners_of(PAUSED_REPLICAS), "argo");
        assert_eq!(object.owners_of(PAUSED), "somebody");
    }
}

//! What a ScaledObject scales, as its `/scale` says: the one place where an absent number of replicas
//! means 0 (Kubernetes leaves it out at zero, A32).

use k8s_openapi::api::autoscaling::v1::Scale;
use kube::core::{ApiResource, GroupVersionKind};
use policy::inventory::ObjectKey;

/// A workload's `/scale`, just read.
#[derive(Clone, Debug)]
pub struct ScaleSeen {
    /// The workload.
    pub key: ObjectKey,
    /// `spec.replicas`; absent is 0.
    pub wanted: i32,
    /// `status.replicas`; absent is 0.
    pub running: i32,
    /// `status.selector`, by which its pods are found; `None` where it shows none.
    pub selector: Option<String>,
    raw: Scale,
}

impl ScaleSeen {
    pub(crate) fn read(key: &ObjectKey, raw: Scale) -> Self {
        let status = raw.status.as_ref();
        Self {
            key: key.clone(),
            wanted: raw.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0),
            running: status.map_or(0, |status| status.replicas),
            selector: status.and_then(|status| status.selector.clone()).filter(|s| !s.is_empty()),
            raw,
        }
    }

    /// `spec.replicas` as a count.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        u32::try_from(self.wanted).unwrap_or(0)
    }

    /// `metadata.resourceVersion`.
    pub(crate) fn resource_version(&self) -> &str {
        self.raw.metadata.resource_version.as_deref().unwrap_or_default()
    }

    /// The same with zero replicas wanted, under the UID and resourceVersion that were read.
    pub(crate) fn at_zero(&self) -> Scale {
        let mut scale = self.raw.clone();
        scale.spec.get_or_insert_default().replicas = Some(0);
        scale.status = None;
        scale
    }
}

/// The API of a workload. Of a ScaledObject it is never asked.
pub(crate) fn resource(key: &ObjectKey) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", key.kind.word()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_replicas_are_zero_and_an_absent_selector_finds_nothing() {
        let key: ObjectKey = "Deployment/shop/web".parse().unwrap();
        let scale = |json| ScaleSeen::read(&key, serde_json::from_value(json).unwrap());
        let zero =
            scale(json!({"metadata": {}, "spec": {}, "status": {"replicas": 0, "selector": "app=web"}}));
        assert_eq!((zero.wanted, zero.running, zero.selector.as_deref()), (0, 0, Some("app=web")));
        let bare = scale(
            json!({"metadata": {}, "spec": {"replicas": 2}, "status": {"replicas": 2, "selector": ""}}),
        );
        assert_eq!((bare.replicas(), bare.selector), (2, None));
    }
}

//! What a test does and looks at as the cluster's owner.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};

/// The API of KEDA's ScaledObjects, which has no typed struct.
#[must_use]
pub fn scaled_object_resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject"))
}

/// A client of the owner, with the helpers that most tests want.
#[derive(Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    pub(super) const fn new(client: Client) -> Self {
        Self { client }
    }

    /// The client itself, for all that has no helper.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The ScaledObjects of one namespace.
    #[must_use]
    pub fn scaled_objects(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client(), namespace, &scaled_object_resource())
    }

    /// One ScaledObject as it is now.
    ///
    /// # Errors
    /// The API server refuses, or there is none.
    pub async fn scaled_object(&self, namespace: &str, name: &str) -> Result<DynamicObject> {
        Ok(self.scaled_objects(namespace).get(name).await?)
    }

    /// The `/scale` of a workload as raw JSON: a typed struct would hide that `replicas` is
    /// absent at zero. `plural` is `deployments` or `statefulsets`.
    ///
    /// # Errors
    /// The API server refuses, or there is no such workload.
    pub async fn raw_scale(&self, namespace: &str, plural: &str, name: &str) -> Result<Value> {
        let path = format!("/apis/apps/v1/namespaces/{namespace}/{plural}/{name}/scale");
        let request = http::Request::get(path).body(Vec::new())?;
        Ok(self.client.request(request).await?)
    }

    /// The phases of the pods that a label selector finds.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn pod_phases(&self, namespace: &str, selector: &str) -> Result<Vec<String>> {
        let pods: Api<Pod> = Api::namespaced(self.client(), namespace);
        let found = pods.list(&ListParams::default().labels(selector)).await?;
        let phase = |pod: Pod| pod.status.and_then(|status| status.phase).unwrap_or_default();
        Ok(found.items.into_iter().map(phase).collect())
    }

    /// Whether an HPA of this name exists.
    ///
    /// # Errors
    /// The API server answers with neither the HPA nor a 404.
    pub async fn hpa_exists(&self, namespace: &str, name: &str) -> Result<bool> {
        let hpas: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client(), namespace);
        Ok(hpas.get_opt(name).await?.is_some())
    }

    /// Takes a dead daemon's Lease away, for which the next one would wait 15 s.
    ///
    /// # Errors
    /// When the API server does not do so.
    pub async fn free_lease(&self) -> Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.client(), "breakerbox");
        match leases.delete("breakerbox", &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a namespace.
    ///
    /// # Errors
    /// The API server refuses, for example because it exists: each test takes names of its own.
    pub async fn namespace(&self, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
        let namespace: Namespace =
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}}))?;
        let namespaces: Api<Namespace> = Api::all(self.client());
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .with_context(|| format!("cannot create the namespace `{name}`"))?;
        Ok(())
    }

    /// Creates an object of that kind.
    ///
    /// # Errors
    /// The API server refuses.
    pub(super) async fn create(&self, namespace: &str, resource: &ApiResource, object: Value) -> Result<()> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client(), namespace, resource);
        let object: DynamicObject = serde_json::from_value(object)?;
        api.create(&PostParams::default(), &object)
            .await
            .with_context(|| format!("cannot create a {} in `{namespace}`", resource.kind))?;
        Ok(())
    }
}

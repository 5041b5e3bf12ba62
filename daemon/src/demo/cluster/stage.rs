//! The namespace and what runs in it: made, awaited, deleted.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Result, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::jiff;
use kube::Api;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::connect::Site;
use super::{LOOK, NAMESPACE, TENANTS, ask};

/// On the namespace; its value names the run that made it.
const LABEL: &str = "breakerbox.dev/demo";
/// Does nothing, in every cluster's cache.
pub(super) const IMAGE: &str = "registry.k8s.io/pause:3.10";
/// An image may have to be pulled.
const RUNNING: Duration = Duration::from_secs(180);
const GONE: Duration = Duration::from_secs(120);
/// A Lease that was renewed within that time has a living holder.
const FRESH_SECS: i64 = 15;

/// The demo's namespace in a cluster.
pub(super) struct Stage {
    namespaces: Api<Namespace>,
    site_id: String,
    /// A namespace of an earlier demo is there.
    pub(super) left_over: bool,
}

impl Stage {
    /// Looks, and writes nothing.
    ///
    /// # Errors
    /// The namespace is somebody else's, or of a demo that runs now.
    pub(super) async fn look(site: &Site) -> Result<Self> {
        let namespaces: Api<Namespace> = Api::all(site.client.clone());
        let found = ask("read the namespace", namespaces.get_opt(NAMESPACE)).await?;
        if let Some(found) = &found {
            if label_of(found).is_none() {
                bail!(
                    "a namespace `{NAMESPACE}` is there that no demo made (it has no label `{LABEL}`): it is \
                     left alone; rename or delete it, or take another cluster with `--context`"
                );
            }
            nobody_plays(site).await?;
        }
        Ok(Self { namespaces, site_id: site.id.clone(), left_over: found.is_some() })
    }

    /// Makes everything and waits until it runs.
    ///
    /// # Errors
    /// A right that is missing, or pods that do not come to run.
    pub(super) async fn raise(&self, site: &Site) -> Result<()> {
        if self.left_over {
            self.delete(|_| true).await?;
        }
        let labels = json!({LABEL: self.site_id});
        let namespace = json!({"metadata": {"name": NAMESPACE, "labels": labels}});
        create(&self.namespaces, "namespace", namespace).await?;
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject"));
        let deployments: Api<Deployment> = Api::namespaced(site.client.clone(), NAMESPACE);
        let objects: Api<DynamicObject> = Api::namespaced_with(site.client.clone(), NAMESPACE, &kind);
        for (tenant, pods) in TENANTS {
            create(&deployments, "Deployment", deployment(tenant, pods)).await?;
            create(&objects, "ScaledObject", scaled_object(tenant, pods)).await?;
        }
        self.runs(site, RUNNING).await
    }

    /// Waits until every tenant's pods are ready and KEDA scales them.
    ///
    /// # Errors
    /// They are not in time.
    pub(super) async fn runs(&self, site: &Site, within: Duration) -> Result<()> {
        let deployments: Api<Deployment> = Api::namespaced(site.client.clone(), NAMESPACE);
        let hpas: Api<HorizontalPodAutoscaler> = Api::namespaced(site.client.clone(), NAMESPACE);
        let deadline = Instant::now() + within;
        for (tenant, pods) in TENANTS {
            loop {
                let status =
                    ask("read a Deployment", deployments.get(tenant)).await?.status.unwrap_or_default();
                let ready = status.ready_replicas.unwrap_or(0);
                let scaled =
                    ask("read an HPA", hpas.get_metadata_opt(&format!("keda-hpa-{tenant}"))).await?.is_some();
                if ready == pods && scaled {
                    break;
                }
                if Instant::now() >= deadline {
                    let hpa = if scaled { "there" } else { "missing: KEDA does not act" };
                    bail!(
                        "`{tenant}` has {ready} of {pods} pod(s) ready after {} s, its HPA is {hpa}",
                        within.as_secs()
                    );
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Deletes the namespace, where this run made it, and waits until it is gone. Says whether there was one.
    ///
    /// # Errors
    /// It cannot be deleted, or is not gone in time.
    pub(super) async fn strike(&self) -> Result<bool> {
        self.delete(|made_by| made_by == self.site_id).await
    }

    async fn delete(&self, ours: impl Fn(&str) -> bool) -> Result<bool> {
        let Some(found) = ask("read the namespace", self.namespaces.get_opt(NAMESPACE)).await? else {
            return Ok(false);
        };
        if !label_of(&found).is_some_and(ours) {
            return Ok(false);
        }
        let uid = found.metadata.uid;
        // By its UID: never one that somebody made under this name since.
        let that = Preconditions { uid: uid.clone(), resource_version: None };
        let params = DeleteParams { preconditions: Some(that), ..DeleteParams::default() };
        ask("delete the namespace", self.namespaces.delete(NAMESPACE, &params)).await?;
        let deadline = Instant::now() + GONE;
        let is = || ask("read the namespace", self.namespaces.get_opt(NAMESPACE));
        while is().await?.is_some_and(|seen| seen.metadata.uid == uid) {
            if Instant::now() >= deadline {
                bail!("the namespace is still being deleted after {} s", GONE.as_secs());
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(true)
    }
}

fn label_of(namespace: &Namespace) -> Option<&str> {
    namespace.metadata.labels.as_ref()?.get(LABEL).map(String::as_str)
}

/// The namespace of a demo that runs now is not taken from under it.
async fn nobody_plays(site: &Site) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(site.client.clone(), NAMESPACE);
    let lease = ask("read the Lease of an earlier demo", leases.get_opt("breakerbox")).await?;
    let Some(spec) = lease.and_then(|lease| lease.spec) else { return Ok(()) };
    let holder = spec.holder_identity.unwrap_or_default();
    let renewed = spec.renew_time.map_or(i64::MIN, |at| at.0.as_second());
    let fresh = jiff::Timestamp::now().as_second().saturating_sub(renewed) < FRESH_SECS;
    if !holder.is_empty() && fresh {
        bail!("another demo runs in `{NAMESPACE}` now (`{holder}`); wait for it to end");
    }
    Ok(())
}

async fn create<K>(api: &Api<K>, kind: &str, object: Value) -> Result<()>
where
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    let what = format!("create the {kind} {}", object["metadata"]["name"]);
    let params = PostParams { field_manager: Some(NAMESPACE.to_owned()), ..PostParams::default() };
    ask(&what, api.create(&params, &serde_json::from_value(object)?)).await?;
    Ok(())
}

/// Pods that do nothing, small, and allowed under the strictest Pod Security.
fn deployment(tenant: &str, pods: i32) -> Value {
    let labels = json!({"app": tenant, "tenant": tenant});
    json!({
        "metadata": {"name": tenant, "labels": labels},
        "spec": {
            "replicas": pods,
            "selector": {"matchLabels": {"app": tenant}},
            "template": {"metadata": {"labels": labels}, "spec": {
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": false,
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 65535, "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [{
                    "name": "agent", "image": IMAGE,
                    "resources": {
                        "requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "10m", "memory": "16Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                    },
                }],
            }},
        },
    })
}

/// A trigger that is active at all times but the last minute of the year.
fn scaled_object(tenant: &str, pods: i32) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": tenant, "labels": {"tenant": tenant}},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": tenant},
            "minReplicaCount": pods, "maxReplicaCount": pods, "pollingInterval": 5, "cooldownPeriod": 5,
            "triggers": [{"type": "cron", "metadata": {
                "timezone": "Etc/UTC", "start": "0 0 1 1 *", "end": "59 23 31 12 *",
                "desiredReplicas": pods.to_string(),
            }}],
        },
    })
}

//! The harness of real servers, against what `actions` relies on: how a pause is proven, and with
//! which codes the API server answers the writes that must not pass.
//! One test binary, so one cluster.
//!
//! The figures printed with `--nocapture` are this machine's, not limits.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use kube::core::{DynamicObject, Status};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tests::servers::{
    Cluster, Installed, Role, Tenant, WorkloadSpec, dead_trigger, scaled_object_resource, wait_until,
};

mod answers;
mod cluster;
mod keda;

pub(crate) const PAUSED_REPLICAS: &str = "autoscaling.keda.sh/paused-replicas";

/// KEDA 2.21 proves a pause within 0.2 s on an idle machine; compilers may run beside.
pub(crate) const PROVEN: Duration = Duration::from_secs(30);

/// The ScaledObjects of the tenant's namespace, with the daemon's own rights.
pub(crate) async fn as_breakerbox(cluster: &Cluster, tenant: &Tenant) -> Result<Api<DynamicObject>> {
    let client = cluster.client_for(Role::Breakerbox).await?;
    let resource = scaled_object_resource();
    Ok(Api::namespaced_with(client, &tenant.namespace, &resource))
}

/// An apply configuration of the ScaledObject `agent` with these metadata fields added.
pub(crate) fn configuration(metadata: Value) -> Value {
    let mut object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "agent"},
    });
    if let (Some(all), Value::Object(more)) = (object["metadata"].as_object_mut(), metadata) {
        all.extend(more);
    }
    object
}

/// The configuration of a pause at `replicas`, bound to the object as it was read.
pub(crate) fn pause(read: &DynamicObject, replicas: &str) -> Value {
    configuration(json!({
        "uid": read.uid(), "resourceVersion": read.resource_version(),
        "annotations": {PAUSED_REPLICAS: replicas},
    }))
}

/// The configuration that gives up all that the manager owns.
pub(crate) fn release(read: &DynamicObject) -> Value {
    configuration(json!({"uid": read.uid(), "resourceVersion": read.resource_version()}))
}

pub(crate) async fn apply(
    api: &Api<DynamicObject>,
    manager: &str,
    configuration: &Value,
) -> kube::Result<DynamicObject> {
    let params = PatchParams::apply(manager);
    api.patch("agent", &params, &Patch::Apply(configuration)).await
}

/// Reads the object and applies what `make` says of it, again while the status moves its
/// resourceVersion between the two.
pub(crate) async fn apply_current(
    api: &Api<DynamicObject>,
    manager: &str,
    make: impl Fn(&DynamicObject) -> Value,
) -> Result<DynamicObject> {
    for _ in 0..20 {
        let read = api.get("agent").await?;
        match apply(api, manager, &make(&read)).await {
            Err(kube::Error::Api(status)) if status.code == 409 && causes(&status).is_empty() => {}
            other => return Ok(other?),
        }
    }
    bail!("20 times a stale resourceVersion")
}

pub(crate) async fn pause_now(api: &Api<DynamicObject>) -> Result<DynamicObject> {
    apply_current(api, "breakerbox", |read| pause(read, "0")).await
}

pub(crate) fn refusal(answer: kube::Result<DynamicObject>) -> Result<Box<Status>> {
    match answer {
        Ok(object) => bail!("accepted, but should not: {object:?}"),
        Err(kube::Error::Api(status)) => {
            println!("{} {} {:?}: {}", status.code, status.reason, causes(&status), status.message);
            Ok(status)
        }
        Err(other) => Err(other.into()),
    }
}

pub(crate) fn causes(status: &Status) -> Vec<(String, String)> {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice());
    let pair = |cause: &kube::core::response::StatusCause| (cause.reason.clone(), cause.field.clone());
    causes.unwrap_or_default().iter().map(pair).collect()
}

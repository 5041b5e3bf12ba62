//! A tenant: a namespace with a workload that really runs and a ScaledObject over it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};

use super::admin::{Admin, scaled_object_resource};
use super::wait::wait_until;

/// Pods run 2 to 4 s after their ScaledObject was made; compilers may run beside.
const RUNNING: Duration = Duration::from_secs(60);

/// A cron trigger that is active at all times but the last minute of the year.
#[must_use]
pub fn cron_trigger(replicas: i32) -> Value {
    json!({"type": "cron", "metadata": {
        "timezone": "Etc/UTC", "start": "0 0 1 1 *", "end": "59 23 31 12 *",
        "desiredReplicas": replicas.to_string(),
    }})
}

/// A trigger whose source cannot be reached: nothing listens on port 1 of the loopback. KEDA
/// cannot even build this scaler, so it makes no HPA while it is the only trigger.
#[must_use]
pub fn dead_trigger() -> Value {
    json!({"type": "rabbitmq", "metadata": {
        "host": "amqp://127.0.0.1:1/", "protocol": "amqp", "queueName": "work",
        "mode": "QueueLength", "value": "5",
    }})
}

/// What to create in a namespace.
#[derive(Clone, Debug)]
pub struct WorkloadSpec {
    /// The name of the workload and of the ScaledObject.
    pub name: String,
    /// A StatefulSet in place of a Deployment.
    pub stateful: bool,
    /// Labels of the workload, its pods and the ScaledObject.
    pub labels: BTreeMap<String, String>,
    /// `spec.replicas` of the workload as created.
    pub replicas: i32,
    /// The ScaledObject's `minReplicaCount`: to here KEDA climbs after a pause.
    pub min: i32,
    /// The ScaledObject's `maxReplicaCount`.
    pub max: i32,
    /// The ScaledObject's triggers.
    pub triggers: Vec<Value>,
    /// The ScaledObject's annotations, for example a pause of somebody else.
    pub annotations: BTreeMap<String, String>,
    /// The ScaledObject's `spec.advanced`, `null` for none.
    pub advanced: Value,
}

impl WorkloadSpec {
    /// A Deployment of `replicas` pods whose ScaledObject holds it at no fewer, with a cron
    /// trigger that is always active.
    #[must_use]
    pub fn new(name: &str, replicas: i32) -> Self {
        Self {
            name: name.to_owned(),
            stateful: false,
            labels: BTreeMap::new(),
            replicas,
            min: replicas,
            max: replicas + 3,
            triggers: vec![cron_trigger(replicas)],
            annotations: BTreeMap::new(),
            advanced: Value::Null,
        }
    }

    const fn kind(&self) -> &'static str {
        if self.stateful { "StatefulSet" } else { "Deployment" }
    }

    pub(super) fn workload(&self) -> Value {
        let mut labels = self.labels.clone();
        labels.insert("app".to_owned(), self.name.clone());
        json!({
            "apiVersion": "apps/v1", "kind": self.kind(),
            "metadata": {"name": self.name, "labels": labels},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": {"app": self.name}},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        // kwok needs no time to end a pod; a real one gets 30 s.
                        "terminationGracePeriodSeconds": 0,
                        "containers": [{"name": "work", "image": "work:1"}],
                    },
                },
            },
        })
    }

    pub(super) fn scaled_object(&self) -> Value {
        let mut object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {
                "name": self.name, "labels": self.labels, "annotations": self.annotations,
            },
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": self.kind(), "name": self.name},
                "minReplicaCount": self.min, "maxReplicaCount": self.max,
                "pollingInterval": 5, "cooldownPeriod": 5,
                "triggers": self.triggers,
            },
        });
        if !self.advanced.is_null() {
            object["spec"]["advanced"] = self.advanced.clone();
        }
        object
    }
}

/// The four signs that a ScaledObject's workload is stopped and stays so (`HOUSE.md`, verify).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopSigns {
    /// `status.pausedReplicaCount` of the ScaledObject.
    pub paused_replica_count: Option<i64>,
    /// Whether the HPA that KEDA made still answers.
    pub hpa_exists: bool,
    /// `spec.replicas` of the workload's `/scale`; absent at zero.
    pub scale_spec: Option<i64>,
    /// `status.replicas` of the workload's `/scale`; the API server leaves it out at zero.
    pub scale_status: Option<i64>,
    /// Pods that are neither Succeeded nor Failed, those being deleted included.
    pub pods: usize,
}

impl StopSigns {
    /// Whether all of them say stopped.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.paused_replica_count == Some(0)
            && !self.hpa_exists
            && self.scale_spec.unwrap_or(0) == 0
            && self.scale_status.unwrap_or(0) == 0
            && self.pods == 0
    }
}

/// A namespace and one workload in it, seen with the eyes of [`Admin`].
#[derive(Clone)]
pub struct Tenant {
    /// The namespace.
    pub namespace: String,
    /// What was created.
    pub spec: WorkloadSpec,
    admin: Admin,
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Tenant({}/{})", self.namespace, self.spec.name)
    }
}

impl Admin {
    /// Creates a workload and its ScaledObject; does not wait.
    ///
    /// # Errors
    /// The API server refuses one of them.
    pub async fn workload(&self, namespace: &str, spec: &WorkloadSpec) -> Result<Tenant> {
        let kind = if spec.stateful { "StatefulSet" } else { "Deployment" };
        let apps = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", kind));
        self.create(namespace, &apps, spec.workload()).await?;
        self.create(namespace, &scaled_object_resource(), spec.scaled_object()).await?;
        Ok(Tenant::new(self.clone(), namespace, spec))
    }

    /// A namespace `name` with `labels`, in it a Deployment and a ScaledObject `agent`; waits
    /// until `replicas` pods run, the HPA exists and `/scale` says `replicas`.
    ///
    /// # Errors
    /// The API server refuses, or the pods do not run within 60 s.
    pub async fn tenant(&self, name: &str, labels: &[(&str, &str)], replicas: i32) -> Result<Tenant> {
        self.namespace(name, labels).await?;
        let tenant = self.workload(name, &WorkloadSpec::new("agent", replicas)).await?;
        tenant.wait_running(replicas).await?;
        Ok(tenant)
    }
}

impl Tenant {
    fn new(admin: Admin, namespace: &str, spec: &WorkloadSpec) -> Self {
        Self { namespace: namespace.to_owned(), spec: spec.clone(), admin }
    }

    /// The ScaledObject as it is now.
    ///
    /// # Errors
    /// The API server refuses or cannot be reached.
    pub async fn scaled_object(&self) -> Result<DynamicObject> {
        self.admin.scaled_object(&self.namespace, &self.spec.name).await
    }

    /// Spec, labels and annotations of the ScaledObject: what must be the same before a stop and after it was
    /// given back.
    ///
    /// # Errors
    /// As [`Tenant::scaled_object`].
    pub async fn shape(&self) -> Result<Value> {
        let object = serde_json::to_value(self.scaled_object().await?)?;
        let metadata = &object["metadata"];
        Ok(json!([object["spec"], metadata["labels"], metadata["annotations"]]))
    }

    /// The workload's `/scale` as raw JSON.
    ///
    /// # Errors
    /// As [`Tenant::scaled_object`].
    pub async fn scale(&self) -> Result<Value> {
        let plural = if self.spec.stateful { "statefulsets" } else { "deployments" };
        self.admin.raw_scale(&self.namespace, plural, &self.spec.name).await
    }

    /// The workload's wanted replicas.
    ///
    /// # Errors
    /// As [`Tenant::scaled_object`].
    pub async fn replicas(&self) -> Result<i64> {
        Ok(self.scale().await?["spec"]["replicas"].as_i64().unwrap_or(0))
    }

    /// Pods of the workload in phase Running.
    ///
    /// # Errors
    /// As [`Tenant::scaled_object`].
    pub async fn running_pods(&self) -> Result<usize> {
        let phases = self.admin.pod_phases(&self.namespace, &self.selector()).await?;
        Ok(phases.iter().filter(|phase| *phase == "Running").count())
    }

    /// Whether KEDA's HPA for the ScaledObject exists.
    ///
    /// # Errors
    /// As [`Tenant::scaled_object`].
    pub async fn hpa_exists(&self) -> Result<bool> {
        let hpa = format!("keda-hpa-{}", self.spec.name);
        self.admin.hpa_exists(&self.namespace, &hpa).await
    }

    /// All signs of a stop at once.
    ///
    /// # Errors
    /// As [`Tenant::scaled_object`].
    pub async fn signs(&self) -> Result<StopSigns> {
        let object = self.scaled_object().await?;
        let scale = self.scale().await?;
        let phases = self.admin.pod_phases(&self.namespace, &self.selector()).await?;
        let ended = |phase: &&String| *phase == "Succeeded" || *phase == "Failed";
        Ok(StopSigns {
            paused_replica_count: object.data["status"]["pausedReplicaCount"].as_i64(),
            hpa_exists: self.hpa_exists().await?,
            scale_spec: scale["spec"]["replicas"].as_i64(),
            scale_status: scale["status"]["replicas"].as_i64(),
            pods: phases.len() - phases.iter().filter(ended).count(),
        })
    }

    /// Waits until all signs say stopped, and gives back how long that took.
    ///
    /// # Errors
    /// They do not within `deadline`; the message has the signs last seen.
    pub async fn wait_stopped(&self, deadline: Duration) -> Result<Duration> {
        wait_until("the workload is stopped", deadline, async || {
            let signs = self.signs().await?;
            anyhow::ensure!(signs.stopped(), "{self:?}: {signs:?}");
            Ok(true)
        })
        .await
    }

    /// Waits until `replicas` pods run, `/scale` says so, and (unless the ScaledObject is paused)
    /// the HPA exists: only a workload that ran can be shown to have been stopped.
    ///
    /// # Errors
    /// It does not run within 60 s; the message has the signs last seen.
    pub async fn wait_running(&self, replicas: i32) -> Result<Duration> {
        wait_until("the workload runs", RUNNING, async || {
            let signs = self.signs().await?;
            let count = i64::from(replicas);
            let paused = signs.paused_replica_count.is_some();
            let runs = signs.hpa_exists != paused
                && signs.scale_spec == Some(count)
                && signs.scale_status == Some(count)
                && i64::try_from(signs.pods)? == count
                && i64::try_from(self.running_pods().await?)? == count;
            anyhow::ensure!(runs, "{self:?}: {signs:?}, wanted {count}");
            Ok(true)
        })
        .await
    }

    fn selector(&self) -> String {
        format!("app={}", self.spec.name)
    }
}

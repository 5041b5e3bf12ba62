//! What the gateway reads: single objects, pods by a workload's own selector, and our marks.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;
use policy::inventory::ObjectKey;
use policy::time::Timestamp;
use tokio::time::Instant;

use super::Gateway;
use crate::api_error::ApiError;
use crate::operator::Version;
use crate::scaled_object::{self, Seen};
use crate::undo::Marks;
use crate::workload::{self, ScaleSeen};

/// How long what the operator's Deployment said is believed.
const OPERATOR_FRESH: Duration = Duration::from_secs(30);
/// Objects in one page of a list.
const PAGE: u32 = 500;

impl Gateway {
    /// The ScaledObject as it is now; `None` where there is none.
    pub(crate) async fn scaled_object(&self, key: &ObjectKey) -> Result<Option<Seen>, ApiError> {
        let api = self.scaled_objects(&key.namespace);
        let read = self.ask(&format!("read {key}"), api.get_opt(&key.name)).await?;
        Ok(read.map(|object| Seen::read(key, object)))
    }

    /// The workload's `/scale`; `None` where there is no such workload.
    pub(crate) async fn scale(&self, key: &ObjectKey) -> Result<Option<ScaleSeen>, ApiError> {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &key.namespace, &workload::resource(key));
        match self.ask(&format!("read the scale of {key}"), api.get_scale(&key.name)).await {
            Ok(scale) => Ok(Some(ScaleSeen::read(key, scale))),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the HPA exists.
    pub(crate) async fn hpa_exists(&self, namespace: &str, name: &str) -> Result<bool, ApiError> {
        let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client.clone(), namespace);
        Ok(self.ask(&format!("read HPA {namespace}/{name}"), api.get_metadata_opt(name)).await?.is_some())
    }

    /// Pods of a selector that have not ended (phase neither Succeeded nor Failed), those that are being
    /// deleted among them: they still cost. Counts to one page and no further.
    pub(crate) async fn pods(&self, namespace: &str, selector: &str) -> Result<usize, ApiError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let alive = "status.phase!=Succeeded,status.phase!=Failed";
        let params = ListParams::default().labels(selector).fields(alive).limit(PAGE);
        Ok(self
            .ask(&format!("list pods of {namespace} with {selector}"), api.list_metadata(&params))
            .await?
            .items
            .len())
    }

    /// Labels of a workload; none where there is none.
    pub(super) async fn workload_labels(
        &self,
        key: &ObjectKey,
    ) -> Result<BTreeMap<String, String>, ApiError> {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &key.namespace, &workload::resource(key));
        let read = self.ask(&format!("read {key}"), api.get_metadata_opt(&key.name)).await?;
        Ok(read.and_then(|found| found.metadata.labels).unwrap_or_default())
    }

    pub(super) async fn namespace_labels(&self, name: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        Ok(self
            .ask(&format!("read namespace {name}"), api.get(name))
            .await?
            .metadata
            .labels
            .unwrap_or_default())
    }

    /// KEDA's version, as its Deployment or the configuration says.
    pub(crate) async fn operator(&self) -> Result<Version, String> {
        if let Some((at, answer)) = &*self.operator.lock().unwrap_or_else(PoisonError::into_inner)
            && at.elapsed() < OPERATOR_FRESH
        {
            return answer.clone();
        }
        let answer = self.read_operator().await;
        if answer.is_ok() {
            *self.operator.lock().unwrap_or_else(PoisonError::into_inner) =
                Some((Instant::now(), answer.clone()));
        }
        answer
    }

    async fn read_operator(&self) -> Result<Version, String> {
        let s = &self.settings;
        let configured = s.keda_version.as_deref().and_then(Version::parse);
        let name = format!("{}/{}", s.keda_namespace, s.keda_deployment);
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &s.keda_namespace);
        let read = self.ask(&format!("read Deployment {name}"), api.get_opt(&s.keda_deployment)).await;
        match (read, configured) {
            (Ok(Some(found)), configured) => {
                let json = serde_json::to_value(found).map_err(|e| e.to_string())?;
                Version::of_deployment(&json)
                    .or_else(|why| configured.filter(|_| json["spec"]["replicas"] != 0).ok_or(why))
            }
            (Ok(None), Some(version)) => Ok(version),
            (Ok(None), None) => {
                Err(format!("KEDA's operator `{name}` is not there; set keda.version if it runs elsewhere"))
            }
            (Err(error), _) => Err(error.to_string()),
        }
    }

    /// The API server's clock, by the `Date` of an answer, in whole seconds. What else the answer says, a refusal
    /// too, does not matter.
    ///
    /// # Errors
    /// It did not answer, or without a `Date`; for people.
    pub async fn server_clock(&self) -> Result<Timestamp, String> {
        let request = http::Request::get("/version").body(kube::client::Body::empty());
        let request = request.map_err(|error| error.to_string())?;
        let what = "read the API server's clock";
        let answer = self.ask(what, self.client.send(request)).await.map_err(|error| error.to_string())?;
        let date = answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| chrono::DateTime::parse_from_rfc2822(date).ok());
        date.map(|at| Timestamp::from_millis(at.timestamp_millis()))
            .ok_or_else(|| "the API server's answer has no `Date`".to_owned())
    }

    /// Every ScaledObject that carries marks of this installation: for the start of the daemon and for
    /// `release --all`, which know nothing else.
    ///
    /// # Errors
    /// The list could not be had whole; a part of it is never given.
    pub async fn marked_objects(&self) -> Result<Vec<Marked>, ApiError> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &scaled_object::resource());
        let mut marked = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = self.ask("list ScaledObjects", api.list(&params)).await?;
            for found in page.items {
                let (namespace, name) = (found.metadata.namespace.clone(), found.metadata.name.clone());
                let key = ObjectKey::scaled_object(&namespace.unwrap_or_default(), &name.unwrap_or_default());
                let seen = Seen::read(&key, found);
                let ours = seen.marks().filter(|marks| marks.install == self.settings.install);
                marked.extend(ours.map(|marks| Marked {
                    uid: seen.uid.clone(),
                    workload: seen.workload.ok(),
                    key,
                    marks,
                }));
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(marked),
            }
        }
    }
}

/// A ScaledObject that carries our marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Its name.
    pub key: ObjectKey,
    /// `metadata.uid`.
    pub uid: String,
    /// What it scales, where we know how to look at that.
    pub workload: Option<ObjectKey>,
    /// What we wrote on it.
    pub marks: Marks,
}

//! The only type in the workspace that writes to Kubernetes (our Lease and freeze marker excepted).
//!
//! The client is private and a write takes a [`Pass`], which only [`Gateway::pass`] makes and which is used
//! up by the write. A pass stands for nine answers of the guard about the object as it was read, and each
//! write carries that object's UID and resourceVersion, so that what was judged is what is written, or
//! nothing is. The gateway reads single objects; it lists pods by a workload's own selector for the proof,
//! and ScaledObjects to find our marks again ([`Gateway::marked_objects`]). It never watches.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, Client};
use policy::decision::{Blast, Order};
use policy::fact::GuardAnswer;
use policy::inventory::ObjectKey;
use policy::rule::Mode;
use policy::time::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api_error::ApiError;
use crate::blast::Stopped;
use crate::freeze::{self, FreezeError, FreezeNote, Marker};
use crate::guard::{self, Deed, Evidence, FreezeSeen};
use crate::keda::object::{self, Seen};
use crate::keda::operator::Version;
use crate::live::Live;
use crate::now::Now;
use crate::undo::{MANAGER, Marks};
use crate::workload::{self, ScaleSeen};

/// How long what the operator's Deployment said is believed.
const OPERATOR_FRESH: Duration = Duration::from_secs(30);
/// Objects in one page of a list.
const PAGE: u32 = 500;

/// Who we are and where things are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of this installation, from the configuration, never from the journal.
    pub install: String,
    /// Name of this process, for people (pod name).
    pub instance: String,
    /// Our own namespace: always protected.
    pub namespace: String,
    /// The freeze marker.
    pub marker: Marker,
    /// Namespace of KEDA's operator.
    pub keda_namespace: String,
    /// Deployment of KEDA's operator.
    pub keda_deployment: String,
    /// `keda.version` of the configuration, where no Deployment tells.
    pub keda_version: Option<String>,
    /// How long one request may take. Default 10 s; a pod's usual termination grace is not part of it.
    pub request_timeout: Duration,
}

impl Settings {
    /// An installation in a cluster, with the defaults that KEDA's chart and ours agree on.
    #[must_use]
    pub fn new(install: &str, namespace: &str) -> Self {
        Self {
            install: install.to_owned(),
            instance: install.to_owned(),
            namespace: namespace.to_owned(),
            marker: Marker::ConfigMap { namespace: namespace.to_owned() },
            keda_namespace: "keda".to_owned(),
            keda_deployment: "keda-operator".to_owned(),
            keda_version: None,
            request_timeout: Duration::from_secs(10),
        }
    }
}

/// On whose word something is done.
#[derive(Clone, Copy, Debug)]
pub enum Warrant<'a> {
    /// A journalled order: a stop, and whatever carries the same stop on.
    Stop(&'a Order),
    /// A journalled order to reverse a raise.
    Reverse(&'a Order),
    /// A journalled order to give back.
    GiveBack(&'a Order),
    /// A person's `release --all`, about the object with this UID.
    Person {
        /// Who.
        actor: &'a str,
        /// `metadata.uid` as listed.
        uid: &'a str,
    },
}

impl<'a> Warrant<'a> {
    const fn deed(&self) -> Deed {
        match self {
            Self::Stop(_) => Deed::Stop,
            Self::Reverse(_) => Deed::Reverse,
            Self::GiveBack(_) => Deed::GiveBack,
            Self::Person { .. } => Deed::PersonGivesBack,
        }
    }

    const fn order(&self) -> Option<&'a Order> {
        match self {
            Self::Stop(order) | Self::Reverse(order) | Self::GiveBack(order) => Some(order),
            Self::Person { .. } => None,
        }
    }
}

/// The guard's yes to one write, about one object as it was read.
#[derive(Debug)]
pub struct Pass {
    key: ObjectKey,
    uid: String,
    resource_version: String,
    deed: Deed,
    /// What the guard answered.
    pub answers: Vec<GuardAnswer>,
}

/// Writes to Kubernetes, each time with the guard's yes.
pub struct Gateway {
    client: Client,
    live: Arc<Live>,
    now: Arc<dyn Now>,
    settings: Settings,
    stopped: Mutex<Stopped>,
    operator: Mutex<Option<(Instant, Result<Version, String>)>>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A client for the gateway: without the client's own retries, which would repeat a write long after the
/// guard looked.
///
/// # Errors
/// The configuration cannot be used (a certificate that cannot be read, no TLS).
pub fn client(mut config: kube::Config) -> Result<Client, kube::Error> {
    config.default_retry = false;
    Client::try_from(config)
}

impl Gateway {
    /// A gateway over a client from [`client`].
    #[must_use]
    pub fn new(client: Client, live: Arc<Live>, now: Arc<dyn Now>, settings: Settings) -> Self {
        Self { client, live, now, settings, stopped: Mutex::default(), operator: Mutex::new(None) }
    }

    /// Takes over from the journal what was newly stopped before this process started.
    pub fn seed_stopped(&self, targets: impl IntoIterator<Item = (ObjectKey, Timestamp)>) {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        for (target, at) in targets {
            stopped.count(&target, at);
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now.wall()
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    // Reads.

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

    async fn namespace_labels(&self, name: &str) -> Result<BTreeMap<String, String>, ApiError> {
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

    // The guard.

    /// Asks the guard about an object that was just read, without counting it as stopped.
    pub(crate) async fn consider(
        &self,
        warrant: &Warrant<'_>,
        seen: &Seen,
    ) -> Result<Vec<GuardAnswer>, ApiError> {
        let (labels, operator) = self.surroundings(warrant.deed(), seen).await?;
        let freeze = self.freeze(warrant.deed()).await;
        Ok(self.judge(warrant, seen, &labels, freeze, operator, false))
    }

    /// Asks the guard just before a write. A yes counts the target as newly stopped, where it is.
    ///
    /// # Errors
    /// `Ok(Err(answers))` is the guard's no; `Err` means that it could not be asked.
    pub(crate) async fn pass(
        &self,
        warrant: &Warrant<'_>,
        seen: &Seen,
    ) -> Result<Result<Pass, Vec<GuardAnswer>>, ApiError> {
        let (labels, operator) = self.surroundings(warrant.deed(), seen).await?;
        // Last, so that nothing that takes time stands between a person's freeze and the write.
        let freeze = self.freeze(warrant.deed()).await;
        let answers = self.judge(warrant, seen, &labels, freeze, operator, true);
        if !guard::lets_through(&answers) {
            return Ok(Err(answers));
        }
        let (key, uid) = (seen.key.clone(), seen.uid.clone());
        let resource_version = seen.resource_version.clone();
        Ok(Ok(Pass { key, uid, resource_version, deed: warrant.deed(), answers }))
    }

    /// What protects by namespace label, and which operator is there. Giving back asks neither, so that it
    /// goes on where they cannot be read.
    async fn surroundings(
        &self,
        deed: Deed,
        seen: &Seen,
    ) -> Result<(BTreeMap<String, String>, Result<Version, String>), ApiError> {
        if deed.gives_back() {
            return Ok((BTreeMap::new(), Err("not asked".to_owned())));
        }
        Ok((self.namespace_labels(&seen.key.namespace).await?, self.operator().await))
    }

    async fn freeze(&self, deed: Deed) -> FreezeSeen {
        if deed.gives_back() {
            return FreezeSeen::None;
        }
        if let Some(why) = self.live.frozen() {
            return FreezeSeen::Frozen(why);
        }
        match self.read_freeze().await {
            // The switch may have been turned while the marker was read.
            FreezeSeen::None => self.live.frozen().map_or(FreezeSeen::None, FreezeSeen::Frozen),
            seen => seen,
        }
    }

    fn judge(
        &self,
        warrant: &Warrant<'_>,
        seen: &Seen,
        namespace_labels: &BTreeMap<String, String>,
        freeze: FreezeSeen,
        operator: Result<Version, String>,
        count: bool,
    ) -> Vec<GuardAnswer> {
        let rail = self.live.guardrail();
        let now = self.now();
        let order = warrant.order();
        let labels = seen.labels.iter().chain(namespace_labels).map(|(k, v)| (&**k, &**v));
        let keys: Vec<&ObjectKey> = std::iter::once(&seen.key).chain(seen.workload.as_ref().ok()).collect();
        // Held from the count to the answer, so that two targets cannot both take the last place.
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let evidence = Evidence {
            deed: warrant.deed(),
            mode: order.map_or(Mode::Observe, |o| o.mode),
            ceiling: self.live.ceiling(),
            approved_by: match warrant {
                Warrant::Person { actor, .. } => Some(actor),
                _ => order.and_then(|o| o.approved_by.as_deref()),
            },
            protected: guard::protection(&rail, &self.settings.namespace, &keys, labels),
            leads: self.live.leads(),
            expires_at: order.map_or(Timestamp::MAX, |o| o.expires_at),
            now,
            blast: order.map_or(Blast::default(), |o| o.blast),
            counted: stopped.with(&seen.key, now, rail.per),
            cap: rail.overall,
            freeze,
            wanted_uid: match warrant {
                Warrant::Person { uid, .. } => uid,
                _ => order.map_or("", |o| &o.uid),
            },
            seen_uid: &seen.uid,
            operator,
            clock_agrees: self.live.clock_agrees(),
        };
        let answers = guard::judge(&evidence);
        if count && warrant.deed() == Deed::Stop && guard::lets_through(&answers) {
            stopped.count(&seen.key, now);
        }
        answers
    }

    // Writes.

    /// Applies the pause with its marks, as our field manager and without force.
    pub(crate) async fn apply_pause(&self, pass: Pass, marks: &Marks) -> Result<Seen, ApiError> {
        debug_assert_eq!(pass.deed, Deed::Stop);
        self.apply(pass, Some(Value::Object(marks.annotations()))).await
    }

    /// Applies the object without our keys: they go unless somebody else owns them too.
    pub(crate) async fn apply_release(&self, pass: Pass) -> Result<Seen, ApiError> {
        self.apply(pass, None).await
    }

    async fn apply(&self, pass: Pass, annotations: Option<Value>) -> Result<Seen, ApiError> {
        let mut metadata = json!({
            "name": &*pass.key.name,
            "namespace": &*pass.key.namespace,
            "uid": pass.uid,
            "resourceVersion": pass.resource_version,
        });
        if let Some(annotations) = annotations {
            metadata["annotations"] = annotations;
        }
        let body = json!({"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": metadata});
        let api = self.scaled_objects(&pass.key.namespace);
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Apply(&body);
        let what = format!("apply {}", pass.key);
        let object = self.ask(&what, api.patch(&pass.key.name, &params, &patch)).await?;
        Ok(Seen::read(&pass.key, object))
    }

    /// Sets a workload to zero by its `/scale`, under the UID and resourceVersion that were read. The pass
    /// is about the ScaledObject that holds it.
    pub(crate) async fn scale_to_zero(&self, pass: Pass, scale: &ScaleSeen) -> Result<ScaleSeen, ApiError> {
        debug_assert!(matches!(pass.deed, Deed::Stop | Deed::Reverse));
        let key = &scale.key;
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &key.namespace, &workload::resource(key));
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let zero = scale.at_zero();
        let written =
            self.ask(&format!("scale {key} to 0"), api.replace_scale(&key.name, &params, &zero)).await?;
        Ok(ScaleSeen::read(key, written))
    }

    // The freeze marker: ours, and no order's.

    /// Writes the freeze marker, or ends the freeze.
    ///
    /// # Errors
    /// The marker could not be written: then nothing is known to be frozen.
    pub async fn write_freeze(&self, frozen: bool, by: &str, reason: &str) -> Result<(), FreezeError> {
        let note = FreezeNote { by, reason, at: self.now() };
        freeze::write(&self.client, &self.settings.marker, frozen, &note).await
    }

    /// What the marker says. One that cannot be read says so, and stops stops.
    pub async fn read_freeze(&self) -> FreezeSeen {
        let read = freeze::read(&self.client, &self.settings.marker);
        let limit = self.settings.request_timeout;
        let late = |_| FreezeSeen::Unreadable(format!("no answer within {limit:?}"));
        tokio::time::timeout(limit, read).await.unwrap_or_else(late)
    }

    // Lists.

    /// Every ScaledObject that carries marks of this installation: for the start of the daemon and for
    /// `release --all`, which know nothing else.
    ///
    /// # Errors
    /// The list could not be had whole; a part of it is never given.
    pub async fn marked_objects(&self) -> Result<Vec<Marked>, ApiError> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &object::resource());
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

    fn scaled_objects(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &object::resource())
    }

    async fn ask<T>(
        &self,
        what: &str,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, ApiError> {
        let limit = self.settings.request_timeout;
        match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer.map_err(|error| ApiError::of(what, error)),
            Err(_) => Err(ApiError::Timeout { what: what.to_owned(), limit }),
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

//! The only type in the workspace that writes to Kubernetes (our Lease and freeze marker excepted).
//!
//! The client is private and a write takes a [`Pass`], which only the guard's yes makes and which is used
//! up by the write. A pass stands for nine answers of the guard about the object as it was read, and each
//! write carries that object's UID and resourceVersion, so that what was judged is what is written, or
//! nothing is. The gateway reads single objects; it lists pods by a workload's own selector for the proof,
//! and ScaledObjects to find our marks again ([`Gateway::marked_objects`]). It never watches.

mod ask;
mod reads;
mod writes;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::core::DynamicObject;
use kube::{Api, Client};
use policy::decision::Order;
use policy::fact::GuardAnswer;
use policy::inventory::ObjectKey;
use policy::time::Timestamp;
use tokio::time::Instant;

pub use reads::Marked;

use crate::api_error::ApiError;
use crate::blast::Stopped;
use crate::freeze::Marker;
use crate::guard::Deed;
use crate::live::Live;
use crate::now::Now;
use crate::operator::Version;
use crate::scaled_object;

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
    /// How long one read may take. Default 10 s; a pod's usual termination grace is not part of it.
    pub request_timeout: Duration,
    /// How long one write may take from the guard's yes on. Default 4 s: less than
    /// [`crate::lease::LeaseSettings::spare`], so that it has ended before another leads.
    pub write_timeout: Duration,
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
            write_timeout: Duration::from_secs(4),
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

    fn scaled_objects(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &scaled_object::resource())
    }

    async fn ask<T>(
        &self,
        what: &str,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, ApiError> {
        ApiError::within(self.settings.request_timeout, what, request).await
    }

    async fn ask_to_write<T>(
        &self,
        what: &str,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, ApiError> {
        ApiError::within(self.settings.write_timeout, what, request).await
    }
}

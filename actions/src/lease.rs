//! The Lease that says which replica enforces.
//!
//! Every write carries the resourceVersion that was read, so of two candidates one gets a 409. How old the
//! other's Lease is, is judged by our own monotonic clock from when we first saw its current version, never
//! by the time that it wrote. Leadership ends in [`Live`] at a fixed instant before the Lease can pass to
//! another, so a process that slept through it does not act on waking. The holder's name must be another
//! one for each process: a process that comes back under its old name would not know that it had been away.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ConstantBuilder};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::api_error::ApiError;
use crate::live::{Leadership, Live};
use crate::now::Now;
use crate::undo::MANAGER;

/// What we contend for, and how often.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Our own namespace.
    pub namespace: String,
    /// Name of the Lease. Default `breakerbox`.
    pub name: String,
    /// Who we are: another name for each process.
    pub holder: String,
    /// After this without a renewal another may take it. Whole seconds. Default 15 s.
    pub duration: Duration,
    /// Time between renewals, and between tries to get it, with jitter. Default 2 s.
    pub every: Duration,
    /// How long one request may take. Default 3 s.
    pub request_timeout: Duration,
}

impl LeaseSettings {
    /// The usual times of a controller's Lease.
    #[must_use]
    pub fn new(namespace: &str, holder: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: "breakerbox".to_owned(),
            holder: holder.to_owned(),
            duration: Duration::from_secs(15),
            every: Duration::from_secs(2),
            request_timeout: Duration::from_secs(3),
        }
    }

    /// How long we act on one renewal: two thirds of the duration. The rest is [`Self::spare`].
    fn trusted(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// How long from our last act until another may lead. A write that the guard let through at the last moment
    /// must have ended by then, so the gateway gives up earlier ([`crate::gateway::Settings::write_timeout`]).
    #[must_use]
    pub fn spare(&self) -> Duration {
        self.duration.saturating_sub(self.trusted())
    }
}

/// How the contest stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseNews {
    /// Nothing is known yet.
    Unknown,
    /// We lead.
    Leading,
    /// Another leads.
    Following {
        /// Who.
        holder: String,
    },
    /// We led, and do not know any more that we do.
    Lost {
        /// Why, for people.
        because: String,
    },
}

/// The Lease was lost. The process must end: what it believes may be old.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the Lease was lost: {0}")]
pub struct LeaseLost(pub String);

/// One who contends.
pub struct Candidate {
    api: Api<Lease>,
    settings: LeaseSettings,
    live: Arc<Live>,
    now: Arc<dyn Now>,
    news: watch::Sender<LeaseNews>,
    /// Version of another's Lease, and when we saw it first.
    other: Option<(String, Instant)>,
    leads_until: Option<Instant>,
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidate").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What one try came to.
enum Tried {
    Leads {
        asked_at: Instant,
    },
    Follows(String),
    /// Somebody else wrote the Lease between our read and our write. The next read says who.
    Raced,
}

impl Candidate {
    /// A candidate that has not tried yet, and where its news can be read.
    #[must_use]
    pub fn new(
        client: Client,
        live: Arc<Live>,
        now: Arc<dyn Now>,
        settings: LeaseSettings,
    ) -> (Self, watch::Receiver<LeaseNews>) {
        let api = Api::namespaced(client, &settings.namespace);
        let (news, read) = watch::channel(LeaseNews::Unknown);
        (Self { api, settings, live, now, news, other: None, leads_until: None }, read)
    }

    /// Contends until `stop` resolves, then gives the Lease up so that another need not wait.
    ///
    /// # Errors
    /// We led and lost it.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), LeaseLost> {
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return self.give_up().await,
                lost = self.turn() => lost?,
            }
            let pause = self.pause();
            tokio::select! {
                () = &mut stop => return self.give_up().await,
                () = sleep(pause) => {}
            }
        }
    }

    /// One try, and what follows from it.
    async fn turn(&mut self) -> Result<(), LeaseLost> {
        match self.try_once().await {
            Ok(Tried::Leads { asked_at }) => {
                let until = asked_at + self.settings.trusted();
                self.leads_until = Some(until);
                self.live.set_leadership(Leadership::Until(until));
                self.tell(LeaseNews::Leading);
                Ok(())
            }
            Ok(Tried::Follows(holder)) if self.leads_until.is_some() => {
                Err(self.lose(format!("`{holder}` holds it now")))
            }
            Ok(Tried::Follows(holder)) => {
                self.tell(LeaseNews::Following { holder });
                Ok(())
            }
            Ok(Tried::Raced) => self.not_renewed("somebody else wrote it at the same time"),
            Err(error) => self.not_renewed(&error.to_string()),
        }
    }

    /// Nothing is lost by one try that failed, but by the last one that had time.
    fn not_renewed(&mut self, why: &str) -> Result<(), LeaseLost> {
        match self.leads_until {
            Some(until) if Instant::now() + self.settings.every >= until => {
                Err(self.lose(format!("it could not be renewed in time: {why}")))
            }
            _ => {
                tracing::debug!(why, lease = %self.settings.name, "no answer about the Lease");
                Ok(())
            }
        }
    }

    async fn try_once(&mut self) -> Result<Tried, ApiError> {
        let asked_at = Instant::now();
        let Some(lease) = self.ask("read the Lease", self.api.get_opt(&self.settings.name)).await? else {
            let fresh = self.lease(ObjectMeta::default(), None);
            let created = self.ask("create the Lease", self.api.create(&Self::params(), &fresh)).await;
            return won(created, asked_at);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if !holder.is_empty() && holder != self.settings.holder && !self.has_expired(&lease, &spec) {
            return Ok(Tried::Follows(holder));
        }
        let ours = self.lease(lease.metadata, Some((spec, holder)));
        let name = &self.settings.name;
        let replaced = self.ask("renew the Lease", self.api.replace(name, &Self::params(), &ours)).await;
        won(replaced, asked_at)
    }

    /// Whether another's Lease has not changed before our eyes for as long as it says it holds.
    fn has_expired(&mut self, lease: &Lease, spec: &LeaseSpec) -> bool {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let said = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok());
        let duration = said.map_or(self.settings.duration, Duration::from_secs);
        match &self.other {
            Some((seen, since)) if *seen == version => since.elapsed() >= duration,
            _ => {
                self.other = Some((version, Instant::now()));
                false
            }
        }
    }

    /// The Lease as ours, under the version that was read.
    fn lease(&self, mut metadata: ObjectMeta, old: Option<(LeaseSpec, String)>) -> Lease {
        let s = &self.settings;
        metadata.name = Some(s.name.clone());
        metadata.managed_fields = None;
        let now = jiff::Timestamp::from_millisecond(self.now.wall().millis()).ok().map(MicroTime);
        let (spec, holder) = old.unwrap_or_default();
        let renewed = holder == s.holder;
        let transitions = spec.lease_transitions.unwrap_or(0);
        let spec = LeaseSpec {
            holder_identity: Some(s.holder.clone()),
            lease_duration_seconds: i32::try_from(s.duration.as_secs()).ok(),
            acquire_time: if renewed { spec.acquire_time } else { now.clone() },
            renew_time: now,
            lease_transitions: Some(if renewed { transitions } else { transitions.saturating_add(1) }),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    async fn give_up(&mut self) -> Result<(), LeaseLost> {
        self.live.set_leadership(Leadership::No);
        if self.leads_until.take().is_none() {
            return Ok(());
        }
        let name = self.settings.name.clone();
        let read = self.ask("read the Lease", self.api.get_opt(&name)).await;
        if let Ok(Some(mut lease)) = read
            && let Some(spec) =
                lease.spec.as_mut().filter(|s| s.holder_identity.as_ref() == Some(&self.settings.holder))
        {
            spec.holder_identity = Some(String::new());
            lease.metadata.managed_fields = None;
            let given = self.ask("give the Lease up", self.api.replace(&name, &Self::params(), &lease)).await;
            if let Err(error) = given {
                tracing::warn!(%error, "the Lease was not given up; it runs out by itself");
            }
        }
        Ok(())
    }

    fn lose(&mut self, because: String) -> LeaseLost {
        self.live.set_leadership(Leadership::No);
        self.leads_until = None;
        self.tell(LeaseNews::Lost { because: because.clone() });
        LeaseLost(because)
    }

    fn tell(&self, news: LeaseNews) {
        self.news.send_if_modified(|old| {
            let changed = *old != news;
            *old = news;
            changed
        });
    }

    /// The pause before the next try, from half of `every` to the whole, so that candidates do not march in
    /// step.
    fn pause(&self) -> Duration {
        let half = self.settings.every / 2;
        ConstantBuilder::new().with_delay(half).with_jitter().build().next().unwrap_or(half)
    }

    fn params() -> PostParams {
        PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
    }

    async fn ask<T>(
        &self,
        what: &str,
        request: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, ApiError> {
        ApiError::within(self.settings.request_timeout, what, request).await
    }
}

/// A write that came second is an answer and no error.
fn won(written: Result<Lease, ApiError>, asked_at: Instant) -> Result<Tried, ApiError> {
    match written {
        Ok(_) => Ok(Tried::Leads { asked_at }),
        Err(error) if error.code() == Some(409) => Ok(Tried::Raced),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_has_ended_before_another_may_lead() {
        let write = crate::gateway::Settings::new("test", "breakerbox").write_timeout;
        let lease = LeaseSettings::new("breakerbox", "a");
        assert!(write < lease.spare(), "{write:?} of {:?}", lease.spare());
        assert_eq!(lease.trusted() + lease.spare(), lease.duration);
    }
}

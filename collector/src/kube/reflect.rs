//! Four kinds become one inventory: a snapshot once all are listed, then changes, and word of being heard.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::engine::KUBERNETES;
use policy::fact::{Fact, SourceHealth, SourceState};
use policy::inventory::{Inventory, InventoryChange};
use policy::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::stream::{News, follow};
use super::{Pace, WatchedKind, map};
use crate::envelope::{Envelope, Intake};

/// The source that watches a cluster.
#[derive(Debug)]
pub struct KubeSource {
    intake: Intake,
    pace: Pace,
    inventory: Inventory,
    heard: BTreeMap<WatchedKind, Instant>,
    snapshot_sent: bool,
    told_heard: Option<Instant>,
    told_broken: Option<(String, Instant)>,
}

/// Nobody takes facts any more.
struct Stopped;

impl KubeSource {
    /// Watches with that client, and tells that intake.
    #[must_use]
    pub fn new(intake: Intake, pace: Pace) -> Self {
        Self {
            intake,
            pace,
            inventory: Inventory::default(),
            heard: BTreeMap::new(),
            snapshot_sent: false,
            told_heard: None,
            told_broken: None,
        }
    }

    /// Runs until the intake is closed. Dropping the future stops every watch.
    pub async fn run(mut self, client: kube::Client) {
        let (sender, mut news) = mpsc::channel(1024);
        let mut tasks = tokio::task::JoinSet::new();
        for kind in WatchedKind::ALL {
            tasks.spawn(follow(client.clone(), kind, self.pace, sender.clone()));
        }
        drop(sender);
        while let Some((kind, news)) = news.recv().await {
            if self.take(kind, news).await.is_err() {
                break;
            }
        }
        tasks.shutdown().await;
    }

    async fn take(&mut self, kind: WatchedKind, news: News) -> Result<(), Stopped> {
        match news {
            News::Broken(why) => return self.tell_broken(why).await,
            News::Heard => {}
            News::Listed(objects) => self.take_list(kind, objects).await?,
            News::Changed(change) => {
                self.inventory.apply(change.clone(), Timestamp::default());
                if self.snapshot_sent {
                    self.send(Fact::Inventory(change)).await?;
                }
            }
        }
        self.heard.insert(kind, Instant::now());
        self.tell_heard().await
    }

    /// A fresh list replaces all of its kind; what is gone since is gone from the snapshot.
    async fn take_list(&mut self, kind: WatchedKind, objects: Vec<InventoryChange>) -> Result<(), Stopped> {
        let before = self.inventory.clone();
        map::forget(kind, &mut self.inventory);
        for change in objects {
            self.inventory.apply(change, Timestamp::default());
        }
        self.inventory.heard_at = None;
        self.heard.insert(kind, Instant::now());
        let all = WatchedKind::ALL.iter().all(|kind| self.heard.contains_key(kind));
        if all && (!self.snapshot_sent || before != self.inventory) {
            self.snapshot_sent = true;
            self.send(Fact::Inventory(InventoryChange::Snapshot(self.inventory.clone()))).await?;
        }
        Ok(())
    }

    /// The cluster is heard only while every kind is: one dead watch must not hide behind a lively one.
    async fn tell_heard(&mut self) -> Result<(), Stopped> {
        let fresh = self.pace.patience();
        let now = Instant::now();
        let all = WatchedKind::ALL
            .iter()
            .all(|kind| self.heard.get(kind).is_some_and(|at| now.duration_since(*at) <= fresh));
        let due = self.told_heard.is_none_or(|at| now.duration_since(at) >= self.pace.tell);
        if !all || !due {
            return Ok(());
        }
        self.told_heard = Some(now);
        self.told_broken = None;
        self.send(health(SourceState::Heard)).await
    }

    async fn tell_broken(&mut self, why: String) -> Result<(), Stopped> {
        let again = Duration::from_secs(60).max(self.pace.tell);
        let told = self.told_broken.as_ref();
        if told.is_some_and(|(what, at)| *what == why && at.elapsed() < again) {
            return Ok(());
        }
        tracing::warn!(source = KUBERNETES, %why, "the cluster cannot be watched");
        self.told_broken = Some((why.clone(), Instant::now()));
        self.send(health(SourceState::Broken(why))).await
    }

    async fn send(&self, fact: Fact) -> Result<(), Stopped> {
        self.intake.put(Envelope::without_ack(fact)).await.map_err(|_| Stopped)
    }
}

fn health(state: SourceState) -> Fact {
    Fact::Health(SourceHealth { source: KUBERNETES.into(), state })
}

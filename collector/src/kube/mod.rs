//! What exists to act on: namespaces, ScaledObjects and the workloads they scale, listed and watched.
//!
//! Our own list and watch rather than a runtime's: the one that exists reconnects without end when a watch
//! answers 200 and closes at once, and never lists again after a 410 at watch start (failures A27, A28).
//! Here a stream's end is always judged by [`guard::Streams`], a list is always paged, and what is heard is
//! told apart from what is not: the engine acts on nothing older than two minutes.

mod guard;
mod map;
mod once;
mod reflect;
mod stream;

use std::time::Duration;

pub use guard::{Streams, Verdict};
pub use once::inventory;
pub use reflect::KubeSource;

/// The four kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchedKind {
    /// `v1` Namespace.
    Namespace,
    /// `keda.sh/v1alpha1` ScaledObject.
    ScaledObject,
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
}

impl WatchedKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Namespace, Self::ScaledObject, Self::Deployment, Self::StatefulSet];
}

/// How often things are asked and told.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long the server is asked to keep a watch, in seconds. Each kind is heard at least that often.
    pub watch_secs: u32,
    /// How much longer we wait before a silent connection counts as broken.
    pub grace: Duration,
    /// Shortest time from one connect of a kind to the next, and first wait before a list after a failure.
    pub between_connects: Duration,
    /// How often being heard, or being broken, is told at most.
    pub tell: Duration,
}

impl Pace {
    /// How long a connect, an event or a page of a list is waited for: as long as the server was asked to keep a
    /// stream, and some.
    const fn patience(&self) -> Duration {
        Duration::from_secs(self.watch_secs as u64).saturating_add(self.grace)
    }
}

impl Default for Pace {
    /// 30 s watches, 15 s of grace: with the engine's limit of 120 s, two may fail before anything is stale.
    fn default() -> Self {
        Self {
            watch_secs: 30,
            grace: Duration::from_secs(15),
            between_connects: Duration::from_secs(1),
            tell: Duration::from_secs(1),
        }
    }
}

//! What exists to act on: namespaces, ScaledObjects and the workloads they scale, listed and watched.
//!
//! Our own list and watch rather than a runtime's: the one that exists reconnects without end when a watch
//! answers 200 and closes at once, and never lists again after a 410 at watch start (failures A27, A28).
//! Here a stream's end is always judged by [`guard::Streams`], a list is always paged, and what is heard is
//! told apart from what is not: the engine acts on nothing older than two minutes.

mod guard;
mod map;
mod reflect;
mod stream;

pub use guard::{Streams, Verdict};
pub use reflect::{KubeSource, Pace};

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

//! Spot notices: what AWS says will be taken away, until when, and what is to be done about it in time.
//!
//! Pure, and about one instance at a time: the notice, the node behind it, who drains there already, and the
//! plan of a rule. A notice that is too old to act on still counts as a loss (inputs of accounting keep longer
//! than those of acting), and one that came before counts once.

mod drainer;
mod host;
mod losses;
mod notice;
mod plan;
mod queue;

pub use drainer::{Drainer, drainer};
pub use host::{Host, HostChange, instance_of};
pub use losses::{Losses, Pool};
pub use notice::{Age, InstanceState, Loss, SpotBatch, SpotKind, SpotNotice};
pub use plan::{Left, Plan, Step, plan};
pub use queue::Queue;

//! Whether GPUs are idle: every signal on every GPU of every replica, or it is not said.
//!
//! A false "idle" stops somebody's work, and the exporters of this field make it easy: ratios that are
//! silently zero, one idle GPU beside a busy one, gaps, MIG. So what is not known is not idle, signals that
//! disagree are a verdict of their own, and only [`Verdict::Idle`] leads to anything.
//!
//! It never reads a clock, never acts, and never keeps more than so many buckets of so many GPUs.

mod fleet;
mod history;
mod judge;
mod target;
mod verdict;

pub use fleet::{Fleet, PodRef, Seat};
pub use history::{Gpus, MOST_GPUS, Refusal};
pub use target::{Finding, GRACE, evaluate};
pub use verdict::{Evidence, Reason, Target, Verdict};

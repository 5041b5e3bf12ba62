//! EventBridge's events about EC2 instances, as a queue of our own brings them.
//!
//! Read here is what one message says; the loop that receives them is not there yet. The queue must be ours
//! alone: Karpenter and the node termination handler delete what they do not care about.

mod parse;
mod wire;

pub use parse::{Event, EventError, parse};

#[cfg(test)]
mod tests;
